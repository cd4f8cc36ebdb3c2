"""RPN to the query tree: every attribute, what clients send, character sets, bounds."""

from __future__ import annotations

import pytest

from protocol import bib1_attributes, oid, pqf, rpn
from protocol.access_points import ACCESS_POINTS, BY_NAME
from protocol.apdu_common import AttributeElement, AttributesPlusTerm, ComplexAttribute, External
from protocol.apdu_query import (
    BooleanOperator,
    CqlQuery,
    OtherQuery,
    QueryBound,
    QueryTooComplex,
    ResultAttr,
    RpnNode,
    RpnOperation,
    RpnQuery,
)
from protocol.asn1 import Null
from protocol.bib1_attributes import BY_USE
from protocol.diagnostic import Bib1, Diagnostic
from protocol.query import Clause, ScanStart, SortSpec, Structure, clauses
from protocol.rpn_from_query import from_query
from tests.unit.query_notation import notation


def query(text: str) -> RpnQuery:
    parsed = pqf.parse(text)
    assert isinstance(parsed, RpnQuery), parsed
    return parsed


def meaning(text: str) -> str:
    return notation(rpn.to_query(query(text)))


def use(value: int) -> str:
    return BY_USE[value].name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Relation
        ("@attr 1=31 @attr 2=1 2000", '(date < "2000")'),
        ("@attr 1=31 @attr 2=2 2000", '(date <= "2000")'),
        ("@attr 1=31 @attr 2=3 2000", '(date key "2000")'),
        ("@attr 1=31 @attr 2=4 2000", '(date >= "2000")'),
        ("@attr 1=31 @attr 2=5 2000", '(date > "2000")'),
        ("@attr 1=31 @attr 2=6 2000", '(date <> "2000")'),
        ("@attr 1=31 @attr 2=104 {1999  2000}", '(date within "1999 2000")'),
        ("@attr 1=31 @attr 2=104 1999", "! 126 1999"),
        ("@attr 1=4 @attr 2=1 x", "! 123 1=4 2=1"),
        ("@attr 1=31 @attr 2=4 @attr 5=1 20", "! 123 1=31 2=4 5=1"),
        ("@attr 1=4 @attr 2=100 x", "! 117 100"),
        ("@attr 1=4 @attr 2=101 x", "! 117 101"),
        ("@attr 1=4 @attr 2=102 x", '(title all ranked "x")'),
        ("@attr 1=1016 @attr 2=103 x", "(any always)"),
        ("@attr 1=4 @attr 2=103 {}", "(title always)"),
        ("@attr 1=_ALLRECORDS @attr 2=103 {}", "(any always)"),
        ("@attr 2=99 x", "! 117 99"),
        # Position
        ("@attr 1=4 @attr 3=1 x", '(title phrase first "x")'),
        ("@attr 1=4 @attr 3=2 x", '(title phrase first "x")'),
        ("@attr 1=4 @attr 3=3 x", '(title all "x")'),
        ("@attr 1=4 @attr 3=4 x", '(title phrase last "x")'),
        ("@attr 1=4 @attr 3=5 x", "! 119 5"),
        # Structure, on text
        ("@attr 1=4 {a b}", '(title all "a b")'),
        ("@attr 1=4 @attr 4=1 {a b}", '(title phrase "a b")'),
        ("@attr 1=4 @attr 4=2 a", '(title all "a")'),
        ("@attr 1=4 @attr 4=3 {a b}", '(title phrase complete "a b")'),
        ("@attr 1=4 @attr 4=4 1999", "! 123 1=4 4=4"),
        ("@attr 1=4 @attr 4=6 {a b}", '(title all "a b")'),
        ("@attr 1=4 @attr 3=1 @attr 4=6 {a b}", "! 123 1=4 3=1 4=6"),
        ("@attr 1=1003 @attr 4=101 {Cao, Xueqin}", '(author phrase "Cao, Xueqin")'),
        ("@attr 1=1003 @attr 4=102 {Xueqin Cao}", '(author all "Xueqin Cao")'),
        ("@attr 1=4 @attr 4=103 a", "! 118 103"),
        ("@attr 1=4 @attr 4=104 a", '(title phrase "a")'),
        ("@attr 1=4 @attr 4=105 {a b}", '(title any "a b")'),
        ("@attr 1=4 @attr 4=106 {a b}", '(title any "a b")'),
        ("@attr 1=4 @attr 4=107 a", "! 123 1=4 4=107"),
        ("@attr 4=107 000123", '(control_number key "000123")'),
        ("@attr 1=1016 @attr 4=107 000123", '(control_number key "000123")'),
        ("@attr 1=12 @attr 4=107 000123", '(control_number key "000123")'),
        ("@attr 1=4 @attr 4=108 {a b}", '(title phrase "a b")'),
        ("@attr 1=4 @attr 4=109 42", '(title phrase "42")'),
        ("@attr 1=4 @attr 4=7 a", "! 118 7"),
        # Structure, on values
        ("@attr 1=31 @attr 4=4 1999", '(date key "1999")'),
        ("@attr 1=31 @attr 4=5 19990101", '(date key "19990101")'),
        ("@attr 1=31 @attr 4=100 1999", '(date key "1999")'),
        ("@attr 1=7 @attr 4=4 1999", "! 123 1=7 4=4"),
        ("@attr 1=7 @attr 4=6 7302123454", '(isbn key "7302123454")'),
        ("@attr 1=7 @attr 4=105 {1 2 3}", '(or (or (isbn key "1") (isbn key "2")) (isbn key "3"))'),
        ("@attr 1=7 @attr 3=1 @attr 6=3 1", '(isbn key "1")'),
        # Truncation
        ("@attr 1=4 @attr 5=1 {harry pot}", '(title all "harry pot⁎")'),
        ("@attr 1=4 @attr 4=6 @attr 5=1 {harry pot}", '(title all "harry⁎ pot⁎")'),
        ("@attr 1=4 @attr 4=1 @attr 5=1 {harry pot}", '(title phrase "harry pot⁎")'),
        ("@attr 1=4 @attr 5=2 fish", '(title all "⁎fish")'),
        ("@attr 1=4 @attr 5=3 fish", '(title all "⁎fish⁎")'),
        ("@attr 1=4 @attr 5=100 fish", '(title all "fish")'),
        ("@attr 1=4 @attr 5=0 fish", '(title all "fish")'),
        ("@attr 1=4 @attr 5=101 fi#h", '(title all "fi⁎h")'),
        ("@attr 1=4 @attr 5=102 fi.h", '(title all "fi？h")'),
        (r"@attr 1=4 @attr 5=102 {fi.*\\.}", '(title all "fi⁎.")'),
        ("@attr 1=4 @attr 5=102 [fg]ish", "! 120 102: [fg]ish"),
        ("@attr 1=4 @attr 5=102 fish+", "! 120 102: fish+"),
        ("@attr 1=4 @attr 5=103 fi.*h", '(title all "fi⁎h")'),
        ("@attr 1=4 @attr 5=103 +1fish", "! 120 103: +1fish"),
        ("@attr 1=4 @attr 5=105 fish", "! 120 105"),
        ("@attr 1=4 @attr 5=104 f?sh#", '(title all "f⁎sh？")'),
        ("@attr 1=4 @attr 5=104 f?2sh", "! 120 104: f?2sh"),
        ("@attr 1=4 @attr 5=104 ?", "(title always)"),
        ("@attr 1=4 @attr 5=9 fish", "! 120 9"),
        ("@attr 1=7 @attr 5=1 978730", '(isbn key "978730⁎")'),
        # Completeness
        ("@attr 1=4 @attr 6=1 {a b}", '(title all "a b")'),
        ("@attr 1=4 @attr 6=2 {a b}", '(title phrase complete "a b")'),
        ("@attr 1=4 @attr 6=3 {a b}", '(title phrase complete "a b")'),
        ("@attr 1=4 @attr 6=3 @attr 5=1 {a b}", '(title phrase first "a b⁎")'),
        ("@attr 1=4 @attr 6=3 @attr 5=2 {a b}", '(title phrase last "⁎a b")'),
        ("@attr 1=4 @attr 6=3 @attr 5=3 {a b}", '(title phrase "⁎a b⁎")'),
        ("@attr 1=4 @attr 6=4 x", "! 122 4"),
        # Use, types and sets
        ("x", '(any all "x")'),
        ("@attr 1=4711 x", "! 114 4711"),
        ("@attr 1=title x", '(title all "x")'),
        ("@attr 1=dc.creator x", '(author all "x")'),
        ("@attr 1=nothing x", "! 114 nothing"),
        ("@attr 7=1 x", "! 113 7"),
        ("@attr bib-1 1=4 x", '(title all "x")'),
        ("@attrset gils @attr 1=4 x", '(title all "x")'),
        ("@attrset xd-1 @attr 1=1 x", '(title all "x")'),
        ("@attrset xd-1 @attr 2=1 x", "! 113 2"),
        ("@attrset exp-1 @attr 1=1 x", "! 121 1.2.840.10003.3.2"),
        ("@attrset exp-1 x", "! 121 1.2.840.10003.3.2"),
        ("@attrset exp-1 @attr bib-1 1=4 x", '(title all "x")'),
        ("@attr util 1=1 x", "! 121 1.2.840.10003.3.11"),
        # Operators, sets, terms
        ("@and a b", '(and (any all "a") (any all "b"))'),
        ("@or a @not b c", '(or (any all "a") (not (any all "b") (any all "c")))'),
        ("@and @set 1 b", '(and (set "1") (any all "b"))'),
        ("@prox 0 3 1 2 k 2 a b", '(prox<=3 ordered (any all "a") (any all "b"))'),
        ("@prox 1 1 0 3 k 8 a b", '(prox=1 field exclusion (any all "a") (any all "b"))'),
        ("@prox 0 3 1 9 k 2 a b", "! 131 9"),
        ("@prox 0 3 1 2 k 3 a b", "! 132 3"),
        ("@prox 0 3 1 2 p 2 a b", "! 132 private 2"),
        ("@prox 0 99999 1 2 k 2 a b", "! 202 99999"),
        ("@prox 0 3 1 2 k 2 a @set 1", "! 129 1"),
        ("@attr 1=4 {}", "! 125 the term is empty"),
        ("@attr 1=31 @term numeric 1999", '(date key "1999")'),
        ("@attr 1=4 @term string fish", '(title all "fish")'),
        ("@attr 1=4 @term oid 1.2.3", "! 229 Oid"),
        ("@attr 1=4 @term null {}", "! 229 Null"),
        ("@attr 1=4 @attr 2=103 @term null {}", "(title always)"),
    ],
)
def test_an_attribute_means_what_the_table_says(text: str, expected: str) -> None:
    assert meaning(text) == expected


