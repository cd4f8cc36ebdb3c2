"""SRU searches whose address was read before, recognised by its octets but for the term.

A library system sends the same address again and again with another number or word
in it. Where the query is one clause with a term of ASCII letters and digits, the
octets before and behind the term (its *shape*) say everything else, and the request
repeated in the response differs in the term alone. A shape is taken only after
reading it once more with another term in the same place has proved that.

The same holds for a whole HTTP request, whose octets about the term are those of its
address and its headers: `TERM` finds the place of the term in either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from protocol import cql
from protocol.cql_ast import KEYWORDS, CqlQuery, SearchClause
from protocol.diagnostic import SruFault
from protocol.query import Clause, Query
from protocol.sru import SearchRetrieveRequest, SruLimits, parse_request
from protocol.sru_frame import ResponseFrame
from protocol.sru_response import search_echo

SHAPES_MAX = 512
SIZE_BYTES_MAX = 1_024  # of an address worth knowing
# The term of a query that may have a shape, in an address or in a request of HTTP.
TERM = re.compile(
    rb"(?:^|[?&])query=[A-Za-z][A-Za-z.]{0,60}(?:=|%3[Dd])([0-9A-Za-z]{1,64})(?=[& ]|\Z)"
)
_RESERVED = frozenset(word.encode() for word in KEYWORDS)
_PROOF = b"0zq9PROOF9qz0"  # a term that stands nowhere else


@dataclass(frozen=True, slots=True)
class KnownSearch:
    """`request` has the query of another term; `echo` is what stands about the two terms.

    `pattern` is that query where the term goes into it as it is; None: it decides more.
    """

    request: SearchRetrieveRequest
    clause: SearchClause
    echo: tuple[bytes, bytes, bytes]
    pattern: Clause | None
    frame: ResponseFrame

    def query(self, term: bytes) -> Query | SruFault:
        """As `parse_request` reads it of the whole address."""
        text, like = term.decode("ascii"), self.pattern
        if like is None:
            return cql.to_query(CqlQuery(_with_term(self.clause, text)))
        return Clause(
            like.access_point, text, like.relation, like.structure, like.anchor, like.ranked
        )

    def echo_of(self, term: bytes) -> bytes:
        """As `sru_response.search_echo` has it for the whole request."""
        before, between, after = self.echo
        return b"".join((before, term, between, term, after))


class KnownSearches:
    """The shapes of one process."""

    def __init__(self, limits: SruLimits) -> None:
        self._limits = limits
        self._known: dict[tuple[bytes, bytes], KnownSearch] = {}

    def find(self, address: bytes) -> tuple[KnownSearch, bytes] | None:
        """The shape and the term of what stands behind the `?`; None: it is not known."""
        parts = parted(address)
        known = self._known.get(parts[0]) if parts is not None else None
        return (known, parts[1]) if known is not None and parts is not None else None

    def learn(
        self, address: bytes, parameters: Sequence[tuple[str, str]], request: SearchRetrieveRequest
    ) -> None:
        """Take the shape of an address that was read as these parameters and this request."""
        parts = parted(address)
        if parts is None or len(address) > SIZE_BYTES_MAX:
            return
        (before, after), term = parts
        if [name for name, _ in parameters].count("query") != 1 or _PROOF in address:
            return
        other = self._read(before + _PROOF + after)
        clause, like = _clause(request), _clause(other)
        if other is None or clause is None or like is None:
            return
        given = {**other.given, "query": request.given["query"]}
        if replace(other, query=request.query, cql=request.cql, given=given) != request:
            return
        pieces = search_echo(other).split(_PROOF)
        if clause.term != term.decode("ascii") or _with_term(like, clause.term) != clause:
            return
        if len(pieces) != 3 or term.join(pieces) != search_echo(request):
            return
        if len(self._known) >= SHAPES_MAX:  # a client that varies them, as no library does
            self._known.pop(next(iter(self._known)))
        self._known[before, after] = KnownSearch(
            other, like, (pieces[0], pieces[1], pieces[2]),
            _pattern(request.query, other.query, clause.term), ResponseFrame(other),
        )  # fmt: skip

    def _read(self, address: bytes) -> SearchRetrieveRequest | None:
        parameters = parse_qsl(address.decode("ascii"), keep_blank_values=True, errors="strict")
        request = parse_request(parameters, self._limits)
        return request if isinstance(request, SearchRetrieveRequest) else None


def parted(octets: bytes) -> tuple[tuple[bytes, bytes], bytes] | None:
    """What stands before and behind the term of an address or request, and the term.

    None: it has none that may be recognised.
    """
    match = TERM.search(octets)
    if match is None:
        return None
    begin, end = match.span(1)
    term = octets[begin:end]
    return None if term.lower() in _RESERVED else ((octets[:begin], octets[end:]), term)


def _pattern(query: Query, other: Query, term: str) -> Clause | None:
    """`other`, if `query` differs from it only in having `term` as its term.

    The relation has no modifiers and the term no masks, so nothing but the access point
    decides what becomes of it: what holds for two terms holds for any.
    """
    if not isinstance(query, Clause) or not isinstance(other, Clause) or query.term != term:
        return None
    return other if replace(other, term=term) == query and other.term == _PROOF.decode() else None


def _clause(request: SearchRetrieveRequest | None) -> SearchClause | None:
    """The one clause of a query, if that is all of it."""
    if request is None or request.cql is None or request.cql.sort_keys:
        return None
    root = request.cql.root
    return root if isinstance(root, SearchClause) and not root.term_quoted else None


def _with_term(clause: SearchClause, term: str) -> SearchClause:
    return SearchClause(term, clause.index, clause.relation, clause.position, clause.term_position)
