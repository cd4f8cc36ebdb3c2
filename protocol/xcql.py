"""A CQL query as XML: XCQL as SRU 1.1 and 1.2 echo it, and as OASIS CQL 2.0 has it.

The two differ beyond their namespaces. In 1.x a query is one element,
`searchClause` or `triple`, which holds its own prefixes and sort keys. In 2.0 a
query is prefixes, a `triple` and sort keys side by side, a `triple` may hold a
`searchClause` alone, and the operator's element is `Boolean`.
"""

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
from protocol.cql_scope import hoisted
from protocol.xml_text import escape

NAMESPACE_1 = "http://www.loc.gov/zing/cql/xcql/"
NAMESPACE_2 = "http://docs.oasis-open.org/ns/search-ws/xcql"

_SERVER_CHOICE = "<index>cql.serverChoice</index><relation><value>=</value></relation>"
# The 2.0 schema wants modifiers in every sort key; this one says nothing new.
_ASCENDING = (Modifier("sort.ascending"),)


def to_xcql(query: CqlQuery, namespace: str = NAMESPACE_1) -> str:
    """The query as the content of an `xQuery` element, each of its elements with its namespace.

    One element in the namespace of 1.x, up to three in that of 2.0.
    """
    if namespace != NAMESPACE_2:
        return _operand(query.root, f' xmlns="{namespace}"', _sort_keys(query.sort_keys), "boolean")
    prefixes, root, sort_keys = hoisted(query)
    keys = tuple(SortKey(key.index, key.modifiers or _ASCENDING) for key in sort_keys)
    return "".join(
        part.replace(">", f' xmlns="{namespace}">', 1)
        for part in (_prefixes(prefixes), _triple(root), _sort_keys(keys))
        if part
    )


def to_document(query: CqlQuery, namespace: str = NAMESPACE_1) -> str:
    """The query as one XML element that stands for itself."""
    content = to_xcql(query, namespace)
    if namespace != NAMESPACE_2:
        return content
    declared = f' xmlns="{namespace}"'
    return f"<xcql{declared}>{content.replace(declared, '')}</xcql>"


def to_scan_xcql(query: CqlQuery, namespace: str = NAMESPACE_1) -> str:
    """A scanClause as the content of an `xScanClause` element, which is a clause itself.

    2.0 has no room for prefixes there. A query that is no clause gives nothing.
    """
    prefixes: tuple[Prefix, ...] = ()
    node = query.root
    while isinstance(node, Scoped):
        prefixes += node.prefixes
        node = node.query
    if not isinstance(node, SearchClause):
        return ""
    declared = f' xmlns="{namespace}"'
    relation, term = node.relation or CqlRelation("="), unescaped_quotes(node.term)
    parts = (
        "" if namespace == NAMESPACE_2 else _prefixes(prefixes),
        f"<index>{escape(node.index or 'cql.serverChoice')}</index>",
        _relation(relation),
        f"<term>{escape(term)}</term>",
    )
    return "".join(part.replace(">", f"{declared}>", 1) for part in parts if part)


def _triple(root: CqlNode) -> str:
    if isinstance(root, SearchClause):
        return f"<triple><searchClause>{_clause(root)}</searchClause></triple>"
    return _operand(root, "", "", "Boolean")


def _operand(root: CqlNode, attributes: str, sort_keys: str, boolean: str) -> str:
    """One element, `searchClause` or `triple`; `attributes` and `sort_keys` are the outermost's."""
    out: list[str] = []
    stack: list[str | tuple[CqlNode, tuple[Prefix, ...], str]] = [(root, (), sort_keys)]
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
        out.append(f"<triple{opening}<{boolean}>{_value(node.operator)}")
        out.append(f"{_modifiers(node.modifiers)}</{boolean}><leftOperand>")
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
