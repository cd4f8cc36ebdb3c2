"""Spools, ledger and figures together against a model that is obvious.

The model keeps what happened in order of time and counts it anew each time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from metering import ledger as ledger_module
from metering.counting import RepeatWindow
from metering.entry import Draft, Kind, Meter, accounting_day
from metering.fold import Folder
from metering.interface import Delivery, HoldingEvent, Receipt, Usage
from metering.ledger import Ledger
from metering.ledger_page import ENTRIES_MAX, ENTRIES_MIN
from metering.spool_writer import SpoolWriter
from metering.usage import UsageReader

SECOND_US = 1_000_000
START_US = 1_704_038_400 * SECOND_US - 90 * SECOND_US  # 90 s before 2024 in Shanghai
YEARS = (2023, 2024)
WORKERS = 2

institutions = st.sampled_from(["PKU", "PKU", "THU"])
records = st.integers(1, 2)
pauses_us = st.sampled_from(
    [1, 1, 1_000, SECOND_US, 20 * SECOND_US, 30 * SECOND_US - 1, 30 * SECOND_US, 45_000_000]
)
workers = st.integers(0, WORKERS - 1)


@dataclass(slots=True)
class Delivered:
    """One delivery in the model; `void` is set once it counts nothing."""

    institution: str
    record_id: int
    at_us: int
    voided_us: int | None = None


@dataclass(slots=True)
class Worker:
    """A writer, and what the model knows of its receipts."""

    writer: SpoolWriter
    delivered: dict[Receipt, list[Delivered]] = field(default_factory=dict)
    noted: set[Receipt] = field(default_factory=set)  # confirmed, not yet written
    settled: set[Receipt] = field(default_factory=set)  # written
    newest_us: int = 0


class Metering(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp())
        self.now_us = START_US
        self.deliveries: list[Delivered] = []
        self.doomed: list[tuple[int, list[Delivered]]] = []  # of ended workers: (newest, lost)
        self.events: list[HoldingEvent] = []
        self.corrections: list[tuple[str, int]] = []

    @initialize(
        window=st.sampled_from([30, 0, "day", "year"]), smallest_page=st.sampled_from([1, 2, 8])
    )
    def begin(self, window: RepeatWindow, smallest_page: int) -> None:
        self.window = window
        ledger_module.ENTRIES_MIN = smallest_page
        ledger_module.ENTRIES_MAX = max(2, smallest_page)
        root = self.path / "spool"
        self.ledger = Ledger(self.path / "ledger.sqlite", repeat_window=window)
        self.ledger._writer.execute("PRAGMA synchronous = OFF")
        self.folder = Folder(
            self.ledger, root, events_after=self.events_after, clock=lambda: self.now_us
        )
        self.reader = UsageReader(
            self.ledger, root, events_after=self.events_after, clock=lambda: self.now_us
        )
        self.workers = [self.new_worker() for _ in range(WORKERS)]

    def new_worker(self) -> Worker:
        return Worker(
            SpoolWriter(
                self.path / "spool",
                owner="",
                clock=lambda: self.now_us,
                sync="off",
                segment_size_bytes_max=400,
            )
        )

    def events_after(self, seq: int) -> Iterable[HoldingEvent]:
        return self.events[seq:]

    # What happens

    @rule(
        number=workers,
        institution=institutions,
        record_ids=st.lists(records, min_size=1, max_size=3),
        pause_us=pauses_us,
        confirmed=st.booleans(),
    )
    def deliver(
        self, number: int, institution: str, record_ids: list[int], pause_us: int, confirmed: bool
    ) -> None:
        self.now_us += pause_us
        worker = self.workers[number]
        (receipt,) = worker.writer.commit(
            [
                (
                    self.now_us,
                    [Delivery(institution, "cn_cat", each, str(each)) for each in record_ids],
                )
            ]
        )
        new = [Delivered(institution, each, self.now_us) for each in record_ids]
        self.deliveries += new
        worker.delivered[receipt] = new
        self.written(worker)
        if confirmed:
            self.confirm_one(worker, receipt)

    @rule(number=workers, choice=st.integers(0, 5))
    def confirm(self, number: int, choice: int) -> None:
        worker = self.workers[number]
        waiting = sorted(worker.delivered.keys() - worker.settled, key=lambda r: r.first)
        if waiting:
            self.confirm_one(worker, waiting[choice % len(waiting)])

    def confirm_one(self, worker: Worker, receipt: Receipt) -> None:
        worker.writer.settle([receipt])
        worker.noted.add(receipt)

    @rule(number=workers, choice=st.integers(0, 5), pause_us=pauses_us)
    def void(self, number: int, choice: int, pause_us: int) -> None:
        worker = self.workers[number]
        if not worker.delivered:
            return
        self.now_us += pause_us
        receipt = list(worker.delivered)[-1 - choice % len(worker.delivered)]
        worker.writer.settle(voided=[(receipt, self.now_us, "reset by peer")])
        worker.writer.commit([])
        for delivered in worker.delivered[receipt]:
            if delivered.voided_us is None:
                delivered.voided_us = self.now_us
        worker.settled.add(receipt)
        self.written(worker)

    def written(self, worker: Worker) -> None:
        worker.settled |= worker.noted
        worker.noted.clear()
        worker.newest_us = self.now_us

    @rule(number=workers, in_order=st.booleans())
    def end_worker(self, number: int, in_order: bool) -> None:
        """It stops, or is killed: then its lock goes and nothing more is written."""
        worker = self.workers[number]
        if in_order:
            worker.writer.close()
            worker.settled |= worker.noted
        elif worker.writer._lock >= 0:
            os.close(worker.writer._lock)
            os.close(worker.writer._file)
        lost = [
            delivered
            for receipt, each in worker.delivered.items()
            if receipt not in worker.settled
            for delivered in each
        ]
        self.doomed.append((worker.newest_us, lost))
        self.workers[number] = self.new_worker()

    @rule(institution=institutions, record_id=records, change=st.sampled_from([1, -1]))
    def hold(self, institution: str, record_id: int, change: int) -> None:
        self.now_us += SECOND_US
        self.events.append(
            HoldingEvent(len(self.events) + 1, institution, record_id, change, self.now_us)
        )

    @rule(lag_us=st.sampled_from([0, 0, SECOND_US, 40 * SECOND_US]), pause_us=pauses_us)
    def fold(self, lag_us: int, pause_us: int) -> None:
        self.now_us += pause_us
        for worker in self.workers:
            worker.writer.mark()  # as the meter does some milliseconds after a commit
            worker.settled |= worker.noted
        self.folder.fold(lag_us=lag_us)
        if not lag_us:  # what is folded already does not wait when its worker ends
            for worker in self.workers:
                worker.newest_us = 0
        waiting = []
        for newest_us, lost in self.doomed:
            if lag_us and newest_us > self.now_us - lag_us:
                waiting.append((newest_us, lost))
            else:
                self.void_lost(lost, self.now_us)
        self.doomed = waiting

    @rule(choice=st.integers(0, 100))
    def correct(self, choice: int) -> None:
        entries = [entry for entry in self.ledger.entries() if entry.kind is Kind.DELIVERY]
        if not entries:
            return
        entry = entries[choice % len(entries)]
        self.ledger.append(
            [
                Draft(
                    id=f"correction:{len(self.corrections)}", kind=Kind.CORRECTION,
                    at_us=self.now_us, refers_to=entry.id, meter=Meter.DOWNLOAD, quantity=-1,
                )
            ]
        )  # fmt: skip
        self.corrections.append((entry.institution, entry.year))

    # What the figures are

    @staticmethod
    def void_lost(lost: list[Delivered], at_us: int) -> list[Delivered]:
        changed = [delivered for delivered in lost if delivered.voided_us is None]
        for delivered in changed:
            delivered.voided_us = at_us
        return changed

    def repeats(self, one: Delivered, other: Delivered) -> bool:
        if isinstance(self.window, int):
            return self.window > 0 and abs(one.at_us - other.at_us) <= self.window * SECOND_US
        length = 4 if self.window == "year" else 8
        days = [str(accounting_day(each.at_us)[1])[:length] for each in (one, other)]
        return days[0] == days[1]

    def figures(self) -> Counter[tuple[str, int, str]]:
        figures: Counter[tuple[str, int, str]] = Counter()
        billed: list[Delivered] = []
        for one in self.deliveries:
            year, _ = accounting_day(one.at_us)
            is_repeat = any(
                (one.institution, one.record_id) == (other.institution, other.record_id)
                and (other.voided_us is None or other.voided_us >= one.at_us)
                and self.repeats(one, other)
                for other in billed
            )
            if not is_repeat:
                billed.append(one)
            if one.voided_us is not None:
                figures[one.institution, year, "voided"] += 1
            else:
                meter = "repeats" if is_repeat else "downloads"
                figures[one.institution, year, meter] += 1
        held: dict[tuple[str, int, int], int] = {}
        for event in self.events:
            year, _ = accounting_day(event.at_us)
            held[event.institution, event.record_id, year] = max(0, event.change)
        for (institution, _, year), count in held.items():
            figures[institution, year, "holdings_uploaded"] += count
        for institution, year in self.corrections:
            figures[institution, year, "downloads"] -= 1
        return figures

    @invariant()
    def usage_is_what_the_model_says(self) -> None:
        if not hasattr(self, "ledger"):
            return
        pending = [each for _, lost in self.doomed for each in self.void_lost(lost, self.now_us)]
        figures = self.figures()
        for delivered in pending:
            delivered.voided_us = None
        for year in YEARS:
            shown = {usage.institution: usage for usage in self.reader.usage_all(year)}
            for institution in ("PKU", "THU"):
                usage = shown.get(institution, Usage(institution, year, 0, 0, 0, 0, 0, 0, 0))
                for name in ("downloads", "repeats", "voided", "holdings_uploaded"):
                    assert getattr(usage, name) == figures[institution, year, name]
                assert usage.quota == 6 * usage.holdings_uploaded // 5
                assert usage.billable == max(0, usage.downloads - usage.quota)

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            for worker in self.workers:
                worker.writer.close()
            found = self.ledger.verify()
            assert found.ok, found.problem
            kept = [self.ledger.totals(year) for year in YEARS]
            self.ledger.rebuild_rollup()
            assert [self.ledger.totals(year) for year in YEARS] == kept
            self.ledger.close()
        ledger_module.ENTRIES_MIN, ledger_module.ENTRIES_MAX = ENTRIES_MIN, ENTRIES_MAX
        shutil.rmtree(self.path)


TestMetering = Metering.TestCase
TestMetering.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
