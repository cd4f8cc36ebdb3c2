"""Building the index anew from the records, and checking it against them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from protocol.iso2709 import parse
from protocol.record import MarcFamily
from store import postings
from store.batch import Batch
from store.bulk import BATCH_TERMS_MAX, CHUNK_RECORDS, OFFLINE_LIMITS
from store.gather import Postings
from store.index import add_packed, index_record
from store.merging import FormerNumbers, with_numbers
from store.parallel import Workers
from store.records import RecordRows, read_databases
from store.registers import fingerprint
from store.writer import CatalogueWriter

_FINDINGS_MAX = 100

_Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Version:
    """A version of a record with those that hold it: what its postings come from."""

    record_id: int
    database: str
    family: MarcFamily
    marc: bytes
    institutions: list[str]
    numbers: list[str]  # of records merged into it


def reindex(
    writer: CatalogueWriter,
    *,
    progress: Callable[[int], None] | None = None,
    processes: int | None = None,
) -> int:
    """Build the whole index anew; returns the number of records in it.

    Readers see the old index until it is done, and then the new one. Other
    writers wait. `progress` is called with the records done so far.
    """
    connection = writer.connection
    done = 0
    with writer.transaction(), Workers(processes) as workers:
        for table in ("posting", "position", "delta"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute(
            "UPDATE state SET generation = generation + 1, merged_sequence ="
            " coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'delta'), 0)"
        )
        connection.execute("UPDATE meta SET value = ? WHERE key = 'index'", (fingerprint(),))
        batch, record_ids = Batch(writer.register_ids), list[int]()
        for chunk_ids, chunk in workers.map(_index_versions, _chunks(_current(connection))):
            batch.add(chunk, len(record_ids))
            record_ids += chunk_ids
            done += len(chunk_ids)
            if (
                batch.posting_count >= OFFLINE_LIMITS.postings
                or batch.term_count >= BATCH_TERMS_MAX
            ):
                batch.write(connection, record_ids)
                batch, record_ids = Batch(writer.register_ids), []
            if progress is not None:
                progress(done)
        batch.write(connection, record_ids)
    writer.is_index_current = True
    return done


def _current(connection: sqlite3.Connection) -> Iterator[_Version]:
    """The newest version of every live record."""
    databases = read_databases(connection)
    holders = _Holders(connection)
    numbers = FormerNumbers(connection)
    for record_id, database_id, version, marc in connection.execute(
        "SELECT record_id, database_id, version, marc FROM record WHERE NOT deleted"
        " ORDER BY record_id"
    ):
        database = databases[database_id]
        yield _Version(
            record_id, database.name, database.family, marc, holders.of(record_id),
            numbers.of(record_id, version),
        )  # fmt: skip


class _Holders:
    """Who holds each record, read along with the records."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._rows = connection.execute(
            "SELECT record_id, institution FROM holding ORDER BY record_id, institution"
        )
        self._next: tuple[int, str] | None = self._rows.fetchone()

    def of(self, record_id: int) -> list[str]:
        """The holders of a record; call it with ascending ids."""
        found = []
        while self._next is not None and self._next[0] <= record_id:
            if self._next[0] == record_id:
                found.append(self._next[1])
            self._next = self._rows.fetchone()
        return found


def _chunks(versions: Iterator[_Version]) -> Iterator[list[_Version]]:
    chunk: list[_Version] = []
    for version in versions:
        chunk.append(version)
        if len(chunk) >= CHUNK_RECORDS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _index_versions(versions: list[_Version]) -> tuple[list[int], Postings]:
    postings = Postings()
    for place, version in enumerate(versions):
        record = with_numbers(parse(version.marc), version.numbers)
        index_record(
            postings, place, record, version.family, version.database, version.institutions
        )
    return [version.record_id for version in versions], postings


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
        for finding in (*_damage(connection), *_check_main(connection), *_check_delta(connection)):
            findings.append(finding)
            if len(findings) >= _FINDINGS_MAX:
                break
    finally:
        connection.execute("COMMIT")
    return findings


def _damage(connection: sqlite3.Connection) -> Iterator[str]:
    for (row,) in connection.execute("PRAGMA quick_check(10)"):
        if row != "ok":
            yield f"the file is damaged: {row}"


def _check_main(connection: sqlite3.Connection) -> Iterator[str]:
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
    for chunk_ids, chunk in map(_index_versions, _chunks(_merged(connection))):
        batch.add(chunk, len(record_ids))
        record_ids += chunk_ids
        if batch.posting_count >= OFFLINE_LIMITS.postings or batch.term_count >= BATCH_TERMS_MAX:
            batch.write(expected, record_ids)
            batch, record_ids = Batch(register_ids), []
    batch.write(expected, record_ids)
    expected.execute("COMMIT")


def _merged(connection: sqlite3.Connection) -> Iterator[_Version]:
    """The versions that the main index was made from."""
    bases = {
        row[0]: row[1:]
        for row in connection.execute(
            "SELECT delta.record_id, base_version, base_institutions, database_id"
            " FROM delta JOIN record USING (record_id)"
        )
    }
    for version in _current(connection):
        if version.record_id not in bases:
            yield version
    databases = read_databases(connection)
    rows = RecordRows(connection)
    numbers = FormerNumbers(connection)
    for record_id, (base, institutions, database_id) in bases.items():
        if base:
            database = databases[database_id]
            marc = rows.version(record_id, base)
            yield _Version(
                record_id, database.name, database.family, marc, json.loads(institutions),
                numbers.of(record_id, base),
            )  # fmt: skip


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


def _check_delta(connection: sqlite3.Connection) -> Iterator[str]:
    names = dict(connection.execute("SELECT register_id, name FROM register").fetchall())
    databases = read_databases(connection)
    rows = RecordRows(connection)
    numbers = FormerNumbers(connection)
    for record_id, entries, database_id, version, deleted, marc in connection.execute(
        "SELECT delta.record_id, entries, database_id, version, deleted, marc"
        " FROM delta JOIN record USING (record_id)"
    ).fetchall():
        found, expected = Postings(), Postings()
        add_packed(found, 0, entries, names)
        if not deleted:
            database = databases[database_id]
            holders = rows.holders(record_id)
            record = with_numbers(parse(marc), numbers.of(record_id, version))
            index_record(expected, 0, record, database.family, database.name, holders)
        if _comparable(found) != _comparable(expected):
            yield f"delta of record {record_id} is not what the record brings"


def _comparable(postings: Postings) -> dict[str, dict[str, set[int]]]:
    return {
        name: {term: set(values) for term, values in terms.items()}
        for name, terms in postings.each_by_term()
    }
