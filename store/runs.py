"""Runs that wait to be merged into the main index: which there are, and the merge.

A load that nobody searches beside does not rewrite the index with every batch. It
leaves the postings of each chunk in a sorted run, a file below `index_runs/`. A row
of the table `index_run` makes it part of the catalogue in the transaction that stores
the records. At the end all runs are merged at once, in the order of the index.

What the index is, is the main rows and every run: a run adds its postings or takes
them away, each version of a record once, so that their order means nothing. Readers
see the main rows alone. So no catalogue is searched while runs wait: whoever opens
it to write merges them first, and whoever opens it to search is refused.

The table is there only while there are runs. All functions that change it work
inside the caller's transaction.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import uuid
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import compress, pairwise, repeat
from operator import ne
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from store import postings
from store.batch import Statements, cut_sorted, register_functions
from store.durable import sync
from store.gather import PLACE_SHIFT
from store.page_filling import PageFilling
from store.postings import SHARD_BITS, SHARD_MASK
from store.run_file import (
    POSTING,
    Numbers,
    Rows,
    RunFile,
    Section,
    SectionReader,
    distinct,
    is_whole,
)
from store.sqlite import StoreError

FOLDER_NAME = "index_runs"
# Of one piece of work of a merge: memory goes with both, some 30 and 300 octets each.
SLICE_VALUES_MAX = 4_000_000
SLICE_TERMS_MAX = 100_000
_SAMPLES = 8  # terms looked at for each slice that a section is cut into

_TABLE = """
CREATE TABLE IF NOT EXISTS index_run (
    run_id     INTEGER PRIMARY KEY,
    sign       INTEGER NOT NULL,     -- 1: its postings come, -1: they go
    file       TEXT NOT NULL,        -- below the data folder
    size_bytes INTEGER NOT NULL,
    crc        INTEGER NOT NULL,
    sections   BLOB NOT NULL,        -- see store/run_file.py
    ids        BLOB NOT NULL         -- the record at each place, 32 bits each; -1: left out
)
"""

Ids = int | bytes
"""The records at the places of a run: the first of them in a row, or all as 32 bits each."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_SHARD_NUMBER_BITS = 31 - SHARD_BITS
_SHARD_NUMBER_MASK = (1 << _SHARD_NUMBER_BITS) - 1
_TERM_SHIFT = 32 + _SHARD_NUMBER_BITS
_LOW_MASK = np.uint64(0xFFFFFFFF)
_SECTIONS_DECODER = msgspec.msgpack.Decoder(list[Section])


class RunFolder:
    """Where one load writes its runs; nobody else removes them while it is open."""

    def __init__(self, catalogue_path: Path) -> None:
        """Raises StoreError: the folder cannot be made."""
        self._data_dir = catalogue_path.parent
        self.path = self._data_dir / FOLDER_NAME / uuid.uuid4().hex
        try:
            self.path.mkdir(parents=True)
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            for folder in (self.path.parent, self._data_dir):
                sync(folder)
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._descriptor)

    def new_file(self) -> Path:
        return new_file(self.path)

    def sync(self) -> None:
        """Have the names of all files on disk that were written so far."""
        os.fsync(self._descriptor)


def new_file(folder: Path) -> Path:
    """A name for the next run."""
    return folder / f"{uuid.uuid4().hex}.run"


class RunDamagedError(StoreError):
    """The file of a run cannot be read; `reindex` makes the index from the records."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is gone or damaged: run `lianmu reindex`")


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is part of the catalogue."""

    run_id: int
    sign: int
    file: RunFile
    ids: npt.NDArray[np.int32]


def add_run(
    connection: sqlite3.Connection, path: Path, run: RunFile, ids: Sequence[int], sign: int
) -> None:
    """Make a run part of the catalogue at `path`; `ids[n]` is the record at place n."""
    if not run.sections:
        return
    connection.execute(_TABLE)
    connection.execute(
        "INSERT INTO index_run (sign, file, size_bytes, crc, sections, ids)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            sign,
            str(Path(run.path).relative_to(path.parent)),
            run.size_bytes,
            run.crc,
            msgspec.msgpack.encode(run.sections),
            np.array(ids, np.int32).tobytes(),
        ),
    )


