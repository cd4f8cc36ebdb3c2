"""Parts that Explain records are made of (Z39.50-2003, record syntax explain)."""

from __future__ import annotations

from protocol.apdu_common import (
    DATABASE_NAME,
    ELEMENT_SET_NAME,
    INT_UNIT,
    OTHER_INFORMATION,
    STRING_OR_NUMERIC,
    IntUnit,
    OtherInformation,
    StringOrNumeric,
    Unit,
)
from protocol.asn1 import (
    BOOLEAN,
    FLAG,
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
    Null,
    Sequence,
    SequenceOf,
    Wrapped,
    choice,
    component,
    positional_sequence,
    sequence,
)
from protocol.frozen import frozen
from protocol.oid import Oid


@sequence
class Text:
    """`language` is a Z39.53 code: `chi`, `eng`."""

    language: str | None = component(0, STRING, default=None)
    text: str = component(1, STRING)


# The same text in several languages.
HumanString = tuple[Text, ...]
HUMAN_STRING: Asn1Type[HumanString] = SequenceOf(Sequence(Text))


def human(text: str, language: str | None = None) -> HumanString:
    return (Text(language=language, text=text),)


@sequence
class CommonInfo:
    date_added: GeneralizedTime | None = component(0, GENERALIZED_TIME, default=None)
    date_changed: GeneralizedTime | None = component(1, GENERALIZED_TIME, default=None)
    expiry: GeneralizedTime | None = component(2, GENERALIZED_TIME, default=None)
    human_string_language: str | None = component(3, STRING, default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


COMMON_INFO = Sequence(CommonInfo)


@sequence
class ContactInfo:
    name: str | None = component(0, STRING, default=None)
    description: HumanString = component(1, HUMAN_STRING, default=())
    address: HumanString = component(2, HUMAN_STRING, default=())
    email: str | None = component(3, STRING, default=None)
    phone: str | None = component(4, STRING, default=None)


@positional_sequence
class InternetAddress:
    host_address: str = component(0, STRING)
    port: int = component(1, INTEGER)


@sequence
class OsiPresentationAddress:
    p_sel: str = component(0, STRING)
    s_sel: str | None = component(1, STRING, default=None)
    t_sel: str | None = component(2, STRING, default=None)
    n_sap: str = component(3, STRING)


@positional_sequence
class OtherAddress:
    type: str = component(0, STRING)
    address: str = component(1, STRING)


NetworkAddress = InternetAddress | OsiPresentationAddress | OtherAddress
NETWORK_ADDRESS: Choice[NetworkAddress] = choice(
    "NetworkAddress",
    (0, Sequence(InternetAddress)),
    (1, Sequence(OsiPresentationAddress)),
    (2, Sequence(OtherAddress)),
)


@frozen
class IanaType:
    name: str


@frozen
class Z3950Type:
    name: str


@frozen
class OtherType:
    name: str


@positional_sequence
class Icon:
    body_type: IanaType | Z3950Type | OtherType = component(
        1,
        choice(
            "bodyType",
            (1, Wrapped(IanaType, STRING)),
            (2, Wrapped(Z3950Type, STRING)),
            (3, Wrapped(OtherType, STRING)),
        ),
    )
    content: bytes = component(2, OCTETS)


ICON: Asn1Type[tuple[Icon, ...]] = SequenceOf(Sequence(Icon))


# Queries


@sequence
class SearchKey:
    search_key: str = component(0, STRING)
    description: HumanString = component(1, HUMAN_STRING, default=())


@sequence
class PrivateOperator:
    operator: str = component(0, STRING)
    description: HumanString = component(1, HUMAN_STRING, default=())


@sequence
class PrivateCapabilities:
    operators: tuple[PrivateOperator, ...] = component(
        0, SequenceOf(Sequence(PrivateOperator)), default=()
    )
    search_keys: tuple[SearchKey, ...] = component(1, SequenceOf(Sequence(SearchKey)), default=())
    description: tuple[HumanString, ...] = component(2, SequenceOf(HUMAN_STRING), default=())


@sequence
class PrivateUnit:
    unit: int = component(0, INTEGER)
    description: HumanString = component(1, Explicit(HUMAN_STRING), default=())


@sequence
class ProximitySupport:
    """int is a known unit; no units where `any_support` is False."""

    any_support: bool = component(0, BOOLEAN)
    units_supported: tuple[int | PrivateUnit, ...] = component(
        1, SequenceOf(choice("unit", (1, INTEGER), (2, Sequence(PrivateUnit)))), default=()
    )


@sequence
class RpnCapabilities:
    """`operators`: 0 and, 1 or, 2 and-not, 3 prox; none listed means all."""

    operators: tuple[int, ...] = component(0, SequenceOf(INTEGER), default=())
    result_set_as_operand_supported: bool = component(1, BOOLEAN)
    restriction_operand_supported: bool = component(2, BOOLEAN)
    proximity: ProximitySupport | None = component(3, Sequence(ProximitySupport), default=None)


@sequence
class Iso8777Capabilities:
    search_keys: tuple[SearchKey, ...] = component(0, SequenceOf(Sequence(SearchKey)))
    restrictions: HumanString = component(1, HUMAN_STRING, default=())


@frozen
class Type1Queries:
    capabilities: RpnCapabilities


@frozen
class Type101Queries:
    capabilities: RpnCapabilities


@frozen
class Z3958Queries:
    description: HumanString


@frozen
class RankedListQueries:
    description: HumanString


QueryTypeDetails = (
    PrivateCapabilities
    | Type1Queries
    | Iso8777Capabilities
    | Z3958Queries
    | Type101Queries
    | RankedListQueries
)
QUERY_TYPE_DETAILS: Choice[QueryTypeDetails] = choice(
    "QueryTypeDetails",
    (0, Sequence(PrivateCapabilities)),
    (1, Wrapped(Type1Queries, Sequence(RpnCapabilities))),
    (2, Sequence(Iso8777Capabilities)),
    (100, Wrapped(Z3958Queries, HUMAN_STRING)),
    (101, Wrapped(Type101Queries, Sequence(RpnCapabilities))),
    (102, Wrapped(RankedListQueries, HUMAN_STRING)),
)


# Access and costs


@sequence
class AccessRestriction:
    """`access_type`: 0 any, 1 search, 2 present, 3 specific elements, 4 extended
    services, 5 by database."""

    access_type: int = component(0, Explicit(INTEGER))
    access_text: HumanString = component(1, HUMAN_STRING, default=())
    access_challenges: tuple[Oid, ...] = component(2, SequenceOf(OID), default=())


@sequence
class Charge:
    cost: IntUnit = component(1, INT_UNIT)
    per_what: Unit | None = component(2, Sequence(Unit), default=None)
    text: HumanString = component(3, HUMAN_STRING, default=())


@positional_sequence
class OtherCharge:
    for_what: HumanString = component(1, HUMAN_STRING)
    charge: Charge = component(2, Sequence(Charge))


@sequence
class Costs:
    connect_charge: Charge | None = component(0, Sequence(Charge), default=None)
    connect_time: Charge | None = component(1, Sequence(Charge), default=None)
    display_charge: Charge | None = component(2, Sequence(Charge), default=None)
    search_charge: Charge | None = component(3, Sequence(Charge), default=None)
    subscript_charge: Charge | None = component(4, Sequence(Charge), default=None)
    other_charges: tuple[OtherCharge, ...] = component(
        5, SequenceOf(Sequence(OtherCharge)), default=()
    )


@sequence
class AccessInfo:
    """`unit_systems` is mandatory in the standard, so it is written even when empty."""

    query_types_supported: tuple[QueryTypeDetails, ...] = component(
        0, SequenceOf(QUERY_TYPE_DETAILS), default=()
    )
    diagnostics_sets: tuple[Oid, ...] = component(1, SequenceOf(OID), default=())
    attribute_set_ids: tuple[Oid, ...] = component(2, SequenceOf(OID), default=())
    schemas: tuple[Oid, ...] = component(3, SequenceOf(OID), default=())
    record_syntaxes: tuple[Oid, ...] = component(4, SequenceOf(OID), default=())
    resource_challenges: tuple[Oid, ...] = component(5, SequenceOf(OID), default=())
    restricted_access: tuple[AccessRestriction, ...] = component(
        6, SequenceOf(Sequence(AccessRestriction)), default=()
    )
    cost_info: Costs | None = component(8, Sequence(Costs), default=None)
    variant_sets: tuple[Oid, ...] = component(9, SequenceOf(OID), default=())
    element_set_names: tuple[str, ...] = component(10, SequenceOf(ELEMENT_SET_NAME), default=())
    unit_systems: tuple[str, ...] = component(11, SequenceOf(STRING))


DATABASE_LIST = SequenceOf(DATABASE_NAME)


# Attribute combinations


@sequence
class AttributeOccurrence:
    """Null in `attribute_values`: any value, or none."""

    attribute_set: Oid | None = component(0, OID, default=None)
    attribute_type: int = component(1, INTEGER)
    must_be_supplied: bool = component(2, FLAG, default=False)
    attribute_values: Null | tuple[StringOrNumeric, ...] = component(
        None,
        choice("attributeValues", (3, NULL, Null.NULL), (4, SequenceOf(STRING_OR_NUMERIC))),
    )


@positional_sequence
class AttributeCombinations:
    """Each combination is a pattern of legal attributes in one list."""

    default_attribute_set: Oid = component(0, OID)
    legal_combinations: tuple[tuple[AttributeOccurrence, ...], ...] = component(
        1, SequenceOf(SequenceOf(Sequence(AttributeOccurrence)))
    )


ATTRIBUTE_COMBINATIONS = Sequence(AttributeCombinations)
