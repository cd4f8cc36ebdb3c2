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

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from metering import ledger as ledger_module
from metering.counting import CountingRules, HoldingRemoval, RepeatWindow, UploadReversal
from metering.entry import Draft, Kind, Meter, accounting_day
from metering.fold import Folder, Outbox
from metering.interface import Delivery, HoldingEvent, Receipt, Usage
from metering.ledger import Ledger
from metering.ledger_page import ENTRIES_MAX, ENTRIES_MIN
from metering.spool_writer import SpoolWriter
from metering.usage import UsageReader
from tests.unit.test_ledger import recounted

SECOND_US = 1_000_000
START_US = 1_704_038_400 * SECOND_US - 90 * SECOND_US  # 90 s before 2024 in Shanghai
YEARS = (2023, 2024)
WORKERS = 2

ITEMS = ("upload.chinese.full", "upload.other.basic")
COVER = "upload.other.cover"

institutions = st.sampled_from(["PKU", "PKU", "THU"])
records = st.integers(1, 2)
pauses_us = st.sampled_from(
    [1, 1, 1_000, SECOND_US, 20 * SECOND_US, 30 * SECOND_US - 1, 30 * SECOND_US, 100 * SECOND_US]
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
class Uploaded:
    """An upload or a cover in the model; `takes_back` is set for what reverses one."""

    institution: str
    record_id: int
    meter: str
    item: str
    at_us: int
    takes_back: Uploaded | None = None
    reversed: bool = False
    counted: int = 0  # while the figures are made


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
        self.corrections: list[tuple[str, int, str]] = []
        self.outbox: list[Draft] = []  # what the catalogue tells the ledger of uploads
        self.uploads: list[Uploaded] = []
        self.batch: list[Delivered] = []

    @initialize(
        window=st.sampled_from([30, 0, "day", "year"]),
        holding_removal=st.sampled_from(["takes_back", "takes_back", "keeps"]),
        upload_reversal=st.sampled_from(["same_year", "same_year", "always", "never"]),
        smallest_page=st.sampled_from([1, 2, 8]),
    )
    def begin(
        self,
        window: RepeatWindow,
        holding_removal: HoldingRemoval,
        upload_reversal: UploadReversal,
        smallest_page: int,
    ) -> None:
        self.window = window
        self.rules = CountingRules(window, holding_removal, upload_reversal)
        ledger_module.ENTRIES_MIN = smallest_page
        ledger_module.ENTRIES_MAX = max(2, smallest_page)
        root = self.path / "spool"
        self.ledger = Ledger(self.path / "ledger.sqlite", rules=self.rules)
        self.ledger._writer.execute("PRAGMA synchronous = OFF")
        uploads = Outbox("uploads:catalogue", lambda after: list(enumerate(self.outbox, 1))[after:])
        self.folder, self.reader = (
            each(
                self.ledger, root, events_after=self.events_after, outboxes=[uploads],
                clock=lambda: self.now_us,
            )
            for each in (Folder, UsageReader)
        )  # fmt: skip
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

    @rule(choice=st.integers(0, 100), meter=st.sampled_from(["download", "batch", "upload"]))
    def correct(self, choice: int, meter: str) -> None:
        entries = [
            entry
            for entry in self.ledger.entries()
            if entry.kind in (Kind.DELIVERY, Kind.UPLOAD, Kind.CORRECTION, Kind.VOID)
        ]
        if not entries:
            return
        entry = entries[choice % len(entries)]
        self.ledger.append(
            [
                Draft(
                    id=f"correction:{len(self.corrections)}", kind=Kind.CORRECTION,
                    at_us=self.now_us, refers_to=entry.id, meter=Meter(meter), quantity=-1,
                    item=ITEMS[0] if meter == "upload" else "",
                )
            ]
        )  # fmt: skip
        self.corrections.append((entry.institution, entry.year, meter))

    @rule(
        institution=institutions,
        record_id=records,
        item=st.sampled_from([*ITEMS, COVER]),
        pause_us=pauses_us,
    )
    def upload(self, institution: str, record_id: int, item: str, pause_us: int) -> None:
        self.now_us += pause_us
        kind = Kind.COVER if item == COVER else Kind.UPLOAD
        self.outbox.append(
            Draft(
                id=f"upload:{len(self.uploads)}", kind=kind, at_us=self.now_us, item=item,
                institution=institution, record_id=record_id,
            )
        )  # fmt: skip
        self.uploads.append(Uploaded(institution, record_id, kind.value, item, self.now_us))

    @rule(record_id=records, pause_us=pauses_us)
    def merge(self, record_id: int, pause_us: int) -> None:
        """The record goes into another: uploads are reversed, holdings do not change."""
        self.now_us += pause_us
        for number, one in enumerate(list(self.uploads)):
            if one.record_id == record_id and one.takes_back is None:
                self.outbox.append(
                    Draft(
                        id=f"reversal:{len(self.outbox)}", kind=Kind.UPLOAD_REVERSED,
                        at_us=self.now_us, refers_to=f"upload:{number}",
                    )
                )  # fmt: skip
                if not one.reversed:  # a second reversal is nothing
                    one.reversed = True
                    self.uploads.append(
                        Uploaded("", record_id, one.meter, one.item, self.now_us, takes_back=one)
                    )

    @rule(institution=institutions, record_ids=st.lists(records, max_size=3), void=st.booleans())
    def batch_job(self, institution: str, record_ids: list[int], void: bool) -> None:
        drafts = []
        for record_id in record_ids:
            drafts.append(
                Draft(
                    id=f"job:{len(self.batch)}:{record_id}", kind=Kind.BATCH, at_us=self.now_us,
                    institution=institution, record_id=record_id, item="batch.record",
                )
            )  # fmt: skip
            self.batch.append(Delivered(institution, record_id, self.now_us))
        self.ledger.append(drafts)
        self.ledger.append(drafts)  # the job is resumed and says it all again
        if void and drafts:
            self.batch[-1].voided_us = self.now_us
            self.ledger.append(
                [
                    Draft(
                        id=f"{drafts[-1].id}:void", kind=Kind.VOID, at_us=self.now_us,
                        refers_to=drafts[-1].id,
                    )
                ]
            )  # fmt: skip

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
            if event.change == 1:
                held[event.institution, event.record_id, year] = 1
            elif self.rules.holding_removal == "takes_back":
                held[event.institution, event.record_id, year] = 0
        for (institution, _, year), count in held.items():
            figures[institution, year, "holdings_uploaded"] += count
        for one in self.batch:
            year, _ = accounting_day(one.at_us)
            figures[one.institution, year, "batch"] += one.voided_us is None
            figures[one.institution, year, "voided"] += one.voided_us is not None
        self.count_uploads(figures)
        names = {"download": "downloads", "batch": "batch", "upload": ITEMS[0]}
        for institution, year, meter in self.corrections:
            figures[institution, year, names[meter]] -= 1
        return figures

    def count_uploads(self, figures: Counter[tuple[str, int, str]]) -> None:
        standing: Counter[tuple[int, str]] = Counter()
        for one in self.uploads:
            year, _ = accounting_day(one.at_us)
            key = (one.record_id, one.meter)
            target = one.takes_back
            if target is None:
                one.counted = int(standing[key] < 1)
                figures[one.institution, year, one.item] += one.counted
                standing[key] += one.counted
                continue
            policy = self.rules.upload_reversal
            same_year = year == accounting_day(target.at_us)[0]
            if policy == "always" or (policy == "same_year" and same_year):
                figures[target.institution, year, one.item] -= target.counted
                standing[key] -= target.counted

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
                for name in ("downloads", "repeats", "voided", "holdings_uploaded", "batch"):
                    assert getattr(usage, name) == figures[institution, year, name]
                for item in ITEMS:
                    assert usage.uploads.get(item, 0) == figures[institution, year, item]
                assert usage.covers.get(COVER, 0) == figures[institution, year, COVER]
                assert usage.quota == max(0, 6 * usage.holdings_uploaded // 5)
                assert usage.billable == max(0, usage.downloads - usage.quota)

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            for worker in self.workers:
                worker.writer.close()
            found = self.ledger.verify()
            assert found.ok, found.problem
            with self.ledger.reading() as snapshot:
                for year in YEARS:
                    for institution, totals in snapshot.totals(year).items():
                        assert recounted(snapshot, institution, year) == totals
            kept = [self.ledger.totals(year) for year in YEARS]
            self.ledger.rebuild_rollup()
            assert [self.ledger.totals(year) for year in YEARS] == kept
            self.ledger.close()
        ledger_module.ENTRIES_MIN, ledger_module.ENTRIES_MAX = ENTRIES_MIN, ENTRIES_MAX
        shutil.rmtree(self.path)


class LongMetering(Metering):
    """The same, looked for much longer."""


TestMetering = Metering.TestCase
TestMetering.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLongMetering = pytest.mark.timeout(3_600)(pytest.mark.long(LongMetering.TestCase))
TestLongMetering.settings = settings(max_examples=1_000, stateful_step_count=50, deadline=None)
