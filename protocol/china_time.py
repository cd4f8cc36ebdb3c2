"""The clock of China, by which accounting years, days and field 005 go.

China keeps UTC+8 without summer time, so no database of time zones is asked. Nothing
here reads a clock: moments come in, in UTC as microseconds since 1970.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

CHINA_OFFSET = timedelta(hours=8)
CHINA_OFFSET_US = CHINA_OFFSET // timedelta(microseconds=1)
CHINA = timezone(CHINA_OFFSET, "Asia/Shanghai")

_EPOCH = datetime(1970, 1, 1, tzinfo=CHINA) + CHINA_OFFSET


def china_time(at_us: int) -> datetime:
    """A moment by the clock of China, exact to the microsecond.

    Raises:
        OverflowError: it is not in the years 1 to 9999.
    """
    return _EPOCH + timedelta(microseconds=at_us)


def china_clock(at_us: int) -> str:
    """The same as a clock shows it, to the second: `2024-01-01 00:00:00`."""
    return f"{china_time(at_us):%Y-%m-%d %H:%M:%S}"
