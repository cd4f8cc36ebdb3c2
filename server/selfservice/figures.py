"""A member's year as its pages show it. Functions block on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metering.estimate import Estimate, estimate
from metering.interface import Usage
from metering.ledger_snapshot import Totals
from metering.quota import billable, holdings_needed, quota
from metering.settlement_store import Settlement
from metering.tariff import DOWNLOAD_OVER_QUOTA, tariff_of_year
from server.accounting.ledger import Accounting
from server.accounting.settling import open_settlements
from server.config import Config


@dataclass(frozen=True, slots=True)
class Month:
    """What the ledger has of one month, 1 to 12."""

    number: int
    holdings: int
    downloads: int
    batch: int


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The charge for downloads if `more` holdings were uploaded before the year ends. Fen."""

    more: int
    quota: int
    billable: int
    charge_fen: int


@dataclass(frozen=True, slots=True)
class Year:
    """One member's year. `documents` settle it; without any the money is an estimate."""

    usage: Usage
    money: Estimate
    months: tuple[Month, ...]
    documents: tuple[Settlement, ...]
    years: tuple[int, ...]  # that have entries, the newest first

    @property
    def missing(self) -> int:
        """How many holdings more would bring the charge for downloads to nothing."""
        return max(0, holdings_needed(self.usage.downloads) - self.usage.holdings_uploaded)

    @property
    def free(self) -> int:
        """Downloads that are left of the quota."""
        return max(0, self.usage.quota - self.usage.downloads)

    def what_if(self, config: Config, more: int) -> WhatIf:
        """The year with `more` holdings, everything else as it is."""
        holdings = self.usage.holdings_uploaded + more
        over = billable(self.usage.downloads, holdings)
        price_fen = tariff_of_year(self.usage.year, config.tariffs).price_fen(DOWNLOAD_OVER_QUOTA)
        return WhatIf(more, quota(holdings), over, over * price_fen)


def year_of(config: Config, institution: str, year: int) -> Year:
    """The figures of a year, with what the last seconds brought.

    Raises:
        MeteringError: the ledger cannot be read.
    """
    with Accounting(config) as accounting:
        usage = accounting.usage.usage(institution, year)
        with accounting.ledger.reading() as snapshot:
            days = snapshot.days(institution, year * 10_000, year * 10_000 + 9_999)
            years = snapshot.years(institution)
    with open_settlements(config) as settlements:
        documents = settlements.documents(year, institution)
    return Year(
        usage,
        estimate(usage, tariff_of_year(year, config.tariffs)),
        tuple(_months(days)),
        tuple(documents),
        tuple(sorted({*years, year}, reverse=True)),
    )


def _months(days: dict[int, Totals]) -> list[Month]:
    by_month: dict[int, list[Totals]] = {number: [] for number in range(1, 13)}
    for day, totals in days.items():
        by_month[day // 100 % 100].append(totals)
    return [_month(number, found) for number, found in by_month.items()]


def _month(number: int, days: Sequence[Totals]) -> Month:
    return Month(
        number,
        holdings=sum(each.holdings for each in days),
        downloads=sum(each.downloads for each in days),
        batch=sum(each.batch for each in days),
    )
