"""What a person asks of the search page: parameters in, a query tree and addresses out.

No I/O. The address of a page says everything about it, so that it can be kept,
sent on and opened again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

from protocol import cql, search_term
from protocol.diagnostic import SruFault
from protocol.query import (
    MASK_ANY,
    Boolean,
    Clause,
    Operator,
    Query,
    Relation,
    SortSpec,
    Structure,
    joined,
)
from server.web.numbers import number_of
from store.facets import narrowing

PAGE_RECORDS = 20
WORDS_CHARS_MAX = 500
PICKS_MAX = 12
_PICK_CHARS_MAX = 200
_PAGE_MAX = 999_999_999

# Parameters of the address by facet, and what they narrow.
FACETS = {
    "type": "material_type",
    "language": "language",
    "year": "date",
    "author": "author",
    "subject": "subject",
    "library": "possessing_institution",
}
RELEVANCE = "relevance"
SORTS: dict[str, tuple[SortSpec, ...]] = {
    RELEVANCE: (),
    "newest": (SortSpec("date", descending=True, missing="low"), SortSpec("title")),
    "oldest": (SortSpec("date"), SortSpec("title")),
    "title": (SortSpec("title"),),
    "author": (SortSpec("author"), SortSpec("title")),
}
# Any of these, and the request is for SRU whatever else it says.
_SRU_PARAMETERS = frozenset(
    ("operation", "version", "query", "querytype", "scanclause", "startrecord", "maximumrecords",
     "recordschema", "recordpacking", "recordxmlescaping", "resultsetttl", "httpaccept",
     "stylesheet", "responsetype", "sortkeys", "facetlimit")
)  # fmt: skip


def is_sru(names: Iterable[str]) -> bool:
    """Whether parameters of these names are those of an SRU request."""
    return any(name.lower() in _SRU_PARAMETERS or name.lower().startswith("x-") for name in names)


@dataclass(frozen=True, slots=True)
class Search:
    """One page of one search.

    `database` is "" for all of them; `picks` are facets with the value that
    each result has, in the order in which they were chosen. `page` counts from 1.
    """

    database: str = ""
    words: str = ""
    field: str = "any"
    sort: str = RELEVANCE
    page: int = 1
    picks: tuple[tuple[str, str], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Nothing is asked for yet."""
        return not self.words and not self.picks

    @property
    def path(self) -> str:
        return "/" + quote(self.database)

    @property
    def url(self) -> str:
        """The address of this page; what is as usual is left out."""
        parameters = [("q", self.words)] if self.words else []
        usual = Search()
        parameters += [
            (name, str(value))
            for name, value, default in (
                ("in", self.field, usual.field),
                ("sort", self.sort, usual.sort),
                ("page", self.page, usual.page),
            )
            if value != default
        ]
        parameters += self.picks
        return f"{self.path}?{urlencode(parameters)}" if parameters else self.path

    def at(self, page: int) -> Search:
        return replace(self, page=page)

    def within(self, facet: str, term: str) -> Search:
        """Narrowed by one value more."""
        return replace(self, page=1, picks=(*self.picks, (facet, term)))

    def without(self, facet: str, term: str) -> Search:
        """With one value taken back."""
        rest = tuple(pick for pick in self.picks if pick != (facet, term))
        return replace(self, page=1, picks=rest)

    def in_all(self) -> Search:
        return replace(self, page=1, database="")

    def anywhere(self) -> Search:
        return replace(self, page=1, field="any")

    def unpicked(self) -> Search:
        return replace(self, page=1, picks=())

    def query(self) -> Query | SruFault:
        """The query tree; a fault where the words are no CQL and claim to be.

        Ranks by relevance where that is the order.
        """
        parts: list[Query] = []
        if self.words:
            asked = FIELDS[self.field](self.words, self.sort == RELEVANCE)
            if isinstance(asked, SruFault):
                return asked
            parts.append(asked)
        parts += [narrowing(FACETS[facet], term) for facet, term in self.picks]
        return joined(Operator.AND, parts)


