"""The few Z39.50 APDUs a load needs, encoded before the clock starts, and a cheap reader.

This encoder is apart from the server's codec on purpose: a mistake that both
sides of one codec share would go unseen. Requests are definite-length; the
reader takes both forms, because YAZ servers nest indefinite lengths.
"""

from __future__ import annotations

from collections.abc import Sequence

BIB1_ATTRIBUTES = "1.2.840.10003.3.1"
USMARC = "1.2.840.10003.5.10"

# Identifier octets of the response APDUs (Z39.50-2003 §4.1).
INIT_RESPONSE = b"\xb5"
SEARCH_RESPONSE = b"\xb7"
PRESENT_RESPONSE = b"\xb9"
SCAN_RESPONSE = b"\xbf\x24"
SORT_RESPONSE = b"\xbf\x2c"
CLOSE = b"\xbf\x30"

# Identifier octets of elements inside them.
RESULT_COUNT = 0x97  # SearchResponse resultCount [23]
RECORDS_RETURNED = 0x98  # numberOfRecordsReturned [24]
INIT_RESULT = 0x8C  # InitializeResponse result [12]
ENTRIES_RETURNED = 0x85  # ScanResponse numberOfEntriesReturned [5]
SORT_STATUS = 0x83  # SortResponse sortStatus [3]

_OID, _GENERAL_STRING, _VISIBLE_STRING, _SEQUENCE = b"\x06", b"\x1b", b"\x1a", b"\x30"


def init_request(user: str, password: str, message_size_bytes: int = 1 << 20) -> bytes:
    """Init of version 3 with open authentication `user/password`; empty user: anonymous."""
    return _constructed(
        20,
        _primitive(3, b"\x05\xe0"),  # versions 1, 2 and 3
        # search, present, delSet, scan, sort, namedResultSets
        _primitive(4, b"\x01" + _bits(0, 1, 2, 7, 8, 14)),
        _integer(5, message_size_bytes),
        _integer(6, message_size_bytes),
        _constructed(7, _universal(_VISIBLE_STRING, f"{user}/{password}".encode()))
        if user
        else b"",
        _primitive(110, b"lianmu-benchmark"),
        _primitive(111, b"Lianmu load generator"),
        _primitive(112, b"1"),
    )


def search_request(database: str, rpn: bytes, *, piggyback: bool = False) -> bytes:
    """Search into set `1`; with `piggyback` a single hit comes back as a full USMARC record."""
    return _constructed(
        22,
        _integer(13, 1 if piggyback else 0),
        _integer(14, 2 if piggyback else 1),
        _integer(15, 0),
        _primitive(16, b"\xff"),
        _primitive(17, b"1"),
        _constructed(18, _primitive(105, database.encode())),
        _constructed(100, _primitive(0, b"F")) if piggyback else b"",
        _primitive(104, _oid(USMARC)) if piggyback else b"",
        _constructed(
            21, _constructed(1, _universal(_OID, _oid(BIB1_ATTRIBUTES)), rpn)
        ),
    )  # fmt: skip


def present_request(start: int, count: int, *, set_name: str = "1") -> bytes:
    """Full USMARC records at positions `start` (from 1) to `start + count - 1`."""
    return _constructed(
        24,
        _primitive(31, set_name.encode()),
        _integer(30, start),
        _integer(29, count),
        _constructed(19, _primitive(0, b"F")),
        _primitive(104, _oid(USMARC)),
    )


def scan_request(database: str, use: int, term: str, count: int) -> bytes:
    """`count` terms of the access point, the first of them at or after `term`."""
    return _constructed(
        35,
        _constructed(3, _primitive(105, database.encode())),
        _universal(_OID, _oid(BIB1_ATTRIBUTES)),
        _attributes_plus_term(use, term),
        _integer(6, count),
        _integer(7, 1),
    )


def sort_request(use: int) -> bytes:
    """Sort set `1` upon itself, ascending, case ignored."""
    key = _constructed(
        2, _universal(_OID, _oid(BIB1_ATTRIBUTES)), _attribute_list({1: use})
    )  # fmt: skip
    # YAZ 5.34 reads an absent missingValueAction from uninitialised memory, so it is said.
    missing_value_action = _constructed(3, _primitive(2, b""))
    spec = _universal(
        _SEQUENCE, _constructed(1, key) + _integer(1, 0) + _integer(2, 1) + missing_value_action
    )
    return _constructed(
        43,
        _constructed(3, _universal(_GENERAL_STRING, b"1")),
        _primitive(4, b"1"),
        _constructed(5, spec),
    )


