"""The clock of China."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.china_time import CHINA, CHINA_OFFSET_US, china_clock, china_time

SHANGHAI = ZoneInfo("Asia/Shanghai")
SINCE_1992_US = 694_224_000_000_000  # the last summer time was in 1991


@pytest.mark.parametrize(
    ("at_us", "clock"),
    [
        (0, "1970-01-01 08:00:00"),
        (1_704_038_399_999_999, "2023-12-31 23:59:59"),
        (1_704_038_400_000_000, "2024-01-01 00:00:00"),
        (-1, "1970-01-01 07:59:59"),
    ],
)
def test_the_clock_shows(at_us: int, clock: str) -> None:
    assert china_clock(at_us) == clock


@given(st.integers(SINCE_1992_US, 253_000_000_000_000_000))
def test_it_is_what_the_time_zone_says_to_the_microsecond(at_us: int) -> None:
    moment = china_time(at_us)
    whole, rest_us = divmod(at_us, 1_000_000)
    expected = datetime.fromtimestamp(whole, UTC).replace(microsecond=rest_us)
    assert moment == expected
    assert moment.replace(tzinfo=None) == expected.astimezone(SHANGHAI).replace(tzinfo=None)
    assert moment.tzinfo is CHINA
    assert moment.utcoffset() is not None
    assert CHINA_OFFSET_US == 8 * 3_600 * 1_000_000
