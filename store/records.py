"""The rows of records, their history and their holdings; no word about the index.

Every method runs inside the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

from protocol.iso2709 import Field, MarcRecord, build, parse
from protocol.record import Database, Holding, MarcFamily, StoredRecord
from store.marc_packing import Packing
from store.sqlite import StoreError

_STORED_COLUMNS = (
    "record_id, database_id, control_number, unpacked(marc), version, modified_us, deleted"
    " FROM record"
)
_SAVE_HISTORY = """
INSERT INTO record_version (record_id, version, modified_us, account, deleted, marc)
SELECT record_id, version, modified_us, account, deleted, marc FROM record WHERE record_id = ?
"""
# What `read_holding` reads.
HOLDING_COLUMNS = "institution, record_id, call_number, copies, location, barcodes, extent, note"
_WRITE_HOLDING = """
INSERT INTO holding (record_id, institution, call_number, copies, location, barcodes, created_us,
    modified_us, extent, note, submission_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10)
ON CONFLICT DO UPDATE SET
    call_number = excluded.call_number, copies = excluded.copies,
    location = excluded.location, barcodes = excluded.barcodes,
    modified_us = excluded.modified_us, extent = excluded.extent, note = excluded.note,
    submission_id = excluded.submission_id
"""
# `record_identity` is in the order of agencies, of which a database has few: each is looked
# into for the number, where a plain condition would read the index from end to end.
_BY_NUMBER = """
WITH RECURSIVE present (agency) AS (
    SELECT min(agency) FROM record WHERE database_id = ?1
    UNION ALL
    SELECT (SELECT min(agency) FROM record WHERE database_id = ?1 AND agency > present.agency)
    FROM present WHERE present.agency IS NOT NULL
)
SELECT record_id FROM present CROSS JOIN record
WHERE database_id = ?1 AND record.agency = present.agency AND control_number = ?2
"""


def read_databases(connection: sqlite3.Connection) -> dict[int, Database]:
    """The catalogue's databases by their number."""
    return {
        number: Database(name, title, MarcFamily(family), tuple(json.loads(aliases)))
        for number, name, title, family, aliases in connection.execute(
            "SELECT database_id, name, title, family, aliases FROM database ORDER BY database_id"
        )
    }


def read_holding(row: Sequence[object]) -> Holding:
    """The `Holding` of a row of HOLDING_COLUMNS."""
    institution, record_id, call_number, copies, location, barcodes, extent, note = row
    return Holding(
        str(institution), int(str(record_id)), str(call_number), int(str(copies)),
        str(location), tuple(json.loads(str(barcodes))), str(extent), str(note),
    )  # fmt: skip


