"""What libyaz and PyPI's cql-parser make of the corpus, and why it differs where it does.

Each reads every query of the corpus; what it makes of it, as XCQL in a form that
leaves out the habits told in `_normal`, must be ours. The tables below hold
every exception with its reason, and a query in them that no longer differs
fails the test.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import logging
from collections.abc import Mapping
from typing import Any

import cql as cql_parser_package
import pytest
from cql.lexer import CQLLexerError
from lxml import etree

from tests.unit.cql_corpus import CORPUS, Case

_BARE_WORDS = "we take bare words after `index = term` into the term, because JabRef sends them"
_TWO_CLAUSES = "two clauses without an operator, or one term for two: libyaz keeps the last"
_BACKSLASH = "a term that ends in a backslash, which escapes nothing: a fault to us"
_UNCLOSED = "libyaz closes the quotation at the end of the query"
_SCOPE = "libyaz lets an index and a relation reach over parentheses, which CQL does not"
_SORT_KEYS = "of three sort keys or more libyaz keeps the first and the last"
_AFTER_SORT_KEY = "libyaz passes over what follows the sort keys and is none"

YAZ_DIFFERS = {
    "pica.all=java jdk": _BARE_WORDS,
    "pica.all=java jdk and pica.tit=spring": _BARE_WORDS,
    "dc.title = fish any cook": _TWO_CLAUSES,
    "title=a=b": _TWO_CLAUSES,
    "fish\\": _BACKSLASH,
    '"unclosed': _UNCLOSED,
    'fish and "unclosed': _UNCLOSED,
    "dc.title = (fish)": _SCOPE,
    "fish sortBy title and x": _SORT_KEYS,
    "fish sortBy title author date date_modified title author date title title": _SORT_KEYS,
    "fish sortBy title = x": _AFTER_SORT_KEY,
    "a sortBy title=x": _AFTER_SORT_KEY,
}
CQL_PARSER_DIFFERS = {
    "pica.all=java jdk": _BARE_WORDS,
    "pica.all=java jdk and pica.tit=spring": _BARE_WORDS,
    "fish\\": _BACKSLASH,
}

# A clause is (index, relation, modifiers, term), an operation (operator, modifiers,
# left, right), the whole (either, sort keys).
Normal = tuple[Any, ...]
Scope = Mapping[str, str]


def _modifiers(element: etree._Element, scope: Scope) -> tuple[tuple[str, str, str], ...]:
    """Sorted, for libyaz turns them round."""
    return tuple(
        sorted(
            (
                _name(each.findtext("{*}type") or "", scope),
                each.findtext("{*}comparison") or "",
                _term(each.findtext("{*}value") or ""),
            )
            for each in element.findall("{*}modifiers/{*}modifier")
        )
    )


def _name(name: str, scope: Scope) -> str:
    """libyaz takes a prefix off and puts what it means beside."""
    prefix, dot, rest = name.partition(".")
    return rest if dot and prefix in scope else name


def _term(text: str) -> str:
    """libyaz leaves the escapes of quotation marks standing."""
    return text.replace('\\"', '"')


def _normal(element: etree._Element, scope: Scope = {}) -> Normal:  # noqa: B006 - never changed
    """The query without prefixes, each index with the URI of its set where one is assigned.

    libyaz assigns prefixes clause by clause, without their names; cql-parser
    writes no index and relation for a term alone, and keeps the case of `AND`.
    """
    assigned = {
        each.findtext("{*}name") or "": each.findtext("{*}identifier") or ""
        for each in element.findall("{*}prefixes/{*}prefix")
    }
    scope = {**scope, **assigned}
    if etree.QName(element).localname == "searchClause":
        index = element.findtext("{*}index") or "cql.serverChoice"
        relation = element.find("{*}relation")
        prefix, dot, _ = index.partition(".")
        uri = scope.get(prefix if dot else "", "")
        value = "=" if relation is None else relation.findtext("{*}value")
        modifiers = () if relation is None else _modifiers(relation, scope)
        term = " ".join(each.text or "" for each in element.findall("{*}term"))
        return (uri, _name(index, scope) if uri else index, value, modifiers, _term(term))
    boolean = element.find("{*}boolean")
    assert boolean is not None
    # libyaz leaves the elements around operands out of what it writes to memory.
    inner = [
        each[0] if etree.QName(each).localname in ("leftOperand", "rightOperand") else each
        for each in element
    ]
    operands = [
        _normal(each, scope)
        for each in inner
        if etree.QName(each).localname in ("searchClause", "triple")
    ]
    value = (boolean.findtext("{*}value") or "").lower()
    return (value, _modifiers(boolean, scope), *operands)


def whole(xcql: str) -> Normal:
    root = etree.fromstring(xcql)
    keys = [
        (key.findtext("{*}index"), _modifiers(key, {}))
        for key in root.findall("{*}sortKeys/{*}key")
    ]
    return (_normal(root), keys)


class _Yaz:
    def __init__(self) -> None:
        self._library = library = ctypes.CDLL(ctypes.util.find_library("yaz") or "libyaz.so.5")
        library.cql_parser_create.restype = ctypes.c_void_p
        library.cql_parser_strict.argtypes = (ctypes.c_void_p, ctypes.c_int)
        library.cql_parser_string.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
        library.cql_parser_result.argtypes = (ctypes.c_void_p,)
        library.cql_parser_result.restype = ctypes.c_void_p
        library.cql_to_xml_buf.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
        library.cql_parser_destroy.argtypes = (ctypes.c_void_p,)

    def xcql(self, query: str) -> str | None:
        """The query as libyaz reads it by the letter of the grammar, or None."""
        parser = self._library.cql_parser_create()
        try:
            # Otherwise it takes any bare words as one term.
            self._library.cql_parser_strict(parser, 1)
            if self._library.cql_parser_string(parser, query.encode()) != 0:
                return None
            buffer = ctypes.create_string_buffer(1 << 16)
            tree = self._library.cql_parser_result(parser)
            self._library.cql_to_xml_buf(tree, buffer, len(buffer))
            return buffer.value.decode()
        finally:
            self._library.cql_parser_destroy(parser)


def _cql_parser_xcql(query: str) -> str | None:
    try:
        return str(cql_parser_package.parse(query).toXCQLString())
    except (cql_parser_package.CQLParserError, CQLLexerError):
        return None


def _compare(case: Case, theirs: str | None, differs: Mapping[str, str]) -> None:
    agree = (theirs is None) == (not case.xcql) and (
        theirs is None or whole(theirs) == whole(case.xcql)
    )
    reason = differs.get(case.query)
    assert agree != bool(reason), f"{reason or 'no reason given'}: {theirs}"


@pytest.fixture(scope="module")
def yaz() -> _Yaz:
    return _Yaz()


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    """cql-parser logs every fault as an error."""
    logging.getLogger("cql").setLevel(logging.CRITICAL + 1)


@pytest.mark.real_client
@pytest.mark.parametrize("case", CORPUS, ids=str)
def test_libyaz_reads_the_same_or_the_table_says_why(case: Case, yaz: _Yaz) -> None:
    _compare(case, yaz.xcql(case.query), YAZ_DIFFERS)


@pytest.mark.parametrize("case", CORPUS, ids=str)
def test_cql_parser_reads_the_same_or_the_table_says_why(case: Case) -> None:
    _compare(case, _cql_parser_xcql(case.query), CQL_PARSER_DIFFERS)


def test_the_tables_are_about_queries_of_the_corpus() -> None:
    queries = {case.query for case in CORPUS}
    assert queries >= YAZ_DIFFERS.keys() | CQL_PARSER_DIFFERS.keys()
