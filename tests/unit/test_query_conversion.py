"""Query trees written as CQL, drawn, and read from PQF with the place of what is refused."""

from __future__ import annotations

import pytest

from protocol import cql, pqf
from protocol.access_points import ACCESS_POINTS
from protocol.cql_ast import to_text
from protocol.cql_context import index_by_name
from protocol.cql_from_query import from_query, index_name
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
    SortSpec,
    Structure,
)
from protocol.query_drawing import draw
from protocol.rpn_from_query import from_query as rpn_from_query
from tests.unit.cql_corpus import CORPUS, Case

PHRASE, ALL_WORDS, ANY_WORD, KEY = Structure
A = Clause("title", "a", structure=PHRASE)
B = Clause("any", "b")


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (B, "b"),
        (Clause("any", "and"), '"and"'),
        (Clause("any", "a b", structure=PHRASE), 'cql.serverChoice adj "a b"'),
        (Clause("any", "a b", structure=ANY_WORD), 'cql.serverChoice any "a b"'),
        (Clause("any", "b", ranked=True), "cql.serverChoice =/cql.relevant b"),
        (Clause("any", "", Relation.ALWAYS), "cql.allRecords = 1"),
        (Clause("title", "", Relation.ALWAYS), "dc.title = *"),
        (A, "dc.title = a"),
        (Clause("title", "a b"), 'dc.title all "a b"'),
        (Clause("title", "a b", structure=PHRASE, anchor=Anchor.FIRST), 'dc.title = "^a b"'),
        (Clause("title", "a", structure=PHRASE, anchor=Anchor.LAST), "dc.title = a^"),
        (Clause("title", "a b", structure=PHRASE, anchor=Anchor.COMPLETE), 'dc.title == "a b"'),
        (Clause("title", f"a{MASK_ONE}b{MASK_ANY}", structure=PHRASE), "dc.title = a?b*"),
        (Clause("title", 'a*b?c^d"e\\f', structure=PHRASE), r"dc.title = a\*b\?c\^d\"e\\f"),
        (Clause("isbn", "9787302123456", structure=KEY), "bath.isbn = 9787302123456"),
        (Clause("coden", "x", structure=KEY), "local.coden = x"),
        (Clause("date", "1990 1999", Relation.WITHIN, KEY), 'dc.date within "1990 1999"'),
        (Clause("date", "1990", Relation.GREATER_OR_EQUAL, KEY), "dc.date >= 1990"),
        (Clause("language", "eng", Relation.NOT_EQUAL, KEY), "dc.language <> eng"),
        (ResultSetRef("my set*"), 'cql.resultSetId = "my set*"'),
        (Boolean(Operator.AND_NOT, A, Boolean(Operator.OR, B, B)), "dc.title = a not (b or b)"),
        (Boolean(Operator.OR, Boolean(Operator.AND, A, B), B), "dc.title = a and b or b"),
        (Boolean(Proximity(), A, B), "dc.title = a prox b"),
        (Boolean(Proximity(0, unit=ProximityUnit.FIELD), A, B),
         "dc.title = a prox/cql.unit=element b"),
        (Boolean(Proximity(3, Relation.LESS, ordered=True, exclusion=True), A, B),
         "dc.title = a prox/cql.distance<3/cql.ordered/local.exclusion b"),
    ],
)  # fmt: skip
def test_a_tree_is_written_as_a_client_would(tree: Query, text: str) -> None:
    assert to_text(from_query(tree)) == text
    assert cql.parse_query(text) == tree


def test_an_order_is_written_as_sort_by() -> None:
    order = (
        SortSpec("date", descending=True, missing="low"),
        SortSpec("title", missing='=a "b"'),
        SortSpec("author", case_sensitive=True, missing="fail"),
    )
    assert to_text(from_query(B, order)) == (
        "b sortBy dc.date/sort.descending/sort.missingLow "
        'dc.title/sort.missingValue="a \\"b\\"" '
        "dc.creator/sort.respectCase/sort.missingFail"
    )


def test_every_access_point_has_a_name_in_cql() -> None:
    for point in ACCESS_POINTS:
        assert index_by_name(index_name(point)) is point


MEANINGFUL = [case for case in CORPUS if not case.outcome.startswith("!")]


@pytest.mark.parametrize("case", MEANINGFUL, ids=str)
def test_a_query_of_the_corpus_is_one_tree_in_cql_and_in_pqf(case: Case) -> None:
    tree = cql.parse_query(case.query)
    assert isinstance(tree, Query)
    assert cql.parse_query(to_text(from_query(tree))) == tree
    assert pqf.parse_query(pqf.to_text(rpn_from_query(tree))) == tree


def test_a_tree_is_drawn_with_its_order() -> None:
    tree = cql.parse_query(
        'dc.title == "红楼*" and (dc.creator any/relevant "曹雪芹 高鹗" or dc.date = *) '
        'not (cql.resultSetId = s or (a prox/unit=element/ordered/local.exclusion "b? \\*"))'
    )
    assert isinstance(tree, Query)
    order = (SortSpec("date", descending=True, missing="omit"),
             SortSpec("title", case_sensitive=True, missing="=x"))  # fmt: skip
    assert (
        draw(tree, order)
        == """\
not
├─ and
│  ├─ title phrase first "红楼*"
│  └─ or
│     ├─ author any ranked "曹雪芹 高鹗"
│     └─ date any value
└─ or
   ├─ result set "s"
   └─ prox field <=0 ordered exclusion
      ├─ any all "a"
      └─ any all "b? \\*"
sort by date descending missing omit
sort by title ascending case told apart missing as "x\""""
    )


@pytest.mark.parametrize(
    ("text", "condition", "position"),
    [
        ("@and @attr 1=4 a @attr 1=1003 @attr 2=99 b", 117, 30),
        ("@attr 1=9999 @or a b", 114, 0),
        ("@or @attr 1=4 a @attr 1=4 @attr gils 1=9999 b", 114, 26),
        ("@prox 0 1 0 9 k 2 a b", 131, 0),
        ("@and a @prox 0 1 0 2 k 7 a b", 132, 7),
        ("@prox 0 1 0 2 k 2 @set a b", 129, 0),
        ('@attr 1=4 ""', 125, 11),
        ("@attr 1=4 @attr 2=1 x", 123, 20),
        ("@or a @attr 1=1211 @attr 4=5 x", 123, 29),
        ("@attr exp-1 1=1 b", 121, 0),
        ("@or a @attr 9=1 b", 113, 6),
        ("@or @attr 1=9999 a @attr 1=9999 b", 114, 4),
        ("@and @attr 1=4 a", 108, 16),
    ],
)
def test_pqf_without_a_meaning_is_refused_at_its_place(
    text: str, condition: int, position: int
) -> None:
    fault = pqf.parse_query(text)
    assert isinstance(fault, pqf.PqfFault)
    assert (fault.diagnostic.condition, fault.position) == (condition, position)


def test_pqf_with_a_meaning_is_a_tree() -> None:
    assert pqf.parse_query("@and @attr 1=4 @attr 4=1 a b") == Boolean(Operator.AND, A, B)
