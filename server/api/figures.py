"""What a member owes and why: its year, its ledger entries, its settlements and statements."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import closing
from datetime import datetime
from typing import Annotated, BinaryIO, Literal

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from metering.entry import Entry, Meter
from metering.entry import Kind as EntryKind
from metering.estimate import estimate
from metering.ledger import Ledger
from metering.ledger_listing import Selection
from metering.settlement_store import Settlement as StoredSettlement
from metering.statement import build
from metering.statement_texts import Texts
from metering.tariff import tariff_of_year
from server.access_control.permissions import Operation as Permission
from server.accounting.ledger import Accounting
from server.accounting.settling import open_settlements
from server.accounting.statements import BINARY, CONTENT_TYPES, remittance, write
from server.api.institutions import existing, reading
from server.api.models import InstitutionPath, Sent, Year, moment, moment_us
from server.api.operation import Area, Call, Reply
from server.api.paging import Page, PageQuery, page, paged, position
from server.http.responses import NO_STORE, PORTION_SIZE_BYTES, send

AREA = Area("figures", "A member's year, its ledger entries, settlements and statements")


class YearPath(InstitutionPath, frozen=True):
    """A year of an institution in the address."""

    year: Year


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """In fen: what downloads over the quota and ISBN batches cost, and what uploads earn."""

    downloads_fen: int
    batch_fen: int
    credit_fen: int


class UsageOfYear(msgspec.Struct, frozen=True, kw_only=True):
    """A member's year as it stands, with its last download in it.

    `quota` is 120 % of `holdings` (H), rounded down; `billable` are downloads over it.
    `is_estimate` until the year is settled: holdings of the rest of the year still raise
    the quota. `documents` are the settlement and its notes by number, `open_fen` what came
    since.
    """

    institution: str
    year: int
    holdings: int
    downloads: int
    repeats: int
    voided: int
    quota: int
    billable: int
    batch: int
    uploads: dict[str, int]
    covers: dict[str, int]
    tariff: str
    money: Money
    is_estimate: bool
    documents: dict[str, int]
    open_fen: int


class LedgerQuery(PageQuery, frozen=True):
    """Which entries; each condition narrows it further. Times are UTC."""

    year: Year | None = None
    kind: (
        Literal[
            "delivery", "void", "holding_added", "holding_removed", "batch", "upload",
            "upload_reversed", "cover", "correction", "audit",
        ]
        | None
    ) = None  # fmt: skip
    meter: Literal["download", "repeat", "holding", "batch", "upload", "cover"] | None = None
    item: Annotated[str, Meta(max_length=100, description="Of the tariff.")] | None = None
    control_number: Annotated[str, Meta(max_length=200)] | None = None
    since: Annotated[datetime, Meta(tz=True, description="From this moment on.")] | None = None
    until: Annotated[datetime, Meta(tz=True, description="Before this moment.")] | None = None


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the ledger. `hash` chains it to the one before, `previous`."""

    seq: int
    id: str
    kind: str
    meter: str
    quantity: int
    institution: str
    account: str
    database: str
    record_id: int
    control_number: str
    at: datetime
    year: int
    day: int
    protocol: str
    session: str
    refers_to: str
    note: str
    item: str
    previous: str
    hash: str


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a bill; the member owes a positive amount and is owed a negative one."""

    item: str
    quantity: int
    price_fen: int
    amount_fen: int


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """A final settlement or a note to one. `net_fen` is owed by the member if positive."""

    number: str
    status: str
    year: int
    institution: str
    made: datetime
    ledger_seq: int
    head_hash: str
    tariff: str
    holdings: int
    downloads: int
    repeats: int
    voided: int
    quota: int
    billable: int
    reason: str
    lines: list[Line]
    receivable_fen: int
    payable_fen: int
    net_fen: int


class SettlementQuery(PageQuery, frozen=True):
    """Which settlements."""

    year: Year | None = None


class StatementQuery(Sent, frozen=True):
    """In which form and language. XLSX, CSV and JSON have every entry."""

    format: Literal["html", "pdf", "xlsx", "csv", "json"] = "json"
    language: Annotated[Literal["zh", "en", "both"], Meta(description="Of HTML, PDF and XLSX.")] = (
        "both"
    )


@AREA.get(
    "/institutions/{code}/usage/{year}", needs=Permission.QUOTA_READ,
    summary="Show a year: holdings, downloads, quota and what is owed by now",
)  # fmt: skip
def show_usage(call: Call, path: YearPath) -> UsageOfYear:
    code = _code(call, path)
    with Accounting(call.config) as accounting:
        usage = accounting.usage.usage(code, path.year)
    with open_settlements(call.config) as settlements:
        documents = settlements.documents(path.year, code)
        waiting = settlements.open_differences(path.year, code) if documents else []
    tariff = tariff_of_year(path.year, call.config.tariffs)
    money = estimate(usage, tariff)
    return UsageOfYear(
        institution=code, year=path.year, holdings=usage.holdings_uploaded,
        downloads=usage.downloads, repeats=usage.repeats, voided=usage.voided, quota=usage.quota,
        billable=usage.billable, batch=usage.batch, uploads=usage.uploads, covers=usage.covers,
        tariff=money.tariff,
        money=Money(
            downloads_fen=money.download_fen, batch_fen=money.batch_fen,
            credit_fen=money.credit_fen,
        ),
        is_estimate=not documents,
        documents={document.number: document.net_fen for document in documents},
        open_fen=sum(document.net_fen for document in waiting),
    )  # fmt: skip


@AREA.get(
    "/institutions/{code}/ledger", needs=Permission.LEDGER_READ,
    summary="List the ledger entries of a member",
    answers={200: "A page of them, the oldest first"},
)  # fmt: skip
def list_ledger(call: Call, path: InstitutionPath, query: LedgerQuery) -> Reply[Page[LedgerEntry]]:
    """Every figure of a bill is the sum of such entries. What was done a moment ago is in
    the list within a second or so."""
    code = _code(call, path)
    selection = Selection(
        institution=code, year=query.year, control_number=query.control_number,
        kind=EntryKind(query.kind) if query.kind else None,
        meter=Meter(query.meter) if query.meter else None, item=query.item,
        from_us=moment_us(query.since), until_us=moment_us(query.until),
        after=position(call, query, int) or 0,
    )  # fmt: skip
    with closing(Ledger(call.config.ledger_path, rules=call.config.counting_rules)) as ledger:
        items, cursor = page(
            call, query, ledger.entries(selection=selection), lambda entry: entry.seq
        )
    return paged(call, [_entry(each) for each in items], cursor)


@AREA.get(
    "/institutions/{code}/settlements", needs=Permission.STATEMENT_READ,
    summary="List the settlements of a member",
    answers={200: "Final ones and notes, in the order they were made"},
)  # fmt: skip
def list_settlements(
    call: Call, path: InstitutionPath, query: SettlementQuery
) -> Reply[Page[Settlement]]:
    code = _code(call, path)
    after = position(call, query, str)
    with open_settlements(call.config) as settlements:
        rows = settlements.documents(query.year, code)
    if after is not None:
        numbers = [row.number for row in rows]
        rows = rows[numbers.index(after) + 1 :] if after in numbers else []
    items, cursor = page(call, query, rows, lambda row: row.number)
    return paged(call, [_settlement(each) for each in items], cursor)


@AREA.get(
    "/institutions/{code}/statements/{year}", needs=Permission.STATEMENT_READ,
    summary="Download the statement of a year", gives=tuple(CONTENT_TYPES.values()),
)  # fmt: skip
async def download_statement(
    call: Call, path: YearPath, query: StatementQuery
) -> web.StreamResponse:
    """An estimate, and says so, before the year is settled; the same octets ever after."""
    with tempfile.TemporaryFile() as file:
        code = await asyncio.to_thread(_made_statement, call, path, query, file)
        file.seek(0)
        name = f"{code}-{path.year}.{query.format}"
        headers: dict[str, str] = {
            hdrs.CACHE_CONTROL: NO_STORE,
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"',
        }
        if query.format in BINARY:
            body = await asyncio.to_thread(file.read)
            return web.Response(
                body=body, content_type=CONTENT_TYPES[query.format], headers=headers
            )
        portions = iter(lambda: file.read(PORTION_SIZE_BYTES), b"")
        return await send(
            call.request, portions, content_type=CONTENT_TYPES[query.format], headers=headers
        )


def _made_statement(call: Call, path: YearPath, query: StatementQuery, file: BinaryIO) -> str:
    config = call.config
    with reading(call) as members:
        institution = existing(call, members, path.code)
    with Accounting(config) as accounting, open_settlements(config) as settlements:
        made = build(
            accounting.ledger, settlements, institution.code, institution.name, path.year,
            remittance(config),
        )  # fmt: skip
        write(made, query.format, Texts(query.language), config, file)
    return institution.code


def _code(call: Call, path: InstitutionPath) -> str:
    """The institution's code as it is spelt."""
    with reading(call) as members:
        return existing(call, members, path.code).code


