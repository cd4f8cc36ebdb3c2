"""Building the index anew from the records while the catalogue is used.

The new index is made in a file of its own, `catalogue.reindex.sqlite`, which
needs no lock on the catalogue. Triggers meanwhile note which records change.
When every record is in, the rows are copied beside those of the old index in
short transactions, what has changed is brought up to date there, and one last
transaction puts the new tables in the place of the old ones. Readers see the
old index until then. What changed shortly before stands in the delta.

After a crash the same call goes on: the file notes in each batch's transaction
how far it is, and what was copied is copied again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from store.batch import Batch
from store.bulk import BATCH_TERMS_MAX, CHUNK_RECORDS, OFFLINE_LIMITS, BatchLimits, has_room
from store.gather import Postings
from store.index import pack
from store.index_check import check
from store.indexed_versions import IndexedVersion, VersionReader, add_version, index_versions
from store.parallel import Workers
from store.registers import fingerprint
from store.runs import forget as forget_runs
from store.runs import sweep
from store.sqlite import PAGE_SIZE_BYTES, go_through_all, open_reader, statements, transaction
from store.writer import CatalogueWriter, now_us

__all__ = ["NEW_FILE_NAME", "check", "reindex"]

NEW_FILE_NAME = "catalogue.reindex.sqlite"
NEW = "_new"  # behind the names of the tables that are to be the index
# Short enough that an update never waits long for the write lock.
COPIED_BYTES_MAX = 4 << 20  # by one transaction
_COPIED_ROWS_MAX = 20_000
CAUGHT_UP_MIN, CAUGHT_UP_MAX = 250, 4000  # changes, by one transaction
SWITCH_RECORDS_MAX = 250  # changed ones that the switch itself brings into the delta

_TABLES = {"posting": "register_id, term", "position": "register_id, term, shard"}
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
CREATE TABLE state (one INTEGER PRIMARY KEY, generation INTEGER NOT NULL);
"""

OnProgress = Callable[[int, int], None]
"""Called with records done, and how many there are."""


def reindex(
    writer: CatalogueWriter,
    *,
    progress: OnProgress | None = None,
    processes: int | None = None,
    limits: BatchLimits = OFFLINE_LIMITS,
) -> int:
    """Build the whole index anew; returns the number of records in it.

    Readers see the old index until it is done, and then the new one. Other
    writers wait for no longer than a batch of a merge takes, and a little longer
    at the end. Call it again after a crash. `processes` analyse records, None:
    one a core, 0: this one does.

    Raises:
        StoreError: the catalogue cannot be written, as on a full disk.
    """
    return _Rebuild(writer, progress, limits).run(processes)


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
    def __init__(
        self, writer: CatalogueWriter, progress: OnProgress | None, limits: BatchLimits
    ) -> None:
        self._writer = writer
        self._progress = progress
        self._limits = limits
        self._path: Path = writer.path.with_name(NEW_FILE_NAME)
        self._seen_sequence = 0  # changes up to this one are in the tables of the new index
        # What those hold of records that were caught up with: version (0: none) and holders.
        self._caught_up: dict[int, tuple[int, list[str]]] = {}

    def run(self, processes: int | None) -> int:
        go_through_all(self._writer.connection)
        run = self._begin()
        new = self._open(run)
        try:
            self._build(new, processes)
            self._copy(new)
            while not self._switch(new):
                self._catch_up(new)
        finally:
            new.close()
        _remove(self._path)
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
            return " ".join(row[0] for row in rows)

    def _open(self, run: str) -> sqlite3.Connection:
        """The file of the new index: the one that an earlier run has left, if it is of use."""
        if self._path.exists():
            connection = self._connect()
            with suppress(sqlite3.DatabaseError):  # it was hardly begun
                row = connection.execute("SELECT fingerprint, run FROM progress").fetchone()
                if row == (fingerprint(), run):
                    return connection
            connection.close()
            _remove(self._path)
        connection = self._connect()
        with transaction(connection, self._path):
            for statement in statements(_NEW_FILE):
                connection.execute(statement)
            for (sql,) in self._writer.connection.execute(
                "SELECT sql FROM sqlite_schema WHERE name IN ('posting', 'position')"
            ):
                connection.execute(sql)
            connection.execute("INSERT INTO state VALUES (1, 0)")
            connection.execute("INSERT INTO progress VALUES (1, ?, ?, 0, 0)", (fingerprint(), run))
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        go_through_all(connection)
        return connection

    # The records, as they are now, into the new file.

    def _build(self, new: sqlite3.Connection, processes: int | None) -> None:
        done_id, done = new.execute("SELECT done_id, records FROM progress").fetchone()
        reader = open_reader(self._writer.path)
        try:
            go_through_all(reader)
            (total,) = reader.execute("SELECT count(*) FROM record WHERE NOT deleted").fetchone()
            batch, versions = Batch(self._writer.register_ids), list[IndexedVersion]()
            with Workers(processes) as workers:
                for chunk, postings in workers.map(index_versions, _newest(reader, done_id)):
                    if not has_room(batch, postings):
                        self._write(new, batch, versions)
                        batch, versions = Batch(self._writer.register_ids), []
                    batch.add(postings, len(versions))
                    versions += chunk
                    done += len(chunk)
                    if (
                        batch.posting_count >= self._limits.postings
                        or batch.term_count >= BATCH_TERMS_MAX
                    ):
                        self._write(new, batch, versions)
                        batch, versions = Batch(self._writer.register_ids), []
                    if self._progress is not None:
                        self._progress(done, max(total, done))
            self._write(new, batch, versions)
        finally:
            reader.close()

    def _write(self, new: sqlite3.Connection, batch: Batch, versions: list[IndexedVersion]) -> None:
        if not versions:
            return
        with transaction(new, self._path):
            batch.write(new, [version.record_id for version in versions])
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

    # The new file's rows into the catalogue.

    def _copy(self, new: sqlite3.Connection) -> None:
        connection = self._writer.connection
        with self._writer.transaction():
            for table in _TABLES:
                connection.execute(f"DROP TABLE IF EXISTS {table}{NEW}")
                (sql,) = connection.execute(
                    "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,)
                ).fetchone()
                _, columns = sql.split("(", 1)
                connection.execute(f"CREATE TABLE {table}{NEW} ({columns}")
        for table, key in _TABLES.items():
            for rows in _in_steps(new.execute(f"SELECT * FROM {table} ORDER BY {key}")):
                marks = ",".join("?" * len(rows[0]))
                with self._writer.transaction():
                    connection.executemany(f"INSERT INTO {table}{NEW} VALUES ({marks})", rows)

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
            postings = Postings()
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


def _in_steps(rows: sqlite3.Cursor) -> Iterator[list[tuple[object, ...]]]:
    """Rows in lists that one transaction copies."""
    step: list[tuple[object, ...]] = []
    size_bytes = 0
    for row in rows:
        step.append(row)
        size_bytes += len(row[-1])
        if size_bytes >= COPIED_BYTES_MAX or len(step) >= _COPIED_ROWS_MAX:
            yield step
            step, size_bytes = [], 0
    if step:
        yield step


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return bool(connection.execute(sql, (name,)).fetchone()[0])


def _remove(path: Path) -> None:
    for each in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        each.unlink(missing_ok=True)
