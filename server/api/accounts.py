"""Accounts of an institution, certificates of its cataloguers, keys of its programs."""

from __future__ import annotations

import secrets
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

import msgspec
from aiohttp import hdrs
from msgspec import Meta

from server.access_control.permissions import Operation as Permission
from server.api.institutions import existing, reading, writing
from server.api.models import (
    AccountName,
    InstitutionPath,
    KeyName,
    Password,
    Reason,
    ReasonQuery,
    Remark,
    Right,
    Rights,
    Sent,
    member_rights,
    moment,
    moment_or_none,
)
from server.api.operation import PREFIX, Area, Call, Reply
from server.api.paging import Page, PageQuery, page, paged, position
from server.api.problem import Kind, Refusal
from store import accounts as stored
from store.accounts import Accounts
from store.members import Account as StoredAccount
from store.members import ApiKey, Members
from store.membership import day_of, start_us
from store.rights import read_rights

AREA = Area("accounts", "Accounts of the people of an institution, their rights and certificates")
KEYS = Area("keys", "Keys with which programs of an institution sign in")

Language = Literal["chinese", "western", "japanese", "russian", "other", "ancient"]
Level = Literal["basic", "full"]
CertificateState = Literal["good", "expired", "revoked"]


class AccountPath(InstitutionPath, frozen=True):
    """An account in the address."""

    name: AccountName


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account and what it may do."""

    institution: str
    name: str
    rights: list[Right]


class NewAccount(Sent, frozen=True):
    """Without `password` one is made up."""

    name: AccountName
    rights: Rights = msgspec.field(default_factory=member_rights)
    password: Password | None = None
    reason: Remark = ""


class MadeAccount(msgspec.Struct, frozen=True, kw_only=True):
    """`password` is shown this once and only where it was made up; else it is null."""

    account: Account
    password: str | None


class NewRights(Sent, frozen=True):
    """The rights of an account from now on."""

    rights: Rights
    reason: Reason


class NewPassword(Sent, frozen=True):
    """Without `password` one is made up."""

    password: Password | None = None
    reason: Remark = ""


class CertificatePath(AccountPath, frozen=True):
    """A certificate in the address."""

    certificate: Annotated[int, Meta(ge=1, le=2**53)]


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """For which records an account is certified: their language, and levels up to this one."""

    certificate_id: int
    account: str
    language: Language
    level: Level
    issued: datetime
    last_day: date
    state: CertificateState
    revoked: datetime | None


class NewCertificate(Sent, frozen=True):
    """`last_day` is the last on which it is good."""

    language: Language
    level: Level
    last_day: date
    reason: Remark = ""


class KeyPath(InstitutionPath, frozen=True):
    """A key in the address."""

    name: KeyName


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """`account` is who uses it, in the log and the ledger; `last_used` is right to a minute."""

    key_id: int
    institution: str
    name: str
    account: str
    rights: list[Right]
    created: datetime
    last_used: datetime | None
    revoked: datetime | None


class NewKey(Sent, frozen=True):
    """A key and what it may do."""

    name: KeyName
    rights: Rights = msgspec.field(default_factory=member_rights)


class MadeKey(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is sent as `Authorization: Bearer`; it is shown this once, else null."""

    key: Key
    secret: str | None


# Accounts


@AREA.get(
    "/institutions/{code}/accounts", needs=Permission.ACCOUNTS_MANAGE,
    summary="List accounts", answers={200: "A page of them, by name"},
)  # fmt: skip
def list_accounts(call: Call, path: InstitutionPath, query: PageQuery) -> Reply[Page[Account]]:
    after = position(call, query, str)
    with reading(call) as members:
        rows = members.accounts(existing(call, members, path.code).code)
    rows = [row for row in rows if after is None or row.name.casefold() > after.casefold()]
    rows.sort(key=lambda row: row.name.casefold())
    items, cursor = page(call, query, rows, lambda row: row.name)
    return paged(call, [_account(each) for each in items], cursor)


@AREA.post(
    "/institutions/{code}/accounts", needs=Permission.ACCOUNTS_MANAGE, summary="Add an account",
    answers={201: "It may sign in"},
)  # fmt: skip
def add_account(call: Call, path: InstitutionPath, body: NewAccount) -> Reply[MadeAccount]:
    password = secrets.token_urlsafe(12) if body.password is None else body.password
    with writing(call) as members:
        code = existing(call, members, path.code).code
        made = Accounts(members, call.origin).add(
            code, body.name, password, call.now_us, rights=read_rights(body.rights),
            who=call.who, reason=body.reason,
        )  # fmt: skip
    return Reply(
        MadeAccount(account=_account(made), password=None if body.password else password),
        headers={hdrs.LOCATION: f"{PREFIX}/institutions/{code}/accounts/{made.name}"},
        secrets=("password",),
    )


