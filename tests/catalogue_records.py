"""Small MARC 21 records and a catalogue of them, for the tests of the store."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from protocol.iso2709 import Field, build
from protocol.record import Database, MarcFamily, StoredRecord
from store.catalogue import SqliteCatalogue
from store.sqlite import MIGRATIONS, SCHEMA_VERSION
from store.writer import CatalogueWriter

LEADER = "00000nam a2200000 i 4500"
WESTERN = Database("we_cat", "Western", MarcFamily.MARC21, ("western",))
CHINESE = Database("cn_cat", "Chinese", MarcFamily.UNIMARC)
DATABASES = (WESTERN, CHINESE)


def book(
    number: str,
    title: str,
    *,
    author: str = "",
    subjects: Sequence[str] = (),
    isbn: str = "",
    year: str = "",
    note: str = "",
) -> bytes:
    """A MARC 21 record in the stored form; an empty value leaves its field out."""
    fields = [Field("001", number)] if number else []
    if year:
        fields.append(Field("008", f"040101s{year}    xx            000 0 eng d"))
    if isbn:
        fields.append(Field.of("020", "  ", [("a", isbn)]))
    if author:
        fields.append(Field.of("100", "1 ", [("a", author)]))
    fields.append(Field.of("245", "00", [("a", title)]))
    if note:
        fields.append(Field.of("500", "  ", [("a", note)]))
    fields += [Field.of("650", " 0", [("a", subject)]) for subject in subjects]
    return build(LEADER, fields)


def chinese_book(number: str, title: str, author: str = "") -> bytes:
    """A CNMARC record in the stored form."""
    fields = [Field("001", number), Field.of("200", "1 ", [("a", title)])]
    if author:
        fields.append(Field.of("701", " 0", [("a", author)]))
    return build("00000nam0 2200000   450 ", fields)


def put(writer: CatalogueWriter, marc: bytes, database: str = "we_cat") -> int:
    """Store a record; returns its id."""
    stored = writer.put(database, marc)
    assert isinstance(stored, StoredRecord)
    return stored.record_id


def back_to_schema(connection: sqlite3.Connection, version: int) -> None:
    """Make a catalogue what it was in an earlier schema, by what its migrations add."""
    for step in range(version, SCHEMA_VERSION):
        for table in re.findall(r"CREATE TABLE (\w+)", MIGRATIONS[step]):
            connection.execute(f"DROP TABLE {table}")
        for table, column in re.findall(r"ALTER TABLE (\w+) ADD COLUMN (\w+)", MIGRATIONS[step]):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    connection.execute(f"PRAGMA user_version = {version}")


class Library:
    """A catalogue with its writer, in a folder of a test."""

    def __init__(self, directory: Path, *, merge_after_records: int | None = None) -> None:
        self.directory = directory
        self.writer = CatalogueWriter(
            directory, DATABASES, durable=False, merge_after_records=merge_after_records
        )
        self.catalogue = SqliteCatalogue(directory)

    def merge(self) -> None:
        while self.writer.merge():
            pass

    def close(self) -> None:
        self.catalogue.close()
        self.writer.close()
