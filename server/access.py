"""Who is asking: signing in, and what that allows."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path

from protocol.diagnostic import Bib1, Diagnostic
from server.config import Access
from server.limits import LoginThrottle
from server.log import Log
from server.principal import ANONYMOUS, Principal
from store.members import Account, ApiKey, Institution, MemberError, Members, note_key_use

__all__ = ["ANONYMOUS", "KEY_USE_INTERVAL_S", "Principal", "SignIn"]

log = Log("lianmu.access")


# How exactly the time of a key's last use is kept: to write it at each request
# would cost more than most requests.
KEY_USE_INTERVAL_S = 60.0


class SignIn:
    """Tells accounts by password, with failed logins slowed, and by API key."""

    def __init__(
        self,
        members_path: Path,
        access: Access,
        clock: Callable[[], float] = time.monotonic,
        refused: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`refused` is told why somebody was not let in, to be counted."""
        self._path = members_path
        self._clock = clock
        self._refused = refused
        self._key_uses: dict[int, float] = {}
        self._notes: set[asyncio.Task[None]] = set()
        self._open: Callable[[], Members] = lambda: Members(members_path)
        self._members: Members | None = None
        self._access = access
        self._throttle = LoginThrottle(
            access.login_failures_max, access.login_pause_s,
            address_failures_max=access.login_failures_of_address_max,
        )  # fmt: skip

    @property
    def members(self) -> Members:
        if self._members is None:
            self._members = self._open()
        return self._members

    def open(self) -> None:
        """Open the accounts now: with a disk that is full by then they could not be."""
        try:
            self.members  # noqa: B018 - opens them
        except MemberError as error:
            _tell_unreadable(error)

    def close(self) -> None:
        if self._members is not None:
            self._members.close()

    def anonymous(self) -> Principal | Diagnostic:
        """What a request without credentials is: a principal, or refused."""
        if self._access.anonymous:
            return ANONYMOUS
        return Diagnostic(Bib1.BAD_USER_ID, "this server needs an account and its password")

    def certified(self, name: str) -> Principal | Diagnostic:
        """Who a verified client certificate stands for: an account, without its password."""
        try:
            account = self.members.account(name)
        except MemberError as error:
            _tell_unreadable(error)
            return Diagnostic(Bib1.AUTHENTICATION_SYSTEM_ERROR, "accounts cannot be read")
        if account is None:
            log.warning("a client certificate names no account", account=name)
            return Diagnostic(Bib1.BAD_USER_ID, name)
        return _principal(account)

    def malformed(self) -> Diagnostic:
        """The answer to credentials in a form that is not read here."""
        return Diagnostic(
            Bib1.BAD_USER_ID, "send HTTP Basic credentials in UTF-8, or an API key as Bearer"
        )

    def by_key(self, secret: str, address: str) -> Principal | Diagnostic:
        """Who an API key stands for.

        Wrong keys are not slowed as wrong passwords are: a key cannot be
        guessed, and looking one up costs nothing to speak of.
        """
        try:
            holder = self.members.key_holder(secret)
        except MemberError as error:
            _tell_unreadable(error)
            return Diagnostic(Bib1.AUTHENTICATION_SYSTEM_ERROR, "accounts cannot be read")
        if holder is None:
            log.warning("api key refused", address=address)
            self._refused("api_key")
            return Diagnostic(Bib1.BAD_USER_ID, "the API key is not known or was revoked")
        key, institution = holder
        refusal = _inactive(institution)
        if refusal is not None:
            return refusal
        self._note_use(key, address)
        return Principal(
            key.account, institution.code, charset=institution.charset, rights=key.rights
        )

    def _note_use(self, key: ApiKey, address: str) -> None:
        now = self._clock()
        if now - self._key_uses.get(key.key_id, -KEY_USE_INTERVAL_S) < KEY_USE_INTERVAL_S:
            return
        self._key_uses[key.key_id] = now
        log.info("api key used", account=key.account, id=key.key_id, address=address)
        note = asyncio.get_running_loop().create_task(self._write_use(key.key_id))
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)

    async def _write_use(self, key_id: int) -> None:
        try:
            await asyncio.to_thread(note_key_use, self._path, key_id, time.time_ns() // 1000)
        except MemberError as error:
            log.warning("the use of a key was not written down", id=key_id, reason=str(error))

    def recognised(self, name: str, password: str, address: str) -> Principal | Diagnostic | None:
        """As `sign_in`; None: the password has to be verified, which takes time."""
        pause_s = self._throttle.paused_for_s(name, address)
        if pause_s > 0:
            self._refused("login_paused")
            return _paused(name, address, pause_s)
        try:
            account = self.members.recognise(name, password)
        except MemberError as error:
            _tell_unreadable(error)
            return Diagnostic(Bib1.AUTHENTICATION_SYSTEM_ERROR, "accounts cannot be read")
        if account is None:
            return None
        self._throttle.succeeded(name, address)
        return _principal(account)

    def standing(self, principal: Principal) -> Diagnostic | None:
        """Why somebody who came in earlier may not go on; None: nothing speaks against it.

        Looked up again as soon as anything of the members was written, and free otherwise.
        A key signs in with each request, so nothing can have happened to it since.
        """
        name = principal.account
        if principal.anonymous or "+" in name:
            return None
        try:
            account = self.members.kept_account(name)
        except MemberError as error:
            _tell_unreadable(error)
            return None  # it was let in when they could be read
        institution = account.institution if account is not None else None
        code = institution.code if institution is not None else ""
        if account is None or code != principal.institution:
            return Diagnostic(
                Bib1.ACCOUNT_EXPIRED, f"the account {name} is no more / 账号 {name} 已注销"
            )
        rights = account.rights
        if rights != principal.rights and not set(rights).issuperset(principal.rights):
            return Diagnostic(
                Bib1.ACCOUNT_EXPIRED,
                f"the rights of {name} have changed; sign in again"
                f" / 账号 {name} 的权限已变更，请重新登录",
            )
        return _inactive(institution) if institution is not None else None

    async def sign_in(self, name: str, password: str, address: str) -> Principal | Diagnostic:
        """The account's principal, or why it may not come in.

        Suspends only for a password that this process has not seen before.
        """
        principal = self.recognised(name, password, address)
        if principal is not None:
            return principal
        pause_s = self._throttle.address_paused_for_s(address)
        if pause_s > 0:
            self._refused("login_paused")
            return _paused(name, address, pause_s)
        try:
            account = await asyncio.to_thread(self.members.verify, name, password)
        except MemberError as error:
            _tell_unreadable(error)
            return Diagnostic(Bib1.AUTHENTICATION_SYSTEM_ERROR, "accounts cannot be read")
        if account is None:
            self._throttle.failed(name, address)
            log.warning("login refused", account=name, address=address)
            self._refused("wrong_password")
            return Diagnostic(Bib1.BAD_USER_ID_OR_PASSWORD, name)
        self._throttle.succeeded(name, address)
        return _principal(account)


def _tell_unreadable(error: MemberError) -> None:
    log.error("members cannot be read", reason=str(error))


def _paused(name: str, address: str, pause_s: float) -> Diagnostic:
    log.warning("login paused", account=name, address=address)
    return Diagnostic(
        Bib1.TEMPORARILY_UNAVAILABLE,
        f"too many failed logins; try again in {math.ceil(pause_s)} s",
    )


def _principal(account: Account) -> Principal | Diagnostic:
    institution = account.institution
    if institution is None:
        return Principal(account.name, operator=True, rights=account.rights)
    return _inactive(institution) or Principal(
        account.name, institution.code, charset=institution.charset, rights=account.rights
    )


# What follows "the membership is", and the same in Chinese.
_CLOSED = {
    "registered": ("not signed yet", "尚未签约"),
    "signed": ("not activated yet", "尚未激活"),
    "suspended": ("suspended", "已暂停"),
    "ended": ("ended", "已终止"),
}


def _inactive(institution: Institution) -> Diagnostic | None:
    """Why nobody of the institution may come in; None: it is active, or only warned."""
    now = institution.at(time.time_ns() // 1_000) if institution.ends_us else institution
    if now.is_open:
        return None
    state, chinese = _CLOSED[now.status]
    because = f": {now.reason}" if now.reason else ""
    return Diagnostic(
        Bib1.ACCOUNT_EXPIRED,
        f"the membership of {now.code} is {state}{because}; ask the consortium's operators"
        f" / {now.code} 的成员资格{chinese}，请与联合目录管理方联系",
    )
