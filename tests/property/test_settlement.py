"""Whatever happens, and whenever it is settled: documents and journal add up to the ledger."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.entry import DAY_US, Draft, Kind, Meter
from metering.ledger import Ledger, Outcome
from metering.settlement import Settlements
from tests.unit.test_settlement import AFTER_GRACE, at

YEAR = 2024
MEMBERS = ("CAU", "PKU", "THU")
ITEMS = ("upload.chinese.full", "upload.japanese.full", "upload.other.basic")
FIRST_US = at("2023-12-30T00:00:00")
DAYS = 369  # some days before and after the year too

members = st.sampled_from(MEMBERS)
days = st.integers(0, DAYS)
records = st.integers(1, 6)
earlier = st.integers(0, 30)  # which of the entries so far, counted from the last

events = st.lists(
    st.one_of(
        st.tuples(st.just("delivery"), members, days, records),
        st.tuples(st.just("holding_added"), members, days, records),
        st.tuples(st.just("holding_removed"), members, days, records),
        st.tuples(st.just("batch"), members, days, records),
        st.tuples(st.just("upload"), members, days, records, st.sampled_from(ITEMS)),
        st.tuples(st.just("void"), days, earlier),
        st.tuples(st.just("upload_reversed"), days, earlier),
        st.tuples(st.just("correction"), days, earlier, st.integers(-2, 2)),
        st.tuples(st.just("settle")),
        st.tuples(st.just("note")),
    ),
    max_size=40,
)


def draft_of(event: tuple[object, ...], number: int, made: list[Draft]) -> Draft | None:
    """The entry that an event makes; None where nothing is there to be taken back."""
    kind, *rest = event
    entry_id = f"e{number}"
    if kind in ("void", "upload_reversed", "correction"):
        day, back, *quantity = rest
        wanted = {"void": ("delivery", "batch"), "upload_reversed": ("upload",)}
        targets = [each for each in made if each.kind in wanted.get(str(kind), (each.kind,))]
        if not targets:
            return None
        target = targets[-1 - int(str(back)) % len(targets)]
        meter = Meter.UPLOAD if target.kind is Kind.UPLOAD else Meter.DOWNLOAD
        more = {"meter": meter, "quantity": quantity[0]} if quantity else {}
        return Draft(
            id=entry_id, kind=Kind(kind), at_us=FIRST_US + int(str(day)) * DAY_US,
            refers_to=target.id, **more,
        )  # type: ignore[arg-type]  # fmt: skip
    member, day, record, *item = rest
    return Draft(
        id=entry_id, kind=Kind(kind), at_us=FIRST_US + int(str(day)) * DAY_US + number,
        institution=str(member), record_id=int(str(record)),
        item=str(item[0]) if item else "batch.delivery" if kind == "batch" else "",
    )  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(events)
def test_settlement_and_notes_come_to_what_the_ledger_comes_to(
    happened: list[tuple[object, ...]],
) -> None:
    add_up(happened)


@pytest.mark.long
@settings(max_examples=1_000, deadline=None)
@given(events)
def test_settlement_and_notes_of_a_thousand_years_come_to_what_the_ledger_comes_to(
    happened: list[tuple[object, ...]],
) -> None:
    add_up(happened)


def add_up(happened: list[tuple[object, ...]]) -> None:
    """Let it happen, settle and note what is left, and compare."""
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(Ledger(Path(folder) / "ledger.sqlite")) as ledger,
        Settlements(Path(folder) / "ledger.sqlite") as settlements,
    ):
        made: list[Draft] = []
        settled = False
        for number, event in enumerate([*happened, ("settle",), ("note",)]):
            if event[0] == "settle":
                settlements.settle(YEAR, AFTER_GRACE + number, ledger.verify())
                settled = bool(settlements.documents(YEAR))
            elif event[0] == "note":
                if settled:
                    now_us = AFTER_GRACE + number
                    settlements.note(YEAR, now_us, ledger.verify(), reason="what came late")
            else:
                draft = draft_of(event, number, made)
                if draft is not None:
                    # Of what is void already a void is moot, and is no entry.
                    is_entry = ledger.append([draft]) == [Outcome.CREATED]
                    if is_entry and draft.kind is not Kind.CORRECTION:
                        made.append(draft)
        # Everyone has a final by now, and a note for all that came after it.
        balances = settlements.balances()
        for estimate in settlements.estimates(YEAR):
            code = estimate.institution
            documents = settlements.documents(YEAR, code)
            assert sum(each.net_fen for each in documents) == estimate.net_fen
            assert balances.get(f"receivable:{code}", 0) == estimate.receivable_fen
            owed = balances.get(f"payable:{code}", 0) + balances.get(f"payable.share:{code}", 0)
            assert owed == -estimate.payable_fen
        assert sum(balances.values()) == 0
        assert settlements.open_differences(YEAR) == []
        assert settlements.verify() == []
        assert ledger.verify().ok
