"""Scan, Sort, Extended Services and Duplicate Detection (Z39.50-2003 §3.2.7 to §3.2.9)."""

from __future__ import annotations

from enum import Enum, IntEnum

from protocol.apdu_common import (
    ATTRIBUTE_LIST,
    ATTRIBUTES_PLUS_TERM,
    DATABASE_NAME,
    DIAG_REC,
    ELEMENT_SET_NAME,
    INT_UNIT,
    OTHER_INFORMATION,
    REFERENCE_ID,
    TERM,
    AttributeElement,
    AttributesPlusTerm,
    DiagRec,
    IntUnit,
    OtherInformation,
    Term,
)
from protocol.apdu_retrieval import Specification, SurrogateDiagnostic
from protocol.asn1 import (
    BOOLEAN,
    INTEGER,
    NULL,
    OCTETS,
    OID,
    STRING,
    Choice,
    Explicit,
    Sequence,
    SequenceOf,
    Tagged,
    Wrapped,
    choice,
    component,
    positional_sequence,
    sequence,
)
from protocol.external import EXTERNAL, External
from protocol.frozen import frozen
from protocol.oid import Oid

# Scan


@sequence
class ScanRequest:
    """Z39.50-2003 §3.2.8.1.1; `step_size` counts the terms passed over between two."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    database_names: tuple[str, ...] = component(3, SequenceOf(DATABASE_NAME))
    attribute_set: Oid | None = component(None, OID, default=None)
    term_list_and_start_point: AttributesPlusTerm = component(None, ATTRIBUTES_PLUS_TERM)
    step_size: int | None = component(5, INTEGER, default=None)
    number_of_terms_requested: int = component(6, INTEGER)
    preferred_position_in_response: int | None = component(7, INTEGER, default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


@sequence
class DatabaseOccurrences:
    db: str = component(None, DATABASE_NAME)
    num: int | None = component(1, INTEGER, default=None)
    other_db_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


@sequence
class OccurrenceByAttributes:
    """`occurrences` is one count, or counts by database."""

    attributes: tuple[AttributeElement, ...] = component(1, Explicit(Tagged(44, ATTRIBUTE_LIST)))
    occurrences: int | tuple[DatabaseOccurrences, ...] | None = component(
        None,
        choice(
            "occurrences", (2, Explicit(INTEGER)), (3, SequenceOf(Sequence(DatabaseOccurrences)))
        ),
        default=None,
    )
    other_occur_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


@sequence
class TermInfo:
    """`display_term` is given when `term` is not fit for display."""

    term: Term = component(None, TERM)
    display_term: str | None = component(0, STRING, default=None)
    suggested_attributes: tuple[AttributeElement, ...] = component(44, ATTRIBUTE_LIST, default=())
    alternative_term: tuple[AttributesPlusTerm, ...] = component(
        4, SequenceOf(ATTRIBUTES_PLUS_TERM), default=()
    )
    global_occurrences: int | None = component(2, INTEGER, default=None)
    by_attributes: tuple[OccurrenceByAttributes, ...] = component(
        3, SequenceOf(Sequence(OccurrenceByAttributes)), default=()
    )
    other_term_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


Entry = TermInfo | SurrogateDiagnostic
ENTRY: Choice[Entry] = choice(
    "Entry",
    (1, Sequence(TermInfo)),
    (2, Explicit(Wrapped(SurrogateDiagnostic, DIAG_REC))),
)


@sequence
class ListEntries:
    entries: tuple[Entry, ...] = component(1, SequenceOf(ENTRY), default=())
    nonsurrogate_diagnostics: tuple[DiagRec, ...] = component(2, SequenceOf(DIAG_REC), default=())


class ScanStatus(IntEnum):
    """Z39.50-2003 §3.2.8.1.6."""

    SUCCESS = 0
    PARTIAL_1 = 1
    PARTIAL_2 = 2
    PARTIAL_3 = 3
    PARTIAL_4 = 4
    PARTIAL_5 = 5
    FAILURE = 6


@sequence
class ScanResponse:
    """`position_of_term` counts from 1 within the entries returned."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    step_size: int | None = component(3, INTEGER, default=None)
    scan_status: int = component(4, INTEGER)
    number_of_entries_returned: int = component(5, INTEGER)
    position_of_term: int | None = component(6, INTEGER, default=None)
    entries: ListEntries | None = component(7, Sequence(ListEntries), default=None)
    attribute_set: Oid | None = component(8, OID, default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


# Sort


@positional_sequence
class SortAttributes:
    id: Oid = component(None, OID)
    list: tuple[AttributeElement, ...] = component(44, ATTRIBUTE_LIST)


# str is a sort field, Specification an element specification.
SortKey = str | Specification | SortAttributes
SORT_KEY: Choice[SortKey] = choice(
    "SortKey", (0, STRING), (1, Sequence(Specification)), (2, Sequence(SortAttributes))
)


@positional_sequence
class DatabaseSortKey:
    database_name: str = component(None, DATABASE_NAME)
    db_sort: SortKey = component(None, SORT_KEY)


SortElement = SortKey | tuple[DatabaseSortKey, ...]
SORT_ELEMENT: Choice[SortElement] = choice(
    "SortElement", (1, SORT_KEY), (2, SequenceOf(Sequence(DatabaseSortKey)))
)


class SortRelation(IntEnum):
    ASCENDING = 0
    DESCENDING = 1
    ASCENDING_BY_FREQUENCY = 3
    DESCENDING_BY_FREQUENCY = 4


class CaseSensitivity(IntEnum):
    CASE_SENSITIVE = 0
    CASE_INSENSITIVE = 1


class MissingValueAction(Enum):
    ABORT = "abort"
    NULL = "null"


@sequence
class SortKeySpec:
    """`missing_value_action` as bytes is the value to suppose."""

    sort_element: SortElement = component(None, SORT_ELEMENT)
    sort_relation: int = component(1, INTEGER)
    case_sensitivity: int = component(2, INTEGER)
    missing_value_action: MissingValueAction | bytes | None = component(
        3,
        choice(
            "missingValueAction",
            (1, NULL, MissingValueAction.ABORT),
            (2, NULL, MissingValueAction.NULL),
            (3, OCTETS),
        ),
        default=None,
    )


@sequence
class SortRequest:
    """`sort_sequence` goes from major to minor key."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    input_result_set_names: tuple[str, ...] = component(3, SequenceOf(STRING))
    sorted_result_set_name: str = component(4, STRING)
    sort_sequence: tuple[SortKeySpec, ...] = component(5, SequenceOf(Sequence(SortKeySpec)))
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


class SortStatus(IntEnum):
    SUCCESS = 0
    PARTIAL_1 = 1
    FAILURE = 2


class SortResultSetStatus(IntEnum):
    EMPTY = 1
    INTERIM = 2
    UNCHANGED = 3
    NONE = 4


@sequence
class SortResponse:
    """`sort_status` is a SortStatus, `result_set_status` a SortResultSetStatus."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    sort_status: int = component(3, INTEGER)
    result_set_status: int | None = component(4, INTEGER, default=None)
    diagnostics: tuple[DiagRec, ...] = component(5, SequenceOf(DIAG_REC), default=())
    result_count: int | None = component(6, INTEGER, default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


# Extended Services


@sequence
class Permission:
    """`allowable_functions`: 1 delete, 2 modify contents, 3 modify permissions,
    4 present, 5 invoke."""

    user_id: str | None = component(1, STRING, default=None)
    allowable_functions: tuple[int, ...] = component(2, SequenceOf(INTEGER))


PERMISSIONS = SequenceOf(Sequence(Permission))


class EsFunction(IntEnum):
    CREATE = 1
    DELETE = 2
    MODIFY = 3


class WaitAction(IntEnum):
    WAIT = 1
    WAIT_IF_POSSIBLE = 2
    DONT_WAIT = 3
    DONT_RETURN_PACKAGE = 4


@sequence
class ExtendedServicesRequest:
    """`function` is an EsFunction, `wait_action` a WaitAction.

    `task_specific_parameters` is read with `protocol.external`.
    """

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    function: int = component(3, INTEGER)
    package_type: Oid = component(4, OID)
    package_name: str | None = component(5, STRING, default=None)
    user_id: str | None = component(6, STRING, default=None)
    retention_time: IntUnit | None = component(7, INT_UNIT, default=None)
    permissions: tuple[Permission, ...] = component(8, PERMISSIONS, default=())
    description: str | None = component(9, STRING, default=None)
    task_specific_parameters: External | None = component(10, EXTERNAL, default=None)
    wait_action: int = component(11, INTEGER)
    elements: str | None = component(None, ELEMENT_SET_NAME, default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


class OperationStatus(IntEnum):
    DONE = 1
    ACCEPTED = 2
    FAILURE = 3


@sequence
class ExtendedServicesResponse:
    """`operation_status` is an OperationStatus; `task_package` has syntax 5.106."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    operation_status: int = component(3, INTEGER)
    diagnostics: tuple[DiagRec, ...] = component(4, SequenceOf(DIAG_REC), default=())
    task_package: External | None = component(5, EXTERNAL, default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


# Duplicate Detection


class CriterionFlag(Enum):
    CASE_SENSITIVE = "caseSensitive"
    PUNCTUATION_SENSITIVE = "punctuationSensitive"
    RS_DUPLICATES = "rsDuplicates"


# int is levelOfMatch in percent, External a regular expression.
DuplicateDetectionCriterion = int | CriterionFlag | External
_CRITERION: Choice[DuplicateDetectionCriterion] = choice(
    "DuplicateDetectionCriterion",
    (1, INTEGER),
    (2, NULL, CriterionFlag.CASE_SENSITIVE),
    (3, NULL, CriterionFlag.PUNCTUATION_SENSITIVE),
    (4, EXTERNAL),
    (5, NULL, CriterionFlag.RS_DUPLICATES),
)


@frozen
class PercentOfEntries:
    percent: int


class RetentionFlag(Enum):
    DUPLICATES_ONLY = "duplicatesOnly"
    DISCARD_RS_DUPLICATES = "discardRsDuplicates"


# int is numberOfEntries.
RetentionCriterion = int | PercentOfEntries | RetentionFlag
_RETENTION: Choice[RetentionCriterion] = choice(
    "RetentionCriterion",
    (1, INTEGER),
    (2, Wrapped(PercentOfEntries, INTEGER)),
    (3, NULL, RetentionFlag.DUPLICATES_ONLY),
    (4, NULL, RetentionFlag.DISCARD_RS_DUPLICATES),
)


class SortPreference(Enum):
    MOST_COMPREHENSIVE = "mostComprehensive"
    LEAST_COMPREHENSIVE = "leastComprehensive"
    MOST_RECENT = "mostRecent"
    OLDEST = "oldest"
    LEAST_COST = "leastCost"


# A tuple is preferredDatabases.
SortCriterion = SortPreference | tuple[str, ...]
_SORT_CRITERION: Choice[SortCriterion] = choice(
    "SortCriterion",
    (1, NULL, SortPreference.MOST_COMPREHENSIVE),
    (2, NULL, SortPreference.LEAST_COMPREHENSIVE),
    (3, NULL, SortPreference.MOST_RECENT),
    (4, NULL, SortPreference.OLDEST),
    (5, NULL, SortPreference.LEAST_COST),
    (6, SequenceOf(STRING)),
)


@sequence
class DuplicateDetectionRequest:
    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    input_result_set_ids: tuple[str, ...] = component(3, SequenceOf(STRING))
    output_result_set_name: str = component(4, STRING)
    applicable_portion_of_record: External | None = component(5, EXTERNAL, default=None)
    duplicate_detection_criteria: tuple[DuplicateDetectionCriterion, ...] = component(
        6, SequenceOf(_CRITERION), default=()
    )
    clustering: bool | None = component(7, BOOLEAN, default=None)
    retention_criteria: tuple[RetentionCriterion, ...] = component(8, SequenceOf(_RETENTION))
    sort_criteria: tuple[SortCriterion, ...] = component(9, SequenceOf(_SORT_CRITERION), default=())
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


@sequence
class DuplicateDetectionResponse:
    """`status` 0 is success, 1 failure."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    status: int = component(3, INTEGER)
    result_set_count: int | None = component(4, INTEGER, default=None)
    diagnostics: tuple[DiagRec, ...] = component(5, SequenceOf(DIAG_REC), default=())
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())
