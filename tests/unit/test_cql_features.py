"""The tables of supported CQL say what the interpreter does, and fields are indexes of `marc`."""

from __future__ import annotations

import pytest

from protocol import cql, cql_parser, pqf, rpn
from protocol.access_points import ACCESS_POINTS, BY_NAME
from protocol.apdu_query import RpnQuery
from protocol.cql_ast import CqlQuery
from protocol.cql_context import SET_BY_NAME, find_index
from protocol.cql_features import (
    BOOLEAN_MODIFIERS,
    PROXIMITY_UNITS,
    RELATION_MODIFIERS,
    RELATIONS,
    SORT_MODIFIERS,
    Feature,
    keys,
)
from protocol.cql_marc import SETS, marc_indexes, marc_point
from protocol.cql_sort import sort_specs
from protocol.diagnostic import SruFault

# One clause for each modifier that stands on certain indexes alone.
PLACES = {
    "bib.identifierAuthority": "dc.identifier =/{}={} 1",
    "bib.classAuthority": "bib.classification =/{}={} 1",
    "bib.subjectAuthority": "dc.subject =/{}={} 1",
    "bib.role": "bib.name =/{}={} x",
    "bib.roleAuthority": "bib.name =/bib.role=aut/{}={} x",
    "bib.portion": "bib.originPlace =/{}={} x",
}
ELSEWHERE = {"marcgac": "bib.subjectPlace =/{}={} x"}


def condition(text: str) -> int:
    """The condition that the query is refused with, 0 for one that has a meaning."""
    found = cql.parse_query(text)
    return int(found.condition) if isinstance(found, SruFault) else 0


def names(features: tuple[Feature, ...]) -> list[str]:
    return [each.name for each in features]


def test_every_name_belongs_to_a_set_that_we_know_and_stands_once() -> None:
    for table in (RELATIONS, RELATION_MODIFIERS, BOOLEAN_MODIFIERS, SORT_MODIFIERS):
        assert len(set(names(table))) == len(table)
        for each in table:
            prefix, dot, _ = each.name.partition(".")
            assert not dot or prefix in SET_BY_NAME, each.name
            assert each.description or not each.supported, each.name


@pytest.mark.parametrize("feature", RELATIONS, ids=names(RELATIONS))
def test_every_relation_of_the_table_is_answered_on_a_date(feature: Feature) -> None:
    term = '"1990 1999"' if feature.name == "cql.within" else "1999"
    assert condition(f"dc.date {feature.name} {term}") == 0
    assert condition(f"dc.date {feature.key.upper()} {term}") == 0


def test_a_relation_outside_the_table_is_refused() -> None:
    assert condition("dc.date cql.near 1999") == 19


@pytest.mark.parametrize("feature", RELATION_MODIFIERS, ids=names(RELATION_MODIFIERS))
def test_the_table_of_relation_modifiers_says_what_happens(feature: Feature) -> None:
    name = feature.name
    if not feature.supported:
        assert condition(f"dc.title =/{name} fish") == 20
        assert condition(f"dc.title =/{name}=1 fish") == 20
    elif name == "marc.substring":
        assert condition(f'marc.008 =/{name}="35:3" eng') == 0
    elif feature.value:
        for value in feature.value.split(", "):
            clause = ELSEWHERE.get(value, PLACES[name])
            assert condition(clause.format(name, f'"{value}"')) == 0, value
        assert condition(PLACES[name].format(name, "nobody")) == 20
        assert condition(f"dc.title =/{name} fish") == 20
    else:
        assert condition(f"dc.date =/{name} 1999") == 0
        assert condition(f"dc.date =/{feature.key.upper()} 1999") == 0
        assert condition(f"dc.date =/{name}=1 1999") == 20


@pytest.mark.parametrize("feature", BOOLEAN_MODIFIERS, ids=names(BOOLEAN_MODIFIERS))
def test_the_table_of_boolean_modifiers_says_what_happens(feature: Feature) -> None:
    value = {"cql.unit": "=element", "cql.distance": "<=3"}.get(feature.name, "")
    assert condition(f"a prox/{feature.name}{value} b") == 0
    assert condition(f"a and/{feature.name}{value} b") == 46


@pytest.mark.parametrize("unit", PROXIMITY_UNITS, ids=names(PROXIMITY_UNITS))
def test_the_table_of_units_says_what_happens(unit: Feature) -> None:
    assert condition(f"a prox/unit={unit.name} b") == (0 if unit.supported else 42)


