"""The search page's addresses: read, meant and written again."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.diagnostic import SruDiagnostic, SruFault
from protocol.query import (
    MASK_ANY,
    Anchor,
    Boolean,
    Clause,
    Operator,
    Structure,
    clauses,
)
from server.catalogue_pages.query import (
    FACETS,
    FIELDS,
    SORTS,
    Search,
    is_sru,
    page_numbers,
    read_search,
)


def read(address: str) -> Search:
    parts = urlsplit(address)
    return read_search(parts.path.strip("/"), parse_qsl(parts.query))


TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Co", "Z"]), max_size=20
)


@given(
    st.sampled_from(["", "we_cat"]),
    st.lists(TEXT.filter(bool), max_size=4).map(" ".join),
    st.sampled_from(sorted(FIELDS)),
    st.sampled_from(sorted(SORTS)),
    st.integers(1, 999_999),
    st.lists(
        st.tuples(st.sampled_from(sorted(FACETS)), TEXT.filter(bool)), max_size=4, unique=True
    ),
)
def test_an_address_says_all_of_a_search(
    database: str, words: str, field: str, sort: str, page: int, picks: list[tuple[str, str]]
) -> None:
    search = Search(database, words, field, sort, page, tuple(picks))
    assert read(search.url) == search


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/", Search()),
        ("/?q=+red++sky+", Search(words="red sky")),
        ("/?q=x&in=colour&sort=size&page=-1", Search(words="x")),
        ("/?q=x&page=0", Search(words="x")),
        ("/?q=x&page=99999999999999999999", Search(words="x")),
        ("/?q=x&page=²", Search(words="x")),
        ("/?q=first&q=second", Search(words="first")),
        ("/?q=x&language=chi&language=chi&year=", Search(words="x", picks=(("language", "chi"),))),
        (f"/?q={MASK_ANY}x", Search(words="x")),
    ],
)
def test_what_is_not_understood_is_as_usual(address: str, expected: Search) -> None:
    assert read(address) == expected


def test_what_narrows_is_added_and_taken_back() -> None:
    search = Search("we_cat", "x", page=3).within("language", "eng").within("year", "1999")
    assert search.picks == (("language", "eng"), ("year", "1999"))
    assert search.page == 1
    assert search.without("language", "eng").picks == (("year", "1999"),)
    assert search.unpicked() == Search("we_cat", "x")
    assert search.in_all().database == ""


def test_words_are_all_wanted_and_quoted_ones_side_by_side() -> None:
    query = Search(words='knuth "art of" program*', field="subject").query()
    assert query == Boolean(
        Operator.AND,
        Clause("subject", f"knuth program{MASK_ANY}", ranked=True),
        Clause("subject", "art of", structure=Structure.PHRASE, ranked=True),
    )


def test_an_asterisk_means_something_only_at_the_end_of_a_word() -> None:
    (clause,) = clauses_of(Search(words="* a*b c++"))
    assert clause.term == "* a*b c++"


def clauses_of(search: Search) -> list[Clause]:
    query = search.query()
    assert not isinstance(query, SruFault)
    return list(clauses(query))


@pytest.mark.parametrize("words", ['"', '""', '" "', "!!!", "*"])
def test_words_that_are_none_still_make_a_query(words: str) -> None:
    assert clauses_of(Search(words=words))


def test_only_the_order_of_relevance_is_ranked() -> None:
    assert not clauses_of(Search(words="x", sort="title"))[0].ranked


def test_latin_letters_are_also_looked_for_as_pinyin() -> None:
    points = [clause.access_point for clause in clauses_of(Search(words="honglou", field="title"))]
    assert points == ["title", "title_pinyin"]
    assert len(clauses_of(Search(words="红楼", field="title"))) == 1


def test_numbers_may_have_blanks_or_be_several() -> None:
    terms = {clause.term for clause in clauses_of(Search(words="978 7", field="isn"))}
    assert terms == {"978 7", "978", "7"}
    assert {clause.structure for clause in clauses_of(Search(words="1", field="isn"))} == {
        Structure.KEY
    }


def test_a_class_is_looked_for_with_all_below_it() -> None:
    assert {clause.term for clause in clauses_of(Search(words="I24", field="class"))} == {
        f"I24{MASK_ANY}"
    }


def test_a_pick_is_the_whole_value() -> None:
    (clause,) = clauses_of(Search(picks=(("subject", "china history"),)))
    assert clause == Clause(
        "subject", "china history", structure=Structure.PHRASE, anchor=Anchor.COMPLETE
    )
    (clause,) = clauses_of(Search(picks=(("year", "1999"),)))
    assert clause == Clause("date", "1999", structure=Structure.KEY)


def test_cql_is_read_as_such_and_its_faults_are_told() -> None:
    fault = Search(words="title = ", field="cql").query()
    assert isinstance(fault, SruFault)
    assert fault.condition == SruDiagnostic.QUERY_SYNTAX_ERROR
    assert clauses_of(Search(words="dc.title = x", field="cql"))[0].access_point == "title"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], False),
        (["q", "in", "year", "lang"], False),
        (["q", "operation"], True),
        (["query"], True),
        (["scanClause"], True),
        (["x-info-2-auth1.0-authenticationToken"], True),
    ],
)
def test_parameters_of_sru_are_told_from_ours(names: list[str], expected: bool) -> None:
    assert is_sru(names) is expected


@pytest.mark.parametrize(
    ("page", "pages", "numbers"),
    [
        (1, 1, [1]),
        (1, 4, [1, 2, 3, 4]),
        (1, 9, [1, 2, 3, 0, 9]),
        (5, 9, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (6, 12, [1, 0, 4, 5, 6, 7, 8, 0, 12]),
        (12, 12, [1, 0, 10, 11, 12]),
    ],
)
def test_pages_to_link_to(page: int, pages: int, numbers: list[int]) -> None:
    assert page_numbers(page, pages) == numbers
