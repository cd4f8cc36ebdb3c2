"""Opening the catalogue's SQLite file: pragmas, schema version, migrations."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from store.marc_packing import register_function

FILE_NAME = "catalogue.sqlite"
SCHEMA_VERSION = 8  # kept in PRAGMA user_version
PAGE_SIZE_BYTES = 8192
# The inner pages of the trees. More of the file is not kept by each reader: the system has
# it in its cache, once for all of them.
READER_CACHE_KIB = 2048
WRITER_CACHE_KIB = 65536
WRITER_MMAP_SIZE_BYTES = 1 << 36  # SQLite maps what there is, as a rule 2 GB at most
WHOLE_CACHE_KIB = 262144
BUSY_TIMEOUT_S = 120.0  # another process's batch may hold the write lock that long
JOURNAL_SIZE_MAX_BYTES = 64 << 20  # a batch's log shrinks back to this

# Number n holds the statements that lead from schema n to n + 1.
MIGRATIONS: dict[int, str] = {
    1: "CREATE TABLE merged (generation INTEGER PRIMARY KEY, records BLOB NOT NULL);\n",
    2: """
CREATE TABLE record_remark (
    record_id INTEGER NOT NULL REFERENCES record, version INTEGER NOT NULL,
    change TEXT NOT NULL, other_id INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (record_id, version)
) WITHOUT ROWID;
CREATE TABLE record_merge (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    away_id INTEGER NOT NULL REFERENCES record, keep_id INTEGER NOT NULL REFERENCES record,
    at_us INTEGER NOT NULL, account TEXT NOT NULL, holdings TEXT NOT NULL, undone_us INTEGER
);
CREATE UNIQUE INDEX record_merged ON record_merge (away_id) WHERE undone_us IS NULL;
CREATE TABLE former_number (
    record_id INTEGER NOT NULL REFERENCES record, away_id INTEGER NOT NULL REFERENCES record,
    since_version INTEGER NOT NULL, until_version INTEGER,
    PRIMARY KEY (record_id, away_id, since_version)
) WITHOUT ROWID;
CREATE TABLE counted_under (
    record_id INTEGER NOT NULL, institution TEXT NOT NULL,
    counted_id INTEGER NOT NULL REFERENCES record,
    PRIMARY KEY (record_id, institution, counted_id)
) WITHOUT ROWID;
""",
    3: """
CREATE TABLE load_job (
    command    TEXT PRIMARY KEY,
    run        TEXT NOT NULL,
    database   TEXT NOT NULL,
    files      TEXT NOT NULL,
    progress   TEXT NOT NULL,
    started_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) WITHOUT ROWID;
""",
    4: """
CREATE TABLE upload (
    upload_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    record_id   INTEGER NOT NULL REFERENCES record,
    version     INTEGER NOT NULL,
    action      TEXT NOT NULL,
    institution TEXT NOT NULL,
    account     TEXT NOT NULL,
    protocol    TEXT NOT NULL,
    address     TEXT NOT NULL,
    at_us       INTEGER NOT NULL,
    digest      BLOB,
    credit      TEXT NOT NULL
);
CREATE INDEX upload_of ON upload (record_id, upload_id);
CREATE INDEX upload_digest ON upload (digest) WHERE digest IS NOT NULL;
CREATE INDEX upload_credit ON upload (upload_id) WHERE credit = 'due';
""",
    5: """
ALTER TABLE holding ADD COLUMN extent TEXT NOT NULL DEFAULT '';
ALTER TABLE holding ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE holding ADD COLUMN submission_id INTEGER NOT NULL DEFAULT 0;
CREATE TABLE holding_submission (
    submission_id INTEGER PRIMARY KEY AUTOINCREMENT,
    institution   TEXT NOT NULL,
    account       TEXT NOT NULL,
    protocol      TEXT NOT NULL,
    address       TEXT NOT NULL,
    source        TEXT NOT NULL,
    at_us         INTEGER NOT NULL,
    added         INTEGER NOT NULL,
    changed       INTEGER NOT NULL,
    removed       INTEGER NOT NULL
);
CREATE INDEX holding_submission_of ON holding_submission (institution, submission_id);
CREATE TABLE holding_version (
    record_id     INTEGER NOT NULL REFERENCES record,
    institution   TEXT NOT NULL,
    ended_by      INTEGER NOT NULL,
    ordinal       INTEGER NOT NULL,
    submission_id INTEGER NOT NULL,
    modified_us   INTEGER NOT NULL,
    removed       INTEGER NOT NULL,
    holding       TEXT NOT NULL,
    PRIMARY KEY (record_id, institution, ended_by, ordinal)
) WITHOUT ROWID;
CREATE TABLE holding_job (
    command    TEXT PRIMARY KEY,
    run        TEXT NOT NULL,
    files      TEXT NOT NULL,
    progress   TEXT NOT NULL,
    started_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) WITHOUT ROWID;
