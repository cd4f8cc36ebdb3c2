"""Workers and folders killed at random instants: nothing counts that was not sent."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from metering.entry import Kind
from metering.fold import Folder
from metering.interface import Delivery
from metering.ledger import Ledger
from metering.spool_format import spools
from metering.spool_writer import SpoolWriter
from metering.usage import UsageReader
from tests.faults.metering_worker import CALLERS

CHECKOUT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("metering_worker.py")
FOLDER_PROGRAM = """
import sys
from pathlib import Path
import metering.fold as fold
from metering.ledger import Ledger
fold.DRAFTS_PER_TRANSACTION = 100
data = Path(sys.argv[1])
folder = fold.Folder(Ledger(data / "ledger.sqlite", repeat_window=0), data / "spool")
print("READY", flush=True)
folder.fold(lag_us=0)
"""


@contextlib.contextmanager
def killed_at_the_end(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"PYTHONPATH": str(CHECKOUT), "PATH": ""}
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def receipts(log: str, letter: str) -> list[tuple[int, int]]:
    # The last line may be cut off in its middle.
    lines = [line.split() for line in log[: log.rfind("\n") + 1].splitlines()]
    return [(int(first), int(count)) for kind, first, count in lines if kind == letter]


def indexes(these: list[tuple[int, int]]) -> set[int]:
    return {index for first, count in these for index in range(first, first + count)}


def rounds_of_killed_workers(data: Path, rounds: int) -> None:
    ledger = Ledger(data / "ledger.sqlite", repeat_window=0)
    folder = Folder(ledger, data / "spool")
    reader = UsageReader(ledger, data / "spool")
    seen = 0
    year = time.gmtime(time.time() + 8 * 3600).tm_year
    for number in range(rounds):
        log_path = data / f"{number}.log"
        with killed_at_the_end(str(WORKER), str(data / "spool"), str(log_path)) as process:
            while not log_path.exists() or log_path.stat().st_size < 100:
                assert process.poll() is None
                time.sleep(0.002)
            for _ in range(random.randrange(3)):
                time.sleep(random.random() * 0.03)
                folder.fold(lag_us=random.choice((0, 10_000)))
            time.sleep(random.random() * 0.05)
        log = log_path.read_text()
        (spool,) = spools(data / "spool")
        before = reader.usage("PKU", year)
        folder.fold(lag_us=0)
        assert spools(data / "spool") == []
        assert reader.usage("PKU", year) == before

        entries = list(ledger.entries(after=seen))
        seen = ledger.head()[0]
        stored = Counter(
            int(entry.id.split(":")[1]) for entry in entries if entry.kind is Kind.DELIVERY
        )
        void = {int(entry.id.split(":")[1]) for entry in entries if entry.kind is Kind.VOID}
        assert {entry.id.split(":")[0] for entry in entries} == {spool.name}
        billed = stored.keys() - void
        sent = receipts(log, "S")
        assert set(stored.values()) == {1}
        assert indexes(receipts(log, "D")) <= stored.keys()  # what was durable is there
        assert billed <= indexes(sent)  # nothing is billed that was not sent
        assert not billed & indexes(receipts(log, "V"))
        # A caller asks for its next delivery after it has confirmed its last one, so
        # each can have lost one confirmation at most.
        unbilled = [(first, count) for first, count in sent if first not in billed]
        assert len(unbilled) <= CALLERS
        lost = len(void - indexes(receipts(log, "V")))
        notes = [entry.note for entry in entries if entry.kind is Kind.AUDIT]
        assert all(note.startswith(tuple("123456789")) for note in notes)
        assert sum(int(note.split()[0]) for note in notes) >= lost
    assert ledger.verify().ok
    ledger.close()


def test_a_killed_worker_loses_nothing_confirmed_and_bills_nothing_unsent(tmp_path: Path) -> None:
    rounds_of_killed_workers(tmp_path, 30)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_two_hundred_killed_workers_lose_and_invent_nothing(tmp_path: Path) -> None:
    rounds_of_killed_workers(tmp_path, 200)


def test_a_folder_killed_anywhere_counts_everything_once(tmp_path: Path) -> None:
    writer = SpoolWriter(
        tmp_path / "spool",
        owner="",
        clock=lambda: time.time_ns() // 1_000,
        sync="off",
        segment_size_bytes_max=20_000,
    )
    for number in range(4_000):
        (receipt,) = writer.commit([(number, [Delivery("PKU", "cn_cat", number, "1")])])
        writer.settle([receipt])
    writer.close()
    for _ in range(12):
        with killed_at_the_end("-c", FOLDER_PROGRAM, str(tmp_path)) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"READY\n"
            time.sleep(random.random() * 0.1)
    ledger = Ledger(tmp_path / "ledger.sqlite", repeat_window=0)
    Folder(ledger, tmp_path / "spool").fold(lag_us=0)
    assert ledger.totals(1970)["PKU"].downloads == 4_000
    assert ledger.verify().entries == 4_000
    assert spools(tmp_path / "spool") == []
    ledger.close()
