"""Counts the searches of one worker, and stores them about once a minute."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from metering.entry import accounting_day
from metering.interface import MeteringError
from metering.search_counts import ALL, SearchCount, SearchCountFile
from protocol.diagnostic import Diagnostic
from protocol.record import Database
from server.access_control.access import Principal
from server.log import Log

INTERVAL_S = 60.0

log = Log("lianmu.usage")

# Ways to write the names of databases, of one account until they are stored.
NAMES_MAX = 256

Names = tuple[str, ...]
Resolve = Callable[[Names], tuple[Database, ...] | Diagnostic]


class Counts(dict[Names, int]):
    """Searches of one account by the names of databases, as the client wrote them.

    `counts[names] += 1` is all that a search costs. Who writes names in ever new
    ways (case, order, aliases) has them put together under one.
    """

    __slots__ = ("_named",)

    def __init__(self, named: Callable[[Names], str]) -> None:
        super().__init__()
        self._named = named

    def __missing__(self, names: Names) -> int:
        if len(self) >= NAMES_MAX:
            taken = dict(self)
            self.clear()
            for written, number in taken.items():
                key = tuple(self._named(written).split(","))
                self[key] = self.get(key, 0) + number
        return 0


class SearchCounts:
    """Sessions add to the counts of their account; they are stored in the background."""

    def __init__(self, folder: Path, resolve: Resolve) -> None:
        self._file = SearchCountFile(folder)
        self._resolve = resolve
        self._counts: dict[tuple[str, str, str], Counts] = {}
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    def of(self, principal: Principal, protocol: str) -> Counts:
        """What the searches of an account are added to, by the names of their databases."""
        key = (principal.institution, principal.account, protocol)
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = Counts(self._named)
        return counts

    def start(self) -> None:
        """Store from now on, until `stop`."""
        self._task = asyncio.create_task(self._store_regularly())

    async def stop(self) -> None:
        """Store what is left."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.store()

    async def _store_regularly(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            await self.store()

    async def store(self) -> None:
        """Add what was counted to the file; what cannot be stored is kept for the next time."""
        taken = self._take()
        if not taken:
            return
        day = accounting_day(time.time_ns() // 1000)[1]
        rows = [
            SearchCount(institution, account, day, self._named(names), protocol, number)
            for (institution, account, protocol), counts in taken.items()
            for names, number in counts.items()
        ]
        try:
            await asyncio.to_thread(self._file.add, rows)
        except MeteringError as error:
            for key, counts in taken.items():
                for names, number in counts.items():
                    self._counts[key][names] += number
            if not self._failing:
                log.warning("searches not stored", reason=str(error))
            self._failing = True
        else:
            self._failing = False

    def _take(self) -> dict[tuple[str, str, str], dict[Names, int]]:
        taken = {key: dict(counts) for key, counts in self._counts.items() if counts}
        for key in taken:
            self._counts[key].clear()  # in place: sessions hold on to it
        return taken

    def _named(self, names: Names) -> str:
        """The databases as they are configured, whatever alias or case was used."""
        databases = self._resolve(names)
        if isinstance(databases, Diagnostic):  # taken away since
            return ",".join(sorted(names))
        everything = self._resolve((ALL,))
        if not isinstance(everything, Diagnostic) and len(databases) == len(everything) > 1:
            return ALL
        return ",".join(sorted(database.name for database in databases))
