"""Value types that several APDUs share: terms, attributes, EXTERNAL, diagnostics.

Names are the snake_case form of the ASN.1 names of Z39.50-2003 §4.1.
"""

from __future__ import annotations

from protocol.asn1 import (
    ADDINFO,
    GENERALIZED_TIME,
    INTEGER,
    NULL,
    OCTETS,
    OID,
    STRING,
    Asn1Type,
    Cached,
    Choice,
    Explicit,
    GeneralizedTime,
    Null,
    Sequence,
    SequenceOf,
    Tagged,
    choice,
    component,
    positional_sequence,
    sequence,
)
from protocol.diagnostic import Diagnostic
from protocol.external import EXTERNAL, External
from protocol.oid import DIAG_BIB_1, Oid

REFERENCE_ID = Tagged(2, OCTETS)
RESULT_SET_ID = Tagged(31, STRING)
ELEMENT_SET_NAME = Tagged(103, STRING)
DATABASE_NAME = Tagged(105, STRING)

StringOrNumeric = str | int
STRING_OR_NUMERIC: Asn1Type[StringOrNumeric] = choice("StringOrNumeric", (1, STRING), (2, INTEGER))


@sequence
class Unit:
    """`scale_factor` is the power of ten."""

    unit_system: str | None = component(1, Explicit(STRING), default=None)
    unit_type: StringOrNumeric | None = component(2, STRING_OR_NUMERIC, default=None)
    unit: StringOrNumeric | None = component(3, STRING_OR_NUMERIC, default=None)
    scale_factor: int | None = component(4, INTEGER, default=None)


@positional_sequence
class IntUnit:
    value: int = component(1, INTEGER)
    unit_used: Unit = component(2, Sequence(Unit))


INT_UNIT = Sequence(IntUnit)

# The alternatives of a Term are told apart by class: bytes is `general`, int
# `numeric`, str `characterString`, and so on. Version 2 has only bytes.
Term = bytes | int | str | Oid | GeneralizedTime | External | IntUnit | Null
TERM: Choice[Term] = choice(
    "Term",
    (45, OCTETS),
    (215, INTEGER),
    (216, STRING),
    (217, OID),
    (218, GENERALIZED_TIME),
    (219, EXTERNAL),
    (220, INT_UNIT),
    (221, NULL, Null.NULL),
)


@positional_sequence
class ComplexAttribute:
    list: tuple[StringOrNumeric, ...] = component(1, SequenceOf(STRING_OR_NUMERIC))
    semantic_action: tuple[int, ...] = component(2, SequenceOf(INTEGER), default=())


AttributeValue = int | ComplexAttribute


@sequence
class AttributeElement:
    """`attribute_set` None: the set of the whole query (Z39.50-2003 §3.7.1)."""

    attribute_set: Oid | None = component(1, OID, default=None)
    type: int = component(120, INTEGER)
    value: AttributeValue = component(
        None, choice("attributeValue", (121, INTEGER), (224, Sequence(ComplexAttribute)))
    )


ATTRIBUTES_MAX = 32  # of one operand; Bib-1 has six types

# Cached by their octets: clients send the same few lists over and over.
ATTRIBUTE_LIST: Asn1Type[tuple[AttributeElement, ...]] = Cached(
    SequenceOf(Sequence(AttributeElement), ATTRIBUTES_MAX)
)


@positional_sequence
class AttributesPlusTerm:
    attributes: tuple[AttributeElement, ...] = component(44, ATTRIBUTE_LIST)
    term: Term = component(None, TERM)


ATTRIBUTES_PLUS_TERM = Tagged(102, Sequence(AttributesPlusTerm))


@positional_sequence
class DefaultDiagFormat:
    """A diagnostic of a numbered set, Bib-1 unless said otherwise.

    An ASCII `addinfo` is written as VisibleString, which versions 2 and 3 both
    read, any other as InternationalString.
    """

    diagnostic_set_id: Oid = component(None, OID)
    condition: int = component(None, INTEGER)
    addinfo: str = component(None, ADDINFO)

    @classmethod
    def bib1(cls, condition: int, addinfo: str = "") -> DefaultDiagFormat:
        return cls(DIAG_BIB_1, condition, addinfo)

    @classmethod
    def of(cls, diagnostic: Diagnostic) -> DefaultDiagFormat:
        return cls(DIAG_BIB_1, diagnostic.condition, diagnostic.addinfo)


DEFAULT_DIAG_FORMAT = Sequence(DefaultDiagFormat)
DiagRec = DefaultDiagFormat | External
DIAG_REC: Choice[DiagRec] = choice("DiagRec", (None, DEFAULT_DIAG_FORMAT), (None, EXTERNAL))


@sequence
class InfoCategory:
    category_type_id: Oid | None = component(1, OID, default=None)
    category_value: int = component(2, INTEGER)


Information = str | bytes | External | Oid


@sequence
class OtherInformationItem:
    category: InfoCategory | None = component(1, Sequence(InfoCategory), default=None)
    information: Information = component(
        None, choice("information", (2, STRING), (3, OCTETS), (4, EXTERNAL), (5, OID))
    )


OtherInformation = tuple[OtherInformationItem, ...]
OTHER_INFORMATION: Asn1Type[OtherInformation] = SequenceOf(Sequence(OtherInformationItem))
