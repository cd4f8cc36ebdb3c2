"""Bibliographic records: one read, added, replaced or deleted.

What is read here is a full record and counted like any download. Uploads go through
the same door as those of Z39.50 and SRU (`server/uploads/door.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from protocol.diagnostic import Bib1, Diagnostic
from protocol.iso2709 import RefusedRecord
from protocol.marc_json import decode_marc_json
from protocol.query import Clause, Structure
from protocol.record import Database, StoredRecord
from protocol.search_term import clean
from protocol.validation import check
from protocol.validation_finding import Finding as FoundFinding
from server.access_control.permissions import Operation as Permission
from server.api.models import Sent, moment
from server.api.negotiation import chosen_form
from server.api.operation import IF_MATCH, IF_NONE_MATCH, PREFIX, PROTOCOL, Area, Call, Reply
from server.api.permission import require
from server.api.problem import Candidate, Finding, Kind, Refusal, both
from server.catalogue_pages.download import FORMATS, FileFormat, send
from server.delivery import record_forms
from server.http.responses import NO_STORE
from server.uploads.terms import version_of
from server.uploads.upload import Action, Change, Done, Reason, Refused, Upload
from store.duplicates import Candidate as FoundCandidate

AREA = Area("records", "Bibliographic records: read, uploaded, corrected and deleted")

ISO2709 = ("application/marc",)
XML = ("application/marcxml+xml", "application/xml", "text/xml")
MARC_JSON = ("application/marc-in-json", "application/json")
_CREDIT_STATES = (
    "accepted",
    "pending",
    "capped",
    "due",
    "claimed",
    "refused",
    "withdrawn",
    "reversed",
)
_FINDINGS_MAX = 200
_SAME_NUMBER_MAX = 50

# By name: what it is, and the media types that ask for it in Accept, the usual one first.
FORMS: Mapping[str, tuple[FileFormat, tuple[str, ...]]] = {
    "marc": (FORMATS["marc"], ISO2709),
    "marcxml": (FORMATS["marcxml"], XML),
    "marc-json": (
        FileFormat(record_forms.MARC_JSON, "application/marc-in-json", "json", ""), MARC_JSON,
    ),
    "marc-gb18030": (FORMATS["marc-gb18030"], ()),
    "marc-8": (FORMATS["marc-8"], ()),
}  # fmt: skip
_GIVEN = ("application/marc", "application/marcxml+xml", "application/marc-in-json")

DatabaseName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$", max_length=64,
        description="Name or alias of a database.",
    ),
]  # fmt: skip
ControlNumber = Annotated[
    str, Meta(min_length=1, max_length=200, description="Control number, field 001.")
]


class DatabasePath(Sent, frozen=True):
    """A database in the address."""

    database: DatabaseName


class RecordPath(DatabasePath, frozen=True):
    """A record in the address."""

    number: ControlNumber


class FormQuery(Sent, frozen=True):
    """In which form; without it `Accept` decides, and without that ISO 2709 in UTF-8."""

    form: Literal["marc", "marcxml", "marc-json", "marc-gb18030", "marc-8"] | None = None


class ConfirmQuery(Sent, frozen=True):
    """Whether the candidates for a duplicate were looked at."""

    confirmed: Annotated[
        bool, Meta(description="The candidates were looked at, and it is none of them.")
    ] = False


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a record. It is on disk and in every search.

    `version` and `timestamp` (field 005) name its version. `credit` is the state of the
    claim, or "none" with the reason in `credit_reason`. `findings` are warnings, `notes`
    say what was left out.
    """

    change: Literal["created", "replaced", "deleted", "unchanged"]
    database: str
    control_number: str
    version: int
    timestamp: str
    modified: datetime
    credit: Literal[
        "none", "accepted", "pending", "capped", "due", "claimed", "refused", "withdrawn",
        "reversed",
    ]  # fmt: skip
    credit_reason: str
    credit_reason_zh: str
    findings: list[Finding]
    notes: list[str]