@AREA.get(
    "/institutions/{code}/accounts/{name}", needs=Permission.ACCOUNTS_MANAGE,
    summary="Show an account",
)  # fmt: skip
def show_account(call: Call, path: AccountPath) -> Account:
    with reading(call) as members:
        return _account(existing_account(call, members, path))


@AREA.put(
    "/institutions/{code}/accounts/{name}/rights", needs=Permission.ACCOUNTS_MANAGE,
    summary="Change the rights of an account",
    answers={200: "Sessions that lose a right end at their next request"},
)  # fmt: skip
def set_account_rights(call: Call, path: AccountPath, body: NewRights) -> Account:
    with writing(call) as members:
        existing_account(call, members, path)
        return _account(
            Accounts(members, call.origin).set_rights(
                path.name, read_rights(body.rights), call.now_us, who=call.who, reason=body.reason
            )
        )


@AREA.post(
    "/institutions/{code}/accounts/{name}/password", needs=Permission.ACCOUNTS_MANAGE,
    summary="Give an account another password", answers={200: "The old one is no good any more"},
)  # fmt: skip
def set_account_password(call: Call, path: AccountPath, body: NewPassword) -> Reply[MadeAccount]:
    password = secrets.token_urlsafe(12) if body.password is None else body.password
    with writing(call) as members:
        existing_account(call, members, path)
        changed = Accounts(members, call.origin).set_password(
            path.name, password, call.now_us, who=call.who, reason=body.reason
        )
    return Reply(
        MadeAccount(account=_account(changed), password=None if body.password else password),
        secrets=("password",),
    )


@AREA.delete(
    "/institutions/{code}/accounts/{name}", needs=Permission.ACCOUNTS_MANAGE,
    summary="Remove an account",
    answers={200: "It is gone, with its certificates; what it did stays written down"},
)  # fmt: skip
def remove_account(call: Call, path: AccountPath, query: ReasonQuery) -> Account:
    with writing(call) as members:
        existing_account(call, members, path)
        return _account(
            Accounts(members, call.origin).remove(
                path.name, call.now_us, who=call.who, reason=query.reason
            )
        )


# Certificates


@AREA.get(
    "/institutions/{code}/accounts/{name}/certificates", needs=Permission.CERTIFICATES_READ,
    summary="List the certificates of an account",
    answers={200: "Expired and revoked ones too, the oldest first"},
)  # fmt: skip
def list_certificates(call: Call, path: AccountPath, query: PageQuery) -> Reply[Page[Certificate]]:
    after = position(call, query, int) or 0
    with reading(call) as members:
        account = existing_account(call, members, path)
        rows = Accounts(members).certificates(account.name)
    rows = [row for row in rows if row.certificate_id > after]
    items, cursor = page(call, query, rows, lambda row: row.certificate_id)
    return paged(call, [_certificate(call, each) for each in items], cursor)


@AREA.post(
    "/institutions/{code}/accounts/{name}/certificates", needs=Permission.CERTIFICATES_ISSUE,
    summary="Certify a cataloguer", answers={201: "It is good from now on"},
)  # fmt: skip
def issue_certificate(call: Call, path: AccountPath, body: NewCertificate) -> Reply[Certificate]:
    if not day_of(call.now_us) <= body.last_day < date(9000, 1, 1):
        raise Refusal(
            Kind.INVALID, f"last_day: {body.last_day} is past, or too far.",
            f"last_day：{body.last_day} 已过或过于遥远。",
        )  # fmt: skip
    with writing(call) as members:
        account = existing_account(call, members, path)
        made = Accounts(members, call.origin).certify(
            account.name, body.language, body.level, call.now_us,
            expires_us=start_us(body.last_day + timedelta(days=1)), who=call.who,
            reason=body.reason,
        )  # fmt: skip
    place = f"{PREFIX}/institutions/{path.code.upper()}/accounts/{made.account}/certificates"
    return Reply(_certificate(call, made), headers={hdrs.LOCATION: place})


