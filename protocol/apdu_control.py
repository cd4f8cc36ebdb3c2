"""Access control, resource control and Close (Z39.50-2003 §3.2.5, §3.2.6, §3.2.11)."""

from __future__ import annotations

from enum import IntEnum

from protocol.apdu_common import (
    DIAG_REC,
    OTHER_INFORMATION,
    REFERENCE_ID,
    DiagRec,
    OtherInformation,
)
from protocol.asn1 import (
    BOOLEAN,
    INTEGER,
    OCTETS,
    OID,
    STRING,
    Choice,
    Explicit,
    choice,
    component,
    sequence,
)
from protocol.external import EXTERNAL, External
from protocol.oid import Oid

# bytes is the simple form.
SecurityChallenge = bytes | External
_CHALLENGE: Choice[SecurityChallenge] = choice(
    "securityChallenge", (37, OCTETS), (0, Explicit(EXTERNAL))
)
_CHALLENGE_RESPONSE: Choice[SecurityChallenge] = choice(
    "securityChallengeResponse", (38, OCTETS), (0, Explicit(EXTERNAL))
)


@sequence
class AccessControlRequest:
    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    security_challenge: SecurityChallenge = component(None, _CHALLENGE)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


@sequence
class AccessControlResponse:
    """Without a response (version 3 only) there must be a diagnostic."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    security_challenge_response: SecurityChallenge | None = component(
        None, _CHALLENGE_RESPONSE, default=None
    )
    diagnostic: DiagRec | None = component(223, DIAG_REC, default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


class PartialResultsAvailable(IntEnum):
    SUBSET = 1
    INTERIM = 2
    NONE = 3


@sequence
class ResourceControlRequest:
    """Sent by the server; `partial_results_available` is a PartialResultsAvailable."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    suspended_flag: bool | None = component(39, BOOLEAN, default=None)
    resource_report: External | None = component(40, Explicit(EXTERNAL), default=None)
    partial_results_available: int | None = component(41, INTEGER, default=None)
    response_required: bool = component(42, BOOLEAN)
    triggered_request_flag: bool | None = component(43, BOOLEAN, default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


@sequence
class ResourceControlResponse:
    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    continue_flag: bool = component(44, BOOLEAN)
    result_set_wanted: bool | None = component(45, BOOLEAN, default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


class RequestedAction(IntEnum):
    RESOURCE_REPORT = 1
    RESOURCE_CONTROL = 2
    CANCEL = 3


@sequence
class TriggerResourceControlRequest:
    """`requested_action` is a RequestedAction; the service has no response of its own."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    requested_action: int = component(46, INTEGER)
    pref_resource_report_format: Oid | None = component(47, OID, default=None)
    result_set_wanted: bool | None = component(48, BOOLEAN, default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


class ResourceReportStatus(IntEnum):
    """Z39.50-2003 §3.2.6.3.3: what failed is the server's affair (1), resources (2),
    access control (3), unspecified (4), an unknown operation (5), or an active one (6)."""

    SUCCESS = 0
    PARTIAL = 1
    FAILURE_1 = 2
    FAILURE_2 = 3
    FAILURE_3 = 4
    FAILURE_4 = 5
    FAILURE_5 = 6
    FAILURE_6 = 7


@sequence
class ResourceReportRequest:
    """`op_id` is the reference id of the operation asked about; None: the association."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    op_id: bytes | None = component(210, OCTETS, default=None)
    pref_resource_report_format: Oid | None = component(49, OID, default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


@sequence
class ResourceReportResponse:
    """`resource_report_status` is a ResourceReportStatus."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    resource_report_status: int = component(50, INTEGER)
    resource_report: External | None = component(51, Explicit(EXTERNAL), default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())


class CloseReason(IntEnum):
    """Z39.50-2003 §3.2.11.1.1."""

    FINISHED = 0
    SHUTDOWN = 1
    SYSTEM_PROBLEM = 2
    COST_LIMIT = 3
    RESOURCES = 4
    SECURITY_VIOLATION = 5
    PROTOCOL_ERROR = 6
    LACK_OF_ACTIVITY = 7
    PEER_ABORT = 8
    UNSPECIFIED = 9


@sequence
class Close:
    """`close_reason` is a CloseReason; request and response are the same APDU."""

    reference_id: bytes | None = component(None, REFERENCE_ID, default=None)
    close_reason: int = component(211, INTEGER)
    diagnostic_information: str | None = component(3, STRING, default=None)
    resource_report_format: Oid | None = component(4, OID, default=None)
    resource_report: External | None = component(5, Explicit(EXTERNAL), default=None)
    other_info: OtherInformation = component(201, OTHER_INFORMATION, default=())
