"""Rows of the delta: what they say of a record, and of what it changes in the main index."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec
import pytest

from protocol.iso2709 import parse
from protocol.record import MarcFamily
from store.analysis import END
from store.delta_row import DeltaRow, RecordPostings, add_changes, add_row, pack, unpack
from store.gather import PLACE_SHIFT, Postings
from store.index import index_record
from store.postings import POSITION_STEP
from store.reader import _ROWS_UNPACKED_MAX, DeltaSegment, TermRange
from store.registers import key_register, register_names
from store.reindex import check
from store.writer import CatalogueWriter
from tests.catalogue_records import DATABASES, book, chinese_book, put

IDS = {name: number for number, name in enumerate(register_names(), 1)}
NAMES = {number: name for name, number in IDS.items()}
TITLE, SUBJECT = IDS["title"], IDS["subject"]
PLACE = 3

BOOKS = [
    book("w1", "Red dream, red", subjects=("Fiction",), author="Cao", isbn="0306406152"),
    book("w2", "Émile, or: On Education", note="Emile", year="1762"),
    book("w3", "w " * 3000, subjects=("s " * 3000, "moon")),  # beyond the last position
    book("w4", "..."),
]


def one(marc: bytes, like: RecordPostings | None = None) -> RecordPostings:
    postings = RecordPostings(like)
    index_record(postings, 0, parse(marc), MarcFamily.MARC21, "we_cat", ("PKU",))
    return postings


def many(marc: bytes, place: int = PLACE) -> Postings:
    postings = Postings()
    index_record(postings, place, parse(marc), MarcFamily.MARC21, "we_cat", ("PKU",))
    return postings


def by_term(postings: Postings) -> dict[str, dict[str, list[int]]]:
    return {
        name: {term: sorted(values) for term, values in terms.items()}
        for name, terms in postings.each_by_term()
        if terms
    }


def by_rows(marc: bytes) -> bytes:
    """A row as the program wrote it before: a list of postings by term."""
    postings = many(marc, 0)
    return msgspec.msgpack.encode(
        [
            (IDS[name], term, postings.displays.get(name, {}).get(term), values)
            for name, terms in by_term(postings).items()
            for term, values in terms.items()
        ]
    )


@pytest.mark.parametrize("marc", BOOKS)
def test_a_row_has_what_a_load_brings_to_the_index(marc: bytes) -> None:
    expected = many(marc)
    for entries in (pack(one(marc), IDS), by_rows(marc)):
        found = Postings()
        add_row(found, PLACE, unpack(entries), NAMES)
        assert by_term(found) == by_term(expected)
        assert found.displays == expected.displays


def test_a_row_of_a_deleted_record_has_nothing() -> None:
    found = Postings()
    add_row(found, PLACE, unpack(b""), NAMES)
    assert by_term(found) == {}


def changes(before: bytes, after: bytes) -> tuple[Postings, Postings]:
    new = one(after)
    row = unpack(pack(new, IDS, one(before, new)))
    removed, added = Postings(), Postings()
    assert add_changes(removed, added, PLACE, row, NAMES)
    whole = Postings()
    add_row(whole, PLACE, row, NAMES)
    assert by_term(whole) == by_term(many(after))  # whatever was there before
    return removed, added


@pytest.mark.parametrize("before", BOOKS)
@pytest.mark.parametrize("after", BOOKS)
def test_changes_lead_from_one_version_to_the_other(before: bytes, after: bytes) -> None:
    removed, added = changes(before, after)
    was, becomes = by_term(many(before)), by_term(many(after))
    gone, come = by_term(removed), by_term(added)
    for name in {*was, *becomes}:
        old, new = was.get(name, {}), becomes.get(name, {})
        differ = {term for term in {*old, *new} if old.get(term) != new.get(term)}
        assert gone.get(name, {}) == {term: old[term] for term in differ if term in old}
        assert come.get(name, {}) == {term: new[term] for term in differ if term in new}


def test_a_term_that_stays_at_another_place_is_told_whole() -> None:
    removed, added = changes(book("w1", "red dream red"), book("w1", "red dream"))
    at = PLACE << PLACE_SHIFT
    assert removed.by_term("title") == {"red": [at + 1, at + 3], END: [at + 4]}
    assert added.by_term("title") == {"red": [at + 1], END: [at + 3]}


def test_only_a_row_that_tells_changes_is_asked_for_them() -> None:
    assert not add_changes(Postings(), Postings(), 0, unpack(pack(one(BOOKS[0]), IDS)), NAMES)
    assert not add_changes(Postings(), Postings(), 0, unpack(by_rows(BOOKS[0])), NAMES)
    assert not add_changes(Postings(), Postings(), 0, unpack(b""), NAMES)


@pytest.fixture
def writer(tmp_path: Path) -> CatalogueWriter:
    return CatalogueWriter(tmp_path, DATABASES, durable=False, merge_after_records=None)


def test_a_merge_looks_at_no_former_version_that_a_row_tells_of(
    writer: CatalogueWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(writer, book("n1", "Physics of red"))
    put(writer, chinese_book("n1", "红楼梦"), "cn_cat")
    writer.merge()
    put(writer, book("n1", "Physics of red, red"))
    put(writer, book("n1", "Physics, of blue"))  # from the version that is in the index
    put(writer, chinese_book("n1", "红楼之梦"), "cn_cat")
    with monkeypatch.context() as patch:
        patch.setattr(CatalogueWriter, "index", None)
        writer.merge()
    assert check(writer.connection) == []


def test_rows_that_were_written_before_are_merged(writer: CatalogueWriter) -> None:
    record_id = put(writer, BOOKS[0])
    other_id = put(writer, BOOKS[1])
    writer.merge()
    put(writer, book("w1", "Blue dream, red"))
    writer.delete(other_id)
    put(writer, book("w9", "New"))
    for number, marc in ((record_id, book("w1", "Blue dream, red")), (3, book("w9", "New"))):
        old = Postings()
        index_record(old, 0, parse(marc), MarcFamily.MARC21, "we_cat", ())
        rows = [
            (writer.register_ids[name], term, old.displays.get(name, {}).get(term), values)
            for name, terms in old.each_by_term()
            for term, values in terms.items()
        ]
        writer.connection.execute(
            "UPDATE delta SET entries = ? WHERE record_id = ?",
            (msgspec.msgpack.encode(rows), number),
        )
    assert check(writer.connection) == []
    assert writer.merge() == 0
    assert check(writer.connection) == []


def test_a_version_that_cannot_be_indexed_is_replaced_all_the_same(
    writer: CatalogueWriter,
) -> None:
    record_id = put(writer, BOOKS[0])
    writer.merge()
    whole = writer.connection.execute("SELECT marc FROM record").fetchone()[0]
    writer.connection.execute("UPDATE record SET marc = ?", (whole[:30],))
    put(writer, book("w1", "Whole again"))
    row = writer.connection.execute("SELECT entries FROM delta").fetchone()
    assert unpack(row[0]).removed is None
    writer.connection.execute(
        "UPDATE record_version SET marc = ? WHERE record_id = ?", (whole, record_id)
    )
    assert writer.merge() == 0
    assert check(writer.connection) == []


def row_of(title: str, *subjects: str) -> bytes:
    return pack(one(book("w1", title, subjects=subjects)), IDS)


def test_a_register_is_made_of_what_there_is_whenever_it_is_asked_for() -> None:
    delta = DeltaSegment()
    delta.put(1, 10, row_of("red", "moon"))
    assert list(delta.records(TITLE, "red")) == [10]
    delta.put(2, 11, row_of("red sky", "moon"))
    delta.put(3, 10, row_of("blue", "stars"))  # the title was asked for, the subject was not
    assert list(delta.records(TITLE, "red")) == [11]
    assert list(delta.records(TITLE, "blue")) == [10]
    assert list(delta.records(SUBJECT, "moon")) == [11]
    assert list(delta.records(SUBJECT, "stars")) == [10]
    assert {shard: list(at) for shard, at in delta.positions(TITLE, "sky").items()} == {
        0: [POSITION_STEP * 2 + 11]
    }
    assert delta.terms_in_order(TITLE) == ["blue", "red", "sky"]
    delta.put(4, 11, b"")
    assert delta.terms_in_order(TITLE) == ["blue"]
    assert list(delta.touched) == [10, 11]
    assert len(delta) == 2


def test_a_row_is_unpacked_once_for_several_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked: list[bytes] = []

    def counted(entries: bytes) -> DeltaRow:
        unpacked.append(entries)
        return unpack(entries)

    monkeypatch.setattr("store.reader._unpacked", lru_cache(_ROWS_UNPACKED_MAX)(counted))
    delta = DeltaSegment()
    delta.put(1, 10, row_of("red", "moon"))
    assert list(delta.records(TITLE, "red")) == [10]
    assert list(delta.records(SUBJECT, "moon")) == [10]
    assert len(unpacked) == 1
    delta.put(2, 10, row_of("blue", "sun"))
    assert list(delta.records(TITLE, "red")) == []
    assert list(delta.records(TITLE, "blue")) == [10]
    assert list(delta.records(SUBJECT, "sun")) == [10]
    assert len(unpacked) == 2


def test_what_is_merged_is_forgotten_and_the_rest_stays() -> None:
    delta = DeltaSegment()
    key = IDS[key_register("title")]
    for number in range(1, 6):
        delta.put(number, 10 * number, row_of(f"Word{number} same"))
    delta.bounds.terms_max = 100
    assert delta.display(key, "word1 same") == "Word1 same"
    assert list(delta.records_in(TITLE, TermRange("word"))) == [10, 20, 30, 40, 50]
    delta.forget_merged(3)
    assert list(delta.records(TITLE, "same")) == [40, 50]
    assert delta.terms_in_order(TITLE) == ["same", "word4", "word5"]
    assert delta.display(key, "word1 same") is None
    assert list(delta.touched) == [40, 50]
    delta.put(6, 40, row_of("Changed"))
    assert list(delta.records(TITLE, "same")) == [50]
    delta.forget_merged(9)
    assert not delta.touched
    assert delta.terms_in_order(TITLE) == []
    assert delta.last_sequence == 9


def test_a_record_changed_without_end_takes_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.reader._GONE_MAX", 20)
    delta = DeltaSegment()
    delta.put(1, 11, row_of("other"))
    for number in range(2, 200):
        delta.put(number, 10, row_of(f"word{number}"))
        if number % 3:
            assert list(delta.records(TITLE, f"word{number}")) == [10]
    assert delta.terms_in_order(TITLE) == ["other", "word199"]
    assert len(delta._in_turn) <= 25
