"""The catalogue as a worker asks it: databases, fetching, frozen sets, holdings, threads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.diagnostic import Bib1, Diagnostic
from protocol.iso2709 import Field, build, control_field, parse
from protocol.query import MASK_ANY, Clause, ResultSetRef, SortSpec
from protocol.record import Database, Holding, MarcFamily, StoredRecord
from store import catalogue as catalogue_module
from store.catalogue import SqliteCatalogue
from store.result_set import RecordSet
from store.sqlite import StoreError
from store.versions import with_marks
from tests.catalogue_records import DATABASES, LEADER, WESTERN, Library, book, chinese_book, put


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    library = Library(tmp_path)
    yield library
    library.close()


async def found(
    library: Library, clause: Clause, databases: tuple[Database, ...] = DATABASES
) -> list[int]:
    result = await library.catalogue.search(databases, clause, {})
    assert isinstance(result, RecordSet)
    return list(result.order)


async def test_database_names_compare_without_case_and_by_alias(library: Library) -> None:
    catalogue = library.catalogue
    assert catalogue.resolve(["WE_CAT"]) == (WESTERN,)
    assert catalogue.resolve(["Western", "we_cat"]) == (WESTERN,)
    assert catalogue.resolve(["Default"]) == DATABASES
    assert catalogue.resolve(["all", "cn_cat"]) == DATABASES
    assert catalogue.resolve(["nowhere"]) == Diagnostic(Bib1.DATABASE_UNAVAILABLE, "nowhere")


async def test_a_search_stays_within_its_databases(library: Library) -> None:
    western = put(library.writer, book("w1", "Dream of the Red Chamber"))
    chinese = put(library.writer, chinese_book("c1", "Dream 红楼梦"), "cn_cat")
    clause = Clause("title", "dream")
    for _ in range(2):
        assert await found(library, clause) == [western, chinese]
        assert await found(library, clause, DATABASES[:1]) == [western]
        assert await found(library, clause, DATABASES[1:]) == [chinese]
        assert library.catalogue.totals() == {"we_cat": 1, "cn_cat": 1}
        library.merge()


async def test_a_stored_record_is_found_at_once(library: Library) -> None:
    assert await found(library, Clause("title", "chamber")) == []
    record_id = put(library.writer, book("w1", "Dream of the Red Chamber"))
    assert await found(library, Clause("title", "chamber")) == [record_id]


async def test_a_replaced_record_is_found_by_its_new_words_only(library: Library) -> None:
    for merge_between in (False, True):
        record_id = put(library.writer, book("w1", "The old title"))
        if merge_between:
            library.merge()
        assert put(library.writer, book("w1", "The new title")) == record_id
        assert await found(library, Clause("title", "old")) == []
        assert await found(library, Clause("title", "new")) == [record_id]
        library.merge()
        assert await found(library, Clause("title", "old")) == []
        assert await found(library, Clause("title", "new")) == [record_id]


async def test_a_result_set_keeps_its_positions_while_records_change(library: Library) -> None:
    ids = [put(library.writer, book(f"w{n}", "Physics")) for n in range(4)]
    result = await library.catalogue.search(DATABASES, Clause("title", "physics"), {})
    assert isinstance(result, RecordSet)
    library.writer.delete(ids[1])
    put(library.writer, book("w9", "Physics"))
    library.merge()
    assert list(result.order) == ids
    assert result.ids(2, 1) == (ids[1],)
    records = await library.catalogue.fetch(ids)
    assert [record.deleted for record in records if record] == [False, True, False, False]
    refined = await library.catalogue.search(DATABASES, ResultSetRef("first"), {"first": result})
    assert isinstance(refined, RecordSet)
    assert list(refined.order) == ids


async def test_positions_outside_a_set_are_out_of_range(library: Library) -> None:
    for number in range(3):
        put(library.writer, book(f"w{number}", "Physics"))
    result = await library.catalogue.search(DATABASES, Clause("title", "physics"), {})
    assert isinstance(result, RecordSet)
    assert list(result.ids(2, 2)) == [2, 3]  # type: ignore[arg-type]
    assert list(result.ids(4, 0)) == []  # type: ignore[arg-type]
    for start, count in ((0, 1), (3, 2), (4, 1), (1, -1)):
        assert result.ids(start, count) == Diagnostic(Bib1.PRESENT_OUT_OF_RANGE, str(start))


async def test_records_come_back_as_they_were_stored(library: Library) -> None:
    marc = with_marks(parse(book("w1", "Physics")), "w1", "", "20240131120000.0")
    record_id = put(library.writer, marc)
    records = await library.catalogue.fetch([record_id, 999, record_id])
    assert records[1] is None
    assert records[0] is not None
    assert (records[0].marc, records[0].control_number) == (marc, "w1")
    assert records[0].database == WESTERN
    other_id = put(library.writer, book("w2", "Chemistry"))
    for wanted in ([other_id, record_id], [record_id, other_id, record_id, 999], [other_id], []):
        found = await library.catalogue.fetch(wanted)
        ids = [record.record_id if record is not None else 999 for record in found]
        assert ids == wanted
    many = await library.catalogue.fetch([record_id] * 600)
    assert all(record is not None and record.marc == marc for record in many)


async def test_a_record_without_005_comes_with_the_time_when_it_was_stored(
    library: Library,
) -> None:
    agency = build(LEADER, [Field("001", "w2"), Field("003", "X"), Field("245", "00\x1faT")])
    for marc, tags in ((book("w1", "T"), ["001", "005", "245"]), (agency, ["001", "003", "005"])):
        stored = library.writer.put("we_cat", marc, at_us=1_700_000_000_000_000)
        assert isinstance(stored, StoredRecord)
        (came,) = await library.catalogue.fetch([stored.record_id])
        assert came is not None
        assert [field.tag for field in parse(came.marc).fields][:3] == tags
        assert control_field(came.marc, "005") == "20231115061320.0"


async def test_holdings_come_by_record(library: Library) -> None:
    record_id = put(library.writer, book("w1", "Physics"))
    other_id = put(library.writer, book("w2", "Chemistry"))
    held = Holding("PKU", record_id, "O4/12", 3, "Main", ("B1", "B2"))
    assert library.writer.put_holding(held)
    assert library.writer.put_holding(Holding("THU", record_id))
    holdings = await library.catalogue.holdings([record_id, other_id])
    assert holdings == {record_id: [held, Holding("THU", record_id)]}
    assert await found(library, Clause("possessing_institution", "pku")) == [record_id]
    assert library.writer.remove_holding("PKU", record_id)
    assert await found(library, Clause("possessing_institution", "pku")) == []
    assert await found(library, Clause("title", "physics")) == [record_id]


async def test_a_wide_question_is_answered_in_a_thread(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [put(library.writer, book(f"w{number}", f"word{number}")) for number in range(12)]
    library.merge()
    ids.append(put(library.writer, book("w99", "word99")))
    monkeypatch.setattr(catalogue_module, "INLINE_TERMS_MAX", 4)
    clause = Clause("title", "word" + MASK_ANY)
    assert await found(library, clause) == ids
    assert await found(library, Clause("title", MASK_ANY + "9")) == [ids[9], ids[12]]
    monkeypatch.setattr(catalogue_module, "TERMS_MAX", 8)
    result = await library.catalogue.search(DATABASES, clause, {})
    assert result == Diagnostic(Bib1.TOO_MANY_INDEX_TERMS)


async def test_two_catalogues_see_the_same_changes(library: Library) -> None:
    other = SqliteCatalogue(library.directory)
    record_id = put(library.writer, book("w1", "Physics"))
    for catalogue in (other, library.catalogue):
        result = await catalogue.search(DATABASES, Clause("title", "physics"), {})
        assert isinstance(result, RecordSet)
        assert list(result.order) == [record_id]
    other.close()


async def test_a_sort_over_threads_gives_the_same_order(library: Library) -> None:
    for number, title in enumerate(("Chemistry", "Astronomy", "Botany")):
        put(library.writer, book(f"w{number}", title, note="science"))
    result = await library.catalogue.search(DATABASES, Clause("any", "science"), {})
    assert isinstance(result, RecordSet)
    in_order = await library.catalogue.sort([result], [SortSpec("title")])
    assert isinstance(in_order, RecordSet)
    assert list(in_order.order) == [2, 3, 1]


def test_a_catalogue_must_exist(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no catalogue"):
        SqliteCatalogue(tmp_path)


async def test_a_database_added_later_is_searched(tmp_path: Path) -> None:
    library = Library(tmp_path)
    library.close()
    more = (*DATABASES, Database("ru_cat", "Russian", MarcFamily.UNIMARC))
    with_more = catalogue_module.SqliteCatalogue(tmp_path)
    assert len(with_more.totals()) == 2
    with_more.close()
    from store.writer import CatalogueWriter

    writer = CatalogueWriter(tmp_path, more)
    put(writer, chinese_book("r1", "Мастер и Маргарита"), "ru_cat")
    catalogue = SqliteCatalogue(tmp_path)
    assert catalogue.totals() == {"we_cat": 0, "cn_cat": 0, "ru_cat": 1}
    catalogue.close()
    writer.close()
