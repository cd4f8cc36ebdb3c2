"""The query tree as CQL: what a client would write for it.

`cql.to_query` reads the same tree back from every tree that a parser makes, be
it of CQL or of RPN, but for runs of blanks inside a term, which become one, and
for lone masks in a list of words, which ask for nothing. Names are the first of
an access point's CQL names, else `local` and its own name.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.access_point import AccessPoint, Kind
from protocol.access_points import ACCESS_POINTS, BY_NAME
from protocol.cql_ast import (
    BooleanClause,
    CqlNode,
    CqlQuery,
    CqlRelation,
    Modifier,
    SearchClause,
    SortKey,
)
from protocol.cql_context import index_by_name
from protocol.query import (
    MASK_ANY,
    MASK_ONE,
    Anchor,
    Boolean,
    Clause,
    Proximity,
    ProximityUnit,
    Query,
    Relation,
    ResultSetRef,
    SortSpec,
    Structure,
    postorder,
)

_ANY = "any"
_ESCAPES = {character: f"\\{character}" for character in '\\*?^"'}
_IN_TERM = str.maketrans(_ESCAPES | {MASK_ANY: "*", MASK_ONE: "?"})
_IN_NAME = str.maketrans({character: f"\\{character}" for character in '\\"'})
_WORDS_RELATIONS = {Structure.ALL_WORDS: "all", Structure.ANY_WORD: "any"}
_MISSING = {
    "low": "sort.missingLow",
    "omit": "sort.missingOmit",
    "fail": "sort.missingFail",
}


def from_query(query: Query, sort: Sequence[SortSpec] = ()) -> CqlQuery:
    """The CQL query of a tree, and of an order if one is given."""
    done: list[CqlNode] = []
    for node in postorder(query):
        if isinstance(node, Clause):
            done.append(_clause(node))
        elif isinstance(node, ResultSetRef):
            term = node.name.translate(_IN_NAME)
            done.append(SearchClause(term, "cql.resultSetId", CqlRelation("=")))
        else:
            right, left = done.pop(), done.pop()
            done.append(_boolean(node, left, right))
    return CqlQuery(done[0], tuple(_sort_key(spec) for spec in sort))


def index_name(point: AccessPoint) -> str:
    """The index by which CQL names an access point."""
    return _INDEX_NAMES[point.name]


def _clause(clause: Clause) -> SearchClause:
    point = BY_NAME[clause.access_point]
    index = index_name(point)
    if clause.relation is Relation.ALWAYS:
        if point.name == _ANY:
            return SearchClause("1", "cql.allRecords", CqlRelation("="))
        return SearchClause("*", index, CqlRelation("="))
    term = clause.term.translate(_IN_TERM)
    if clause.relation is not Relation.EQUAL:
        return SearchClause(term, index, CqlRelation(clause.relation.value))
    relation = "="
    if point.kind is Kind.TEXT:
        relation, term = _text(clause, term)
    if clause.ranked:
        return SearchClause(term, index, CqlRelation(relation, (Modifier("cql.relevant"),)))
    if index == "cql.serverChoice" and relation == "=" and clause.anchor is Anchor.ANYWHERE:
        return SearchClause(term)
    return SearchClause(term, index, CqlRelation(relation))


def _text(clause: Clause, term: str) -> tuple[str, str]:
    """Relation and term for words: anchors are part of the term, but for `==`."""
    if clause.anchor is Anchor.COMPLETE or clause.structure is Structure.KEY:
        return "==", term
    if clause.anchor is Anchor.FIRST:
        return "=", f"^{term}"
    if clause.anchor is Anchor.LAST:
        return "=", f"{term}^"
    if clause.access_point == _ANY and clause.structure is Structure.ALL_WORDS:
        return "=", term
    if clause.structure is Structure.PHRASE:
        # Of all indexes together `=` means the words in any order.
        return ("adj" if clause.access_point == _ANY else "="), term
    return _WORDS_RELATIONS[clause.structure], term


def _boolean(node: Boolean, left: CqlNode, right: CqlNode) -> BooleanClause:
    operator = node.operator
    if not isinstance(operator, Proximity):
        return BooleanClause(operator.value, left, right)
    modifiers: list[Modifier] = []
    in_words = operator.unit is ProximityUnit.WORD
    if not in_words:
        modifiers.append(Modifier("cql.unit", "=", "element"))
    if (operator.relation, operator.distance) != (Relation.LESS_OR_EQUAL, int(in_words)):
        modifiers.append(Modifier("cql.distance", operator.relation.value, str(operator.distance)))
    if operator.ordered:
        modifiers.append(Modifier("cql.ordered"))
    if operator.exclusion:
        modifiers.append(Modifier("local.exclusion"))
    return BooleanClause("prox", left, right, tuple(modifiers))


def _sort_key(spec: SortSpec) -> SortKey:
    modifiers: list[Modifier] = []
    if spec.descending:
        modifiers.append(Modifier("sort.descending"))
    if spec.case_sensitive:
        modifiers.append(Modifier("sort.respectCase"))
    if spec.missing.startswith("="):
        value = spec.missing[1:].replace('"', '\\"')
        modifiers.append(Modifier("sort.missingValue", "=", value))
    elif spec.missing in _MISSING:
        modifiers.append(Modifier(_MISSING[spec.missing]))
    return SortKey(index_name(BY_NAME[spec.access_point]), tuple(modifiers))


_INDEX_NAMES = {
    point.name: next(
        (name for name in point.cql if index_by_name(name) is point), f"local.{point.name}"
    )
    for point in ACCESS_POINTS
}
