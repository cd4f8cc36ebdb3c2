"""What the ledger remembers of the last deliveries counts as the ledger itself does."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from metering import ledger as ledger_module
from metering import recent as recent_module
from metering.entry import Draft
from metering.ledger import EntryConflict, Ledger, Totals
from metering.recent import RecentDeliveries
from tests.unit.test_ledger import NOON, SECOND_US, delivery, sums, void


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(path)) as ledger:
        yield ledger


def test_a_ledger_opened_again_knows_the_last_deliveries(path: Path) -> None:
    with opened(path) as ledger:
        ledger.append([delivery("a"), delivery("b", NOON + SECOND_US, record_id=8)])
        ledger.append([void("v", "b", NOON + 2 * SECOND_US)])
    with opened(path) as ledger:
        ledger.append(
            [
                delivery("c", NOON + 3 * SECOND_US),
                delivery("d", NOON + 3 * SECOND_US, record_id=8),
            ]
        )
        assert sums(ledger) == Totals(downloads=2, repeats=1, voided=1)


def test_what_another_process_appends_is_not_missed(path: Path) -> None:
    with opened(path) as one, opened(path) as other:
        one.append([delivery("a")])
        other.append([delivery("b", NOON + SECOND_US, record_id=8)])
        one.append([delivery("c", NOON + 2 * SECOND_US, record_id=8)])
        other.append([delivery("d", NOON + 3 * SECOND_US)])
        other.append([void("v", "a", NOON + 4 * SECOND_US)])
        one.append([delivery("e", NOON + 5 * SECOND_US)])
        assert sums(one) == Totals(downloads=2, repeats=2, voided=1)


def test_a_void_counts_from_its_own_time(path: Path) -> None:
    """Whether it is folded before or after a delivery of another worker."""
    drafts = [
        delivery("a"),
        void("v", "a", NOON + 2 * SECOND_US),
        delivery("before", NOON + SECOND_US),
        delivery("after", NOON + 3 * SECOND_US),
    ]
    expected = Totals(downloads=1, repeats=1, voided=1)
    with opened(path) as at_once:
        at_once.append(drafts)
        assert sums(at_once) == expected
    with opened(path.with_name("one-by-one.sqlite")) as one_by_one:
        for draft in drafts:
            one_by_one.append([draft])
        assert sums(one_by_one) == expected


def test_a_batch_given_up_is_not_remembered(path: Path) -> None:
    with opened(path) as ledger:
        ledger.append([delivery("a", NOON - 60 * SECOND_US)])
        with pytest.raises(EntryConflict), ledger.writing() as transaction:
            transaction.append_new([delivery("b", record_id=8)])
            transaction.append_new([delivery("a", NOON - 60 * SECOND_US)])
        ledger.append([delivery("c", NOON + SECOND_US, record_id=8)])
        assert sums(ledger) == Totals(downloads=2)


@pytest.mark.parametrize("kept", [1, 3, 1000])
@pytest.mark.parametrize("old", [1, 10_000])
def test_forgetting_changes_no_count(
    path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, old: int
) -> None:
    """However little is kept in memory, whatever was read back at the start."""
    monkeypatch.setattr(recent_module, "RECENT_MAX", kept)
    monkeypatch.setattr(recent_module, "VOIDED_MAX", kept)
    monkeypatch.setattr(ledger_module, "RECENT_MAX", kept)
    monkeypatch.setattr(ledger_module, "_OLD_ENTRIES", old)
    chance = random.Random(kept)
    drafts: list[Draft] = []
    at_us = NOON
    for number in range(300):
        at_us += chance.choice([1, SECOND_US, 7 * SECOND_US, 31 * SECOND_US])
        if drafts and chance.random() < 0.2:
            drafts.append(void(f"v{number}", chance.choice(drafts).id, at_us))
            if drafts[-1].refers_to.startswith("v"):
                drafts.pop()
        else:
            drafts.append(delivery(f"d{number}", at_us, record_id=chance.randrange(4)))
    with opened(path.with_name("at-once.sqlite")) as at_once:
        at_once.append(drafts)
        expected = sums(at_once)
    start = 0
    while start < len(drafts):
        with opened(path) as ledger:
            for _ in range(5):
                size = chance.randrange(1, 9)
                ledger.append(drafts[start : start + size])
                start += size
    with opened(path) as ledger:
        assert sums(ledger) == expected
        assert ledger.verify().ok


def test_what_is_kept_is_bounded() -> None:
    recent = RecentDeliveries(30 * SECOND_US)
    recent.reset(0, 0)
    for number in range(1000):
        at_us = NOON + number * SECOND_US
        recent.advance(number, [(("PKU", number), at_us, f"d{number}")], {f"x{number}": at_us})
    assert len(recent.billed) <= 61
    assert recent.since_us > NOON
