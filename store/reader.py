"""Reading the index: the main rows, and over them the records changed since a merge.

Both answer the same questions, and every operator of a query works record by
record, so a query is evaluated on each by itself and the answers are joined:
of the main rows' answer, what no delta row speaks of; of the delta's, the rest.
"""

from __future__ import annotations

import re
import sqlite3
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pyroaring import BitMap

from store import postings
from store.analysis import END, START
from store.delta_row import DeltaRow, unpack
from store.gather import PLACE_SHIFT
from store.postings import POSITION_MAX, SHARD_BITS, SHARD_MASK
from store.registers import DATABASE
from store.runs import require_none
from store.snapshot import Snapshot
from store.sqlite import open_reader

CACHE_SIZE_BYTES_MAX = 64 << 20
_CACHED_RECORDS_MIN = 128
_CACHED_SIZE_BYTES_MIN = 256  # a smaller list is read as fast as it is looked up
_RECORD_OVERHEAD_BYTES = 200  # of one cached bitmap, beside its contents

_SELECT_RECORDS = "SELECT records FROM posting WHERE register_id = ? AND term = ?"
_SELECT_POSITIONS = "SELECT shard, positions FROM position WHERE register_id = ? AND term = ?"
_IN_RANGE = "FROM posting WHERE register_id = ? AND term >= ? AND term < ?"
TERM_END = "\U0010ffff"  # sorts after every term


class BoundExceeded(Exception):  # noqa: N818 - which bound, not what failed
    """The question touches more terms or octets than it may here."""


@dataclass(slots=True)
class Bounds:
    """What one evaluation may touch: terms of an expansion, octets of postings.

    `inline`: it holds up others, so nothing of unknown cost may start.
    """

    terms_max: int
    bytes_max: int
    inline: bool = False


@dataclass(frozen=True, slots=True)
class TermRange:
    """Terms from `low` up to but without `high`; of these, those that match `glob`.

    `glob` is a pattern of SQLite's GLOB, None for every term.
    """

    low: str
    high: str = TERM_END
    glob: str | None = None


class Segment(Protocol):
    """Either part of the index. The bitmaps it gives are not to be changed."""

    def records(self, register_id: int, term: str) -> BitMap:
        """The records that have the term."""

    def positions(self, register_id: int, term: str) -> dict[int, BitMap]:
        """The term's places, by shard, in the order of `store.postings`."""

    def terms(self, register_id: int, terms: TermRange) -> list[str]:
        """The terms of a range in order.

        Raises:
            BoundExceeded: there are more than may be touched.
        """

    def records_in(self, register_id: int, terms: TermRange) -> BitMap:
        """The records that have any term of a range; raises like `terms`."""


_Value = TypeVar("_Value")


class _Cache(OrderedDict[tuple[int, str], _Value]):
    """Bitmaps read before, the least recently used given up first."""

    def __init__(self, size_bytes_max: int) -> None:
        super().__init__()
        self._size_bytes_max = size_bytes_max
        self._sizes: dict[tuple[int, str], int] = {}
        self._size_bytes = 0

    def keep(self, key: tuple[int, str], value: _Value, size_bytes: int) -> None:
        size_bytes += _RECORD_OVERHEAD_BYTES
        self[key] = value
        self._sizes[key] = size_bytes
        self._size_bytes += size_bytes
        while self._size_bytes > self._size_bytes_max:
            oldest, _ = self.popitem(last=False)
            self._size_bytes -= self._sizes.pop(oldest)

    def clear(self) -> None:
        super().clear()
        self._sizes.clear()
        self._size_bytes = 0