class RecordRows:
    """Reading and changing records by their identity: (database, 003, 001)."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self.packing = Packing(connection)
        self.databases: dict[int, Database] = {}

    def add_databases(self, databases: Sequence[Database]) -> None:
        """Create or update databases, and read them all."""
        for database in databases:
            self._execute(
                "INSERT INTO database (name, title, family, aliases) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET title = excluded.title,"
                " family = excluded.family, aliases = excluded.aliases",
                (
                    database.name,
                    database.title,
                    database.family.value,
                    json.dumps(database.aliases, ensure_ascii=False),
                ),
            )
        self.databases = read_databases(self._execute("SELECT 1").connection)

    def database_id(self, name: str) -> int:
        """Raises StoreError: there is none of that name."""
        for number, database in self.databases.items():
            if database.name == name:
                return number
        raise StoreError(f"there is no database {name!r}")

    def get(self, record_id: int) -> StoredRecord | None:
        """The newest version of a record."""
        return self._stored("record_id = ?", (record_id,))

    def resolve(
        self, database_id: int, agency: str, control_number: str, marc: bytes
    ) -> StoredRecord | None:
        """The stored record that `marc` is, or is the next version of.

        Without a control number: the one that came as the same octets.
        """
        if control_number:
            return self._stored(
                "database_id = ? AND agency = ? AND control_number = ?",
                (database_id, agency, control_number),
            )
        row = self._execute(
            "SELECT record_id FROM numbered_here WHERE database_id = ? AND digest = ?",
            (database_id, _digest(marc)),
        ).fetchone()
        return None if row is None else self.get(row[0])

    def by_number(self, database_id: int, control_number: str) -> list[StoredRecord]:
        """The records of a database with that 001, of whichever agency, deleted ones included."""
        record_ids = self._execute(_BY_NUMBER, (database_id, control_number)).fetchall()
        found = (self.get(record_id) for (record_id,) in sorted(record_ids))
        return [stored for stored in found if stored is not None]

    def _stored(self, condition: str, values: tuple[object, ...]) -> StoredRecord | None:
        row = self._execute(f"SELECT {_STORED_COLUMNS} WHERE {condition}", values).fetchone()
        if row is None:
            return None
        record_id, database_id, control_number, marc, version, modified_us, deleted = row
        return StoredRecord(
            record_id, self.databases[database_id], control_number, marc,
            version, modified_us, bool(deleted),
        )  # fmt: skip

    def next_record_id(self) -> int:
        row = self._execute("SELECT coalesce(max(record_id), 0) + 1 FROM record").fetchone()
        next_id: int = row[0]
        return next_id

    def assign_number(self, database_id: int, record_id: int, marc: bytes) -> tuple[str, bytes]:
        """A control number for a new record that has none, and the record with it."""
        number = self.free_number(database_id, record_id)
        self._execute(
            "INSERT INTO numbered_here VALUES (?, ?, ?)", (database_id, _digest(marc), record_id)
        )
        return number, with_number(marc, number)

    def free_number(self, database_id: int, record_id: int) -> str:
        """The control number that we give to a record of that id."""
        number = f"lm{record_id:09d}"
        while self._stored(
            "database_id = ? AND agency = '' AND control_number = ?", (database_id, number)
        ):
            number += "x"  # someone else's record came with our number
        return number

    def insert(
        self,
        record_id: int,
        database_id: int,
        identity: tuple[str, str],
        marc: bytes,
        *,
        account: str,
        at_us: int,
    ) -> StoredRecord:
        """A new record, in version 1; `identity` is its 003 and 001."""
        packed = self.packing.pack(database_id, marc)
        self._execute(
            "INSERT INTO record VALUES (?, ?, ?, ?, 1, ?6, ?6, ?7, 0, ?5)",
            (record_id, database_id, *identity, packed, at_us, account),
        )
        database = self.databases[database_id]
        return StoredRecord(record_id, database, identity[1], marc, 1, at_us)

    def replace(
        self, stored: StoredRecord, marc: bytes, account: str, at_us: int, *, deleted: bool = False
    ) -> StoredRecord:
        """The next version of a record; the one before goes into its history."""
        self._execute(_SAVE_HISTORY, (stored.record_id,))
        packed = self.packing.pack(self.database_id(stored.database.name), marc)
        self._execute(
            "UPDATE record SET version = version + 1, modified_us = ?, account = ?,"
            " deleted = ?, marc = ? WHERE record_id = ?",
            (at_us, account, deleted, packed, stored.record_id),
        )
        return replace(
            stored, marc=marc, version=stored.version + 1, modified_us=at_us, deleted=deleted
        )

    def version(self, record_id: int, version: int) -> bytes:
        """The octets of one version, the newest included."""
        row = self._execute(
            "SELECT unpacked(marc) FROM record WHERE record_id = ?1 AND version = ?2 UNION ALL"
            " SELECT unpacked(marc) FROM record_version WHERE record_id = ?1 AND version = ?2",
            (record_id, version),
        ).fetchone()
        if row is None:
            raise StoreError(f"record {record_id} has no version {version}: the file is damaged")
        marc: bytes = row[0]
        return marc

    def holders(self, record_id: int) -> list[str]:
        """Codes of the institutions that hold a record."""
        rows = self._execute("SELECT institution FROM holding WHERE record_id = ?", (record_id,))
        return [row[0] for row in rows]

    def write_holding(self, holding: Holding, at_us: int, submission_id: int = 0) -> None:
        self._execute(
            _WRITE_HOLDING,
            (
                holding.record_id,
                holding.institution,
                holding.call_number,
                holding.copies,
                holding.location,
                json.dumps(holding.barcodes, ensure_ascii=False),
                at_us,
                holding.extent,
                holding.note,
                submission_id,
            ),
        )

    def write_holding_event(
        self, institution: str, record_id: int, change: int, at_us: int, account: str,
        submission_id: int = 0,
    ) -> None:  # fmt: skip
        """Tell the ledger that a pair came (+1) or went (-1); a load is submission 0."""
        self._execute(
            "INSERT INTO holding_event (institution, record_id, change, at_us, account,"
            " submission_id) VALUES (?, ?, ?, ?, ?, ?)",
            (institution, record_id, change, at_us, account, submission_id),
        )


def with_number(marc: bytes, number: str) -> bytes:
    """A record in the stored form with 001 put before its other fields."""
    record = parse(marc)
    fields = [field for field in record.fields if field.tag != "001"]
    return build(record.leader, [Field("001", number), *fields], oversize=True)


def agency_of(record: MarcRecord) -> str:
    """Field 003, or an empty string."""
    field = record.first("003")
    return field.text.strip() if field else ""


def _digest(marc: bytes) -> bytes:
    return blake2b(marc, digest_size=16).digest()
