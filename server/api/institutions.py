"""Institutions and their agreements: the whole life of a membership."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from aiohttp import hdrs
from msgspec import Meta

from server.access_control.permissions import Operation as Permission
from server.api.models import (
    AccountName,
    Code,
    Contact,
    InstitutionPath,
    Password,
    Reason,
    Remark,
    Sent,
    Title,
    moment,
    moment_or_none,
)
from server.api.operation import PREFIX, Area, Call, Reply
from server.api.paging import Page, PageQuery, page, paged, position
from server.api.problem import Kind, Refusal
from store import members as stored
from store import membership as agreed
from store.accounts import Accounts
from store.members import MemberError, Members
from store.membership import STEPS, Membership, day_of

AREA = Area("institutions", "Member libraries, their agreements, and each step of a membership")
Status = Literal["registered", "signed", "active", "warned", "suspended", "ended"]
_STATUS_ZH = {
    "registered": "已登记", "signed": "已签约", "active": "正常", "warned": "已警告",
    "suspended": "已暂停", "ended": "已终止",
}  # fmt: skip


class Institution(msgspec.Struct, frozen=True, kw_only=True):
    """`reason` says why it is warned, suspended or ended; it ends at `ends`, if that is set.
    `credited`: what its certified cataloguers upload earns credit. `charset` is what its
    library system speaks without negotiating it; "" is UTF-8."""

    code: str
    name: str
    status: Status
    reason: str
    contact: str
    charset: str
    credited: bool
    created: datetime
    ends: datetime | None


class InstitutionQuery(PageQuery, frozen=True):
    """Which institutions."""

    status: Annotated[Status | None, Meta(description="Those of this status alone.")] = None


class NewInstitution(Sent, frozen=True):
    """An institution that wants to join."""

    code: Code
    name: Title
    contact: Contact = ""
    reason: Remark = ""


class Signing(Sent, frozen=True):
    """An agreement; without `from_day` it begins today."""

    from_day: date | None = None
    reason: Remark = ""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """It renews itself at the end of each term, unless it has an end (`ends`)."""

    agreement_id: int
    signed: datetime
    from_day: date
    term_ends_day: date
    ends: datetime | None


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """`activation_token` is good once and shown this once; null where it was shown before."""

    institution: Institution
    agreement: Agreement
    activation_token: str | None


class Because(Sent, frozen=True):
    """A step with its reason."""

    reason: Reason


class Remarked(Sent, frozen=True):
    """Something with a reason, if there is one to tell."""

    reason: Remark = ""


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """`activation_token` is good once and shown this once; null where it was shown before."""

    activation_token: str | None


class Activation(Sent, frozen=True):
    """`account` is the first account's name, without it the code in lower case; without
    `password` one is made up."""

    activation_token: Annotated[str, Meta(min_length=1, max_length=200)]
    account: AccountName | None = None
    password: Password | None = None


class Activated(msgspec.Struct, frozen=True, kw_only=True):
    """`password` is shown this once and only where it was made up; else it is null."""

    institution: Institution
    account: str
    password: str | None


class Ending(Sent, frozen=True):
    """The end: now, after `last_day`, or with `at_term` after the agreement's present term."""

    reason: Reason
    last_day: date | None = None
    at_term: bool = False


class Crediting(Sent, frozen=True):
    """Whether what the institution uploads may earn credit."""

    credited: bool
    reason: Reason


@AREA.get(
    "/institutions", needs=Permission.MEMBERS_READ, summary="List institutions",
    answers={200: "A page of them, by code"},
)  # fmt: skip
def list_institutions(call: Call, query: InstitutionQuery) -> Reply[Page[Institution]]:
    after = position(call, query, str) or ""
    with reading(call) as members:
        rows = [
            each
            for each in (row.at(call.now_us) for row in members.institutions())
            if each.code > after and query.status in (None, each.status)
        ]
    items, cursor = page(call, query, rows, lambda row: row.code)
    return paged(call, [told(each) for each in items], cursor)


@AREA.post(
    "/institutions", needs=Permission.MEMBERS_STEP, summary="Register an institution",
    answers={201: "It is registered; nobody of it may sign in yet"},
)  # fmt: skip
def register_institution(call: Call, body: NewInstitution) -> Reply[Institution]:
    """The next step is to sign its agreement."""
    with writing(call) as members:
        made = Membership(members, call.origin).register(
            body.code, body.name, call.now_us, who=call.who, contact=body.contact,
            reason=body.reason,
        )  # fmt: skip
    return Reply(told(made), headers={hdrs.LOCATION: f"{PREFIX}/institutions/{made.code}"})