class MainSegment:
    """The merged index, read row by row."""

    def __init__(self, connection: sqlite3.Connection, cache_size_bytes_max: int) -> None:
        self._execute = connection.cursor().execute
        self._records: _Cache[BitMap] = _Cache(cache_size_bytes_max // 2)
        self._positions: _Cache[dict[int, BitMap]] = _Cache(cache_size_bytes_max // 2)
        self.bounds = Bounds(0, 0)

    def forget(self) -> None:
        """The rows have changed."""
        self._records.clear()
        self._positions.clear()

    def records(self, register_id: int, term: str) -> BitMap:
        key = (register_id, term)
        cached = self._records.get(key)
        if cached is not None:
            self._records.move_to_end(key)
            return cached
        row = self._execute(_SELECT_RECORDS, key).fetchone()
        if row is None:
            return BitMap()
        blob: bytes = row[0]
        records = postings.decode(blob)
        # A whole database is a few octets of runs, and in nearly every question.
        if len(blob) >= _CACHED_SIZE_BYTES_MIN or len(records) >= _CACHED_RECORDS_MIN:
            size_bytes = postings.weight(blob)
            self._spend(size_bytes)
            self._records.keep(key, records, size_bytes)
        return records

    def positions(self, register_id: int, term: str) -> dict[int, BitMap]:
        key = (register_id, term)
        cached = self._positions.get(key)
        if cached is not None:
            self._positions.move_to_end(key)
            return cached
        size_bytes = 0
        places = {}
        for shard, blob in self._execute(_SELECT_POSITIONS, key).fetchall():
            size_bytes += postings.weight(blob)
            places[shard] = postings.decode(blob)
        if size_bytes >= _CACHED_SIZE_BYTES_MIN:
            self._spend(size_bytes)
            self._positions.keep(key, places, size_bytes)
        return places

    def terms(self, register_id: int, terms: TermRange) -> list[str]:
        found: list[str] = self._in_range("term", register_id, terms)
        return found

    def records_in(self, register_id: int, terms: TermRange) -> BitMap:
        blobs: list[bytes] = self._in_range("records", register_id, terms)
        self._spend(sum(map(postings.weight, blobs)))
        return postings.union(blobs)

    def _in_range(self, column: str, register_id: int, terms: TermRange) -> list[Any]:
        values: list[object] = [register_id, terms.low, terms.high]
        sql = f"SELECT {column} {_IN_RANGE}"
        if terms.glob is not None:
            # Rows that do not match cost time too, and nothing bounds them.
            if terms.low == "" and self.bounds.inline:
                raise BoundExceeded
            sql += " AND term GLOB ?"
            values.append(terms.glob)
        values.append(self.bounds.terms_max + 1)
        rows = self._execute(sql + " LIMIT ?", values).fetchall()
        if len(rows) > self.bounds.terms_max:
            raise BoundExceeded
        return [row[0] for row in rows]

    def _spend(self, size_bytes: int) -> None:
        self.bounds.bytes_max -= size_bytes
        if self.bounds.bytes_max < 0:
            raise BoundExceeded


_ROWS_UNPACKED_MAX = 64  # kept, for whoever asks for one register after the other
_unpacked = lru_cache(_ROWS_UNPACKED_MAX)(unpack)

_GONE_MAX = 1000  # rows that are kept track of though they are gone


@dataclass(slots=True)
class _Changed:
    """A record of the delta, at its place among all of them; without entries once it is gone.

    Its row is unpacked when it is needed, since it takes five times the room then.
    """

    record_id: int
    sequence: int
    place: int
    entries: bytes


class DeltaSegment:
    """The records changed since the last merge, in memory.

    Their rows are kept as they came; a register is made of them when it is first asked
    for, and then of those that have come since.
    """

    def __init__(self) -> None:
        self._changed: dict[int, _Changed] = {}  # by record
        self._in_turn: list[_Changed] = []  # as they came, some of them gone
        # register -> term -> `record_id << 12 | position`, ascending in no order
        self._terms: defaultdict[int, dict[str, list[int]]] = defaultdict(dict)
        self._read: dict[int, int] = {}  # by register: of how many of `_in_turn` it is made
        self._in_order: dict[int, list[str]] = {}
        self._displays: dict[tuple[int, str], str] = {}
        self.touched = BitMap()
        self.last_sequence = 0
        self.bounds = Bounds(0, 0)

    def __len__(self) -> int:
        return len(self._changed)

    def put(self, sequence: int, record_id: int, entries: bytes) -> None:
        """The record is now found by `entries` and by nothing else."""
        before = self._changed.get(record_id)
        if before is not None:
            self._take_out(before)
        changed = _Changed(record_id, sequence, len(self._in_turn), entries)
        self.last_sequence = sequence
        self._changed[record_id] = changed
        self._in_turn.append(changed)
        self.touched.add(record_id)
        if len(self._in_turn) > _GONE_MAX + 2 * len(self._changed):
            self._start_again()

    def forget_merged(self, merged_sequence: int) -> None:
        """Rows up to `merged_sequence` have gone into the main index."""
        merged = [key for key, each in self._changed.items() if each.sequence <= merged_sequence]
        for record_id in merged:
            del self._changed[record_id]
            self.touched.discard(record_id)
        self.last_sequence = max(self.last_sequence, merged_sequence)
        if merged:
            self._start_again()

    def _start_again(self) -> None:
        """Keep nothing but the rows that are there."""
        self._in_turn = list(self._changed.values())
        for place, changed in enumerate(self._in_turn):
            changed.place = place
        self._terms.clear()
        self._read.clear()
        self._in_order.clear()
        self._displays.clear()

    def _register(self, register_id: int) -> dict[str, list[int]]:
        """The places of each term of a register, of every record that is there."""
        register = self._terms[register_id]
        read, end = self._read.get(register_id, 0), len(self._in_turn)
        if read < end:
            self._read[register_id] = end
            for changed in self._in_turn[read:]:
                row = _unpacked(changed.entries)
                if register_id in row.registers:
                    self._put_in(register, register_id, changed.record_id, row)
        return register

    def _put_in(
        self, register: dict[str, list[int]], register_id: int, record_id: int, row: DeltaRow
    ) -> None:
        first = record_id << PLACE_SHIFT
        for term, position in row.postings(register_id):
            places = register.get(term)
            if places is None:
                places = register[term] = []
                self._in_order.pop(register_id, None)
            places.append(first | position)
        for term, display in row.displays.get(register_id, {}).items():
            self._displays.setdefault((register_id, term), display)

    def _take_out(self, changed: _Changed) -> None:
        row, changed.entries = _unpacked(changed.entries), b""
        for register_id in row.registers.keys() & self._read.keys():
            if changed.place >= self._read[register_id]:
                continue  # the register was not asked for since
            register = self._terms[register_id]
            for term in {term for term, _ in row.postings(register_id)}:
                places = [at for at in register[term] if at >> PLACE_SHIFT != changed.record_id]
                if places:
                    register[term] = places
                else:
                    del register[term]
                    self._in_order.pop(register_id, None)
                    self._displays.pop((register_id, term), None)

    def records(self, register_id: int, term: str) -> BitMap:
        places = self._register(register_id).get(term)
        return BitMap([place >> PLACE_SHIFT for place in places]) if places else BitMap()

    def positions(self, register_id: int, term: str) -> dict[int, BitMap]:
        shards: defaultdict[int, list[int]] = defaultdict(list)
        for place in self._register(register_id).get(term, ()):
            record_id, position = place >> PLACE_SHIFT, place & POSITION_MAX
            if position < POSITION_MAX:
                shards[record_id >> SHARD_BITS].append(
                    position << SHARD_BITS | record_id & SHARD_MASK
                )
        return {shard: BitMap(places) for shard, places in shards.items()}

    def values(self, register_id: int) -> dict[int, str]:
        """The term of each changed record, in a register where it has only one."""
        return {
            place >> PLACE_SHIFT: term
            for term, places in self._register(register_id).items()
            for place in places
        }

    def members(self, register_id: int, record_ids: BitMap) -> dict[str, BitMap]:
        """Which of some records have each term of a register; terms that none has are left out."""
        found = {}
        for term, places in self._register(register_id).items():
            records = BitMap([place >> PLACE_SHIFT for place in places]) & record_ids
            if records:
                found[term] = records
        return found

    def display(self, register_id: int, term: str) -> str | None:
        self._register(register_id)
        return self._displays.get((register_id, term))

    def terms(self, register_id: int, terms: TermRange) -> list[str]:
        in_order = self.terms_in_order(register_id)
        found = in_order[bisect_left(in_order, terms.low) : bisect_left(in_order, terms.high)]
        if terms.glob is not None:
            matches = _glob_pattern(terms.glob).fullmatch
            found = [term for term in found if matches(term)]
        if len(found) > self.bounds.terms_max:
            raise BoundExceeded
        return found

    def records_in(self, register_id: int, terms: TermRange) -> BitMap:
        found = self.terms(register_id, terms)
        register = self._register(register_id)
        return BitMap([place >> PLACE_SHIFT for term in found for place in register[term]])

    def terms_in_order(self, register_id: int) -> list[str]:
        """Every term of a register that records have, without START and END."""
        register = self._register(register_id)
        in_order = self._in_order.get(register_id)
        if in_order is None:
            in_order = sorted(register.keys() - {START, END})
            self._in_order[register_id] = in_order
        return in_order


def _glob_pattern(glob: str) -> re.Pattern[str]:
    """What SQLite's GLOB matches, for terms in memory."""
    parts = re.findall(r"\[(.)\]|(.)", glob, re.DOTALL)
    return re.compile(
        "".join(
            re.escape(quoted) if quoted else {"*": ".*", "?": "."}.get(plain, re.escape(plain))
            for quoted, plain in parts
        ),
        re.DOTALL,
    )


class IndexReader:
    """A read-only connection, its view of the index, and what it has read before.

    One caller at a time: `begin`, questions to `main` and `delta`, `release`.
    """

    def __init__(self, path: Path, *, cache_size_bytes_max: int = CACHE_SIZE_BYTES_MAX) -> None:
        """Raises StoreError: it cannot be opened, or a load has not been merged into it yet."""
        self.connection = open_reader(path)
        require_none(self.connection)
        self.main = MainSegment(self.connection, cache_size_bytes_max)
        self.delta = DeltaSegment()
        self.generation = 0
        self.register_ids: dict[str, int] = {}
        self._execute = self.connection.cursor().execute
        self._snapshot = Snapshot(self.connection, path)
        self._data_version = -1

    def begin(self, bounds: Bounds) -> bool:
        """Hold the newest state of the catalogue until `release`.

        May be called again before, for another question. True: this began a
        transaction, which holds up the folding of the log while it lasts.
        """
        is_new = self._snapshot.renew()
        if is_new:
            self._see_changes()
        self.main.bounds = self.delta.bounds = bounds
        return is_new

    def _see_changes(self) -> None:
        data_version = self._execute("PRAGMA data_version").fetchone()[0]
        if data_version != self._data_version:
            self._catch_up()
            self._data_version = data_version

    def release(self) -> None:
        self._snapshot.release()

    def records(self, register_id: int, term: str) -> BitMap:
        """The records that have the term, changed ones included; not to be changed."""
        records = self.main.records(register_id, term)
        if not self.delta.touched:
            return records
        return (records - self.delta.touched) | self.delta.records(register_id, term)

    def totals(self) -> dict[str, int]:
        """How many records each database holds, by its name."""
        register_id = self.register_ids[DATABASE]
        names = self.main.terms(register_id, TermRange(""))
        names += self.delta.terms(register_id, TermRange(""))
        return {name: len(self.records(register_id, name)) for name in names}

    def _catch_up(self) -> None:
        generation, merged_sequence = self._execute(
            "SELECT generation, merged_sequence FROM state"
        ).fetchone()
        if generation != self.generation:
            self.main.forget()
            self.delta.forget_merged(merged_sequence)
            self.generation = generation
            self.register_ids = dict(
                self._execute("SELECT name, register_id FROM register").fetchall()
            )
        changed = self._execute(
            "SELECT sequence, record_id, entries FROM delta WHERE sequence > ? ORDER BY sequence",
            (self.delta.last_sequence,),
        ).fetchall()
        for row in changed:
            self.delta.put(*row)

    def close(self) -> None:
        self.release()
        self.connection.close()
