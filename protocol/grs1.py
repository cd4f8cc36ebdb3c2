"""Generic record syntax GRS-1, 1.2.840.10003.5.105, SUTRS beside it, and eSpec-1.

Tags of a GRS-1 record come from a tag set: type 1 is tagSet-M, 2 tagSet-G, 3
is local (Z39.50-2003 Annex RET).
"""

from __future__ import annotations

from enum import Enum

from protocol.apdu_common import (
    INT_UNIT,
    STRING_OR_NUMERIC,
    TERM,
    IntUnit,
    StringOrNumeric,
    Term,
    Unit,
)
from protocol.asn1 import (
    BOOLEAN,
    GENERALIZED_TIME,
    INTEGER,
    NULL,
    OCTETS,
    OID,
    STRING,
    Asn1Type,
    Choice,
    Explicit,
    GeneralizedTime,
    Lazy,
    Null,
    Sequence,
    SequenceOf,
    Wrapped,
    choice,
    component,
    sequence,
)
from protocol.codec import Codec
from protocol.external import EXTERNAL, External
from protocol.frozen import frozen
from protocol.oid import Oid

# Simple unstructured text: one string, lines ended by LF.
SUTRS: Codec[str] = Codec(STRING, "SUTRS record")

VariantValue = int | str | bytes | Oid | bool | Null | Unit | IntUnit
_VARIANT_VALUE: Choice[VariantValue] = choice(
    "value",
    (None, INTEGER),
    (None, STRING),
    (None, OCTETS),
    (None, OID),
    (None, BOOLEAN),
    (None, NULL, Null.NULL),
    (1, Sequence(Unit)),
    (2, INT_UNIT),
)


@sequence
class Triple:
    variant_set_id: Oid | None = component(0, OID, default=None)
    variant_class: int = component(1, INTEGER)
    type: int = component(2, INTEGER)
    value: VariantValue = component(3, _VARIANT_VALUE)


@sequence
class Variant:
    global_variant_set_id: Oid | None = component(1, OID, default=None)
    triples: tuple[Triple, ...] = component(2, SequenceOf(Sequence(Triple)))


@sequence
class TagPathStep:
    tag_type: int | None = component(1, INTEGER, default=None)
    tag_value: StringOrNumeric = component(2, STRING_OR_NUMERIC)
    tag_occurrence: int | None = component(3, INTEGER, default=None)


_TAG_PATH = SequenceOf(Sequence(TagPathStep))


@sequence
class Order:
    ascending: bool = component(1, BOOLEAN)
    order: int = component(2, INTEGER)


@sequence
class Usage:
    """`type`: 1 redistributable, 2 restricted, 3 license pointer."""

    type: int = component(1, INTEGER)
    restriction: str | None = component(2, STRING, default=None)


@sequence
class HitVector:
    satisfier: Term | None = component(None, TERM, default=None)
    offset_into_element: IntUnit | None = component(1, INT_UNIT, default=None)
    length: IntUnit | None = component(2, INT_UNIT, default=None)
    hit_rank: int | None = component(3, INTEGER, default=None)
    target_token: bytes | None = component(4, OCTETS, default=None)


@sequence
class ElementMetaData:
    series_order: Order | None = component(1, Sequence(Order), default=None)
    usage_right: Usage | None = component(2, Sequence(Usage), default=None)
    hits: tuple[HitVector, ...] = component(3, SequenceOf(Sequence(HitVector)), default=())
    display_name: str | None = component(4, STRING, default=None)
    supported_variants: tuple[Variant, ...] = component(
        5, SequenceOf(Sequence(Variant)), default=()
    )
    message: str | None = component(6, STRING, default=None)
    element_descriptor: bytes | None = component(7, OCTETS, default=None)
    surrogate_for: tuple[TagPathStep, ...] = component(8, _TAG_PATH, default=())
    surrogate_element: tuple[TagPathStep, ...] = component(9, _TAG_PATH, default=())
    other: External | None = component(99, EXTERNAL, default=None)


class NoElement(Enum):
    ELEMENT_NOT_THERE = "elementNotThere"
    ELEMENT_EMPTY = "elementEmpty"
    NO_DATA_REQUESTED = "noDataRequested"


@frozen
class ElementDiagnostic:
    diagnostic: External


