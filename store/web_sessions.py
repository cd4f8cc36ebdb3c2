"""What ends the session of a browser before its time.

A session is a signed cookie that nobody keeps a list of. One that its person
ended must be good for nothing, wherever a copy of the cookie lies: those are
kept in `web_sessions.sqlite`, each until it would have been over anyway. All
else that ends a session shows in the mark of its account.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from store.members import MemberError, Members
from store.sqlite import StoreError

FILE_NAME = "web_sessions.sqlite"
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS ended (nonce TEXT PRIMARY KEY, until_s INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID"
)
_BUSY_TIMEOUT_S = 10.0


def session_mark(members: Members, name: str) -> str | None:
    """What changes whenever sessions of the account must end; None: there is no account.

    That is when it gets another password, is taken away and added again, or its
    institution is suspended or ends, though all be well again by now. A secret:
    it shows the hash of the password.

    Raises:
        MemberError: it cannot be read.
    """
    try:
        row = members.connection.execute(
            "SELECT password_hash, (SELECT max(seq) FROM member_audit"
            " WHERE member_audit.institution = account.institution"
            " AND action IN ('suspend', 'end') AND after IN ('suspended', 'ended'))"
            " FROM account WHERE name = ?",
            (name,),
        ).fetchone()
    except sqlite3.Error as error:
        raise MemberError(f"the account {name} cannot be read: {error}") from error
    return f"{row[0]} {row[1] or 0}" if row is not None else None


class EndedSessions:
    """What every worker of a data folder reads and adds to.

    `is_ended` and `close` are for one thread; `end` may be called from any.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE_NAME
        self._reader: sqlite3.Connection | None = None

    def is_ended(self, nonce: str) -> bool:
        """Whether the session was ended; a point read of microseconds.

        Raises:
            StoreError: that cannot be told.
        """
        try:
            if self._reader is None:
                if not self._path.exists():
                    return False  # nobody ever signed out
                self._reader = self._connect()
            row = self._reader.execute("SELECT 1 FROM ended WHERE nonce = ?", (nonce,)).fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error
        return row is not None

    def end(self, nonce: str, until_s: int, now_s: int) -> None:
        """End the session now, which would have been over at `until_s`; seconds since 1970.

        Raises:
            StoreError: it cannot be written down.
        """
        try:
            connection = self._connect()
            try:
                with connection:
                    connection.execute("DELETE FROM ended WHERE until_s <= ?", (now_s,))
                    connection.execute(
                        "INSERT OR IGNORE INTO ended (nonce, until_s) VALUES (?, ?)",
                        (nonce, until_s),
                    )
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        self._path.chmod(0o600)
        return connection

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
