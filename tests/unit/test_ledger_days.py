"""A member's years, months and days, and the entries of one day."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from metering import kept_totals
from metering.counting import CountingRules
from metering.entry import DAY_US, Draft, Kind, Meter, accounting_day, span_of_day_us
from metering.kept_totals import KeptTotals
from metering.ledger import Ledger, Snapshot, Totals
from metering.ledger_listing import Selection
from tests.unit.test_ledger import NOON, SECOND_US, delivery, void
from tests.unit.test_ledger_pages import append_new, many


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Deliveries of three members around New Year in pages, and some rows besides."""
    with contextlib.closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        drafts = many()
        append_new(ledger, drafts)
        first = next(each for each in drafts if each.kind is Kind.DELIVERY)
        ledger.append([
            delivery("row", NOON, institution="PKU"),
            # A void counts on the day of its delivery, whenever it comes.
            void("late", first.id, NOON + 3 * DAY_US),
            Draft(id="h", kind=Kind.HOLDING_ADDED, at_us=NOON, institution="PKU", record_id=5),
        ])  # fmt: skip
        yield ledger


def test_a_day_begins_and_ends_in_china() -> None:
    first, end = span_of_day_us(20240131)
    assert end - first == DAY_US
    assert accounting_day(first) == accounting_day(end - 1) == (2024, 20240131)
    assert accounting_day(first - 1) == (2024, 20240130)
    assert accounting_day(end) == (2024, 20240201)
    with pytest.raises(ValueError, match="day"):
        span_of_day_us(20240230)


@pytest.mark.parametrize("meter", [None, Meter.DOWNLOAD, Meter.REPEAT, Meter.HOLDING])
def test_the_entries_of_a_day_are_those_that_the_sums_count(
    ledger: Ledger, meter: Meter | None
) -> None:
    everything = list(ledger.entries())
    days = {entry.day for entry in everything}
    assert len(days) == 3
    for member in ("PKU", "THU", "FDU"):
        for day in days:
            wanted = [
                entry for entry in everything
                if (entry.institution, entry.day) == (member, day) and meter in (None, entry.meter)
            ]  # fmt: skip
            selection = Selection(institution=member, day=day, meter=meter)
            assert list(ledger.entries(selection=selection)) == wanted
            if wanted:
                behind = Selection(institution=member, day=day, meter=meter, after=wanted[0].seq)
                assert list(ledger.entries(selection=behind)) == wanted[1:]


def test_days_and_years_add_up_to_the_year(ledger: Ledger) -> None:
    with ledger.reading() as snapshot:
        assert snapshot.years("PKU") == [2023, 2024]
        assert snapshot.years("NOBODY") == []
        for year in (2023, 2024):
            days = snapshot.days("PKU", year * 10_000 + 101, year * 10_000 + 1231)
            sums = Totals()
            for totals in days.values():
                sums.downloads += totals.downloads
                sums.repeats += totals.repeats
                sums.voided += totals.voided
                sums.holdings += totals.holdings
            assert sums == snapshot.totals(year)["PKU"]
            months = snapshot.months("PKU", year)
            assert sum(each.downloads for each in months.values()) == sums.downloads
            assert set(months) == {day // 100 % 100 for day in days}
        assert set(snapshot.days("PKU", 20240101, 20240131)) == {20240101}
        for day, totals in days.items():
            recount = Totals()
            for entry in snapshot.entries(Selection(institution="PKU", day=day)):
                recount.add(entry.kind, entry.meter, entry.item, 1, entry.quantity)
            assert totals == recount


def test_years_between_which_there_is_none_are_found(tmp_path: Path) -> None:
    with contextlib.closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        for years, member in ((0, "PKU"), (2, "THU"), (5, "PKU")):
            at_us = NOON + years * 366 * DAY_US
            ledger.append([delivery(f"d{years}", at_us, institution=member)])
        with ledger.reading() as snapshot:
            assert snapshot.years("PKU") == [2024, 2029]
            assert snapshot.years("THU") == [2026]
            assert snapshot.first_year() == 2024


def test_kept_totals_are_those_of_the_ledger_whatever_is_appended(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KeptTotals()
    for number in range(5):
        for year in (2023, 2024):
            with ledger.reading() as snapshot:
                given = kept.of(snapshot, year)
                assert given == snapshot.totals(year)
                given["PKU"].downloads = -1  # what it gives is the caller's
        ledger.append([
            delivery(f"k{number}", NOON + number * 60 * SECOND_US, institution="NEW"),
            Draft(id=f"u{number}", kind=Kind.UPLOAD, at_us=NOON, institution="PKU",
                  record_id=number, item="upload.x"),
        ])  # fmt: skip
    monkeypatch.setattr(kept_totals, "_BEHIND_MAX", 0)
    with ledger.reading() as snapshot:
        assert kept.of(snapshot, 2024) == snapshot.totals(2024)


def test_kept_totals_add_up_a_year_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptTotals()
    with ledger.reading() as snapshot:
        kept.of(snapshot, 2024)
    ledger.append([delivery("new", NOON + DAY_US, institution="THU")])
    with ledger.reading() as snapshot:
        wanted = snapshot.totals(2024)
        monkeypatch.setattr(Snapshot, "totals", None)
        assert kept.of(snapshot, 2024) == wanted


def test_every_question_of_a_page_is_answered_through_an_index(
    ledger: Ledger, tmp_path: Path
) -> None:
    """However many entries, members and years there are."""
    asked: list[str] = []
    outsider = sqlite3.connect(tmp_path / "ledger.sqlite")
    outsider.set_trace_callback(asked.append)
    snapshot = Snapshot(outsider, CountingRules())
    list(snapshot.entries(Selection(institution="PKU", day=20240101, meter=Meter.DOWNLOAD)))
    snapshot.days("PKU", 20240101, 20241231)
    snapshot.years("PKU")
    snapshot.totals(2024, "PKU")
    snapshot.entry("row")
    outsider.set_trace_callback(None)
    plans = [
        row[3]
        for query in asked
        if query.lstrip().startswith(("SELECT", "WITH"))
        for row in outsider.execute(f"EXPLAIN QUERY PLAN {query}")
    ]
    outsider.close()
    assert len(plans) > 8
    in_memory = ("SCAN known", "SCAN CONSTANT ROW")
    assert [plan for plan in plans if plan.startswith("SCAN") and plan not in in_memory] == []
    assert any("entry_of_day (institution=? AND day=? AND" in plan for plan in plans), plans
