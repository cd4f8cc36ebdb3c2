"""The explain record of a database, generated from the access-point table (ZeeRex 2.0).

Element order is that of the ZeeRex DTD: serverInfo, databaseInfo, metaInfo,
indexInfo, schemaInfo, configInfo.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from protocol.access_point import AccessPoint, Kind
from protocol.access_points import ACCESS_POINTS
from protocol.cql_context import SET_BY_NAME, indexes
from protocol.cql_features import (
    BOOLEAN_MODIFIERS,
    RELATION_MODIFIERS,
    RELATIONS,
    SORT_MODIFIERS,
)
from protocol.record import MarcFamily
from protocol.search_term import ORDERED_KINDS
from protocol.sru_facets import FACET_FIELDS
from protocol.sru_request import SruLimits
from protocol.sru_version import RECORD_SCHEMAS, ZEEREX_SCHEMA
from protocol.xml_text import escape

# What every index takes, what only values that are one key each take, and what
# only those take that stand in an order.
_TEXT_RELATIONS = ("=", "==", "exact", "scr", "adj", "all", "any")
_KEY_RELATIONS = (*_TEXT_RELATIONS, "<>")
_ORDERED_RELATIONS = (*_KEY_RELATIONS, "<", "<=", ">", ">=", "within")
# Dates of a record span a time, which may hold another.
_DATE_RELATIONS = (*_ORDERED_RELATIONS, "encloses")
_NOT_ON_TEXT = frozenset({"isoDate", "number"})
# Modifiers of one context set are told for the whole server, not for each index.
_CQL = "cql."
_MARC_SETS = (("marc", MarcFamily.MARC21), ("unimarc", MarcFamily.UNIMARC))

# The extensions that requests may carry, with what each does.
EXTENSIONS: tuple[tuple[str, str], ...] = (
    ("x-lianmu-quota", "1: extraResponseData tells the member's running year"),
    ("x-lianmu-upload", "1, in an update: extraResponseData tells what changed and its credit"),
    ("x-lianmu-confirm-duplicate", "1, in an update: the record is none of the candidates"),
    ("x-pquery", "a query in PQF, in 1.1 and 1.2 (queryType=pqf in 2.0)"),
    ("x-pScanClause", "a scan clause in PQF, in 1.1 and 1.2 (queryType=pqf in 2.0)"),
    ("x-info-2-auth1.0-authenticationToken", "an API key"),
)
RESTRICTIONS = "Full records need a member's account and are counted; brief ones do not."


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDescription:
    """What explain tells of a database that the tables do not know.

    `database` is the path behind the host; `date_modified` is ISO 8601; `records`
    is how many there are, None when nobody counted.
    """

    host: str
    port: int
    database: str
    title: str
    title_zh: str = ""
    description: str = ""
    contact: str = ""
    restrictions: str = ""
    date_modified: str = ""
    records: int | None = None
    open_to_all: bool = True
    transport: str = "http"
    methods: str = "GET POST SOAP"


def explain_record(
    server: ServerDescription,
    limits: SruLimits,
    points: Iterable[AccessPoint] = ACCESS_POINTS,
    families: Iterable[MarcFamily] = tuple(MarcFamily),
) -> bytes:
    """The `explain` element in UTF-8, without an XML declaration.

    It tells those of `points` that records of one of `families` may have.
    """
    families = frozenset(families)
    included = frozenset(point.name for point in points if any(map(point.may_come_from, families)))
    return "".join(
        (
            f'<explain xmlns="{ZEEREX_SCHEMA}" authoritative="true">',
            _server_info(server, limits),
            _database_info(server),
            _element("metaInfo", _text_element("dateModified", server.date_modified))
            if server.date_modified else "",
            _index_info(included, families),
            _schema_info(limits),
            _config_info(limits),
            "</explain>",
        )
    ).encode()  # fmt: skip


def _server_info(server: ServerDescription, limits: SruLimits) -> str:
    records = "" if server.records is None else f' numRecs="{server.records}"'
    authentication = (
        "" if server.open_to_all else "<authentication><user/><password/></authentication>"
    )
    return (
        f'<serverInfo protocol="SRU" version="{max(limits.versions)}"'
        f' transport="{escape(server.transport)}" method="{escape(server.methods)}">'
        f"<host>{escape(server.host)}</host><port>{server.port}</port>"
        f"<database{records}>{escape(server.database)}</database>{authentication}</serverInfo>"
    )


def _database_info(server: ServerDescription) -> str:
    titles = f'<title lang="en" primary="true">{escape(server.title)}</title>'
    if server.title_zh:
        titles += f'<title lang="zh">{escape(server.title_zh)}</title>'
    description = ""
    if server.description:
        description = (
            f'<description lang="en" primary="true">{escape(server.description)}</description>'
        )
    return _element(
        "databaseInfo",
        titles,
        description,
        _text_element("contact", server.contact),
        _text_element("restrictions", server.restrictions),
    )


def _index_info(included: frozenset[str], families: frozenset[MarcFamily]) -> str:
    names: dict[str, list[str]] = {}
    sets: dict[str, None] = {"cql": None, "sort": None}
    for set_name, index, point in indexes():
        if point.name in included:
            sets[set_name] = None
            name = f'<name set="{set_name}">{escape(index)}</name>'
            names.setdefault(point.name, []).append(name)
    # Their indexes are the fields themselves: hundreds, which nobody would read here.
    sets |= {name: None for name, family in _MARC_SETS if family in families}
    out = []
    for set_name in sets:
        context_set = SET_BY_NAME[set_name]
        out.append(
            f'<set name="{set_name}" identifier="{escape(context_set.uri)}">'
            f"<title>{escape(context_set.title)}</title></set>"
        )
    points = [point for point in ACCESS_POINTS if point.name in names]
    out += [_index(point, names[point.name]) for point in points]
    out += [
        f"<sortKeyword>{escape(point.cql[0])}</sortKeyword>" for point in points if point.sortable
    ]
    return _element("indexInfo", *out)


def relations(kind: Kind) -> tuple[str, ...]:
    """The relations that an index of that kind takes."""
    if kind is Kind.TEXT:
        return _TEXT_RELATIONS
    if kind is Kind.DATE:
        return _DATE_RELATIONS
    return _ORDERED_RELATIONS if kind in ORDERED_KINDS else _KEY_RELATIONS


def relation_modifiers(kind: Kind) -> tuple[str, ...]:
    """The modifiers of context set cql that a relation to an index of that kind takes."""
    names = (
        each.name.removeprefix(_CQL)
        for each in RELATION_MODIFIERS
        if each.supported and each.name.startswith(_CQL)
    )
    return tuple(name for name in names if kind is not Kind.TEXT or name not in _NOT_ON_TEXT)


def _index(point: AccessPoint, names: list[str]) -> str:
    maps = f'<map primary="true">{names[0]}</map>'
    maps += "".join(f"<map>{name}</map>" for name in names[1:])
    supports = "".join(
        _config("supports", kind, value)
        for kind, values in (
            ("relation", relations(point.kind)),
            ("relationModifier", relation_modifiers(point.kind)),
        )
        for value in values
    )
    return (
        f'<index search="true" scan="{_boolean(point.scannable)}"'
        f' sort="{_boolean(point.sortable)}">'
        f'<title lang="en" primary="true">{escape(point.title)}</title>'
        f'<title lang="zh">{escape(point.title_zh)}</title>{maps}'
        f"<configInfo>{supports}</configInfo></index>"
    )


def _schema_info(limits: SruLimits) -> str:
    return _element(
        "schemaInfo",
        *(
            f'<schema name="{each.name}" identifier="{escape(each.uri)}" sort="false"'
            f' retrieve="true"><title>{escape(each.title)}</title></schema>'
            for each in RECORD_SCHEMAS
            if each.name in limits.schemas
        ),
    )


def _config_info(limits: SruLimits) -> str:
    default_schema = next(each for each in RECORD_SCHEMAS if each.name == limits.default_schema)
    out = [
        _config("default", "numberOfRecords", str(limits.records_default)),
        _config("default", "contextSet", "cql"),
        _config("default", "index", "cql.serverChoice"),
        _config("default", "relation", "="),
        _config("default", "retrieveSchema", default_schema.uri),
        _config("default", "recordPacking", "xml"),
        _config("default", "numberOfTerms", str(limits.terms_default)),
        _config("setting", "maximumRecords", str(limits.records_max)),
        _config("setting", "maximumTerms", str(limits.terms_max)),
        _config("setting", "resultSetTTL", str(limits.result_set_ttl_s_max)),
    ]
    out += [_config("setting", "stylesheet", each) for each in limits.stylesheets]
    if limits.facet_terms_max:
        out.append(_config("default", "facetLimit", str(limits.facet_terms_default)))
        out.append(_config("setting", "facetLimit", str(limits.facet_terms_max)))
        out += [_config("supports", "facet", field.index) for field in FACET_FIELDS]
    for kind, features in (
        ("relation", RELATIONS),
        ("relationModifier", RELATION_MODIFIERS),
        ("booleanModifier", BOOLEAN_MODIFIERS),
        ("sortModifier", SORT_MODIFIERS),
    ):
        out += [
            _config("supports", kind, each.name.removeprefix(_CQL))
            for each in features
            if each.supported
        ]
    out += [_config("supports", "booleanOperator", name) for name in ("and", "or", "not", "prox")]
    out += [_config("supports", "maskingCharacter", character) for character in "*?"]
    out += [_config("supports", kind, "") for kind in ("anchoring", "proximity", "scan", "sort")]
    if limits.result_set_ttl_s_max:
        out.append(_config("supports", "resultSets", ""))
    out += [_config("supports", "queryType", name) for name in ("cql", "pqf")]
    out += [_config("supports", "recordPacking", name) for name in ("xml", "string")]
    out += [_config("supports", "extension", name) for name, _ in EXTENSIONS]
    out += [_config("supports", "version", version) for version in sorted(limits.versions)]
    return _element("configInfo", *out)


def _config(element: str, kind: str, value: str) -> str:
    return f'<{element} type="{kind}">{escape(value)}</{element}>'


def _element(name: str, *content: str) -> str:
    return f"<{name}>{''.join(content)}</{name}>"


def _text_element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>" if text else ""


def _boolean(value: bool) -> str:
    return "true" if value else "false"
