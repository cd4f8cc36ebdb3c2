"""A query tree in one line, for tables of expectations.

A clause is `(title phrase first "a term")`, with the relation instead of the
structure where it is not `=`; masks show as ⁎ and ？.
"""

from __future__ import annotations

from protocol.diagnostic import Diagnostic, SruFault
from protocol.query import (
    MASK_ANY,
    MASK_ONE,
    Anchor,
    Boolean,
    Clause,
    Operator,
    ProximityUnit,
    Query,
    Relation,
    ResultSetRef,
    postorder,
)


def notation(outcome: Query | Diagnostic | SruFault) -> str:
    if isinstance(outcome, Diagnostic):
        return f"! {outcome.condition.value} {outcome.addinfo}".rstrip()
    if isinstance(outcome, SruFault):
        place = "" if outcome.position is None else f" @{outcome.position}"
        return f"! {outcome.condition.value}{place} {outcome.details}".rstrip()
    done: list[str] = []
    for node in postorder(outcome):
        if isinstance(node, Clause):
            done.append(_clause(node))
        elif isinstance(node, ResultSetRef):
            done.append(f'(set "{node.name}")')
        else:
            right, left = done.pop(), done.pop()
            done.append(f"({_operator(node)} {left} {right})")
    return done[0]


def _clause(clause: Clause) -> str:
    words = [clause.access_point]
    if clause.relation is Relation.EQUAL:
        words.append(clause.structure.value)
    else:
        words.append(clause.relation.value)
    if clause.anchor is not Anchor.ANYWHERE:
        words.append(clause.anchor.value)
    if clause.ranked:
        words.append("ranked")
    if clause.relation is not Relation.ALWAYS:
        term = clause.term.replace(MASK_ANY, "⁎").replace(MASK_ONE, "？")
        words.append(f'"{term}"')
    return f"({' '.join(words)})"


def _operator(node: Boolean) -> str:
    operator = node.operator
    if isinstance(operator, Operator):
        return operator.value
    words = [f"prox{operator.relation.value}{operator.distance}"]
    if operator.unit is not ProximityUnit.WORD:
        words.append(operator.unit.value)
    if operator.ordered:
        words.append("ordered")
    if operator.exclusion:
        words.append("exclusion")
    return " ".join(words)
