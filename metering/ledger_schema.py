"""The file of the ledger: opened, made, and brought up to this program's schema."""

from __future__ import annotations

import sqlite3
from functools import partial
from importlib.resources import files
from pathlib import Path

from metering.interface import MeteringError
from metering.ledger_page import source_of
from metering.sqlite_scripts import naming_errors_of, run

SCHEMA_VERSION = 4
ROLLUP_COLUMNS = "institution, year, day, kind, meter, item, entries, quantity"
RECOUNT_ROWS = """
SELECT institution, year, day, kind, meter, item, count(*), sum(quantity)
FROM entry GROUP BY institution, year, day, kind, meter, item
"""


naming_errors = partial(naming_errors_of, "the ledger")


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Autocommit; usable from any thread, one at a time."""
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    else:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -32768")
    return connection


def create(connection: sqlite3.Connection) -> None:
    """Bring the tables up to this program; a ledger that is so is opened without a lock.

    Raises:
        MeteringError: a newer program wrote it.
    """
    if _version(connection) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)
        if version == 0:
            run(connection, files("metering").joinpath("schema.sql").read_text())
        else:
            for migrate in MIGRATIONS[version - 1 :]:
                migrate(connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= SCHEMA_VERSION:
        raise MeteringError(f"the ledger has schema {version}, this program knows {SCHEMA_VERSION}")
    return int(version)


_PAGES_AND_ITEMS = """
ALTER TABLE entry ADD COLUMN item TEXT NOT NULL DEFAULT '';
CREATE INDEX entry_of_upload ON entry (record_id, meter)
WHERE kind IN ('upload', 'cover', 'upload_reversed');
CREATE TABLE page (
    first_seq INTEGER PRIMARY KEY, entries INTEGER NOT NULL, oldest_us INTEGER NOT NULL,
    newest_us INTEGER NOT NULL, previous BLOB NOT NULL, hash BLOB NOT NULL,
    contents BLOB NOT NULL
) STRICT;
CREATE INDEX page_of_time ON page (newest_us, oldest_us);
DROP TRIGGER entry_is_new;
CREATE TRIGGER entry_is_new BEFORE INSERT ON entry
WHEN NEW.seq <= (SELECT max(seq) FROM entry)
  OR NEW.seq < (SELECT first_seq + entries FROM page ORDER BY first_seq DESC LIMIT 1)
  OR EXISTS (SELECT 1 FROM entry WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'a ledger entry is never replaced'); END;
CREATE TRIGGER page_is_final BEFORE UPDATE ON page
BEGIN SELECT RAISE(ABORT, 'a ledger entry is never updated'); END;
CREATE TRIGGER page_stays BEFORE DELETE ON page
BEGIN SELECT RAISE(ABORT, 'a ledger entry is never deleted'); END;
CREATE TRIGGER page_is_new BEFORE INSERT ON page
WHEN NEW.first_seq <= (SELECT max(seq) FROM entry)
  OR NEW.first_seq < (SELECT first_seq + entries FROM page ORDER BY first_seq DESC LIMIT 1)
BEGIN SELECT RAISE(ABORT, 'a ledger entry is never replaced'); END;
DROP TABLE rollup;
CREATE TABLE rollup (
    institution TEXT NOT NULL, year INTEGER NOT NULL, day INTEGER NOT NULL,
    kind TEXT NOT NULL, meter TEXT NOT NULL, item TEXT NOT NULL,
    entries INTEGER NOT NULL, quantity INTEGER NOT NULL,
    PRIMARY KEY (year, institution, day, kind, meter, item)
) STRICT, WITHOUT ROWID;
CREATE TABLE page_of_member (
    institution TEXT NOT NULL, year INTEGER NOT NULL, first_seq INTEGER NOT NULL,
    PRIMARY KEY (institution, year, first_seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE range_of_source (
    source TEXT NOT NULL, first_index INTEGER NOT NULL, last_index INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    PRIMARY KEY (source, first_index, first_seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE billed (
    institution TEXT NOT NULL, record_id INTEGER NOT NULL, at_us INTEGER NOT NULL,
    seq INTEGER NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (institution, record_id, at_us, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE billed_up_to (seq INTEGER NOT NULL) STRICT;
INSERT INTO billed_up_to (seq) VALUES (0);
"""


def _to_schema_2(connection: sqlite3.Connection) -> None:
    """Pages of deliveries, and items; old entries stay rows and keep their hashes."""
    run(connection, _PAGES_AND_ITEMS)
    connection.execute(f"INSERT INTO rollup ({ROLLUP_COLUMNS}) {RECOUNT_ROWS}")
    ranges: dict[str, tuple[int, int, int]] = {}
    for seq, entry_id in connection.execute(
        "SELECT seq, id FROM entry WHERE kind = 'delivery' ORDER BY seq"
    ):
        source, index = source_of(entry_id)
        if index >= 0:
            low, high, first_seq = ranges.get(source, (index, index, seq))
            ranges[source] = min(low, index), max(high, index), first_seq
    connection.executemany(
        "INSERT INTO range_of_source VALUES (?, ?, ?, ?)",
        [(source, *each) for source, each in ranges.items()],
    )


def _to_schema_3(connection: sqlite3.Connection) -> None:
    """An index: looking for a new delivery read every range of its source."""
    connection.execute("CREATE INDEX range_by_end ON range_of_source (source, last_index)")


def _to_schema_4(connection: sqlite3.Connection) -> None:
    """An index: a member's entries of one day were looked for among those of its year."""
    connection.execute("CREATE INDEX entry_of_day ON entry (institution, day, seq)")


MIGRATIONS = (_to_schema_2, _to_schema_3, _to_schema_4)  # each from its number to the next
