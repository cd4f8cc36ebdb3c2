"""Facets: which values the records of a set have, counted as a plain model counts them."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from protocol.diagnostic import Bib1, Diagnostic
from protocol.record import Holding
from store import facets as module
from store import record_values, writer
from store.catalogue import SqliteCatalogue
from store.facets import narrowing
from store.interface import FacetList, FacetTerm
from store.reindex import reindex
from store.result_set import RecordSet
from store.sqlite import StoreError
from tests.catalogue_records import DATABASES, Library, back_to_schema, book, chinese_book, put

NAMES = ("Lu, Xun", "Ba, Jin", "Lao, She", "Cao, Yu", "Bing, Xin")
SUBJECTS = ("Drama", "Fiction", "China History", "Essays")
YEARS = ("1999", "2001", "2004")
HOLDERS = ("PKU", "THU")

Book = tuple[str, list[str], str]

NUMBER = st.integers(0, 11)
BOOK = st.tuples(
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(SUBJECTS), max_size=3, unique=True),
    st.sampled_from(YEARS),
)
STEP = st.one_of(
    st.tuples(st.just("store"), NUMBER, BOOK),
    st.tuples(st.just("delete"), NUMBER, st.none()),
    st.tuples(st.just("hold"), NUMBER, st.sampled_from(HOLDERS)),
    st.tuples(st.just("merge"), st.integers(1, 20), st.none()),
    st.tuples(st.just("ask"), st.sets(NUMBER), st.booleans()),
)


def counted(
    library: Library,
    records: RecordSet,
    access_point: str,
    *,
    limit: int = 100,
    start: int = 0,
    by_count: bool = True,
) -> FacetList:
    result = asyncio.run(
        library.catalogue.facets(records, access_point, limit=limit, start=start, by_count=by_count)
    )
    assert isinstance(result, FacetList)
    return result


def pairs(found: FacetList) -> list[tuple[str, int]]:
    return [(each.display, each.count) for each in found.terms]


@pytest.fixture(params=["merged", "delta", "half"])
def library(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path)
    for number, (author, year) in enumerate(
        [("Lu, Xun", "1999"), ("Ba, Jin", "1999"), ("Lu, Xun", "2001"), ("Cao, Yu", "1999")]
    ):
        put(library.writer, book(str(number), "Title", author=author, year=year))
        if request.param == "half" and number == 1:
            library.merge()
    put(library.writer, chinese_book("c", "呐喊", "鲁迅"), "cn_cat")
    if request.param == "merged":
        library.merge()
    yield library
    library.close()


EVERYTHING = RecordSet(BitMap(range(1, 6)))


def test_values_come_by_count_and_then_in_order(library: Library) -> None:
    found = counted(library, EVERYTHING, "author")
    assert pairs(found) == [("Lu, Xun", 2), ("Ba, Jin", 1), ("Cao, Yu", 1), ("鲁迅", 1)]
    assert found.total == 4
    assert pairs(counted(library, EVERYTHING, "date")) == [("1999", 3), ("2001", 1)]


def test_values_may_come_in_their_own_order(library: Library) -> None:
    found = counted(library, EVERYTHING, "author", by_count=False)
    assert pairs(found) == [("Ba, Jin", 1), ("Cao, Yu", 1), ("Lu, Xun", 2), ("鲁迅", 1)]


def test_a_page_of_values_tells_how_many_there_are(library: Library) -> None:
    found = counted(library, EVERYTHING, "author", limit=2, start=1)
    assert pairs(found) == [("Ba, Jin", 1), ("Cao, Yu", 1)]
    assert found.total == 4
    assert counted(library, EVERYTHING, "author", limit=5, start=9) == FacetList((), 4)
    assert counted(library, EVERYTHING, "date", limit=0) == FacetList((), 2)


def test_a_statement_of_responsibility_is_no_author(library: Library) -> None:
    put(library.writer, book("s", "Titled / by nobody", note="by nobody"))
    found = counted(library, RecordSet(BitMap(range(1, 9))), "author")
    assert "by nobody" not in [display for display, _ in pairs(found)]


def test_only_the_records_of_the_set_count(library: Library) -> None:
    assert pairs(counted(library, RecordSet(BitMap([1, 2])), "author")) == [
        ("Ba, Jin", 1),
        ("Lu, Xun", 1),
    ]
    assert counted(library, RecordSet(BitMap()), "author") == FacetList((), 0)
    assert counted(library, RecordSet(BitMap()), "language") == FacetList((), 0)


def test_codes_are_counted_as_indexed(library: Library) -> None:
    assert counted(library, EVERYTHING, "language").terms == (FacetTerm("eng", "eng", 4),)
    materials = dict(pairs(counted(library, EVERYTHING, "material_type")))
    assert materials == {"text": 5, "monograph": 5, "book": 5}


def test_what_has_no_facets_is_a_diagnostic(library: Library) -> None:
    async def ask(access_point: str) -> FacetList | Diagnostic:
        return await library.catalogue.facets(EVERYTHING, access_point, limit=5)

    assert asyncio.run(ask("colour")) == Diagnostic(Bib1.USE_ATTRIBUTE_UNSUPPORTED, "colour")
    assert asyncio.run(ask("isbn")) == Diagnostic(Bib1.SCAN_TERM_LIST_UNSUPPORTED, "isbn")


def test_many_values_are_counted_alike_either_way(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = counted(library, EVERYTHING, "author")
    monkeypatch.setattr(record_values, "_UNIQUE_VALUES_MAX", 0)
    assert counted(library, EVERYTHING, "author") == before


def test_a_large_set_is_counted_in_a_thread(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: counted(library, EVERYTHING, name) for name in ("author", "date")}
    monkeypatch.setattr(module, "_INLINE_RECORDS_MAX", 0)
    assert {name: counted(library, EVERYTHING, name) for name in before} == before


def test_no_more_is_passed_over_than_is_quick(library: Library) -> None:
    answer = library.catalogue.facets(EVERYTHING, "author", limit=1, start=2001)
    assert asyncio.run(answer) == Diagnostic(Bib1.PRESENT_OUT_OF_RANGE, "2001")


def test_merges_leave_the_values_of_other_records_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(tmp_path)
    for number in range(20):
        put(library.writer, book(str(number), "T", author=NAMES[number % 5]))
    library.merge()
    everything = RecordSet(BitMap(range(1, 21)))
    assert counted(library, everything, "author").total == 5
    made: list[str] = []
    monkeypatch.setattr(record_values, "_make_values", lambda *_: made.append("anew"))
    put(library.writer, book("3", "T", author="New, Name"))
    library.merge()
    found = counted(library, everything, "author")
    assert (found.total, ("New, Name", 1) in pairs(found)) == (6, True)
    assert not made
    library.close()


def test_values_are_made_anew_after_a_rebuilt_index(tmp_path: Path) -> None:
    library = Library(tmp_path)
    record_id = put(library.writer, book("1", "T", author="Lu, Xun"))
    library.merge()
    chosen = RecordSet(BitMap([record_id]))
    assert pairs(counted(library, chosen, "author")) == [("Lu, Xun", 1)]
    put(library.writer, book("1", "T", author="Ba, Jin"))
    reindex(library.writer, processes=1)
    assert pairs(counted(library, chosen, "author")) == [("Ba, Jin", 1)]
    library.close()


def test_a_catalogue_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    library = Library(tmp_path)
    put(library.writer, book("1", "T", author="Lu, Xun"))
    library.merge()
    back_to_schema(library.writer.connection, 1)
    library.close()
    with pytest.raises(StoreError, match="has schema 1"):
        SqliteCatalogue(tmp_path)
    library = Library(tmp_path)
    chosen = RecordSet(BitMap([1]))
    assert pairs(counted(library, chosen, "author")) == [("Lu, Xun", 1)]
    put(library.writer, book("1", "T", author="Ba, Jin"))
    library.merge()
    assert pairs(counted(library, chosen, "author")) == [("Ba, Jin", 1)]
    library.close()


def test_only_the_newest_merges_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MERGES_LOGGED", 3)
    library = Library(tmp_path)
    record_id = put(library.writer, book("0", "T", author="Lu, Xun"))
    chosen = RecordSet(BitMap([record_id]))
    library.merge()
    assert counted(library, chosen, "author").total == 1
    for number in range(1, 6):
        put(library.writer, book(str(number), "T"))
        library.merge()
    (rows,) = library.writer.connection.execute("SELECT count(*) FROM merged").fetchone()
    assert rows == 3
    assert pairs(counted(library, chosen, "author")) == [("Lu, Xun", 1)]
    library.close()


@given(st.lists(STEP, max_size=30), st.integers(0, 4))
@settings(max_examples=80, deadline=None)
def test_counts_are_those_of_a_plain_count(
    steps: list[tuple[str, Any, Any]], stale_max: int
) -> None:
    """Records come, change, go and are merged; every count agrees with the model."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_values, "STALE_MAX", stale_max)
        library = Library(Path(folder))
        model: dict[int, Book] = {}
        holders: dict[int, set[str]] = {}
        ids: dict[int, int] = {}
        for what, number, value in [*steps, ("ask", set(range(12)), True)]:
            if what == "store":
                author, subjects, year = model[number] = value
                marc = book(str(number), "T", author=author, subjects=subjects, year=year)
                ids[number] = put(library.writer, marc)
            elif what == "delete" and number in model:
                library.writer.delete(ids[number])
                del model[number]
            elif what == "hold" and number in model:
                library.writer.put_holding(Holding(value, ids[number]))
                holders.setdefault(number, set()).add(value)
            elif what == "merge":
                library.writer.merge(records_max=number)
            elif what == "ask":
                chosen = {each: ids[each] for each in number if each in model}
                agrees(library, model, holders, chosen, by_count=value)
        library.close()


def agrees(
    library: Library,
    model: dict[int, Book],
    holders: dict[int, set[str]],
    chosen: dict[int, int],
    *,
    by_count: bool,
) -> None:
    records = RecordSet(BitMap(chosen.values()))
    expected = {
        "author": Counter(model[number][0] for number in chosen),
        "subject": Counter(subject for number in chosen for subject in model[number][1]),
        "date": Counter(model[number][2] for number in chosen),
        "possessing_institution": Counter(
            code.lower() for number in chosen for code in holders.get(number, ())
        ),
    }
    for access_point, counts in expected.items():
        found = counted(library, records, access_point, by_count=by_count)
        assert dict(pairs(found)) == counts
        assert found.total == len(counts)
        order = [(-each.count if by_count else 0, each.term) for each in found.terms]
        assert order == sorted(order)
        page = counted(library, records, access_point, limit=2, start=1, by_count=by_count)
        assert page == FacetList(found.terms[1:3], found.total)
        for each in found.terms:
            query = narrowing(access_point, each.term)
            narrowed = asyncio.run(library.catalogue.search(DATABASES, query, {}))
            assert isinstance(narrowed, RecordSet)
            assert len(narrowed.records & records.records) == each.count
