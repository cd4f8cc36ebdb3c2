"""Query languages and SRU: nothing a client writes raises, and what is written reads back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from protocol import cql, cql_parser, pqf, rpn
from protocol.access_points import BY_NAME
from protocol.apdu_common import AttributeElement, AttributesPlusTerm, ComplexAttribute, Term
from protocol.apdu_query import (
    BooleanOperator,
    PrivateProximityUnit,
    ProximityOperator,
    ResultSetId,
    RpnNode,
    RpnOperation,
    RpnQuery,
)
from protocol.asn1 import GeneralizedTime, Null
from protocol.cql_ast import (
    CqlQuery,
    to_text,
)
from protocol.cql_sort import sort_specs, sort_specs_1_1
from protocol.diagnostic import Diagnostic, SruFault
from protocol.oid import BIB_1, CROSS_DOMAIN_1, EXP_1, GILS, Oid
from protocol.query import (
    Clause,
    Query,
    Relation,
    postorder,
)
from protocol.sru import (
    ExplainRequest,
    RefusedRequest,
    ScanRequest,
    SearchRetrieveRequest,
    SruLimits,
    parse_request,
)
from protocol.sru_response import (
    ScanTerm,
    SearchRetrieveResponse,
    explain_response,
    refusal_response,
    scan_response,
    search_response,
)
from protocol.xcql import to_xcql
from tests.property.query_trees import QUERIES, SOUP

# CQL


@given(SOUP)
def test_any_text_is_a_cql_query_or_a_fault_in_its_place(text: str) -> None:
    query = cql_parser.parse(text)
    if isinstance(query, SruFault):
        assert query.position is None or 0 <= query.position <= len(text)
        assert cql.parse_query(text) == query
        return
    assert cql_parser.parse(to_text(query)) == query
    etree.fromstring(to_xcql(query).encode("utf-8"))
    assert isinstance(cql.parse_query(text), Query | SruFault)
    assert isinstance(sort_specs(query), tuple | SruFault)
    cql.to_scan(query)


@given(SOUP)
def test_sort_keys_of_sru_1_1_never_raise(text: str) -> None:
    assert isinstance(sort_specs_1_1(text), tuple | SruFault)


@given(SOUP)
def test_the_quick_way_reads_a_simple_query_as_the_long_one(text: str) -> None:
    simple = cql_parser._SIMPLE.fullmatch(text)
    if simple is None:
        return
    long_way = cql_parser._Parser(cql_parser._tokens(text)).query()
    assert repr(cql_parser._simple_query(simple)) == repr(long_way)


SIMPLE = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["title", " dc.title", "and", "x1"]),
    st.sampled_from(["=", " = ", "==", "== "]),
    st.sampled_from(["fish", '"a b"', "and", "*f?sh^", '"', '"a" b', "红楼", "a b", "1-2"]),
    st.sampled_from(["", " ", "  \n"]),
    st.sampled_from(["", "", "", "and"]),
)


@given(SIMPLE)
def test_the_quick_way_reads_near_simple_queries_as_the_long_one(text: str) -> None:
    simple = cql_parser._SIMPLE.fullmatch(text)
    if simple is not None:
        long_way = cql_parser._Parser(cql_parser._tokens(text)).query()
        assert repr(cql_parser._simple_query(simple)) == repr(long_way)


@given(QUERIES)
def test_a_cql_tree_written_as_text_parses_to_itself(query: CqlQuery) -> None:
    assert cql_parser.parse(to_text(query)) == query


# PQF and RPN


@given(SOUP)
def test_any_text_is_a_pqf_query_or_a_fault_in_its_place(text: str) -> None:
    query = pqf.parse(text)
    if isinstance(query, pqf.PqfFault):
        assert 0 <= query.position <= len(text)
        return
    assert pqf.parse(pqf.to_text(query)) == query
    assert isinstance(rpn.to_query(query, rpn.UTF_8_OR_GB18030), Query | Diagnostic)


OIDS = st.sampled_from([BIB_1, GILS, CROSS_DOMAIN_1, EXP_1, Oid.parse("1.2.3")])
VALUES = st.one_of(
    st.integers(-1, 110),
    st.sampled_from([1003, 1016, 4711, 2**40]),
    st.lists(st.one_of(st.integers(0, 10), st.text(max_size=5)), max_size=3)
    .map(tuple)
    .map(ComplexAttribute),
)
ELEMENTS = st.builds(
    AttributeElement,
    attribute_set=st.one_of(st.none(), OIDS),
    type=st.integers(-1, 9),
    value=VALUES,
)
TERMS: st.SearchStrategy[Term] = st.one_of(
    st.binary(max_size=12),
    st.text(max_size=8),
    st.integers(),
    st.just(Null.NULL),
    st.just(Oid.parse("1.2.3")),
    st.just(GeneralizedTime("2024")),
)
OPERANDS = st.one_of(
    st.builds(AttributesPlusTerm, st.lists(ELEMENTS, max_size=5).map(tuple), TERMS),
    st.builds(ResultSetId, st.text(max_size=5)),
)
PROXIMITIES = st.builds(
    ProximityOperator,
    exclusion=st.one_of(st.none(), st.booleans()),
    distance=st.integers(-1, 20_000),
    ordered=st.booleans(),
    relation_type=st.integers(0, 7),
    proximity_unit_code=st.one_of(
        st.integers(0, 12), st.builds(PrivateProximityUnit, st.integers(0, 3))
    ),
)
RPN: st.SearchStrategy[RpnNode] = st.recursive(
    OPERANDS,
    lambda nodes: st.builds(
        RpnOperation, st.one_of(st.sampled_from(BooleanOperator), PROXIMITIES), nodes, nodes
    ),
    max_leaves=6,
)


@given(OIDS, RPN, st.sampled_from([rpn.UTF_8, rpn.UTF_8_OR_GB18030, ("gb18030",)]))
def test_any_rpn_query_has_a_meaning_or_a_diagnostic(
    attribute_set: Oid, node: RpnNode, charsets: tuple[str, ...]
) -> None:
    found = rpn.to_query(RpnQuery(attribute_set, node), charsets)
    assert isinstance(found, Query | Diagnostic)
    if not isinstance(found, Diagnostic):
        for each in postorder(found):
            if isinstance(each, Clause):
                assert each.access_point in BY_NAME
                assert each.term or each.relation is Relation.ALWAYS


# SRU


NAMES_OF_PARAMETERS = st.sampled_from(
    ["version", "operation", "query", "scanClause", "startRecord", "maximumRecords", "recordSchema",
     "recordPacking", "recordXMLEscaping", "resultSetTTL", "sortKeys", "stylesheet", "queryType",
     "maximumTerms", "responsePosition", "recordXPath", "facetLimit", "x-pquery", "x-a", "other"]
)  # fmt: skip
VALUES_OF_PARAMETERS = st.one_of(
    st.sampled_from(["1.1", "1.2", "2.0", "9", "searchRetrieve", "scan", "explain", "dc.title=a",
                     "a", "1", "-1", "10", "xml", "string", "marcxml", "title", "pqf", "cql",
                     "/sru.xsl", "@attr 1=4 a"]),
    SOUP,
)  # fmt: skip
PARAMETERS = st.lists(st.tuples(NAMES_OF_PARAMETERS, VALUES_OF_PARAMETERS), max_size=8)
LIMITS = SruLimits(stylesheets=("/sru.xsl",))


@given(PARAMETERS, st.text(max_size=8))
def test_any_parameters_get_a_well_formed_response(
    parameters: list[tuple[str, str]], text: str
) -> None:
    request = parse_request(parameters, LIMITS)
    if isinstance(request, RefusedRequest):
        assert request.faults
        response = refusal_response(request, b"<explain/>")
    elif isinstance(request, SearchRetrieveRequest):
        response = search_response(
            request, SearchRetrieveResponse(number_of_records=0, result_set_id=text)
        )
    elif isinstance(request, ScanRequest):
        response = scan_response(request, [ScanTerm(text, 1, display=text)])
    else:
        assert isinstance(request, ExplainRequest)
        response = explain_response(request, b"<explain/>")
    etree.fromstring(response)


# Time


@pytest.mark.parametrize(
    "piece",
    ["(", ")", '"', "\\", "a", "a ", "a=", "a = b ", "a or ", "(a or ", "^", "*", "\\*", "/x",
     "a/b ", "> a ", '"a" ', "  ", "@", "@or ", "@attr 1=4 ", "{", "\\x", "a=\"b"],
)  # fmt: skip
def test_the_longest_queries_take_little_time(piece: str) -> None:
    text = (piece * (65_536 // len(piece) + 1))[:65_536]
    started = time.perf_counter()
    cql.parse_query(text)
    cql.parse_query(f'dc.title = "{text[:4000]}"')
    pqf.parse(text)
    sort_specs_1_1(text)
    assert time.perf_counter() - started < 2.0
