"""A member's accounts and keys, looked after by its managers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import TypeVar

from aiohttp import web

from metering.spool import utc_us
from server.access_control.permissions import Operation
from server.web.forms import Form, text_of
from server.web.navigation import member_may
from server.web.session import Flash
from server.web.shell import Shell, Visit, redirect
from store.accounts import Accounts, Certificate
from store.members import Account, ApiKey, MemberError, Members
from store.rights import MEMBER_RIGHTS, RIGHTS, read_rights

PATH = "/-/my/accounts"
PASSWORD_CHARS_MIN = 8
_T = TypeVar("_T")


class AccountPages:
    """The list, what is made and taken away, and one's own password."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def add_routes(self, app: web.Application) -> None:
        shell = self._shell
        accounts, keys = member_may(Operation.ACCOUNTS_MANAGE), member_may(Operation.KEYS_MANAGE)
        own = member_may(Operation.PASSWORD_CHANGE)
        shell.get(app, PATH, self._list, own)
        shell.post(app, f"{PATH}/add", self._add, accounts)
        shell.post(app, f"{PATH}/rights", self._rights, accounts)
        shell.post(app, f"{PATH}/password", self._new_password, accounts)
        shell.post(app, f"{PATH}/remove", self._remove, accounts)
        shell.post(app, f"{PATH}/key-add", self._add_key, keys)
        shell.post(app, f"{PATH}/key-revoke", self._revoke_key, keys)
        shell.post(app, f"{PATH}/own-password", self._own_password, own)

    # Looking

    async def _list(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        return await self._show(request, visit)

    async def _show(
        self,
        request: web.Request,
        visit: Visit,
        *,
        errors: Mapping[str, str] | None = None,
        typed: Mapping[str, object] | None = None,
        secret: tuple[str, str] | None = None,
    ) -> web.Response:
        """`secret`: the name of something just made, and what is shown this once of it."""
        manages = member_may(Operation.ACCOUNTS_MANAGE)(visit.who)
        accounts, keys = (
            await asyncio.to_thread(self._read, visit.who.institution) if manages else ([], [])
        )
        values = {
            "path": PATH,
            "manages": manages,
            "accounts": accounts,
            "keys": [key for key in keys if key.revoked_us is None],
            "revoked": [key for key in keys if key.revoked_us is not None],
            "rights": RIGHTS,
            "usual": MEMBER_RIGHTS,
            "own": visit.who.account,
            "errors": errors or {},
            "typed": typed or {},
            "secret": secret,
        }
        return self._shell.render(
            request, visit, "my/accounts.html", values, 400 if errors else 200
        )

    def _read(self, code: str) -> tuple[list[tuple[Account, list[Certificate]]], list[ApiKey]]:
        now_us = utc_us()
        members = Members(self._shell.config.members_path)
        try:
            found = Accounts(members)
            accounts = [
                (each, [c for c in found.certificates(each.name) if _is_good(c, now_us)])
                for each in members.accounts(code)
            ]
            return accounts, members.keys(code)
        finally:
            members.close()

    # Accounts

    async def _add(self, request: web.Request, visit: Visit, form: Form) -> web.StreamResponse:
        name = text_of(form, "name")
        password = secrets.token_urlsafe(12)
        errors: dict[str, str] = {}
        rights = self._chosen(visit, form, errors, "rights")
        if not errors:
            try:
                await self._change(visit, lambda accounts, who: accounts.add(
                    visit.who.institution, name, password, utc_us(), rights=rights, who=who,
                ))  # fmt: skip
            except MemberError as error:
                errors["name"] = visit.texts("my.name_refused", reason=str(error))
        if errors:
            typed = {"name": name, "rights": rights or form.getall("rights", ())}
            return await self._show(request, visit, errors=errors, typed=typed)
        return await self._show(request, visit, secret=(name, password))

    async def _rights(self, request: web.Request, visit: Visit, form: Form) -> web.StreamResponse:
        name = text_of(form, "account")
        errors: dict[str, str] = {}
        rights = self._chosen(visit, form, errors, "account")
        if name == visit.who.account and "manager" not in rights and not errors:
            errors["account"] = visit.texts("my.own_manager")
        return await self._on_account(
            request, visit, name, errors, "my.rights_changed",
            lambda accounts, who: accounts.set_rights(
                name, rights, utc_us(), who=who, reason=_reason(visit, form)
            ),
        )  # fmt: skip

    async def _new_password(
        self, request: web.Request, visit: Visit, form: Form
    ) -> web.StreamResponse:
        name, password = text_of(form, "account"), secrets.token_urlsafe(12)
        errors = {} if await self._is_ours(visit, name) else {"account": visit.texts("my.not_ours")}
        if not errors:
            await self._change(visit, lambda accounts, who: accounts.set_password(
                name, password, utc_us(), who=who, reason=_reason(visit, form),
            ))  # fmt: skip
            return await self._show(request, visit, secret=(name, password))
        return await self._show(request, visit, errors=errors)

    async def _remove(self, request: web.Request, visit: Visit, form: Form) -> web.StreamResponse:
        name = text_of(form, "account")
        errors: dict[str, str] = {}
        if name == visit.who.account:
            errors["account"] = visit.texts("my.own_account")
        return await self._on_account(
            request, visit, name, errors, "my.account_removed",
            lambda accounts, who: accounts.remove(
                name, utc_us(), who=who, reason=_reason(visit, form)
            ),
        )  # fmt: skip

    async def _on_account(
        self,
        request: web.Request,
        visit: Visit,
        name: str,
        errors: dict[str, str],
        done: str,
        change: Callable[[Accounts, str], object],
    ) -> web.StreamResponse:
        if not errors and not await self._is_ours(visit, name):
            errors["account"] = visit.texts("my.not_ours")
        if not errors:
            try:
                await self._change(visit, change)
            except MemberError as error:
                errors["account"] = str(error)
        if errors:
            return await self._show(request, visit, errors=errors)
        return self._shell.see_other(request, visit, PATH, done, name=name)

    async def _own_password(
        self, request: web.Request, visit: Visit, form: Form
    ) -> web.StreamResponse:
        now, new = str(form.get("now", "")), str(form.get("new", ""))
        account = visit.who.account
        errors: dict[str, str] = {}
        if len(new) < PASSWORD_CHARS_MIN:
            errors["new"] = visit.texts("my.password_short", count=PASSWORD_CHARS_MIN)
        elif new != str(form.get("again", "")):
            errors["again"] = visit.texts("my.password_differs")
        else:
            # As at sign-in, so that guessing is slowed here too.
            principal = await self._shell.service.sign_in.sign_in(
                account, now, request.remote or ""
            )
            if getattr(principal, "account", "") != account:
                errors["now"] = visit.texts("my.password_wrong")
        if errors:
            return await self._show(request, visit, errors=errors)
        await self._change(visit, lambda accounts, who: accounts.set_password(
            account, new, utc_us(), who=who,
        ))  # fmt: skip
        response = redirect(PATH)
        session = self._shell.begin_session(request, response, account)
        told = Flash(session.nonce, "my.password_changed", {}, is_wrong=False)
        secure = self._shell.is_secure(request)
        self._shell.sessions.write_flash(response, told, secure=secure)
        return response

    # Keys

    async def _add_key(self, request: web.Request, visit: Visit, form: Form) -> web.StreamResponse:
        name = text_of(form, "key")
        errors: dict[str, str] = {}
        rights = self._chosen(visit, form, errors, "key_rights")
        if not errors:
            try:
                _, secret = await self._with_members(lambda members: members.add_key(
                    visit.who.institution, name, utc_us(), rights=rights, who=visit.who.account,
                    origin=visit.origin,
                ))  # fmt: skip
            except MemberError as error:
                errors["key"] = visit.texts("my.name_refused", reason=str(error))
            else:
                return await self._show(request, visit, secret=(name, secret))
        return await self._show(request, visit, errors=errors, typed={"key": name})

    async def _revoke_key(
        self, request: web.Request, visit: Visit, form: Form
    ) -> web.StreamResponse:
        name = text_of(form, "key")
        try:
            await self._with_members(lambda members: members.revoke_key(
                visit.who.institution, name, utc_us(), who=visit.who.account,
                origin=visit.origin,
            ))  # fmt: skip
        except MemberError as error:
            return await self._show(request, visit, errors={"key": str(error)})
        return self._shell.see_other(request, visit, PATH, "my.key_revoked", name=name)

    # What they share

    def _chosen(
        self, visit: Visit, form: Form, errors: dict[str, str], field: str
    ) -> tuple[str, ...]:
        """The rights that were ticked."""
        try:
            rights = read_rights(str(each) for each in form.getall("rights", ()))
        except ValueError:
            errors[field] = visit.texts("my.no_rights")
            return ()
        return rights

    async def _is_ours(self, visit: Visit, name: str) -> bool:
        account = await self._with_members(lambda members: members.account(name))
        institution = account.institution if account is not None else None
        return institution is not None and institution.code == visit.who.institution

    async def _change(self, visit: Visit, change: Callable[[Accounts, str], _T]) -> _T:
        return await self._with_members(
            lambda members: change(Accounts(members, visit.origin), visit.who.account)
        )

    async def _with_members(self, work: Callable[[Members], _T]) -> _T:
        def opened() -> _T:
            members = Members(self._shell.config.members_path, create=True)
            try:
                return work(members)
            finally:
                members.close()

        return await asyncio.to_thread(opened)


def _reason(visit: Visit, form: Form) -> str:
    """Why, for the audit; a manager need not say it."""
    return text_of(form, "reason") or visit.texts("my.reason_manager")


def _is_good(certificate: Certificate, now_us: int) -> bool:
    return certificate.revoked_us is None and now_us < certificate.expires_us
