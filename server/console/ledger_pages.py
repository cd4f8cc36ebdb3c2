"""Pages that lead from a member's month to its days, to the entries of one, and to the record."""

from __future__ import annotations

import asyncio
from urllib.parse import quote, urlencode

from aiohttp import web

from metering.entry import Entry, Meter
from server.access_control.permissions import Operation
from server.console.base import FIRST_YEAR, LAST_YEAR, number_in
from server.console.ledger import read_day, read_entry, read_month
from server.console.member_pages import MEMBERS, member_path
from server.web.navigation import CONSOLE, operator_may
from server.web.shell import Shell, Visit

ENTRY = f"{CONSOLE}/entry"
METERS = tuple(meter.value for meter in Meter if meter is not Meter.NONE)
_NUMBER_CHARS_MAX = 200


class LedgerPages:
    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._config = shell.config

    def add_routes(self, app: web.Application) -> None:
        allowed = operator_may(Operation.LEDGER_READ)
        self._shell.get(
            app, f"{MEMBERS}/{{code}}/{{year:[0-9]{{4}}}}/{{month:[0-9]{{1,2}}}}", self._month,
            allowed,
        )  # fmt: skip
        self._shell.get(app, f"{MEMBERS}/{{code}}/{{day:[0-9]{{8}}}}", self._day, allowed)
        self._shell.get(app, ENTRY, self._entry, allowed)

    async def _month(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        code = request.match_info["code"].upper()
        year, month = int(request.match_info["year"]), int(request.match_info["month"])
        if not (FIRST_YEAR <= year <= LAST_YEAR and 1 <= month <= 12):
            return self._shell.problem(request, visit, 404, visit.texts("console.no_day"))
        found = await asyncio.to_thread(read_month, self._config, code, year, month)
        values = {
            "code": code,
            "name": self._shell.library_name(code),
            "path": member_path(code),
            "year": year,
            "month": month,
            "found": found,
            "before": _month_path(code, year, month - 1),
            "behind": _month_path(code, year, month + 1),
        }
        return self._shell.render(request, visit, "console/month.html", values)

    async def _day(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        code, day = request.match_info["code"].upper(), int(request.match_info["day"])
        asked = request.query.get("meter", "")
        meter = Meter(asked) if asked in METERS else None
        record = request.query.get("record", "").strip()[:_NUMBER_CHARS_MAX]
        try:
            found = await asyncio.to_thread(
                read_day, self._config, code, day, meter=meter, control_number=record,
                after=number_in(request.query, "after", 0),
            )  # fmt: skip
        except ValueError:
            return self._shell.problem(request, visit, 404, visit.texts("console.no_day"))
        chosen = {"meter": asked if meter else "", "record": record}
        kept = {name: value for name, value in chosen.items() if value}
        values = {
            "code": code,
            "name": self._shell.library_name(code),
            "path": member_path(code),
            "day": day,
            "found": found,
            "chosen": chosen,
            "meters": METERS,
            "is_first": not number_in(request.query, "after", 0),
            "first_url": f"?{urlencode(kept)}" if kept else f"{member_path(code)}/{day}",
            "next_url": f"?{urlencode({**kept, 'after': str(found.next_after)})}",
            "entry_url": entry_url,
            "record_url": record_url,
        }
        return self._shell.render(request, visit, "console/day.html", values)

    async def _entry(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        entry_id = request.query.get("id", "")
        found = await asyncio.to_thread(read_entry, self._config, entry_id)
        if found is None:
            message = visit.texts("console.no_entry", id=entry_id)
            return self._shell.problem(request, visit, 404, message)
        entry, referred = found
        values = {
            "entry": entry,
            "referred": referred,
            "path": member_path(entry.institution),
            "name": self._shell.library_name(entry.institution) if entry.institution else "",
            "entry_url": entry_url,
            "record_url": record_url,
        }
        return self._shell.render(request, visit, "console/entry.html", values)


def entry_url(entry_id: str) -> str:
    """The address of an entry's page."""
    return f"{ENTRY}?{urlencode({'id': entry_id})}"


def record_url(entry: Entry) -> str:
    """The address of the record that an entry is about, "" where it is about none."""
    if not entry.database or not entry.control_number:
        return ""
    return f"/{quote(entry.database)}/record/{quote(entry.control_number, safe='')}"


def _month_path(code: str, year: int, month: int) -> str:
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return f"{member_path(code)}/{year}/{month}"
