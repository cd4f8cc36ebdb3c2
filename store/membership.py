"""The life of a membership: registered, signed, active, warned, suspended, ended.

    register → sign (an agreement of three years that renews itself) → activate,
    with a token that is good once → active ⇄ warned, suspended → ended

Every step writes an audit row in the same transaction: who, when, why, from
which status to which.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from protocol.china_time import CHINA, china_clock, china_time
from store.audit import UNKNOWN, AuditRow, Origin, audit_rows
from store.members import Account, Institution, MemberError, Members
from store.rights import FIRST_RIGHTS

TERM_YEARS = 3
TOKEN_PREFIX = "lianmu_join_"  # noqa: S105 - tells tokens from keys at sight
TOKEN_SIZE_BYTES = 24
TOKEN_LIFE_DAYS = 30
_DAY_US = 86_400_000_000

# From which status each step leads where.
STEPS: Mapping[str, tuple[frozenset[str], str]] = {
    "sign": (frozenset({"registered", "ended"}), "signed"),
    "activate": (frozenset({"signed"}), "active"),
    "warn": (frozenset({"active", "warned"}), "warned"),
    "suspend": (frozenset({"active", "warned"}), "suspended"),
    "restore": (frozenset({"warned", "suspended"}), "active"),
    "end": (frozenset({"registered", "signed", "active", "warned", "suspended"}), "ended"),
}
_NEXT: Mapping[str, str] = {
    "registered": "sign its agreement first",
    "signed": "activate it first",
    "active": "it can be warned, suspended or ended",
    "warned": "it can be restored, suspended or ended",
    "suspended": "restore it first",
    "ended": "only a new agreement opens it again",
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was signed. Times are UTC, microseconds since 1970; without `ends_us` it renews itself.

    It is no more from `ends_us` on.
    """

    agreement_id: int
    institution: str
    signed_us: int
    from_us: int
    ends_us: int | None = None

    def term_ends(self, now_us: int) -> date:
        """The day of the present term after which it renews itself, or would."""
        first = day_of(self.from_us)
        years = TERM_YEARS
        while (last := _anniversary(first, years) - timedelta(days=1)) < day_of(now_us):
            years += TERM_YEARS
        return last


