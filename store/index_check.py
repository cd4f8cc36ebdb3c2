"""Comparing the whole index with the records it was made from."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from store import postings
from store.batch import Batch
from store.bulk import BATCH_TERMS_MAX, OFFLINE_LIMITS, has_room
from store.delta_row import add_row, unpack
from store.gather import Postings
from store.indexed_versions import VersionReader, add_version, chunks, index_versions, merged
from store.registers import fingerprint
from store.runs import are_waiting

_FINDINGS_MAX = 100

_Row = tuple[Any, ...]


def check(connection: sqlite3.Connection) -> list[str]:
    """Compare the index with the records it was made from; returns what differs.

    Every posting, position and frequency of the main index and every row of
    the delta is compared with what the records bring, so it takes as long as
    `reindex`, and the memory of a second index. At most 100 findings.
    """
    findings: list[str] = []
    connection.execute("BEGIN")
    try:
        built_by = connection.execute("SELECT value FROM meta WHERE key = 'index'").fetchone()[0]
        if built_by != fingerprint():
            return ["the index was built by another version of the analysis"]
        if are_waiting(connection):
            return ["a load is not merged into the index yet"]
        found = chain(damage(connection), check_main(connection), check_delta(connection))
        findings += islice(found, _FINDINGS_MAX)
    finally:
        connection.execute("COMMIT")
    return findings


def damage(connection: sqlite3.Connection) -> Iterator[str]:
    for (row,) in connection.execute("PRAGMA quick_check(10)"):
        if row != "ok":
            yield f"the file is damaged: {row}"


def check_main(connection: sqlite3.Connection) -> Iterator[str]:
    expected = sqlite3.connect("")  # a file that goes with its connection
    try:
        _build_expected(connection, expected)
        for table, columns, key_size in (
            ("posting", "register_id, term, frequency, records", 2),
            ("position", "register_id, term, shard, positions", 3),
        ):
            query = f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3"
            rows = _matched(connection.execute(query), expected.execute(query), key_size)
            for pair in rows:
                finding = _difference(table, *pair)
                if finding:
                    yield finding
    finally:
        expected.close()


def _build_expected(connection: sqlite3.Connection, expected: sqlite3.Connection) -> None:
    """Make the main index that the records call for."""
    for (sql,) in connection.execute(
        "SELECT sql FROM sqlite_schema WHERE name IN ('posting', 'position', 'state')"
    ).fetchall():
        expected.execute(sql)
    register_ids = dict(connection.execute("SELECT name, register_id FROM register").fetchall())
    expected.execute("BEGIN")
    batch, record_ids = Batch(register_ids), list[int]()
    for versions, chunk in map(index_versions, chunks(merged(connection))):
        if not has_room(batch, chunk):
            batch.write(expected, record_ids)
            batch, record_ids = Batch(register_ids), []
        batch.add(chunk, len(record_ids))
        record_ids += [version.record_id for version in versions]
        if batch.posting_count >= OFFLINE_LIMITS.postings or batch.term_count >= BATCH_TERMS_MAX:
            batch.write(expected, record_ids)
            batch, record_ids = Batch(register_ids), []
    batch.write(expected, record_ids)
    expected.execute("COMMIT")


def _matched(
    rows: Iterator[_Row], others: Iterator[_Row], key_size: int
) -> Iterator[tuple[_Row | None, _Row | None]]:
    """Pair rows of equal keys; None where one side has no such row."""
    row, other = next(rows, None), next(others, None)
    while row is not None or other is not None:
        key = row[:key_size] if row is not None else None
        other_key = other[:key_size] if other is not None else None
        if other_key is None or (key is not None and key < other_key):
            yield row, None
            row = next(rows, None)
        elif key is None or other_key < key:
            yield None, other
            other = next(others, None)
        else:
            yield row, other
            row, other = next(rows, None), next(others, None)


def _difference(table: str, found: _Row | None, expected: _Row | None) -> str | None:
    if found is None or expected is None:
        which = "is missing" if found is None else "should not be there"
        return f"{table} {(found or expected or ())[:3]} {which}"
    if found[:3] != expected[:3]:
        return f"{table} {found[:3]}: the frequency should be {expected[2]}"
    if found[3] != expected[3]:
        missing = postings.decode(expected[3]) - postings.decode(found[3])
        excess = postings.decode(found[3]) - postings.decode(expected[3])
        if missing or excess:
            return f"{table} {found[:3]}: lacks {len(missing)}, has {len(excess)} too many"
    return None


def check_delta(connection: sqlite3.Connection) -> Iterator[str]:
    """Compare every row of the delta with the record it speaks of."""
    names = dict(connection.execute("SELECT register_id, name FROM register").fetchall())
    reader = VersionReader(connection)
    for record_id, entries in connection.execute(
        "SELECT record_id, entries FROM delta ORDER BY record_id"
    ).fetchall():
        found, expected = Postings(), Postings()
        add_row(found, 0, unpack(entries), names)
        version = reader.newest(record_id)
        if version is not None:
            add_version(expected, 0, version)
        if _comparable(found) != _comparable(expected):
            yield f"delta of record {record_id} is not what the record brings"


def _comparable(postings: Postings) -> dict[str, dict[str, set[int]]]:
    return {
        name: {term: set(values) for term, values in terms.items()}
        for name, terms in postings.each_by_term()
    }
