"""Packing what earlier versions stored as it came, beside a running server.

Each step is a transaction of its own, so a writer waits for no longer than one of
them, and a call after a crash goes on with what is left. The file does not become
smaller by it: the pages of these records stay, mostly empty, until it is copied
together by SQLite's VACUUM, which needs a stopped server.
"""

from __future__ import annotations

from collections.abc import Callable

from store.marc_packing import SAMPLES_MAX
from store.writer import CatalogueWriter

_STEP_ROWS = 500

# Whatever sorts before x'80' is not packed.
_SELECT = {
    "record": (
        "SELECT record_id, version, database_id, marc FROM record"
        " WHERE (record_id, version) > (?1, ?2) AND record_id >= ?1 AND marc < x'80'"
        " ORDER BY record_id LIMIT ?3"
    ),
    "record_version": (
        "SELECT record_id, v.version, database_id, v.marc FROM record_version v"
        " JOIN record USING (record_id) WHERE (record_id, v.version) > (?1, ?2)"
        " AND record_id >= ?1 AND v.marc < x'80' ORDER BY record_id, v.version LIMIT ?3"
    ),
}


def pack_stored(writer: CatalogueWriter, progress: Callable[[int], None] | None = None) -> int:
    """Pack every version of every record that is not; returns how many were written anew.

    `progress` is told how many so far. Databases that have no dictionary yet are given
    one, where their records are enough for it.
    """
    for database_id in writer.rows.databases:
        add_dictionary(writer, database_id)
    done = 0
    for table, select in _SELECT.items():
        at = (0, 0)
        while True:
            with writer.transaction():
                rows = writer.connection.execute(select, (*at, _STEP_ROWS)).fetchall()
                packed = [
                    (writer.rows.packing.pack(database_id, marc), record_id, version)
                    for record_id, version, database_id, marc in rows
                ]
                changed = [new for new, old in zip(packed, rows, strict=True) if new[0] != old[3]]
                writer.connection.executemany(
                    f"UPDATE {table} SET marc = ? WHERE record_id = ? AND version = ?", changed
                )
            if not rows:
                break
            at = rows[-1][:2]
            done += len(changed)
            if progress is not None:
                progress(done)
    return done


def add_dictionary(writer: CatalogueWriter, database_id: int) -> None:
    """Give a database that has none a dictionary, of records from all of it."""
    packing = writer.rows.packing
    if packing.has_dictionary(database_id):
        return
    samples = writer.connection.execute(
        "WITH chosen AS (SELECT record_id, row_number() OVER (ORDER BY record_id) AS place,"
        " count(*) OVER () AS total FROM record WHERE database_id = ?1 AND NOT deleted)"
        " SELECT unpacked(marc) FROM record JOIN chosen USING (record_id)"
        " WHERE place % max(1, total / ?2) = 0",
        (database_id, SAMPLES_MAX),
    )
    records = [marc for (marc,) in samples]
    with writer.transaction():
        packing.add_dictionary(database_id, records)
