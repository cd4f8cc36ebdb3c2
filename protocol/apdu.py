"""The APDUs of Z39.50-2003 §4.1, one frozen dataclass each, Init to Close.

Everything a caller needs is named here; the definitions are in `apdu_*`.
`decode` and `encode` take one whole APDU; `protocol.association` cuts a stream
into those.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocol import ber
from protocol.apdu_common import (
    AttributeElement,
    AttributesPlusTerm,
    AttributeValue,
    ComplexAttribute,
    DefaultDiagFormat,
    DiagRec,
    InfoCategory,
    Information,
    IntUnit,
    OtherInformation,
    OtherInformationItem,
    StringOrNumeric,
    Term,
    Unit,
)
from protocol.apdu_control import (
    AccessControlRequest,
    AccessControlResponse,
    Close,
    CloseReason,
    PartialResultsAvailable,
    RequestedAction,
    ResourceControlRequest,
    ResourceControlResponse,
    ResourceReportRequest,
    ResourceReportResponse,
    ResourceReportStatus,
    SecurityChallenge,
    TriggerResourceControlRequest,
)
from protocol.apdu_query import (
    BooleanOperator,
    CqlQuery,
    KnownProximityUnit,
    OtherQuery,
    PrivateProximityUnit,
    ProximityOperator,
    ProximityRelation,
    Query,
    QueryBound,
    QueryTooComplex,
    ResultAttr,
    ResultSetId,
    RpnNode,
    RpnOperation,
    RpnQuery,
    rpn_postorder,
)
from protocol.apdu_retrieval import (
    Anonymous,
    CompSpec,
    DatabaseElementSetName,
    DatabaseSpecification,
    DeleteFunction,
    DeleteResultSetRequest,
    DeleteResultSetResponse,
    DeleteSetStatus,
    ElementSetNames,
    ElementSpec,
    FinalFragment,
    Fragment,
    IdAuthentication,
    IdPass,
    InitializeRequest,
    InitializeResponse,
    IntermediateFragment,
    ListStatus,
    MultipleNonSurDiagnostics,
    NamePlusRecord,
    Option,
    PresentRequest,
    PresentResponse,
    PresentStatus,
    ProtocolVersion,
    Range,
    Record,
    RecordComposition,
    Records,
    ResultSetStatus,
    SchemaUri,
    SearchRequest,
    SearchResponse,
    Segment,
    Specification,
    StartingFragment,
    SurrogateDiagnostic,
)
from protocol.apdu_services import (
    CaseSensitivity,
    CriterionFlag,
    DatabaseOccurrences,
    DatabaseSortKey,
    DuplicateDetectionCriterion,
    DuplicateDetectionRequest,
    DuplicateDetectionResponse,
    Entry,
    EsFunction,
    ExtendedServicesRequest,
    ExtendedServicesResponse,
    ListEntries,
    MissingValueAction,
    OccurrenceByAttributes,
    OperationStatus,
    PercentOfEntries,
    Permission,
    RetentionCriterion,
    RetentionFlag,
    ScanRequest,
    ScanResponse,
    ScanStatus,
    SortAttributes,
    SortCriterion,
    SortElement,
    SortKey,
    SortKeySpec,
    SortPreference,
    SortRelation,
    SortRequest,
    SortResponse,
    SortResultSetStatus,
    SortStatus,
    TermInfo,
    WaitAction,
)
from protocol.asn1 import GeneralizedTime, Null, Opaque, Sequence
from protocol.asn1_read import content_reader
from protocol.asn1_write import whole_writer
from protocol.ber import ProtocolError
from protocol.external import External, Form

Apdu = (
    InitializeRequest
    | InitializeResponse
    | SearchRequest
    | SearchResponse
    | PresentRequest
    | PresentResponse
    | DeleteResultSetRequest
    | DeleteResultSetResponse
    | AccessControlRequest
    | AccessControlResponse
    | ResourceControlRequest
    | ResourceControlResponse
    | TriggerResourceControlRequest
    | ResourceReportRequest
    | ResourceReportResponse
    | ScanRequest
    | ScanResponse
    | SortRequest
    | SortResponse
    | Segment
    | ExtendedServicesRequest
    | ExtendedServicesResponse
    | Close
    | DuplicateDetectionRequest
    | DuplicateDetectionResponse
)

# The context tag of each in PDU, Z39.50-2003 §4.1.
TAGS: Mapping[type[Apdu], int] = {
    InitializeRequest: 20,
    InitializeResponse: 21,
    SearchRequest: 22,
    SearchResponse: 23,
    PresentRequest: 24,
    PresentResponse: 25,
    DeleteResultSetRequest: 26,
    DeleteResultSetResponse: 27,
    AccessControlRequest: 28,
    AccessControlResponse: 29,
    ResourceControlRequest: 30,
    ResourceControlResponse: 31,
    TriggerResourceControlRequest: 32,
    ResourceReportRequest: 33,
    ResourceReportResponse: 34,
    ScanRequest: 35,
    ScanResponse: 36,
    SortRequest: 43,
    SortResponse: 44,
    Segment: 45,
    ExtendedServicesRequest: 46,
    ExtendedServicesResponse: 47,
    Close: 48,
    DuplicateDetectionRequest: 49,
    DuplicateDetectionResponse: 50,
}

# What a client may send, Close aside.
Request = (
    InitializeRequest
    | SearchRequest
    | PresentRequest
    | DeleteResultSetRequest
    | AccessControlResponse
    | ResourceControlResponse
    | TriggerResourceControlRequest
    | ResourceReportRequest
    | ScanRequest
    | SortRequest
    | ExtendedServicesRequest
    | DuplicateDetectionRequest
)
Response = (
    InitializeResponse
    | SearchResponse
    | PresentResponse
    | Segment
    | DeleteResultSetResponse
    | AccessControlRequest
    | ResourceControlRequest
    | ResourceReportResponse
    | ScanResponse
    | SortResponse
    | ExtendedServicesResponse
    | DuplicateDetectionResponse
)

_READERS = {
    ber.context_identifier(tag, constructed=True): content_reader(Sequence(cls))
    for cls, tag in TAGS.items()
}
_WRITERS = {cls: whole_writer(Sequence(cls), tag) for cls, tag in TAGS.items()}


class UnknownApduError(ProtocolError):
    """An APDU that Z39.50-2003 does not define."""


def decode(data: bytes) -> Apdu:
    """The APDU that all of `data` is.

    Raises:
        UnknownApduError: its tag is none of PDU.
        ProtocolError: anything else that is not as Z39.50-2003 §4.1 says.
    """
    try:
        identifier, offset, end = ber.read_header(data, 0)
        reader = _READERS.get(identifier)
        if reader is None:
            raise UnknownApduError(f"no APDU begins with tag {identifier:x}")
        apdu: Apdu
        apdu, offset = reader(data, offset, end, len(data))
    except IndexError as error:
        raise ProtocolError("an APDU is cut short") from error
    if offset != len(data):
        raise ProtocolError("an APDU is longer than its length says")
    return apdu


def encode(apdu: Apdu) -> bytes:
    """The octets of `apdu`, lengths definite.

    A value that the description does not allow is our mistake, not the
    peer's, and raises TypeError, AttributeError, OverflowError or ValueError.
    """
    return _WRITERS[type(apdu)](apdu)


__all__ = [
    "TAGS",
    "AccessControlRequest",
    "AccessControlResponse",
    "Anonymous",
    "Apdu",
    "AttributeElement",
    "AttributeValue",
    "AttributesPlusTerm",
    "BooleanOperator",
    "CaseSensitivity",
    "Close",
    "CloseReason",
    "CompSpec",
    "ComplexAttribute",
    "CqlQuery",
    "CriterionFlag",
    "DatabaseElementSetName",
    "DatabaseOccurrences",
    "DatabaseSortKey",
    "DatabaseSpecification",
    "DefaultDiagFormat",
    "DeleteFunction",
    "DeleteResultSetRequest",
    "DeleteResultSetResponse",
    "DeleteSetStatus",
    "DiagRec",
    "DuplicateDetectionCriterion",
    "DuplicateDetectionRequest",
    "DuplicateDetectionResponse",
    "ElementSetNames",
    "ElementSpec",
    "Entry",
    "EsFunction",
    "ExtendedServicesRequest",
    "ExtendedServicesResponse",
    "External",
    "FinalFragment",
    "Form",
    "Fragment",
    "GeneralizedTime",
    "IdAuthentication",
    "IdPass",
    "InfoCategory",
    "Information",
    "InitializeRequest",
    "InitializeResponse",
    "IntUnit",
    "IntermediateFragment",
    "KnownProximityUnit",
    "ListEntries",
    "ListStatus",
    "MissingValueAction",
    "MultipleNonSurDiagnostics",
    "NamePlusRecord",
    "Null",
    "OccurrenceByAttributes",
    "Opaque",
    "OperationStatus",
    "Option",
    "OtherInformation",
    "OtherInformationItem",
    "OtherQuery",
    "PartialResultsAvailable",
    "PercentOfEntries",
    "Permission",
    "PresentRequest",
    "PresentResponse",
    "PresentStatus",
    "PrivateProximityUnit",
    "ProtocolError",
    "ProtocolVersion",
    "ProximityOperator",
    "ProximityRelation",
    "Query",
    "QueryBound",
    "QueryTooComplex",
    "Range",
    "Record",
    "RecordComposition",
    "Records",
    "Request",
    "RequestedAction",
    "ResourceControlRequest",
    "ResourceControlResponse",
    "ResourceReportRequest",
    "ResourceReportResponse",
    "ResourceReportStatus",
    "Response",
    "ResultAttr",
    "ResultSetId",
    "ResultSetStatus",
    "RetentionCriterion",
    "RetentionFlag",
    "RpnNode",
    "RpnOperation",
    "RpnQuery",
    "ScanRequest",
    "ScanResponse",
    "ScanStatus",
    "SchemaUri",
    "SearchRequest",
    "SearchResponse",
    "SecurityChallenge",
    "Segment",
    "SortAttributes",
    "SortCriterion",
    "SortElement",
    "SortKey",
    "SortKeySpec",
    "SortPreference",
    "SortRelation",
    "SortRequest",
    "SortResponse",
    "SortResultSetStatus",
    "SortStatus",
    "Specification",
    "StartingFragment",
    "StringOrNumeric",
    "SurrogateDiagnostic",
    "Term",
    "TermInfo",
    "TriggerResourceControlRequest",
    "Unit",
    "UnknownApduError",
    "WaitAction",
    "decode",
    "encode",
    "rpn_postorder",
]
