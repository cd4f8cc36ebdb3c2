"""Records of the catalogue in a stream, all of one state, chosen by what is asked for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyroaring import BitMap

from protocol.record import Holding, StoredRecord
from store.records import HOLDING_COLUMNS, read_databases, read_holding
from store.sqlite import FILE_NAME, StoreError, go_through_all, open_reader

_COLUMNS = (
    "r.record_id, r.database_id, r.control_number, unpacked(r.marc), r.version, r.modified_us"
)
_SELECT_HOLDINGS = f"SELECT {HOLDING_COLUMNS} FROM holding WHERE record_id = ? ORDER BY institution"
_IDS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records: those for which everything that is said here holds.

    Times are UTC in microseconds, of the newest version; `until_us` is the first
    moment that is too late. `record_ids` are those that a search has found.
    """

    databases: Sequence[str] = ()  # none: all
    since_us: int | None = None
    until_us: int | None = None
    held_by: str | None = None
    record_ids: BitMap | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """A record, who holds it, and how far the export is with it, from 0 to 1."""

    record: StoredRecord
    holdings: list[Holding]
    share_done: float


def exported(
    directory: Path, selection: Selection, *, with_holdings: bool = False
) -> Iterator[Exported]:
    """The live records that are selected, in the order in which they came.

    One state of the catalogue is read from the first record to the last, beside
    any writer. Memory does not grow with their number.

    Raises:
        StoreError: there is no catalogue, or no such database.
    """
    connection = open_reader(directory / FILE_NAME)
    try:
        go_through_all(connection)
        connection.execute("BEGIN")
        yield from _records(connection, selection, with_holdings)
    finally:
        connection.close()


def _records(
    connection: sqlite3.Connection, selection: Selection, with_holdings: bool
) -> Iterator[Exported]:
    databases = read_databases(connection)
    by_name = {database.name: number for number, database in databases.items()}
    for name in selection.databases:
        if name not in by_name:
            raise StoreError(f"there is no database {name!r}")
    (last_id,) = connection.execute("SELECT coalesce(max(record_id), 0) FROM record").fetchone()
    wanted = [by_name[name] for name in selection.databases]
    for row, share_done in _rows(connection, selection, wanted, last_id):
        record_id, database_id, control_number, marc, version, modified_us = row
        holdings = []
        if with_holdings:
            holdings = [
                read_holding(found) for found in connection.execute(_SELECT_HOLDINGS, (record_id,))
            ]
        record = StoredRecord(
            record_id, databases[database_id], control_number, marc, version, modified_us
        )
        yield Exported(record, holdings, share_done)


_Row = tuple[int, int, str, bytes, int, int]


def _rows(
    connection: sqlite3.Connection, selection: Selection, wanted: list[int], last_id: int
) -> Iterator[tuple[_Row, float]]:
    """The rows, with the share of them that is done."""
    conditions, values = ["NOT r.deleted"], list[object]()
    if wanted:
        conditions.append(f"r.database_id IN ({','.join('?' * len(wanted))})")
        values += wanted
    if selection.since_us is not None:
        conditions.append("r.modified_us >= ?")
        values.append(selection.since_us)
    if selection.until_us is not None:
        conditions.append("r.modified_us < ?")
        values.append(selection.until_us)
    if selection.held_by is not None:
        conditions.append(
            "EXISTS (SELECT 1 FROM holding h WHERE h.institution = ? AND h.record_id = r.record_id)"
        )
        values.append(selection.held_by)
    sql = f"SELECT {_COLUMNS} FROM record r WHERE {' AND '.join(conditions)}"
    if selection.record_ids is not None:
        ids = selection.record_ids.to_array()
        for first in range(0, len(ids), _IDS_AT_ONCE):
            some = ids[first : first + _IDS_AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = connection.execute(
                f"{sql} AND r.record_id IN ({marks}) ORDER BY r.record_id", (*values, *some)
            )
            for row in rows:
                yield row, (first + len(some)) / len(ids)
        return
    if selection.held_by is not None:
        # By the institution's holdings, which may be few.
        sql = (
            f"SELECT {_COLUMNS} FROM holding CROSS JOIN record r USING (record_id)"
            f" WHERE holding.institution = ? AND {' AND '.join(conditions)}"
            " ORDER BY holding.record_id"
        )
        values.insert(0, selection.held_by)
    else:
        sql += " ORDER BY r.record_id"
    for row in connection.execute(sql, values):
        yield row, row[0] / last_id