class Membership:
    """The steps, on the writing side of `Members`."""

    def __init__(self, members: Members, origin: Origin = UNKNOWN) -> None:
        """`members` must be opened with `create`; `origin` is where the steps come from."""
        self._members = members
        self._connection = members.connection
        self._origin = origin

    def register(
        self, code: str, name: str, now_us: int, *, who: str, contact: str = "", reason: str = ""
    ) -> Institution:
        """Note an institution that wants to join.

        Raises:
            MemberError: a code that is malformed or taken, or an empty name.
        """
        with self._members.transaction():
            institution = self._members.add_institution(
                code, name, now_us, status="registered", contact=contact
            )
            self._audit("register", institution.code, now_us, who, reason, "", "registered")
        return institution

    def sign(
        self, code: str, now_us: int, *, who: str, from_day: date | None = None, reason: str = ""
    ) -> tuple[Agreement, str]:
        """Enter the agreement; returns it with the token that activates the membership.

        The token is not kept and cannot be shown again.

        Raises:
            MemberError: no such institution, or it has an agreement.
        """
        from_us = now_us if from_day is None else start_us(from_day)
        with self._members.transaction():
            institution = self._step("sign", code, now_us, who, reason)
            agreement_id = self._connection.execute(
                "INSERT INTO agreement (institution, signed_us, from_us) VALUES (?, ?, ?)",
                (institution.code, now_us, from_us),
            ).lastrowid
            self._connection.execute(
                "UPDATE institution SET ends_us = NULL WHERE code = ?", (institution.code,)
            )
            token = self._new_token(institution.code, now_us)
        return Agreement(int(agreement_id or 0), institution.code, now_us, from_us), token

    def new_token(self, code: str, now_us: int, *, who: str, reason: str = "") -> str:
        """Another token in place of one that was lost or has expired; the old one is void.

        Raises:
            MemberError: no such institution, or it does not wait to be activated.
        """
        with self._members.transaction():
            institution = self._existing(code, now_us)
            if institution.status != "signed":
                raise MemberError(f"{institution.code} does not wait to be activated")
            self._connection.execute(
                "UPDATE activation SET used_us = ? WHERE institution = ? AND used_us IS NULL",
                (now_us, institution.code),
            )
            token = self._new_token(institution.code, now_us)
            self._audit("token", institution.code, now_us, who, reason, "a token", "another token")
        return token

    def activate(
        self, code: str, token: str, password: str, now_us: int, *, who: str, account: str = ""
    ) -> Account:
        """Open the membership with its token; its first account is made, or gets the password.

        The account has the code's name in lower case unless `account` says another.

        Raises:
            MemberError: the token is not good for this institution, or the
                institution does not wait to be activated.
        """
        with self._members.transaction():
            institution = self._step("activate", code, now_us, who, "")
            used = self._connection.execute(
                "UPDATE activation SET used_us = ? WHERE token_hash = ? AND institution = ?"
                " AND used_us IS NULL AND expires_us > ?",
                (now_us, _token_hash(token), institution.code, now_us),
            )
            if not used.rowcount:
                raise MemberError(
                    f"this token does not activate {institution.code}: it was used, has expired,"
                    " or is another's"
                )
            name = account or institution.code.lower()
            known = self._members.account(name)
            if known is None:
                self._members.add_account(
                    name, password, institution.code, now_us, rights=FIRST_RIGHTS
                )
            elif known.institution is None or known.institution.code != institution.code:
                raise MemberError(f"the account {name} is not one of {institution.code}")
            else:
                self._members.set_password(name, password)
        return Account(name, institution, "member")

    def warn(self, code: str, now_us: int, *, who: str, reason: str) -> Institution:
        """Warn a member; it may go on.

        Raises:
            MemberError: no such institution, it is not active, or no reason is given.
        """
        return self._change("warn", code, now_us, who, reason)

    def suspend(self, code: str, now_us: int, *, who: str, reason: str) -> Institution:
        """Let a member in no more, from its next request on.

        Raises:
            MemberError: no such institution, it is not active, or no reason is given.
        """
        return self._change("suspend", code, now_us, who, reason)

    def restore(self, code: str, now_us: int, *, who: str, reason: str) -> Institution:
        """Take back a warning or a suspension.

        Raises:
            MemberError: no such institution, it was neither, or no reason is given.
        """
        return self._change("restore", code, now_us, who, reason)

    def end(
        self, code: str, now_us: int, *, who: str, reason: str, last_day: date | None = None
    ) -> Institution:
        """End the membership: now, or after a day until which everything stays as it is.

        Raises:
            MemberError: no such institution, it has ended, no reason is given, or
                the day is past.
        """
        with self._members.transaction():
            institution = self._existing(code, now_us)
            if last_day is None:
                ends_us = now_us
            else:
                ends_us = start_us(last_day + timedelta(days=1))
                if ends_us <= now_us:
                    raise MemberError(f"{last_day} is past")
            if last_day is None or institution.status in ("registered", "signed"):
                institution = self._step("end", code, now_us, who, reason)
            else:
                self._allowed("end", institution, reason)
                self._audit(
                    "end", institution.code, now_us, who, f"after {last_day}: {reason}",
                    institution.status, f"{institution.status} until {last_day}",
                )  # fmt: skip
            self._connection.execute(
                "UPDATE institution SET ends_us = ? WHERE code = ?", (ends_us, institution.code)
            )
            self._connection.execute(
                "UPDATE agreement SET ends_us = ? WHERE institution = ? AND ends_us IS NULL",
                (ends_us, institution.code),
            )
        return self._existing(code, now_us)

    def last_day_of_term(self, code: str, now_us: int) -> date:
        """The day after which the present agreement would renew itself.

        Raises:
            MemberError: no such institution, or it has no agreement.
        """
        agreements = self.agreements(code)
        if not agreements:
            raise MemberError(f"{code.upper()} has signed no agreement")
        return agreements[-1].term_ends(now_us)

    def agreements(self, code: str) -> list[Agreement]:
        """All agreements of an institution, the oldest first."""
        rows = self._connection.execute(
            "SELECT agreement_id, institution, signed_us, from_us, ends_us FROM agreement"
            " WHERE institution = ? ORDER BY from_us, agreement_id",
            (code,),
        )
        return [Agreement(*row) for row in rows]

    def audit(self, code: str | None = None, *, after: int = 0) -> list[AuditRow]:
        """The steps of one institution or of all, in order, behind number `after`."""
        return list(audit_rows(self._connection, code, after=after))

    def _change(self, step: str, code: str, now_us: int, who: str, reason: str) -> Institution:
        with self._members.transaction():
            self._step(step, code, now_us, who, reason)
        return self._existing(code, now_us)

    def _step(self, step: str, code: str, now_us: int, who: str, reason: str) -> Institution:
        """Change the status and write it down; returns the institution as it was."""
        institution = self._existing(code, now_us)
        self._allowed(step, institution, reason)
        status = STEPS[step][1]
        kept = reason if status in ("warned", "suspended", "ended") else ""
        self._connection.execute(
            "UPDATE institution SET status = ?, reason = ? WHERE code = ?",
            (status, kept, institution.code),
        )
        self._audit(step, institution.code, now_us, who, reason, institution.status, status)
        return institution

    @staticmethod
    def _allowed(step: str, institution: Institution, reason: str) -> None:
        if institution.status not in STEPS[step][0]:
            raise MemberError(
                f"{institution.code} is {institution.status}; {_NEXT[institution.status]}"
            )
        if not reason.strip() and step in ("warn", "suspend", "restore", "end"):
            raise MemberError("a reason is needed")

    def _existing(self, code: str, now_us: int) -> Institution:
        institution = self._members.institution(code)
        if institution is None:
            raise MemberError(f"there is no institution {code}")
        return institution.at(now_us)

    def _new_token(self, code: str, now_us: int) -> str:
        token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_SIZE_BYTES)
        self._connection.execute(
            "INSERT INTO activation (token_hash, institution, made_us, expires_us)"
            " VALUES (?, ?, ?, ?)",
            (_token_hash(token), code, now_us, now_us + TOKEN_LIFE_DAYS * _DAY_US),
        )
        return token

    def _audit(
        self, action: str, code: str, now_us: int, who: str, reason: str, before: str, after: str
    ) -> None:
        self._origin.write(
            self._connection, action, code, now_us, who=who, reason=reason, before=before,
            after=after,
        )  # fmt: skip


def day_of(at_us: int) -> date:
    """The day in China."""
    return china_time(at_us).date()


def time_of(at_us: int) -> str:
    """The time in China, to the second."""
    return china_clock(at_us)


def start_us(day: date) -> int:
    """The first moment of a day in China."""
    begin = datetime(day.year, day.month, day.day, tzinfo=CHINA)
    return round(begin.timestamp()) * 1_000_000


def _anniversary(first: date, years: int) -> date:
    """The same day that many years later; of 29 February, 1 March."""
    try:
        return first.replace(year=first.year + years)
    except ValueError:
        return date(first.year + years, 3, 1)


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.strip().encode("utf-8", "surrogatepass")).digest()
