"""SQLite databases copied while others write: all of them as they were at one moment."""

from __future__ import annotations

import random
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from store.durable import sync
from store.sqlite import StoreError

STEP_PAGES = 1024
# One database's lock is waited for while others are held, so not for long; a load
# may hold the catalogue's much longer, and then all are given back and tried again.
LOCK_WAIT_S = 2.0
FREEZE_WITHIN_S = 600.0
_FINDINGS_MAX = 1_000
_NULL_FOUND = re.compile(r"NULL value in (\w+)\.(\w+)")

Progress = Callable[[int], object]


class Pinned:
    """One database in the state of a moment, which lasts until `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        uri = f"{path.resolve().as_uri()}?mode=ro"
        self._connection = sqlite3.connect(uri, uri=True, timeout=30.0, isolation_level=None)
        self._connection.execute("PRAGMA cache_size = -8192")
        self._connection.execute("BEGIN")
        # A deferred transaction sees what is there at its first reading.
        self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()

    @property
    def size_bytes(self) -> int:
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (size,) = self._connection.execute("PRAGMA page_size").fetchone()
        return int(pages) * int(size)

    @property
    def schema_version(self) -> int:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        return int(version)

    def copy(self, target: Path, progress: Progress = lambda _: None) -> None:
        """Write the state to a new file; `progress` is told the octets written since last told.

        Raises:
            StoreError: one of the files refuses.
        """
        (page_size,) = self._connection.execute("PRAGMA page_size").fetchone()
        told = 0

        def tell(_: int, remaining: int, total: int) -> None:
            nonlocal told
            done = (total - remaining) * page_size
            progress(done - told)
            told = done

        try:
            with closing(sqlite3.connect(target, isolation_level=None)) as copy:
                copy.execute("PRAGMA synchronous = OFF")  # synced as a whole below
                self._connection.backup(copy, pages=STEP_PAGES, progress=tell, sleep=0.01)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path.name} cannot be copied: {error}") from error
        for left in (f"{target.name}-wal", f"{target.name}-shm"):
            target.with_name(left).unlink(missing_ok=True)
        sync(target)

    def close(self) -> None:
        self._connection.close()


@contextmanager
def frozen(
    paths: Sequence[Path], while_still: Callable[[], object] = lambda: None
) -> Iterator[list[Pinned]]:
    """All databases at `paths` as they are at one moment, at which nobody writes to any.

    Then `while_still` is called, to copy what else must be of the same moment, and
    the writers go on; what is pinned stays as it was.

    Raises:
        StoreError: one cannot be read, or is being written to all the time.
    """
    with ExitStack() as pins:
        deadline_s = time.monotonic() + FREEZE_WITHIN_S
        while True:
            with ExitStack() as locks:
                if _hold(paths, locks):
                    pinned = []
                    for path in paths:
                        try:
                            pinned.append(Pinned(path))
                        except sqlite3.Error as error:
                            raise StoreError(f"{path}: {error}") from error
                        pins.callback(pinned[-1].close)
                    while_still()
                    break
            if time.monotonic() > deadline_s:
                raise StoreError("the databases are being written to without a pause; try later")
            # Whoever holds one and waits for another of ours goes on meanwhile.
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311
        yield pinned


def _hold(paths: Sequence[Path], locks: ExitStack) -> bool:
    """Take the write lock of each; False: one was not to be had."""
    for path in paths:
        try:
            connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=LOCK_WAIT_S,
                isolation_level=None,
            )  # fmt: skip
            locks.callback(connection.close)
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                return False
            raise StoreError(f"{path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{path}: {error}") from error
    return True


def examine_copy(path: Path) -> str:
    """What is wrong with a database that nobody writes to, "" when nothing is.

    Nothing is written beside it either, so it may lie where nothing can be.
    """
    try:
        with closing(open_copy(path)) as connection:
            for (found,) in connection.execute(f"PRAGMA quick_check({_FINDINGS_MAX})").fetchall():
                if found != "ok" and not _is_imagined(connection, found):
                    return str(found)
    except sqlite3.DatabaseError as error:
        return str(error)
    return ""


def _is_imagined(connection: sqlite3.Connection, finding: str) -> bool:
    """Whether SQLite speaks of a NULL that is not there.

    Up to 3.40 it looks at the wrong column of a table WITHOUT ROWID whose key is
    not its first columns in their order.
    """
    match = _NULL_FOUND.fullmatch(finding)
    if match is None:
        return False
    table, column = match.groups()
    (count,) = connection.execute(
        f'SELECT count(*) FROM "{table}" WHERE "{column}" IS NULL'
    ).fetchone()
    return not count


def open_copy(path: Path) -> sqlite3.Connection:
    """A connection that only reads, to a database that nobody writes to."""
    uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    return sqlite3.connect(uri, uri=True, isolation_level=None)


def live_records(path: Path) -> dict[str, int]:
    """How many records a copied catalogue has by database, be they in its index yet or not.

    Raises:
        StoreError: it cannot be read.
    """
    sql = (
        "SELECT name, count(*) FROM record JOIN database USING (database_id)"
        " WHERE NOT deleted GROUP BY database_id ORDER BY database_id"
    )
    try:
        with closing(open_copy(path)) as connection:
            return dict(connection.execute(sql).fetchall())
    except sqlite3.Error as error:
        raise StoreError(f"{path.name} cannot be read: {error}") from error
