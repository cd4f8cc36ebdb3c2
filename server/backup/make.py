"""Makes a backup of a data folder that may be served meanwhile.

The databases speak of one another, each way: the ledger of how far it has read the
catalogue's holdings and the workers' spools, the catalogue of uploads whose credit
is claimed, the claims of what is in the ledger. Whatever the order, copies of
different moments would lose or double something. So all writers are held for an
instant, in which a state of every database is pinned and the spools, which are
small, are copied; the rest is copied from those states while the server goes on.
Deliveries are not held: they need the spools alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from metering.entry import GENESIS_HASH
from metering.ledger_head import check_head
from metering.spool_copy import CopiedSpools, copy_spools
from server import VERSION
from server.backup.manifest import (
    FORMAT,
    MANIFEST_NAME,
    BackupError,
    File,
    Manifest,
    Progress,
    backups,
    file_of,
    name_of,
    write_manifest,
)
from server.backup.note import NOTE_NAME, LastBackup, note_backup
from server.config import Config
from server.holdings.desk import SCRATCH
from store.backup import Pinned, frozen, live_records
from store.durable import sync
from store.reindex import NEW_FILE_NAME, RUNS_FOLDER_NAME
from store.run_copy import HeldRuns
from store.runs import FOLDER_NAME
from store.sqlite import FILE_NAME

DATA, CONFIGURATION, SPOOL = "data", "config", "spool"
# A record that a client had before the backup began is confirmed in its spool by now.
CONFIRMED_WITHIN_S = 0.5
BEFORE_RESTORE = "before-restore-"
_SPARE_BYTES = 64 << 20
# Of the running server, or made anew; what waits in runs is copied with its catalogue.
_LEFT_OUT = frozenset(
    {"run", "server.lock", SPOOL, NOTE_NAME, NEW_FILE_NAME, RUNS_FOLDER_NAME, FOLDER_NAME}
)
_DATABASE_SUFFIXES = (".sqlite", ".sqlite-wal", ".sqlite-shm", ".sqlite-journal")
# Of these the databases speak, so they are looked through once more after these.
_NAMED_IN_DATABASES = ("covers",)
# Of a job this is copied first: what it says to be done then is in the others.
_STATE_FIRST = "state.json"


@dataclass(slots=True)
class Telling:
    """`stage` is told what is done now and how many octets that is, `progress` how many are."""

    stage: Callable[[str, int], object] = lambda title, total: None
    progress: Progress = lambda done: None


@dataclass(slots=True)
class _Making:
    folder: Path
    spools: CopiedSpools = field(default_factory=CopiedSpools)
    still_us: int = 0
    files: dict[str, File] = field(default_factory=dict)


def make_backup(
    config: Config, config_path: Path, root: Path, telling: Telling | None = None
) -> tuple[Path, Manifest]:
    """Make one backup in the folder `root`; returns its folder and manifest.

    It has its final name when it is whole and on the disk, and not before.

    Raises:
        BackupError: it cannot be made; nothing is left of it under its name.
        StoreError, MeteringError: a database cannot be read.
        OSError: the disk refuses.
    """
    telling = telling or Telling()
    data_dir = config.data_dir
    if not (data_dir / FILE_NAME).is_file():
        raise BackupError(f"{data_dir} holds no catalogue: there is nothing to back up")
    if root.resolve().is_relative_to(data_dir.resolve()):
        raise BackupError(f"{root} lies in the data folder: a backup belongs on another disk")
    begun = datetime.now(UTC)
    root.mkdir(parents=True, exist_ok=True)
    with _alone(root):
        _remove_half_made(root)
        _check_room(data_dir, root)
        final = _free_name(root, begun)
        half = root / f".{final.name}.partial"
        half.mkdir(mode=0o700)
        try:
            manifest = _fill(config, config_path, _Making(half), begun, telling)
            _sync_tree(half)
            half.rename(final)
            sync(root)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise
    with contextlib.suppress(OSError):  # the backup is made; only the metrics do not know it
        note_backup(
            data_dir,
            LastBackup(
                begun_us=manifest.begun_us, ended_us=manifest.ended_us,
                size_bytes=manifest.size_bytes, destination=str(final),
            ),
        )  # fmt: skip
    return final, manifest


def rotate(root: Path, keep: int) -> list[Path]:
    """Remove the oldest whole backups until `keep` are left; those removed.

    Raises:
        OSError: one cannot be removed.
    """
    gone = backups(root)[:-keep]
    for folder in gone:
        # Without its manifest it is none any more, whatever happens from here on.
        (folder / MANIFEST_NAME).unlink()
        shutil.rmtree(folder)
    return gone


def _fill(
    config: Config, config_path: Path, making: _Making, begun: datetime, telling: Telling
) -> Manifest:
    target = making.folder / DATA
    target.mkdir()
    _copy_configuration(config, config_path, making)
    others = list(_other_files(config.data_dir))
    telling.stage("files", sum(size for _, size in others))
    _copy_others(config.data_dir, others, making, telling)
    time.sleep(CONFIRMED_WITHIN_S)

    def while_still() -> None:
        making.spools = copy_spools(config.spool_dir, target / SPOOL)
        runs.hold(config.data_dir / FILE_NAME)
        making.still_us = time.time_ns() // 1_000

    schemas = {}
    with (
        contextlib.closing(HeldRuns()) as runs,
        frozen(_databases(config), while_still) as pinned,
    ):
        telling.stage("databases", runs.size_bytes + sum(each.size_bytes for each in pinned))
        runs.copy(target, telling.progress)
        for each in pinned:
            schemas[each.path.name] = each.schema_version
            _copy_database(each, target, telling)
    added = [
        (path, size)
        for path, size in _other_files(config.data_dir)
        if path.parts[0] in _NAMED_IN_DATABASES and f"{DATA}/{path.as_posix()}" not in making.files
    ]
    _copy_others(config.data_dir, added, making, telling)
    unhashed = [
        path
        for path in sorted(making.folder.rglob("*"))
        if path.is_file() and path.relative_to(making.folder).as_posix() not in making.files
    ]
    telling.stage("hashes", sum(path.stat().st_size for path in unhashed))
    for path in unhashed:
        file = file_of(making.folder, path, telling.progress)
        making.files[file.path] = file
    ledger = target / config.ledger_path.name
    # A server that was never started has none yet.
    entries, head_hash = check_head(ledger) if ledger.exists() else (0, GENESIS_HASH)
    manifest = Manifest(
        format=FORMAT,
        version=VERSION,
        host=socket.gethostname(),
        data_dir=str(config.data_dir),
        begun_us=int(begun.timestamp() * 1_000_000),
        still_us=making.still_us,
        ended_us=time.time_ns() // 1_000,
        schemas=schemas,
        records=live_records(target / FILE_NAME),
        ledger_entries=entries,
        ledger_head_hash=head_hash.hex(),
        spools=making.spools.spools,
        spool_deliveries=making.spools.deliveries,
        files=tuple(making.files[path] for path in sorted(making.files)),
    )
    _remove_side_files(target)
    write_manifest(making.folder, manifest)
    return manifest


def _databases(config: Config) -> list[Path]:
    """The catalogue first, since a load may hold it long, and last the ledger, for least time."""
    found = [
        path
        for path in config.data_dir.glob("*.sqlite")
        if path.name not in _LEFT_OUT and not path.name.startswith(".")
    ]
    order = {FILE_NAME: 0, config.ledger_path.name: 2}
    return sorted(found, key=lambda path: (order.get(path.name, 1), path.name))


def _copy_database(pinned: Pinned, target: Path, telling: Telling) -> None:
    copy = target / pinned.path.name
    pinned.copy(copy, telling.progress)
    copy.chmod(0o600)


def _remove_side_files(target: Path) -> None:
    """What looking into the copies has left beside them."""
    for suffix in ("-wal", "-shm"):
        for path in target.glob(f"*.sqlite{suffix}"):
            path.unlink()


# Files


def _other_files(data_dir: Path) -> list[tuple[Path, int]]:
    """Path in the data folder, and size, of all that is no database and no spool."""
    found = []
    for folder, names, files in os.walk(data_dir):
        here = Path(folder)
        relative = here.relative_to(data_dir)
        names[:] = sorted(name for name in names if not _is_left_out(relative / name))
        for name in sorted(files, key=lambda name: (name != _STATE_FIRST, name)):
            path = relative / name
            if not _is_left_out(path) and not (here / name).is_symlink():
                with contextlib.suppress(FileNotFoundError):
                    found.append((path, (here / name).stat().st_size))
    return found


def _is_left_out(path: Path) -> bool:
    name = path.name
    if name.startswith("."):  # half made
        return True
    if len(path.parts) > 1:
        # What an import reads into, anew when it has gone.
        return path.parts[:-1] == (SCRATCH,) and name.endswith(_DATABASE_SUFFIXES)
    return (
        name in _LEFT_OUT
        or name.startswith((BEFORE_RESTORE, f"{NOTE_NAME}."))
        or name.endswith(_DATABASE_SUFFIXES)
    )


def _copy_others(
    data_dir: Path, files: list[tuple[Path, int]], making: _Making, telling: Telling
) -> None:
    for path, size in files:
        target = making.folder / DATA / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # it has been removed since
            shutil.copyfile(data_dir / path, target)
            shutil.copymode(data_dir / path, target)
            file = file_of(making.folder, target)
            making.files[file.path] = file
        telling.progress(size)


def _copy_configuration(config: Config, config_path: Path, making: _Making) -> None:
    """The configuration and tariffs, to be looked at: restoring leaves them alone."""
    target = making.folder / CONFIGURATION
    target.mkdir()
    shutil.copyfile(config_path, target / "config.toml")
    if config.tariff.folder:
        (target / "tariff").mkdir()
        for path in sorted(Path(config.tariff.folder).glob("*.toml")):
            shutil.copyfile(path, target / "tariff" / path.name)


# The folder of backups


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Raises BackupError: another backup is being made there."""
    lock = os.open(root / ".lianmu-backup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupError(f"{root}: another backup is being made there") from None
        yield
    finally:
        os.close(lock)


def _remove_half_made(root: Path) -> None:
    for path in root.glob(".lianmu-*.partial"):
        shutil.rmtree(path, ignore_errors=True)


def _free_name(root: Path, begun: datetime) -> Path:
    name = name_of(begun)
    path = root / name
    number = 1
    while path.exists():
        number += 1
        path = root / f"{name}-{number}"
    return path


def _check_room(data_dir: Path, root: Path) -> None:
    """A disk that would be filled is told before, not after an hour."""
    needed = _SPARE_BYTES + sum(size for _, size in _other_files(data_dir))
    for path in (*data_dir.glob("*.sqlite"), *(data_dir / FOLDER_NAME).rglob("*.run")):
        with contextlib.suppress(FileNotFoundError):  # merged meanwhile
            needed += path.stat().st_size
    free = shutil.disk_usage(root).free
    if free < needed:
        raise BackupError(
            f"{root}: the backup takes about {needed / 1e9:.2f} GB, {free / 1e9:.2f} GB are free"
        )


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)
