"""What each process counts, and in which cell of its row.

A row is the same in every process, so rows are added cell by cell. All cells are
integers: counts, nanoseconds, octets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from protocol.diagnostic import Bib1, SruDiagnostic
from protocol.sru_update import UpdateDiagnostic

# Upper bounds of the buckets of a duration, in seconds; one more bucket has the rest.
BOUNDS_S = (
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
BOUNDS_NS = tuple(round(bound * 1e9) for bound in BOUNDS_S)
BUCKETS = len(BOUNDS_S) + 1

OTHER = "other"
# Requests are timed by protocol and service; what else takes time stands under "process".
TIMED: Mapping[str, tuple[str, ...]] = {
    "z3950": (
        "init", "search", "present", "scan", "sort", "delete", "extended_services",
        "resource_report", OTHER,
    ),
    "sru": ("explain", "searchRetrieve", "scan", "update", OTHER),
    "http": ("page", "api", "batch", "status", "health", "metrics", "assets", OTHER),
    "process": ("event_loop_lag", "fold", "merge"),
}  # fmt: skip


class Counter(NamedTuple):
    """Something counted: `labels` are names, `values` every combination that is counted.

    `unit` is what one of it is: 1 for things, 1e-9 for nanoseconds told as seconds.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ((),)
    unit: float = 1.0


def _each(*values: str) -> tuple[tuple[str, ...], ...]:
    return tuple((value,) for value in values)


def _conditions(of: str, numbers: Iterable[int]) -> tuple[tuple[str, str], ...]:
    return (*((of, str(int(number))) for number in numbers), (of, OTHER))


BIB1, SRU, SRU_UPDATE = "bib-1", "sru", "sru-update"

SESSIONS = Counter(
    "lianmu_sessions_total",
    "Z39.50 associations that were opened.",
)
RECORDS = Counter(
    "lianmu_records_delivered_total",
    "Records sent over Z39.50 and SRU, in any form; all that count for a member, those of pages"
    " and the API too, are lianmu_deliveries_entered_total.",
    ("protocol",),
    _each("z3950", "sru"),
)
DIAGNOSTICS = Counter(
    "lianmu_diagnostics_total",
    "Diagnostics given to clients, by set and condition.",
    ("set", "condition"),
    (
        *_conditions(BIB1, Bib1),
        *_conditions(SRU, SruDiagnostic),
        *_conditions(SRU_UPDATE, UpdateDiagnostic),
    ),
)
REFUSALS = Counter(
    "lianmu_refusals_total",
    "Requests and sign-ins that were not carried out, by reason.",
    ("reason",),
    _each(
        "wrong_password", "login_paused", "api_key", "membership", "rate_limit", "connections",
        "time_out",
    ),
)  # fmt: skip
PROTOCOL_ERRORS = Counter(
    "lianmu_protocol_errors_total",
    "Z39.50 connections that sent something else than the protocol has.",
)
FAILURES = Counter(
    "lianmu_failures_total",
    "Requests that failed by an error of the server, with a traceback in the log.",
)
DELIVERIES_ENTERED = Counter(
    "lianmu_deliveries_entered_total",
    "Deliveries stored durably in a spool before their records were sent.",
)
SPOOL_WRITES = Counter(
    "lianmu_spool_writes_total",
    "Durable writes to spools, each for all connections that waited.",
)
SPOOL_WRITE_FAILURES = Counter(
    "lianmu_spool_write_failures_total",
    "Writes to spools that failed; their records were withheld.",
)
SPOOL_WRITE_TIME = Counter(
    "lianmu_spool_write_seconds_total",
    "Time spent in durable writes to spools.",
    unit=1e-9,
)
FOLDED = Counter(
    "lianmu_ledger_folded_total",
    "Entries folded into the ledger, by kind.",
    ("kind",),
    _each("delivery", "void", "holding", "audit", OTHER),
)
CHORE_FAILURES = Counter(
    "lianmu_writer_failures_total",
    "Turns of the writer process that failed, by chore.",
    ("chore",),
    _each("fold", "merge", "credits", "covers", OTHER),
)

COUNTERS = (
    SESSIONS, RECORDS, DIAGNOSTICS, REFUSALS, PROTOCOL_ERRORS, FAILURES, DELIVERIES_ENTERED,
    SPOOL_WRITES, SPOOL_WRITE_FAILURES, SPOOL_WRITE_TIME, FOLDED, CHORE_FAILURES,
)  # fmt: skip


class Level(IntEnum):
    """What a process tells of its present state; never added up, 0 where it does not apply.

    Times end in _ns by the monotonic clock, which all processes share, and in _us
    since 1970.
    """

    PID = 0
    STARTED_US = 1
    TURNED_NS = 2  # when the process last went through its loop
    SESSIONS_OPEN = 3
    CONNECTIONS_HTTP = 4
    UNCONFIRMED = 5  # deliveries on their way to a client
    FOLDED_US = 6  # when folding last succeeded
    FOLDED_NS = 7
    MERGED_US = 8


class Place(NamedTuple):
    """Where a timing has its cells."""

    buckets: int  # the first of BUCKETS
    total_ns: int
    refused: int
    failed: int


def _places() -> tuple[dict[tuple[str, str], Place], dict[tuple[str, ...], int], int]:
    timings: dict[tuple[str, str], Place] = {}
    counters: dict[tuple[str, ...], int] = {}
    cell = len(Level)
    for group, names in TIMED.items():
        for name in names:
            end = cell + BUCKETS
            timings[group, name] = Place(cell, end, end + 1, end + 2)
            cell = end + 3
    for counter in COUNTERS:
        for values in counter.values:
            counters[(counter.name, *values)] = cell
            cell += 1
    return timings, counters, cell


TIMING_PLACES, COUNTER_CELLS, CELLS = _places()
