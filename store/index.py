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
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import blake2b
from importlib.metadata import version

import msgspec

from protocol.access_point import AccessPoint, Kind
from protocol.access_points import ACCESS_POINTS
from protocol.iso2709 import MarcRecord
from protocol.record import MarcFamily
from store import extract
from store.gather import KEY_CHARS_MAX, PLACE_SHIFT, Postings
from store.postings import POSITION_MAX

ANY = "any"
HELD_BY = "possessing_institution"
DATABASE = "$database"
PRESENT = "$present"
FIELD_GAP = 16  # positions between two fields
VALUE_CHARS_MAX = 200  # of a value that is no text


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
    """A value as it is indexed: cut where no query goes on."""
    return value[:VALUE_CHARS_MAX]


# Raise it whenever the same record brings other postings than before.
INDEX_VERSION = 1


@cache
def fingerprint() -> str:
    """Names what decides the postings of a record; another one calls for `reindex`."""
    parts = [str(INDEX_VERSION), unicodedata.unidata_version, repr(ACCESS_POINTS)]
    parts += [version(package) for package in ("opencc", "pypinyin")]
    return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


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
    no_position = place << PLACE_SHIFT | POSITION_MAX
    found = extract.entries(record, family)
    anywhere: set[int] = set()
    ends: dict[str, int] = {}  # where each access point's last field ended
    for name, text in found.fields:
        analysed = postings.text(text)
        if analysed is None:
            continue
        start = ends[name] + FIELD_GAP if name in ends else 0
        ends[name] = postings.add_field(name, analysed, place, start)
        if name in _IN_ANY:
            anywhere |= analysed.words
        _add_whole_field(postings, key_register(name), text, analysed.key, no_position)
    present = set(ends)
    for name, value in found.keys:
        number = postings.terms[cut_value(value)]
        postings.add_numbers(name, (number,), no_position)
        present.add(name)
        if name in _IN_ANY:
            anywhere.add(number)
    postings.add_numbers(ANY, anywhere, no_position)
    present.add(ANY)
    postings.add(PRESENT, present, no_position)
    postings.add(DATABASE, (database,), no_position)
    for name, value in extract.sort_values(record, family).items():
        postings.add(sort_register(name), (cut_value(value),), no_position)
    index_holders(postings, place, institutions, is_first=True)


def _add_whole_field(
    postings: Postings, register_name: str, text: str, key: tuple[int, str], value: int
) -> None:
    number, term = key
    postings.add_numbers(register_name, (number,), value)
    # What was cut is shown as it was cut: the rest would not tell it from others.
    if text != term and len(term) < KEY_CHARS_MAX:
        postings.displays.setdefault(register_name, {}).setdefault(term, text)


def index_holders(
    postings: Postings, place: int, institutions: Iterable[str], *, is_first: bool
) -> None:
    """Add what holders alone bring for the record at `place`; nothing without any.

    `is_first`: nobody has held the record so far.
    """
    codes = [key for code in institutions for key in extract.query_keys(Kind.CODE, code)]
    if codes:
        no_position = place << PLACE_SHIFT | POSITION_MAX
        postings.add(HELD_BY, codes, no_position)
        if is_first:
            postings.add(PRESENT, (HELD_BY,), no_position)


_PACKER = msgspec.msgpack.Encoder()
_UNPACKER = msgspec.msgpack.Decoder(list[tuple[int, str, str | None, list[int]]])


def pack(postings: Postings, register_ids: Mapping[str, int]) -> bytes:
    """One record's postings, at place 0, as a row of the delta keeps them."""
    return _PACKER.encode(
        [
            (register_ids[name], term, postings.displays.get(name, {}).get(term), positions)
            for name in postings.registers
            for term, positions in postings.by_term(name).items()
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
        name = register_names[register_id]
        number = postings.terms[term]
        for position in positions:
            postings.add_numbers(name, (number,), first_value | position)
        if display is not None:
            postings.displays.setdefault(name, {}).setdefault(term, display)
