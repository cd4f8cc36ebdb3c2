"""Duplicates of a whole catalogue, in one pass over its records and one over what may agree.

The first pass writes down a few short keys of each record: its numbers, and its
title with its year. Records that share a key are pairs to be scored. A key is 8
octets and an id 4, so memory grows by some 150 octets a record, whatever its size.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from protocol.iso2709 import MalformedRecord, parse
from protocol.record import MarcFamily
from store.audit import UNKNOWN, Origin
from store.duplicate_facts import Facts, facts_of
from store.duplicate_score import POSSIBLE, Finding, Score, compare
from store.duplicates import DuplicateFinder
from store.editing import Editor, Merged
from store.parallel import Workers
from store.records import read_databases
from store.sqlite import StoreError
from store.uploaded import MERGE, UploadRows
from store.writer import CatalogueWriter

# Somebody looked at the two and undid their merge.
PARTED = Finding("a merge of them was undone")
_CHUNK_RECORDS = 2000
_FACTS_KEPT_MAX = 20_000
# Of records with one key each is compared with that many after it. Real duplicates
# are few; what thousands share is a dummy number or a title like "Report".
NEIGHBOURS_MAX = 50
_PARALLEL_RECORDS_MIN = 20_000

Keys = npt.NDArray[np.uint64]
Ids = npt.NDArray[np.uint32]
OnProgress = Callable[[str, int, int], None]
"""Called with what is done, how much of it so far, and how much there is."""


@dataclass(frozen=True, slots=True)
class Side:
    """One record of a pair. `holders` institutions hold it."""

    record_id: int
    control_number: str
    title: str
    holders: int
    level: str  # of cataloguing, leader/17


@dataclass(frozen=True, slots=True)
class Pair:
    """Two records that may be one. `keep` is the one that a merge would keep."""

    database: str
    keep: Side
    away: Side
    score: Score


def find_pairs(
    connection: sqlite3.Connection,
    *,
    database: str | None = None,
    after_id: int = 0,
    score_min: int = POSSIBLE,
    processes: int | None = None,
    progress: OnProgress | None = None,
) -> Iterator[Pair]:
    """Every pair of live records that may be one, by ascending record id.

    `database`: of that one only; records of two databases are never a pair.
    `after_id`: only pairs with a record of a larger id. `processes` take the keys
    of records, None: one a core. The caller holds a read transaction if the
    answer shall be of one moment.
    """
    for database_id, each in read_databases(connection).items():
        if database is None or each.name == database:
            finder = _Finder(connection, database_id, each.name, each.family, progress)
            yield from finder.pairs(after_id, score_min, processes)


def pairs_with(
    connection: sqlite3.Connection,
    finder: DuplicateFinder,
    database: str,
    record_ids: Iterable[int],
    *,
    score_min: int = POSSIBLE,
) -> Iterator[Pair]:
    """The pairs that some records of a database are in, each once, found one by one."""
    ((database_id, family),) = (
        (database_id, each.family)
        for database_id, each in read_databases(connection).items()
        if each.name == database
    )
    chosen = set(record_ids)
    reading = _Finder(connection, database_id, database, family, None)
    for record_id in sorted(chosen):
        row = connection.execute(
            "SELECT unpacked(marc) FROM record WHERE record_id = ? AND NOT deleted", (record_id,)
        ).fetchone()
        if row is None:
            continue
        for each in finder.candidates(row[0], database, besides=record_id, score_min=score_min):
            # A pair of two of them is told by the later one.
            if each.record_id < record_id or each.record_id not in chosen:
                pair = reading.pair(record_id, each.record_id, score_min)
                if pair is not None:
                    yield pair


def pair_of(
    connection: sqlite3.Connection,
    database: str,
    one: int,
    other: int,
    *,
    score_min: int = POSSIBLE,
) -> Pair | None:
    """Two records of a database with their score; None: it is too low, or one has gone."""
    for database_id, each in read_databases(connection).items():
        if each.name == database:
            reading = _Finder(connection, database_id, database, each.family, None)
            return reading.pair(one, other, score_min)
    return None


def merge_certain(
    writer: CatalogueWriter,
    pairs: Iterable[tuple[int, int]],
    *,
    account: str,
    origin: Origin = UNKNOWN,
) -> Iterator[Merged]:
    """Merge the pairs of record ids that are certain; yields what became one.

    `account` is who merges, and `origin` from where; both are written down.
    Each is looked at once more in the transaction that merges it, as it is by
    then: a record that went into another one before stands for that one.
    """
    editor, rows = Editor(writer), UploadRows(writer.connection)
    for pair in pairs:
        with writer.transaction():
            one, other = (writer.merges.survivor(each) or each for each in pair)
            stored = writer.rows.get(one)
            if one == other or stored is None:
                continue
            again = pair_of(writer.connection, stored.database.name, one, other)
            if again is None or not again.score.is_certain:
                continue
            reason = f"duplicate, {again.score.points}: {'; '.join(again.score.reasons)}"
            merged = editor.merge(
                again.keep.record_id, again.away.record_id, account=account, reason=reason
            )
            rows.add(
                merged.away.record_id, merged.away.version, MERGE, institution="",
                account=account, protocol=origin.protocol, address=origin.address,
                at_us=merged.away.modified_us,
            )  # fmt: skip
        yield merged


class _Finder:
    """Keys and pairs of one database."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        database_id: int,
        name: str,
        family: MarcFamily,
        progress: OnProgress | None,
    ) -> None:
        self._connection = connection
        self._database_id = database_id
        self._name = name
        self._family = family
        self._progress = progress
        self._known: OrderedDict[int, tuple[Side, Facts] | None] = OrderedDict()
        self._parted = {
            frozenset(pair)
            for pair in connection.execute(
                "SELECT away_id, keep_id FROM record_merge WHERE undone_us IS NOT NULL"
            )
        }

    def pairs(self, after_id: int, score_min: int, processes: int | None) -> Iterator[Pair]:
        firsts, seconds = _pairs_of(*self._keys(processes), after_id)
        for start in range(0, len(firsts), _CHUNK_RECORDS):
            if self._progress is not None:
                self._progress(f"{self._name}: comparing", start, len(firsts))
            end = start + _CHUNK_RECORDS
            for first, second in zip(
                firsts[start:end].tolist(), seconds[start:end].tolist(), strict=True
            ):
                pair = self.pair(first, second, score_min)
                if pair is not None:
                    yield pair

    def pair(self, first: int, second: int, score_min: int) -> Pair | None:
        """Two records with their score; None: it is too low, or one has gone."""
        one, other = self._record(first), self._record(second)
        if one is None or other is None:
            return None
        score = compare(one[1], other[1])
        if score.points < score_min:
            return None
        if frozenset((first, second)) in self._parted:  # by somebody who looked at them
            score = Score(score.points, (*score.findings, PARTED), False)
        return Pair(self._name, *in_order_of_worth(one[0], other[0]), score)

    def _keys(self, processes: int | None) -> tuple[Keys, Ids]:
        (total,) = self._connection.execute(
            "SELECT count(*) FROM record WHERE database_id = ? AND NOT deleted",
            (self._database_id,),
        ).fetchone()
        if processes is None and total < _PARALLEL_RECORDS_MIN:
            processes = 0
        parts: list[tuple[Keys, Ids]] = []
        done = 0
        with Workers(processes) as workers:
            for count, keys, ids in workers.map(_keys_of_chunk, self._chunks()):
                parts.append((keys, ids))
                done += count
                if self._progress is not None:
                    self._progress(f"{self._name}: reading", done, total)
        if not parts:
            return np.empty(0, np.uint64), np.empty(0, np.uint32)
        return np.concatenate([part[0] for part in parts]), np.concatenate(
            [part[1] for part in parts]
        )

    def _chunks(self) -> Iterator[tuple[MarcFamily, list[tuple[int, bytes]]]]:
        last_id = 0
        while True:
            # Read apart, so that no statement keeps the log from being folded.
            rows = self._connection.execute(
                "SELECT record_id, unpacked(marc) FROM record WHERE record_id > ?"
                " AND database_id = ? AND NOT deleted ORDER BY record_id LIMIT ?",
                (last_id, self._database_id, _CHUNK_RECORDS),
            ).fetchall()
            if not rows:
                return
            yield self._family, rows
            last_id = rows[-1][0]

    def _record(self, record_id: int) -> tuple[Side, Facts] | None:
        if record_id in self._known:
            self._known.move_to_end(record_id)
            return self._known[record_id]
        row = self._connection.execute(
            "SELECT control_number, unpacked(marc), (SELECT count(*) FROM holding"
            " WHERE holding.record_id = record.record_id) FROM record"
            " WHERE record_id = ? AND database_id = ? AND NOT deleted",
            (record_id, self._database_id),
        ).fetchone()
        known = None
        if row is not None:
            number, marc, holders = row
            record = parse(marc)
            field = record.first("245" if self._family is MarcFamily.MARC21 else "200")
            title = " ".join(field.values("a")) if field is not None else ""
            side = Side(record_id, number, title, holders, record.leader[17:18])
            known = (side, facts_of(record, self._family))
        self._known[record_id] = known
        if len(self._known) > _FACTS_KEPT_MAX:
            self._known.popitem(last=False)
        return known


