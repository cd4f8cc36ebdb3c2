"""A query tree evaluated on the index: record numbers in, record numbers out.

A tree becomes a list of instructions for a stack once, and runs on the main
index and on the delta. Nothing recurses, however deep a client nests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from pyroaring import BitMap

from protocol.diagnostic import Bib1, Diagnostic
from protocol.query import Boolean, Clause, Operator, Proximity, Query, ResultSetRef
from store.clause import Matcher, Refused, all_of, matcher
from store.interface import ResultSet
from store.proximity import proximity_matcher
from store.reader import IndexReader, Segment
from store.registers import DATABASE
from store.result_set import RecordSet


class _Do(Enum):
    ASK = auto()
    AND = auto()
    OR = auto()
    AND_NOT = auto()
    SKIP_IF_EMPTY = auto()


@dataclass(slots=True)
class _Instruction:
    do: _Do
    ask: Matcher | None = None
    target: int = 0  # of a skip: the instruction after the operator


Plan = list[_Instruction]

_OPERATIONS = {Operator.AND: _Do.AND, Operator.OR: _Do.OR, Operator.AND_NOT: _Do.AND_NOT}


def plan(
    query: Query, registers: Mapping[str, int], sets: Mapping[str, ResultSet]
) -> Plan | Diagnostic:
    """The instructions of `query`, or why it cannot be searched.

    An unknown result set is Bib-1 30 with its name (Z39.50-2003 §3.7.1).
    """
    try:
        return _plan(query, registers, sets)
    except Refused as refused:
        return refused.diagnostic


def _plan(query: Query, registers: Mapping[str, int], sets: Mapping[str, ResultSet]) -> Plan:
    clauses = _conjuncts(query)
    if clauses is not None:  # nearly every query of a cataloguer
        return [_Instruction(_Do.ASK, all_of([matcher(each, registers) for each in clauses]))]
    instructions: Plan = []
    skips: list[_Instruction] = []  # whose operator is still to come
    todo: list[Query | _Instruction] = [query]
    while todo:
        node = todo.pop()
        if isinstance(node, _Instruction):
            instructions.append(node)
            if node.do is _Do.SKIP_IF_EMPTY:
                skips.append(node)
            elif node.do is not _Do.OR:
                skips.pop().target = len(instructions)
        elif isinstance(node, ResultSetRef):
            instructions.append(_Instruction(_Do.ASK, _records_of(node.name, sets)))
        elif not isinstance(node, Boolean):
            instructions.append(_Instruction(_Do.ASK, matcher(node, registers)))
        elif isinstance(node.operator, Proximity):
            instructions.append(_Instruction(_Do.ASK, proximity_matcher(node, registers)))
        else:
            todo += [_Instruction(_OPERATIONS[node.operator]), node.right]
            if node.operator is not Operator.OR:
                todo.append(_Instruction(_Do.SKIP_IF_EMPTY))
            todo.append(node.left)
    return instructions


def _conjuncts(query: Query) -> list[Clause] | None:
    """The clauses that AND joins from the left, or the only one; None: it is no such query.

    They are asked in that order, up to the first that leaves nothing.
    """
    clauses: list[Clause] = []
    while isinstance(query, Boolean):
        if query.operator is not Operator.AND or not isinstance(query.right, Clause):
            return None
        clauses.append(query.right)
        query = query.left
    if not isinstance(query, Clause):
        return None
    clauses.append(query)
    clauses.reverse()
    return clauses


def _records_of(name: str, sets: Mapping[str, ResultSet]) -> Matcher:
    result_set = sets.get(name)
    if result_set is None:
        raise Refused(Bib1.RESULT_SET_UNKNOWN, name)
    if not isinstance(result_set, RecordSet):
        raise Refused(Bib1.ILLEGAL_RESULT_SET_NAME, name)
    records = result_set.records
    return lambda segment: records


def run(instructions: Plan, segment: Segment) -> BitMap:
    """The records of one segment that match; not to be changed.

    Raises:
        BoundExceeded: more would be touched than `segment.bounds` allow.
    """
    if len(instructions) == 1 and instructions[0].ask is not None:
        return instructions[0].ask(segment)
    stack: list[BitMap] = []
    at = 0
    end = len(instructions)
    while at < end:
        instruction = instructions[at]
        at += 1
        do = instruction.do
        if instruction.ask is not None:
            stack.append(instruction.ask(segment))
        elif do is _Do.SKIP_IF_EMPTY:
            if not stack[-1]:
                at = instruction.target
        else:
            right = stack.pop()
            left = stack[-1]
            if do is _Do.AND:
                stack[-1] = left & right
            elif do is _Do.OR:
                stack[-1] = left | right
            else:
                stack[-1] = left - right
    return stack[0]


def search(reader: IndexReader, databases: Sequence[str] | None, instructions: Plan) -> BitMap:
    """The records of `databases` that match; None means every database.

    The reader has begun. Raises like `run`.
    """
    records = _in_databases(reader, databases, reader.main, run(instructions, reader.main))
    touched = reader.delta.touched
    if touched:
        changed = run(instructions, reader.delta) & touched
        changed = _in_databases(reader, databases, reader.delta, changed)
        records = (records - touched) | changed
    return records


def search_values(
    reader: IndexReader, databases: Sequence[str] | None, register: int, terms: Sequence[str]
) -> BitMap:
    """As `search` for a clause of whole values: the records that have any of `terms`."""
    records = _in_databases(
        reader, databases, reader.main, _any_value(reader.main, register, terms)
    )
    touched = reader.delta.touched
    if touched:
        changed = _any_value(reader.delta, register, terms) & touched
        changed = _in_databases(reader, databases, reader.delta, changed)
        records = (records - touched) | changed
    return records


def _any_value(segment: Segment, register: int, terms: Sequence[str]) -> BitMap:
    if len(terms) == 1:
        return segment.records(register, terms[0])
    return BitMap.union(*[segment.records(register, term) for term in terms]) if terms else BitMap()


def _in_databases(
    reader: IndexReader, databases: Sequence[str] | None, segment: Segment, records: BitMap
) -> BitMap:
    if databases is None or not records:
        return records
    register = reader.register_ids[DATABASE]
    held = [segment.records(register, name) for name in databases]
    return records & (held[0] if len(held) == 1 else BitMap.union(*held))
