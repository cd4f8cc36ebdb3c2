"""A member's ledger: every entry, filtered, followed to the single one, and as a file."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime

from aiohttp import hdrs, web

from metering.entry import Entry
from protocol.china_time import CHINA_OFFSET
from server.access_control.permissions import Operation
from server.accounting.ledger import Accounting
from server.selfservice.ledger_file import FORMS
from server.selfservice.ledger_lines import METERS, Filter, FilterError, Lines, page_of
from server.web.navigation import member_may
from server.web.numbers import number_of
from server.web.shell import Shell, Visit

PATH = "/-/my/ledger"


class LedgerPages:
    """The list, one entry, and the list as CSV or JSON Lines."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def add_routes(self, app: web.Application) -> None:
        allowed = member_may(Operation.LEDGER_READ)
        self._shell.get(app, PATH, self._list, allowed)
        self._shell.get(app, f"{PATH}/export", self._export, allowed)
        self._shell.get(app, f"{PATH}/{{seq}}", self._entry, allowed)

    async def _list(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        errors: dict[str, str] = {}
        lines = Lines((), 0)
        wanted = Filter()
        try:
            wanted = Filter.read(request.query)
        except FilterError as error:
            errors[error.field] = visit.texts(error.key)
        else:
            before = number_of(request.query.get("before", ""))
            lines = await asyncio.to_thread(self._look, wanted, visit.who.institution, before)
        values = {
            "path": PATH,
            "wanted": wanted,
            "typed": {name: request.query.get(name, "") for name in ("from", "to", "record")},
            "meter": request.query.get("meter", ""),
            "meters": [
                ("", visit.texts("my.any")),
                *((each.value, visit.texts.name("ledger_meter", each.value)) for each in METERS),
            ],
            "lines": lines,
            "errors": errors,
        }  # fmt: skip
        return self._shell.render(request, visit, "my/ledger.html", values, 400 if errors else 200)

    def _look(self, wanted: Filter, institution: str, before: int) -> Lines:
        with Accounting(self._shell.config) as accounting:
            return page_of(accounting.ledger, wanted, institution, before)

    async def _entry(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        seq = number_of(request.match_info["seq"])
        entry = await asyncio.to_thread(self._one, seq) if seq else None
        if entry is None or entry.institution != visit.who.institution:
            return self._shell.problem(request, visit, 404, visit.texts("my.no_entry"))
        return self._shell.render(request, visit, "my/entry.html", {"path": PATH, "entry": entry})

    def _one(self, seq: int) -> Entry | None:
        with Accounting(self._shell.config) as accounting:
            return next(accounting.ledger.entries(after=seq - 1), None)

    async def _export(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        form = request.query.get("format", "csv")
        try:
            wanted = Filter.read(request.query)
        except FilterError as error:
            return self._shell.problem(request, visit, 400, visit.texts(error.key))
        if form not in FORMS:
            return self._shell.problem(request, visit, 400, visit.texts("my.no_format"))
        today = datetime.now(UTC) + CHINA_OFFSET
        name = f"{visit.who.institution}-{today:%Y%m%d}.{form}"
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: FORMS[form].content_type,
                hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"',
                hdrs.CACHE_CONTROL: "no-store",
            }
        )
        await response.prepare(request)
        chunks = self._chunks(wanted, visit.who.institution, form)
        try:
            while chunk := await asyncio.to_thread(next, chunks, b""):
                await response.write(chunk)
        finally:
            await asyncio.to_thread(chunks.close)
        await response.write_eof()
        return response

    def _chunks(self, wanted: Filter, institution: str, form: str) -> Generator[bytes]:
        with Accounting(self._shell.config) as accounting:
            entries = accounting.ledger.entries(selection=wanted.selection(institution))
            yield from FORMS[form].write(entries)