@pytest.mark.parametrize("feature", SORT_MODIFIERS, ids=names(SORT_MODIFIERS))
def test_the_table_of_sort_modifiers_says_what_happens(feature: Feature) -> None:
    value = "=x" if feature.value else ""
    for name in (feature.name, feature.name.removeprefix("sort.").upper()):
        query = cql_parser.parse(f"a sortBy title/{name}{value}")
        assert isinstance(query, CqlQuery)
        found = sort_specs(query)
        assert isinstance(found, SruFault) != feature.supported
        assert not isinstance(found, SruFault) or found.condition == 82


def test_keys_are_the_supported_names_without_the_set_cql() -> None:
    assert "exact" in keys(RELATIONS)
    assert "local.exclusion" in keys(BOOLEAN_MODIFIERS)
    assert "stem" not in keys(RELATION_MODIFIERS)


@pytest.mark.parametrize(
    ("index", "point", "also"),
    [
        ("unimarc.010$a", "isbn", ()),
        ("unimarc.200$a", "title", ("225", "512")),
        ("unimarc.200$f", "author", ("701",)),
        ("unimarc.690", "classification_clc", ("686",)),
        ("unimarc.210$c", "publisher", ("214",)),
        ("unimarc.701", "author_personal", ("700", "702")),
        ("unimarc.091", "bookseller_number", ("092",)),
        ("020", "isbn", ()),
        ("020$a", "isbn", ()),
        ("245", "title", ("130", "246", "830")),
        ("245$a", "title", ("246",)),
        ("245$c", "author", ("100", "700")),
        ("100", "author_personal", ("700", "800")),
        ("650$a", "subject_topical", ("690",)),
        ("260$b", "publisher", ("264",)),
        ("001", "control_number", ("035",)),
        ("505", "contents", ()),
    ],
)
def test_a_field_is_the_narrowest_access_point_that_it_feeds(
    index: str, point: str, also: tuple[str, ...]
) -> None:
    set_name, _, index = f"marc.{index}".rpartition(".")
    set_name = set_name.removeprefix("marc.")
    indexes = marc_indexes(set_name)
    found = next(each for each in indexes if (each.name, each.substring) == (index, ""))
    assert found.point is BY_NAME[point]
    assert set(also) <= set(found.also)
    assert also or not found.also
    assert found.name.partition("$")[0] not in found.also


@pytest.mark.parametrize("index", ["260", "999", "245$9", "008", "24", "245:1", ""])
def test_a_field_of_no_access_point_or_of_several_is_no_index(index: str) -> None:
    assert marc_point("marc", index) is None


@pytest.mark.parametrize("index", ["245", "210", "101$a"])
def test_the_fields_of_the_families_are_not_mixed_up(index: str) -> None:
    assert marc_point("marc", index) is not marc_point("unimarc", index)


@pytest.mark.parametrize(
    ("index", "substring", "point"),
    [
        ("008", "35:3", "language"),
        ("008", "035:03", "language"),
        ("000", "7:1", "bibliographic_level"),
        ("005", "0:8", "date_modified"),
    ],
)
def test_positions_of_a_control_field_are_an_index(index: str, substring: str, point: str) -> None:
    assert marc_point("marc", index, substring) is BY_NAME[point]
    assert marc_point("unimarc", "100$a", "8:9") is BY_NAME["date"]


@pytest.mark.parametrize("substring", ["35:2", "x", "35", ":", "-1:3", "35:3:1"])
def test_other_positions_are_none(substring: str) -> None:
    assert marc_point("marc", "008", substring) is None


@pytest.mark.parametrize("set_name", SETS)
def test_every_marc_index_is_found_by_its_name_and_fed_by_its_field(set_name: str) -> None:
    for each in marc_indexes(set_name):
        assert marc_point(set_name, each.name.upper(), each.substring) is each.point
        if not each.substring:
            assert find_index(set_name, each.name) is each.point
        tag = "LDR" if each.name == "000" else each.name[:3]
        assert tag in (each.point.marc21 if set_name == "marc" else each.point.unimarc)
    points = {each.point.name for each in marc_indexes(set_name)}
    assert points < {each.name for each in ACCESS_POINTS}


def test_a_marc_index_is_a_use_attribute_by_name_too() -> None:
    written = pqf.parse("@attr 1=marc.245$a @attr 4=1 fish")
    assert isinstance(written, RpnQuery)
    assert rpn.to_query(written) == cql.parse_query("marc.245$a = fish")
