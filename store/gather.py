"""Postings of some records, gathered in flat arrays on their way into the index.

A posting is a term, the place of its record among those gathered, and a
position. The analysis of a text is kept as octets that are copied into every
register the text goes to: a heading stands in six registers, and comes again
in the next record.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from store import analysis
from store.analysis import END, START
from store.postings import POSITION_MAX

PLACE_SHIFT = 12  # a value is `place << 12 | position`
PLACES_MAX = 1 << (32 - PLACE_SHIFT)
# Only the beginning of a whole field is its key, and that much is shown of it.
KEY_CHARS_MAX = 120

TEXTS_KEPT = 1 << 13
TEXT_KEPT_CHARS_MAX = 250

Integers = npt.NDArray[np.uint32]


def _integers() -> array[int]:
    return array("I")


_analyse = lru_cache(TEXTS_KEPT)(analysis.analyse)


def analysed(text: str) -> tuple[list[analysis.Token], str]:
    """As `store.analysis.analyse`, kept of short texts: a record's versions share most of them."""
    return _analyse(text) if len(text) <= TEXT_KEPT_CHARS_MAX else analysis.analyse(text)


class TermNumbers(dict[str, int]):
    """Terms in the order in which they came, each with its number."""

    def __missing__(self, term: str) -> int:
        number = self[term] = len(self)
        return number


class _Text(NamedTuple):
    """An analysed text: START, its words and END, by number and by offset."""

    numbers: bytes
    offsets: bytes
    size: int  # postings
    length: int  # positions from START to END
    words: frozenset[int]
    key: tuple[int, str]  # the whole field, its number first


_NOT_SEEN = _Text(b"", b"", 0, 0, frozenset(), (0, ""))


@dataclass(slots=True)
class Register:
    """Postings in one register, told apart by how they came.

    Posting n is the term `numbers[n]` at `values[n]`. Of fields, `bases` and
    `counts` say where each stands and how many of `field_numbers` and
    `field_offsets` belong to it.
    """

    numbers: array[int] = field(default_factory=_integers)
    values: array[int] = field(default_factory=_integers)
    field_numbers: array[int] = field(default_factory=_integers)
    field_offsets: array[int] = field(default_factory=_integers)
    bases: array[int] = field(default_factory=_integers)
    counts: array[int] = field(default_factory=_integers)

    def all(self) -> tuple[Integers, Integers]:
        """Numbers and values of every posting."""
        numbers, field_numbers = _numpy(self.numbers), _numpy(self.field_numbers)
        bases = np.repeat(_numpy(self.bases), _numpy(self.counts))
        return (
            np.concatenate((numbers, field_numbers)),
            np.concatenate((_numpy(self.values), bases + _numpy(self.field_offsets))),
        )


def _numpy(numbers: array[int]) -> Integers:
    return np.frombuffer(numbers, np.uint32)


class Postings:
    """What up to PLACES_MAX records bring to the index.

    `terms` maps each term to its number, in the order of numbers, for all
    registers together. `displays` holds, by register, texts that Scan shows for
    terms that are not fit to be read.
    """

    def __init__(self) -> None:
        self.terms = TermNumbers()
        self.registers: dict[str, Register] = {}
        self.displays: dict[str, dict[str, str]] = {}
        self._texts: dict[str, _Text | None] = {}

    def __getstate__(self) -> tuple[object, ...]:
        return dict(self.terms), self.registers, self.displays

    def __setstate__(self, state: tuple[dict[str, int], dict[str, Register], Displays]) -> None:
        terms, self.registers, self.displays = state
        self.terms = TermNumbers(terms)
        self._texts = {}

    def register(self, name: str) -> Register:
        register = self.registers.get(name)
        if register is None:
            register = self.registers[name] = Register()
        return register

    def add(self, name: str, terms: Iterable[str], value: int) -> None:
        """Add a posting of each term, all at `value`."""
        self.add_numbers(name, [self.terms[term] for term in terms], value)

    def add_numbers(self, name: str, numbers: Iterable[int], value: int) -> None:
        """`add` by the numbers of terms."""
        register = self.register(name)
        count = len(register.numbers)
        register.numbers.extend(numbers)
        register.values.extend(repeat(value, len(register.numbers) - count))

    def add_number(self, name: str, number: int, value: int) -> None:
        """Add one posting by the number of its term."""
        register = self.registers.get(name)
        if register is None:
            register = self.register(name)
        register.numbers.append(number)
        register.values.append(value)

    def text(self, text: str) -> _Text | None:
        """The analysis of a text; None when it has no words."""
        analysed = self._texts.get(text, _NOT_SEEN)
        if analysed is not _NOT_SEEN:
            return analysed
        analysed = self._analyse(text)
        if len(text) <= TEXT_KEPT_CHARS_MAX and len(self._texts) < TEXTS_KEPT:
            self._texts[text] = analysed
        return analysed

    def _analyse(self, text: str) -> _Text | None:
        words, key = analysed(text)
        if not words:
            return None
        number_of = self.terms.__getitem__
        terms, offsets = zip(*words, strict=True)
        length = max(offsets) + 2
        numbers = array("I", map(number_of, terms))
        distinct = frozenset(numbers)
        numbers.append(number_of(START))
        numbers.append(number_of(END))
        places = array("I", map((1).__add__, offsets))
        places.append(0)
        places.append(length)
        key = key[:KEY_CHARS_MAX]
        return _Text(
            numbers.tobytes(),
            places.tobytes(),
            len(numbers),
            length,
            distinct,
            (number_of(key), key),
        )

    def add_field(self, name: str, text: _Text, place: int, start: int) -> int:
        """Add a field's words with START at position `start`; returns where END stands."""
        register = self.register(name)
        base = place << PLACE_SHIFT
        end = start + text.length
        if end < POSITION_MAX:
            register.field_numbers.frombytes(text.numbers)
            register.field_offsets.frombytes(text.offsets)
            register.bases.append(base + start)
            register.counts.append(text.size)
        else:
            register.numbers.frombytes(text.numbers)
            register.values.extend(
                base | min(start + offset, POSITION_MAX) for offset in array("I", text.offsets)
            )
        return end

    def by_term(self, name: str) -> dict[str, list[int]]:
        """The values of each term of a register, in the order in which they came."""
        return self._by_term(self.registers[name], list(self.terms))

    def each_by_term(self) -> Iterator[tuple[str, dict[str, list[int]]]]:
        """Every register's name with what `by_term` says of it."""
        terms = list(self.terms)
        for name, register in self.registers.items():
            yield name, self._by_term(register, terms)

    @staticmethod
    def _by_term(register: Register, terms: list[str]) -> dict[str, list[int]]:
        values: dict[str, list[int]] = {}
        for number, value in zip(register.numbers, register.values, strict=True):
            values.setdefault(terms[number], []).append(value)
        at = 0
        for base, count in zip(register.bases, register.counts, strict=True):
            end = at + count
            numbers, offsets = register.field_numbers[at:end], register.field_offsets[at:end]
            for number, offset in zip(numbers, offsets, strict=True):
                values.setdefault(terms[number], []).append(base + offset)
            at = end
        return values


Displays = dict[str, dict[str, str]]
