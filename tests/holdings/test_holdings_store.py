"""Changing holdings in the catalogue: index, events, history, one by one and many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from protocol.holding_statement import HoldingStatement, RecordName
from protocol.iso2709 import Field, build, parse
from protocol.query import Clause
from protocol.record import Holding
from store import sqlite
from store.audit import AuditSelection
from store.doctor import examine
from store.editing import Editor
from store.holding_events import HoldingEvents
from store.holdings_finder import Missed, NotFound, RecordFinder
from store.holdings_history import HoldingsHistory
from store.holdings_writer import (
    DIRECT_MIN,
    Applied,
    Effect,
    HoldingsWriter,
    Rule,
    Wanted,
    foresee,
    held_ids,
)
from store.result_set import RecordSet
from store.writer import CatalogueWriter
from tests.catalogue_records import DATABASES, Library, back_to_schema, book, put
from tests.unit.test_editing import ledger_of

SAID = HoldingStatement("TP312/1", 2, "Main", ("b1", "b2"), "v.1-3", "gift")


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path)
    yield library
    library.close()


def submit(
    library: Library, *wanted: Wanted, code: str = "PKU", rule: Rule = Rule.PUT, at_us: int = 5
) -> list[Applied]:
    writer = library.writer
    with writer.transaction():
        number = HoldingsHistory(writer.connection).begin(
            code, account="wang", protocol="test", address="192.0.2.1", source="", at_us=at_us
        )
        return HoldingsWriter(writer, code, number, account="wang", at_us=at_us).apply(wanted, rule)


def effects(applied: list[Applied]) -> list[str]:
    return [each.effect.value for each in applied]


def changes(folder: Path) -> list[tuple[str, int, int]]:
    events = HoldingEvents(folder)
    try:
        return [(each.institution, each.record_id, each.change) for each in events.after(0)]
    finally:
        events.close()


def held_by(library: Library, code: str) -> list[int]:
    clause = Clause("possessing_institution", code)
    found = asyncio.run(library.catalogue.search(DATABASES, clause, {}))
    assert isinstance(found, RecordSet)
    return list(found.order)


def sound(library: Library) -> None:
    path = library.writer.path
    connection = sqlite.open_reader(path)
    found = [each.text for each in examine(connection, path, sample=None) if each.is_problem]
    connection.close()
    assert found == []


def test_a_statement_is_added_changed_and_taken_away(library: Library, tmp_path: Path) -> None:
    record_id = put(library.writer, book("a1", "One"))
    (added,) = submit(library, Wanted(record_id, SAID), at_us=5)
    whole = Holding("PKU", record_id, "TP312/1", 2, "Main", ("b1", "b2"), "v.1-3", "gift")
    assert (added.effect, added.before, added.after) == (Effect.ADDED, None, whole)
    assert held_by(library, "PKU") == [record_id]
    assert effects(submit(library, Wanted(record_id, SAID), at_us=6)) == ["unchanged"]
    # Who says nothing of location and barcodes leaves them as they are.
    (changed,) = submit(library, Wanted(record_id, HoldingStatement("TP313")), at_us=7)
    assert (changed.effect, changed.before) == (Effect.CHANGED, whole)
    assert changed.after is not None
    assert (changed.after.call_number, changed.after.location) == ("TP313", "Main")
    assert effects(submit(library, Wanted(record_id, None), at_us=8)) == ["removed"]
    assert effects(submit(library, Wanted(record_id, None), at_us=9)) == ["absent"]
    assert held_by(library, "PKU") == []
    assert changes(tmp_path) == [("PKU", record_id, 1), ("PKU", record_id, -1)]
    history = HoldingsHistory(library.writer.connection)
    states = history.states("PKU", record_id)
    assert [(s.holding, s.submission, s.at_us, s.ended_by, s.removed) for s in states] == [
        (whole, 1, 5, 3, False), (changed.after, 3, 7, 4, True),
    ]  # fmt: skip
    counts = [(s.submission_id, s.added, s.changed, s.removed) for s in history.submissions("PKU")]
    assert counts == [(5, 0, 0, 0), (4, 0, 0, 1), (3, 0, 1, 0), (2, 0, 0, 0), (1, 1, 0, 0)]
    made = history.submission(1)
    assert made is not None
    assert (made.account, made.protocol, made.address) == ("wang", "test", "192.0.2.1")
    sound(library)


def test_adding_and_changing_hold_to_what_is_there(library: Library) -> None:
    first, second = (put(library.writer, book(number, number)) for number in ("a1", "a2"))
    said = HoldingStatement("X")
    assert effects(submit(library, Wanted(first, said), rule=Rule.CHANGE)) == ["not held"]
    assert effects(submit(library, Wanted(first, said), rule=Rule.ADD)) == ["added"]
    # The same again may be a retry, something else is not.
    assert effects(submit(library, Wanted(first, said), rule=Rule.ADD)) == ["unchanged"]
    other = Wanted(first, HoldingStatement("Y"))
    assert effects(submit(library, other, rule=Rule.ADD)) == ["held"]
    assert effects(submit(library, other, rule=Rule.CHANGE)) == ["changed"]
    assert held_by(library, "PKU") == [first]
    assert effects(submit(library, Wanted(second + 1, said))) == ["gone"]


@pytest.mark.parametrize("merged", [False, True], ids=["in the delta", "merged"])
def test_many_at_once_leave_what_one_after_the_other_leaves(
    library: Library, tmp_path: Path, merged: bool
) -> None:
    ids = [put(library.writer, book(f"n{n}", f"Title {n}")) for n in range(DIRECT_MIN + 6)]
    submit(library, *(Wanted(each, HoldingStatement()) for each in ids[:4]), code="SRXX")
    if merged:
        while library.writer.merge():
            pass
        # Some have changed since, and one is gone.
        library.writer.put("we_cat", book("n1", "Another title"))
        library.writer.delete(ids[9])
    wanted = [Wanted(each, HoldingStatement(f"c{each}")) for each in ids]
    foreseen = list(foresee(library.writer.connection, "PKU", wanted, Rule.PUT))
    applied = submit(library, *wanted)
    assert applied == foreseen
    expected = [each for each in ids if not (merged and each == ids[9])]
    assert held_by(library, "PKU") == expected
    assert list(held_ids(library.writer.connection, "PKU")) == expected
    assert held_by(library, "SRXX") == ids[:4]
    sound(library)
    # Every second one goes, some are changed, and of one both is said in one batch.
    again = [Wanted(each, None if each % 2 else HoldingStatement("new")) for each in ids]
    again += [Wanted(ids[4], None), Wanted(ids[4], HoldingStatement("at last"))]
    submit(library, *again)
    left = {each for each in expected if not each % 2} | {ids[4]}
    assert held_by(library, "PKU") == sorted(left)
    assert held_by(library, "SRXX") == ids[:4]
    sound(library)
    while library.writer.merge():
        pass
    assert held_by(library, "PKU") == sorted(left)
    sound(library)
    told = changes(tmp_path)
    assert sum(change for code, _, change in told if code == "PKU") == len(left)
    submit(library, *(Wanted(each, None) for each in ids), code="SRXX")
    submit(library, *(Wanted(each, None) for each in ids))
    assert held_by(library, "PKU") == held_by(library, "SRXX") == []
    sound(library)


def year_us(year: int) -> int:
    return int(datetime(year, 6, 1, tzinfo=UTC).timestamp() * 1_000_000)


def test_a_pair_is_counted_once_a_year_and_taken_back_within_it(
    library: Library, tmp_path: Path
) -> None:
    ids = [put(library.writer, book(f"h{n}", f"Title {n}")) for n in range(4)]
    stays, goes_at_once, goes_later, comes_again = ids

    def say(record_id: int, year: int, statement: HoldingStatement | None = SAID) -> None:
        submit(library, Wanted(record_id, statement), at_us=year_us(year))

    for each in ids:
        say(each, 2025)
    say(stays, 2025, HoldingStatement("changed"))
    say(goes_at_once, 2025, None)
    say(comes_again, 2025, None)
    say(comes_again, 2025)
    say(stays, 2026, HoldingStatement("again"))
    say(goes_later, 2026, None)
    assert ledger_of(library, tmp_path) == {("PKU", 2025): 3, ("PKU", 2026): 0}
    (tmp_path / "ledger.sqlite").unlink()
    Editor(library.writer).merge(stays, comes_again, account="op", at_us=year_us(2026))
    say(goes_at_once, 2026)
    assert ledger_of(library, tmp_path) == {("PKU", 2025): 3, ("PKU", 2026): 1}


def test_holdings_follow_a_record_that_was_merged_away(library: Library, tmp_path: Path) -> None:
    keep, away = (put(library.writer, book(number, "Same")) for number in ("k", "w"))
    submit(library, Wanted(away, SAID))
    Editor(library.writer).merge(keep, away, account="op")
    (removed,) = submit(library, Wanted(away, None))
    assert (removed.effect, removed.record_id) == (Effect.REMOVED, keep)
    assert changes(tmp_path) == [("PKU", away, 1), ("PKU", away, -1)]
    (added,) = submit(library, Wanted(away, SAID))
    assert (added.effect, added.record_id) == (Effect.ADDED, keep)
    sound(library)


def test_what_is_held_of_a_deleted_record_can_be_given_up(library: Library) -> None:
    ids = [put(library.writer, book(f"d{n}", "Gone")) for n in range(2)]
    submit(library, *(Wanted(each, SAID) for each in ids))
    for each in ids:
        library.writer.delete(each)
    assert effects(submit(library, Wanted(ids[0], HoldingStatement("X")))) == ["gone"]
    (given_up,) = submit(library, Wanted(ids[0], None))
    assert (given_up.effect, given_up.record_id) == (Effect.REMOVED, ids[0])
    while library.writer.merge():
        pass
    assert effects(submit(library, Wanted(ids[1], None))) == ["removed"]
    Editor(library.writer).undelete(ids[0], account="op")
    assert held_by(library, "PKU") == []
    sound(library)


@pytest.mark.parametrize("count", [1, DIRECT_MIN])
def test_a_record_whose_survivor_is_deleted_is_gone(
    library: Library, tmp_path: Path, count: int
) -> None:
    keep, away, *others = (put(library.writer, book(f"s{n}", "Twice")) for n in range(count + 1))
    submit(library, Wanted(away, SAID))
    Editor(library.writer).merge(keep, away, account="op")
    library.writer.delete(keep)
    told = submit(library, Wanted(away, SAID), *(Wanted(each, SAID) for each in others), code="THU")
    assert (told[0].effect, told[0].record_id) == (Effect.GONE, keep)
    assert held_by(library, "THU") == sorted(others)
    wanted = Wanted(away, None)
    assert list(foresee(library.writer.connection, "PKU", [wanted], Rule.PUT)) == [
        Applied(keep, Effect.REMOVED, SAID.applied("PKU", keep, None))
    ]
    assert effects(submit(library, wanted)) == ["removed"]
    assert [each for each in changes(tmp_path) if each[0] == "PKU"] == [
        ("PKU", away, 1), ("PKU", away, -1),
    ]  # fmt: skip
    sound(library)


@pytest.fixture
def shelf(library: Library) -> Library:
    writer = library.writer
    put(writer, book("12345", "Numbered", isbn="9787301123454"))
    put(writer, book("a2", "Twice", isbn="9787302123453"))
    put(writer, book("a3", "Twice again", isbn="7-302-12345-4"))
    own = parse(book("a4", "Own number"))
    own.fields.append(Field.of("035", "  ", [("a", "(PKU)00012345")]))
    put(writer, build(own.leader, own.fields))
    put(writer, book("a5", "Serial"))
    put(writer, book("12345", "In another database"), "cn_cat")
    return library


def find(library: Library, code: str = "PKU", **name: object) -> int | Missed:
    with RecordFinder(library.directory) as finder:
        finder.begin()
        return finder.find(RecordName(**name), code)  # type: ignore[arg-type]


def test_a_record_is_found_by_the_one_number_that_names_it(shelf: Library) -> None:
    assert find(shelf, control_number="a5") == 5
    assert find(shelf, control_number=" 12345", database="we_cat") == 1
    assert find(shelf, control_number="12345", database="cn_cat") == 6
    assert find(shelf, control_number="12345", database="Western") == 1
    assert find(shelf, local_number="00012345") == 4
    assert find(shelf, numbers=("(pku) 00012345",)) == 4
    assert find(shelf, isbn="7-301-12345-0") == 1
    # What is not there is passed over for the next name.
    assert find(shelf, control_number="zzz", numbers=("(PKU)00012345",)) == 4


def missed(found: int | Missed) -> tuple[NotFound, list[str]]:
    assert isinstance(found, Missed), found
    return found.reason, [each.control_number for each in found.candidates]


def test_nobody_guesses_which_of_several_is_meant(shelf: Library) -> None:
    assert missed(find(shelf, control_number="12345")) == (NotFound.AMBIGUOUS, ["12345", "12345"])
    assert missed(find(shelf, isbn="9787302123453")) == (NotFound.AMBIGUOUS, ["a2", "a3"])
    assert "we_cat a2, we_cat a3" in str(find(shelf, isbn="9787302123453"))
    # The one that it holds already is meant.
    submit(shelf, Wanted(3, SAID))
    assert find(shelf, isbn="9787302123453") == 3
    assert missed(find(shelf, "SRXX", isbn="9787302123453"))[0] is NotFound.AMBIGUOUS
    # A library's own count is no number of ours when the ISBN says otherwise.
    wrong = find(shelf, control_number="12345", database="we_cat", isbn="9787302123453")
    assert missed(wrong)[0] is NotFound.CONTRADICTION
    assert missed(find(shelf)) == (NotFound.UNNAMED, [])
    assert missed(find(shelf, control_number="a5", database="nope")) == (NotFound.DATABASE, [])
    assert missed(find(shelf, "SRXX", local_number="00012345")) == (NotFound.UNKNOWN, [])


def test_the_number_of_a_merged_record_finds_the_one_kept(shelf: Library) -> None:
    Editor(shelf.writer).merge(2, 3, account="op")
    assert find(shelf, control_number="a3") == 2
    assert find(shelf, isbn="9787302123453") == 2
    shelf.writer.delete(5)
    assert missed(find(shelf, control_number="a5"))[0] is NotFound.UNKNOWN


def test_a_catalogue_of_schema_5_keeps_its_holdings(tmp_path: Path) -> None:
    library = Library(tmp_path)
    record_id = put(library.writer, book("a1", "One"))
    library.writer.put_holding(Holding("PKU", record_id, "TP1", 3, "Main", ("b",)))
    connection = library.writer.connection
    back_to_schema(connection, 5)
    library.close()
    writer = CatalogueWriter(tmp_path, DATABASES)
    (row,) = writer.merges.holding_rows(record_id)
    assert row.holding == Holding("PKU", record_id, "TP1", 3, "Main", ("b",))
    (state,) = HoldingsHistory(writer.connection).states("PKU", record_id)
    assert (state.holding, state.submission, state.ended_by) == (row.holding, 0, None)
    writer.close()


def test_each_pair_is_told_with_the_address_and_protocol_of_its_submission(
    tmp_path: Path,
) -> None:
    library = Library(tmp_path)
    first = put(library.writer, book("a1", "One"))
    library.writer.put_holding(Holding("THU", first), account="load", at_us=3)
    back_to_schema(library.writer.connection, 6)  # what was told before has no submission
    library.close()
    reopened = Library(tmp_path)
    submit(reopened, Wanted(first, SAID), at_us=5)
    submit(reopened, Wanted(first, None), at_us=6)
    reopened.close()
    events = HoldingEvents(tmp_path)
    rows = [
        (row.institution, row.action, row.who, row.account, row.protocol, row.address, row.after)
        for row in events.audit(AuditSelection())
    ]
    (only,) = events.audit(AuditSelection(institution="pku", since_us=6))
    events.close()
    wang = ("wang", "wang", "test", "192.0.2.1")
    assert rows == [
        ("THU", "holding added", "load", "", "", "", "present"),
        ("PKU", "holding added", *wang, "present"),
        ("PKU", "holding removed", *wang, "absent"),
    ]
    assert only.at_us == 6


def test_statements_of_several_lines_are_added_up() -> None:
    one = HoldingStatement("A", None, "Main", ("b1",))
    two = HoldingStatement("B", None, "Main", ("b2", "b1"))
    assert one.joined(two) == HoldingStatement("A; B", 2, "Main", ("b1", "b2"))
    # A list of numbers says nothing of copies, however often one stands in it.
    assert HoldingStatement().joined(HoldingStatement()) == HoldingStatement()
    three = HoldingStatement(copies=3).joined(HoldingStatement())
    assert three.copies == 4
    assert one.applied("PKU", 1, None).copies == 1
    assert HoldingStatement(barcodes=("1", "2")).applied("PKU", 1, None).copies == 2
    assert HoldingStatement().applied("PKU", 1, Holding("PKU", 1, copies=7)).copies == 7


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (HoldingStatement("x" * 301), "call number has 301"),
        (HoldingStatement(note="x" * 1001), "note has 1001"),
        (HoldingStatement(copies=0), "0 copies"),
        (HoldingStatement(barcodes=("b",) * 2001), "2001 barcodes"),
        (HoldingStatement(barcodes=("b" * 65,)), "barcode of 65"),
    ],
)
def test_a_statement_is_bounded(statement: HoldingStatement, told: str) -> None:
    assert told in statement.excess()
    assert HoldingStatement("x" * 300, 1).excess() == ""
