"""`Catalogue` on SQLite: what a worker process asks of the shared catalogue.

Questions of known, small cost are answered at once on the event loop's own
connection, which is many times cheaper than a hop to a thread. One that turns
out to touch much is given up and done again in a thread, on another
connection, so that it holds up nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar, Unpack

from protocol.diagnostic import Bib1, Diagnostic
from protocol.iso2709 import MalformedRecord
from protocol.query import Clause, Query, SortSpec
from protocol.record import Database, Holding, StoredRecord
from store import evaluate
from store.clause import exact_keys
from store.facets import facets
from store.interface import FacetList, ResultSet, ScanExtent, ScanResult
from store.merging import MergeRows
from store.rank import by_relevance, is_ranked
from store.reader import CACHE_SIZE_BYTES_MAX, BoundExceeded, Bounds, IndexReader, TermRange
from store.record_values import RecordValuesCache
from store.records import HOLDING_COLUMNS, read_databases, read_holding
from store.registers import DATABASE
from store.result_set import RecordSet
from store.scan import scan
from store.sort import sort
from store.sort_ranks import RankCache
from store.sqlite import FILE_NAME
from store.versions import stamped

# What a query may touch on the event loop: some milliseconds at the worst.
INLINE_TERMS_MAX = 256
INLINE_BYTES_MAX = 4 << 20
# What a query may touch at all; more is Bib-1 234.
TERMS_MAX = 10_000
BYTES_MAX = 1 << 30
# A state of the catalogue that is looked at for longer holds up the log's folding.
SNAPSHOT_AGE_MAX_S = 0.02
INLINE_RECORDS_MAX = 256  # fetched on the event loop by one request
THREADS = 2

_STAMP = b"005"  # in the directory, the time of a version: records without it are given one
_ALL = frozenset({"default", "all"})
_SELECT_RECORD = (
    "SELECT record_id, database_id, control_number, unpacked(marc), version, modified_us, deleted"
    " FROM record WHERE record_id"
)
_SELECT_HOLDINGS = f"SELECT {HOLDING_COLUMNS} FROM holding WHERE record_id = ? ORDER BY institution"
_Answer = TypeVar("_Answer")


class SqliteCatalogue:
    """Read-only; any number of processes may have one open beside one writer."""

    def __init__(
        self, directory: Path, *, cache_size_bytes_max: int = CACHE_SIZE_BYTES_MAX
    ) -> None:
        """Open the catalogue that a `CatalogueWriter` made in `directory`.

        Raises:
            StoreError: there is none, or its schema is another.
        """
        self._path = directory / FILE_NAME
        self._cache_size_bytes_max = cache_size_bytes_max
        self._reader = IndexReader(self._path, cache_size_bytes_max=cache_size_bytes_max)
        self._execute = self._reader.connection.cursor().execute
        self._ranks = RankCache()
        self._record_values = RecordValuesCache()
        self._threads = ThreadPoolExecutor(THREADS, "catalogue")
        self._readers: SimpleQueue[IndexReader | None] = SimpleQueue()
        for _ in range(THREADS):
            self._readers.put(None)  # opened when first needed
        self._filled_in: tuple[int, frozenset[str]] = (-1, frozenset())  # of a generation
        self._databases_by_id = read_databases(self._reader.connection)
        self.databases: dict[str, Database] = {}
        for database in self._databases_by_id.values():
            for name in (database.name, *database.aliases):
                self.databases[name.casefold()] = database

    def resolve(self, names: Sequence[str]) -> tuple[Database, ...] | Diagnostic:
        """The databases meant by `names`, each once; unknown is Bib-1 109 with the name.

        `Default` and `all` mean every database, unless one is named so.
        """
        meant: dict[str, Database] = {}
        for name in names:
            folded = name.casefold()
            database = self.databases.get(folded)
            if database is not None:
                meant[database.name] = database
            elif folded in _ALL:
                meant.update((each.name, each) for each in self._databases_by_id.values())
            else:
                return Diagnostic(Bib1.DATABASE_UNAVAILABLE, name)
        return tuple(meant.values())

    async def search(
        self, databases: Sequence[Database], query: Query, sets: Mapping[str, ResultSet]
    ) -> RecordSet | Diagnostic:
        """The records of `databases` that match, in order of record id or of relevance.

        A query over more terms than TERMS_MAX is Bib-1 234; further diagnostics
        are those of `store.evaluate.plan`.
        """
        found = self.search_at_once(databases, query, sets)
        if found is not None:
            return found
        return await self._answer_elsewhere(
            lambda reader: self._search(reader, databases, query, sets)
        )

    def search_at_once(
        self, databases: Sequence[Database], query: Query, sets: Mapping[str, ResultSet]
    ) -> RecordSet | Diagnostic | None:
        """As `search`; None: it would hold up others."""
        try:
            return self._search(self._begin(), databases, query, sets)
        except BoundExceeded:
            return None

    def _search(
        self,
        reader: IndexReader,
        databases: Sequence[Database],
        query: Query,
        sets: Mapping[str, ResultSet],
    ) -> RecordSet | Diagnostic:
        if query.__class__ is Clause and not query.ranked:
            values = exact_keys(query, reader.register_ids)
            if values is not None:  # most searches of cataloguers: a number
                return RecordSet(
                    evaluate.search_values(reader, self._subset(reader, databases), *values)
                )
        instructions = evaluate.plan(query, reader.register_ids, sets)
        if isinstance(instructions, Diagnostic):
            return instructions
        records = evaluate.search(reader, self._subset(reader, databases), instructions)
        if is_ranked(query):
            return RecordSet(records, by_relevance(reader, query, records))
        return RecordSet(records)

    def _subset(self, reader: IndexReader, databases: Sequence[Database]) -> list[str] | None:
        """The names of some of the databases; None when they have every record there is."""
        if len(databases) >= len(self._databases_by_id):
            return None
        names = [database.name for database in databases]
        filled = self._filled(reader)
        if reader.delta.touched:
            filled = filled.union(reader.delta.terms_in_order(reader.register_ids[DATABASE]))
        return None if filled.issubset(names) else names

    def _filled(self, reader: IndexReader) -> frozenset[str]:
        """The names of the databases that have records in the merged index."""
        generation, filled = self._filled_in
        if generation != reader.generation:
            register_id = reader.register_ids[DATABASE]
            names = reader.main.terms(register_id, TermRange(""))
            filled = frozenset(name for name in names if reader.main.records(register_id, name))
            self._filled_in = reader.generation, filled
        return filled

    async def fetch(self, record_ids: Sequence[int]) -> list[StoredRecord | None]:
        """The newest version of each record, with a 005; None: no such record."""
        if len(record_ids) <= INLINE_RECORDS_MAX:
            return self.fetch_at_once(record_ids)
        records: list[StoredRecord | None] = []
        for first in range(0, len(record_ids), INLINE_RECORDS_MAX):
            records += await self.fetch(record_ids[first : first + INLINE_RECORDS_MAX])
            await asyncio.sleep(0)  # others take their turn
        return records

    def fetch_at_once(self, record_ids: Sequence[int]) -> list[StoredRecord | None]:
        """As `fetch`, of INLINE_RECORDS_MAX records at most."""
        self._begin()
        if len(record_ids) == 1:
            row = self._execute(f"{_SELECT_RECORD} = ?", record_ids).fetchone()
            return [None if row is None else self._record(row)]
        # A page in one statement takes half of what a statement for each record does.
        found = {
            row[0]: self._record(row)
            for row in self._execute(_select_records(len(record_ids)), record_ids)
        }
        return [found.get(record_id) for record_id in record_ids]

    def _record(self, row: Sequence[Any]) -> StoredRecord:
        record_id, database_id, control_number, marc, version, modified_us, deleted = row
        database = self._databases_by_id[database_id]
        if marc[36:39] != _STAMP and marc[48:51] != _STAMP:  # behind 001, or 001 and 003
            with suppress(MalformedRecord):  # damaged: told when a form is made of it
                marc = stamped(marc, modified_us)
        return StoredRecord(
            record_id, database, control_number, marc, version, modified_us, bool(deleted)
        )

    def survivor(self, record_id: int) -> StoredRecord | None:
        """The record that this one was merged into; None: it was not merged away."""
        self._begin()
        survivor_id = MergeRows(self._reader.connection).survivor(record_id)
        return self.fetch_at_once([survivor_id])[0] if survivor_id else None

    def former_numbers(self, record: StoredRecord) -> list[str]:
        """The control numbers of records that were merged into this one."""
        self._begin()
        return MergeRows(self._reader.connection).former_numbers(record.record_id, record.version)

    async def scan(
        self,
        databases: Sequence[Database],
        access_point: str,
        term: str,
        **extent: Unpack[ScanExtent],
    ) -> ScanResult | Diagnostic:
        """The ordered terms around `term`; see `store.scan.scan`."""
        return await self._answer(
            lambda reader: scan(
                reader, self._subset(reader, databases), access_point, term, **extent
            )
        )

    def scan_at_once(
        self,
        databases: Sequence[Database],
        access_point: str,
        term: str,
        **extent: Unpack[ScanExtent],
    ) -> ScanResult | Diagnostic | None:
        """As `scan`; None: it would hold up others."""
        return self._answer_at_once(
            lambda reader: scan(
                reader, self._subset(reader, databases), access_point, term, **extent
            )
        )

    async def sort(
        self, sets: Sequence[ResultSet], keys: Sequence[SortSpec]
    ) -> RecordSet | Diagnostic:
        """The union of `sets` in the order of `keys`; see `store.sort.sort`."""
        return await self._answer(lambda reader: sort(reader, self._ranks, sets, keys))

    def sort_at_once(
        self, sets: Sequence[ResultSet], keys: Sequence[SortSpec]
    ) -> RecordSet | Diagnostic | None:
        """As `sort`; None: it would hold up others."""
        return self._answer_at_once(lambda reader: sort(reader, self._ranks, sets, keys))

    async def facets(
        self,
        records: ResultSet,
        access_point: str,
        *,
        limit: int,
        start: int = 0,
        by_count: bool = True,
    ) -> FacetList | Diagnostic:
        """The values that `records` have, with their counts; see `store.facets.facets`."""
        return await self._answer(
            lambda reader: facets(
                reader,
                self._record_values,
                records,
                access_point,
                limit=limit,
                start=start,
                by_count=by_count,
            )
        )

    async def holdings(self, record_ids: Iterable[int]) -> dict[int, list[Holding]]:
        """What each record's holders have, by institution; records without are left out."""
        self._begin()
        found = {}
        for record_id in record_ids:
            rows = self._execute(_SELECT_HOLDINGS, (record_id,)).fetchall()
            if rows:
                found[record_id] = [read_holding(row) for row in rows]
        return found

    def totals(self) -> dict[str, int]:
        """Live records by database name."""
        totals = self._begin().totals()
        return {
            database.name: totals.get(database.name, 0)
            for database in self._databases_by_id.values()
        }

    def _begin(self) -> IndexReader:
        """The event loop's reader, on the newest state of the catalogue."""
        if self._reader.begin(Bounds(INLINE_TERMS_MAX, INLINE_BYTES_MAX, inline=True)):
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return self._reader  # nobody else waits for it, and it is closed at last
            loop.call_later(SNAPSHOT_AGE_MAX_S, self._reader.release)
        return self._reader

    async def _answer(self, question: Callable[[IndexReader], _Answer]) -> _Answer | Diagnostic:
        """Ask here if it costs little, otherwise in a thread."""
        found = self._answer_at_once(question)
        return found if found is not None else await self._answer_elsewhere(question)

    def _answer_at_once(self, question: Callable[[IndexReader], _Answer]) -> _Answer | None:
        """The answer, which is never None itself; None: it would hold up others."""
        try:
            return question(self._begin())
        except BoundExceeded:
            return None

    async def _answer_elsewhere(
        self, question: Callable[[IndexReader], _Answer]
    ) -> _Answer | Diagnostic:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._answer_in_thread, question)

    def _answer_in_thread(self, question: Callable[[IndexReader], _Answer]) -> _Answer | Diagnostic:
        reader = self._readers.get()
        try:
            if reader is None:
                reader = IndexReader(self._path, cache_size_bytes_max=self._cache_size_bytes_max)
            reader.begin(Bounds(TERMS_MAX, BYTES_MAX))
            try:
                return question(reader)
            except BoundExceeded:
                return Diagnostic(Bib1.TOO_MANY_INDEX_TERMS)
            finally:
                reader.release()
        finally:
            self._readers.put(reader)

    def close(self) -> None:
        """Wait for what is under way in threads, and close every connection."""
        self._threads.shutdown()
        self._reader.close()
        for _ in range(THREADS):
            reader = self._readers.get()
            if reader is not None:
                reader.close()


@cache
def _select_records(count: int) -> str:
    """Of INLINE_RECORDS_MAX records at most, so there are not many."""
    return f"{_SELECT_RECORD} IN ({','.join('?' * count)})"
