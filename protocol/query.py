"""The one query tree that RPN, PQF and CQL become and the catalogue evaluates.

A tree is immutable, hashable and free of any wire detail: attributes and CQL
relations are already resolved to an access point and its modifiers. Walk it
with `postorder`, never by recursion: a client may nest hundreds of levels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from protocol.frozen import frozen

# Masks inside `Clause.term`. They are private-use characters, so no text of a
# record can hold them by accident; parsers strip them from client input.
MASK_ANY = "\uf8f0"  # any run of characters, also none
MASK_ONE = "\uf8f1"  # exactly one character

# Operators below one another; parsers refuse more. A tree may be too deep by far
# to be hashed, compared or printed as a whole, which recurses: walk it.
QUERY_DEPTH_MAX = 512
# Search terms of one query, and characters of one of them.
QUERY_TERMS_MAX = 4096
TERM_CHARS_MAX = 4096


class Relation(Enum):
    """How the term compares with the access point's values (Bib-1 type 2)."""

    LESS = "<"
    LESS_OR_EQUAL = "<="
    EQUAL = "="
    GREATER_OR_EQUAL = ">="
    GREATER = ">"
    NOT_EQUAL = "<>"
    WITHIN = "within"  # `term` holds two values, one blank between them
    ALWAYS = "always"  # every record that has the access point (Bib-1 103)


class Structure(Enum):
    """How the term is cut into words (Bib-1 type 4, CQL relation)."""

    PHRASE = "phrase"  # the words side by side, in order
    ALL_WORDS = "all"  # every word, anywhere in the access point
    ANY_WORD = "any"  # at least one of the words
    KEY = "key"  # the whole term as one normalised value: identifiers, codes, dates


class Anchor(Enum):
    """Where in its field the term must stand (Bib-1 types 3 and 6)."""

    ANYWHERE = "anywhere"
    FIRST = "first"  # begins the field
    LAST = "last"  # ends the field (CQL `term^`)
    COMPLETE = "complete"  # is the whole field


@frozen
class Clause:
    """One search term against one access point.

    `access_point` is a name of the access-point table. Masks in `term` are
    MASK_ANY and MASK_ONE; right truncation is a trailing MASK_ANY. With
    `ranked` the clause asks for order by relevance (Bib-1 2=102).
    """

    access_point: str
    term: str
    relation: Relation = Relation.EQUAL
    structure: Structure = Structure.ALL_WORDS
    anchor: Anchor = Anchor.ANYWHERE
    ranked: bool = False


@frozen
class ResultSetRef:
    """A named result set used as an operand."""

    name: str


class Operator(Enum):
    AND = "and"
    OR = "or"
    AND_NOT = "not"


class ProximityUnit(Enum):
    WORD = "word"
    FIELD = "field"  # in the same occurrence of a field


@dataclass(frozen=True, slots=True)
class Proximity:
    """`left` within `distance` units of `right` (Z39.50-2003 §3.7.2).

    `relation` compares the real distance with `distance`; `ordered` means the
    left operand comes first.
    """

    distance: int = 1
    relation: Relation = Relation.LESS_OR_EQUAL
    unit: ProximityUnit = ProximityUnit.WORD
    ordered: bool = False
    exclusion: bool = False


@frozen
class Boolean:
    operator: Operator | Proximity
    left: Query
    right: Query


Query = Clause | ResultSetRef | Boolean


@dataclass(frozen=True, slots=True)
class ScanStart:
    """Where a Scan begins: `term` in the list of `access_point`, in no need to exist.

    `phrases` asks for whole field values rather than words. An empty term
    means the head of the list.
    """

    access_point: str
    term: str
    phrases: bool = False


@dataclass(frozen=True, slots=True)
class SortSpec:
    """One key of a wished order, the most significant first in a tuple of them.

    `missing` says what becomes of records without the value: "high", "low",
    "omit", "fail", or a value to use instead after "=".
    """

    access_point: str
    descending: bool = False
    case_sensitive: bool = False
    missing: str = "high"


def joined(operator: Operator, queries: Sequence[Query]) -> Query:
    """The queries under one operator, as a balanced tree; at least one is given."""
    while len(queries) > 1:
        pairs: list[Query] = [
            Boolean(operator, left, right)
            for left, right in zip(queries[::2], queries[1::2], strict=False)
        ]
        queries = pairs if len(queries) % 2 == 0 else [*pairs, queries[-1]]
    return queries[0]


def postorder(query: Query) -> Iterator[Query]:
    """Yield every node, operands before their operator, without recursion."""
    stack: list[tuple[Query, bool]] = [(query, False)]
    while stack:
        node, operands_done = stack.pop()
        if isinstance(node, Boolean) and not operands_done:
            stack.append((node, True))
            stack.append((node.right, False))
            stack.append((node.left, False))
        else:
            yield node


def ranked(query: Query) -> Query:
    """`query` with every clause asking for order by relevance."""
    done: list[Query] = []
    for node in postorder(query):
        if isinstance(node, Clause):
            done.append(replace(node, ranked=True))
        elif isinstance(node, Boolean):
            right, left = done.pop(), done.pop()
            done.append(Boolean(node.operator, left, right))
        else:
            done.append(node)
    return done[0]


def clauses(query: Query) -> Iterator[Clause]:
    """Yield the search terms from left to right."""
    return (node for node in postorder(query) if isinstance(node, Clause))
