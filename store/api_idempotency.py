"""Requests of the HTTP API by their Idempotency-Key, in a small database of their own.

A row is there from the moment a request is begun, so of two that come at once to
different workers one alone is carried out. What a process that died had begun is
taken over after LEASE_US; nobody can know how far it came, so it is carried out
again, and what was done already is found out then.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from pathlib import Path

from store.sqlite import StoreError, transaction

SCHEMA_VERSION = 1
HOUR_US = 3_600_000_000
KEPT_US = 48 * HOUR_US
LEASE_US = 300_000_000  # longer than any request may take
_FORGOTTEN_AT_ONCE = 1_000

_SCHEMA = """
CREATE TABLE request (
    who      TEXT NOT NULL,
    key_hash BLOB NOT NULL,
    digest   BLOB NOT NULL,
    begun_us INTEGER NOT NULL,
    status   INTEGER,
    headers  TEXT,
    body     BLOB,
    PRIMARY KEY (who, key_hash)
) WITHOUT ROWID
"""
_INDEX = "CREATE INDEX request_begun ON request (begun_us)"


class State(Enum):
    NEW = "new"  # it has begun now
    RUNNING = "running"  # the same was begun and has no answer yet
    DONE = "done"
    OTHER = "other"  # the key stands for something else


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it is given again."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Found:
    state: State
    kept: Kept | None = None


class ApiIdempotency:
    """The rows in `path`; the file is made when it is first needed.

    Any thread may call; every method blocks on the disk and raises StoreError when
    the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def begin(self, who: str, key: str, digest: bytes, now_us: int) -> Found:
        """What is known of a request of `who` with that key; one that is new has begun.

        `digest` stands for all that was asked. What is older than KEPT_US is forgotten.
        """
        place = (who, _hash(key))
        with self._writing() as connection:
            connection.execute(
                "DELETE FROM request WHERE (who, key_hash) IN (SELECT who, key_hash FROM request"
                " WHERE begun_us < ? ORDER BY begun_us LIMIT ?)",
                (now_us - KEPT_US, _FORGOTTEN_AT_ONCE),
            )
            row = connection.execute(
                "SELECT digest, begun_us, status, headers, body FROM request"
                " WHERE who = ? AND key_hash = ?",
                place,
            ).fetchone()
            if row is not None:
                known, begun_us, status, headers, body = row
                if known != digest:
                    return Found(State.OTHER)
                if status is not None:
                    return Found(State.DONE, Kept(status, json.loads(headers), body))
                if now_us - begun_us < LEASE_US:
                    return Found(State.RUNNING)
            connection.execute(
                "INSERT OR REPLACE INTO request (who, key_hash, digest, begun_us)"
                " VALUES (?, ?, ?, ?)",
                (*place, digest, now_us),
            )
        return Found(State.NEW)

    def finish(self, who: str, key: str, kept: Kept) -> None:
        """Keep the answer."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE request SET status = ?, headers = ?, body = ?"
                " WHERE who = ? AND key_hash = ?",
                (kept.status, json.dumps(kept.headers), kept.body, who, _hash(key)),
            )

    def forget(self, who: str, key: str) -> None:
        """Nothing came of it."""
        with self._writing() as connection:
            connection.execute(
                "DELETE FROM request WHERE who = ? AND key_hash = ? AND status IS NULL",
                (who, _hash(key)),
            )

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                connection = self._connection = self._connection or _connect(self._path)
                with transaction(connection, self._path):
                    yield connection
            except sqlite3.Error as error:
                raise StoreError(f"{self._path}: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=30.0, isolation_level=None, check_same_thread=False
    )  # fmt: skip
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.execute(_SCHEMA)
            connection.execute(_INDEX)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
        if version not in (0, SCHEMA_VERSION):
            raise StoreError(f"{path} has schema {version}, this program knows {SCHEMA_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def _hash(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
