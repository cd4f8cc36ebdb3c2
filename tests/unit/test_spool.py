"""The spool: what is durable, what a reader may believe, and how groups form."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from metering import spool
from metering.entry import Draft, Kind
from metering.interface import Delivery, Meter, MeteringError, Receipt
from metering.spool import SLOW_COMMITS, SpoolMeter
from metering.spool_format import Position, Segment, lock, segment_path, segments, spools
from metering.spool_reading import DONE, newest_frames, read_spool
from metering.spool_writer import Disk, SpoolWriter

NOW_US = 1_714_968_000_000_000


def delivery(record_id: int = 7, control_number: str = "012003000007") -> Delivery:
    return Delivery("PKU", "cn_cat", record_id, control_number, "pku01", "z3950", "a-1")


def writer(root: Path, segment_size_bytes_max: int = 1 << 20) -> SpoolWriter:
    return SpoolWriter(
        root,
        owner="worker 1",
        clock=lambda: NOW_US,
        sync="off",
        segment_size_bytes_max=segment_size_bytes_max,
    )


def commit(writer: SpoolWriter, *record_ids: int) -> Receipt:
    (receipt,) = writer.commit([(NOW_US, [delivery(record_id) for record_id in record_ids])])
    return receipt


def read(spool: Path, start: Position = Position(), *, orphan: bool = False) -> list[Draft]:  # noqa: B008
    return read_spool(spool, start, orphan=orphan, now_us=NOW_US).drafts


def delivered(drafts: list[Draft]) -> list[int]:
    return [draft.record_id for draft in drafts if draft.kind is Kind.DELIVERY]


def voided(drafts: list[Draft]) -> list[str]:
    return [draft.refers_to.split(":")[1] for draft in drafts if draft.kind is Kind.VOID]


def only(root: Path) -> Path:
    (spool,) = spools(root)
    return spool


def test_what_was_committed_is_read_back_as_it_was(tmp_path: Path) -> None:
    owner = writer(tmp_path)
    assert commit(owner, 7) == Receipt(1, 1)
    owner.close()
    (draft,) = [draft for draft in read(only(tmp_path), orphan=True) if draft.record_id]
    assert draft == Draft(
        id=f"{only(tmp_path).name}:1", kind=Kind.DELIVERY, at_us=NOW_US, institution="PKU",
        account="pku01", database="cn_cat", record_id=7, control_number="012003000007",
        protocol="z3950", session="a-1",
    )  # fmt: skip


def test_receipts_number_the_deliveries_without_gaps(tmp_path: Path) -> None:
    owner = writer(tmp_path)
    receipts = owner.commit([(NOW_US, [delivery(1), delivery(2)]), (NOW_US, [delivery(3)])])
    assert receipts == [Receipt(1, 2), Receipt(3, 1)]
    assert commit(owner, 4) == Receipt(4, 1)
    owner.close()


def test_the_newest_frame_is_not_final_while_its_owner_lives(tmp_path: Path) -> None:
    owner = writer(tmp_path)
    first = commit(owner, 1)
    spool = only(tmp_path)
    assert delivered(read(spool)) == []
    reading = read_spool(spool, Position(), orphan=False, now_us=0)
    assert [draft.record_id for draft in newest_frames(spool, reading.end)] == [1]
    owner.mark()
    assert delivered(read(spool)) == [1]
    owner.settle([first])
    owner.mark()
    assert delivered(read(spool)) == [1]
    commit(owner, 2)
    assert delivered(read(spool)) == [1]
    owner.close()


def test_a_mark_is_written_over_and_loses_nothing(tmp_path: Path) -> None:
    owner = writer(tmp_path)
    receipts = [commit(owner, number) for number in range(5)]
    for receipt in receipts[:3]:
        owner.settle([receipt])
        owner.mark()
    commit(owner, 5)
    assert voided(read(only(tmp_path), orphan=True)) == ["4", "5", "6"]
    owner.settle(receipts[3:])
    owner.close()
    assert voided(read(only(tmp_path), orphan=True)) == ["6"]


def test_an_orphan_voids_what_was_not_confirmed_and_says_so(tmp_path: Path) -> None:
    owner = writer(tmp_path)
    receipts = [commit(owner, 1, 2), commit(owner, 3), commit(owner, 4), commit(owner, 5)]
    owner.settle([receipts[1]], [(receipts[3], NOW_US + 1, "reset by peer")])
    owner.close()
    reading = read_spool(only(tmp_path), Position(), orphan=True, now_us=NOW_US + 2)
    assert voided(reading.drafts) == ["5", "1", "2", "4"]
    assert [draft.note for draft in reading.drafts if draft.kind is Kind.AUDIT] == [
        "3 deliveries voided: not confirmed before its worker ended"
    ]
    assert reading.end == DONE


def test_a_spool_that_was_closed_in_order_brings_no_audit(tmp_path: Path) -> None:
    owner = writer(tmp_path)
    owner.settle([commit(owner, 1)])
    owner.close()
    assert [draft.kind for draft in read(only(tmp_path), orphan=True)] == [Kind.DELIVERY]


def test_a_torn_frame_is_as_if_it_never_was(tmp_path: Path) -> None:
    owner = writer(tmp_path)
    owner.settle([commit(owner, 1)])
    commit(owner, 2)
    spool = only(tmp_path)
    path = segment_path(spool, 1)
    whole = path.read_bytes()
    segment = Segment(spool, 1)
    ends = [end for _, end in segment.frames()]
    for size in range(ends[0], ends[1]):
        path.write_bytes(whole[:size] + bytes(len(whole) - size))
        if whole[size : ends[1]].strip(b"\0"):
            assert delivered(read(spool, orphan=True)) == [1]
        path.write_bytes(whole[:size])
        assert delivered(read(spool, orphan=True)) == [1]
    for place in range(ends[0], ends[1]):
        flipped = bytes([whole[place] ^ 0x41])
        path.write_bytes(whole[:place] + flipped + whole[place + 1 :])
        reading = read_spool(spool, Position(), orphan=True, now_us=NOW_US)
        assert delivered(reading.drafts) == [1]
        assert reading.damaged == []
    owner.close()


def test_a_hole_before_a_whole_frame_is_damage_and_kept(tmp_path: Path) -> None:
    owner = writer(tmp_path)
    for number in range(3):
        owner.settle([commit(owner, number)])
    owner.close()
    spool = only(tmp_path)
    path = segment_path(spool, 1)
    data = bytearray(path.read_bytes())
    ends = [end for _, end in Segment(spool, 1).frames()]
    data[ends[0] + 12] ^= 1
    path.write_bytes(data)
    reading = read_spool(spool, Position(), orphan=True, now_us=NOW_US)
    assert reading.damaged == [1]
    assert any(draft.id.endswith("1:damaged") for draft in reading.drafts)


def test_segments_follow_each_other_and_carry_the_open_receipts(tmp_path: Path) -> None:
    owner = writer(tmp_path, segment_size_bytes_max=1_000)
    receipts = [commit(owner, number) for number in range(100)]
    spool = only(tmp_path)
    assert len(segments(spool)) > 5
    owner.settle([receipt for receipt in receipts if receipt.first != 3])
    owner.close()
    drafts = read(spool, orphan=True)
    assert delivered(drafts) == list(range(100))
    assert voided(drafts) == ["3"]


def test_reading_in_small_steps_is_reading_at_once(tmp_path: Path) -> None:
    owner = writer(tmp_path, segment_size_bytes_max=1_000)
    for number in range(50):
        owner.settle([commit(owner, number)])
    owner.close()
    spool = only(tmp_path)
    position, drafts = Position(), []
    while position != DONE:
        reading = read_spool(spool, position, orphan=True, limit=3, now_us=NOW_US)
        drafts += reading.drafts
        position = reading.end
    assert drafts == read(spool, orphan=True)


def test_only_the_living_owner_holds_the_lock(tmp_path: Path) -> None:
    owner = writer(tmp_path)
    commit(owner, 1)
    assert lock(only(tmp_path)) is None
    owner.close()
    descriptor = lock(only(tmp_path))
    assert descriptor is not None
    os.close(descriptor)


# The meter


@pytest.fixture
async def meter(tmp_path: Path) -> AsyncIterator[SpoolMeter]:
    meter = SpoolMeter(tmp_path, clock=lambda: NOW_US)
    yield meter
    await meter.close()


def test_the_spool_meter_is_a_meter(tmp_path: Path) -> None:
    meter: Meter = SpoolMeter(tmp_path)
    assert meter is not None


async def test_all_who_wait_share_one_write(meter: SpoolMeter, tmp_path: Path) -> None:
    await meter.deliver([delivery()])
    receipts = await asyncio.gather(*(meter.deliver([delivery(n)]) for n in range(200)))
    assert [receipt.first for receipt in receipts] == list(range(2, 202))
    assert meter.statistics.deliveries == 201
    assert meter.statistics.groups < 20


async def ask(meter: SpoolMeter, times: int, turns_between: int) -> None:
    """Deliver again and again, as a client does that needs a moment for its next request."""
    for _ in range(times):
        meter.confirm(await meter.deliver([delivery()]))
        for _ in range(turns_between):
            await asyncio.sleep(0)


async def test_clients_that_come_again_at_once_are_waited_for(
    meter: SpoolMeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "RETURN_S", 1.0)  # also on a busy machine
    async with asyncio.TaskGroup() as clients:
        for turns in (0, 3, 9, 27):
            clients.create_task(ask(meter, 50, turns))
    assert meter.statistics.deliveries == 200
    # Each at its own pace would make nearly as many groups as deliveries.
    assert meter.statistics.groups < 80


async def test_nobody_waits_long_for_clients_that_stay_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    meter = SpoolMeter(tmp_path, sync="off")
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def noting(delay_s: float, *arguments: Any) -> asyncio.TimerHandle:
        waits.append(delay_s)
        return call_later(delay_s, *arguments)

    await meter.deliver([delivery(n) for n in range(3)])
    monkeypatch.setattr(loop, "call_later", noting)
    monkeypatch.setattr(spool, "MARK_INTERVAL_S", 3600.0)
    monkeypatch.setattr(spool, "MISSES_PAUSE_S", 3600.0)
    for _ in range(20):  # of two that were answered, one comes again, and another one
        await asyncio.gather(meter.deliver([delivery()]), meter.deliver([delivery()]))
        await meter.deliver([delivery()])
    await meter.close()
    waited = [delay_s for delay_s in waits if delay_s < 3600.0]
    assert len(waited) <= spool.MISSES_MAX
    assert all(delay_s <= spool.RETURN_S for delay_s in waited)


class SlowDisk(Disk):
    slow = False

    def write_durably(self, descriptor: int, data: bytes, offset: int) -> None:
        if self.slow:
            time.sleep(0.02)
        super().write_durably(descriptor, data, offset)


async def test_a_slow_disk_holds_up_only_those_who_wait_for_it(tmp_path: Path) -> None:
    disk = SlowDisk()
    meter = SpoolMeter(tmp_path, disk=disk)
    await meter.deliver([delivery()])  # makes the spool
    disk.slow = True
    for _ in range(SLOW_COMMITS):  # finds out in the event loop
        await meter.deliver([delivery()])
    turns = 0
    task = asyncio.create_task(meter.deliver([delivery()]))
    while not task.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert turns > 5
    assert (await task).first == 2 + SLOW_COMMITS
    await meter.close()


async def test_an_empty_response_needs_no_entry(meter: SpoolMeter, tmp_path: Path) -> None:
    receipt = await meter.deliver([])
    meter.confirm(receipt)
    meter.void(receipt, "nothing")
    assert receipt.count == 0
    assert spools(tmp_path) == []


async def test_confirmations_are_written_soon_without_another_delivery(
    meter: SpoolMeter, tmp_path: Path
) -> None:
    meter.confirm(await meter.deliver([delivery()]))
    async with asyncio.timeout(5):
        while voided(read(only(tmp_path), orphan=True)):  # noqa: ASYNC110  (a file changes)
            await asyncio.sleep(0.005)


async def test_closing_writes_the_last_confirmation(tmp_path: Path) -> None:
    meter = SpoolMeter(tmp_path)
    kept, lost = await meter.deliver([delivery(1)]), await meter.deliver([delivery(2)])
    meter.confirm(kept)
    await meter.close()
    await meter.close()
    drafts = read(only(tmp_path), orphan=True)
    assert (delivered(drafts), voided(drafts)) == ([1, 2], [str(lost.first)])
    with pytest.raises(MeteringError, match="closed"):
        await meter.deliver([delivery()])


async def test_a_void_wins_over_a_confirmation(tmp_path: Path) -> None:
    meter = SpoolMeter(tmp_path)
    receipt = await meter.deliver([delivery()])
    meter.confirm(receipt)
    meter.void(receipt, "reset by peer")
    await meter.close()
    drafts = read(only(tmp_path), orphan=True)
    assert [draft.note for draft in drafts if draft.kind is Kind.VOID] == ["reset by peer"]


async def test_a_caller_cancelled_while_it_waits_is_not_billed(tmp_path: Path) -> None:
    meter = SpoolMeter(tmp_path)
    await meter.deliver([delivery(0)])
    for turns in range(40):
        task = asyncio.create_task(meter.deliver([delivery(1)]))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            meter.confirm(await task)
    await meter.close()
    drafts = read(only(tmp_path), orphan=True)
    notes = {draft.note for draft in drafts if draft.kind is Kind.VOID}
    assert notes <= {"cancelled before the answer", "not confirmed before its worker ended"}
    assert sum("not confirmed" in draft.note for draft in drafts if draft.kind is Kind.VOID) == 1


@pytest.mark.parametrize(
    "bad", [delivery(control_number="\ud800"), delivery(record_id=1 << 70)], ids=["text", "number"]
)
async def test_what_cannot_be_written_down_fails_its_caller_only(
    tmp_path: Path, bad: Delivery
) -> None:
    meter = SpoolMeter(tmp_path)
    results = await asyncio.gather(
        *(meter.deliver([each]) for each in (delivery(1), bad, delivery(2))),
        return_exceptions=True,
    )
    assert isinstance(results[1], MeteringError)
    for receipt in (results[0], results[2]):
        assert isinstance(receipt, Receipt)
        meter.confirm(receipt)
    await meter.close()
    drafts = read(only(tmp_path), orphan=True)
    assert (delivered(drafts), voided(drafts)) == ([1, 2], [])


async def test_a_response_of_absurd_length_is_refused(meter: SpoolMeter) -> None:
    with pytest.raises(MeteringError, match="70000 deliveries"):
        await meter.deliver([delivery()] * 70_000)


async def test_an_answer_that_fails_holds_up_no_other_of_its_group(tmp_path: Path) -> None:
    meter = SpoolMeter(tmp_path, clock=lambda: NOW_US, sync="off")
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    others = asyncio.Event()

    def broken() -> None:
        raise ValueError("cannot be sent")

    meter.enter([delivery(1)]).resume = broken
    meter.enter([delivery(2)]).resume = others.set
    async with asyncio.timeout(10):
        await others.wait()
    assert isinstance(reported[0]["exception"], ValueError)
    await meter.close()


async def test_more_calls_than_go_into_a_group_are_the_next_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "GROUP_CALLS_MAX", 2)
    meter = SpoolMeter(tmp_path, clock=lambda: NOW_US, sync="off")
    await meter.deliver([delivery(0)])  # there is room now: the next is written in the loop
    async with asyncio.timeout(10):
        receipts = await asyncio.gather(*(meter.deliver([delivery(n)]) for n in range(1, 6)))
    assert receipts == [Receipt(n + 1, 1) for n in range(1, 6)]
    await meter.close()