TITLE, AUTHOR, SUBJECT, ISBN, ISSN = 4, 1003, 21, 7, 8


@pytest.mark.parametrize(
    ("client", "text", "expected"),
    [
        ("Koha", '@attr 1=7 @attr 5=1 "9787020002207"', '(isbn key "9787020002207⁎")'),
        ("Koha", '@attr 1=8 @attr 5=1 "1001-8867"', '(issn key "1001-8867⁎")'),
        ("Koha", '@attr 1=4 "harry potter"', '(title all "harry potter")'),
        ("Koha", '@attr 1=1003 "曹雪芹"', '(author all "曹雪芹")'),
        ("Koha", '@attr 1=16 "813.52"', '(classification_dewey key "813.52")'),
        ("Koha", '@attr 1=21 "algebra"', '(subject all "algebra")'),
        ("Koha", '@attr 1=16 @attr 2=3 @attr 3=1 @attr 4=1 @attr 5=1 @attr 6=1 "QA76"',
         '({16} key "QA76⁎")'),
        ("Koha", '@attr 1=12 "000123"', '(control_number key "000123")'),
        ("Koha", '@attr 1=1016 "x"', '(any all "x")'),
        ("Koha", '@attr 1=1007 "x"', '({1007} key "x")'),
        ("Koha", '@attr 1=31 "1999"', '(date key "1999")'),
        ("Koha", '@and @and @attr 1=7 @attr 5=1 "1" @attr 1=4 "b" @attr 1=1003 "c"',
         '(and (and (isbn key "1⁎") (title all "b")) (author all "c"))'),
        ("Koha, server prefix", '@attr 4=1 @and @attr 1=4 "a b" @attr 1=1003 "c"',
         '(and (title phrase "a b") (author phrase "c"))'),
        ("Koha in China", '@or @attr 1=8 "7020002207" @attr 1=7 "7020002207"',
         '(or (issn key "7020002207") (isbn key "7020002207"))'),
        ("dp2", '@attr 1=4 "红楼梦"', '(title all "红楼梦")'),
        ("dp2", '@or @attr 1=7 "9787020002207" @attr 1=7 "7020002207"',
         '(or (isbn key "9787020002207") (isbn key "7020002207"))'),
        ("dp2", '@attr 1=1018 "人民文学出版社"', '(publisher all "人民文学出版社")'),
        ("Evergreen", '@attr 1=12 @attr 4=1 @attr 5=1 "000123"', '(control_number key "000123⁎")'),
        ("Evergreen", '@attr 1=7 @attr 4=6 @attr 5=1 "7020002207"', '(isbn key "7020002207⁎")'),
        ("Evergreen", '@attr 1=9 @attr 4=6 @attr 5=1 "78890351"', '({9} key "78890351⁎")'),
        ("Evergreen", '@attr 1=1003 @attr 4=6 @attr 5=1 "cao xue"', '(author all "cao⁎ xue⁎")'),
        ("Evergreen", '@attr 1=4 @attr 4=6 @attr 5=0 "red chamber"', '(title all "red chamber")'),
        ("Evergreen", '@attr 1=8 @attr 4=1 @attr 5=1 "10018867"', '(issn key "10018867⁎")'),
        ("Evergreen", '@attr 1=1018 @attr 4=6 @attr 5=1 "people"', '(publisher all "people⁎")'),
        ("Evergreen", '@attr 1=31 @attr 4=1 @attr 5=1 "1999"', '(date key "1999⁎")'),
        ("Evergreen", '@attr 1=1007 @attr 4=1 @attr 5=1 "x"', '({1007} key "x⁎")'),
        ("FOLIO", "@attr 1=9 78890351", '({9} key "78890351")'),
        ("FOLIO", "@attr 1=1211 123", '({1211} key "123")'),
        ("Tellico", '@attr 1=4 "x"', '(title all "x")'),
        ("Tellico", '@or @attr 1=7 "1" @attr 1=7 "2"', '(or (isbn key "1") (isbn key "2"))'),
        ("Tellico", '@or @attr 1=9 "a" @attr 1=9 "b"', '(or ({9} key "a") ({9} key "b"))'),
        ("BiblioteQ", "@attr 1=7 @or 1 2", '(or (isbn key "1") (isbn key "2"))'),
        ("BiblioteQ", "@attr 1=8 1001-8867", '(issn key "1001-8867")'),
    ],
)  # fmt: skip
def test_what_a_real_client_sends_is_understood(client: str, text: str, expected: str) -> None:
    for value in (9, 16, 1007, 1211):
        if f"{{{value}}}" in expected:
            expected = expected.replace(f"{{{value}}}", use(value))
    assert meaning(text) == expected, client


