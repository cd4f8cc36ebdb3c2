"""Who changed what, when, why and from where: of members, and of records."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from server.api.institutions import existing, reading
from server.api.models import Code, InstitutionPath, moment
from server.api.operation import Area, Call, Reply
from server.api.paging import Page, PageQuery, page, paged, position
from server.permissions import Operation as Permission
from store.audit import AuditRow, audit_rows
from store.sqlite import FILE_NAME, open_reader
from store.uploaded import UploadRow, UploadRows

AREA = Area("audit", "Who changed what, when, why and from where")


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a member. `subject` is the account or key concerned, "" the institution."""

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


class AllQuery(PageQuery, frozen=True):
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
    "/audit", needs=Permission.AUDIT_READ_ALL, summary="List changes of all members",
    answers={200: "A page of them, the oldest first"},
)  # fmt: skip
def list_all_changes(call: Call, query: AllQuery) -> Reply[Page[AuditEntry]]:
    code = query.institution.upper() if query.institution else None
    return _changes(call, query, code)


@AREA.get(
    "/institutions/{code}/audit", needs=Permission.AUDIT_READ,
    summary="List changes of a member", answers={200: "A page of them, the oldest first"},
)  # fmt: skip
def list_changes(call: Call, path: InstitutionPath, query: PageQuery) -> Reply[Page[AuditEntry]]:
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


def _changes(call: Call, query: PageQuery, code: str | None) -> Reply[Page[AuditEntry]]:
    after = position(call, query, int) or 0
    with reading(call) as members:
        rows = audit_rows(members.connection, code, after=after)
        items, cursor = page(call, query, rows, lambda row: row.seq)
    return paged(call, [_change(each) for each in items], cursor)


def _change(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        seq=row.seq, at=moment(row.at_us), who=row.who, action=row.action,
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
