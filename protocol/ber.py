"""Basic Encoding Rules: headers, lengths, primitive contents and framing.

Lengths are written definite and read definite or indefinite (X.690 §8.1.3).
An identifier is held as one int of its octets, `0x9F68` for context tag 104.
Readers take `data`, an offset and a limit, and return the next offset. An
IndexError means that `data` ends too soon; whoever hands in whole elements
turns it into a ProtocolError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache

from protocol.oid import OID_ARCS_MAX, Oid

INTEGER_OCTETS_MAX = 8  # no field of Z39.50 needs more than 64 bits
LENGTH_OCTETS_MAX = 8
TAG_BOUND = 1 << 32  # identifiers of at most 5 octets
OID_OCTETS_MAX = 64
ELEMENTS_MAX = 250_000  # walked over in one go: a query of 40,000 levels
# Elements of one APDU at every level: a query of 5,000 operands of 32 attributes.
ELEMENTS_MAX_BELOW = 500_000
SMALL_OCTETS_MAX = 1 << 16  # an APDU of so many cannot have many elements

SEGMENTS_MAX = 100_000

CONTEXT = 0x80
CONSTRUCTED = 0x20
INDEFINITE = -1  # the `end` of content that two zero octets end
END_OF_CONTENTS = b"\0\0"


class ProtocolError(Exception):
    """The peer's octets are not what the protocol allows; the text is for the log."""


class ApduTooLargeError(ProtocolError):
    """An APDU is longer than the bound of the association."""


class Framer:
    """Cuts a stream of octets into whole APDUs, in one pass.

    An element that ends with its length is never looked into. In one of
    indefinite length the walk steps over definite children and goes on where
    it stopped, so octets that trickle in one at a time cost no rescan:
    `steps` counts headers read. Nothing is kept between elements.

    `failure` is set when no element can begin or go on as the octets do, or
    one is longer than `size_bytes_max` or of too many elements; the framer is
    of no use from then on.
    """

    __slots__ = (
        "_open", "_pending", "_scan", "_steps_max", "failure", "size_bytes_max", "steps",
    )  # fmt: skip

    def __init__(self, size_bytes_max: int) -> None:
        self.size_bytes_max = size_bytes_max
        self.steps = 0
        self.failure: ProtocolError | None = None
        self._pending: bytearray | None = None
        self._scan = 0  # offset in `_pending` of the next header to read
        self._open = 0  # indefinite lengths not yet ended
        self._steps_max = ELEMENTS_MAX  # what `steps` may be at the end of this element

    @property
    def pending_bytes(self) -> int:
        """Octets received that are not yet a whole element."""
        return len(self._pending) if self._pending is not None else 0

    def feed(self, data: bytes) -> list[bytes]:
        """The elements that `data` completes, in order, up to a failure."""
        if self._pending is None:
            # The usual case, one short APDU in one piece, needs no walk.
            if 2 < len(data) < 130 and 0xA0 <= data[0] < 0xBF and data[1] == len(data) - 2:
                self.steps += 1
                return [data]
            elements, start = self._cut(data)
            if start < len(data):
                self._pending = bytearray(data[start:] if start else data)
                self._scan -= start
        else:
            self._pending += data
            elements, start = self._cut(self._pending)
            if start == len(self._pending):
                self._pending = None
            elif start:
                del self._pending[:start]
                self._scan -= start
        if self._pending is None:
            self._scan = 0
        return elements

    def _cut(self, data: bytes | bytearray) -> tuple[list[bytes], int]:
        """Whole elements in `data` and where the first incomplete one starts."""
        elements: list[bytes] = []
        start, scan, opened, size = 0, self._scan, self._open, len(data)
        while True:
            if scan - start > self.size_bytes_max:
                text = f"an APDU of more than {self.size_bytes_max} octets"
                self.failure = ApduTooLargeError(text)
                break
            if scan > start and not opened:
                # `scan` is where the element ends.
                if scan > size:
                    break
                if scan - start > SMALL_OCTETS_MAX and has_more_elements(
                    data, start, scan, ELEMENTS_MAX_BELOW
                ):
                    text = f"an APDU of more than {ELEMENTS_MAX_BELOW} elements"
                    self.failure = ProtocolError(text)
                    break
                whole = scan - start == size
                elements.append(bytes(data if whole else data[start:scan]))
                start = scan
                self._steps_max = self.steps + ELEMENTS_MAX
                continue
            if self.steps > self._steps_max:
                self.failure = ProtocolError(f"an APDU of more than {ELEMENTS_MAX} elements")
                break
            while opened and scan + 1 < size:
                # Most children have a short tag and a short length.
                octet, length = data[scan], data[scan + 1]
                if not octet or octet & 31 == 31 or length > 127:
                    break
                if self.steps > self._steps_max:
                    break
                self.steps += 1
                scan += 2 + length
            if scan >= size:
                break
            try:
                identifier, content, end = read_header(data, scan)
                self.steps += 1
                if scan == start and data[start] & 0xE0 != CONTEXT | CONSTRUCTED:
                    # HTTP or TLS on this port is told at once, not after 70 octets.
                    raise ProtocolError(f"no APDU begins with tag {identifier:x}")
                if end == INDEFINITE:
                    opened += 1
                    scan = content
                elif identifier:
                    scan = end
                elif end == content and opened:
                    opened -= 1
                    scan = end
                else:
                    raise ProtocolError("an element of tag 0")
            except IndexError:
                break  # the header is not all there yet
            except ProtocolError as failure:
                self.failure = failure.with_traceback(None)
                break
        self._scan, self._open = scan, opened
        return elements, start