def are_waiting(connection: sqlite3.Connection) -> bool:
    """Whether any run waits to be merged."""
    sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'index_run'"
    return bool(connection.execute(sql).fetchone()[0])


def require_none(connection: sqlite3.Connection) -> None:
    """Raise StoreError when the main index has not everything that is stored."""
    if are_waiting(connection):
        raise StoreError(
            "a load into this catalogue is under way or was broken off, and the index lacks what"
            " it has stored: wait for it, give the same `lianmu load` again, or start the server"
        )


def waiting(connection: sqlite3.Connection, path: Path) -> list[Run]:
    """The runs that wait to be merged, in the order in which they came."""
    if not are_waiting(connection):
        return []
    return [
        Run(
            run_id,
            sign,
            RunFile(str(path.parent / file), size_bytes, crc, _SECTIONS_DECODER.decode(sections)),
            np.frombuffer(ids, np.int32),
        )
        for run_id, sign, file, size_bytes, crc, sections, ids in connection.execute(
            "SELECT run_id, sign, file, size_bytes, crc, sections, ids FROM index_run"
            " ORDER BY run_id"
        )
    ]


def touched(runs: Iterable[Run]) -> BitMap:
    """The records that any of the runs speaks of."""
    found = BitMap()
    for run in runs:
        found.update(run.ids[run.ids >= 0].tolist())
    return found


def damage(runs: Iterable[Run]) -> Iterator[str]:
    """What is wrong with the files of some runs."""
    for run in runs:
        if not is_whole(run.file):
            yield str(RunDamagedError(run.file.path))


def forget(connection: sqlite3.Connection) -> None:
    """The main index has what all runs bring."""
    connection.execute("DROP TABLE IF EXISTS index_run")


def sweep(connection: sqlite3.Connection, path: Path) -> None:
    """Remove files of runs that are merged, or were never finished, outside a transaction.

    Those of a load that is under way stay.
    """
    folder = path.parent / FOLDER_NAME
    if not folder.is_dir():
        return
    kept = {Path(run.file.path) for run in waiting(connection, path)}
    with suppress(OSError):  # the next one tries again
        for each in folder.iterdir():
            descriptor = os.open(each, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if any(file in kept for file in each.iterdir()):
                    for file in each.iterdir():
                        if file not in kept:
                            file.unlink()
                else:
                    shutil.rmtree(each)
            except OSError:
                continue  # its load is under way
            finally:
                os.close(descriptor)
        folder.rmdir()


# The merge.


class Piece(NamedTuple):
    """Some rows of one section of a run."""

    path: str
    section: Section
    first: int
    end: int
    ids: Ids
    sign: int


Slice = list[Piece]
"""Pieces of all runs with the terms of one range, of one register and table."""


class Map(Protocol):
    """How `map` is called, with one iterable."""

    def __call__(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item], /
    ) -> Iterable[_Result]: ...


def merge_waiting(
    connection: sqlite3.Connection,
    path: Path,
    *,
    share: Map = map,
    progress: Callable[[int, int], None] | None = None,
) -> BitMap:
    """Merge every run into the main index; returns the records that they speak of.

    `share` may spread the work over processes, in order; what is left to do here is
    writing. `progress` is called with slices done, and how many there are.

    Raises:
        RunDamagedError: the file of a run is gone or damaged.
    """
    runs = waiting(connection, path)
    if not runs:
        return BitMap()
    register_functions(connection)
    sql = Statements()
    filling = PageFilling(connection) if PageFilling.is_possible(connection) else None
    (is_empty,) = connection.execute(
        "SELECT NOT EXISTS (SELECT 1 FROM posting) AND NOT EXISTS (SELECT 1 FROM position)"
    ).fetchone()
    add = (sql.insert_records, sql.insert_positions)
    if not is_empty:
        add = (sql.add_records, sql.add_positions)
    for merged in merged_rows(runs, share):
        removed, table = merged.removed, merged.table
        if removed:
            remove, delete, key_size = (
                (sql.remove_records, sql.delete_records, 2)
                if table == POSTING
                else (sql.remove_positions, sql.delete_positions, 3)
            )
            connection.executemany(remove, removed)
            connection.executemany(delete, [row[:key_size] for row in removed])
        if filling is not None:
            filling.add(table, merged.added)
        else:
            connection.executemany(add[table], merged.added)
        if progress is not None:
            progress(merged.number + 1, merged.count)
    if filling is not None:
        filling.finish()
    connection.execute("UPDATE state SET generation = generation + 1")
    forget(connection)
    return touched(runs)