@AREA.get(
    "/institutions/{code}", needs=Permission.PROFILE_READ, summary="Show an institution",
    answers={200: "As it is now"},
)  # fmt: skip
def show_institution(call: Call, path: InstitutionPath) -> Institution:
    with reading(call) as members:
        return told(existing(call, members, path.code))


@AREA.get(
    "/institutions/{code}/agreements", needs=Permission.PROFILE_READ,
    summary="List the agreements of an institution", answers={200: "All of them, by first day"},
)  # fmt: skip
def list_agreements(call: Call, path: InstitutionPath, query: PageQuery) -> Reply[Page[Agreement]]:
    after = position(call, query, int) or 0
    with reading(call) as members:
        found = existing(call, members, path.code)
        rows = Membership(members).agreements(found.code)
    begin = next((n for n, row in enumerate(rows, 1) if row.agreement_id == after), 0)
    items, cursor = page(call, query, rows[begin:], lambda row: row.agreement_id)
    return paged(call, [_agreement(call, each) for each in items], cursor)


@AREA.post(
    "/institutions/{code}/sign", needs=Permission.MEMBERS_STEP,
    summary="Enter the agreement that an institution has signed",
    answers={201: "It waits to be activated"},
)  # fmt: skip
def sign_agreement(call: Call, path: InstitutionPath, body: Signing) -> Reply[Signed]:
    """It runs for three years, and for three more each time, until it is ended."""
    with writing(call) as members:
        _step(call, members, path.code, "sign")
        membership = Membership(members, call.origin)
        agreement, token = membership.sign(
            path.code, call.now_us, who=call.who, from_day=body.from_day, reason=body.reason
        )
        institution = told(existing(call, members, path.code))
    signed = Signed(
        institution=institution, agreement=_agreement(call, agreement), activation_token=token
    )
    return Reply(
        signed, secrets=("activation_token",),
        headers={hdrs.LOCATION: f"{PREFIX}/institutions/{institution.code}/agreements"},
    )  # fmt: skip


@AREA.post(
    "/institutions/{code}/activation-token", needs=Permission.MEMBERS_STEP,
    summary="Make another activation token",
    answers={200: "It takes the place of the one that was lost or has expired"},
)  # fmt: skip
def make_activation_token(call: Call, path: InstitutionPath, body: Remarked) -> Reply[NewToken]:
    with writing(call) as members:
        existing(call, members, path.code)
        token = Membership(members, call.origin).new_token(
            path.code, call.now_us, who=call.who, reason=body.reason
        )
    return Reply(NewToken(activation_token=token), secrets=("activation_token",))


@AREA.post(
    "/institutions/{code}/activate", needs=None, problems=(403,),
    summary="Activate a membership with its token",
    answers={200: "It is active, and its first account may sign in"},
)  # fmt: skip
def activate_institution(call: Call, path: InstitutionPath, body: Activation) -> Reply[Activated]:
    """Nobody of the institution can sign in yet, so the token alone is asked for. Whoever
    has none is told no more than that it is not good."""
    password = secrets.token_urlsafe(12) if body.password is None else body.password
    try:
        with writing(call) as members:
            account = Membership(members, call.origin).activate(
                path.code, body.activation_token, password, call.now_us,
                who=call.who or path.code.lower(), account=body.account or "",
            )  # fmt: skip
            institution = told(existing(call, members, path.code))
    except MemberError as error:
        if call.principal.operator:
            raise
        raise Refusal(
            Kind.CLOSED,
            f"This token does not activate {path.code}, or the account's name is not to be had.",
            f"此令牌不能激活 {path.code}，或账号名不可用。",
        ) from error
    return Reply(
        Activated(
            institution=institution, account=account.name,
            password=password if body.password is None else None,
        ),
        secrets=("password",),
    )  # fmt: skip


@AREA.post(
    "/institutions/{code}/warn", needs=Permission.MEMBERS_STEP, summary="Warn a member",
    answers={200: "It is warned, and may go on"},
)  # fmt: skip
def warn_institution(call: Call, path: InstitutionPath, body: Because) -> Institution:
    with writing(call) as members:
        _step(call, members, path.code, "warn")
        return told(
            Membership(members, call.origin).warn(
                path.code, call.now_us, who=call.who, reason=body.reason
            )
        )


