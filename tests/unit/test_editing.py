"""Editing records: versions, stale updates, deletion and its undoing, merges and their holdings."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from metering.entry import Meter
from metering.fold import holding_draft
from metering.interface import HoldingEvent
from metering.ledger import Ledger
from protocol.iso2709 import Field, MalformedRecord, build, control_field, parse, split
from protocol.query import Clause
from protocol.record import Holding, StoredRecord
from store.bulk import BulkWriter, Target, analyse
from store.catalogue import SqliteCatalogue
from store.editing import Editor, HeldRecord, Merged, MergeRefused
from store.holding_events import HoldingEvents
from store.merging import combine
from store.reindex import check, reindex
from store.result_set import RecordSet
from store.sqlite import StoreError, open_reader
from store.versions import Change, field_changes, identifier, later_timestamp, timestamp
from store.writer import CatalogueWriter, MergedRecord, UnknownRecord, VersionConflict
from tests.catalogue_records import (
    DATABASES,
    LEADER,
    Library,
    back_to_schema,
    book,
    chinese_book,
    put,
)

NOON_US = 1_700_000_000_000_000  # 2023-11-15 06:13:20 in China
YEAR_2024_US = 1_710_000_000_000_000


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    library = Library(tmp_path)
    yield library
    library.close()


@pytest.fixture
def editor(library: Library) -> Editor:
    return Editor(library.writer)


def record_of(library: Library, record_id: int) -> StoredRecord:
    record = library.writer.rows.get(record_id)
    assert record is not None
    return record


def consistent(library: Library) -> None:
    """The index is what the records bring, before its deltas are merged and after."""
    for _ in range(2):
        connection = open_reader(library.writer.path)
        try:
            assert check(connection) == []
        finally:
            connection.close()
        library.merge()


async def found(library: Library, number: str, access_point: str = "control_number") -> list[int]:
    result = await library.catalogue.search(DATABASES, Clause(access_point, number), {})
    assert isinstance(result, RecordSet)
    return list(result.order)


def ledger_of(library: Library, path: Path) -> dict[tuple[str, int], int]:
    """What the ledger counts of the events so far: holdings by (institution, year)."""
    events = HoldingEvents(library.directory)
    ledger = Ledger(path / "ledger.sqlite")
    with ledger.writing() as transaction:
        transaction.append(
            [
                holding_draft(
                    "catalogue",
                    HoldingEvent(
                        each.sequence, each.institution, each.record_id, each.change, each.at_us,
                        each.account, each.database, each.control_number,
                    ),
                )
                for each in events.after(0)
            ]
        )  # fmt: skip
    events.close()
    ledger.close()
    connection = sqlite3.connect(path / "ledger.sqlite")
    counted = {
        (institution, year): total
        for institution, year, total in connection.execute(
            "SELECT institution, year, sum(quantity) FROM entry WHERE meter = ?"
            " GROUP BY institution, year",
            (Meter.HOLDING.value,),
        )
    }
    connection.close()
    return counted


def held(library: Library, record_id: int) -> dict[str, Holding]:
    rows = library.writer.merges.holding_rows(record_id)
    return {row.holding.institution: row.holding for row in rows}


def test_every_change_is_a_version_with_who_when_and_what_before(
    library: Library, editor: Editor
) -> None:
    created = editor.create("we_cat", book("", "One"), account="li", reason="new", at_us=NOON_US)
    assert isinstance(created, StoredRecord)
    record_id = created.record_id
    two = editor.replace(
        record_id, book("", "Two"), based_on=1, account="wang", reason="typo", at_us=NOON_US + 9
    )
    assert isinstance(two, StoredRecord)
    editor.delete(record_id, account="zhao", reason="gone", at_us=NOON_US + 10)
    editor.undelete(record_id, account="qian", reason="back", at_us=YEAR_2024_US)
    history = editor.versions(record_id)
    assert [(v.version, v.change, v.account, v.reason, v.at_us, v.deleted) for v in history] == [
        (1, Change.CREATED, "li", "new", NOON_US, False),
        (2, Change.REPLACED, "wang", "typo", NOON_US + 9, False),
        (3, Change.DELETED, "zhao", "gone", NOON_US + 10, True),
        (4, Change.UNDELETED, "qian", "back", YEAR_2024_US, False),
    ]
    gone, come = field_changes(history[0].marc, history[1].marc)
    assert [field.tag for field in gone] == ["005", "245"]
    assert [field.first("a") for field in come if field.tag == "245"] == ["Two"]
    assert len({version.identifier for version in history}) == 4
    assert editor.versions(99) == []
    consistent(library)


def test_versions_that_nobody_remarked_on_are_told_too(library: Library, editor: Editor) -> None:
    record_id = put(library.writer, book("n1", "One"))
    put(library.writer, book("n1", "Two"))
    library.writer.delete(record_id)
    put(library.writer, book("n1", "Three"))
    assert [version.change for version in editor.versions(record_id)] == [
        Change.CREATED, Change.REPLACED, Change.DELETED, Change.UNDELETED,
    ]  # fmt: skip


def test_a_stored_record_carries_its_number_and_the_time_of_its_version(editor: Editor) -> None:
    created = editor.create("we_cat", book("", "One"), account="li", at_us=NOON_US)
    assert isinstance(created, StoredRecord)
    assert created.control_number == "lm000000001"
    assert [field.tag for field in parse(created.marc).fields] == ["001", "005", "245"]
    assert control_field(created.marc, "005") == "20231115061320.0"
    with_own = build(LEADER, [Field("001", "theirs"), *parse(book("", "Two")).fields])
    two = editor.replace(1, with_own, based_on=1, account="li", at_us=NOON_US)
    assert isinstance(two, StoredRecord)
    assert control_field(two.marc, "001") == "lm000000001"
    assert control_field(two.marc, "005") == "20231115061320.1"
    three = editor.replace(1, book("", "3"), based_on=2, account="li", at_us=NOON_US)
    assert isinstance(three, StoredRecord)
    assert control_field(three.marc, "005") == "20231115061320.2"


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", timestamp(NOON_US)),
        ("19990101000000.0", timestamp(NOON_US)),
        (timestamp(NOON_US), timestamp(NOON_US + 100_000)),
        ("20231115061359.9", "20231115061400.0"),  # a clock that was set back
        ("20990101000000.0", timestamp(NOON_US)),  # a clock that is wrong
        ("20231115xxxxxx.0", timestamp(NOON_US)),
    ],
)
def test_a_new_version_is_stamped_later_than_the_last(before: str, expected: str) -> None:
    assert later_timestamp(NOON_US, before) == expected


def test_a_stale_update_is_refused_by_number_and_by_005(library: Library, editor: Editor) -> None:
    loaded = record_of(library, put(library.writer, book("n1", "One")))
    shown = identifier(loaded.marc, loaded.modified_us)
    for fresh in (1, "1", shown, f" {shown} ", None):
        same = editor.replace(1, loaded.marc, based_on=fresh, account="li")
        assert isinstance(same, StoredRecord)
        assert same.version == 1  # equal content is no change
    two = editor.replace(1, book("n1", "Two"), based_on=shown, account="li")
    assert isinstance(two, StoredRecord)
    for stale in (1, "1", shown, 3, "20200101000000.0", ""):
        refused = editor.replace(1, book("n1", "Three"), based_on=stale, account="wang")
        assert refused == VersionConflict(1, 2)
        assert f"version 2, {control_field(two.marc, '005')}" in str(refused)
        assert editor.delete(1, based_on=stale, account="wang") == VersionConflict(1, 2)
    assert record_of(library, 1).marc == two.marc
    newest = control_field(two.marc, "005")
    deleted = editor.delete(1, account="li", based_on=newest)
    assert isinstance(deleted, StoredRecord)
    with pytest.raises(UnknownRecord, match="n1 is deleted"):
        editor.replace(1, book("n1", "Four"), based_on=newest, account="li")
    assert editor.create("we_cat", book("n1", "Four"), account="li") == VersionConflict(1, 3)
    with pytest.raises(UnknownRecord, match="no record 7"):
        editor.delete(7, account="li")
    with pytest.raises(MalformedRecord):
        editor.create("we_cat", b"rubbish", account="li")


def test_a_held_record_is_deleted_only_on_purpose_and_comes_back_with_its_holdings(
    library: Library, editor: Editor, tmp_path: Path
) -> None:
    record_id = put(library.writer, book("n1", "One"))
    library.writer.put_holding(Holding("PKU", record_id, "O4"), at_us=NOON_US)
    refused = editor.delete(record_id, account="li", unless_held=True)
    assert refused == HeldRecord(record_id, ("PKU",))
    editor.delete(record_id, account="li")
    consistent(library)
    assert ledger_of(library, tmp_path) == {("PKU", 2023): 1}
    editor.undelete(record_id, account="li")
    assert held(library, record_id)["PKU"].call_number == "O4"
    with pytest.raises(StoreError, match="n1 is not deleted"):
        editor.undelete(record_id, account="li")
    consistent(library)


async def test_the_old_number_of_a_merged_record_finds_the_one_that_stays(
    library: Library, editor: Editor
) -> None:
    keep, away = (
        put(library.writer, book("n1", "Physics")),
        put(library.writer, book("n2", "Fysik")),
    )
    last = put(library.writer, book("n3", "Physik"))
    library.merge()
    before = await library.catalogue.search(DATABASES, Clause("control_number", "n2"), {})
    assert isinstance(before, RecordSet)
    done = editor.merge(keep, away, account="op", reason="same book")
    assert (done.keep.version, done.away.version, done.away.deleted) == (2, 2, True)
    assert await found(library, "n2") == await found(library, "n1") == [keep]
    assert await found(library, "fysik", "title") == []
    assert list(before.ids(1, 1)) == [away]  # type: ignore[arg-type]
    assert library.catalogue.survivor(away) == record_of(library, keep)
    assert library.catalogue.survivor(keep) is None
    consistent(library)
    # A chain leads to its end, also when the survivor is changed, or loaded anew.
    editor.merge(last, keep, account="op")
    assert [await found(library, number) for number in ("n1", "n2", "n3")] == [[last]] * 3
    consistent(library)
    put(library.writer, book("n3", "Physik II"))
    bulk = BulkWriter(library.writer, "we_cat", institution="THU")
    target = Target("we_cat", DATABASES[0].family)
    raw = [book("n3", "Physik III"), book("n2", "Fysik"), book("n1", "Physics, changed")]
    for marc in raw:
        bulk.add(analyse(list(split(marc)), target))
    bulk.flush()
    assert (bulk.stored.replaced, bulk.stored.unchanged, bulk.stored.loaded) == (1, 2, 0)
    assert [await found(library, number) for number in ("n1", "n2", "n3")] == [[last]] * 3
    assert list(held(library, last)) == ["THU"]
    consistent(library)
    assert library.writer.put("we_cat", book("n2", "Fysik")) == record_of(library, last)
    reindex(library.writer, processes=0)
    assert await found(library, "n2") == [last]
    with pytest.raises(MergedRecord, match="n2 was merged into n3") as refusal:
        editor.replace(away, book("n2", "x"), based_on=None, account="li")
    assert refusal.value.survivor_id == last
    with pytest.raises(MergedRecord):
        library.writer.put_holding(Holding("PKU", keep))


def test_what_cannot_be_one_record_is_not_merged(library: Library, editor: Editor) -> None:
    one, two = put(library.writer, book("n1", "A")), put(library.writer, book("n2", "B"))
    chinese = put(library.writer, chinese_book("c1", "物理"), "cn_cat")
    with pytest.raises(MergeRefused, match="into itself"):
        editor.merge(one, one, account="op")
    with pytest.raises(MergeRefused, match="c1 is in cn_cat, n1 in we_cat"):
        editor.merge(one, chinese, account="op")
    editor.delete(two, account="op")
    with pytest.raises(UnknownRecord, match="n2 is deleted"):
        editor.merge(one, two, account="op")
    assert [record_of(library, number).version for number in (one, two, chinese)] == [1, 2, 1]


@pytest.mark.parametrize(
    ("kept", "moved", "expected"),
    [
        (("O4", 2, "East", ()), ("O4", 1, "", ()), ("O4", 2, "East", ())),
        (("", 1, "", ()), ("O4/12", 1, "West", ()), ("O4/12", 1, "West", ())),
        (("O4", 2, "East", ()), ("O5", 3, "East", ()), ("O4; O5", 5, "East", ())),
        (("O4", 1, "East", ()), ("O4", 1, "West", ()), ("O4", 2, "East; West", ())),
        (("O4", 2, "", ("b1", "c")), ("O4", 2, "", ("c", "d")), ("O4", 3, "", ("b1", "c", "d"))),
        (("O4", 1, "", ("b1",)), ("O4", 2, "", ()), ("O4", 3, "", ("b1",))),
        (("O4; O5", 1, "", ()), ("O5", 1, "", ()), ("O4; O5", 2, "", ())),
    ],
)  # fmt: skip
def test_two_holdings_of_one_library_become_one(
    kept: tuple[str, int, str, tuple[str, ...]],
    moved: tuple[str, int, str, tuple[str, ...]],
    expected: tuple[str, int, str, tuple[str, ...]],
) -> None:
    assert combine(Holding("PKU", 1, *kept), Holding("PKU", 1, *moved)) == Holding(
        "PKU", 1, *expected
    )


def two_held_by_many(library: Library) -> tuple[int, int]:
    """Records that PKU holds both of, THU the first and FDU the second."""
    keep, away = put(library.writer, book("n1", "A")), put(library.writer, book("n2", "A."))
    for institution, record_id, call_number in (
        ("PKU", keep, "O4"), ("PKU", away, "O41"), ("THU", keep, ""), ("FDU", away, "Z9"),
    ):  # fmt: skip
        library.writer.put_holding(Holding(institution, record_id, call_number), at_us=NOON_US)
    return keep, away


async def test_a_merge_keeps_every_holding_and_lowers_no_count(
    library: Library, editor: Editor, tmp_path: Path
) -> None:
    keep, away = two_held_by_many(library)
    before = ledger_of(library, tmp_path)
    assert before == {("PKU", 2023): 2, ("THU", 2023): 1, ("FDU", 2023): 1}
    done = editor.merge(keep, away, account="op", at_us=NOON_US)
    assert done == Merged(done.keep, done.away, ("FDU",), ("PKU",))
    assert ledger_of(library, tmp_path) == before
    assert held(library, away) == {}
    assert held(library, keep) == {
        "FDU": Holding("FDU", keep, "Z9"),
        "PKU": Holding("PKU", keep, "O4; O41", 2),
        "THU": Holding("THU", keep),
    }
    assert await found(library, "FDU", "possessing_institution") == [keep]
    consistent(library)
    # Holding it once more is no new pair.
    assert not library.writer.put_holding(Holding("FDU", keep, "Z91"), at_us=NOON_US)
    assert ledger_of(library, tmp_path) == before


def test_removing_a_holding_after_a_merge_takes_back_what_was_counted(
    library: Library, editor: Editor, tmp_path: Path
) -> None:
    keep, away = two_held_by_many(library)
    editor.merge(keep, away, account="op", at_us=NOON_US)
    assert library.writer.remove_holding("FDU", keep, at_us=NOON_US + 1)
    assert library.writer.remove_holding("PKU", keep, at_us=YEAR_2024_US)
    assert ledger_of(library, tmp_path) == {
        ("PKU", 2023): 2, ("PKU", 2024): 0, ("THU", 2023): 1, ("FDU", 2023): 0,
    }  # fmt: skip
    # Once per pair and year: what comes back counts as one pair.
    assert library.writer.put_holding(Holding("FDU", keep), at_us=NOON_US + 2)
    assert ledger_of(library, tmp_path)["FDU", 2023] == 1
    assert library.writer.remove_holding("FDU", keep, at_us=NOON_US + 3)
    assert ledger_of(library, tmp_path)["FDU", 2023] == 0
    consistent(library)


async def test_a_merge_can_be_undone_with_the_holdings_that_moved(
    library: Library, editor: Editor, tmp_path: Path
) -> None:
    keep, away = two_held_by_many(library)
    before = ledger_of(library, tmp_path)
    editor.merge(keep, away, account="op", at_us=NOON_US)
    library.merge()
    editor.undelete(away, account="op", reason="two editions", at_us=NOON_US)
    assert held(library, away) == {
        "FDU": Holding("FDU", away, "Z9"),
        "PKU": Holding("PKU", away, "O41"),
    }
    assert list(held(library, keep)) == ["PKU", "THU"]
    assert await found(library, "n2") == [away]
    assert library.catalogue.survivor(away) is None
    assert ledger_of(library, tmp_path) == before
    assert [each.change for each in editor.versions(keep)][1:] == [
        Change.MERGED_IN, Change.MERGE_UNDONE,
    ]  # fmt: skip
    assert editor.versions(away)[1].other_id == keep
    consistent(library)
    assert library.writer.remove_holding("PKU", away, at_us=NOON_US)
    assert library.writer.remove_holding("FDU", away, at_us=NOON_US)
    assert ledger_of(library, tmp_path) == {("PKU", 2023): 1, ("THU", 2023): 1, ("FDU", 2023): 0}
    # And merged again.
    editor.merge(keep, away, account="op", at_us=NOON_US)
    assert await found(library, "n2") == [keep]
    consistent(library)


async def test_merges_are_undone_from_the_last_to_the_first(
    library: Library, editor: Editor
) -> None:
    one, two, three = (put(library.writer, book(f"n{n}", f"T{n}")) for n in (1, 2, 3))
    library.writer.put_holding(Holding("PKU", one))
    editor.merge(two, one, account="op")
    editor.merge(three, two, account="op")
    with pytest.raises(StoreError, match="n1 went into n2, which was merged itself"):
        editor.undelete(one, account="op")
    assert record_of(library, one).deleted
    assert library.catalogue.survivor(one) == record_of(library, three)
    editor.undelete(two, account="op")
    assert [await found(library, f"n{n}") for n in (1, 2, 3)] == [[two], [two], [three]]
    editor.undelete(one, account="op")
    assert [await found(library, f"n{n}") for n in (1, 2, 3)] == [[one], [two], [three]]
    assert list(held(library, one)) == ["PKU"]
    consistent(library)


def test_a_merge_that_fails_half_way_leaves_nothing(
    library: Library, editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, away = two_held_by_many(library)
    before = list(library.writer.connection.iterdump())

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(editor, "_remark", fail)
    with pytest.raises(StoreError, match="disk I/O error"):
        editor.merge(keep, away, account="op")
    assert list(library.writer.connection.iterdump()) == before


def test_a_catalogue_of_schema_2_is_brought_up_to_date(tmp_path: Path) -> None:
    library = Library(tmp_path)
    keep, away = two_held_by_many(library)
    new = _schema(library.writer.connection)
    back_to_schema(library.writer.connection, 2)
    library.close()
    with pytest.raises(StoreError, match=r"has schema 2, .* `lianmu reindex`"):
        SqliteCatalogue(tmp_path)
    writer = CatalogueWriter(tmp_path, DATABASES)
    assert _schema(writer.connection) == new
    assert Editor(writer).merge(keep, away, account="op").combined == ("PKU",)
    writer.close()


def _schema(connection: sqlite3.Connection) -> dict[str, list[object]]:
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for (name,) in tables}
