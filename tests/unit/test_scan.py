"""Scan: order, counts, positions and steps, over merged and changed records alike."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.access_point import Kind
from protocol.diagnostic import Bib1, Diagnostic
from protocol.query import Clause
from store import analysis
from store.interface import ScanResult
from store.result_set import RecordSet
from store.scan import _start_term
from tests.catalogue_records import DATABASES, Library, book, chinese_book, put

TITLES = ("Alpha beta", "Beta gamma", "Delta", "Gamma delta", "Omega")


@pytest.fixture(params=["merged", "delta", "half"])
def library(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path)
    put(library.writer, book("w0", "Zeta"))
    for number, title in enumerate(TITLES):
        put(library.writer, book(f"w{number}", title))
        if request.param == "half" and number == 2:
            library.merge()
    put(library.writer, chinese_book("c1", "Gamma 红楼"), "cn_cat")
    if request.param == "merged":
        library.merge()
    yield library
    library.close()


def scan(
    library: Library,
    term: str,
    *,
    count: int = 10,
    position: int = 1,
    step_size: int = 0,
    phrases: bool = False,
    access_point: str = "title",
    databases: int = 1,
) -> tuple[list[tuple[str, int]], int]:
    result = asyncio.run(
        library.catalogue.scan(
            DATABASES[:databases],
            access_point,
            term,
            count=count,
            position=position,
            step_size=step_size,
            phrases=phrases,
        )
    )
    assert isinstance(result, ScanResult)
    return [(entry.display, entry.occurrences) for entry in result.entries], result.position


WORDS = [("alpha", 1), ("beta", 2), ("delta", 2), ("gamma", 2), ("omega", 1)]


def test_words_come_in_order_with_the_records_that_have_them(library: Library) -> None:
    assert scan(library, "a") == (WORDS, 1)
    assert scan(library, "beta", count=2) == (WORDS[1:3], 1)
    assert scan(library, "bz", count=2) == (WORDS[2:4], 1)
    assert scan(library, "") == (WORDS, 1)


@pytest.mark.parametrize(
    ("term", "position", "entries", "reported"),
    [
        ("delta", 2, WORDS[1:4], 2),
        ("delta", 3, WORDS[0:3], 3),
        ("delta", 4, WORDS[0:2], 3),  # the whole answer lies before the start term
        ("delta", 0, WORDS[3:5], 0),  # and after it
        ("alpha", 3, WORDS[0:1], 1),  # the list begins there
        ("omega", 1, WORDS[4:5], 1),  # and ends here
        ("zzz", 2, WORDS[4:5], 2),
        ("zzz", 1, [], 1),
    ],
)
def test_the_start_term_stands_where_it_is_wished(
    library: Library, term: str, position: int, entries: list[tuple[str, int]], reported: int
) -> None:
    assert scan(library, term, count=3, position=position) == (entries, reported)


def test_steps_pass_terms_over_in_both_directions(library: Library) -> None:
    assert scan(library, "alpha", step_size=1) == (WORDS[::2], 1)
    assert scan(library, "delta", count=3, position=2, step_size=1) == (WORDS[::2], 2)
    assert scan(library, "alpha", count=2, position=0, step_size=1) == (WORDS[2::2], 0)


def test_only_terms_of_the_databases_are_listed_and_counted(library: Library) -> None:
    assert scan(library, "gamma", count=1, databases=2)[0] == [("gamma", 3)]
    assert scan(library, "红", databases=1)[0] == []
    assert ("红楼", 1) in scan(library, "红", databases=2)[0]


def test_whole_fields_are_shown_as_they_are_written(library: Library) -> None:
    entries, _ = scan(library, "beta", count=2, phrases=True)
    assert entries == [("Beta gamma", 1), ("Delta", 1)]


def test_a_deleted_record_leaves_the_list(library: Library) -> None:
    library.writer.delete(5)  # Omega
    assert scan(library, "gamma") == ([("gamma", 2)], 1)


def test_identifiers_are_listed_as_they_are_normalised(library: Library) -> None:
    put(library.writer, book("w9", "Nine", isbn="0-306-40615-2"))
    entries, _ = scan(library, "0306", access_point="isbn")
    assert entries == [("9780306406157", 1)]


def test_any_lists_what_a_search_of_it_finds(library: Library) -> None:
    put(library.writer, book("w9", "Beta nine", note="A long note on betamax and beta"))
    put(library.writer, book("w8", "Eight", isbn="0-306-40615-2", subjects=("Beta",)))
    entries, position = scan(library, "beta", access_point="any", count=2)
    assert (entries, position) == ([("beta", 4), ("betamax", 1)], 1)
    for databases in (1, 2):
        terms, _ = scan(library, "", access_point="any", count=100, databases=databases)
        assert [term for term, _ in terms] == sorted(term for term, _ in terms)
        assert {"w9", "gamma"} < {term for term, _ in terms}
        for term, occurrences in terms:
            found = asyncio.run(
                library.catalogue.search(DATABASES[:databases], Clause("any", term), {})
            )
            assert isinstance(found, RecordSet)
            assert len(found) == occurrences, term
    backwards, position = scan(library, "beta", access_point="any", count=3, position=3)
    assert (backwards[-1], position) == (("beta", 4), 3)


def test_what_cannot_be_scanned_is_a_diagnostic(library: Library) -> None:
    def ask(access_point: str, count: int, position: int) -> object:
        return asyncio.run(
            library.catalogue.scan(DATABASES, access_point, "a", count=count, position=position)
        )

    assert ask("smell", 5, 1) == Diagnostic(Bib1.USE_ATTRIBUTE_UNSUPPORTED, "smell")
    assert ask("title", 5, 7) == Diagnostic(Bib1.SCAN_POSITION_UNSUPPORTED, "7")
    assert ask("title", 0, 1) == Diagnostic(Bib1.MALFORMED_SCAN, "0")


def test_a_database_that_is_filled_later_is_told_apart(tmp_path: Path) -> None:
    """As long as one has every record, counts need no look at who has them."""
    library = Library(tmp_path)
    put(library.writer, book("w0", "Gamma"))
    library.merge()
    assert scan(library, "gamma", databases=1)[0] == [("gamma", 1)]
    put(library.writer, book("w1", "Delta gamma"))
    put(library.writer, book("w0", "Omega"))
    assert scan(library, "gamma", databases=1)[0] == [("gamma", 1), ("omega", 1)]
    library.merge()
    put(library.writer, book("w0", "Gamma"))
    put(library.writer, book("w1", "Omega"))
    record = put(library.writer, chinese_book("c1", "Gamma 红楼"), "cn_cat")
    for _ in range(2):
        assert scan(library, "gamma", databases=1)[0] == [("gamma", 1), ("omega", 1)]
        assert scan(library, "gamma", databases=2)[0][0] == ("gamma", 2)
        found = library.catalogue.search_at_once(DATABASES[:1], Clause("title", "gamma"), {})
        assert isinstance(found, RecordSet)
        assert len(found) == 1
        library.merge()
    library.writer.delete(record)
    library.merge()
    assert scan(library, "gamma", databases=1)[0] == [("gamma", 1), ("omega", 1)]
    assert library.catalogue._filled(library.catalogue._begin()) == {DATABASES[0].name}
    library.close()


@given(st.text(st.characters(codec="ascii"), max_size=80))
def test_a_plain_word_begins_where_its_analysis_does(term: str) -> None:
    words = analysis.query_words(term, masks=False)
    found = _start_term(Kind.TEXT, term, whole_fields=False)
    assert found == (words[0][0] if words else "")
