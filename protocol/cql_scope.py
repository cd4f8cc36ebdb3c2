"""CQL prefix assignments brought to the front of a query.

CQL lets any query in parentheses assign prefixes for itself; XCQL 2.0 has room
for them only at the front. A prefix of an inner query is therefore renamed to
one that nobody else uses, and so are the names that it stands before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count

from protocol.cql_ast import (
    BooleanClause,
    CqlNode,
    CqlQuery,
    CqlRelation,
    Modifier,
    Prefix,
    Scoped,
    SearchClause,
    SortKey,
)

_Renames = Mapping[str, str]  # prefix in lower case to its new name


def hoisted(query: CqlQuery) -> tuple[tuple[Prefix, ...], CqlNode, tuple[SortKey, ...]]:
    """Every prefix assignment, the query without any, and its sort keys.

    A query whose assignments all stand at its front keeps its names.
    """
    prefixes: dict[str, Prefix] = {}
    root = query.root
    while isinstance(root, Scoped):
        # The later one of a name is the inner one.
        prefixes.update((each.name.lower(), each) for each in root.prefixes)
        root = root.query
    taken = set(_prefixes_used(query)) | set(prefixes)
    fresh = (name for name in (f"p{number}" for number in count(1)) if name not in taken)
    found = list(prefixes.values())
    done: list[CqlNode] = []
    stack: list[tuple[CqlNode, _Renames, bool]] = [(root, {}, False)]
    while stack:
        node, renames, operands_done = stack.pop()
        if isinstance(node, SearchClause):
            done.append(_clause(node, renames))
        elif isinstance(node, Scoped):
            inner = dict(renames)
            for prefix in node.prefixes:
                name = next(fresh)
                inner[prefix.name.lower()] = name
                found.append(Prefix(name, prefix.uri, prefix.position))
            stack.append((node.query, inner, False))
        elif not operands_done:
            stack.append((node, renames, True))
            stack.append((node.right, renames, False))
            stack.append((node.left, renames, False))
        else:
            right, left = done.pop(), done.pop()
            modifiers = _modifiers(node.modifiers, renames)
            done.append(BooleanClause(node.operator, left, right, modifiers, node.position))
    return tuple(found), done[0], query.sort_keys


def _clause(clause: SearchClause, renames: _Renames) -> SearchClause:
    relation = clause.relation
    if relation is None or not renames:
        return clause
    renamed = CqlRelation(
        _renamed(relation.name, renames),
        _modifiers(relation.modifiers, renames),
        relation.position,
    )
    index = _renamed(clause.index, renames)
    if "." not in index and "" in renames:
        index = f"{renames['']}.{index}"
    return replace(clause, index=index, relation=renamed)


def _modifiers(modifiers: tuple[Modifier, ...], renames: _Renames) -> tuple[Modifier, ...]:
    return tuple(
        Modifier(_renamed(each.name, renames), each.comparison, each.value, each.position)
        for each in modifiers
    )


def _renamed(name: str, renames: _Renames) -> str:
    prefix, dot, rest = name.rpartition(".")
    return f"{renames[prefix.lower()]}.{rest}" if dot and prefix.lower() in renames else name


def _prefixes_used(query: CqlQuery) -> Iterator[str]:
    """Every prefix, in lower case, that the query assigns or writes before a name."""
    names: list[str] = []
    modifiers = [modifier for key in query.sort_keys for modifier in key.modifiers]
    names += [key.index for key in query.sort_keys]
    stack = [query.root]
    while stack:
        node = stack.pop()
        if isinstance(node, Scoped):
            yield from (prefix.name.lower() for prefix in node.prefixes)
            stack.append(node.query)
        elif isinstance(node, BooleanClause):
            modifiers += node.modifiers
            stack += [node.right, node.left]
        elif node.relation is not None:
            names += [node.index, node.relation.name]
            modifiers += node.relation.modifiers
    for name in (*names, *(each.name for each in modifiers)):
        yield name.rpartition(".")[0].lower()
