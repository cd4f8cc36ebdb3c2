"""ISBN jobs on a member's pages: a list of numbers in, their progress, report and file out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import hdrs, web

from server.access_control.permissions import Operation
from server.batch.desk import BatchDesk, TooManyJobsError, rows_of
from server.batch.files import ENCODINGS, FORMATS, ISO_2709, report_csv
from server.batch.isbns import BatchInputError, Line, read_isbns
from server.batch.job import Job, Phase
from server.errors import BatchError
from server.http.responses import NO_STORE
from server.selfservice.receiving import LISTS_FOLDER, Received, TooLargeError, receive
from server.web.forms import Form
from server.web.navigation import member_may
from server.web.shell import Shell, Visit

PATH = "/-/my/batch"
REPORT_ROWS_MAX = 500  # on the page; the file has all
LIST_BYTES_MAX = 4 << 20
_SCRIPTS = ("renew.js",)


class BatchPages:
    """The list with the form, one job, and what it hands over."""

    def __init__(self, shell: Shell, desk: BatchDesk) -> None:
        self._shell = shell
        self._desk = desk

    def add_routes(self, app: web.Application) -> None:
        shell, allowed = self._shell, member_may(Operation.BATCH)
        shell.get(app, PATH, self._list, allowed)
        app.router.add_post(f"{PATH}/new", shell.page(self._create, allowed))
        shell.get(app, f"{PATH}/{{job}}", self._job, allowed)
        shell.get(app, f"{PATH}/{{job}}/file", self._file, allowed)
        shell.get(app, f"{PATH}/{{job}}/report.csv", self._report, allowed)
        shell.post(app, f"{PATH}/{{job}}/cancel", self._cancel, allowed)

    async def _list(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        return await self._show(request, visit, {}, {})

    async def _show(
        self,
        request: web.Request,
        visit: Visit,
        errors: Mapping[str, str],
        typed: Mapping[str, str],
    ) -> web.Response:
        def told() -> list[dict[str, Any]]:
            return [self._desk.told(job) for job in self._desk.jobs_of(visit.who.institution)]

        databases = {each.name: each for each in self._shell.service.catalogue.databases.values()}
        jobs = await asyncio.to_thread(told)
        values = {
            "path": PATH,
            "jobs": jobs,
            "running": any(job["finished_us"] is None for job in jobs),
            "formats": [(name, name) for name in FORMATS],
            "encodings": [(name, name) for name in ENCODINGS],
            "databases": list(databases.values()),
            "numbers_max": self._shell.config.batch.numbers_max,
            "errors": errors,
            "typed": typed,
        }
        return self._shell.render(
            request, visit, "my/batch.html", values, 400 if errors else 200, scripts=_SCRIPTS
        )

    async def _create(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        t = visit.texts
        folder = self._shell.config.data_dir / LISTS_FOLDER
        try:
            received = await receive(request, visit, folder, LIST_BYTES_MAX)
        except TooLargeError:
            told = {"file": t("my.file_too_large", size=f"{LIST_BYTES_MAX >> 20} MiB")}
            return await self._show(request, visit, told, {})
        fields = received.fields
        try:
            lines = await asyncio.to_thread(self._lines, received)
            if not lines:
                raise BatchInputError(t("my.no_numbers"))
            order = self._desk.order(
                visit.who, fields.get("format", ISO_2709), fields.get("encoding", "utf-8"),
                received.lists.get("database", []),
            )  # fmt: skip
            again = fields.get("again") == "1"
            job, is_new = await asyncio.to_thread(
                self._desk.make, order, lines, visit.origin, again=again
            )
        except BatchInputError as error:
            errors = {"numbers": t("my.list_refused", reason=str(error))}
            return await self._show(request, visit, errors, fields)
        except TooManyJobsError:
            return await self._show(request, visit, {"numbers": t("my.too_many_jobs")}, fields)
        except BatchError as error:
            errors = {"format": t("my.job_refused", reason=str(error))}
            return await self._show(request, visit, errors, fields)
        finally:
            await asyncio.to_thread(received.discard)
        key = "my.job_made" if is_new else "my.job_known"
        return self._shell.see_other(request, visit, f"{PATH}/{job.id}", key)

    def _lines(self, received: Received) -> list[Line]:
        numbers_max = self._shell.config.batch.numbers_max
        if received.path is not None and received.size_bytes:
            is_csv = received.name.lower().endswith((".csv", ".tsv"))
            return read_isbns(received.path.read_bytes(), is_csv=is_csv, lines_max=numbers_max)
        data = received.fields.get("numbers", "").encode()
        return read_isbns(data, lines_max=numbers_max) if data.strip() else []

    async def _job(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        job = await self._found(request, visit)
        if job is None:
            return self._missing(request, visit)
        told = await asyncio.to_thread(self._desk.told, job)
        rows = []
        if told["finished_us"] is not None:  # until then the page comes every second
            rows = await asyncio.to_thread(rows_of, job)
        values = {
            "path": f"{PATH}/{job.id}",
            "list": PATH,
            "job": told,
            "rows": rows[:REPORT_ROWS_MAX],
            "more": max(0, len(rows) - REPORT_ROWS_MAX),
        }
        return self._shell.render(request, visit, "my/job.html", values, scripts=_SCRIPTS)

    async def _file(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        job = await self._found(request, visit)
        state = await asyncio.to_thread(job.state) if job is not None else None
        if job is None or state is None or state.phase is not Phase.DONE:
            return self._missing(request, visit)
        made = FORMATS[(await asyncio.to_thread(job.made)).order.format]
        return web.FileResponse(
            job.result,
            headers={
                hdrs.CONTENT_TYPE: made.content_type,
                hdrs.CONTENT_DISPOSITION: f'attachment; filename="{job.id}.{made.extension}"',
                hdrs.CACHE_CONTROL: NO_STORE,
            },
        )

    async def _report(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        job = await self._found(request, visit)
        if job is None:
            return self._missing(request, visit)
        text = await asyncio.to_thread(lambda: report_csv(rows_of(job)))
        return web.Response(
            text=text, content_type="text/csv",
            headers={
                hdrs.CACHE_CONTROL: NO_STORE,
                hdrs.CONTENT_DISPOSITION: f'attachment; filename="{job.id}.csv"',
            },
        )  # fmt: skip

    async def _cancel(self, request: web.Request, visit: Visit, _: Form) -> web.StreamResponse:
        job = await self._found(request, visit)
        if job is None:
            return self._missing(request, visit)
        too_late = await asyncio.to_thread(self._desk.cancel, job, visit.origin)
        key = "my.job_too_late" if too_late is not None else "my.job_cancelled"
        return self._shell.see_other(
            request, visit, f"{PATH}/{job.id}", key, is_wrong=too_late is not None
        )

    async def _found(self, request: web.Request, visit: Visit) -> Job | None:
        name = request.match_info["job"]
        return await asyncio.to_thread(self._desk.job_of, visit.who.institution, name)

    def _missing(self, request: web.Request, visit: Visit) -> web.Response:
        return self._shell.problem(request, visit, 404, visit.texts("my.no_job"))
