"""Which records have a cover image, who brought it, and what was done to it.

`covers.sqlite`, apart from the catalogue: pictures come seldom, and a row that a crash
leaves without its files, or files without their row, harms no record. Files come
first, then the row, so a row always has its files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass, fields
from importlib import resources
from pathlib import Path

from store.audit import AuditRow, Origin
from store.sqlite import StoreError, statements, transaction

SCHEMA_VERSION = 1
CREDIT_DUE, CREDIT_TOLD = "due", "told"
_DUE_MAX = 1000


@dataclass(frozen=True, slots=True)
class Cover:
    """The cover image of a record, as it is kept.

    `institution` brought it, "" for an operator; checksums are SHA-256,
    hexadecimal; `width` and `height` are in pixels, `at_us` UTC in microseconds
    since 1970. `credit` is CREDIT_DUE, CREDIT_TOLD, or says why there is none.
    """

    catalogue: str
    record_id: int
    database: str
    control_number: str
    institution: str
    account: str
    at_us: int
    sent_sha256: str
    sha256: str
    medium_sha256: str
    small_sha256: str
    format: str  # "jpeg", "png" or "webp"
    width: int
    height: int
    size_bytes: int
    credit: str


_NAMES = [each.name for each in fields(Cover)]
_COLUMNS = ", ".join(_NAMES)


class CoverRows:
    """The rows; methods block on the disk, and changes are made inside `transaction`.

    With `create` a missing database is made; otherwise it is opened for reading only.

    Raises:
        StoreError: it is missing, cannot be opened, or is of a later version.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self._path = path
        try:
            if create:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = sqlite3.connect(
                    path, isolation_level=None, timeout=30.0, check_same_thread=False
                )
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
                self._create()
            else:
                self._connection = sqlite3.connect(
                    f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None,
                    timeout=30.0, check_same_thread=False,
                )  # fmt: skip
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{path}: {error}") from error
        if version != SCHEMA_VERSION:
            self._connection.close()
            raise StoreError(f"{path} has schema {version}, this program knows {SCHEMA_VERSION}")

    def _create(self) -> None:
        if self._connection.execute("PRAGMA user_version").fetchone() != (0,):
            return
        with transaction(self._connection, self._path):
            if self._connection.execute("PRAGMA user_version").fetchone() == (0,):
                schema = resources.files("store").joinpath("covers.sql").read_text("utf-8")
                for statement in statements(schema):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        self._connection.close()

    def transaction(self) -> AbstractContextManager[None]:
        """One writing transaction; whoever comes second waits.

        Raises:
            StoreError: the database cannot be written.
        """
        return transaction(self._connection, self._path)

    def of_record(self, catalogue: str, record_id: int) -> Cover | None:
        return next(self._covers("catalogue = ? AND record_id = ?", (catalogue, record_id)), None)

    def of_numbers(self, catalogue: str, database: str, numbers: Sequence[str]) -> Cover | None:
        """That of the first of some control numbers of a database that has any."""
        for number in numbers:
            condition = "catalogue = ? AND database = ? AND control_number = ? ORDER BY at_us"
            found = next(self._covers(condition, (catalogue, database, number)), None)
            if found is not None:
                return found
        return None

    def covers(self, *, institution: str | None = None) -> Iterator[Cover]:
        """All, or those that an institution brought, in the order of their records."""
        yield from self._covers(
            "?1 IS NULL OR institution = ?1 ORDER BY catalogue, record_id", (institution,)
        )

    def credit_due(self) -> list[Cover]:
        """Those whose credit is still to be told, the oldest first, at most 1,000."""
        return list(self._covers("credit = 'due' ORDER BY at_us LIMIT ?", (_DUE_MAX,)))

    def set_credit(self, cover: Cover, credit: str) -> None:
        """What became of the credit of a cover that is still the one given."""
        self._connection.execute(
            "UPDATE cover SET credit = ? WHERE catalogue = ? AND record_id = ? AND sha256 = ?",
            (credit, cover.catalogue, cover.record_id, cover.sha256),
        )

    def is_used(self, sha256: str) -> bool:
        """Whether any record has the picture of that checksum."""
        row = self._connection.execute("SELECT 1 FROM cover WHERE sha256 = ?", (sha256,)).fetchone()
        return row is not None

    def put(self, cover: Cover, *, who: str, origin: Origin, reason: str = "") -> Cover | None:
        """Give a record its cover, in place of the one it had, which is returned."""
        before = self.of_record(cover.catalogue, cover.record_id)
        self._connection.execute(
            f"INSERT OR REPLACE INTO cover ({_COLUMNS}) VALUES ({', '.join('?' * len(_NAMES))})",
            astuple(cover),
        )
        action = "add" if before is None else "replace"
        sha256 = before.sha256 if before is not None else ""
        self._note(cover, action, cover.at_us, who, origin, reason, sha256, cover.sha256)
        return before

    def remove(self, cover: Cover, at_us: int, *, who: str, origin: Origin, reason: str) -> None:
        """Take a record's cover away."""
        self._connection.execute(
            "DELETE FROM cover WHERE catalogue = ? AND record_id = ?",
            (cover.catalogue, cover.record_id),
        )
        self._note(cover, "remove", at_us, who, origin, reason, cover.sha256, "")

    def audit(self) -> Iterator[AuditRow]:
        """Every change as rows of the audit, in order."""
        rows = self._connection.execute(
            "SELECT change_id, at_us, who, action, institution, reason, before, after, account,"
            " address, protocol, database, control_number FROM cover_change ORDER BY change_id"
        )
        for (
            change_id, at_us, who, action, institution, reason, before, after, account, address,
            protocol, database, number,
        ) in rows:  # fmt: skip
            yield AuditRow(
                change_id, at_us, who, f"cover {action}", institution, reason, before, after,
                account, address, protocol, f"{database} {number}",
            )  # fmt: skip

    def _note(
        self,
        cover: Cover,
        action: str,
        at_us: int,
        who: str,
        origin: Origin,
        reason: str,
        before: str,
        after: str,
    ) -> None:
        self._connection.execute(
            "INSERT INTO cover_change (catalogue, record_id, database, control_number, action,"
            " institution, who, account, protocol, address, at_us, reason, before, after)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                cover.catalogue, cover.record_id, cover.database, cover.control_number, action,
                cover.institution, who, origin.account, origin.protocol, origin.address, at_us,
                reason.strip(), before, after,
            ),
        )  # fmt: skip

    def _covers(self, condition: str, values: Sequence[object]) -> Iterator[Cover]:
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM cover WHERE {condition}", values)
        for row in rows.fetchall():
            yield Cover(*row)
