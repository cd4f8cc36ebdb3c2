"""Single facts of the ledger, found in rows and in pages alike."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from metering.entry import FIELDS, Kind, Meter
from metering.ledger_page import PAGE_COLUMNS, Contents, Page, source_of, unpack
from metering.recent import Key

CONTENTS = ", ".join(FIELDS[:-2])
_ID, _KIND, _METER = (FIELDS.index(name) for name in ("id", "kind", "meter"))
_INSTITUTION, _RECORD_ID, _AT_US = (
    FIELDS.index(name) for name in ("institution", "record_id", "at_us")
)
_PAGES_KEPT = 16  # unpacked, some 200 KB each
_KEYS_PER_QUERY = 200
_IDS_PER_QUERY = 500
_PAGES = f"SELECT {PAGE_COLUMNS} FROM page"
# The newest pages are few where `after` is known, though the time may be a year.
_PAGES_BEHIND = f"{_PAGES} WHERE first_seq > ? AND +newest_us >= ? AND +oldest_us <= ?"
_PAGES_OF_TIME = (
    f"{_PAGES} INDEXED BY page_of_time WHERE +first_seq > ? AND newest_us >= ? AND oldest_us <= ?"
)
# Every query goes by institution and record, so that one index serves them all.
_BILLED_ROWS = """
WITH asked (institution, record_id) AS (VALUES {places})
SELECT delivery.seq, delivery.institution, delivery.record_id, delivery.at_us, delivery.id
FROM asked CROSS JOIN entry AS delivery USING (institution, record_id)
WHERE delivery.at_us BETWEEN ? AND ?
  AND delivery.kind = 'delivery' AND delivery.meter = 'download'
"""
_BILLED_INDEX = """
WITH asked (institution, record_id) AS (VALUES {places})
SELECT billed.seq, billed.institution, billed.record_id, billed.at_us, billed.id
FROM asked CROSS JOIN billed USING (institution, record_id)
WHERE billed.at_us BETWEEN ? AND ?
"""
_VOIDED_US = """
SELECT at_us FROM entry
WHERE institution = ? AND record_id = ? AND kind = 'void' AND refers_to = ?
"""
_HELD = """
SELECT coalesce(sum(quantity), 0) FROM entry
WHERE institution = ? AND record_id = ? AND year = ? AND meter = 'holding'
  AND kind IN ('holding_added', 'holding_removed')
