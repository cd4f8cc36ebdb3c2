"""Facets of SRU 2.0: the four parameters, and queries that narrow to one term."""

from __future__ import annotations

import pytest

from protocol import cql
from protocol.access_points import BY_NAME
from protocol.cql_ast import CqlQuery
from protocol.cql_parser import parse
from protocol.diagnostic import SruFault
from protocol.sru_facets import (
    FACET_FIELDS,
    FacetsRequest,
    FacetTerm,
    count_facet,
    facet_field,
    narrowed,
    parse_facets,
)
from store.facets import MANY_VALUED, can_count
from tests.unit.query_notation import notation


def read(**given: str) -> list[tuple[str, int, int, bool]]:
    facets = parse_facets(given, 10, 50)
    assert isinstance(facets, FacetsRequest), facets
    return [(wish.field.names[0], wish.limit, wish.start, wish.by_count) for wish in facets.wishes]


def fault(**given: str) -> str:
    refused = parse_facets(given, 10, 50)
    assert isinstance(refused, SruFault), refused
    assert refused.position is None
    return notation(refused)


ALL = [field.names[0] for field in FACET_FIELDS]


def test_a_number_alone_means_every_facet() -> None:
    assert read(facetLimit="7") == [(name, 7, 0, True) for name in ALL]
    assert read(facetLimit="7000") == [(name, 50, 0, True) for name in ALL]
    assert read(facetLimit="0") == []


def test_an_index_chooses_its_facet_and_says_more_of_it() -> None:
    assert read(facetLimit="5:dc.language") == [("language", 5, 0, True)]
    assert read(facetLimit="5:dc.subject,3:library") == [
        ("subject", 5, 0, True), ("library", 3, 0, True),
    ]  # fmt: skip
    assert read(facetLimit="2,0:year,9:bath.author")[:3] == [
        ("language", 2, 0, True), ("author", 9, 0, True), ("subject", 2, 0, True),
    ]  # fmt: skip


def test_start_counts_from_1_and_order_is_of_counts_or_terms() -> None:
    assert read(facetLimit="5:type", facetStart="6") == [("type", 5, 5, True)]
    assert read(facetLimit="5:type", facetStart="1") == [("type", 5, 0, True)]
    assert read(facetLimit="5:type,5:year", facetSort="alphanumeric:year") == [
        ("type", 5, 0, True), ("year", 5, 0, False),
    ]  # fmt: skip
    assert read(
        facetLimit="5:type,5:year", facetSort="alphanumeric,ascending,recordCount,descending:type"
    ) == [("type", 5, 0, True), ("year", 5, 0, False)]
    assert len(read(facetSort="recordCount")) == len(ALL)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"facetLimit": "-1"}, "! 6 facetLimit -1"),
        ({"facetLimit": "5:dc.title"}, "! 16 dc.title"),
        ({"facetLimit": "5:nothing.x"}, "! 16 nothing.x"),
        ({"facetLimit": "5 dc.subject"}, "! 6 facetLimit 5 dc.subject"),
        ({"facetStart": "9999999"}, "! 6 facetStart 9999999"),
        ({"facetSort": "colour"}, "! 6 facetSort colour"),
        ({"facetSort": "recordCount,ascending"}, "! 6 facetSort recordCount,ascending"),
        ({"facetSort": "alphanumeric:dc.title"}, "! 16 dc.title"),
        ({"facetCount": "dc.title=x"}, "! 16 dc.title"),
        ({"facetCount": "dc.language=chi and dc.type=a"},
         "! 6 facetCount dc.language=chi and dc.type=a"),
        ({"facetCount": "dc.language="}, "! 10 facetCount a term is missing after ="),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_is_refused_by_name(given: dict[str, str], expected: str) -> None:
    assert fault(**given) == expected


def test_one_term_is_counted_by_its_clause() -> None:
    facets = parse_facets({"facetCount": "dc.language=chi"}, 10, 50)
    assert isinstance(facets, FacetsRequest)
    assert facets.wishes == ()
    facet = count_facet(facets, 42)
    assert (facet.field.index, facet.terms) == (
        "dc.language",
        (FacetTerm("chi", 42, "dc.language=chi"),),
    )


def test_every_facet_is_an_access_point_that_the_store_counts() -> None:
    for field in FACET_FIELDS:
        assert can_count(BY_NAME[field.access_point])
        assert facet_field(field.index) is field
        counted = tuple(
            point.name for index in field.counted or (field.index,)
            if not isinstance(point := cql.resolve_index(index), SruFault)
        )  # fmt: skip
        assert counted == MANY_VALUED.get(field.access_point, (field.access_point,))


@pytest.mark.parametrize(
    ("text", "field", "term", "expected"),
    [
        ("dc.title=a or b", "language", "chi", '(dc.title=a or b) and dc.language=="chi"'),
        ("a sortBy dc.date/descending", "type", "m", '(a) and dc.type=="m"'),
        ('"a" SORTBY title', "subject", 'x "y" *?\\',
         '("a") and dc.subject=="x \\"y\\" \\*\\?\\\\"'),
        ("a", "author", "knuth",
         '(a) and (local.author_personal=="knuth" or local.author_corporate=="knuth"'
         ' or local.author_conference=="knuth")'),
    ],
)  # fmt: skip
def test_a_term_has_the_query_that_finds_its_records(
    text: str, field: str, term: str, expected: str
) -> None:
    query = parse(text)
    assert isinstance(query, CqlQuery)
    found = facet_field(field)
    assert found is not None
    narrow = narrowed(text, query, found, term)
    assert narrow == expected
    assert not isinstance(cql.parse_query(narrow), SruFault)
