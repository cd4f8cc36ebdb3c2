"""A sorted run: the postings of some records in a file, on their way into the main index.

The process that analyses a chunk of records writes its run, before it is known
under which ids they will be stored: a run names records by their place in the
chunk. It has one section for each register and table, which can be read in
part: the ends of its terms, of what they are shown as and of their values; the
values; the terms, in the order of their octets, which is SQLite's; what they are
shown as.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from store.analysis import END, START
from store.gather import PLACE_SHIFT, Postings
from store.postings import POSITION_MAX
from store.sqlite import StoreError

POSTING, POSITION = 0, 1  # the tables of the index

Integers = npt.NDArray[np.uint32]
Numbers = npt.NDArray[np.uint64]

_VALUE_BITS = np.uint64(32)
_POSITION_BITS = np.uint64(PLACE_SHIFT)
_PLACE_BITS = 32 - PLACE_SHIFT
_INTEGER_BYTES = 4


class Section(msgspec.Struct, frozen=True, array_like=True):
    """Where a file keeps the rows of one register in one table.

    Values are places in the table POSTING; `place << 12 | position` in POSITION.
    """

    table: int
    register_id: int
    terms: int  # how many
    values: int
    offset: int  # in the file, in octets
    text_bytes: int  # of all terms
    value_bytes: int  # of each
    has_displays: bool


class RunFile(msgspec.Struct, frozen=True):
    """A run that has been written and is on disk. `crc` is that of the whole file."""

    path: str
    size_bytes: int
    crc: int
    sections: list[Section]


class Rows(NamedTuple):
    """Some rows of a section: terms in order, and how many of the values each has.

    `displays` are what Scan shows for the terms, "" for the term; empty: all such.
    """

    terms: list[str]
    counts: Integers
    values: Integers | npt.NDArray[np.uint16]
    displays: list[str]


def write_run(path: Path, postings: Postings, register_ids: Mapping[str, int]) -> RunFile:
    """Write the postings of a chunk and bring them on disk.

    Raises:
        StoreError: the file cannot be written, as on a full disk.
    """
    sections: list[Section] = []
    size_bytes = crc = 0
    try:
        with path.open("wb", buffering=1 << 20) as file:
            for table, register_id, rows in _sections(postings, register_ids):
                text, ends = _joined(rows.terms)
                shown, shown_ends = _joined(rows.displays)
                sections.append(
                    Section(
                        table, register_id, len(rows.terms), len(rows.values), size_bytes,
                        len(text), rows.values.itemsize, bool(rows.displays),
                    )
                )  # fmt: skip
                value_ends = np.cumsum(rows.counts, dtype=np.uint32)
                for part in (ends, shown_ends, value_ends, rows.values):
                    octets = part.tobytes()
                    file.write(octets)
                    crc = zlib.crc32(octets, crc)
                    size_bytes += len(octets)
                for octets in (text, shown):
                    file.write(octets)
                    crc = zlib.crc32(octets, crc)
                    size_bytes += len(octets)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    return RunFile(str(path), size_bytes, crc, sections)


def _joined(texts: list[str]) -> tuple[bytes, Integers]:
    """Texts one behind the other, and where each ends."""
    joined = "".join(texts).encode()
    sizes = map(len, texts) if joined.isascii() else (len(text.encode()) for text in texts)
    return joined, np.cumsum(np.fromiter(sizes, np.uint32, len(texts)), dtype=np.uint32)


def _sections(
    postings: Postings, register_ids: Mapping[str, int]
) -> Iterator[tuple[int, int, Rows]]:
    """What each section has, with its table and register, in the order of the tables' keys."""
    names = list(postings.terms)
    order = sorted(range(len(names)), key=names.__getitem__)
    names = [names[number] for number in order]
    ranks = np.empty(len(names), np.uint64)
    ranks[order] = np.arange(len(names), dtype=np.uint64)
    anchors = [ranks[postings.terms[each]] for each in (START, END) if each in postings.terms]
    for name in sorted(postings.registers, key=register_ids.__getitem__):
        numbers, values = postings.registers[name].all()
        packed = ranks[numbers] << _VALUE_BITS | values
        packed.sort()
        packed = distinct(packed)
        records = distinct(packed >> _POSITION_BITS)
        for anchor in anchors:  # they have positions only
            records = records[records >> np.uint64(_PLACE_BITS) != anchor]
        positions = packed[packed & np.uint64(POSITION_MAX) != POSITION_MAX]
        register_id = register_ids[name]
        if records.size:
            rows = _rows(names, records, _PLACE_BITS)
            if int(rows.values.max()) < 1 << 16:
                rows = rows._replace(values=rows.values.astype(np.uint16))
            if displays := postings.displays.get(name):
                rows = rows._replace(displays=[displays.get(term, "") for term in rows.terms])
            yield POSTING, register_id, rows
        if positions.size:
            yield POSITION, register_id, _rows(names, positions, 32)


