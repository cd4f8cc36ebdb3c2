"""Folding, and figures that folding does not change."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import metering.fold
import metering.usage
from metering.entry import Draft
from metering.fold import Folder, FoldReport, in_order
from metering.interface import Delivery, HoldingEvent, MeteringError, Receipt, Usage
from metering.kept_totals import KeptTotals
from metering.ledger import Ledger
from metering.ledger_snapshot import Snapshot
from metering.spool_format import Segment, lock, segment_path, segments, spools
from metering.spool_reading import SpoolReading
from metering.spool_writer import SpoolWriter
from metering.usage import UsageReader

NOON_US = 1_714_968_000_000_000  # 2024-05-06 12:00 in Shanghai
SECOND_US = 1_000_000


class Place:
    """A data folder with a ledger, spools and an outbox."""

    def __init__(self, path: Path) -> None:
        self.root = path / "spool"
        self.ledger = Ledger(path / "ledger.sqlite")
        self.events: list[HoldingEvent] = []
        self.now_us = NOON_US
        self.folder = Folder(
            self.ledger, self.root, events_after=self.events_after, clock=lambda: self.now_us
        )
        self.reader = UsageReader(
            self.ledger, self.root, events_after=self.events_after, clock=lambda: NOON_US
        )
        self.writers: list[SpoolWriter] = []

    def events_after(self, seq: int) -> Iterable[HoldingEvent]:
        return [event for event in self.events if event.seq > seq]

    def writer(self, segment_size_bytes_max: int = 1 << 20) -> SpoolWriter:
        writer = SpoolWriter(
            self.root,
            owner="",
            clock=lambda: NOON_US,
            sync="off",
            segment_size_bytes_max=segment_size_bytes_max,
        )
        self.writers.append(writer)
        return writer

    def hold(self, record_id: int, change: int = 1, at_us: int = NOON_US) -> None:
        self.events.append(HoldingEvent(len(self.events) + 1, "PKU", record_id, change, at_us))

    def fold(self) -> FoldReport:
        """All of it, at the end of the day."""
        self.now_us = NOON_US + 43_200 * SECOND_US
        report = self.folder.fold(lag_us=0)
        self.now_us = NOON_US
        return report

    def usage(self) -> Usage:
        return self.reader.usage("PKU", 2024)

    def close(self) -> None:
        for writer in self.writers:
            writer.close()
        self.ledger.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with contextlib.closing(Place(tmp_path)) as place:
        yield place


def deliver(
    writer: SpoolWriter, record_id: int, at_us: int = NOON_US, institution: str = "PKU"
) -> Receipt:
    delivery = Delivery(institution, "cn_cat", record_id, str(record_id))
    (receipt,) = writer.commit([(at_us, [delivery])])
    writer.settle([receipt])
    return receipt


def test_a_member_sees_its_last_download_before_anything_is_folded(place: Place) -> None:
    deliver(place.writer(), 1)
    assert (place.usage().downloads, place.usage().charge_fen) == (1, 100)
    assert place.ledger.head()[0] == 0


def test_a_year_is_added_up_beforehand_without_reading_a_spool(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(place.writer(), 1)
    place.fold()
    deliver(place.writer(), 2)
    reader = UsageReader(place.ledger, place.root, clock=lambda: NOON_US, kept=KeptTotals())
    with monkeypatch.context() as patched:
        patched.setattr(metering.usage, "read_spool", None)
        reader.add_up(2024)
    monkeypatch.setattr(Snapshot, "totals", None)  # it need not be done again
    assert [usage.downloads for usage in reader.usage_all(2024)] == [2]


def test_figures_are_the_same_before_and_after_folding(place: Place) -> None:
    one, two = place.writer(), place.writer()
    deliver(one, 1)
    deliver(two, 1, NOON_US + 5 * SECOND_US)  # a repeat at the other worker
    late = deliver(one, 1, NOON_US + 40 * SECOND_US)
    deliver(two, 2, institution="THU")
    place.hold(1)
    place.hold(2)
    one.settle(voided=[(late, NOON_US + 41 * SECOND_US, "reset by peer")])
    one.commit([])
    for writer in (one, two):
        writer.commit([])
    before = place.usage()
    assert before == Usage("PKU", 2024, 2, 1, 1, 1, 2, 0, 0)
    assert place.fold() == FoldReport(deliveries=4, voids=1, holdings=2)
    assert place.usage() == before
    assert [usage.institution for usage in place.reader.usage_all(2024)] == ["PKU", "THU"]
    for writer in (one, two):
        writer.close()
    assert place.fold().orphans == 2
    assert place.usage() == before


def test_folding_again_counts_nothing_again(place: Place) -> None:
    writer = place.writer()
    for number in range(10):
        deliver(writer, number)
        place.fold()
        place.fold()
    writer.commit([])
    place.fold()
    assert place.fold() == FoldReport()
    assert place.usage().downloads == place.ledger.verify().entries == 10


@pytest.mark.parametrize("first", ["a", "b"])
def test_at_one_moment_a_delivery_comes_before_what_takes_another_back(
    place: Place, first: str
) -> None:
    """Whatever the spools are called: an ended worker's loss, and a repeat of it just now."""
    ended = place.writer()
    deliver(ended, 1, NOON_US - 2)
    ended.commit([])
    ended.commit([(NOON_US - 1, [Delivery("PKU", "cn_cat", 2, "2")])])  # never confirmed
    ended.close()
    living = place.writer()
    living.settle([deliver(living, 2)])
    living.mark()
    names = {"a": ("20240101T000000Z-0", "20240101T000000Z-1")}
    names["b"] = names["a"][::-1]
    for spool, name in zip(spools(place.root), names[first], strict=True):
        spool.rename(spool.with_name(name))
    usage = place.usage()
    assert (usage.downloads, usage.repeats, usage.voided) == (1, 1, 1)


