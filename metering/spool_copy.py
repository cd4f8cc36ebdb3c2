"""Spools copied while their owners write to them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from metering.interface import MeteringError
from metering.spool_format import Segment, SpoolDamaged, segment_path, segments, spools


@dataclass(slots=True)
class CopiedSpools:
    """How much was copied; deliveries that the ledger has already are among these."""

    spools: int = 0
    deliveries: int = 0
    size_bytes: int = 0


def copy_spools(root: Path, target: Path) -> CopiedSpools:
    """Copy every spool below `root` into the new folder `target`, up to its newest whole frame.

    The copy of a spool whose owner lives is what a crash at this moment would
    leave: whoever folds it voids what was not confirmed by then. Nobody may fold
    meanwhile, or what was folded is in neither the ledger's state before it nor in
    the copy; so it is called while the ledger's write lock is held.

    Raises:
        OSError: something cannot be read or written.
    """
    copied = CopiedSpools()
    target.mkdir()
    for spool in spools(root):
        numbers = segments(spool)
        if not numbers:
            continue
        (target / spool.name).mkdir()
        copied.spools += 1
        for number in numbers:
            # One that was folded before the lock was taken may go now.
            with contextlib.suppress(FileNotFoundError):
                _copy(spool, target / spool.name, number, copied)
    return copied


def _copy(spool: Path, target: Path, number: int, copied: CopiedSpools) -> None:
    source = segment_path(spool, number)
    try:
        segment = Segment(spool, number)
        end = segment.first_offset_bytes
        # What is behind a frame was written after it, so of an octet read now all
        # before it is there; beyond the newest whole frame that cannot be known.
        for frame, frame_end in segment.frames():
            end = frame_end
            copied.deliveries += sum(len(deliveries) for _, deliveries in frame.calls)
        with source.open("rb") as file:
            data = file.read(end)
    except (SpoolDamaged, MeteringError):
        data = source.read_bytes()  # as it is, for whoever looks into it
    segment_path(target, number).write_bytes(data)
    copied.size_bytes += len(data)
