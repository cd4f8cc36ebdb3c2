"""Proves a ledger: every hash, every sum, and every index that follows from the entries."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from metering.entry import FIELDS, GENESIS_HASH, Kind, entry_hash
from metering.ledger_lookup import billed_in
from metering.ledger_page import (
    PAGE_COLUMNS,
    Contents,
    Page,
    PageDamaged,
    first_bad,
    members_of,
    ranges_of,
    source_of,
    unpack,
)
from metering.ledger_schema import ROLLUP_COLUMNS

_COLUMNS = ", ".join(FIELDS)
_AT_US = FIELDS.index("at_us")
_KIND = FIELDS.index("kind")
_summed = itemgetter(
    *(
        FIELDS.index(name)
        for name in ("institution", "year", "day", "kind", "meter", "item", "quantity")
    )
)
_CHUNK = 4_096

Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found; `first_bad` is the id of an entry, `problem` says what is wrong."""

    entries: int  # good ones, from the first on
    head_hash: bytes  # of the last good one
    problem: str = ""
    first_bad: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem


class _Sums:
    """The roll-up, made from entries alone."""

    def __init__(self) -> None:
        self._tally: Counter[tuple[Any, ...]] = Counter()

    def add(self, rows: Iterable[Contents]) -> None:
        self._tally.update(map(_summed, rows))

    def lines(self) -> set[tuple[Any, ...]]:
        """As they stand in the table `rollup`."""
        sums: dict[tuple[Any, ...], list[int]] = {}
        for (*key, quantity), entries in self._tally.items():
            amounts = sums.setdefault(tuple(key), [0, 0])
            amounts[0] += entries
            amounts[1] += entries * quantity
        return {(*key, *amounts) for key, amounts in sums.items()}