@dataclass(frozen=True, slots=True)
class Merged:
    """Rows that come to a table of the index, and that go, in the order of their keys.

    It is the slice `number`, from 0, of `count`.
    """

    table: int
    added: list[Sequence[object]]
    removed: list[Sequence[object]]
    number: int
    count: int


def merged_rows(runs: Sequence[Run], share: Map) -> Iterator[Merged]:
    """What all runs come to, in the order of the index.

    Raises:
        RunDamagedError: the file of a run is gone or damaged.
    """
    files = [run.file for run in runs]
    for file, whole in zip(files, share(is_whole, files), strict=True):
        if not whole:
            raise RunDamagedError(file.path)
    slices = _slices(runs)
    tables = [each[0].section.table for each in slices]
    for number, octets in enumerate(share(merge_slice, slices)):
        added, removed = msgspec.msgpack.decode(octets)
        yield Merged(tables[number], added, removed, number, len(slices))


def _slices(runs: Sequence[Run]) -> list[Slice]:
    """The whole work of a merge, in the order of the tables' keys."""
    ids = {run.run_id: _short(run.ids) for run in runs}
    sections: defaultdict[tuple[int, int], list[Piece]] = defaultdict(list)
    for run in runs:
        for section in run.file.sections:
            sections[section.table, section.register_id].append(
                Piece(run.file.path, section, 0, section.terms, ids[run.run_id], run.sign)
            )
    slices: list[Slice] = []
    for _, pieces in sorted(sections.items()):
        slices += _cut(pieces)
    return slices


def _short(ids: npt.NDArray[np.int32]) -> Ids:
    first = int(ids[0])
    if first >= 0 and np.array_equal(ids, np.arange(first, first + len(ids))):
        return first
    return ids.tobytes()


