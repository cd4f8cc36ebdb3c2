"""What holds for every APDU, whatever its values and however its octets arrive."""

from __future__ import annotations

import dataclasses
import gc
import random
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import apdu as wire
from protocol import ber
from protocol.apdu import (
    TAGS,
    Apdu,
    AttributeElement,
    AttributesPlusTerm,
    BooleanOperator,
    ResultSetId,
    RpnOperation,
    RpnQuery,
)
from protocol.association import Association, AssociationLimits
from protocol.ber import Framer, ProtocolError
from protocol.oid import BIB_1
from tests.property.asn1_values import Values
from tests.unit import captured_apdus
from tests.unit.apdu_samples import nested

VALUES = Values()
CAPTURED = [
    bytes.fromhex(octets)
    for name, octets in vars(captured_apdus).items()
    if name.isupper() and not name.startswith("YAZ_")
]
INIT = bytes.fromhex(captured_apdus.INIT_V3_OPEN)


@pytest.mark.parametrize("cls", TAGS, ids=lambda cls: cls.__name__)
def test_an_apdu_comes_back_as_it_went(cls: type[Apdu]) -> None:
    @settings(max_examples=60, deadline=None)
    @given(VALUES.sequence(cls))
    def comes_back(apdu: Apdu) -> None:
        assert wire.decode(wire.encode(apdu)) == apdu

    comes_back()


def in_indefinite_lengths(data: bytes, chosen: Callable[[], bool]) -> bytes:
    """`data`, with the constructed elements that `chosen` picks in indefinite form."""
    parts = []
    offset = 0
    while offset < len(data):
        constructed = data[offset] & ber.CONSTRUCTED
        identifier, offset, end = ber.read_header(data, offset)
        octets = ber.identifier_octets(identifier)
        content = data[offset:end]
        if constructed:
            content = in_indefinite_lengths(content, chosen)
        if constructed and chosen():
            parts.append(octets + b"\x80" + content + ber.END_OF_CONTENTS)
        else:
            parts.append(ber.wrap(octets, content))
        offset = end
    return b"".join(parts)


@settings(max_examples=300, deadline=None)
@given(Values(opaque_elements=False).apdus(), st.randoms(use_true_random=False))
def test_indefinite_lengths_say_the_same(apdu: Apdu, randomness: random.Random) -> None:
    octets = in_indefinite_lengths(wire.encode(apdu), lambda: randomness.random() < 0.6)
    assert Framer(100_000).feed(octets) == [octets]
    assert wire.decode(octets) == apdu


@settings(max_examples=100, deadline=None)
@given(VALUES.apdus())
def test_a_prefix_of_an_apdu_waits_for_more(apdu: Apdu) -> None:
    octets = wire.encode(apdu)
    for end in range(len(octets)):
        framer = Framer(100_000)
        assert framer.feed(octets[:end]) == []
        assert framer.failure is None
        assert framer.feed(octets[end:]) == [octets]
        with pytest.raises(ProtocolError):
            wire.decode(octets[:end])


@settings(max_examples=100, deadline=None)
@given(st.lists(VALUES.apdus(), max_size=5), st.randoms(use_true_random=False))
def test_any_chunking_gives_the_same_apdus(apdus: list[Apdu], randomness: random.Random) -> None:
    stream = b"".join([wire.encode(apdu) for apdu in apdus] + CAPTURED)
    framer = Framer(1_000_000)
    found: list[bytes] = []
    offset = 0
    while offset < len(stream):
        size = randomness.choice([1, 2, 3, 10, 100, 1_000])
        found += framer.feed(stream[offset : offset + size])
        offset += size
    assert framer.failure is None
    assert b"".join(found) == stream
    assert [wire.decode(octets) for octets in found[: len(apdus)]] == apdus


def hostile_inputs(count: int, seed: int) -> Iterator[bytes]:
    """Random octets, and real APDUs with octets changed, cut, doubled or exchanged."""
    randomness = random.Random(seed)
    for number in range(count):
        if number % 10 == 0:
            yield randomness.randbytes(randomness.randrange(40))
            continue
        octets = bytearray(randomness.choice(CAPTURED))
        for _ in range(randomness.randrange(1, 5)):
            at = randomness.randrange(len(octets))
            match randomness.randrange(5):
                case 0:
                    octets[at] = randomness.randrange(256)
                case 1:
                    octets[at] ^= 1 << randomness.randrange(8)
                case 2:
                    del octets[at : at + randomness.randrange(1, 4)]
                case 3:
                    octets[at:at] = octets[at : at + randomness.randrange(1, 8)]
                case _:
                    octets[at] = randomness.choice(b"\x00\x30\x7f\x80\x81\x82\x84\xff\xa0\xa1")
            if not octets:
                break
        yield bytes(octets)


