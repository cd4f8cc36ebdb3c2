"""Whatever is said in whatever order, the catalogue, its index and the ledger agree."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.holding_statement import HoldingStatement
from store import holdings_writer
from store.editing import Editor
from store.holdings_writer import Effect, Rule, Wanted, foresee
from store.sqlite import StoreError
from tests.catalogue_records import Library, book, put
from tests.holdings.test_holdings_store import changes, held_by, sound, submit

RECORDS = range(1, 7)
CODES = ("PKU", "SRXX")
RECORD_IDS = st.sampled_from(RECORDS)
STATEMENTS = st.builds(
    HoldingStatement,
    st.none() | st.sampled_from(["", "A", "B"]),
    st.none() | st.integers(1, 3),
    barcodes=st.none() | st.just(("x",)) | st.just(()),
)
SAYING = st.tuples(
    st.just("say"), st.sampled_from(CODES), st.sampled_from(Rule), st.booleans(),
    st.lists(st.tuples(RECORD_IDS, st.none() | STATEMENTS), min_size=1, max_size=6),
)  # fmt: skip
STEPS = st.one_of(
    SAYING, SAYING, SAYING,
    st.tuples(st.sampled_from(["delete", "undelete", "edit"]), RECORD_IDS),
    st.tuples(st.just("merge"), RECORD_IDS, RECORD_IDS),
    st.tuples(st.just("fold")),
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.lists(STEPS, min_size=3, max_size=14))
def test_index_events_and_holdings_agree_after_any_steps(steps: Sequence[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        library = Library(Path(folder))
        for number in RECORDS:
            put(library.writer, book(f"n{number}", f"Title {number}"))
        for count, step in enumerate(steps):
            _carry_out(library, step, count, patch)
        _agree(library)
        while library.writer.merge():
            pass
        _agree(library)
        library.close()


def _carry_out(
    library: Library, step: tuple[Any, ...], count: int, patch: pytest.MonkeyPatch
) -> None:
    writer, editor = library.writer, Editor(library.writer)
    match step:
        case ("say", code, rule, direct, said):
            patch.setattr(holdings_writer, "DIRECT_MIN", 1 if direct else 1_000)
            wanted = [Wanted(record_id, statement) for record_id, statement in said]
            before = _held(library, code)
            foreseen = list(foresee(writer.connection, code, wanted, rule))
            applied = submit(library, *wanted, code=code, rule=rule, at_us=count + 10)
            if len({each.record_id for each in applied}) == len(applied):
                assert applied == foreseen
            for each in applied:
                assert before.get(each.record_id) == each.before
                if each.effect in (Effect.ADDED, Effect.CHANGED, Effect.REMOVED):
                    before[each.record_id] = each.after
            assert {key: value for key, value in before.items() if value} == _held(library, code)
        case ("edit", record_id):
            stored = writer.rows.get(record_id)
            if stored is not None and not stored.deleted:
                writer.put("we_cat", book(stored.control_number, f"Changed {count}"))
        case ("delete", record_id):
            if not _deleted(library, record_id):
                writer.delete(record_id)
        case ("undelete", record_id):
            if _deleted(library, record_id):
                # Refused while the record that it went into has gone on into another.
                with suppress(StoreError):
                    editor.undelete(record_id, account="op")
        case ("merge", keep, away):
            if keep != away and not _deleted(library, keep) and not _deleted(library, away):
                editor.merge(keep, away, account="op")
        case ("fold",):
            writer.merge(records_max=3)


def _deleted(library: Library, record_id: int) -> bool:
    stored = library.writer.rows.get(record_id)
    assert stored is not None
    return stored.deleted


def _held(library: Library, code: str) -> dict[int, Any]:
    rows = (library.writer.merges.holding_rows(record_id) for record_id in RECORDS)
    return {
        row.holding.record_id: row.holding
        for each in rows
        for row in each
        if row.holding.institution == code
    }


def _agree(library: Library) -> None:
    sound(library)
    told = changes(library.directory)
    for code in CODES:
        held = _held(library, code)
        living = [record_id for record_id in held if not _deleted(library, record_id)]
        assert held_by(library, code) == sorted(living)
        by_record: dict[int, int] = {}
        for institution, record_id, change in told:
            if institution == code:
                by_record[record_id] = by_record.get(record_id, 0) + change
        assert set(by_record.values()) <= {0, 1}
