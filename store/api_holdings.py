"""What an institution holds, in the order of the catalogue, for lists in pages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from protocol.record import Holding
from store.records import HOLDING_COLUMNS, read_holding

_SELECT = (
    f"SELECT database.name, control_number, holding.modified_us, {HOLDING_COLUMNS} FROM holding"
    " JOIN record USING (record_id) JOIN database USING (database_id)"
    " WHERE institution = ?1 AND record_id {} ?2 AND (?3 IS NULL OR database.name = ?3)"
    " ORDER BY record_id"
)


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """A holding with the record that it is of. `modified_us` is UTC, microseconds since 1970."""

    database: str
    control_number: str
    modified_us: int
    holding: Holding


def held_records(
    connection: sqlite3.Connection, institution: str, *, database: str | None = None, after: int = 0
) -> Iterator[HeldRecord]:
    """Those of an institution, in one database or all, behind the record id `after`."""
    return _read(connection, ">", institution, after, database)


def held_record(
    connection: sqlite3.Connection, institution: str, record_id: int
) -> HeldRecord | None:
    """What an institution holds of a record; None: nothing."""
    return next(_read(connection, "=", institution, record_id, None), None)


def _read(
    connection: sqlite3.Connection,
    relation: str,
    institution: str,
    record_id: int,
    database: str | None,
) -> Iterator[HeldRecord]:
    rows = connection.execute(_SELECT.format(relation), (institution, record_id, database))
    for name, number, modified_us, *values in rows:
        yield HeldRecord(name, number, modified_us, read_holding(values))
