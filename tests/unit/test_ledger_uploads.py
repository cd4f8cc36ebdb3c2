"""Batch deliveries, uploads, covers and reversals: what the ledger counts of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from metering.entry import Draft, Kind, Meter
from metering.interface import MeteringError
from metering.ledger import EntryConflict, Ledger, Outcome, Totals
from metering.usage import usage_of
from tests.unit.test_ledger import NOON, SECOND_US, at, delivery, sums, void

CHINESE = "upload.chinese.full"
OTHER = "upload.other.basic"
COVER = "upload.other.cover"


def upload(
    name: str, record_id: int = 7, item: str = CHINESE, *, at_us: int = NOON,
    institution: str = "PKU", kind: Kind = Kind.UPLOAD,
) -> Draft:  # fmt: skip
    return Draft(
        id=name, kind=kind, at_us=at_us, institution=institution, account="pku01",
        database="cn_cat", record_id=record_id, control_number="012003000007", item=item,
    )  # fmt: skip


def cover(name: str, record_id: int = 7, at_us: int = NOON) -> Draft:
    return upload(name, record_id, COVER, at_us=at_us, kind=Kind.COVER)


def reversal(name: str, refers_to: str, at_us: int = NOON) -> Draft:
    return Draft(id=name, kind=Kind.UPLOAD_REVERSED, at_us=at_us, refers_to=refers_to)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        yield ledger


def append(ledger: Ledger, together: bool, *drafts: Draft) -> list[Outcome]:
    if together:
        return ledger.append(drafts)
    return [outcome for draft in drafts for outcome in ledger.append([draft])]


both_ways = pytest.mark.parametrize("together", [True, False])


@both_ways
def test_uploads_and_covers_are_added_up_by_item(ledger: Ledger, together: bool) -> None:
    append(ledger, together, upload("a"), upload("b", 8), upload("c", 9, OTHER), cover("d", 9))
    assert sums(ledger) == Totals(uploads={CHINESE: 2, OTHER: 1}, covers={COVER: 1})
    usage = usage_of("PKU", 2024, sums(ledger))
    assert (usage.uploads, usage.covers, usage.charge_fen) == (
        {CHINESE: 2, OTHER: 1},
        {COVER: 1},
        0,
    )


@both_ways
def test_a_record_is_an_upload_once_whoever_sends_it_again(ledger: Ledger, together: bool) -> None:
    append(
        ledger,
        together,
        upload("a"),
        upload("b"),
        upload("c", institution="THU"),
        cover("d"),
        cover("e"),
    )
    assert sums(ledger) == Totals(uploads={CHINESE: 1}, covers={COVER: 1})
    assert ledger.totals(2024)["THU"] == Totals(uploads={CHINESE: 0})


@both_ways
def test_a_reversal_takes_back_upload_or_cover_once(ledger: Ledger, together: bool) -> None:
    outcomes = append(
        ledger,
        together,
        upload("a"),
        cover("b"),
        reversal("r", "a"),
        reversal("s", "a"),
        reversal("t", "b"),
        reversal("u", "never"),
    )
    created, moot = Outcome.CREATED, Outcome.MOOT
    assert outcomes == [created, created, created, moot, created, moot]
    assert sums(ledger) == Totals(uploads={CHINESE: 0}, covers={COVER: 0})
    *_, one, other = ledger.entries("PKU", 2024)
    assert (one.meter, one.item, one.quantity, one.record_id) == (Meter.UPLOAD, CHINESE, -1, 7)
    assert (other.meter, other.item, other.quantity) == (Meter.COVER, COVER, -1)


@both_ways
def test_what_counted_nothing_gives_nothing_back(ledger: Ledger, together: bool) -> None:
    append(ledger, together, upload("a"), upload("b", institution="THU"), reversal("r", "b"))
    assert ledger.totals(2024)["THU"] == Totals(uploads={CHINESE: 0})
    assert sums(ledger) == Totals(uploads={CHINESE: 1})


@both_ways
def test_a_record_counts_anew_after_its_upload_was_reversed(ledger: Ledger, together: bool) -> None:
    append(ledger, together, upload("a"), reversal("r", "a"), upload("b", institution="THU"))
    assert sums(ledger) == Totals(uploads={CHINESE: 0})
    assert ledger.totals(2024)["THU"] == Totals(uploads={CHINESE: 1})


@both_ways
def test_a_merge_of_a_later_year_leaves_the_credit(ledger: Ledger, together: bool) -> None:
    new_year = at("2023-12-31T16:00:00")
    append(
        ledger,
        together,
        upload("a", at_us=new_year - 1),
        upload("b", 8, at_us=new_year - 1),
        reversal("r", "a", new_year - 1),
        reversal("s", "b", new_year),
    )
    assert sums(ledger, 2023) == Totals(uploads={CHINESE: 1})
    assert sums(ledger, 2024) == Totals(uploads={CHINESE: 0})


def test_only_an_upload_or_a_cover_can_be_reversed(ledger: Ledger) -> None:
    ledger.append([delivery("a")])
    with pytest.raises(MeteringError, match="no upload"):
        ledger.append([reversal("r", "a")])


def batch(name: str, at_us: int = NOON) -> Draft:
    return Draft(
        id=name, kind=Kind.BATCH, at_us=at_us, institution="PKU", record_id=7, item="batch.record"
    )


@both_ways
def test_batch_deliveries_count_apart_from_downloads(ledger: Ledger, together: bool) -> None:
    append(
        ledger,
        together,
        delivery("a"),
        batch("b"),
        batch("c", NOON + SECOND_US),
        delivery("d", NOON + 2 * SECOND_US),
        void("v", "c"),
    )
    assert sums(ledger) == Totals(downloads=1, repeats=1, batch=1, voided=1)
    assert [entry.item for entry in ledger.entries()][-1] == "batch.record"


def test_a_correction_takes_over_the_item_or_states_another(ledger: Ledger) -> None:
    ledger.append([upload("a")])
    meter, kind = Meter.UPLOAD, Kind.CORRECTION
    taken = Draft(id="c", kind=kind, at_us=NOON, refers_to="a", meter=meter, quantity=-1)
    stated = Draft(
        id="d", kind=kind, at_us=NOON, refers_to="a", meter=meter, quantity=1, item=OTHER
    )
    ledger.append([taken, stated])
    assert sums(ledger).uploads == {CHINESE: 0, OTHER: 1}
    assert ledger.append([taken, stated]) == [Outcome.EXISTS, Outcome.EXISTS]


def test_the_same_upload_with_another_item_is_a_conflict(ledger: Ledger) -> None:
    ledger.append([upload("a"), cover("b"), reversal("r", "b")])
    assert ledger.append([upload("a"), cover("b"), reversal("r", "b")]) == [Outcome.EXISTS] * 3
    with pytest.raises(EntryConflict):
        ledger.append([upload("a", item=OTHER)])
