"""What all pages of the console share: how requests are read."""

from __future__ import annotations

import time
from collections.abc import Mapping

from aiohttp import web

from metering.entry import accounting_day
from server.web.numbers import NUMBER_MAX, number_of

FIRST_YEAR, LAST_YEAR = 1998, 9998


def number_in(values: Mapping[str, str], name: str, default: int, highest: int = NUMBER_MAX) -> int:
    """A number from 0 to `highest` of an address; the default where it is none."""
    return number_of(values.get(name, ""), default, highest)


def year_in(request: web.Request, default: int | None = None) -> int:
    """The year that an address asks for, or the present one of accounting."""
    present = accounting_day(now_us())[0] if default is None else default
    year = number_in(request.query, "year", present, LAST_YEAR)
    return year if year >= FIRST_YEAR else present


def now_us() -> int:
    """UTC in microseconds since 1970."""
    return time.time_ns() // 1000
