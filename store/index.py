"""What one record brings to the index: terms by register, with their positions.

Words of one access point stand on one line of positions. Each field takes
START, its words, END, and is followed by a gap, so that a phrase never runs
from one field into the next, the first word of a field is the one after a
START, and a whole field runs from START to END.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol, TypeVar

from protocol.access_point import Kind
from protocol.access_points import ACCESS_POINTS
from protocol.iso2709 import MarcRecord
from protocol.record import MarcFamily
from store import extract
from store.gather import KEY_CHARS_MAX, PLACE_SHIFT, Postings, TermNumbers
from store.postings import POSITION_MAX
from store.registers import (
    ANY,
    DATABASE,
    HELD_BY,
    IN_ANY,
    PRESENT,
    WITH_DISPLAYS,
    has_keys,
    key_register,
    sort_register,
)

FIELD_GAP = 16  # positions between two fields
VALUE_CHARS_MAX = 200  # of a value that is no text

_KEY_REGISTERS = {
    point.name: key_register(point.name) for point in ACCESS_POINTS if has_keys(point)
}


class AnalysedText(Protocol):
    """The analysis of one text, as `index_record` looks at it."""

    @property
    def words(self) -> frozenset[int]:
        """The numbers of its words."""

    @property
    def key(self) -> tuple[int, str]:
        """The whole field, its number first."""


Text = TypeVar("Text", bound=AnalysedText)


class Target(Protocol[Text]):
    """Where the postings of a record go: into those of many, or into its row of the delta."""

    @property
    def terms(self) -> TermNumbers:
        """The numbers of terms."""

    @property
    def displays(self) -> dict[str, dict[str, str]]:
        """By register, texts that Scan shows for terms that are not fit to be read."""

    def text(self, text: str) -> Text | None:
        """The analysis of a text; None when it has no words."""

    def add(self, name: str, terms: Iterable[str], value: int) -> None:
        """Add a posting of each term, all at `value`."""

    def add_numbers(self, name: str, numbers: Iterable[int], value: int) -> None:
        """`add` by the numbers of terms."""

    def add_number(self, name: str, number: int, value: int) -> None:
        """Add one posting by the number of its term."""

    def add_field(self, name: str, text: Text, place: int, start: int) -> int:
        """Add a field's words with START at position `start`; returns where END stands."""


def cut_value(value: str) -> str:
    """A value as it is indexed: cut where no query goes on."""
    return value[:VALUE_CHARS_MAX]


def index_record(
    postings: Target[Text],
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
        if name in IN_ANY:
            anywhere |= analysed.words
        if name in _KEY_REGISTERS:
            _add_whole_field(postings, name, text, analysed.key, no_position)
    present = set(ends)
    for name, value in found.keys:
        number = postings.terms[cut_value(value)]
        postings.add_number(name, number, no_position)
        present.add(name)
        if name in IN_ANY:
            anywhere.add(number)
    postings.add_numbers(ANY, anywhere, no_position)
    present.add(ANY)
    postings.add(PRESENT, present, no_position)
    postings.add(DATABASE, (database,), no_position)
    for name, value in extract.sort_values(record, family).items():
        postings.add(sort_register(name), (cut_value(value),), no_position)
    index_holders(postings, place, institutions, is_first=True)


def _add_whole_field(
    postings: Target[Text], access_point: str, text: str, key: tuple[int, str], value: int
) -> None:
    number, term = key
    name = _KEY_REGISTERS[access_point]
    postings.add_number(name, number, value)
    # What was cut is shown as it was cut: the rest would not tell it from others.
    if access_point in WITH_DISPLAYS and text != term and len(term) < KEY_CHARS_MAX:
        postings.displays.setdefault(name, {}).setdefault(term, text)


def whole_fields(
    record: MarcRecord, family: MarcFamily, access_points: Collection[str]
) -> dict[str, str]:
    """The keys of whole fields that `record` brings to some access points, as they are shown."""
    postings = Postings()
    found: dict[str, str] = {}
    for name, text in extract.entries(record, family).fields:
        if name in access_points:
            analysed = postings.text(text)
            if analysed is not None:
                found.setdefault(analysed.key[1], text)
    return found


def index_holders(
    postings: Target[Text], place: int, institutions: Iterable[str], *, is_first: bool
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