@AREA.get(
    "/databases/{database}/records/{number}", needs=Permission.DOWNLOAD,
    summary="Download a record", problems=(406, 409), headers=(IF_NONE_MATCH,), gives=_GIVEN,
    answers={200: "The record, entered in the ledger", 304: "The client has this version"},
)  # fmt: skip
async def download_record(call: Call, path: RecordPath, query: FormQuery) -> web.StreamResponse:
    """Counts as a download of the institution, like any over Z39.50 and SRU; HEAD and 304
    count nothing. The entity tag names the version and the form."""
    database = database_named(call, path.database)
    require(call, Permission.DOWNLOAD, database=database.name)
    record = await record_numbered(call, database, path.number)
    accept = ",".join(call.request.headers.getall(hdrs.ACCEPT, ()))
    name = query.form or chosen_form(accept, {each: media for each, (_, media) in FORMS.items()})
    if name is None:
        told = ", ".join(_GIVEN)
        raise Refusal(Kind.NOT_ACCEPTABLE, f"Records are given as {told}.", f"可提供：{told}。")
    wanted, _ = FORMS[name]
    headers: dict[str, str] = {
        hdrs.ETAG: f'"{record.version}.{name}"', hdrs.VARY: hdrs.ACCEPT,
        hdrs.CACHE_CONTROL: NO_STORE,
    }  # fmt: skip
    known = call.request.if_none_match or ()
    if any(each.value in ("*", headers[hdrs.ETAG][1:-1]) for each in known):
        return web.Response(status=304, headers=headers)
    if call.request.method == hdrs.METH_HEAD:
        return web.Response(content_type=wanted.content_type, headers=headers)
    sent = await send(
        call.request, call.service, call.outbox, call.principal, record, wanted, headers,
        protocol=PROTOCOL,
    )  # fmt: skip
    if isinstance(sent, Diagnostic):
        if sent.condition == Bib1.TEMPORARY_SYSTEM_ERROR:
            raise Refusal(
                Kind.UNAVAILABLE, "The download cannot be entered at present.",
                "暂时无法登记下载，请稍后重试。", headers={hdrs.RETRY_AFTER: "10"},
            )  # fmt: skip
        raise Refusal(
            Kind.NOT_ACCEPTABLE, f"Not to be had in this form: {sent.addinfo}",
            "此记录无法以该格式提供。",
        )  # fmt: skip
    return sent


@AREA.post(
    "/databases/{database}/records", needs=Permission.UPLOAD_INSERT, summary="Upload a record",
    reads=(*ISO2709, *XML, *MARC_JSON),
    answers={201: "It was added", 200: "It was there already, from the same institution"},
)  # fmt: skip
async def create_record(
    call: Call, path: DatabasePath, query: ConfirmQuery, body: bytes
) -> Reply[Uploaded]:
    """One record in UTF-8, GB18030 or MARC-8 (ISO 2709), as MARCXML or MARC-in-JSON. It
    gets a number of the catalogue; its own one is kept in 035. What seems to be there
    already is refused with 409 and `candidates`, unless `confirmed`. The same record sent
    again is one record and one credit."""
    return await _upload(call, path.database, Action.INSERT, body=body, confirmed=query.confirmed)


@AREA.put(
    "/databases/{database}/records/{number}", needs=Permission.UPLOAD_REPLACE,
    summary="Replace a record", headers=(IF_MATCH,), problems=(409, 412, 422, 428),
    reads=(*ISO2709, *XML, *MARC_JSON),
    answers={200: "It has a new version, or is unchanged"},
)  # fmt: skip
async def replace_record(call: Call, path: RecordPath, body: bytes) -> Reply[Uploaded]:
    """For the institution that brought it, and operators. Names the version that the
    change was made from with If-Match, or in the record's 005."""
    return await _upload(call, path.database, Action.REPLACE, body=body, number=path.number)


@AREA.delete(
    "/databases/{database}/records/{number}", needs=Permission.UPLOAD_DELETE,
    summary="Delete a record", headers=(IF_MATCH,), problems=(409, 412),
    answers={200: "It is deleted; its number and history stay"},
)  # fmt: skip
async def delete_record(call: Call, path: RecordPath) -> Reply[Uploaded]:
    """For the institution that brought it, and operators; not while others hold it."""
    return await _upload(call, path.database, Action.DELETE, number=path.number)


async def _upload(
    call: Call,
    name: str,
    action: Action,
    *,
    body: bytes = b"",
    number: str = "",
    confirmed: bool = False,
) -> Reply[Uploaded]:
    database = database_named(call, name)
    media = call.request.content_type
    if action is not Action.DELETE and media in MARC_JSON:
        decoded = decode_marc_json(body, database.family)
        if isinstance(decoded, RefusedRecord):
            raise Refusal(
                Kind.INVALID_RECORD, decoded.reason[:500], "记录无法读取。",
                findings=_findings(check(decoded, database.family)),
            )  # fmt: skip
        body = decoded.marc
    outcome = await call.service.uploads.apply(
        Upload(
            principal=call.principal, database=database, action=action, record=body,
            xml=action is not Action.DELETE and media in XML, number=number,
            based_on=await _based_on(call, database, number), confirmed=confirmed,
            protocol=PROTOCOL, address=call.origin.address,
        )
    )  # fmt: skip
    if isinstance(outcome, Refused):
        raise refused_upload(outcome)
    return _reply(outcome)


async def _based_on(call: Call, database: Database, number: str) -> list[int | str]:
    """The version that If-Match names."""
    tag = call.request.headers.get(hdrs.IF_MATCH)
    if tag is None or not number:
        return []
    if tag == "*":
        return [(await record_numbered(call, database, number)).version]
    return [int(tag.strip('"').partition(".")[0])]


