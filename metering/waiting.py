"""What lies in spools and is not in the ledger yet: how much, and since when."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from metering.counting import CountingRules
from metering.fold import source
from metering.interface import MeteringError
from metering.ledger_schema import naming_errors
from metering.ledger_snapshot import Snapshot
from metering.spool_format import (
    Position,
    Segment,
    SpoolDamaged,
    segment_path,
    segments,
    spools,
)
from metering.spool_reading import DONE


@dataclass(slots=True)
class Waiting:
    """`oldest_us` is the time of the first delivery that waits; 0: none does.

    `size_bytes` is what the spools take on disk, with what is reserved and what
    is folded already and not removed yet.
    """

    deliveries: int = 0
    oldest_us: int = 0
    spools: int = 0
    size_bytes: int = 0


def positions_of(path: Path) -> dict[str, tuple[int, int]]:
    """How far the ledger at `path` has folded each source; nothing is written.

    Raises:
        MeteringError: it cannot be read.
    """
    with naming_errors():
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as connection:
            return Snapshot(connection, CountingRules()).positions()


def waiting(
    spool_root: Path, positions: dict[str, tuple[int, int]], *, deliveries_max: int = 1_000_000
) -> Waiting:
    """Look at all spools; `positions` are the ledger's.

    A spool that its folder or owner removes meanwhile waits for nothing. With more
    than `deliveries_max` the rest is not counted.

    Raises:
        OSError: a spool cannot be read.
    """
    found = Waiting()
    for spool in spools(spool_root):
        found.spools += 1
        start = Position(*positions.get(source(spool), (0, 0)))
        for number in segments(spool):
            with contextlib.suppress(FileNotFoundError, MeteringError):
                found.size_bytes += segment_path(spool, number).stat().st_blocks * 512
                if start != DONE and number >= start.segment:
                    begin = start.offset_bytes if number == start.segment else 0
                    _count(found, spool, number, begin, deliveries_max)
    return found


def _count(
    found: Waiting, spool: Path, number: int, offset_bytes: int, deliveries_max: int
) -> None:
    with contextlib.suppress(SpoolDamaged):  # the folder keeps it, and says so
        for frame, _ in Segment(spool, number).frames(offset_bytes):
            for at_us, deliveries in frame.calls:
                found.deliveries += len(deliveries)
                if not found.oldest_us or at_us < found.oldest_us:
                    found.oldest_us = at_us
            if found.deliveries > deliveries_max:
                return
