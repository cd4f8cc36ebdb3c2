"""Diagnostics of Bib-1 and SRU, and the map between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING


class _Condition(IntEnum):
    """A numbered condition with the short text that clients show for it."""

    if TYPE_CHECKING:
        message: str

    def __new__(cls, value: int, message: str = "") -> _Condition:
        member = int.__new__(cls, value)
        member._value_ = value
        member.message = message
        return member


class Bib1(_Condition):
    """Conditions of diagnostic set bib-1, 1.2.840.10003.4.1."""

    PERMANENT_SYSTEM_ERROR = 1, "Permanent system error"
    TEMPORARY_SYSTEM_ERROR = 2, "Temporary system error"
    UNSUPPORTED_SEARCH = 3, "Unsupported search"
    ONLY_STOP_WORDS = 4, "Terms only exclusion (stop) words"
    TOO_MANY_ARGUMENT_WORDS = 5, "Too many argument words"
    TOO_MANY_BOOLEAN_OPERATORS = 6, "Too many Boolean operators"
    TOO_MANY_TRUNCATED_WORDS = 7, "Too many truncated words"
    TOO_MANY_INCOMPLETE_SUBFIELDS = 8, "Too many incomplete subfields"
    TRUNCATED_WORDS_TOO_SHORT = 9, "Truncated words too short"
    INVALID_RECORD_NUMBER = 10, "Invalid format for record number (search term)"
    TOO_MANY_CHARACTERS = 11, "Too many characters in search statement"
    TOO_MANY_RECORDS_RETRIEVED = 12, "Too many records retrieved"
    PRESENT_OUT_OF_RANGE = 13, "Present request out of range"
    SYSTEM_ERROR_IN_PRESENTING = 14, "System error in presenting records"
    RECORD_NOT_AUTHORISED = 15, "Record not authorised to be sent intersystem"
    RECORD_EXCEEDS_PREFERRED_SIZE = 16, "Record exceeds preferred message size"
    RECORD_EXCEEDS_EXCEPTIONAL_SIZE = 17, "Record exceeds exceptional record size"
    RESULT_SET_AS_TERM_UNSUPPORTED = 18, "Result set not supported as a search term"
    ONLY_SINGLE_RESULT_SET_AS_TERM = 19, "Only a single result set as search term supported"
    ONLY_ANDING_OF_RESULT_SET = 20, "Only ANDing of a single result set as search term supported"
    RESULT_SET_EXISTS = 21, "Result set exists and replace indicator off"
    RESULT_SET_NAMING_UNSUPPORTED = 22, "Result set naming not supported"
    DATABASE_COMBINATION_UNSUPPORTED = 23, "Combination of specified databases not supported"
    ELEMENT_SET_NAMES_UNSUPPORTED = 24, "Element set names not supported"
    ELEMENT_SET_NAME_INVALID = 25, "Element set name not valid for specified database"
    ONLY_GENERIC_ELEMENT_SET_NAME = 26, "Only generic form of element set name supported"
    RESULT_SET_DELETED_BY_SERVER = 27, "Result set no longer exists: deleted by the server"
    RESULT_SET_IN_USE = 28, "Result set is in use"
    DATABASE_LOCKED = 29, "One of the specified databases is locked"
    RESULT_SET_UNKNOWN = 30, "Specified result set does not exist"
    RESOURCES_EXHAUSTED_NO_RESULTS = 31, "Resources exhausted: no results available"
    RESOURCES_EXHAUSTED_UNPREDICTABLE = (
        32,
        ("Resources exhausted: unpredictable partial results available"),
    )
    RESOURCES_EXHAUSTED_VALID_SUBSET = (
        33,
        ("Resources exhausted: valid subset of results available"),
    )
    UNSPECIFIED_ERROR = 100, "Unspecified error"
    ACCESS_CONTROL_FAILURE = 101, "Access-control failure"
    CHALLENGE_NOT_ISSUED_TERMINATED = (
        102,
        ("Challenge required, could not be issued: request terminated"),
    )
    CHALLENGE_NOT_ISSUED_RECORD = (
        103,
        ("Challenge required, could not be issued: record not included"),
    )
    CHALLENGE_FAILED = 104, "Challenge failed: record not included"
    TERMINATED_AT_CLIENT_REQUEST = 105, "Terminated by negative continue response"
    NO_ABSTRACT_SYNTAXES_AGREED = 106, "No abstract syntaxes agreed to for this record"
    QUERY_TYPE_UNSUPPORTED = 107, "Query type not supported"
    MALFORMED_QUERY = 108, "Malformed query"
    DATABASE_UNAVAILABLE = 109, "Database unavailable"
    OPERATOR_UNSUPPORTED = 110, "Operator unsupported"
    TOO_MANY_DATABASES = 111, "Too many databases specified"
    TOO_MANY_RESULT_SETS = 112, "Too many result sets created"
    ATTRIBUTE_TYPE_UNSUPPORTED = 113, "Unsupported attribute type"
    USE_ATTRIBUTE_UNSUPPORTED = 114, "Unsupported Use attribute"
    USE_ATTRIBUTE_VALUE_UNSUPPORTED = 115, "Unsupported term value for Use attribute"
    USE_ATTRIBUTE_REQUIRED = 116, "Use attribute required but not supplied"
    RELATION_UNSUPPORTED = 117, "Unsupported Relation attribute"
    STRUCTURE_UNSUPPORTED = 118, "Unsupported Structure attribute"
    POSITION_UNSUPPORTED = 119, "Unsupported Position attribute"
    TRUNCATION_UNSUPPORTED = 120, "Unsupported Truncation attribute"
    ATTRIBUTE_SET_UNSUPPORTED = 121, "Unsupported Attribute Set"
    COMPLETENESS_UNSUPPORTED = 122, "Unsupported Completeness attribute"
    ATTRIBUTE_COMBINATION_UNSUPPORTED = 123, "Unsupported attribute combination"
    CODED_VALUE_UNSUPPORTED = 124, "Unsupported coded value for term"
    MALFORMED_SEARCH_TERM = 125, "Malformed search term"
    ILLEGAL_TERM_VALUE = 126, "Illegal term value for attribute"
    UNPARSABLE_UNNORMALIZED_VALUE = 127, "Unparsable format for un-normalized value"
    ILLEGAL_RESULT_SET_NAME = 128, "Illegal result set name"
    PROXIMITY_OF_SETS_UNSUPPORTED = 129, "Proximity search of sets not supported"
    ILLEGAL_SET_IN_PROXIMITY = 130, "Illegal result set in proximity search"
    PROXIMITY_RELATION_UNSUPPORTED = 131, "Unsupported proximity relation"
    PROXIMITY_UNIT_UNSUPPORTED = 132, "Unsupported proximity unit code"
    PROXIMITY_ATTRIBUTES_UNSUPPORTED = (
        201,
        ("Proximity not supported with this attribute combination"),
    )
    PROXIMITY_DISTANCE_UNSUPPORTED = 202, "Unsupported distance for proximity"
    PROXIMITY_ORDERED_UNSUPPORTED = 203, "Ordered flag not supported for proximity"
    ONLY_ZERO_STEP_SIZE = 205, "Only zero step size supported for Scan"
    STEP_SIZE_UNSUPPORTED = 206, "Specified step size not supported for Scan"
    SORT_SEQUENCE_UNSUPPORTED = 207, "Cannot sort according to sequence"
    SORT_WITHOUT_RESULT_SET_NAME = 208, "No result set name supplied on Sort"
    GENERIC_SORT_UNSUPPORTED = 209, "Generic sort not supported"
    DATABASE_SPECIFIC_SORT_UNSUPPORTED = 210, "Database-specific sort not supported"
    TOO_MANY_SORT_KEYS = 211, "Too many sort keys"
    DUPLICATE_SORT_KEYS = 212, "Duplicate sort keys"
    MISSING_DATA_ACTION_UNSUPPORTED = 213, "Unsupported missing data action"
    ILLEGAL_SORT_RELATION = 214, "Illegal sort relation"
    ILLEGAL_CASE_VALUE = 215, "Illegal case value"
    ILLEGAL_MISSING_DATA_ACTION = 216, "Illegal missing data action"
    SEGMENTS_CANNOT_FIT = (
        217,
        ("Segmentation: cannot guarantee records will fit in specified segments"),
    )
    ES_PACKAGE_NAME_IN_USE = 218, "ES: package name already in use"
    ES_NO_SUCH_PACKAGE = 219, "ES: no such package, on modify/delete"
    ES_QUOTA_EXCEEDED = 220, "ES: quota exceeded"
    ES_TYPE_UNSUPPORTED = 221, "ES: extended service type not supported"
    ES_ID_NOT_AUTHORISED = 222, "ES: permission denied: id not authorised"
    ES_CANNOT_MODIFY = 223, "ES: permission denied: cannot modify or delete"
    ES_IMMEDIATE_FAILED = 224, "ES: immediate execution failed"
    ES_IMMEDIATE_UNSUPPORTED = 225, "ES: immediate execution not supported for this service"
    ES_IMMEDIATE_PARAMETERS_UNSUPPORTED = (
        226,
        ("ES: immediate execution not supported for these parameters"),
    )
    NO_DATA_IN_REQUESTED_SYNTAX = 227, "No data available in requested record syntax"
    MALFORMED_SCAN = 228, "Scan: malformed scan"
    TERM_TYPE_UNSUPPORTED = 229, "Term type not supported"
    SORT_TOO_MANY_INPUTS = 230, "Sort: too many input results"
    SORT_INCOMPATIBLE_FORMATS = 231, "Sort: incompatible record formats"
    SCAN_TERM_LIST_UNSUPPORTED = 232, "Scan: term list not supported"
    SCAN_POSITION_UNSUPPORTED = 233, "Scan: unsupported value of position-in-response"
    TOO_MANY_INDEX_TERMS = 234, "Too many index terms processed"
    DATABASE_UNKNOWN = 235, "Database does not exist"
    DATABASE_ACCESS_DENIED = 236, "Access to specified database denied"
    ILLEGAL_SORT = 237, "Sort: illegal sort"
    RECORD_NOT_IN_SYNTAX = 238, "Record not available in requested syntax"
    RECORD_SYNTAX_UNSUPPORTED = 239, "Record syntax not supported"
    SCAN_RESOURCES_EXHAUSTED = 240, "Scan: resources exhausted looking for satisfying terms"
    SCAN_END_OF_TERM_LIST = 241, "Scan: beginning or end of term list"
    SEGMENT_SIZE_TOO_SMALL = 242, "Segmentation: max-segment-size too small to segment record"
    ADDITIONAL_RANGES_UNSUPPORTED = 243, "Present: additional-ranges parameter not supported"
    COMP_SPEC_UNSUPPORTED = 244, "Present: comp-spec parameter not supported"
    RESULT_ATTRIBUTES_UNSUPPORTED = 245, "Type-1 query: restriction operand not supported"
    COMPLEX_ATTRIBUTE_UNSUPPORTED = 246, "Type-1 query: complex attributeValue not supported"
    ATTRIBUTE_SET_IN_ELEMENT_UNSUPPORTED = (
        247,
        ("Type-1 query: attributeSet in AttributeElement not supported"),
    )
    MALFORMED_APDU = 1001, "Malformed APDU"
    ES_EXTERNAL_ITEM_ORDER_UNSUPPORTED = 1002, "ES: EXTERNAL form of Item Order not supported"
    ES_RESULT_SET_ITEM_ORDER_UNSUPPORTED = (
        1003,
        ("ES: result set item form of Item Order not supported"),
    )
    ES_ACCESS_CONTROL_REQUIRED = 1004, "ES: not supported unless access control is in effect"
    RECORDS_IN_SEARCH_RESPONSE_UNSUPPORTED = (
        1005,
        ("Response records in Search response not supported"),
    )
    RECORDS_IN_SEARCH_RESPONSE_IMPOSSIBLE = (
        1006,
        ("Response records in Search response not possible for specified database"),
    )
    NO_EXPLAIN_SERVER = 1007, "No Explain server"
    ES_MISSING_PARAMETER = 1008, "ES: missing mandatory parameter for specified function"
    ES_ITEM_ORDER_OID_UNSUPPORTED = 1009, "ES: Item Order, unsupported OID in itemRequest"
    BAD_USER_ID = 1010, "Init/AC: bad userid"
    BAD_USER_ID_OR_PASSWORD = 1011, "Init/AC: bad userid and/or password"
    NO_SEARCHES_REMAINING = 1012, "Init/AC: no searches remaining"
    INCORRECT_INTERFACE_TYPE = 1013, "Init/AC: incorrect interface type"
    AUTHENTICATION_SYSTEM_ERROR = 1014, "Init/AC: authentication system error"
    TOO_MANY_SESSIONS_FOR_USER = (
        1015,
        ("Init/AC: maximum number of simultaneous sessions for userid"),
    )
    BLOCKED_NETWORK_ADDRESS = 1016, "Init/AC: blocked network address"
    NO_DATABASES_FOR_USER = 1017, "Init/AC: no databases available for specified userid"
    TEMPORARILY_OUT_OF_RESOURCES = 1018, "Init/AC: system temporarily out of resources"
    DOWN_FOR_MAINTENANCE = 1019, "Init/AC: system not available due to maintenance"
    TEMPORARILY_UNAVAILABLE = 1020, "Init/AC: system temporarily unavailable"
    ACCOUNT_EXPIRED = 1021, "Init/AC: account has expired"
    PASSWORD_EXPIRED = 1022, "Init/AC: password has expired, a new one must be supplied"
    PASSWORD_CHANGED_BY_ADMINISTRATOR = (
        1023,
        ("Init/AC: password changed by an administrator, a new one must be supplied"),
    )
    ATTRIBUTE_UNSUPPORTED = 1024, "Unsupported attribute"
    SERVICE_UNSUPPORTED_FOR_DATABASE = 1025, "Service not supported for this database"
    RECORD_LOCKED = 1026, "Record cannot be opened because it is locked"
    SQL_ERROR = 1027, "SQL error"
    RECORD_DELETED = 1028, "Record deleted"
    SCAN_TOO_MANY_TERMS = 1029, "Scan: too many terms requested"
    ES_INVALID_FUNCTION = 1040, "ES: invalid function"
    ES_RETENTION_TIME_ERROR = 1041, "ES: error in retention time"
    ES_PERMISSIONS_NOT_UNDERSTOOD = 1042, "ES: permissions data not understood"
    ES_TASK_OID_INVALID = 1043, "ES: invalid OID for task specific parameters"
    ES_INVALID_ACTION = 1044, "ES: invalid action"
    ES_UNKNOWN_SCHEMA = 1045, "ES: unknown schema"
    ES_TOO_MANY_RECORDS = 1046, "ES: too many records in package"
    ES_INVALID_WAIT_ACTION = 1047, "ES: invalid wait action"
    ES_CANNOT_CREATE_PACKAGE = 1048, "ES: cannot create task package: exceeds maximum size"
    ES_CANNOT_RETURN_PACKAGE = 1049, "ES: cannot return task package: exceeds maximum size"
    ES_REQUEST_TOO_LARGE = 1050, "ES: extended services request too large"
    SCAN_ATTRIBUTE_SET_REQUIRED = 1051, "Scan: attribute set id required, not supplied"
    ES_PACKAGE_RECORD_TOO_LARGE = (
        1052,
        ("ES: cannot process task package record: exceeds maximum record size"),
    )
    ES_RESPONSE_RECORD_TOO_LARGE = (
        1053,
        ("ES: cannot return task package record: exceeds maximum record size"),
    )
    NEGOTIATION_RECORD_REQUIRED = 1054, "Init: required negotiation record not included"
    NEGOTIATION_OPTION_REQUIRED = 1055, "Init: negotiation option required"
    ATTRIBUTE_UNSUPPORTED_FOR_DATABASE = 1056, "Attribute not supported for database"
    ES_PARAMETER_VALUE_UNSUPPORTED = 1057, "ES: unsupported value of task package parameter"
    DEDUP_PORTION_UNSUPPORTED = (
        1058,
        ("Duplicate Detection: cannot dedup on requested record portion"),
    )
    DEDUP_CRITERION_UNSUPPORTED = (
        1059,
        ("Duplicate Detection: requested detection criterion not supported"),
    )
    DEDUP_LEVEL_UNSUPPORTED = 1060, ("Duplicate Detection: requested level of match not supported")
    DEDUP_REGULAR_EXPRESSION_UNSUPPORTED = (
        1061,
        ("Duplicate Detection: requested regular expression not supported"),
    )
    DEDUP_CLUSTERING_UNSUPPORTED = 1062, "Duplicate Detection: cannot do clustering"
    DEDUP_RETENTION_UNSUPPORTED = 1063, ("Duplicate Detection: retention criterion not supported")
    DEDUP_RETENTION_TOO_LARGE = (
        1064,
        ("Duplicate Detection: requested number of entries for retention too large"),
    )
    DEDUP_SORT_UNSUPPORTED = 1065, ("Duplicate Detection: requested sort criterion not supported")
    UNKNOWN_SCHEMA = 1066, "CompSpec: unknown schema, or schema not supported"
    ENCAPSULATION_UNSUPPORTED = 1067, "Encapsulation: encapsulated APDUs not supported"
    ENCAPSULATION_NOT_EXECUTED = (
        1068,
        ("Encapsulation: base operation not executed, based on pre-screening"),
    )
    NO_SYNTAXES_AVAILABLE = 1069, "No syntaxes available for this request"
    SYNTAX_NOT_AUTHORISED = 1070, "User not authorised to receive record in requested syntax"
    PREFERRED_SYNTAX_REQUIRED = 1071, "preferredRecordSyntax not supplied"
    TERM_NOT_IN_TARGET_CHARSET = (
        1072,
        ("Query term includes characters that do not translate into the target character set"),
    )
    NO_DATA_FOR_ACCESS_POINT = (
        1073,
        ("Database records do not contain data associated with access point"),
    )
    PROXY_FAILURE = 1074, "Proxy failure"


class SruDiagnostic(_Condition):
    """Conditions of info:srw/diagnostic/1, the list shared by SRU 1.1, 1.2 and 2.0."""

    GENERAL_SYSTEM_ERROR = 1, "General system error"
    SYSTEM_TEMPORARILY_UNAVAILABLE = 2, "System temporarily unavailable"
    AUTHENTICATION_ERROR = 3, "Authentication error"
    UNSUPPORTED_OPERATION = 4, "Unsupported operation"
    UNSUPPORTED_VERSION = 5, "Unsupported version"
    UNSUPPORTED_PARAMETER_VALUE = 6, "Unsupported parameter value"
    MANDATORY_PARAMETER_MISSING = 7, "Mandatory parameter not supplied"
    UNSUPPORTED_PARAMETER = 8, "Unsupported parameter"
    QUERY_SYNTAX_ERROR = 10, "Query syntax error"
    UNSUPPORTED_QUERY_TYPE = 11, "Unsupported query type"
    TOO_MANY_CHARACTERS_IN_QUERY = 12, "Too many characters in query"
    UNSUPPORTED_PARENTHESES = 13, "Invalid or unsupported use of parentheses"
    UNSUPPORTED_QUOTES = 14, "Invalid or unsupported use of quotes"
    UNSUPPORTED_CONTEXT_SET = 15, "Unsupported context set"
    UNSUPPORTED_INDEX = 16, "Unsupported index"
    UNSUPPORTED_INDEX_SET_COMBINATION = 17, ("Unsupported combination of index and context set")
    UNSUPPORTED_INDEX_COMBINATION = 18, "Unsupported combination of indexes"
    UNSUPPORTED_RELATION = 19, "Unsupported relation"
    UNSUPPORTED_RELATION_MODIFIER = 20, "Unsupported relation modifier"
    UNSUPPORTED_RELATION_MODIFIER_COMBINATION = (
        21,
        ("Unsupported combination of relation modifiers"),
    )
    UNSUPPORTED_RELATION_INDEX_COMBINATION = 22, ("Unsupported combination of relation and index")
    TOO_MANY_CHARACTERS_IN_TERM = 23, "Too many characters in term"
    UNSUPPORTED_RELATION_TERM_COMBINATION = 24, ("Unsupported combination of relation and term")
    SPECIAL_CHARACTER_NOT_QUOTED = 25, "Special characters not quoted in term"
    NON_SPECIAL_CHARACTER_ESCAPED = 26, "Non special character escaped in term"
    EMPTY_TERM = 27, "Empty term unsupported"
    MASKING_CHARACTER_UNSUPPORTED = 28, "Masking character not supported"
    MASKED_WORDS_TOO_SHORT = 29, "Masked words too short"
    TOO_MANY_MASKING_CHARACTERS = 30, "Too many masking characters in term"
    ANCHORING_CHARACTER_UNSUPPORTED = 31, "Anchoring character not supported"
    ANCHORING_CHARACTER_POSITION = 32, "Anchoring character in unsupported position"
    PROXIMITY_AND_MASKING = (
        33,
        ("Combination of proximity/adjacency and masking characters not supported"),
    )
    PROXIMITY_AND_ANCHORING = (
        34,
        ("Combination of proximity/adjacency and anchoring characters not supported"),
    )
    ONLY_STOPWORDS = 35, "Term contains only stopwords"
    TERM_FORMAT_INVALID = 36, "Term in invalid format for index or relation"
    UNSUPPORTED_BOOLEAN = 37, "Unsupported Boolean operator"
    TOO_MANY_BOOLEANS = 38, "Too many Boolean operators in query"
    PROXIMITY_UNSUPPORTED = 39, "Proximity not supported"
    UNSUPPORTED_PROXIMITY_RELATION = 40, "Unsupported proximity relation"
    UNSUPPORTED_PROXIMITY_DISTANCE = 41, "Unsupported proximity distance"
    UNSUPPORTED_PROXIMITY_UNIT = 42, "Unsupported proximity unit"
    UNSUPPORTED_PROXIMITY_ORDERING = 43, "Unsupported proximity ordering"
    UNSUPPORTED_PROXIMITY_COMBINATION = 44, ("Unsupported combination of proximity modifiers")
    PREFIX_ASSIGNED_TWICE = 45, "Prefix assigned to multiple identifiers"
    UNSUPPORTED_BOOLEAN_MODIFIER = 46, "Unsupported Boolean modifier"
    CANNOT_PROCESS_QUERY = 47, "Cannot process query: reason unknown"
    QUERY_FEATURE_UNSUPPORTED = 48, "Query feature unsupported"
    MASKING_CHARACTER_POSITION = 49, "Masking character in unsupported position"
    RESULT_SETS_UNSUPPORTED = 50, "Result sets not supported"
    RESULT_SET_UNKNOWN = 51, "Result set does not exist"
    RESULT_SET_UNAVAILABLE = 52, "Result set temporarily unavailable"
    RESULT_SETS_ONLY_FOR_RETRIEVAL = 53, "Result sets only supported for retrieval"
    RETRIEVAL_ONLY_FROM_RESULT_SET = 54, ("Retrieval may only occur from an existing result set")
    RESULT_SETS_WITH_TERMS_UNSUPPORTED = (
        55,
        ("Combination of result sets with search terms not supported"),
    )
    ONLY_SINGLE_RESULT_SET_WITH_TERMS = (
        56,
        ("Only combination of single result set with search terms supported"),
    )
    RESULT_SET_WITHOUT_RECORDS = 57, "Result set created but no records available"
    RESULT_SET_UNPREDICTABLE = (
        58,
        ("Result set created with unpredictable partial results available"),
    )
    RESULT_SET_VALID_SUBSET = 59, ("Result set created with valid partial results available")
    TOO_MANY_MATCHES = 60, "Result set not created: too many matching records"
    FIRST_RECORD_OUT_OF_RANGE = 61, "First record position out of range"
    NEGATIVE_NUMBER_OF_RECORDS = 62, "Negative number of records requested"
    SYSTEM_ERROR_IN_RETRIEVING = 63, "System error in retrieving records"
    RECORD_UNAVAILABLE = 64, "Record temporarily unavailable"
    RECORD_UNKNOWN = 65, "Record does not exist"
    UNKNOWN_SCHEMA = 66, "Unknown schema for retrieval"
    RECORD_NOT_IN_SCHEMA = 67, "Record not available in this schema"
    NOT_AUTHORISED = 68, "Not authorised to send record"
    NOT_AUTHORISED_IN_SCHEMA = 69, "Not authorised to send record in this schema"
    RECORD_TOO_LARGE = 70, "Record too large to send"
    UNSUPPORTED_RECORD_PACKING = 71, "Unsupported record packing"
    XPATH_UNSUPPORTED = 72, "XPath retrieval unsupported"
    XPATH_FEATURE_UNSUPPORTED = 73, "XPath expression contains unsupported feature"
    XPATH_NOT_EVALUATED = 74, "Unable to evaluate XPath expression"
    SORT_UNSUPPORTED = 80, "Sort not supported"
    UNSUPPORTED_SORT_TYPE = 81, "Unsupported sort type"
    UNSUPPORTED_SORT_SEQUENCE = 82, "Unsupported sort sequence"
    TOO_MANY_RECORDS_TO_SORT = 83, "Too many records to sort"
    TOO_MANY_SORT_KEYS = 84, "Too many sort keys to sort"
    DUPLICATE_SORT_KEYS = 85, "Duplicate sort keys"
    SORT_INCOMPATIBLE_FORMATS = 86, "Cannot sort: incompatible record formats"
    UNSUPPORTED_SORT_SCHEMA = 87, "Unsupported schema for sort"
    UNSUPPORTED_SORT_PATH = 88, "Unsupported path for sort"
    PATH_UNSUPPORTED_FOR_SCHEMA = 89, "Path unsupported for schema"
    UNSUPPORTED_SORT_DIRECTION = 90, "Unsupported direction value"
    UNSUPPORTED_SORT_CASE = 91, "Unsupported case value"
    UNSUPPORTED_MISSING_VALUE_ACTION = 92, "Unsupported missing value action"
    SORT_ENDED_ON_MISSING_VALUE = 93, "Sort ended due to missing value"
    EXPLAIN_UNSUPPORTED = 100, "Explain not supported"
    EXPLAIN_REQUEST_TYPE_UNSUPPORTED = 101, "Explain request type not supported"
    EXPLAIN_UNAVAILABLE = 102, "Explain record temporarily unavailable"
    STYLESHEETS_UNSUPPORTED = 110, "Stylesheets not supported"
    UNSUPPORTED_STYLESHEET = 111, "Unsupported stylesheet"
    RESPONSE_POSITION_OUT_OF_RANGE = 120, "Response position out of range"
    TOO_MANY_TERMS_REQUESTED = 121, "Too many terms requested"
    # Borrowed from Bib-1, as other servers do: the published list has no such condition.
    DATABASE_UNKNOWN = 235, "Database does not exist"
    DATABASE_ACCESS_DENIED = 236, "Access to specified database denied"

    @property
    def uri(self) -> str:
        return f"info:srw/diagnostic/1/{self.value}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A refusal that a client caused or must hear of.

    `addinfo` is the value refused, as the client sent it.
    """

    condition: Bib1
    addinfo: str = ""


@dataclass(frozen=True, slots=True)
class SruFault:
    """A refusal as SRU states it.

    `details` is the value refused; `position` counts characters of the query
    from 0 and is None where no place in a query is meant. `message` replaces
    the list's text of the condition.
    """

    condition: SruDiagnostic
    details: str = ""
    position: int | None = None
    message: str = ""
