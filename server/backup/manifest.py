"""The manifest of a backup: every file with its hash, and what the databases held."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

MANIFEST_NAME = "manifest.json"
FORMAT = 1
_NAME = re.compile(r"lianmu-[0-9]{8}T[0-9]{6}Z(-[0-9]{1,3})?")
_READ_SIZE_BYTES = 1 << 20

Progress = Callable[[int], object]


class BackupError(Exception):
    """A backup cannot be made, read or restored; the message says why in one line."""


class File(msgspec.Struct, frozen=True):
    """`path` is relative to the backup, with slashes."""

    path: str
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`manifest.json`. Times are UTC, microseconds since 1970; `still_us` is the
    moment whose state the databases are in.
    """

    format: int
    version: str  # of Lianmu
    host: str
    data_dir: str
    begun_us: int
    still_us: int
    ended_us: int
    schemas: dict[str, int]  # by database file
    records: dict[str, int]  # by database of the catalogue
    ledger_entries: int
    ledger_head_hash: str
    spools: int
    spool_deliveries: int
    files: tuple[File, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def name_of(moment: datetime) -> str:
    """The name of a backup that began at `moment` (UTC)."""
    return moment.strftime("lianmu-%Y%m%dT%H%M%SZ")


def backups(root: Path) -> list[Path]:
    """The whole backups in a folder, oldest first."""
    if not root.is_dir():
        return []
    found = [path for path in root.iterdir() if _NAME.fullmatch(path.name)]
    return sorted(path for path in found if (path / MANIFEST_NAME).is_file())


def write_manifest(folder: Path, manifest: Manifest) -> None:
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    (folder / MANIFEST_NAME).write_bytes(data + b"\n")


def read_manifest(folder: Path) -> Manifest:
    """Raises BackupError: there is none, or it cannot be used."""
    path = folder / MANIFEST_NAME
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        inside = backups(folder)
        hint = f"; the newest in it is {inside[-1].name}" if inside else ""
        raise BackupError(f"{folder} is no backup: it has no {MANIFEST_NAME}{hint}") from None
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise BackupError(f"{path}: {error}") from error
    if manifest.format != FORMAT:
        raise BackupError(f"{path} has format {manifest.format}, this program reads {FORMAT}")
    for file in manifest.files:
        place = Path(file.path)
        if place.is_absolute() or ".." in place.parts or not place.parts:
            raise BackupError(f"{path}: {file.path!r} lies outside of the backup")
    return manifest


def file_of(folder: Path, path: Path, progress: Progress = lambda _: None) -> File:
    """What a manifest says of a file that is there now."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while data := file.read(_READ_SIZE_BYTES):
            digest.update(data)
            size += len(data)
            progress(len(data))
    return File(path.relative_to(folder).as_posix(), size, digest.hexdigest())


def damage(folder: Path, manifest: Manifest, progress: Progress = lambda _: None) -> Iterator[str]:
    """Every file that is missing, not as it was, or not of the backup."""
    for file in manifest.files:
        path = folder / file.path
        try:
            found = file_of(folder, path, progress)
        except FileNotFoundError:
            yield f"{file.path} is missing"
            continue
        except OSError as error:
            yield f"{file.path}: {error.strerror}"
            continue
        if found.size_bytes != file.size_bytes:
            yield f"{file.path} has {found.size_bytes} octets instead of {file.size_bytes}"
        elif found.sha256 != file.sha256:
            yield f"{file.path} is not what was written: its SHA-256 differs"
    known = {file.path for file in manifest.files} | {MANIFEST_NAME}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in known:
            yield f"{path.relative_to(folder)} does not belong to the backup"


def told(us: int) -> str:
    """A moment as a person reads it."""
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
