"""Who is asking: signing in, and what that allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from protocol.diagnostic import Bib1, Diagnostic
from server.config import Access
from server.limits import LoginThrottle
from server.log import Log
from store.members import Account, MemberError, Members

log = Log("lianmu.access")


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever makes a request; neither account nor institution: anonymous.

    `charset` is that of the institution's library system, "" for UTF-8.
    """

    account: str = ""
    institution: str = ""
    operator: bool = False
    charset: str = ""

    @property
    def anonymous(self) -> bool:
        return not self.account

    @property
    def may_download(self) -> bool:
        """Full records are for members: each is entered for an institution."""
        return bool(self.institution)


ANONYMOUS = Principal()

SIGN_IN_HINT = (
    "sign in with a member's account to receive full records; "
    "in Z39.50 send user/password at Init, in SRU use HTTP Basic"
)


class SignIn:
    """Tells accounts by password, with failed logins slowed."""

    def __init__(self, members_path: Path, access: Access) -> None:
        self._open: Callable[[], Members] = lambda: Members(members_path)
        self._members: Members | None = None
        self._access = access
        self._throttle = LoginThrottle(access.login_failures_max, access.login_pause_s)

    @property
    def members(self) -> Members:
        if self._members is None:
            self._members = self._open()
        return self._members

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
        except MemberError:
            log.exception("members cannot be read")
            return Diagnostic(Bib1.AUTHENTICATION_SYSTEM_ERROR, "accounts cannot be read")
        if account is None:
            log.warning("a client certificate names no account", account=name)
            return Diagnostic(Bib1.BAD_USER_ID, name)
        return _principal(account)

    def malformed(self) -> Diagnostic:
        """The answer to credentials in a form that is not read here."""
        return Diagnostic(Bib1.BAD_USER_ID, "send HTTP Basic credentials in UTF-8")

    async def sign_in(self, name: str, password: str, address: str) -> Principal | Diagnostic:
        """The account's principal, or why it may not come in.

        Suspends only for a password that this process has not seen before.
        """
        pause_s = self._throttle.paused_for_s(name, address)
        if pause_s > 0:
            log.warning("login paused", account=name, address=address)
            return Diagnostic(
                Bib1.TEMPORARILY_UNAVAILABLE,
                f"too many failed logins; try again in {pause_s:.0f} s",
            )
        try:
            account = self.members.recognise(name, password)
            if account is None:
                account = await asyncio.to_thread(self.members.verify, name, password)
        except MemberError:
            log.exception("members cannot be read")
            return Diagnostic(Bib1.AUTHENTICATION_SYSTEM_ERROR, "accounts cannot be read")
        if account is None:
            self._throttle.failed(name, address)
            log.warning("login refused", account=name, address=address)
            return Diagnostic(Bib1.BAD_USER_ID_OR_PASSWORD, name)
        self._throttle.succeeded(name, address)
        return _principal(account)


def _principal(account: Account) -> Principal | Diagnostic:
    institution = account.institution
    if institution is None:
        return Principal(account.name, operator=True)
    if institution.status != "active":
        return Diagnostic(
            Bib1.ACCOUNT_EXPIRED,
            f"the membership of {institution.code} is {institution.status}; "
            "ask the consortium's operators",
        )
    return Principal(account.name, institution.code, charset=institution.charset)