def _reply(done: Done) -> Reply[Uploaded]:
    record = done.record
    state = done.credit if done.credit in _CREDIT_STATES else "none"
    reason, reason_zh = both(done.credit) if state == "none" else ("", "")
    path = (
        f"{PREFIX}/databases/{record.database.name}/records/{quote(record.control_number, safe='')}"
    )
    headers: dict[str, str] = {hdrs.ETAG: f'"{record.version}"'}
    if done.change is Change.CREATED:
        headers[hdrs.LOCATION] = path
    return Reply(
        Uploaded(
            change=done.change.value, database=record.database.name,
            control_number=record.control_number, version=record.version,
            timestamp=version_of(record), modified=moment(record.modified_us),
            credit=state, credit_reason=reason, credit_reason_zh=reason_zh,  # type: ignore[arg-type]
            findings=_findings(done.findings), notes=list(done.notes),
        ),
        status=201 if done.change is Change.CREATED else 200, headers=headers,
    )  # fmt: skip


_KINDS: Mapping[Reason, Kind] = {
    Reason.FORBIDDEN: Kind.RIGHT,
    Reason.NOT_OWN: Kind.NOT_OWN,
    Reason.MALFORMED: Kind.INVALID_RECORD,
    Reason.INVALID: Kind.INVALID_RECORD,
    Reason.INCOMPLETE: Kind.INVALID_RECORD,
    Reason.DUPLICATE: Kind.DUPLICATE,
    Reason.UNNAMED: Kind.INVALID_RECORD,
    Reason.UNKNOWN: Kind.NOT_FOUND,
    Reason.MERGED: Kind.NOT_FOUND,
    Reason.AMBIGUOUS: Kind.CONFLICT,
    Reason.NO_VERSION: Kind.VERSION_NEEDED,
    Reason.STALE: Kind.STALE,
    Reason.HELD: Kind.HELD,
    Reason.BUSY: Kind.UNAVAILABLE,
    Reason.UNAVAILABLE: Kind.UNAVAILABLE,
}


def refused_upload(refused: Refused) -> Refusal:
    """Why an upload was refused, as a problem."""
    kind = _KINDS[refused.reason]
    english, chinese = both(refused.text)
    headers: dict[str, str] = {hdrs.RETRY_AFTER: "2"} if kind is Kind.UNAVAILABLE else {}
    current = refused.current
    extension = (
        {} if current is None
        else {"control_number": current.control_number, "version": current.version}
    )  # fmt: skip
    if current is not None and kind is Kind.STALE:
        headers[hdrs.ETAG] = f'"{current.version}"'
    return Refusal(
        kind, english, chinese, headers=headers,
        right="upload" if refused.reason is Reason.FORBIDDEN else "",
        findings=_findings(refused.findings),
        candidates=[_candidate(each) for each in refused.candidates], **extension,
    )  # fmt: skip


def _findings(findings: Sequence[FoundFinding]) -> list[Finding]:
    return [
        Finding(
            each.rule.id, each.rule.severity.value, each.field, each.message(),
            each.message(chinese=True),
        )
        for each in findings[:_FINDINGS_MAX]
    ]  # fmt: skip


def _candidate(each: FoundCandidate) -> Candidate:
    return Candidate(each.control_number, each.score, each.is_certain, list(each.reasons))


def database_named(call: Call, name: str) -> Database:
    """The one database of that name or alias."""
    found = call.service.catalogue.resolve((name,))
    if isinstance(found, Diagnostic) or len(found) != 1:
        raise Refusal(Kind.NOT_FOUND, f"There is no database {name}.", f"没有数据库 {name}。")
    return found[0]


async def record_numbered(call: Call, database: Database, number: str) -> StoredRecord:
    """The live record of that number.

    Raises:
        Refusal: there is none; of one that was merged away the survivor is told.
    """
    catalogue = call.service.catalogue
    records: list[StoredRecord] = []
    found = await catalogue.search(
        (database,), Clause("control_number", clean(number), structure=Structure.KEY), {}
    )
    if not isinstance(found, Diagnostic):
        ids = found.ids(1, min(len(found), _SAME_NUMBER_MAX)) if len(found) else ()
        if not isinstance(ids, Diagnostic):
            records = [
                each for each in await catalogue.fetch(ids) if each is not None and not each.deleted
            ]
    own = [each for each in records if each.control_number == number]
    if len(own) > 1:
        raise Refusal(
            Kind.CONFLICT, f"{len(own)} records have the number {number}.",
            f"有 {len(own)} 条记录的控制号为 {number}。",
        )  # fmt: skip
    if own:
        return own[0]
    for each in records:
        if number in catalogue.former_numbers(each):
            raise Refusal(
                Kind.NOT_FOUND, f"{number} was merged into {each.control_number}.",
                f"记录 {number} 已并入 {each.control_number}。",
                control_number=each.control_number,
            )  # fmt: skip
    raise Refusal(Kind.NOT_FOUND, f"There is no record {number}.", f"没有记录 {number}。")
