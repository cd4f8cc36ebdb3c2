"""PQF: text to RPN and back, and faults with their place."""

from __future__ import annotations

import pytest

from protocol import oid, pqf
from protocol.apdu_common import AttributeElement, AttributesPlusTerm, ComplexAttribute
from protocol.apdu_query import (
    BooleanOperator,
    ResultAttr,
    ResultSetId,
    RpnOperation,
    RpnQuery,
)
from protocol.asn1 import GeneralizedTime, Null
from protocol.oid import Oid
from protocol.query import QUERY_DEPTH_MAX


def parsed(text: str) -> RpnQuery:
    query = pqf.parse(text)
    assert isinstance(query, RpnQuery), query
    return query


def operand(text: str) -> AttributesPlusTerm:
    node = parsed(text).rpn
    assert isinstance(node, AttributesPlusTerm)
    return node


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("fish", b"fish"),
        ('"fish and chips"', b"fish and chips"),
        ("{fish and chips}", b"fish and chips"),
        ('""', b""),
        ("{}", b""),
        ("红楼梦", "红楼梦".encode()),
        (r'"a \"b\""', b'a "b"'),
        (r"a\ b", b"a b"),
        (r"\xBA\xEC", b"\xba\xec"),
        (r"\272\354", b"\xba\xec"),
        (r'"tab\there"', b"tab\there"),
        ('"@and"', b"@and"),
        ("@term general x", b"x"),
        ("@term string x", "x"),
        ("@term numeric 42", 42),
        ("@term oid 1.2.840", Oid.parse("1.2.840")),
        ("@term datetime 20240101000000", GeneralizedTime("20240101000000")),
        ('@term null ""', Null.NULL),
        ('"unclosed term', b"unclosed term"),
    ],
)
def test_a_term_becomes_octets_or_the_type_it_names(text: str, term: object) -> None:
    assert operand(text).term == term


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("@attr 1=4 x", ((None, 1, 4),)),
        ("@attr 1=4 @attr 5=1 x", ((None, 1, 4), (None, 5, 1))),
        ("@attr 1=1 @attr 1=1003 x", ((None, 1, 1), (None, 1, 1003))),
        ("@attr 5=1 @attr 5=2 x", ((None, 5, 2),)),
        ("@attr bib-1 1=4 x", ((oid.BIB_1, 1, 4),)),
        ("@attr 1.2.840.10003.3.1 1=4 @attr 2=3 x", ((oid.BIB_1, 1, 4), (oid.BIB_1, 2, 3))),
        ("@attr 1=dc.title x", ((None, 1, "dc.title"),)),
    ],
)
def test_attributes_are_kept_in_order(text: str, attributes: tuple[object, ...]) -> None:
    def plain(element: AttributeElement) -> tuple[object, ...]:
        value = element.value
        shown = value.list[0] if isinstance(value, ComplexAttribute) else value
        return (element.attribute_set, element.type, shown)

    assert tuple(plain(each) for each in operand(text).attributes) == attributes


def test_attributes_before_an_operator_hold_for_both_operands() -> None:
    assert parsed("@attr 1=7 @or a b") == parsed("@or @attr 1=7 a @attr 1=7 b")
    outer = parsed("@attr 1=7 @attr 5=1 @and a @attr 1=4 b")
    assert outer == parsed("@and @attr 1=7 @attr 5=1 a @attr 5=1 @attr 1=4 b")


def test_operators_nest_and_sets_are_operands() -> None:
    leaf = AttributesPlusTerm((), b"a")
    assert parsed("@not @and a a @set s").rpn == RpnOperation(
        BooleanOperator.AND_NOT,
        RpnOperation(BooleanOperator.AND, leaf, leaf),
        ResultSetId("s"),
    )
    assert parsed("@attrset xd-1 a").attribute_set == oid.CROSS_DOMAIN_1


@pytest.mark.parametrize(
    ("text", "condition", "position"),
    [
        ("", 108, 0),
        ("   ", 108, 0),
        ("@and a", 108, 6),
        ("@attr 1=4", 108, 9),
        ("@attr", 108, 5),
        ("a b", 108, 2),
        ("@or a b c", 108, 8),
        ("@attr x=4 a", 108, 6),
        ("@attr foo 1=4 a", 121, 6),
        ("@attrset foo a", 121, 9),
        ("@and @attrset bib-1 a b", 108, 5),
        ("@attr 1=99999999999 a", 108, 6),
        ("@prox 2 1 0 2 k 2 a b", 108, 6),
        ("@prox 0 x 0 2 k 2 a b", 108, 8),
        ("@prox 0 1 0 2 z 2 a b", 108, 14),
        ("@prox 0 1", 108, 9),
        ("@term foo a", 229, 6),
        ("@term numeric a", 125, 14),
        ("@term oid a", 125, 10),
        ("@set", 108, 4),
    ],
)
def test_a_fault_tells_its_place(text: str, condition: int, position: int) -> None:
    fault = pqf.parse(text)
    assert isinstance(fault, pqf.PqfFault)
    assert (fault.diagnostic.condition, fault.position) == (condition, position)


def test_bounds_are_told() -> None:
    deep = pqf.parse("@or " * 5000 + "a " * 5001)
    assert isinstance(deep, pqf.PqfFault)
    assert deep.diagnostic.condition == 6
    assert isinstance(pqf.parse("@or a " * QUERY_DEPTH_MAX + "a"), RpnQuery)
    long = pqf.parse("a" * 70_000)
    assert isinstance(long, pqf.PqfFault)
    assert long.diagnostic.condition == 11
    many = pqf.parse("@attr 1=4 " * 40 + "a")
    assert isinstance(many, pqf.PqfFault)
    assert many.diagnostic.condition == 123


@pytest.mark.parametrize(
    "text",
    [
        "@and @attr 1=4 a @or @attr 1=1003 b @set c",
        '@attrset xd-1 @attr bib-1 1=4 "a b"',
        "@prox 0 3 1 2 k 2 a b",
        "@prox v 3 0 2 p 7 a b",
        r'@attr 1=4 "a \"b\" \\ c"',
        r"@attr 1=4 \xBA\xEC",
        '@attr "1=dc title" x',
        "@term string fish",
        "@term numeric -5",
        "@term oid 1.2.3",
        "@term datetime 20240101000000",
        '@term null ""',
        '"@and"',
        '"{"',
        '"a\nb"',
    ],
)
def test_a_query_survives_being_written_and_read(text: str) -> None:
    query = parsed(text)
    assert parsed(pqf.to_text(query)) == query


def test_what_pqf_cannot_say_is_written_as_near_as_it_can() -> None:
    restricted = RpnQuery(oid.BIB_1, ResultAttr("s", ()), query_type=101)
    assert pqf.to_text(restricted) == "@set s"
    many = AttributeElement(type=1, value=ComplexAttribute(("title", 4)))
    assert pqf.to_text(RpnQuery(oid.BIB_1, AttributesPlusTerm((many,), b"x"))) == "@attr 1=title x"
