"""What people did to records, one by one: who, from where, and what became of it.

Members over the network, and operators on the command line; loads are not in it. One
row a change, in the transaction of the change. The first insert of a record says whose
it is; the digest of what came tells a record that is sent again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from protocol.iso2709 import MarcRecord
from store.audit import EVERYTHING, AuditRow, AuditSelection

CREDIT_DUE, CREDIT_CLAIMED = "due", "claimed"
DUE_MAX = 100
COMMAND_LINE = "cli"
REPLACE, DELETE, UNDELETE, MERGE = "replace", "delete", "undelete", "merge"


@dataclass(frozen=True, slots=True)
class UploadRow:
    """One change. `institution` is "" for an operator; `at_us` is UTC, microseconds since 1970.

    `credit` is CREDIT_DUE, CREDIT_CLAIMED, or says why there is none.
    """

    upload_id: int
    record_id: int
    version: int
    action: str  # "insert", "replace", "delete"; by operators "undelete" and "merge", too
    institution: str
    account: str
    protocol: str
    address: str
    at_us: int
    credit: str


_COLUMNS = (
    "upload_id, record_id, version, action, institution, account, protocol, address, at_us, credit"
)


_AUDIT = """
SELECT upload_id, upload.at_us, upload.account, action, institution, protocol, address,
       upload.version, action IN ('delete', 'merge'), database.name, record.control_number,
       coalesce(record_remark.reason, ''), coalesce(other.control_number, '')
FROM upload JOIN record USING (record_id) JOIN database USING (database_id)
LEFT JOIN record_remark ON record_remark.record_id = upload.record_id
    AND record_remark.version = upload.version
LEFT JOIN record AS other ON other.record_id = record_remark.other_id
WHERE (?1 IS NULL OR upload.institution = ?1) AND upload.at_us >= ?2 AND upload.at_us < ?3
ORDER BY upload_id
"""


class UploadRows:
    """Reads and writes the rows over a connection of the catalogue."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def add(
        self,
        record_id: int,
        version: int,
        action: str,
        *,
        institution: str,
        account: str,
        protocol: str,
        address: str,
        at_us: int,
        digest: bytes | None = None,
        credit: str = "",
    ) -> None:
        """Write one down, inside the transaction of the change."""
        self._execute(
            "INSERT INTO upload (record_id, version, action, institution, account, protocol,"
            " address, at_us, digest, credit) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                record_id, version, action, institution, account, protocol, address, at_us,
                digest, credit,
            ),
        )  # fmt: skip

    def creator(self, record_id: int) -> str | None:
        """The institution that brought a record, "" for an operator; None: it came otherwise."""
        row = self._execute(
            "SELECT institution FROM upload WHERE record_id = ? AND action = 'insert'"
            " ORDER BY upload_id LIMIT 1",
            (record_id,),
        ).fetchone()
        return None if row is None else str(row[0])

    def inserted(self, digest: bytes) -> UploadRow | None:
        """The newest insert of what has that digest."""
        return next(self._rows("digest = ? ORDER BY upload_id DESC LIMIT 1", (digest,)), None)

    def credited(self, digest: bytes) -> UploadRow | None:
        """The insert of what has that digest which earned, or is going to earn, credit."""
        condition = "digest = ? AND credit IN (?, ?) LIMIT 1"
        return next(self._rows(condition, (digest, CREDIT_DUE, CREDIT_CLAIMED)), None)

    def of_record(self, record_id: int) -> list[UploadRow]:
        """Everything that was done to a record over the network, in order."""
        return list(self._rows("record_id = ? ORDER BY upload_id", (record_id,)))

    def listed(
        self, institution: str | None = None, *, after: int = 0
    ) -> Iterator[tuple[UploadRow, str, str]]:
        """Every change in order, of one institution or all, with database and control number.

        `after` is the `upload_id` to go on behind.
        """
        columns = ", ".join(f"upload.{name}" for name in _COLUMNS.split(", "))
        rows = self._execute(
            f"SELECT {columns}, database.name, record.control_number FROM upload"
            " JOIN record USING (record_id) JOIN database USING (database_id)"
            " WHERE (?1 IS NULL OR upload.institution = ?1) AND upload_id > ?2 ORDER BY upload_id",
            (institution, after),
        )
        for *values, database, number in rows:
            yield UploadRow(*values), database, number

    def newest_inserted(self, limit: int) -> list[int]:
        """The records that were added last over the network, the newest first."""
        rows = self._execute(
            "SELECT record_id FROM upload WHERE action = 'insert' ORDER BY upload_id DESC LIMIT ?",
            (limit,),
        )
        return [record_id for (record_id,) in rows]

    def audit(self, selection: AuditSelection = EVERYTHING) -> Iterator[AuditRow]:
        """Every change that a selection's institution and times leave, in order, as audit rows."""
        for (
            upload_id, at_us, account, action, institution, protocol, address, version, deleted,
            database, number, reason, other,
        ) in self._execute(_AUDIT, selection.bounds):  # fmt: skip
            after = f"into {other}" if other and action == MERGE else f"version {version}"
            yield AuditRow(
                upload_id, at_us, account, f"record {action}", institution, reason,
                f"version {version - 1}" if version > 1 else "",
                f"{after}, deleted" if deleted else after,
                "" if protocol == COMMAND_LINE else account, address, protocol,
                f"{database} {number}",
            )  # fmt: skip

    def credit_due(self) -> list[UploadRow]:
        """Inserts whose credit is to be claimed, the oldest first, at most DUE_MAX."""
        return list(self._rows("credit = 'due' ORDER BY upload_id LIMIT ?", (DUE_MAX,)))

    def credit_claimed(self, upload_id: int) -> None:
        self._execute(
            "UPDATE upload SET credit = ? WHERE upload_id = ?", (CREDIT_CLAIMED, upload_id)
        )

    def _rows(self, condition: str, values: tuple[object, ...]) -> Iterator[UploadRow]:
        for row in self._execute(f"SELECT {_COLUMNS} FROM upload WHERE {condition}", values):
            yield UploadRow(*row)


def digest_of(institution: str, database: str, record: MarcRecord) -> bytes:
    """Of a record as it came from an institution, but for when it was last changed there.

    What a leader says of lengths is left out: it depends on how the record was sent.
    """
    digest = blake2b(digest_size=16)
    for part in (institution, database, record.leader[5:12] + record.leader[17:20]):
        digest.update(part.encode() + b"\0")
    for field in record.fields:
        if field.tag != "005":
            digest.update(f"{field.tag}{field.text}\x1e".encode("utf-8", "surrogatepass"))
    return digest.digest()
