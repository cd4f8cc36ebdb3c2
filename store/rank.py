"""Relevance: a result put in the order of how well each record answers the terms.

Weights are those of BM25 over the words of the clauses that ask for ranking
(Bib-1 relation 102): rare words count more, repeated ones a little more, and
all count less in a longer field. A clause on `any` adds up the access points
that `any` is made of, titles and names before the rest.
Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework", §3.4.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from protocol.access_point import Kind
from protocol.access_points import BY_NAME
from protocol.query import Clause, Query, clauses
from store import analysis
from store.analysis import END
from store.clause import Slot, text_registers
from store.postings import SHARD_BITS, SHARD_MASK
from store.reader import BoundExceeded, IndexReader, Segment

_SATURATION = 1.2  # k1: how much a repeated word adds
_LENGTH_WEIGHT = 0.5  # b: titles differ less in kind than whole texts do
_WEIGHTS = {"title": 4.0, "title_pinyin": 2.0, "author": 3.0, "author_pinyin": 1.5, "subject": 2.0}
_INLINE_RECORDS_MAX = 5_000

Scores = npt.NDArray[np.float64]
Ids = npt.NDArray[np.uint32]
Parts = list[tuple[Segment, Ids]]  # the ids that each part of the index answers for


def is_ranked(query: Query) -> bool:
    """Whether any clause asks for the order of relevance."""
    if isinstance(query, Clause):
        return query.ranked
    return any(clause.ranked for clause in clauses(query))


def by_relevance(reader: IndexReader, query: Query, records: BitMap) -> array[int]:
    """The ids of `records`, the best answer to `query` first.

    Equal ones keep the order of their ids.

    Raises:
        BoundExceeded: there are too many to be ranked here.
    """
    if reader.main.bounds.inline and len(records) > _INLINE_RECORDS_MAX:
        raise BoundExceeded
    touched = reader.delta.touched
    weighted = list(_weighted_words(reader, query))
    segments: list[tuple[Segment, BitMap]] = [
        (reader.main, records - touched),
        (reader.delta, records & touched),
    ]
    parts = [
        (segment, np.frombuffer(part.to_array(), np.uint32)) for segment, part in segments if part
    ]
    if not parts:
        return array("I")
    all_ids = np.concatenate([ids for _, ids in parts])
    order = np.lexsort((all_ids, -_scores(parts, all_ids.size, weighted)))
    return array("I", all_ids[order].tobytes())


def _weighted_words(reader: IndexReader, query: Query) -> Iterator[tuple[int, Slot, float]]:
    """Each ranked word: the register it is in, and what one occurrence is worth."""
    for clause in clauses(query):
        point = BY_NAME.get(clause.access_point)
        if not clause.ranked or point is None or point.kind is not Kind.TEXT:
            continue
        for word in dict.fromkeys(analysis.query_words(clause.term, masks=False)):
            yield from _registers_of(reader, clause, Slot(word[1], word[0]))


def _registers_of(
    reader: IndexReader, clause: Clause, word: Slot
) -> Iterator[tuple[int, Slot, float]]:
    point = BY_NAME[clause.access_point]
    names = text_registers(point)
    frequency = len(reader.records(reader.register_ids[point.name], word.term))
    total = max(sum(reader.totals().values()), frequency)
    rarity = math.log1p((total - frequency + 0.5) / (frequency + 0.5))
    for name in names:
        weight = _WEIGHTS.get(name, 1.0) if len(names) > 1 else 1.0
        yield reader.register_ids[name], word, weight * rarity


def _scores(parts: Parts, size: int, weighted: list[tuple[int, Slot, float]]) -> Scores:
    """The scores of the records of all `parts`, in their order."""
    scores = np.zeros(size)
    norms: dict[int, Scores] = {}
    for register_id, word, weight in weighted:
        counts = np.concatenate(
            [
                np.bincount(_members(segment, register_id, word.term, ids)[0], minlength=ids.size)
                for segment, ids in parts
            ]
        )
        if not counts.any():
            continue
        norm = norms.get(register_id)
        if norm is None:
            norm = norms[register_id] = _length_norms(parts, register_id)
        scores += weight * counts * (_SATURATION + 1) / (counts + _SATURATION * norm)
    return scores


def _length_norms(parts: Parts, register_id: int) -> Scores:
    """How long each record is in one register, the mean of all parts being 1."""
    found = []
    for segment, ids in parts:
        members, positions = _members(segment, register_id, END, ids)
        of_part = np.zeros(ids.size)
        np.maximum.at(of_part, members, positions)
        found.append(of_part)
    lengths = np.concatenate(found)
    known = lengths[lengths > 0]
    return 1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * lengths / (known.mean() if known.size else 1.0)


def _members(
    segment: Segment, register_id: int, term: str, ids: Ids
) -> tuple[npt.NDArray[np.intp], Ids]:
    """Where a term stands in records of `ids`: their index there, and the position."""
    found, positions = [], []
    for shard, places in segment.positions(register_id, term).items():
        values = np.frombuffer(places.to_array(), np.uint32)
        record_ids = (values & np.uint32(SHARD_MASK)) | np.uint32(shard << SHARD_BITS)
        index = np.searchsorted(ids, record_ids)
        index[index == ids.size] = 0
        is_member = ids[index] == record_ids
        found.append(index[is_member])
        positions.append((values >> np.uint32(SHARD_BITS))[is_member])
    if not found:
        return np.empty(0, np.intp), np.empty(0, np.uint32)
    return np.concatenate(found), np.concatenate(positions)