def read_search(database: str, parameters: Sequence[tuple[str, str]]) -> Search:
    """The search that an address asks for; what is not understood is as usual."""
    given = dict(reversed(parameters))  # the first of each name
    picks: dict[tuple[str, str], None] = {}
    for facet, text in parameters:
        if facet in FACETS:
            term = search_term.clean(text).strip()[:_PICK_CHARS_MAX]
            if term:
                picks[facet, term] = None
    field, sort, page = given.get("in", ""), given.get("sort", ""), given.get("page", "")
    return Search(
        database,
        " ".join(search_term.clean(given.get("q", "")).split()),
        field if field in FIELDS else "any",
        sort if sort in SORTS else RELEVANCE,
        max(number_of(page, 1, _PAGE_MAX), 1),
        tuple(picks),
    )


# What a person types, in each field ---------------------------------------------------

_PARTS = re.compile(r'"([^"]*)"?|([^\s"]+)')


def _text(*access_points: str) -> Callable[[str, bool], Query]:
    """Words in any of some access points: all of them, quoted ones side by side."""

    def build(words: str, ranked: bool) -> Query:
        return joined(
            Operator.OR, [_words_in(name, words, ranked=ranked) for name in access_points]
        )

    return build


def _words_in(access_point: str, words: str, *, ranked: bool) -> Query:
    loose: list[str] = []
    parts: list[Query] = []
    for phrase, word in _PARTS.findall(words):
        if word:
            loose.append(_masked(word))
        elif phrase.strip():
            parts.append(Clause(access_point, phrase, structure=Structure.PHRASE, ranked=ranked))
    if loose or not parts:
        parts.insert(0, Clause(access_point, " ".join(loose), ranked=ranked))
    return joined(Operator.AND, parts)


def _masked(word: str) -> str:
    """A `*` that ends a word stands for any ending; elsewhere it is what it is."""
    bare = word.rstrip("*")
    return bare + MASK_ANY if bare and bare != word else word


def _with_readings(access_point: str) -> Callable[[str, bool], Query]:
    """Words of an access point, in Latin letters also as Pinyin of Chinese ones."""
    plain, both = _text(access_point), _text(access_point, f"{access_point}_pinyin")
    return lambda words, ranked: (both if words.isascii() else plain)(words, ranked)


def _number(*access_points: str) -> Callable[[str, bool], Query]:
    """One number, or several with blanks between them."""

    def build(words: str, ranked: bool) -> Query:
        numbers = list(dict.fromkeys([words, *words.split()]))[:PICKS_MAX]
        return joined(
            Operator.OR,
            [
                Clause(name, number, structure=Structure.KEY)
                for number in numbers
                for name in access_points
            ],
        )

    return build


def _class_mark(words: str, ranked: bool) -> Query:
    """A class with all below it: I24 finds I242.4."""
    term = words.rstrip("*") + MASK_ANY
    return Boolean(
        Operator.OR,
        Clause("classification", term, structure=Structure.KEY),
        Clause("call_number", term, structure=Structure.KEY),
    )


def _anything(words: str, ranked: bool) -> Query:
    """Words anywhere; a lone * is every record, for who would look around."""
    return _EVERY_RECORD if words == "*" else _ANYWHERE(words, ranked)


_ANYWHERE = _text("any")
_EVERY_RECORD = Clause("any", "", Relation.ALWAYS)

FIELDS: dict[str, Callable[[str, bool], Query | SruFault]] = {
    "any": _anything,
    "title": _with_readings("title"),
    "author": _with_readings("author"),
    "subject": _text("subject"),
    "isn": _number("isbn", "issn", "identifier"),
    "publisher": _text("publisher"),
    "series": _text("title_series"),
    "class": _class_mark,
    "number": _number("control_number"),
    "cql": lambda words, ranked: cql.parse_query(words),
}


def page_numbers(page: int, pages: int, around: int = 2) -> list[int]:
    """The pages to link from `page`: the first, the last and those around it; 0 for a gap."""
    shown = {1, pages, *range(max(page - around, 1), min(page + around, pages) + 1)}
    numbers: list[int] = []
    for number in sorted(shown):
        if numbers and number - numbers[-1] == 2:
            numbers.append(number - 1)
        elif numbers and number - numbers[-1] > 2:
            numbers.append(0)
        numbers.append(number)
    return numbers
