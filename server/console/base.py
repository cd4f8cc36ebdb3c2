"""What all pages of the console share: who may, and how requests are read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from aiohttp import web

from metering.entry import accounting_day
from server.permissions import Operation, refusal
from server.principal import Principal
from server.web.shell import Visit
from store.audit import Origin

FIRST_YEAR, LAST_YEAR = 1998, 9998


def may(operation: Operation) -> Callable[[Principal], bool]:
    """Whether somebody may see or do what is of the console: operators with the right to it."""

    def allowed(principal: Principal) -> bool:
        return principal.operator and refusal(principal, operation) is None

    return allowed


def origin_of(visit: Visit) -> Origin:
    """From where a change comes that a page makes."""
    return Origin("web", visit.who.account, visit.request.remote or "")


def number_in(values: Mapping[str, str], name: str, default: int, highest: int = 2**53) -> int:
    """A number from 0 to `highest` of an address; the default where it is none."""
    text = values.get(name, "")
    if text.isascii() and text.isdecimal() and len(text) <= 16 and int(text) <= highest:
        return int(text)
    return default


def year_in(request: web.Request, default: int | None = None) -> int:
    """The year that an address asks for, or the present one of accounting."""
    present = accounting_day(now_us())[0] if default is None else default
    year = number_in(request.query, "year", present, LAST_YEAR)
    return year if year >= FIRST_YEAR else present


def now_us() -> int:
    """UTC in microseconds since 1970."""
    return time.time_ns() // 1000
