"""A query tree drawn for a person.

    and
    ├─ title phrase "史记"
    └─ date >= "1980"

A clause is an access point, how its term is compared, and the term, with `*`
and `?` for masks and a backslash before characters that are not.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.query import (
    MASK_ANY,
    MASK_ONE,
    Anchor,
    Boolean,
    Clause,
    Operator,
    Query,
    Relation,
    ResultSetRef,
    SortSpec,
)

_SHOWN = str.maketrans(
    {character: f"\\{character}" for character in '\\*?"'} | {MASK_ANY: "*", MASK_ONE: "?"}
)


def draw(query: Query, sort: Sequence[SortSpec] = ()) -> str:
    """The tree, one node a line, without a line end behind the last one."""
    lines: list[str] = []
    stack: list[tuple[Query, str, str]] = [(query, "", "")]
    while stack:
        node, branch, indent = stack.pop()
        lines.append(branch + _label(node))
        if isinstance(node, Boolean):
            stack.append((node.right, f"{indent}└─ ", f"{indent}   "))
            stack.append((node.left, f"{indent}├─ ", f"{indent}│  "))
    lines += [_order(spec) for spec in sort]
    return "\n".join(lines)


def _label(node: Query) -> str:
    if isinstance(node, ResultSetRef):
        return f"result set {_quoted(node.name)}"
    if isinstance(node, Clause):
        return _clause(node)
    operator = node.operator
    if isinstance(operator, Operator):
        return operator.value
    words = ["prox", operator.unit.value, f"{operator.relation.value}{operator.distance}"]
    if operator.ordered:
        words.append("ordered")
    if operator.exclusion:
        words.append("exclusion")
    return " ".join(words)


def _clause(clause: Clause) -> str:
    if clause.relation is Relation.ALWAYS:
        return f"{clause.access_point} any value"
    equal = clause.relation is Relation.EQUAL
    words = [clause.access_point, clause.structure.value if equal else clause.relation.value]
    if clause.anchor is not Anchor.ANYWHERE:
        words.append(clause.anchor.value)
    if clause.ranked:
        words.append("ranked")
    return f"{' '.join(words)} {_quoted(clause.term)}"


def _quoted(text: str) -> str:
    return f'"{text.translate(_SHOWN)}"'


def _order(spec: SortSpec) -> str:
    words = ["sort by", spec.access_point, "descending" if spec.descending else "ascending"]
    if spec.case_sensitive:
        words.append("case told apart")
    if spec.missing.startswith("="):
        words.append(f"missing as {_quoted(spec.missing[1:])}")
    elif spec.missing != "high":
        words.append(f"missing {spec.missing}")
    return " ".join(words)
