"""The extension `x-lianmu-quota`: a member's running year in extraResponseData."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from metering.entry import accounting_day
from metering.interface import MeteringError, Usage
from protocol.diagnostic import SruDiagnostic, SruFault
from protocol.xml_text import escape
from server.access_control.access import Principal
from server.accounting.ledger import Accounting
from server.config import Config
from server.log import Log
from store.sqlite import StoreError

PARAMETER = "x-lianmu-quota"
NAMESPACE = "urn:lianmu:extension:quota"
_NO = frozenset({"0", "false", "no"})

log = Log("lianmu.sru")


async def quota(config: Config, principal: Principal, extra: Mapping[str, str]) -> bytes | SruFault:
    """The element when `extra` asks for it, nothing when it does not.

    It counts what this very response delivers, too. A fault says why there is
    none; the response is good without it.
    """
    if extra.get(PARAMETER, "0").lower() in _NO:
        return b""
    if not principal.institution:
        details = f"{PARAMETER}: sign in with a member's account"
        return SruFault(SruDiagnostic.AUTHENTICATION_ERROR, details)
    year, _ = accounting_day(time.time_ns() // 1000)
    try:
        usage = await asyncio.to_thread(_usage, config, principal.institution, year)
    except (MeteringError, StoreError) as error:
        log.error("no quota told: the ledger cannot be read", reason=str(error))
        return SruFault(SruDiagnostic.SYSTEM_TEMPORARILY_UNAVAILABLE, PARAMETER)
    return quota_xml(usage)


def _usage(config: Config, institution: str, year: int) -> Usage:
    with Accounting(config) as accounting:
        return accounting.usage.usage(institution, year)


def quota_xml(usage: Usage) -> bytes:
    """Whole records, and the charge in fen: an estimate until the year is settled."""
    return (
        f'<usage xmlns="{NAMESPACE}" institution="{escape(usage.institution)}"'
        f' year="{usage.year}"><downloads>{usage.downloads}</downloads>'
        f"<holdingsUploaded>{usage.holdings_uploaded}</holdingsUploaded>"
        f"<quota>{usage.quota}</quota><billable>{usage.billable}</billable>"
        f'<estimatedCharge currency="CNY" unit="fen">{usage.charge_fen}</estimatedCharge>'
        "</usage>"
    ).encode()
