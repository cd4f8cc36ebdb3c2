"""Postings of many records, gathered in memory and written into the main index at once.

A posting is packed into 64 bits, `term << 43 | record_id << 12 | position`, so
that one sort of numbers brings millions of them into the order of the rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from store import postings
from store.analysis import END, START
from store.gather import PLACE_SHIFT, Postings
from store.postings import POSITION_MAX, SHARD_BITS, SHARD_MASK

_Row = tuple[int, str, int]  # register, term, number in the batch

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
_NO_DISPLAYS: dict[str, str] = {}

_ADD_RECORDS = """
INSERT INTO posting VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    frequency = frequency + excluded.frequency, records = blob_add(records, excluded.records)
"""
_ADD_POSITIONS = """
INSERT INTO position VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    positions = blob_add(positions, excluded.positions)
"""
_REMOVE_RECORDS = """
UPDATE posting SET frequency = frequency - ?3, records = blob_remove(records, ?5)
WHERE register_id = ?1 AND term = ?2
"""
_REMOVE_POSITIONS = """
UPDATE position SET positions = blob_remove(positions, ?4)
WHERE register_id = ?1 AND term = ?2 AND shard = ?3
"""


class Batch:
    """Changes to the main index, in memory until `write`.

    A record has a place in the batch, counted from 0 over all chunks, until
    `write` says which record id that is.
    """

    def __init__(self, register_ids: Mapping[str, int]) -> None:
        self._register_ids = register_ids
        self._terms: dict[int, dict[str, int]] = {}
        self._displays: dict[int, dict[str, str]] = {}
        self._added: list[Numbers] = []
        self._removed: list[Numbers] = []
        self.term_count = 0  # must stay below TERMS_MAX
        self.posting_count = 0

    def add(self, postings: Postings, first_place: int) -> None:
        """Postings to be added; the first of their records has `first_place`."""
        self._added.extend(self._packed(postings, first_place))
        for name, displays in postings.displays.items():
            known = self._displays.setdefault(self._register_ids[name], {})
            for term, display in displays.items():
                known.setdefault(term, display)

    def remove(self, postings: Postings, first_place: int) -> None:
        """Postings that the main index holds and shall hold no more."""
        self._removed.extend(self._packed(postings, first_place))

    def _packed(self, postings: Postings, first_place: int) -> Iterator[Numbers]:
        terms = list(postings.terms)
        ours = np.zeros(len(terms), np.uint64)  # our number for each of theirs
        for name, register in postings.registers.items():
            numbers, values = register.all()
            known = self._terms.setdefault(self._register_ids[name], {})
            used = np.unique(numbers)
            ours[used] = [self._number(known, terms[number]) for number in used.tolist()]
            packed = ours[numbers] << np.uint64(_TERM_SHIFT)
            packed |= values
            packed += np.uint64(first_place << PLACE_SHIFT)
            self.posting_count += packed.size
            yield packed

    def _number(self, known: dict[str, int], term: str) -> int:
        number = known.get(term)
        if number is None:
            number = known[term] = self.term_count
            self.term_count += 1
        return number

    def write(self, connection: sqlite3.Connection, record_ids: Sequence[int]) -> None:
        """Bring the main index up to date, inside the transaction that is open.

        `record_ids[n]` is the record at place n; below 0 its postings are left
        out. The batch is spent afterwards.
        """
        connection.create_function("blob_add", 2, postings.add, deterministic=True)
        connection.create_function("blob_remove", 2, postings.remove, deterministic=True)
        rows = [
            (register_id, term, number)
            for register_id, terms in self._terms.items()
            for term, number in terms.items()
        ]
        rows.sort()
        ranks = np.empty(len(rows), np.uint64)
        ranks[[row[2] for row in rows]] = np.arange(len(rows), dtype=np.uint64)
        ids = np.array(record_ids, np.int64)
        added = _take_sorted(self._added, ranks, ids)
        removed = _take_sorted(self._removed, ranks, ids)
        added = _distinct(added)
        records_added = _distinct(added >> np.uint64(_POSITION_BITS))
        if removed.size:
            removed = _distinct(removed)
            records_removed = _distinct(removed >> np.uint64(_POSITION_BITS))
            records_removed, records_added = _changes(records_removed, records_added)
            removed, added = _changes(removed, added)
            self._remove(connection, rows, records_removed, removed)
        connection.executemany(_ADD_RECORDS, self._record_rows(rows, records_added))
        connection.executemany(_ADD_POSITIONS, _position_rows(rows, added))
        connection.execute("UPDATE state SET generation = generation + 1")

    def _remove(
        self, connection: sqlite3.Connection, rows: list[_Row], records: Numbers, places: Numbers
    ) -> None:
        connection.executemany(_REMOVE_POSITIONS, _position_rows(rows, places))
        connection.executemany(
            "DELETE FROM position WHERE register_id = ? AND term = ? AND shard = ?"
            f" AND length(positions) = {postings.EMPTY_SIZE_BYTES}",
            [row[:3] for row in _position_rows(rows, places)],
        )
        connection.executemany(_REMOVE_RECORDS, self._record_rows(rows, records))
        connection.executemany(
            "DELETE FROM posting WHERE register_id = ? AND term = ? AND frequency = 0",
            [row[:2] for row in self._record_rows(rows, records)],
        )

    def _record_rows(
        self, rows: list[_Row], records: Numbers
    ) -> Iterator[tuple[int, str, int, str | None, bytes]]:
        """Rows of `posting`; `records` holds `term << 31 | record_id`, ascending."""
        for start, end, number, data in _runs(records, _RECORD_BITS, _RECORD_MASK):
            register_id, term, _ = rows[number]
            if term not in _ANCHORS:
                display = self._displays.get(register_id, _NO_DISPLAYS).get(term)
                blob = postings.encode_numbers(data)
                yield register_id, term, end - start, display, blob


def _position_rows(rows: list[_Row], places: Numbers) -> Iterator[tuple[int, str, int, bytes]]:
    """Rows of `position` for packed postings; those without a position are left out."""
    places = places[(places & np.uint64(POSITION_MAX)) != POSITION_MAX]
    record_ids = (places >> np.uint64(_POSITION_BITS)) & _RECORD_MASK
    numbers: Numbers = (
        (places & ~_LOW_MASK)
        | (record_ids >> np.uint64(SHARD_BITS)) << np.uint64(32)
        | (places & np.uint64(POSITION_MAX)) << np.uint64(SHARD_BITS)
        | (record_ids & np.uint64(SHARD_MASK))
    )
    numbers.sort()
    for _, _, group, data in _runs(numbers, 32, np.uint64(0xFFFFFFFF)):
        register_id, term, _ = rows[group >> _SHARD_NUMBER_BITS]
        yield register_id, term, group & _SHARD_NUMBER_MASK, postings.encode_numbers(data)


def _runs(
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
    """All numbers of `parts`, which is emptied, ascending.

    Ranks replace the term numbers and record ids the places.
    """
    if not parts:
        return np.empty(0, np.uint64)
    numbers = np.concatenate(parts)
    parts.clear()
    ids = record_ids[(numbers >> _POSITION_BITS) & _RECORD_MASK]
    if ids.min() < 0:
        numbers, ids = numbers[ids >= 0], ids[ids >= 0]
    terms = ranks[numbers >> _TERM_SHIFT]
    numbers &= np.uint64(POSITION_MAX)
    numbers |= ids.astype(np.uint64) << _POSITION_BITS
    del ids
    numbers |= terms << _TERM_SHIFT
    numbers.sort()
    return numbers


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
