"""The accounts of an institution, their rights, and the certificates of its cataloguers.

Everything is written down in the audit of members, in the same transaction. An
upload is credited when the consortium has allowed the institution to upload for
credit (`Institution.uploads`) and the account that sends it has a certificate of
the record's language and at least its level, good at that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from store.audit import UNKNOWN, Origin
from store.members import Account, Institution, MemberError, Members

LANGUAGES = ("chinese", "western", "japanese", "russian", "other", "ancient")
LEVELS = ("basic", "full")  # each covers those before it


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an account is certified for. Times are UTC, microseconds since 1970.

    `language` is one of LANGUAGES, the categories of the tariff; `level` is one of
    LEVELS. It is good from `issued_us` until just before `expires_us`, unless it
    is revoked.
    """

    certificate_id: int
    account: str
    language: str
    level: str
    issued_us: int
    expires_us: int
    revoked_us: int | None = None

    def covers(self, language: str, level: str, at_us: int) -> bool:
        """Whether it stands for a record of that language and level, uploaded at `at_us`."""
        return (
            self.language == language
            and LEVELS.index(self.level) >= LEVELS.index(level)
            and self.issued_us <= at_us < self.expires_us
            and (self.revoked_us is None or at_us < self.revoked_us)
        )


class Accounts:
    """Changes accounts, on the writing side of `Members`; `certificates` reads on either side.

    `who` does it, `reason` is why and `origin` from where; all are kept.
    """

    def __init__(self, members: Members, origin: Origin = UNKNOWN) -> None:
        self._members = members
        self._origin = origin
        self._connection = members.connection

    def add(
        self,
        code: str,
        name: str,
        password: str,
        now_us: int,
        *,
        rights: Sequence[str],
        who: str,
        reason: str = "",
    ) -> Account:
        """Add an account of the institution `code`.

        Raises:
            MemberError: no such institution, a name that is malformed or taken, or no password.
        """
        with self._members.transaction():
            institution = self._institution(code)
            self._members.add_account(name, password, institution.code, now_us, rights=rights)
            self._audit("account add", institution, now_us, who, reason, name, (), rights)
        return Account(name, institution, "member", tuple(rights))

    def set_rights(
        self, name: str, rights: Sequence[str], now_us: int, *, who: str, reason: str
    ) -> Account:
        """Give a member's account these rights, in place of those that it has.

        Sessions that lose a right end at their next request.

        Raises:
            MemberError: no such account of a member, or no reason.
        """
        _need(reason)
        rights = tuple(dict.fromkeys(rights))  # each once
        with self._members.transaction():
            account, institution = self._account(name)
            self._connection.execute(
                "UPDATE account SET rights = ? WHERE name = ?", (" ".join(rights), name)
            )
            self._audit(
                "rights", institution, now_us, who, reason, account.name, account.rights, rights
            )
        return Account(account.name, institution, "member", tuple(rights))

    def set_password(
        self, name: str, password: str, now_us: int, *, who: str, reason: str = ""
    ) -> Account:
        """Give a member's account another password.

        Raises:
            MemberError: no such account of a member, or no password.
        """
        with self._members.transaction():
            account, institution = self._account(name)
            self._members.set_password(name, password)
            self._audit(
                "password", institution, now_us, who, reason, account.name,
                ("a password",), ("another password",),
            )  # fmt: skip
        return account

    def remove(self, name: str, now_us: int, *, who: str, reason: str) -> Account:
        """Take an account away, with its certificates; its sessions end at their next request.

        What it did stays in the ledger and in the history of records.

        Raises:
            MemberError: no such account of a member, or no reason.
        """
        _need(reason)
        with self._members.transaction():
            account, institution = self._account(name)
            self._connection.execute("DELETE FROM certificate WHERE account = ?", (name,))
            self._connection.execute(
                "UPDATE address_range SET account = NULL WHERE account = ?", (name,)
            )
            self._connection.execute("DELETE FROM account WHERE name = ?", (name,))
            self._audit(
                "account remove", institution, now_us, who, reason, account.name, account.rights, ()
            )
        return account

    def set_uploads(
        self, code: str, allowed: bool, now_us: int, *, who: str, reason: str
    ) -> Institution:
        """Say whether the consortium credits what the institution uploads.

        Raises:
            MemberError: no such institution, or no reason.
        """
        _need(reason)
        with self._members.transaction():
            institution = self._institution(code)
            self._connection.execute(
                "UPDATE institution SET uploads = ? WHERE code = ?", (allowed, institution.code)
            )
            self._audit(
                "uploads", institution, now_us, who, reason, "",
                (_on(institution.uploads),), (_on(allowed),),
            )  # fmt: skip
        return self._institution(code)

    def certify(
        self,
        name: str,
        language: str,
        level: str,
        now_us: int,
        *,
        expires_us: int,
        who: str,
        reason: str = "",
    ) -> Certificate:
        """Issue a certificate to a member's account, good from now on.

        Raises:
            MemberError: no such account of a member, no such language or level, or
                it would have expired already.
        """
        if language not in LANGUAGES or level not in LEVELS:
            raise MemberError(f"there is no certificate of {language} at level {level}")
        if expires_us <= now_us:
            raise MemberError("a certificate cannot have expired when it is issued")
        with self._members.transaction():
            account, institution = self._account(name)
            certificate_id = self._connection.execute(
                "INSERT INTO certificate (account, language, level, issued_us, expires_us)"
                " VALUES (?, ?, ?, ?, ?)",
                (account.name, language, level, now_us, expires_us),
            ).lastrowid
            self._audit(
                "certificate", institution, now_us, who, reason, account.name, (),
                (f"{language}/{level}",),
            )  # fmt: skip
        return Certificate(
            int(certificate_id or 0), account.name, language, level, now_us, expires_us
        )

    def revoke(self, certificate_id: int, now_us: int, *, who: str, reason: str) -> Certificate:
        """Make a certificate good for nothing that is uploaded from now on.

        Raises:
            MemberError: there is none of that number that is not revoked, or no reason.
        """
        _need(reason)
        with self._members.transaction():
            row = self._connection.execute(
                f"SELECT {_CERTIFICATE} FROM certificate"
                " WHERE certificate_id = ? AND revoked_us IS NULL",
                (certificate_id,),
            ).fetchone()
            if row is None:
                raise MemberError(f"there is no good certificate {certificate_id}")
            certificate = Certificate(*row)
            self._connection.execute(
                "UPDATE certificate SET revoked_us = ? WHERE certificate_id = ?",
                (now_us, certificate_id),
            )
            _, institution = self._account(certificate.account)
            self._audit(
                "revoke", institution, now_us, who, reason, certificate.account,
                (f"{certificate.language}/{certificate.level}",), (),
            )  # fmt: skip
        return certificate

    def certificates(self, name: str) -> list[Certificate]:
        """Those of an account, expired and revoked ones too, the oldest first."""
        rows = self._connection.execute(
            f"SELECT {_CERTIFICATE} FROM certificate WHERE account = ? ORDER BY certificate_id",
            (name,),
        )
        return [Certificate(*row) for row in rows]

    def _institution(self, code: str) -> Institution:
        institution = self._members.institution(code)
        if institution is None:
            raise MemberError(f"there is no institution {code}")
        return institution

    def _account(self, name: str) -> tuple[Account, Institution]:
        account = self._members.account(name)
        if account is None:
            raise MemberError(f"there is no account {name}")
        if account.institution is None:
            raise MemberError(f"{account.name} is an operator of the consortium, no member's")
        return account, account.institution

    def _audit(
        self,
        action: str,
        institution: Institution | None,
        now_us: int,
        who: str,
        reason: str,
        account: str,
        before: Sequence[str],
        after: Sequence[str],
    ) -> None:
        self._origin.write(
            self._connection, action, institution.code if institution is not None else "", now_us,
            who=who, reason=reason, subject=account, before=" ".join(before),
            after=" ".join(after),
        )  # fmt: skip


_CERTIFICATE = "certificate_id, account, language, level, issued_us, expires_us, revoked_us"


def _on(value: bool) -> str:
    return "on" if value else "off"


def _need(reason: str) -> None:
    if not reason.strip():
        raise MemberError("a reason is needed")
