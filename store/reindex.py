"""Building the index anew from the records while the catalogue is used.

What the records bring is written into sorted runs, files in a folder of their
own, which needs no lock on the catalogue. Triggers meanwhile note which records
change. When every record is in, the runs are merged into tables beside those of
the old index in short transactions, what has changed is brought up to date there,
and one last transaction puts the new tables in the place of the old ones. Readers
see the old index until then. What changed shortly before stands in the delta.

After a crash the same call goes on: a file, `catalogue.reindex.sqlite`, notes with
each run how far it is, and what was merged is merged again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

from store.batch import Batch, Statements
from store.delta_row import RecordPostings, pack
from store.gather import Postings
from store.index_check import check
from store.indexed_versions import IndexedVersion, VersionReader, add_version, index_versions
from store.parallel import Workers
from store.registers import fingerprint
from store.run_file import RunFile, write_run
from store.runs import add_run, damage, merged_rows, new_file, sweep, waiting
from store.runs import forget as forget_runs
from store.sqlite import PAGE_SIZE_BYTES, go_through_all, open_reader, statements, transaction
from store.writer import CatalogueWriter, now_us

__all__ = ["NEW_FILE_NAME", "check", "reindex"]

NEW_FILE_NAME = "catalogue.reindex.sqlite"
RUNS_FOLDER_NAME = "catalogue.reindex.runs"
CHUNK_RECORDS = 2000  # in one run
NEW = "_new"  # behind the names of the tables that are to be the index
# Short enough that an update never waits long for the write lock.
STEP_BYTES_MAX = 4 << 20  # by one transaction
_STEP_ROWS_MAX = 20_000
CAUGHT_UP_MIN, CAUGHT_UP_MAX = 250, 4000  # changes, by one transaction
SWITCH_RECORDS_MAX = 250  # changed ones that the switch itself brings into the delta

_TABLES = ("posting", "position")
_BEGIN = """
CREATE TABLE reindex_change (
    sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
    record_id INTEGER NOT NULL
);
CREATE TRIGGER reindex_record_new AFTER INSERT ON record
BEGIN INSERT INTO reindex_change (record_id) VALUES (new.record_id); END;
CREATE TRIGGER reindex_record_changed AFTER UPDATE ON record
BEGIN INSERT INTO reindex_change (record_id) VALUES (new.record_id); END;
CREATE TRIGGER reindex_holding_new AFTER INSERT ON holding
BEGIN INSERT INTO reindex_change (record_id) VALUES (new.record_id); END;
CREATE TRIGGER reindex_holding_moved AFTER UPDATE OF record_id, institution ON holding
BEGIN
    INSERT INTO reindex_change (record_id) VALUES (old.record_id);
    INSERT INTO reindex_change (record_id) VALUES (new.record_id);
