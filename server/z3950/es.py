"""Extended Services: requests for task packages (Z39.50-2003 §3.2.9).

Update is carried out at once, record by record, whatever waitAction says; its
package comes with the response and is not kept. The diagnostics of records that
were refused are in the package, and before it in the response, where clients
look that do not read packages. No request ends the association.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol import apdu, oid
from protocol.asn1 import GeneralizedTime
from protocol.ber import ProtocolError
from protocol.diagnostic import Bib1, Diagnostic
from protocol.external import External, Form
from protocol.grs1 import SUTRS
from protocol.holding_symbol import OCLC_DATABASES
from protocol.iso2709 import RefusedRecord, control_field, decode_record
from protocol.record import Database
from protocol.task_package import (
    TASK_PACKAGE,
    UPDATE,
    RecordStatus,
    SuppliedRecord,
    TaskPackage,
    TaskPackageRecord,
    TaskStatus,
    UpdateAction,
    UpdatePackage,
    UpdateRequest,
    UpdateResult,
    UpdateStatus,
    VersionNumber,
)
from server.access_control.principal import Principal
from server.holdings import change as of_holdings
from server.holdings import terms as holdings_terms
from server.service import Service
from server.uploads.terms import CONFIRM, bib1_diagnostic, told
from server.uploads.upload import Action, Done, Upload
from server.z3950 import es_holdings
from server.z3950.es_holdings import number_of, qualified

UPDATES = frozenset({oid.ES_UPDATE, oid.ES_UPDATE_REVISION_0, oid.ES_UPDATE_FIRST})
RECORDS_MAX = 1_000  # in one Update package
DIAGNOSTICS_MAX = 20  # before a package; the package has all
PERMISSION_FUNCTIONS = range(1, 6)
_ACTIONS = {
    UpdateAction.RECORD_INSERT: Action.INSERT,
    UpdateAction.RECORD_REPLACE: Action.REPLACE,
    UpdateAction.RECORD_DELETE: Action.DELETE,
    UpdateAction.SPECIAL_UPDATE: Action.UPDATE,
}


async def respond(
    service: Service, principal: Principal, address: str, request: apdu.ExtendedServicesRequest
) -> apdu.ExtendedServicesResponse:
    """Answer an ExtendedServicesRequest: a package that was carried out, or why not."""
    checked = _checked(service, principal, request)
    if isinstance(checked, Diagnostic):
        return apdu.ExtendedServicesResponse(
            reference_id=request.reference_id,
            operation_status=apdu.OperationStatus.FAILURE,
            diagnostics=(apdu.DefaultDiagFormat.of(checked),),
        )
    update, database = checked
    outcomes = [
        await _carry_out(service, principal, address, update, database, supplied)
        for supplied in update.not_to_keep
    ]
    done = sum(not isinstance(outcome, Diagnostic) for outcome in outcomes)
    diagnostics = tuple(
        apdu.DefaultDiagFormat.of(outcome)
        for outcome in outcomes
        if isinstance(outcome, Diagnostic)
    )
    package = None
    if request.wait_action != apdu.WaitAction.DONT_RETURN_PACKAGE:
        package = External.of(
            oid.ES_TASK_PACKAGE, TASK_PACKAGE, _package(principal, request, update, outcomes)
        )
    return apdu.ExtendedServicesResponse(
        reference_id=request.reference_id,
        operation_status=apdu.OperationStatus.DONE if done else apdu.OperationStatus.FAILURE,
        diagnostics=diagnostics[:DIAGNOSTICS_MAX],
        task_package=package,
    )


# What became of one record: lines of names and values, the first its control number.
_Told = Sequence[tuple[str, str]]


async def _carry_out(
    service: Service,
    principal: Principal,
    address: str,
    update: UpdateRequest,
    database: Database | None,
    supplied: SuppliedRecord,
) -> _Told | Diagnostic:
    change = es_holdings.change(principal, address, update, database, supplied)
    if isinstance(change, Diagnostic):
        return change
    if change is not None:
        held = await service.uploads.hold(change)
        if isinstance(held, of_holdings.Done):
            return holdings_terms.told(held)
        return holdings_terms.bib1_diagnostic(held)
    if database is None:
        return Diagnostic(Bib1.DATABASE_UNKNOWN, update.to_keep.database_name)
    outcome = await service.uploads.apply(_upload(principal, address, update, database, supplied))
    return told(outcome) if isinstance(outcome, Done) else bib1_diagnostic(outcome)


# What is asked


def _checked(
    service: Service, principal: Principal, request: apdu.ExtendedServicesRequest
) -> tuple[UpdateRequest, Database | None] | Diagnostic:
    """The Update of a request and its database, or why it cannot be carried out at all."""
    if request.package_type not in UPDATES:
        return Diagnostic(Bib1.ES_TYPE_UNSUPPORTED, str(request.package_type))
    if request.function not in tuple(apdu.EsFunction):
        return Diagnostic(Bib1.ES_INVALID_FUNCTION, str(request.function))
    if request.wait_action not in tuple(apdu.WaitAction):
        return Diagnostic(Bib1.ES_INVALID_WAIT_ACTION, str(request.wait_action))
    if principal.anonymous:
        return Diagnostic(Bib1.ES_ID_NOT_AUTHORISED, "sign in with user/password at Init")
    for permission in request.permissions:
        for function in permission.allowable_functions:
            if function not in PERMISSION_FUNCTIONS:
                return Diagnostic(Bib1.ES_PERMISSIONS_NOT_UNDERSTOOD, str(function))
    if request.retention_time is not None and request.retention_time.value < 0:
        return Diagnostic(Bib1.ES_RETENTION_TIME_ERROR, str(request.retention_time.value))
    if request.function != apdu.EsFunction.CREATE:
        # No package is kept, so there is none to change or delete.
        return Diagnostic(Bib1.ES_NO_SUCH_PACKAGE, request.package_name or "")
    update = _update(request)
    if isinstance(update, Diagnostic):
        return update
    return _with_database(service, update)


def _update(request: apdu.ExtendedServicesRequest) -> UpdateRequest | Diagnostic:
    """The Update in the package, in whichever of its versions."""
    parameters = request.task_specific_parameters
    if parameters is None:
        return Diagnostic(Bib1.ES_MISSING_PARAMETER, "taskSpecificParameters")
    if parameters.direct_reference not in UPDATES:
        given = parameters.direct_reference
        return Diagnostic(Bib1.ES_TASK_OID_INVALID, str(given) if given is not None else "none")
    try:
        update = parameters.decode(UPDATE)
    except ProtocolError as error:
        return Diagnostic(Bib1.MALFORMED_APDU, f"Update: {error}")
    if not isinstance(update, UpdateRequest):
        return Diagnostic(Bib1.MALFORMED_APDU, "Update: a task package, not a request")
    return update


def _with_database(
    service: Service, update: UpdateRequest
) -> tuple[UpdateRequest, Database | None] | Diagnostic:
    """The request with its database; None: it may be any, as for a control number alone."""
    to_keep = update.to_keep
    if to_keep.action not in tuple(UpdateAction):
        return Diagnostic(Bib1.ES_INVALID_ACTION, str(to_keep.action))
    databases = service.catalogue.resolve((to_keep.database_name,))
    if to_keep.database_name.lower() in OCLC_DATABASES:
        databases = ()
    if isinstance(databases, Diagnostic):
        return Diagnostic(Bib1.DATABASE_UNKNOWN, to_keep.database_name)
    if not update.not_to_keep:
        return Diagnostic(Bib1.ES_MISSING_PARAMETER, "suppliedRecords")
    if len(update.not_to_keep) > RECORDS_MAX:
        return Diagnostic(Bib1.ES_TOO_MANY_RECORDS, str(len(update.not_to_keep)))
    return update, databases[0] if len(databases) == 1 else None


def _upload(
    principal: Principal,
    address: str,
    update: UpdateRequest,
    database: Database,
    supplied: SuppliedRecord,
) -> Upload:
    record = supplied.record.data if supplied.record.form is Form.OCTET_ALIGNED else b""
    action = _ACTIONS[UpdateAction(update.to_keep.action)]
    return Upload(
        principal=principal,
        database=database,
        action=action,
        record=record,
        # Clients name a syntax that they do not send; the first octet is no part of a leader.
        xml=record.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"),
        # An insert is given its number here, whatever clients must write there.
        number="" if action is Action.INSERT else number_of(supplied),
        based_on=_based_on(supplied, database),
        confirmed=qualified(update, supplied, CONFIRM),
        protocol="z3950",
        address=address,
    )


def _based_on(supplied: SuppliedRecord, database: Database) -> Sequence[str]:
    """The version that a client names: a time as 005 writes it, a number, or the record itself."""
    match supplied.supplemental_id:
        case GeneralizedTime(text):
            return (text,)
        case VersionNumber(text):
            return (text,)
        case External() as previous if previous.form is Form.OCTET_ALIGNED:
            record = decode_record(previous.data, database.family)
            stamp = "" if isinstance(record, RefusedRecord) else control_field(record.marc, "005")
            return (stamp.strip() or "previous version without 005",)
        case _:
            return ()


# What is answered


def _package(
    principal: Principal,
    request: apdu.ExtendedServicesRequest,
    update: UpdateRequest,
    outcomes: Sequence[_Told | Diagnostic],
) -> TaskPackage:
    done = [outcome for outcome in outcomes if not isinstance(outcome, Diagnostic)]
    status = UpdateStatus.SUCCESS
    if len(done) < len(outcomes):
        status = UpdateStatus.PARTIAL if done else UpdateStatus.FAILURE
    result = UpdateResult(
        update_status=status,
        task_package_records=tuple(
            _package_record(supplied, outcome)
            for supplied, outcome in zip(update.not_to_keep, outcomes, strict=True)
        ),
    )
    numbers = [outcome[0][1] for outcome in done]
    assert request.task_specific_parameters is not None  # noqa: S101 - it was read
    version = request.task_specific_parameters.direct_reference
    assert version is not None  # noqa: S101 - one of UPDATES
    return TaskPackage(
        package_type=request.package_type,
        package_name=request.package_name,
        user_id=principal.account,
        description=request.description,
        # Of one record: clients show it, and few read what is inside a package.
        target_reference=numbers[0].encode() if len(outcomes) == 1 and numbers else None,
        task_status=TaskStatus.COMPLETE if done else TaskStatus.ABORTED,
        task_specific_parameters=External.of(
            version, UPDATE, UpdatePackage(origin_part=update.to_keep, target_part=result)
        ),
    )


def _package_record(supplied: SuppliedRecord, outcome: _Told | Diagnostic) -> TaskPackageRecord:
    if not isinstance(outcome, Diagnostic):
        text = "".join(f"{name}: {value}\n" for name, value in outcome)
        return TaskPackageRecord(
            record_or_sur_diag=External.of(oid.SUTRS, SUTRS, text),
            correlation_info=supplied.correlation_info,
            record_status=RecordStatus.SUCCESS,
        )
    return TaskPackageRecord(
        record_or_sur_diag=(apdu.DefaultDiagFormat.of(outcome),),
        correlation_info=supplied.correlation_info,
        record_status=RecordStatus.FAILURE,
    )