def in_order_of_worth(one: Side, other: Side) -> tuple[Side, Side]:
    """The record to keep, and the one to merge into it.

    Kept is what more institutions hold, then the fuller level of cataloguing,
    then the older record: the fewest libraries have another number afterwards.
    """
    first, second = sorted((one, other), key=_worth)
    return first, second


# Full, full but not from the item, less than full …; what is not listed comes last.
_LEVELS = " 1I24573K8M"


def _worth(side: Side) -> tuple[int, int, int]:
    level = _LEVELS.find(side.level)
    return -side.holders, level if level >= 0 else len(_LEVELS), side.record_id


def _keys_of_chunk(
    chunk: tuple[MarcFamily, list[tuple[int, bytes]]],
) -> tuple[int, Keys, Ids]:
    """How many records a chunk has, and their keys with the record of each."""
    family, rows = chunk
    keys: list[int] = []
    ids: list[int] = []
    for record_id, marc in rows:
        try:
            record = parse(marc)
        except MalformedRecord as error:
            raise StoreError(f"record {record_id} is damaged: {error}") from error
        for each in blocking_keys(facts_of(record, family)):
            keys.append(int.from_bytes(blake2b(each.encode(), digest_size=8).digest()))
            ids.append(record_id)
    return len(rows), np.array(keys, np.uint64), np.array(ids, np.uint32)


