"""What a unit costs, by date of effect. Money is in fen, dates in Asia/Shanghai."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

DOWNLOAD_OVER_QUOTA = "download_over_quota"


@dataclass(frozen=True, slots=True)
class Tariff:
    """One version, in force from `effective` until a later one is."""

    version: str
    effective: date
    prices_fen: Mapping[str, int]

    def price_fen(self, item: str) -> int:
        """Raises KeyError when the tariff does not name the item."""
        return self.prices_fen[item]


NO_TARIFF = Tariff("none", date.min, {DOWNLOAD_OVER_QUOTA: 0})

BUILT_IN = (Tariff("2023-01-01", date(2023, 1, 1), {DOWNLOAD_OVER_QUOTA: 100}),)


def tariff_of_year(year: int, tariffs: Sequence[Tariff] = BUILT_IN) -> Tariff:
    """The tariff in force when the accounting year begins.

    Before the first one nothing had a price: `NO_TARIFF`.
    """
    begun = [tariff for tariff in tariffs if tariff.effective <= date(year, 1, 1)]
    return max(begun, key=lambda tariff: tariff.effective, default=NO_TARIFF)
