"""Institutions, accounts and API keys as they are read; `store.members` reads them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from store.access_rules import OPEN, AccessRules
from store.rights import MEMBER_RIGHTS


class MemberError(Exception):
    """A change that cannot be made; the message says why in one line."""


@dataclass(frozen=True, slots=True)
class Institution:
    """A member library. Times are UTC, microseconds since 1970.

    `status` is "registered", "signed", "active", "warned", "suspended" or
    "ended", and `reason` says why it is one of the last three; from `ends_us` on
    it is "ended" whatever it says. `charset` is one of CHARSETS when its library
    system sends and reads that set without negotiating it, else "". `uploads`:
    what its certified cataloguers upload is credited.
    """

    code: str
    name: str
    status: str
    created_us: int
    charset: str = ""
    reason: str = ""
    ends_us: int | None = None
    contact: str = ""
    uploads: bool = False
    access: AccessRules = OPEN

    @property
    def is_open(self) -> bool:
        """Whether its accounts and keys are good."""
        return self.status in ("active", "warned")

    def at(self, now_us: int) -> Institution:
        """The same as it is at that moment: an agreement may have come to its end."""
        if self.ends_us is None or now_us < self.ends_us or self.status == "ended":
            return self
        return replace(self, status="ended", reason=self.reason or "the agreement has ended")


@dataclass(frozen=True, slots=True)
class Account:
    """Who signs in, with rights of `store.rights`.

    `institution` is None for an operator of the consortium. `access` narrows what
    the institution has.
    """

    name: str
    institution: Institution | None
    role: str  # "member" or "operator"
    rights: tuple[str, ...] = MEMBER_RIGHTS
    access: AccessRules = OPEN


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of an institution's program; the secret itself is not known here.

    Times are UTC, microseconds since 1970; `last_used_us` is right to a minute
    or so and None before the first use, `revoked_us` is None while it is good.
    """

    key_id: int
    institution: str
    name: str
    created_us: int
    last_used_us: int | None = None
    revoked_us: int | None = None
    rights: tuple[str, ...] = MEMBER_RIGHTS

    @property
    def account(self) -> str:
        """Who uses it, for logs and the ledger: no account has a name with `+`."""
        return f"{self.institution.lower()}+{self.name}"
