"""What an institution holds, record by record, for exports, pages and the API."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from protocol.record import Database, Holding
from store.records import HOLDING_COLUMNS, read_databases, read_holding

_COLUMNS = ", ".join(f"holding.{name}" for name in HOLDING_COLUMNS.split(", "))


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """A holding with the record that it is of. Times are UTC, microseconds since 1970."""

    database: Database
    control_number: str
    holding: Holding
    created_us: int
    modified_us: int
    deleted: bool  # the record


def held_records(
    connection: sqlite3.Connection,
    institution: str,
    *,
    database: str | None = None,
    after_id: int = 0,
    limit: int = -1,
) -> Iterator[HeldRecord]:
    """The holdings of an institution, by record id, behind `after_id`; all without `limit`.

    `database` is a database by its name, None: all. One statement reads them, so
    they are of one state of the catalogue.
    """
    databases = read_databases(connection)
    numbers = [n for n, each in databases.items() if database is None or each.name == database]
    marks = ",".join("?" * len(numbers))
    rows = connection.execute(
        f"SELECT database_id, control_number, holding.created_us, holding.modified_us, deleted,"
        f" {_COLUMNS} FROM holding JOIN record USING (record_id)"
        f" WHERE institution = ? AND holding.record_id > ? AND database_id IN ({marks})"
        " ORDER BY holding.record_id LIMIT ?",
        (institution, after_id, *numbers, limit),
    )
    for database_id, number, created_us, modified_us, deleted, *held in rows:
        yield HeldRecord(
            databases[database_id], number, read_holding(held), created_us, modified_us,
            bool(deleted),
        )  # fmt: skip


def held_count(connection: sqlite3.Connection, institution: str) -> int:
    """How many records an institution holds."""
    count: int = connection.execute(
        "SELECT count(*) FROM holding WHERE institution = ?", (institution,)
    ).fetchone()[0]
    return count
