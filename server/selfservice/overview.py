"""A member's year at a glance: counts, quota, estimate, months, and what more holdings would do."""

from __future__ import annotations

import asyncio
import calendar
from typing import Any

from aiohttp import web

from metering.entry import accounting_day
from metering.spool import utc_us
from server.access_control.permissions import Operation
from server.selfservice.figures import Year, year_of
from server.web.navigation import member_may
from server.web.numbers import number_of
from server.web.shell import CHART_SCRIPTS, Shell, Visit

PATH = "/-/my/overview"
FIRST_YEAR = 1998
MORE_MAX = 100_000_000


class OverviewPages:
    """The first page of a member."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def add_routes(self, app: web.Application) -> None:
        self._shell.get(app, PATH, self._show, member_may(Operation.QUOTA_READ))

    async def _show(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        this_year, _ = accounting_day(utc_us())
        year = _number(request.query.get("year", ""), FIRST_YEAR, this_year)
        if year is None:
            year = this_year
        config = self._shell.config
        figures = await asyncio.to_thread(year_of, config, visit.who.institution, year)
        more_text = request.query.get("more", "").strip()
        more = _number(more_text.replace(",", ""), 0, MORE_MAX)
        errors = {}
        if more_text and more is None:
            errors["more"] = visit.texts("my.no_number", count=MORE_MAX)
        values = {
            "library": self._shell.library_name(visit.who.institution),
            "year": year,
            "this_year": this_year,
            "years": [(str(each), str(each)) for each in figures.years],
            "sees_ledger": member_may(Operation.LEDGER_READ)(visit.who),
            "figures": figures,
            "months": [_month_row(year, each) for each in figures.months],
            "chart": _chart(figures, visit),
            "more": more_text or str(figures.missing or ""),
            "what_if": None if more is None else figures.what_if(config, more),
            "errors": errors,
        }
        return self._shell.render(
            request, visit, "my/overview.html", values, 400 if errors else 200,
            scripts=CHART_SCRIPTS,
        )  # fmt: skip


def _month_row(year: int, month: Any) -> dict[str, Any]:
    last = calendar.monthrange(year, month.number)[1]
    begin = f"{year}-{month.number:02}"
    return {"month": month, "first": f"{begin}-01", "last": f"{begin}-{last:02}"}


def _chart(figures: Year, visit: Visit) -> dict[str, Any]:
    """In the form that `chart.js` draws."""
    t = visit.texts
    return {
        "kind": "line",
        "across": t("my.month"),
        "labels": [str(month.number) for month in figures.months],
        "unit": "",
        "series": [
            {"label": t("my.downloads"), "values": [month.downloads for month in figures.months]},
            {"label": t("my.holdings"), "values": [month.holdings for month in figures.months]},
        ],
    }


def _number(text: str, least: int, most: int) -> int | None:
    """A whole number within bounds; None: it is none."""
    found = number_of(text, -1, most)
    return found if found >= max(least, 0) else None
