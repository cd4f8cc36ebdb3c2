"""ISBN jobs over HTTP (docs/batch.md)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import hdrs, web

from protocol.diagnostic import Diagnostic
from server import permissions
from server.access import Principal
from server.batch_desk import BatchDesk, TooManyJobsError, rows_of
from server.batch_files import FORMATS, report_csv
from server.batch_isbns import BatchInputError, Line, read_isbns, read_numbers
from server.batch_job import Job, Order, Phase
from server.config import Config
from server.errors import BatchError
from server.http_refusals import problem
from server.http_responses import NO_STORE
from server.service import Service
from server.sign_in import challenge, refusal, sign_in

PATH = "/api/batch"
BUSY_RETRY_S = 60
_NUMBER_CHARS_MAX = 1000
_YES = frozenset({"1", "true", "yes"})
_CSV_TYPES = frozenset({"text/csv", "application/csv", "text/tab-separated-values"})
_LIST_TYPES = _CSV_TYPES | {
    "text/plain", "application/octet-stream", "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job as JSON."""

    isbns: list[str]
    format: str = "iso2709"
    encoding: str = "utf-8"
    references: bool = False
    databases: list[str] = []
    again: bool = False


class _Refused(Exception):  # noqa: N818 - carries a response to where it becomes one
    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