@pytest.mark.parametrize(
    "value",
    [1, 2, 3, 4, 6, 7, 8, 9, 12, 13, 16, 20, 21, 27, 30, 31, 47, 60, 62, 63, 1002, 1003, 1007,
     1016, 1018, 1020, 1211],
)  # fmt: skip
def test_every_use_attribute_that_clients_are_known_to_send_is_supported(value: int) -> None:
    found = rpn.to_query(query(f"@attr 1={value} x"))
    assert isinstance(found, Clause)
    assert found.access_point == use(value)


@pytest.mark.parametrize("value", [TITLE, AUTHOR, SUBJECT, 1016])
@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("2=3 3=3 4=2 5=100 6=1", 'all "a b"'),
        ("2=3 3=3 4=2 5=1 6=1", 'all "a⁎ b⁎"'),
        ("2=3 3=1 4=1 5=100 6=3", 'phrase complete "a b"'),
        ("2=3 3=1 4=1 5=100 6=1", 'phrase first "a b"'),
        ("2=3 3=1 4=1 5=1 6=1", 'phrase first "a b⁎"'),
    ],
    ids=["keyword", "keyword truncated", "exact", "first words", "first characters"],
)
def test_the_bath_profile_is_understood(value: int, attributes: str, expected: str) -> None:
    prefix = " ".join(f"@attr {each}" for each in attributes.split())
    assert meaning(f"@attr 1={value} {prefix} {{a b}}") == f"({use(value)} {expected})"


