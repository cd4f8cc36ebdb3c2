"""CQL to the query tree: what indexes, relations, modifiers and masks mean here.

Choices that CQL leaves to the server:

- A term alone means `cql.serverChoice scr term`; it and `cql.anywhere` find
  records with all the words, wherever they are.
- `=` and `scr` on an access point of text mean the words side by side (`adj`);
  on identifiers, dates, codes and classification the whole value (`==`).
- `all` on an identifier takes the term as one value (Zotero sends
  `bib.isbn all "978…"`), `any` as several to choose from.
- Anchors (`^`) hold for text; the value of an identifier is its whole field.
- `encloses` on dates: the record's dates, from the earliest to the latest, hold
  the term, which is one date or two.
- A term of nothing but `*` finds every record that has the access point.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from protocol import cql_parser
from protocol.access_point import AccessPoint, Kind
from protocol.access_points import BY_NAME
from protocol.cql_ast import (
    BooleanClause,
    CqlNode,
    CqlQuery,
    CqlRelation,
    Modifier,
    Prefix,
    Scoped,
    SearchClause,
)
from protocol.cql_context import (
    ALL_RECORDS,
    RESULT_SET_ID,
    SET_BY_NAME,
    SET_BY_URI,
    find_index,
)
from protocol.cql_features import BOOLEAN_MODIFIERS, RELATIONS, keys
from protocol.cql_marc import SETS as MARC_SETS
from protocol.cql_marc import marc_point
from protocol.cql_modifiers import Modified, has_format, read_modifiers
from protocol.cql_term import Term, read_name, read_term, read_words
from protocol.diagnostic import SruDiagnostic, SruFault
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
    ScanStart,
    Structure,
    joined,
)
from protocol.search_term import (
    KEY_KINDS,
    LIST_WORDS_MAX,
    ORDERED_KINDS,
    is_only_masks,
    whole_field,
)

_OPERATORS = {"and": Operator.AND, "or": Operator.OR, "not": Operator.AND_NOT}
_COMPARISONS = {
    "<": Relation.LESS,
    "<=": Relation.LESS_OR_EQUAL,
    "=": Relation.EQUAL,
    ">=": Relation.GREATER_OR_EQUAL,
    ">": Relation.GREATER,
    "<>": Relation.NOT_EQUAL,
}
_ORDERINGS = {name: relation for name, relation in _COMPARISONS.items() if name != "="}
_ORDERINGS["within"] = Relation.WITHIN
_WHOLE = frozenset({"==", "exact"})
_RELATIONS = keys(RELATIONS)
_BOOLEAN_MODIFIERS = keys(BOOLEAN_MODIFIERS)
_PROXIMITY_UNITS = {"word": ProximityUnit.WORD, "element": ProximityUnit.FIELD}
_DISTANCE_MAX = 10_000

Scope = Mapping[str, str]  # prefix in lower case to context set name, or to "?" and a URI
_NO_PREFIXES: Scope = {}


class _Refused(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, condition: SruDiagnostic, details: str, position: int) -> None:
        super().__init__(details)
        self.fault = SruFault(condition, details, position)


def parse_query(text: str) -> Query | SruFault:
    """CQL text as the query tree, or its first fault. A sort order is left aside."""
    parsed = cql_parser.parse(text)
    return parsed if isinstance(parsed, SruFault) else to_query(parsed)


def to_query(query: CqlQuery) -> Query | SruFault:
    """The meaning of a parsed query, or its first fault."""
    try:
        return _node_query(query.root)
    except _Refused as refused:
        return refused.fault


def to_scan(query: CqlQuery) -> ScanStart | SruFault:
    """The meaning of a scanClause: one clause, whose term may be empty.

    Relations `==` and `exact`, and the modifier `string`, ask for the list of
    whole fields, others for words.
    """
    node, scope = query.root, _NO_PREFIXES
    try:
        while isinstance(node, Scoped):
            scope = _scope(scope, node.prefixes)
            node = node.query
        if not isinstance(node, SearchClause) or query.sort_keys:
            return SruFault(SruDiagnostic.QUERY_FEATURE_UNSUPPORTED, "scan takes one clause")
        _, relation, modified = _read_clause(node, scope)
        point = modified.point
        if point is None or not point.scannable:
            index = node.index or "cql.serverChoice"
            raise _Refused(SruDiagnostic.UNSUPPORTED_INDEX, index, node.position)
        term = read_term(node.term, node.text_position, masked=False)
        if isinstance(term, SruFault):
            return term
        return ScanStart(point.name, term.text, relation in _WHOLE or modified.format == "string")
    except _Refused as refused:
        return refused.fault


def resolve_index(
    name: str, prefixes: Scope = _NO_PREFIXES, position: int = 0
) -> AccessPoint | SruFault:
    """The access point that an index name means, as in a sort key."""
    try:
        set_name, index = _qualified(name, prefixes, position)
        point = find_index(set_name, index)
    except _Refused as refused:
        return refused.fault
    return point or SruFault(SruDiagnostic.UNSUPPORTED_INDEX, name, position)


def resolve_modifier(modifier: Modifier, prefixes: Scope = _NO_PREFIXES) -> str:
    """A modifier's name in lower case, with its context set in front unless that is `cql`.

    Empty where nobody knows the set.
    """
    name = modifier.name.lower()
    if "." not in name:
        return name
    try:
        set_name, name = _qualified(name, prefixes, modifier.position)
    except _Refused:
        return ""
    return name if set_name == "cql" else f"{set_name}.{name}"


def _node_query(root: CqlNode) -> Query:
    done: list[Query] = []
    stack: list[tuple[CqlNode, Scope, bool]] = [(root, _NO_PREFIXES, False)]
    while stack:
        node, scope, operands_done = stack.pop()
        if isinstance(node, SearchClause):
            done.append(_clause_query(node, scope))
        elif isinstance(node, Scoped):
            stack.append((node.query, _scope(scope, node.prefixes), False))
        elif not operands_done:
            stack.append((node, scope, True))
            stack.append((node.right, scope, False))
            stack.append((node.left, scope, False))
        else:
            right, left = done.pop(), done.pop()
            done.append(Boolean(_operator(node, scope, left, right), left, right))
    return done[0]


def _scope(outer: Scope, prefixes: tuple[Prefix, ...]) -> Scope:
    assigned: dict[str, str] = {}
    for prefix in prefixes:
        known = SET_BY_URI.get(prefix.uri)
        meaning = known.name if known else f"?{prefix.uri}"
        if assigned.setdefault(prefix.name.lower(), meaning) != meaning:
            raise _Refused(SruDiagnostic.PREFIX_ASSIGNED_TWICE, prefix.name, prefix.position)
    return {**outer, **assigned}


def _qualified(name: str, scope: Scope, position: int) -> tuple[str, str]:
    """Context set (empty: the server's default ones) and index, both in lower case."""
    prefix, dot, index = name.lower().rpartition(".")
    if not dot:
        set_name = scope.get("", "")
    elif prefix in scope:
        set_name = scope[prefix]
    elif prefix in SET_BY_NAME:
        set_name = SET_BY_NAME[prefix].name
    else:
        set_name = "?"
    if set_name.startswith("?"):
        details = set_name[1:] or name[: len(prefix)]
        raise _Refused(SruDiagnostic.UNSUPPORTED_CONTEXT_SET, details, position)
    return set_name, index


def _access_point(clause: SearchClause, scope: Scope, substring: str = "") -> AccessPoint | str:
    """The access point, or ALL_RECORDS, or "resultsetid" for the special indexes.

    `substring` are the positions that a clause on a MARC field asks for.
    """
    if not clause.index:
        return BY_NAME["any"]
    set_name, index = _qualified(clause.index, scope, clause.position)
    if set_name in ("cql", "") and index == ALL_RECORDS:
        return ALL_RECORDS
    if set_name in ("cql", "") and index in RESULT_SET_ID:
        return "resultsetid"
    point = marc_point(set_name, index, substring) if substring else find_index(set_name, index)
    if point is None:
        index = f"{clause.index} {substring}".rstrip()
        raise _Refused(SruDiagnostic.UNSUPPORTED_INDEX, index, clause.position)
    return point


def _relation_name(relation: CqlRelation | None, scope: Scope) -> str:
    if relation is None:
        return "scr"
    name = relation.name.lower()
    if "." in name:
        set_name, name = _qualified(name, scope, relation.position)
        if set_name != "cql":
            raise _Refused(SruDiagnostic.UNSUPPORTED_RELATION, relation.name, relation.position)
    if name not in _RELATIONS:
        raise _Refused(SruDiagnostic.UNSUPPORTED_RELATION, relation.name, relation.position)
    return name


def _clause_query(clause: SearchClause, scope: Scope) -> Query:
    index, relation, modified = _read_clause(clause, scope)
    if modified.point is None:
        if relation not in ("=", "scr", *_WHOLE):
            raise _unsupported_pair(clause)
        if index == ALL_RECORDS:
            return Clause("any", "", Relation.ALWAYS)
        name = read_name(clause.term, clause.text_position)
        if isinstance(name, SruFault):
            raise _refused(name)
        return ResultSetRef(name)
    if modified.point.kind in KEY_KINDS:
        return _key_query(clause, modified.point, relation, modified)
    return _text_query(clause, modified.point, relation, modified)


def _read_clause(clause: SearchClause, scope: Scope) -> tuple[AccessPoint | str, str, Modified]:
    """Index, relation and modifiers; the latter have no point for a special index."""
    substring = _substring(clause, scope)
    index = _access_point(clause, scope, substring)
    relation = _relation_name(clause.relation, scope)
    modified = Modified(index if isinstance(index, AccessPoint) else None)
    if clause.relation is not None and clause.relation.modifiers:
        fault = read_modifiers(
            modified,
            clause.relation,
            lambda each: resolve_modifier(each, scope),
            has_substring=bool(substring),
        )
        if fault is not None:
            raise _refused(fault)
    return index, relation, modified


def _substring(clause: SearchClause, scope: Scope) -> str:
    """Of a clause on a MARC field the value of `marc.substring`, a part of what its index is."""
    for modifier in clause.relation.modifiers if clause.relation is not None else ():
        if modifier.comparison and resolve_modifier(modifier, scope) == "marc.substring":
            set_name, _ = _qualified(clause.index, scope, clause.position)
            return modifier.value if set_name in MARC_SETS else ""
    return ""


def _key_query(
    clause: SearchClause, point: AccessPoint, relation: str, modified: Modified
) -> Query:
    """A clause on values that are one key each."""
    if relation == "encloses":
        return _enclosing(clause, point, modified)
    term = _term(clause, masked=modified.masked)
    if not has_format(term.text, modified.format):
        raise _Refused(SruDiagnostic.TERM_FORMAT_INVALID, clause.term, clause.term_position)
    if relation in _ORDERINGS:
        allowed = KEY_KINDS if relation == "<>" else ORDERED_KINDS
        if point.kind not in allowed:
            raise _unsupported_pair(clause)
        bounds = term.text.split()
        masked = MASK_ANY in term.text or MASK_ONE in term.text
        if masked or (relation == "within" and len(bounds) != 2):
            raise _Refused(SruDiagnostic.TERM_FORMAT_INVALID, clause.term, clause.term_position)
        text = " ".join(bounds) if relation == "within" else term.text
        return Clause(point.name, text, _ORDERINGS[relation], Structure.KEY)
    several = relation == "any" or (relation == "all" and point.kind in (Kind.CODE, Kind.DATE))
    values = term.text.split() if several else [term.text]
    if len(values) > LIST_WORDS_MAX:
        raise _Refused(
            SruDiagnostic.TOO_MANY_CHARACTERS_IN_TERM,
            f"at most {LIST_WORDS_MAX} values",
            clause.term_position,
        )
    queries: list[Query] = [_equal(point, value, Structure.KEY, modified) for value in values]
    return joined(Operator.AND if relation == "all" else Operator.OR, queries)


def _enclosing(clause: SearchClause, point: AccessPoint, modified: Modified) -> Query:
    """Dates on both sides of the term: the span of a record's dates holds it."""
    if point.kind is not Kind.DATE:
        raise _unsupported_pair(clause)
    text = _term(clause, masked=modified.masked).text
    bounds = text.split()
    masked = MASK_ANY in text or MASK_ONE in text
    if len(bounds) > 2 or masked or not has_format(text, modified.format):
        raise _Refused(SruDiagnostic.TERM_FORMAT_INVALID, clause.term, clause.term_position)
    return Boolean(
        Operator.AND,
        Clause(point.name, bounds[0], Relation.LESS_OR_EQUAL, Structure.KEY),
        Clause(point.name, bounds[-1], Relation.GREATER_OR_EQUAL, Structure.KEY),
    )


def _text_query(
    clause: SearchClause, point: AccessPoint, relation: str, modified: Modified
) -> Query:
    """A clause on words."""
    if relation in _ORDERINGS or relation == "encloses":
        raise _unsupported_pair(clause)
    if modified.format in ("isodate", "number"):
        raise _Refused(
            SruDiagnostic.UNSUPPORTED_RELATION_INDEX_COMBINATION,
            modified.format,
            clause.position,
        )
    if modified.format == "string" and relation in ("=", "scr"):
        relation = "=="
    elif modified.format == "word" and relation in ("=", "scr"):
        relation = "all"
    if relation in ("all", "any"):
        return _word_list(clause, point, relation, modified)
    term = _term(clause, masked=modified.masked)
    anchor = term.anchor
    if relation in _WHOLE:
        anchor = Anchor.COMPLETE
    elif point.name == "any" and relation != "adj" and anchor is Anchor.ANYWHERE:
        return _equal(point, term.text, Structure.ALL_WORDS, modified)
    return _equal(point, term.text, Structure.PHRASE, modified, anchor)


def _word_list(
    clause: SearchClause, point: AccessPoint, relation: str, modified: Modified
) -> Query:
    """`all` and `any`: one clause, or one a word where words have anchors of their own."""
    structure = Structure.ALL_WORDS if relation == "all" else Structure.ANY_WORD
    term = read_words(clause.term, clause.text_position, masked=modified.masked)
    if isinstance(term, SruFault):
        raise _refused(term)
    if relation == "all":
        # A lone `*` among the words asks for nothing that they do not.
        term = [word for word in term if not is_only_masks(word.text)] or term[:1]
    if all(word.anchor is Anchor.ANYWHERE for word in term):
        return _equal(point, " ".join(word.text for word in term), structure, modified)
    if len(term) > LIST_WORDS_MAX:
        raise _Refused(
            SruDiagnostic.TOO_MANY_CHARACTERS_IN_TERM,
            f"at most {LIST_WORDS_MAX} words with anchors",
            clause.term_position,
        )
    queries: list[Query] = [
        _equal(point, word.text, Structure.PHRASE, modified, word.anchor) for word in term
    ]
    return joined(Operator.AND if relation == "all" else Operator.OR, queries)


def _equal(
    point: AccessPoint,
    text: str,
    structure: Structure,
    modified: Modified,
    anchor: Anchor = Anchor.ANYWHERE,
) -> Clause:
    if MASK_ANY in text:
        if is_only_masks(text):
            return Clause(point.name, "", Relation.ALWAYS)
        text, anchor = whole_field(text, anchor)
    return Clause(point.name, text, Relation.EQUAL, structure, anchor, modified.ranked)


def _term(clause: SearchClause, *, masked: bool) -> Term:
    term = read_term(clause.term, clause.text_position, masked=masked)
    if isinstance(term, SruFault):
        raise _refused(term)
    if not term.text:
        raise _Refused(SruDiagnostic.EMPTY_TERM, clause.term, clause.term_position)
    return term


def _refused(fault: SruFault) -> _Refused:
    return _Refused(fault.condition, fault.details, fault.position or 0)


def _unsupported_pair(clause: SearchClause) -> _Refused:
    relation = clause.relation.name if clause.relation else ""
    return _Refused(
        SruDiagnostic.UNSUPPORTED_RELATION_INDEX_COMBINATION,
        f"{clause.index} {relation}",
        clause.position,
    )


def _operator(node: BooleanClause, scope: Scope, left: Query, right: Query) -> Operator | Proximity:
    if node.operator == "prox":
        for operand in (left, right):
            if isinstance(operand, ResultSetRef):
                raise _Refused(SruDiagnostic.PROXIMITY_UNSUPPORTED, operand.name, node.position)
        return _proximity(node, scope)
    if node.modifiers:
        first = node.modifiers[0]
        raise _Refused(SruDiagnostic.UNSUPPORTED_BOOLEAN_MODIFIER, first.name, first.position)
    return _OPERATORS[node.operator]


def _proximity(node: BooleanClause, scope: Scope) -> Proximity:
    """`prox` and its modifiers; within one word, or in the same field, by default."""
    given: dict[str, Modifier] = {}
    for modifier in node.modifiers:
        name = resolve_modifier(modifier, scope)
        comparison = modifier.comparison
        understood = {"unit": comparison in ("=", "=="), "distance": bool(comparison)}
        if name not in _BOOLEAN_MODIFIERS or not understood.get(name, not comparison):
            raise _Refused(
                SruDiagnostic.UNSUPPORTED_BOOLEAN_MODIFIER, modifier.name, modifier.position
            )
        opposite = {"ordered": "unordered", "unordered": "ordered"}.get(name, "")
        if opposite in given or given.setdefault(name, modifier) != modifier:
            raise _Refused(
                SruDiagnostic.UNSUPPORTED_PROXIMITY_COMBINATION, modifier.name, modifier.position
            )
    unit = _proximity_unit(given.get("unit"))
    relation, distance = Relation.LESS_OR_EQUAL, 1 if unit is ProximityUnit.WORD else 0
    if "distance" in given:
        relation, distance = _proximity_distance(given["distance"])
    return Proximity(distance, relation, unit, "ordered" in given, "local.exclusion" in given)


def _proximity_unit(modifier: Modifier | None) -> ProximityUnit:
    if modifier is None:
        return ProximityUnit.WORD
    unit = _PROXIMITY_UNITS.get(modifier.value.lower())
    if unit is None:
        raise _Refused(SruDiagnostic.UNSUPPORTED_PROXIMITY_UNIT, modifier.value, modifier.position)
    return unit


def _proximity_distance(modifier: Modifier) -> tuple[Relation, int]:
    relation = _COMPARISONS.get(modifier.comparison)
    if relation is None:
        raise _Refused(
            SruDiagnostic.UNSUPPORTED_PROXIMITY_RELATION, modifier.comparison, modifier.position
        )
    distance = modifier.value
    if not re.fullmatch("[0-9]{1,5}", distance) or int(distance) > _DISTANCE_MAX:
        raise _Refused(SruDiagnostic.UNSUPPORTED_PROXIMITY_DISTANCE, distance, modifier.position)
    return relation, int(distance)