def _entry(entry: Entry) -> LedgerEntry:
    return LedgerEntry(
        seq=entry.seq, id=entry.id, kind=entry.kind.value, meter=entry.meter.value,
        quantity=entry.quantity, institution=entry.institution, account=entry.account,
        database=entry.database, record_id=entry.record_id, control_number=entry.control_number,
        at=moment(entry.at_us), year=entry.year, day=entry.day, protocol=entry.protocol,
        session=entry.session, refers_to=entry.refers_to, note=entry.note, item=entry.item,
        previous=entry.previous.hex(), hash=entry.hash.hex(),
    )  # fmt: skip


def _settlement(document: StoredSettlement) -> Settlement:
    return Settlement(
        number=document.number, status=document.status, year=document.year,
        institution=document.institution, made=moment(document.made_us),
        ledger_seq=document.ledger_seq, head_hash=document.head_hash,
        tariff=document.tariff_version, holdings=document.holdings,
        downloads=document.downloads, repeats=document.repeats, voided=document.voided,
        quota=document.quota, billable=document.billable, reason=document.reason,
        lines=[
            Line(
                item=line.item, quantity=line.quantity, price_fen=line.price_fen,
                amount_fen=line.amount_fen,
            )
            for line in document.lines
        ],
        receivable_fen=document.receivable_fen, payable_fen=document.payable_fen,
        net_fen=document.net_fen,
    )  # fmt: skip
