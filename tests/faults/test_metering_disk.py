"""Disks that are full, failing or read-only: nothing is sent, nothing is counted twice."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

import metering.fold
from metering.entry import Draft, Kind
from metering.fold import Folder, FoldReport
from metering.interface import Delivery, MeteringError, Receipt
from metering.ledger import Ledger
from metering.spool import SpoolMeter
from metering.spool_format import Position, spools
from metering.spool_reading import newest_frames, read_spool
from metering.spool_writer import Disk, SpoolWriter

CHECKOUT = Path(__file__).resolve().parents[2]
NOW_US = 1_714_968_000_000_000

# Delivers until the limit on the size of a file stops it, lifts the limit, goes on.
FULL_AND_FREE_AGAIN = """
import asyncio, resource, sys
from pathlib import Path
from metering.interface import Delivery, MeteringError
from metering.spool import SpoolMeter

async def main():
    meter = SpoolMeter(Path(sys.argv[1]))
    failed = sent = 0
    for number in range(1500):
        if failed == 20:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        try:
            receipt = await meter.deliver([Delivery("PKU", "cn_cat", number, "1" * 1000)] * 2)
        except MeteringError as error:
            assert "spool cannot be written" in str(error), error
            failed += 1
        else:
            meter.confirm(receipt)
            sent += 2
    await meter.close()
    print(failed, sent)

resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
asyncio.run(main())
"""


class FailingDisk(Disk):
    """Fails while `failure` says how: before, in the middle of, or after the writing."""

    def __init__(self) -> None:
        self.failure = ""
        self.error = errno.ENOSPC

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        if self.failure == "any":
            raise OSError(self.error, os.strerror(self.error))
        super().write(descriptor, data, offset)

    def write_durably(self, descriptor: int, data: bytes, offset: int) -> None:
        if self.failure in ("torn", "sync"):
            super().write(
                descriptor, data[: len(data) // 2 if self.failure == "torn" else None], offset
            )
        if self.failure:
            raise OSError(self.error, os.strerror(self.error))
        super().write(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        if self.failure == "any":
            raise OSError(self.error, os.strerror(self.error))


def deliveries(*record_ids: int) -> list[Delivery]:
    return [Delivery("PKU", "cn_cat", record_id, str(record_id)) for record_id in record_ids]


def delivered(drafts: list[Draft]) -> list[int]:
    return [draft.record_id for draft in drafts if draft.kind is Kind.DELIVERY]


FAILURES = ["before", "torn", "sync", "any"]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS])
async def test_every_waiter_hears_of_a_failing_disk_and_the_meter_recovers(
    tmp_path: Path, failure: str, error: int
) -> None:
    disk = FailingDisk()
    disk.error = error
    meter = SpoolMeter(tmp_path / "spool", clock=lambda: NOW_US, disk=disk)
    meter.confirm(await meter.deliver(deliveries(1)))
    disk.failure = failure
    for _ in range(3):
        results = await asyncio.gather(
            *(meter.deliver(deliveries(number)) for number in (2, 3, 4)), return_exceptions=True
        )
        assert {type(result) for result in results} == {MeteringError}
    assert meter.statistics.failures > 0
    disk.failure = ""
    receipt = await meter.deliver(deliveries(5))
    assert receipt == Receipt(2, 1)
    meter.confirm(receipt)
    await meter.close()

    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert Folder(ledger, tmp_path / "spool").fold() == FoldReport(deliveries=2, orphans=1)
    assert [entry.record_id for entry in ledger.entries()] == [1, 5]
    ledger.close()


async def test_a_disk_that_is_full_from_the_start_stops_deliveries_only(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.failure = "any"
    meter = SpoolMeter(tmp_path / "spool", disk=disk)
    for _ in range(3):
        with pytest.raises(MeteringError, match="No space left"):
            await meter.deliver(deliveries(1))
    assert list((tmp_path / "spool").iterdir()) == []
    disk.failure = ""
    meter.confirm(await meter.deliver(deliveries(2)))
    await meter.close()
    (spool,) = spools(tmp_path / "spool")
    assert delivered(read_spool(spool, Position(), orphan=True, now_us=0).drafts) == [2]


async def test_a_place_where_no_spool_can_be_made_is_a_named_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    meter = SpoolMeter(tmp_path / "file")
    with pytest.raises(MeteringError, match="cannot be written"):
        await meter.deliver(deliveries(1))
    await meter.close()


def test_a_frame_whose_sync_failed_is_never_folded_though_it_reads_well(tmp_path: Path) -> None:
    class KeepsItsBytes(FailingDisk):
        def write(self, descriptor: int, data: bytes, offset: int) -> None:
            if data != bytes(8):  # not even the attempt to take the frame back succeeds
                super().write(descriptor, data, offset)

    disk = KeepsItsBytes()
    writer = SpoolWriter(tmp_path, owner="", clock=lambda: NOW_US, disk=disk)
    writer.settle(writer.commit([(NOW_US, deliveries(1))]))
    disk.failure = "sync"
    with pytest.raises(MeteringError):
        writer.commit([(NOW_US, deliveries(2))])
    (spool,) = spools(tmp_path)
    alive = read_spool(spool, Position(), orphan=False, now_us=0)
    assert delivered(alive.drafts) == [1]
    assert [draft.record_id for draft in newest_frames(spool, alive.end)] == [2]
    # Were the worker to die now, nobody would have confirmed it.
    orphan = read_spool(spool, Position(), orphan=True, now_us=0)
    assert [draft.refers_to[-1] for draft in orphan.drafts if draft.kind is Kind.VOID] == ["2"]
    # If it lives, the next segment says that the frame is none.
    disk.failure = ""
    writer.settle(writer.commit([(NOW_US, deliveries(3))]))
    writer.close()
    reading = read_spool(spool, Position(), orphan=True, now_us=0)
    assert (delivered(reading.drafts), reading.damaged) == ([1, 3], [])
    assert not any(draft.kind is Kind.VOID for draft in reading.drafts)


@pytest.mark.parametrize("seed", range(50))
def test_a_disk_that_fails_now_and_then_bills_what_was_sent_and_nothing_else(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    disk = FailingDisk()
    root = tmp_path / "spool"
    ledger = Ledger(tmp_path / "ledger.sqlite", repeat_window=0)
    ledger._writer.execute("PRAGMA synchronous = OFF")
    folder = Folder(ledger, root, clock=lambda: NOW_US)
    writer = SpoolWriter(
        root, owner="", clock=lambda: NOW_US, disk=disk, segment_size_bytes_max=600
    )
    sent: list[int] = []
    for number in range(60):
        disk.failure = chance.choice(["", "", "", *FAILURES])
        try:
            writer.settle(writer.commit([(NOW_US, deliveries(number))]))
            sent.append(number)
        except MeteringError:
            pass
        if chance.random() < 0.3:
            with contextlib.suppress(MeteringError):
                writer.mark()
        if chance.random() < 0.1:
            folder.fold(lag_us=0)
    disk.failure = ""
    writer.commit([])
    if writer._lock >= 0:
        os.close(writer._lock)
        os.close(writer._file)
    folder.fold(lag_us=0)
    assert [entry.record_id for entry in ledger.entries()] == sent
    ledger.close()


def test_a_limit_on_file_sizes_is_met_and_lifted_without_a_wrong_count(tmp_path: Path) -> None:
    output = subprocess.run(
        [sys.executable, "-c", FULL_AND_FREE_AGAIN, str(tmp_path / "spool")],
        env={"PYTHONPATH": str(CHECKOUT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert output.stderr == ""
    failed, sent = map(int, output.stdout.split())
    assert failed == 20
    ledger = Ledger(tmp_path / "ledger.sqlite", repeat_window=0)
    assert Folder(ledger, tmp_path / "spool").fold(lag_us=0) == FoldReport(
        deliveries=sent, orphans=1
    )
    ledger.close()


# The ledger's own disk


def test_a_full_ledger_disk_leaves_everything_in_the_spools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metering.fold, "DRAFTS_PER_TRANSACTION", 500)
    root = tmp_path / "spool"
    writer = SpoolWriter(root, owner="", clock=lambda: NOW_US, sync="off")
    for number in range(3_000):
        writer.settle(writer.commit([(number, deliveries(number))]))
    writer.close()
    ledger = Ledger(tmp_path / "ledger.sqlite")
    (pages,) = ledger._writer.execute("PRAGMA page_count").fetchone()
    ledger._writer.execute(f"PRAGMA max_page_count = {pages + 5}")
    folder = Folder(ledger, root)
    for _ in range(2):
        with pytest.raises(MeteringError, match="full"):
            folder.fold()
    so_far = ledger.verify()
    assert so_far.ok
    assert 0 < so_far.entries < 3_000
    ledger._writer.execute("PRAGMA max_page_count = 1000000")
    assert folder.fold().deliveries == 3_000 - so_far.entries
    assert ledger.verify().entries == 3_000
    ledger.close()


def test_a_read_only_ledger_is_a_named_error_and_loses_nothing(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    writer = SpoolWriter(root, owner="", clock=lambda: NOW_US, sync="off")
    writer.settle(writer.commit([(NOW_US, deliveries(1))]))
    writer.close()
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger._writer.execute("PRAGMA query_only = ON")
    with pytest.raises(MeteringError, match="readonly"):
        Folder(ledger, root).fold()
    ledger._writer.execute("PRAGMA query_only = OFF")
    assert Folder(ledger, root).fold().deliveries == 1
    ledger.close()


def test_a_fold_that_cannot_remove_what_it_folded_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "spool"
    writer = SpoolWriter(root, owner="", clock=lambda: NOW_US, sync="off")
    writer.settle(writer.commit([(NOW_US, deliveries(1))]))
    writer.close()
    ledger = Ledger(tmp_path / "ledger.sqlite")

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(metering.fold, "remove_folded", refuse)
        with pytest.raises(MeteringError, match="Read-only"):
            Folder(ledger, root).fold()
    assert Folder(ledger, root).fold() == FoldReport(orphans=1)
    assert ledger.verify().entries == 1
    ledger.close()