def _cut(pieces: Slice) -> Iterator[Slice]:
    """Whole sections in slices of about equal size."""
    values = sum(piece.section.values for piece in pieces)
    terms = sum(piece.section.terms for piece in pieces)
    count = max(-(-values // SLICE_VALUES_MAX), -(-terms // SLICE_TERMS_MAX))
    if count < 2:
        yield pieces
        return
    samples: list[tuple[str, float]] = []
    for piece in pieces:
        with _opened(piece.path) as descriptor:
            reader = SectionReader(descriptor, piece.section)
            known, cuts = reader.terms(), reader.value_cuts()
        step = max(1, len(known) // (count * _SAMPLES))
        for first in range(0, len(known), step):
            end = min(first + step, len(known))
            weight = (end - first) / terms + (cuts[end] - cuts[first]) / values
            samples.append((known[first], weight))
    samples.sort()
    bounds: list[str] = []
    total = 0.0
    for term, weight in samples:
        if total >= 2 * (len(bounds) + 1) / count and (not bounds or term > bounds[-1]):
            bounds.append(term)
        total += weight
    slices: list[Slice] = [[] for _ in range(len(bounds) + 1)]
    for piece in pieces:
        with _opened(piece.path) as descriptor:
            known = SectionReader(descriptor, piece.section).terms()
        cuts = [0, *(bisect_left(known, bound) for bound in bounds), len(known)]
        for number, (first, end) in enumerate(pairwise(cuts)):
            if first < end:
                slices[number].append(piece._replace(first=first, end=end))
    yield from filter(None, slices)


class _opened:  # noqa: N801 - used like a function
    """A file's descriptor for `with`."""

    def __init__(self, path: str) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise RunDamagedError(path) from None

    def __enter__(self) -> int:
        return self._descriptor

    def __exit__(self, *error: object) -> None:
        os.close(self._descriptor)


def merge_slice(pieces: Slice) -> bytes:
    """The rows that come and those that go, in the order of their keys, as MessagePack.

    Runs in any process.
    """
    table, register_id = pieces[0].section.table, pieces[0].section.register_id
    names: list[str] = []
    displays: list[str] = []
    read: list[Rows] = []
    for piece in pieces:
        with _opened(piece.path) as descriptor:
            rows = SectionReader(descriptor, piece.section).rows(piece.first, piece.end)
        names += rows.terms
        read.append(rows)
    if any(rows.displays for rows in read):
        for rows in read:
            displays += rows.displays or repeat("", len(rows.terms))
    order = sorted(range(len(names)), key=names.__getitem__)  # equal ones in the order of runs
    ordered = [names[number] for number in order]
    is_new = [True, *map(ne, ordered[1:], ordered)]
    ranks = np.empty(len(names), np.uint64)
    ranks[order] = np.cumsum(is_new, dtype=np.uint64) - np.uint64(1)
    terms = list(compress(ordered, is_new))
    shown: list[str | None] = [None] * len(terms)
    if displays:
        for number, rank in enumerate(ranks.tolist()):
            if displays[number] and shown[rank] is None:
                shown[rank] = displays[number]
    parts: dict[int, list[Numbers]] = {1: [], -1: []}
    first = 0
    for piece, rows in zip(pieces, read, strict=True):
        own = np.repeat(ranks[first : first + len(rows.terms)], rows.counts)
        first += len(rows.terms)
        parts[piece.sign].append(_numbers(table, own, rows.values, piece.ids))
    del names, displays, read, order, ordered, is_new, ranks
    if table == POSTING:
        merged = [_posting_rows(register_id, terms, shown, each) for each in _net(parts)]
    else:
        merged = [_position_rows(register_id, terms, each) for each in _net(parts)]
    return msgspec.msgpack.encode(merged)


def _numbers(
    table: int, ranks: Numbers, values: npt.NDArray[np.unsignedinteger[Any]], ids: Ids
) -> Numbers:
    """Postings as numbers in the order of the rows: term, shard, and what the blob holds."""
    places = values if table == POSTING else values >> np.uint32(PLACE_SHIFT)
    if isinstance(ids, int):
        records = places.astype(np.uint64) + np.uint64(ids)
    else:
        found = np.frombuffer(ids, np.int32)[places]
        if found.min(initial=0) < 0:
            is_there = found >= 0
            found, ranks, values = found[is_there], ranks[is_there], values[is_there]
        records = found.astype(np.uint64)
    numbers: Numbers = ranks << np.uint64(_TERM_SHIFT)
    if table == POSTING:
        numbers |= records
        return numbers
    positions = (values & np.uint32((1 << PLACE_SHIFT) - 1)).astype(np.uint64)
    numbers |= records >> np.uint64(SHARD_BITS) << np.uint64(32)
    numbers |= positions << np.uint64(SHARD_BITS)
    numbers |= records & np.uint64(SHARD_MASK)
    return numbers


def _net(parts: dict[int, list[Numbers]]) -> tuple[Numbers, Numbers]:
    """What comes and what goes when all has come and gone."""
    added = _sorted(parts[1])
    removed = _sorted(parts[-1])
    if not removed.size:
        return distinct(added), removed
    # What comes back as often as it goes is there as before, and so on.
    values, sums = np.unique(np.concatenate((added, removed)), return_inverse=True)
    signs = np.ones(added.size + removed.size, np.int64)
    signs[added.size :] = -1
    net = np.bincount(sums, weights=signs, minlength=values.size)
    return values[net > 0], values[net < 0]


def _sorted(parts: list[Numbers]) -> Numbers:
    numbers = np.concatenate(parts) if parts else np.empty(0, np.uint64)
    parts.clear()
    numbers.sort()
    return numbers


def _posting_rows(
    register_id: int, terms: list[str], shown: list[str | None], numbers: Numbers
) -> list[tuple[object, ...]]:
    encode, shift = postings.encode_numbers, _SHARD_NUMBER_BITS
    return [
        (register_id, terms[group >> shift], end - start, shown[group >> shift], encode(data))
        for start, end, group, data in cut_sorted(numbers, 32, _LOW_MASK)
    ]


def _position_rows(
    register_id: int, terms: list[str], numbers: Numbers
) -> list[tuple[object, ...]]:
    encode, shift, mask = postings.encode_positions, _SHARD_NUMBER_BITS, _SHARD_NUMBER_MASK
    return [
        (register_id, terms[group >> shift], group & mask, encode(data))
        for _, _, group, data in cut_sorted(numbers, 32, _LOW_MASK)
    ]