def test_two_use_attributes_on_one_operand_are_alternatives() -> None:
    assert meaning("@attr 1=4 @attr 1=1003 X") == '(or (title all "X") (author all "X"))'
    # Alexandria's pair, whatever access points the table gives it.
    found = rpn.to_query(query("@attr 1=1 @attr 1=1003 X"))
    assert not isinstance(found, Diagnostic)
    assert "author" in {clause.access_point for clause in clauses(found)}


def test_a_complex_attribute_offers_values_by_preference() -> None:
    def with_values(*values: str | int) -> str:
        element = AttributeElement(type=1, value=ComplexAttribute(values))
        operand = AttributesPlusTerm((element,), b"x")
        return notation(rpn.to_query(RpnQuery(oid.BIB_1, operand)))

    assert with_values(4711, 4) == '(title all "x")'
    assert with_values("dc.title") == '(title all "x")'
    assert with_values("nothing", 4711) == "! 114 nothing"
    assert with_values() == "! 114"


def test_contradictory_attributes_are_refused() -> None:
    elements = tuple(AttributeElement(type=2, value=value) for value in (3, 4))
    found = rpn.to_query(RpnQuery(oid.BIB_1, AttributesPlusTerm(elements, b"x")))
    assert found == Diagnostic(Bib1.ATTRIBUTE_COMBINATION_UNSUPPORTED, "2=3 2=4")
    many = tuple(AttributeElement(type=1, value=4) for _ in range(40))
    found = rpn.to_query(RpnQuery(oid.BIB_1, AttributesPlusTerm(many, b"x")))
    assert found == Diagnostic(Bib1.ATTRIBUTE_COMBINATION_UNSUPPORTED, "40 attributes")


