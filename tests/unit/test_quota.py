"""The worked examples of the quota."""

from __future__ import annotations

import pytest

from metering.ledger import Totals
from metering.quota import billable, charge_fen, holdings_needed, quota
from metering.tariff import DOWNLOAD_OVER_QUOTA, NO_TARIFF, tariff_of_year
from metering.usage import usage_of


@pytest.mark.parametrize(
    ("holdings", "downloads", "fen"),
    [
        (5, 6, 0),
        (5, 7, 100),
        (0, 3, 300),
        (3, 4, 100),
        (1_000_000, 1_200_000, 0),
        (1_000_000, 1_200_001, 100),
        (0, 0, 0),
    ],
)
def test_a_year_costs_what_the_agreement_says(holdings: int, downloads: int, fen: int) -> None:
    assert charge_fen(downloads, holdings, 100) == fen
    usage = usage_of("PKU", 2024, Totals(holdings=holdings, downloads=downloads))
    assert usage.charge_fen == fen
    assert usage.billable * 100 == fen
    assert usage.quota == quota(holdings)


@pytest.mark.parametrize(
    ("holdings", "free"), [(0, 0), (1, 1), (4, 4), (5, 6), (9, 10), (10, 12), (-1, 0), (-5, 0)]
)
def test_the_quota_is_a_whole_number_rounded_down_and_never_negative(
    holdings: int, free: int
) -> None:
    assert quota(holdings) == free
    assert billable(free, holdings) == 0


def test_the_tariff_is_the_one_in_force_when_the_year_begins() -> None:
    assert tariff_of_year(2022) is NO_TARIFF
    assert tariff_of_year(2022).price_fen(DOWNLOAD_OVER_QUOTA) == 0
    assert tariff_of_year(2023).version == "2023-01-01"
    assert tariff_of_year(2031).price_fen(DOWNLOAD_OVER_QUOTA) == 100
    with pytest.raises(KeyError):
        tariff_of_year(2023).price_fen("poem")


def test_the_holdings_that_are_needed_are_the_fewest_that_cover_the_downloads() -> None:
    for downloads in [*range(500), 1_200_000, 1_200_001]:
        needed = holdings_needed(downloads)
        assert quota(needed) >= downloads
        assert needed == 0 or quota(needed - 1) < downloads
