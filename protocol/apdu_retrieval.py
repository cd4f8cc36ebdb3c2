"""Init, Search, Present, Segment and Delete (Z39.50-2003 §3.2.1 to §3.2.4)."""

from __future__ import annotations

from enum import Enum, IntEnum

from protocol.apdu_common import (
    DATABASE_NAME,
    DEFAULT_DIAG_FORMAT,
    DIAG_REC,
    ELEMENT_SET_NAME,
    OTHER_INFORMATION,
    REFERENCE_ID,
    RESULT_SET_ID,
    DefaultDiagFormat,
    DiagRec,
    OtherInformation,
)
from protocol.apdu_query import Query
from protocol.apdu_query_codec import QUERY
from protocol.asn1 import (
    BOOLEAN,
    INTEGER,
    NULL,
    OCTETS,
    OID,
    STRING,
    VISIBLE_STRING,
    Asn1Type,
    BitString,
    Choice,
    Explicit,
    Opaque,
    Sequence,
    SequenceOf,
    Wrapped,
    choice,
    component,
    positional_sequence,
    sequence,
)
from protocol.external import EXTERNAL, External
from protocol.frozen import frozen
from protocol.oid import Oid


class ProtocolVersion(IntEnum):
    """Bits of protocolVersion; bit 0 stands for no version of Z39.50."""

    VERSION_1 = 0
    VERSION_2 = 1
    VERSION_3 = 2


class Option(IntEnum):
    """Bits of Options (Z39.50-2003 §3.2.1.1.3)."""

    SEARCH = 0
    PRESENT = 1
    DEL_SET = 2
    RESOURCE_REPORT = 3
    TRIGGER_RESOURCE_CTRL = 4
    RESOURCE_CTRL = 5
    ACCESS_CTRL = 6
    SCAN = 7
    SORT = 8
    EXTENDED_SERVICES = 10
    LEVEL_1_SEGMENTATION = 11
    LEVEL_2_SEGMENTATION = 12
    CONCURRENT_OPERATIONS = 13
    NAMED_RESULT_SETS = 14
    ENCAPSULATION = 15
    RESULT_COUNT = 16
    NEGOTIATION_MODEL = 17
    DUPLICATE_DETECTION = 18
    QUERY_TYPE_104 = 19
    PQES_CORRECTION = 20
    STRING_SCHEMA = 21


@sequence
class IdPass:
    group_id: str | None = component(0, STRING, default=None)
    user_id: str | None = component(1, STRING, default=None)
    password: str | None = component(2, STRING, default=None)


class Anonymous(Enum):
    ANONYMOUS = "anonymous"


# str is `open`, External is `other`, Opaque anything the recommended CHOICE lacks.
IdAuthentication = str | IdPass | Anonymous | External | Opaque
ID_AUTHENTICATION: Choice[IdAuthentication] = choice(
    "IdAuthentication",
    (None, VISIBLE_STRING),
    (None, Sequence(IdPass)),
    (None, NULL, Anonymous.ANONYMOUS),
    (None, EXTERNAL),
    others=True,
)


