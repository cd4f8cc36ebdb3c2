"""Explain records, IR-Explain-1: record syntax 1.2.840.10003.5.100.

The kinds that describe a server, its databases and how they can be searched;
the other alternatives of Explain-Record are not made here.
"""

from __future__ import annotations

from enum import Enum

from protocol.apdu_common import (
    DATABASE_NAME,
    INT_UNIT,
    STRING_OR_NUMERIC,
    IntUnit,
    StringOrNumeric,
)
from protocol.apdu_retrieval import Specification
from protocol.asn1 import (
    BOOLEAN,
    FLAG,
    GENERALIZED_TIME,
    INTEGER,
    NULL,
    OID,
    STRING,
    Asn1Type,
    Choice,
    GeneralizedTime,
    Lazy,
    Sequence,
    SequenceOf,
    Wrapped,
    choice,
    component,
    positional_sequence,
    sequence,
)
from protocol.codec import Codec
from protocol.explain_common import (
    ATTRIBUTE_COMBINATIONS,
    COMMON_INFO,
    DATABASE_LIST,
    HUMAN_STRING,
    ICON,
    NETWORK_ADDRESS,
    AccessInfo,
    AttributeCombinations,
    CommonInfo,
    ContactInfo,
    HumanString,
    Icon,
    NetworkAddress,
)
from protocol.external import EXTERNAL, External
from protocol.frozen import frozen
from protocol.oid import Oid


@sequence
class TargetInfo:
    """The server itself."""

    common_info: CommonInfo | None = component(0, COMMON_INFO, default=None)
    name: str = component(1, STRING)
    recent_news: HumanString = component(2, HUMAN_STRING, default=())
    icon: tuple[Icon, ...] = component(3, ICON, default=())
    named_result_sets: bool = component(4, BOOLEAN)
    multiple_db_search: bool = component(5, BOOLEAN)
    max_result_sets: int | None = component(6, INTEGER, default=None)
    max_result_size: int | None = component(7, INTEGER, default=None)
    max_terms: int | None = component(8, INTEGER, default=None)
    timeout_interval: IntUnit | None = component(9, INT_UNIT, default=None)
    welcome_message: HumanString = component(10, HUMAN_STRING, default=())
    contact_info: ContactInfo | None = component(11, Sequence(ContactInfo), default=None)
    description: HumanString = component(12, HUMAN_STRING, default=())
    nicknames: tuple[str, ...] = component(13, SequenceOf(STRING), default=())
    usage_restrictions: HumanString = component(14, HUMAN_STRING, default=())
    payment_addr: HumanString = component(15, HUMAN_STRING, default=())
    hours: HumanString = component(16, HUMAN_STRING, default=())
    db_combinations: tuple[tuple[str, ...], ...] = component(
        17, SequenceOf(DATABASE_LIST), default=()
    )
    addresses: tuple[NetworkAddress, ...] = component(18, SequenceOf(NETWORK_ADDRESS), default=())
    languages: tuple[str, ...] = component(101, SequenceOf(STRING), default=())
    common_access_info: AccessInfo | None = component(19, Sequence(AccessInfo), default=None)


@frozen
class ApproximateCount:
    number: int


@sequence
class DatabaseInfo:
    """`record_count` as int is exact."""

    common_info: CommonInfo | None = component(0, COMMON_INFO, default=None)
    name: str = component(1, STRING)
    explain_database: bool = component(2, FLAG, default=False)
    nicknames: tuple[str, ...] = component(3, SequenceOf(DATABASE_NAME), default=())
    icon: tuple[Icon, ...] = component(4, ICON, default=())
    user_fee: bool = component(5, BOOLEAN)
    available: bool = component(6, BOOLEAN)
    title_string: HumanString = component(7, HUMAN_STRING, default=())
    keywords: tuple[HumanString, ...] = component(8, SequenceOf(HUMAN_STRING), default=())
    description: HumanString = component(9, HUMAN_STRING, default=())
    associated_dbs: tuple[str, ...] = component(10, DATABASE_LIST, default=())
    sub_dbs: tuple[str, ...] = component(11, DATABASE_LIST, default=())
    disclaimers: HumanString = component(12, HUMAN_STRING, default=())
    news: HumanString = component(13, HUMAN_STRING, default=())
    record_count: int | ApproximateCount | None = component(
        14,
        choice("recordCount", (0, INTEGER), (1, Wrapped(ApproximateCount, INTEGER))),
        default=None,
    )
    default_order: HumanString = component(15, HUMAN_STRING, default=())
    av_record_size: int | None = component(16, INTEGER, default=None)
    max_record_size: int | None = component(17, INTEGER, default=None)
    hours: HumanString = component(18, HUMAN_STRING, default=())
    best_time: HumanString = component(19, HUMAN_STRING, default=())
    last_update: GeneralizedTime | None = component(20, GENERALIZED_TIME, default=None)
    update_interval: IntUnit | None = component(21, INT_UNIT, default=None)
    coverage: HumanString = component(22, HUMAN_STRING, default=())
    proprietary: bool | None = component(23, BOOLEAN, default=None)
    copyright_text: HumanString = component(24, HUMAN_STRING, default=())
    copyright_notice: HumanString = component(25, HUMAN_STRING, default=())
    producer_contact_info: ContactInfo | None = component(26, Sequence(ContactInfo), default=None)
    supplier_contact_info: ContactInfo | None = component(27, Sequence(ContactInfo), default=None)
    submission_contact_info: ContactInfo | None = component(28, Sequence(ContactInfo), default=None)
    access_info: AccessInfo | None = component(29, Sequence(AccessInfo), default=None)


