"""Pages of settlement: a year, a member's documents, and the long work on them."""

from __future__ import annotations

import asyncio
from functools import partial
from urllib.parse import quote

from aiohttp import web

from metering.entry import accounting_day
from server.access_control.permissions import Operation
from server.accounting.settling import names_to_settle
from server.accounting.statements import CONTENT_TYPES
from server.console.base import FIRST_YEAR, now_us, number_in, year_in
from server.console.settlements import (
    DOCUMENTS_A_PAGE,
    asked_of,
    read_member_year,
    read_year,
)
from server.console.settling_process import start
from server.console.work import BusyError, Works
from server.web.forms import Form, text_of
from server.web.navigation import CONSOLE, operator_may
from server.web.paging import Pager
from server.web.shell import Shell, Visit
from server.web.statement_file import answer_statement

SETTLEMENT = f"{CONSOLE}/settlement"
WORK = f"{CONSOLE}/work"
_PIECES_SHOWN = 5
_YEAR = "{year:[0-9]{4}}"
_STATEMENT = f"{SETTLEMENT}/{_YEAR}/members/{{code}}/statement"
_FORMS = f"{{form:{'|'.join(CONTENT_TYPES)}}}"
# Who may do which.
OPERATIONS = {
    "draft": Operation.SETTLEMENT_DRAFT,
    "check": Operation.SETTLEMENT_DRAFT,
    "final": Operation.SETTLEMENT_FINALISE,
    "note": Operation.SETTLEMENT_FINALISE,
}


class SettlementPages:
    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._config = shell.config
        self._works = Works(shell.config.data_dir)

    def add_routes(self, app: web.Application) -> None:
        may_read = operator_may(Operation.STATEMENT_READ)
        self._shell.get(app, SETTLEMENT, self._year, may_read)
        self._shell.get(app, f"{SETTLEMENT}/{_YEAR}/members/{{code}}", self._member, may_read)
        self._shell.get(app, f"{_STATEMENT}.{_FORMS}", self._statement, may_read)
        self._shell.get(app, f"{WORK}/{{id}}", self._work, may_read)
        for kind, operation in OPERATIONS.items():
            path, allowed = f"{SETTLEMENT}/{_YEAR}/{kind}", operator_may(operation)
            self._shell.get(app, path, partial(self._ask, kind), allowed)
            self._shell.post(app, path, partial(self._start, kind), allowed)

    def _no_year(self, request: web.Request, visit: Visit) -> web.Response | None:
        """The answer for a year that nothing can be settled of; None: it is one."""
        year = int(request.match_info["year"])
        if FIRST_YEAR <= year <= accounting_day(now_us())[0]:
            return None
        return self._shell.problem(
            request, visit, 404, visit.texts("console.no_year_to_settle", year=year)
        )

    async def _year(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        last = accounting_day(now_us())[0] - 1
        year = year_in(request, last)
        found = await asyncio.to_thread(
            read_year, self._config, year, now_us(), number_in(request.query, "page", 1)
        )
        pieces = await asyncio.to_thread(self._works.newest, year, _PIECES_SHOWN)
        values = {
            "found": found,
            "pieces": pieces,
            "pager": Pager.of(request, found.count, DOCUMENTS_A_PAGE),
            "path": SETTLEMENT,
            "work_path": WORK,
            "members_path": f"{CONSOLE}/members",
            "may": {
                kind: operator_may(operation)(visit.who) for kind, operation in OPERATIONS.items()
            },
            "document_path": _document_path,
        }
        return self._shell.render(request, visit, "console/settlement.html", values)

    async def _member(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        if (no_year := self._no_year(request, visit)) is not None:
            return no_year
        year, code = int(request.match_info["year"]), request.match_info["code"]
        found = await asyncio.to_thread(read_member_year, self._config, year, code)
        if found is None:
            message = visit.texts("console.no_member", code=code)
            return self._shell.problem(request, visit, 404, message)
        values = {
            "found": found,
            "year": year,
            "code": code.upper(),
            "path": SETTLEMENT,
            "statement_path": f"{_document_path(year, code.upper())}/statement",
            "forms": tuple(CONTENT_TYPES),
        }
        return self._shell.render(request, visit, "console/documents.html", values)

    async def _statement(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        if (no_year := self._no_year(request, visit)) is not None:
            return no_year
        code = request.match_info["code"].upper()
        if not await asyncio.to_thread(names_to_settle, self._config, code):
            message = visit.texts("console.no_member", code=code)
            return self._shell.problem(request, visit, 404, message)
        year, form = int(request.match_info["year"]), request.match_info["form"]
        return await answer_statement(self._shell, request, visit, code, year, form)

    # What is done to a year

    async def _ask(self, kind: str, request: web.Request, visit: Visit) -> web.StreamResponse:
        return self._no_year(request, visit) or await self._form(kind, request, visit, "", {})

    async def _form(
        self,
        kind: str,
        request: web.Request,
        visit: Visit,
        reason: str,
        errors: dict[str, str],
        status: int = 200,
    ) -> web.StreamResponse:
        """The page that says what will be done, and asks for the reason where one is needed."""
        found = await asyncio.to_thread(
            read_year, self._config, int(request.match_info["year"]), now_us()
        )
        values = {
            "kind": kind,
            "found": found,
            "path": SETTLEMENT,
            "reason": reason,
            "errors": errors,
            "asks_reason": kind == "note" or (kind == "final" and found.in_grace),
        }
        return self._shell.render(request, visit, "console/settle.html", values, status)

    async def _start(
        self, kind: str, request: web.Request, visit: Visit, form: Form
    ) -> web.StreamResponse:
        if (no_year := self._no_year(request, visit)) is not None:
            return no_year
        year, reason = int(request.match_info["year"]), text_of(form, "reason")
        if kind == "note" and not reason:
            errors = {"reason": visit.texts("console.reason_needed")}
            return await self._form(kind, request, visit, reason, errors, 422)
        asked = asked_of(kind, year, visit.origin, reason)
        try:
            piece = await asyncio.to_thread(start, self._config, asked)
        except BusyError:
            errors = {"busy": visit.texts("console.busy")}
            return await self._form(kind, request, visit, reason, errors, 409)
        return self._shell.see_other(request, visit, f"{WORK}/{piece.id}")

    async def _work(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        piece = await asyncio.to_thread(self._works.get, request.match_info["id"])
        if piece is None:
            return self._shell.problem(request, visit, 404, visit.texts("console.no_work"))
        is_going = not piece.finished_us and not piece.broken_off
        values = {
            "piece": piece,
            "is_going": is_going,
            "back": f"{SETTLEMENT}?year={piece.asked.year}",
        }
        scripts = ("reload.js",) if is_going else ()
        return self._shell.render(request, visit, "console/work.html", values, scripts=scripts)


def _document_path(year: int, code: str) -> str:
    return f"{SETTLEMENT}/{year}/members/{quote(code, safe='')}"
