"""Octets of X.690: read both ways, refused where they must be."""

from __future__ import annotations

import pytest

from protocol import ber
from protocol.ber import ELEMENTS_MAX, INDEFINITE, ApduTooLargeError, Framer, ProtocolError
from protocol.oid import Oid

INTEGERS = [
    (0, "0100"),
    (127, "017f"),
    (128, "020080"),
    (255, "0200ff"),
    (256, "020100"),
    (1023, "0203ff"),
    (-1, "01ff"),
    (-128, "0180"),
    (-129, "02ff7f"),
    (67_108_864, "0404000000"),
    (2**63 - 1, "087fffffffffffffff"),
    (-(2**63), "088000000000000000"),
]


@pytest.mark.parametrize(("value", "octets"), INTEGERS)
def test_an_integer_is_the_shortest_twos_complement(value: int, octets: str) -> None:
    assert ber.write_integer(value).hex() == octets
    data = bytes.fromhex(octets)
    assert ber.read_integer(data, 1, len(data)) == value


@pytest.mark.parametrize("octets", ["", "000000000000000001"])
def test_an_integer_of_no_or_too_many_octets_is_refused(octets: str) -> None:
    data = bytes.fromhex(octets)
    with pytest.raises(ProtocolError, match="INTEGER"):
        ber.read_integer(data, 0, len(data))


def test_an_integer_beyond_64_bits_is_not_written() -> None:
    with pytest.raises(OverflowError):
        ber.write_integer(2**63)


@pytest.mark.parametrize(
    ("octets", "value"), [("00", False), ("01", True), ("ff", True), ("80", True)]
)
def test_a_boolean_is_true_for_anything_but_zero(octets: str, value: bool) -> None:
    assert ber.read_boolean(bytes.fromhex(octets), 0, 1) is value


@pytest.mark.parametrize("octets", ["", "0000"])
def test_a_boolean_is_one_octet(octets: str) -> None:
    data = bytes.fromhex(octets)
    with pytest.raises(ProtocolError, match="BOOLEAN"):
        ber.read_boolean(data, 0, len(data))


OIDS = [
    ("1.2.840.10003.3.1", "072a8648ce130301"),
    ("1.2.840.10003.5.109.10", "082a8648ce13056d0a"),
    ("1.0.10646.1.0.8", "0628d316010008"),
    ("2.1.1", "025101"),
    ("2.999.3", "03883703"),
    ("0.0", "0100"),
]


@pytest.mark.parametrize(("dotted", "octets"), OIDS)
def test_an_object_identifier_is_read_and_written(dotted: str, octets: str) -> None:
    assert ber.write_oid(Oid.parse(dotted)).hex() == octets
    assert str(ber.read_oid(bytes.fromhex(octets)[1:])) == dotted


@pytest.mark.parametrize("octets", ["", "2a86", "2a" * 65, "2a" + "01" * 40])
def test_a_malformed_object_identifier_is_refused(octets: str) -> None:
    with pytest.raises(ProtocolError, match="OBJECT IDENTIFIER"):
        ber.read_oid(bytes.fromhex(octets))


LENGTHS = [(0, "00"), (127, "7f"), (128, "8180"), (255, "81ff"), (256, "820100"),
           (65535, "82ffff"), (65536, "83010000"), (16_777_216, "8401000000")]  # fmt: skip


@pytest.mark.parametrize(("length", "octets"), LENGTHS)
def test_a_length_is_written_definite_and_short(length: int, octets: str) -> None:
    assert ber.write_length(length).hex() == octets
    data = b"\x04" + bytes.fromhex(octets)
    assert ber.read_header(data, 0) == (4, len(data), len(data) + length)


HEADERS = [
    ("3000", (0x30, 2, 2)),
    ("3080", (0x30, 2, INDEFINITE)),
    ("a08400000003", (0xA0, 6, 9)),  # more length octets than it takes
    ("9f6801", (0x9F68, 3, 4)),
    ("bf814900", (0xBF8149, 4, 4)),
    ("bfff7f00", (0xBFFF7F, 4, 4)),
]


