"""A query says the same in CQL, in PQF, in XCQL and as a tree."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from protocol import cql, cql_parser, pqf, rpn
from protocol.apdu_query import RpnQuery
from protocol.cql_ast import (
    BooleanClause,
    CqlNode,
    CqlQuery,
    CqlRelation,
    Modifier,
    Prefix,
    Scoped,
    SearchClause,
    SortKey,
    to_text,
)
from protocol.cql_from_query import from_query
from protocol.cql_scope import hoisted
from protocol.cql_sort import sort_specs
from protocol.diagnostic import SruFault
from protocol.query import QUERY_DEPTH_MAX, Boolean, Clause, Operator, Query, SortSpec, postorder
from protocol.query_drawing import draw
from protocol.rpn_from_query import from_query as rpn_from_query
from protocol.xcql import NAMESPACE_1, NAMESPACE_2, to_document, to_scan_xcql
from tests.property.query_trees import NEAR, QUERIES, SOUP, TREES


@given(TREES)
def test_a_query_tree_written_in_pqf_reads_back(tree: Query) -> None:
    text = pqf.to_text(rpn_from_query(tree))
    parsed = pqf.parse(text)
    assert isinstance(parsed, RpnQuery)
    assert rpn.to_query(parsed) == tree
    assert pqf.parse_query(text) == tree


@given(NEAR)
def test_proximity_makes_a_query_of_type_101(tree: Query) -> None:
    assert rpn_from_query(tree).query_type == 101


@given(TREES)
def test_a_query_tree_written_in_cql_reads_back(tree: Query) -> None:
    written = from_query(tree)
    assert cql.to_query(written) == tree
    assert cql_parser.parse(to_text(written)) == written


SORTS = st.lists(
    st.builds(
        SortSpec,
        st.sampled_from(["title", "author", "date", "date_modified"]),
        st.booleans(),
        missing=st.one_of(
            st.sampled_from(["high", "low", "omit", "fail"]),
            st.text('ab "红', max_size=4).map("={}".format),
        ),
    ),
    max_size=4,
    unique_by=lambda spec: spec.access_point,
).map(tuple)


@given(TREES, SORTS)
def test_an_order_written_in_cql_reads_back(tree: Query, sort: tuple[SortSpec, ...]) -> None:
    query = cql_parser.parse(to_text(from_query(tree, sort)))
    assert isinstance(query, CqlQuery)
    assert sort_specs(query) == sort


@given(TREES, SORTS)
def test_a_drawing_has_a_line_for_each_node_and_each_sort_key(
    tree: Query, sort: tuple[SortSpec, ...]
) -> None:
    assert len(draw(tree, sort).split("\n")) == len(list(postorder(tree))) + len(sort)


@given(SOUP)
def test_any_text_is_a_pqf_query_with_a_meaning_or_a_fault_in_its_place(text: str) -> None:
    found = pqf.parse_query(text)
    if isinstance(found, pqf.PqfFault):
        assert 0 <= found.position <= len(text)
    else:
        assert pqf.parse_query(pqf.to_text(rpn_from_query(found))) == found


@given(QUERIES)
def test_xcql_is_xml_whatever_the_query_holds(query: CqlQuery) -> None:
    for namespace in (NAMESPACE_1, NAMESPACE_2):
        root = etree.fromstring(to_document(query, namespace).encode("utf-8"))
        assert {etree.QName(each).namespace for each in root.iter()} == {namespace}
        etree.fromstring(f"<x>{to_scan_xcql(query, namespace)}</x>".encode())


URIS = st.sampled_from(
    ["info:srw/cql-context-set/1/dc-v1.1", "http://zing.z3950.org/cql/bath/2.0/", "urn:unknown"]
)
PREFIX_NAMES = st.sampled_from(["", "x", "X", "p1", "dc"])
INDEXES = st.sampled_from(["title", "x.title", "p1.title", "dc.title", "bath.keyTitle", "X.isbn"])
SCOPED_CLAUSES = st.builds(
    SearchClause,
    st.just("a"),
    INDEXES,
    st.builds(
        CqlRelation,
        st.sampled_from(["=", "cql.all", "x.any"]),
        st.sampled_from([(), (Modifier("cql.relevant"),), (Modifier("x.relevant"),)]),
    ),
)
SCOPED: st.SearchStrategy[CqlNode] = st.recursive(
    st.one_of(SCOPED_CLAUSES, st.just(SearchClause("a"))),
    lambda nodes: st.one_of(
        st.builds(BooleanClause, st.sampled_from(["and", "or"]), nodes, nodes),
        st.builds(
            Scoped,
            st.lists(st.builds(Prefix, PREFIX_NAMES, URIS), min_size=1, max_size=2).map(tuple),
            nodes,
        ),
    ),
    max_leaves=6,
)


@given(SCOPED, st.lists(st.builds(SortKey, INDEXES), max_size=1).map(tuple))
def test_prefixes_brought_to_the_front_change_no_meaning(
    node: CqlNode, keys: tuple[SortKey, ...]
) -> None:
    query = CqlQuery(node, keys)
    prefixes, root, sort_keys = hoisted(query)
    moved = CqlQuery(Scoped(prefixes, root) if prefixes else root, sort_keys)
    meant = cql.to_query(query)
    if isinstance(meant, SruFault):
        return  # an unknown set or index, which may be told under another name
    assert cql.to_query(moved) == meant
    specs = sort_specs(query)
    assert isinstance(specs, SruFault) or sort_specs(moved) == specs


@pytest.mark.parametrize("leaning", ["left", "right"])
def test_the_deepest_tree_is_written_in_every_language_in_little_time(leaning: str) -> None:
    clause: Query = Clause("title", "x")
    tree = clause
    for _ in range(QUERY_DEPTH_MAX):
        left, right = (tree, clause) if leaning == "left" else (clause, tree)
        tree = Boolean(Operator.OR, left, right)
    started = time.process_time()
    written = from_query(tree)
    for read in (
        cql.parse_query(to_text(written)),
        pqf.parse_query(pqf.to_text(rpn_from_query(tree))),
    ):
        # Compared as drawings, for equality of trees recurses.
        assert not isinstance(read, SruFault | pqf.PqfFault)
        assert draw(read) == draw(tree)
    for namespace in (NAMESPACE_1, NAMESPACE_2):
        assert to_document(written, namespace).count("<term>") == QUERY_DEPTH_MAX + 1
    assert draw(tree).count("\n") == 2 * QUERY_DEPTH_MAX
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    "piece",
    ["(", ")", '"', "\\", "a", "a ", "a=", "a = b ", "a or ", "(a or ", "^", "*", "\\*", "/x", "?",
     "a/b ", "> a ", '"a" ', "  ", "@", "@or ", "@attr 1=4 ", "@attr 1=9999 ", "{", "\\x", 'a="b',
     "@or @attr 1=4 a ", "title prox/unit=word b prox ", "title=a or "],
)  # fmt: skip
def test_twice_the_text_takes_about_twice_the_time(piece: str) -> None:
    """Time in proportion: eight times the text is far from sixty-four times the time.

    Of the processor, for a test machine has other things to do.
    """

    def seconds(chars: int) -> float:
        text = (piece * (chars // len(piece) + 1))[:chars]
        best = 9.0
        for _ in range(3):
            started = time.process_time()
            found = cql_parser.parse(text)
            if isinstance(found, CqlQuery):
                cql.to_query(found)
                to_document(found, NAMESPACE_2)
                to_text(found)
            pqf.parse_query(text)
            best = min(best, time.process_time() - started)
        return best

    assert seconds(65_536) < 32 * seconds(8_192) + 0.1