CHINESE = "红楼梦"


@pytest.mark.parametrize(
    ("term", "charsets", "expected"),
    [
        (CHINESE.encode(), ("utf-8",), f'(title all "{CHINESE}")'),
        (CHINESE.encode("gb18030"), ("utf-8", "gb18030"), f'(title all "{CHINESE}")'),
        (CHINESE.encode("gb18030"), ("gb18030",), f'(title all "{CHINESE}")'),
        (CHINESE.encode(), ("utf-8", "gb18030"), f'(title all "{CHINESE}")'),
        ("Müller".encode("latin-1"), ("utf-8", "latin-1"), '(title all "Müller")'),
        (CHINESE.encode("gb18030"), ("utf-8",), "! 125 not utf-8 at octet 0: ba ec c2 a5 c3 ce"),
        (b"a\xff", ("utf-8", "gb18030"), "! 125 not utf-8 or gb18030 at octet 1: ff"),
        (CHINESE.encode("gb18030").decode("utf-8", "surrogateescape"), ("utf-8", "gb18030"),
         f'(title all "{CHINESE}")'),
        ("a\ud800", ("utf-8",), "! 125 half a surrogate pair at character 1"),
        (b"x" * 5000, ("utf-8",), "! 11 at most 4096 in a term"),
        (b"  fish\0 ", ("utf-8",), '(title all "fish")'),
        ("a\uf8f0".encode(), ("utf-8",), '(title all "a")'),
    ],
)  # fmt: skip
def test_a_term_is_read_in_the_session_s_character_sets(
    term: bytes | str, charsets: tuple[str, ...], expected: str
) -> None:
    operand = AttributesPlusTerm((AttributeElement(type=1, value=4),), term)
    assert notation(rpn.to_query(RpnQuery(oid.BIB_1, operand), charsets)) == expected


