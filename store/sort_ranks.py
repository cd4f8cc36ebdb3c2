"""The rank of every record by each sort value, held for sorting.

Every sort value of an access point has a rank, its place in the ordered list of
values, and the ranks of the whole catalogue are one array. It is made from the
main index as it is at some moment, which takes a second for a million records.
Records merged or loaded since are stale: they are ranked by what they say
themselves, until a question is about so many of them that the array is made anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from protocol.iso2709 import parse
from protocol.record import MarcFamily
from store import extract, postings
from store.index import cut_value
from store.reader import BoundExceeded, IndexReader
from store.registers import sort_register

Ranks = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]

# Between two values of the array lie that many ranks for changed records.
GAP_BITS = 20
STALE_MAX = 50_000  # records; then the array is made anew
# Of one question, read at some 100 µs each: in a thread, and on the event loop.
STALE_READ_MAX = 1_000
STALE_READ_INLINE_MAX = 20
_SEEN_PER_READ = 10  # asking whether a record is still in its version costs a tenth
# Values without a record in the array that are passed over to find one before them.
_STEPS_MAX = 2_000
_GENERATIONS_INLINE_MAX = 64

_SELECT_VALUES = "SELECT records FROM posting WHERE register_id = ? ORDER BY term"
_SELECT_DOWN_FROM = (
    "SELECT term, records FROM posting WHERE register_id = ? AND term <= ? ORDER BY term DESC"
)
_SELECT_MERGED = "SELECT records FROM merged WHERE generation > ? AND generation <= ?"
_SELECT_VERSION = "SELECT version FROM record WHERE record_id = ? AND NOT deleted"
_SELECT_RECORD = (
    "SELECT unpacked(marc), family FROM record JOIN database USING (database_id)"
    " WHERE record_id = ?"
)


class TooStale(Exception):  # noqa: N818 - a state of the ranks
    """They must be made anew before the question can be answered."""


@dataclass(slots=True)
class SortRanks:
    """The places of one access point's values by record id, 0 where the main index knows none.

    A rank is a place with GAP_BITS behind it; without them the array takes half the
    memory, and half the time to be read here and there. They are those of
    generation `built`; `stale` are the records merged from then to `generation`,
    whatever their places say.
    """

    access_point: str
    register_id: int
    built: int
    places: Places
    generation: int
    stale: BitMap = field(default_factory=BitMap)
    # Of stale records: the state of the index in which it was read, the version, the value.
    _read: dict[int, tuple[int, int, str | None]] = field(default_factory=dict)
    # Of values, as long as the same records are stale.
    _found: dict[str, tuple[int, bool]] = field(default_factory=dict)

    def of(self, record_ids: npt.NDArray[np.uint32]) -> Ranks:
        """The ranks of some records, in a new array."""
        # A record beyond the array is newer than it; the last place stands for no record.
        found = self.places.take(record_ids, mode="clip").astype(np.int64)
        found <<= GAP_BITS
        return found

    def followed(self, reader: IndexReader) -> SortRanks | None:
        """With what was merged up to the reader's generation; None: too much, or unknown.

        Others go on with these ranks: a question is answered by one state of them.
        """
        behind = reader.generation - self.generation
        if behind <= 0:
            return self
        rows = reader.connection.execute(
            _SELECT_MERGED, (self.generation, reader.generation)
        ).fetchall()
        if len(rows) != behind:  # a rebuilt index lies between, or more than is kept
            return None
        stale = BitMap.union(self.stale, *[postings.decode(row[0]) for row in rows])
        if len(stale) > STALE_MAX:
            return None
        # A rank that was found through a record that is stale now would not be in
        # order with those that are found through others.
        return replace(self, generation=reader.generation, stale=stale, _found={})

    def cost(self, reader: IndexReader, record_ids: BitMap) -> int:
        """How many of the stale ones must be read; those that were read before count little."""
        read, seen = 0, 0
        for record_id in record_ids:
            kept = self._read.get(record_id)
            read += kept is None
            seen += kept is not None and kept[0] != reader.generation
        return read + seen // _SEEN_PER_READ

    def values(self, reader: IndexReader, record_ids: Iterable[int]) -> dict[int, str | None]:
        """The sort value of each of some stale records; None: it has none, or is deleted."""
        found: dict[int, str | None] = {}
        for record_id in record_ids:
            kept = self._read.get(record_id)
            if kept is None or kept[0] != reader.generation:
                kept = self._read_again(reader, record_id, kept)
                if len(self._read) >= STALE_MAX:
                    self._read.clear()
                self._read[record_id] = kept
            found[record_id] = kept[2]
        return found

    def _read_again(
        self, reader: IndexReader, record_id: int, kept: tuple[int, int, str | None] | None
    ) -> tuple[int, int, str | None]:
        row = reader.connection.execute(_SELECT_VERSION, (record_id,)).fetchone()
        version = row[0] if row is not None else 0  # deleted
        if kept is not None and kept[1] == version:
            return reader.generation, version, kept[2]
        if not version:
            return reader.generation, 0, None
        marc, family = reader.connection.execute(_SELECT_RECORD, (record_id,)).fetchone()
        value = extract.sort_values(parse(marc), MarcFamily(family)).get(self.access_point)
        return reader.generation, version, None if value is None else cut_value(value)

    def rank(self, reader: IndexReader, value: str) -> tuple[int, bool]:
        """The rank of `value`, or of the greatest value before it; and whether it is exact.

        Raises:
            TooStale: so many values before it are new that the ranks are of no use.
        """
        found = self._found
        known = found.get(value)
        if known is None:
            known = self._rank(reader, value)
            if len(found) < STALE_MAX:
                found[value] = known
        return known

    def _rank(self, reader: IndexReader, value: str) -> tuple[int, bool]:
        stale = self.stale
        rows = reader.connection.execute(_SELECT_DOWN_FROM, (self.register_id, value))
        for step, (term, blob) in enumerate(rows):
            for record_id in postings.decode(blob) - stale:
                if record_id < self.places.size and self.places[record_id]:
                    return int(self.places[record_id]) << GAP_BITS, term == value
            if step >= _STEPS_MAX:
                raise TooStale
        return 0, False


class RankCache:
    """The ranks by access point, shared by every reader of a process."""

    def __init__(self) -> None:
        self._ranks: dict[str, SortRanks] = {}
        self._making = Lock()  # held for long, so never on the event loop
        self._following = Lock()

    def get(self, reader: IndexReader, access_point: str, record_ids: BitMap) -> SortRanks:
        """The ranks for a question about `record_ids`.

        Raises:
            BoundExceeded: they must be made first, or too much of them be read,
                and that takes too long here.
        """
        ranks = self._usable(reader, access_point, record_ids)
        return self.renewed(reader, access_point, ranks) if ranks is None else ranks

    def renewed(self, reader: IndexReader, access_point: str, old: SortRanks | None) -> SortRanks:
        """Ranks made anew in the place of `old`.

        Raises:
            BoundExceeded: that takes too long here.
        """
        if reader.main.bounds.inline:
            raise BoundExceeded
        with self._making:  # one is enough, whoever else waits for it
            kept = self._ranks.get(access_point)
            if kept is not None and kept is not old and kept.built == reader.generation:
                return kept
            made = _make_ranks(reader, access_point)
            with self._following:
                kept = self._ranks.get(access_point)
                if kept is None or kept.built < made.built:
                    self._ranks[access_point] = made
            return made

    def _usable(
        self, reader: IndexReader, access_point: str, record_ids: BitMap
    ) -> SortRanks | None:
        """What is kept, with what was merged since told to be stale; None: to be made anew.

        More may be stale than the reader's state of the catalogue knows of:
        what it sees of such a record is what the record says, all the same.
        """
        ranks = self._ranks.get(access_point)
        if ranks is None or ranks.built > reader.generation:
            return None
        inline = reader.main.bounds.inline
        if ranks.generation < reader.generation:
            if inline and reader.generation - ranks.generation > _GENERATIONS_INLINE_MAX:
                raise BoundExceeded
            with self._following:
                ranks = self._ranks[access_point].followed(reader)
                if ranks is None or ranks.built > reader.generation:
                    return None
                self._ranks[access_point] = ranks
        stale = record_ids & ranks.stale
        if inline and stale and ranks.cost(reader, stale) > STALE_READ_INLINE_MAX:
            raise BoundExceeded
        return ranks if len(stale) <= STALE_READ_MAX else None


def _make_ranks(reader: IndexReader, access_point: str) -> SortRanks:
    register_id = reader.register_ids[sort_register(access_point)]
    parts: list[bytes] = []
    counts: list[int] = []
    for (blob,) in reader.connection.execute(_SELECT_VALUES, (register_id,)):
        data = blob[1:] if blob[0] == postings.TINY else postings.decode(blob).to_array().tobytes()
        parts.append(data)
        counts.append(len(data) >> 2)
    record_ids = np.frombuffer(b"".join(parts), np.uint32)
    # With one place more than records, which stays 0.
    places = np.zeros(int(record_ids.max()) + 2 if record_ids.size else 1, np.int32)
    places[record_ids] = np.repeat(np.arange(1, len(counts) + 1, dtype=np.int32), counts)
    return SortRanks(access_point, register_id, reader.generation, places, reader.generation)
