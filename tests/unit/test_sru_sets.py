"""Kept result sets: found by any worker, bounded, and gone when their time is over."""

from __future__ import annotations

import os
import re
import time
from array import array
from pathlib import Path

import pytest
from pyroaring import BitMap

from protocol.record import Database, MarcFamily
from server.sru.sets import SetStore
from store.result_set import RecordSet

CN = Database("cn_cat", "", MarcFamily.UNIMARC)
WE = Database("we_cat", "", MarcFamily.MARC21)


def store(folder: Path, worker: int = 0, sets: int = 10, size_bytes: int = 1 << 20) -> SetStore:
    return SetStore(folder, worker, sets_max=sets, bytes_max=size_bytes)


def age(folder: Path, set_id: str, seconds: float) -> None:
    """Let the time until the end of a set pass."""
    path = folder / "sets" / set_id
    ends_s = path.stat().st_mtime - seconds
    os.utime(path, (ends_s, ends_s))


def left(folder: Path) -> set[str]:
    return {path.name for path in (folder / "sets").iterdir()}


async def test_another_worker_finds_the_set_as_it_was(tmp_path: Path) -> None:
    records = RecordSet(BitMap(range(5, 1000, 3)))
    set_id = await store(tmp_path, 3).keep(records, (WE, CN), 60)
    assert set_id is not None
    assert re.fullmatch("w3-[0-9a-f]{32}", set_id)
    kept = await store(tmp_path, 0).load(set_id)
    assert kept is not None
    assert kept.records.records == records.records
    assert (kept.id, kept.ttl_s) == (set_id, 60)
    assert kept.is_of((CN, WE))
    assert not kept.is_of((CN,))


@pytest.mark.parametrize("count", [0, 1, 100_000])
async def test_a_sorted_set_keeps_its_order(tmp_path: Path, count: int) -> None:
    order = array("I", range(count, 0, -1))
    set_id = await store(tmp_path).keep(RecordSet(BitMap(order), order), (CN,), 60)
    assert set_id is not None
    kept = await store(tmp_path).load(set_id)
    assert kept is not None
    assert kept.records.order == order
    assert len(kept.records) == count


async def test_a_set_ends_when_it_was_not_used_for_its_time(tmp_path: Path) -> None:
    sets = store(tmp_path)
    set_id = await sets.keep(RecordSet(BitMap([1])), (CN,), 60)
    assert set_id is not None
    age(tmp_path, set_id, 59)
    assert await sets.load(set_id) is not None
    age(tmp_path, set_id, 59)  # the use has put its end off
    assert await sets.load(set_id) is not None
    age(tmp_path, set_id, 61)
    assert await sets.load(set_id) is None


async def test_an_ended_set_is_removed_by_whoever_comes_next(tmp_path: Path) -> None:
    first = await store(tmp_path, 7).keep(RecordSet(BitMap([1])), (CN,), 60)
    other = await store(tmp_path, 8).keep(RecordSet(BitMap([1])), (CN,), 60)
    assert first is not None
    age(tmp_path, first, 61)
    unfinished = tmp_path / "sets" / f".w7-{'0' * 32}"
    unfinished.touch()
    new = await store(tmp_path, 0).keep(RecordSet(BitMap([1])), (CN,), 60)
    assert left(tmp_path) == {other, new, unfinished.name}
    os.utime(unfinished, (time.time() - 61, time.time() - 61))
    store(tmp_path).sweep()
    assert left(tmp_path) == {other, new}


async def test_a_timer_removes_it_when_nobody_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = store(tmp_path)
    waits: list[float] = []
    monkeypatch.setattr(sets, "_sweep_after", waits.append)
    set_id = await sets.keep(RecordSet(BitMap([1])), (CN,), 60)
    assert set_id is not None
    assert waits == [60]
    sets._timed_sweep()
    assert 50 < waits[1] <= 60  # not ended yet: looked at again at its end
    age(tmp_path, set_id, 61)
    sets._timed_sweep()
    assert left(tmp_path) == set()
    assert len(waits) == 2


async def test_a_worker_keeps_so_many_sets_and_lets_the_first_to_end_go(tmp_path: Path) -> None:
    others = [await store(tmp_path, 1).keep(RecordSet(BitMap([1])), (CN,), 60) for _ in range(5)]
    sets = store(tmp_path, 0, sets=3)
    ids = [await sets.keep(RecordSet(BitMap([1])), (CN,), 60 + n) for n in range(3)]
    assert ids[0] is not None
    assert await sets.load(ids[0]) is not None
    age(tmp_path, str(ids[0]), -30)  # used later than the others
    last = await sets.keep(RecordSet(BitMap([1])), (CN,), 60)
    assert left(tmp_path) == {*others, ids[0], ids[2], last}


async def test_strangers_do_not_push_out_what_members_keep(tmp_path: Path) -> None:
    member = await store(tmp_path, sets=2).keep(RecordSet(BitMap([1])), (CN,), 60)
    others = SetStore(tmp_path, 0, sets_max=2, bytes_max=1 << 20, anonymous=True)
    ids = [await others.keep(RecordSet(BitMap([2])), (CN,), 60 + n) for n in range(5)]
    assert left(tmp_path) == {member, *ids[-2:]}
    kept = await store(tmp_path, 1).load(str(ids[-1]))
    assert kept is not None
    assert list(kept.records.records) == [2]


async def test_a_worker_keeps_so_many_octets(tmp_path: Path) -> None:
    def big(first: int) -> RecordSet:
        return RecordSet(BitMap([first]), array("I", [first] * 1000))

    sets = store(tmp_path, size_bytes=10_000)
    ids = [await sets.keep(big(n), (CN,), 60 + n) for n in range(3)]
    assert left(tmp_path) == set(ids[1:])
    assert await sets.keep(RecordSet(BitMap(), array("I", [1] * 3000)), (CN,), 60) is None
    assert left(tmp_path) == set(ids[1:])


@pytest.mark.parametrize(
    "set_id", ["", "w0-", "../../etc/passwd", "w0-" + "0" * 32, "w0-" + "G" * 32, ".w0-" + "0" * 32]
)
async def test_an_unknown_id_is_no_set(tmp_path: Path, set_id: str) -> None:
    sets = store(tmp_path)
    await sets.keep(RecordSet(BitMap([1])), (CN,), 60)
    assert await sets.load(set_id) is None


@pytest.mark.parametrize("octets", [b"", b"{}\n", b'{"databases":[],"ttl_s":9}\nX', b"\xff\n"])
async def test_a_damaged_file_is_no_set(tmp_path: Path, octets: bytes) -> None:
    sets = store(tmp_path)
    set_id = await sets.keep(RecordSet(BitMap([1])), (CN,), 60)
    path = tmp_path / "sets" / str(set_id)
    ends_s = path.stat().st_mtime
    path.write_bytes(octets)
    os.utime(path, (ends_s, ends_s))
    assert await sets.load(str(set_id)) is None


async def test_only_the_server_s_user_may_read_a_set(tmp_path: Path) -> None:
    set_id = await store(tmp_path).keep(RecordSet(BitMap([1])), (CN,), 60)
    assert (tmp_path / "sets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "sets" / str(set_id)).stat().st_mode & 0o777 == 0o600
