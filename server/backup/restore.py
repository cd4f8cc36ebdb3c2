"""Puts a backup in the place of a data folder, after proving it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from metering.interface import MeteringError
from metering.ledger_copy import verify_copy
from metering.ledger_verify import Verification
from server.backup.make import BEFORE_RESTORE, DATA, Telling
from server.backup.manifest import BackupError, Manifest, damage
from server.backup.note import STAGING_NAME
from server.config import Config
from server.errors import StartError
from server.processes.supervisor import lock_data_dir
from store.backup import examine_copy
from store.durable import sync

_LEDGER = "ledger.sqlite"


def problems(folder: Path, manifest: Manifest, telling: Telling | None = None) -> Iterator[str]:
    """What is wrong with a backup: its files, its databases, its ledger.

    Reads everything and writes nothing, so it may lie where nothing can be written.
    """
    telling = telling or Telling()
    telling.stage("files", manifest.size_bytes)
    found = list(damage(folder, manifest, telling.progress))
    yield from found
    if found:
        return
    databases = [file for file in manifest.files if file.path.endswith(".sqlite")]
    telling.stage("databases", sum(file.size_bytes for file in databases))
    for file in databases:
        problem = examine_copy(folder / file.path)
        if problem:
            yield f"{file.path}: {problem}"
        telling.progress(file.size_bytes)
    telling.stage("ledger entries", manifest.ledger_entries)
    yield from ledger_problems(folder / DATA / _LEDGER, manifest, telling)


def ledger_problems(path: Path, manifest: Manifest, telling: Telling) -> Iterator[str]:
    """What is wrong with a ledger, as it is or for the one of a backup."""
    if not path.exists() and not manifest.ledger_entries:
        return  # the server had never been started
    told = 0

    def tell(done: int) -> None:
        nonlocal told
        telling.progress(done - told)
        told = done

    try:
        found: Verification = verify_copy(path, tell)
    except MeteringError as error:
        yield str(error)
        return
    if not found.ok:
        yield f"the ledger: {found.problem}"
    elif (found.entries, found.head_hash.hex()) != (
        manifest.ledger_entries, manifest.ledger_head_hash,
    ):  # fmt: skip
        yield (
            f"the ledger has {found.entries:,} entries with the head {found.head_hash.hex()}, the"
            f" manifest says {manifest.ledger_entries:,} with {manifest.ledger_head_hash}"
        )


def contents(data_dir: Path) -> list[Path]:
    """What is in a data folder that a restore would take the place of."""
    if not data_dir.is_dir():
        return []
    return sorted(
        path
        for path in data_dir.iterdir()
        if path.name not in (STAGING_NAME, "server.lock", "run")
        and not path.name.startswith(BEFORE_RESTORE)
    )


@contextmanager
def staged(config: Config, folder: Path, manifest: Manifest, telling: Telling) -> Iterator[Config]:
    """A copy of the backup inside of the data folder, and a configuration that means it.

    Nothing is changed before `put_in_place`; the copy is removed when the block ends.

    Raises:
        BackupError: there is no room, or a server runs on the data folder.
        OSError: the disk refuses.
    """
    data_dir = config.data_dir
    try:
        lock = lock_data_dir(data_dir)
    except StartError as error:
        raise BackupError(f"{error}; stop it first") from None
    try:
        free = shutil.disk_usage(data_dir).free
        if free < manifest.size_bytes:
            raise BackupError(
                f"{data_dir}: the backup takes {manifest.size_bytes / 1e9:.2f} GB,"
                f" {free / 1e9:.2f} GB are free"
            )
        staging = data_dir / STAGING_NAME
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        try:
            files = [file for file in manifest.files if file.path.startswith(f"{DATA}/")]
            telling.stage("files", sum(file.size_bytes for file in files))
            for file in files:
                target = staging / Path(file.path).relative_to(DATA)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / file.path, target)
                shutil.copymode(folder / file.path, target)
                sync(target)
                telling.progress(file.size_bytes)
            server = msgspec.structs.replace(config.server, data_dir=str(staging))
            yield msgspec.structs.replace(config, server=server)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    finally:
        os.close(lock)


def put_in_place(data_dir: Path) -> Path | None:
    """Let what is staged take the place of what is there; where that was moved to, if anywhere.

    Raises:
        OSError: the disk refuses. Then some of it may be in place and some not:
            what was there is in the folder beside it.
    """
    staging = data_dir / STAGING_NAME
    present = contents(data_dir)
    aside: Path | None = None
    if present:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        aside = data_dir / f"{BEFORE_RESTORE}{stamp}"
        aside.mkdir()
        for path in present:
            path.rename(aside / path.name)
    # The ledger last: without it there is no data folder that a server would take for whole.
    for path in sorted(staging.iterdir(), key=lambda path: path.name == _LEDGER):
        path.rename(data_dir / path.name)
    sync(data_dir)
    return aside