def has_more_elements(data: bytes | bytearray, start: int, end: int, most: int) -> bool:
    """Whether more than `most` headers stand between `start` and `end`, at every level.

    Primitive content is stepped over. What is no element ends the count: the
    decoder tells what is wrong.
    """
    offset = start
    try:
        for _ in range(most):
            if offset >= end:
                return False
            constructed = data[offset] & CONSTRUCTED
            _, content, stop = read_header(data, offset)
            offset = content if constructed else stop
    except (IndexError, ProtocolError):
        return False
    return offset < end


def read_header(data: bytes | bytearray, offset: int) -> tuple[int, int, int]:
    """Read identifier and length octets: `(identifier, content, end)`.

    `end` is the offset after the content, not checked against the data, or
    INDEFINITE.

    Raises:
        IndexError: the data ends inside the header.
        ProtocolError: too many octets, or an indefinite primitive.

    Source: X.690 §8.1.2, §8.1.3.
    """
    identifier = data[offset]
    offset += 1
    if identifier & 31 == 31:
        identifier, offset = read_more_tag(data, offset, identifier)
    length = data[offset]
    offset += 1
    if length < 128:
        return identifier, offset, offset + length
    if length == 128:
        return identifier, offset, indefinite_end(identifier)
    offset, end = read_long_length(data, offset, length)
    return identifier, offset, end


def read_more_tag(data: bytes | bytearray, offset: int, identifier: int) -> tuple[int, int]:
    """The rest of a tag number of 31 and more, appended to `identifier`."""
    while identifier < TAG_BOUND:
        octet = data[offset]
        offset += 1
        identifier = identifier << 8 | octet
        if octet < 128:
            return identifier, offset
    raise ProtocolError("a tag number of more than 28 bits")


def read_long_length(data: bytes | bytearray, offset: int, first: int) -> tuple[int, int]:
    """Content offset and end for the long form; `first` is its first octet."""
    content = offset + first - 128
    if first - 128 > LENGTH_OCTETS_MAX:
        raise ProtocolError("too many octets of length")
    if content > len(data):
        raise IndexError("length octets")
    return content, content + int.from_bytes(data[offset:content], "big")


def indefinite_end(identifier: int) -> int:
    """INDEFINITE, if the element may be: primitive ones may not (X.690 §8.1.3.2)."""
    while identifier > 255:
        identifier >>= 8
    if not identifier & CONSTRUCTED:
        raise ProtocolError("a primitive element of indefinite length")
    return INDEFINITE