class BatchApi:
    """The routes of one worker, and its work."""

    def __init__(self, config: Config, service: Service, desk: BatchDesk) -> None:
        self._config = config
        self._service = service
        self._desk = desk

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(PATH, self._create)
        app.router.add_get(PATH, self._list)
        app.router.add_get(f"{PATH}/{{job}}", self._show)
        app.router.add_get(f"{PATH}/{{job}}/result", self._result)
        app.router.add_get(f"{PATH}/{{job}}/report", self._report)
        app.router.add_post(f"{PATH}/{{job}}/cancel", self._cancel)

    # The routes

    async def _create(self, request: web.Request) -> web.StreamResponse:
        try:
            principal = await self._member(request)
            asked, lines = await self._read(request)
            order = self._order(principal, asked)
            return await asyncio.to_thread(self._make, order, lines, asked.again)
        except _Refused as refused:
            return refused.response

    async def _read(self, request: web.Request) -> tuple[_Asked, list[Line]]:
        body = await request.read()
        numbers_max = self._config.batch.numbers_max
        if request.content_type == "application/json":
            try:
                asked = msgspec.json.decode(body, type=_Asked)
            except msgspec.MsgspecError as error:
                raise _Refused(problem(400, f"The body is not such a request: {error}.")) from None
            lines = await asyncio.to_thread(_lines, asked.isbns[: numbers_max + 1])
            if not lines or len(lines) > numbers_max:
                told = f"Between 1 and {numbers_max} numbers are needed."
                raise _Refused(problem(400, told))
            return asked, lines
        if request.content_type not in _LIST_TYPES:
            raise _Refused(
                problem(415, "Send text/plain, text/csv, an xlsx spreadsheet or application/json.")
            )
        query = request.query
        asked = _Asked(
            [], query.get("format", "iso2709").lower(), query.get("encoding", "utf-8").lower(),
            query.get("references", "").lower() in _YES, query.getall("database", []),
            query.get("again", "").lower() in _YES,
        )  # fmt: skip
        try:
            lines = await asyncio.to_thread(
                read_isbns, body, is_csv=request.content_type in _CSV_TYPES, lines_max=numbers_max
            )
        except BatchInputError as error:
            raise _Refused(problem(400, f"The list cannot be read: {error}.")) from None
        return asked, lines

    def _order(self, principal: Principal, asked: _Asked) -> Order:
        try:
            return self._desk.order(
                principal, asked.format, asked.encoding, asked.databases,
                references=asked.references,
            )  # fmt: skip
        except BatchError as error:
            raise _Refused(problem(400, f"{error}.")) from None

    def _make(self, order: Order, lines: list[Line], again: bool) -> web.Response:
        """Blocks on the disk."""
        try:
            job, is_new = self._desk.make(order, lines, again=again)
        except TooManyJobsError as error:
            return problem(429, f"{error}.", {hdrs.RETRY_AFTER: str(BUSY_RETRY_S)})
        except BatchError as error:
            return problem(429, f"No further job can be made: {error}.")
        response = self._told(job, 202 if is_new else 200)
        response.headers[hdrs.LOCATION] = f"{PATH}/{job.id}"
        return response

    async def _list(self, request: web.Request) -> web.StreamResponse:
        try:
            principal = await self._member(request)
        except _Refused as refused:
            return refused.response
        told = await asyncio.to_thread(
            lambda: [_status(self._desk, job) for job in self._desk.jobs_of(principal.institution)]
        )
        return _json({"jobs": told})

    async def _show(self, request: web.Request) -> web.StreamResponse:
        try:
            job = await self._job(request)
        except _Refused as refused:
            return refused.response
        return await asyncio.to_thread(self._told, job, 200)

    async def _result(self, request: web.Request) -> web.StreamResponse:
        try:
            job = await self._job(request)
        except _Refused as refused:
            return refused.response
        state = await asyncio.to_thread(job.state)
        if state.phase is not Phase.DONE:
            headers: dict[str, str] = {} if state.phase.ended else {hdrs.RETRY_AFTER: "1"}
            return problem(409, f"The job is {state.phase.value}: there is no file.", headers)
        order = (await asyncio.to_thread(job.made)).order
        file_format = FORMATS[order.format]
        return web.FileResponse(
            job.result,
            headers={
                hdrs.CONTENT_TYPE: file_format.content_type,
                hdrs.CONTENT_DISPOSITION:
                    f'attachment; filename="{job.id}.{file_format.extension}"',
                hdrs.CACHE_CONTROL: NO_STORE,
            },
        )  # fmt: skip

    async def _report(self, request: web.Request) -> web.StreamResponse:
        try:
            job = await self._job(request)
        except _Refused as refused:
            return refused.response
        if request.query.get("format", "json").lower() == "csv":
            text = await asyncio.to_thread(lambda: report_csv(rows_of(job)))
            return web.Response(
                text=text, content_type="text/csv",
                headers={
                    hdrs.CACHE_CONTROL: NO_STORE,
                    hdrs.CONTENT_DISPOSITION: f'attachment; filename="{job.id}.csv"',
                },
            )  # fmt: skip
        return _json(await asyncio.to_thread(self._desk.report, job))

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        try:
            job = await self._job(request)
        except _Refused as refused:
            return refused.response
        too_late = await asyncio.to_thread(self._desk.cancel, job)
        if too_late is not None:
            return problem(409, f"The job is {too_late.phase.value}: it cannot be cancelled.")
        return await asyncio.to_thread(self._told, job, 202)

    # What they share

    async def _member(self, request: web.Request) -> Principal:
        """Who asks; raises _Refused for all but members."""
        principal = await sign_in(self._service, request)
        if isinstance(principal, Diagnostic):
            status, headers = refusal(self._service, request, principal)
            raise _Refused(problem(status, principal.addinfo or "Sign in.", headers))
        refused = permissions.refusal(principal, permissions.Operation.BATCH)
        if refused is not None:
            status = permissions.http_status(refused)
            challenged = challenge(request) if status == 401 else None
            raise _Refused(problem(status, refused.text, challenged))
        return principal

    async def _job(self, request: web.Request) -> Job:
        """The job of the address, if it is the member's."""
        principal = await self._member(request)
        name = request.match_info["job"]
        job = await asyncio.to_thread(self._desk.job_of, principal.institution, name)
        if job is None:
            raise _Refused(problem(404, "There is no such job."))
        return job

    def _told(self, job: Job, status: int) -> web.Response:
        return _json(_status(self._desk, job), status)


def _status(desk: BatchDesk, job: Job) -> dict[str, Any]:
    path = f"{PATH}/{job.id}"
    return desk.told(job) | {
        "status": path, "result": f"{path}/result", "report": f"{path}/report",
        "cancel": f"{path}/cancel",
    }  # fmt: skip


def _lines(isbns: list[str]) -> list[Line]:
    return [
        line
        for number, written in enumerate(isbns, start=1)
        if written.strip()
        for line in read_numbers(number, written[:_NUMBER_CHARS_MAX])
    ]


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json",
        headers={hdrs.CACHE_CONTROL: NO_STORE},
    )  # fmt: skip
