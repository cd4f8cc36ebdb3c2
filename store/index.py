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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from importlib.metadata import version

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
_DISPLAY_SIZE_MAX = 200
_DOCUMENT_ONLY = (POSITION_MAX,)  # the position of a term that has none


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


@dataclass(slots=True)
class RecordIndex:
    """The postings of one record.

    `terms` maps register and term to ascending positions; POSITION_MAX stands
    for "no position". `displays` maps register and term to what Scan shows.
    """

    terms: dict[str, dict[str, Sequence[int]]] = field(default_factory=dict)
    displays: dict[str, dict[str, str]] = field(default_factory=dict)


# Raise it whenever the same record brings other postings than before.
INDEX_VERSION = 1


@cache
def fingerprint() -> str:
    """Names what decides the postings of a record; another one calls for `reindex`."""
    parts = [str(INDEX_VERSION), unicodedata.unidata_version, repr(ACCESS_POINTS)]
    parts += [version(package) for package in ("opencc", "pypinyin")]
    return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


_IN_ANY = frozenset(point.name for point in ACCESS_POINTS if point.in_any and point.name != ANY)


def index_record(
    record: MarcRecord, family: MarcFamily, database: str, institutions: Iterable[str] = ()
) -> RecordIndex:
    """Everything that finds `record`; `institutions` are those that hold it."""
    found = extract.entries(record, family)
    index = RecordIndex()
    terms = index.terms
    next_base: dict[str, int] = {}
    words_of: dict[str, list[tuple[str, int]]] = {}
    for access_point, text in found.fields:
        words = words_of.get(text)
        if words is None:
            words = words_of[text] = analysis.words(text)
        if not words:
            continue
        base = next_base.get(access_point, 0)
        register = terms.setdefault(access_point, {})
        next_base[access_point] = _lay_out(register, words, base) + FIELD_GAP
        term = analysis.key(text)
        terms.setdefault(key_register(access_point), {})[term] = _DOCUMENT_ONLY
        if text != term:
            display = text if len(text) <= _DISPLAY_SIZE_MAX else text[:_DISPLAY_SIZE_MAX] + "…"
            index.displays.setdefault(key_register(access_point), {}).setdefault(term, display)
    for access_point, value in found.keys:
        terms.setdefault(access_point, {})[cut_value(value)] = _DOCUMENT_ONLY
    held_by = _holder_keys(institutions)
    if held_by:
        terms[HELD_BY] = dict.fromkeys(held_by, _DOCUMENT_ONLY)
    _add_own_registers(terms, database)
    for access_point, value in extract.sort_values(record, family).items():
        terms[sort_register(access_point)] = {cut_value(value): _DOCUMENT_ONLY}
    return index


def index_holders(institutions: Iterable[str]) -> RecordIndex:
    """What holders alone bring to a record's postings; empty without any."""
    index = RecordIndex()
    held_by = _holder_keys(institutions)
    if held_by:
        index.terms[HELD_BY] = dict.fromkeys(held_by, _DOCUMENT_ONLY)
        index.terms[PRESENT] = {HELD_BY: _DOCUMENT_ONLY}
        if HELD_BY in _IN_ANY:
            index.terms[ANY] = dict.fromkeys(held_by, _DOCUMENT_ONLY)
    return index


def _holder_keys(institutions: Iterable[str]) -> list[str]:
    return [key for code in institutions for key in extract.query_keys(Kind.CODE, code)]


def _add_own_registers(terms: dict[str, dict[str, Sequence[int]]], database: str) -> None:
    """Add `any`, which access points there are, and the database."""
    present = [name for name in terms if "/" not in name]
    anywhere: dict[str, Sequence[int]] = {}
    for name in present:
        if name in _IN_ANY:
            anywhere.update(dict.fromkeys(terms[name], _DOCUMENT_ONLY))
    anywhere.pop(START, None)
    anywhere.pop(END, None)
    terms[ANY] = anywhere
    terms[PRESENT] = dict.fromkeys([*present, ANY], _DOCUMENT_ONLY)
    terms[DATABASE] = {database: _DOCUMENT_ONLY}


def _lay_out(
    register: dict[str, Sequence[int]], words: Sequence[tuple[str, int]], base: int
) -> int:
    """Add one field's words to `register` from `base` on; returns END's position."""
    first = base + 1
    last = 0
    for term, offset in [(START, -1), *words]:
        position = first + offset
        last = max(last, position)
        _place(register, term, position)
    _place(register, END, last + 1)
    return last + 1


def _place(register: dict[str, Sequence[int]], term: str, position: int) -> None:
    places = register.get(term)
    if places is None:
        register[term] = [min(position, POSITION_MAX)]
    elif places[-1] < POSITION_MAX:
        places.append(min(position, POSITION_MAX))  # type: ignore[attr-defined]


_PACKER = msgspec.msgpack.Encoder()
_UNPACKER = msgspec.msgpack.Decoder(list[tuple[int, str, str | None, list[int]]])


def pack(index: RecordIndex, register_ids: Mapping[str, int]) -> bytes:
    """A record's postings as one row of the delta keeps them."""
    rows: list[tuple[int, str, str | None, Sequence[int]]] = []
    for name, terms in index.terms.items():
        register_id = register_ids[name]
        displays = index.displays.get(name, {})
        for term, positions in terms.items():
            rows.append((register_id, term, displays.get(term), positions))
    return _PACKER.encode(rows)


def unpack(entries: bytes) -> list[tuple[int, str, str | None, list[int]]]:
    """The rows of a delta: register, term, display and positions of each term."""
    return _UNPACKER.decode(entries) if entries else []


def unpack_by_name(entries: bytes, register_names: Mapping[int, str]) -> RecordIndex:
    """What `pack` made `entries` of."""
    index = RecordIndex()
    for register_id, term, display, positions in unpack(entries):
        name = register_names[register_id]
        index.terms.setdefault(name, {})[term] = positions
        if display is not None:
            index.displays.setdefault(name, {})[term] = display
    return index
