"""Resource control and access control (Z39.50-2003 §3.2.5, §3.2.6).

A report tells a member its own year as it stands: downloads, quota and what is
owed by now. Nothing is ever suspended or refused for it, since a quota blocks
nobody, and no challenge is ever sent.
"""

from __future__ import annotations

import asyncio
import time

from metering.entry import accounting_day
from metering.interface import MeteringError, Usage
from protocol import apdu, oid
from protocol.external import External
from protocol.resource_report import (
    CURRENCY_CNY,
    RESOURCE_1,
    Estimate,
    EstimateType,
    Resource1Report,
)
from server.access_control.access import Principal
from server.accounting.ledger import Accounting
from server.config import Config
from server.log import Log
from server.service import Service
from store.sqlite import StoreError

log = Log("lianmu.z3950")

_Status = apdu.ResourceReportStatus
# Z39.50-2003 §3.2.6.3.3: no report can be supplied; access-control failure; no
# operation of that reference id is known.
NO_REPORT, NOT_ALLOWED, NO_OPERATION = _Status.FAILURE_1, _Status.FAILURE_3, _Status.FAILURE_5


async def resource_report(
    service: Service, principal: Principal, request: apdu.ResourceReportRequest
) -> apdu.ResourceReportResponse:
    """Answer a ResourceReport, in format Resource-1 whatever was preferred.

    A report in another format than was preferred is called partial. Nothing is
    kept of operations that are over, so none is known (Z39.50-2003 §3.2.6.3.2).
    """
    report: External | _Status = NO_OPERATION
    if request.op_id is None:
        report = await _report(service, principal)
    if isinstance(report, _Status):
        return apdu.ResourceReportResponse(
            reference_id=request.reference_id, resource_report_status=report
        )
    as_preferred = request.pref_resource_report_format in (None, oid.RESOURCE_1)
    status = _Status.SUCCESS if as_preferred else _Status.PARTIAL
    return apdu.ResourceReportResponse(
        reference_id=request.reference_id, resource_report_status=status, resource_report=report
    )


async def triggered(
    service: Service, principal: Principal, request: apdu.TriggerResourceControlRequest
) -> apdu.ResourceControlRequest | None:
    """What a TriggerResourceControl brings about: a report that asks for no answer, or nothing.

    Requests are answered one after the other, so there is never an operation
    to cancel when a trigger is read (Z39.50-2003 §3.2.6.2: a server may ignore it).
    """
    if request.requested_action not in (
        apdu.RequestedAction.RESOURCE_REPORT,
        apdu.RequestedAction.RESOURCE_CONTROL,
    ):
        return None
    report = await _report(service, principal)
    return apdu.ResourceControlRequest(
        reference_id=request.reference_id,
        resource_report=None if isinstance(report, _Status) else report,
        response_required=False,
        triggered_request_flag=True,
    )


async def _report(service: Service, principal: Principal) -> External | _Status:
    if not principal.institution:
        return NOT_ALLOWED
    year, _ = accounting_day(time.time_ns() // 1000)
    try:
        usage = await asyncio.to_thread(_usage, service.config, principal.institution, year)
    except (MeteringError, StoreError) as error:
        log.error("no resource report: the ledger cannot be read", reason=str(error))
        return NO_REPORT
    return External.of(oid.RESOURCE_1, RESOURCE_1, report_of(usage))


def _usage(config: Config, institution: str, year: int) -> Usage:
    with Accounting(config) as accounting:
        return accounting.usage.usage(institution, year)


def report_of(usage: Usage) -> Resource1Report:
    """A member's year in Resource-1; the cost in fen, currency 156.

    The records presented are the year's downloads, and their cost is the
    estimate for the year, not for this association alone: the message says so.
    """
    yuan = f"{usage.charge_fen // 100}.{usage.charge_fen % 100:02d}"
    return Resource1Report(
        estimates=(
            Estimate(type=EstimateType.CURRENT_PRESENT_RECORDS, value=usage.downloads),
            Estimate(
                type=EstimateType.CURRENT_PRESENT_ASSOC_COST,
                value=usage.charge_fen,
                currency_code=CURRENCY_CNY,
            ),
        ),
        message=(
            f"{usage.institution} in {usage.year}: {usage.downloads} downloads, quota"
            f" {usage.quota}, {usage.billable} over quota; estimated charge {yuan} CNY,"
            " until the year is settled"
        ),
    )
