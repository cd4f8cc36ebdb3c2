"""CQL: the corpus, text that comes back, XCQL, sort orders and scan clauses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lxml import etree

from protocol import cql, cql_parser
from protocol.cql_ast import CqlQuery, to_text
from protocol.cql_context import CONTEXT_SETS, indexes
from protocol.cql_sort import sort_specs, sort_specs_1_1
from protocol.diagnostic import SruFault
from protocol.query import ScanStart, SortSpec
from protocol.xcql import NAMESPACE_1, NAMESPACE_2, to_document, to_scan_xcql, to_xcql
from tests.unit.cql_corpus import CORPUS, WELL_FORMED, Case, meaning
from tests.unit.query_notation import notation

SCHEMAS = Path(__file__).parent / "schemas"


def parsed(text: str) -> CqlQuery:
    query = cql_parser.parse(text)
    assert isinstance(query, CqlQuery), query
    return query


def test_the_corpus_is_large_and_has_no_query_twice() -> None:
    queries = [case.query for case in CORPUS]
    assert len(queries) >= 120
    assert len(set(queries)) == len(queries)


@pytest.mark.parametrize("case", CORPUS, ids=str)
def test_a_query_of_the_corpus_means_what_it_says(case: Case) -> None:
    assert meaning(case.query) == case.outcome


@pytest.mark.parametrize("case", CORPUS, ids=str)
def test_a_query_of_the_corpus_is_the_xcql_that_it_says(case: Case) -> None:
    query = cql_parser.parse(case.query)
    if not case.xcql:
        assert isinstance(query, SruFault)
        assert query.condition in (10, 13, 14, 25)
        return
    assert isinstance(query, CqlQuery)
    assert to_xcql(query).replace(f' xmlns="{NAMESPACE_1}"', "", 1) == case.xcql


@pytest.mark.parametrize("case", [case for case in CORPUS if case.outcome.startswith("!")], ids=str)
def test_a_diagnostic_points_into_the_query(case: Case) -> None:
    match = re.match(r"! \d+ @(\d+)", case.outcome)
    assert match is not None
    assert 0 <= int(match[1]) <= len(case.query)


@pytest.mark.parametrize("case", WELL_FORMED, ids=str)
def test_a_parsed_query_survives_being_written_again(case: Case) -> None:
    query = parsed(case.query)
    assert parsed(to_text(query)) == query


@pytest.fixture(scope="module")
def xcql_schemas() -> dict[str, etree.XMLSchema]:
    return {
        namespace: etree.XMLSchema(etree.parse(SCHEMAS / name))
        for namespace, name in ((NAMESPACE_1, "xcql-1.xsd"), (NAMESPACE_2, "xcql-2.xsd"))
    }


@pytest.mark.parametrize("namespace", [NAMESPACE_1, NAMESPACE_2])
@pytest.mark.parametrize("case", WELL_FORMED, ids=str)
def test_every_parsed_query_is_valid_xcql(
    case: Case, namespace: str, xcql_schemas: dict[str, etree.XMLSchema]
) -> None:
    document = etree.fromstring(to_document(parsed(case.query), namespace))
    xcql_schemas[namespace].assertValid(document)


def test_xcql_shows_prefixes_modifiers_and_sort_keys() -> None:
    query = parsed('> x = "urn:1" a =/relevant "b \\"c\\" <d>" and/m=1 e sortBy f/sort.descending')
    assert to_xcql(query) == (
        f'<triple xmlns="{NAMESPACE_1}"><prefixes><prefix><name>x</name>'
        "<identifier>urn:1</identifier></prefix></prefixes>"
        "<boolean><value>and</value><modifiers><modifier><type>m</type>"
        "<comparison>=</comparison><value>1</value></modifier></modifiers></boolean>"
        "<leftOperand><searchClause><index>a</index><relation><value>=</value>"
        "<modifiers><modifier><type>relevant</type></modifier></modifiers></relation>"
        "<term>b &quot;c&quot; &lt;d&gt;</term></searchClause></leftOperand>"
        "<rightOperand><searchClause><index>cql.serverChoice</index>"
        "<relation><value>=</value></relation><term>e</term></searchClause></rightOperand>"
        "<sortKeys><key><index>f</index><modifiers><modifier><type>sort.descending</type>"
        "</modifier></modifiers></key></sortKeys></triple>"
    )


def test_xcql_2_0_stands_side_by_side_with_its_prefixes_in_front() -> None:
    query = parsed('a and (> x = "urn:1" > "urn:2" x.b =/x.m c or d = e) sortBy f')
    ns = f' xmlns="{NAMESPACE_2}"'
    assert to_xcql(query, NAMESPACE_2) == (
        f"<prefixes{ns}><prefix><name>p1</name><identifier>urn:1</identifier></prefix>"
        "<prefix><name>p2</name><identifier>urn:2</identifier></prefix></prefixes>"
        f"<triple{ns}><Boolean><value>and</value></Boolean>"
        "<leftOperand><searchClause><index>cql.serverChoice</index>"
        "<relation><value>=</value></relation><term>a</term></searchClause></leftOperand>"
        "<rightOperand><triple><Boolean><value>or</value></Boolean>"
        "<leftOperand><searchClause><index>p1.b</index><relation><value>=</value>"
        "<modifiers><modifier><type>p1.m</type></modifier></modifiers></relation>"
        "<term>c</term></searchClause></leftOperand>"
        "<rightOperand><searchClause><index>p2.d</index><relation><value>=</value></relation>"
        "<term>e</term></searchClause></rightOperand></triple></rightOperand></triple>"
        f"<sortKeys{ns}><key><index>f</index><modifiers><modifier><type>sort.ascending</type>"
        "</modifier></modifiers></key></sortKeys>"
    )


def test_a_query_of_one_clause_is_a_triple_in_xcql_2_0() -> None:
    assert to_document(parsed("a"), NAMESPACE_2) == (
        f'<xcql xmlns="{NAMESPACE_2}"><triple><searchClause><index>cql.serverChoice</index>'
        "<relation><value>=</value></relation><term>a</term></searchClause></triple></xcql>"
    )


def test_a_scan_clause_in_xcql_is_the_content_of_a_clause() -> None:
    ns = f' xmlns="{NAMESPACE_1}"'
    assert to_scan_xcql(parsed('> x = "urn:1" x.a == "b <c>"')) == (
        f"<prefixes{ns}><prefix><name>x</name><identifier>urn:1</identifier></prefix></prefixes>"
        f"<index{ns}>x.a</index><relation{ns}><value>==</value></relation>"
        f"<term{ns}>b &lt;c&gt;</term>"
    )
    ns = f' xmlns="{NAMESPACE_2}"'
    assert to_scan_xcql(parsed("a"), NAMESPACE_2) == (
        f"<index{ns}>cql.serverChoice</index><relation{ns}><value>=</value></relation>"
        f"<term{ns}>a</term>"
    )
    assert to_scan_xcql(parsed("a and b")) == ""


@pytest.mark.parametrize(
    "text",
    [
        "a or b and (c not d) prox/distance<3 e",
        "((((((a))))))",
        '> dc = "urn:1" (> x = "urn:2" (> y = "urn:3" a)) and b',
        '"" or "a b" or "a\\"b" or "\\\\"',
    ],
)
def test_needless_parentheses_are_all_that_writing_changes(text: str) -> None:
    query = parsed(text)
    assert parsed(to_text(query)) == query
    assert to_text(parsed(to_text(query))) == to_text(query)


def test_left_and_right_nesting_are_told_apart() -> None:
    assert to_text(parsed("(a and b) or c")) == "a and b or c"
    assert to_text(parsed("a and (b or c)")) == "a and (b or c)"


def test_500_levels_are_answered_and_5000_refused() -> None:
    chain = " or ".join(["x"] * 501)
    assert notation(cql.parse_query(chain)).startswith("(or ")
    nested = "(x or " * 500 + "x" + ")" * 500
    assert notation(cql.parse_query(nested)).startswith("(or ")
    assert parsed(to_text(parsed(nested))).sort_keys == ()
    assert notation(cql.parse_query(" or ".join(["x"] * 5001))).startswith("! 38 ")
    assert notation(cql.parse_query("(x or " * 5000 + "x" + ")" * 5000)).startswith("! 13 ")


def test_bounds_are_told() -> None:
    assert notation(cql.parse_query("x" * 70_000)) == "! 12 at most 65536 characters"
    assert notation(cql.parse_query("x" * 5_000)) == "! 23 @0 at most 4096 characters"
    assert notation(cql.parse_query("x =" + "/relevant" * 20 + " y")).startswith("! 10 ")
    codes = " ".join(f"c{number}" for number in range(300))
    assert notation(cql.parse_query(f'dc.language any "{codes}"')) == "! 23 @16 at most 256 values"
    assert notation(cql.parse_query(f'dc.title any "^{codes}"')) == (
        "! 23 @13 at most 256 words with anchors"
    )


def test_half_a_surrogate_pair_is_refused_where_it_stands() -> None:
    assert notation(cql.parse_query("a\ud800b")) == "! 10 @1 half a surrogate pair"
    assert notation(cql.parse_query('title="a\udc80b"')) == "! 10 @8 half a surrogate pair"


def test_our_own_mask_characters_are_taken_out_of_terms() -> None:
    assert notation(cql.parse_query("dc.title = a\uf8f0b")) == '(title phrase "ab")'


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("x sortBy title", (SortSpec("title"),)),
        ("x sortBy dc.title/sort.descending", (SortSpec("title", descending=True),)),
        ("x sortBy title/ignoreCase/missingLow", (SortSpec("title", missing="low"),)),
        ('x sortBy title/sort.missingValue="zz \\"top\\""',
         (SortSpec("title", missing='=zz "top"'),)),
        ('> s="info:srw/cql-context-set/1/sort-v1.0" x sortBy title/s.descending',
         (SortSpec("title", descending=True),)),
        ("x sortBy title/missingValue=zz", (SortSpec("title", missing="=zz"),)),
        ("x sortBy dc.date/descending title/ascending",
         (SortSpec("date", descending=True), SortSpec("title"))),
        ('> t="info:srw/cql-context-set/1/dc-v1.1" x sortBy t.title', (SortSpec("title"),)),
        ("x", ()),
    ],
)  # fmt: skip
def test_sort_by_becomes_sort_keys(text: str, specs: tuple[SortSpec, ...]) -> None:
    assert sort_specs(parsed(text)) == specs


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x sortBy nothing", "! 16 @9 nothing"),
        ("x sortBy foo.title", "! 15 @9 foo"),
        ("x sortBy isbn", "! 88 @9 isbn"),
        ("x sortBy title/sort.locale=zh", "! 82 @15 sort.locale"),
        ("x sortBy title/sideways", "! 82 @15 sideways"),
        ("x sortBy title/dc.descending", "! 82 @15 dc.descending"),
        ("x sortBy title/descending=1", "! 82 @15 descending"),
        ("x sortBy title/missingValue", "! 82 @15 missingValue"),
        ("x sortBy title title/descending", "! 85 @15 title"),
        ("x sortBy title and", "! 16 @15 and"),
    ],
)
def test_a_sort_key_that_we_cannot_serve_is_refused(text: str, fault: str) -> None:
    found = sort_specs(parsed(text))
    assert isinstance(found, SruFault)
    assert notation(found) == fault


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("title", (SortSpec("title"),)),
        ("title,,0", (SortSpec("title", descending=True),)),
        ("title,dc,1,0,omit", (SortSpec("title", missing="omit"),)),
        ("title,,0,1", (SortSpec("title", descending=True, case_sensitive=True),)),
        ('date,,0,,"1900" dc.title', (SortSpec("date", descending=True, missing="=1900"),
                                      SortSpec("title"))),
        ('"//dc:title"', (SortSpec("title"),)),
        ("title,,,,lowValue", (SortSpec("title", missing="low"),)),
    ],
)  # fmt: skip
def test_sort_keys_of_sru_1_1_are_read(text: str, specs: tuple[SortSpec, ...]) -> None:
    assert sort_specs_1_1(text) == specs


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("nothing", "! 88 nothing"),
        ("isbn", "! 88 isbn"),
        ("title,,2", "! 90 2"),
        ("title,,1,x", "! 91 x"),
        ("title,,1,2", "! 91 2"),
        ("title,,1,0,perhaps", "! 92 perhaps"),
        ("title title", "! 85 title"),
        ("title author date " * 3, "! 84 at most 8"),
        ("t" * 2000, "! 84 at most 1024 octets"),
    ],
)
def test_sort_keys_of_sru_1_1_are_refused_precisely(text: str, fault: str) -> None:
    found = sort_specs_1_1(text)
    assert isinstance(found, SruFault)
    assert notation(SruFault(found.condition, found.details)) == fault


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("dc.title = fish", ScanStart("title", "fish")),
        ("fish", ScanStart("any", "fish")),
        ('dc.title == "the hobbit"', ScanStart("title", "the hobbit", phrases=True)),
        ('dc.title = ""', ScanStart("title", "")),
        ("dc.creator = 曹", ScanStart("author", "曹")),
        ('> x="http://purl.org/dc/elements/1.1/" x.title = a', ScanStart("title", "a")),
        ('dc.title =/string "the hobbit"', ScanStart("title", "the hobbit", phrases=True)),
        ("dc.identifier =/bib.identifierAuthority=isbn 978", ScanStart("isbn", "978")),
        ('marc.008 =/marc.substring="35:3" eng', ScanStart("language", "eng")),
        ("marc.245$a = fish", ScanStart("title", "fish")),
    ],
)
def test_a_scan_clause_says_where_to_begin(text: str, start: ScanStart) -> None:
    assert cql.to_scan(parsed(text)) == start


@pytest.mark.parametrize(
    ("text", "condition"),
    [("a and b", 48), ("foo.x = a", 15), ("dc.x = a", 16), ("cql.allRecords = 1", 16),
     ("dc.title foo a", 19), ("a sortBy title", 48)],
)  # fmt: skip
def test_a_scan_clause_is_one_clause_on_a_list_of_ours(text: str, condition: int) -> None:
    found = cql.to_scan(parsed(text))
    assert isinstance(found, SruFault)
    assert found.condition == condition


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("dc.title =/stem a", "! 20 @11 stem"),
        ("dc.title =/word/string a", "! 21 @9 string word"),
        ('dc.title = "a\\b"', "! 26 @13 \\b"),
        ('marc.008 =/marc.substring="1:1" a', "! 16 @0 marc.008 1:1"),
    ],
)
def test_modifiers_and_escapes_of_a_scan_clause_are_those_of_a_search(
    text: str, fault: str
) -> None:
    found = cql.to_scan(parsed(text))
    assert isinstance(found, SruFault)
    assert notation(found) == fault


def test_every_published_index_resolves_to_its_access_point() -> None:
    found = list(indexes())
    assert ("dc", "title") in {(set_name, index) for set_name, index, _ in found}
    for set_name, index, point in found:
        assert cql.resolve_index(f"{set_name}.{index}") is point


def test_every_context_set_can_be_bound_by_each_of_its_identifiers() -> None:
    for each in CONTEXT_SETS:
        for uri in (each.uri, *each.other_uris):
            found = cql.parse_query(f'> zz = "{uri}" zz.noSuchIndex = 1')
            assert notation(found).startswith("! 16 "), uri
