"""The last hours of the whole server, in memory that its processes share.

The writer process takes a sample of every process's figures each SAMPLE_S and
adds it to a ring; any worker reads it. So all workers tell the same, nobody has
to be asked, and a worker that was replaced has forgotten nothing. Samples are
running totals: what happened between any two of them is their difference, however
late a sample was taken.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from server.metrics.layout import (
    BUCKETS,
    DELIVERIES_ENTERED,
    RECORDS,
    REFUSALS,
    TIMED,
    Level,
)
from server.metrics.registry import Snapshot, Timed, total_of

SAMPLE_S = 10
SAMPLES = 6 * 3600 // SAMPLE_S

# Services whose requests are told together; what only watches the server is left out.
GROUPS: dict[str, tuple[tuple[str, str], ...]] = {
    "z3950": tuple(("z3950", name) for name in TIMED["z3950"]),
    "sru": tuple(("sru", name) for name in TIMED["sru"]),
    "http": tuple(("http", name) for name in ("page", "api", "batch", "other")),
}
COUNTS = ("records", "deliveries", "refusals")
LEVELS = (Level.SESSIONS_OPEN, Level.CONNECTIONS_HTTP, Level.UNCONFIRMED)

_TIMED_CELLS = BUCKETS + 3
_GROUPS_AT = 1
_COUNTS_AT = _GROUPS_AT + len(GROUPS) * _TIMED_CELLS
_LEVELS_AT = _COUNTS_AT + len(COUNTS)
_WORKERS_AT = _LEVELS_AT + len(LEVELS)
_HEAD_SIZE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Span:
    """What happened between two samples.

    `at_us` is the end of it, since 1970, and `length_s` its length; `levels` are
    as they were at the end, in the order of LEVELS; `workers` is how many
    requests each worker answered.
    """

    at_us: int
    length_s: float
    timed: dict[str, Timed]
    counts: dict[str, int]
    levels: tuple[int, ...]
    workers: tuple[int, ...]

    def rate(self, group: str) -> float:
        """Requests of a group in a second."""
        return self.timed[group].count / self.length_s if self.length_s else 0.0


class History:
    """The ring; one process adds to it and all read it."""

    def __init__(self, workers: int, samples: int = SAMPLES) -> None:
        self._samples = samples
        self._width = _WORKERS_AT + workers
        self._memory = mmap.mmap(-1, _HEAD_SIZE_BYTES + samples * self._width * 8)
        cells = memoryview(self._memory).cast("q")
        self._head = cells[:1]  # how many samples were ever taken
        self._cells = cells[_HEAD_SIZE_BYTES // 8 :]

    @property
    def taken(self) -> int:
        """How many samples were ever taken: it changes when there is something new."""
        return self._head[0]

    def sample(self, snapshots: Sequence[Snapshot], now_us: int) -> None:
        """Add how things stand; `snapshots` are those of the workers and, last, the writer."""
        total = total_of(snapshots)
        row = [now_us]
        for services in GROUPS.values():
            timed = _together(total, services)
            row += [*timed.buckets, timed.total_ns, timed.refused, timed.failed]
        row += [total.count(RECORDS), total.count(DELIVERIES_ENTERED), total.count(REFUSALS)]
        row += [sum(each.level(level) for each in snapshots) for level in LEVELS]
        row += [_requests(each) for each in snapshots[:-1]]
        taken = self._head[0]
        start = taken % self._samples * self._width
        for offset, value in enumerate(row):
            self._cells[start + offset] = value
        self._head[0] = taken + 1

    def spans(self, length_s: float, spans_max: int, now_us: int) -> list[Span]:
        """What happened in the last `length_s`, oldest first, in no more than `spans_max` parts.

        The parts are as long as several samples, or as one.
        """
        rows = self._rows(length_s, now_us)
        whole = min(max(int(length_s) // SAMPLE_S, 1), len(rows) - 1)
        step = max(-(-whole // spans_max), 1)
        # Parts end where they ended the last time they were asked for.
        first = (self.taken - len(rows)) % step
        kept = rows[(step - first) % step :: step] if step > 1 else rows
        return [_between(before, after) for before, after in pairwise(kept)][-spans_max:]

    def latest(self, length_s: float, now_us: int) -> Span | None:
        """What happened in the last `length_s` or a little longer; None: it is too early to tell.

        Of what was sampled so far, when the server has not run for so long.
        """
        rows = self._rows(length_s, now_us)
        return _between(rows[0], rows[-1]) if len(rows) > 1 else None

    def _rows(self, length_s: float, now_us: int) -> list[list[int]]:
        """The samples that tell of the last `length_s`, oldest first.

        But for the oldest of all, which may just be written over.
        """
        taken = self._head[0]
        kept = min(taken, self._samples - 1, int(length_s) // SAMPLE_S + 2)
        width, found = self._width, []
        for number in range(taken - kept, taken):
            start = number % self._samples * width
            if self._cells[start] >= now_us - (length_s + SAMPLE_S) * 1e6:
                found.append(self._cells[start : start + width].tolist())
        return found


def _requests(snapshot: Snapshot) -> int:
    return sum(
        snapshot.timing(*service).count for services in GROUPS.values() for service in services
    )


def _together(snapshot: Snapshot, services: Sequence[tuple[str, str]]) -> Timed:
    timings = [snapshot.timing(*service) for service in services]
    return Timed(
        [sum(counts) for counts in zip(*(timed.buckets for timed in timings), strict=True)],
        sum(timed.total_ns for timed in timings),
        sum(timed.refused for timed in timings),
        sum(timed.failed for timed in timings),
    )


def _between(before: list[int], after: list[int]) -> Span:
    changed = [later - earlier for earlier, later in zip(before, after, strict=True)]
    timed = {}
    for number, group in enumerate(GROUPS):
        start = _GROUPS_AT + number * _TIMED_CELLS
        buckets = changed[start : start + BUCKETS]
        timed[group] = Timed(buckets, *changed[start + BUCKETS : start + _TIMED_CELLS])
    return Span(
        after[0],
        changed[0] / 1e6,
        timed,
        dict(zip(COUNTS, changed[_COUNTS_AT:_LEVELS_AT], strict=True)),
        tuple(after[_LEVELS_AT:_WORKERS_AT]),
        tuple(changed[_WORKERS_AT:]),
    )
