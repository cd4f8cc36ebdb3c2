"""Queries as they travel: the type-1 and type-101 RPN tree, CQL, and the rest.

Z39.50-2003 §3.7 and the Query definitions of §4.1. The tree here keeps the
attributes as sent; what they mean is decided where it becomes `protocol.query`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from protocol.apdu_common import AttributeElement, AttributesPlusTerm
from protocol.asn1 import (
    BOOLEAN,
    INTEGER,
    Wrapped,
    choice,
    component,
    sequence,
)
from protocol.external import External
from protocol.frozen import frozen
from protocol.oid import Oid

RPN_DEPTH_MAX = 1_000  # operators above one another
RPN_OPERANDS_MAX = 5_000


class KnownProximityUnit(IntEnum):
    CHARACTER = 1
    WORD = 2
    SENTENCE = 3
    PARAGRAPH = 4
    SECTION = 5
    CHAPTER = 6
    DOCUMENT = 7
    ELEMENT = 8
    SUBELEMENT = 9
    ELEMENT_TYPE = 10
    BYTE = 11


class ProximityRelation(IntEnum):
    LESS_THAN = 1
    LESS_THAN_OR_EQUAL = 2
    EQUAL = 3
    GREATER_THAN_OR_EQUAL = 4
    GREATER_THAN = 5
    NOT_EQUAL = 6


@frozen
class PrivateProximityUnit:
    code: int


@sequence
class ProximityOperator:
    """`relation_type` is a ProximityRelation, `proximity_unit_code` a KnownProximityUnit."""

    exclusion: bool | None = component(1, BOOLEAN, default=None)
    distance: int = component(2, INTEGER)
    ordered: bool = component(3, BOOLEAN)
    relation_type: int = component(4, INTEGER)
    proximity_unit_code: int | PrivateProximityUnit = component(
        5,
        choice("proximityUnitCode", (1, INTEGER), (2, Wrapped(PrivateProximityUnit, INTEGER))),
    )


class BooleanOperator(IntEnum):
    """The numbers are the context tags."""

    AND = 0
    OR = 1
    AND_NOT = 2


@frozen
class ResultSetId:
    """A result set as an operand."""

    name: str


@frozen
class ResultAttr:
    """A result set restricted by attributes (type-101 only)."""

    result_set: str
    attributes: tuple[AttributeElement, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RpnOperation:
    """Two operands and what joins them.

    A tree may be deeper than Python's stack: walk it with `rpn_postorder`. That is
    how it is compared and hashed here; `repr` shows the operator alone.
    """

    operator: BooleanOperator | ProximityOperator
    left: RpnNode
    right: RpnNode

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RpnOperation):
            return NotImplemented
        return _flat(self) == _flat(other)

    def __hash__(self) -> int:
        return hash(_flat(self))

    def __repr__(self) -> str:
        return f"RpnOperation({self.operator!r}, …, …)"


RpnNode = AttributesPlusTerm | ResultSetId | ResultAttr | RpnOperation


def rpn_postorder(root: RpnNode) -> Iterator[RpnNode]:
    """Yield every node, operands before their operation, without recursion."""
    stack: list[tuple[RpnNode, bool]] = [(root, False)]
    while stack:
        node, operands_done = stack.pop()
        if isinstance(node, RpnOperation) and not operands_done:
            stack.append((node, True))
            stack.append((node.right, False))
            stack.append((node.left, False))
        else:
            yield node


def _flat(root: RpnNode) -> tuple[object, ...]:
    """The tree in reverse Polish, which says all of it."""
    return tuple(
        ("operator", node.operator) if isinstance(node, RpnOperation) else node
        for node in rpn_postorder(root)
    )


@frozen
class RpnQuery:
    """`query_type` is 1 or 101."""

    attribute_set: Oid
    rpn: RpnNode
    query_type: int = 1


@frozen
class CqlQuery:
    """Type-104 with the CQL identifier: `text` is the query (Z39.50-2003 §3.7.5)."""

    text: str


@frozen
class OtherQuery:
    """Any other type (0, 2, 100, 102, 104 without CQL), unread.

    `query_type` is the context tag and `data` the content under it, except
    that type-104 has `external` instead.
    """

    query_type: int
    data: bytes = b""
    external: External | None = None


class QueryBound(IntEnum):
    DEPTH = RPN_DEPTH_MAX
    OPERANDS = RPN_OPERANDS_MAX


@frozen
class QueryTooComplex:
    """An RPN query beyond `bound`, left unread.

    The search fails with a diagnostic (Bib-1 6, too many Boolean operators)
    and the association goes on.
    """

    query_type: int
    bound: QueryBound


Query = RpnQuery | CqlQuery | OtherQuery | QueryTooComplex