@pytest.mark.parametrize(("octets", "header"), HEADERS)
def test_a_header_is_identifier_content_and_end(octets: str, header: tuple[int, int, int]) -> None:
    assert ber.read_header(bytes.fromhex(octets), 0) == header


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("0480", "primitive element of indefinite length"),
        ("9f6880", "primitive element of indefinite length"),
        ("bfffffffffff00", "tag number"),
        ("3089" + "00" * 9, "octets of length"),
        ("30ff" + "00" * 127, "octets of length"),
    ],
)
def test_a_header_beyond_the_rules_is_refused(octets: str, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        ber.read_header(bytes.fromhex(octets), 0)


@pytest.mark.parametrize("number", [0, 1, 30, 31, 100, 127, 128, 201, 300])
def test_a_context_tag_keeps_its_number(number: int) -> None:
    for constructed in (False, True):
        identifier = ber.context_identifier(number, constructed)
        assert ber.tag_number(identifier) == number
        octets = ber.identifier_octets(identifier) + b"\x00"
        assert ber.read_header(octets, 0)[0] == identifier


def test_bits_are_numbered_from_the_first() -> None:
    assert ber.read_bits(bytes.fromhex("05e0")) == [0, 1, 2]
    assert ber.read_bits(bytes.fromhex("00e9a240")) == [0, 1, 2, 4, 7, 8, 10, 14, 17]
    assert ber.write_bits([0, 1, 2], 3).hex() == "00e0"
    assert ber.read_bits(b"\x00") == []
    assert ber.read_bits(b"\x00" + b"\xff" * 1000) == list(range(64))
    for content in (b"", b"\x08\xff"):
        with pytest.raises(ProtocolError, match="BIT STRING"):
            ber.read_bits(content)


def test_a_string_in_segments_is_put_together() -> None:
    data = bytes.fromhex("0402616204016300 00")
    assert ber.read_segments(data, 0, INDEFINITE, len(data)) == (b"abc", len(data))
    assert ber.read_segments(data, 0, 7, len(data)) == (b"abc", 7)


@pytest.mark.parametrize(
    ("octets", "end"),
    [("040261", 3), ("040161", INDEFINITE), ("2403040161", 5), ("8101610000", INDEFINITE)],
)
def test_segments_that_are_none_are_refused(octets: str, end: int) -> None:
    data = bytes.fromhex(octets)
    with pytest.raises(ProtocolError, match="constructed string"):
        ber.read_segments(data, 0, end, len(data))


def test_depth_is_counted_without_recursion() -> None:
    for deep in (bytes.fromhex("3080") * 3 + bytes(6), bytes.fromhex("300430023000")):
        ber.check_depth(deep, 3)
        with pytest.raises(ProtocolError, match="nested"):
            ber.check_depth(deep, 2)
    with pytest.raises(ProtocolError, match="nested"):
        ber.check_depth(b"\x30\x80" * 100_000, 64)


# Framing


FRAMES = [
    "b000",
    "b00401020304",
    "b0800000",
    "b080308000000201050000",
    "b7803003020105bf8149800401000000 0000".replace(" ", ""),
    "b08204d2" + "00" * 1234,
]


@pytest.mark.parametrize("octets", FRAMES)
def test_an_element_waits_for_its_last_octet(octets: str) -> None:
    data = bytes.fromhex(octets)
    framer = Framer(10_000)
    for at in range(len(data) - 1):
        assert framer.feed(data[at : at + 1]) == []
        assert framer.pending_bytes == at + 1
    assert framer.feed(data[-1:]) == [data]
    assert framer.pending_bytes == 0
    assert framer.failure is None


def test_elements_in_one_piece_come_out_in_order() -> None:
    elements = [bytes.fromhex(octets) for octets in FRAMES]
    framer = Framer(10_000)
    assert framer.feed(b"".join(elements) + elements[0][:1]) == elements
    assert framer.pending_bytes == 1
    assert framer.feed(elements[0][1:] + elements[3]) == [elements[0], elements[3]]


def test_octets_that_trickle_in_cost_one_reading_of_each_header() -> None:
    """Work is counted in headers, so the proof does not depend on the clock."""
    children = 2_000
    data = b"\xb0\x80" + b"\x04\x01x" * children + b"\x00\x00"
    framer = Framer(1_000_000)
    found = [element for octet in data for element in framer.feed(bytes([octet]))]
    assert found == [data]
    assert framer.steps == children + 2


def test_a_definite_element_is_not_looked_into() -> None:
    data = b"\xb0\x83\x01\x86\xa0" + b"\x30\x00" * 50_000
    framer = Framer(1_000_000)
    assert framer.feed(data) == [data]
    assert framer.steps == 1


def test_a_deep_element_is_framed_in_constant_space() -> None:
    data = b"\xb0\x80" * 100_000 + bytes(200_000)
    framer = Framer(1_000_000)
    assert framer.feed(data) == [data]


@pytest.mark.parametrize(
    "head", ["b0830f4241", "b08400989680", "b080 0483 0f4241".replace(" ", "")]
)
def test_an_element_over_the_bound_is_refused_at_its_header(head: str) -> None:
    framer = Framer(1_000_000)
    assert framer.feed(bytes.fromhex(head)) == []
    assert isinstance(framer.failure, ApduTooLargeError)


def test_an_indefinite_element_over_the_bound_is_refused() -> None:
    framer = Framer(1_000)
    for _ in range(600):
        framer.feed(b"\xb0\x80")
        if framer.failure:
            break
    assert isinstance(framer.failure, ApduTooLargeError)
    assert framer.pending_bytes <= 1_002


@pytest.mark.parametrize("child", [b"\x81\x00", b"\xa1\x80", b"\x9f\x8b\x0a\x00"])
def test_an_element_of_too_many_parts_is_refused_before_they_are_all_read(child: bytes) -> None:
    framer = Framer(16 << 20)
    data = b"\xb6\x80" + child * (11 * (1 << 20) // len(child))
    for at in range(0, len(data), 1 << 16):
        framer.feed(data[at : at + (1 << 16)])
    assert framer.failure is not None
    assert "elements" in str(framer.failure)
    assert framer.steps <= ELEMENTS_MAX + 2


UNKNOWN = b"\xbf\x8b\x0a\x80" + b"\x81\x00" * 240_000 + b"\0\0"


@pytest.mark.parametrize(
    "content",
    [UNKNOWN * 3, ber.wrap(b"\xbf\x8b\x0a", b"\x81\x00" * 600_000), b"\xa1\x02\xa1\x00" * 260_000],
)
def test_a_large_element_of_too_many_parts_at_any_level_is_refused(content: bytes) -> None:
    framer = Framer(16 << 20)
    assert framer.feed(ber.wrap(b"\xb8", content)) == []
    assert "more than 500000 elements" in str(framer.failure)


def test_a_large_element_of_few_parts_is_as_good_as_any() -> None:
    record = ber.wrap(b"\xa1", ber.wrap(b"\x81", b"\xa1\x00" * 2_000_000))
    for data in (
        ber.wrap(b"\xb8", record),
        ber.wrap(b"\xb8", UNKNOWN * 2),
        b"\xb8\x80" + record + b"\0\0",
    ):
        framer = Framer(16 << 20)
        assert framer.feed(data) == [data]
        assert framer.failure is None


def test_the_bound_on_parts_is_for_each_element_anew() -> None:
    data = b"\xb6\x80" + b"\x81\x00" * 100_000 + b"\0\0"
    framer = Framer(16 << 20)
    assert framer.feed(data * 5) == [data] * 5
    assert framer.failure is None


def test_what_came_before_a_failure_still_counts() -> None:
    framer = Framer(1_000)
    assert framer.feed(b"\xb0\x00" + b"\x00\x00") == [b"\xb0\x00"]
    assert framer.failure is not None


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00", b"\x30\x80"])
def test_another_protocol_is_refused_at_its_first_octets(octets: bytes) -> None:
    framer = Framer(1_000)
    assert framer.feed(octets) == []
    assert "no APDU begins" in str(framer.failure)
