"""Who is asking: signing in, and what that allows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from protocol.diagnostic import Diagnostic
from server.access_control import answers
from server.access_control.count_table import CountTable
from server.access_control.login_limits import LoginThrottle
from server.access_control.principal import ANONYMOUS, Principal
from server.config import Access
from server.log import Log
from store.access_rules import both
from store.members import Account, ApiKey, Institution, MemberError, Members, note_key_use

__all__ = ["ANONYMOUS", "KEY_USE_INTERVAL_S", "Principal", "SignIn", "Standing"]

log = Log("lianmu.access")

# How exactly the time of a key's last use is kept: to write it at each request
# would cost more than most requests.
KEY_USE_INTERVAL_S = 60.0
PRINCIPALS_MAX = 4096
# In the folder of the workers' sockets.
FAILURES_FILE = "login-failures.map"
USUAL_FILE = "login-addresses.map"


class SignIn:
    """Tells accounts by password, with failed logins slowed, by API key and by address.

    Failures are counted in files of `shared_dir` for all workers; without it by
    this process alone. An `address` of None is this machine itself, where the
    rules for addresses do not hold.
    """

    def __init__(
        self,
        members_path: Path,
        access: Access,
        clock: Callable[[], float] = time.monotonic,
        refused: Callable[[str], object] = lambda _: None,
        *,
        shared_dir: Path | None = None,
        wall_clock: Callable[[], float] = time.time,
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
        shared = shared_dir is not None
        self._throttle = LoginThrottle(
            access.login_failures_max, access.login_pause_s, wall_clock,
            pause_max_s=access.login_pause_max_s,
            address_failures_max=access.login_failures_of_address_max,
            account_failures_max=access.login_failures_of_account_max,
            failures=CountTable(shared_dir / FAILURES_FILE) if shared and shared_dir else None,
            usual=CountTable(shared_dir / USUAL_FILE) if shared and shared_dir else None,
        )  # fmt: skip
        self._verifying: dict[tuple[str, str], _Turn] = {}
        # Whom an account became, for as long as it is read as the same object: until
        # anything of the members is written. Not where an address or the time decides.
        self._let: dict[str, tuple[Account, Principal]] = {}

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
        self._throttle.close()
        if self._members is not None:
            self._members.close()

    # Without a login

    def without_login(self, address: str) -> Principal | Diagnostic:
        """Who sends no credentials: whose address range it comes from, or anonymous, or refused."""
        try:
            found = self.members.address_ranges().of(address)
            account = self.members.kept_account(found.account) if found and found.account else None
        except MemberError:
            return self.anonymous()  # as there are no members yet; others tell it
        if account is not None:
            return self._let_in(account, address, by_address=True)
        return self.anonymous()

    def anonymous(self) -> Principal | Diagnostic:
        """What a request without credentials is: a principal, or refused."""
        if self._access.anonymous:
            return ANONYMOUS
        return answers.LOGIN_NEEDED

    def certified(self, name: str, address: str | None) -> Principal | Diagnostic:
        """Who a verified client certificate stands for: an account, without its password."""
        try:
            account = self.members.account(name)
        except MemberError as error:
            return _unreadable(error)
        if account is None:
            log.warning("a client certificate names no account", account=name)
            return answers.no_account(name)
        return self._let_in(account, address)

    def malformed(self) -> Diagnostic:
        """The answer to credentials in a form that is not read here."""
        return answers.MALFORMED

    # Keys

    def by_key(self, secret: str, address: str) -> Principal | Diagnostic:
        """Who an API key stands for.

        Wrong keys are not slowed as wrong passwords are: a key cannot be
        guessed, and looking one up costs nothing to speak of.
        """
        try:
            holder = self.members.key_holder(secret)
        except MemberError as error:
            return _unreadable(error)
        if holder is None:
            log.warning("api key refused", address=address)
            self._refused("api_key")
            return answers.UNKNOWN_KEY
        key, institution = holder
        refusal = answers.inactive(institution) or self._from_elsewhere(institution, address)
        if refusal is not None:
            return refusal
        self._note_use(key, address)
        rules = institution.access
        return Principal(
            key.account, institution.code, charset=institution.charset, rights=key.rights,
            search_in=rules.search_in, download_from=both(rules.search_in, rules.download_from),
        )  # fmt: skip

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

    # Passwords

    def recognised(self, name: str, password: str, address: str) -> Principal | Diagnostic | None:
        """As `sign_in`; None: the password has to be verified, which takes time."""
        is_clear = self._throttle.is_clear(name, address)
        if not is_clear:
            pause_s = self._paused_for_s(name, address)
            if pause_s > 0:
                self._refused("login_paused")
                return _paused(name, address, pause_s)
        try:
            account = self.members.recognise(name, password)
        except MemberError as error:
            return _unreadable(error)
        if account is None:
            return None
        if not is_clear:
            self._throttle.succeeded(name, address)
        return self._let_in(account, address)

    async def sign_in(self, name: str, password: str, address: str) -> Principal | Diagnostic:
        """The account's principal, or why it may not come in.

        Suspends only for a password that this process has not seen before. Of one
        account from one address such are verified one after the other, so that
        no more are tried at once than may fail, and one that is right is not
        verified again for each of the connections that a client opens at once.
        """
        principal = self.recognised(name, password, address)
        if principal is not None:
            return principal
        key = (name.casefold(), address)
        turn = self._verifying.setdefault(key, _Turn())
        turn.waiting += 1
        try:
            async with turn.lock:
                return self.recognised(name, password, address) or await self._verified(
                    name, password, address
                )
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                self._verifying.pop(key, None)

    async def _verified(self, name: str, password: str, address: str) -> Principal | Diagnostic:
        pause_s = self._throttle.address_paused_for_s(address)
        if pause_s > 0:
            self._refused("login_paused")
            return _paused(name, address, pause_s)
        try:
            account = await asyncio.to_thread(self.members.verify, name, password)
        except MemberError as error:
            return _unreadable(error)
        if account is None:
            self._throttle.failed(name, address)
            log.warning("login refused", account=name, address=address)
            self._refused("wrong_password")
            return answers.wrong_login(name)
        self._throttle.succeeded(name, address)
        return self._let_in(account, address)

    def _paused_for_s(self, name: str, address: str) -> float:
        pause_s = self._throttle.paused_for_s(name, address)
        if pause_s > 0 and self._is_at_home(name, address):
            return self._throttle.paused_for_s(name, address, at_home=True)
        return pause_s

    def _is_at_home(self, name: str, address: str) -> bool:
        """Whether the address is in a range of the account's institution."""
        try:
            found = self.members.address_ranges().of(address)
            account = self.members.kept_account(name) if found is not None else None
        except MemberError:
            return False
        institution = account.institution if account is not None else None
        return bool(institution and found and found.institution == institution.code)

    # Who has come in

    def standing(self, principal: Principal, address: str) -> Diagnostic | None:
        """Why somebody who came in earlier may not go on; None: nothing speaks against it.

        Looked up again as soon as anything of the members was written, and free otherwise.
        A key signs in with each request, so nothing can have happened to it since.
        """
        name = principal.account
        if principal.anonymous or principal.is_key:
            return None
        try:
            account = self.members.kept_account(name)
        except MemberError as error:
            _tell_unreadable(error)
            return None  # it was let in when they could be read
        institution = account.institution if account is not None else None
        code = institution.code if institution is not None else ""
        if account is None or code != principal.institution:
            return answers.account_gone(name)
        rights = account.rights
        if rights != principal.rights and not set(rights).issuperset(principal.rights):
            return answers.rights_changed(name)
        if institution is None:
            return None
        refusal = answers.inactive(institution)
        if refusal is None and institution.access.addresses_only:
            refusal = self._from_elsewhere(institution, address)
        if refusal is None and principal.by_address:
            refusal = self._no_more_by_address(principal, address)
        if refusal is None and _grants_less(account, principal):
            refusal = answers.databases_changed(name)
        return refusal

    def sessions_max(self, principal: Principal) -> tuple[int, int]:
        """How many Z39.50 sessions its account and its institution may have; 0: any number."""
        access = self._access
        try:
            account = self.members.kept_account(principal.account)
        except MemberError:
            account = None
        own = account.access.sessions_max if account is not None else None
        institution = account.institution if account is not None else None
        whole = institution.access.sessions_max if institution is not None else None
        return (
            access.sessions_of_account_max if own is None else own,
            access.sessions_of_institution_max if whole is None else whole,
        )

    def _let_in(
        self, account: Account, address: str | None, *, by_address: bool = False
    ) -> Principal | Diagnostic:
        known = self._let.get(account.name)
        if known is not None and known[0] is account and not by_address:
            return known[1]
        institution = account.institution
        if institution is None:
            return Principal(account.name, operator=True, rights=account.rights)
        refusal = answers.inactive(institution)
        if refusal is None and institution.access.addresses_only:
            refusal = self._from_elsewhere(institution, address)
        if refusal is not None:
            return refusal
        search_in, download_from = _granted(account, institution)
        rights = account.rights
        if by_address:  # whoever sits there is not to look after accounts and keys
            rights = tuple(right for right in rights if right != "manager")
        principal = Principal(
            account.name, institution.code, charset=institution.charset, rights=rights,
            search_in=search_in, download_from=download_from, by_address=by_address,
        )  # fmt: skip
        if not (by_address or institution.access.addresses_only or institution.ends_us):
            if len(self._let) >= PRINCIPALS_MAX:
                self._let.clear()
            self._let[account.name] = (account, principal)
        return principal

    def _from_elsewhere(self, institution: Institution, address: str | None) -> Diagnostic | None:
        """Why nobody of the institution may come from there; None: it may."""
        if not institution.access.addresses_only or address is None:
            return None
        try:
            found = self.members.address_ranges().of(address)
        except MemberError as error:
            return _unreadable(error)
        if found is not None and found.institution == institution.code:
            return None
        log.warning("address refused", institution=institution.code, address=address)
        return answers.blocked(institution.code, address)

    def _no_more_by_address(self, principal: Principal, address: str) -> Diagnostic | None:
        try:
            found = self.members.address_ranges().of(address)
        except MemberError:
            return None
        if found is not None and found.account.casefold() == principal.account.casefold():
            return None
        return answers.address_changed(address)