def test_other_operands_and_query_types_are_refused_with_their_number() -> None:
    restricted = RpnQuery(oid.BIB_1, ResultAttr("set1", ()), query_type=101)
    assert notation(rpn.to_query(restricted)) == "! 245 set1"
    assert notation(rpn.query_of(OtherQuery(100))) == "! 107 100"
    external = External(direct_reference=None, data=b"")
    assert notation(rpn.query_of(OtherQuery(104, external=external))) == "! 107 104"
    assert notation(rpn.query_of(QueryTooComplex(1, QueryBound.DEPTH))).startswith("! 6 ")
    null = RpnQuery(oid.BIB_1, AttributesPlusTerm((), Null.NULL))
    assert notation(rpn.query_of(null)) == "! 229 Null"


def test_a_call_number_that_begins_with_a_digit_is_dewey_under_its_number_alone() -> None:
    assert meaning("@attr 1=16 813.52") == '(classification_dewey key "813.52")'
    assert meaning("@attr 1=classification_lcc 813.52") == '(classification_lcc key "813.52")'
    assert meaning("@or @attr 1=16 QA76 @attr 1=13 813") == (
        '(or (classification_lcc key "QA76") (classification_dewey key "813"))'
    )
    clause = Clause("classification_lcc", "813", structure=Structure.KEY)
    assert pqf.to_text(from_query(clause)) == "@attr 1=classification_lcc 813"


def test_the_order_of_a_type_104_query_is_told_apart_from_its_meaning() -> None:
    found = rpn.order_of(CqlQuery("dc.title = a sortBy dc.date/sort.descending dc.title"))
    assert found == (SortSpec("date", descending=True), SortSpec("title"))
    assert rpn.order_of(CqlQuery("dc.title = a")) == ()
    assert rpn.order_of(OtherQuery(0)) == ()
    for text, told in (("a sortBy isbn", "! 207 isbn"), ("a sortBy foo.x", "! 121 foo"),
                       ("a sortBy", "! 108 a sort index is missing")):  # fmt: skip
        refused = rpn.order_of(CqlQuery(text))
        assert isinstance(refused, Diagnostic)
        assert notation(refused) == told
    broken = rpn.order_of(CqlQuery("a sortBy title\udcff"))
    assert isinstance(broken, Diagnostic)
    assert broken.condition == 125


def test_a_type_104_query_is_read_as_cql() -> None:
    assert notation(rpn.query_of(CqlQuery("dc.title = 红楼梦"))) == '(title phrase "红楼梦")'
    assert notation(rpn.query_of(CqlQuery("foo.bar = 1"))) == "! 121 foo"
    assert notation(rpn.query_of(CqlQuery("dc.title foo x"))) == "! 117 foo"
    gb18030 = "红楼梦".encode("gb18030").decode("utf-8", "surrogateescape")
    assert notation(rpn.query_of(CqlQuery(gb18030))).startswith("! 125 ")
    found = rpn.query_of(CqlQuery(gb18030), rpn.UTF_8_OR_GB18030)
    assert notation(found) == '(any all "红楼梦")'


def chain(depth: int, *, to_the_left: bool) -> RpnQuery:
    leaf: RpnNode = AttributesPlusTerm((), b"x")
    node = leaf
    for _ in range(depth):
        operands = (node, leaf) if to_the_left else (leaf, node)
        node = RpnOperation(BooleanOperator.OR, *operands)
    return RpnQuery(oid.BIB_1, node)