""",
    6: """
ALTER TABLE holding_event ADD COLUMN submission_id INTEGER NOT NULL DEFAULT 0;
UPDATE upload SET protocol = 'z3950' WHERE protocol = 'z39.50';
UPDATE holding_submission SET protocol = 'z3950' WHERE protocol = 'z39.50';
UPDATE holding_submission SET protocol = 'web' WHERE protocol = 'http';
""",
    # Records written before stay as they are: see store/marc_packing.py.
    7: """
CREATE TABLE marc_dictionary (
    dictionary_id INTEGER PRIMARY KEY,
    database_id   INTEGER NOT NULL REFERENCES database,
    octets        BLOB NOT NULL
);
""",
}


class StoreError(Exception):
    """The catalogue cannot be read or written as asked; says why."""


# What a single statement raises that a database refuses, as on a full disk.
Refused = sqlite3.OperationalError


def is_out_of_room(error: BaseException) -> bool:
    """Whether SQLite failed for want of room where it only says "disk I/O error".

    `error` is its own, or was raised while its own was handled.
    """
    own = error if isinstance(error, sqlite3.Error) else error.__context__
    return getattr(own, "sqlite_errorname", "") == "SQLITE_IOERR_SHMSIZE"


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection that may be handed from thread to thread.

    It reads pages rather than map the file: a map saves a microsecond a page, but
    whatever was looked at in it stays in the process's memory, in time all of it.

    Raises:
        StoreError: there is no catalogue at `path`, it cannot be read, or has
            another schema.
    """
    if not path.is_file():
        raise StoreError(f"there is no catalogue at {path}")
    with _naming(path):
        connection = _connect(f"{path.resolve().as_uri()}?mode=ro", READER_CACHE_KIB)
        connection.execute("PRAGMA query_only = ON")
        version = _schema_version(connection)
    if version != SCHEMA_VERSION:
        connection.close()
        raise StoreError(
            f"{path} has schema {version}, this program reads {SCHEMA_VERSION}: "
            + (
                "run `lianmu reindex`, which brings it up to date"
                if version < SCHEMA_VERSION
                else "it was written by a newer one"
            )
        )
    return connection


def open_writer(path: Path, *, durable: bool = True) -> sqlite3.Connection:
    """A connection that writes; creates the file and its schema, or migrates it.

    `durable` syncs the log at every commit. Without it a crash of the machine
    may lose the last commits, but never leaves half of one.

    Raises:
        StoreError: the file cannot be opened, or its schema is newer than this program.
    """
    is_new = not path.exists()
    with _naming(path):
        connection = _connect(path.resolve().as_uri(), WRITER_CACHE_KIB)
        connection.execute(f"PRAGMA mmap_size = {WRITER_MMAP_SIZE_BYTES}")
        if is_new:
            connection.execute(f"PRAGMA page_size = {PAGE_SIZE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_SIZE_MAX_BYTES}")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path)
    return connection


def go_through_all(connection: sqlite3.Connection) -> None:
    """Prepare a connection for work on the whole file.

    What is mapped of the file counts as this process's memory, in the end all of
    it. A cache of WHOLE_CACHE_KIB serves such work as well.
    """
    connection.execute("PRAGMA mmap_size = 0")
    connection.execute(f"PRAGMA cache_size = -{WHOLE_CACHE_KIB}")


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """One writing transaction of `connection`, undone by any exception, also of its commit.

    Raises:
        StoreError: the database cannot be written, as on a full disk.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            # Some failures have ended the transaction already.
            with suppress(sqlite3.OperationalError):
                connection.execute("ROLLBACK")
            raise
    except sqlite3.OperationalError as error:
        raise StoreError(f"{path}: {error}") from error


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """What SQLite cannot open as a StoreError that says which file."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path}: {error}") from error


def _connect(uri: str, cache_kib: int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,  # transactions are begun and ended by name
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute("PRAGMA mmap_size = 0")  # whatever SQLite was built with
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    register_function(connection)
    return connection


def _schema_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if _schema_version(connection) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")  # several processes may start at once
    try:
        version = _schema_version(connection)
        if version > SCHEMA_VERSION:
            raise StoreError(f"{path} has schema {version}, newer than this program")
        if version == 0:
            script = files("store").joinpath("schema.sql").read_text("utf-8")
            for statement in statements(script):
                connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES ('catalogue_id', ?)", (str(uuid.uuid4()),))
        else:
            for step in range(version, SCHEMA_VERSION):
                for statement in statements(MIGRATIONS[step]):
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        connection.close()
        raise
    connection.execute("COMMIT")


def statements(script: str) -> Iterator[str]:
    """One by one, for an open transaction, which `executescript` would commit."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
