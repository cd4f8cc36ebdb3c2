"""How lists of records and of word positions are kept in one blob each.

A blob is a tag octet and a body. TINY: up to TINY_COUNT_MAX unsigned 32-bit
little-endian numbers, ascending. ROARING: the portable Roaring format. PACKED: for
lists that are long and sparse, the difference of each number from the one before,
all first octets of these, then all second ones and so on, as a frame of Zstandard
(RFC 8878) without its magic number. It takes 56 % of Roaring in positions, which
are read for phrases only, and 36 % in long lists of records; but 7 ns a number to
read, so shorter lists of records are kept as Roaring.

Positions live in shards of 2**20 records. Inside a shard a value is
`position << 20 | (record_id & 0xFFFFF)`: the position is the *high* part, so
words that stand early in many records fill few dense containers, and moving a
list by one position moves whole containers. Measured on 100,000 positions of a
million records against the record-major order: 206 kB for 608 kB, 0.1 ms to
read for 4.9 ms, a two-word phrase in 0.23 ms for 8.1 ms.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable
from sys import byteorder

import numpy as np
import numpy.typing as npt
import zstandard
from pyroaring import BitMap

TINY = 0
ROARING = 1
PACKED = 2
TINY_COUNT_MAX = 32  # above it Roaring is smaller in nearly every list
RUN_COUNT_MIN = 4096  # below it looking for runs costs more than it saves
# Shorter Roaring is not packed: of records, what is found by nearly every search.
RECORDS_PACKED_BYTES_MIN = 2000
POSITIONS_PACKED_BYTES_MIN = 0
_PACKED_SHARE_MAX = 0.75  # what takes more than that of Roaring stays Roaring
_PACKED_WEIGHT = 3  # octets of a bitmap for each of a blob
_LEVEL = 3

SHARD_BITS = 20
SHARD_MASK = (1 << SHARD_BITS) - 1
POSITION_STEP = 1 << SHARD_BITS  # what one position adds to a value
# A word at or beyond this position is found, but takes no part in phrases.
POSITION_MAX = 4095

EMPTY_SIZE_BYTES = 1  # of a blob with no number
_TINY_TAG = bytes([TINY])
_ROARING_TAG = bytes([ROARING])
_PACKED_TAG = bytes([PACKED])
_HEADER_BYTES = 1
_NUMBER_BYTES = 4

if byteorder != "little":  # pragma: no cover - no big-endian machine to test on
    raise ImportError("the catalogue's index is written for little-endian machines")


class _Contexts(threading.local):
    """What compresses, of each thread: they may not be used by two at once."""

    def __init__(self) -> None:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            _LEVEL, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=True
        )
        self.compress = zstandard.ZstdCompressor(compression_params=parameters).compress
        self.decompress = zstandard.ZstdDecompressor(
            format=zstandard.FORMAT_ZSTD1_MAGICLESS
        ).decompress


_contexts = _Contexts()


def encode_numbers(numbers: bytes, packed_bytes_min: int = RECORDS_PACKED_BYTES_MIN) -> bytes:
    """A blob of ascending numbers given as packed 32-bit integers; as `encode`."""
    if len(numbers) <= TINY_COUNT_MAX * _NUMBER_BYTES:
        return _TINY_TAG + numbers
    return encode(BitMap(array("I", numbers)), packed_bytes_min)


def encode_positions(numbers: bytes) -> bytes:
    """`encode_numbers` for the table of positions."""
    return encode_numbers(numbers, POSITIONS_PACKED_BYTES_MIN)


def encode(bitmap: BitMap, packed_bytes_min: int = RECORDS_PACKED_BYTES_MIN) -> bytes:
    """A blob of `bitmap`, in the form its size calls for.

    It is packed where Roaring takes `packed_bytes_min` octets, and much more than that.
    """
    count = len(bitmap)
    if count <= TINY_COUNT_MAX:
        return _TINY_TAG + bitmap.to_array().tobytes()
    if count >= RUN_COUNT_MIN:
        bitmap.run_optimize()
    roaring = _ROARING_TAG + bitmap.serialize()
    # A list of long runs is small already, and quick to read.
    if len(roaring) < max(packed_bytes_min, count):
        return roaring
    packed = _PACKED_TAG + _pack(np.frombuffer(bitmap.to_array(), np.uint32))
    return packed if len(packed) <= _PACKED_SHARE_MAX * len(roaring) else roaring


def _pack(numbers: npt.NDArray[np.uint32]) -> bytes:
    differences = np.diff(numbers, prepend=np.uint32(0))
    planes = differences.view(np.uint8).reshape(-1, _NUMBER_BYTES).T
    return _contexts.compress(planes.tobytes())


def _unpack(frame: bytes) -> BitMap:
    try:
        planes = np.frombuffer(_contexts.decompress(frame), np.uint8)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
    differences = planes.reshape(_NUMBER_BYTES, -1).T.copy().view(np.uint32).ravel()
    return BitMap(array("I", np.cumsum(differences, dtype=np.uint32).tobytes()))


def decode(blob: bytes) -> BitMap:
    """The bitmap of a blob; a new one that the caller may change.

    Raises:
        ValueError: the blob is damaged, where that can be told.
    """
    if blob[0] == TINY:
        if len(blob) == _HEADER_BYTES + _NUMBER_BYTES:  # nearly every identifier
            return BitMap((int.from_bytes(blob[_HEADER_BYTES:], "little"),))
        return BitMap(array("I", blob[_HEADER_BYTES:]))
    if blob[0] == PACKED:
        return _unpack(blob[_HEADER_BYTES:])
    return BitMap.deserialize(blob[_HEADER_BYTES:])


def count_in(blob: bytes, records: BitMap) -> int:
    """How many numbers of a blob are among `records`, most of them probably."""
    if blob[0] == TINY and len(blob) > EMPTY_SIZE_BYTES:
        first, last = _ends(blob)
        # A database that was loaded at once has its records one behind the other.
        if records.contains_range(first, last + 1):
            return len(blob) // _NUMBER_BYTES
    return decode(blob).intersection_cardinality(records)


def weight(blob: bytes) -> int:
    """About how many octets of memory the bitmap of a blob takes."""
    return _PACKED_WEIGHT * len(blob) if blob[0] == PACKED else len(blob)


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


def add(blob: bytes, more: bytes, packed_bytes_min: int = RECORDS_PACKED_BYTES_MIN) -> bytes:
    """The union of two blobs; quick when `more` continues `blob`."""
    size = len(blob) + len(more) - 2 * _HEADER_BYTES
    if (
        blob[0] == TINY
        and more[0] == TINY
        and size <= TINY_COUNT_MAX * _NUMBER_BYTES
        and blob[-_NUMBER_BYTES:][::-1] < more[_HEADER_BYTES : _HEADER_BYTES + _NUMBER_BYTES][::-1]
    ):
        return blob + more[_HEADER_BYTES:]
    return encode(decode(blob) | decode(more), packed_bytes_min)


def remove(blob: bytes, less: bytes, packed_bytes_min: int = RECORDS_PACKED_BYTES_MIN) -> bytes:
    """`blob` without the numbers of `less`."""
    return encode(decode(blob) - decode(less), packed_bytes_min)


def add_positions(blob: bytes, more: bytes) -> bytes:
    """`add` for the table of positions."""
    return add(blob, more, POSITIONS_PACKED_BYTES_MIN)


def remove_positions(blob: bytes, less: bytes) -> bytes:
    """`remove` for the table of positions."""
    return remove(blob, less, POSITIONS_PACKED_BYTES_MIN)


def union(blobs: Iterable[bytes]) -> BitMap:
    """The union of many blobs, most of which are tiny."""
    tiny: list[bytes] = []
    large: list[BitMap] = []
    for blob in blobs:
        if blob[0] == TINY:
            tiny.append(blob[_HEADER_BYTES:])
        else:
            large.append(decode(blob))
    if tiny:
        large.append(BitMap(array("I", b"".join(tiny))))
    if len(large) == 1:
        return large[0]
    return BitMap.union(*large) if large else BitMap()