@pytest.mark.parametrize("to_the_left", [True, False])
def test_500_levels_are_answered_and_5000_refused(to_the_left: bool) -> None:
    assert notation(rpn.to_query(chain(500, to_the_left=to_the_left))).startswith("(or ")
    refused = "! 6 at most 512 below one another"
    assert notation(rpn.to_query(chain(513, to_the_left=to_the_left))) == refused
    assert notation(rpn.to_query(chain(5000, to_the_left=to_the_left))) == refused


def test_a_bushy_query_of_too_many_operands_is_refused() -> None:
    node: RpnNode = AttributesPlusTerm((), b"x")
    for _ in range(13):
        node = RpnOperation(BooleanOperator.OR, node, node)
    assert notation(rpn.to_query(RpnQuery(oid.BIB_1, node))) == "! 6 at most 4096 operands"


def scan(text: str) -> str:
    start = query(text).rpn
    assert isinstance(start, AttributesPlusTerm)
    found = rpn.to_scan(oid.BIB_1, start)
    if isinstance(found, Diagnostic):
        return notation(found)
    assert isinstance(found, ScanStart)
    return f"{found.access_point} {found.term!r}{' phrases' if found.phrases else ''}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@attr 1=4 fish", "title 'fish'"),
        ("@attr 1=4 {}", "title ''"),
        ("@attr 1=4 @term null {}", "title ''"),
        ("@attr 1=4 @attr 4=1 {the h}", "title 'the h' phrases"),
        ("@attr 1=4 @attr 6=3 {the h}", "title 'the h' phrases"),
        ("@attr 1=1003 红", "author '红'"),
        ("@attr 1=4711 x", "! 114 4711"),
    ],
)
def test_a_scan_begins_where_its_attributes_say(text: str, expected: str) -> None:
    assert scan(text) == expected


def test_a_sort_attribute_names_a_sortable_access_point() -> None:
    def by(*pairs: tuple[int, int]) -> object:
        elements = tuple(AttributeElement(type=kind, value=value) for kind, value in pairs)
        return rpn.sort_access_point(oid.BIB_1, elements)

    assert by((1, 4)) is BY_NAME["title"]
    assert by((1, 4), (7, 1)) is BY_NAME["title"]
    assert by((1, 7)) == Diagnostic(Bib1.SORT_SEQUENCE_UNSUPPORTED, "7")
    assert by((4, 1)) == Diagnostic(Bib1.USE_ATTRIBUTE_REQUIRED)
    assert by((1, 4711)) == Diagnostic(Bib1.USE_ATTRIBUTE_UNSUPPORTED, "4711")


@pytest.mark.parametrize("point", ACCESS_POINTS, ids=lambda point: point.name)
def test_every_access_point_can_be_asked_for_in_rpn(point: object) -> None:
    name = getattr(point, "name")  # noqa: B009 - parametrize hides the type
    structure = Structure.ALL_WORDS if BY_NAME[name].kind.value == "text" else Structure.KEY
    clause = Clause(name, "x", structure=structure)
    assert rpn.to_query(from_query(clause)) == clause


def test_readings_are_remembered_by_their_attributes_within_a_bound() -> None:
    first = bib1_attributes.resolve(oid.BIB_1, (AttributeElement(type=1, value=4),))
    assert bib1_attributes.resolve(oid.BIB_1, (AttributeElement(type=1, value=4),)) is first
    for value in range(10_000):
        bib1_attributes.resolve(oid.BIB_1, (AttributeElement(type=1, value=value),))
    assert len(bib1_attributes._READINGS) <= bib1_attributes._READINGS_MAX
    long = AttributeElement(type=1, value=ComplexAttribute(("x" * 10_000,)))
    before = len(bib1_attributes._READINGS)
    refused = bib1_attributes.resolve(oid.BIB_1, (long,))
    assert refused == Diagnostic(Bib1.USE_ATTRIBUTE_UNSUPPORTED, "x" * 200)
    assert len(bib1_attributes._READINGS) == before