# Record syntaxes


@positional_sequence
class TagStep:
    tag_type: int = component(1, INTEGER)
    tag_value: StringOrNumeric = component(2, STRING_OR_NUMERIC)


# int is a primitive type: 0 octets, 1 number, 2 date, 3 external, 4 string,
# 5 Boolean, 6 identifier, 7 number with unit, 8 empty, 100 another.
ElementDataType = int | tuple["ElementInfo", ...]
_ELEMENTS: Asn1Type[tuple[ElementInfo, ...]] = Lazy(lambda: SequenceOf(Sequence(ElementInfo)))
_ELEMENT_DATA_TYPE: Choice[ElementDataType] = choice(
    "ElementDataType", (0, INTEGER), (1, _ELEMENTS)
)


@sequence
class ElementInfo:
    element_name: str = component(1, STRING)
    element_tag_path: tuple[TagStep, ...] = component(2, SequenceOf(Sequence(TagStep)))
    data_type: ElementDataType | None = component(3, _ELEMENT_DATA_TYPE, default=None)
    required: bool = component(4, BOOLEAN)
    repeatable: bool = component(5, BOOLEAN)
    description: HumanString = component(6, HUMAN_STRING, default=())


@sequence
class RecordSyntaxInfo:
    common_info: CommonInfo | None = component(0, COMMON_INFO, default=None)
    record_syntax: Oid = component(1, OID)
    name: str = component(2, STRING)
    transfer_syntaxes: tuple[Oid, ...] = component(3, SequenceOf(OID), default=())
    description: HumanString = component(4, HUMAN_STRING, default=())
    asn1_module: str | None = component(5, STRING, default=None)
    abstract_structure: tuple[ElementInfo, ...] = component(6, _ELEMENTS, default=())


# Attributes


@sequence
class AttributeDescription:
    name: str | None = component(0, STRING, default=None)
    description: HumanString = component(1, HUMAN_STRING, default=())
    attribute_value: StringOrNumeric = component(2, STRING_OR_NUMERIC)
    equivalent_attributes: tuple[StringOrNumeric, ...] = component(
        3, SequenceOf(STRING_OR_NUMERIC), default=()
    )


@sequence
class AttributeType:
    name: str | None = component(0, STRING, default=None)
    description: HumanString = component(1, HUMAN_STRING, default=())
    attribute_type: int = component(2, INTEGER)
    attribute_values: tuple[AttributeDescription, ...] = component(
        3, SequenceOf(Sequence(AttributeDescription))
    )


@sequence
class AttributeSetInfo:
    common_info: CommonInfo | None = component(0, COMMON_INFO, default=None)
    attribute_set: Oid = component(1, OID)
    name: str = component(2, STRING)
    attributes: tuple[AttributeType, ...] = component(
        3, SequenceOf(Sequence(AttributeType)), default=()
    )
    description: HumanString = component(4, HUMAN_STRING, default=())


@sequence
class OmittedAttributeInterpretation:
    default_value: StringOrNumeric | None = component(0, STRING_OR_NUMERIC, default=None)
    default_description: HumanString = component(1, HUMAN_STRING, default=())


@sequence
class AttributeValueDetails:
    value: StringOrNumeric = component(0, STRING_OR_NUMERIC)
    description: HumanString = component(1, HUMAN_STRING, default=())
    sub_attributes: tuple[StringOrNumeric, ...] = component(
        2, SequenceOf(STRING_OR_NUMERIC), default=()
    )
    super_attributes: tuple[StringOrNumeric, ...] = component(
        3, SequenceOf(STRING_OR_NUMERIC), default=()
    )
    partial_support: bool = component(4, FLAG, default=False)


@sequence
class AttributeTypeDetails:
    """Without values listed, every value of the type is supported."""

    attribute_type: int = component(0, INTEGER)
    default_if_omitted: OmittedAttributeInterpretation | None = component(
        1, Sequence(OmittedAttributeInterpretation), default=None
    )
    attribute_values: tuple[AttributeValueDetails, ...] = component(
        2, SequenceOf(Sequence(AttributeValueDetails)), default=()
    )