def test_a_spool_put_back_from_a_copy_counts_nothing_again(place: Place) -> None:
    writer = place.writer()
    for number in range(5):
        deliver(writer, number)
    writer.mark()
    assert place.fold().deliveries == 5
    (spool,) = spools(place.root)
    with place.ledger.writing() as transaction:
        transaction.move(f"spool:{spool.name}", 0)
    deliver(writer, 5)
    writer.mark()
    assert place.fold().deliveries == 1
    assert place.usage().downloads == place.ledger.verify().entries == 6


def test_the_newest_frame_of_a_living_worker_is_shown_but_not_folded(place: Place) -> None:
    deliver(place.writer(), 1)
    assert place.fold() == FoldReport()
    assert place.usage().downloads == 1


def test_an_orphan_is_folded_and_removed_and_its_tail_voided(place: Place) -> None:
    writer = place.writer()
    deliver(writer, 1)
    writer.commit(
        [(NOON_US, [Delivery("PKU", "cn_cat", 2, "2"), Delivery("PKU", "cn_cat", 3, "3")])]
    )
    writer.close()
    assert place.usage() == Usage("PKU", 2024, 0, 1, 0, 2, 0, 1, 100)
    assert place.fold() == FoldReport(deliveries=3, voids=2, audits=1, orphans=1)
    assert place.usage() == Usage("PKU", 2024, 0, 1, 0, 2, 0, 1, 100)
    assert list(place.root.iterdir()) == []
    assert [entry.note for entry in place.ledger.entries("", 2024)] == [
        "2 deliveries voided: not confirmed before its worker ended"
    ]


def test_a_tail_that_was_folded_before_its_worker_died_is_voided_too(place: Place) -> None:
    writer = place.writer()
    writer.commit([(NOON_US, [Delivery("PKU", "cn_cat", 1, "1")])])
    writer.commit([])
    assert place.fold().deliveries == 1
    writer.close()
    assert place.fold() == FoldReport(voids=1, audits=1, orphans=1)
    assert place.usage().downloads == 0


def test_an_orphan_that_comes_back_from_the_dead_counts_nothing(place: Place) -> None:
    """A power failure may undo the removal of a file."""
    writer = place.writer()
    deliver(writer, 1)
    writer.close()
    (spool,) = spools(place.root)
    data = segment_path(spool, 1).read_bytes()
    place.fold()
    spool.mkdir()
    segment_path(spool, 1).write_bytes(data)
    assert place.usage().downloads == 1
    place.fold()
    assert place.usage().downloads == place.ledger.head()[0] == 1
    assert spools(place.root) == []


