"""Requests that are like one before but for terms or positions, recognised by their octets.

Beside a Search of one term at its end, which `protocol.known_requests` knows: a
Search of several terms, a Scan of another term, a Present of other positions.
A form is taken only after other contents in the same places, decoded, have
proved that nothing else changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from protocol import ber
from protocol.apdu import (
    Apdu,
    AttributesPlusTerm,
    BooleanOperator,
    PresentRequest,
    RpnOperation,
    RpnQuery,
    ScanRequest,
    SearchRequest,
    decode,
    rpn_postorder,
)
from protocol.ber import ProtocolError
from protocol.bib1_attributes import Reading, resolve
from protocol.diagnostic import Diagnostic
from protocol.octet_form import OctetForm, elements
from protocol.oid import BIB_1
from protocol.query import Boolean, Operator, Query, ScanStart
from protocol.rpn import OPERATORS, clause_of, scan_start_of

TERMS_MAX = 8  # of a Search

_GENERAL_TERM = ber.context_identifier(45, constructed=False)
_POSITION = ber.context_identifier(30, constructed=False)
_COUNT = ber.context_identifier(29, constructed=False)
_SEARCH, _PRESENT, _SCAN = b"\xb6", b"\xb8", b"\xbf\x23"


@dataclass(frozen=True, slots=True, eq=False)
class SearchForm:
    """A Search of several operands joined by AND, OR and AND-NOT, without its terms."""

    form: OctetForm
    like: SearchRequest
    # In reverse Polish: what the next term is read by, or what joins the two before.
    steps: tuple[Reading | Operator, ...]

    def recognised(self, data: bytes) -> KnownCombination | None:
        if not data.startswith(_SEARCH):
            return None
        terms = self.form.contents(data)
        return KnownCombination(self, terms) if terms is not None else None


class KnownCombination:
    """A SearchRequest as its form and the octets of its terms, from left to right."""

    __slots__ = ("_form", "_terms", "like")

    def __init__(self, form: SearchForm, terms: Sequence[bytes]) -> None:
        self.like = form.like
        self._form = form
        self._terms = terms

    def query(self, charsets: Sequence[str]) -> Query | Diagnostic:
        """As `rpn.query_of` of the whole request."""
        terms = iter(self._terms)
        done: list[Query] = []
        for step in self._form.steps:
            if isinstance(step, Operator):
                right = done.pop()
                done.append(Boolean(step, done.pop(), right))
                continue
            clause = clause_of(step, next(terms), charsets)
            if isinstance(clause, Diagnostic):
                return clause
            done.append(clause)
        return done[0]

    def request(self) -> SearchRequest:
        """The request as `apdu.decode` gives it."""
        return _with_terms(self.like, self._terms)


def _with_terms(request: SearchRequest, terms: Sequence[bytes]) -> SearchRequest:
    query = request.query
    assert isinstance(query, RpnQuery)  # noqa: S101 - or it had no form
    left = iter(terms)
    done: list[AttributesPlusTerm | RpnOperation] = []
    for node in rpn_postorder(query.rpn):
        if isinstance(node, RpnOperation):
            right = done.pop()
            done.append(RpnOperation(node.operator, done.pop(), right))
        else:
            assert isinstance(node, AttributesPlusTerm)  # noqa: S101
            done.append(replace(node, term=next(left)))
    return replace(request, query=replace(query, rpn=done[0]))


@dataclass(frozen=True, slots=True, eq=False)
class ScanForm:
    """A Scan without its term."""

    form: OctetForm
    like: ScanRequest
    reading: Reading

    def recognised(self, data: bytes) -> KnownScan | None:
        if not data.startswith(_SCAN):
            return None
        terms = self.form.contents(data)
        return KnownScan(self, terms[0]) if terms is not None else None


class KnownScan:
    """A ScanRequest as its form and the octets of its term."""

    __slots__ = ("_form", "_term", "like")

    def __init__(self, form: ScanForm, term: bytes) -> None:
        self.like = form.like
        self._form = form
        self._term = term

    def start(self, charsets: Sequence[str]) -> ScanStart | Diagnostic:
        """As `rpn.to_scan` of the whole request."""
        attributes = self.like.term_list_and_start_point.attributes
        return scan_start_of(self._form.reading, attributes, self._term, charsets)

    def request(self) -> ScanRequest:
        """The request as `apdu.decode` gives it."""
        return _with_term(self.like, self._term)


def _with_term(request: ScanRequest, term: bytes) -> ScanRequest:
    start = replace(request.term_list_and_start_point, term=term)
    return replace(request, term_list_and_start_point=start)


@dataclass(frozen=True, slots=True, eq=False)
class PresentForm:
    """A Present without the position of its first record and the number of them."""

    form: OctetForm
    like: PresentRequest

    def recognised(self, data: bytes) -> PresentRequest | None:
        if not data.startswith(_PRESENT):
            return None
        numbers = self.form.contents(data)
        if numbers is None:
            return None
        first, count = numbers
        if not (1 <= len(first) <= ber.INTEGER_OCTETS_MAX >= len(count) >= 1):
            return None  # no INTEGER
        return _with_range(
            self.like,
            int.from_bytes(first, "big", signed=True),
            int.from_bytes(count, "big", signed=True),
        )


def _with_range(like: PresentRequest, start: int, count: int) -> PresentRequest:
    """`like`, which has no other components than these, with another range."""
    return PresentRequest(
        result_set_id=like.result_set_id,
        result_set_start_point=start,
        number_of_records_requested=count,
        record_composition=like.record_composition,
        preferred_record_syntax=like.preferred_record_syntax,
    )


RequestForm = SearchForm | ScanForm | PresentForm
Recognised = KnownCombination | KnownScan | PresentRequest


def form_of(data: bytes, request: Apdu) -> RequestForm | None:
    """The form of a request that `data` is, not proved yet; None: it has none."""
    try:
        if isinstance(request, SearchRequest):
            return _search_form(data, request)
        if isinstance(request, ScanRequest):
            return _scan_form(data, request)
        if isinstance(request, PresentRequest):
            return _present_form(data, request)
    except ValueError:  # too long
        pass
    return None


def is_proved(form: RequestForm) -> bool:
    """Whether other contents in the places of a form change those, and nothing else."""
    if isinstance(form, SearchForm):
        count = sum(isinstance(step, Reading) for step in form.steps)
        # Of sizes that tell one from the other.
        terms = [b"xyz"[: 1 + number % 3] * (1 + number // 3) for number in range(count)]
        return _decoded(form.form, terms) == _with_terms(form.like, terms)
    if isinstance(form, ScanForm):
        return _decoded(form.form, [b"xyz"]) == _with_term(form.like, b"xyz")
    return _decoded(form.form, [b"\x12\x34", b"\x56"]) == _with_range(form.like, 0x1234, 0x56)


def _decoded(form: OctetForm, contents: Sequence[bytes]) -> Apdu | None:
    data = form.octets(contents)
    try:
        return decode(data) if data is not None else None
    except ProtocolError:
        return None


def _search_form(data: bytes, request: SearchRequest) -> SearchForm | None:
    query = request.query
    if not isinstance(query, RpnQuery):
        return None
    steps: list[Reading | Operator] = []
    terms: list[object] = []
    for node in rpn_postorder(query.rpn):
        if isinstance(node, RpnOperation):
            if not isinstance(node.operator, BooleanOperator):
                return None
            steps.append(OPERATORS[node.operator])
            continue
        if not isinstance(node, AttributesPlusTerm) or len(terms) == TERMS_MAX:
            return None
        reading = resolve(query.attribute_set, node.attributes)
        if isinstance(reading, Diagnostic) or not reading.needs_term:
            return None
        steps.append(reading)
        terms.append(node.term)
    form = _of_terms(data, terms)
    return SearchForm(form, request, tuple(steps)) if form is not None else None


def _scan_form(data: bytes, request: ScanRequest) -> ScanForm | None:
    start = request.term_list_and_start_point
    reading = resolve(request.attribute_set or BIB_1, start.attributes)
    form = _of_terms(data, [start.term])
    if form is None or isinstance(reading, Diagnostic):
        return None
    return ScanForm(form, request, reading)


def _of_terms(data: bytes, terms: Sequence[object]) -> OctetForm | None:
    """`data` without its terms, if all of them are general ones and none is empty."""
    places = [(first, end) for identifier, first, end in elements(data)
              if identifier == _GENERAL_TERM]  # fmt: skip
    if not all(terms) or [data[first:end] for first, end in places] != terms:
        return None
    return OctetForm(data, places)


def _present_form(data: bytes, request: PresentRequest) -> PresentForm | None:
    start, count = request.result_set_start_point, request.number_of_records_requested
    if request != _with_range(request, start, count):
        return None
    places = [(first, end) for identifier, first, end in elements(data)
              if identifier in {_POSITION, _COUNT}]  # fmt: skip
    if len(places) != 2:
        return None
    return PresentForm(OctetForm(data, places), request)
