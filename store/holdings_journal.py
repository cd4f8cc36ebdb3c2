"""How far an import of holdings has come, kept with what it changed, so that it goes on.

The row is written in the transaction that changes the holdings: a batch is there
together with the note that it is, or neither is.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path

from store.load_journal import FileMark
from store.sqlite import StoreError, transaction


@dataclass(frozen=True, slots=True)
class ImportCommand:
    """What an import was asked to do; the same again is the same import."""

    institution: str
    mode: str
    format: str
    database: str
    encoding: str
    file: FileMark

    @property
    def key(self) -> str:
        """Names the command, whatever its file holds today."""
        said = (self.institution, self.mode, self.format, self.database, self.encoding)
        parts = json.dumps([*said, self.file.path])
        return blake2b(parts.encode(), digest_size=16).hexdigest()


@dataclass(slots=True)
class ImportProgress:
    """How far it is: records up to `after_id` are as the file says.

    `taking_away`: all that the file says is done, and of what it does not say the
    records up to `after_id`. Counts are of records, without the refused lines.
    """

    submission_id: int = 0
    held_before: int = 0
    taking_away: bool = False
    after_id: int = 0
    records: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class UnfinishedImport:
    """An import that was broken off, or is under way."""

    file: str
    updated_us: int
    progress: ImportProgress


@dataclass(slots=True)
class ImportJournal:
    """The journal of one import: opened once, written with every batch, ended at last."""

    connection: sqlite3.Connection
    command: ImportCommand
    progress: ImportProgress = field(default_factory=ImportProgress)
    _run: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def open(
        cls,
        connection: sqlite3.Connection,
        path: Path,
        command: ImportCommand,
        *,
        restart: bool,
        at_us: int,
    ) -> ImportJournal:
        """Go on with the same command's unfinished import, or begin one.

        `path` is the catalogue's, for messages; `restart` forgets how far it came.

        Raises:
            StoreError: the file is no longer what the unfinished import has read.
        """
        journal = cls(connection, command)
        with transaction(connection, path):
            row = connection.execute(
                "SELECT files, progress FROM holding_job WHERE command = ?", (command.key,)
            ).fetchone()
            if row is not None and not restart:
                if FileMark(**json.loads(row[0])) != command.file:
                    raise StoreError(
                        f"{command.file.path} has changed since this import was broken off:"
                        " begin it anew with --restart"
                    )
                journal.progress = ImportProgress(**json.loads(row[1]))
            connection.execute(
                "INSERT INTO holding_job (command, run, files, progress, started_us, updated_us)"
                " VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT DO UPDATE SET run = excluded.run,"
                " files = excluded.files, progress = excluded.progress,"
                " updated_us = excluded.updated_us",
                (
                    command.key,
                    journal._run,
                    json.dumps(asdict(command.file)),
                    json.dumps(asdict(journal.progress)),
                    at_us,
                ),
            )
        return journal

    def write(self, at_us: int) -> None:
        """Note how far the import is, inside the transaction that brings it there.

        Raises:
            StoreError: the same import runs in another process, and has taken over.
        """
        written = self.connection.execute(
            "UPDATE holding_job SET progress = ?, updated_us = ? WHERE command = ? AND run = ?",
            (json.dumps(asdict(self.progress)), at_us, self.command.key, self._run),
        )
        if not written.rowcount:
            raise StoreError("the same import was started again elsewhere, and goes on there")

    def end(self) -> None:
        """It is done: the same command is a new import from now on."""
        self.connection.execute(
            "DELETE FROM holding_job WHERE command = ? AND run = ?",
            (self.command.key, self._run),
        )


def unfinished_imports(connection: sqlite3.Connection) -> list[UnfinishedImport]:
    """Every import that has begun and not ended, the oldest first."""
    return [
        UnfinishedImport(
            json.loads(mark)["path"], updated_us, ImportProgress(**json.loads(progress))
        )
        for mark, progress, updated_us in connection.execute(
            "SELECT files, progress, updated_us FROM holding_job ORDER BY started_us"
        )
    ]
