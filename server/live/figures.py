"""What the status tells of the whole server, beside its sessions and counts.

All of it is read: from memory that the processes share, from the data folder and
from the operating system. What costs the disk something is kept for whoever asks
again within KEPT_S, so that many who look at the page cost as much as one.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from metering.entry import accounting_day
from metering.estimate import estimate
from metering.interface import Usage
from metering.kept_totals import KeptTotals
from metering.settlement_store import last_settlement
from metering.tariff import tariff_of_year
from metering.waiting import positions_of, waiting
from server.accounting import Accounting
from server.config import Config
from server.live.history import GROUPS, Span
from server.metrics.layout import DIAGNOSTICS, REFUSALS, Level
from server.metrics.processes import process_figures
from server.metrics.registry import Snapshot, total_of
from server.service import Service
from store.members import Members
from store.sizes import delta_rows

KEPT_S = 5.0
# The rates and latencies of now are those of the last minute.
NOW_S = 60
SILENCE_S_MAX = 30.0  # of a process that is up
NEAR_QUOTA = 0.9
DIAGNOSTICS_MAX = 20
QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


class Figures:
    """The figures of one worker's status; `read` gives them, at most KEPT_S old if so wished."""

    def __init__(self, config: Config, service: Service) -> None:
        self._config = config
        self._service = service
        self._totals = KeptTotals()
        self._kept: dict[str, Any] = {}
        self._kept_until_s = 0.0
        self._reading = asyncio.Lock()

    async def read(self, *, kept: bool) -> dict[str, Any]:
        """`kept`: those of a moment ago will do."""
        async with self._reading:
            if not kept or time.monotonic() >= self._kept_until_s:
                self._kept = await asyncio.to_thread(self._read)
                self._kept_until_s = time.monotonic() + KEPT_S
            return self._kept

    def _read(self) -> dict[str, Any]:
        now_us = time.time_ns() // 1_000
        snapshots = self._service.board.snapshots()
        total = total_of(snapshots)
        year, _ = accounting_day(now_us)
        members, entries, head_hash = self._members(year)
        return {
            "processes": processes(snapshots),
            "now": now(self._service.board.history.latest(NOW_S, now_us)),
            "refusals": {
                reason: total.count(REFUSALS, reason)
                for (reason,) in REFUSALS.values
                if total.count(REFUSALS, reason)
            },
            "diagnostics": diagnostics(total),
            "index": {
                "changed_records": delta_rows(self._config.data_dir),
                "last_merge_us": snapshots[-1].level(Level.MERGED_US) or None,
            },
            "ledger": {
                "entries": entries, "head_hash": head_hash, **self._folding(snapshots),
            },
            "disk": self._disk(),
            "year": year,
            "members": members,
        }  # fmt: skip

    def _members(self, year: int) -> tuple[list[dict[str, Any]], int, str]:
        """Each member's year as it stands, and the head of the ledger."""
        members = Members(self._config.members_path)
        accounting = Accounting(self._config, self._totals)
        try:
            usages = {usage.institution: usage for usage in accounting.usage.usage_all(year)}
            entries, head_hash = accounting.ledger.head()
            tariff = tariff_of_year(year, self._config.tariffs)
            rows = []
            for each in members.institutions():
                usage = usages.get(each.code, Usage(each.code, year, 0, 0, 0, 0, 0, 0, 0))
                money = estimate(usage, tariff)
                rows.append(
                    {"code": each.code, "name": each.name, "status": each.status,
                     **asdict(usage), "batch_fen": money.batch_fen,
                     "credit_fen": money.credit_fen}
                )  # fmt: skip
            return rows, entries, head_hash.hex()
        finally:
            accounting.close()
            members.close()

    def _folding(self, snapshots: Sequence[Snapshot]) -> dict[str, Any]:
        """What is on its way to the ledger, and what was last settled."""
        found = waiting(self._config.spool_dir, positions_of(self._config.ledger_path))
        settled = last_settlement(self._config.ledger_path)
        return {
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