def blocking_keys(facts: Facts) -> Sequence[str]:
    """What a record must share with another for the two to be compared."""
    keys = [f"isbn {number}" for number in facts.isbns]
    keys += [f"number {number}" for number in facts.numbers]
    if facts.is_serial:
        keys += [f"issn {number}" for number in facts.issns]
        keys.append(f"serial {facts.title}")
    elif facts.title:
        keys += [f"title {facts.title} {year}" for year in facts.years or (0,)]
    return keys


def _pairs_of(keys: Keys, ids: Ids, after_id: int) -> tuple[Ids, Ids]:
    """The pairs of records that share a key, each once, the smaller id first."""
    order = np.lexsort((ids, keys))
    keys, ids = keys[order], ids[order]
    firsts, seconds = [np.empty(0, np.uint32)], [np.empty(0, np.uint32)]
    for apart in range(1, NEIGHBOURS_MAX + 1):
        same = np.flatnonzero(keys[apart:] == keys[:-apart])
        if not same.size:
            break
        firsts.append(ids[same])
        seconds.append(ids[same + apart])
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    chosen = (first != second) & (second > after_id)
    both = first[chosen].astype(np.uint64) << np.uint64(32) | second[chosen]
    both = np.unique(both)
    return (
        (both >> np.uint64(32)).astype(np.uint32),
        (both & np.uint64(0xFFFFFFFF)).astype(np.uint32),
    )