def skip(data: bytes, offset: int, end: int, limit: int) -> int:
    """The offset after the content that starts at `offset`, its end octets included.

    Raises ProtocolError for more than ELEMENTS_MAX of them.
    """
    if end != INDEFINITE:
        return end
    opened = 1
    for _ in range(ELEMENTS_MAX):
        if offset >= limit:
            raise ProtocolError("an indefinite length that nothing ends")
        identifier, offset, end = read_header(data, offset)
        if end == INDEFINITE:
            opened += 1
        elif identifier == 0 and end == offset:
            opened -= 1
            if not opened:
                return offset
        else:
            offset = end
    raise ProtocolError(f"more than {ELEMENTS_MAX} elements to step over")


def close_explicit(data: bytes, offset: int, end: int) -> int:
    """Leave an element whose one child has been read; returns the next offset."""
    if end == INDEFINITE:
        if data[offset : offset + 2] != END_OF_CONTENTS:
            raise ProtocolError("an indefinite length that nothing ends")
        return offset + 2
    if offset != end:
        raise ProtocolError("an explicit tag holds more than one element")
    return offset


def leave(data: bytes, offset: int, end: int, limit: int) -> int:
    """Leave an element of which the known part has been read, stepping over the rest."""
    if end != INDEFINITE and offset > end:
        raise ProtocolError("an element without its end")
    return skip(data, offset, end, limit)


def check_depth(data: bytes, depth_max: int) -> None:
    """Refuse elements nested deeper than `depth_max`, in one pass without recursion.

    Guards the decoders of recursive types. Raises ProtocolError, also for
    more than ELEMENTS_MAX elements.
    """
    ends: list[int] = []
    offset = 0
    for _ in range(ELEMENTS_MAX):
        while ends and ends[-1] == offset:
            ends.pop()
        if offset >= len(data):
            return
        constructed = data[offset] & CONSTRUCTED
        identifier, offset, end = read_header(data, offset)
        if identifier == 0 and end == offset and ends and ends[-1] == INDEFINITE:
            ends.pop()
        elif constructed:
            ends.append(end)
            if len(ends) > depth_max:
                raise ProtocolError(f"elements nested more than {depth_max} deep")
        else:
            offset = end
    raise ProtocolError(f"more than {ELEMENTS_MAX} elements")


def read_segments(data: bytes, offset: int, end: int, limit: int) -> tuple[bytes, int]:
    """The octets of a string in constructed form (X.690 §8.7.3), one level deep."""
    parts: list[bytes] = []
    if end != INDEFINITE:
        limit = end
    while offset < limit and len(parts) < SEGMENTS_MAX:
        identifier, start, stop = read_header(data, offset)
        if identifier == 0 and stop == start and end == INDEFINITE:
            return b"".join(parts), stop
        if stop == INDEFINITE or stop > limit or identifier & (CONSTRUCTED | CONTEXT):
            raise ProtocolError("a constructed string with a segment that is not one")
        parts.append(data[start:stop])
        offset = stop
    if end == INDEFINITE or offset != end:
        raise ProtocolError("a constructed string without its end")
    return b"".join(parts), offset


def read_integer(data: bytes, offset: int, end: int) -> int:
    """Two's complement, 1 to INTEGER_OCTETS_MAX octets (X.690 §8.3)."""
    if not 1 <= end - offset <= INTEGER_OCTETS_MAX:
        raise ProtocolError(f"an INTEGER of {end - offset} octets")
    return int.from_bytes(data[offset:end], "big", signed=True)


def read_boolean(data: bytes, offset: int, end: int) -> bool:
    """Any octet but zero is TRUE (X.690 §8.2.2)."""
    if end - offset != 1:
        raise ProtocolError(f"a BOOLEAN of {end - offset} octets")
    return data[offset] != 0


def read_bits(content: bytes) -> list[int]:
    """The numbers of the bits that are on, from 0 (X.690 §8.6)."""
    if not content or content[0] > 7:
        raise ProtocolError("a BIT STRING without its count of unused bits")
    if len(content) > INTEGER_OCTETS_MAX + 1:
        content = content[: INTEGER_OCTETS_MAX + 1]
    size = 8 * (len(content) - 1)
    value = int.from_bytes(content[1:], "big")
    return [bit for bit in range(size) if value >> (size - 1 - bit) & 1]


