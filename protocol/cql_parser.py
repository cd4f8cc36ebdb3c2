"""CQL text to its tree: the grammar of CQL 1.1 and 1.2, without recursion.

One step beyond the grammar, because JabRef sends it: after `index = term`
further bare words belong to the term (`pica.all=java jdk`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from protocol.cql_ast import (
    COMPARITORS,
    KEYWORDS,
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
from protocol.diagnostic import SruDiagnostic, SruFault
from protocol.query import QUERY_DEPTH_MAX, TERM_CHARS_MAX

QUERY_CHARS_MAX = 65_536
MODIFIERS_MAX = 16  # of one relation, Boolean or sort key
PREFIXES_MAX = 32  # in one place
INDEX_CHARS_MAX = 100  # of an index that is read in one step
NAMED_RELATIONS = frozenset({"exact", "any", "all", "adj", "within", "encloses", "scr"})

_HALF_PAIR = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile(
    r"""\s*(?:
        "(?P<quoted>[^"\\]*(?:\\.[^"\\]*)*)"
      | (?P<symbol>==|<=|>=|<>|[()=<>/])
      | (?P<word>(?:[^\s()=<>"/\\]|\\.)+)
    )""",
    re.VERBOSE | re.DOTALL,
)


# `bath.isbn=9787302123456` and `title="a title"`: most queries, read in one step.
_SIMPLE = re.compile(
    rf"""\s*(?P<index>[a-zA-Z_][\w.]{{0,{INDEX_CHARS_MAX}}})
         \s*(?P<relation>={{1,2}})
         \s*(?:(?P<word>[\w.^*?-]{{1,{TERM_CHARS_MAX}}})
               |"(?P<quoted>[^"\\\ud800-\udfff]{{0,{TERM_CHARS_MAX}}})")\s*""",
    re.VERBOSE,
)


class _Token(NamedTuple):
    """`kind` is "word", "quoted", "end", or the symbol itself."""

    kind: str
    text: str
    position: int

    @property
    def keyword(self) -> str:
        """The reserved word that this is, in lower case, or nothing."""
        lower = self.text.lower()
        return lower if self.kind == "word" and lower in KEYWORDS else ""

    @property
    def is_text(self) -> bool:
        return self.kind in ("word", "quoted")


class _Refused(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, condition: SruDiagnostic, details: str, position: int) -> None:
        super().__init__(details)
        self.fault = SruFault(condition, details, position)


def parse(text: str) -> CqlQuery | SruFault:
    """The tree of `text`, or what is wrong with it and where.

    Never raises; takes time in proportion to the length of `text`, which is
    refused beyond QUERY_CHARS_MAX characters.
    """
    if len(text) > QUERY_CHARS_MAX:
        details = f"at most {QUERY_CHARS_MAX} characters"
        return SruFault(SruDiagnostic.TOO_MANY_CHARACTERS_IN_QUERY, details)
    simple = _SIMPLE.fullmatch(text)
    if simple is not None:
        return _simple_query(simple)
    half = _HALF_PAIR.search(text)
    if half is not None:
        details = "half a surrogate pair"
        return SruFault(SruDiagnostic.QUERY_SYNTAX_ERROR, details, half.start())
    try:
        return _Parser(_tokens(text)).query()
    except _Refused as refused:
        return refused.fault


def _simple_query(match: re.Match[str]) -> CqlQuery:
    kind = "word" if match["quoted"] is None else "quoted"
    return CqlQuery(
        SearchClause(
            match[kind],
            match["index"],
            CqlRelation(match["relation"], (), match.start("relation")),
            match.start("index"),
            match.start(kind) - (kind == "quoted"),
            kind == "quoted",
        )
    )


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    end = len(text.rstrip())
    at = 0
    while at < end:
        match = _TOKEN.match(text, at, end)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            if text[at] == '"':
                raise _Refused(SruDiagnostic.UNSUPPORTED_QUOTES, "quotation mark never closed", at)
            raise _Refused(SruDiagnostic.QUERY_SYNTAX_ERROR, "nothing after the backslash", at)
        kind = str(match.lastgroup)
        content = match.group(kind)
        start = match.start(kind) - (kind == "quoted")
        if len(content) > TERM_CHARS_MAX:
            details = f"at most {TERM_CHARS_MAX} characters"
            raise _Refused(SruDiagnostic.TOO_MANY_CHARACTERS_IN_TERM, details, start)
        tokens.append(_Token(content if kind == "symbol" else kind, content, start))
        at = match.end()
    tokens.append(_Token("end", "", end))
    return tokens


@dataclass(slots=True)
class _Level:
    """One pair of parentheses, or the whole query: what is read of it so far."""

    open_position: int
    prefixes: list[Prefix] = field(default_factory=list)
    left: CqlNode | None = None
    left_depth: int = 0
    operator: str = ""
    modifiers: tuple[Modifier, ...] = ()
    operator_position: int = 0

    def add(self, operand: CqlNode, depth: int) -> None:
        """Take the next operand; operators bind from left to right, all alike."""
        if self.left is None:
            self.left, self.left_depth = operand, depth
            return
        depth = max(self.left_depth, depth) + 1
        if depth > QUERY_DEPTH_MAX:
            raise _Refused(
                SruDiagnostic.TOO_MANY_BOOLEANS,
                f"at most {QUERY_DEPTH_MAX} below one another",
                self.operator_position,
            )
        self.left = BooleanClause(
            self.operator, self.left, operand, self.modifiers, self.operator_position
        )
        self.left_depth = depth


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def query(self) -> CqlQuery:
        levels = [_Level(open_position=0)]
        while True:
            token = self._peek()
            if token.kind == ">" and levels[-1].left is None:
                levels[-1].prefixes.extend(self._prefixes())
                token = self._peek()
            if token.kind == "(":
                self._next()
                levels.append(_Level(open_position=token.position))
                if len(levels) > QUERY_DEPTH_MAX:
                    raise _Refused(
                        SruDiagnostic.UNSUPPORTED_PARENTHESES,
                        f"at most {QUERY_DEPTH_MAX} inside one another",
                        token.position,
                    )
                continue
            levels[-1].add(self._clause(), 0)
            while self._peek().kind == ")":
                self._close(levels)
            token = self._peek()
            if token.keyword and token.keyword != "sortby":
                self._next()
                level = levels[-1]
                level.operator, level.operator_position = token.keyword, token.position
                level.modifiers = self._modifiers()
                continue
            if len(levels) > 1:
                if token.kind != "end":
                    raise self._unexpected(token)
                raise _Refused(
                    SruDiagnostic.UNSUPPORTED_PARENTHESES,
                    "parenthesis never closed",
                    levels[-1].open_position,
                )
            break
        root, _ = _finished(levels[0])
        sort_keys = self._sort_keys() if self._peek().keyword == "sortby" else ()
        token = self._peek()
        if token.kind != "end":
            raise self._unexpected(token)
        return CqlQuery(root, sort_keys)

    def _unexpected(self, token: _Token) -> _Refused:
        """The fault of a token, the next one, with which a query cannot go on.

        A sign that stands close to a word (`http://…`) is meant as a part of it.
        """
        before = self._tokens[self._at - 1]
        is_close = before.kind == "word" and before.position + len(before.text) == token.position
        condition = SruDiagnostic.QUERY_SYNTAX_ERROR
        if is_close and not token.is_text:
            condition = SruDiagnostic.SPECIAL_CHARACTER_NOT_QUOTED
        return _Refused(condition, token.text, token.position)

    def _close(self, levels: list[_Level]) -> None:
        token = self._next()
        if len(levels) == 1:
            raise _Refused(
                SruDiagnostic.UNSUPPORTED_PARENTHESES, "parenthesis never opened", token.position
            )
        node, depth = _finished(levels.pop())
        levels[-1].add(node, depth)

    def _clause(self) -> SearchClause:
        first = self._next()
        if first.kind == ")":
            raise _Refused(
                SruDiagnostic.UNSUPPORTED_PARENTHESES, "nothing before it", first.position
            )
        if not first.is_text:
            expected = "a search term is missing" if first.kind == "end" else first.text
            raise _Refused(SruDiagnostic.QUERY_SYNTAX_ERROR, expected, first.position)
        relation = self._relation()
        if relation is None:
            return SearchClause(
                first.text,
                position=first.position,
                term_position=first.position,
                term_quoted=first.kind == "quoted",
            )
        term = self._next()
        if not term.is_text:
            wanted = f"a term is missing after {relation.name}"
            raise _Refused(SruDiagnostic.QUERY_SYNTAX_ERROR, wanted, term.position)
        text = term.text
        if term.kind == "word":
            text = self._with_bare_words(text)
        return SearchClause(
            text, first.text, relation, first.position, term.position, term.kind == "quoted"
        )

    def _relation(self) -> CqlRelation | None:
        token = self._peek()
        if token.kind not in COMPARITORS and (not token.is_text or token.keyword):
            return None
        self._next()
        return CqlRelation(token.text, self._modifiers(), token.position)

    def _with_bare_words(self, text: str) -> str:
        words = [text]
        while self._peek().kind == "word" and not self._peek().keyword:
            word, after = self._next(), self._peek()
            if after.kind in COMPARITORS or after.kind == "/" or word.text in NAMED_RELATIONS:
                # The beginning of another clause: `and` or `or` was forgotten.
                raise _Refused(SruDiagnostic.QUERY_SYNTAX_ERROR, word.text, word.position)
            words.append(word.text)
        return " ".join(words)

    def _modifiers(self) -> tuple[Modifier, ...]:
        found: list[Modifier] = []
        while self._peek().kind == "/":
            slash = self._next()
            if len(found) == MODIFIERS_MAX:
                details = f"at most {MODIFIERS_MAX} modifiers"
                raise _Refused(SruDiagnostic.QUERY_SYNTAX_ERROR, details, slash.position)
            name = self._text("a modifier's name")
            comparison = value = ""
            if self._peek().kind in COMPARITORS:
                comparison = self._next().text
                value = self._text("a modifier's value").text
            found.append(Modifier(name.text, comparison, value, name.position))
        return tuple(found)

    def _prefixes(self) -> list[Prefix]:
        found: list[Prefix] = []
        while self._peek().kind == ">":
            sign = self._next()
            if len(found) == PREFIXES_MAX:
                details = f"at most {PREFIXES_MAX} prefixes"
                raise _Refused(SruDiagnostic.QUERY_SYNTAX_ERROR, details, sign.position)
            first = self._text("a prefix or its identifier")
            if self._peek().kind == "=":
                self._next()
                uri = self._text("a prefix's identifier")
                found.append(Prefix(first.text, uri.text, sign.position))
            else:
                found.append(Prefix("", first.text, sign.position))
        return found

    def _sort_keys(self) -> tuple[SortKey, ...]:
        self._next()
        found: list[SortKey] = []
        while not found or self._peek().is_text:
            index = self._text("a sort index")
            found.append(SortKey(index.text, self._modifiers(), index.position))
        return tuple(found)

    def _text(self, what: str) -> _Token:
        token = self._next()
        if not token.is_text:
            raise _Refused(SruDiagnostic.QUERY_SYNTAX_ERROR, f"{what} is missing", token.position)
        return token

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token


def _finished(level: _Level) -> tuple[CqlNode, int]:
    node = level.left
    assert node is not None  # noqa: S101 - a level is closed only after an operand
    if level.prefixes:
        node = Scoped(tuple(level.prefixes), node)
    return node, level.left_depth
