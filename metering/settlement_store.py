"""Settlements in the ledger's file: the tables, and documents as values."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

import msgspec

from metering.author import THE_RULES, Author
from metering.interface import MeteringError
from metering.settlement_bill import Line
from metering.sqlite_scripts import naming_errors_of, run

SCHEMA_VERSION = 2
_COLUMNS = (
    "number, status, year, institution, shown_in, made_us, ledger_seq, head_hash,"
    " tariff_version, holdings, downloads, repeats, voided, quota, billable, reason"
)


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """One document about a member's year. Money is in fen, owed by the member if positive.

    Of a note the figures are those of the year as it stands then, and the lines
    what they add to the documents before it. An estimate is not stored and has no
    number.
    """

    number: str
    status: str  # "estimate", "draft", "final" or "note"
    year: int
    institution: str
    shown_in: int  # the year whose statement bills it
    made_us: int  # UTC, microseconds since 1970; 0 for an estimate
    ledger_seq: int  # the last entry that is in it
    head_hash: str  # of that entry, hexadecimal
    tariff_version: str
    holdings: int
    downloads: int
    repeats: int
    voided: int
    quota: int
    billable: int
    reason: str  # of a note, or why a final came before its time
    lines: tuple[Line, ...]

    @property
    def receivable_fen(self) -> int:
        """What the member owes for downloads and batches."""
        return sum(line.amount_fen for line in self.lines if not line.is_credit)

    @property
    def payable_fen(self) -> int:
        """What the member is owed for uploads: its own, and its share in others'."""
        return -sum(line.amount_fen for line in self.lines if line.is_credit)

    @property
    def net_fen(self) -> int:
        """Owed by the member; negative: owed to it."""
        return self.receivable_fen - self.payable_fen

    def document(self) -> bytes:
        """The same bytes for the same document, for ever."""
        return msgspec.json.encode(self)

    def fingerprint(self) -> str:
        """SHA-256 of `document`, hexadecimal; the ledger's audit entry carries it."""
        return hashlib.sha256(self.document()).hexdigest()


def connect(path: Path) -> sqlite3.Connection:
    """A connection of its own to the ledger's file, with the tables of settlements in it.

    Raises:
        MeteringError: the file cannot be used, or a newer program wrote it.
    """
    with naming_errors():
        connection = sqlite3.connect(
            path, timeout=30, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        try:
            _create(connection)
        except BaseException:
            connection.close()
            raise
    return connection


naming_errors = partial(naming_errors_of, "the settlements")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, *, writing: bool) -> Iterator[None]:
    """One transaction, undone by any exception; a reading one is always."""
    with naming_errors():
        connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
        try:
            yield
            if writing:
                connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def stored(
    connection: sqlite3.Connection,
    year: int | None,
    institution: str | None = None,
    *,
    status: Sequence[str] = ("final", "note"),
    shown_in: int | None = None,
) -> list[Settlement]:
    """Documents in the order they were made; `shown_in` asks for another year than their own."""
    conditions = [f"status IN ({', '.join('?' * len(status))})"]
    parameters: list[str | int] = [*status]
    for column, value in (("year", year), ("institution", institution), ("shown_in", shown_in)):
        if value is not None:
            conditions.append(f"{column} = ?")
            parameters.append(value)
    rows = connection.execute(
        f"SELECT settlement_id, {_COLUMNS} FROM settlement"
        f" WHERE {' AND '.join(conditions)} ORDER BY settlement_id",
        parameters,
    ).fetchall()
    return [_settlement(connection, *row) for row in rows]


def _settlement(connection: sqlite3.Connection, settlement_id: int, *row: object) -> Settlement:
    fields = dict(zip(_COLUMNS.replace(" ", "").split(","), row, strict=True))
    head_hash = fields["head_hash"]
    assert isinstance(head_hash, bytes)  # noqa: S101 - the column says so
    fields["head_hash"] = head_hash.hex()
    lines = connection.execute(
        "SELECT item, quantity, price_fen, amount_fen"
        " FROM settlement_line WHERE settlement_id = ? ORDER BY place",
        (settlement_id,),
    )
    fields["lines"] = tuple(Line(*line) for line in lines)
    return msgspec.convert(fields, Settlement)


