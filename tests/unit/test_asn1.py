"""The description language itself: what it says is what is read and written."""

from __future__ import annotations

import pytest

from protocol.asn1 import (
    BOOLEAN,
    FLAG,
    INTEGER,
    NULL,
    OCTETS,
    OID,
    STRING,
    Asn1Type,
    BitString,
    Choice,
    Explicit,
    Lazy,
    Null,
    Sequence,
    SequenceOf,
    Tagged,
    Wrapped,
    choice,
    component,
    positional_sequence,
    sequence,
)
from protocol.ber import ProtocolError
from protocol.codec import Codec
from protocol.frozen import frozen
from protocol.oid import Oid


@frozen
class Label:
    text: str


@sequence
class Sample:
    number: int = component(0, INTEGER)
    retries: int = component(1, INTEGER, default=3)
    urgent: bool = component(2, FLAG, default=False)
    quiet: bool | None = component(3, BOOLEAN, default=None)
    names: tuple[str, ...] = component(4, SequenceOf(Tagged(9, STRING)), default=())
    wrapped: str | None = component(5, Explicit(STRING), default=None)
    which: int | str | Label | None = component(
        None,
        choice("which", (6, INTEGER), (7, STRING), (8, Wrapped(Label, STRING))),
        default=None,
    )


SAMPLE = Codec(Sequence(Sample), "Sample")


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (Sample(number=1), "3003800101"),
        (Sample(number=1, retries=3), "3003800101"),
        (Sample(number=1, retries=4), "3006800101810104"),
        (Sample(number=1, urgent=True), "30058001018200"),
        (Sample(number=1, quiet=False), "3006800101830100"),
        (Sample(number=1, names=("a", "")), "300a800101a4058901618900"),
        (Sample(number=1, wrapped="a"), "3008800101a5031b0161"),
        (Sample(number=1, which=2), "3006800101860102"),
        (Sample(number=1, which="a"), "3006800101870161"),
        (Sample(number=1, which=Label("a")), "3006800101880161"),
    ],
)
def test_a_component_is_written_where_its_description_says(value: Sample, octets: str) -> None:
    assert SAMPLE.encode(value).hex() == octets
    assert SAMPLE.decode(bytes.fromhex(octets)) == value


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("3000", "Sample lacks number"),
        ("3103800101", "no Sequence begins with tag 31"),
        ("30038001", "longer"),
    ],
)
def test_other_octets_are_refused(octets: str, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        SAMPLE.decode(bytes.fromhex(octets))


def test_an_unknown_element_in_a_list_is_stepped_over() -> None:
    octets = bytes.fromhex("300a800101a4058901618a00")
    assert SAMPLE.decode(octets) == Sample(number=1, names=("a",))


Tree = int | tuple["Tree", ...]
TREE: Choice[Tree] = choice("Tree", (None, INTEGER), (1, SequenceOf(Lazy(lambda: TREE))))


def test_a_type_may_hold_itself() -> None:
    codec: Codec[Tree] = Codec(TREE, "Tree")
    value: Tree = (1, (2, (), (3,)))
    assert codec.decode(codec.encode(value)) == value
    with pytest.raises(ProtocolError, match="nested"):
        codec.decode(b"\xa1\x80" * 65)


def test_an_alternative_without_content_is_its_constant() -> None:
    codec: Codec[Null | bytes] = Codec(choice("Maybe", (0, NULL, Null.NULL), (1, OCTETS)), "Maybe")
    assert codec.encode(Null.NULL) == b"\x80\x00"
    assert codec.decode(b"\x80\x00") is Null.NULL
    with pytest.raises(ProtocolError, match="no Maybe begins with tag 82"):
        codec.decode(b"\x82\x00")
    with pytest.raises(TypeError, match="is no Maybe"):
        codec.encode("text")  # type: ignore[arg-type]


def test_alternatives_of_one_class_are_refused_at_once() -> None:
    with pytest.raises(TypeError, match="two alternatives of Twice are str"):
        Codec(choice("Twice", (1, STRING), (2, STRING)), "Twice")


@pytest.mark.parametrize(
    "inner", [Explicit(OID), Tagged(3, OID), Lazy(lambda: OID), choice("Only", (None, OID))]
)
def test_a_choice_finds_a_value_through_what_is_around_its_type(inner: Asn1Type[Oid]) -> None:
    codec: Codec[Oid | str] = Codec(choice("Outer", (1, inner), (2, STRING)), "Outer")
    for value in (Oid((1, 2, 3)), "text"):
        assert codec.decode(codec.encode(value)) == value


def test_what_is_no_type_is_refused() -> None:
    for wrong in (Asn1Type[int](), Explicit(Asn1Type[int]())):
        with pytest.raises(TypeError):
            Codec(wrong, "wrong")
    with pytest.raises(TypeError):
        Codec(choice("Wrong", (1, Asn1Type[int]())), "wrong")


def test_named_bits_are_a_set() -> None:
    from protocol.apdu import ProtocolVersion

    codec: Codec[frozenset[ProtocolVersion]] = Codec(BitString(ProtocolVersion), "versions")
    value = frozenset({ProtocolVersion.VERSION_2})
    assert codec.encode(value).hex() == "03020040"
    assert codec.decode(bytes.fromhex("03020640")) == value
    assert codec.decode(bytes.fromhex("0304004fffff")) == value  # later bits have no name


@positional_sequence
class Pair:
    left: int = component(1, INTEGER)
    right: int = component(2, INTEGER, default=0)


def test_a_described_class_is_a_frozen_value() -> None:
    assert Pair(1) == Pair(1, 0) == Pair(left=1)
    assert hash(Pair(1)) == hash(Pair(1, 0))
    assert repr(Pair(1)) == "Pair(left=1, right=0)"
    with pytest.raises(AttributeError):
        Pair(1).left = 2  # type: ignore[misc]
    with pytest.raises(TypeError, match="wrong"):
        Pair(1, wrong=2)  # type: ignore[call-arg]
    match Pair(1, 2):
        case Pair(left, right):
            assert (left, right) == (1, 2)
