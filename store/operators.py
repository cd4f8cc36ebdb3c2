"""Accounts of the consortium's operators: who looks after all members.

Every change is written down in the audit, in the same transaction.
"""

from __future__ import annotations

from store.audit import UNKNOWN, Origin
from store.members import Account, MemberError, Members
from store.rights import OPERATOR_RIGHTS


class Operators:
    """On the writing side of `Members`. `who` does it and `origin` is from where."""

    def __init__(self, members: Members, origin: Origin = UNKNOWN) -> None:
        self._members = members
        self._origin = origin

    def names(self) -> list[str]:
        return self._members.account_names().get("", [])

    def add(self, name: str, password: str, now_us: int, *, who: str, reason: str = "") -> Account:
        """Add an operator.

        Raises:
            MemberError: a name that is malformed or taken, or no password.
        """
        with self._members.transaction():
            self._members.add_account(name, password, None, now_us)
            self._audit("add", name, now_us, who, reason, "", " ".join(OPERATOR_RIGHTS))
        return Account(name, None, "operator", OPERATOR_RIGHTS)

    def set_password(
        self, name: str, password: str, now_us: int, *, who: str, reason: str = ""
    ) -> Account:
        """Give an operator another password.

        Raises:
            MemberError: no such operator, or no password.
        """
        with self._members.transaction():
            account = self._existing(name)
            self._members.set_password(account.name, password)
            self._audit(
                "password", account.name, now_us, who, reason, "a password", "another password"
            )
        return account

    def remove(self, name: str, now_us: int, *, who: str, reason: str) -> Account:
        """Take an operator's account away; its sessions end at their next request.

        Raises:
            MemberError: no such operator, it is the last one, or no reason.
        """
        if not reason.strip():
            raise MemberError("a reason is needed")
        with self._members.transaction():
            account = self._existing(name)
            if len(self.names()) == 1:
                raise MemberError(f"{account.name} is the last operator: add another one first")
            self._members.connection.execute("DELETE FROM account WHERE name = ?", (name,))
            self._audit("remove", account.name, now_us, who, reason, " ".join(account.rights), "")
        return account

    def _existing(self, name: str) -> Account:
        account = self._members.account(name)
        if account is None or account.institution is not None:
            raise MemberError(f"there is no operator {name}")
        return account

    def _audit(
        self, what: str, name: str, now_us: int, who: str, reason: str, before: str, after: str
    ) -> None:
        self._origin.write(
            self._members.connection, f"operator {what}", "", now_us, who=who, reason=reason,
            subject=name, before=before, after=after,
        )  # fmt: skip
