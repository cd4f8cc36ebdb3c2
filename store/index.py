"""What one record brings to the index: terms by register, with their positions.

A register is an ordered list of terms. Every access point of kind TEXT has one
for its words, one for whole fields (`title/key`) and, where it sorts, one for
sort values (`title/sort`); other access points have theirs for normalised
values. The catalogue keeps two of its own: which records a database holds, and
which records have an access point at all.

Words of one access point stand on one line of positions. Each field takes
START, its words, END, and is followed by a gap, so that a phrase never runs
from one field into the next, the first word of a field is the one after a
START, and a whole field runs from START to END.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from hashlib import blake2b
from importlib.metadata import version
from itertools import repeat

import msgspec

from protocol.access_point import AccessPoint, Kind
from protocol.access_points import ACCESS_POINTS
from protocol.iso2709 import MarcRecord
from protocol.record import MarcFamily
from store import analysis, extract
from store.analysis import END, KEY_CHARS_MAX, START
from store.postings import POSITION_MAX

ANY = "any"
HELD_BY = "possessing_institution"
DATABASE = "$database"
PRESENT = "$present"
FIELD_GAP = 16  # positions between two fields
DISPLAY_CHARS_MAX = 200
PLACE_SHIFT = 12  # a posting is `place << 12 | position`
PLACES_MAX = 1 << (32 - PLACE_SHIFT)

# Headings, publishers and notes come again and again.
_TEXTS_KEPT = 1 << 14
_TEXT_KEPT_CHARS_MAX = 250


def key_register(access_point: str) -> str:
    """The register of an access point's whole fields."""
    return f"{access_point}/key"


def sort_register(access_point: str) -> str:
    """The register of an access point's sort values."""
    return f"{access_point}/sort"


def register_names(points: Iterable[AccessPoint] = ACCESS_POINTS) -> list[str]:
    """Every register that the table of access points calls for."""
    names = [DATABASE, PRESENT]
    for point in points:
        names.append(point.name)
        if point.kind is Kind.TEXT and point.name != ANY:
            names.append(key_register(point.name))
        if point.sortable:
            names.append(sort_register(point.name))
    return names


def cut_value(value: str) -> str:
    """A value as it is indexed: cut where no query goes on, as whole fields are."""
    return value[:KEY_CHARS_MAX]


class _TermNumbers(dict[str, int]):
    """Terms in the order in which they came, each with its number."""

    def __missing__(self, term: str) -> int:
        number = self[term] = len(self)
        return number


@dataclass(slots=True)
class RegisterPostings:
    """Postings of some records in one register.

    Posting n is the term that has the number `numbers[n]` in `terms`, at
    `values[n]`: the place of its record among those of the `Postings`, and a
    position, POSITION_MAX for "none". `displays` are the texts that Scan shows
    for terms that are not fit to be read.
    """

    terms: _TermNumbers = field(default_factory=_TermNumbers)
    numbers: array[int] = field(default_factory=lambda: array("I"))
    values: array[int] = field(default_factory=lambda: array("I"))
    displays: dict[str, str] = field(default_factory=dict)

    def add(self, terms: Iterable[str], value: int) -> None:
        """Add a posting of each term, all at `value`."""
        count = len(self.numbers)
        self.numbers.extend(map(self.terms.__getitem__, terms))
        self.values.extend(repeat(value, len(self.numbers) - count))

    def by_term(self) -> dict[str, list[int]]:
        """The values of each term, in the order in which they came."""
        values: dict[str, list[int]] = {}
        terms = list(self.terms)
        for number, value in zip(self.numbers, self.values, strict=True):
            values.setdefault(terms[number], []).append(value)
        return values


class Postings(dict[str, RegisterPostings]):
    """What up to PLACES_MAX records bring to the index, by register."""

    def __missing__(self, name: str) -> RegisterPostings:
        register = self[name] = RegisterPostings()
        return register


# Raise it whenever the same record brings other postings than before.
INDEX_VERSION = 1


@cache
def fingerprint() -> str:
    """Names what decides the postings of a record; another one calls for `reindex`."""
    parts = [str(INDEX_VERSION), unicodedata.unidata_version, repr(ACCESS_POINTS)]
    parts += [version(package) for package in ("opencc", "pypinyin")]
    return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


@lru_cache(_TEXTS_KEPT)
def _analyse_short(text: str) -> tuple[tuple[str, ...], tuple[int, ...], str]:
    words = analysis.words(text)
    terms, offsets = zip(*words, strict=True) if words else ((), ())
    return terms, offsets, analysis.key(text)


