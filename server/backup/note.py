"""What backups and restores leave in the data folder for others to see."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

NOTE_NAME = "backup.json"
# What a restore copies first goes in here; it is gone once all of it is in its place.
STAGING_NAME = ".restoring"


class LastBackup(msgspec.Struct, frozen=True, kw_only=True):
    """Times are UTC, microseconds since 1970."""

    begun_us: int
    ended_us: int
    size_bytes: int
    destination: str


def last_backup(data_dir: Path) -> LastBackup | None:
    """The newest whole backup; None: none was made yet.

    Raises:
        OSError, ValueError: the note cannot be read.
    """
    try:
        return msgspec.json.decode((data_dir / NOTE_NAME).read_bytes(), type=LastBackup)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ValueError(f"{NOTE_NAME}: {error}") from error


def note_backup(data_dir: Path, backup: LastBackup) -> None:
    """Take the place of the note before.

    Raises:
        OSError: it cannot be written.
    """
    half = data_dir / f"{NOTE_NAME}.{os.getpid()}"
    half.write_bytes(msgspec.json.encode(backup))
    half.replace(data_dir / NOTE_NAME)
