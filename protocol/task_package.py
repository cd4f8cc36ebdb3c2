"""Extended Services: the task package and the Update service.

TaskPackage is record syntax 1.2.840.10003.5.106; Update is 1.2.840.10003.9.5.1.1,
and its requests read the same under the first version, 1.2.840.10003.9.5.
"""

from __future__ import annotations

from enum import IntEnum

from protocol.apdu_common import DIAG_REC, INT_UNIT, DiagRec, IntUnit
from protocol.apdu_services import PERMISSIONS, Permission
from protocol.asn1 import (
    GENERALIZED_TIME,
    INTEGER,
    OCTETS,
    OID,
    STRING,
    Choice,
    Explicit,
    GeneralizedTime,
    Sequence,
    SequenceOf,
    Wrapped,
    choice,
    component,
    positional_sequence,
    sequence,
)
from protocol.codec import Codec
from protocol.external import EXTERNAL, External
from protocol.frozen import frozen
from protocol.oid import Oid


class TaskStatus(IntEnum):
    PENDING = 0
    ACTIVE = 1
    COMPLETE = 2
    ABORTED = 3


@sequence
class TaskPackage:
    """`task_status` is a TaskStatus."""

    package_type: Oid = component(1, OID)
    package_name: str | None = component(2, STRING, default=None)
    user_id: str | None = component(3, STRING, default=None)
    retention_time: IntUnit | None = component(4, INT_UNIT, default=None)
    permissions: tuple[Permission, ...] = component(5, PERMISSIONS, default=())
    description: str | None = component(6, STRING, default=None)
    target_reference: bytes | None = component(7, OCTETS, default=None)
    creation_date_time: GeneralizedTime | None = component(8, GENERALIZED_TIME, default=None)
    task_status: int = component(9, INTEGER)
    package_diagnostics: tuple[DiagRec, ...] = component(10, SequenceOf(DIAG_REC), default=())
    task_specific_parameters: External = component(11, EXTERNAL)


TASK_PACKAGE: Codec[TaskPackage] = Codec(Sequence(TaskPackage), "TaskPackage")


# Update


class UpdateAction(IntEnum):
    RECORD_INSERT = 1
    RECORD_REPLACE = 2
    RECORD_DELETE = 3
    ELEMENT_UPDATE = 4
    SPECIAL_UPDATE = 5


@sequence
class UpdateParameters:
    """What of a request is kept with its package; `action` is an UpdateAction."""

    action: int = component(1, INTEGER)
    database_name: str = component(2, STRING)
    schema: Oid | None = component(3, OID, default=None)
    element_set_name: str | None = component(4, STRING, default=None)
    action_qualifier: External | None = component(5, EXTERNAL, default=None)


@sequence
class CorrelationInfo:
    """The client's own name for a record, which the answer about it repeats."""

    note: str | None = component(1, STRING, default=None)
    id: int | None = component(2, INTEGER, default=None)


# int is a number, str a string, bytes an opaque identifier.
RecordId = int | str | bytes
_RECORD_ID: Choice[RecordId] = choice("recordId", (1, INTEGER), (2, STRING), (3, OCTETS))


@frozen
class VersionNumber:
    text: str


# An External is the previous version of the record itself.
SupplementalId = GeneralizedTime | VersionNumber | External
_SUPPLEMENTAL_ID: Choice[SupplementalId] = choice(
    "supplementalId", (1, GENERALIZED_TIME), (2, Wrapped(VersionNumber, STRING)), (3, EXTERNAL)
)


@sequence
class SuppliedRecord:
    record_id: RecordId | None = component(1, _RECORD_ID, default=None)
    supplemental_id: SupplementalId | None = component(2, _SUPPLEMENTAL_ID, default=None)
    correlation_info: CorrelationInfo | None = component(3, Sequence(CorrelationInfo), default=None)
    record: External = component(4, EXTERNAL)


@positional_sequence
class UpdateRequest:
    """`esRequest` of Update."""

    to_keep: UpdateParameters = component(1, Explicit(Sequence(UpdateParameters)))
    not_to_keep: tuple[SuppliedRecord, ...] = component(
        2, Explicit(SequenceOf(Sequence(SuppliedRecord)))
    )


class UpdateStatus(IntEnum):
    SUCCESS = 1
    PARTIAL = 2
    FAILURE = 3


class RecordStatus(IntEnum):
    SUCCESS = 1
    QUEUED = 2
    IN_PROCESS = 3
    FAILURE = 4


@sequence
class TaskPackageRecord:
    """What became of one supplied record; `record_status` is a RecordStatus.

    `record_or_sur_diag` is the record when an element set was asked for, the
    diagnostics when it failed.
    """

    record_or_sur_diag: External | tuple[DiagRec, ...] | None = component(
        1, choice("recordOrSurDiag", (1, EXTERNAL), (2, SequenceOf(DIAG_REC))), default=None
    )
    correlation_info: CorrelationInfo | None = component(2, Sequence(CorrelationInfo), default=None)
    record_status: int = component(3, INTEGER)
    supplemental_diagnostics: tuple[DiagRec, ...] = component(4, SequenceOf(DIAG_REC), default=())


@sequence
class UpdateResult:
    """`update_status` is an UpdateStatus; one record for each that was supplied."""

    update_status: int = component(1, INTEGER)
    global_diagnostics: tuple[DiagRec, ...] = component(2, SequenceOf(DIAG_REC), default=())
    task_package_records: tuple[TaskPackageRecord, ...] = component(
        3, SequenceOf(Sequence(TaskPackageRecord))
    )


@positional_sequence
class UpdatePackage:
    """`taskPackage` of Update."""

    origin_part: UpdateParameters = component(1, Explicit(Sequence(UpdateParameters)))
    target_part: UpdateResult = component(2, Explicit(Sequence(UpdateResult)))


Update = UpdateRequest | UpdatePackage
UPDATE: Codec[Update] = Codec(
    choice("Update", (1, Sequence(UpdateRequest)), (2, Sequence(UpdatePackage))), "Update"
)