def _rows(names: Sequence[str], numbers: Numbers, low_bits: int) -> Rows:
    """The rows of ascending numbers, each `rank of the term << low_bits | value`."""
    highs = numbers >> np.uint64(low_bits)
    starts = np.flatnonzero(np.concatenate(([True], highs[1:] != highs[:-1])))
    counts = np.diff(starts, append=numbers.size).astype(np.uint32)
    values = (numbers & np.uint64((1 << low_bits) - 1)).astype(np.uint32)
    return Rows([names[rank] for rank in highs[starts].tolist()], counts, values, [])


def distinct(numbers: Numbers) -> Numbers:
    """Ascending numbers, each once."""
    if numbers.size < 2:
        return numbers
    return numbers[np.concatenate(([True], numbers[1:] != numbers[:-1]))]


class SectionReader:
    """Reads parts of one section of an open file."""

    def __init__(self, descriptor: int, section: Section) -> None:
        self._descriptor = descriptor
        self._section = section
        ends_bytes = section.terms * _INTEGER_BYTES
        self._ends_at = section.offset
        self._shown_ends_at = self._ends_at + ends_bytes
        self._value_ends_at = self._shown_ends_at + ends_bytes * section.has_displays
        self._values_at = self._value_ends_at + ends_bytes
        self._text_at = self._values_at + section.values * section.value_bytes
        self._shown_at = self._text_at + section.text_bytes

    def rows(self, first: int, end: int) -> Rows:
        """The rows of the terms number `first` up to but without `end`."""
        value_cuts = self._cuts(self._value_ends_at, first, end)
        low, high = int(value_cuts[0]), int(value_cuts[-1])
        size = self._section.value_bytes
        octets = self._octets(self._values_at + low * size, (high - low) * size)
        values = np.frombuffer(octets, f"u{size}").astype(np.uint32)
        displays = []
        if self._section.has_displays:
            displays = self._texts(self._shown_at, self._shown_ends_at, first, end)
        return Rows(
            self._texts(self._text_at, self._ends_at, first, end),
            np.diff(value_cuts).astype(np.uint32),
            values,
            displays,
        )

    def terms(self) -> list[str]:
        """Every term."""
        return self._texts(self._text_at, self._ends_at, 0, self._section.terms)

    def value_cuts(self) -> list[int]:
        """How many values stand before each term, and behind the last."""
        cuts: list[int] = self._cuts(self._value_ends_at, 0, self._section.terms).tolist()
        return cuts

    def _texts(self, texts_at: int, ends_at: int, first: int, end: int) -> list[str]:
        cuts = self._cuts(ends_at, first, end).tolist()
        low = cuts[0]
        octets = self._octets(texts_at + low, cuts[-1] - low)
        if octets.isascii():
            text = octets.decode("ascii")
            return [text[cut - low : after - low] for cut, after in pairwise(cuts)]
        return [octets[cut - low : after - low].decode() for cut, after in pairwise(cuts)]

    def _cuts(self, ends_at: int, first: int, end: int) -> npt.NDArray[np.int64]:
        """Where the rows `first` up to `end` begin, and where the last one ends."""
        before = 1 if first else 0
        at = ends_at + (first - before) * _INTEGER_BYTES
        found = self._integers(at, end - first + before).astype(np.int64)
        return found if before else np.concatenate(([0], found))

    def _integers(self, at: int, count: int) -> Integers:
        return np.frombuffer(self._octets(at, count * _INTEGER_BYTES), np.uint32)

    def _octets(self, at: int, size_bytes: int) -> bytes:
        octets = os.pread(self._descriptor, size_bytes, at)
        if len(octets) != size_bytes:
            raise StoreError("a run of the index is shorter than it was: run `lianmu reindex`")
        return octets


def is_whole(run: RunFile) -> bool:
    """Whether the file of a run is what was written."""
    size_bytes = crc = 0
    try:
        with Path(run.path).open("rb") as file:
            while block := file.read(1 << 20):
                crc = zlib.crc32(block, crc)
                size_bytes += len(block)
    except OSError:
        return False
    return (size_bytes, crc) == (run.size_bytes, run.crc)