"""
_STANDING = """
SELECT coalesce(sum(quantity), 0) FROM entry
WHERE record_id = ? AND meter = ? AND kind IN ('upload', 'cover', 'upload_reversed')
"""
_REVERSED = """
SELECT 1 FROM entry WHERE record_id = ? AND kind = 'upload_reversed' AND refers_to = ?
"""

# A new delivery is behind all others of its source, so its end is what to look for.
RANGES = (
    "SELECT first_seq FROM range_of_source"
    " WHERE source = ? AND +first_index <= ? AND last_index >= ?"
)
OVERLAPPING = f"{RANGES} LIMIT 1"


class Billed(NamedTuple):
    """A delivery that was counted as a download; it may be void."""

    seq: int
    institution: str
    record_id: int
    at_us: int
    id: str


class Lookup:
    """Reads through a connection, inside whatever transaction is open there."""

    def __init__(self, connection: sqlite3.Connection, *, long_window: bool = False) -> None:
        """`long_window`: billed deliveries may be asked for that are long ago."""
        self._connection = connection
        self._long_window = long_window
        self._unpacked: dict[int, list[Contents]] = {}

    # By id

    def contents(self, ids: Sequence[str]) -> dict[str, Contents]:
        """`seq` to `item` of those entries that exist, by id."""
        found: dict[str, Contents] = {}
        for begin in range(0, len(ids), _IDS_PER_QUERY):
            some = ids[begin : begin + _IDS_PER_QUERY]
            places = ", ".join("?" * len(some))
            query = f"SELECT {CONTENTS} FROM entry WHERE id IN ({places})"
            found.update((row[_ID], row) for row in self._connection.execute(query, some))
        missing = [each for each in ids if each not in found]
        for page in self._pages_of(missing):
            found.update((row[_ID], row) for row in self._rows(page))
        wanted = set(ids)
        return {each: row for each, row in found.items() if each in wanted}

    def one(self, entry_id: str) -> Contents | None:
        """As `contents`, of one entry."""
        return self.contents([entry_id]).get(entry_id)

    def page_of(self, seq: int) -> Page | None:
        """The page that holds an entry, unless it is a row or there is none."""
        row = self._connection.execute(
            f"{_PAGES} WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1", (seq,)
        ).fetchone()
        page = None if row is None else Page(*row)
        return page if page is not None and seq <= page.last_seq else None

    def overlaps(self, source: str, first_index: int, last_index: int) -> bool:
        """Whether any delivery between two indexes of a source may be in the ledger."""
        row = self._connection.execute(OVERLAPPING, (source, last_index, first_index)).fetchone()
        return row is not None

    def _pages_of(self, ids: Sequence[str]) -> list[Page]:
        """The pages in which some ids can be, each once."""
        pages: dict[int, Page | None] = {}
        for each in ids:
            source, index = source_of(each)
            if index < 0:
                continue
            for (first_seq,) in self._connection.execute(RANGES, (source, index, index)).fetchall():
                if first_seq not in pages:
                    pages[first_seq] = self.page_of(first_seq)
        return [page for page in pages.values() if page is not None]

    def _rows(self, page: Page) -> list[Contents]:
        rows = self._unpacked.get(page.first_seq)
        if rows is None:
            rows, _ = unpack(page)
            if len(self._unpacked) >= _PAGES_KEPT:
                del self._unpacked[next(iter(self._unpacked))]
            self._unpacked[page.first_seq] = rows
        return rows

    # For the repeat rule

    def billed(self, keys: Collection[Key], first_us: int, last_us: int) -> list[Billed]:
        """Deliveries of some (institution, record) pairs between two moments, in order."""
        found = self._asked(_BILLED_ROWS, keys, first_us, last_us)
        after = 0
        if self._long_window:
            found += self._asked(_BILLED_INDEX, keys, first_us, last_us)
            after = self.billed_up_to()
        wanted = keys if isinstance(keys, (set, frozenset, dict)) else set(keys)
        for page in self.pages_between(first_us, last_us, after):
            found += [each for each in billed_in(page) if each[1:3] in wanted]
        found = [each for each in found if first_us <= each.at_us <= last_us]
        found.sort(key=itemgetter(0))
        return found

    def billed_up_to(self) -> int:
        """Entries up to this one are in the index of billed deliveries."""
        row = self._connection.execute("SELECT seq FROM billed_up_to").fetchone()
        return 0 if row is None else int(row[0])

    def pages_between(self, first_us: int, last_us: int, after: int = 0) -> Iterator[Page]:
        """Pages behind an entry that may hold others of between two moments."""
        query = _PAGES_BEHIND if after else _PAGES_OF_TIME
        for row in self._connection.execute(query, (after, first_us, last_us)):
            yield Page(*row)

    def _asked(
        self, query: str, keys: Collection[Key], first_us: int, last_us: int
    ) -> list[Billed]:
        found: list[Billed] = []
        in_order = list(keys)
        for begin in range(0, len(in_order), _KEYS_PER_QUERY):
            some = in_order[begin : begin + _KEYS_PER_QUERY]
            found += [
                Billed(*row)
                for row in self._connection.execute(
                    query.format(places=", ".join(["(?, ?)"] * len(some))),
                    [*chain.from_iterable(some), first_us, last_us],
                )
            ]
        return found

    def voided_us(self, institution: str, record_id: int, delivery: str) -> int | None:
        """When a delivery was voided; None: it stands."""
        key = (institution, record_id, delivery)
        row = self._connection.execute(_VOIDED_US, key).fetchone()
        return None if row is None else row[0]

    def newest_first(self) -> Iterator[Contents]:
        """All entries backwards."""
        rows = self._connection.execute(f"SELECT {CONTENTS} FROM entry ORDER BY seq DESC")
        row = rows.fetchone()
        for each in self._connection.execute(f"{_PAGES} ORDER BY first_seq DESC"):
            page = Page(*each)
            while row is not None and row[0] > page.first_seq:
                yield row
                row = rows.fetchone()
            yield from reversed(unpack(page)[0])
        while row is not None:
            yield row
            row = rows.fetchone()

    # For holdings and uploads, which are rows

    def held(self, institution: str, record_id: int, year: int | None) -> int:
        """What the holdings of a pair add up to in a year."""
        (held,) = self._connection.execute(_HELD, (institution, record_id, year)).fetchone()
        return int(held)

    def standing(self, record_id: int, meter: Meter) -> int:
        """How many uploads or covers of a record count and were not reversed."""
        (standing,) = self._connection.execute(_STANDING, (record_id, meter.value)).fetchone()
        return int(standing)

    def reversed(self, record_id: int, entry_id: str) -> bool:
        """Whether an upload or a cover was reversed."""
        row = self._connection.execute(_REVERSED, (record_id, entry_id)).fetchone()
        return row is not None


def billed_in(page: Page) -> list[Billed]:
    """The deliveries of a page that count as downloads."""
    return [
        Billed(row[0], row[_INSTITUTION], row[_RECORD_ID], row[_AT_US], row[_ID])
        for row in unpack(page)[0]
        if row[_METER] == Meter.DOWNLOAD and row[_KIND] == Kind.DELIVERY
    ]
