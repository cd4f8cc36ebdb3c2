"""Sort: result sets put in the order of what their records say.

Every sort value of an access point has a rank, its place in the ordered list
of values. Ranks of the whole catalogue are one array, made once for a state of
the main index; sorting a set is then arithmetic on numbers.
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
from store import extract, postings
from store.index import cut_value
from store.interface import ResultSet
from store.reader import BoundExceeded, IndexReader
from store.records import read_databases
from store.registers import sort_register
from store.result_set import RecordSet

KEYS_MAX = 8
# Records that a case-sensitive key reads: some 50 µs each.
CASED_RECORDS_MAX = 20_000
CASED_RECORDS_INLINE_MAX = 64
SETS_MAX = 32

Ranks = npt.NDArray[np.int64]

# Between two values of the main index lie that many ranks for changed records.
_GAP_BITS = 20
_LOWEST = np.int64(-1)
_HIGHEST = np.int64(1 << 60)
_ABSENT = np.int64(0)
_SELECT_MARC = "SELECT database_id, marc FROM record WHERE record_id = ?"
_SELECT_VALUES = "SELECT records FROM posting WHERE register_id = ? ORDER BY term"
_SELECT_UP_TO = (
    "SELECT term, records FROM posting WHERE register_id = ? AND term <= ?"
    " ORDER BY term DESC LIMIT 1"
)


class RankCache:
    """The ranks of each sort register, shared by every reader of a process."""

    def __init__(self) -> None:
        self._ranks: dict[int, tuple[int, Ranks]] = {}

    def get(self, reader: IndexReader, register_id: int) -> Ranks:
        """Ranks by record id, 0 where the main index knows none.

        Raises:
            BoundExceeded: they must be made first, and that takes too long here.
        """
        generation, ranks = self._ranks.get(register_id, (0, None))
        if ranks is None or generation != reader.generation:
            if reader.main.bounds.inline:
                raise BoundExceeded
            ranks = _make_ranks(reader, register_id)
            self._ranks[register_id] = (reader.generation, ranks)
        return ranks


def _make_ranks(reader: IndexReader, register_id: int) -> Ranks:
    parts: list[bytes] = []
    counts: list[int] = []
    for (blob,) in reader.connection.execute(_SELECT_VALUES, (register_id,)):
        data = blob[1:] if blob[0] == postings.TINY else postings.decode(blob).to_array().tobytes()
        parts.append(data)
        counts.append(len(data) >> 2)
    record_ids = np.frombuffer(b"".join(parts), np.uint32)
    ranks = np.zeros(int(record_ids.max()) + 1 if record_ids.size else 1, np.int64)
    ranks[record_ids] = np.repeat(np.arange(1, len(counts) + 1) << _GAP_BITS, counts)
    return ranks


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
    kept = np.ones(record_ids.size, np.bool_)
    order: list[Ranks] = []
    for key in keys:
        ranks, missing_rank = _ranks_of(reader, cache, key, record_ids)
        absent = ranks == _ABSENT
        cased = _cased_ranks(reader, key, record_ids, ranks) if key.case_sensitive else None
        if absent.any():
            if key.missing == "fail":
                return Diagnostic(Bib1.ILLEGAL_SORT, key.access_point)
            if key.missing == "omit":
                kept &= ~absent
            ranks[absent] = missing_rank
        order.append(-ranks if key.descending else ranks)
        if cased is not None:
            order.append(-cased if key.descending else cased)
    positions = np.lexsort(order[::-1])
    positions = positions[kept[positions]]
    data = record_ids[positions].astype(np.uint32)
    in_order = array("I", data.tobytes())
    only = sets[0] if len(sets) == 1 else None
    if isinstance(only, RecordSet) and kept.all():
        return RecordSet(only.records, in_order)  # one of unordered numbers takes long to make
    return RecordSet(BitMap(in_order), in_order)


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


def _in_first_order(sets: Sequence[ResultSet]) -> npt.NDArray[np.uint32]:
    """The records of all sets, each at its first place."""
    orders = []
    for result_set in sets:
        if isinstance(result_set, RecordSet):
            orders.append(np.array(result_set.order, np.uint32))
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
    reader: IndexReader, cache: RankCache, key: SortSpec, record_ids: npt.NDArray[np.uint32]
) -> tuple[Ranks, np.int64]:
    """The rank of each record, _ABSENT for one without a value, and what that one gets."""
    register_id = reader.register_ids[sort_register(key.access_point)]
    main = cache.get(reader, register_id)
    ranks = np.zeros(record_ids.size, np.int64)
    known = record_ids < main.size
    ranks[known] = main[record_ids[known]]
    values = _changed_values(reader, register_id, record_ids)
    substitute: str | None = None
    wanted = {value for value in values.values() if value is not None}
    if key.missing[:1] == "=":
        substitute = cut_value(extract.sort_value(key.access_point, key.missing[1:]))
        wanted.add(substitute)
    rank_of: dict[str | None, int] = {None: int(_ABSENT)}
    # Values that the main index lacks come after the greatest it has before them.
    for step, value in enumerate(sorted(wanted), 1):
        rank, is_exact = _rank_in_main(reader, main, register_id, value)
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
    reader: IndexReader, register_id: int, record_ids: npt.NDArray[np.uint32]
) -> dict[int, str | None]:
    """The value of each changed record, by its index in `record_ids`."""
    touched = reader.delta.touched
    if not touched:
        return {}
    changed = np.flatnonzero(np.isin(record_ids, touched.to_array())).tolist()
    if not changed:
        return {}
    values = reader.delta.values(register_id)
    return {index: values.get(int(record_ids[index])) for index in changed}


def _rank_in_main(
    reader: IndexReader, main: Ranks, register_id: int, value: str
) -> tuple[int, bool]:
    """The rank of `value`, or of the greatest value before it; and whether it is exact."""
    row = reader.connection.execute(_SELECT_UP_TO, (register_id, value)).fetchone()
    if row is None:
        return 0, False
    return int(main[postings.decode(row[1]).min()]), row[0] == value