@positional_sequence
class AttributeSetDetails:
    attribute_set: Oid = component(0, OID)
    attributes_by_type: tuple[AttributeTypeDetails, ...] = component(
        1, SequenceOf(Sequence(AttributeTypeDetails))
    )


@sequence
class AttributeDetails:
    """How one database can be searched."""

    common_info: CommonInfo | None = component(0, COMMON_INFO, default=None)
    database_name: str = component(1, STRING)
    attributes_by_set: tuple[AttributeSetDetails, ...] = component(
        2, SequenceOf(Sequence(AttributeSetDetails)), default=()
    )
    attribute_combinations: AttributeCombinations | None = component(
        3, ATTRIBUTE_COMBINATIONS, default=None
    )


# Term lists, sorting and extended services


@sequence
class TermList:
    """`search_cost`: 0 optimized, 1 normal, 2 expensive, 3 filter."""

    name: str = component(1, STRING)
    title: HumanString = component(2, HUMAN_STRING, default=())
    search_cost: int | None = component(3, INTEGER, default=None)
    scanable: bool = component(4, BOOLEAN)
    broader: tuple[str, ...] = component(5, SequenceOf(STRING), default=())
    narrower: tuple[str, ...] = component(6, SequenceOf(STRING), default=())


@sequence
class TermListInfo:
    common_info: CommonInfo | None = component(0, COMMON_INFO, default=None)
    database_name: str = component(1, STRING)
    term_lists: tuple[TermList, ...] = component(2, SequenceOf(Sequence(TermList)))


class SortType(Enum):
    CHARACTER = "character"
    NUMERIC = "numeric"


@frozen
class StructuredSort:
    description: HumanString


@sequence
class SortKeyDetails:
    """`case_sensitivity`: 0 always, 1 never, 2 unless, 3 only when asked for."""

    description: HumanString = component(0, HUMAN_STRING, default=())
    element_specifications: tuple[Specification, ...] = component(
        1, SequenceOf(Sequence(Specification)), default=()
    )
    attribute_specifications: AttributeCombinations | None = component(
        2, ATTRIBUTE_COMBINATIONS, default=None
    )
    sort_type: SortType | StructuredSort | None = component(
        3,
        choice(
            "sortType",
            (0, NULL, SortType.CHARACTER),
            (1, NULL, SortType.NUMERIC),
            (2, Wrapped(StructuredSort, HUMAN_STRING)),
        ),
        default=None,
    )
    case_sensitivity: int | None = component(4, INTEGER, default=None)


@sequence
class SortDetails:
    common_info: CommonInfo | None = component(0, COMMON_INFO, default=None)
    database_name: str = component(1, STRING)
    sort_keys: tuple[SortKeyDetails, ...] = component(
        2, SequenceOf(Sequence(SortKeyDetails)), default=()
    )


@sequence
class ExtendedServicesInfo:
    """`wait_action`: 1 supported, 2 always, 3 not supported, 4 depends, 5 not said."""

    common_info: CommonInfo | None = component(0, COMMON_INFO, default=None)
    type: Oid = component(1, OID)
    name: str | None = component(2, STRING, default=None)
    private_type: bool = component(3, BOOLEAN)
    restrictions_apply: bool = component(5, BOOLEAN)
    fee_apply: bool = component(6, BOOLEAN)
    available: bool = component(7, BOOLEAN)
    retention_supported: bool = component(8, BOOLEAN)
    wait_action: int = component(9, INTEGER)
    description: HumanString = component(10, HUMAN_STRING, default=())
    specific_explain: External | None = component(11, EXTERNAL, default=None)
    es_asn: str | None = component(12, STRING, default=None)


# The list of what there is


@sequence
class CategoryInfo:
    category: str = component(1, STRING)
    original_category: str | None = component(2, STRING, default=None)
    description: HumanString = component(3, HUMAN_STRING, default=())
    asn1_module: str | None = component(4, STRING, default=None)


@sequence
class CategoryList:
    common_info: CommonInfo | None = component(0, COMMON_INFO, default=None)
    categories: tuple[CategoryInfo, ...] = component(1, SequenceOf(Sequence(CategoryInfo)))


ExplainRecord = (
    TargetInfo
    | DatabaseInfo
    | RecordSyntaxInfo
    | AttributeSetInfo
    | TermListInfo
    | ExtendedServicesInfo
    | AttributeDetails
    | SortDetails
    | CategoryList
)
EXPLAIN_RECORD: Codec[ExplainRecord] = Codec(
    choice(
        "Explain-Record",
        (0, Sequence(TargetInfo)),
        (1, Sequence(DatabaseInfo)),
        (4, Sequence(RecordSyntaxInfo)),
        (5, Sequence(AttributeSetInfo)),
        (6, Sequence(TermListInfo)),
        (7, Sequence(ExtendedServicesInfo)),
        (8, Sequence(AttributeDetails)),
        (12, Sequence(SortDetails)),
        (100, Sequence(CategoryList)),
    ),
    "Explain-Record",
)
