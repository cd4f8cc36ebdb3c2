"""The records of the Explain database, made from the table of access points.

Z39.50-2003 §3.2.10. Every record is found by the exp-1 Use attributes in its
`keys` (Appendix 3 ATR.2); nothing in them is written by hand that a table says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from protocol import oid
from protocol.access_point import AccessPoint
from protocol.access_points import ACCESS_POINTS
from protocol.apdu_common import IntUnit, Unit
from protocol.bib1_attributes import SUPPORTED
from protocol.explain_common import (
    AccessInfo,
    AttributeCombinations,
    AttributeOccurrence,
    HumanString,
    RpnCapabilities,
    Text,
    Type1Queries,
    Type101Queries,
    human,
)
from protocol.explain_record import (
    AttributeDescription,
    AttributeDetails,
    AttributeSetDetails,
    AttributeSetInfo,
    AttributeType,
    AttributeTypeDetails,
    AttributeValueDetails,
    CategoryInfo,
    CategoryList,
    DatabaseInfo,
    ExplainRecord,
    OmittedAttributeInterpretation,
    RecordSyntaxInfo,
    SortDetails,
    SortKeyDetails,
    TargetInfo,
    TermList,
    TermListInfo,
)
from protocol.oid import Oid
from protocol.record import Database, MarcFamily

NAME = "IR-Explain-1"
LANGUAGES = ("eng", "chi")

USE = 1
_TYPE_NAMES = {1: "Use", 2: "Relation", 3: "Position", 4: "Structure", 5: "Truncation",
               6: "Completeness"}  # fmt: skip
# What an attribute left out means; the rest depends on the access point.
_DEFAULTS = {1: 1016, 2: 3, 3: 3, 5: 100, 6: 1}
_AND, _OR, _AND_NOT = 0, 1, 2


class ExplainUse(IntEnum):
    """Use attributes of exp-1 by which our records are found (ATR.2)."""

    EXPLAIN_CATEGORY = 1
    HUMAN_STRING_LANGUAGE = 2
    DATABASE_NAME = 3
    TARGET_NAME = 4
    ATTRIBUTE_SET_OID = 5
    RECORD_SYNTAX_OID = 6
    TERM_LIST_NAME = 15
    EXPLAIN_DATABASE = 25


@dataclass(frozen=True, slots=True)
class Entry:
    """One Explain record. `keys` are in lower case, by Use attribute."""

    category: str
    keys: Mapping[int, frozenset[str]]
    record: ExplainRecord


@dataclass(frozen=True, slots=True)
class Target:
    """What the server says of itself; `timeout_s` in seconds."""

    name: str
    description: str
    result_sets_max: int
    timeout_s: int
    record_syntaxes: tuple[Oid, ...]
    element_set_names: tuple[str, ...]


def entries(target: Target, databases: Sequence[tuple[Database, int]]) -> list[Entry]:
    """All records for a server with these databases, each with its count of records."""
    found = [
        _entry(_target_info(target), {ExplainUse.TARGET_NAME: [target.name]}),
        _entry(_explain_itself(), {ExplainUse.DATABASE_NAME: [NAME],
                                   ExplainUse.EXPLAIN_DATABASE: ["explain"]}),
        *(_entry(each, {ExplainUse.ATTRIBUTE_SET_OID: [str(each.attribute_set)]})
          for each in (_bib1_info(), _exp1_info())),
        *(_entry(each, {ExplainUse.RECORD_SYNTAX_OID: [str(each.record_syntax)]})
          for each in map(_record_syntax_info, (*target.record_syntaxes, oid.EXPLAIN))),
    ]  # fmt: skip
    for database, count in databases:
        points = [point for point in ACCESS_POINTS if _feeds(point, database.family)]
        named: dict[int, list[str]] = {ExplainUse.DATABASE_NAME: [database.name, *database.aliases]}
        found += [
            _entry(_database_info(target, database, count), named),
            _entry(
                _attribute_details(database, points),
                {**named, ExplainUse.ATTRIBUTE_SET_OID: [str(oid.BIB_1)]},
            ),
            _entry(
                _term_list_info(database, points),
                {**named, ExplainUse.TERM_LIST_NAME: [point.name for point in points]},
            ),
            _entry(_sort_details(database, points), named),
        ]
    categories = sorted({each.category for each in found} | {"CategoryList"})
    listed = CategoryList(categories=tuple(CategoryInfo(category=each) for each in categories))
    return [_entry(listed, {}), *found]


def _entry(record: ExplainRecord, keys: Mapping[int, list[str]]) -> Entry:
    category = type(record).__name__
    folded = {use: frozenset(value.casefold() for value in values) for use, values in keys.items()}
    folded[ExplainUse.EXPLAIN_CATEGORY] = frozenset({category.casefold()})
    folded[ExplainUse.HUMAN_STRING_LANGUAGE] = frozenset(LANGUAGES)
    return Entry(category, folded, record)


def _feeds(point: AccessPoint, family: MarcFamily) -> bool:
    """Whether clients can ask for `point` by number and records of `family` may have it."""
    return bool(point.bib1) and point.may_come_from(family)


def _titles(point: AccessPoint) -> HumanString:
    return (Text(language="eng", text=point.title), Text(language="chi", text=point.title_zh))


def _access_info(target: Target) -> AccessInfo:
    rpn = RpnCapabilities(
        operators=(_AND, _OR, _AND_NOT),
        result_set_as_operand_supported=True,
        restriction_operand_supported=False,
    )
    return AccessInfo(
        query_types_supported=(Type1Queries(rpn), Type101Queries(rpn)),
        diagnostics_sets=(oid.DIAG_BIB_1,),
        attribute_set_ids=(oid.BIB_1,),
        record_syntaxes=target.record_syntaxes,
        element_set_names=target.element_set_names,
        unit_systems=(),
    )


def _target_info(target: Target) -> TargetInfo:
    return TargetInfo(
        name=target.name,
        named_result_sets=True,
        multiple_db_search=True,
        max_result_sets=target.result_sets_max,
        timeout_interval=IntUnit(target.timeout_s, Unit(unit_type="time", unit="second")),
        description=human(target.description, "eng"),
        languages=LANGUAGES,
        common_access_info=_access_info(target),
    )


def _database_info(target: Target, database: Database, count: int) -> DatabaseInfo:
    return DatabaseInfo(
        name=database.name,
        nicknames=database.aliases,
        user_fee=True,
        available=True,
        title_string=human(database.title),
        description=human(f"Records in {database.family.value}", "eng"),
        record_count=count,
        access_info=_access_info(target),
    )


def _explain_itself() -> DatabaseInfo:
    return DatabaseInfo(
        name=NAME,
        explain_database=True,
        user_fee=False,
        available=True,
        title_string=human("Explain database", "eng"),
        access_info=AccessInfo(
            attribute_set_ids=(oid.EXP_1,),
            record_syntaxes=(oid.EXPLAIN, oid.SUTRS, oid.XML),
            unit_systems=(),
        ),
    )


def _record_syntax_info(syntax: Oid) -> RecordSyntaxInfo:
    return RecordSyntaxInfo(record_syntax=syntax, name=oid.name_of(syntax))


def _bib1_info() -> AttributeSetInfo:
    uses = tuple(
        AttributeDescription(
            name=point.title, description=_titles(point), attribute_value=value,
            equivalent_attributes=tuple(each for each in point.bib1 if each != value),
        )
        for point in ACCESS_POINTS
        for value in point.bib1
    )  # fmt: skip
    others = tuple(
        AttributeType(
            name=_TYPE_NAMES[kind],
            attribute_type=kind,
            attribute_values=tuple(
                AttributeDescription(attribute_value=value) for value in sorted(values)
            ),
        )
        for kind, values in sorted(SUPPORTED.items())
    )
    return AttributeSetInfo(
        attribute_set=oid.BIB_1,
        name="bib-1",
        attributes=(
            AttributeType(name=_TYPE_NAMES[USE], attribute_type=USE, attribute_values=uses),
            *others,
        ),
    )


def _exp1_info() -> AttributeSetInfo:
    uses = tuple(
        AttributeDescription(name=use.name.lower(), attribute_value=int(use)) for use in ExplainUse
    )
    return AttributeSetInfo(
        attribute_set=oid.EXP_1,
        name="exp-1",
        attributes=(
            AttributeType(name=_TYPE_NAMES[USE], attribute_type=USE, attribute_values=uses),
        ),
    )


def _attribute_details(database: Database, points: Sequence[AccessPoint]) -> AttributeDetails:
    values_by_type = {
        USE: sorted({value for point in points for value in point.bib1}),
        **{kind: sorted(values) for kind, values in SUPPORTED.items()},
    }
    titles = {value: _titles(point) for point in reversed(points) for value in point.bib1}
    details = tuple(
        AttributeTypeDetails(
            attribute_type=kind,
            default_if_omitted=(
                OmittedAttributeInterpretation(default_value=_DEFAULTS[kind])
                if kind in _DEFAULTS
                else None
            ),
            attribute_values=tuple(
                AttributeValueDetails(
                    value=value, description=titles.get(value, ()) if kind == USE else ()
                )
                for value in values
            ),
        )
        for kind, values in sorted(values_by_type.items())
    )
    return AttributeDetails(
        database_name=database.name,
        attributes_by_set=(AttributeSetDetails(oid.BIB_1, details),),
        attribute_combinations=AttributeCombinations(
            oid.BIB_1,
            (
                tuple(
                    AttributeOccurrence(attribute_type=kind, attribute_values=tuple(values))
                    for kind, values in sorted(values_by_type.items())
                ),
            ),
        ),
    )


def _term_list_info(database: Database, points: Sequence[AccessPoint]) -> TermListInfo:
    return TermListInfo(
        database_name=database.name,
        term_lists=tuple(
            TermList(name=point.name, title=_titles(point), scanable=True)
            for point in points
            if point.scannable
        ),
    )


def _sort_details(database: Database, points: Sequence[AccessPoint]) -> SortDetails:
    return SortDetails(database_name=database.name, sort_keys=tuple(_sort_keys(points)))


def _sort_keys(points: Sequence[AccessPoint]) -> Iterator[SortKeyDetails]:
    for point in points:
        if point.sortable:
            by_use = AttributeOccurrence(attribute_type=USE, attribute_values=point.bib1[:1])
            yield SortKeyDetails(
                description=_titles(point),
                attribute_specifications=AttributeCombinations(oid.BIB_1, ((by_use,),)),
            )
