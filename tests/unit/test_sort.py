"""Sort: several keys, directions, missing values, changed records, several sets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.diagnostic import Bib1, Diagnostic
from protocol.query import Clause, SortSpec
from store import sort as sort_module
from store.result_set import RecordSet
from tests.catalogue_records import DATABASES, Library, book, chinese_book, put

BOOKS = (
    ("b", "Botany", "Zed, A.", "2001"),
    ("a", "Astronomy", "Young, B.", "1999"),
    ("c", "Chemistry", "Young, B.", ""),
    ("d", "Dance", "", "1999"),
)


@pytest.fixture(params=["merged", "delta", "half"])
def library(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path)
    for index, (number, title, author, year) in enumerate(BOOKS):
        put(library.writer, book(number, title, author=author, year=year, note="science"))
        if request.param == "half" and index == 1:
            library.merge()
    if request.param == "merged":
        library.merge()
    yield library
    library.close()


def find(library: Library, term: str) -> RecordSet:
    result = asyncio.run(library.catalogue.search(DATABASES, Clause("any", term), {}))
    assert isinstance(result, RecordSet)
    return result


def ordered(library: Library, *keys: SortSpec, sets: Sequence[RecordSet] = ()) -> str | Diagnostic:
    async def ask() -> str | Diagnostic:
        chosen = sets or [
            result
            for result in [await library.catalogue.search(DATABASES, Clause("any", "science"), {})]
            if isinstance(result, RecordSet)
        ]
        result = await library.catalogue.sort(chosen, keys)
        if isinstance(result, Diagnostic):
            return result
        records = await library.catalogue.fetch(list(result.order))
        return "".join(record.control_number for record in records if record is not None)

    return asyncio.run(ask())


def test_one_key_orders_both_ways(library: Library) -> None:
    assert ordered(library, SortSpec("title")) == "abcd"
    assert ordered(library, SortSpec("title", descending=True)) == "dcba"


def test_the_second_key_decides_among_equals(library: Library) -> None:
    assert ordered(library, SortSpec("date"), SortSpec("title", descending=True)) == "dabc"
    assert ordered(library, SortSpec("author"), SortSpec("date")) == "acbd"


CASES = (
    ("1", "apple pie", "SMITH, J."),
    ("2", "APPLE PIE", "smith, j."),
    ("3", "Banana", "Smith, J."),
    ("4", "Apple pie", ""),
    ("5", "apple pie", "smith, j."),
)


@pytest.fixture(params=["merged", "delta"])
def cases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path)
    for number, title, author in CASES:
        put(library.writer, book(number, title, author=author, note="science"))
    if request.param == "merged":
        library.merge()
    yield library
    library.close()


def test_case_is_told_apart_where_the_key_says_so(cases: Library) -> None:
    cased = SortSpec("title", case_sensitive=True)
    assert ordered(cases, SortSpec("title")) == "12453"
    assert ordered(cases, cased) == "24153"
    assert ordered(cases, replace(cased, descending=True)) == "31542"
    author = SortSpec("author", case_sensitive=True, missing="low")
    assert ordered(cases, author) == "41325"
    assert ordered(cases, author, cased) == "41325"
    assert ordered(cases, SortSpec("author", missing="low"), cased) == "42153"
    assert ordered(cases, SortSpec("date", case_sensitive=True)) == "12345"


def test_case_of_very_many_equal_records_is_left_aside(
    cases: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    cased = SortSpec("title", case_sensitive=True)
    monkeypatch.setattr(sort_module, "CASED_RECORDS_INLINE_MAX", 3)
    assert ordered(cases, cased) == "24153"  # in a thread
    monkeypatch.setattr(sort_module, "CASED_RECORDS_MAX", 3)
    assert ordered(cases, cased) == "12453"


def test_equal_records_keep_their_order(library: Library) -> None:
    backwards = RecordSet(find(library, "science").records, find(library, "science").order[::-1])
    assert ordered(library, SortSpec("date"), sets=[backwards]) == "dabc"


@pytest.mark.parametrize(
    ("missing", "order"),
    [("high", "adbc"), ("low", "cadb"), ("omit", "adb"), ("=2000", "adcb"), ("=1999", "acdb")],
)
def test_records_without_the_value_go_where_the_client_says(
    library: Library, missing: str, order: str
) -> None:
    assert ordered(library, SortSpec("date", missing=missing)) == order


@pytest.mark.parametrize("merged", [True, False])
@pytest.mark.parametrize(
    ("missing", "order"),
    # By Pinyin: cao, lu, mao, and what is given for the one without an author.
    [("=巴金", "ncml"), ("=李白", "cnml"), ("=鲁班", "cnml"), ("=曾国藩", "cmln"), ("=Zz", "cmln")],
)
def test_a_chinese_value_for_a_missing_one_stands_where_pinyin_puts_it(
    tmp_path: Path, missing: str, order: str, merged: bool
) -> None:
    library = Library(tmp_path)
    for number, author in (("l", "茅盾"), ("n", ""), ("m", "鲁迅"), ("c", "曹雪芹")):
        put(library.writer, chinese_book(number, "文学", author), "cn_cat")
    if merged:
        library.merge()
    found = find(library, "文学")
    assert ordered(library, SortSpec("author", missing=missing), sets=[found]) == order
    library.close()


def test_a_changed_record_moves(library: Library) -> None:
    put(library.writer, book("d", "Beekeeping", note="science"))
    assert ordered(library, SortSpec("title")) == "adbc"
    put(library.writer, book("b", "Botany", note="science"))
    assert ordered(library, SortSpec("title")) == "adbc"
    library.merge()
    assert ordered(library, SortSpec("title")) == "adbc"


def test_several_sets_become_one_without_repeats(library: Library) -> None:
    young, science = find(library, "young"), find(library, "science")
    assert ordered(library, SortSpec("title"), sets=[young, science]) == "abcd"


def test_what_cannot_be_sorted_is_a_diagnostic(library: Library) -> None:
    title = SortSpec("title")
    assert ordered(library, SortSpec("isbn")) == Diagnostic(Bib1.SORT_SEQUENCE_UNSUPPORTED, "isbn")
    assert ordered(library, title, title) == Diagnostic(Bib1.DUPLICATE_SORT_KEYS, "title")
    assert ordered(library, *[title] * 9) == Diagnostic(Bib1.TOO_MANY_SORT_KEYS, "9")
    assert ordered(library, SortSpec("date", missing="fail")) == Diagnostic(
        Bib1.ILLEGAL_SORT, "date"
    )
    assert ordered(library, SortSpec("date", missing="?")) == Diagnostic(
        Bib1.MISSING_DATA_ACTION_UNSUPPORTED, "?"
    )


def test_nothing_sorts_to_nothing(library: Library) -> None:
    assert ordered(library, SortSpec("title"), sets=[find(library, "nowhere")]) == ""


RANKS = st.lists(
    st.one_of(st.integers(-9, 9), st.integers(-(1 << 61), 1 << 61), st.just(1 << 60)), max_size=80
)


@given(RANKS)
def test_equal_ranks_keep_their_order_however_large_they_are(numbers: list[int]) -> None:
    ranks = np.array(numbers, np.int64)
    positions = sort_module._in_order(ranks).tolist()
    assert positions == sorted(range(len(numbers)), key=numbers.__getitem__)
