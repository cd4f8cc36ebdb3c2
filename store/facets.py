"""Facets: the values that the records of a set have, and how many have each.

Counts are exact. Two ways lead to them. Where an access point has few values
(languages, years, libraries), each value's records are intersected with the
set. Where it has about as many as there are records (authors, subjects), the
values of the set's records are counted, at a cost of the set's size, however
large the catalogue (`store.record_values`). Changed records are counted by what
the delta holds of them.
Source: SRU 2.0 (OASIS searchRetrieve part 3), facetedResults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import islice

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from protocol.access_point import AccessPoint, Kind
from protocol.access_points import BY_NAME
from protocol.diagnostic import Bib1, Diagnostic
from protocol.query import Anchor, Clause, Operator, Query, Structure, joined
from store.gather import KEY_CHARS_MAX
from store.interface import FacetList, FacetTerm, ResultSet
from store.reader import BoundExceeded, IndexReader, TermRange
from store.record_values import (
    MANY_VALUED,
    Counts,
    Integers,
    RecordValues,
    RecordValuesCache,
    registers_of,
)
from store.registers import key_register
from store.result_set import RecordSet

LIMIT_MAX = 1000  # one answer never has more, whatever a client asks for
START_MAX = 2000  # values passed over

_FEW_VALUED = frozenset((Kind.CODE, Kind.DATE))

# What may be counted on the event loop: some milliseconds at the worst.
_INLINE_RECORDS_MAX = 5_000
_INLINE_TERMS_MAX = 256  # of changed records, or to be named
_NAMED_AT_ONCE = 32


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


def facets(
    reader: IndexReader,
    cache: RecordValuesCache,
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
    without facets 232, a `start` beyond START_MAX 13.

    Raises:
        BoundExceeded: it takes too long here.
    """
    point = BY_NAME.get(access_point)
    if point is None:
        return Diagnostic(Bib1.USE_ATTRIBUTE_UNSUPPORTED, access_point)
    if not can_count(point):
        return Diagnostic(Bib1.SCAN_TERM_LIST_UNSUPPORTED, access_point)
    if start > START_MAX:
        return Diagnostic(Bib1.PRESENT_OUT_OF_RANGE, str(start))
    members = records.records if isinstance(records, RecordSet) else _members(records)
    if reader.main.bounds.inline and len(members) > _INLINE_RECORDS_MAX:
        raise BoundExceeded
    first = max(start, 0)
    wanted = slice(first, first + min(max(limit, 0), LIMIT_MAX))
    touched = reader.delta.touched
    merged = members - touched if touched else members
    if access_point in MANY_VALUED:
        changed = _changed_fields(reader, access_point, members & touched)
        values = cache.get(reader, access_point, merged)
        return _of_many(reader, values, merged, changed, wanted, by_count=by_count)
    counts = _few_counts(reader, access_point, merged)
    if touched:
        register_id = reader.register_ids[access_point]
        for term, having in reader.delta.members(register_id, members & touched).items():
            counts[term] = counts.get(term, 0) + len(having)
    chosen = _in_order(counts.items(), by_count=by_count)[wanted]
    return FacetList(tuple(FacetTerm(term, term, count) for term, count in chosen), len(counts))


def _members(records: ResultSet) -> BitMap:
    ids = records.ids(1, len(records))
    return BitMap() if isinstance(ids, Diagnostic) else BitMap(ids)


def _in_order(counts: Iterable[tuple[str, int]], *, by_count: bool) -> list[tuple[str, int]]:
    if by_count:
        return sorted(counts, key=lambda each: (-each[1], each[0]))
    return sorted(counts)


def _few_counts(reader: IndexReader, access_point: str, members: BitMap) -> dict[str, int]:
    """How many of `members` have each value, by the main index."""
    register_id = reader.register_ids[access_point]
    counts = {}
    for term in reader.main.terms(register_id, TermRange("")) if members else ():
        count = reader.main.records(register_id, term).intersection_cardinality(members)
        if count:
            counts[term] = count
    return counts


_Changed = dict[str, tuple[str, int]]  # term to its display and how many records have it


def _changed_fields(reader: IndexReader, access_point: str, members: BitMap) -> _Changed:
    """What `members`, all of them changed, have by the delta."""
    if not members:
        return {}
    found: dict[str, BitMap] = {}
    for register_id in registers_of(reader, access_point):
        for term, records in reader.delta.members(register_id, members).items():
            if len(term) < KEY_CHARS_MAX:
                found[term] = found.get(term, BitMap()) | records
    # Of authors, the access point of that name alone keeps what to show.
    shown_by = reader.register_ids[key_register(access_point)]
    return {
        term: (reader.delta.display(shown_by, term) or term, len(records))
        for term, records in found.items()
    }


def _of_many(
    reader: IndexReader,
    values: RecordValues,
    merged: BitMap,
    changed: _Changed,
    wanted: slice,
    *,
    by_count: bool,
) -> FacetList:
    stale = merged & values.stale
    for record_id in stale:
        for term, display in values.stale_fields(reader, record_id).items():
            known = changed.get(term)
            changed[term] = (display, 1) if known is None else (known[0], known[1] + 1)
    if reader.main.bounds.inline and (
        len(changed) > _INLINE_TERMS_MAX or wanted.stop > _INLINE_TERMS_MAX
    ):
        raise BoundExceeded
    fresh = merged - stale if stale else merged
    counted = values.count(fresh)
    total = counted.ordinals.size
    # Values of changed records are counted over all records, apart from the rest.
    registers = registers_of(reader, values.access_point)
    apart = []
    for term, (display, count) in changed.items():
        having = BitMap.union(*[reader.main.records(each, term) for each in registers])
        others = having.intersection_cardinality(fresh)
        apart.append(FacetTerm(term, display, count + others))
        total += others == 0
    if by_count:
        order = _least((counted.ordinals, -counted.counts), wanted.stop + len(changed))
    else:
        order = np.arange(min(wanted.stop + len(changed), counted.ordinals.size))
    if not changed:  # nothing moves, so what is passed over needs no name
        return FacetList(tuple(_named(reader, values, counted, order[wanted])), total)
    key = _by_count if by_count else _by_term
    rest = (each for each in _named(reader, values, counted, order) if each.term not in changed)
    both = merge(sorted(apart, key=key), rest, key=key)
    return FacetList(tuple(islice(both, wanted.start, wanted.stop)), total)


def _by_count(term: FacetTerm) -> tuple[int, str]:
    return -term.count, term.term


def _by_term(term: FacetTerm) -> tuple[int, str]:
    return 0, term.term


def _named(
    reader: IndexReader, values: RecordValues, counted: Counts, order: npt.NDArray[np.intp]
) -> Iterator[FacetTerm]:
    """The counted values at the places of `order`, named a few at a time."""
    for first in range(0, order.size, _NAMED_AT_ONCE):
        places = order[first : first + _NAMED_AT_ONCE]
        names = values.name(reader, counted, counted.ordinals[places].tolist())
        for (term, display), count in zip(names, counted.counts[places].tolist(), strict=True):
            if term:
                yield FacetTerm(term, display, count)


def _least(keys: tuple[Integers, ...], wanted: int) -> npt.NDArray[np.intp]:
    """Where the `wanted` least entries stand, in order; the last of `keys` decides first."""
    first = keys[-1]
    if wanted < first.size:  # few are wanted of many, so most need no order
        bound = np.partition(first, wanted)[wanted]
        candidates = np.flatnonzero(first <= bound)
        return candidates[np.lexsort([key[candidates] for key in keys])[:wanted]]
    return np.lexsort(keys)
