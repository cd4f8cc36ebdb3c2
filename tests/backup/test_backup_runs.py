"""A backup of a catalogue into which a load has stored what its index has not got yet."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from server.accounting.ledger import Accounting
from server.backup.make import Telling, make_backup
from server.backup.manifest import Manifest
from server.backup.restore import problems
from server.config import load_config
from store.bulk import BatchLimits
from store.catalogue import SqliteCatalogue
from store.load import load
from store.run_copy import HeldRuns
from store.runs import FOLDER_NAME, RunDamagedError, are_waiting
from store.writer import CatalogueWriter
from tests.backup.in_process import lianmu
from tests.catalogue_records import book
from tests.faults.exactness import prepare

COUNT = 300


class Stopped(Exception):  # noqa: N818 - what happens to a load
    pass


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The configuration of a data folder in which a load was broken off: runs wait."""
    monkeypatch.setattr("store.load.RUNS_BYTES_MIN", 0)
    monkeypatch.setattr("store.load.RUNS_CATALOGUE_FACTOR", 1 << 20)
    monkeypatch.setattr("store.load.RUN_CHUNK_RECORDS", 20)
    monkeypatch.setattr("store.load.RUN_LIMITS", BatchLimits(records=60))
    folder = tmp_path / "source"
    folder.mkdir()
    path = prepare(folder)
    config = load_config(path)
    Accounting(config).close()
    records = tmp_path / "records.mrc"
    records.write_bytes(b"".join(book(f"n{n}", f"Waiting {n}") for n in range(COUNT)))

    def progress(done: int, read_bytes: int, total_bytes: int) -> None:
        if done >= COUNT - 60:
            raise Stopped

    with closing(CatalogueWriter(config.data_dir, config.databases)) as writer:
        with pytest.raises(Stopped):
            load(
                writer, [records], "we_cat", processes=0, is_serving=lambda: False,
                progress=progress,
            )  # fmt: skip
        assert are_waiting(writer.connection)
    yield path


def merge(config_path: Path) -> None:
    """What a server does first that is started on such a folder."""
    config = load_config(config_path)
    CatalogueWriter(config.data_dir, config.databases).close()


def restored(tmp_path: Path, source: Path, backup: Path) -> Path:
    config = tmp_path / "elsewhere" / "config.toml"
    config.parent.mkdir()
    config.write_text(source.read_text("utf-8"), "utf-8")
    done = lianmu("restore", "--config", str(config), str(backup))
    assert done.returncode == 0, done
    return config


def backed_up(source: Path, tmp_path: Path, telling: Telling) -> tuple[Path, Manifest]:
    return make_backup(load_config(source), source, tmp_path / "backups", telling)


@pytest.mark.parametrize("merged_meanwhile", [False, True])
def test_what_waits_is_in_it_and_is_found_once_restored(
    tmp_path: Path, source: Path, merged_meanwhile: bool
) -> None:
    data = load_config(source).data_dir

    def stage(title: str, total: int) -> None:
        if title == "databases" and merged_meanwhile:
            merge(source)  # removes the files before the backup has copied them
            assert not (data / FOLDER_NAME).exists()

    (data / FOLDER_NAME / "half").mkdir()
    (data / FOLDER_NAME / "half" / "unfinished.run").write_bytes(b"of no batch yet")
    folder, manifest = backed_up(source, tmp_path, Telling(stage=stage))
    assert list(problems(folder, manifest)) == []
    runs = [file.path for file in manifest.files if FOLDER_NAME in file.path]
    assert len(runs) > 3
    assert not any("half" in path for path in runs)

    config = restored(tmp_path, source, folder)
    done = lianmu("doctor", "--config", str(config))
    assert done.returncode == 0, done
    assert "wait in" in done.stdout
    merge(config)
    assert not (load_config(config).data_dir / FOLDER_NAME).exists()
    with closing(SqliteCatalogue(load_config(config).data_dir)) as catalogue:
        assert catalogue.totals()["we_cat"] == manifest.records["we_cat"] > 200
    assert lianmu("doctor", "--config", str(config), "--all").returncode == 0


def test_a_run_that_is_gone_is_told_before_a_backup_lacks_it(tmp_path: Path, source: Path) -> None:
    folder = load_config(source).data_dir / FOLDER_NAME
    next(folder.rglob("*.run")).unlink()
    with pytest.raises(RunDamagedError, match="lianmu reindex"):
        backed_up(source, tmp_path, Telling())
    assert not list((tmp_path / "backups").glob("lianmu-*"))
    done = lianmu("backup", "--config", str(source), str(tmp_path / "backups"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "lianmu reindex" in done.stderr
    # The records have everything that the index is made from.
    assert lianmu("reindex", "--config", str(source)).returncode == 0
    assert lianmu("backup", "--config", str(source), str(tmp_path / "backups")).returncode == 0


def test_more_runs_may_wait_than_files_may_be_open(source: Path, tmp_path: Path) -> None:
    data = load_config(source).data_dir
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Whoever runs the tests has files open too; the catalogue itself takes a few.
    limit = len(list(Path("/proc/self/fd").iterdir())) + 16
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        with closing(HeldRuns()) as runs:
            runs.hold(data / "catalogue.sqlite")
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > limit + len(runs)
            shutil.rmtree(data / FOLDER_NAME)
            runs.copy(tmp_path / "copy")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    copied = list((tmp_path / "copy").rglob("*.run"))
    assert copied
    assert sum(path.stat().st_size for path in copied) == runs.size_bytes
