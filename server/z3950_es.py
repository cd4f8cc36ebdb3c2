"""Extended Services: requests for task packages (Z39.50-2003 §3.2.9).

Update packages are read whole and checked; what they ask is not carried out
yet, and the answer says so. No request ends the association.
"""

from __future__ import annotations

from protocol import apdu, oid
from protocol.ber import ProtocolError
from protocol.diagnostic import Bib1, Diagnostic
from protocol.task_package import UPDATE, UpdateAction, UpdateRequest
from server.access import Principal
from server.service import Service

UPDATES = frozenset({oid.ES_UPDATE, oid.ES_UPDATE_REVISION_0, oid.ES_UPDATE_FIRST})
RECORDS_MAX = 1_000  # in one Update package
PERMISSION_FUNCTIONS = range(1, 6)
NOT_YET = "Update packages are read, but records cannot be changed over Z39.50 yet"


def respond(
    service: Service, principal: Principal, request: apdu.ExtendedServicesRequest
) -> apdu.ExtendedServicesResponse:
    """Answer an ExtendedServicesRequest: always a failure that says why."""
    refusal = _refusal(service, principal, request)
    return apdu.ExtendedServicesResponse(
        reference_id=request.reference_id,
        operation_status=apdu.OperationStatus.FAILURE,
        diagnostics=(apdu.DefaultDiagFormat.of(refusal),),
    )


def _refusal(
    service: Service, principal: Principal, request: apdu.ExtendedServicesRequest
) -> Diagnostic:
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
    return _update_refusal(service, update)


def _update(request: apdu.ExtendedServicesRequest) -> UpdateRequest | Diagnostic:
    """The Update in the package, in whichever of its versions."""
    parameters = request.task_specific_parameters
    if parameters is None:
        return Diagnostic(Bib1.ES_MISSING_PARAMETER, "taskSpecificParameters")
    if parameters.direct_reference not in UPDATES:
        told = parameters.direct_reference
        return Diagnostic(Bib1.ES_TASK_OID_INVALID, str(told) if told is not None else "none")
    try:
        update = parameters.decode(UPDATE)
    except ProtocolError as error:
        return Diagnostic(Bib1.MALFORMED_APDU, f"Update: {error}")
    if not isinstance(update, UpdateRequest):
        return Diagnostic(Bib1.MALFORMED_APDU, "Update: a task package, not a request")
    return update


def _update_refusal(service: Service, update: UpdateRequest) -> Diagnostic:
    to_keep = update.to_keep
    if to_keep.action not in tuple(UpdateAction):
        return Diagnostic(Bib1.ES_INVALID_ACTION, str(to_keep.action))
    databases = service.catalogue.resolve((to_keep.database_name,))
    if isinstance(databases, Diagnostic):
        return Diagnostic(Bib1.DATABASE_UNKNOWN, to_keep.database_name)
    if not update.not_to_keep:
        return Diagnostic(Bib1.ES_MISSING_PARAMETER, "suppliedRecords")
    if len(update.not_to_keep) > RECORDS_MAX:
        return Diagnostic(Bib1.ES_TOO_MANY_RECORDS, str(len(update.not_to_keep)))
    return Diagnostic(Bib1.ES_IMMEDIATE_UNSUPPORTED, NOT_YET)