# Holders come and go without the record, so its words alone make up `any`.
_IN_ANY = frozenset(
    point.name for point in ACCESS_POINTS if point.in_any and point.name not in {ANY, HELD_BY}
)


def index_record(
    postings: Postings,
    place: int,
    record: MarcRecord,
    family: MarcFamily,
    database: str,
    institutions: Iterable[str] = (),
) -> None:
    """Add everything that finds `record` to `postings`, as the record at `place`.

    `institutions` are those that hold it.
    """
    first_value = place << PLACE_SHIFT
    no_position = first_value | POSITION_MAX
    found = extract.entries(record, family)
    anywhere: set[str] = set()
    ends: dict[str, int] = {}  # where each access point's last field ended
    for name, text in found.fields:
        if len(text) <= _TEXT_KEPT_CHARS_MAX:
            terms, offsets, key = _analyse_short(text)
        else:
            terms, offsets, key = _analyse_short.__wrapped__(text)
        if not terms:
            continue
        start = ends[name] + FIELD_GAP if name in ends else 0
        ends[name] = _lay_out(postings[name], first_value, start, terms, offsets)
        if name in _IN_ANY:
            anywhere.update(terms)
        keys = postings[key_register(name)]
        keys.add((key,), no_position)
        if text != key and key not in keys.displays:
            keys.displays[key] = (
                text if len(text) <= DISPLAY_CHARS_MAX else text[:DISPLAY_CHARS_MAX] + "…"
            )
    present = set(ends)
    for name, value in found.keys:
        term = cut_value(value)
        postings[name].add((term,), no_position)
        present.add(name)
        if name in _IN_ANY:
            anywhere.add(term)
    postings[ANY].add(anywhere, no_position)
    present.add(ANY)
    postings[PRESENT].add(present, no_position)
    postings[DATABASE].add((database,), no_position)
    for name, value in extract.sort_values(record, family).items():
        postings[sort_register(name)].add((cut_value(value),), no_position)
    index_holders(postings, place, institutions, is_first=True)


def _lay_out(
    register: RegisterPostings,
    first_value: int,
    start: int,
    terms: Sequence[str],
    offsets: Sequence[int],
) -> int:
    """Add one field with START at position `start`; returns the position of its END."""
    end = start + max(offsets) + 2
    number_of = register.terms.__getitem__
    register.numbers.append(number_of(START))
    register.numbers.extend(map(number_of, terms))
    register.numbers.append(number_of(END))
    if end < POSITION_MAX:
        base = first_value + start
        register.values.append(base)
        register.values.extend(map((base + 1).__add__, offsets))
        register.values.append(first_value + end)
    else:
        positions = (start, *[start + 1 + offset for offset in offsets], end)
        register.values.extend(first_value | min(position, POSITION_MAX) for position in positions)
    return end


def index_holders(
    postings: Postings, place: int, institutions: Iterable[str], *, is_first: bool
) -> None:
    """Add what holders alone bring for the record at `place`; nothing without any.

    `is_first`: nobody has held the record so far.
    """
    codes = [key for code in institutions for key in extract.query_keys(Kind.CODE, code)]
    if codes:
        no_position = place << PLACE_SHIFT | POSITION_MAX
        postings[HELD_BY].add(codes, no_position)
        if is_first:
            postings[PRESENT].add((HELD_BY,), no_position)


_PACKER = msgspec.msgpack.Encoder()
_UNPACKER = msgspec.msgpack.Decoder(list[tuple[int, str, str | None, list[int]]])


def pack(postings: Postings, register_ids: Mapping[str, int]) -> bytes:
    """One record's postings, at place 0, as a row of the delta keeps them."""
    return _PACKER.encode(
        [
            (register_ids[name], term, register.displays.get(term), positions)
            for name, register in postings.items()
            for term, positions in register.by_term().items()
        ]
    )


def unpack(entries: bytes) -> list[tuple[int, str, str | None, list[int]]]:
    """The rows of a delta: register, term, display and positions of each term."""
    return _UNPACKER.decode(entries) if entries else []


def add_packed(
    postings: Postings, place: int, entries: bytes, register_names: Mapping[int, str]
) -> None:
    """Add what `pack` made `entries` of, as the record at `place`."""
    first_value = place << PLACE_SHIFT
    for register_id, term, display, positions in unpack(entries):
        register = postings[register_names[register_id]]
        for position in positions:
            register.add((term,), first_value | position)
        if display is not None:
            register.displays.setdefault(term, display)
