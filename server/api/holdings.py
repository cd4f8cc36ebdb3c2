"""What a member says of its holdings: of one record, or of many in a body of one of four forms.

All of it goes through `server/holdings`, as over Z39.50, SRU and the command line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from typing import Annotated, BinaryIO, Literal
from urllib.parse import quote

import msgspec
from aiohttp import hdrs
from msgspec import Meta

from protocol.holding_statement import (
    BARCODE_CHARS_MAX,
    BARCODES_MAX,
    COPIES_MAX,
    NOTE_CHARS_MAX,
    TEXT_CHARS_MAX,
    HoldingStatement,
    RecordName,
)
from protocol.record import Holding as StoredHolding
from server.access_control.permissions import Operation as Permission
from server.api.institutions import existing, reading
from server.api.models import InstitutionPath, Sent, moment
from server.api.operation import JSON, PREFIX, PROTOCOL, Area, Call, Reply
from server.api.paging import Page, PageQuery, page, paged, position
from server.api.problem import Kind, Named, Refusal, both
from server.api.records import (
    ISO2709,
    XML,
    ControlNumber,
    DatabaseName,
    database_named,
    record_numbered,
)
from server.holdings.batch import BatchRefused
from server.holdings.change import (
    BatchRequest,
    Change,
    Format,
    Mode,
    Reason,
    Refused,
    Summary,
)
from server.holdings.desk import apply_batch
from store.api_holdings import HeldRecord, held_record, held_records
from store.holdings_history import HoldingsHistory
from store.sqlite import FILE_NAME, open_reader

AREA = Area("holdings", "What an institution holds: one by one, and in files")

_FORMATS: Mapping[str, Format] = {
    JSON: Format.JSON,
    "application/x-ndjson": Format.JSON,
    "text/csv": Format.CSV,
    **dict.fromkeys(ISO2709, Format.MARC),
    **dict.fromkeys(XML, Format.MARCXML),
}
Text = Annotated[str, Meta(max_length=TEXT_CHARS_MAX)]
Note = Annotated[str, Meta(max_length=NOTE_CHARS_MAX)]
Barcode = Annotated[str, Meta(max_length=BARCODE_CHARS_MAX, pattern=r"\S")]


class HoldingPath(InstitutionPath, frozen=True):
    """What an institution holds of a record."""

    database: DatabaseName
    number: ControlNumber


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What an institution holds of a record."""

    institution: str
    database: str
    control_number: str
    call_number: str
    copies: int
    location: str
    barcodes: list[str]
    extent: str
    note: str
    changed: datetime | None


class Statement(Sent, frozen=True):
    """What is held of a record. What is left out or null is not said, and stays as it is."""

    call_number: Text | None = None
    copies: Annotated[int, Meta(ge=0, le=COPIES_MAX)] | None = None
    location: Text | None = None
    barcodes: Annotated[list[Barcode], Meta(max_length=BARCODES_MAX)] | None = None
    extent: Text | None = None
    note: Note | None = None


class StatementQuery(Sent, frozen=True):
    """When it is carried out."""

    mode: Annotated[
        Literal["put", "add", "change"],
        Meta(description="put: whatever is held now; add: nothing is held; change: something is."),
    ] = "put"


