"""A member's year as it stands now, with what the folder has not reached yet."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from metering.entry import Draft, Kind
from metering.fold import EventsAfter, Outbox, all_outboxes, in_order, source
from metering.interface import MeteringError, Usage
from metering.kept_totals import KeptTotals
from metering.ledger import Ledger, Snapshot, Totals
from metering.quota import billable, quota
from metering.spool import utc_us
from metering.spool_format import Position, lock, naming_errors, spools
from metering.spool_reading import DONE, SpoolReading, newest_frames, read_spool
from metering.tariff import BUILT_IN, DOWNLOAD_OVER_QUOTA, Tariff, tariff_of_year

# A folder that removes what it has folded, between two looks of ours, makes a new try.
TRIES_MAX = 20


class UsageReader:
    """Figures of the year: the ledger's sums and all that waits to be folded.

    What waits is counted by the ledger's own rules on top of it, so folding
    changes no figure. It reads files and blocks; call it from a thread.
    """

    def __init__(
        self,
        ledger: Ledger,
        spool_root: Path,
        *,
        events_after: EventsAfter | None = None,
        outbox: str = "catalogue",
        outboxes: Sequence[Outbox] = (),
        clock: Callable[[], int] = utc_us,
        tariffs: Sequence[Tariff] = BUILT_IN,
        kept: KeptTotals | None = None,
    ) -> None:
        """The arguments are those of the `Folder`; `kept` spares adding up whole years."""
        self._ledger = ledger
        self._spool_root = spool_root
        self._outboxes = all_outboxes(events_after, outbox, outboxes)
        self._clock = clock
        self._tariffs = tariffs
        self._kept = kept

    def usage(self, institution: str, year: int) -> Usage:
        """One member's figures; zeros when it did nothing.

        Raises:
            MeteringError: the ledger or a spool cannot be read.
        """
        totals = self._totals(year, institution)
        return usage_of(institution, year, totals.get(institution, Totals()), self._tariffs)

    def usage_all(self, year: int) -> list[Usage]:
        """Every member with an entry in the year, by code."""
        return [
            usage_of(institution, year, totals, self._tariffs)
            for institution, totals in sorted(self._totals(year).items())
            if institution
        ]

    def add_up(self, year: int) -> None:
        """Bring what is kept of a year up to date, which `usage_all` then need not; no spool.

        Raises:
            MeteringError: the ledger cannot be read.
        """
        if self._kept is not None:
            with naming_errors(), self._ledger.reading() as snapshot:
                self._kept.of(snapshot, year)

    def _totals(self, year: int, institution: str | None = None) -> dict[str, Totals]:
        for _ in range(TRIES_MAX):
            with naming_errors(), contextlib.ExitStack() as locks:
                # Listed before the ledger is looked at: a spool gone by now is in it.
                found = self._spools(locks)
                with self._ledger.reading() as snapshot:
                    readings = self._read(snapshot, found)
                    if not any(reading.gap for reading in readings):
                        return self._add_up(snapshot, readings, year, institution)
        raise MeteringError("the spools: segments are missing")

    def _add_up(
        self,
        snapshot: Snapshot,
        readings: list[SpoolReading],
        year: int,
        institution: str | None,
    ) -> dict[str, Totals]:
        if institution is None and self._kept is not None:
            totals = self._kept.of(snapshot, year)
        else:
            totals = snapshot.totals(year, institution)
        waiting = [
            draft
            for draft in chain(in_order(readings), self._drafts(snapshot))
            # Whoever uploads a record first has it, so other members' uploads matter too.
            if institution is None
            or draft.institution in (institution, "")
            or draft.kind in (Kind.UPLOAD, Kind.COVER)
        ]
        for counted in snapshot.preview(waiting):
            if counted.year == year:
                totals.setdefault(counted.institution, Totals()).add(
                    counted.draft.kind, counted.meter, counted.item, 1, counted.quantity
                )
        return totals

    def _spools(self, locks: contextlib.ExitStack) -> list[tuple[Path, bool]]:
        found = []
        for spool in spools(self._spool_root):
            descriptor = lock(spool, shared=True)
            if descriptor is not None:
                locks.callback(os.close, descriptor)
            found.append((spool, descriptor is not None))
        return found

    def _read(self, snapshot: Snapshot, found: list[tuple[Path, bool]]) -> list[SpoolReading]:
        positions = snapshot.positions()
        readings = []
        for spool, orphan in found:
            start = Position(*positions.get(source(spool), (0, 0)))
            if start != DONE:
                reading = read_spool(spool, start, orphan=orphan, now_us=self._clock())
                if not orphan:
                    reading.drafts += newest_frames(spool, reading.end)
                readings.append(reading)
        return readings

    def _drafts(self, snapshot: Snapshot) -> Iterator[Draft]:
        positions = snapshot.positions()
        for outbox in self._outboxes:
            after, _ = positions.get(outbox.name, (0, 0))
            for _, draft in outbox.after(after):
                yield draft


def usage_of(
    institution: str, year: int, totals: Totals, tariffs: Sequence[Tariff] = BUILT_IN
) -> Usage:
    """The year's figures with that of the tariffs which prices the year."""
    over = billable(totals.downloads, totals.holdings)
    return Usage(
        institution=institution,
        year=year,
        holdings_uploaded=totals.holdings,
        downloads=totals.downloads,
        repeats=totals.repeats,
        voided=totals.voided,
        quota=quota(totals.holdings),
        billable=over,
        charge_fen=over * tariff_of_year(year, tariffs).price_fen(DOWNLOAD_OVER_QUOTA),
        batch=totals.batch,
        uploads=totals.uploads,
        covers=totals.covers,
    )
