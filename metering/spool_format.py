"""The bytes of a spool: numbered frames with a checksum in numbered segments.

A spool is a folder that one `SpoolWriter` owns, named by the moment it began:

    20240131T101500Z-3f2a9c1e/
        000001.spool    frames, then zeros that reserve the disk space
        000002.spool    begun when the first was full or could not be written

A frame is `size` and CRC-32 of the payload, both 32 bits little-endian, then
the payload in MessagePack. The first frame of a segment is its `Header`; every
other one is a `Frame`: the deliveries of one group commit and the receipts
settled since. A size of 0 ends the segment.

A reader cannot see whether the newest frame has reached the disk. It knows of
any other: the owner writes nothing behind a frame that it could not make
durable. So a frame is *final* once another frame stands behind it, and until
then *provisional*: not to be folded while its owner lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from metering.interface import Delivery, MeteringError

FORMAT_VERSION = 1
FRAME_SIZE_BYTES_MAX = 64 << 20
_READ_SIZE_BYTES = 1 << 16
_PREFIX = struct.Struct("<II")
_SEGMENT_NAME = re.compile(r"(\d{6})\.spool")


class Header(msgspec.Struct, array_like=True, frozen=True):
    """The first frame of a segment: all that its predecessors need to be forgotten."""

    version: int
    spool: str
    segment: int
    previous_size_bytes: int  # frames of the predecessor end here; what follows failed
    next_index: int
    unsettled: list[tuple[int, int]]  # (first, count) of receipts neither confirmed nor void
    owner: str
    begun_us: int


class Frame(msgspec.Struct, array_like=True, frozen=True):
    """One group commit."""

    number: int  # from 1 in its segment
    first: int  # index of the first delivery
    calls: list[tuple[int, Sequence[Delivery]]]  # one receipt each: (at_us, deliveries)
    confirmed: list[tuple[int, int]]  # (first, count)
    voided: list[tuple[int, int, int, str]]  # (first, count, at_us, reason)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a reader of a spool goes on: `offset_bytes` in segment number `segment`."""

    segment: int = 0  # 0: nothing was read yet
    offset_bytes: int = 0


_encoder = msgspec.msgpack.Encoder()
_frame_decoder = msgspec.msgpack.Decoder(Frame)
_header_decoder = msgspec.msgpack.Decoder(Header)


def pack(payload: Header | Frame) -> bytes:
    """The frame on disk.

    Raises:
        MeteringError: a value has no stored form, such as a lone surrogate or
            an integer beyond 64 bits.
    """
    try:
        data = _encoder.encode(payload)
    except (ValueError, OverflowError, TypeError) as error:
        raise MeteringError(f"not recordable: {error}") from error
    if len(data) > FRAME_SIZE_BYTES_MAX:
        raise MeteringError(f"{len(data)} octets are too many for one frame")
    return _PREFIX.pack(len(data), zlib.crc32(data)) + data


def segment_path(spool: Path, segment: int) -> Path:
    return spool / f"{segment:06d}.spool"


def segments(spool: Path) -> list[int]:
    """Numbers of the segments that exist, oldest first."""
    try:
        names = [path.name for path in spool.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(match[1]) for name in names if (match := _SEGMENT_NAME.fullmatch(name)))


def spools(root: Path) -> list[Path]:
    """The spools in a folder, oldest first; half-made ones have a name with a dot."""
    try:
        return sorted(path for path in root.iterdir() if "." not in path.name)
    except FileNotFoundError:
        return []


def lock(spool: Path, *, shared: bool = False) -> int | None:
    """Lock a spool without waiting; a descriptor to close, or None: another has it.

    Whoever holds the exclusive lock is its owner. The system drops the lock of a
    process that died, which is how an orphan is known.
    """
    try:
        descriptor = os.open(spool, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextlib.contextmanager
def naming_errors() -> Iterator[None]:
    """Turn what the operating system refuses into a `MeteringError`."""
    try:
        yield
    except OSError as error:
        raise MeteringError(f"the spools: {error}") from error


class SpoolDamaged(MeteringError):  # noqa: N818
    """Octets that were durable once cannot be read as what they were."""


class Segment:
    """The readable frames of one segment, which its owner may still extend.

    Reading ends without an error at zeros, at a torn frame, or at bytes that are
    not the next frame.
    """

    def __init__(self, spool: Path, number: int) -> None:
        """Raises FileNotFoundError when the folder has removed it."""
        self._path = segment_path(spool, number)
        with self._path.open("rb", buffering=0) as file:
            payload = _Window(file.fileno()).payload(0)
        if payload is None:
            raise SpoolDamaged(f"{spool.name}: segment {number} has no header")
        try:
            self.header = _header_decoder.decode(payload)
        except msgspec.DecodeError as error:
            raise SpoolDamaged(f"{spool.name}: segment {number}: {error}") from error
        if self.header.version != FORMAT_VERSION:
            raise MeteringError(
                f"{spool.name}: segment {number} has format {self.header.version},"
                f" this program reads {FORMAT_VERSION}"
            )
        self.first_offset_bytes = _PREFIX.size + len(payload)

    def frames(self, offset_bytes: int = 0) -> Iterator[tuple[Frame, int]]:
        """Frames from an offset that an earlier reading returned, with where each ends."""
        offset = max(offset_bytes, self.first_offset_bytes)
        number = 0
        with self._path.open("rb", buffering=0) as file:
            read = _Window(file.fileno())
            while (payload := read.payload(offset)) is not None:
                frame = _frame(payload)
                if frame is None or (number and frame.number != number + 1):
                    return
                number = frame.number
                offset += _PREFIX.size + len(payload)
                yield frame, offset

    def has_frame_behind(self, offset_bytes: int) -> bool:
        """Whether a whole frame stands behind bytes that are none: damage, not a torn end."""
        data = self._path.read_bytes().rstrip(b"\0")
        for offset in range(offset_bytes + 1, len(data) - _PREFIX.size):
            size, checksum = _PREFIX.unpack_from(data, offset)
            begin = offset + _PREFIX.size
            # Zeros at the end of the last payload went with those behind it.
            if size == 0 or begin + size > len(data) + 16:
                continue
            payload = data[begin : begin + size].ljust(size, b"\0")
            if zlib.crc32(payload) == checksum and _frame(payload) is not None:
                return True
        return False


class _Window:
    """A file read forwards in large pieces, since frames are many and small."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._data = b""
        self._begin = 0

    def payload(self, offset: int) -> bytes | None:
        """The payload of the frame at an offset; None: none is whole there."""
        prefix = self._octets(offset, _PREFIX.size)
        if len(prefix) < _PREFIX.size:
            return None
        size, checksum = _PREFIX.unpack(prefix)
        if not 0 < size <= FRAME_SIZE_BYTES_MAX:
            return None
        payload = self._octets(offset + _PREFIX.size, size)
        return payload if len(payload) == size and zlib.crc32(payload) == checksum else None

    def _octets(self, offset: int, size: int) -> bytes:
        at = offset - self._begin
        if at < 0 or at + size > len(self._data):
            self._data = os.pread(self._descriptor, max(size, _READ_SIZE_BYTES), offset)
            self._begin, at = offset, 0
        return self._data[at : at + size]


def _frame(payload: bytes) -> Frame | None:
    try:
        return _frame_decoder.decode(payload)
    except msgspec.DecodeError:
        return None