def check_hostile(count: int, seed: int) -> int:
    """How many of the inputs were still APDUs; anything unnamed that is raised is the failure."""
    survivors = 0
    for octets in hostile_inputs(count, seed):
        try:
            apdu = wire.decode(octets)
        except ProtocolError:
            pass
        else:
            survivors += 1
            if not isinstance(getattr(apdu, "query", None), wire.QueryTooComplex):
                again = wire.encode(apdu)
                assert wire.decode(again) == apdu, octets.hex()
        association = Association(AssociationLimits(apdu_size_bytes_max=100_000))
        association.receive_data(INIT)
        association.receive_data(octets)
        for _ in association.requests_received():
            pass
        association.data_to_send()
    return survivors


def test_hostile_octets_raise_nothing_unnamed() -> None:
    survivors = check_hostile(4_000, seed=20240611)
    assert 200 < survivors < 2_000  # the changes are neither too harmless nor too wild


def memory_kept(count: int, seed: int) -> int:
    """Octets that are still held after so many hostile inputs and were not before."""
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    check_hostile(count, seed)
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


@pytest.fixture
def tracing() -> Iterator[None]:
    was_tracing = tracemalloc.is_tracing()
    if not was_tracing:
        tracemalloc.start()
    yield
    if not was_tracing:
        tracemalloc.stop()


# A leak of one small object an input is more than this.
KEPT_OCTETS_MAX_OF_INPUT = 40


@pytest.mark.usefixtures("tracing")
def test_hostile_octets_leave_nothing_behind() -> None:
    memory_kept(2_000, seed=1)  # fills caches, which have bounds
    assert memory_kept(3_000, seed=2) < 3_000 * KEPT_OCTETS_MAX_OF_INPUT


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.usefixtures("tracing")
def test_many_hostile_octets_leave_no_more_behind() -> None:
    memory_kept(50_000, seed=3)
    assert memory_kept(50_000, seed=4) < 512 * 1024


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(4))
def test_a_million_hostile_inputs_raise_nothing_unnamed(seed: int) -> None:
    check_hostile(250_000, seed)


# Linear time


def lines_run(work: Callable[[], Any]) -> int:
    """Lines of Python that `work` executes: its cost, whatever the clock says."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def many_databases(count: int) -> bytes:
    request = wire.decode(bytes.fromhex(captured_apdus.SEARCH_TITLE))
    assert isinstance(request, wire.SearchRequest)
    return wire.encode(dataclasses.replace(request, database_names=("x",) * count))


def many_operands(count: int) -> bytes:
    """Each on the left of the next, with a list of attributes of its own."""
    operands = [
        RpnOperation(BooleanOperator.OR, ResultSetId(""), AttributesPlusTerm(attributes, b"x"))
        for number in range(count)
        for attributes in [(AttributeElement(type=1, value=number),) * 30]
    ]
    while len(operands) > 1:
        pairs = zip(operands[::2], operands[1::2], strict=True)
        operands = [RpnOperation(BooleanOperator.OR, left, right) for left, right in pairs]
    request = wire.decode(bytes.fromhex(captured_apdus.SEARCH_TITLE))
    assert isinstance(request, wire.SearchRequest)
    return wire.encode(dataclasses.replace(request, query=RpnQuery(BIB_1, operands[0])))


def many_unknown(count: int) -> bytes:
    return ber.wrap(b"\xb8", b"\x9f\x8b\x0a\x00" * count + bytes.fromhex("9f1f01319e01019d0101"))


def many_unknown_indefinite(count: int) -> bytes:
    """Unknown elements inside one another, which are stepped over in one pass."""
    inside = b"\xbf\x8b\x0a\x80" * count + b"\0\0" * count
    return b"\xb8\x80" + inside + bytes.fromhex("9f1f01319e01019d01010000")


def many_tiny_indefinite(count: int) -> bytes:
    """Elements without content in an APDU whose end is not told."""
    inside = b"\x9f\x8b\x0a\x00" * count
    return b"\xb8\x80" + inside + bytes.fromhex("9f1f01319e01019d01010000")


def deep_definite(count: int) -> bytes:
    return nested(count, indefinite=False)


def deep_indefinite(count: int) -> bytes:
    return nested(count, indefinite=True)


FAMILIES = [
    (many_databases, 200),
    (many_operands, 64),
    (many_unknown, 200),
    (many_unknown_indefinite, 200),
    (deep_definite, 200),
    (deep_indefinite, 200),
    (deep_indefinite, 5_000),  # beyond the bound: skipped, still in one pass
    (many_tiny_indefinite, 400),
]


@pytest.mark.parametrize(("family", "size"), FAMILIES)
def test_work_grows_with_the_octets_and_no_faster(
    family: Callable[[int], bytes], size: int
) -> None:
    def work(count: int) -> int:
        octets = family(count)
        wire.decode(octets)  # fills the caches, so that both runs find them so
        return lines_run(lambda: [wire.decode(each) for each in Framer(10**7).feed(octets)])

    single, double = work(size), work(2 * size)
    assert double <= 2.2 * single


def test_octets_one_at_a_time_are_not_read_again() -> None:
    def work(count: int) -> int:
        octets = many_unknown_indefinite(count)

        def trickle() -> None:
            framer = Framer(10**7)
            for at in range(len(octets)):
                framer.feed(octets[at : at + 1])

        return lines_run(trickle)

    assert work(400) <= 2.2 * work(200)
