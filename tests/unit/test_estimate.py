"""What a year comes to by now."""

from __future__ import annotations

import pytest

from metering.estimate import estimate
from metering.interface import MeteringError
from metering.ledger import Totals
from metering.tariff import BUILT_IN, ITEMS, Tariff, tariff_of_year
from metering.usage import usage_of


def test_charges_and_credits_are_added_up_in_fen() -> None:
    totals = Totals(
        holdings=5, downloads=8, batch=3,
        uploads={"upload.japanese.full": 3, "upload.russian.basic": 2, "upload.other.full": -1},
        covers={"cover.other": 4},
    )  # fmt: skip
    money = estimate(usage_of("PKU", 2024, totals), tariff_of_year(2024))
    assert (money.download_fen, money.batch_fen) == (200, 450)
    assert money.owed_fen == 650
    assert money.credit_fen == 3 * 200 + 2 * 300 - 300 + 4 * 100
    assert money.tariff == "2023-01-01"


def test_the_charge_for_downloads_is_that_of_the_years_tariff() -> None:
    (built_in,) = BUILT_IN
    dearer = Tariff(
        "dearer", built_in.effective.replace(year=2025), dict.fromkeys(ITEMS, 7), "CAU", {}
    )
    totals = Totals(downloads=2)
    charges = [
        usage_of("PKU", year, totals, (built_in, dearer)).charge_fen for year in (2022, 2024, 2025)
    ]
    assert charges == [0, 200, 14]


def test_an_item_without_a_price_is_not_passed_over() -> None:
    usage = usage_of("PKU", 2024, Totals(uploads={"upload.poem": 1}))
    with pytest.raises(MeteringError, match=r"the tariff 2023-01-01 has no item 'upload\.poem'"):
        estimate(usage, tariff_of_year(2024))
