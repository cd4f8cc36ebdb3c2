"""One pass over the main index: every row for itself, and some records to their last posting.

Memory goes with the number of those records, some 60 kB each, and not with the
catalogue. `store.index_check` compares everything with a second index instead.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from pyroaring import BitMap

from store import postings
from store.analysis import END, START
from store.gather import PLACE_SHIFT, Postings
from store.indexed_versions import IndexedVersion, add_version
from store.postings import POSITION_MAX, SHARD_BITS, SHARD_MASK

_POSITION_MASK = (1 << PLACE_SHIFT) - 1
_ANCHORS = frozenset((START, END))  # they have positions only

_ONE_NUMBER = 1 + 4  # octets of a blob that has one

_Key = tuple[int, str]  # register and term


@dataclass(slots=True)
class Sample:
    """Some records of the main index with every posting that they bring to it.

    `records` are the ids by register and term, `places` the positions of each.
    """

    record_ids: BitMap = field(default_factory=BitMap)
    records: dict[_Key, set[int]] = field(default_factory=dict)
    places: dict[_Key, set[tuple[int, int]]] = field(default_factory=dict)

    def add(self, version: IndexedVersion, register_ids: dict[str, int]) -> None:
        """Raises StoreError: the record is damaged."""
        brought = Postings()
        add_version(brought, 0, version)
        record_id = version.record_id
        self.record_ids.add(record_id)
        for name, terms in brought.each_by_term():
            register_id = register_ids[name]
            for term, values in terms.items():
                key = (register_id, term)
                if term not in _ANCHORS:
                    self.records.setdefault(key, set()).add(record_id)
                for value in values:
                    position = value & _POSITION_MASK
                    if position != POSITION_MAX:
                        self.places.setdefault(key, set()).add((record_id, position))


def audit(connection: sqlite3.Connection, live: BitMap, sample: Sample) -> Iterator[str]:
    """What is wrong with the rows of the main index; `live` are the records it should hold.

    Takes apart `sample`. Runs inside the caller's transaction.
    """
    names = dict(connection.execute("SELECT register_id, name FROM register").fetchall())
    yield from _audit_postings(connection, names, live, sample)
    yield from _audit_positions(connection, names, live, sample)


def _audit_postings(
    connection: sqlite3.Connection, names: dict[int, str], live: BitMap, sample: Sample
) -> Iterator[str]:
    expected, chosen = sample.records, sample.record_ids
    for register_id, term, frequency, blob in connection.execute(
        "SELECT register_id, term, frequency, records FROM posting ORDER BY register_id, term"
    ):
        # Most rows have one record, and this is all there is to be seen of them.
        if frequency == 1 and _has_one(blob):
            only = int.from_bytes(blob[1:], "little")
            if only in live and only not in chosen and (register_id, term) not in expected:
                continue
        where = f"posting {names.get(register_id, register_id)} {term!r}"
        records = decoded(blob)
        if records is None:
            yield f"{where} cannot be read"
            continue
        if frequency != len(records) or not records:
            yield f"{where} says {frequency} records and has {len(records)}"
        if not records.issubset(live):
            yield f"{where} has {_some(records - live)}, which the index should not hold"
        here = records & sample.record_ids
        brought = expected.pop((register_id, term), None)
        if here or brought:
            yield from _differences(where, set(here), brought or set())
    for (register_id, term), missing in expected.items():
        yield f"posting {names[register_id]} {term!r} lacks {_some(missing)}"


def _audit_positions(
    connection: sqlite3.Connection, names: dict[int, str], live: BitMap, sample: Sample
) -> Iterator[str]:
    flags = np.zeros(((live.max() if live else 0) >> SHARD_BITS) + 1 << SHARD_BITS, np.bool_)
    flags[np.frombuffer(live.to_array(), np.uint32)] = True
    sampled = np.zeros_like(flags)
    sampled[np.frombuffer(sample.record_ids.to_array(), np.uint32)] = True
    expected, drawn = sample.places, sample.record_ids
    for register_id, term, shard, blob in connection.execute(
        "SELECT register_id, term, shard, positions FROM position ORDER BY register_id, term, shard"
    ):
        if _has_one(blob):
            only = int.from_bytes(blob[1:], "little") & SHARD_MASK | shard << SHARD_BITS
            if only in live and only not in drawn and (register_id, term) not in expected:
                continue
        where = f"position {names.get(register_id, register_id)} {term!r}"
        places = decoded(blob)
        if not places:
            yield f"{where} cannot be read" if places is None else f"{where} is empty"
            continue
        values = np.frombuffer(places.to_array(), np.uint32)
        record_ids = (values & np.uint32(SHARD_MASK)) | np.uint32(shard << SHARD_BITS)
        known = record_ids < flags.size
        excess = record_ids[~known]
        inside = record_ids[known]
        excess = np.concatenate((excess, inside[~flags[inside]]))
        if excess.size:
            yield f"{where} has {_some(excess.tolist())}, which the index should not hold"
        chosen = np.flatnonzero(known)[sampled[inside]]
        here = set(
            zip(
                record_ids[chosen].tolist(),
                (values[chosen] >> np.uint32(SHARD_BITS)).tolist(),
                strict=True,
            )
        )
        brought = expected.get((register_id, term), set())
        of_shard = {place for place in brought if place[0] >> SHARD_BITS == shard}
        if of_shard - here:
            yield f"{where} lacks {_of_places(of_shard - here)}"
        if here - of_shard:
            yield f"{where} has {_of_places(here - of_shard)}, which do not bring it"
        brought -= of_shard
    for (register_id, term), missing in expected.items():
        if missing:
            yield f"position {names[register_id]} {term!r} lacks {_of_places(missing)}"


def _differences(where: str, found: set[int], expected: set[int]) -> Iterator[str]:
    if expected - found:
        yield f"{where} lacks {_some(expected - found)}"
    if found - expected:
        yield f"{where} has {_some(found - expected)}, which do not bring it"


def _has_one(blob: object) -> bool:
    return isinstance(blob, bytes) and len(blob) == _ONE_NUMBER and blob[0] == postings.TINY


def decoded(blob: object) -> BitMap | None:
    """The numbers of a blob; None: it is none."""
    if not isinstance(blob, bytes) or not blob:
        return None
    if blob[0] == postings.TINY:
        return postings.decode(blob) if len(blob) % 4 == 1 else None
    if blob[0] not in {postings.ROARING, postings.PACKED}:
        return None
    try:
        return postings.decode(blob)
    except (ValueError, MemoryError, OverflowError):
        return None


def _of_places(places: Iterable[tuple[int, int]]) -> str:
    return _some(record_id for record_id, _ in places)


def _some(record_ids: Iterable[int]) -> str:
    """Record ids as a sentence names them: a few of them, and how many there are."""
    ids = sorted(set(record_ids))
    named = ", ".join(map(str, ids[:3])) + " …" * (len(ids) > 3)
    return f"record {named}" if len(ids) == 1 else f"{len(ids)} records ({named})"