def close_request() -> bytes:
    return _constructed(48, _integer(211, 0))


def term(use: int, text: str) -> bytes:
    """An RPN operand: `@attr 1=use text`, all else left to the server's defaults."""
    return _constructed(0, _attributes_plus_term(use, text))


def conjunction(operands: Sequence[bytes]) -> bytes:
    """`operands` joined by AND, from the left."""
    tree = operands[0]
    for operand in operands[1:]:
        tree = _constructed(1, tree, operand, _constructed(46, _primitive(0, b"")))
    return tree


def apdu_end(buffer: bytes | bytearray, start: int = 0) -> int | None:
    """Where the APDU that begins at `start` ends, counted in octets from 0; None: not all here.

    Source: X.690 §8.1.3.
    """
    open_lengths = 0  # indefinite lengths not ended yet
    offset, size = start, len(buffer)
    while offset + 2 <= size:
        identifier, length = buffer[offset], buffer[offset + 1]
        if length < 0x80 and identifier & 0x1F != 0x1F:
            # Nearly every element has one identifier octet and a short length.
            offset += 2 + length
            if not identifier and not length and open_lengths:
                open_lengths -= 1
        else:
            header = _header(buffer, offset)
            if header is None:
                return None
            content_size, offset = header
            if content_size is None:
                open_lengths += 1
            else:
                offset += content_size
        if not open_lengths:
            return offset if offset <= size else None
    return None


def integer_element(apdu: bytes, identifier: int) -> int | None:
    """The INTEGER whose one identifier octet is `identifier` among the APDU's elements."""
    header = _header(apdu, 0)
    if header is None:
        return None
    offset, end = header[1], len(apdu)
    while offset + 2 <= end:
        if apdu[offset] == identifier:
            size = apdu[offset + 1]
            return int.from_bytes(apdu[offset + 2 : offset + 2 + size], "big", signed=True)
        following = apdu_end(apdu, offset)
        if following is None:
            return None
        offset = following
    return None


def _header(buffer: bytes | bytearray, offset: int) -> tuple[int | None, int] | None:
    """(content size, where the content begins); size None is indefinite, None: not all here."""
    size = len(buffer)
    high_tag = buffer[offset] & 0x1F == 0x1F
    offset += 1
    if high_tag:
        while offset < size and buffer[offset] & 0x80:
            offset += 1
        offset += 1
    if offset >= size:
        return None
    first = buffer[offset]
    offset += 1
    if first < 0x80:
        return first, offset
    if first == 0x80:
        return None, offset
    octets = first & 0x7F
    if offset + octets > size:
        return None
    return int.from_bytes(buffer[offset : offset + octets], "big"), offset + octets


def _attributes_plus_term(use: int, text: str) -> bytes:
    return _constructed(102, _attribute_list({1: use}), _primitive(45, text.encode()))


def _attribute_list(attributes: dict[int, int]) -> bytes:
    return _constructed(
        44,
        *(
            _universal(_SEQUENCE, _integer(120, kind) + _integer(121, value))
            for kind, value in attributes.items()
        ),
    )


def _bits(*numbers: int) -> bytes:
    """A BIT STRING's 15 bits in two octets, bit 0 first."""
    value = sum(0x8000 >> number for number in numbers)
    return value.to_bytes(2, "big")


def _oid(dotted: str) -> bytes:
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    octets = bytearray([40 * first + second])
    for arc in rest:
        octets += _base128(arc)
    return bytes(octets)


def _base128(number: int) -> bytes:
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.insert(0, 0x80 | number & 0x7F)
    return bytes(octets)


def _integer(tag: int, value: int) -> bytes:
    octets = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
    return _primitive(tag, octets)


def _primitive(tag: int, content: bytes) -> bytes:
    return _universal(_identifier(0x80, tag), content)


def _constructed(tag: int, *contents: bytes) -> bytes:
    return _universal(_identifier(0xA0, tag), b"".join(contents))


def _identifier(form: int, tag: int) -> bytes:
    return bytes([form | tag]) if tag < 31 else bytes([form | 31]) + _base128(tag)


def _universal(identifier: bytes, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return identifier + bytes([size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return identifier + bytes([0x80 | len(octets)]) + octets + content
