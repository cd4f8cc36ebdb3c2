"""Proximity: where operands stand to each other in a field (Z39.50-2003 §3.7.2).

An operand is a list of spans, from the place of its first word to that of its
last. A place is `record_id << 12 | position`; distances are counted from the
end of the earlier span to the start of the later one, so neighbours are at 1.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from protocol.access_point import Kind
from protocol.access_points import BY_NAME
from protocol.diagnostic import Bib1
from protocol.query import (
    Anchor,
    Boolean,
    Clause,
    Operator,
    Proximity,
    ProximityUnit,
    Relation,
    ResultSetRef,
    Structure,
    postorder,
)
from store import analysis
from store.analysis import START
from store.clause import Matcher, Refused, Slot, phrase_places, phrase_slots, text_registers
from store.postings import SHARD_BITS, SHARD_MASK
from store.reader import BoundExceeded, Segment

_POSITION_BITS = 12
# Pairs of spans of one field that are compared at once, 50 octets each.
_PAIRS_MAX = 4_000_000

Places = npt.NDArray[np.int64]
Compare = Callable[[Places, int], npt.NDArray[np.bool_]]

_COMPARISONS: dict[Relation, Compare] = {
    Relation.LESS: lambda distance, bound: distance < bound,
    Relation.LESS_OR_EQUAL: lambda distance, bound: distance <= bound,
    Relation.EQUAL: lambda distance, bound: distance == bound,
    Relation.GREATER_OR_EQUAL: lambda distance, bound: distance >= bound,
    Relation.GREATER: lambda distance, bound: distance > bound,
    Relation.NOT_EQUAL: lambda distance, bound: distance != bound,
}


@dataclass(frozen=True, slots=True)
class Spans:
    """Where an operand stands in one register; `starts` ascend."""

    starts: Places
    ends: Places


_Operand = Callable[[Segment, int], Spans]  # the spans in one register


def proximity_matcher(node: Boolean, registers: Mapping[str, int]) -> Matcher:
    """The records in which the operands of `node` stand as it says.

    Operands are terms of texts, OR of such, and proximity of such.

    Raises:
        Refused: Bib-1 129 for a result set or another operator beneath, 131
            for a relation, 201 for terms that never share a field.
    """
    stack: list[tuple[_Operand, frozenset[str]]] = []
    for part in postorder(node):
        if isinstance(part, Clause):
            stack.append(_term_operand(part))
            continue
        if isinstance(part, ResultSetRef):
            raise Refused(Bib1.PROXIMITY_OF_SETS_UNSUPPORTED, part.name)
        right, right_points = stack.pop()
        left, left_points = stack.pop()
        if isinstance(part.operator, Proximity):
            points = left_points & right_points
            if not points:
                names = ", ".join(sorted(left_points | right_points))
                raise Refused(Bib1.PROXIMITY_ATTRIBUTES_UNSUPPORTED, names)
            stack.append((_near(left, right, part.operator), points))
        elif part.operator is Operator.OR:
            stack.append((_either(left, right), left_points | right_points))
        else:
            raise Refused(Bib1.PROXIMITY_OF_SETS_UNSUPPORTED, part.operator.value)
    operand, points = stack[0]
    places_in = [registers[name] for name in sorted(points)]

    def ask(segment: Segment) -> BitMap:
        numbers = [operand(segment, register).starts >> _POSITION_BITS for register in places_in]
        found = np.unique(np.concatenate(numbers)).astype(np.uint32)
        return BitMap(array("I", found.tobytes()))

    return ask


def _term_operand(clause: Clause) -> tuple[_Operand, frozenset[str]]:
    point = BY_NAME.get(clause.access_point)
    if point is None:
        raise Refused(Bib1.USE_ATTRIBUTE_UNSUPPORTED, clause.access_point)
    if point.kind is not Kind.TEXT:
        raise Refused(Bib1.PROXIMITY_ATTRIBUTES_UNSUPPORTED, clause.access_point)
    if clause.relation is not Relation.EQUAL:
        raise Refused(Bib1.PROXIMITY_ATTRIBUTES_UNSUPPORTED, clause.relation.value)
    anchor = Anchor.COMPLETE if clause.structure is Structure.KEY else clause.anchor
    slots = phrase_slots(clause.term, anchor)
    points = frozenset(text_registers(point))
    if clause.structure is Structure.ANY_WORD and anchor is Anchor.ANYWHERE:
        either = _phrase_operand(slots[:1], 1)
        for slot in slots[1:]:
            either = _either(either, _phrase_operand([slot], 1))
        return either, points
    return _phrase_operand(slots, analysis.query_length(clause.term)), points


def _phrase_operand(slots: list[Slot], length: int) -> _Operand:
    """The spans of a phrase that takes `length` positions."""
    if not slots:
        return lambda segment, register: Spans(np.empty(0, np.int64), np.empty(0, np.int64))
    least = min(slot.offset for slot in slots)

    def spans(segment: Segment, register: int) -> Spans:
        starts = _in_order(phrase_places(segment, register, slots)) - least
        return Spans(starts, starts + (length - 1))

    return spans


def _in_order(shards: Mapping[int, BitMap]) -> Places:
    """The places of a register, by record and position."""
    parts = []
    for shard, bitmap in shards.items():
        values = np.frombuffer(bitmap.to_array(), np.uint32).astype(np.int64)
        record_ids = (values & SHARD_MASK) | (shard << SHARD_BITS)
        parts.append((record_ids << _POSITION_BITS) | (values >> SHARD_BITS))
    places = np.concatenate(parts) if parts else np.empty(0, np.int64)
    places.sort()
    return places


def _either(left: _Operand, right: _Operand) -> _Operand:
    def spans(segment: Segment, register: int) -> Spans:
        one, other = left(segment, register), right(segment, register)
        return _ordered(
            np.concatenate((one.starts, other.starts)), np.concatenate((one.ends, other.ends))
        )

    return spans


def _near(left: _Operand, right: _Operand, proximity: Proximity) -> _Operand:
    if proximity.relation not in _COMPARISONS:
        raise Refused(Bib1.PROXIMITY_RELATION_UNSUPPORTED, proximity.relation.value)

    def spans(segment: Segment, register: int) -> Spans:
        one, other = left(segment, register), right(segment, register)
        if not one.starts.size or not (other.starts.size or proximity.exclusion):
            return Spans(np.empty(0, np.int64), np.empty(0, np.int64))
        fields = _in_order(segment.positions(register, START))
        return _joined(one, other, proximity, fields)

    return spans


def _joined(left: Spans, right: Spans, proximity: Proximity, fields: Places) -> Spans:
    """The pairs of spans that `proximity` accepts, each as one span."""
    left_fields = np.searchsorted(fields, left.starts, "right")
    right_fields = np.searchsorted(fields, right.starts, "right")
    if proximity.unit is ProximityUnit.FIELD:
        left_groups, right_groups = left.starts >> _POSITION_BITS, right.starts >> _POSITION_BITS
    else:
        left_groups, right_groups = left_fields, right_fields
    # Every left span meets every right span of its field, or of its record.
    firsts = np.searchsorted(right_groups, left_groups, "left")
    counts = np.searchsorted(right_groups, left_groups, "right") - firsts
    pair_count = int(counts.sum())
    if pair_count > _PAIRS_MAX:
        raise BoundExceeded
    lefts = np.repeat(np.arange(left.starts.size), counts)
    within = np.arange(pair_count) - np.repeat(np.cumsum(counts) - counts, counts)
    rights = firsts[lefts] + within
    after = right.starts[rights] > left.ends[lefts]
    if proximity.unit is ProximityUnit.FIELD:
        distances = np.abs(right_fields[rights] - left_fields[lefts])
        in_order = (right_fields[rights] > left_fields[lefts]) | (after & (distances == 0))
    else:
        distances = np.where(
            after,
            right.starts[rights] - left.ends[lefts],
            left.starts[lefts] - right.ends[rights],
        )
        distances = np.maximum(distances, 0)  # spans that overlap
        in_order = after
    accepted = _COMPARISONS[proximity.relation](distances, proximity.distance)
    if proximity.unit is ProximityUnit.WORD:
        accepted &= distances > 0  # a word is not near itself
    if proximity.ordered:
        accepted &= in_order
    lefts, rights = lefts[accepted], rights[accepted]
    if proximity.exclusion:
        alone = np.ones(left.starts.size, np.bool_)
        alone[lefts] = False
        return Spans(left.starts[alone], left.ends[alone])
    return _ordered(
        np.minimum(left.starts[lefts], right.starts[rights]),
        np.maximum(left.ends[lefts], right.ends[rights]),
    )


def _ordered(starts: Places, ends: Places) -> Spans:
    order = np.argsort(starts, kind="stable")
    return Spans(starts[order], ends[order])
