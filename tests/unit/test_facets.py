"""Facets: which values the records of a set have, counted as a plain model counts them."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from protocol.diagnostic import Bib1, Diagnostic
from protocol.record import Holding
from store import facets as module
from store.facets import narrowing
from store.interface import FacetList, FacetTerm
from store.result_set import RecordSet
from tests.catalogue_records import DATABASES, Library, book, chinese_book, put

NAMES = ("Lu, Xun", "Ba, Jin", "Lao, She", "Cao, Yu", "Bing, Xin")
SUBJECTS = ("Drama", "Fiction", "China History", "Essays")
YEARS = ("1999", "2001", "2004")
HOLDERS = ("PKU", "THU")

BOOK = st.tuples(
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(SUBJECTS), max_size=3, unique=True),
    st.sampled_from(YEARS),
    st.sets(st.sampled_from(HOLDERS)),
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
    monkeypatch.setattr(module, "_UNIQUE_VALUES_MAX", 0)
    assert counted(library, EVERYTHING, "author") == before


@given(
    st.lists(BOOK, max_size=14),
    st.integers(0, 14),
    st.dictionaries(st.integers(0, 13), BOOK | st.none(), max_size=6),
    st.sets(st.integers(0, 13)),
    st.booleans(),
    st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_counts_are_those_of_a_plain_count(
    books: list[tuple[str, list[str], str, set[str]]],
    merged: int,
    changes: dict[int, tuple[str, list[str], str, set[str]] | None],
    chosen: set[int],
    by_count: bool,
    stride: int,
) -> None:
    """Some records merged, some not, some changed or deleted since: it makes no difference."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_STRIDE", stride)
        library = Library(Path(folder))
        model = dict(enumerate(books))
        ids = {}

        def store(number: int, author: str, subjects: list[str], year: str, has: set[str]) -> None:
            marc = book(str(number), "T", author=author, subjects=subjects, year=year)
            ids[number] = put(library.writer, marc)
            for institution in HOLDERS:
                if institution in has:
                    library.writer.put_holding(Holding(institution, ids[number]))
                else:
                    library.writer.remove_holding(institution, ids[number])

        for number, each in enumerate(books):
            store(number, *each)
            if number == merged:
                library.merge()
        for number, change in changes.items():
            if number not in model:
                continue
            if change is None:
                library.writer.delete(ids[number])
                del model[number]
            else:
                model[number] = change
                store(number, *change)
        records = RecordSet(BitMap([ids[number] for number in chosen if number in model]))
        members = [model[number] for number in chosen if number in model]
        expected = {
            "author": Counter(author for author, _, _, _ in members),
            "subject": Counter(subject for _, subjects, _, _ in members for subject in subjects),
            "date": Counter(year for _, _, year, _ in members),
            "possessing_institution": Counter(
                has.lower() for _, _, _, holders in members for has in holders
            ),
        }
        for access_point, counts in expected.items():
            found = counted(library, records, access_point, by_count=by_count)
            assert dict(pairs(found)) == counts
            assert found.total == len(counts)
            order = [(-each.count if by_count else 0, each.term) for each in found.terms]
            assert order == sorted(order)
            page = counted(library, records, access_point, limit=2, start=1, by_count=by_count)
            assert page.terms == found.terms[1:3]
            for each in found.terms:
                query = narrowing(access_point, each.term)
                narrowed = asyncio.run(library.catalogue.search(DATABASES, query, {}))
                assert isinstance(narrowed, RecordSet)
                assert len(narrowed.records & records.records) == each.count
        library.close()
