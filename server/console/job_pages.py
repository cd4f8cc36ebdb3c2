"""Pages of long work: ISBN jobs, loads under way, and the reports that they left."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import quote

from aiohttp import hdrs, web

from server.access_control.permissions import Operation
from server.console.base import now_us
from server.console.duplicates import is_duplicate_report
from server.console.jobs import cancel_job, find_job, list_jobs, list_loads, list_reports
from server.console.jobs import report_file as find_report
from server.web.forms import Form, text_of
from server.web.navigation import CONSOLE, operator_may
from server.web.shell import HEADERS, Shell, Visit
from store.sqlite import StoreError

JOBS = f"{CONSOLE}/jobs"
REPORTS = f"{CONSOLE}/reports"
_JOB = "{job}"


class JobPages:
    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._config = shell.config

    def add_routes(self, app: web.Application) -> None:
        may_see = operator_may(Operation.STATUS_READ)
        may_change = operator_may(Operation.MEMBERS_CHANGE)
        self._shell.get(app, JOBS, self._list, may_see)
        self._shell.get(app, f"{JOBS}/{_JOB}/cancel", self._ask, may_change)
        self._shell.post(app, f"{JOBS}/{_JOB}/cancel", self._cancel, may_change)
        self._shell.get(app, f"{REPORTS}/{{name}}", self._report, may_see)

    async def _list(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        before = request.query.get("before", "")
        jobs = await asyncio.to_thread(list_jobs, self._config, before)
        loads = []
        with suppress(StoreError):  # no catalogue, no load
            loads = await asyncio.to_thread(list_loads, self._config, now_us())
        reports = await asyncio.to_thread(list_reports, self._config)
        values = {
            "jobs": jobs,
            "is_first": not before,
            "loads": loads,
            "reports": [
                (report, f"{REPORTS}/{quote(report.name)}", is_duplicate_report(report.name))
                for report in reports
            ],
            "path": JOBS,
            "may_cancel": operator_may(Operation.MEMBERS_CHANGE)(visit.who),
            "library_name": self._shell.library_name,
        }
        return self._shell.render(request, visit, "console/jobs.html", values)

    async def _ask(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        return await self._form(request, visit, "", {})

    async def _form(
        self, request: web.Request, visit: Visit, reason: str, errors: dict[str, str]
    ) -> web.StreamResponse:
        line = await asyncio.to_thread(find_job, self._config, request.match_info["job"])
        if line is None:
            return self._shell.problem(request, visit, 404, visit.texts("console.no_job"))
        values = {"line": line, "path": JOBS, "reason": reason, "errors": errors}
        status = 422 if errors else 200
        return self._shell.render(request, visit, "console/cancel.html", values, status)

    async def _cancel(self, request: web.Request, visit: Visit, form: Form) -> web.StreamResponse:
        job_id, reason = request.match_info["job"], text_of(form, "reason")
        if not reason:
            errors = {"reason": visit.texts("console.reason_needed")}
            return await self._form(request, visit, reason, errors)
        done = await asyncio.to_thread(
            cancel_job, self._config, job_id, now_us(), origin=visit.origin, reason=reason
        )
        if not done:
            return self._shell.see_other(
                request, visit, JOBS, "console.job_has_ended", is_wrong=True
            )
        return self._shell.see_other(request, visit, JOBS, "console.job_cancelled", job=job_id)

    async def _report(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        path = await asyncio.to_thread(find_report, self._config, request.match_info["name"])
        if path is None:
            return self._shell.problem(request, visit, 404, visit.texts("console.no_report"))
        kind = "text/csv" if path.suffix == ".csv" else "application/x-ndjson"
        headers = {
            **HEADERS,
            hdrs.CONTENT_TYPE: f"{kind}; charset=utf-8",
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="{quote(path.name)}"',
        }
        return web.FileResponse(path, headers=headers)
