"""The ledger as it is at one moment: sums, single entries, and what drafts would count."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from metering.counting import Counted, Counter, CountingRules
from metering.entry import GENESIS_HASH, Draft, Entry, Kind, Meter
from metering.interface import MeteringError
from metering.ledger_listing import EVERYTHING, Selection, listed
from metering.ledger_lookup import Lookup

RECENT_WINDOW_S_MAX = 600


# From year to year along the key, without reading all that stands between.
_YEARS = """
WITH RECURSIVE known (year) AS (
    SELECT min(year) FROM rollup
    UNION ALL
    SELECT (SELECT min(year) FROM rollup WHERE year > known.year) FROM known
    WHERE known.year IS NOT NULL
)
SELECT year FROM known
WHERE year IS NOT NULL AND EXISTS (
    SELECT 1 FROM rollup WHERE rollup.year = known.year AND institution = ?
)
"""


class Outcome(Enum):
    CREATED = "created"
    EXISTS = "exists"
    MOOT = "moot"  # it takes back what is taken back already or was never stored


class EntryConflict(MeteringError):  # noqa: N818  (the name is the field's)
    """An id came again with other contents; nothing of its batch was appended."""


@dataclass(slots=True)
class Totals:
    """One member's sums for a year."""

    holdings: int = 0
    downloads: int = 0
    repeats: int = 0
    voided: int = 0
    batch: int = 0
    uploads: dict[str, int] = field(default_factory=dict)  # by item
    covers: dict[str, int] = field(default_factory=dict)  # by item

    def add(self, kind: str, meter: str, item: str, entries: int, quantity: int) -> None:
        if meter == Meter.DOWNLOAD:
            self.downloads += quantity
        elif meter == Meter.REPEAT:
            self.repeats += quantity
        elif meter == Meter.HOLDING:
            self.holdings += quantity
        elif meter == Meter.BATCH:
            self.batch += quantity
        elif meter == Meter.UPLOAD:
            self.uploads[item] = self.uploads.get(item, 0) + quantity
        elif meter == Meter.COVER:
            self.covers[item] = self.covers.get(item, 0) + quantity
        if kind == Kind.VOID:
            self.voided += entries


class Snapshot:
    """The ledger as it is in one transaction."""

    def __init__(self, connection: sqlite3.Connection, rules: CountingRules) -> None:
        self._connection = connection
        self._rules = rules
        self._lookup = Lookup(connection, long_window=is_long(rules))

    def positions(self) -> dict[str, tuple[int, int]]:
        """How far each source was folded."""
        rows = self._connection.execute("SELECT source, major, minor FROM source_position")
        return {source: (major, minor) for source, major, minor in rows}

    def totals(self, year: int, institution: str | None = None) -> dict[str, Totals]:
        """By institution; one without an entry in the year is absent."""
        condition = "year = ?"
        parameters: list[int | str] = [year]
        if institution is not None:
            condition += " AND institution = ?"
            parameters.append(institution)
        totals: dict[str, Totals] = {}
        for code, kind, meter, item, entries, quantity in self._connection.execute(
            "SELECT institution, kind, meter, item, sum(entries), sum(quantity) FROM rollup"
            f" WHERE {condition} GROUP BY institution, kind, meter, item",
            parameters,
        ):
            totals.setdefault(code, Totals()).add(kind, meter, item, entries, quantity)
        return totals

    def years(self, institution: str) -> list[int]:
        """The accounting years in which a member has any entry, in order."""
        rows = self._connection.execute(_YEARS, (institution,))
        return [year for (year,) in rows]

    def first_year(self) -> int | None:
        """The first accounting year with an entry of anybody; None: there is no entry."""
        year: int | None = self._connection.execute("SELECT min(year) FROM rollup").fetchone()[0]
        return year

    def days(self, institution: str, first: int, last: int) -> dict[int, Totals]:
        """A member's sums by day, of the days of one year from `first` to `last`.

        A day is such as 20240131; one without an entry is absent.
        """
        days: dict[int, Totals] = {}
        for day, *amounts in self._of_days(institution, first, last):
            days.setdefault(day, Totals()).add(*amounts)
        return days

    def months(self, institution: str, year: int) -> dict[int, Totals]:
        """A member's sums of a year by month, from 1; one without an entry is absent."""
        months: dict[int, Totals] = {}
        for day, *amounts in self._of_days(institution, year * 10_000, year * 10_000 + 9_999):
            months.setdefault(day // 100 % 100, Totals()).add(*amounts)
        return months

    def _of_days(self, institution: str, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        """Day, kind, meter, item, entries and quantity of the days of one year, in order."""
        return self._connection.execute(
            "SELECT day, kind, meter, item, entries, quantity FROM rollup"
            " WHERE year = ? AND institution = ? AND day BETWEEN ? AND ? ORDER BY day",
            (first // 10_000, institution, first, last),
        )

    def preview(self, drafts: Sequence[Draft]) -> Iterator[Counted]:
        """What the drafts would count if they were appended now."""
        existing = self._lookup.contents([draft.id for draft in drafts])
        counter = Counter(self._lookup, self._rules)
        for counted in counter.count_all([d for d in drafts if d.id not in existing]):
            if counted is not None:
                yield counted

    def entry(self, entry_id: str) -> Entry | None:
        """One entry by its id, with its hashes."""
        contents = self._lookup.one(entry_id)
        if contents is None:
            return None
        only = Selection(after=contents[0] - 1, up_to=contents[0])
        return next(listed(self._connection, only), None)

    def entries(self, selection: Selection = EVERYTHING) -> Iterator[Entry]:
        """Entries in order, while the snapshot lasts."""
        return listed(self._connection, selection)

    def head(self) -> tuple[int, bytes]:
        """Sequence number and hash of the last entry; 0 and zeros when there is none."""
        row = self._connection.execute(
            "SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        page = self._connection.execute(
            "SELECT first_seq + entries - 1, hash FROM page ORDER BY first_seq DESC LIMIT 1"
        ).fetchone()
        seq, own_hash = max(row or (0, GENESIS_HASH), page or (0, GENESIS_HASH))
        return seq, own_hash


def is_long(rules: CountingRules) -> bool:
    """Whether the repeat rule asks for more than is kept in memory."""
    window = rules.repeat_window
    return not isinstance(window, int) or window > RECENT_WINDOW_S_MAX
