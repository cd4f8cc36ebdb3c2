"""What the SQLite files of metering share: scripts inside a transaction, errors by name."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from metering.interface import MeteringError


def run(connection: sqlite3.Connection, script: str) -> None:
    """Execute statements in the transaction that is open; `executescript` would end it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


@contextlib.contextmanager
def naming_errors_of(what: str) -> Iterator[None]:
    """Turn what the database refuses into a `MeteringError` that begins with `what`."""
    try:
        yield
    except sqlite3.Error as error:
        raise MeteringError(f"{what}: {error}") from error
