"""How lists of records and of word positions are kept in one blob each.

A blob is a tag octet and a body. TINY: up to TINY_COUNT_MAX unsigned 32-bit
little-endian numbers, ascending. ROARING: the portable Roaring format.

Positions live in shards of 2**20 records. Inside a shard a value is
`position << 20 | (record_id & 0xFFFFF)`: the position is the *high* part, so
words that stand early in many records fill few dense containers, and moving a
list by one position moves whole containers. Measured on 100,000 positions of a
million records against the record-major order: 206 kB for 608 kB, 0.1 ms to
read for 4.9 ms, a two-word phrase in 0.23 ms for 8.1 ms.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from sys import byteorder

from pyroaring import BitMap

TINY = 0
ROARING = 1
TINY_COUNT_MAX = 32  # above it Roaring is smaller in nearly every list
RUN_COUNT_MIN = 4096  # below it looking for runs costs more than it saves

SHARD_BITS = 20
SHARD_MASK = (1 << SHARD_BITS) - 1
POSITION_STEP = 1 << SHARD_BITS  # what one position adds to a value
# A word at or beyond this position is found, but takes no part in phrases.
POSITION_MAX = 4095

EMPTY_SIZE_BYTES = 1  # of a blob with no number
_TINY_TAG = bytes([TINY])
_ROARING_TAG = bytes([ROARING])
_HEADER_BYTES = 1
_NUMBER_BYTES = 4

if byteorder != "little":  # pragma: no cover - no big-endian machine to test on
    raise ImportError("the catalogue's index is written for little-endian machines")


def encode_numbers(numbers: bytes) -> bytes:
    """A blob of ascending numbers given as packed 32-bit integers."""
    if len(numbers) <= TINY_COUNT_MAX * _NUMBER_BYTES:
        return _TINY_TAG + numbers
    return encode(BitMap(array("I", numbers)))


def encode(bitmap: BitMap) -> bytes:
    """A blob of `bitmap`, in the form its size calls for."""
    count = len(bitmap)
    if count <= TINY_COUNT_MAX:
        return _TINY_TAG + bitmap.to_array().tobytes()
    if count >= RUN_COUNT_MIN:
        bitmap.run_optimize()
    return _ROARING_TAG + bitmap.serialize()


def decode(blob: bytes) -> BitMap:
    """The bitmap of a blob; a new one that the caller may change."""
    if blob[0] == TINY:
        if len(blob) == _HEADER_BYTES + _NUMBER_BYTES:  # nearly every identifier
            return BitMap((int.from_bytes(blob[_HEADER_BYTES:], "little"),))
        return BitMap(array("I", blob[_HEADER_BYTES:]))
    return BitMap.deserialize(blob[_HEADER_BYTES:])


def count_in(blob: bytes, records: BitMap) -> int:
    """How many numbers of a blob are among `records`, most of them probably."""
    if blob[0] == TINY and len(blob) > EMPTY_SIZE_BYTES:
        first, last = _ends(blob)
        # A database that was loaded at once has its records one behind the other.
        if records.contains_range(first, last + 1):
            return len(blob) // _NUMBER_BYTES
    return decode(blob).intersection_cardinality(records)


def count_in_few(blob: bytes, records: BitMap) -> int:
    """As `count_in`, where `records` are few and probably others."""
    if blob[0] == TINY and len(blob) > EMPTY_SIZE_BYTES:
        first, last = _ends(blob)
        if not records.range_cardinality(first, last + 1):
            return 0
    return decode(blob).intersection_cardinality(records)


def _ends(blob: bytes) -> tuple[int, int]:
    """The first and last number of a TINY blob that has any."""
    first = int.from_bytes(blob[_HEADER_BYTES : _HEADER_BYTES + _NUMBER_BYTES], "little")
    return first, int.from_bytes(blob[-_NUMBER_BYTES:], "little")


def add(blob: bytes, more: bytes) -> bytes:
    """The union of two blobs; quick when `more` continues `blob`."""
    size = len(blob) + len(more) - 2 * _HEADER_BYTES
    if (
        blob[0] == TINY
        and more[0] == TINY
        and size <= TINY_COUNT_MAX * _NUMBER_BYTES
        and blob[-_NUMBER_BYTES:][::-1] < more[_HEADER_BYTES : _HEADER_BYTES + _NUMBER_BYTES][::-1]
    ):
        return blob + more[_HEADER_BYTES:]
    return encode(decode(blob) | decode(more))


def remove(blob: bytes, less: bytes) -> bytes:
    """`blob` without the numbers of `less`."""
    return encode(decode(blob) - decode(less))


def union(blobs: Iterable[bytes]) -> BitMap:
    """The union of many blobs, most of which are tiny."""
    tiny: list[bytes] = []
    large: list[BitMap] = []
    for blob in blobs:
        if blob[0] == TINY:
            tiny.append(blob[_HEADER_BYTES:])
        else:
            large.append(BitMap.deserialize(blob[_HEADER_BYTES:]))
    if tiny:
        large.append(BitMap(array("I", b"".join(tiny))))
    if len(large) == 1:
        return large[0]
    return BitMap.union(*large) if large else BitMap()
