"""A CQL query as XML, as it is echoed in responses (XCQL 1.1, 1.2 and 2.0)."""

from __future__ import annotations

from protocol.cql_ast import (
    CqlNode,
    CqlQuery,
    CqlRelation,
    Modifier,
    Prefix,
    Scoped,
    SearchClause,
    SortKey,
    unescaped_quotes,
)
from protocol.xml_text import escape

NAMESPACE_1 = "http://www.loc.gov/zing/cql/xcql/"
NAMESPACE_2 = "http://docs.oasis-open.org/ns/search-ws/xcql"

_SERVER_CHOICE = "<index>cql.serverChoice</index><relation><value>=</value></relation>"


def to_xcql(query: CqlQuery, namespace: str = NAMESPACE_1) -> str:
    """The query as one element, `searchClause` or `triple`, with its namespace declared."""
    out: list[str] = []
    stack: list[str | tuple[CqlNode, tuple[Prefix, ...], str]] = []
    stack.append((query.root, (), _sort_keys(query.sort_keys)))
    attributes = f' xmlns="{namespace}"'
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            out.append(item)
            continue
        node, prefixes, end = item
        if isinstance(node, Scoped):
            stack.append((node.query, (*prefixes, *node.prefixes), end))
            continue
        opening = f"{attributes}>{_prefixes(prefixes)}"
        attributes = ""
        if isinstance(node, SearchClause):
            out.append(f"<searchClause{opening}{_clause(node)}{end}</searchClause>")
            continue
        out.append(f"<triple{opening}<boolean>{_value(node.operator)}")
        out.append(f"{_modifiers(node.modifiers)}</boolean><leftOperand>")
        stack.append(f"</rightOperand>{end}</triple>")
        stack.append((node.right, (), ""))
        stack.append("</leftOperand><rightOperand>")
        stack.append((node.left, (), ""))
    return "".join(out)


def _clause(clause: SearchClause) -> str:
    term = f"<term>{escape(unescaped_quotes(clause.term))}</term>"
    if clause.relation is None:
        return f"{_SERVER_CHOICE}{term}"
    return f"<index>{escape(clause.index)}</index>{_relation(clause.relation)}{term}"


def _relation(relation: CqlRelation) -> str:
    return f"<relation>{_value(relation.name)}{_modifiers(relation.modifiers)}</relation>"


def _modifiers(modifiers: tuple[Modifier, ...]) -> str:
    if not modifiers:
        return ""
    found = "".join(
        f"<modifier><type>{escape(each.name)}</type>{_comparison(each)}</modifier>"
        for each in modifiers
    )
    return f"<modifiers>{found}</modifiers>"


def _comparison(modifier: Modifier) -> str:
    if not modifier.comparison:
        return ""
    return (
        f"<comparison>{escape(modifier.comparison)}</comparison>"
        f"{_value(unescaped_quotes(modifier.value))}"
    )


def _prefixes(prefixes: tuple[Prefix, ...]) -> str:
    if not prefixes:
        return ""
    found = "".join(
        f"<prefix>{f'<name>{escape(each.name)}</name>' if each.name else ''}"
        f"<identifier>{escape(each.uri)}</identifier></prefix>"
        for each in prefixes
    )
    return f"<prefixes>{found}</prefixes>"


def _sort_keys(keys: tuple[SortKey, ...]) -> str:
    if not keys:
        return ""
    found = "".join(
        f"<key><index>{escape(key.index)}</index>{_modifiers(key.modifiers)}</key>" for key in keys
    )
    return f"<sortKeys>{found}</sortKeys>"


def _value(text: str) -> str:
    return f"<value>{escape(text)}</value>"
