"""What a row of the delta keeps: one record's postings, and what they change in the main index.

A row is octet FORM and, in MessagePack: the record's terms; for each register the numbers
of its terms and their positions; what Scan shows for terms; and by register the postings
that a merge takes out of the main index and those that it brings there. A reader makes
out of a row only the registers that are asked for, and a merge only what changes. Of a
record whose former version was not looked at, the changes are missing: the merge finds
them out. Rows of before are a list of postings by term, and lack them too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from store.analysis import END, START
from store.gather import KEY_CHARS_MAX, PLACE_SHIFT, Postings, TermNumbers, analysed
from store.postings import POSITION_MAX

FORM = b"\x01"  # no list begins so in MessagePack

# Numbers of terms, and the position of each.
Line = tuple[list[int], list[int]]


class _Text(NamedTuple):
    """An analysed text: its words, START and END, by number and by offset."""

    numbers: list[int]
    offsets: list[int]
    words: frozenset[int]
    key: tuple[int, str]
    length: int  # positions from START to END


class RecordPostings:
    """What one record brings to the index; a `store.index.Target` for a single place, 0.

    Costs a third less than `Postings`, which is made for thousands of records.
    """

    def __init__(self, other: RecordPostings | None = None) -> None:
        """With `other`, terms have the same numbers, and texts are not analysed again."""
        self.terms: TermNumbers = TermNumbers() if other is None else other.terms
        self.registers: dict[str, Line] = {}
        self.displays: dict[str, dict[str, str]] = {}
        self._texts: dict[str, _Text | None] = {} if other is None else other._texts

    def text(self, text: str) -> _Text | None:
        """The analysis of a text; None when it has no words."""
        if text in self._texts:
            return self._texts[text]
        made = self._texts[text] = self._analyse(text)
        return made

    def _analyse(self, text: str) -> _Text | None:
        words, key = analysed(text)
        if not words:
            return None
        terms = self.terms
        numbers = [terms[term] for term, _ in words]
        offsets = [offset + 1 for _, offset in words]
        distinct = frozenset(numbers)
        length = max(offsets) + 1
        numbers += terms[START], terms[END]
        offsets += 0, length
        key = key[:KEY_CHARS_MAX]
        return _Text(numbers, offsets, distinct, (terms[key], key), length)

    def add(self, name: str, terms: Iterable[str], value: int) -> None:
        """Add a posting of each term, all at `value`."""
        self.add_numbers(name, [self.terms[term] for term in terms], value)

    def add_numbers(self, name: str, numbers: Iterable[int], value: int) -> None:
        """`add` by the numbers of terms."""
        line = self._line(name)
        line[0].extend(numbers)
        line[1].extend([value] * (len(line[0]) - len(line[1])))

    def add_number(self, name: str, number: int, value: int) -> None:
        """Add one posting by the number of its term."""
        line = self._line(name)
        line[0].append(number)
        line[1].append(value)

    def add_field(self, name: str, text: _Text, place: int, start: int) -> int:
        """Add a field's words with START at position `start`; returns where END stands."""
        line = self._line(name)
        line[0].extend(text.numbers)
        end = start + text.length
        if end < POSITION_MAX:
            line[1].extend([start + offset for offset in text.offsets] if start else text.offsets)
        else:
            line[1].extend([min(start + offset, POSITION_MAX) for offset in text.offsets])
        return end

    def _line(self, name: str) -> Line:
        line = self.registers.get(name)
        if line is None:
            line = self.registers[name] = ([], [])
        return line


class DeltaRow(msgspec.Struct, array_like=True, frozen=True):
    """A row that was read. Registers are by number; `removed` of None: not known."""

    terms: list[str]
    registers: dict[int, msgspec.Raw]  # each a `Line`
    displays: dict[int, dict[str, str]]
    removed: dict[int, Line] | None = None
    added: dict[int, Line] | None = None

    def postings(self, register_id: int) -> Iterator[tuple[str, int]]:
        """Each term of a register with its position; a term may come several times."""
        terms = self.terms
        numbers, positions = _LINE_DECODER.decode(self.registers[register_id])
        return zip([terms[number] for number in numbers], positions, strict=True)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(DeltaRow)
