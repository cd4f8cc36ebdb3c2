"""Holding one state of the database over many questions, and knowing when it is old.

Beginning and ending a read costs SQLite as much as answering from an index, most
of it locks. So a read stays open for a while, and before each question the
header of the shared WAL index says whether anything has been committed since:
every commit changes it before it returns to its writer. A header seen half
written is just another header, and leads to a new read.
Source: "WAL-mode File Format" §2.1, the first 48 octets of the -shm file.
"""

from __future__ import annotations

import mmap
import os
import sqlite3
from pathlib import Path

_HEADER_SIZE_BYTES = 48

# Closing any descriptor of a file drops this process's POSIX locks on it, those
# of SQLite's other connections included: what is mapped stays so.
_mapped: dict[tuple[int, int], mmap.mmap] = {}


class WalIndex:
    """The header of a database's shared WAL index, as it is at this moment."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # maps it
        self._map = _map(path.with_name(path.name + "-shm"))

    def header(self) -> bytes:
        """Another than before when anything was committed; empty: it cannot be told."""
        return self._map[:_HEADER_SIZE_BYTES] if self._map is not None else b""


class Snapshot:
    """The read transaction of a connection, opened anew when something was committed."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._execute = connection.cursor().execute
        self._wal_index = WalIndex(connection, path)
        self._header = b""
        self.is_open = False

    def renew(self) -> bool:
        """See the newest state until `release`; True: it may be another than before."""
        header = self._wal_index.header()
        if self.is_open:
            if header and header == self._header:
                return False
            self.release()
        # Read before the transaction begins: what is committed between the two
        # is seen, and merely looks new once more.
        self._header = header
        self._execute("BEGIN")
        self.is_open = True
        return True

    def release(self) -> None:
        """Let go of the state, so that the log can be folded into the file."""
        if self.is_open:
            self.is_open = False
            self._execute("COMMIT")


def _map(path: Path) -> mmap.mmap | None:
    """The WAL index of a database; None where there is none to be had."""
    try:
        status = path.stat()
        key = (status.st_dev, status.st_ino)
        if key not in _mapped:
            # The map keeps a descriptor of its own, and this one is never closed.
            descriptor = os.open(path, os.O_RDONLY)
            _mapped[key] = mmap.mmap(descriptor, _HEADER_SIZE_BYTES, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    return _mapped[key]
