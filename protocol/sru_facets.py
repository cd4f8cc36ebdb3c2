"""Facets of SRU 2.0: what a client wishes counted, and the counts as XML.

`facetLimit`, `facetStart` and `facetSort` are lists divided by commas; an
element holds for all facets, or after a colon for the one of that index:
`10,5:dc.subject`. Numbers without an index choose all facets, numbers with one
those alone. `facetCount` is a CQL clause on one of the indexes; its count is
told as a facet of one term.

Source: OASIS searchRetrieve 1.0 part 3, facetedResults.xsd.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from protocol import cql, cql_parser
from protocol.cql_ast import CqlQuery, SearchClause
from protocol.diagnostic import SruDiagnostic, SruFault
from protocol.query import Clause
from protocol.xml_text import escape

NAMESPACE = "http://docs.oasis-open.org/ns/search-ws/facetedResults"
FACET_PARAMETERS = ("facetLimit", "facetStart", "facetSort", "facetCount")
_NUMBER = re.compile(r"([0-9]{1,6})(?::([\w.]{1,80}))?")
_OFFSET_MAX = 100_000
_BY_COUNT, _BY_TERM = "recordcount", "alphanumeric"
# Orders that are given; the others would need every term of a large list.
_DIRECTION = {_BY_COUNT: "descending", _BY_TERM: "ascending"}


@dataclass(frozen=True, slots=True)
class FacetField:
    """What can be counted: `index` is the CQL index that its terms are told under.

    `names` are short names that clients may use as well as any CQL index of
    the access point; `counted` are the indexes whose whole values are the
    terms, where that is not `index` itself.
    """

    access_point: str
    index: str
    title: str
    names: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()


FACET_FIELDS: tuple[FacetField, ...] = (
    FacetField("language", "dc.language", "Language 语种", ("language",)),
    FacetField("date", "dc.date", "Year 出版年", ("year", "date")),
    FacetField(
        "author", "dc.creator", "Author 责任者", ("author", "creator"),
        ("local.author_personal", "local.author_corporate", "local.author_conference"),
    ),
    FacetField("subject", "dc.subject", "Subject 主题", ("subject",)),
    FacetField(
        "possessing_institution", "bath.possessingInstitution", "Library 馆藏单位",
        ("library", "institution"),
    ),
    FacetField("material_type", "dc.type", "Type 文献类型", ("type", "format")),
)  # fmt: skip

_BY_NAME = {name: field for field in FACET_FIELDS for name in field.names}
_BY_POINT = {field.access_point: field for field in FACET_FIELDS}


@dataclass(frozen=True, slots=True)
class FacetWish:
    """One facet asked for: at most `limit` terms, after the first `start` of its list."""

    field: FacetField
    limit: int
    start: int = 0
    by_count: bool = True


@dataclass(frozen=True, slots=True)
class FacetsRequest:
    """`count` is a clause whose hits are counted, with its CQL text in `count_text`."""

    wishes: tuple[FacetWish, ...] = ()
    count: Clause | None = None
    count_text: str = ""


@dataclass(frozen=True, slots=True)
class FacetTerm:
    """`value` as a reader expects it; `query` finds these records and no others."""

    value: str
    count: int
    query: str = ""


@dataclass(frozen=True, slots=True)
class Facet:
    field: FacetField
    terms: Sequence[FacetTerm]


def facet_field(name: str) -> FacetField | None:
    """The facet of a short name or of a CQL index, without case."""
    field = _BY_NAME.get(name.lower())
    if field is None:
        point = cql.resolve_index(name)
        if not isinstance(point, SruFault):
            field = _BY_POINT.get(point.name)
    return field


def parse_facets(
    given: Mapping[str, str], default_limit: int, limit_max: int
) -> FacetsRequest | SruFault:
    """The facets that the four parameters ask for; limits are cut to `limit_max`.

    An index without facets is diagnostic 16, what else cannot be read or done
    is 6 with the parameter's name and the value.
    """
    limits = _numbers("facetLimit", given.get("facetLimit", ""))
    starts = _numbers("facetStart", given.get("facetStart", ""))
    sorts = _sorts(given.get("facetSort", ""))
    if isinstance(limits, SruFault):
        return limits
    if isinstance(starts, SruFault):
        return starts
    if isinstance(sorts, SruFault):
        return sorts
    count = _count(given.get("facetCount", ""))
    if isinstance(count, SruFault):
        return count
    named = [field for field in limits if field is not None]
    everything = None in limits or (not named and (count is None or bool(starts or sorts)))
    wishes = []
    for field in FACET_FIELDS if everything else named:
        limit = limits.get(field, limits.get(None, default_limit))
        # The first term is number 1, and 0 is taken for it (the published text has both).
        start = max(starts.get(field, starts.get(None, 1)), 1) - 1
        by_count = sorts.get(field, sorts.get(None, True))
        if limit:
            wishes.append(FacetWish(field, min(limit, limit_max), start, by_count))
    if count is None:
        return FacetsRequest(tuple(wishes))
    return FacetsRequest(tuple(wishes), count, given["facetCount"])


def _numbers(name: str, text: str) -> dict[FacetField | None, int] | SruFault:
    """Numbers by field, None for all fields."""
    found: dict[FacetField | None, int] = {}
    for each in text.split(",") if text else ():
        matched = _NUMBER.fullmatch(each.strip())
        if matched is None or int(matched[1]) > _OFFSET_MAX:
            return _refused(name, each)
        field = None
        if matched[2]:
            field = facet_field(matched[2])
            if field is None:
                return SruFault(SruDiagnostic.UNSUPPORTED_INDEX, matched[2])
        found[field] = int(matched[1])
    return found


def _sorts(text: str) -> dict[FacetField | None, bool] | SruFault:
    """Whether by count, by field; elements are `recordCount,descending:index` and the like."""
    found: dict[FacetField | None, bool] = {}
    orders = re.split(r",(?=\s*(?:recordCount|alphanumeric)\b)", text, flags=re.IGNORECASE)
    for each in orders if text else ():
        words, colon, index = each.strip().partition(":")
        order, *modifiers = (word.strip().lower() for word in words.split(","))
        allowed = {_DIRECTION.get(order), "caseinsensitive"}
        if order not in _DIRECTION or not allowed.issuperset(modifiers):
            return _refused("facetSort", each)
        field = None
        if colon:
            field = facet_field(index)
            if field is None:
                return SruFault(SruDiagnostic.UNSUPPORTED_INDEX, index[:80])
        found[field] = order == _BY_COUNT
    return found


def _count(text: str) -> Clause | SruFault | None:
    if not text:
        return None
    parsed = cql_parser.parse(text)
    query = parsed if isinstance(parsed, SruFault) else cql.to_query(parsed)
    if isinstance(parsed, SruFault) or isinstance(query, SruFault):
        assert isinstance(query, SruFault)  # noqa: S101 - a fault of either is in `query`
        return SruFault(query.condition, f"facetCount {query.details}")  # not of the query
    if not isinstance(parsed.root, SearchClause) or not isinstance(query, Clause):
        return _refused("facetCount", text)
    if query.access_point not in _BY_POINT or parsed.sort_keys:
        return SruFault(SruDiagnostic.UNSUPPORTED_INDEX, parsed.root.index)
    return query


def _refused(name: str, value: str) -> SruFault:
    return SruFault(SruDiagnostic.UNSUPPORTED_PARAMETER_VALUE, f"{name} {value}"[:200])


def narrowed(text: str, query: CqlQuery, field: FacetField, term: str) -> str:
    """CQL for the records of a query that have `term`.

    `text` is what `query` was parsed from.
    """
    quoted = re.sub(r'(["\\*?^])', r"\\\1", term)
    clause = " or ".join(f'{index}=="{quoted}"' for index in field.counted or (field.index,))
    if field.counted:
        clause = f"({clause})"
    if query.sort_keys:
        # A sort order holds for a whole query and cannot stand in brackets.
        text = text[: query.sort_keys[0].position].rstrip()
        text = re.sub("sortby$", "", text, flags=re.IGNORECASE).rstrip()
    return f"({text}) and {clause}"


def count_facet(request: FacetsRequest, count: int) -> Facet:
    """What `facetCount` asked for."""
    assert request.count is not None  # noqa: S101 - the caller has looked
    field = _BY_POINT[request.count.access_point]
    return Facet(field, (FacetTerm(request.count.term, count, request.count_text),))


def facets_xml(facets: Iterable[Facet]) -> bytes:
    """The facetedResults element; nothing when there is no term in any facet."""
    out = [_facet(facet) for facet in facets if facet.terms]
    if not out:
        return b""
    inside = "".join(out)
    return f'<zs:facetedResults xmlns:fr="{NAMESPACE}">{inside}</zs:facetedResults>'.encode()


def _facet(facet: Facet) -> str:
    terms = "".join(
        f"<fr:term><fr:actualTerm>{escape(term.value)}</fr:actualTerm>"
        + (f"<fr:query>{escape(term.query)}</fr:query>" if term.query else "")
        + f"<fr:count>{term.count}</fr:count></fr:term>"
        for term in facet.terms
    )
    return (
        f"<fr:facet><fr:facetDisplayLabel>{escape(facet.field.title)}</fr:facetDisplayLabel>"
        f"<fr:index>{escape(facet.field.index)}</fr:index><fr:relation>==</fr:relation>"
        f"<fr:terms>{terms}</fr:terms></fr:facet>"
    )