class HeldQuery(PageQuery, frozen=True):
    """Which holdings."""

    database: Annotated[DatabaseName | None, Meta(description="In this database alone.")] = None


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a statement. `before` and `after` are null where nothing is held."""

    effect: Literal["added", "changed", "unchanged", "removed"]
    before: Holding | None
    after: Holding | None


class FileQuery(Sent, frozen=True):
    """How a file is meant."""

    mode: Annotated[
        Literal["put", "add", "change", "remove", "replace-all"],
        Meta(
            description="put: add what is not held, change what is; add, change: one of them"
            " alone; remove: held no more; replace-all: as put, and what is not in the file"
            " is held no more."
        ),
    ]
    database: Annotated[
        DatabaseName | None,
        Meta(description="Of lines that name none; MARC needs it. It bounds replace-all."),
    ] = None
    dry_run: Annotated[bool, Meta(description="Tell what it would do, and do nothing.")] = False
    encoding: Annotated[
        Literal["auto", "utf-8", "gb18030", "marc-8"], Meta(description="Of CSV and ISO 2709.")
    ] = "auto"


class RefusedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line, or record of a MARC file, that was not carried out; counted from 1."""

    line: int
    record: str
    reason: str
    message: str


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What a file did, or would do in a dry run. Counts are of records, `refused` of lines;
    `refusals` are the first hundred. `submission` numbers it in the history."""

    institution: str
    mode: str
    dry_run: bool
    lines: int
    records: int
    added: int
    changed: int
    unchanged: int
    removed: int
    refused: int
    held_before: int
    held_after: int
    refusals: list[RefusedLine]
    submission: int | None


class PastSubmission(msgspec.Struct, frozen=True, kw_only=True):
    """A request or file that changed holdings; `source` names a file."""

    submission: int
    account: str
    protocol: str
    address: str
    source: str
    at: datetime
    added: int
    changed: int
    removed: int


@AREA.get(
    "/institutions/{code}/holdings", needs=Permission.HOLDINGS_READ,
    summary="List what an institution holds",
    answers={200: "A page of it, in the order of the catalogue"},
)  # fmt: skip
def list_holdings(call: Call, path: InstitutionPath, query: HeldQuery) -> Reply[Page[Holding]]:
    code = _code(call, path)
    database = database_named(call, query.database).name if query.database else None
    after = position(call, query, int) or 0
    with closing(open_reader(call.config.data_dir / FILE_NAME)) as connection:
        rows = held_records(connection, code, database=database, after=after)
        items, cursor = page(call, query, rows, lambda row: row.holding.record_id)
    return paged(call, [_held(each) for each in items], cursor)


@AREA.post(
    "/institutions/{code}/holdings", needs=Permission.HOLDINGS_WRITE,
    summary="Submit a file of holdings", reads=tuple(_FORMATS),
    answers={200: "It was carried out, but for the lines refused"},
)  # fmt: skip
def submit_holdings(
    call: Call, path: InstitutionPath, query: FileQuery, body: BinaryIO
) -> Submission:
    """As CSV with a line of column names, JSON (an array, or an object a line), ISO 2709 or
    MARCXML, of up to `[holdings] file_bytes_max` octets. Lines of one record are added up.
    Nothing in a line stops the others. The same file sent again finds everything
    unchanged."""
    request = BatchRequest(
        principal=call.principal, mode=Mode(query.mode),
        format=_FORMATS[call.request.content_type],
        database=database_named(call, query.database).name if query.database else "",
        encoding=query.encoding, institution=_code(call, path), dry_run=query.dry_run,
        protocol=PROTOCOL, address=call.origin.address, source="",
    )  # fmt: skip
    try:
        done = apply_batch(call.config, request, body)
    except BatchRefused as refused:
        raise _refusal(refused.reason, str(refused)) from None
    return _summary(done)


@AREA.get(
    "/institutions/{code}/submissions", needs=Permission.HOLDINGS_READ,
    summary="List who changed the holdings of an institution, when and from where",
    answers={200: "A page of requests and files that changed any, the newest first"},
)  # fmt: skip
def list_submissions(
    call: Call, path: InstitutionPath, query: PageQuery
) -> Reply[Page[PastSubmission]]:
    code = _code(call, path)
    before_id = position(call, query, int)
    with closing(open_reader(call.config.data_dir / FILE_NAME)) as connection:
        rows = HoldingsHistory(connection).submissions(code, before_id=before_id)
        items, cursor = page(call, query, rows, lambda row: row.submission_id)
    return paged(
        call,
        [
            PastSubmission(
                submission=each.submission_id, account=each.account, protocol=each.protocol,
                address=each.address, source=each.source, at=moment(each.at_us),
                added=each.added, changed=each.changed, removed=each.removed,
            )
            for each in items
        ],
        cursor,
    )  # fmt: skip


@AREA.get(
    "/institutions/{code}/holdings/{database}/{number}", needs=Permission.HOLDINGS_READ,
    summary="Show what an institution holds of a record", problems=(409,),
)  # fmt: skip
async def show_holding(call: Call, path: HoldingPath) -> Holding:
    record = await record_numbered(call, database_named(call, path.database), path.number)
    return await asyncio.to_thread(_show, call, path, record.record_id)


def _show(call: Call, path: HoldingPath, record_id: int) -> Holding:
    code = _code(call, path)
    with closing(open_reader(call.config.data_dir / FILE_NAME)) as connection:
        found = held_record(connection, code, record_id)
    if found is None:
        raise Refusal(
            Kind.NOT_FOUND, f"{code} holds nothing of {path.number}.",
            f"{code} 没有记录 {path.number} 的馆藏。",
        )  # fmt: skip
    return _held(found)


@AREA.put(
    "/institutions/{code}/holdings/{database}/{number}", needs=Permission.HOLDINGS_WRITE,
    summary="Say what an institution holds of a record", problems=(409,),
    answers={200: "It is so, in every search too", 201: "It is held from now on"},
)  # fmt: skip
async def put_holding(
    call: Call, path: HoldingPath, query: StatementQuery, body: Statement
) -> Reply[Held]:
    """Held from now on, it is counted for the quota of the year, once."""
    statement = HoldingStatement(
        body.call_number, body.copies, body.location,
        tuple(body.barcodes) if body.barcodes is not None else None, body.extent, body.note,
    )  # fmt: skip
    return await _change(call, path, Mode(query.mode), statement)


@AREA.delete(
    "/institutions/{code}/holdings/{database}/{number}", needs=Permission.HOLDINGS_WRITE,
    summary="Say that an institution holds a record no more", problems=(409,),
    answers={200: "It is not held, or was not"},
)  # fmt: skip
async def remove_holding(call: Call, path: HoldingPath) -> Reply[Held]:
    return await _change(call, path, Mode.REMOVE, HoldingStatement())


async def _change(
    call: Call, path: HoldingPath, mode: Mode, statement: HoldingStatement
) -> Reply[Held]:
    database = database_named(call, path.database)
    code = await asyncio.to_thread(_code, call, path)
    outcome = await call.service.uploads.hold(
        Change(
            principal=call.principal, name=RecordName(path.number, database.name), mode=mode,
            statement=statement, institution=code, protocol=PROTOCOL,
            address=call.origin.address,
        )
    )  # fmt: skip
    if isinstance(outcome, Refused):
        raise _refusal(
            outcome.reason, outcome.text,
            [Named(each.database, each.control_number) for each in outcome.candidates],
        )  # fmt: skip
    record = outcome.record
    names = (record.database.name, record.control_number)
    effect = outcome.effect.value
    location = f"{PREFIX}/institutions/{code}/holdings/{names[0]}/{quote(names[1], safe='')}"
    return Reply(
        Held(
            effect=effect,  # type: ignore[arg-type]
            before=_holding(outcome.before, *names) if outcome.before is not None else None,
            after=_holding(outcome.after, *names) if outcome.after is not None else None,
        ),
        status=201 if effect == "added" else 200,
        headers={hdrs.LOCATION: location} if effect == "added" else {},
    )


_KINDS: Mapping[Reason, Kind] = {
    Reason.FORBIDDEN: Kind.RIGHT,
    Reason.NOT_OWN: Kind.NOT_OWN,
    Reason.UNKNOWN: Kind.NOT_FOUND,
    Reason.DATABASE: Kind.NOT_FOUND,
    Reason.AMBIGUOUS: Kind.CONFLICT,
    Reason.HELD: Kind.CONFLICT,
    Reason.NOT_HELD: Kind.CONFLICT,
    Reason.BUSY: Kind.UNAVAILABLE,
    Reason.UNAVAILABLE: Kind.UNAVAILABLE,
}


def _refusal(reason: Reason, text: str, records: list[Named] | None = None) -> Refusal:
    kind = _KINDS.get(reason, Kind.INVALID)
    headers: dict[str, str] = {hdrs.RETRY_AFTER: "2"} if kind is Kind.UNAVAILABLE else {}
    return Refusal(kind, *both(text), headers=headers, records=records or [])


def _code(call: Call, path: InstitutionPath) -> str:
    with reading(call) as members:
        return existing(call, members, path.code).code


def _held(row: HeldRecord) -> Holding:
    return _holding(row.holding, row.database, row.control_number, moment(row.modified_us))


def _holding(
    held: StoredHolding, database: str, number: str, changed: datetime | None = None
) -> Holding:
    return Holding(
        institution=held.institution, database=database, control_number=number,
        call_number=held.call_number, copies=held.copies, location=held.location,
        barcodes=list(held.barcodes), extent=held.extent, note=held.note, changed=changed,
    )  # fmt: skip


def _summary(done: Summary) -> Submission:
    return Submission(
        institution=done.institution, mode=done.mode, dry_run=done.dry_run, lines=done.lines,
        records=done.records, added=done.added, changed=done.changed, unchanged=done.unchanged,
        removed=done.removed, refused=done.refused, held_before=done.held_before,
        held_after=done.held_after, submission=done.submission,
        refusals=[
            RefusedLine(line=each.line, record=each.name, reason=each.reason, message=each.text)
            for each in done.refusals
        ],
    )  # fmt: skip
