"""Entries in order, of rows and pages together, and only those that are asked for."""

from __future__ import annotations

import contextlib
import heapq
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from operator import attrgetter, itemgetter
from typing import Any

import msgspec

from metering.entry import FIELDS, Entry, Kind, Meter, span_of_day_us
from metering.ledger_page import PAGE_COLUMNS, Contents, Page, entries
from metering.ledger_schema import naming_errors

_SEQ_MAX = 2**63 - 1
_ROWS_PER_QUERY = 1_000
_PAGES_PER_QUERY = 8
# What a delivery counts; everything else is in rows.
_METERS_OF_PAGES = (None, Meter.DOWNLOAD, Meter.REPEAT)
_COLUMNS = ", ".join(FIELDS)
_PLACE = {name: place for place, name in enumerate(FIELDS)}


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries to list; what is None does not matter."""

    institution: str | None = None
    year: int | None = None  # of accounting
    record_id: int | None = None
    control_number: str | None = None
    kind: Kind | None = None
    meter: Meter | None = None
    item: str | None = None
    from_us: int | None = None  # UTC, inclusive
    until_us: int | None = None  # UTC, exclusive
    day: int | None = None  # of accounting, as 20240131; it is of one year
    after: int = 0  # behind this sequence number
    up_to: int | None = None  # this one and those before it
    newest_first: bool = False

    def conditions(self) -> tuple[str, list[Any]]:
        """For the table `entry`, without `after` and `up_to`."""
        parts, parameters = [], []
        for name in (
            "institution", "year", "day", "record_id", "control_number", "kind", "meter", "item",
        ):  # fmt: skip
            value = getattr(self, name)
            if name == "year" and self.day is not None:
                continue  # the day says it, and has an index of its own
            if value is not None:
                parts.append(f" AND {name} = ?")
                parameters.append(str(value.value) if isinstance(value, (Kind, Meter)) else value)
        for condition, value in (("at_us >= ?", self.from_us), ("at_us < ?", self.until_us)):
            if value is not None:
                parts.append(f" AND {condition}")
                parameters.append(value)
        return "".join(parts), parameters

    def wanted(self, page: Page) -> Callable[[Contents], bool] | None:
        """The same for the entries of a page; None: all of them are wanted."""
        equal = {
            _PLACE[name]: value
            for name in ("institution", "year", "day", "record_id", "control_number", "meter")
            if (value := getattr(self, name)) is not None
        }
        first_us = self.from_us if self.from_us is not None else page.oldest_us
        end_us = self.until_us if self.until_us is not None else page.newest_us + 1
        after = self.after
        up_to = self.up_to if self.up_to is not None else page.last_seq
        if (
            not equal
            and after < page.first_seq
            and up_to >= page.last_seq
            and first_us <= page.oldest_us
            and end_us > page.newest_us
        ):
            return None
        at_us = _PLACE["at_us"]
        # Asked of every entry of many pages: one comparison and not one for each field.
        picked: Callable[[Contents], Any] = itemgetter(*equal) if equal else lambda _: None
        values = tuple(equal.values())
        target = values if len(values) > 1 else values[0] if values else None

        def wanted(row: Contents) -> bool:
            return (
                after < row[0] <= up_to
                and first_us <= row[at_us] < end_us
                and bool(picked(row) == target)
            )

        return wanted

    @property
    def end(self) -> int:
        """Behind the last number that it may have; of two bounds SQLite would use either one."""
        return _SEQ_MAX if self.up_to is None else self.up_to + 1

    @property
    def span_us(self) -> tuple[int | None, int | None]:
        """From when and until when deliveries may be of it."""
        if self.day is None:
            return self.from_us, self.until_us
        first_us, end_us = span_of_day_us(self.day)  # they are of the day they were made on
        return (
            first_us if self.from_us is None else max(self.from_us, first_us),
            end_us if self.until_us is None else min(self.until_us, end_us),
        )

    @property
    def may_be_in_pages(self) -> bool:
        return (
            self.kind in (None, Kind.DELIVERY) and self.meter in _METERS_OF_PAGES and not self.item
        )


EVERYTHING = Selection()


def listed(
    connection: sqlite3.Connection,
    selection: Selection,
    lock: AbstractContextManager[Any] | None = None,
) -> Iterator[Entry]:
    """The entries of a selection in order, or backwards if it says so.

    `lock` is held while the database is read.
    """
    held = lock if lock is not None else contextlib.nullcontext()
    streams = [_rows(connection, selection, held)]
    if selection.may_be_in_pages:
        streams.append(_of_pages(connection, selection, held))
    return heapq.merge(*streams, key=attrgetter("seq"), reverse=selection.newest_first)


def _rows(
    connection: sqlite3.Connection, selection: Selection, held: AbstractContextManager[Any]
) -> Iterator[Entry]:
    condition, parameters = selection.conditions()
    bounds, order = "seq > ? AND seq < ?", "DESC" if selection.newest_first else "ASC"
    query = (
        f"SELECT {_COLUMNS} FROM entry WHERE {bounds}{condition} ORDER BY seq {order}"
        f" LIMIT {_ROWS_PER_QUERY}"
    )
    after, before = selection.after, selection.end
    while True:
        with held, naming_errors():
            rows = connection.execute(query, (after, before, *parameters)).fetchall()
        for row in rows:
            yield Entry(row[0], row[1], Kind(row[2]), Meter(row[3]), *row[4:])
        if len(rows) < _ROWS_PER_QUERY:
            return
        if selection.newest_first:
            before = rows[-1][0]
        else:
            after = rows[-1][0]


def _of_pages(
    connection: sqlite3.Connection, selection: Selection, held: AbstractContextManager[Any]
) -> Iterator[Entry]:
    for page in _pages(connection, selection, held):
        found = entries(page, selection.wanted(page))
        yield from reversed(list(found)) if selection.newest_first else found


def _pages(
    connection: sqlite3.Connection, selection: Selection, held: AbstractContextManager[Any]
) -> Iterator[Page]:
    """The pages that can hold any of the selection, in order."""
    with held, naming_errors():
        # The page that holds `after` begins at it or before it.
        first = connection.execute(
            "SELECT max(first_seq) FROM page WHERE first_seq <= ?", (selection.after + 1,)
        ).fetchone()[0]
    begin, end = 0 if first is None else first, selection.end
    from_us, until_us = selection.span_us
    if from_us is not None or until_us is not None:
        # Nearly in the order of time: what lies before and behind need not be looked at.
        with held, naming_errors():
            low, high = connection.execute(
                "SELECT min(first_seq), max(first_seq) FROM page"
                " WHERE newest_us >= ? AND oldest_us < ?",
                (from_us or 0, _SEQ_MAX if until_us is None else until_us),
            ).fetchone()
        if low is None:
            return
        begin, end = max(begin, low), min(end, high + 1)
    if selection.institution is None:
        yield from _scan(connection, selection, held, begin, end, "page", "1", [])
        return
    years = [selection.year if selection.day is None else selection.day // 10_000]
    if years == [None]:
        with held, naming_errors():
            years = [year for (year,) in connection.execute(
                "SELECT DISTINCT year FROM page_of_member WHERE institution = ?",
                (selection.institution,),
            )]  # fmt: skip
    table = "page_of_member CROSS JOIN page USING (first_seq)"
    streams = [
        _scan(
            connection, selection, held, begin, end, table, "institution = ? AND year = ?",
            [selection.institution, year],
        )
        for year in years
    ]  # fmt: skip
    last = 0
    for page in heapq.merge(*streams, key=attrgetter("first_seq"), reverse=selection.newest_first):
        if page.first_seq != last:  # a page of New Year's Eve is in two years
            last = page.first_seq
            yield page


def _scan(
    connection: sqlite3.Connection,
    selection: Selection,
    held: AbstractContextManager[Any],
    begin: int,
    end: int,
    table: str,
    condition: str,
    parameters: list[Any],
) -> Iterator[Page]:
    times = ""
    bounds: list[int] = []
    from_us, until_us = selection.span_us
    if from_us is not None:
        times += " AND newest_us >= ?"
        bounds.append(from_us)
    if until_us is not None:
        times += " AND oldest_us < ?"
        bounds.append(until_us)
    order = "DESC" if selection.newest_first else "ASC"
    query = (
        f"SELECT {PAGE_COLUMNS} FROM {table}"
        f" WHERE {condition} AND first_seq >= ? AND first_seq < ?{times}"
        f" ORDER BY first_seq {order} LIMIT {_PAGES_PER_QUERY}"
    )
    while True:
        with held, naming_errors():
            rows = connection.execute(query, (*parameters, begin, end, *bounds))
            pages = [Page(*row) for row in rows]
        yield from pages
        if len(pages) < _PAGES_PER_QUERY:
            return
        if selection.newest_first:
            end = pages[-1].first_seq
        else:
            begin = pages[-1].first_seq + 1
