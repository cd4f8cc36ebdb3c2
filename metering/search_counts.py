"""How many searches an account made on a day: figures of use, not of money.

The ledger has what is billed and searches are not, so they are counted in memory
and added to a file of their own about once a minute. A crash loses at most that
minute, and a search within a minute of midnight may count on the next day.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from metering.interface import MeteringError

FILE_NAME = "usage.sqlite"
# What a search of all databases together is entered as.
ALL = "all"
SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS searches (
    institution TEXT NOT NULL,   -- '' without an account
    account TEXT NOT NULL,
    day INTEGER NOT NULL,        -- in China, as 20240131
    databases TEXT NOT NULL,     -- their names with commas between, or 'all'
    protocol TEXT NOT NULL,      -- z3950, sru or web
    searches INTEGER NOT NULL,
    PRIMARY KEY (institution, day, account, databases, protocol)
) STRICT, WITHOUT ROWID
"""
_ADD = """
INSERT INTO searches VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET searches = searches + excluded.searches
"""


class SearchCount(NamedTuple):
    """Searches of one account on one day; the fields are the table's."""

    institution: str
    account: str
    day: int
    databases: str
    protocol: str
    searches: int


class SearchCountFile:
    """The counts of one data folder. Several processes may add to it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def add(self, counts: Iterable[SearchCount]) -> None:
        """Add to what is there, in one transaction.

        Raises:
            MeteringError: the file cannot be written; nothing was added.
        """
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_ADD, counts)
            connection.execute("COMMIT")

    def of_year(self, year: int, institution: str | None = None) -> list[SearchCount]:
        """The counts of an accounting year, of one member or of everyone.

        Raises:
            MeteringError: the file cannot be read.
        """
        if not self._path.exists():
            return []
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT * FROM searches WHERE day BETWEEN ? AND ?"
                " AND (? IS NULL OR institution = ?) ORDER BY day, institution, account",
                (year * 10_000, year * 10_000 + 1231, institution, institution),
            )
            return [SearchCount(*row) for row in rows]

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(
                sqlite3.connect(self._path, timeout=30, isolation_level=None)
            ) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    connection.execute(_SCHEMA)
                    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                elif version != SCHEMA_VERSION:
                    raise MeteringError(
                        f"{self._path} has schema {version}, this program knows {SCHEMA_VERSION}"
                    )
                yield connection
        except sqlite3.Error as error:
            raise MeteringError(f"{self._path}: {error}") from error
