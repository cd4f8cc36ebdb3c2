"""What several areas of the API read and answer: codes, names, reasons, pages of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from store.members import CODE_PATTERN
from store.rights import MEMBER_RIGHTS


def _named(what: str) -> Meta:
    """What codes and names are like, told of `what`; `store.members` refuses all others too."""
    return Meta(pattern=f"^{CODE_PATTERN.pattern}$", max_length=32, description=what)


Code = Annotated[str, _named("Code of an institution, in either case.")]
AccountName = Annotated[str, _named("Name of an account.")]
KeyName = Annotated[str, _named("Name of an API key.")]
Reason = Annotated[
    str,
    Meta(
        pattern=r"\S", max_length=1000,
        description="Why; it is written down, and the member is told of a step.",
    ),
]  # fmt: skip
Remark = Annotated[str, Meta(max_length=1000, description="Why, for the audit.")]
Title = Annotated[str, Meta(pattern=r"\S", max_length=200)]
Contact = Annotated[str, Meta(max_length=1000)]
Password = Annotated[str, Meta(min_length=8, max_length=200)]
Right = Literal["search", "download", "holdings", "upload", "manager"]
Rights = Annotated[
    list[Right], Meta(min_length=1, description="What it may do, in place of what it could.")
]
Year = Annotated[int, Meta(ge=1998, le=9998, description="Accounting year, of China.")]


class Sent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client sends: a field that is unknown is refused, not passed over."""


class InstitutionPath(Sent, frozen=True):
    """An institution in the address."""

    code: Code


class ReasonQuery(Sent, frozen=True):
    """Why something is removed."""

    reason: Reason


def moment(at_us: int) -> datetime:
    """A time of ours, in microseconds since 1970, as it is written in JSON."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).replace(microsecond=at_us % 1_000_000)


def moment_or_none(at_us: int | None) -> datetime | None:
    return moment(at_us) if at_us is not None else None


def moment_us(at: datetime | None) -> int | None:
    """A time that a client names, in microseconds since 1970."""
    if at is None:
        return None
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def member_rights() -> list[Right]:
    """What an account or a key may do where nothing is said."""
    return list(MEMBER_RIGHTS)  # type: ignore[arg-type]