@sequence
class InitializeRequest:
    """Sizes are in octets; 0 states no limit (Z39.50-2003 §3.2.1.1.4)."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    protocol_version: frozenset[ProtocolVersion] = component(3, BitString(ProtocolVersion))
    options: frozenset[Option] = component(4, BitString(Option))
    preferred_message_size: int = component(5, INTEGER)
    exceptional_record_size: int = component(6, INTEGER)
    id_authentication: IdAuthentication | None = component(7, ID_AUTHENTICATION, default=None)
    implementation_id: str | None = component(110, STRING, default=None)
    implementation_name: str | None = component(111, STRING, default=None)
    implementation_version: str | None = component(112, STRING, default=None)
    user_information_field: External | None = component(11, Explicit(EXTERNAL), default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


@sequence
class InitializeResponse:
    """`result` False refuses the association."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    protocol_version: frozenset[ProtocolVersion] = component(3, BitString(ProtocolVersion))
    options: frozenset[Option] = component(4, BitString(Option))
    preferred_message_size: int = component(5, INTEGER)
    exceptional_record_size: int = component(6, INTEGER)
    result: bool = component(12, BOOLEAN)
    implementation_id: str | None = component(110, STRING, default=None)
    implementation_name: str | None = component(111, STRING, default=None)
    implementation_version: str | None = component(112, STRING, default=None)
    user_information_field: External | None = component(11, Explicit(EXTERNAL), default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


@positional_sequence
class DatabaseElementSetName:
    db_name: str = component(None, DATABASE_NAME)
    esn: str = component(None, ELEMENT_SET_NAME)


# str is the generic name, a tuple names one per database.
ElementSetNames = str | tuple[DatabaseElementSetName, ...]
ELEMENT_SET_NAMES: Choice[ElementSetNames] = choice(
    "ElementSetNames", (0, STRING), (1, SequenceOf(Sequence(DatabaseElementSetName)))
)


@sequence
class SearchRequest:
    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    small_set_upper_bound: int = component(13, INTEGER)
    large_set_lower_bound: int = component(14, INTEGER)
    medium_set_present_number: int = component(15, INTEGER)
    replace_indicator: bool = component(16, BOOLEAN)
    result_set_name: str = component(17, STRING)
    database_names: tuple[str, ...] = component(18, SequenceOf(DATABASE_NAME))
    small_set_element_set_names: ElementSetNames | None = component(
        100, ELEMENT_SET_NAMES, default=None
    )
    medium_set_element_set_names: ElementSetNames | None = component(
        101, ELEMENT_SET_NAMES, default=None
    )
    preferred_record_syntax: Oid | None = component(104, OID, default=None)
    query: Query = component(21, Explicit(QUERY))
    additional_search_info: OtherInformation = component(203, OTHER_INFORMATION, default=())
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


@frozen
class SurrogateDiagnostic:
    """Stands at the position of a record or term that could not be given."""

    diagnostic: DiagRec


Fragment = External | bytes
FRAGMENT_SYNTAX: Choice[Fragment] = choice("FragmentSyntax", (None, EXTERNAL), (None, OCTETS))


@frozen
class StartingFragment:
    fragment: Fragment


@frozen
class IntermediateFragment:
    fragment: Fragment


@frozen
class FinalFragment:
    fragment: Fragment


Record = External | SurrogateDiagnostic | StartingFragment | IntermediateFragment | FinalFragment
RECORD: Choice[Record] = choice(
    "record",
    (1, Explicit(EXTERNAL)),
    (2, Explicit(Wrapped(SurrogateDiagnostic, DIAG_REC))),
    (3, Explicit(Wrapped(StartingFragment, FRAGMENT_SYNTAX))),
    (4, Explicit(Wrapped(IntermediateFragment, FRAGMENT_SYNTAX))),
    (5, Explicit(Wrapped(FinalFragment, FRAGMENT_SYNTAX))),
)


@sequence
class NamePlusRecord:
    """`name` is the database; None repeats that of the record before."""

    name: str | None = component(0, STRING, default=None)
    record: Record = component(1, RECORD)


@frozen
class MultipleNonSurDiagnostics:
    diagnostics: tuple[DiagRec, ...]


NAME_PLUS_RECORDS = SequenceOf(Sequence(NamePlusRecord))
Records = tuple[NamePlusRecord, ...] | DefaultDiagFormat | MultipleNonSurDiagnostics
RECORDS: Choice[Records] = choice(
    "Records",
    (28, NAME_PLUS_RECORDS),
    (130, DEFAULT_DIAG_FORMAT),
    (205, Wrapped(MultipleNonSurDiagnostics, SequenceOf(DIAG_REC))),
)


class PresentStatus(IntEnum):
    """Z39.50-2003 §3.2.3.1.11; PARTIAL_n is `partial-n`."""

    SUCCESS = 0
    PARTIAL_1 = 1  # access control stopped it
    PARTIAL_2 = 2  # the message size was reached
    PARTIAL_3 = 3  # resource control, at the client
    PARTIAL_4 = 4  # resource control, at the server
    FAILURE = 5


class ResultSetStatus(IntEnum):
    SUBSET = 1
    INTERIM = 2
    NONE = 3
    ESTIMATE = 4


@sequence
class SearchResponse:
    """`search_status` is success; `result_set_status` explains a failure."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    result_count: int = component(23, INTEGER)
    number_of_records_returned: int = component(24, INTEGER)
    next_result_set_position: int = component(25, INTEGER)
    search_status: bool = component(22, BOOLEAN)
    result_set_status: int | None = component(26, INTEGER, default=None)
    present_status: int | None = component(27, INTEGER, default=None)
    records: Records | None = component(None, RECORDS, default=None)
    additional_search_info: OtherInformation = component(203, OTHER_INFORMATION, default=())
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


@positional_sequence
class Range:
    starting_position: int = component(1, INTEGER)
    number_of_records: int = component(2, INTEGER)


@frozen
class SchemaUri:
    """A schema named by a URI (option stringSchema)."""

    uri: str


ElementSpec = str | External
ELEMENT_SPEC: Choice[ElementSpec] = choice("elementSpec", (1, STRING), (2, EXTERNAL))


@sequence
class Specification:
    """`element_spec` is an element set name or an eSpec."""

    schema: Oid | SchemaUri | None = component(
        None, choice("schema", (1, OID), (300, Wrapped(SchemaUri, STRING))), default=None
    )
    element_spec: ElementSpec | None = component(2, ELEMENT_SPEC, default=None)


@positional_sequence
class DatabaseSpecification:
    db: str = component(1, Explicit(DATABASE_NAME))
    spec: Specification = component(2, Sequence(Specification))


@sequence
class CompSpec:
    """Z39.50-2003 §3.6.2; the first syntax of `record_syntax` that we can give applies."""

    select_alternative_syntax: bool = component(1, BOOLEAN)
    generic: Specification | None = component(2, Sequence(Specification), default=None)
    db_specific: tuple[DatabaseSpecification, ...] = component(
        3, SequenceOf(Sequence(DatabaseSpecification)), default=()
    )
    record_syntax: tuple[Oid, ...] = component(4, SequenceOf(OID), default=())


RecordComposition = ElementSetNames | CompSpec
RECORD_COMPOSITION: Asn1Type[RecordComposition] = choice(
    "recordComposition", (19, ELEMENT_SET_NAMES), (209, Sequence(CompSpec))
)


@sequence
class PresentRequest:
    """Positions count from 1."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    result_set_id: str = component(None, RESULT_SET_ID)
    result_set_start_point: int = component(30, INTEGER)
    number_of_records_requested: int = component(29, INTEGER)
    additional_ranges: tuple[Range, ...] = component(212, SequenceOf(Sequence(Range)), default=())
    record_composition: RecordComposition | None = component(None, RECORD_COMPOSITION, default=None)
    preferred_record_syntax: Oid | None = component(104, OID, default=None)
    max_segment_count: int | None = component(204, INTEGER, default=None)
    max_record_size: int | None = component(206, INTEGER, default=None)
    max_segment_size: int | None = component(207, INTEGER, default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


@sequence
class Segment:
    """Part of a Present response, before its PresentResponse (Z39.50-2003 §3.3)."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    number_of_records_returned: int = component(24, INTEGER)
    segment_records: tuple[NamePlusRecord, ...] = component(0, NAME_PLUS_RECORDS)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


@sequence
class PresentResponse:
    """`present_status` is a PresentStatus."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    number_of_records_returned: int = component(24, INTEGER)
    next_result_set_position: int = component(25, INTEGER)
    present_status: int = component(27, INTEGER)
    records: Records | None = component(None, RECORDS, default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


class DeleteFunction(IntEnum):
    LIST = 0
    ALL = 1


class DeleteSetStatus(IntEnum):
    """Z39.50-2003 §3.2.4.1.4."""

    SUCCESS = 0
    RESULT_SET_DID_NOT_EXIST = 1
    PREVIOUSLY_DELETED_BY_TARGET = 2
    SYSTEM_PROBLEM_AT_TARGET = 3
    ACCESS_NOT_ALLOWED = 4
    RESOURCE_CONTROL_AT_ORIGIN = 5
    RESOURCE_CONTROL_AT_TARGET = 6
    BULK_DELETE_NOT_SUPPORTED = 7
    NOT_ALL_RSLT_SETS_DELETED_ON_BULK_DLTE = 8
    NOT_ALL_REQUESTED_RESULT_SETS_DELETED = 9
    RESULT_SET_IN_USE = 10


@sequence
class DeleteResultSetRequest:
    """`delete_function` is a DeleteFunction."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    delete_function: int = component(32, INTEGER)
    result_set_list: tuple[str, ...] = component(None, SequenceOf(RESULT_SET_ID), default=())
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


@positional_sequence
class ListStatus:
    id: str = component(None, RESULT_SET_ID)
    status: int = component(33, INTEGER)


LIST_STATUSES = SequenceOf(Sequence(ListStatus))


@sequence
class DeleteResultSetResponse:
    """Statuses are DeleteSetStatus."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    delete_operation_status: int = component(0, INTEGER)
    delete_list_statuses: tuple[ListStatus, ...] = component(1, LIST_STATUSES, default=())
    number_not_deleted: int | None = component(34, INTEGER, default=None)
    bulk_statuses: tuple[ListStatus, ...] = component(35, LIST_STATUSES, default=())
    delete_message: str | None = component(36, STRING, default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())
