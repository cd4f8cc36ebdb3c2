"""What the status tells of the whole server, beside its sessions and counts.

All of it is read: from memory that the processes share, from the data folder and
from the operating system. Adding up the year of 1,800 members takes a tenth of a
second, and the first time, of a ledger of ten million entries, two seconds. So
what was read is kept: many who look at the page cost as much as one, and none of
them waits while it is read again.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from metering.entry import accounting_day
from metering.estimate import estimate
from metering.interface import MeteringError, Usage
from metering.ledger_head import check_head
from metering.settlement_store import last_settlement
from metering.tariff import tariff_of_year
from metering.waiting import positions_of, waiting
from server.accounting.ledger import Accounting
from server.config import Config
from server.live.history import GROUPS, Span
from server.log import Log
from server.metrics.layout import DIAGNOSTICS, REFUSALS, Level
from server.metrics.processes import process_figures
from server.metrics.registry import Snapshot, total_of
from server.service import Service
from store.members import MemberError, Members
from store.sizes import delta_rows
from store.sqlite import StoreError

KEPT_S = 5.0
# As long what was read is shown while it is read again.
STALE_S_MAX = 60.0
# The rates and latencies of now are those of the last minute.
NOW_S = 60
SILENCE_S_MAX = 30.0  # of a process that is up
NEAR_QUOTA = 0.9
DIAGNOSTICS_MAX = 20
_USAGE = tuple(each.name for each in fields(Usage))
QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))

log = Log("lianmu.status")


class Figures:
    """The figures of one worker's status."""

    def __init__(
        self, config: Config, service: Service, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._service = service
        self._clock = clock
        self._kept: dict[str, Any] = {}
        self._kept_at_s = -math.inf
        self._reading: asyncio.Task[None] | None = None

    async def read(self, *, kept: bool) -> dict[str, Any]:
        """The figures of now; `kept`: those of a moment ago will do, if there are any.

        What cannot be read is None, or an empty list, and named in `unreadable`.
        """
        age_s = self._clock() - self._kept_at_s
        if kept and age_s < KEPT_S:
            return self._kept
        if kept and age_s < STALE_S_MAX:
            self._read_again()
            return self._kept
        if not kept and self._reading is not None:
            await asyncio.wait((self._reading,))  # what it reads may be of before
        reading = self._read_again()
        await asyncio.shield(reading)
        return self._kept

    def counted(self) -> dict[str, Any]:
        """What the processes share in memory, which costs next to nothing to read."""
        snapshots = self._service.board.snapshots()
        total = total_of(snapshots)
        latest = self._service.board.history.latest(NOW_S, time.time_ns() // 1_000)
        return {
            "processes": processes(snapshots),
            "now": now(latest),
            "refusals": {
                reason: count
                for (reason,) in REFUSALS.values
                if (count := total.count(REFUSALS, reason))
            },
            "diagnostics": diagnostics(total),
        }

    def _read_again(self) -> asyncio.Task[None]:
        """One reading at a time, which all wait for who wait."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read_and_keep())
            self._reading.add_done_callback(_tell_failure)
        return self._reading

    async def _read_and_keep(self) -> None:
        begun_s = self._clock()
        self._kept = await asyncio.to_thread(self._read)
        self._kept_at_s = begun_s

    def _read(self) -> dict[str, Any]:
        """Part by part: where one cannot be read the others are told all the same."""
        year, _ = accounting_day(time.time_ns() // 1_000)
        snapshots = self._service.board.snapshots()
        figures: dict[str, Any] = {"year": year, "unreadable": {}}
        parts: dict[str, tuple[Callable[[], Any], Any]] = {
            "members": (lambda: self._members(year), []),
            "index": (lambda: self._index(snapshots[-1]), None),
            "ledger": (lambda: self._ledger(snapshots), None),
            "disk": (self._disk, None),
        }
        for name, (read, without) in parts.items():
            try:
                figures[name] = read()
            except (MeteringError, MemberError, StoreError, OSError) as error:
                figures[name] = without
                figures["unreadable"][name] = str(error)
        figures["near_quota"] = near_quota(figures["members"])
        return figures

    def _members(self, year: int) -> list[dict[str, Any]]:
        """Each member's year as it stands."""
        check_head(self._config.ledger_path)  # one that is missing is not to be made by looking
        members = Members(self._config.members_path)
        try:
            with Accounting(self._config, self._service.kept_totals) as accounting:
                usages = {usage.institution: usage for usage in accounting.usage.usage_all(year)}
            tariff = tariff_of_year(year, self._config.tariffs)
            rows = []
            for each in members.institutions():
                usage = usages.get(each.code, Usage(each.code, year, 0, 0, 0, 0, 0, 0, 0))
                money = estimate(usage, tariff)
                rows.append(
                    {"code": each.code, "name": each.name, "status": each.status,
                     **{name: getattr(usage, name) for name in _USAGE},
                     "batch_fen": money.batch_fen, "credit_fen": money.credit_fen}
                )  # fmt: skip
            return rows
        finally:
            members.close()

    def _index(self, writer: Snapshot) -> dict[str, Any]:
        return {
            "changed_records": delta_rows(self._config.data_dir),
            "last_merge_us": writer.level(Level.MERGED_US) or None,
        }

    def _ledger(self, snapshots: Sequence[Snapshot]) -> dict[str, Any]:
        """The head of its chain, what is on its way to it, and what was last settled."""
        entries, head_hash = check_head(self._config.ledger_path)
        found = waiting(self._config.spool_dir, positions_of(self._config.ledger_path))
        settled = last_settlement(self._config.ledger_path)
        return {
            "entries": entries,
            "head_hash": head_hash.hex(),
            "unconfirmed": sum(each.level(Level.UNCONFIRMED) for each in snapshots),
            "waiting": found.deliveries,
            "waiting_since_us": found.oldest_us or None,
            "last_fold_us": snapshots[-1].level(Level.FOLDED_US) or None,
            "last_settlement": None if settled is None else dict(
                zip(("year", "status", "made_us"), settled, strict=True)
            ),
        }  # fmt: skip

    def _disk(self) -> dict[str, int]:
        disk = shutil.disk_usage(self._config.data_dir)
        return {
            "free_bytes": disk.free,
            "size_bytes": disk.total,
            "free_bytes_min": self._config.server.disk_free_bytes_min,
        }


def processes(snapshots: Sequence[Snapshot]) -> list[dict[str, Any]]:
    """Each worker and the writer: whether it is up, what it does and what it takes."""
    names = [*(f"worker-{number}" for number in range(len(snapshots) - 1)), "writer"]
    now_ns = time.monotonic_ns()
    found = []
    for name, row in zip(names, snapshots, strict=True):
        pid = row.level(Level.PID)
        taken = process_figures(pid) if pid else None
        silent_s = (now_ns - row.level(Level.TURNED_NS)) / 1e9
        lag_s = row.timing("process", "event_loop_lag").quantile_s(0.99)
        found.append(
            {
                "name": name,
                "pid": pid,
                "up": taken is not None and silent_s < SILENCE_S_MAX,
                "started_us": row.level(Level.STARTED_US) or None,
                "requests": sum(
                    row.timing(*service).count
                    for services in GROUPS.values()
                    for service in services
                ),
                "sessions": row.level(Level.SESSIONS_OPEN),
                "connections": row.level(Level.CONNECTIONS_HTTP),
                "unconfirmed": row.level(Level.UNCONFIRMED),
                "memory_bytes": taken.memory_bytes if taken else 0,
                "cpu_s": round(taken.cpu_s, 2) if taken else 0.0,
                "event_loop_lag_p99_ms": round(lag_s * 1000, 2) if lag_s is not None else None,
            }
        )
    return found


def now(span: Span | None) -> dict[str, Any] | None:
    """Rates and latencies of the last minute; None: it is too early to tell."""
    if span is None:
        return None
    groups = {}
    for group, timed in span.timed.items():
        quantiles = {name: timed.quantile_s(quantile) for name, quantile in QUANTILES}
        groups[group] = {
            "requests_per_s": round(span.rate(group), 3),
            "refused": timed.refused,
            "failed": timed.failed,
            "latency_ms": {
                name: None if value is None else round(value * 1000, 3)
                for name, value in quantiles.items()
            },
        }
    return {"length_s": round(span.length_s, 1), "groups": groups, **span.counts}


def diagnostics(total: Snapshot) -> list[dict[str, Any]]:
    """The diagnostics that clients were given since the server started, most frequent first."""
    counted: list[dict[str, Any]] = [
        {"set": of, "condition": condition, "count": count}
        for of, condition in DIAGNOSTICS.values
        if (count := total.count(DIAGNOSTICS, of, condition))
    ]
    counted.sort(key=lambda each: -each["count"])
    return counted[:DIAGNOSTICS_MAX]


def near_quota(members: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those who are over their quota of the year, or near it, the furthest first.

    A member without a quota is over it with its first download.
    """
    found = [
        {
            "code": each["code"], "name": each["name"], "downloads": each["downloads"],
            "quota": each["quota"], "billable": each["billable"],
            "charge_fen": each["charge_fen"],
        }
        for each in members
        if each["billable"] or (each["quota"] and each["downloads"] >= NEAR_QUOTA * each["quota"])
    ]  # fmt: skip
    found.sort(key=lambda each: (-each["billable"], -each["downloads"] / max(each["quota"], 1)))
    return found


def _tell_failure(reading: asyncio.Task[None]) -> None:
    """Nobody may be waiting for it who would say so."""
    if not reading.cancelled() and (error := reading.exception()) is not None:
        log.warning("the figures of the status cannot be read", reason=str(error))
