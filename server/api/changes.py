"""Who changed what, when, why and from where: of members, and of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from server.access_control.permissions import Operation as Permission
from server.accounting.audit_trail import trail
from server.api.institutions import existing, reading
from server.api.models import Code, InstitutionPath, moment, moment_us
from server.api.operation import Area, Call, Reply
from server.api.paging import Page, PageQuery, page, paged, position
from server.api.problem import Kind, Refusal
from store.audit import AuditRow, AuditSelection
from store.sqlite import FILE_NAME, open_reader
from store.uploaded import UploadRow, UploadRows

AREA = Area("audit", "Who changed what, when, why and from where")


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A change. `subject` is the account, key or record concerned, "" the institution;
    `before` and `after` say what was and is."""

    kind: str
    seq: int
    at: datetime
    who: str
    action: str
    institution: str
    subject: str
    reason: str
    before: str
    after: str
    account: str
    address: str
    protocol: str


class AuditQuery(PageQuery, frozen=True):
    """Which changes; each condition narrows it further. Times are UTC."""

    account: (
        Annotated[str, Meta(max_length=100, description="That made the change, or was changed.")]
        | None
    ) = None
    kind: (
        Literal[
            "member", "account", "record", "holdings", "cover", "load", "batch", "credit",
            "ledger", "settlement",
        ]
        | None
    ) = None  # fmt: skip
    protocol: Literal["cli", "web", "api", "z3950", "sru", "load"] | None = None
    since: Annotated[datetime, Meta(tz=True, description="From this moment on.")] | None = None
    until: Annotated[datetime, Meta(tz=True, description="Before this moment.")] | None = None


class AllQuery(AuditQuery, frozen=True):
    """Of whom."""

    institution: Annotated[Code | None, Meta(description="Of this institution alone.")] = None


class UploadEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a record over the network. `credit`: the state of its claim, "due", "claimed",
    or why there is none; "" where it earns nothing by its kind."""

    upload_id: int
    at: datetime
    action: Literal["insert", "replace", "delete"]
    database: str
    control_number: str
    version: int
    institution: str
    account: str
    protocol: str
    address: str
    credit: str


@AREA.get(
    "/audit", needs=Permission.AUDIT_READ_ALL, summary="List everything that was changed",
    answers={200: "A page of it, the oldest first"},
)  # fmt: skip
def list_all_changes(call: Call, query: AllQuery) -> Reply[Page[AuditEntry]]:
    """Members, accounts, keys, certificates, records, holdings, credit, the ledger and
    settlements, whatever way the change came."""
    return _changes(call, query, query.institution)


@AREA.get(
    "/institutions/{code}/audit", needs=Permission.AUDIT_READ,
    summary="List what was changed at an institution",
    answers={200: "A page of it, the oldest first"},
)  # fmt: skip
def list_changes(call: Call, path: InstitutionPath, query: AuditQuery) -> Reply[Page[AuditEntry]]:
    with reading(call) as members:
        code = existing(call, members, path.code).code
    return _changes(call, query, code)


@AREA.get(
    "/institutions/{code}/uploads", needs=Permission.AUDIT_READ,
    summary="List the records that a member added, replaced and deleted",
    answers={200: "A page of them, the oldest first"},
)  # fmt: skip
def list_uploads(call: Call, path: InstitutionPath, query: PageQuery) -> Reply[Page[UploadEntry]]:
    with reading(call) as members:
        code = existing(call, members, path.code).code
    after = position(call, query, int) or 0
    with closing(open_reader(call.config.data_dir / FILE_NAME)) as connection:
        rows = UploadRows(connection).listed(code, after=after)
        items, cursor = page(call, query, rows, lambda row: row[0].upload_id)
    return paged(call, [_upload(*each) for each in items], cursor)


def _changes(call: Call, query: AuditQuery, code: str | None) -> Reply[Page[AuditEntry]]:
    at_us, skipped = _place(position(call, query, str))
    since_us = moment_us(query.since)
    selection = AuditSelection(
        code, query.account, max(at_us, since_us) if since_us is not None else at_us,
        moment_us(query.until), query.protocol, query.kind,
    )  # fmt: skip
    rows = _placed(trail(call.config, selection), at_us, skipped)
    items, cursor = page(call, query, rows, lambda row: f"{row[0].at_us}:{row[1]}")
    return paged(call, [_change(row) for row, _ in items], cursor)


def _place(text: str | None) -> tuple[int, int]:
    """A moment, and how many changes of that moment were listed; several files are read,
    and none numbers the rows of all."""
    if text is None:
        return 0, 0
    at_us, _, count = text.partition(":")
    if not (at_us.isdecimal() and count.isdecimal() and len(text) < 40):
        raise Refusal(Kind.PARAMETER, "cursor: it is none of this list", "cursor：不是此列表的游标")
    return min(int(at_us), 2**62), int(count)


def _placed(rows: Iterable[AuditRow], at_us: int, skipped: int) -> Iterator[tuple[AuditRow, int]]:
    """Rows behind a place, each with how many of its moment there are with it."""
    last_us, count = -1, 0
    for row in rows:
        count = count + 1 if row.at_us == last_us else 1
        last_us = row.at_us
        if last_us > at_us or count > skipped:
            yield row, count


def _change(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        kind=row.kind, seq=row.seq, at=moment(row.at_us), who=row.who, action=row.action,
        institution=row.institution, subject=row.subject, reason=row.reason, before=row.before,
        after=row.after, account=row.account, address=row.address, protocol=row.protocol,
    )  # fmt: skip


def _upload(row: UploadRow, database: str, number: str) -> UploadEntry:
    return UploadEntry(
        upload_id=row.upload_id, at=moment(row.at_us), action=row.action,  # type: ignore[arg-type]
        database=database, control_number=number, version=row.version,
        institution=row.institution, account=row.account, protocol=row.protocol,
        address=row.address, credit=row.credit,
    )  # fmt: skip