def authors(connection: sqlite3.Connection) -> dict[str, Author]:
    """Who made each document, by its number; older ones are not there."""
    rows = connection.execute(
        "SELECT number, who, account, address, protocol"
        " FROM settlement_author JOIN settlement USING (settlement_id)"
    )
    return {number: Author(*author) for number, *author in rows}


def store(connection: sqlite3.Connection, settlement: Settlement, by: Author = THE_RULES) -> int:
    """Add a document in the open transaction; its id."""
    query = "SELECT coalesce(max(settlement_id), 0) + 1 FROM settlement"
    (settlement_id,) = connection.execute(query).fetchone()
    connection.executemany(
        "INSERT INTO settlement_line VALUES (?, ?, ?, ?, ?, ?)",
        [
            (settlement_id, place, line.item, line.quantity, line.price_fen, line.amount_fen)
            for place, line in enumerate(settlement.lines, 1)
        ],
    )
    values = [getattr(settlement, name) for name in _COLUMNS.replace(" ", "").split(",")]
    values[7] = bytes.fromhex(settlement.head_hash)
    connection.execute(
        f"INSERT INTO settlement (settlement_id, {_COLUMNS}) VALUES ({', '.join('?' * 17)})",
        (settlement_id, *values),
    )
    connection.execute(
        "INSERT INTO settlement_author VALUES (?, ?, ?, ?, ?)",
        (settlement_id, by.who, by.account, by.address, by.protocol),
    )
    return int(settlement_id)


def last_settlement(path: Path) -> tuple[int, str, int] | None:
    """Year, status and making (UTC, microseconds) of the newest document; None: there is none.

    Nothing is written.

    Raises:
        MeteringError: the ledger at `path` cannot be read.
    """
    with naming_errors():
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=5)) as connection:
            if not _version(connection):
                return None
            row: tuple[int, str, int] | None = connection.execute(
                "SELECT year, status, made_us FROM settlement ORDER BY settlement_id DESC LIMIT 1"
            ).fetchone()
    return row


def settlement_counts(path: Path) -> dict[tuple[int, str], int]:
    """How many documents there are, by year and status; nothing is written.

    Raises:
        MeteringError: the ledger at `path` cannot be read.
    """
    with naming_errors():
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=5)) as connection:
            if not _version(connection):
                return {}
            rows = connection.execute(
                "SELECT year, status, count(*) FROM settlement GROUP BY year, status"
            ).fetchall()
    return {(year, status): count for year, status, count in rows}


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables where there are none: an older ledger gets them when first asked."""
    if _version(connection) == SCHEMA_VERSION:
        return
    with transaction(connection, writing=True):
        version = _version(connection)
        script = files("metering").joinpath("settlement.sql").read_text("utf-8")
        if version == 0:
            run(connection, script)
        elif version < SCHEMA_VERSION:  # nobody was faster
            # The table of authors and what guards it, as they are in a new file.
            first = script.index("CREATE TABLE settlement_author")
            run(connection, script[first : script.index("CREATE TABLE settlement_schema")])
            connection.execute("UPDATE settlement_schema SET version = 2")


def _version(connection: sqlite3.Connection) -> int:
    """Which version there is; 0: none."""
    query = "SELECT 1 FROM sqlite_schema WHERE name = 'settlement_schema'"
    if connection.execute(query).fetchone() is None:
        return 0
    (version,) = connection.execute("SELECT version FROM settlement_schema").fetchone()
    if not 1 <= version <= SCHEMA_VERSION:
        raise MeteringError(
            f"the settlements have schema {version}, this program knows {SCHEMA_VERSION}"
        )
    return int(version)
