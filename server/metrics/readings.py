"""The gauges: read from the system and the data folder when somebody asks for them."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from metering.interface import MeteringError
from metering.ledger_head import check_head
from metering.settlement_store import settlement_counts
from metering.waiting import positions_of, waiting
from server import VERSION
from server.backup.note import last_backup
from server.batch.job import Jobs
from server.config import Config
from server.metrics import definitions as d
from server.metrics.certificate import expires_at
from server.metrics.layout import Level
from server.metrics.processes import process_figures
from server.metrics.readiness import Readiness
from server.metrics.registry import Snapshot
from store.members import MemberError, Members
from store.sizes import delta_rows, index_sizes
from store.sqlite import Refused, StoreError

# Reading all of the index costs the disk something.
INDEX_INTERVAL_S = 3600.0
SILENCE_S_MAX = 30.0  # of a process that is up


class Reading(NamedTuple):
    """One value of a gauge; `labels` in the order of its definition."""

    metric: d.Metric
    value: float
    labels: tuple[str, ...] = ()


class Readings:
    """Reads all gauges; it blocks on the disk, and a part that fails does not spoil the others."""

    def __init__(
        self,
        config: Config,
        snapshots: Callable[[], list[Snapshot]],
        totals: Callable[[], dict[str, int]],
        readiness: Readiness,
    ) -> None:
        """`snapshots` gives the rows of all processes, `totals` the records by database."""
        self._config = config
        self._snapshots = snapshots
        self._totals = totals
        self._readiness = readiness
        self._index: list[Reading] = []
        self._index_due_s = 0.0
        self._parts: dict[str, Callable[[], Iterator[Reading]]] = {
            "processes": self._processes,
            "catalogue": self._catalogue,
            "files": self._files,
            "ledger": self._ledger,
            "members": self._members,
            "batch": self._batch,
            "disk": self._disk,
            "readiness": self._ready,
            "backup": self._backup,
            "certificate": self._certificate,
        }

    def read(self) -> list[Reading]:
        """Every gauge that can be read, and which parts cannot."""
        found = [Reading(d.BUILD, 1, (VERSION,))]
        for name, part in self._parts.items():
            failed = 0
            try:
                found += part()
            except (OSError, ValueError, MeteringError, StoreError, MemberError, Refused):
                failed = 1
            found.append(Reading(d.UNREADABLE, failed, (name,)))
        return found

    def _processes(self) -> Iterator[Reading]:
        rows = self._snapshots()
        names = [*(f"worker-{number}" for number in range(len(rows) - 1)), "writer"]
        now_ns = time.monotonic_ns()
        for name, row in zip(names, rows, strict=True):
            pid = row.level(Level.PID)
            figures = process_figures(pid) if pid else None
            silent_s = (now_ns - row.level(Level.TURNED_NS)) / 1e9
            up = figures is not None and silent_s < SILENCE_S_MAX
            yield Reading(d.PROCESS_UP, int(up), (name,))
            yield from _of_process(pid, name)
            if name != "writer":
                yield Reading(d.SESSIONS_OPEN, row.level(Level.SESSIONS_OPEN), (name,))
                yield Reading(d.CONNECTIONS_OPEN, row.level(Level.CONNECTIONS_HTTP), (name,))
                yield Reading(d.UNCONFIRMED, row.level(Level.UNCONFIRMED), (name,))
        if len(rows) > 1 and rows[-1].level(Level.PID):  # a worker is its child
            yield Reading(d.PROCESS_UP, 1, ("supervisor",))
            yield from _of_process(os.getppid(), "supervisor")
        yield Reading(d.LAST_FOLD, rows[-1].level(Level.FOLDED_US) / 1e6)
        yield Reading(d.LAST_MERGE, rows[-1].level(Level.MERGED_US) / 1e6)

    def _catalogue(self) -> Iterator[Reading]:
        for database, count in self._totals().items():
            yield Reading(d.CATALOGUE_RECORDS, count, (database,))
        yield Reading(d.DELTA_ROWS, delta_rows(self._config.data_dir))
        if time.monotonic() >= self._index_due_s:
            sizes = index_sizes(self._config.data_dir)
            self._index = [Reading(d.INDEX_SIZE, size, (part,)) for part, size in sizes.items()]
            self._index_due_s = time.monotonic() + INDEX_INTERVAL_S
        yield from self._index

    def _files(self) -> Iterator[Reading]:
        for pattern in ("*.sqlite", "*.sqlite-wal"):
            for path in sorted(self._config.data_dir.glob(pattern)):
                with suppress(FileNotFoundError):
                    yield Reading(d.FILE_SIZE, path.stat().st_size, (path.name,))

    def _ledger(self) -> Iterator[Reading]:
        config = self._config
        positions = positions_of(config.ledger_path)
        found = waiting(config.spool_dir, positions)
        yield Reading(d.SPOOLS, found.spools)
        yield Reading(d.SPOOL_SIZE, found.size_bytes)
        yield Reading(d.UNFOLDED, found.deliveries)
        age_s = time.time() - found.oldest_us / 1e6 if found.oldest_us else 0.0
        yield Reading(d.UNFOLDED_AGE, max(0.0, age_s))
        for (year, status), count in settlement_counts(config.ledger_path).items():
            yield Reading(d.SETTLEMENTS, count, (str(year), status))
        yield Reading(d.LEDGER_ENTRIES, check_head(config.ledger_path)[0])

    def _members(self) -> Iterator[Reading]:
        now_us = time.time_ns() // 1_000
        with closing(Members(self._config.members_path)) as members:
            statuses = Tally(each.at(now_us).status for each in members.institutions())
        for status, count in sorted(statuses.items()):
            yield Reading(d.MEMBERS, count, (status,))

    def _batch(self) -> Iterator[Reading]:
        phases: Tally[str] = Tally()
        for job in Jobs(self._config.batch_dir).all():
            with suppress(FileNotFoundError):  # it has just been removed
                phases[job.state().phase] += 1
        for phase, count in sorted(phases.items()):
            yield Reading(d.BATCH_JOBS, count, (phase,))

    def _disk(self) -> Iterator[Reading]:
        disk = shutil.disk_usage(self._config.data_dir)
        yield Reading(d.DISK_FREE, disk.free)
        yield Reading(d.DISK_SIZE, disk.total)
        yield Reading(d.DISK_FREE_MIN, self._config.server.disk_free_bytes_min)

    def _ready(self) -> Iterator[Reading]:
        for check, failure in self._readiness.failures().items():
            yield Reading(d.READY, int(not failure), (check,))

    def _backup(self) -> Iterator[Reading]:
        last = last_backup(self._config.data_dir)
        yield Reading(d.BACKUP_AT, last.begun_us / 1e6 if last else 0)
        if last:
            yield Reading(d.BACKUP_SIZE, last.size_bytes)

    def _certificate(self) -> Iterator[Reading]:
        path = self._config.z3950.tls.certificate
        if path:
            yield Reading(
                d.CERTIFICATE_EXPIRY, expires_at(Path(path)).timestamp(), (Path(path).name,)
            )


def _of_process(pid: int, name: str) -> Iterator[Reading]:
    figures = process_figures(pid) if pid else None
    if figures is None:
        return
    yield Reading(d.PROCESS_START, figures.start_s, (name,))
    yield Reading(d.PROCESS_MEMORY, figures.memory_bytes, (name,))
    yield Reading(d.PROCESS_FILES, figures.files, (name,))
    yield Reading(d.PROCESS_FILES_MAX, figures.files_max, (name,))
    yield Reading(d.PROCESS_CPU, figures.cpu_s, (name,))