END;
CREATE TRIGGER reindex_holding_gone AFTER DELETE ON holding
BEGIN INSERT INTO reindex_change (record_id) VALUES (old.record_id); END;
"""
_TRIGGERS = (
    "reindex_record_new", "reindex_record_changed", "reindex_holding_new",
    "reindex_holding_moved", "reindex_holding_gone",
)  # fmt: skip
_NEW_FILE = """
CREATE TABLE progress (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    fingerprint TEXT NOT NULL,       -- of the analysis
    run         TEXT NOT NULL,       -- the catalogue, and when its triggers were made
    done_id     INTEGER NOT NULL,    -- records up to this one are in
    records     INTEGER NOT NULL
);
CREATE TABLE indexed (               -- what is in of each record
    record_id    INTEGER PRIMARY KEY,
    version      INTEGER NOT NULL,
    institutions TEXT NOT NULL       -- a JSON list
);
"""

OnProgress = Callable[[int, int], None]
"""Called with records done, and how many there are."""


def reindex(
    writer: CatalogueWriter,
    *,
    progress: OnProgress | None = None,
    processes: int | None = None,
) -> int:
    """Build the whole index anew; returns the number of records in it.

    Readers see the old index until it is done, and then the new one. Other
    writers wait for no longer than a batch of a merge takes, and a little longer
    at the end. Call it again after a crash. `processes` analyse records, None:
    one a core, 0: this one does.

    Raises:
        StoreError: the catalogue cannot be written, as on a full disk.
    """
    return _Rebuild(writer, progress).run(processes)


@dataclass(frozen=True, slots=True)
class UnfinishedReindex:
    """An index that is being built, or was given up."""

    changes: int  # noted by the triggers so far


def unfinished_reindex(connection: sqlite3.Connection) -> UnfinishedReindex | None:
    """Whether a rebuilding was begun and has not ended."""
    if not _has_table(connection, "reindex_change"):
        return None
    row = connection.execute("SELECT coalesce(max(sequence), 0) FROM reindex_change").fetchone()
    return UnfinishedReindex(row[0])


class _Rebuild:
    def __init__(self, writer: CatalogueWriter, progress: OnProgress | None) -> None:
        self._writer = writer
        self._progress = progress
        self._path: Path = writer.path.with_name(NEW_FILE_NAME)
        self._folder: Path = writer.path.with_name(RUNS_FOLDER_NAME)
        self._seen_sequence = 0  # changes up to this one are in the tables of the new index
        # What those hold of records that were caught up with: version (0: none) and holders.
        self._caught_up: dict[int, tuple[int, list[str]]] = {}

    def run(self, processes: int | None) -> int:
        go_through_all(self._writer.connection)
        run = self._begin()
        new = self._open(run)
        try:
            with Workers(processes) as workers:
                self._build(new, workers)
                self._merge(new, workers)
            while not self._switch(new):
                self._catch_up(new)
        finally:
            new.close()
        self._remove()
        sweep(self._writer.connection, self._writer.path)
        live = self._writer.connection.execute("SELECT count(*) FROM record WHERE NOT deleted")
        return int(live.fetchone()[0])

    def _begin(self) -> str:
        """Have changes noted from now on, or as before; returns what names the run."""
        connection = self._writer.connection
        with self._writer.transaction():
            if not _has_table(connection, "reindex_change"):
                for statement in statements(_BEGIN):
                    connection.execute(statement)
                connection.execute(
                    "INSERT OR REPLACE INTO meta VALUES ('reindex', ?)", (f"{now_us()}",)
                )
            rows = connection.execute(
                "SELECT value FROM meta WHERE key IN ('catalogue_id', 'reindex') ORDER BY key"
            )
            return " ".join(["runs", *(row[0] for row in rows)])

    def _open(self, run: str) -> sqlite3.Connection:
        """The file of the new index: the one that an earlier run has left, if it is of use."""
        if self._path.exists():
            connection = self._connect()
            with suppress(sqlite3.DatabaseError):  # it was hardly begun
                row = connection.execute("SELECT fingerprint, run FROM progress").fetchone()
                # The machine may have stopped before the name of a run was on disk.
                if row == (fingerprint(), run) and not any(damage(waiting(connection, self._path))):
                    return connection
            connection.close()
        self._remove()
        self._folder.mkdir()
        connection = self._connect()
        with transaction(connection, self._path):
            for statement in statements(_NEW_FILE):
                connection.execute(statement)
            connection.execute("INSERT INTO progress VALUES (1, ?, ?, 0, 0)", (fingerprint(), run))
        return connection

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        rmtree(self._folder, ignore_errors=True)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        go_through_all(connection)
        return connection

    # The records, as they are now, into runs.

    def _build(self, new: sqlite3.Connection, workers: Workers) -> None:
        done_id, done = new.execute("SELECT done_id, records FROM progress").fetchone()
        reader = open_reader(self._writer.path)
        read = partial(_index_into_run, folder=self._folder, register_ids=self._writer.register_ids)
        try:
            go_through_all(reader)
            (total,) = reader.execute("SELECT count(*) FROM record WHERE NOT deleted").fetchone()
            for versions, run in workers.map(read, _newest(reader, done_id)):
                self._write(new, versions, run)
                done += len(versions)
                if self._progress is not None:
                    self._progress(done, max(total, done))
        finally:
            reader.close()

    def _write(self, new: sqlite3.Connection, versions: list[IndexedVersion], run: RunFile) -> None:
        with transaction(new, self._path):
            add_run(new, self._path, run, [version.record_id for version in versions], 1)
            new.executemany(
                "INSERT INTO indexed VALUES (?, ?, ?)",
                [
                    (version.record_id, version.version, json.dumps(version.institutions))
                    for version in versions
                ],
            )
            new.execute(
                "UPDATE progress SET done_id = ?, records = records + ?",
                (versions[-1].record_id, len(versions)),
            )

    # The runs into new tables of the catalogue.

    def _merge(self, new: sqlite3.Connection, workers: Workers) -> None:
        connection = self._writer.connection
        with self._writer.transaction():
            for table in _TABLES:
                connection.execute(f"DROP TABLE IF EXISTS {table}{NEW}")
                (sql,) = connection.execute(
                    "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,)
                ).fetchone()
                _, columns = sql.split("(", 1)
                connection.execute(f"CREATE TABLE {table}{NEW} ({columns}")
        sql = Statements(NEW)
        add = (sql.insert_records, sql.insert_positions)
        for merged in merged_rows(waiting(new, self._path), workers.map):
            for rows in _in_steps(merged.added):
                with self._writer.transaction():
                    connection.executemany(add[merged.table], rows)

    # What has changed since it was read.

    def _pending(self) -> int:
        """Changes that the tables of the new index do not show yet, an upper bound."""
        row = self._writer.connection.execute(
            "SELECT coalesce(max(sequence), 0) - ? FROM reindex_change", (self._seen_sequence,)
        ).fetchone()
        return max(0, int(row[0]))

    def _base(self, new: sqlite3.Connection, record_id: int) -> tuple[int, list[str]]:
        """What the new index holds of a record: a version (0: nothing) and its holders."""
        base = self._caught_up.get(record_id)
        if base is not None:
            return base
        row = new.execute(
            "SELECT version, institutions FROM indexed WHERE record_id = ?", (record_id,)
        ).fetchone()
        return (0, []) if row is None else (row[0], json.loads(row[1]))

    def _catch_up(self, new: sqlite3.Connection) -> None:
        """Bring some changed records up to date in the tables of the new index."""
        with self._writer.transaction():
            # The more there are, the more at once: a load must not outrun us.
            count = min(max(CAUGHT_UP_MIN, self._pending() // 8), CAUGHT_UP_MAX)
            changes = self._writer.connection.execute(
                "SELECT sequence, record_id FROM reindex_change WHERE sequence > ?"
                " ORDER BY sequence LIMIT ?",
                (self._seen_sequence, count),
            ).fetchall()
            record_ids = list(dict.fromkeys(record_id for _, record_id in changes))
            reader = VersionReader(self._writer.connection)
            before, after = Postings(), Postings()
            for place, record_id in enumerate(record_ids):
                version, institutions = self._base(new, record_id)
                if version:
                    add_version(before, place, reader.former(record_id, version, institutions))
                newest = reader.newest(record_id)
                if newest is None:
                    self._caught_up[record_id] = (0, [])
                else:
                    add_version(after, place, newest)
                    self._caught_up[record_id] = (newest.version, newest.institutions)
            batch = Batch(self._writer.register_ids)
            batch.remove(before, 0)
            batch.add(after, 0)
            batch.write(self._writer.connection, record_ids, suffix=NEW)
        self._seen_sequence = changes[-1][0]

    def _switch(self, new: sqlite3.Connection) -> bool:
        """Put the new index in the place of the old one; False: too much has changed yet."""
        connection = self._writer.connection
        with self._writer.transaction():
            record_ids = [
                row[0]
                for row in connection.execute(
                    "SELECT DISTINCT record_id FROM reindex_change WHERE sequence > ? LIMIT ?",
                    (self._seen_sequence, SWITCH_RECORDS_MAX + 1),
                )
            ]
            if len(record_ids) > SWITCH_RECORDS_MAX:
                return False
            connection.execute(
                "UPDATE state SET generation = generation + 1, merged_sequence ="
                " coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'delta'), 0)"
            )
            connection.execute("DELETE FROM delta")
            forget_runs(connection)  # the new index has their records
            reader = VersionReader(connection)
            for record_id in record_ids:
                self._write_delta(new, reader, record_id)
            for trigger in _TRIGGERS:
                connection.execute(f"DROP TRIGGER {trigger}")
            connection.execute("DROP TABLE reindex_change")
            connection.execute("DELETE FROM meta WHERE key = 'reindex'")
            for table in _TABLES:
                connection.execute(f"DROP TABLE {table}")
                connection.execute(f"ALTER TABLE {table}{NEW} RENAME TO {table}")
            connection.execute("UPDATE meta SET value = ? WHERE key = 'index'", (fingerprint(),))
        return True

    def _write_delta(self, new: sqlite3.Connection, reader: VersionReader, record_id: int) -> None:
        version, institutions = self._base(new, record_id)
        newest = reader.newest(record_id)
        if newest is None and not version:
            return
        if newest is not None and (newest.version, newest.institutions) == (version, institutions):
            return
        entries = b""
        if newest is not None:
            postings = RecordPostings()
            add_version(postings, 0, newest)
            entries = pack(postings, self._writer.register_ids)
        self._writer.connection.execute(
            "INSERT INTO delta (record_id, base_version, base_institutions, entries)"
            " VALUES (?, ?, ?, ?)",
            (record_id, version, json.dumps(institutions), entries),
        )


def _newest(connection: sqlite3.Connection, after_id: int) -> Iterator[list[IndexedVersion]]:
    """The records behind one, each chunk in a transaction of its own."""
    reader = VersionReader(connection)
    while True:
        connection.execute("BEGIN")
        try:
            versions = reader.newest_after(after_id, CHUNK_RECORDS)
        finally:
            connection.execute("COMMIT")
        if not versions:
            return
        yield versions
        after_id = versions[-1].record_id


def _index_into_run(
    versions: list[IndexedVersion], folder: Path, register_ids: Mapping[str, int]
) -> tuple[list[IndexedVersion], RunFile]:
    """A run of some versions, by their place in the list; they come back without their octets.

    Runs in any process.

    Raises:
        StoreError: the run cannot be written, or a record is damaged.
    """
    indexed, postings = index_versions(versions)
    return indexed, write_run(new_file(folder), postings, register_ids)


def _in_steps(rows: Sequence[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    """Rows in lists that one transaction writes."""
    step: list[Sequence[Any]] = []
    size_bytes = 0
    for row in rows:
        step.append(row)
        size_bytes += len(row[-1])
        if size_bytes >= STEP_BYTES_MAX or len(step) >= _STEP_ROWS_MAX:
            yield step
            step, size_bytes = [], 0
    if step:
        yield step


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return bool(connection.execute(sql, (name,)).fetchone()[0])
