"""A CQL query as written: the tree of its grammar, and back to text.

Terms keep their escapes (`\\*`), so that text → tree → text changes nothing but
blanks, quotes and needless parentheses. Positions count characters of the
query from 0; they are for diagnostics and no part of equality.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from protocol.frozen import frozen

KEYWORDS = frozenset({"and", "or", "not", "prox", "sortby"})
COMPARITORS = frozenset({"=", "==", "<", "<=", ">", ">=", "<>"})

_WORD = re.compile(r'(?:[^\s()=<>"/\\]|\\.)+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Modifier:
    """`/name` or `/name comparison value` of a relation, a Boolean or a sort key."""

    name: str
    comparison: str = ""
    value: str = ""
    position: int = field(default=0, compare=False)


@frozen
class CqlRelation:
    name: str
    modifiers: tuple[Modifier, ...] = ()
    position: int = field(default=0, compare=False)


@frozen
class SearchClause:
    """`index relation term`, or a term alone: then `index` is empty, `relation` None.

    `term_position` is that of the opening quotation mark where the term has one.
    """

    term: str
    index: str = ""
    relation: CqlRelation | None = None
    position: int = field(default=0, compare=False)
    term_position: int = field(default=0, compare=False)
    term_quoted: bool = field(default=False, compare=False)

    @property
    def text_position(self) -> int:
        """Where the term's own text begins."""
        return self.term_position + self.term_quoted


@frozen
class BooleanClause:
    """Two queries and `and`, `or`, `not` or `prox` (in lower case) between them."""

    operator: str
    left: CqlNode
    right: CqlNode
    modifiers: tuple[Modifier, ...] = ()
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Prefix:
    """`> name = uri`; an empty name is the default set for what follows."""

    name: str
    uri: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Scoped:
    """Prefix assignments and the query that they hold for."""

    prefixes: tuple[Prefix, ...]
    query: CqlNode


CqlNode = SearchClause | BooleanClause | Scoped


@dataclass(frozen=True, slots=True)
class SortKey:
    index: str
    modifiers: tuple[Modifier, ...] = ()
    position: int = field(default=0, compare=False)


@frozen
class CqlQuery:
    root: CqlNode
    sort_keys: tuple[SortKey, ...] = ()


def to_text(query: CqlQuery) -> str:
    """The query as CQL that parses to an equal tree."""
    out: list[str] = []
    # Strings on the stack are ready text; nodes come with "needs parentheses".
    stack: list[str | tuple[CqlNode, bool]] = [(query.root, False)]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            out.append(item)
            continue
        node, nested = item
        if isinstance(node, SearchClause):
            out.append(_clause_text(node))
            continue
        if nested:
            out.append("(")
            stack.append(")")
        if isinstance(node, Scoped):
            out.extend(f"{_prefix_text(prefix)} " for prefix in node.prefixes)
            # A second list of prefixes would melt into this one.
            stack.append((node.query, isinstance(node.query, Scoped)))
        else:
            stack.append((node.right, not isinstance(node.right, SearchClause)))
            stack.append(f" {node.operator}{_modifiers_text(node.modifiers)} ")
            stack.append((node.left, isinstance(node.left, Scoped)))
    if query.sort_keys:
        out.append(" sortBy")
        out.extend(
            f" {quoted(key.index)}{_modifiers_text(key.modifiers)}" for key in query.sort_keys
        )
    return "".join(out)


def quoted(text: str) -> str:
    """`text` as one CQL token, with quotation marks where it needs them."""
    if _WORD.fullmatch(text) and text.lower() not in KEYWORDS:
        return text
    return f'"{text}"'


def unescaped_quotes(text: str) -> str:
    """A term outside CQL text, where quotation marks need no escape."""
    return text.replace('\\"', '"') if '\\"' in text else text


def _clause_text(clause: SearchClause) -> str:
    if clause.relation is None:
        return quoted(clause.term)
    relation = (
        f"{quoted_relation(clause.relation.name)}{_modifiers_text(clause.relation.modifiers)}"
    )
    return f"{quoted(clause.index)} {relation} {quoted(clause.term)}"


def quoted_relation(name: str) -> str:
    return name if name in COMPARITORS else quoted(name)


def _modifiers_text(modifiers: tuple[Modifier, ...]) -> str:
    return "".join(
        f"/{quoted(each.name)}{each.comparison}{quoted(each.value) if each.comparison else ''}"
        for each in modifiers
    )


def _prefix_text(prefix: Prefix) -> str:
    if not prefix.name:
        return f"> {quoted(prefix.uri)}"
    return f"> {quoted(prefix.name)} = {quoted(prefix.uri)}"
