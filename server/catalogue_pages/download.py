"""A record handed to a browser as a file: counted like any download, before its bytes go."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import hdrs, web

from metering.entry import accounting_day
from metering.interface import MeteringError, Usage
from metering.tariff import DOWNLOAD_OVER_QUOTA, tariff_of_year
from protocol.diagnostic import Bib1, Diagnostic
from protocol.iso2709 import EncodingFailure, encode_record
from protocol.record import StoredRecord
from server.access_control.access import Principal
from server.accounting.ledger import Accounting
from server.config import Config
from server.delivery import record_forms
from server.delivery.outbox import Outbox
from server.delivery.retrieval import RecordForm
from server.http.access_log import SESSION
from server.http.responses import deliver
from server.log import Log
from server.service import Service
from store.sqlite import StoreError

PROTOCOL = "web"

_UNSAFE_IN_NAME = re.compile(r"[^A-Za-z0-9._-]+")

log = Log("lianmu.web")


def _iso2709_in(encoding: str) -> RecordForm:
    """ISO 2709 in another character set; a character that it lacks refuses the record."""

    def make(record: StoredRecord) -> bytes | Diagnostic:
        made = encode_record(record.marc, record.database.family, encoding)
        if isinstance(made, EncodingFailure):
            reason = f"{record.control_number}: {made.reason}"
            return Diagnostic(Bib1.RECORD_NOT_IN_SYNTAX, reason)
        return made

    return RecordForm(f"marc-{encoding}", make)


def _marcxml_document(record: StoredRecord) -> bytes | Diagnostic:
    made = record_forms.MARCXML.make(record)
    if isinstance(made, Diagnostic):
        return made
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + made + b"\n"


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A form in which a record is downloaded; `text` is the key of its name."""

    form: RecordForm
    content_type: str
    extension: str
    text: str


# Full and billable, every one.
FORMATS: Mapping[str, FileFormat] = {
    "marc": FileFormat(record_forms.MARC, "application/marc", "mrc", "format_marc"),
    "marc-gb18030": FileFormat(
        _iso2709_in("gb18030"), "application/marc", "mrc", "format_marc_gb18030"
    ),
    "marc-8": FileFormat(_iso2709_in("marc-8"), "application/marc", "mrc", "format_marc_8"),
    "marcxml": FileFormat(
        RecordForm("marcxml", _marcxml_document), "application/marcxml+xml", "xml",
        "format_marcxml",
    ),
}  # fmt: skip


def formats_for(principal: Principal) -> list[tuple[str, str]]:
    """Names and texts of what a member is offered, that of its library system first.

    MARC-8 is offered to those alone whose system reads it.
    """
    own = {"gb18030": "marc-gb18030", "marc-8": "marc-8"}.get(principal.charset, "marc")
    names = [name for name in FORMATS if name not in (own, "marc-8")]
    return [(name, FORMATS[name].text) for name in (own, *names)]


# What a person reads on the page is not handed over, and so not counted. The
# description is for whoever may search; the MARC view is the record whole.
DESCRIPTION_VIEW = RecordForm("web-view", lambda record: record.marc, full=False, billable=False)
MARC_VIEW = RecordForm("web-marc-view", lambda record: record.marc, billable=False)


async def send(
    http: web.Request,
    service: Service,
    outbox: Outbox,
    principal: Principal,
    record: StoredRecord,
    wanted: FileFormat,
    headers: Mapping[str, str],
    *,
    protocol: str = PROTOCOL,
) -> web.StreamResponse | Diagnostic:
    """Send one record as a file; its ledger entry is durable before the first octet leaves.

    A diagnostic: nothing was sent, and nothing counts.
    """
    retrieved = await service.retrieve(
        principal, (record.record_id,), wanted.form, protocol, http[SESSION]
    )
    if isinstance(retrieved, Diagnostic):
        return retrieved
    content = retrieved.items[0].content
    if isinstance(content, Diagnostic):
        return content
    name = _UNSAFE_IN_NAME.sub("_", record.control_number).strip("._") or str(record.record_id)
    try:
        response = web.Response(
            body=content,
            content_type=wanted.content_type,
            headers={
                **headers,
                hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}.{wanted.extension}"',
            },
        )
        # Written here and not by the caller, so that it is known to be.
        await deliver(http, response)
    except BaseException:
        if retrieved.receipt is not None:
            service.meter.void(retrieved.receipt, "response not written")
        raise
    if retrieved.receipt is not None:
        if http.transport is None:
            service.meter.void(retrieved.receipt, "connection lost")
        else:
            outbox.add(http.transport, retrieved.receipt)
    return response


@dataclass(frozen=True, slots=True)
class RunningFigures:
    """A member's year so far, and what a download beyond the quota costs in it, in fen."""

    usage: Usage
    price_fen: int


async def running_figures(config: Config, institution: str) -> RunningFigures | None:
    """The figures as they stand now, those of a moment ago included; None: not to be had."""
    year, _ = accounting_day(int(datetime.now(UTC).timestamp() * 1_000_000))
    try:
        usage = await asyncio.to_thread(_usage, config, institution, year)
    except (MeteringError, StoreError) as error:
        log.error("running figures cannot be read", institution=institution, reason=str(error))
        return None
    return RunningFigures(
        usage, tariff_of_year(year, config.tariffs).price_fen(DOWNLOAD_OVER_QUOTA)
    )


def _usage(config: Config, institution: str, year: int) -> Usage:
    with Accounting(config) as accounting:
        return accounting.usage.usage(institution, year)
