"""Counters and histograms of every process, in memory that all of them share.

The supervisor makes one `Board` before it forks. A process adds to a row of its
own, without locks, and any process reads all of them: nothing has to be asked of
another one, and what a killed worker had counted stays, because its replacement
goes on in the same row.

To time a request costs an increment and an addition, well under a microsecond.
"""

from __future__ import annotations

import mmap
import os
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from server.metrics.layout import (
    BOUNDS_NS,
    BOUNDS_S,
    BUCKETS,
    CELLS,
    COUNTER_CELLS,
    COUNTERS,
    OTHER,
    TIMING_PLACES,
    Counter,
    Level,
    Place,
)

_CELL_SIZE_BYTES = 8
# Rows begin on cache lines of their own, so that processes do not hinder one another.
_ROW_CELLS = (CELLS + 7) // 8 * 8


class Timing:
    """How often something was done and how long it took, in one process."""

    __slots__ = ("_cells", "_failed", "_refused", "_total_ns")

    def __init__(self, row: memoryview[int], place: Place) -> None:
        # From the first bucket on, so that a bucket's number is its cell.
        self._cells = row[place.buckets : place.failed + 1]
        self._total_ns = place.total_ns - place.buckets
        self._refused = place.refused - place.buckets
        self._failed = place.failed - place.buckets

    def add(self, duration_ns: int) -> None:
        """Note one, done in `duration_ns` nanoseconds."""
        cells = self._cells
        cells[bisect_left(BOUNDS_NS, duration_ns)] += 1
        cells[self._total_ns] += duration_ns

    def add_refused(self, duration_ns: int) -> None:
        """Note one that was answered with a diagnostic or a refusal."""
        self.add(duration_ns)
        self._cells[self._refused] += 1

    def add_failed(self, duration_ns: int) -> None:
        """Note one that failed by an error of ours."""
        self.add(duration_ns)
        self._cells[self._failed] += 1


class Figures:
    """One process's row: what it counts, and its levels."""

    def __init__(self, row: memoryview[int]) -> None:
        self._row = row
        self._timings = {key: Timing(row, place) for key, place in TIMING_PLACES.items()}

    def begin(self) -> None:
        """To be called by the process that has the row from now on."""
        for level in Level:
            self._row[level] = 0
        self._row[Level.PID] = os.getpid()
        self._row[Level.STARTED_US] = time.time_ns() // 1_000
        self._row[Level.TURNED_NS] = time.monotonic_ns()

    def timing(self, group: str, name: str) -> Timing:
        """The timing of a service, to be kept by whoever adds to it; that of `other` ones too.

        Raises:
            KeyError: `group` is not one of `layout.TIMED`.
        """
        timing = self._timings.get((group, name))
        return timing if timing is not None else self._timings[group, OTHER]

    def count(self, counter: Counter, *values: str, by: int = 1) -> None:
        """Add to a counter; values that it does not have are counted as `other`.

        Raises:
            KeyError: the counter has neither these values nor others.
        """
        cell = COUNTER_CELLS.get((counter.name, *values))
        if cell is None:
            cell = COUNTER_CELLS[(counter.name, *values[:-1], OTHER)]
        self._row[cell] += by

    def cell(self, counter: Counter, *values: str) -> Cell:
        """One cell of a counter, for whoever adds to it often.

        Raises:
            KeyError: the counter does not have these values.
        """
        return Cell(self._row, COUNTER_CELLS[(counter.name, *values)])

    def set(self, level: Level, value: int) -> None:
        self._row[level] = value

    def snapshot(self) -> Snapshot:
        return Snapshot(tuple(self._row[:CELLS]))


class Cell:
    """A counter of one process, found once."""

    __slots__ = ("_cells",)

    def __init__(self, row: memoryview[int], cell: int) -> None:
        self._cells = row[cell : cell + 1]

    def add(self, by: int = 1) -> None:
        self._cells[0] += by