def test_segments_of_a_living_worker_are_removed_once_folded(place: Place) -> None:
    writer = place.writer(segment_size_bytes_max=500)
    for number in range(100):
        deliver(writer, number)
    place.fold()
    (spool,) = spools(place.root)
    assert len(segments(spool)) == 1
    deliver(writer, 100)
    writer.close()
    place.fold()
    assert place.usage().downloads == place.ledger.head()[0] == 101


def test_a_spool_that_another_folder_holds_is_left_to_it(place: Place) -> None:
    writer = place.writer()
    deliver(writer, 1)
    writer.close()
    (spool,) = spools(place.root)
    descriptor = lock(spool)
    assert descriptor is not None
    assert place.fold().orphans == 0
    os.close(descriptor)
    assert place.fold().orphans == 1


def test_an_orphan_is_shown_as_one_while_it_is_folded(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = place.writer()
    deliver(writer, 1)
    writer.commit([(NOON_US, [Delivery("PKU", "cn_cat", 2, "2")])])
    writer.close()
    seen = []

    def in_order_and_look(readings: Sequence[SpoolReading]) -> list[Draft]:
        seen.append(place.usage().downloads)
        return in_order(readings)

    monkeypatch.setattr(metering.fold, "in_order", in_order_and_look)
    place.fold()
    assert seen == [1]
    assert place.usage().downloads == 1


def test_an_orphan_that_somebody_reads_is_folded_once_and_removed_later(place: Place) -> None:
    writer = place.writer()
    deliver(writer, 1)
    writer.close()
    (spool,) = spools(place.root)
    descriptor = lock(spool, shared=True)
    assert descriptor is not None
    assert place.fold() == FoldReport(deliveries=1)
    assert spools(place.root) == [spool]
    assert place.usage().downloads == 1
    os.close(descriptor)
    assert place.fold() == FoldReport(orphans=1)
    assert spools(place.root) == []
    assert place.usage().downloads == place.ledger.head()[0] == 1


def test_damage_is_kept_and_named_and_stops_nothing(place: Place) -> None:
    writer = place.writer()
    receipts = [deliver(writer, number) for number in range(3)]
    writer.settle(voided=[(receipts[1], NOON_US, "reset by peer")])
    writer.close()
    (spool,) = spools(place.root)
    path = segment_path(spool, 1)
    data = bytearray(path.read_bytes())
    data[next(Segment(spool, 1).frames())[1] + 12] ^= 1
    path.write_bytes(data)
    deliver(place.writer(), 9)
    place.writers[-1].commit([])
    report = place.fold()
    assert (report.deliveries, report.orphans) == (2, 1)
    assert [kept.name for kept in place.root.iterdir() if kept.suffix] == [
        f"{spool.name}.000001.damaged"
    ]
    notes = [entry.note for entry in place.ledger.entries("", 2024)]
    assert "segment 1 is damaged; kept" in notes


@pytest.mark.parametrize("damage", ["header", "middle", "end"])
def test_a_damaged_segment_is_kept_and_the_others_are_folded(place: Place, damage: str) -> None:
    writer = place.writer(segment_size_bytes_max=500)
    for number in range(30):
        deliver(writer, number)
    writer.close()
    (spool,) = spools(place.root)
    assert len(segments(spool)) > 2
    path = segment_path(spool, 2)
    ends = [end for _, end in Segment(spool, 2).frames()]
    data = bytearray(path.read_bytes())
    if damage == "end":
        data[ends[-2] :] = bytes(len(data) - ends[-2])
    else:
        data[12 if damage == "header" else ends[0] - 12] ^= 1
    path.write_bytes(data)
    report = place.fold()
    assert 15 < report.deliveries < 30
    assert report.orphans == 1
    # Where the first segment ends stood in the header of the second.
    damaged = [1, 2] if damage == "header" else [2]
    assert [entry.note for entry in place.ledger.entries("", 2024)] == [
        f"segment {number} is damaged; kept" for number in damaged
    ]
    assert sorted(kept.name for kept in place.root.iterdir()) == [
        f"{spool.name}.{number:06d}.damaged" for number in damaged
    ]
    assert place.usage().downloads == report.deliveries


def test_a_segment_that_somebody_removed_is_reported(place: Place) -> None:
    writer = place.writer(segment_size_bytes_max=500)
    for number in range(12):
        deliver(writer, number)
    writer.close()
    (spool,) = spools(place.root)
    segment_path(spool, 1).unlink()
    with pytest.raises(MeteringError, match="missing"):
        place.usage()
    assert place.fold().audits == 1
    assert "were missing" in next(place.ledger.entries("", 2024)).note


def test_a_spool_of_a_newer_program_is_left_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("metering.spool_writer.FORMAT_VERSION", 2)
        writer = place.writer()
        deliver(writer, 1)
        writer.close()
    for figure in (place.usage, place.fold):
        with pytest.raises(MeteringError, match="format 2"):
            figure()
    assert len(spools(place.root)) == 1


def test_holding_events_are_folded_once_each(place: Place) -> None:
    for record_id in (1, 2, 3):
        place.hold(record_id)
    place.hold(3, -1)
    assert place.usage().holdings_uploaded == 2
    assert place.fold().holdings == 4
    place.hold(3)
    place.hold(3, -1)
    place.hold(3)
    assert place.usage().holdings_uploaded == 3
    assert place.fold().holdings == 3
    assert place.fold().holdings == 0
    assert place.usage() == Usage("PKU", 2024, 3, 0, 0, 0, 3, 0, 0)


def test_a_catalogue_made_anew_counts_from_its_own_first_event(place: Place) -> None:
    place.hold(1)
    place.fold()
    again = Folder(place.ledger, place.root, events_after=place.events_after, outbox="second")
    place.events[:] = [HoldingEvent(1, "PKU", 2, 1, NOON_US)]
    assert again.fold(lag_us=0).holdings == 1
    assert place.usage().holdings_uploaded == 2


def test_a_holding_event_of_another_size_is_refused(place: Place) -> None:
    place.events.append(HoldingEvent(1, "PKU", 1, 2, NOON_US))
    with pytest.raises(MeteringError, match="a change of 2"):
        place.fold()


def test_more_than_one_transaction_folds_as_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metering.fold.DRAFTS_PER_TRANSACTION", 3)
    writer = place.writer(segment_size_bytes_max=500)
    for number in range(20):
        deliver(writer, number)
        place.hold(number)
    writer.close()
    assert place.fold() == FoldReport(deliveries=20, holdings=20, orphans=1)
    assert place.ledger.verify().entries == 40


def test_workers_deliveries_enter_the_ledger_in_order_of_time(place: Place) -> None:
    """Otherwise what is a repeat would depend on the moment of folding."""
    early, late = place.writer(), place.writer()
    deliver(late, 1, NOON_US - 200_000)
    late.mark()
    assert place.folder.fold() == FoldReport()  # the other worker may yet have an earlier one
    deliver(early, 1, NOON_US - 400_000)
    early.mark()
    deliver(late, 2, NOON_US - 5_000_000)
    place.fold()
    assert [entry.at_us - NOON_US for entry in place.ledger.entries()] == [-400_000, -200_000]


def test_a_delivery_from_a_clock_far_ahead_does_not_hold_up_the_folding(place: Place) -> None:
    writer = place.writer()
    deliver(writer, 1, NOON_US + 86_400 * SECOND_US)
    deliver(writer, 2, NOON_US - 5 * SECOND_US)
    writer.mark()
    assert place.folder.fold().deliveries == 2


def test_folding_ends_though_a_worker_is_faster(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metering.fold.DRAFTS_PER_TRANSACTION", 3)
    writer = place.writer()

    def deliver_more(*_: object) -> None:
        for _ in range(10):
            place.now_us += SECOND_US
            deliver(writer, 1, place.now_us)
        writer.mark()

    deliver_more()
    monkeypatch.setattr("metering.fold.remove_folded", deliver_more)
    assert place.folder.fold(lag_us=0).deliveries == 10


def test_an_orphan_is_finished_once_its_last_delivery_is_old_enough(place: Place) -> None:
    writer = place.writer()
    deliver(writer, 1, NOON_US - 5 * SECOND_US)
    deliver(writer, 2, NOON_US - 500_000)
    writer.close()
    before = place.usage()
    assert place.folder.fold() == FoldReport(deliveries=1)
    assert place.usage() == before
    assert place.fold() == FoldReport(deliveries=1, orphans=1)
    assert place.usage() == before


def test_a_backlog_of_several_workers_is_folded_in_order_of_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metering.fold.DRAFTS_PER_TRANSACTION", 3)
    busy, idle = place.writer(), place.writer()
    for number in range(30):
        deliver((idle, busy)[number % 5 > 0], number, NOON_US + number)
    busy.close()
    idle.close()
    assert place.fold() == FoldReport(deliveries=30, orphans=2)
    assert [entry.record_id for entry in place.ledger.entries()] == list(range(30))


def test_figures_never_go_back_while_two_servers_fold(place: Place) -> None:
    """Readers, two folders and the worker that rotates its segments run at once."""
    done = 0
    writer = place.writer(segment_size_bytes_max=2_000)
    other = Ledger(place.root.parent / "ledger.sqlite")
    stop = threading.Event()

    def fold(ledger: Ledger) -> None:
        folder = Folder(ledger, place.root, clock=lambda: NOON_US)
        while not stop.is_set():
            folder.fold(lag_us=0)

    def work() -> None:
        nonlocal done
        for number in range(2_000):
            deliver(writer, number)
            writer.mark()
            done = number + 1

    with ThreadPoolExecutor(3) as threads:
        folders = [threads.submit(fold, ledger) for ledger in (place.ledger, other)]
        worker = threads.submit(work)
        shown = 0
        try:
            while not worker.done():
                at_least = done
                downloads = place.usage().downloads
                assert max(shown, at_least) <= downloads
                shown = downloads
        finally:
            stop.set()
        worker.result()
        for folder in folders:
            folder.result()
    writer.close()
    place.fold()
    assert place.usage().downloads == place.ledger.verify().entries == 2_000
    other.close()


def test_a_clock_set_back_keeps_the_void_behind_its_delivery(place: Place) -> None:
    writer = place.writer()
    receipt = deliver(writer, 1)
    writer.settle(voided=[(receipt, NOON_US - 3_600 * SECOND_US, "reset by peer")])
    writer.commit([])
    deliver(writer, 2, NOON_US - 3_599 * SECOND_US)
    assert place.usage() == Usage("PKU", 2024, 0, 1, 0, 1, 0, 1, 100)
    writer.close()
    place.fold()
    assert place.usage() == Usage("PKU", 2024, 0, 1, 0, 1, 0, 1, 100)
    assert place.ledger.verify().ok


def test_deliveries_around_midnight_fall_into_their_years(place: Place) -> None:
    new_year_us = 1_704_038_400_000_000  # 2023-12-31T16:00:00Z
    writer = place.writer()
    deliver(writer, 1, new_year_us - 1)
    deliver(writer, 2, new_year_us)
    writer.close()
    for fold in (None, place.fold):
        if fold is not None:
            fold()
        assert place.reader.usage("PKU", 2023).downloads == 1
        assert place.reader.usage("PKU", 2024).downloads == 1


@pytest.mark.parametrize("figure", ["usage", "fold"])
def test_a_spool_folder_that_cannot_be_read_is_a_named_error(
    tmp_path: Path, place: Place, figure: str
) -> None:
    place.root.write_text("a file where a folder should be")
    calls: dict[str, Callable[[], object]] = {"usage": place.usage, "fold": place.fold}
    with pytest.raises(MeteringError):
        calls[figure]()


def test_a_member_that_did_nothing_has_zeros(place: Place) -> None:
    assert place.reader.usage("NONE", 2024) == Usage("NONE", 2024, 0, 0, 0, 0, 0, 0, 0)
    assert place.reader.usage_all(2024) == []
