"""The whole fields that every record has in an access point, held for counting.

An index leads from a value to its records; counting the values of a set needs
the way back. For the main index as it was at some moment, the values of all
records stand in one array, as places in the list of values. Records merged
since are stale: what they say is read from themselves, until there are so many
that the array is made anew. Names of values are kept nowhere: a record that has
a value, and is not stale, names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from threading import Lock

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from protocol.iso2709 import parse
from protocol.record import MarcFamily
from store import postings
from store.gather import KEY_CHARS_MAX
from store.index import whole_fields
from store.reader import BoundExceeded, IndexReader
from store.registers import key_register

# The access points with many values that are counted, and those whose whole
# fields are counted for them: of authors, headings and no statement.
MANY_VALUED: dict[str, tuple[str, ...]] = {
    "author": ("author_personal", "author_corporate", "author_conference"),
    "subject": ("subject",),
    "publisher": ("publisher",),
    "genre": ("genre",),
}
STALE_MAX = 2_000  # records; then the array is made anew
_STALE_INLINE_MAX = 20  # read on the event loop for one question
_GENERATIONS_INLINE_MAX = 64
_NAMES_KEPT_MAX = 20_000
_STALE_KEPT_MAX = 2 * STALE_MAX
# Above that many values in a set, one count for each in the catalogue is quicker.
_UNIQUE_VALUES_MAX = 50_000

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint32]
Names = Mapping[str, str]  # values as indexed to what a reader is shown

_SELECT_RECORD = (
    "SELECT unpacked(marc), family FROM record JOIN database USING (database_id)"
    " WHERE record_id = ?"
)
_SELECT_VERSION = "SELECT version FROM record WHERE record_id = ?"
_SELECT_MERGED = "SELECT records FROM merged WHERE generation > ? AND generation <= ?"


@dataclass(frozen=True, slots=True)
class Counts:
    """Values that some records have, by their place in the list of values, and how many.

    `ordinals` ascend. `found` has the value of each record in turn, as `owners`
    says.
    """

    ordinals: Integers
    counts: Integers
    found: Numbers
    owners: Numbers


@dataclass(slots=True)
class RecordValues:
    """The values of one access point.

    Record r has `ordinals[starts[r]:starts[r + 1]]`, ascending, by the index of
    generation `built`; `stale` are records merged from then to `generation`.
    """

    access_point: str
    built: int
    starts: Integers
    ordinals: Numbers
    size: int  # values
    generation: int
    stale: BitMap
    names: dict[int, tuple[str, str]] = field(default_factory=dict)
    _stale_fields: dict[int, tuple[int, Names]] = field(default_factory=dict)

    def follow(self, reader: IndexReader) -> bool:
        """Take in what was merged up to the reader's generation; False: too much, or unknown.

        One caller at a time. Whoever reads in between finds the former state of
        both, or more stale than there need be.
        """
        behind = reader.generation - self.generation
        if behind <= 0:
            return True
        rows = reader.connection.execute(
            _SELECT_MERGED, (self.generation, reader.generation)
        ).fetchall()
        if len(rows) != behind:  # a load or a rebuilt index lies between
            return False
        stale = BitMap.union(self.stale, *[postings.decode(row[0]) for row in rows])
        if len(stale) > STALE_MAX:
            return False
        self.stale = stale
        self.generation = reader.generation
        return True

    def count(self, records: BitMap) -> Counts:
        """What `records` have, none of which may be stale or changed."""
        record_ids = np.frombuffer(records.to_array(), np.uint32)
        known = record_ids[record_ids < self.starts.size - 1]
        starts = self.starts[known]
        lengths = self.starts[known + np.uint32(1)] - starts
        total = int(lengths.sum())
        # 0, 1, 2 ... within each record, and the record's start added to it.
        ends = np.cumsum(lengths)
        within = np.arange(total) - np.repeat(ends - lengths, lengths)
        found = self.ordinals[np.repeat(starts, lengths) + within]
        owners = np.repeat(known, lengths)
        if total <= _UNIQUE_VALUES_MAX:
            ordinals, counts = np.unique(found, return_counts=True)
            return Counts(ordinals.astype(np.int64), counts, found, owners)
        per_value = np.bincount(found, minlength=self.size)
        ordinals = np.flatnonzero(per_value)
        return Counts(ordinals, per_value[ordinals], found, owners)

    def name(
        self, reader: IndexReader, counted: Counts, ordinals: Sequence[int]
    ) -> list[tuple[str, str]]:
        """Term and display of values that `counted` has; "" for one that cannot be named.

        That is one whose record does not say what the index holds of it: the
        index was made by another program, and must be rebuilt.
        """
        # Other threads may clear what is kept: an answer is made of what was got here.
        named = {ordinal: self.names.get(ordinal) for ordinal in ordinals}
        missing = [ordinal for ordinal, name in named.items() if name is None]
        if missing:
            if len(self.names) + len(missing) > _NAMES_KEPT_MAX:
                self.names.clear()
            places = np.flatnonzero(np.isin(counted.found, np.array(missing, np.uint32)))
            values, first = np.unique(counted.found[places], return_index=True)
            witnesses = counted.owners[places[first]]
            for ordinal, record_id in zip(values.tolist(), witnesses.tolist(), strict=True):
                name = self._named_by(reader, record_id, ordinal)
                named[ordinal] = self.names[ordinal] = name
        return [name for name in named.values() if name is not None]

    def _named_by(self, reader: IndexReader, record_id: int, ordinal: int) -> tuple[str, str]:
        names = fields_of(reader, self.access_point, record_id)
        own = self.ordinals[self.starts[record_id] : self.starts[record_id + 1]].tolist()
        if len(own) != len(names):
            return "", ""
        # Values stand in the order of their terms, those of a record too.
        term = sorted(names)[own.index(ordinal)]
        return term, names[term]

    def stale_fields(self, reader: IndexReader, record_id: int) -> Names:
        """What a stale record has, as the reader sees it."""
        row = reader.connection.execute(_SELECT_VERSION, (record_id,)).fetchone()
        kept = self._stale_fields.get(record_id)
        if kept is not None and row is not None and kept[0] == row[0]:
            return kept[1]
        fields = fields_of(reader, self.access_point, record_id)
        if row is not None:
            if len(self._stale_fields) >= _STALE_KEPT_MAX:
                self._stale_fields.clear()
            self._stale_fields[record_id] = (row[0], fields)
        return fields


def fields_of(reader: IndexReader, access_point: str, record_id: int) -> Names:
    """What the newest version of a record brings to an access point of MANY_VALUED."""
    row = reader.connection.execute(_SELECT_RECORD, (record_id,)).fetchone()
    if row is None:
        return {}
    marc, family = row
    found = whole_fields(parse(marc), MarcFamily(family), MANY_VALUED[access_point])
    # Nobody reads what was cut.
    return {term: display for term, display in found.items() if len(term) < KEY_CHARS_MAX}


def registers_of(reader: IndexReader, access_point: str) -> list[int]:
    return [reader.register_ids[key_register(name)] for name in MANY_VALUED[access_point]]


class RecordValuesCache:
    """The values by access point, shared by every reader of a process.

    One access point takes some 12 octets a record.
    """

    def __init__(self) -> None:
        self._values: dict[str, RecordValues] = {}
        self._making = Lock()  # held for long, so never on the event loop
        self._following = Lock()

    def get(self, reader: IndexReader, access_point: str, records: BitMap) -> RecordValues:
        """The values for a question about `records`.

        Raises:
            BoundExceeded: they must be made first, or too much of them be read,
                and that takes too long here.
        """
        values = self._usable(reader, access_point)
        if values is None:
            if reader.main.bounds.inline:
                raise BoundExceeded
            with self._making:  # one is enough, whoever else waits for it
                values = self._usable(reader, access_point)
                if values is None:
                    values = _make_values(reader, access_point)
                    kept = self._values.get(access_point)
                    if kept is None or kept.built < values.built:
                        self._values[access_point] = values
        if (
            reader.main.bounds.inline
            and records.intersection_cardinality(values.stale) > _STALE_INLINE_MAX
        ):
            raise BoundExceeded
        return values

    def _usable(self, reader: IndexReader, access_point: str) -> RecordValues | None:
        """What is kept, with what was merged since told to be stale; None: to be made anew.

        More may be stale than the reader's state of the catalogue knows of:
        what it sees of such a record is what the record says, all the same.
        """
        values = self._values.get(access_point)
        if values is None or values.built > reader.generation:
            return None
        if values.generation >= reader.generation:
            return values
        if (
            reader.main.bounds.inline
            and reader.generation - values.generation > _GENERATIONS_INLINE_MAX
        ):
            raise BoundExceeded
        with self._following:
            return values if values.follow(reader) else None


def _make_values(reader: IndexReader, access_point: str) -> RecordValues:
    registers = registers_of(reader, access_point)
    select = (
        "SELECT term, records FROM posting WHERE register_id = ?"
        f" AND length(term) < {KEY_CHARS_MAX}"
    )
    sql = " UNION ALL ".join([select] * len(registers)) + " ORDER BY term"
    parts: list[bytes] = []
    counts: list[int] = []
    rows: Iterable[tuple[str, bytes]] = reader.connection.execute(sql, registers)
    for _, same_term in groupby(rows, key=itemgetter(0)):
        blobs = [blob for _, blob in same_term]
        if len(blobs) == 1 and blobs[0][0] == postings.TINY:
            data = blobs[0][1:]
        else:
            data = postings.union(blobs).to_array().tobytes()
        parts.append(data)
        counts.append(len(data) >> 2)
    record_ids = np.frombuffer(b"".join(parts), np.uint32)
    ordinals = np.repeat(np.arange(len(counts), dtype=np.uint32), counts)
    by_record = np.argsort(record_ids, kind="stable")
    records = int(record_ids.max()) + 1 if record_ids.size else 0
    starts = np.zeros(records + 1, np.int64)
    np.cumsum(np.bincount(record_ids, minlength=records), out=starts[1:])
    generation = reader.generation
    return RecordValues(
        access_point, generation, starts, ordinals[by_record], len(counts), generation, BitMap()
    )
