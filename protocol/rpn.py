"""Type-1, type-101 and type-104 queries to the query tree (Z39.50-2003 §3.7).

Terms arrive as octets in a character set that only the session knows. They are
read strictly, in each of the sets given, first one first; octets that are text
in none of them are a diagnostic, because a search for something else would
find nothing and say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol import cql, cql_parser
from protocol.access_point import AccessPoint
from protocol.apdu_common import AttributeElement, AttributesPlusTerm, Term
from protocol.apdu_query import (
    BooleanOperator,
    CqlQuery,
    OtherQuery,
    PrivateProximityUnit,
    ProximityOperator,
    QueryTooComplex,
    ResultSetId,
    RpnNode,
    RpnOperation,
    RpnQuery,
)
from protocol.apdu_query import Query as WireQuery
from protocol.bib1_attributes import BY_USE, STRUCTURE, USE, Reading, resolve
from protocol.charset import decode_text
from protocol.cql_sort import sort_specs
from protocol.diagnostic import Bib1, Diagnostic, SruFault
from protocol.diagnostic_map import to_bib1
from protocol.oid import Oid
from protocol.query import (
    QUERY_DEPTH_MAX,
    QUERY_TERMS_MAX,
    TERM_CHARS_MAX,
    Anchor,
    Boolean,
    Operator,
    Proximity,
    ProximityUnit,
    Query,
    Relation,
    ResultSetRef,
    ScanStart,
    SortSpec,
)
from protocol.search_term import clean

UTF_8: Sequence[str] = ("utf-8",)
# For clients that send Chinese without having negotiated a set.
UTF_8_OR_GB18030: Sequence[str] = ("utf-8", "gb18030")

OPERATORS = {
    BooleanOperator.AND: Operator.AND,
    BooleanOperator.OR: Operator.OR,
    BooleanOperator.AND_NOT: Operator.AND_NOT,
}
_PROXIMITY_RELATIONS = {
    1: Relation.LESS,
    2: Relation.LESS_OR_EQUAL,
    3: Relation.EQUAL,
    4: Relation.GREATER_OR_EQUAL,
    5: Relation.GREATER,
    6: Relation.NOT_EQUAL,
}
# Words (2), and elements with their parts (8, 9), which are our fields.
_PROXIMITY_UNITS = {2: ProximityUnit.WORD, 8: ProximityUnit.FIELD, 9: ProximityUnit.FIELD}
_DISTANCE_MAX = 10_000
_OCTETS_SHOWN = 12  # of a term that cannot be read
_WHOLE_FIELD_STRUCTURES = frozenset({1, 3, 101, 108})


def query_of(query: WireQuery, charsets: Sequence[str] = UTF_8) -> Query | Diagnostic:
    """The meaning of the query of a Search, of whatever type; `order_of` tells its order.

    Types that we do not read are Bib-1 107 with their number.
    """
    if isinstance(query, RpnQuery):
        return to_query(query, charsets)
    if isinstance(query, CqlQuery):
        text = _decoded(query.text, charsets)
        if isinstance(text, Diagnostic):
            return text
        found = cql.parse_query(text)
        return to_bib1(found) if isinstance(found, SruFault) else found
    if isinstance(query, OtherQuery):
        return Diagnostic(Bib1.QUERY_TYPE_UNSUPPORTED, str(query.query_type))
    return _too_complex(query)


def order_of(
    query: WireQuery, charsets: Sequence[str] = UTF_8
) -> tuple[SortSpec, ...] | Diagnostic:
    """The order that the query of a Search asks for itself: `sortBy` of CQL; else none.

    An access point that does not sort, or a modifier that is not served, is Bib-1 207.
    """
    if not isinstance(query, CqlQuery):
        return ()
    text = _decoded(query.text, charsets)
    if isinstance(text, Diagnostic):
        return text
    parsed = cql_parser.parse(text)
    found = parsed if isinstance(parsed, SruFault) else sort_specs(parsed)
    return to_bib1(found) if isinstance(found, SruFault) else found


def to_query(query: RpnQuery, charsets: Sequence[str] = UTF_8) -> Query | Diagnostic:
    """The meaning of an RPN query, or why it has none.

    `charsets` are names that `charset.decode_text` knows, in the order in which
    terms are tried.
    Whether a result set named as an operand exists is not looked at.
    """
    attribute_set, root = query.attribute_set, query.rpn
    if not isinstance(root, RpnOperation):
        return _operand(root, attribute_set, charsets)
    done: list[tuple[Query, int]] = []  # each with the operators below it
    terms = 0
    stack: list[tuple[RpnNode, bool]] = [(root, False)]
    while stack:
        node, operands_done = stack.pop()
        if not isinstance(node, RpnOperation):
            terms += 1
            if terms > QUERY_TERMS_MAX:
                told = f"at most {QUERY_TERMS_MAX} operands"
                return Diagnostic(Bib1.TOO_MANY_BOOLEAN_OPERATORS, told)
            found = _operand(node, attribute_set, charsets)
            if isinstance(found, Diagnostic):
                return found
            done.append((found, 0))
        elif not operands_done:
            if len(stack) > 2 * QUERY_DEPTH_MAX:
                return _too_deep()
            stack.append((node, True))
            stack.append((node.right, False))
            stack.append((node.left, False))
        else:
            (right, right_depth), (left, left_depth) = done.pop(), done.pop()
            depth = max(left_depth, right_depth) + 1
            if depth > QUERY_DEPTH_MAX:
                return _too_deep()
            operator = _operator(node.operator, left, right)
            if isinstance(operator, Diagnostic):
                return operator
            done.append((Boolean(operator, left, right), depth))
    return done[0][0]


def to_scan(
    attribute_set: Oid, start: AttributesPlusTerm, charsets: Sequence[str] = UTF_8
) -> ScanStart | Diagnostic:
    """Where a Scan begins (Z39.50-2003 §3.2.8.1.1 termListAndStartPoint).

    A structure of phrase, key, name or string, or a completeness of more than
    one subfield's part, asks for the list of whole fields.
    """
    reading = resolve(attribute_set, start.attributes)
    if isinstance(reading, Diagnostic):
        return reading
    return scan_start_of(reading, start.attributes, start.term, charsets)


def scan_start_of(
    reading: Reading, attributes: Sequence[AttributeElement], term: Term, charsets: Sequence[str]
) -> ScanStart | Diagnostic:
    """Where a Scan with resolved attributes begins."""
    target = reading.targets[0]
    if not target.point.scannable:
        return Diagnostic(Bib1.SCAN_TERM_LIST_UNSUPPORTED, target.point.name)
    text = "" if not isinstance(term, (bytes, str, int)) else _text(term, charsets)
    if isinstance(text, Diagnostic):
        return text
    structures = {each.value for each in attributes if each.type == STRUCTURE}
    phrases = target.anchor is Anchor.COMPLETE or bool(structures & _WHOLE_FIELD_STRUCTURES)
    return ScanStart(target.point.name, text, phrases)


def sort_access_point(
    attribute_set: Oid, attributes: tuple[AttributeElement, ...]
) -> AccessPoint | Diagnostic:
    """What a Sort by attributes orders by (Z39.50-2003 §3.2.7.1.3 sortAttributes)."""
    used = tuple(each for each in attributes if each.type == USE)
    if not used:
        return Diagnostic(Bib1.USE_ATTRIBUTE_REQUIRED)
    reading = resolve(attribute_set, used)
    if isinstance(reading, Diagnostic):
        return reading
    point = reading.targets[0].point
    if not point.sortable:
        return Diagnostic(Bib1.SORT_SEQUENCE_UNSUPPORTED, str(used[0].value))
    return point


def use_value(point: AccessPoint) -> int | None:
    """The Bib-1 Use attribute that means `point` alone, if it has one."""
    return next((value for value in point.bib1 if BY_USE[value] is point), None)


def _operand(node: RpnNode, attribute_set: Oid, charsets: Sequence[str]) -> Query | Diagnostic:
    if isinstance(node, AttributesPlusTerm):
        reading = resolve(attribute_set, node.attributes)
        if isinstance(reading, Diagnostic):
            return reading
        return clause_of(reading, node.term, charsets)
    if isinstance(node, ResultSetId):
        return ResultSetRef(node.name)
    name = "" if isinstance(node, RpnOperation) else node.result_set
    return Diagnostic(Bib1.RESULT_ATTRIBUTES_UNSUPPORTED, name)


def clause_of(reading: Reading, term: Term, charsets: Sequence[str]) -> Query | Diagnostic:
    """What an operand with resolved attributes means."""
    if not reading.needs_term:
        return reading.clause("")
    text = _text(term, charsets)
    if isinstance(text, Diagnostic):
        return text
    if not text:
        return Diagnostic(Bib1.MALFORMED_SEARCH_TERM, "the term is empty")
    return reading.clause(text)


def _text(term: Term, charsets: Sequence[str]) -> str | Diagnostic:
    """A term as text, without blank ends."""
    if isinstance(term, int):
        return str(term)
    if not isinstance(term, (bytes, str)):
        return Diagnostic(Bib1.TERM_TYPE_UNSUPPORTED, type(term).__name__)
    text = _decoded(term, charsets)
    if isinstance(text, Diagnostic):
        return text
    text = clean(text).strip()
    if len(text) > TERM_CHARS_MAX:
        return Diagnostic(Bib1.TOO_MANY_CHARACTERS, f"at most {TERM_CHARS_MAX} in a term")
    return text


def _decoded(term: bytes | str, charsets: Sequence[str]) -> str | Diagnostic:
    """Octets as text, by the first of the sets in which they are text.

    A `str` was read as UTF-8 by the codec, with what is not UTF-8 escaped.
    """
    if isinstance(term, str):
        if charsets[0] == "utf-8" and term.isascii():
            return term
        try:
            term = term.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            return Diagnostic(
                Bib1.MALFORMED_SEARCH_TERM, f"half a surrogate pair at character {error.start}"
            )
    elif charsets[0] == "utf-8" and term.isascii():
        return term.decode("ascii")
    position = 0
    for charset in charsets:
        text = decode_text(term, charset)
        if isinstance(text, str):
            return text
        position = text.position
    octets = term[position : position + _OCTETS_SHOWN].hex(" ")
    told = f"not {' or '.join(charsets)} at octet {position}: {octets}"
    return Diagnostic(Bib1.MALFORMED_SEARCH_TERM, told)


def _operator(
    operator: BooleanOperator | ProximityOperator, left: Query, right: Query
) -> Operator | Proximity | Diagnostic:
    if isinstance(operator, BooleanOperator):
        return OPERATORS[operator]
    for operand in (left, right):
        if isinstance(operand, ResultSetRef):
            return Diagnostic(Bib1.PROXIMITY_OF_SETS_UNSUPPORTED, operand.name)
    relation = _PROXIMITY_RELATIONS.get(operator.relation_type)
    if relation is None:
        return Diagnostic(Bib1.PROXIMITY_RELATION_UNSUPPORTED, str(operator.relation_type))
    code = operator.proximity_unit_code
    if isinstance(code, PrivateProximityUnit):
        return Diagnostic(Bib1.PROXIMITY_UNIT_UNSUPPORTED, f"private {code.code}")
    unit = _PROXIMITY_UNITS.get(code)
    if unit is None:
        return Diagnostic(Bib1.PROXIMITY_UNIT_UNSUPPORTED, str(int(code)))
    if not 0 <= operator.distance <= _DISTANCE_MAX:
        return Diagnostic(Bib1.PROXIMITY_DISTANCE_UNSUPPORTED, str(operator.distance))
    return Proximity(
        operator.distance, relation, unit, bool(operator.ordered), bool(operator.exclusion)
    )


def _too_deep() -> Diagnostic:
    told = f"at most {QUERY_DEPTH_MAX} below one another"
    return Diagnostic(Bib1.TOO_MANY_BOOLEAN_OPERATORS, told)


def _too_complex(query: QueryTooComplex) -> Diagnostic:
    return Diagnostic(
        Bib1.TOO_MANY_BOOLEAN_OPERATORS, f"{query.bound.name.lower()} over {query.bound.value}"
    )
