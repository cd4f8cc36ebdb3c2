"""Sort: result sets put in the order of what their records say.

Every sort value of an access point has a rank (`store.sort_ranks`); sorting a
set is then arithmetic on numbers.
Source: Z39.50-2003 §3.2.7.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from protocol.access_points import BY_NAME
from protocol.diagnostic import Bib1, Diagnostic
from protocol.iso2709 import parse
from protocol.query import SortSpec
from store import extract
from store.index import cut_value
from store.interface import ResultSet
from store.reader import BoundExceeded, IndexReader
from store.records import read_databases
from store.result_set import RecordSet
from store.sort_ranks import RankCache, Ranks, SortRanks, TooStale

KEYS_MAX = 8
# Records that a case-sensitive key reads: some 50 µs each.
CASED_RECORDS_MAX = 20_000
CASED_RECORDS_INLINE_MAX = 64
SETS_MAX = 32

_LOWEST = np.int64(-1)
_HIGHEST = np.int64(1 << 60)
_ABSENT = np.int64(0)
_PACKED_BITS_MAX = 62
_SELECT_MARC = "SELECT database_id, unpacked(marc) FROM record WHERE record_id = ?"


def sort(
    reader: IndexReader, cache: RankCache, sets: Sequence[ResultSet], keys: Sequence[SortSpec]
) -> RecordSet | Diagnostic:
    """The union of `sets` in the order of `keys`, the first key deciding first.

    Records that the keys cannot tell apart keep the order of the sets. Values are
    folded as they are indexed; a case-sensitive key looks at the records whose
    values are the same then, and puts them in the order of their text as it is
    written, capitals first, unless there are more than CASED_RECORDS_MAX.

    Too many keys are Bib-1 211, a key twice 212, too many sets 230, an access point
    that does not sort 207, a record without a value under "fail" 237.

    Raises:
        BoundExceeded: ranks must be made first, and that takes too long here.
    """
    refusal = _refusal(sets, keys)
    if refusal is not None:
        return refusal
    record_ids = _in_first_order(sets)
    only = sets[0] if len(sets) == 1 else None
    # To make a bitmap of numbers takes longer than to sort them.
    members = only.records if isinstance(only, RecordSet) else _bitmap(record_ids)
    omitted: npt.NDArray[np.bool_] | None = None
    order: list[Ranks] = []
    for key in keys:
        ranks, missing_rank = _ranks_of(reader, cache, key, record_ids, members)
        absent = ranks == _ABSENT
        cased = _cased_ranks(reader, key, record_ids, ranks) if key.case_sensitive else None
        if absent.any():
            if key.missing == "fail":
                return Diagnostic(Bib1.ILLEGAL_SORT, key.access_point)
            if key.missing == "omit":
                omitted = absent if omitted is None else omitted | absent
            ranks[absent] = missing_rank
        order.append(-ranks if key.descending else ranks)
        if cased is not None:
            order.append(-cased if key.descending else cased)
    positions = _in_order(order[0]) if len(order) == 1 else np.lexsort(order[::-1])
    if omitted is not None:
        positions = positions[~omitted[positions]]
        members = members & _bitmap(record_ids[~omitted])
    return RecordSet(members, array("I", record_ids[positions].tobytes()))


def _in_order(ranks: Ranks) -> npt.NDArray[np.intp]:
    """The positions of ascending ranks, equal ones as they are.

    Numbers of rank and position together are sorted by vector instructions, which
    takes a quarter of a stable sort's time.
    """
    position_bits = ranks.size.bit_length()
    greatest = int(np.abs(ranks).max(initial=0))
    if greatest.bit_length() + position_bits > _PACKED_BITS_MAX:
        return np.argsort(ranks, kind="stable")
    packed = ranks << position_bits
    packed |= np.arange(ranks.size)
    packed.sort()
    packed &= (1 << position_bits) - 1
    return packed


def _refusal(sets: Sequence[ResultSet], keys: Sequence[SortSpec]) -> Diagnostic | None:
    if len(sets) > SETS_MAX:
        return Diagnostic(Bib1.SORT_TOO_MANY_INPUTS, str(len(sets)))
    if len(keys) > KEYS_MAX:
        return Diagnostic(Bib1.TOO_MANY_SORT_KEYS, str(len(keys)))
    names = [key.access_point for key in keys]
    for index, key in enumerate(keys):
        point = BY_NAME.get(key.access_point)
        if point is None or not point.sortable:
            return Diagnostic(Bib1.SORT_SEQUENCE_UNSUPPORTED, key.access_point)
        if key.access_point in names[:index]:
            return Diagnostic(Bib1.DUPLICATE_SORT_KEYS, key.access_point)
        if key.missing not in {"high", "low", "omit", "fail"} and key.missing[:1] != "=":
            return Diagnostic(Bib1.MISSING_DATA_ACTION_UNSUPPORTED, key.missing)
    return None


def _bitmap(record_ids: npt.NDArray[np.uint32]) -> BitMap:
    return BitMap(array("I", record_ids.tobytes()))  # of an array of numpy it reads one by one


def _in_first_order(sets: Sequence[ResultSet]) -> npt.NDArray[np.uint32]:
    """The records of all sets, each at its first place."""
    orders: list[npt.NDArray[np.uint32]] = []
    for result_set in sets:
        if isinstance(result_set, RecordSet):
            orders.append(np.frombuffer(result_set.order, np.uint32))
            continue
        ids = result_set.ids(1, len(result_set))
        if not isinstance(ids, Diagnostic):
            orders.append(np.array(ids, np.uint32))
    if len(orders) == 1:
        return orders[0]
    together = np.concatenate(orders) if orders else np.empty(0, np.uint32)
    _, first = np.unique(together, return_index=True)
    first.sort()
    return together[first]


def _ranks_of(
    reader: IndexReader,
    cache: RankCache,
    key: SortSpec,
    record_ids: npt.NDArray[np.uint32],
    members: BitMap,
) -> tuple[Ranks, np.int64]:
    """The rank of each record, _ABSENT for one without a value, and what that one gets.

    `members` are the same records, and not to be changed.
    """
    touched = reader.delta.touched & members
    untouched = members - touched if touched else members
    kept = cache.get(reader, key.access_point, untouched)
    try:
        return _ranks_by(reader, kept, key, record_ids, untouched, touched)
    except TooStale:
        kept = cache.renewed(reader, key.access_point, kept)
        return _ranks_by(reader, kept, key, record_ids, untouched, touched)


def _ranks_by(
    reader: IndexReader,
    kept: SortRanks,
    key: SortSpec,
    record_ids: npt.NDArray[np.uint32],
    untouched: BitMap,
    touched: BitMap,
) -> tuple[Ranks, np.int64]:
    """What `_ranks_of` says; `touched` are those of the records that the delta speaks of."""
    ranks = kept.of(record_ids)
    values = _changed_values(reader, kept, record_ids, untouched, touched)
    substitute: str | None = None
    wanted = {value for value in values.values() if value is not None}
    if key.missing[:1] == "=":
        substitute = cut_value(extract.sort_value(key.access_point, key.missing[1:]))
        wanted.add(substitute)
    rank_of: dict[str | None, int] = {None: int(_ABSENT)}
    # Values that the array lacks come after the greatest it has before them.
    for step, value in enumerate(sorted(wanted), 1):
        rank, is_exact = kept.rank(reader, value)
        rank_of[value] = rank if is_exact else rank + step
    for index, changed_value in values.items():
        ranks[index] = rank_of[changed_value]
    if substitute is not None:
        return ranks, np.int64(rank_of[substitute])
    return ranks, _LOWEST if key.missing == "low" else _HIGHEST


def _cased_ranks(
    reader: IndexReader, key: SortSpec, record_ids: npt.NDArray[np.uint32], ranks: Ranks
) -> Ranks | None:
    """Ranks among records with one folded value, by their text as written; None: no two have.

    Raises:
        BoundExceeded: so many records have to be read that it takes too long here.
    """
    if key.access_point not in ("title", "author"):
        return None
    _, groups, sizes = np.unique(ranks, return_inverse=True, return_counts=True)
    tied = np.flatnonzero((sizes[groups] > 1) & (ranks != _ABSENT)).tolist()
    if not tied or len(tied) > CASED_RECORDS_MAX:
        return None
    if reader.main.bounds.inline and len(tied) > CASED_RECORDS_INLINE_MAX:
        raise BoundExceeded
    databases = read_databases(reader.connection)
    texts: dict[int, str] = {}
    for index in tied:
        row = reader.connection.execute(_SELECT_MARC, (int(record_ids[index]),)).fetchone()
        if row is not None:
            record, family = parse(row[1]), databases[row[0]].family
            texts[index] = extract.cased_sort_text(record, family, key.access_point)
    rank_of = {text: rank for rank, text in enumerate(sorted(set(texts.values())))}
    cased = np.zeros(record_ids.size, np.int64)
    for index, text in texts.items():
        cased[index] = rank_of[text]
    return cased


def _changed_values(
    reader: IndexReader,
    kept: SortRanks,
    record_ids: npt.NDArray[np.uint32],
    untouched: BitMap,
    touched: BitMap,
) -> dict[int, str | None]:
    """The value of each record that the array is wrong about, by its index in `record_ids`."""
    stale = untouched & kept.stale
    changed = touched | stale
    if not changed:
        return {}
    values: dict[int, str | None] = kept.values(reader, stale)
    if touched:
        new = reader.delta.values(kept.register_id)
        values.update((record_id, new.get(record_id)) for record_id in touched)
    indexes = np.flatnonzero(np.isin(record_ids, changed.to_array())).tolist()
    return {index: values.get(int(record_ids[index])) for index in indexes}