@AREA.delete(
    "/institutions/{code}/accounts/{name}/certificates/{certificate}",
    needs=Permission.CERTIFICATES_ISSUE, summary="Revoke a certificate", problems=(409,),
    answers={200: "It is revoked; what was credited with it stays credited"},
)  # fmt: skip
def revoke_certificate(call: Call, path: CertificatePath, query: ReasonQuery) -> Certificate:
    with writing(call) as members:
        account = existing_account(call, members, path)
        accounts = Accounts(members, call.origin)
        if path.certificate not in [
            each.certificate_id for each in accounts.certificates(account.name)
        ]:
            raise Refusal(
                Kind.NOT_FOUND, f"{account.name} has no certificate {path.certificate}.",
                f"账号 {account.name} 没有证书 {path.certificate}。",
            )  # fmt: skip
        accounts.revoke(path.certificate, call.now_us, who=call.who, reason=query.reason)
        revoked = next(
            each
            for each in accounts.certificates(account.name)
            if each.certificate_id == path.certificate
        )
    return _certificate(call, revoked)


# Keys


@KEYS.get(
    "/institutions/{code}/keys", needs=Permission.KEYS_MANAGE, summary="List API keys",
    answers={200: "Revoked ones too, the oldest first"},
)  # fmt: skip
def list_keys(call: Call, path: InstitutionPath, query: PageQuery) -> Reply[Page[Key]]:
    after = position(call, query, int) or 0
    with reading(call) as members:
        rows = members.keys(existing(call, members, path.code).code)
    items, cursor = page(
        call, query, (row for row in rows if row.key_id > after), lambda row: row.key_id
    )
    return paged(call, [_key(each) for each in items], cursor)


@KEYS.post(
    "/institutions/{code}/keys", needs=Permission.KEYS_MANAGE, summary="Make an API key",
    answers={201: "It is good at once"},
)  # fmt: skip
def make_key(call: Call, path: InstitutionPath, body: NewKey) -> Reply[MadeKey]:
    """Its secret is shown this once. It can do no more than its rights say."""
    with writing(call) as members:
        code = existing(call, members, path.code).code
        made, secret = members.add_key(
            code, body.name, call.now_us, rights=read_rights(body.rights), who=call.who,
            origin=call.origin,
        )  # fmt: skip
    return Reply(
        MadeKey(key=_key(made), secret=secret), secrets=("secret",),
        headers={hdrs.LOCATION: f"{PREFIX}/institutions/{code}/keys"},
    )  # fmt: skip


@KEYS.delete(
    "/institutions/{code}/keys/{name}", needs=Permission.KEYS_MANAGE,
    summary="Revoke an API key", answers={200: "It is refused from now on"},
)  # fmt: skip
def revoke_key(call: Call, path: KeyPath) -> Key:
    """That of its name which is good; a key made later may have the name again."""
    with writing(call) as members:
        code = existing(call, members, path.code).code
        good = next(
            (
                key
                for key in members.keys(code)
                if key.name.casefold() == path.name.casefold() and key.revoked_us is None
            ),
            None,
        )
        if good is None:
            raise Refusal(
                Kind.NOT_FOUND, f"{code} has no good key {path.name}.",
                f"{code} 没有有效的密钥 {path.name}。",
            )  # fmt: skip
        members.revoke_key(code, good.name, call.now_us, who=call.who, origin=call.origin)
        return _key(next(key for key in members.keys(code) if key.key_id == good.key_id))


def existing_account(call: Call, members: Members, path: AccountPath) -> StoredAccount:
    """The account of the address, which must be the institution's."""
    code = existing(call, members, path.code).code
    account = members.account(path.name)
    if account is None or account.institution is None or account.institution.code != code:
        raise Refusal(
            Kind.NOT_FOUND, f"{code} has no account {path.name}.",
            f"{code} 没有账号 {path.name}。",
        )  # fmt: skip
    return account


def _account(account: StoredAccount) -> Account:
    code = account.institution.code if account.institution is not None else ""
    return Account(institution=code, name=account.name, rights=list(account.rights))  # type: ignore[arg-type]


def _certificate(call: Call, certificate: stored.Certificate) -> Certificate:
    state: CertificateState = "good"
    if certificate.revoked_us is not None:
        state = "revoked"
    elif certificate.expires_us <= call.now_us:
        state = "expired"
    return Certificate(
        certificate_id=certificate.certificate_id, account=certificate.account,
        language=certificate.language, level=certificate.level,  # type: ignore[arg-type]
        issued=moment(certificate.issued_us), last_day=day_of(certificate.expires_us - 1),
        state=state, revoked=moment_or_none(certificate.revoked_us),
    )  # fmt: skip


def _key(key: ApiKey) -> Key:
    return Key(
        key_id=key.key_id, institution=key.institution, name=key.name, account=key.account,
        rights=list(key.rights), created=moment(key.created_us),  # type: ignore[arg-type]
        last_used=moment_or_none(key.last_used_us), revoked=moment_or_none(key.revoked_us),
    )  # fmt: skip