class Board:
    """The rows of all processes: the workers by number, and behind them the writer."""

    def __init__(self, workers: int) -> None:
        self._memory = mmap.mmap(-1, (workers + 1) * _ROW_CELLS * _CELL_SIZE_BYTES)
        cells = memoryview(self._memory).cast("q")
        self._rows = [
            cells[number * _ROW_CELLS : (number + 1) * _ROW_CELLS] for number in range(workers + 1)
        ]

    def worker(self, number: int) -> Figures:
        if not 0 <= number < len(self._rows) - 1:
            raise IndexError(number)
        return Figures(self._rows[number])

    def writer(self) -> Figures:
        return Figures(self._rows[-1])

    def snapshots(self) -> list[Snapshot]:
        """Every worker's, in order, and the writer's at the end."""
        return [Snapshot(tuple(row[:CELLS])) for row in self._rows]

    def total(self) -> Snapshot:
        """What all processes have counted since the server started; without levels."""
        return total_of(self.snapshots())


@dataclass(frozen=True, slots=True)
class Timed:
    """A timing at one moment. `buckets` are not cumulative; the last is above all bounds."""

    buckets: Sequence[int]
    total_ns: int
    refused: int
    failed: int

    @property
    def count(self) -> int:
        return sum(self.buckets)

    @property
    def answered(self) -> int:
        """Those that went well."""
        return self.count - self.refused - self.failed

    def quantile_s(self, quantile: float) -> float | None:
        """About the duration that `quantile` (0 to 1) of them did not exceed; None: there are none.

        Within a bucket they are taken to lie evenly, as Prometheus does; above all
        bounds the last bound is given.
        """
        wanted = quantile * self.count
        if not self.count:
            return None
        before, low_s = 0, 0.0
        for bound_s, inside in zip(BOUNDS_S, self.buckets, strict=False):
            if inside and before + inside >= wanted:
                return low_s + (bound_s - low_s) * (wanted - before) / inside
            before += inside
            low_s = bound_s
        return BOUNDS_S[-1]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A row at one moment; snapshots are added over processes and subtracted over time."""

    cells: tuple[int, ...] = (0,) * CELLS

    def __add__(self, other: Snapshot) -> Snapshot:
        return self._with(tuple(map(int.__add__, self.cells, other.cells)))

    def __sub__(self, earlier: Snapshot) -> Snapshot:
        return self._with(tuple(map(int.__sub__, self.cells, earlier.cells)))

    @staticmethod
    def _with(cells: tuple[int, ...]) -> Snapshot:
        return Snapshot((0,) * len(Level) + cells[len(Level) :])

    def timing(self, group: str, name: str) -> Timed:
        place = TIMING_PLACES[group, name]
        cells = self.cells
        return Timed(
            cells[place.buckets : place.buckets + BUCKETS],
            cells[place.total_ns], cells[place.refused], cells[place.failed],
        )  # fmt: skip

    def count(self, counter: Counter, *values: str) -> int:
        """One cell of a counter; without values the sum of all of them."""
        if values or counter.values == ((),):
            return self.cells[COUNTER_CELLS[(counter.name, *values)]]
        return sum(self.cells[COUNTER_CELLS[(counter.name, *each)]] for each in counter.values)

    def level(self, level: Level) -> int:
        return self.cells[level]

    def as_json(self) -> dict[str, Any]:
        """What is not zero: timings by group and service, counters by their names and values."""
        timings: dict[str, dict[str, Any]] = {}
        for group, name in TIMING_PLACES:
            timed = self.timing(group, name)
            if timed.count:
                timings.setdefault(group, {})[name] = {
                    "count": timed.count,
                    "refused": timed.refused,
                    "failed": timed.failed,
                    "total_s": timed.total_ns / 1e9,
                    "buckets": list(timed.buckets),
                }
        counters: dict[str, Any] = {}
        for counter in COUNTERS:
            for values in counter.values:
                count = self.cells[COUNTER_CELLS[(counter.name, *values)]]
                if count and values:
                    counters.setdefault(counter.name, {})["/".join(values)] = count * counter.unit
                elif count:
                    counters[counter.name] = count * counter.unit
        return {"bounds_s": list(BOUNDS_S), "timings": timings, "counters": counters}


def total_of(snapshots: Sequence[Snapshot]) -> Snapshot:
    return sum(snapshots, Snapshot())