class Standing:
    """Whether one who came in earlier may go on: asked before each answer of a session.

    As `SignIn.standing`, which is asked when anything of the members was written; until
    then only the end of an agreement can have come.
    """

    __slots__ = ("_account", "_address", "_name", "_principal", "_sign_in")

    def __init__(self, sign_in: SignIn, principal: Principal, address: str) -> None:
        self._sign_in = sign_in
        self._principal = principal
        self._address = address
        self._name = "" if principal.is_key else principal.account
        self._account: Account | None = None  # as it was when nothing spoke against it

    def refusal(self) -> Diagnostic | None:
        if not self._name:
            return None
        try:
            account = self._sign_in.members.kept_account(self._name)
        except MemberError as error:
            _tell_unreadable(error)
            return None  # it was let in when they could be read
        if account is None or account is not self._account:
            refusal = self._sign_in.standing(self._principal, self._address)
            self._account = account if refusal is None else None
            return refusal
        institution = account.institution
        if institution is None or institution.ends_us is None:
            return None
        return answers.inactive(institution)


class _Turn:
    """Whose turn it is to have a password of one account from one address verified."""

    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


def _granted(
    account: Account, institution: Institution
) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """The databases that the account may search, and those it may download from."""
    search_in = both(institution.access.search_in, account.access.search_in)
    taken = both(institution.access.download_from, account.access.download_from)
    return search_in, both(search_in, taken)


def _grants_less(account: Account, principal: Principal) -> bool:
    """Whether a database is no more granted that the session has."""
    if account.institution is None:
        return False
    search_in, download_from = _granted(account, account.institution)
    return _is_less(search_in, principal.search_in) or _is_less(
        download_from, principal.download_from
    )


def _is_less(now: frozenset[str] | None, before: frozenset[str] | None) -> bool:
    return now is not None and now != before and (before is None or not now >= before)


def _tell_unreadable(error: MemberError) -> None:
    log.error("members cannot be read", reason=str(error))


def _unreadable(error: MemberError) -> Diagnostic:
    _tell_unreadable(error)
    return answers.UNREADABLE


def _paused(name: str, address: str, pause_s: float) -> Diagnostic:
    log.warning("login paused", account=name, address=address)
    return answers.paused(pause_s)
