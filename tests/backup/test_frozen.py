"""Databases and spools copied at one moment while others write to them."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from metering.spool_copy import copy_spools
from metering.spool_format import segment_path, segments, spools
from store import backup
from store.backup import examine_copy, frozen, open_copy
from store.sqlite import StoreError
from tests.unit.test_spool import commit, delivered, read, voided, writer


def make(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("CREATE TABLE one (value INTEGER, filler BLOB)")
    connection.execute("INSERT INTO one VALUES (0, zeroblob(300000))")
    return connection


def value(path: Path) -> int:
    with closing(open_copy(path)) as connection:
        return int(connection.execute("SELECT value FROM one").fetchone()[0])


@contextmanager
def counting(*connections: sqlite3.Connection) -> Iterator[None]:
    """Count in each database in turn, so that no two may ever differ by more than one."""
    stop = threading.Event()

    def count() -> None:
        while not stop.is_set():
            for connection in connections:
                connection.execute("UPDATE one SET value = value + 1, filler = zeroblob(300000)")

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_databases_are_copied_as_they_were_at_one_moment(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.sqlite", "b.sqlite", "c.sqlite")]
    connections = [make(path) for path in paths]
    seen = set()
    with counting(*connections):
        for number in range(10):
            target = tmp_path / f"copy-{number}"
            target.mkdir()
            moment: list[int] = []

            def while_still(moment: list[int] = moment) -> None:
                for path in paths:
                    with closing(sqlite3.connect(path)) as reader:
                        moment.extend(reader.execute("SELECT value FROM one").fetchone())

            with frozen(paths, while_still) as pinned:
                time.sleep(0.01)  # they are written to again
                for each in pinned:
                    each.copy(target / each.path.name)
            found = [value(target / path.name) for path in paths]
            assert found == moment
            assert found[0] - found[2] in (0, 1)
            seen.add(found[0])
            assert all(examine_copy(target / path.name) == "" for path in paths)
            assert {path.name for path in target.iterdir()} == {path.name for path in paths}
    assert len(seen) > 1
    for connection in connections:
        connection.close()


def test_a_lock_that_is_held_is_waited_for_without_holding_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "LOCK_WAIT_S", 0.05)
    first, second = tmp_path / "a.sqlite", tmp_path / "b.sqlite"
    one, other = make(first), make(second)
    other.execute("BEGIN IMMEDIATE")
    released = threading.Event()

    def work() -> None:
        # Holds `b`, and then waits for `a`: whoever held on to `a` would never get `b`.
        one.execute("UPDATE one SET value = 1")
        time.sleep(0.3)
        one.execute("UPDATE one SET value = 2")
        other.execute("UPDATE one SET value = 2")
        other.execute("COMMIT")
        released.set()

    thread = threading.Thread(target=work)
    thread.start()
    with frozen([first, second]) as pinned:
        assert released.wait(10.0)  # after its COMMIT, which let us in
        for each in pinned:
            each.copy(tmp_path / f"copy-{each.path.name}")
    thread.join()
    assert value(tmp_path / "copy-a.sqlite") == value(tmp_path / "copy-b.sqlite") == 2
    one.close()
    other.close()


def test_a_lock_that_is_never_given_up_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "LOCK_WAIT_S", 0.01)
    monkeypatch.setattr(backup, "FREEZE_WITHIN_S", 0.1)
    path = tmp_path / "a.sqlite"
    connection = make(path)
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="without a pause"), frozen([path]):
        raise AssertionError
    connection.close()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"nothing of the kind" * 500)
    with pytest.raises(StoreError, match=r"a\.sqlite"), frozen([path]):
        raise AssertionError
    assert examine_copy(path)


def test_a_damaged_copy_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    connection = make(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    data = bytearray(path.read_bytes())
    data[4096 : 4096 + 64] = bytes(64)  # the head of a page
    path.write_bytes(data)
    assert examine_copy(path)


def test_a_spool_is_copied_up_to_its_newest_whole_frame(tmp_path: Path) -> None:
    root, target = tmp_path / "spool", tmp_path / "copy"
    owner = writer(root)
    receipt = commit(owner, 1, 2)
    owner.settle([receipt], [])
    commit(owner, 3)
    copied = copy_spools(root, target)
    commit(owner, 4)
    assert (copied.spools, copied.deliveries) == (1, 3)
    (spool,) = spools(target)
    assert spool.name == spools(root)[0].name
    # Nobody owns the copy: what was confirmed counts, and the rest is taken back.
    drafts = read(spool, orphan=True)
    assert delivered(drafts) == [1, 2, 3]
    assert voided(drafts) == ["3"]
    original, copy = segment_path(spools(root)[0], 1), segment_path(spool, 1)
    assert copy.stat().st_size < original.stat().st_size  # without the room it reserves
    assert original.read_bytes().startswith(copy.read_bytes())
    owner.close()


def test_a_spool_of_several_segments_is_copied_whole(tmp_path: Path) -> None:
    root, target = tmp_path / "spool", tmp_path / "copy"
    owner = writer(root, segment_size_bytes_max=4096)
    for number in range(200):
        owner.settle([commit(owner, number)], [])
    owner.mark()
    assert len(segments(spools(root)[0])) > 2
    copy_spools(root, target)
    (spool,) = spools(target)
    assert delivered(read(spool, orphan=True)) == list(range(200))
    assert voided(read(spool, orphan=True)) == []
    owner.close()


def test_without_spools_the_copy_is_empty(tmp_path: Path) -> None:
    assert copy_spools(tmp_path / "none", tmp_path / "copy").spools == 0
    assert list((tmp_path / "copy").iterdir()) == []
