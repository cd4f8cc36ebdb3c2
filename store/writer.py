"""Changing the catalogue: one record or holding at a time, searchable at once.

A change writes the record, its history and one row of the delta in the same
transaction; `merge` later folds the delta into the main index, in steps short
enough that nobody waits long for the write lock. Readers never wait.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pyroaring import BitMap

from protocol.iso2709 import parse
from protocol.record import Database, Holding, StoredRecord
from store import versions
from store.batch import Batch
from store.delta_row import RecordPostings, add_changes, add_row, pack, unpack
from store.gather import Postings
from store.index import Target, Text, index_record
from store.merging import MergeRows, with_numbers
from store.parallel import Workers
from store.postings import encode
from store.records import RecordRows, agency_of, with_number
from store.registers import fingerprint, register_names
from store.runs import Map, RunDamagedError, are_waiting, merge_waiting, sweep
from store.sqlite import FILE_NAME, StoreError, open_writer, transaction

MERGE_AFTER_RECORDS = 500  # readers keep that many in memory, some 10 kB each
MERGES_LOGGED = 1000
MERGE_STEP_RECORDS = 250  # holds the write lock for less than 0.1 s


@dataclass(frozen=True, slots=True)
class VersionConflict:
    """The record is no longer, or not yet, in the version that an update was made from."""

    record_id: int  # 0: there is no such record
    version: int  # the newest
    identifier: str = field(default="", compare=False)  # field 005 of that version

    def __str__(self) -> str:
        if not self.record_id:
            return "there is no such record yet"
        named = f"version {self.version}, {self.identifier}".rstrip(", ")
        return f"the record has changed since: it is in {named}; read it again and repeat"


class UnknownRecord(StoreError):  # noqa: N818 - the name says what it is
    """There is no such record, or it is deleted."""


class MergedRecord(UnknownRecord):
    """The record was merged into another one, `survivor_id`."""

    def __init__(self, message: str, survivor_id: int) -> None:
        super().__init__(message)
        self.survivor_id = survivor_id


@dataclass(frozen=True, slots=True)
class Base:
    """What the main index holds of a record: a version (0: nothing) and its holders."""

    version: int
    institutions: list[str]


class CatalogueWriter:
    """The one way to change a catalogue. Processes take turns, transaction by transaction."""

    def __init__(
        self,
        directory: Path,
        databases: Sequence[Database] = (),
        *,
        durable: bool = True,
        merge_after_records: int | None = MERGE_AFTER_RECORDS,
    ) -> None:
        """Open the catalogue in `directory`; create it, and `databases`, where missing.

        Without `durable` a crash of the machine may lose the last commits.
        `merge_after_records`: that many changed records start a merge step at
        the end of a transaction; None leaves merging to the caller.

        Raises:
            StoreError: the file's schema is newer than this program.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / FILE_NAME
        self.connection = open_writer(self.path, durable=durable)
        self.rows = RecordRows(self.connection)
        self.merges = MergeRows(self.connection)
        self.register_ids: dict[str, int] = {}
        self._merge_after_records: int | None = None
        self._in_transaction = False
        with self.transaction():
            self.rows.add_databases(databases)
            self._set_up_index()
        self._merge_left_runs()
        self._merge_after_records = merge_after_records

    def _set_up_index(self) -> None:
        execute = self.connection.execute
        for name in register_names():
            execute("INSERT INTO register (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
        self.register_ids = dict(execute("SELECT name, register_id FROM register").fetchall())
        self._register_names = {number: name for name, number in self.register_ids.items()}
        execute("INSERT INTO meta VALUES ('index', ?) ON CONFLICT DO NOTHING", (fingerprint(),))
        self._see_index()

    def _see_index(self) -> None:
        row = self.connection.execute("SELECT value FROM meta WHERE key = 'index'").fetchone()
        self.is_index_current = row[0] == fingerprint()

    @property
    def databases(self) -> list[Database]:
        return list(self.rows.databases.values())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several changes that come together or not at all; may be nested.

        Raises:
            StoreError: the catalogue cannot be written; nothing has changed.
        """
        if self._in_transaction:
            yield
            return
        with transaction(self.connection, self.path):
            self._in_transaction = True
            try:
                yield
                if self._merge_after_records is not None and (
                    self._delta_count() > self._merge_after_records
                ):
                    self.merge_step(MERGE_STEP_RECORDS)
            finally:
                self._in_transaction = False

    def put(
        self,
        database: str,
        marc: bytes,
        *,
        account: str = "",
        at_us: int | None = None,
        if_version: int | None = None,
    ) -> StoredRecord | VersionConflict:
        """Store a record: a new one, or the next version of the one with its number.

        `marc` is in the stored form. The identity is (database, 003, 001). A
        record without 001 is given one; the same octets without 001 are the
        same record again. Octets that are stored already change nothing, and so
        do those of a record that was merged away: its survivor is returned.
        `if_version` is the version that the caller read; 0: it must be new.

        Raises:
            StoreError: unknown database, or the index must be rebuilt first.
            MalformedRecord: `marc` is not in the stored form.
        """
        self.require_current_index()
        record = parse(marc)
        agency, number = agency_of(record), record.control_number
        with self.transaction():
            database_id = self.rows.database_id(database)
            stored = self.rows.resolve(database_id, agency, number, marc)
            version = stored.version if stored else 0
            if if_version is not None and if_version != version:
                return VersionConflict(0, 0) if stored is None else conflict(stored)
            at_us = now_us() if at_us is None else at_us
            if stored is not None and stored.deleted:
                survivor = self.rows.get(self.merges.survivor(stored.record_id))
                if survivor is not None:
                    return survivor
            if stored is None:
                record_id = self.rows.next_record_id()
                if not number:
                    number, marc = self.rows.assign_number(database_id, record_id, marc)
                stored = self.rows.insert(
                    record_id, database_id, (agency, number), marc, account=account, at_us=at_us
                )
                self.write_delta(stored, Base(0, []))
                return stored
            if not number:
                marc = with_number(marc, stored.control_number)
            if stored.marc == marc and not stored.deleted:
                return stored
            base = self.base(stored)
            stored = self.rows.replace(stored, marc, account, at_us)
            self.write_delta(stored, base)
            return stored

    def delete(
        self,
        record_id: int,
        *,
        account: str = "",
        at_us: int | None = None,
        if_version: int | None = None,
    ) -> StoredRecord | VersionConflict:
        """Take a record out of every search; its number and history remain.

        Raises:
            UnknownRecord: there is none, or it is deleted already.
        """
        self.require_current_index()
        with self.transaction():
            stored = self.live(record_id)
            if if_version is not None and if_version != stored.version:
                return conflict(stored)
            base = self.base(stored)
            at_us = now_us() if at_us is None else at_us
            stored = self.rows.replace(stored, stored.marc, account, at_us, deleted=True)
            self.write_delta(stored, base)
            return stored

    def put_holding(self, holding: Holding, *, account: str = "", at_us: int | None = None) -> bool:
        """Store what an institution holds of a record; True: it held nothing before.

        Raises:
            UnknownRecord: there is no such record, or it is deleted.
        """
        self.require_current_index()
        with self.transaction():
            stored = self.live(holding.record_id)
            at_us = now_us() if at_us is None else at_us
            if holding.institution in self.rows.holders(holding.record_id):
                self.rows.write_holding(holding, at_us)
                return False
            base = self.base(stored)
            self.rows.write_holding(holding, at_us)
            self.rows.write_holding_event(holding.institution, holding.record_id, 1, at_us, account)
            self.write_delta(stored, base)
            return True

    def remove_holding(
        self, institution: str, record_id: int, *, account: str = "", at_us: int | None = None
    ) -> bool:
        """Take a holding away; True: there was one."""
        self.require_current_index()
        with self.transaction():
            stored = self.rows.get(record_id)
            if stored is None or institution not in self.rows.holders(record_id):
                return False
            at_us = now_us() if at_us is None else at_us
            base = self.base(stored)
            # The ledger may know it under records that were merged into this one.
            for counted_id in self.merges.counted_under(institution, record_id):
                self.rows.write_holding_event(institution, counted_id, -1, at_us, account)
            self.merges.remove(institution, record_id)
            self.write_delta(stored, base)
            return True

    def merge(self, *, records_max: int = MERGE_STEP_RECORDS) -> int:
        """Fold up to `records_max` changed records into the main index.

        Returns how many are left; call again until that is 0.
        """
        self.require_current_index()
        with self.transaction():
            self.merge_step(records_max)
            return self._delta_count()

    def merge_backlog(self) -> int:
        """`merge` until less than a step is left, each step in a transaction of its own.

        Between two turns of the writer more may have changed than one step takes, and
        what it does not take whoever uploads must merge in the end.
        """
        left = self.merge()
        while left >= MERGE_STEP_RECORDS:
            left = self.merge()
        return left

    def has_delta(self) -> bool:
        """Whether there is anything to merge."""
        return bool(self._delta_count())

    def merge_all(self) -> None:
        """Fold in every changed record, inside a transaction that is open."""
        while self._delta_count():
            self.merge_step(MERGE_STEP_RECORDS)

    def merge_step(self, records_max: int) -> None:
        """`merge` inside a transaction that is open."""
        changed = self.connection.execute(
            "SELECT sequence, delta.record_id, database_id, base_version, base_institutions,"
            " entries FROM delta JOIN record USING (record_id) ORDER BY sequence LIMIT ?",
            (records_max,),
        ).fetchall()
        if not changed:
            return
        self.merge_runs()
        before, after = Postings(), Postings()
        for place, (_, record_id, database_id, base, institutions, entries) in enumerate(changed):
            row = unpack(entries)
            if add_changes(before, after, place, row, self._register_names):
                continue
            if base:
                found = Base(base, json.loads(institutions))
                self._index_base(before, place, record_id, database_id, found)
            add_row(after, place, row, self._register_names)
        batch = Batch(self.register_ids)
        batch.remove(before, 0)
        batch.add(after, 0)
        record_ids = [row[1] for row in changed]
        batch.write(self.connection, record_ids)
        self.log_merge(record_ids)
        last_sequence = changed[-1][0]
        self.connection.execute("DELETE FROM delta WHERE sequence <= ?", (last_sequence,))
        self.connection.execute("UPDATE state SET merged_sequence = ?", (last_sequence,))

    def _merge_left_runs(self) -> None:
        """What a load left that was broken off becomes searchable before anything else."""
        if are_waiting(self.connection):
            # Without the files only `reindex` is of use, which does not ask for them.
            with suppress(RunDamagedError), Workers(None) as workers, self.transaction():
                self.merge_runs(workers.map)
        sweep(self.connection, self.path)

    def merge_runs(
        self, share: Map = map, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Fold what a load left in runs into the main index, inside a transaction that is open.

        `share` may spread the work over processes; `progress` is told steps done and to do.
        """
        if are_waiting(self.connection):
            self.log_merge(
                merge_waiting(self.connection, self.path, share=share, progress=progress)
            )

    def log_merge(self, record_ids: Iterable[int]) -> None:
        """Tell readers which records the newest generation of the main index changed."""
        self.connection.execute(
            "INSERT INTO merged SELECT generation, ? FROM state", (encode(BitMap(record_ids)),)
        )
        self.connection.execute(
            "DELETE FROM merged WHERE generation <= (SELECT generation FROM state) - ?",
            (MERGES_LOGGED,),
        )

    def index(
        self,
        postings: Target[Text],
        place: int,
        database_id: int,
        marc: bytes,
        institutions: Sequence[str],
        numbers: Sequence[str] = (),
    ) -> None:
        """Add the postings of a version of a record that `numbers` find beside its own."""
        database = self.rows.databases[database_id]
        record = with_numbers(parse(marc), numbers)
        index_record(postings, place, record, database.family, database.name, institutions)

    def _index_base(
        self, postings: Target[Text], place: int, record_id: int, database_id: int, base: Base
    ) -> None:
        """Add the postings that the main index holds of a record."""
        marc = self.rows.version(record_id, base.version)
        numbers = self.merges.former_numbers(record_id, base.version)
        self.index(postings, place, database_id, marc, base.institutions, numbers)

    def require_current_index(self) -> None:
        """Raise StoreError when the index was made by another analysis than this program's."""
        # It may have been rebuilt meanwhile, by another program too.
        self._see_index()
        if not self.is_index_current:
            raise StoreError(
                f"the index in {self.path} was built by another version of the analysis:"
                " run `lianmu reindex`"
            )

    def close(self) -> None:
        self.connection.close()

    def live(self, record_id: int) -> StoredRecord:
        """A record that is there.

        Raises:
            UnknownRecord: there is none, or it is deleted.
            MergedRecord: it was merged into another one.
        """
        stored = self.rows.get(record_id)
        if stored is None:
            raise UnknownRecord(f"there is no record {record_id}")
        if not stored.deleted:
            return stored
        survivor = self.rows.get(self.merges.survivor(record_id))
        if survivor is None:
            raise UnknownRecord(f"record {stored.control_number} is deleted")
        raise MergedRecord(
            f"record {stored.control_number} was merged into {survivor.control_number}",
            survivor.record_id,
        )

    def _delta_count(self) -> int:
        count: int = self.connection.execute("SELECT count(*) FROM delta").fetchone()[0]
        return count

    def base(self, stored: StoredRecord) -> Base:
        """What the main index holds of a record that is about to change."""
        row = self.connection.execute(
            "SELECT base_version, base_institutions FROM delta WHERE record_id = ?",
            (stored.record_id,),
        ).fetchone()
        if row is not None:
            return Base(row[0], json.loads(row[1]))
        if stored.deleted:
            return Base(0, [])
        return Base(stored.version, self.rows.holders(stored.record_id))

    def write_delta(self, stored: StoredRecord, base: Base) -> None:
        """From now on the record is found by what it is now."""
        entries = b""
        if not stored.deleted:
            postings = RecordPostings()
            holders = self.rows.holders(stored.record_id)
            database_id = self.rows.database_id(stored.database.name)
            numbers = self.merges.former_numbers(stored.record_id, stored.version)
            self.index(postings, 0, database_id, stored.marc, holders, numbers)
            before = self._base_postings(stored.record_id, database_id, base, postings)
            entries = pack(postings, self.register_ids, before)
        self.connection.execute(
            "INSERT OR REPLACE INTO delta"
            " (record_id, base_version, base_institutions, entries) VALUES (?, ?, ?, ?)",
            (stored.record_id, base.version, json.dumps(base.institutions), entries),
        )

    def _base_postings(
        self, record_id: int, database_id: int, base: Base, like: RecordPostings
    ) -> RecordPostings | None:
        """What the main index holds of a record; None: nothing, or it cannot be told here.

        Told now it costs half of what a merge would spend on it: most texts are those
        of the new version, which has just been analysed.
        """
        if not base.version:
            return None
        postings = RecordPostings(like)
        try:
            self._index_base(postings, 0, record_id, database_id, base)
        except Exception:  # whatever damage makes the analysis raise: a merge tells
            return None
        return postings


def conflict(stored: StoredRecord) -> VersionConflict:
    """That a record is not in the version which an update was made from."""
    named = versions.identifier(stored.marc, stored.modified_us)
    return VersionConflict(stored.record_id, stored.version, named)


def now_us() -> int:
    """UTC in microseconds since 1970."""
    return time.time_ns() // 1000
