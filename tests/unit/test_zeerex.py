"""The explain record: valid, complete, and true to the access-point table."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from protocol.access_point import AccessPoint
from protocol.access_points import ACCESS_POINTS, BY_NAME
from protocol.cql import parse_query, resolve_index
from protocol.cql_features import RELATION_MODIFIERS, RELATIONS
from protocol.diagnostic import SruFault
from protocol.record import MarcFamily
from protocol.sru import SruLimits
from protocol.sru_facets import FACET_FIELDS, facet_field
from protocol.zeerex import (
    ServerDescription,
    explain_record,
    relation_modifiers,
    relations,
)

ZR = {"z": "http://explain.z3950.org/dtd/2.0/"}
SERVER = ServerDescription(
    host="sru.example.org",
    port=8080,
    database="cn_cat",
    title="Chinese books & serials",
    title_zh="中文书刊",
    description="What the members hold",
    contact="cataloguing@example.org",
    restrictions="Members only",
    date_modified="2024-01-01T00:00:00Z",
    records=445,
    open_to_all=False,
)
LIMITS = SruLimits(
    schemas=("marcxml", "dc"), records_max=50, result_set_ttl_s_max=300, facet_terms_max=80,
    stylesheets=("/assets/sru.xsl",),
)  # fmt: skip


@pytest.fixture(scope="module")
def record() -> etree._Element:
    return etree.fromstring(explain_record(SERVER, LIMITS))


def values(record: etree._Element, path: str) -> list[str]:
    return [str(each) for each in record.xpath(path, namespaces=ZR)]


def test_the_record_is_valid(record: etree._Element) -> None:
    schema = etree.XMLSchema(etree.parse(Path(__file__).parent / "schemas" / "zeerex-2.xsd"))
    schema.assertValid(record)
    least = ServerDescription(host="h", port=1, database="d", title="t")
    schema.assertValid(etree.fromstring(explain_record(least, SruLimits())))


def test_it_says_where_the_database_is_and_what_it_is_called(record: etree._Element) -> None:
    assert values(record, "z:serverInfo/@protocol") == ["SRU"]
    assert values(record, "z:serverInfo/z:host/text()") == ["sru.example.org"]
    assert values(record, "z:serverInfo/z:port/text()") == ["8080"]
    assert values(record, "z:serverInfo/z:database/text()") == ["cn_cat"]
    assert values(record, "z:serverInfo/z:database/@numRecs") == ["445"]
    assert values(record, "z:databaseInfo/z:title/text()") == [
        "Chinese books & serials",
        "中文书刊",
    ]


def test_every_cql_index_of_the_table_is_told_and_works(record: etree._Element) -> None:
    told = set()
    for name in record.findall(".//z:index/z:map/z:name", ZR):
        told.add(f"{name.get('set')}.{name.text}")
    own = {f"local.{point.name}" for point in ACCESS_POINTS if not point.cql}
    assert told == own | {name for point in ACCESS_POINTS for name in point.cql}
    assert "local.classification_clc" in told
    assert {resolve_index(index) for index in told} == set(ACCESS_POINTS)


def test_every_prefix_used_is_declared(record: etree._Element) -> None:
    declared = values(record, "z:indexInfo/z:set/@name")
    assert set(values(record, ".//z:name/@set")) <= set(declared)
    assert len(set(declared)) == len(declared)


def test_an_index_says_what_can_be_done_with_it(record: etree._Element) -> None:
    def index(name: str) -> etree._Element:
        set_name, _, local = BY_NAME[name].cql[0].partition(".")
        path = f".//z:index[z:map/z:name[@set='{set_name}' and .='{local}']]"
        found = record.xpath(path, namespaces=ZR)
        assert len(found) == 1
        element = found[0]
        assert isinstance(element, etree._Element)
        return element

    assert index("title").get("sort") == "true"
    assert index("isbn").get("sort") == "false"
    assert "<=" in values(index("date"), ".//z:supports/text()")
    assert "adj" in values(index("title"), ".//z:supports/text()")
    assert "<=" not in values(index("title"), ".//z:supports/text()")


@pytest.mark.parametrize("point", ACCESS_POINTS, ids=lambda point: point.name)
def test_an_index_takes_the_relations_and_modifiers_told_and_no_others(point: AccessPoint) -> None:
    def understood(relation: str) -> bool:
        term = '"1990 1991"' if relation.startswith("within") else "1990"
        return not isinstance(parse_query(f"local.{point.name} {relation} {term}"), SruFault)

    names = [feature.name.removeprefix("cql.") for feature in RELATIONS if feature.supported]
    told = {name for name in names if understood(name)}
    assert told == set(relations(point.kind))
    modifiers = [
        feature.name.removeprefix("cql.")
        for feature in RELATION_MODIFIERS
        if feature.name.startswith("cql.") and not feature.value
    ]
    told = {name for name in modifiers if understood(f"=/{name}")}
    assert told == set(relation_modifiers(point.kind))


def test_an_index_says_what_it_takes(record: etree._Element) -> None:
    path = ".//z:index[z:map/z:name[@set='{}' and .='{}']]//z:supports[@type='{}']/text()"
    title = values(record, path.format("dc", "title", "relation"))
    assert title == ["=", "==", "exact", "scr", "adj", "all", "any"]
    assert "encloses" in values(record, path.format("dc", "date", "relation"))
    assert "isoDate" in values(record, path.format("dc", "date", "relationModifier"))
    assert "relevant" in values(record, path.format("dc", "title", "relationModifier"))


def supports(record: etree._Element, kind: str) -> list[str]:
    return values(record, f"z:configInfo/z:supports[@type='{kind}']/text()")


def test_what_the_server_supports_is_told(record: etree._Element) -> None:
    assert "within" in supports(record, "relation")
    assert "unit" in supports(record, "booleanModifier")
    assert "sort.descending" in supports(record, "sortModifier")
    assert supports(record, "booleanOperator") == ["and", "or", "not", "prox"]
    assert supports(record, "queryType") == ["cql", "pqf"]
    assert "x-lianmu-quota" in supports(record, "extension")
    for kind in ("scan", "sort", "resultSets", "proximity", "anchoring"):
        assert record.xpath(f"count(z:configInfo/z:supports[@type='{kind}'])", namespaces=ZR) == 1
    without = etree.fromstring(explain_record(SERVER, SruLimits()))
    assert without.xpath("z:configInfo/z:supports[@type='resultSets']", namespaces=ZR) == []
    assert supports(without, "facet") == []


def test_facets_and_the_stylesheet_are_told_with_their_bounds(record: etree._Element) -> None:
    facets = supports(record, "facet")
    assert [facet_field(index) for index in facets] == list(FACET_FIELDS)
    assert values(record, ".//z:setting[@type='facetLimit']/text()") == ["80"]
    assert values(record, ".//z:default[@type='facetLimit']/text()") == ["10"]
    assert values(record, ".//z:setting[@type='stylesheet']/text()") == ["/assets/sru.xsl"]


def test_who_needs_an_account_is_told(record: etree._Element) -> None:
    assert len(record.findall("z:serverInfo/z:authentication/z:user", ZR)) == 1
    assert values(record, "z:databaseInfo/z:restrictions/text()") == ["Members only"]
    assert values(record, "z:serverInfo/@method") == ["GET POST SOAP"]
    open_to_all = explain_record(
        ServerDescription(host="h", port=1, database="d", title="t"), LIMITS
    )
    assert etree.fromstring(open_to_all).find("z:serverInfo/z:authentication", ZR) is None


def test_schemas_and_limits_are_told(record: etree._Element) -> None:
    assert values(record, "z:schemaInfo/z:schema/@name") == ["marcxml", "dc"]
    assert values(record, ".//z:setting[@type='maximumRecords']/text()") == ["50"]
    assert values(record, ".//z:setting[@type='resultSetTTL']/text()") == ["300"]
    assert values(record, ".//z:default[@type='numberOfRecords']/text()") == ["10"]
    assert values(record, ".//z:supports[@type='version']/text()") == ["1.1", "1.2", "2.0"]


def test_a_record_may_leave_access_points_out() -> None:
    record = etree.fromstring(explain_record(SERVER, LIMITS, points=[BY_NAME["title"]]))
    maps = record.findall(".//z:index/z:map", ZR)
    assert len(maps) == len(BY_NAME["title"].cql)


@pytest.mark.parametrize("family", MarcFamily)
def test_a_database_tells_what_records_of_its_marc_family_can_have(family: MarcFamily) -> None:
    record = etree.fromstring(explain_record(SERVER, LIMITS, families=[family]))
    told = values(record, ".//z:index/z:title[@lang='en']/text()")
    fields = {
        MarcFamily.MARC21: lambda point: point.marc21,
        MarcFamily.UNIMARC: lambda point: point.unimarc,
    }[family]
    assert set(told) == {
        point.title
        for point in ACCESS_POINTS
        if fields(point) or point.name in ("any", "possessing_institution")
    }
    is_marc21 = family is MarcFamily.MARC21
    sets = values(record, "z:indexInfo/z:set/@name")
    assert ("marc" in sets, "unimarc" in sets) == (is_marc21, not is_marc21)
    assert ("Uniform book number (China)" in told) is not is_marc21


def test_databases_of_both_families_tell_everything(record: etree._Element) -> None:
    assert len(record.findall(".//z:index", ZR)) == len(ACCESS_POINTS)
    assert {"marc", "unimarc"} <= set(values(record, "z:indexInfo/z:set/@name"))
    for index in ("marc.245$a", "unimarc.200$a"):
        assert resolve_index(index) is BY_NAME["title"]
