"""What a member may reach, from where, and in how many sessions."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import hdrs
from msgspec import Meta

from server.access_control.permissions import Operation as Permission
from server.api.accounts import AccountPath, existing_account
from server.api.institutions import existing, reading, writing
from server.api.models import AccountName, InstitutionPath, Reason, Remark, Sent
from server.api.operation import PREFIX, Area, Call, Reply
from server.api.problem import Kind, Refusal
from server.api.records import DatabaseName, database_named
from store.access_changes import AccessChanges
from store.access_rules import AccessRules, AddressRange, read_network
from store.members import Members

AREA = Area("access", "What a member may reach, from where, and in how many sessions")

Network = Annotated[
    str, Meta(min_length=2, max_length=64, description="In CIDR form, such as 192.0.2.0/24.")
]  # fmt: skip
Names = Annotated[list[DatabaseName], Meta(min_length=1, max_length=100)]


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses of an institution. Who comes from there without a login is `account`; ""
    is nobody."""

    network: str
    account: str


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """`search` and `download` are names of databases, null for all; `sessions_max` is null
    for what the configuration says. `addresses_only`: from the ranges alone. Those of an
    account narrow those of its institution; it has no ranges of its own."""

    institution: str
    account: str
    search: list[str] | None
    download: list[str] | None
    sessions_max: int | None
    addresses_only: bool
    ranges: list[Range]


class AccessQuery(Sent, frozen=True):
    """Whose."""

    account: Annotated[
        AccountName | None, Meta(description="Of this account, not of the institution.")
    ] = None


class Grants(Sent, frozen=True):
    """Databases, by name or alias, in place of those granted; null grants all."""

    search: Names | None
    download: Names | None
    reason: Reason
    account: AccountName | None = None


class Sessions(Sent, frozen=True):
    """How many Z39.50 sessions at a time; null is what the configuration says."""

    sessions_max: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None
    reason: Reason
    account: AccountName | None = None


class AddressesOnly(Sent, frozen=True):
    """Whether accounts and keys may come from the institution's ranges alone."""

    addresses_only: bool
    reason: Reason


class NewRange(Sent, frozen=True):
    """Who comes from there without a login is `account`, one of the institution's."""

    network: Network
    account: AccountName | None = None
    reason: Remark = ""


class RangeQuery(Sent, frozen=True):
    """Which range is taken away, and why."""

    network: Network
    reason: Reason


@AREA.get(
    "/institutions/{code}/access", needs=Permission.PROFILE_READ,
    summary="Show what an institution or an account may reach",
)  # fmt: skip
def show_access(call: Call, path: InstitutionPath, query: AccessQuery) -> Access:
    with reading(call) as members:
        return _told(call, members, path.code, query.account)


@AREA.put(
    "/institutions/{code}/access/databases", needs=Permission.MEMBERS_CHANGE,
    summary="Grant databases", answers={200: "A session that loses one ends at its next request"},
)  # fmt: skip
def grant_databases(call: Call, path: InstitutionPath, body: Grants) -> Access:
    """Nothing is downloaded from a database that is not searched. Uploads and holdings are
    not held to it."""
    with writing(call) as members:
        _holder(call, members, path.code, body.account)
        AccessChanges(members, call.origin).set_databases(
            path.code, call.now_us, search_in=_names(call, body.search),
            download_from=_names(call, body.download), account=body.account or "", who=call.who,
            reason=body.reason,
        )  # fmt: skip
        return _told(call, members, path.code, body.account)


@AREA.put(
    "/institutions/{code}/access/sessions", needs=Permission.MEMBERS_CHANGE,
    summary="Bound the Z39.50 sessions at a time",
    answers={200: "It holds for sessions that begin from now on"},
)  # fmt: skip
def bound_sessions(call: Call, path: InstitutionPath, body: Sessions) -> Access:
    with writing(call) as members:
        _holder(call, members, path.code, body.account)
        AccessChanges(members, call.origin).set_sessions_max(
            path.code, body.sessions_max, call.now_us, account=body.account or "", who=call.who,
            reason=body.reason,
        )  # fmt: skip
        return _told(call, members, path.code, body.account)


@AREA.put(
    "/institutions/{code}/access/addresses-only", needs=Permission.MEMBERS_CHANGE,
    summary="Hold accounts and keys to the ranges of their institution", problems=(409,),
)  # fmt: skip
def restrict_addresses(call: Call, path: InstitutionPath, body: AddressesOnly) -> Access:
    with writing(call) as members:
        existing(call, members, path.code)
        AccessChanges(members, call.origin).restrict_addresses(
            path.code, body.addresses_only, call.now_us, who=call.who, reason=body.reason
        )
        return _told(call, members, path.code, None)


@AREA.post(
    "/institutions/{code}/access/ranges", needs=Permission.MEMBERS_CHANGE,
    summary="Add a range of addresses", answers={201: "It holds from the next request on"},
)  # fmt: skip
def add_range(call: Call, path: InstitutionPath, body: NewRange) -> Reply[Range]:
    """IPv4 or IPv6; none that has addresses of another institution's range."""
    _check(body.network)
    with writing(call) as members:
        _holder(call, members, path.code, body.account)
        added = AccessChanges(members, call.origin).add_range(
            path.code, body.network, call.now_us, account=body.account or "", who=call.who,
            reason=body.reason,
        )  # fmt: skip
    place = f"{PREFIX}/institutions/{added.institution}/access"
    return Reply(_range(added), headers={hdrs.LOCATION: place})


@AREA.delete(
    "/institutions/{code}/access/ranges", needs=Permission.MEMBERS_CHANGE,
    summary="Take a range of addresses away", problems=(409, 422),
    answers={200: "Sessions that came in by it end at their next request"},
)  # fmt: skip
def remove_range(call: Call, path: InstitutionPath, query: RangeQuery) -> Range:
    network = _check(query.network)
    with writing(call) as members:
        code = existing(call, members, path.code).code
        changes = AccessChanges(members, call.origin)
        if network not in [each.network for each in changes.ranges(code)]:
            raise Refusal(
                Kind.NOT_FOUND, f"{code} has no address range {network}.",
                f"{code} 没有地址段 {network}。",
            )  # fmt: skip
        return _range(
            changes.remove_range(
                code, network, call.now_us, who=call.who, reason=query.reason
            )
        )  # fmt: skip


def _check(network: str) -> str:
    """The network as it is kept."""
    try:
        return str(read_network(network))
    except ValueError as error:
        raise Refusal(Kind.INVALID, f"{error}.", f"地址段无效：{error}") from None


def _names(call: Call, names: list[str] | None) -> list[str] | None:
    return None if names is None else [database_named(call, name).name for name in names]


def _holder(call: Call, members: Members, code: str, account: str | None) -> AccessRules:
    """The rules of the institution or of its account, which must be there."""
    if account is None:
        return existing(call, members, code).access
    return existing_account(call, members, AccountPath(code=code, name=account)).access


def _told(call: Call, members: Members, code: str, account: str | None) -> Access:
    institution = existing(call, members, code)
    rules = _holder(call, members, code, account)
    ranges = AccessChanges(members).ranges(institution.code) if account is None else []
    return Access(
        institution=institution.code, account=account or "",
        search=None if rules.search_in is None else sorted(rules.search_in),
        download=None if rules.download_from is None else sorted(rules.download_from),
        sessions_max=rules.sessions_max, addresses_only=rules.addresses_only,
        ranges=[_range(each) for each in ranges],
    )  # fmt: skip


def _range(each: AddressRange) -> Range:
    return Range(network=each.network, account=each.account)
