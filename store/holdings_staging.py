"""What a file of holdings says, by record, in a scratch file until it is carried out.

Files come in any order and may have a line for each copy. Only when all of it is
read is it known what a member says of each record, and with `replace-all` what it
holds no more; and records in the order of the catalogue are written many times as
fast as at random.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
from pyroaring import BitMap

from protocol.holding_statement import HoldingStatement
from store.sqlite import StoreError

_PUT, _REMOVE, _KEEP = 0, 1, 2
_VERSION = 1
_SCHEMA = f"""
CREATE TABLE said (
    record_id INTEGER NOT NULL, line INTEGER NOT NULL, what INTEGER NOT NULL, statement BLOB);
CREATE TABLE refused (line INTEGER NOT NULL, name TEXT NOT NULL, reason TEXT NOT NULL,
    text TEXT NOT NULL, PRIMARY KEY (line, name)) WITHOUT ROWID;
CREATE TABLE head (lines INTEGER NOT NULL);
PRAGMA user_version = {_VERSION};
"""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(
    tuple[str | None, int | None, str | None, tuple[str, ...] | None, str | None, str | None]
).decode


@dataclass(frozen=True, slots=True)
class Said:
    """What a file says of one record in the end; no `statement`: it is not held any more.

    `line` is the last one that speaks of it, counted from 1.
    """

    record_id: int
    line: int
    statement: HoldingStatement | None


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that cannot be carried out. `name` is what it names the record by."""

    line: int
    name: str
    reason: str  # a value of server.holdings.change.Reason
    text: str


class Staging:
    """A scratch file that is written once, finished, and then read.

    Raises:
        StoreError: the file cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        """`path` comes to be when it is finished; None: in memory, for a few lines."""
        self.path = path
        self._written: Path | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            self._written = path.with_name(f"{path.name}.part")
            self._written.unlink(missing_ok=True)
        self._connection = _open(self._written)
        self._connection.executescript(_SCHEMA)
        self._connection.execute("BEGIN")

    @classmethod
    def finished(cls, path: Path) -> Staging | None:
        """What an earlier process finished there; None: nothing."""
        if not path.is_file():
            return None
        staging = cls.__new__(cls)
        staging.path = path
        staging._written = None
        staging._connection = _open(path)
        staging._connection.execute("PRAGMA journal_mode = DELETE")
        return staging

    def put(self, record_id: int, line: int, statement: HoldingStatement) -> None:
        """The line says what is held of the record, beside what lines before it say."""
        packed = _encode((
            statement.call_number, statement.copies, statement.location, statement.barcodes,
            statement.extent, statement.note,
        ))  # fmt: skip
        self._write((record_id, line, _PUT, packed))

    def remove(self, record_id: int, line: int) -> None:
        """The line says that the record is held no more."""
        self._write((record_id, line, _REMOVE, None))

    def keep(self, record_ids: Iterable[int], line: int) -> None:
        """The line may mean these records: `unsaid` leaves them alone."""
        for record_id in record_ids:
            self._write((record_id, line, _KEEP, None))

    def refuse(self, refused: RefusedLine) -> None:
        """List a line; also while what is finished is carried out, and again after a crash."""
        self._insert(
            "INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)",
            (refused.line, refused.name, refused.reason, refused.text),
        )

    def _write(self, row: tuple[int, int, int, bytes | None]) -> None:
        self._insert("INSERT INTO said VALUES (?, ?, ?, ?)", row)

    def _insert(self, sql: str, row: tuple[object, ...]) -> None:
        try:
            self._connection.execute(sql, row)
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self.path}: {error}") from error

    def finish(self, lines: int) -> None:
        """All lines are in; the file is on disk when this returns."""
        try:
            self._connection.execute("CREATE INDEX said_of ON said (record_id, line)")
            self._connection.execute("INSERT INTO head VALUES (?)", (lines,))
            self._connection.execute("COMMIT")
            if self._written is not None and self.path is not None:
                # SQLite refuses to write to a file that was renamed under it.
                self._connection.close()
                with self._written.open("rb") as file:
                    os.fsync(file.fileno())
                self._written.rename(self.path)
                self._written = None
                self._connection = _open(self.path)
                self._connection.execute("PRAGMA journal_mode = DELETE")
        except (sqlite3.OperationalError, OSError) as error:
            raise StoreError(f"{self.path}: {error}") from error

    @property
    def lines(self) -> int:
        """How many lines were read."""
        count: int = self._connection.execute("SELECT lines FROM head").fetchone()[0]
        return count

    def refused_count(self) -> int:
        count: int = self._connection.execute("SELECT count(*) FROM refused").fetchone()[0]
        return count

    def refusals(self) -> Iterator[RefusedLine]:
        """Every refused line, in order."""
        for row in self._connection.execute("SELECT * FROM refused ORDER BY line"):
            yield RefusedLine(*row)

    def said_count(self) -> int:
        """How many records lines speak of."""
        count: int = self._connection.execute(
            "SELECT count(DISTINCT record_id) FROM said WHERE what != 2"
        ).fetchone()[0]
        return count

    def said(self, after_id: int = 0) -> Iterator[Said]:
        """What is said of each record behind `after_id`, by record id."""
        record_id = line = 0
        statement: HoldingStatement | None = None
        rows = self._connection.execute(
            "SELECT record_id, line, what, statement FROM said WHERE record_id > ?"
            " AND what != 2 ORDER BY record_id, line",
            (after_id,),
        )
        for next_id, next_line, what, packed in rows:
            if next_id != record_id:
                if record_id:
                    yield Said(record_id, line, statement)
                record_id, statement = next_id, None
            line = next_line
            if what == _REMOVE:
                statement = None
            else:
                more = HoldingStatement(*_decode(packed))
                statement = more if statement is None else statement.joined(more)
        if record_id:
            yield Said(record_id, line, statement)

    def unsaid(self, held: BitMap) -> BitMap:
        """Of the records held, those that no line may mean."""
        rows = self._connection.execute("SELECT DISTINCT record_id FROM said")
        return held - BitMap([row[0] for row in rows])

    def close(self) -> None:
        self._connection.close()

    def discard(self) -> None:
        """Close, and remove the file."""
        self.close()
        for path in (self.path, self._written):
            if path is not None:
                path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(path: Path | None) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path or ":memory:", isolation_level=None, check_same_thread=False, cached_statements=16
    )
    # One transaction fills it under another name, so no journal is needed.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection
