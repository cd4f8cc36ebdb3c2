"""Facets: the values that the records of a set have, and how many have each.

Counts are exact. Two ways lead to them. Where an access point has few values
(languages, years, libraries), each value's records are intersected with the
set. Where it has about as many as there are records (authors, subjects), the
values of every record stand in one array, made once for a state of the main
index; counting is then a matter of the set's size, however large the catalogue.
Changed records are counted by what the delta holds of them.
Source: SRU 2.0 (OASIS searchRetrieve part 3) §2.9, facetedResults.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from protocol.access_point import AccessPoint, Kind
from protocol.access_points import BY_NAME
from protocol.diagnostic import Bib1, Diagnostic
from protocol.query import Anchor, Clause, Operator, Query, Structure, joined
from store import postings
from store.gather import KEY_CHARS_MAX
from store.interface import FacetList, FacetTerm, ResultSet
from store.reader import BoundExceeded, IndexReader, TermRange
from store.registers import key_register
from store.result_set import RecordSet

LIMIT_MAX = 1000  # one answer never has more, whatever a client asks for

# The access points with many values that are counted, and those whose whole
# fields are counted for them: of authors, headings and no statement.
MANY_VALUED: dict[str, tuple[str, ...]] = {
    "author": ("author_personal", "author_corporate", "author_conference"),
    "subject": ("subject",),
    "publisher": ("publisher",),
    "genre": ("genre",),
}
_FEW_VALUED = frozenset((Kind.CODE, Kind.DATE))

# What may be counted on the event loop: some milliseconds at the worst.
_INLINE_RECORDS_MAX = 5_000
_INLINE_DELTA_TERMS_MAX = 256
# Above that many values in a set, one count for each in the catalogue is quicker.
_UNIQUE_VALUES_MAX = 50_000
_STRIDE = 128  # every so many terms one is kept in memory, to find the rest by

# Between two values of the main index lie that many places for those of changed records.
_GAP_BITS = 20

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint32]


def can_count(point: AccessPoint) -> bool:
    """Whether an access point has facets."""
    return point.name in MANY_VALUED or point.kind in _FEW_VALUED


def narrowing(access_point: str, term: str) -> Query:
    """The query for exactly the records that a facet counts for `term`.

    `access_point` must be one that `can_count` allows.
    """
    if access_point not in MANY_VALUED:
        return Clause(access_point, term, structure=Structure.KEY)
    return joined(
        Operator.OR,
        [
            Clause(name, term, structure=Structure.PHRASE, anchor=Anchor.COMPLETE)
            for name in MANY_VALUED[access_point]
        ],
    )


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of every record of the main index, by their place in the list of terms.

    Record r has `ordinals[starts[r]:starts[r + 1]]`. `landmarks` are the terms
    0, _STRIDE, 2 * _STRIDE ...
    """

    starts: Integers
    ordinals: Numbers
    landmarks: Sequence[str]
    size: int  # terms

    def counts(self, record_ids: Numbers) -> tuple[Integers, Integers]:
        """The terms that records have, ascending, and how many of the records have each."""
        known = record_ids[record_ids < self.starts.size - 1]
        starts = self.starts[known]
        lengths = self.starts[known + np.uint32(1)] - starts
        total = int(lengths.sum())
        # 0, 1, 2 ... within each record, and the record's start added to it.
        ends = np.cumsum(lengths)
        within = np.arange(total) - np.repeat(ends - lengths, lengths)
        found = self.ordinals[np.repeat(starts, lengths) + within]
        if total <= _UNIQUE_VALUES_MAX:
            ordinals, counts = np.unique(found, return_counts=True)
            return ordinals.astype(np.int64), counts
        per_term = np.bincount(found, minlength=self.size)
        ordinals = np.flatnonzero(per_term)
        return ordinals, per_term[ordinals]


class FacetCache:
    """The values of records by access point, shared by every reader of a process.

    One access point takes some 12 octets a record.
    """

    def __init__(self) -> None:
        self._values: dict[str, tuple[int, _Values]] = {}

    def get(self, reader: IndexReader, access_point: str) -> _Values:
        """The values of a row of MANY_VALUED.

        Raises:
            BoundExceeded: they must be made first, and that takes too long here.
        """
        generation, values = self._values.get(access_point, (0, None))
        if values is None or generation != reader.generation:
            if reader.main.bounds.inline:
                raise BoundExceeded
            values = _make_values(reader, _registers(reader, access_point))
            self._values[access_point] = (reader.generation, values)
        return values


def facets(
    reader: IndexReader,
    cache: FacetCache,
    records: ResultSet,
    access_point: str,
    *,
    limit: int,
    start: int = 0,
    by_count: bool = True,
) -> FacetList | Diagnostic:
    """The values that `records` have, `start` of them passed over, at most `limit`.

    In order of their counts, the greatest first and equal ones by value; or
    without `by_count` all by value. An unknown access point is Bib-1 114, one
    without facets 232.

    Raises:
        BoundExceeded: it takes too long here.
    """
    point = BY_NAME.get(access_point)
    if point is None:
        return Diagnostic(Bib1.USE_ATTRIBUTE_UNSUPPORTED, access_point)
    if not can_count(point):
        return Diagnostic(Bib1.SCAN_TERM_LIST_UNSUPPORTED, access_point)
    members = records.records if isinstance(records, RecordSet) else _members(records)
    if reader.main.bounds.inline and len(members) > _INLINE_RECORDS_MAX:
        raise BoundExceeded
    first = max(start, 0)
    wanted = slice(first, first + min(max(limit, 0), LIMIT_MAX))
    touched = reader.delta.touched
    merged = members - touched if touched else members
    changed = _changed_counts(reader, access_point, members & touched)
    if access_point in MANY_VALUED:
        return _of_many(reader, cache, access_point, merged, changed, wanted, by_count)
    counts = _few_counts(reader, access_point, merged)
    for term, count in changed.items():
        counts[term] = counts.get(term, 0) + count
    chosen = _in_order(counts.items(), by_count=by_count)[wanted]
    return FacetList(_displayed(reader, access_point, chosen), len(counts))


def _members(records: ResultSet) -> BitMap:
    ids = records.ids(1, len(records))
    return BitMap() if isinstance(ids, Diagnostic) else BitMap(ids)


def _in_order(counts: Iterable[tuple[str, int]], *, by_count: bool) -> list[tuple[str, int]]:
    if by_count:
        return sorted(counts, key=lambda each: (-each[1], each[0]))
    return sorted(counts)


def _registers(reader: IndexReader, access_point: str) -> list[int]:
    return [reader.register_ids[key_register(name)] for name in MANY_VALUED[access_point]]


def _few_counts(reader: IndexReader, access_point: str, members: BitMap) -> dict[str, int]:
    """How many of `members` have each value, by the main index."""
    register_id = reader.register_ids[access_point]
    counts = {}
    for term in reader.main.terms(register_id, TermRange("")) if members else ():
        count = reader.main.records(register_id, term).intersection_cardinality(members)
        if count:
            counts[term] = count
    return counts


def _changed_counts(reader: IndexReader, access_point: str, members: BitMap) -> dict[str, int]:
    """How many of `members` have each value, by the delta."""
    if not members:
        return {}
    if access_point not in MANY_VALUED:
        found = reader.delta.members(reader.register_ids[access_point], members)
    else:
        found = {}
        for register_id in _registers(reader, access_point):
            for term, records in reader.delta.members(register_id, members).items():
                if len(term) < KEY_CHARS_MAX:
                    found[term] = found.get(term, BitMap()) | records
    return {term: len(records) for term, records in found.items()}


def _of_many(
    reader: IndexReader,
    cache: FacetCache,
    access_point: str,
    merged: BitMap,
    changed: Mapping[str, int],
    wanted: slice,
    by_count: bool,
) -> FacetList:
    values = cache.get(reader, access_point)
    if reader.main.bounds.inline and len(changed) > _INLINE_DELTA_TERMS_MAX:
        raise BoundExceeded
    terms = _Terms(reader, _registers(reader, access_point), values)
    ordinals, counts = values.counts(np.frombuffer(merged.to_array(), np.uint32))
    places = (ordinals + 1) << _GAP_BITS
    # Values of changed records add to those of the others, or stand between them.
    new: dict[int, tuple[str, int]] = {}
    for step, term in enumerate(sorted(changed), 1):
        before, is_in_main = terms.place(term)
        place = (before + 1) << _GAP_BITS if is_in_main else (before << _GAP_BITS) + step
        at = int(np.searchsorted(places, place))
        if at < places.size and places[at] == place:
            counts[at] += changed[term]
        else:
            new[place] = (term, changed[term])
    if new:
        places = np.concatenate((places, np.fromiter(new, np.int64, len(new))))
        more = np.array([count for _, count in new.values()], np.int64)
        counts = np.concatenate((counts, more))
    keys = (places, -counts) if by_count else (places,)
    chosen = _least(keys, wanted.stop)[wanted]
    named = []
    for place, count in zip(places[chosen].tolist(), counts[chosen].tolist(), strict=True):
        term = new[place][0] if place in new else terms[(place >> _GAP_BITS) - 1]
        named.append((term, count))
    return FacetList(_displayed(reader, access_point, named), places.size)


def _least(keys: tuple[Integers, ...], wanted: int) -> npt.NDArray[np.intp]:
    """Where the `wanted` least entries stand, in order; the last of `keys` decides first."""
    first = keys[-1]
    if wanted < first.size:  # few are wanted of many, so most need no order
        bound = np.partition(first, wanted)[wanted]
        candidates = np.flatnonzero(first <= bound)
        return candidates[np.lexsort([key[candidates] for key in keys])[:wanted]]
    return np.lexsort(keys)


class _Terms:
    """The terms of some registers as one list, read from the index by their place in it."""

    def __init__(self, reader: IndexReader, registers: Sequence[int], values: _Values) -> None:
        self._execute = reader.connection.execute
        self._registers = registers
        self._landmarks = values.landmarks
        since = "SELECT term FROM posting WHERE register_id = ? AND term >= ?"
        self._at = f"{_united(since, registers)} ORDER BY term LIMIT 1 OFFSET ?"
        up_to = _united(f"{since} AND term <= ?", registers)
        self._up_to = f"SELECT count(*), max(term) FROM ({up_to})"

    def __getitem__(self, ordinal: int) -> str:
        landmark = self._landmarks[ordinal // _STRIDE]
        arguments = [each for register in self._registers for each in (register, landmark)]
        row = self._execute(self._at, (*arguments, ordinal % _STRIDE)).fetchone()
        term: str = row[0]
        return term

    def place(self, term: str) -> tuple[int, bool]:
        """The ordinal of a term; or how many come before it, and that it is not there."""
        landmark = bisect_right(self._landmarks, term) - 1
        if landmark < 0:
            return 0, False
        bounds = (self._landmarks[landmark], term)
        arguments = [each for register in self._registers for each in (register, *bounds)]
        count, last = self._execute(self._up_to, arguments).fetchone()
        is_there = last == term
        return landmark * _STRIDE + count - is_there, is_there


def _united(select: str, registers: Sequence[int]) -> str:
    """`select` on each register; a term in several of them comes once."""
    short = f"{select} AND length(term) < {KEY_CHARS_MAX}"  # nobody reads what was cut
    return " UNION ".join([short] * len(registers))


def _make_values(reader: IndexReader, registers: Sequence[int]) -> _Values:
    select = (
        "SELECT term, records FROM posting WHERE register_id = ?"
        f" AND length(term) < {KEY_CHARS_MAX}"
    )
    sql = " UNION ALL ".join([select] * len(registers)) + " ORDER BY term"
    landmarks: list[str] = []
    parts: list[bytes] = []
    counts: list[int] = []
    size = 0
    rows: Iterator[tuple[str, bytes]] = iter(reader.connection.execute(sql, registers))
    for term, same_term in groupby(rows, key=itemgetter(0)):
        blobs = [blob for _, blob in same_term]
        if size % _STRIDE == 0:
            landmarks.append(term)
        size += 1
        if len(blobs) == 1 and blobs[0][0] == postings.TINY:
            data = blobs[0][1:]
        else:
            data = postings.union(blobs).to_array().tobytes()
        parts.append(data)
        counts.append(len(data) >> 2)
    record_ids = np.frombuffer(b"".join(parts), np.uint32)
    ordinals = np.repeat(np.arange(size, dtype=np.uint32), counts)
    by_record = np.argsort(record_ids, kind="stable")
    records = int(record_ids.max()) + 1 if record_ids.size else 0
    starts = np.zeros(records + 1, np.int64)
    np.cumsum(np.bincount(record_ids, minlength=records), out=starts[1:])
    return _Values(starts, ordinals[by_record], landmarks, size)


_SELECT_DISPLAY = "SELECT display FROM posting WHERE register_id = ? AND term = ?"


def _displayed(
    reader: IndexReader, access_point: str, chosen: Sequence[tuple[str, int]]
) -> tuple[FacetTerm, ...]:
    if access_point not in MANY_VALUED:
        return tuple(FacetTerm(term, term, count) for term, count in chosen)
    # Of authors, the access point of that name alone keeps what to show.
    register_id = reader.register_ids[key_register(access_point)]
    found = []
    for term, count in chosen:
        row = reader.connection.execute(_SELECT_DISPLAY, (register_id, term)).fetchone()
        display = (row[0] if row else None) or reader.delta.display(register_id, term)
        found.append(FacetTerm(term, display or term, count))
    return tuple(found)
