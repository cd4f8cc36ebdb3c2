"""What is in a backup, what proves it, and what refuses to make or restore one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from server.accounting.ledger import Accounting
from server.backup import make as making
from server.backup.make import make_backup, rotate
from server.backup.manifest import (
    MANIFEST_NAME,
    BackupError,
    Manifest,
    backups,
    name_of,
    read_manifest,
)
from server.backup.note import last_backup
from server.backup.restore import problems
from server.config import Config, load_config
from server.processes.supervisor import lock_data_dir
from tests.backup.in_process import lianmu
from tests.faults.exactness import prepare
from tests.harness import lianmu as lianmu_beside


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a data folder with something of everything in it."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "tariffs").mkdir()
    config_path = prepare(folder, more='[tariff]\nfolder = "tariffs"\n')
    config = load_config(config_path)
    Accounting(config).close()
    data = config.data_dir
    for name, text in {
        "batch/20261126-0123456789abcdef/state.json": "{}",
        "batch/.20261126-0123456789abcdef-half/job.json": "{}",
        "attachments/ab/cd.jpg": "picture",
        "reports/load-20261126T000000.000000Z.jsonl": "{}\n",
        "run/sets/0-1": "a set",
        "before-restore-20261126T000000Z/members.sqlite": "old",
        "web_session.key": "k" * 32,
        "catalogue.reindex.sqlite": "of no use",
        "catalogue.reindex.runs/1.run": "of no use",
        "holdings/import-0123.sqlite": "half read",
        "holdings/import-0123.sqlite-wal": "half read",
        "holdings/sent/ab/state.json": "{}",
        "console/0123-ab.json": "{}",
        "server.lock": "",
    }.items():
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (data / "web_session.key").chmod(0o600)
    return config_path


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    return make_backup(load_config(source), source, tmp_path_factory.mktemp("made") / "backups")


@pytest.fixture
def copy(made: tuple[Path, Manifest], tmp_path: Path) -> Path:
    """The same backup, to be spoilt."""
    return Path(shutil.copytree(made[0], tmp_path / made[0].name))


def fresh(tmp_path: Path, source: Path) -> Path:
    """A configuration like that of `source` with a data folder that is not there."""
    path = tmp_path / "elsewhere" / "config.toml"
    path.parent.mkdir()
    path.write_text(source.read_text("utf-8"), "utf-8")
    (path.parent / "tariffs").mkdir()
    return path


def test_all_is_in_it_that_another_machine_needs_and_nothing_of_the_running_server(
    made: tuple[Path, Manifest],
) -> None:
    folder, manifest = made
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == {
        MANIFEST_NAME, "config/config.toml", "data/catalogue.sqlite", "data/members.sqlite",
        "data/ledger.sqlite", "data/web_session.key", "data/attachments/ab/cd.jpg",
        "data/batch/20261126-0123456789abcdef/state.json",
        "data/console/0123-ab.json", "data/holdings/sent/ab/state.json",
        "data/reports/load-20261126T000000.000000Z.jsonl",
    }  # fmt: skip
    assert {file.path for file in manifest.files} == there - {MANIFEST_NAME}
    assert (folder / "data/web_session.key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert manifest.records == {"we_cat": 60}
    assert manifest.schemas.keys() == {"catalogue.sqlite", "members.sqlite", "ledger.sqlite"}
    assert manifest.begun_us <= manifest.still_us <= manifest.ended_us
    assert list(problems(folder, manifest)) == []
    assert read_manifest(folder) == manifest


def test_the_data_folder_remembers_its_last_backup(
    made: tuple[Path, Manifest], source: Path
) -> None:
    last = last_backup(load_config(source).data_dir)
    assert last is not None
    assert (last.begun_us, last.destination) == (made[1].begun_us, str(made[0]))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: flip(folder / "data/ledger.sqlite"), "SHA-256"),
        (lambda folder: (folder / "data/members.sqlite").unlink(), "members.sqlite is missing"),
        (
            lambda folder: (folder / "data/attachments/ab/cd.jpg").write_bytes(b"x"),
            "1 octets instead",
        ),
        (lambda folder: (folder / "data/more").write_bytes(b"x"), "more does not belong"),
    ],
)
def test_a_backup_that_is_not_as_it_was_made_is_refused(
    copy: Path, source: Path, tmp_path: Path, spoil: Callable[[Path], object], told: str
) -> None:
    spoil(copy)
    assert any(told in problem for problem in problems(copy, read_manifest(copy)))
    config = fresh(tmp_path, source)
    for arguments in (["backup", "verify"], ["restore", "--config", str(config)]):
        done = lianmu(*arguments, str(copy))
        assert done.returncode == 1, done
        assert told in done.stdout
        assert "Traceback" not in done.stderr
    assert not (config.parent / "data").exists()


def spoil_manifest(folder: Path, **changes: object) -> None:
    document = json.loads((folder / MANIFEST_NAME).read_bytes())
    (folder / MANIFEST_NAME).write_text(json.dumps({**document, **changes}))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": 2}, "has format 2"),
        ({"files": [{"path": "../../etc/passwd", "size_bytes": 1, "sha256": ""}]}, "outside"),
        ({"files": [{"path": "/etc/passwd", "size_bytes": 1, "sha256": ""}]}, "outside"),
        ({"files": 1}, "files"),
    ],
)
def test_a_manifest_that_cannot_be_meant_is_refused_in_one_line(
    copy: Path, changes: dict[str, object], told: str
) -> None:
    spoil_manifest(copy, **changes)
    done = lianmu("backup", "verify", str(copy))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done
    assert told in done.stderr


def test_a_ledger_that_is_another_than_the_manifest_says_is_told(copy: Path) -> None:
    spoil_manifest(copy, ledger_entries=5)
    found = list(problems(copy, read_manifest(copy)))
    assert len(found) == 1
    assert "the manifest says 5" in found[0]


def test_a_folder_that_is_no_backup_names_the_newest_in_it(made: tuple[Path, Manifest]) -> None:
    with pytest.raises(BackupError, match=f"the newest in it is {made[0].name}"):
        read_manifest(made[0].parent)


def test_restore_fills_an_empty_folder_and_moves_a_full_one_aside_only_when_told(
    made: tuple[Path, Manifest], source: Path, tmp_path: Path
) -> None:
    config_path = fresh(tmp_path, source)
    data = config_path.parent / "data"
    arguments = ["restore", "--config", str(config_path), str(made[0])]
    assert lianmu(*arguments, "--dry-run").returncode == 0
    assert not data.exists()
    done = lianmu(*arguments)
    assert done.returncode == 0, done
    assert (data / "attachments/ab/cd.jpg").read_text() == "picture"
    assert not (data / ".restoring").exists()
    (data / "mine").write_text("mine")
    done = lianmu(*arguments)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done
    assert "--force" in done.stderr
    done = lianmu(*arguments, "--force", "--json")
    assert done.returncode == 0, done
    aside = Path(json.loads(done.stdout)["moved_aside"])
    assert (aside / "mine").read_text() == "mine"
    assert (aside / "ledger.sqlite").is_file()
    assert not (data / "mine").exists()
    assert lianmu("ledger", "verify", "--config", str(config_path)).returncode == 0
    # What was moved aside is in no later backup.
    _, manifest = make_backup(load_config(config_path), config_path, tmp_path / "later")
    assert not any("before-restore" in file.path for file in manifest.files)


def test_restore_waits_for_no_server_and_spoils_none(
    made: tuple[Path, Manifest], source: Path, tmp_path: Path
) -> None:
    config_path = fresh(tmp_path, source)
    data = config_path.parent / "data"
    lock_data_dir(data)  # as a server does, until this process ends
    done = lianmu("restore", "--config", str(config_path), str(made[0]), "--force")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done
    assert "stop it first" in done.stderr
    assert [path.name for path in data.iterdir()] == ["server.lock"]


def test_no_server_starts_on_a_restore_that_was_broken_off_and_restoring_again_mends_it(
    made: tuple[Path, Manifest], source: Path, tmp_path: Path
) -> None:
    config_path = fresh(tmp_path, source)
    data = config_path.parent / "data"
    # As a crash leaves it when some of it is in place, and the ledger is not.
    (data / ".restoring").mkdir(parents=True)
    shutil.copy(made[0] / "data/catalogue.sqlite", data)
    shutil.copy(made[0] / "data/ledger.sqlite", data / ".restoring")
    served = lianmu_beside("serve", "--config", str(config_path))  # which keeps its lock
    assert (served.returncode, len(served.stderr.splitlines())) == (2, 1), served
    assert "broken off" in served.stderr
    assert not (data / "ledger.sqlite").exists()
    done = lianmu("restore", "--config", str(config_path), str(made[0]), "--force")
    assert done.returncode == 0, done
    assert not (data / ".restoring").exists()
    assert lianmu("ledger", "verify", "--config", str(config_path)).returncode == 0


def test_the_oldest_backups_go_and_nothing_else(tmp_path: Path) -> None:
    for day in range(1, 6):
        folder = tmp_path / name_of(datetime(2026, 11, day, tzinfo=UTC))
        folder.mkdir()
        (folder / MANIFEST_NAME).write_text("{}")
    for other in ("lianmu-notes", "lianmu-20261101T000000Z.old", "other"):
        (tmp_path / other).mkdir()
    half = tmp_path / "lianmu-20261020T000000Z"  # somebody's copy that has no manifest yet
    half.mkdir()
    assert [path.name for path in rotate(tmp_path, 2)] == [
        "lianmu-20261101T000000Z", "lianmu-20261102T000000Z", "lianmu-20261103T000000Z",
    ]  # fmt: skip
    assert [path.name for path in backups(tmp_path)] == [
        "lianmu-20261104T000000Z", "lianmu-20261105T000000Z",
    ]  # fmt: skip
    assert half.exists()
    assert (tmp_path / "lianmu-20261101T000000Z.old").exists()
    assert rotate(tmp_path, 7) == []


def test_keep_counts_the_new_backup(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "backups"
    for _ in range(3):
        done = lianmu("backup", "--config", str(source), str(root), "--keep", "2", "--json")
        assert done.returncode == 0, done
        newest = Path(json.loads(done.stdout)["backup"])
        assert backups(root)[-1] == newest
    assert len(backups(root)) == 2


def config_of(source: Path) -> Config:
    return load_config(source)


def test_what_cannot_be_backed_up_is_said_in_one_line(source: Path, tmp_path: Path) -> None:
    empty = tmp_path / "config.toml"
    empty.write_text('[server]\ndata_dir = "nothing"\n')
    inside = load_config(source).data_dir / "backups"
    for config, destination in ((empty, tmp_path / "backups"), (source, inside)):
        done = lianmu("backup", "--config", str(config), str(destination))
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done
        assert not destination.exists()


def test_a_disk_without_room_is_told_before_anything_is_copied(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000))
    with pytest.raises(BackupError, match=r"0\.00 GB are free"):
        make_backup(config_of(source), source, tmp_path / "backups")
    assert backups(tmp_path / "backups") == []


def test_what_breaks_off_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(making, "write_manifest", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        make_backup(config_of(source), source, tmp_path / "backups")
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [".lianmu-backup.lock"]


def test_two_backups_at_once_into_one_folder_are_one(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "backups"
    root.mkdir()
    with making._alone(root), pytest.raises(BackupError, match="another backup"):
        make_backup(config_of(source), source, root)


def test_make_may_be_left_out() -> None:
    from server.commands.backup import backup

    runner = CliRunner()
    for arguments in (["make", "--help"], ["--config", "x", "--help"]):
        assert "--keep" in runner.invoke(backup, arguments).output
    assert "verify" in runner.invoke(backup, ["--help"]).output
