"""PQF, the prefix notation in which YAZ and its clients write RPN queries.

    @and @attr 1=4 @attr 4=1 "a title" @or @attr 1=1003 name @set 2

`@attr` in front of an operator holds for both its operands, unless they give
the same type themselves. Several use attributes in one place are kept, as
alternatives; of other types the last one counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from protocol import rpn
from protocol.apdu_common import AttributeElement, AttributesPlusTerm, ComplexAttribute, Term
from protocol.apdu_query import (
    BooleanOperator,
    PrivateProximityUnit,
    ProximityOperator,
    ResultAttr,
    ResultSetId,
    RpnNode,
    RpnOperation,
    RpnQuery,
)
from protocol.asn1 import GeneralizedTime, Null
from protocol.bib1_attributes import ATTRIBUTES_MAX, USE, resolve
from protocol.diagnostic import Bib1, Diagnostic
from protocol.oid import ATTRIBUTE_SETS, BIB_1, CROSS_DOMAIN_1, EXP_1, NAMES, UTILITY, Oid
from protocol.query import QUERY_DEPTH_MAX, QUERY_TERMS_MAX, Query

QUERY_CHARS_MAX = 65_536
_NUMBER_MAX = 2**31 - 1  # of an attribute type or value

_SET_BY_NAME: Mapping[str, Oid] = {
    **{name: oid for oid, name in NAMES.items() if oid.within(ATTRIBUTE_SETS)},
    "bib1": BIB_1,
    "explain": EXP_1,
    "exp1": EXP_1,
    "util": UTILITY,
    "xd-1": CROSS_DOMAIN_1,
    "xd1": CROSS_DOMAIN_1,
}
_NAME_BY_SET = {oid: NAMES[oid] for oid in _SET_BY_NAME.values()}
_OPERATORS = {
    "@and": BooleanOperator.AND,
    "@or": BooleanOperator.OR,
    "@not": BooleanOperator.AND_NOT,
}
_OPERATOR_NAMES = {operator: name for name, operator in _OPERATORS.items()}
_TERM_TYPES = frozenset({"general", "numeric", "string", "oid", "datetime", "null"})

_TOKEN = re.compile(
    r"""\s*(?:
        "(?P<quoted>[^"\\]*(?:\\.[^"\\]*)*)"?
      | \{(?P<braced>[^}\\]*(?:\\.[^}\\]*)*)\}?
      | (?P<word>(?:[^\s\\]|\\.)+\\?)
      | (?P<backslash>\\)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([0-3][0-7]{2})|(.))", re.DOTALL)
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_PLAIN_TERM = re.compile(r'[^\s"\\{}@][^\s"\\]*')
_ATTRIBUTE = re.compile(r"([0-9]{1,9})=(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PqfFault:
    """What is wrong with a query; `position` counts its characters from 0."""

    diagnostic: Diagnostic
    position: int


class _Token(NamedTuple):
    text: str
    bare: bool  # neither in quotation marks nor in braces
    position: int


class _Refused(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, condition: Bib1, addinfo: str, position: int) -> None:
        super().__init__(addinfo)
        self.fault = PqfFault(Diagnostic(condition, addinfo), position)


def parse(text: str) -> RpnQuery | PqfFault:
    """The RPN query that `text` writes, or what is wrong with it and where.

    Terms become octets in UTF-8. Never raises; takes time in proportion to the
    length of `text`, which is refused beyond QUERY_CHARS_MAX characters.
    """
    return _parsed(text, _Parser(text))


def _parsed(text: str, parser: _Parser) -> RpnQuery | PqfFault:
    if len(text) > QUERY_CHARS_MAX:
        told = f"at most {QUERY_CHARS_MAX} characters"
        return PqfFault(Diagnostic(Bib1.TOO_MANY_CHARACTERS, told), QUERY_CHARS_MAX)
    try:
        return parser.query()
    except _Refused as refused:
        return refused.fault


def parse_query(text: str) -> Query | PqfFault:
    """The query tree that `text` means, or what is wrong with it and where."""
    parser = _Parser(text)
    written = _parsed(text, parser)
    if isinstance(written, PqfFault):
        return written
    found = rpn.to_query(written)
    if isinstance(found, Diagnostic):
        return PqfFault(found, _position(parser, written.attribute_set, found))
    return found


def _position(parser: _Parser, attribute_set: Oid, refusal: Diagnostic) -> int:
    """Where what `refusal` refuses stands: an attribute, else an operand, else an operator."""
    for place in parser.operands:
        found = rpn.to_query(RpnQuery(attribute_set, place.node))
        if found != refusal:
            continue
        if isinstance(place.node, AttributesPlusTerm):
            for element, at in zip(place.node.attributes, place.attribute_positions, strict=True):
                if resolve(attribute_set, (element,)) == refusal:
                    return at
        return place.position
    for operator, at in parser.proximities:
        term = AttributesPlusTerm((), b"x")
        if rpn.to_query(RpnQuery(BIB_1, RpnOperation(operator, term, term))) == refusal:
            return at
    # Of two that do not go together there is no telling which is meant.
    return parser.proximities[0][1] if parser.proximities else 0


def to_text(query: RpnQuery) -> str:
    """The query in PQF; `parse` reads the same query from it.

    A restricted result set has no PQF and is written as the set alone.
    """
    words: list[str] = []
    if query.attribute_set != BIB_1:
        words += ["@attrset", _set_name(query.attribute_set)]
    stack: list[RpnNode] = [query.rpn]
    while stack:
        node = stack.pop()
        if isinstance(node, RpnOperation):
            words.append(_operator_text(node.operator))
            stack += [node.right, node.left]
        elif isinstance(node, AttributesPlusTerm):
            words += [_attribute_text(each) for each in node.attributes]
            words.append(_term_text(node.term))
        else:
            name = node.result_set if isinstance(node, ResultAttr) else node.name
            words += ["@set", _quoted(name)]
    return " ".join(words)


@dataclass(slots=True)
class _Context:
    """What holds for the operand to come."""

    attributes: tuple[AttributeElement, ...] = ()
    positions: tuple[int, ...] = ()  # of the attributes
    term_type: str = "general"


@dataclass(frozen=True, slots=True)
class _Place:
    """An operand, where its term or set stands, and where each of its attributes does."""

    node: RpnNode
    position: int
    attribute_positions: tuple[int, ...]


@dataclass(slots=True)
class _Pending:
    """An operator that waits for operands."""

    operator: BooleanOperator | ProximityOperator
    context: _Context
    operands: list[RpnNode] = field(default_factory=list)


class _Parser:
    def __init__(self, text: str) -> None:
        # Where each operand and each proximity operator stands, from left to right.
        self.operands: list[_Place] = []
        self.proximities: list[tuple[ProximityOperator, int]] = []
        self._text = text
        self._end = len(text.rstrip())
        self._at = 0
        self._looked: _Token | None = None

    def query(self) -> RpnQuery:
        attribute_set = BIB_1
        first = self._peek()
        if first is not None and first.bare and first.text == "@attrset":
            self._word()
            attribute_set = _attribute_set(self._word())
        pending: list[_Pending] = []
        operands = 0
        while True:
            context = self._context(pending[-1].context if pending else _Context())
            token = self._word()
            operator = self._operator(token)
            if isinstance(operator, ProximityOperator):
                self.proximities.append((operator, token.position))
            if operator is not None:
                if len(pending) == QUERY_DEPTH_MAX:
                    told = f"at most {QUERY_DEPTH_MAX} below one another"
                    raise _Refused(Bib1.TOO_MANY_BOOLEAN_OPERATORS, told, token.position)
                pending.append(_Pending(operator, context))
                continue
            operands += 1
            if operands > QUERY_TERMS_MAX:
                told = f"at most {QUERY_TERMS_MAX} operands"
                raise _Refused(Bib1.TOO_MANY_BOOLEAN_OPERATORS, told, token.position)
            node = self._operand(token, context)
            self.operands.append(_Place(node, token.position, context.positions))
            while pending and pending[-1].operands:
                done = pending.pop()
                node = RpnOperation(done.operator, done.operands[0], node)
            if not pending:
                break
            pending[-1].operands.append(node)
        extra = self._peek()
        if extra is not None:
            raise _Refused(
                Bib1.MALFORMED_QUERY, f"nothing may follow: {extra.text[:80]}", extra.position
            )
        return RpnQuery(attribute_set, node)

    def _context(self, inherited: _Context) -> _Context:
        own: list[tuple[AttributeElement, int]] = []
        term_type = inherited.term_type
        while True:
            token = self._peek()
            if token is None or not token.bare or token.text not in ("@attr", "@term"):
                break
            self._word()
            if token.text == "@term":
                kind = self._word()
                if kind.text not in _TERM_TYPES:
                    raise _Refused(Bib1.TERM_TYPE_UNSUPPORTED, kind.text, kind.position)
                term_type = kind.text
                continue
            element = self._attribute(own[-1][0].attribute_set if own else None)
            if element.type != USE:
                own = [each for each in own if each[0].type != element.type]
            if len(own) == ATTRIBUTES_MAX:
                told = f"at most {ATTRIBUTES_MAX} attributes"
                raise _Refused(Bib1.ATTRIBUTE_COMBINATION_UNSUPPORTED, told, token.position)
            own.append((element, token.position))
        given = {element.type for element, _ in own}
        kept = [
            (element, position)
            for element, position in zip(inherited.attributes, inherited.positions, strict=True)
            if element.type not in given
        ]
        together = (*kept, *own)
        return _Context(
            tuple(element for element, _ in together),
            tuple(position for _, position in together),
            term_type,
        )

    def _attribute(self, last_set: Oid | None) -> AttributeElement:
        token = self._word()
        attribute_set = last_set
        if "=" not in token.text:
            attribute_set = _attribute_set(token)
            token = self._word()
        match = _ATTRIBUTE.fullmatch(token.text)
        if match is None:
            told = f"not an attribute: {token.text[:80]}"
            raise _Refused(Bib1.MALFORMED_QUERY, told, token.position)
        value = _unescaped(match[2])
        if not (value.isascii() and value.isdigit()):
            return AttributeElement(
                attribute_set=attribute_set, type=int(match[1]), value=ComplexAttribute((value,))
            )
        if len(value) > 10 or int(value) > _NUMBER_MAX:
            raise _Refused(Bib1.MALFORMED_QUERY, f"number too large: {value[:80]}", token.position)
        return AttributeElement(attribute_set=attribute_set, type=int(match[1]), value=int(value))

    def _operator(self, token: _Token) -> BooleanOperator | ProximityOperator | None:
        if not token.bare:
            return None
        if token.text == "@prox":
            return self._proximity()
        return _OPERATORS.get(token.text)

    def _proximity(self) -> ProximityOperator:
        """Exclusion, distance, ordered, relation, k or p, unit (YAZ, PQF grammar)."""
        exclusion = self._one_of({"0": False, "1": True, "v": None, "void": None, "n": None})
        distance = self._number()
        ordered = self._one_of({"0": False, "1": True})
        relation = self._number()
        private = self._one_of({"k": False, "known": False, "p": True, "private": True})
        unit = self._number()
        return ProximityOperator(
            exclusion=exclusion,
            distance=distance,
            ordered=bool(ordered),
            relation_type=relation,
            proximity_unit_code=PrivateProximityUnit(unit) if private else unit,
        )

    def _one_of(self, values: Mapping[str, bool | None]) -> bool | None:
        token = self._word()
        if token.text not in values:
            told = f"not one of {', '.join(values)}: {token.text[:80]}"
            raise _Refused(Bib1.MALFORMED_QUERY, told, token.position)
        return values[token.text]

    def _number(self) -> int:
        token = self._word()
        if not re.fullmatch("[0-9]{1,9}", token.text):
            raise _Refused(Bib1.MALFORMED_QUERY, f"not a number: {token.text[:80]}", token.position)
        return int(token.text)

    def _operand(self, token: _Token, context: _Context) -> RpnNode:
        if token.bare and token.text == "@set":
            return ResultSetId(_unescaped(self._word().text))
        if token.bare and token.text == "@attrset":
            told = "@attrset stands in front of the whole query"
            raise _Refused(Bib1.MALFORMED_QUERY, told, token.position)
        return AttributesPlusTerm(context.attributes, _term(token, context.term_type))

    def _peek(self) -> _Token | None:
        if self._looked is None and self._at < self._end:
            match = _TOKEN.match(self._text, self._at, self._end)
            assert match is not None  # noqa: S101 - its alternatives take any character
            kind = str(match.lastgroup)
            self._looked = _Token(
                match.group(kind), kind in ("word", "backslash"), match.start(kind)
            )
            self._at = match.end()
        return self._looked

    def _word(self) -> _Token:
        token = self._peek()
        if token is None:
            raise _Refused(Bib1.MALFORMED_QUERY, "the query ends too early", self._end)
        self._looked = None
        return token


def _attribute_set(token: _Token) -> Oid:
    known = _SET_BY_NAME.get(token.text.lower())
    if known is not None:
        return known
    try:
        return Oid.parse(token.text)
    except ValueError:
        raise _Refused(Bib1.ATTRIBUTE_SET_UNSUPPORTED, token.text[:80], token.position) from None


def _term(token: _Token, term_type: str) -> Term:
    text = _unescaped(token.text)
    if term_type == "general":
        return _octets(token.text)
    if term_type == "string":
        return text
    if term_type == "null":
        return Null.NULL
    if term_type == "datetime":
        return GeneralizedTime(text)
    if term_type == "oid":
        try:
            return Oid.parse(text)
        except ValueError:
            raise _Refused(Bib1.MALFORMED_SEARCH_TERM, text[:80], token.position) from None
    if not re.fullmatch("-?[0-9]{1,10}", text):
        raise _Refused(Bib1.MALFORMED_SEARCH_TERM, text[:80], token.position)
    return int(text)


def _unescaped(text: str) -> str:
    return _octets(text).decode("utf-8", "surrogateescape") if "\\" in text else text


def _octets(text: str) -> bytes:
    """The octets of a term: UTF-8, with those that are written as numbers between."""
    out: list[bytes] = []
    at = 0
    for match in _ESCAPE.finditer(text):
        out.append(_utf_8(text[at : match.start()]))
        hexadecimal, octal, character = match.groups()
        if hexadecimal:
            out.append(bytes((int(hexadecimal, 16),)))
        elif octal:
            out.append(bytes((int(octal, 8),)))
        else:
            out.append(_utf_8(_ESCAPED.get(character, character)))
        at = match.end()
    out.append(_utf_8(text[at:]))
    return b"".join(out)


def _utf_8(text: str) -> bytes:
    # Half a surrogate pair is no text: let the reader of the term say so.
    return text.encode("utf-8", "surrogatepass")


def _operator_text(operator: BooleanOperator | ProximityOperator) -> str:
    if isinstance(operator, BooleanOperator):
        return _OPERATOR_NAMES[operator]
    exclusion = "v" if operator.exclusion is None else str(int(operator.exclusion))
    code = operator.proximity_unit_code
    unit = f"p {code.code}" if isinstance(code, PrivateProximityUnit) else f"k {int(code)}"
    return (
        f"@prox {exclusion} {operator.distance} {int(operator.ordered)} "
        f"{int(operator.relation_type)} {unit}"
    )


def _attribute_text(element: AttributeElement) -> str:
    value = element.value
    if isinstance(value, ComplexAttribute):
        # PQF knows one value: the one that the client likes best.
        written = str(value.list[0]) if value.list else ""
    else:
        written = str(value)
    named = f"{_set_name(element.attribute_set)} " if element.attribute_set else ""
    return f"@attr {named}{_quoted(f'{element.type}={written}')}"


def _set_name(oid: Oid) -> str:
    return _NAME_BY_SET.get(oid) or str(oid)


def _term_text(term: Term) -> str:
    if isinstance(term, bytes):
        return _quoted(term.decode("utf-8", "surrogateescape"))
    if isinstance(term, int):
        return f"@term numeric {term}"
    if isinstance(term, str):
        return f"@term string {_quoted(term)}"
    if isinstance(term, Oid):
        return f"@term oid {term}"
    if isinstance(term, GeneralizedTime):
        return f"@term datetime {_quoted(term.text)}"
    return '@term null ""'


def _quoted(text: str) -> str:
    if _PLAIN_TERM.fullmatch(text) and text.isprintable():
        return text
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02X}"
    return character
