"""Values of any described type, for hypothesis, taken from the description itself."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from protocol import oid
from protocol.apdu import (
    TAGS,
    Apdu,
    BooleanOperator,
    CqlQuery,
    OtherQuery,
    ProximityOperator,
    ResultAttr,
    ResultSetId,
    RpnNode,
    RpnOperation,
    RpnQuery,
)
from protocol.apdu_common import ATTRIBUTE_LIST, AttributesPlusTerm
from protocol.apdu_query_codec import QUERY
from protocol.asn1 import (
    Asn1Type,
    BitString,
    Cached,
    Choice,
    Custom,
    Explicit,
    GeneralizedTime,
    Lazy,
    Null,
    Opaque,
    Primitive,
    Sequence,
    SequenceOf,
    Tagged,
    Wrapped,
    components,
)
from protocol.external import External, Form

ITEMS_MAX = 3

texts = st.one_of(
    st.text(max_size=12),
    st.binary(max_size=12).map(lambda octets: octets.decode("utf-8", "surrogateescape")),
)
oids = st.one_of(
    st.sampled_from([oid.BIB_1, oid.USMARC, oid.CQL, oid.UTF_8]),
    st.builds(
        lambda root, arcs: oid.Oid((root, *arcs)),
        st.integers(0, 2),
        st.lists(st.integers(0, 39), min_size=1, max_size=1).flatmap(
            lambda head: st.lists(st.integers(0, 2**40), max_size=5).map(lambda tail: head + tail)
        ),
    ),
)
PRIMITIVES: dict[str, SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.one_of(st.integers(0, 300), st.integers(-(2**63), 2**63 - 1)),
    "octets": st.binary(max_size=12),
    "null": st.just(Null.NULL),
    "flag": st.just(True),
    "oid": oids,
    "time": texts.map(GeneralizedTime),
    "string": texts,
    "addinfo": texts,
}

# One element each, of lengths definite and indefinite.
elements = st.sampled_from(
    [b"\x30\x00", b"\x1b\x02ab", b"\xa0\x03\x02\x01\x05", b"\x30\x80\x02\x01\x05\x00\x00"]
)
aligned_externals = st.builds(
    External,
    st.none() | oids,
    st.binary(max_size=20),
    st.just(Form.OCTET_ALIGNED),
    st.none() | st.integers(0, 5),
    st.none() | texts,
)
externals = st.one_of(
    aligned_externals,
    st.builds(External, st.none() | oids, elements, st.just(Form.SINGLE_ASN1_TYPE)),
    st.builds(External, oids, st.binary(max_size=5), st.just(Form.ARBITRARY)),
)


class Values:
    """Strategies by type; `opaque_elements` False leaves out values kept as raw elements."""

    def __init__(self, opaque_elements: bool = True) -> None:
        self.externals = externals if opaque_elements else aligned_externals
        self.opaque = opaque_elements
        self._sequences: dict[type[Any], SearchStrategy[Any]] = {}

    def of(self, type_: Asn1Type[Any]) -> SearchStrategy[Any]:
        match type_:
            case Primitive():
                return PRIMITIVES[type_.kind]
            case BitString():
                return st.frozensets(st.sampled_from(list(type_.names)))
            case SequenceOf():
                return st.lists(self.of(type_.item), max_size=ITEMS_MAX).map(tuple)
            case Explicit() | Tagged() | Cached():
                return self.of(type_.type)
            case Wrapped():
                return self.of(type_.type).map(type_.wrapper)
            case Sequence():
                return self.sequence(type_.cls)
            case Choice():
                return self._choice(type_)
            case Custom() if type_ is QUERY:
                return self.queries()
            case Custom():
                return self.externals
            case Lazy():
                return st.deferred(lambda: self.of(type_.resolve()))
        raise TypeError(f"{type_!r}")

    def sequence(self, cls: type[Any]) -> SearchStrategy[Any]:
        if cls not in self._sequences:
            # Deferred, because a type may hold itself.
            self._sequences[cls] = st.deferred(
                lambda: st.builds(
                    cls,
                    **{
                        field: self._component(component.type, default)
                        for field, (component, default) in components(cls).items()
                    },
                )
            )
        return self._sequences[cls]

    def _component(self, type_: Asn1Type[Any], default: Any) -> SearchStrategy[Any]:
        if default is dataclasses.MISSING:
            return self.of(type_)
        return st.just(default) | self.of(type_)

    def _choice(self, type_: Choice[Any]) -> SearchStrategy[Any]:
        found = [
            self.of(each.type) if each.constant is None else st.just(each.constant)
            for each in type_.alternatives
        ]
        if type_.others and self.opaque:
            found.append(st.just(Opaque(b"\x0a\x01\x05")))
        return st.one_of(found)

    def queries(self) -> SearchStrategy[Any]:
        attributes = self.of(ATTRIBUTE_LIST)
        operands: SearchStrategy[RpnNode] = st.one_of(
            self.sequence(AttributesPlusTerm),
            st.builds(ResultSetId, texts),
            st.builds(ResultAttr, texts, attributes),
        )
        operators = st.one_of(st.sampled_from(BooleanOperator), self.sequence(ProximityOperator))
        trees = st.recursive(
            operands,
            lambda below: st.builds(RpnOperation, operators, below, below),
            max_leaves=4,
        )
        other = st.builds(OtherQuery, st.sampled_from([0, 2, 100, 102, 119]), elements)
        return st.one_of(
            st.builds(RpnQuery, oids, trees, st.sampled_from([1, 101])),
            st.builds(CqlQuery, texts),
            other if self.opaque else st.nothing(),
        )

    def apdus(self) -> SearchStrategy[Apdu]:
        return st.one_of([self.sequence(cls) for cls in TAGS])
