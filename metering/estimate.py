"""What a member's year comes to by now, in whole fen; settlement says the last word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metering.interface import MeteringError, Usage
from metering.tariff import BATCH_DELIVERY, DOWNLOAD_OVER_QUOTA, Tariff


@dataclass(frozen=True, slots=True)
class Estimate:
    """`credit_fen` is the member's own part; what partners get of it is not in it."""

    tariff: str  # its version
    download_fen: int
    batch_fen: int
    credit_fen: int

    @property
    def owed_fen(self) -> int:
        """For downloads and batches together, credits not set off against it."""
        return self.download_fen + self.batch_fen


def estimate(usage: Usage, tariff: Tariff) -> Estimate:
    """The year's charges and credits with the tariff of that year.

    Raises:
        MeteringError: the year has uploads of an item that the tariff does not name.
    """
    return Estimate(
        tariff.version,
        usage.billable * tariff.price_fen(DOWNLOAD_OVER_QUOTA),
        usage.batch * tariff.price_fen(BATCH_DELIVERY),
        _credit_fen(usage.uploads, tariff) + _credit_fen(usage.covers, tariff),
    )


def _credit_fen(quantities: Mapping[str, int], tariff: Tariff) -> int:
    try:
        return sum(
            quantity * tariff.shares(item).submitter_fen for item, quantity in quantities.items()
        )
    except KeyError as error:
        raise MeteringError(f"the tariff {tariff.version} has no item {error}") from None
