"""How far each load has come, kept with what it stored, so that it goes on after a crash.

The row is written in the transaction that stores a batch: a batch is there
together with the note that it is, or neither is.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG

from store.sqlite import StoreError, transaction

_COMPARED_BYTES = 1 << 16  # at either end of a file


@dataclass(frozen=True, slots=True)
class FileMark:
    """By what a file is known again: a change of its content changes one of these."""

    path: str
    size_bytes: int
    modified_ns: int
    digest: str  # of its first and last 64 KiB

    @classmethod
    def of(cls, path: Path) -> FileMark:
        """Raises StoreError: the file cannot be read, or is a pipe and cannot be read again."""
        try:
            status = path.stat()
            if not S_ISREG(status.st_mode):
                raise StoreError(f"{path} is not a regular file")
            with path.open("rb") as file:
                head = file.read(_COMPARED_BYTES)
                file.seek(max(0, status.st_size - _COMPARED_BYTES))
                tail = file.read(_COMPARED_BYTES)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from None
        digest = blake2b(head + tail, digest_size=16).hexdigest()
        return cls(str(path.resolve()), status.st_size, status.st_mtime_ns, digest)


@dataclass(frozen=True, slots=True)
class Command:
    """What a load was asked to do; the same again is the same load."""

    database: str
    encoding: str
    holdings: str | None
    files: tuple[FileMark, ...]

    @property
    def key(self) -> str:
        """Names the command, whatever its files hold today."""
        paths = [file.path for file in self.files]
        parts = json.dumps([self.database, self.encoding, self.holdings, paths])
        return blake2b(parts.encode(), digest_size=16).hexdigest()


@dataclass(slots=True)
class Progress:
    """How far a load has come: `sources` of file number `file` are stored or refused."""

    file: int = 0
    sources: int = 0
    records: int = 0  # of all files
    refused: int = 0
    warned: int = 0
    loaded: int = 0
    replaced: int = 0
    unchanged: int = 0
    holdings_added: int = 0
    report: str = ""  # the CSV file of refused records
    report_bytes: int = 0  # of it belong to these records


@dataclass(frozen=True, slots=True)
class UnfinishedLoad:
    """A load that was broken off, or is under way."""

    database: str
    files: list[str]
    started_us: int
    updated_us: int
    progress: Progress


@dataclass(slots=True)
class LoadJournal:
    """The journal of one load: opened once, written with every batch, ended at last."""

    connection: sqlite3.Connection
    command: Command
    progress: Progress = field(default_factory=Progress)
    _run: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def open(
        cls,
        connection: sqlite3.Connection,
        path: Path,
        command: Command,
        *,
        report: Path | None,
        restart: bool,
        at_us: int,
    ) -> LoadJournal:
        """Go on with the same command's unfinished load, or begin one.

        `path` is the catalogue's, for messages; `report` that of a load that
        begins. `restart` forgets how far it came.

        Raises:
            StoreError: a file is no longer what the unfinished load has read of it.
        """
        journal = cls(connection, command)
        journal.progress.report = str(report.resolve()) if report is not None else ""
        with transaction(connection, path):
            row = connection.execute(
                "SELECT files, progress FROM load_job WHERE command = ?", (command.key,)
            ).fetchone()
            if row is not None and not restart:
                before = tuple(FileMark(**mark) for mark in json.loads(row[0]))
                for then, now in zip(before, command.files, strict=True):
                    if then != now:
                        raise StoreError(
                            f"{now.path} has changed since this load was broken off:"
                            " begin it anew with --restart"
                        )
                journal.progress = Progress(**json.loads(row[1]))
            connection.execute(
                "INSERT INTO load_job (command, run, database, files, progress, started_us,"
                " updated_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT DO UPDATE SET"
                " run = excluded.run, files = excluded.files, progress = excluded.progress,"
                " updated_us = excluded.updated_us",
                (
                    command.key,
                    journal._run,
                    command.database,
                    json.dumps([asdict(mark) for mark in command.files]),
                    json.dumps(asdict(journal.progress)),
                    at_us,
                ),
            )
        return journal

    def write(self, at_us: int) -> None:
        """Note how far the load is, inside the transaction that brings it there.

        Raises:
            StoreError: the same load runs in another process, and has taken over.
        """
        written = self.connection.execute(
            "UPDATE load_job SET progress = ?, updated_us = ? WHERE command = ? AND run = ?",
            (json.dumps(asdict(self.progress)), at_us, self.command.key, self._run),
        )
        if not written.rowcount:
            raise StoreError("the same load was started again elsewhere, and goes on there")

    def end(self) -> None:
        """The load is done: the same command is a new load from now on."""
        self.connection.execute(
            "DELETE FROM load_job WHERE command = ? AND run = ?", (self.command.key, self._run)
        )


def unfinished_loads(connection: sqlite3.Connection) -> Sequence[UnfinishedLoad]:
    """Every load that has begun and not ended, the oldest first."""
    return [
        UnfinishedLoad(
            database,
            [mark["path"] for mark in json.loads(files)],
            started_us,
            updated_us,
            Progress(**json.loads(progress)),
        )
        for database, files, progress, started_us, updated_us in connection.execute(
            "SELECT database, files, progress, started_us, updated_us FROM load_job"
            " ORDER BY started_us"
        )
    ]
