"""The owner's side of a spool: make one group of deliveries durable at a time.

Everything here blocks on the disk and is called from one thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from metering.interface import Delivery, MeteringError, Receipt
from metering.spool_format import FORMAT_VERSION, Frame, Header, lock, pack, segment_path

Sync = Literal["always", "off"]

SEGMENT_SIZE_BYTES_MAX = 16 << 20
# Zeros written ahead, so that a frame overwrites blocks the file already has: its
# sync need not wait for the file system's journal, and a full disk shows before
# a frame is begun rather than in its middle.
RESERVE_SIZE_BYTES = 1 << 20
_USUAL_FRAME_BYTES = 16_384


class Disk:
    """What a spool asks of the operating system; tests put a failing one here."""

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        while data:
            size = os.pwrite(descriptor, data, offset)
            data, offset = data[size:], offset + size

    def write_durably(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write and wait for the device, in one system call where there is one."""
        if hasattr(os, "RWF_DSYNC"):
            while data:
                size = os.pwritev(descriptor, [data], offset, os.RWF_DSYNC)
                data, offset = data[size:], offset + size
        else:
            self.write(descriptor, data, offset)
            self.sync(descriptor)

    def sync(self, descriptor: int) -> None:
        os.fsync(descriptor)


class SpoolWriter:
    """Appends frames to one spool below `root`, which is made on the first commit.

    A commit that fails leaves nothing that would ever be counted: the deliveries
    in it keep no index, and their frame is either written over or cut off by the
    header of the next segment.
    """

    def __init__(
        self,
        root: Path,
        *,
        owner: str,
        clock: Callable[[], int],
        sync: Sync = "always",
        disk: Disk | None = None,
        segment_size_bytes_max: int = SEGMENT_SIZE_BYTES_MAX,
    ) -> None:
        self._root = root
        self._owner = owner
        self._clock = clock
        self._sync = sync
        self._disk = disk or Disk()
        self._segment_size_bytes_max = segment_size_bytes_max
        self._reserve_size_bytes = min(RESERVE_SIZE_BYTES, segment_size_bytes_max)
        self._spool: Path | None = None
        self._lock = -1
        self._segment = 0
        self._file = -1  # -1: begin a segment before the next frame
        self._tail = 0  # the next frame goes here
        self._reserved = 0  # size of the file
        self._number = 0  # of the newest durable frame in the segment
        self._next_index = 1
        self._unsettled: dict[int, int] = {}  # first: count
        self._confirmed: list[tuple[int, int]] = []
        self._voided: list[tuple[int, int, int, str]] = []
        self._marked: tuple[int, int] | None = None  # how many of both the mark holds

    @property
    def spool(self) -> Path | None:
        """The spool's folder, once it exists."""
        return self._spool

    @property
    def unsettled(self) -> int:
        """Receipts that are durable and neither confirmed nor void, durably."""
        return len(self._unsettled)

    @property
    def has_room(self) -> bool:
        """Whether a usual frame fits into what is reserved, so that a commit only writes."""
        return (
            self._file >= 0
            and self._tail + _USUAL_FRAME_BYTES < self._reserved
            and self._tail < self._segment_size_bytes_max
        )

    def commit(self, calls: Sequence[tuple[int, Sequence[Delivery]]]) -> list[Receipt]:
        """Make deliveries durable, one receipt for each call `(at_us, deliveries)`.

        Receipts settled before go into the same frame.

        Raises:
            MeteringError: nothing was stored.
        """
        receipts = []
        index = self._next_index
        for _, deliveries in calls:
            receipts.append(Receipt(index, len(deliveries)))
            index += len(deliveries)
        try:
            self._make_room()
            data = pack(
                Frame(
                    self._number + 1, self._next_index, list(calls), self._confirmed, self._voided
                )
            )
            self._reserve(len(data))
            self._write_frame(data)
        except OSError as error:
            raise MeteringError(f"the spool cannot be written: {error}") from error
        self._tail += len(data)
        self._number += 1
        self._next_index = index
        for receipt in receipts:
            self._unsettled[receipt.first] = receipt.count
        for first, _ in self._confirmed:
            self._unsettled.pop(first, None)
        for first, _, _, _ in self._voided:
            self._unsettled.pop(first, None)
        self._confirmed = []
        self._voided = []
        self._marked = None
        return receipts

    def settle(
        self,
        confirmed: Iterable[Receipt] = (),
        voided: Iterable[tuple[Receipt, int, str]] = (),
    ) -> None:
        """Note receipts to be written with the next frame; a void is `(receipt, at_us, why)`."""
        self._confirmed += [(receipt.first, receipt.count) for receipt in confirmed]
        self._voided += [
            (receipt.first, receipt.count, at_us, reason) for receipt, at_us, reason in voided
        ]

    def mark(self) -> None:
        """Write the receipts settled so far where the end of this process cannot lose them.

        It also lets readers know that the newest commit is durable. It waits for no
        device. The frame is written over by the next commit, which holds the same
        receipts again: what a power failure may take is a confirmation, never a
        delivery.

        Raises:
            MeteringError: they stay noted for the next frame.
        """
        if self._file < 0 or self._marked == (len(self._confirmed), len(self._voided)):
            return
        data = pack(Frame(self._number + 1, self._next_index, [], self._confirmed, self._voided))
        try:
            self._reserve(len(data))
            self._disk.write(self._file, data, self._tail)
        except OSError as error:
            raise MeteringError(f"the spool cannot be written: {error}") from error
        self._marked = len(self._confirmed), len(self._voided)

    def close(self) -> None:
        """Write what is noted and give the spool up; receipts still open will be voided.

        Raises:
            MeteringError: the last confirmations may be lost; the spool is given up.
        """
        try:
            if self._confirmed or self._voided:
                self.commit([])
        finally:
            self._drop_segment()
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def _make_room(self) -> None:
        if self._spool is None:
            self._spool = self._make_spool()
        elif self._file < 0 or self._tail >= self._segment_size_bytes_max:
            self._begin_segment(self._spool, self._spool.name)

    def _make_spool(self) -> Path:
        began = datetime.fromtimestamp(self._clock() // 1_000_000, UTC)
        name = f"{began:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._root.mkdir(parents=True, exist_ok=True)
        # It has its name only when it is locked and has a segment, so that nobody
        # takes it for an orphan or for one that is folded and half removed.
        half_made = self._root / f".{name}"
        half_made.mkdir()
        try:
            descriptor = lock(half_made)
            if descriptor is None:
                raise OSError(errno.EAGAIN, "a new spool is locked by another process")
            try:
                self._begin_segment(half_made, name)
                spool = half_made.rename(self._root / name)
                self._sync_folder(self._root)
            except OSError:
                os.close(descriptor)
                raise
        except OSError:
            self._drop_segment()
            self._segment = 0
            for left_over in (half_made, self._root / name):
                shutil.rmtree(left_over, ignore_errors=True)
            raise
        self._lock = descriptor
        return spool

    def _begin_segment(self, folder: Path, name: str) -> None:
        number = self._segment + 1
        header = pack(
            Header(
                FORMAT_VERSION,
                name,
                number,
                self._tail,
                self._next_index,
                sorted(self._unsettled.items()),
                self._owner,
                self._clock(),
            )
        )
        path = segment_path(folder, number)
        half_made = path.with_suffix(".new")
        size = max(self._reserve_size_bytes, len(header))
        descriptor = os.open(half_made, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            self._disk.write(descriptor, header.ljust(size, b"\0"), 0)
            self._wait_for_device(descriptor)
            half_made.rename(path)
            self._sync_folder(folder)
        except OSError:
            os.close(descriptor)
            for left_over in (half_made, path):
                with contextlib.suppress(OSError):
                    left_over.unlink()
            raise
        self._drop_segment()
        self._file = descriptor
        self._segment = number
        self._tail = len(header)
        self._reserved = size
        self._number = 0

    def _reserve(self, size: int) -> None:
        """Give the file blocks for one more frame; a failure has touched no frame."""
        missing = self._tail + size - self._reserved
        if missing <= 0:
            return
        grow = max(missing, self._reserve_size_bytes)
        self._disk.write(self._file, bytes(grow), self._reserved)
        self._wait_for_device(self._file)
        self._reserved += grow

    def _write_frame(self, data: bytes) -> None:
        try:
            if self._sync == "always":
                self._disk.write_durably(self._file, data, self._tail)
            else:
                self._disk.write(self._file, data, self._tail)
        except OSError:
            # After a failed sync the system may call pages clean that never reached
            # the disk, so nothing more goes into this file. The next segment's
            # header says where its frames end.
            with contextlib.suppress(OSError):
                self._disk.write(self._file, bytes(8), self._tail)
            self._drop_segment()
            raise

    def _drop_segment(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _wait_for_device(self, descriptor: int) -> None:
        if self._sync == "always":
            self._disk.sync(descriptor)

    def _sync_folder(self, folder: Path) -> None:
        if self._sync == "off":
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
