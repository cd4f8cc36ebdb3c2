"""Versions of records as the index takes them in: what decides a record's postings."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from protocol.iso2709 import parse
from protocol.record import MarcFamily
from store.bulk import CHUNK_RECORDS
from store.gather import Postings
from store.index import Target, Text, index_record
from store.merging import FormerNumbers, MergeRows, with_numbers
from store.records import RecordRows, read_databases
from store.sqlite import StoreError


@dataclass(frozen=True, slots=True)
class IndexedVersion:
    """A version of a record with those that hold it: what its postings come from."""

    record_id: int
    version: int
    database: str
    family: MarcFamily
    marc: bytes
    institutions: list[str]
    numbers: list[str]  # of records merged into it


def add_version(postings: Target[Text], place: int, version: IndexedVersion) -> None:
    """Add the postings of a version, as the record at `place`.

    Raises:
        StoreError: the record is damaged; `postings` may have a part of it.
    """
    try:
        record = with_numbers(parse(version.marc), version.numbers)
        index_record(
            postings, place, record, version.family, version.database, version.institutions
        )
    except Exception as error:  # whatever damage makes the analysis raise
        raise StoreError(f"record {version.record_id} cannot be indexed: {error}") from error


def index_versions(versions: list[IndexedVersion]) -> tuple[list[IndexedVersion], Postings]:
    """The postings of some versions, by their place in the list; for another process.

    The versions come back without their octets.
    """
    postings = Postings()
    for place, version in enumerate(versions):
        add_version(postings, place, version)
    return [
        IndexedVersion(
            each.record_id, each.version, each.database, each.family, b"", each.institutions, []
        )
        for each in versions
    ], postings


class VersionReader:
    """Reads versions one by one, inside the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._rows = RecordRows(connection)
        self._rows.add_databases(())
        self._merges = MergeRows(connection)

    def newest(self, record_id: int) -> IndexedVersion | None:
        """The newest version of a record; None: it is deleted, or there is none."""
        stored = self._rows.get(record_id)
        if stored is None or stored.deleted:
            return None
        holders = sorted(self._rows.holders(record_id))
        return self._with_numbers(
            record_id, stored.version, stored.database.name, stored.database.family,
            stored.marc, holders,
        )  # fmt: skip

    def former(self, record_id: int, version: int, institutions: list[str]) -> IndexedVersion:
        """A version that was, with those who held it then.

        Raises:
            StoreError: there is no such version; the file is damaged.
        """
        marc = self._rows.version(record_id, version)
        (database_id,) = self._execute(
            "SELECT database_id FROM record WHERE record_id = ?", (record_id,)
        ).fetchone()
        database = self._rows.databases[database_id]
        return self._with_numbers(
            record_id, version, database.name, database.family, marc, institutions
        )

    def _with_numbers(
        self,
        record_id: int,
        version: int,
        database: str,
        family: MarcFamily,
        marc: bytes,
        institutions: list[str],
    ) -> IndexedVersion:
        numbers = self._merges.former_numbers(record_id, version)
        return IndexedVersion(record_id, version, database, family, marc, institutions, numbers)

    def newest_after(self, record_id: int, count: int) -> list[IndexedVersion]:
        """The newest versions of up to `count` live records behind `record_id`."""
        rows = self._execute(
            "SELECT record_id FROM record WHERE record_id > ? AND NOT deleted"
            " ORDER BY record_id LIMIT ?",
            (record_id, count),
        ).fetchall()
        return [version for (row,) in rows if (version := self.newest(row)) is not None]


def current(connection: sqlite3.Connection) -> Iterator[IndexedVersion]:
    """The newest version of every live record, in one statement: inside one transaction."""
    databases = read_databases(connection)
    holders = _Holders(connection)
    numbers = FormerNumbers(connection)
    for record_id, database_id, version, marc in connection.execute(
        "SELECT record_id, database_id, version, unpacked(marc) FROM record WHERE NOT deleted"
        " ORDER BY record_id"
    ):
        database = databases[database_id]
        yield IndexedVersion(
            record_id, version, database.name, database.family, marc, holders.of(record_id),
            numbers.of(record_id, version),
        )  # fmt: skip


def merged(connection: sqlite3.Connection) -> Iterator[IndexedVersion]:
    """The versions that the main index was made from; inside one transaction."""
    bases = {
        row[0]: row[1:]
        for row in connection.execute(
            "SELECT delta.record_id, base_version, base_institutions"
            " FROM delta JOIN record USING (record_id)"
        )
    }
    for version in current(connection):
        if version.record_id not in bases:
            yield version
    reader = VersionReader(connection)
    for record_id, (base, institutions) in bases.items():
        if base:
            yield reader.former(record_id, base, json.loads(institutions))


def chunks(versions: Iterator[IndexedVersion]) -> Iterator[list[IndexedVersion]]:
    """Versions in lists of CHUNK_RECORDS."""
    chunk: list[IndexedVersion] = []
    for version in versions:
        chunk.append(version)
        if len(chunk) >= CHUNK_RECORDS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


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
