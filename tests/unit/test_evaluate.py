"""Queries on a small catalogue: every structure, anchor, relation and operator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.diagnostic import Bib1, Diagnostic
from protocol.iso2709 import Field, build
from protocol.query import (
    MASK_ANY,
    MASK_ONE,
    Anchor,
    Boolean,
    Clause,
    Operator,
    Proximity,
    ProximityUnit,
    Query,
    Relation,
    ResultSetRef,
    Structure,
)
from store.result_set import RecordSet
from tests.catalogue_records import DATABASES, Library, book, chinese_book, put

LONG_TITLE = "A history of " + " and ".join(f"matter{n}" for n in range(30))
BOOKS = {
    "red": book(
        "red",
        "Dream of the Red Chamber",
        author="Cao, Xueqin",
        isbn="9780140443714",
        year="1973",
        note="First published in Chinese",
    ),
    "stone": book(
        "stone",
        "The story of the stone",
        author="Cao, Xueqin",
        year="1986",
        subjects=("China -- Fiction", "Families"),
    ),
    "chamber": book(
        "chamber",
        "Chamber music, red and blue",
        author="Red, Ann",
        year="2003",
        subjects=("Chamber music", "Music theory"),
        isbn="0-306-40615-2",
    ),
    "history": book("history", LONG_TITLE, year="2010", subjects=("History",)),
    "short": book("short", "History", year="1999", note="A red history of the chamber"),
}
CHINESE = {
    "hlm": chinese_book("hlm", "红楼梦研究", "俞平伯"),
    "gd": chinese_book("gd", "古代漢語", "王力"),
    "mh": chinese_book("mh", "梦回红楼", "张三"),
}


@pytest.fixture(scope="module", params=["merged", "delta", "half"])
def library(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Library]:
    library = Library(tmp_path_factory.mktemp(request.param))
    for marc in BOOKS.values():
        put(library.writer, marc)
    if request.param == "half":
        library.merge()
    for marc in CHINESE.values():
        put(library.writer, marc, "cn_cat")
    if request.param == "merged":
        library.merge()
    yield library
    library.close()


def numbers(library: Library, query: Query) -> set[str] | Diagnostic:
    async def ask() -> set[str] | Diagnostic:
        result = await library.catalogue.search(DATABASES, query, {})
        if isinstance(result, Diagnostic):
            return result
        records = await library.catalogue.fetch(list(result.order))
        return {record.control_number for record in records if record is not None}

    return asyncio.run(ask())


PHRASE, ANY_WORD, KEY = Structure.PHRASE, Structure.ANY_WORD, Structure.KEY
FIRST, LAST, COMPLETE = Anchor.FIRST, Anchor.LAST, Anchor.COMPLETE


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        # Words
        (Clause("title", "red"), {"red", "chamber"}),
        (Clause("title", "RED chamber"), {"red", "chamber"}),
        (Clause("title", "red stone"), set()),
        (Clause("title", "red stone", structure=ANY_WORD), {"red", "stone", "chamber"}),
        (Clause("title", "nowhere"), set()),
        (Clause("title", ""), set()),
        (Clause("title", "..."), set()),
        # Pinyin: by syllables, joined in whole or in part, by initials
        (Clause("title_pinyin", "hong lou meng"), {"hlm", "mh"}),
        (Clause("title_pinyin", "hongloumeng"), {"hlm"}),
        (Clause("title_pinyin", "honglou"), {"hlm", "mh"}),
        (Clause("title_pinyin", "HongLou yanjiu"), {"hlm"}),
        (Clause("title_pinyin", "honglou nowhere", structure=ANY_WORD), {"hlm", "mh"}),
        (Clause("title_pinyin", "louhong"), set()),
        (Clause("title_pinyin", "honglou", anchor=FIRST), {"hlm"}),
        (Clause("title_pinyin", "honglou", structure=PHRASE, anchor=FIRST), {"hlm"}),
        (Clause("title_pinyin", "menghui honglou", structure=PHRASE), {"mh"}),
        (Clause("title_pinyin", "menghuihonglou", anchor=COMPLETE), {"mh"}),
        (Clause("title_pinyin", "menghui honglou", anchor=COMPLETE), {"mh"}),
        (Clause("title_pinyin", "honglou", anchor=COMPLETE), set()),
        (Clause("title_pinyin", f"menghui{MASK_ANY}"), {"mh"}),
        (Clause("title_pinyin", "mhhl"), {"mh"}),
        (Clause("author_pinyin", "yupingbo"), {"hlm"}),
        (Clause("author_pinyin", "pingbo"), {"hlm"}),
        # `any`: short texts, long texts, values
        (Clause("any", "red"), {"red", "chamber", "short"}),
        (Clause("any", "xueqin red"), {"red"}),
        (Clause("any", "published"), {"red"}),
        (Clause("any", "9780140443714"), {"red"}),
        (Clause("any", "978-0-14-044371-4"), {"red"}),
        (Clause("any", "1973"), {"red"}),
        (Clause("any", "red chamber", structure=PHRASE), {"red"}),
        (Clause("any", "red history", structure=PHRASE), {"short"}),
        (Clause("any", "red music", structure=PHRASE), set()),
        # Phrases
        (Clause("title", "red chamber", structure=PHRASE), {"red"}),
        (Clause("title", "chamber red", structure=PHRASE), set()),
        (Clause("subject", "music theory", structure=PHRASE), {"chamber"}),
        (Clause("subject", "music music", structure=PHRASE), set()),  # never across fields
        # Anchors
        (Clause("title", "dream", anchor=FIRST), {"red"}),
        (Clause("title", "red", anchor=FIRST), set()),
        (Clause("title", "red chamber", anchor=LAST), {"red"}),
        (Clause("title", "red", anchor=LAST), set()),
        (Clause("title", "history", anchor=COMPLETE), {"short"}),
        (Clause("subject", "Music theory", anchor=COMPLETE), {"chamber"}),
        (Clause("subject", "Music", anchor=COMPLETE), set()),
        (Clause("title", LONG_TITLE, anchor=COMPLETE), {"history"}),
        (Clause("title", LONG_TITLE + " more", anchor=COMPLETE), set()),
        (Clause("title", LONG_TITLE[:-4], anchor=COMPLETE), set()),
        (Clause("note", "A red history of the chamber", anchor=COMPLETE), {"short"}),
        (Clause("note", "A red history", anchor=COMPLETE), set()),
        (Clause("title", "history", structure=KEY), {"short"}),
        (Clause("any", "history", anchor=COMPLETE), {"short", "history"}),
        # The beginning of a field, to a character
        (Clause("title", "dream of the r" + MASK_ANY, structure=PHRASE, anchor=FIRST), {"red"}),
        (Clause("title", "red" + MASK_ANY, structure=PHRASE, anchor=FIRST), set()),
        (
            Clause("title", "A history of matt" + MASK_ANY, structure=PHRASE, anchor=FIRST),
            {"history"},
        ),
        (Clause("title", LONG_TITLE[:-3] + MASK_ANY, structure=PHRASE, anchor=FIRST), {"history"}),
        (Clause("note", "A red hist" + MASK_ANY, structure=PHRASE, anchor=FIRST), {"short"}),
        # Truncation and masks
        (Clause("title", "hist" + MASK_ANY), {"history", "short"}),
        (Clause("title", MASK_ANY + "ber"), {"red", "chamber"}),
        (Clause("title", MASK_ANY + "ambe" + MASK_ANY), {"red", "chamber"}),
        (Clause("title", f"st{MASK_ONE}{MASK_ONE}e"), {"stone"}),
        (Clause("title", f"st{MASK_ONE}e"), set()),
        (Clause("title", f"the st{MASK_ANY}", structure=PHRASE), {"stone"}),
        (Clause("title", f"r{MASK_ANY} chamb{MASK_ANY}", structure=PHRASE), {"red"}),
        (Clause("isbn", "978014" + MASK_ANY), {"red"}),
        # Chinese
        (Clause("title", "红楼"), {"hlm", "mh"}),
        (Clause("title", "紅樓夢"), {"hlm"}),
        (Clause("title", "梦"), {"hlm", "mh"}),
        (Clause("title", "红楼梦研究"), {"hlm"}),
        (Clause("title", "研究 红楼"), {"hlm"}),
        (Clause("title", "古代汉语"), {"gd"}),
        (Clause("title", "红楼", anchor=FIRST), {"hlm"}),
        (Clause("title", "红楼", anchor=LAST), {"mh"}),
        (Clause("any", "王力"), {"gd"}),
        (Clause("any", "梦研究"), {"hlm"}),
        # Values
        (Clause("isbn", "0-306-40615-2"), {"chamber"}),
        (Clause("isbn", "9780306406157"), {"chamber"}),
        (Clause("control_number", "red"), {"red"}),
        (Clause("date", "1973"), {"red"}),
        (Clause("date", "1986", Relation.LESS), {"red"}),
        (Clause("date", "1986", Relation.LESS_OR_EQUAL), {"red", "stone"}),
        (Clause("date", "2003", Relation.GREATER), {"history"}),
        (Clause("date", "2003", Relation.GREATER_OR_EQUAL), {"history", "chamber"}),
        (Clause("date", "1980 2003", Relation.WITHIN), {"stone", "short", "chamber"}),
        (Clause("date", "1973", Relation.NOT_EQUAL), {"stone", "chamber", "history", "short"}),
        (Clause("isbn", "", Relation.ALWAYS), {"red", "chamber"}),
        (Clause("any", "", Relation.ALWAYS), {*BOOKS, *CHINESE}),
        (Clause("author", "d", Relation.LESS), {"red", "stone"}),
    ],
)
def test_a_clause_finds_what_it_says(library: Library, clause: Clause, expected: set[str]) -> None:
    assert numbers(library, clause) == expected


def both(left: Query, right: Query) -> Query:
    return Boolean(Operator.AND, left, right)


RED, STONE, CAO = Clause("title", "red"), Clause("title", "stone"), Clause("author", "cao")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (both(RED, CAO), {"red"}),
        (Boolean(Operator.OR, RED, STONE), {"red", "stone", "chamber"}),
        (Boolean(Operator.AND_NOT, RED, CAO), {"chamber"}),
        (Boolean(Operator.AND_NOT, CAO, both(RED, STONE)), {"red", "stone"}),
        (Boolean(Operator.OR, both(RED, STONE), both(CAO, STONE)), {"stone"}),
        (both(both(STONE, RED), both(RED, CAO)), set()),
        (both(Clause("title", "nowhere"), Boolean(Operator.OR, RED, STONE)), set()),
    ],
)
def test_operators_combine_operands(library: Library, query: Query, expected: set[str]) -> None:
    assert numbers(library, query) == expected


@pytest.mark.parametrize("leans_left", [True, False])
def test_five_hundred_levels_are_answered(library: Library, leans_left: bool) -> None:
    def deeper(query: Query, level: int) -> Query:
        operator = Operator.AND if level % 2 else Operator.OR
        return Boolean(operator, query, RED) if leans_left else Boolean(operator, RED, query)

    query: Query = CAO
    for level in range(500):
        query = deeper(query, level)
    assert numbers(library, query) == {"red", "chamber"}


def near(
    left: Query,
    right: Query,
    distance: int = 1,
    *,
    ordered: bool = False,
    exclusion: bool = False,
    relation: Relation = Relation.LESS_OR_EQUAL,
    unit: ProximityUnit = ProximityUnit.WORD,
) -> Boolean:
    return Boolean(Proximity(distance, relation, unit, ordered, exclusion), left, right)


DREAM, CHAMBER, OF = Clause("title", "dream"), Clause("title", "chamber"), Clause("title", "of")
MUSIC, THEORY = Clause("subject", "music"), Clause("subject", "theory")
SUBJECT_CHAMBER = Clause("subject", "chamber")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (near(RED, CHAMBER), {"red"}),
        (near(CHAMBER, RED), {"red"}),
        (near(CHAMBER, RED, ordered=True), set()),
        (near(CHAMBER, RED, 2), {"red", "chamber"}),
        (near(CHAMBER, RED, 2, relation=Relation.EQUAL), {"chamber"}),
        (near(CHAMBER, RED, 1, relation=Relation.GREATER), {"chamber"}),
        (near(DREAM, CHAMBER, 3), set()),
        (near(DREAM, CHAMBER, 4, ordered=True), {"red"}),
        (near(near(DREAM, OF), CHAMBER, 3), {"red"}),
        (near(Boolean(Operator.OR, RED, Clause("title", "music")), CHAMBER), {"red", "chamber"}),
        (near(RED, CHAMBER, exclusion=True), {"chamber"}),
        (near(SUBJECT_CHAMBER, THEORY, 50), set()),  # in another field
        (near(MUSIC, THEORY, 0, unit=ProximityUnit.FIELD), {"chamber"}),
        (near(SUBJECT_CHAMBER, THEORY, 0, unit=ProximityUnit.FIELD), set()),
        (near(SUBJECT_CHAMBER, THEORY, 1, unit=ProximityUnit.FIELD), {"chamber"}),
        (near(Clause("any", "red"), Clause("any", "chamber")), {"red"}),
        (near(Clause("title", "the red", structure=PHRASE), CHAMBER), {"red"}),
        (near(Clause("title", "红楼"), Clause("title", "研究"), 2), {"hlm"}),
    ],
)
def test_proximity_counts_words_and_fields(
    library: Library, query: Boolean, expected: set[str]
) -> None:
    assert numbers(library, query) == expected


@pytest.mark.parametrize(
    ("query", "diagnostic"),
    [
        (ResultSetRef("gone"), Diagnostic(Bib1.RESULT_SET_UNKNOWN, "gone")),
        (both(RED, ResultSetRef("gone")), Diagnostic(Bib1.RESULT_SET_UNKNOWN, "gone")),
        (
            both(Clause("title", "nowhere"), ResultSetRef("gone")),
            Diagnostic(Bib1.RESULT_SET_UNKNOWN, "gone"),
        ),
        (Clause("smell", "rose"), Diagnostic(Bib1.USE_ATTRIBUTE_UNSUPPORTED, "smell")),
        (
            Clause("any", "red", Relation.LESS),
            Diagnostic(Bib1.RELATION_UNSUPPORTED, "<"),
        ),
        (Clause("date", "1990", Relation.WITHIN), Diagnostic(Bib1.MALFORMED_SEARCH_TERM, "1990")),
        (near(RED, CAO), Diagnostic(Bib1.PROXIMITY_ATTRIBUTES_UNSUPPORTED, "author, title")),
        (near(RED, ResultSetRef("x")), Diagnostic(Bib1.PROXIMITY_OF_SETS_UNSUPPORTED, "x")),
        (near(RED, both(RED, OF)), Diagnostic(Bib1.PROXIMITY_OF_SETS_UNSUPPORTED, "and")),
        (
            near(RED, Clause("isbn", "1")),
            Diagnostic(Bib1.PROXIMITY_ATTRIBUTES_UNSUPPORTED, "isbn"),
        ),
    ],
)
def test_what_cannot_be_searched_is_a_diagnostic(
    library: Library, query: Query, diagnostic: Diagnostic
) -> None:
    assert numbers(library, query) == diagnostic


def test_a_ranked_query_puts_the_best_answer_first(library: Library) -> None:
    async def order(query: Query) -> list[str]:
        result = await library.catalogue.search(DATABASES, query, {})
        assert isinstance(result, RecordSet)
        records = await library.catalogue.fetch(list(result.order))
        return [record.control_number for record in records if record is not None]

    shorter_first = asyncio.run(order(Clause("title", "history", ranked=True)))
    assert shorter_first == ["short", "history"]
    title_first = asyncio.run(order(Clause("any", "chamber", ranked=True)))
    assert set(title_first) == {"red", "chamber", "short"}
    assert title_first[-1] == "short"  # only its note has the word


@pytest.mark.parametrize(
    ("asked", "found"),
    [("2002.7", {"july"}), ("2002年7月", {"july"}), ("2002-07", {"july"}), ("2002.8", set()),
     ("2002", {"july", "year"}), ("200207", {"july"})],
)  # fmt: skip
def test_a_month_is_found_where_the_statement_names_it(
    tmp_path: Path, asked: str, found: set[str]
) -> None:
    library = Library(tmp_path)
    for number, stated in (("july", "2002.7"), ("year", "2002")):
        coded = Field.of("100", "  ", [("a", "20020819d2002    em y0chiy50      ea")])
        statement = Field.of("210", "  ", [("d", stated)])
        title = Field.of("200", "1 ", [("a", "材料力学")])
        fields = [Field("001", number), coded, title, statement]
        put(library.writer, build("00000nam0 2200000   450 ", fields), "cn_cat")
    assert numbers(library, Clause("date", asked)) == found
    assert numbers(library, Clause("date", "2002", Relation.LESS_OR_EQUAL)) == {"july", "year"}
    assert numbers(library, Clause("date", "2002", Relation.GREATER)) == set()
    library.close()


TERMS = st.sampled_from(["red", "chamber", "history", "stone", "nothing", "the", "of"])


def _plans(query: Query) -> tuple[Query, Query]:
    """The query, and one of the same meaning that is no chain of AND."""
    nothing = Clause("title", "nothing at all")
    return query, Boolean(Operator.OR, query, nothing)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(TERMS, min_size=1, max_size=5), st.booleans())
def test_a_chain_of_and_finds_what_the_stack_of_operators_does(
    library: Library, terms: list[str], leans_left: bool
) -> None:
    words: list[Query] = [Clause("any", term) for term in terms]
    query = words.pop()
    while words:
        other = words.pop()
        operands = (query, other) if leans_left else (other, query)
        query = Boolean(Operator.AND, *operands)
    found = [library.catalogue.search_at_once(DATABASES, each, {}) for each in _plans(query)]
    one, other_way = found
    assert isinstance(one, RecordSet)
    assert isinstance(other_way, RecordSet)
    assert one.records == other_way.records
