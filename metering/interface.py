"""What the rest of the server asks of metering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec


class Delivery(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One full record about to leave for an institution."""

    institution: str
    database: str
    record_id: int
    control_number: str
    account: str = ""
    protocol: str = ""  # "z3950", "sru" or "web"
    session: str = ""  # association or request id, as in the log


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Names the durable entries of one response: `count` of them from `first`."""

    first: int
    count: int


class Entering(Protocol):
    """Deliveries on their way to the disk; `resume` is called when `outcome` is there."""

    outcome: Receipt | MeteringError | None
    resume: Callable[[], object] | None


class Meter(Protocol):
    """The worker's side: entries are durable before their bytes go out."""

    def enter(self, deliveries: Sequence[Delivery]) -> Entering:
        """Begin to make entries durable; `deliver` for who does not wait for a coroutine.

        Raises:
            MeteringError: they cannot be stored.
        """

    async def deliver(self, deliveries: Sequence[Delivery]) -> Receipt:
        """Return once the entries survive a crash.

        Raises:
            MeteringError: they could not be stored; nothing may be sent.
        """

    def confirm(self, receipt: Receipt) -> None:
        """The bytes were handed to the client's connection."""

    def void(self, receipt: Receipt, reason: str) -> None:
        """The bytes did not go out; the entries count nothing."""


class MeteringError(Exception):
    """The ledger cannot take an entry: disk full, read-only, damaged."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One member's year, estimated until settlement. Money is in fen."""

    institution: str
    year: int
    holdings_uploaded: int  # H
    downloads: int  # D, repeats not counted
    repeats: int
    voided: int
    quota: int  # 6 * H // 5
    billable: int
    charge_fen: int  # for downloads over the quota
    batch: int = 0  # B, records delivered by ISBN jobs
    uploads: dict[str, int] = field(default_factory=dict)  # records by item, reversed ones not
    covers: dict[str, int] = field(default_factory=dict)  # cover images by item, likewise


@dataclass(frozen=True, slots=True)
class HoldingEvent:
    """A pair (institution, record) that became present (+1) or absent (-1).

    The catalogue writes one in the transaction that changes the holding and
    numbers them from 1 without reuse; `seq` is that number.
    """

    seq: int
    institution: str
    record_id: int
    change: int  # +1 or -1
    at_us: int  # UTC, microseconds since 1970
    account: str = ""
    database: str = ""
    control_number: str = ""