@lru_cache(maxsize=1024)
def read_oid(content: bytes) -> Oid:
    """An OBJECT IDENTIFIER from its content octets (X.690 §8.19)."""
    if not content or len(content) > OID_OCTETS_MAX or content[-1] > 127:
        raise ProtocolError("a malformed OBJECT IDENTIFIER")
    subidentifiers: list[int] = []
    value = 0
    for octet in content:
        value = value << 7 | octet & 127
        if octet < 128:
            subidentifiers.append(value)
            value = 0
    first = subidentifiers[0]
    root = min(first // 40, 2)
    if len(subidentifiers) >= OID_ARCS_MAX:
        raise ProtocolError("an OBJECT IDENTIFIER of too many arcs")
    return Oid((root, first - 40 * root, *subidentifiers[1:]))


def is_context(identifier: int) -> bool:
    """True for a context-specific tag."""
    return identifier_octets(identifier)[0] & 0xC0 == CONTEXT


def identifier_octets(identifier: int) -> bytes:
    return identifier.to_bytes((identifier.bit_length() + 7) // 8 or 1, "big")


def context_identifier(number: int, constructed: bool) -> int:
    """Identifier of context-specific tag `number` (X.690 §8.1.2.4)."""
    leading = CONTEXT | (CONSTRUCTED if constructed else 0)
    if number < 31:
        return leading | number
    octets = [number & 127]
    while number := number >> 7:
        octets.append(number & 127 | 128)
    return int.from_bytes(bytes([leading | 31, *reversed(octets)]), "big")


def tag_number(identifier: int) -> int:
    """The number of a tag, its class and form left aside."""
    if identifier < 256:
        return identifier & 31
    number = 0
    for octet in identifier_octets(identifier)[1:]:
        number = number << 7 | octet & 127
    return number


SHORT_LENGTHS = tuple(bytes([length]) for length in range(128))


def write_length(length: int) -> bytes:
    """Definite form, as short as it can be (X.690 §8.1.3.3)."""
    if length < 128:
        return SHORT_LENGTHS[length]
    if length < 0x100:
        return bytes((0x81, length))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((128 | len(octets),)) + octets


_two_octets = struct.Struct(">BH").pack


def wrap(identifier: bytes, content: bytes) -> bytes:
    """One element of definite length."""
    length = len(content)
    if length < 128:
        return identifier + SHORT_LENGTHS[length] + content
    if 255 < length < 0x10000:
        return identifier + _two_octets(0x82, length) + content
    return identifier + write_length(length) + content


def write_integer(value: int) -> bytes:
    """Length and content of an INTEGER; OverflowError beyond 64 bits."""
    octets = value.to_bytes(
        value.bit_length() // 8 + 1 if value >= 0 else (value + 1).bit_length() // 8 + 1,
        "big",
        signed=True,
    )
    if len(octets) > INTEGER_OCTETS_MAX:
        raise OverflowError(f"{value} does not fit an INTEGER of Z39.50")
    return SHORT_LENGTHS[len(octets)] + octets


# Length and content of the integers that nearly every field has.
SMALL_INTEGERS = tuple(write_integer(value) for value in range(1024))


@lru_cache(maxsize=1024)
def write_oid(oid: Oid) -> bytes:
    """Length and content of an OBJECT IDENTIFIER."""
    content = bytearray()
    for value in (oid[0] * 40 + oid[1], *oid[2:]):
        octets = [value & 127]
        while value := value >> 7:
            octets.append(value & 127 | 128)
        content += bytes(reversed(octets))
    return write_length(len(content)) + bytes(content)


def write_bits(bits: Iterable[int], size: int) -> bytes:
    """Content of a BIT STRING with named bits, `size` of them known.

    Whole octets are written: zero bits at the end mean nothing (X.680 §22.7),
    and peers are seen that do not look at the count of unused ones.
    """
    width = (size + 7) // 8
    value = 0
    for bit in bits:
        value |= 1 << (8 * width - 1 - bit)
    return b"\0" + value.to_bytes(width, "big")
