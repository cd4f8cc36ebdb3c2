"""All members' sums of a year, kept between two looks and brought up to date.

Adding up a year reads a row for each member, day and meter, which takes too long for a
page where members and years are many. Entries are never changed, so the sums up to one
of them stay what they were, and only the entries behind it have to be added.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from metering.ledger_listing import Selection
from metering.ledger_snapshot import Snapshot, Totals

# Reading more entries than this takes longer than adding up the year.
_BEHIND_MAX = 20_000
_YEARS_MAX = 3


class KeptTotals:
    """One in a process; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[int, tuple[int, dict[str, Totals]]] = {}

    def of(self, snapshot: Snapshot, year: int) -> dict[str, Totals]:
        """As `Snapshot.totals` of the year; the caller may change what it is given.

        All snapshots must be of one ledger.
        """
        head, _ = snapshot.head()
        with self._lock:
            known = self._kept.get(year)
            if known is None or not 0 <= head - known[0] <= _BEHIND_MAX:
                totals = snapshot.totals(year)
            else:
                seq, totals = known
                for entry in snapshot.entries(Selection(after=seq, up_to=head)):
                    if entry.year == year:
                        totals.setdefault(entry.institution, Totals()).add(
                            entry.kind, entry.meter, entry.item, 1, entry.quantity
                        )
            self._kept.pop(year, None)
            self._kept[year] = (head, totals)
            while len(self._kept) > _YEARS_MAX:
                del self._kept[next(iter(self._kept))]
            return {
                code: replace(each, uploads=dict(each.uploads), covers=dict(each.covers))
                for code, each in totals.items()
            }