# The class of the value is the alternative; a tuple is a subtree.
ElementData = (
    bytes
    | int
    | GeneralizedTime
    | External
    | str
    | bool
    | Oid
    | IntUnit
    | NoElement
    | ElementDiagnostic
    | tuple["TaggedElement", ...]
)
_TREE: Asn1Type[tuple[TaggedElement, ...]] = Lazy(lambda: SequenceOf(Sequence(TaggedElement)))
_ELEMENT_DATA: Choice[ElementData] = choice(
    "ElementData",
    (None, OCTETS),
    (None, INTEGER),
    (None, GENERALIZED_TIME),
    (None, EXTERNAL),
    (None, STRING),
    (None, BOOLEAN),
    (None, OID),
    (1, INT_UNIT),
    (2, NULL, NoElement.ELEMENT_NOT_THERE),
    (3, NULL, NoElement.ELEMENT_EMPTY),
    (4, NULL, NoElement.NO_DATA_REQUESTED),
    (5, Wrapped(ElementDiagnostic, EXTERNAL)),
    (6, Explicit(_TREE)),
)


@sequence
class TaggedElement:
    tag_type: int | None = component(1, INTEGER, default=None)
    tag_value: StringOrNumeric = component(2, STRING_OR_NUMERIC)
    tag_occurrence: int | None = component(3, INTEGER, default=None)
    content: ElementData = component(4, _ELEMENT_DATA)
    meta_data: ElementMetaData | None = component(5, Sequence(ElementMetaData), default=None)
    applied_variant: Variant | None = component(6, Sequence(Variant), default=None)


GRS_1: Codec[tuple[TaggedElement, ...]] = Codec(_TREE, "GenericRecord")


# Element specification eSpec-1, 1.2.840.10003.11.1


class AllOrLast(Enum):
    ALL = "all"
    LAST = "last"


@sequence
class OccurrenceValues:
    """Occurrences from `start`, `how_many` of them; None is one."""

    start: int = component(1, INTEGER)
    how_many: int | None = component(2, INTEGER, default=None)


Occurrences = AllOrLast | OccurrenceValues
_OCCURRENCES: Choice[Occurrences] = choice(
    "Occurrences",
    (1, NULL, AllOrLast.ALL),
    (2, NULL, AllOrLast.LAST),
    (3, Sequence(OccurrenceValues)),
)


@sequence
class SpecificTag:
    tag_type: int | None = component(1, INTEGER, default=None)
    tag_value: StringOrNumeric = component(2, STRING_OR_NUMERIC)
    occurrence: Occurrences | None = component(3, _OCCURRENCES, default=None)


@frozen
class WildThing:
    occurrences: Occurrences


class WildPath(Enum):
    WILD_PATH = "wildPath"


PathStep = SpecificTag | WildThing | WildPath
_PATH = SequenceOf(
    choice(
        "TagPath",
        (1, Sequence(SpecificTag)),
        (2, Wrapped(WildThing, _OCCURRENCES)),
        (3, NULL, WildPath.WILD_PATH),
    )
)


@sequence
class SimpleElement:
    path: tuple[PathStep, ...] = component(1, _PATH)
    variant_request: Variant | None = component(2, Sequence(Variant), default=None)


@frozen
class ElementSpecs:
    elements: tuple[SimpleElement, ...]


@sequence
class CompositeElement:
    """`element_list` as strings is element set names."""

    element_list: tuple[str, ...] | ElementSpecs = component(
        1,
        choice(
            "elementList",
            (1, SequenceOf(STRING)),
            (2, Wrapped(ElementSpecs, SequenceOf(Sequence(SimpleElement)))),
        ),
    )
    delivery_tag: tuple[PathStep, ...] = component(2, _PATH)
    variant_request: Variant | None = component(3, Sequence(Variant), default=None)


ElementRequest = SimpleElement | CompositeElement
_ELEMENT_REQUEST: Choice[ElementRequest] = choice(
    "ElementRequest", (1, Sequence(SimpleElement)), (2, Sequence(CompositeElement))
)


@sequence
class Espec:
    element_set_names: tuple[str, ...] = component(1, SequenceOf(STRING), default=())
    default_variant_set_id: Oid | None = component(2, OID, default=None)
    default_variant_request: Variant | None = component(3, Sequence(Variant), default=None)
    default_tag_type: int | None = component(4, INTEGER, default=None)
    elements: tuple[ElementRequest, ...] = component(5, SequenceOf(_ELEMENT_REQUEST), default=())


ESPEC_1: Codec[Espec] = Codec(Sequence(Espec), "Espec-1")
