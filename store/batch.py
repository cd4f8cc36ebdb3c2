"""Postings of many records, gathered in memory and written into the main index at once.

A posting is packed into 64 bits, `term << 43 | record_id << 12 | position`, so
that one sort of numbers brings millions of them into the order of the rows.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from store import postings
from store.analysis import END, START
from store.gather import PLACE_SHIFT, Postings
from store.postings import POSITION_MAX, SHARD_BITS, SHARD_MASK

Numbers = npt.NDArray[np.uint64]

_POSITION_BITS = PLACE_SHIFT
_RECORD_BITS = 31
_TERM_SHIFT = _POSITION_BITS + _RECORD_BITS
_SHARD_NUMBER_BITS = _RECORD_BITS - SHARD_BITS
_SHARD_NUMBER_MASK = (1 << _SHARD_NUMBER_BITS) - 1
_RECORD_MASK = np.uint64((1 << _RECORD_BITS) - 1)
_LOW_MASK = np.uint64((1 << _TERM_SHIFT) - 1)
TERMS_MAX = 1 << (64 - _TERM_SHIFT)  # of one batch

_ANCHORS = frozenset((START, END))  # they have positions only


class Statements:
    """SQL for the tables of an index, named `posting` and `position` with a suffix."""

    def __init__(self, suffix: str = "", *, schema: str = "main") -> None:
        posting, position = f"{schema}.posting{suffix}", f"{schema}.position{suffix}"
        key, shard_key = "register_id = ?1 AND term = ?2", "shard = ?3"
        self.insert_records = f"INSERT INTO {posting} VALUES (?, ?, ?, ?, ?)"
        self.insert_positions = f"INSERT INTO {position} VALUES (?, ?, ?, ?)"
        self.add_records = (
            f"{self.insert_records} ON CONFLICT DO UPDATE SET"
            " frequency = frequency + excluded.frequency,"
            " records = records_add(records, excluded.records)"
        )
        self.add_positions = (
            f"{self.insert_positions} ON CONFLICT DO UPDATE SET"
            " positions = positions_add(positions, excluded.positions)"
        )
        self.remove_records = (
            f"UPDATE {posting} SET frequency = frequency - ?3,"
            f" records = records_remove(records, ?5) WHERE {key}"
        )
        self.delete_records = f"DELETE FROM {posting} WHERE {key} AND frequency = 0"
        self.remove_positions = (
            f"UPDATE {position} SET positions = positions_remove(positions, ?4)"
            f" WHERE {key} AND {shard_key}"
        )
        self.delete_positions = (
            f"DELETE FROM {position} WHERE {key} AND {shard_key}"
            f" AND length(positions) = {postings.EMPTY_SIZE_BYTES}"
        )


def register_functions(connection: sqlite3.Connection) -> None:
    """Have SQL call what `Statements` calls."""
    for name, function in (
        ("records_add", postings.add),
        ("records_remove", postings.remove),
        ("positions_add", postings.add_positions),
        ("positions_remove", postings.remove_positions),
    ):
        connection.create_function(name, 2, function, deterministic=True)


class Batch:
    """Changes to the main index, in memory until `write`.

    A record has a place in the batch, counted from 0 over all chunks, until
    `write` says which record id that is.
    """

    def __init__(self, register_ids: Mapping[str, int]) -> None:
        self._register_ids = register_ids
        self._terms: dict[str, int] = {}
        self._displays: dict[int, dict[str, str]] = {}
        self._added: defaultdict[int, list[Numbers]] = defaultdict(list)
        self._removed: defaultdict[int, list[Numbers]] = defaultdict(list)
        self.posting_count = 0

    @property
    def term_count(self) -> int:
        """Different terms so far; must stay below TERMS_MAX."""
        return len(self._terms)

    def add(self, postings: Postings, first_place: int) -> None:
        """Postings to be added; the first of their records has `first_place`."""
        self._gather(postings, first_place, self._added)
        for name, displays in postings.displays.items():
            known = self._displays.setdefault(self._register_ids[name], {})
            for term, display in displays.items():
                known.setdefault(term, display)

    def remove(self, postings: Postings, first_place: int) -> None:
        """Postings that the main index holds and shall hold no more."""
        self._gather(postings, first_place, self._removed)

    def _gather(
        self, postings: Postings, first_place: int, parts: defaultdict[int, list[Numbers]]
    ) -> None:
        known = self._terms
        # Our number for each of their terms, which come in the order of theirs.
        ours = np.array([known.setdefault(term, len(known)) for term in postings.terms], np.uint64)
        if len(known) > TERMS_MAX:
            raise OverflowError(f"{len(known)} terms are too many for one batch")
        ours <<= np.uint64(_TERM_SHIFT)
        for name, register in postings.registers.items():
            numbers, values = register.all()
            packed = ours[numbers] | values
            packed += np.uint64(first_place << PLACE_SHIFT)
            self.posting_count += packed.size
            parts[self._register_ids[name]].append(packed)

    def write(
        self, connection: sqlite3.Connection, record_ids: Sequence[int], *, suffix: str = ""
    ) -> None:
        """Bring the main index up to date, inside the transaction that is open.

        `record_ids[n]` is the record at place n; below 0 its postings are left
        out. The batch is spent afterwards. With a `suffix` it goes to an index
        that nobody reads yet, in tables of these names.
        """
        sql = Statements(suffix)
        register_functions(connection)
        terms = sorted(self._terms)
        ranks = np.empty(len(terms), np.uint64)
        ranks[[self._terms[term] for term in terms]] = np.arange(len(terms), dtype=np.uint64)
        self._terms.clear()
        ids = np.array(record_ids, np.int64)
        for register_id in sorted(self._added.keys() | self._removed.keys()):
            rows = _Rows(register_id, terms, self._displays.get(register_id, {}))
            added = _take_sorted(self._added.pop(register_id, []), ranks, ids)
            removed = _take_sorted(self._removed.pop(register_id, []), ranks, ids)
            records_added = _distinct(added >> np.uint64(_POSITION_BITS))
            if removed.size:
                records_removed = _distinct(removed >> np.uint64(_POSITION_BITS))
                records_removed, records_added = _changes(records_removed, records_added)
                removed, added = _changes(removed, added)
                _remove(connection, sql, rows, records_removed, removed)
            connection.executemany(sql.add_records, rows.of_records(records_added))
            connection.executemany(sql.add_positions, rows.of_positions(added))
        if not suffix:
            connection.execute("UPDATE state SET generation = generation + 1")


def _remove(
    connection: sqlite3.Connection,
    sql: Statements,
    rows: _Rows,
    records: Numbers,
    places: Numbers,
) -> None:
    connection.executemany(sql.remove_positions, rows.of_positions(places))
    connection.executemany(sql.delete_positions, [row[:3] for row in rows.of_positions(places)])
    connection.executemany(sql.remove_records, rows.of_records(records))
    connection.executemany(sql.delete_records, [row[:2] for row in rows.of_records(records)])


@dataclass(frozen=True, slots=True)
class _Rows:
    """Turns packed postings of one register into rows; `terms` is in the order of ranks."""

    register_id: int
    terms: list[str]
    displays: dict[str, str]

    def of_records(self, records: Numbers) -> Iterator[tuple[int, str, int, str | None, bytes]]:
        """Rows of `posting`; `records` holds `rank << 31 | record_id`, ascending."""
        register_id, terms, display = self.register_id, self.terms, self.displays.get
        for start, end, rank, data in cut_sorted(records, _RECORD_BITS, _RECORD_MASK):
            term = terms[rank]
            if term not in _ANCHORS:
                blob = postings.encode_numbers(data)
                yield register_id, term, end - start, display(term), blob

    def of_positions(self, places: Numbers) -> Iterator[tuple[int, str, int, bytes]]:
        """Rows of `position`; what has no position is left out."""
        places = places[(places & np.uint64(POSITION_MAX)) != POSITION_MAX]
        record_ids = (places >> np.uint64(_POSITION_BITS)) & _RECORD_MASK
        numbers: Numbers = (
            (places & ~_LOW_MASK)
            | (record_ids >> np.uint64(SHARD_BITS)) << np.uint64(32)
            | (places & np.uint64(POSITION_MAX)) << np.uint64(SHARD_BITS)
            | (record_ids & np.uint64(SHARD_MASK))
        )
        numbers.sort()
        for _, _, group, data in cut_sorted(numbers, 32, np.uint64(0xFFFFFFFF)):
            term, shard = self.terms[group >> _SHARD_NUMBER_BITS], group & _SHARD_NUMBER_MASK
            yield self.register_id, term, shard, postings.encode_positions(data)


def cut_sorted(
    numbers: Numbers, low_bits: int, low_mask: np.uint64
) -> Iterator[tuple[int, int, int, bytes]]:
    """Cut ascending numbers where their high part changes.

    Yields start, end, the high part, and the low parts packed in 32 bits each.
    """
    if not numbers.size:
        return
    highs = numbers >> np.uint64(low_bits)
    data = (numbers & low_mask).astype(np.uint32).tobytes()
    starts = np.flatnonzero(np.concatenate(([True], highs[1:] != highs[:-1])))
    ends = [*starts[1:].tolist(), numbers.size]
    for start, end, high in zip(starts.tolist(), ends, highs[starts].tolist(), strict=True):
        yield start, end, high, data[4 * start : 4 * end]


def _take_sorted(
    parts: list[Numbers], ranks: Numbers, record_ids: npt.NDArray[np.int64]
) -> Numbers:
    """All numbers of `parts`, which is emptied, ascending and distinct.

    Ranks replace the term numbers and record ids the places.
    """
    if not parts:
        return np.empty(0, np.uint64)
    numbers = np.concatenate(parts)
    parts.clear()
    if not numbers.size:  # of records without a single word
        return numbers
    ids = record_ids[(numbers >> np.uint64(_POSITION_BITS)) & _RECORD_MASK]
    if ids.min() < 0:
        numbers, ids = numbers[ids >= 0], ids[ids >= 0]
    terms = ranks[numbers >> np.uint64(_TERM_SHIFT)]
    numbers &= np.uint64(POSITION_MAX)
    numbers |= ids.astype(np.uint64) << _POSITION_BITS
    del ids
    numbers |= terms << _TERM_SHIFT
    numbers.sort()
    return _distinct(numbers)


def _distinct(numbers: Numbers) -> Numbers:
    """Ascending numbers, each once."""
    if numbers.size < 2:
        return numbers
    return numbers[np.concatenate(([True], numbers[1:] != numbers[:-1]))]


def _changes(before: Numbers, after: Numbers) -> tuple[Numbers, Numbers]:
    """What is only in `before`, and what is only in `after`; both ascending and distinct."""
    return (
        np.setdiff1d(before, after, assume_unique=True),
        np.setdiff1d(after, before, assume_unique=True),
    )
