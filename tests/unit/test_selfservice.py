"""What a member's pages are made of, without a browser."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from metering import ledger_listing
from metering.entry import Draft, Entry, Kind, Meter
from metering.ledger import Ledger
from metering.ledger_page import Page
from server.selfservice.ledger_lines import (
    LOOK_MAX_S,
    METERS,
    PAGE_LINES,
    Filter,
    FilterError,
    page_of,
)
from tests.unit.test_ledger import NOON, SECOND_US, delivery


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(tmp_path / "ledger.sqlite", repeat_window=0)) as ledger:
        drafts = [
            delivery(f"20240506T040000Z-3f2a9c1e:{number}", NOON + number * SECOND_US,
                     institution="PKU" if number % 3 else "THU", record_id=number)
            for number in range(1, 1_001)
        ]  # fmt: skip
        with ledger.writing() as transaction:
            transaction.append_new(drafts)
        ledger.append([Draft(id="h", kind=Kind.HOLDING_ADDED, at_us=NOON, institution="PKU",
                             record_id=7, control_number="CN7")])  # fmt: skip
        yield ledger


def test_pages_follow_one_another_to_the_first_entry(ledger: Ledger) -> None:
    seen: list[int] = []
    before = 0
    while True:
        lines = page_of(ledger, Filter(), "PKU", before)
        seen += [entry.seq for entry in lines.entries]
        if not lines.before:
            break
        assert len(lines.entries) == PAGE_LINES
        before = lines.before
    assert seen == [entry.seq for entry in ledger.entries("PKU")][::-1]


def test_a_full_last_page_is_followed_by_nothing(ledger: Ledger) -> None:
    wanted = Filter(meter=Meter.HOLDING)
    assert len(page_of(ledger, wanted, "PKU").entries) == 1
    assert page_of(ledger, wanted, "PKU").before == 0


@pytest.mark.parametrize("meter", METERS)
def test_what_a_meter_counts_is_what_a_look_at_every_entry_finds(
    ledger: Ledger, meter: Meter
) -> None:
    """However the ledger is asked; here nothing is longer than a page of the list."""
    deliveries = [entry for entry in ledger.entries("PKU") if entry.kind is Kind.DELIVERY]
    ledger.append([
        Draft(id=f"{kind}", kind=kind, at_us=NOON, institution="PKU", record_id=7, item=item)
        for kind, item in (
            (Kind.HOLDING_REMOVED, ""), (Kind.BATCH, "batch.record"),
            (Kind.UPLOAD, "upload.chinese.full"), (Kind.COVER, "cover"),
        )
    ])  # fmt: skip
    ledger.append([Draft(id="v", kind=Kind.VOID, at_us=NOON, refers_to=deliveries[5].id)])
    every = [entry for entry in ledger.entries("PKU") if entry.meter is meter][::-1]
    assert every or meter is Meter.REPEAT
    found = page_of(ledger, Filter(meter=meter), "PKU", clock=lambda: 0.0)
    assert found.entries == every[:PAGE_LINES]
    in_march = Filter(first="2024-03-01", last="2024-03-31", meter=meter)
    assert page_of(ledger, in_march, "PKU", clock=lambda: 0.0).entries == []


def test_holdings_are_found_without_a_look_at_deliveries(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[Page] = []

    def entries(page: Page, wanted: object = None) -> list[Entry]:
        looked_at.append(page)
        return []

    monkeypatch.setattr(ledger_listing, "entries", entries)
    found = page_of(ledger, Filter(meter=Meter.HOLDING), "PKU", clock=lambda: 0.0)
    assert [entry.id for entry in found.entries] == ["h"]
    assert not looked_at
    page_of(ledger, Filter(meter=Meter.DOWNLOAD), "PKU")
    assert looked_at


def test_what_is_rare_is_looked_for_in_several_looks(ledger: Ledger) -> None:
    """Each look says how far it came, and the next goes on there."""
    wanted = Filter(record="CN7")
    found: list[str] = []
    looks, before = 0, 0
    while True:
        time_s = iter(number * LOOK_MAX_S / 50 for number in range(1_000_000))
        lines = page_of(ledger, wanted, "PKU", before, clock=time_s.__next__)
        found += [entry.id for entry in lines.entries]
        looks += 1
        if not lines.before:
            break
        assert lines.seen_us is not None
        assert not before or lines.before < before
        before = lines.before
    assert found == ["h"]
    assert 10 < looks < 30


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "2024"}, "from"),
        ({"to": "2024-02-30"}, "to"),
        ({"from": "1066-10-14"}, "from"),
        ({"from": "2024-05-07", "to": "2024-05-06"}, "to"),
        ({"meter": "downloads"}, "meter"),
    ],
)
def test_what_means_nothing_is_told_by_field(query: dict[str, str], field: str) -> None:
    with pytest.raises(FilterError) as caught:
        Filter.read(query)
    assert caught.value.field == field


def test_days_are_those_of_china_and_whole(ledger: Ledger) -> None:
    selection = Filter.read({"from": "2024-05-06", "to": "2024-05-06"}).selection("PKU")
    assert selection.from_us is not None
    assert selection.until_us is not None
    assert selection.until_us - selection.from_us == 86_400 * SECOND_US
    assert selection.from_us <= NOON < selection.until_us


def test_an_address_says_what_is_wanted_again() -> None:
    wanted = Filter.read({"from": "2024-05-06", "to": "", "meter": "batch", "record": " a&b "})
    assert wanted.query(before="7") == "from=2024-05-06&meter=batch&record=a%26b&before=7"
