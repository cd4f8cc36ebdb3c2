"""A member's holdings on its pages: how many there are, who changed them, and a file to submit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import closing

from aiohttp import web

from metering.entry import accounting_day
from metering.spool import utc_us
from server.access_control.permissions import Operation
from server.accounting.ledger import Accounting
from server.holdings.change import Mode
from server.log import Log
from server.selfservice.holdings_runs import HoldingsRuns, Run, State
from server.selfservice.receiving import HOLDINGS_FOLDER, TooLargeError, receive
from server.web.forms import Form
from server.web.navigation import member_may
from server.web.shell import Shell, Visit
from store.holdings_history import HoldingsHistory, Submission
from store.holdings_writer import held_ids
from store.sqlite import FILE_NAME, open_reader

PATH = "/-/my/holdings"
SUBMISSIONS_SHOWN = 20
_SCRIPTS = ("renew.js",)

log = Log("lianmu.web")


class HoldingsPages:
    """The figures with the form, a dry run's outcome, and what was done."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._runs = HoldingsRuns(shell.config)

    def add_routes(self, app: web.Application) -> None:
        shell, write = self._shell, member_may(Operation.HOLDINGS_WRITE)
        shell.get(app, PATH, self._show, member_may(Operation.HOLDINGS_READ))
        app.router.add_post(f"{PATH}/send", shell.page(self._send, write))
        shell.get(app, f"{PATH}/{{run}}", self._run, write)
        shell.get(app, f"{PATH}/{{run}}/report.csv", self._report, write)
        shell.post(app, f"{PATH}/{{run}}/carry-out", self._carry_out, write)
        shell.post(app, f"{PATH}/{{run}}/discard", self._discard, write)

    async def _show(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        return await self._form(request, visit, {}, {})

    async def _form(
        self,
        request: web.Request,
        visit: Visit,
        errors: Mapping[str, str],
        typed: Mapping[str, str],
    ) -> web.Response:
        held, counted, submissions = await asyncio.to_thread(self._figures, visit.who.institution)
        databases = {each.name: each for each in self._shell.service.catalogue.databases.values()}
        t = visit.texts
        values = {
            "path": PATH,
            "held": held,
            "counted": counted,
            "submissions": submissions,
            "may_write": member_may(Operation.HOLDINGS_WRITE)(visit.who),
            "modes": [(each.value, t(f"my.mode_{each.value}")) for each in Mode],
            "databases": [
                ("", t("my.any_database")),
                *((each.name, each.title) for each in databases.values()),
            ],
            "errors": errors,
            "typed": typed,
        }
        return self._shell.render(
            request, visit, "my/holdings.html", values, 400 if errors else 200
        )

    def _figures(self, institution: str) -> tuple[int, int, Sequence[Submission]]:
        """Records held, holdings that count for the year, and who changed them last."""
        config = self._shell.config
        year, _ = accounting_day(utc_us())
        with closing(open_reader(config.data_dir / FILE_NAME)) as connection:
            held = len(held_ids(connection, institution))
            history = HoldingsHistory(connection)
            submissions = list(history.submissions(institution, limit=SUBMISSIONS_SHOWN))
        with Accounting(config) as accounting:
            counted = accounting.usage.usage(institution, year).holdings_uploaded
        return held, counted, submissions

    async def _send(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        t, config = visit.texts, self._shell.config
        folder = config.data_dir / HOLDINGS_FOLDER
        bytes_max = config.holdings.file_bytes_max
        try:
            received = await receive(request, visit, folder, bytes_max)
        except TooLargeError:
            told = {"file": t("my.file_too_large", size=f"{bytes_max >> 20} MiB")}
            return await self._form(request, visit, told, {})
        fields = received.fields
        if received.path is None or not received.size_bytes:
            await asyncio.to_thread(received.discard)
            return await self._form(request, visit, {"file": t("my.no_file")}, fields)
        try:
            mode = Mode(fields.get("mode", Mode.PUT))
        except ValueError:
            await asyncio.to_thread(received.discard)
            return await self._form(request, visit, {"mode": t("my.no_mode")}, fields)
        state = State(
            institution=visit.who.institution, account=visit.who.account,
            address=request.remote or "", mode=mode, database=fields.get("database", ""),
            source=received.name, summary=None,
        )  # fmt: skip
        run = await asyncio.to_thread(self._runs.begin, received.path, state)
        self._runs.start(run, state, visit.who, dry_run=True)
        return self._shell.see_other(request, visit, f"{PATH}/{run.id}")

    async def _run(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        run = await self._found(request, visit)
        if run is None:
            return self._missing(request, visit)
        state = await asyncio.to_thread(run.state)
        values = {
            "path": f"{PATH}/{run.id}",
            "list": PATH,
            "state": state,
            "broken_off": state.is_broken_off(time.time()),
            "has_report": run.report.exists(),
        }
        return self._shell.render(request, visit, "my/holdings_run.html", values, scripts=_SCRIPTS)

    async def _report(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        run = await self._found(request, visit)
        if run is None or not run.report.exists():
            return self._missing(request, visit)
        return web.FileResponse(
            run.report,
            headers={
                "Content-Type": "text/csv; charset=utf-8",
                "Content-Disposition": f'attachment; filename="refused-{run.id[:8]}.csv"',
                "Cache-Control": "no-store",
            },
        )

    async def _carry_out(
        self, request: web.Request, visit: Visit, form: Form
    ) -> web.StreamResponse:
        run = await self._found(request, visit)
        if run is None:
            return self._missing(request, visit)
        state = await asyncio.to_thread(run.state)
        if state.phase != "looked" and not state.is_broken_off(time.time()):
            return self._shell.see_other(
                request, visit, f"{PATH}/{run.id}", "my.not_now", is_wrong=True
            )
        removed = state.summary.removed if state.summary is not None else 0
        if removed and form.get("sure") != "1":
            return self._shell.see_other(
                request, visit, f"{PATH}/{run.id}", "my.say_sure", is_wrong=True, count=removed
            )
        state.account, state.address = visit.who.account, request.remote or ""
        state.phase = "writing"
        await asyncio.to_thread(run.save, state)  # a second click finds it begun
        self._runs.start(run, state, visit.who, dry_run=False)
        log.info("holdings submitted on a page", run=run.id, account=visit.who.account)
        return self._shell.see_other(request, visit, f"{PATH}/{run.id}")

    async def _discard(self, request: web.Request, visit: Visit, _: Form) -> web.StreamResponse:
        run = await self._found(request, visit)
        if run is None:
            return self._missing(request, visit)
        state = await asyncio.to_thread(run.state)
        if state.phase in ("looking", "writing") and not state.is_broken_off(time.time()):
            return self._shell.see_other(
                request, visit, f"{PATH}/{run.id}", "my.not_now", is_wrong=True
            )
        await asyncio.to_thread(self._runs.discard, run)
        return self._shell.see_other(request, visit, PATH, "my.file_discarded")

    async def _found(self, request: web.Request, visit: Visit) -> Run | None:
        name = request.match_info["run"]
        return await asyncio.to_thread(self._runs.find, visit.who.institution, name)

    def _missing(self, request: web.Request, visit: Visit) -> web.Response:
        return self._shell.problem(request, visit, 404, visit.texts("my.no_run"))