@AREA.post(
    "/institutions/{code}/suspend", needs=Permission.MEMBERS_STEP, summary="Suspend a member",
    answers={200: "It is suspended: its sessions end at their next request"},
)  # fmt: skip
def suspend_institution(call: Call, path: InstitutionPath, body: Because) -> Institution:
    with writing(call) as members:
        _step(call, members, path.code, "suspend")
        return told(
            Membership(members, call.origin).suspend(
                path.code, call.now_us, who=call.who, reason=body.reason
            )
        )


@AREA.post(
    "/institutions/{code}/restore", needs=Permission.MEMBERS_STEP, summary="Restore a member",
    answers={200: "It is active"},
)  # fmt: skip
def restore_institution(call: Call, path: InstitutionPath, body: Because) -> Institution:
    """Takes back a warning or a suspension."""
    with writing(call) as members:
        _step(call, members, path.code, "restore")
        return told(
            Membership(members, call.origin).restore(
                path.code, call.now_us, who=call.who, reason=body.reason
            )
        )


@AREA.post(
    "/institutions/{code}/end", needs=Permission.MEMBERS_STEP, summary="End a membership",
    answers={200: "It has ended, or will after its last day"},
)  # fmt: skip
def end_institution(call: Call, path: InstitutionPath, body: Ending) -> Institution:
    """What it did stays in the ledger."""
    if body.at_term and body.last_day is not None:
        raise Refusal(
            Kind.INVALID, "last_day and at_term: give one of them.",
            "last_day 与 at_term 只能给出一个。",
        )  # fmt: skip
    if body.last_day is not None and not day_of(call.now_us) <= body.last_day < date(9000, 1, 1):
        raise Refusal(
            Kind.INVALID, f"{body.last_day} is past, or too far.",
            f"{body.last_day} 已过或过于遥远。",
        )  # fmt: skip
    with writing(call) as members:
        _step(call, members, path.code, "end")
        membership = Membership(members, call.origin)
        last_day = body.last_day
        if body.at_term:
            last_day = membership.last_day_of_term(path.code, call.now_us)
        return told(
            membership.end(
                path.code, call.now_us, who=call.who, reason=body.reason, last_day=last_day
            )
        )


@AREA.put(
    "/institutions/{code}/credited", needs=Permission.CERTIFICATES_ISSUE,
    summary="Say whether uploads of an institution are credited",
    answers={200: "It is so from the next upload on"},
)  # fmt: skip
def set_credited(call: Call, path: InstitutionPath, body: Crediting) -> Institution:
    """They are when the account that sends them has a certificate as well."""
    with writing(call) as members:
        existing(call, members, path.code)
        return told(
            Accounts(members, call.origin).set_uploads(
                path.code, body.credited, call.now_us, who=call.who, reason=body.reason
            )
        )


@contextmanager
def reading(call: Call) -> Iterator[Members]:
    members = Members(call.config.members_path)
    try:
        yield members
    finally:
        members.close()


@contextmanager
def writing(call: Call) -> Iterator[Members]:
    members = Members(call.config.members_path, create=True)
    try:
        yield members
    finally:
        members.close()


def existing(call: Call, members: Members, code: str) -> stored.Institution:
    """The institution as it is now.

    Raises:
        Refusal: there is none of that code.
    """
    found = members.institution(code)
    if found is None:
        raise Refusal(Kind.NOT_FOUND, f"There is no institution {code}.", f"没有成员馆 {code}。")
    return found.at(call.now_us)


def told(institution: stored.Institution) -> Institution:
    return Institution(
        code=institution.code, name=institution.name,
        status=institution.status, reason=institution.reason,  # type: ignore[arg-type]
        contact=institution.contact, charset=institution.charset, credited=institution.uploads,
        created=moment(institution.created_us), ends=moment_or_none(institution.ends_us),
    )  # fmt: skip


def _step(call: Call, members: Members, code: str, step: str) -> None:
    """Raises Refusal where the step does not lead on from the present status."""
    institution = existing(call, members, code)
    if institution.status not in STEPS[step][0]:
        raise Refusal(
            Kind.CONFLICT, f"{institution.code} is {institution.status}.",
            f"{institution.code} 目前状态为“{_STATUS_ZH[institution.status]}”。",
        )  # fmt: skip


def _agreement(call: Call, agreement: agreed.Agreement) -> Agreement:
    return Agreement(
        agreement_id=agreement.agreement_id, signed=moment(agreement.signed_us),
        from_day=day_of(agreement.from_us), term_ends_day=agreement.term_ends(call.now_us),
        ends=moment_or_none(agreement.ends_us),
    )  # fmt: skip