_LINE_DECODER = msgspec.msgpack.Decoder(Line)
_BY_TERM_DECODER = msgspec.msgpack.Decoder(list[tuple[int, str, str | None, list[int]]])
_NOTHING = DeltaRow([], {}, {})


def pack(
    postings: RecordPostings, register_ids: Mapping[str, int], base: RecordPostings | None = None
) -> bytes:
    """A row of the delta for a record that is found by `postings`.

    `base` is what the main index holds of it, made with the terms of `postings`.
    """
    changes: Sequence[dict[int, Line]] = (
        () if base is None else _changes(postings, register_ids, base)
    )
    return FORM + _ENCODER.encode(
        (
            list(postings.terms),
            {register_ids[name]: line for name, line in postings.registers.items()},
            {register_ids[name]: shown for name, shown in postings.displays.items()},
            *changes,
        )
    )


_EMPTY: Line = ([], [])


def _changes(
    postings: RecordPostings, register_ids: Mapping[str, int], base: RecordPostings
) -> tuple[dict[int, Line], dict[int, Line]]:
    """What the main index loses and gains: all postings of each term that has changed."""
    removed, added = {}, {}
    for name in {**base.registers, **postings.registers}:
        old, new = base.registers.get(name, _EMPTY), postings.registers.get(name, _EMPTY)
        if old == new:
            continue
        both = {*zip(*old, strict=True)} ^ {*zip(*new, strict=True)}
        changed = {number for number, _ in both}
        if changed:
            removed[register_ids[name]] = _of_terms(old, changed)
            added[register_ids[name]] = _of_terms(new, changed)
    return removed, added


def _of_terms(line: Line, wanted: set[int]) -> Line:
    kept = [(number, at) for number, at in zip(*line, strict=True) if number in wanted]
    return [number for number, _ in kept], [at for _, at in kept]


def unpack(entries: bytes) -> DeltaRow:
    """What `pack` made `entries` of; nothing of those of a deleted record, which are empty."""
    if not entries:
        return _NOTHING
    if entries[:1] == FORM:
        return _DECODER.decode(memoryview(entries)[1:])
    return _unpack_by_term(entries)


def _unpack_by_term(entries: bytes) -> DeltaRow:
    """A row that an earlier version of this program wrote."""
    terms = TermNumbers()
    registers: dict[int, Line] = {}
    displays: dict[int, dict[str, str]] = {}
    for register_id, term, display, positions in _BY_TERM_DECODER.decode(entries):
        numbers, places = registers.setdefault(register_id, ([], []))
        numbers.extend([terms[term]] * len(positions))
        places.extend(positions)
        if display is not None:
            displays.setdefault(register_id, {})[term] = display
    lines = {key: msgspec.Raw(_ENCODER.encode(line)) for key, line in registers.items()}
    return DeltaRow(list(terms), lines, displays)


def add_row(
    postings: Postings, place: int, row: DeltaRow, register_names: Mapping[int, str]
) -> None:
    """Add all postings of a row, as the record at `place`."""
    lines = {key: _LINE_DECODER.decode(line) for key, line in row.registers.items()}
    _add_lines(postings, place, row, lines, register_names)


def add_changes(
    removed: Postings, added: Postings, place: int, row: DeltaRow, register_names: Mapping[int, str]
) -> bool:
    """Add what a row takes out of the main index and what it brings; False: it does not tell."""
    if row.removed is None or row.added is None:
        return False
    _add_lines(removed, place, row, row.removed, register_names)
    _add_lines(added, place, row, row.added, register_names)
    return True


def _add_lines(
    postings: Postings,
    place: int,
    row: DeltaRow,
    lines: Mapping[int, Line],
    register_names: Mapping[int, str],
) -> None:
    first_value = place << PLACE_SHIFT
    terms, ours = row.terms, postings.terms
    for register_id, (numbers, positions) in lines.items():
        name = register_names[register_id]
        register = postings.register(name)
        register.numbers.extend([ours[terms[number]] for number in numbers])
        register.values.extend([first_value | position for position in positions])
        for term, display in row.displays.get(register_id, {}).items():
            postings.displays.setdefault(name, {}).setdefault(term, display)
