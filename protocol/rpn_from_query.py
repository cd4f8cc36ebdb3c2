"""The query tree as an RPN query in Bib-1: what a client would send for it.

`rpn.to_query` reads the same tree back, as far as Bib-1 can say it.
"""

from __future__ import annotations

import re

from protocol.access_point import Kind
from protocol.access_points import BY_NAME
from protocol.apdu_common import AttributeElement, AttributesPlusTerm, ComplexAttribute
from protocol.apdu_query import (
    BooleanOperator,
    ProximityOperator,
    ResultSetId,
    RpnNode,
    RpnOperation,
    RpnQuery,
)
from protocol.bib1_attributes import (
    COMPLETENESS,
    POSITION,
    RELATION,
    STRUCTURE,
    TRUNCATION,
    USE,
)
from protocol.oid import BIB_1
from protocol.query import (
    MASK_ANY,
    MASK_ONE,
    Anchor,
    Boolean,
    Clause,
    Operator,
    Proximity,
    ProximityUnit,
    Query,
    Relation,
    ResultSetRef,
    Structure,
    postorder,
)
from protocol.rpn import use_value

_LCC = BY_NAME["classification_lcc"]
_RELATIONS = {
    Relation.LESS: 1,
    Relation.LESS_OR_EQUAL: 2,
    Relation.EQUAL: 3,
    Relation.GREATER_OR_EQUAL: 4,
    Relation.GREATER: 5,
    Relation.NOT_EQUAL: 6,
    Relation.ALWAYS: 103,
    Relation.WITHIN: 104,
}
_OPERATORS = {
    Operator.AND: BooleanOperator.AND,
    Operator.OR: BooleanOperator.OR,
    Operator.AND_NOT: BooleanOperator.AND_NOT,
}
_ANCHORS = {
    Anchor.FIRST: (POSITION, 1),
    Anchor.LAST: (POSITION, 4),
    Anchor.COMPLETE: (COMPLETENESS, 3),
}
_STRUCTURES = {Structure.PHRASE: 1, Structure.ALL_WORDS: 6, Structure.ANY_WORD: 105}
_UNITS = {ProximityUnit.WORD: 2, ProximityUnit.FIELD: 8}
_IN_REGULAR_EXPRESSION = str.maketrans(
    {character: f"\\{character}" for character in "\\.[](){}*+?|^$"}
    | {MASK_ANY: ".*", MASK_ONE: "."}
)
# Its own wildcards, and a digit that would count the characters of the mask.
_NOT_IN_Z3958 = re.compile(f"[?*#]|{MASK_ANY}[0-9]")
_IN_Z3958 = str.maketrans({MASK_ANY: "?", MASK_ONE: "#"})


def from_query(query: Query) -> RpnQuery:
    """The RPN query of a tree; terms become octets in UTF-8."""
    done: list[RpnNode] = []
    for node in postorder(query):
        if isinstance(node, Clause):
            done.append(_operand(node))
        elif isinstance(node, ResultSetRef):
            done.append(ResultSetId(node.name))
        else:
            right, left = done.pop(), done.pop()
            done.append(RpnOperation(_operator(node), left, right))
    proximity = any(
        isinstance(node, Boolean) and isinstance(node.operator, Proximity)
        for node in postorder(query)
    )
    return RpnQuery(BIB_1, done[0], query_type=101 if proximity else 1)


def _operand(clause: Clause) -> AttributesPlusTerm:
    point = BY_NAME[clause.access_point]
    use = use_value(point)
    if point is _LCC and clause.term.strip(MASK_ANY)[:1].isdigit():
        use = None  # under its number that would be read as a Dewey number
    by_name = ComplexAttribute((point.cql[0] if point.cql else point.name,))
    attributes = [
        AttributeElement(type=USE, value=by_name)
        if use is None
        else AttributeElement(type=USE, value=use)
    ]

    def add(kind: int, value: int) -> None:
        attributes.append(AttributeElement(type=kind, value=value))

    if clause.ranked:
        add(RELATION, 102)
    elif clause.relation is not Relation.EQUAL:
        add(RELATION, _RELATIONS[clause.relation])
    term = clause.term
    if clause.relation is not Relation.ALWAYS:
        if clause.anchor is not Anchor.ANYWHERE:
            add(*_ANCHORS[clause.anchor])
        if point.kind is Kind.TEXT:
            # Only with a word list does truncation open every word, so a mask
            # at the very end of several words goes without a structure.
            listed = clause.structure is Structure.ALL_WORDS
            if not (listed and _truncation(clause)):
                add(STRUCTURE, _STRUCTURES.get(clause.structure, 1))
        truncation = _truncation(clause)
        if truncation:
            term = term.strip(MASK_ANY)
        elif MASK_ANY in term or MASK_ONE in term:
            if _NOT_IN_Z3958.search(term):
                truncation, term = 102, term.translate(_IN_REGULAR_EXPRESSION)
            else:
                truncation, term = 104, term.translate(_IN_Z3958)
        if truncation:
            add(TRUNCATION, truncation)
    return AttributesPlusTerm(tuple(attributes), term.encode())


def _truncation(clause: Clause) -> int:
    """1, 2 or 3 when open ends say all that the masks do, and 0 otherwise."""
    term = clause.term
    inner = term.strip(MASK_ANY)
    if MASK_ANY in inner or MASK_ONE in inner or not inner:
        return 0
    if clause.structure is Structure.ANY_WORD and len(inner.split()) > 1:
        return 0
    return term.endswith(MASK_ANY) + 2 * term.startswith(MASK_ANY)


def _operator(node: Boolean) -> BooleanOperator | ProximityOperator:
    operator = node.operator
    if isinstance(operator, Operator):
        return _OPERATORS[operator]
    return ProximityOperator(
        exclusion=operator.exclusion or None,
        distance=operator.distance,
        ordered=operator.ordered,
        relation_type=_RELATIONS[operator.relation],
        proximity_unit_code=_UNITS[operator.unit],
    )