class _Billed:
    """The index of billed deliveries, of the pages up to where it reaches, made anew."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        up_to = connection.execute("SELECT seq FROM billed_up_to").fetchall()
        self._up_to = up_to[0][0] if len(up_to) == 1 else -1
        self._count = 0
        self._hashes = 0  # of all lines, whatever their order

    def add(self, page: Page) -> None:
        if page.last_seq <= self._up_to:
            self._note(billed_in(page), 1)

    def _note(self, lines: Iterable[tuple[Any, ...]], sign: int) -> None:
        for line in lines:
            self._count += sign
            self._hashes += sign * hash(tuple(line))

    def problem(self, last_seq: int) -> str:
        if not 0 <= self._up_to <= last_seq:
            return "the index of billed deliveries does not say how far it reaches"
        self._note(
            self._connection.execute("SELECT seq, institution, record_id, at_us, id FROM billed"),
            -1,
        )
        if self._count or self._hashes:
            return "the index of billed deliveries is not what follows from the entries"
        return ""


def verify(connection: sqlite3.Connection, progress: Progress | None = None) -> Verification:
    """Hash every entry again, add all up again, and compare with what is kept.

    `progress` is told how many entries were read.
    """
    sums = _Sums()
    billed = _Billed(connection)
    count, previous = 0, GENESIS_HASH
    told = members = 0
    unindexed = ""
    for each in _blocks(connection):
        problem, bad = "", ""
        if isinstance(each, Page):
            try:
                rows, checks = unpack(each)
                found = _page(each, rows, checks, count, previous)
            except PageDamaged as error:
                found = count, ("", str(error))
            if found is not None:
                good, (bad, problem) = found
                return Verification(max(count, good), previous, problem, bad)
            sums.add(rows)
            members += len(members_of(rows))
            billed.add(each)
            unindexed = unindexed or _unindexed(connection, each, rows)
            count, previous = each.last_seq, each.hash
        else:
            *contents, stored_previous, stored_hash = each
            row = tuple(contents)
            if row[0] != count + 1:
                problem = _missing(count, row[0])
            elif stored_previous != previous:
                problem = f"entry {row[0]} does not follow its predecessor"
            elif stored_hash != entry_hash(previous, row):
                problem = f"entry {row[0]} is not what was hashed"
            if problem:
                return Verification(count, previous, problem, row[1])
            sums.add([row])
            unindexed = unindexed or _unindexed_row(connection, row)
            count, previous = row[0], stored_hash
        if progress is not None and count - told >= _CHUNK:
            progress(count)
            told = count
    problem = (
        _compare(connection, sums)
        or unindexed
        or _too_many(connection, members)
        or billed.problem(count)
    )
    return Verification(count, previous, problem)


def _missing(count: int, seq: int) -> str:
    return f"entry {count + 1} is missing before entry {seq}"


def _page(
    page: Page, rows: list[Contents], checks: bytes, count: int, previous: bytes
) -> tuple[int, tuple[str, str]] | None:
    """How many entries are good, the first bad one and what is wrong; None: nothing."""
    first = rows[0][1]
    if page.first_seq != count + 1:
        return count, (first, _missing(count, page.first_seq))
    if page.previous != previous:
        return count, (first, f"entry {page.first_seq} does not follow its predecessor")
    bad = first_bad(page, (rows, checks))
    if bad is not None:
        entry_id, seq = bad
        if entry_id:
            return seq - 1, (entry_id, f"entry {seq} is not what was hashed")
        problem = (
            f"one of the entries {page.first_seq} to {page.last_seq} is not what was hashed:"
            " the hash of the last one differs"
        )
        return count, (first, problem)
    times_us = [row[_AT_US] for row in rows]
    if (page.oldest_us, page.newest_us) != (min(times_us), max(times_us)):
        return count, (first, f"the page of entry {page.first_seq} states other times")
    if any(row[_KIND] != Kind.DELIVERY for row in rows):
        return count, (first, f"the page of entry {page.first_seq} holds no deliveries alone")
    return None


def _compare(connection: sqlite3.Connection, sums: _Sums) -> str:
    """The first line of the roll-up that is not the sum of its entries; "": none."""
    kept = set(connection.execute(f"SELECT {ROLLUP_COLUMNS} FROM rollup"))
    for line in sorted(sums.lines() ^ kept):
        institution, year, day, kind, meter, item, *_ = line
        return (
            f"the roll-up of {institution or 'no institution'}, year {year}, day {day},"
            f" {' '.join(filter(None, (kind, meter, item)))} is not the sum of the entries"
        )
    return ""


def _unindexed(connection: sqlite3.Connection, page: Page, rows: list[Contents]) -> str:
    """What no index leads to in a page; "": nothing."""
    for institution, year in members_of(rows):
        if not _is_there(connection, _MEMBER, (institution, year, page.first_seq)):
            return (
                f"the index of {institution or 'no institution'}, year {year}, lacks"
                f" the page of entry {page.first_seq}"
            )
    for source, (first, last) in ranges_of([row[1] for row in rows]).items():
        if not _is_there(connection, _RANGE_OF_PAGE, (source, first, last, page.first_seq)):
            return f"the index of {source} lacks the page of entry {page.first_seq}"
    return ""


def _unindexed_row(connection: sqlite3.Connection, row: Contents) -> str:
    if row[_KIND] == Kind.DELIVERY:
        source, index = source_of(row[1])
        if index >= 0 and not _is_there(connection, _RANGE, (source, index, index)):
            return f"the index of {source} lacks entry {row[0]}"
    return ""


_MEMBER = "SELECT 1 FROM page_of_member WHERE institution = ? AND year = ? AND first_seq = ?"
_RANGE = "SELECT 1 FROM range_of_source WHERE source = ? AND +first_index <= ? AND last_index >= ?"
_RANGE_OF_PAGE = f"{_RANGE} AND first_seq = ?"


def _is_there(connection: sqlite3.Connection, query: str, parameters: tuple[Any, ...]) -> bool:
    return connection.execute(query, parameters).fetchone() is not None


def _too_many(connection: sqlite3.Connection, members: int) -> str:
    """Whether the index of members, which lacks nothing, has more than it should."""
    (kept,) = connection.execute("SELECT count(*) FROM page_of_member").fetchone()
    return f"the index of members has {kept - members} lines too many" if kept > members else ""


def _blocks(connection: sqlite3.Connection) -> Iterator[Page | tuple[Any, ...]]:
    """Pages and rows of the table `entry` in order."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM entry ORDER BY seq")
    row = rows.fetchone()
    for each in connection.execute(f"SELECT {PAGE_COLUMNS} FROM page ORDER BY first_seq"):
        page = Page(*each)
        while row is not None and row[0] < page.first_seq:
            yield row
            row = rows.fetchone()
        yield page
    while row is not None:
        yield row
        row = rows.fetchone()


def rebuild(connection: sqlite3.Connection, progress: Progress | None = None) -> int:
    """Make the sums and indexes anew from the entries; how many entries there are.

    Inside the caller's transaction. The index of billed deliveries is emptied; the
    next one who needs it fills it.

    Raises:
        PageDamaged
    """
    for table in ("rollup", "page_of_member", "range_of_source", "billed"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute("DELETE FROM billed_up_to")
    connection.execute("INSERT INTO billed_up_to (seq) VALUES (0)")
    sums = _Sums()
    count = told = 0
    for each in _blocks(connection):
        if isinstance(each, Page):
            rows, _ = unpack(each)
            sums.add(rows)
            connection.executemany(
                "INSERT INTO page_of_member VALUES (?, ?, ?)",
                [(*member, each.first_seq) for member in members_of(rows)],
            )
            connection.executemany(
                "INSERT INTO range_of_source VALUES (?, ?, ?, ?)",
                [
                    (source, *indexes, each.first_seq)
                    for source, indexes in ranges_of([row[1] for row in rows]).items()
                ],
            )
            count += each.entries
        else:
            row = each[:-2]
            sums.add([row])
            if row[_KIND] == Kind.DELIVERY:
                source, index = source_of(row[1])
                if index >= 0:
                    connection.execute(
                        "INSERT INTO range_of_source VALUES (?, ?, ?, ?)",
                        (source, index, index, row[0]),
                    )
            count += 1
        if progress is not None and count - told >= _CHUNK:
            progress(count)
            told = count
    connection.executemany(
        f"INSERT INTO rollup ({ROLLUP_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", sums.lines()
    )
    return count
