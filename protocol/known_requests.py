"""Requests whose form was decoded before, recognised by their octets alone.

A library system sends the same Search again and again with another term, and
the same Present with nothing else. Where a Search ends with its one term, the
octets before it (its *shape*) say everything but the term, the lengths
included; so another Search of the same size that begins alike needs no second
decoding. A Present or a Sort is known when every octet of it is. What differs in
more places has one of the forms of `protocol.known_forms`.

What is recognised is what `apdu.decode` would give: a shape is taken only after
decoding it once more with another term in the same place has proved that
nothing else changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from protocol.apdu import (
    Apdu,
    AttributesPlusTerm,
    PresentRequest,
    RpnQuery,
    SearchRequest,
    SortRequest,
    Term,
    decode,
)
from protocol.ber import ProtocolError
from protocol.bib1_attributes import Reading, resolve
from protocol.diagnostic import Diagnostic
from protocol.known_forms import KnownCombination, KnownScan, RequestForm, form_of, is_proved
from protocol.query import Query
from protocol.rpn import clause_of

SHAPES_MAX = 4096
UNCHANGED_MAX = 4096
FORMS_MAX = 1024
SIZE_BYTES_MAX = 512  # of an APDU worth knowing
# How often one association may teach a shape, so that a client whose requests
# always differ is not decoded twice each time.
LESSONS_MAX = 64
_EOC = bytes(2)
_NESTING_MAX = 8  # elements of indefinite length that end with the term


@dataclass(frozen=True, slots=True)
class Shape:
    """A Search without its term: `size` octets, of which `tail` follow the term."""

    request: SearchRequest
    attributes: AttributesPlusTerm
    reading: Reading
    size: int
    tail: bytes


class KnownSearch:
    """A SearchRequest as its shape and the octets of its term."""

    __slots__ = ("shape", "term")

    def __init__(self, shape: Shape, term: bytes) -> None:
        self.shape = shape
        self.term = term

    @property
    def like(self) -> SearchRequest:
        """A request that differs in nothing but its term."""
        return self.shape.request

    def query(self, charsets: Sequence[str]) -> Query | Diagnostic:
        """As `rpn.query_of` of the whole request."""
        shape = self.shape
        return clause_of(shape.reading, _of_type(shape.attributes.term, self.term), charsets)

    def request(self) -> SearchRequest:
        """The request as `apdu.decode` gives it."""
        shape = self.shape
        query = shape.request.query
        assert isinstance(query, RpnQuery)  # noqa: S101 - or it had no shape
        return _with_term(shape.request, query, shape.attributes, self.term)


def _of_type(like: Term, octets: bytes) -> Term:
    """Octets of a term as the codec gives them: general terms as they are, others as text."""
    return octets if isinstance(like, bytes) else octets.decode("utf-8", "surrogateescape")


def _with_term(
    request: SearchRequest, query: RpnQuery, operand: AttributesPlusTerm, octets: bytes
) -> SearchRequest:
    term = _of_type(operand.term, octets)
    return replace(request, query=replace(query, rpn=replace(operand, term=term)))


KnownRequest = PresentRequest | SortRequest | KnownSearch | KnownCombination | KnownScan


def like(request: KnownRequest) -> Apdu:
    """The request itself, or one that differs in nothing but its terms."""
    return request if isinstance(request, PresentRequest | SortRequest) else request.like


class KnownRequests:
    """What one process has learnt from all its associations."""

    def __init__(self) -> None:
        self._shapes: dict[bytes, Shape] = {}
        self._unchanged: dict[bytes, PresentRequest | SortRequest] = {}
        self._forms: dict[tuple[type, object], RequestForm] = {}

    def unchanged(self, data: bytes) -> PresentRequest | SortRequest | None:
        return self._unchanged.get(data)

    def search(self, data: bytes, term_offset: int) -> KnownSearch | None:
        """`data` with a known shape, whose term would begin at an offset."""
        shape = self._shapes.get(data[:term_offset])
        if shape is None or len(data) != shape.size or not data.endswith(shape.tail):
            return None
        return KnownSearch(shape, data[term_offset : len(data) - len(shape.tail)])

    def learn_unchanged(self, data: bytes, request: PresentRequest | SortRequest) -> None:
        if request.reference_id is None and len(data) <= SIZE_BYTES_MAX:
            if len(self._unchanged) >= UNCHANGED_MAX:
                self._unchanged.clear()
            self._unchanged[data] = request

    def learn_form(self, data: bytes, request: Apdu) -> RequestForm | None:
        """The form that `data` has, by which others like it are recognised."""
        if len(data) > SIZE_BYTES_MAX or getattr(request, "reference_id", None) is not None:
            return None
        form = form_of(data, request)
        if form is None:
            return None
        key = type(form), form.form.key
        known = self._forms.get(key)
        if known is None and is_proved(form):
            if len(self._forms) >= FORMS_MAX:
                self._forms.clear()
            known = self._forms[key] = form
        return known

    def learn_search(self, data: bytes, request: SearchRequest) -> int:
        """Where the term of `data` begins if it has a shape now, else 0."""
        query = request.query
        if (
            request.reference_id is not None
            or len(data) > SIZE_BYTES_MAX
            or not isinstance(query, RpnQuery)
        ):
            return 0
        operand = query.rpn
        if not isinstance(operand, AttributesPlusTerm):
            return 0
        term = operand.term
        if isinstance(term, str):
            term = term.encode("utf-8", "surrogateescape")
        if not isinstance(term, bytes):
            return 0
        tail = b""
        while term and not data.endswith(term + tail):
            tail += _EOC
            if len(tail) > len(_EOC) * _NESTING_MAX:
                return 0
        offset = len(data) - len(tail) - len(term)
        if not term or self.search(data, offset) is not None:
            return offset if term else 0
        reading = resolve(query.attribute_set, operand.attributes)
        if isinstance(reading, Diagnostic) or not reading.needs_term:
            return 0
        other = (b"y" if term.startswith(b"x") else b"x") * len(term)
        try:
            found = decode(data[:offset] + other + tail)
        except ProtocolError:
            return 0
        if found != _with_term(request, query, operand, other):
            return 0
        if len(self._shapes) >= SHAPES_MAX:
            self._shapes.clear()
        self._shapes[data[:offset]] = Shape(request, operand, reading, len(data), tail)
        return offset
