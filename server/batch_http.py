"""ISBN jobs over HTTP, and the task of a worker that does them.

Every worker may do every job of the data folder; a lock lets one of them. Jobs whose
worker died are taken up by whoever looks next.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import msgspec
from aiohttp import hdrs, web

from metering.entry import DAY_US
from metering.interface import MeteringError
from metering.ledger import Ledger
from metering.tariff import BATCH_DELIVERY, tariff_at
from protocol.diagnostic import Bib1, Diagnostic
from server import permissions
from server.access import Principal
from server.access_control.databases import databases_for
from server.batch_files import (
    FORMATS,
    refused_format,
    report_csv,
    report_document,
    report_rows,
)
from server.batch_isbns import BatchInputError, Line, read_isbns, read_numbers
from server.batch_job import BusyError, Job, Jobs, Made, Order, Phase, State
from server.batch_run import Runner, StoppedError
from server.config import Config
from server.errors import BatchError
from server.http_refusals import problem
from server.http_responses import NO_STORE
from server.log import Log
from server.service import Service
from server.sign_in import challenge, refusal, sign_in

PATH = "/api/batch"
# Jobs of a worker that died are looked for this often.
LOOK_INTERVAL_S = 30.0
FORGET_INTERVAL_S = 3600.0
# After a disk or ledger that refused, and while another worker has the job.
RETRY_S = 2.0
BUSY_RETRY_S = 60
_NUMBER_CHARS_MAX = 1000
_YES = frozenset({"1", "true", "yes"})
_CSV_TYPES = frozenset({"text/csv", "application/csv", "text/tab-separated-values"})
_LIST_TYPES = _CSV_TYPES | {
    "text/plain", "application/octet-stream", "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip

log = Log("lianmu.batch")


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

    def __init__(self, config: Config, service: Service) -> None:
        self._config = config
        self._service = service
        self._jobs = Jobs(config.batch_dir)
        self._tariffs = config.tariffs
        self._runner = Runner(service.catalogue, self._open_ledger, self._tariffs, _now_us)
        self._wake = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._failing = False
        self._not_ours: set[str] = set()  # ids of jobs that need not be looked at again
        self._forget_due_s = 0.0

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(PATH, self._create)
        app.router.add_get(PATH, self._list)
        app.router.add_get(f"{PATH}/{{job}}", self._show)
        app.router.add_get(f"{PATH}/{{job}}/result", self._result)
        app.router.add_get(f"{PATH}/{{job}}/report", self._report)
        app.router.add_post(f"{PATH}/{{job}}/cancel", self._cancel)

    def start(self) -> None:
        """Begin to work, on what was left over too."""
        self._work = asyncio.get_running_loop().create_task(self._do_jobs())

    async def stop(self) -> None:
        """Break off at the next step; the jobs go on when a worker starts again."""
        if self._work is not None:
            # Threads cannot be cancelled: what one does for the job is waited for.
            self._runner.stopping = True
            self._wake.set()
            await self._work

    # The work

    async def _do_jobs(self) -> None:
        while not self._runner.stopping:
            self._wake.clear()
            try:
                wait_s = await self._do_waiting_jobs()
            except (OSError, BatchError) as error:
                log.error("batch jobs cannot be read", reason=str(error))
                wait_s = LOOK_INTERVAL_S
            if not self._runner.stopping:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), wait_s)

    async def _do_waiting_jobs(self) -> float:
        """Do each job that nobody does; in how many seconds to look again."""
        if time.monotonic() >= self._forget_due_s:
            self._forget_due_s = time.monotonic() + FORGET_INTERVAL_S
            forget_us = _now_us() - self._config.batch.kept_days * DAY_US
            await asyncio.to_thread(self._jobs.forget, forget_us)
        wait_s = LOOK_INTERVAL_S
        for job in await asyncio.to_thread(self._waiting):
            try:
                state = await self._runner.run(job)
            except StoppedError:
                break
            except BusyError:
                wait_s = RETRY_S  # whoever has it may die
            except (MeteringError, OSError) as error:
                if not self._failing:
                    log.error("batch job put off", job=job.id, reason=str(error))
                self._failing = True
                wait_s = RETRY_S
            except Exception as error:
                # One job that we cannot do must not keep the others from being done.
                log.exception("batch job failed", job=job.id)
                await asyncio.to_thread(_give_up, job, str(error))
            else:
                self._failing = False
                log.info(
                    "batch job ended", job=job.id, phase=state.phase.value,
                    records=state.delivered, reason=state.reason,
                )  # fmt: skip
        return wait_s

    def _waiting(self) -> list[Job]:
        waiting = []
        for job in self._jobs.all():
            if job.id in self._not_ours:
                continue
            with contextlib.suppress(FileNotFoundError):  # just removed by another worker
                if job.state().phase.ended or not job.made().order.served:
                    self._not_ours.add(job.id)
                else:
                    waiting.append(job)
        return waiting

    def _open_ledger(self) -> Ledger:
        config = self._config
        return Ledger(config.ledger_path, rules=config.counting_rules)

    # The routes

    async def _create(self, request: web.Request) -> web.StreamResponse:
        try:
            principal = await self._member(request)
            asked, lines = await self._read(request)
            order = self._order(principal, asked)
            return await asyncio.to_thread(self._make, order, lines, asked.again)
        except _Refused as refused:
            return refused.response
        except BatchError as error:
            return problem(429, f"No further job can be made: {error}.")

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
        reason = refused_format(asked.format, asked.encoding)
        databases = databases_for(
            self._service.catalogue, asked.databases or ("all",), principal,
            permissions.Operation.BATCH,
        )  # fmt: skip
        if isinstance(databases, Diagnostic) and databases.condition == Bib1.DATABASE_ACCESS_DENIED:
            raise _Refused(problem(403, databases.addinfo))
        if isinstance(databases, Diagnostic):
            reason = reason or f"there is no database {databases.addinfo}"
            raise _Refused(problem(400, f"{reason}."))
        if reason:
            raise _Refused(problem(400, f"{reason}."))
        return Order(
            institution=principal.institution, account=principal.account,
            databases=tuple(database.name for database in databases),
            format=asked.format, encoding=asked.encoding, served=True, references=asked.references,
        )  # fmt: skip

    def _make(self, order: Order, lines: list[Line], again: bool) -> web.Response:
        """Blocks on the disk."""
        unfinished = [
            job for job in self._jobs.of(order.institution)
            if job.made().order.served and not job.state().phase.ended
        ]  # fmt: skip
        job, is_new = None, True
        if len(unfinished) < self._config.batch.jobs_at_once_max:
            job, is_new = self._jobs.create(order, lines, _now_us(), again=again)
        else:
            # A request that is sent again is answered even now.
            job = self._jobs.existing(order, lines, again=again)
            is_new = False
        if job is None:
            return problem(
                429, f"{len(unfinished)} jobs are unfinished; wait for one to end.",
                {hdrs.RETRY_AFTER: str(BUSY_RETRY_S)},
            )  # fmt: skip
        response = self._told(job, 202 if is_new else 200)
        response.headers[hdrs.LOCATION] = f"{PATH}/{job.id}"
        if is_new:
            log.info(
                "batch job made", job=job.id, institution=order.institution, account=order.account,
                numbers=len(lines),
            )  # fmt: skip
            self._loop_wake()
        return response

    def _loop_wake(self) -> None:
        if self._work is not None:
            self._work.get_loop().call_soon_threadsafe(self._wake.set)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        try:
            principal = await self._member(request)
        except _Refused as refused:
            return refused.response
        jobs = await asyncio.to_thread(self._jobs.of, principal.institution)
        told = await asyncio.to_thread(lambda: [self._status(job) for job in reversed(jobs)])
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
            text = await asyncio.to_thread(lambda: report_csv(_rows(job)))
            return web.Response(
                text=text, content_type="text/csv",
                headers={
                    hdrs.CACHE_CONTROL: NO_STORE,
                    hdrs.CONTENT_DISPOSITION: f'attachment; filename="{job.id}.csv"',
                },
            )  # fmt: skip
        return await asyncio.to_thread(self._report_json, job)

    def _report_json(self, job: Job) -> web.Response:
        made, state = job.made(), job.state()
        return _json(report_document(made, state, _rows(job), self._price_fen(made, state)))

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        try:
            job = await self._job(request)
        except _Refused as refused:
            return refused.response
        state = await asyncio.to_thread(job.state)
        if state.phase in (Phase.BILLING, Phase.DONE, Phase.FAILED):
            return problem(409, f"The job is {state.phase.value}: it cannot be cancelled.")
        await asyncio.to_thread(job.cancel)
        self._wake.set()
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
        job = self._jobs.get(request.match_info["job"])
        if job is not None:
            made = await asyncio.to_thread(job.made)
            if made.order.institution == principal.institution:
                return job
        raise _Refused(problem(404, "There is no such job."))

    def _told(self, job: Job, status: int) -> web.Response:
        return _json(self._status(job), status)

    def _status(self, job: Job) -> dict[str, Any]:
        made, state = job.made(), job.state()
        price_fen = self._price_fen(made, state)
        phase = state.phase.value
        if job.cancelled and not state.phase.ended and state.phase is not Phase.BILLING:
            phase = "cancelling"
        path = f"{PATH}/{job.id}"
        return {
            "job": job.id,
            "phase": phase,
            "reason": state.reason,
            "created_us": made.created_us,
            "finished_us": state.finished_us or None,
            "format": made.order.format,
            "encoding": made.order.encoding,
            "databases": list(made.order.databases),
            "numbers": made.lines,
            "resolved": state.resolved,
            "counts": state.counts,
            "delivered": state.delivered if state.phase is Phase.DONE else 0,
            "price_fen": price_fen,
            "charge_fen": price_fen * state.delivered if state.phase is Phase.DONE else 0,
            "size_bytes": state.size_bytes,
            "status": path,
            "result": f"{path}/result",
            "report": f"{path}/report",
            "cancel": f"{path}/cancel",
        }

    def _price_fen(self, made: Made, state: State) -> int:
        at_us = state.billed_at_us or made.created_us
        return tariff_at(at_us, self._tariffs).price_fen(BATCH_DELIVERY)


def _now_us() -> int:
    return time.time_ns() // 1000


def _rows(job: Job) -> list[dict[str, Any]]:
    return report_rows(job.lines(), job.journal())


def _lines(isbns: list[str]) -> list[Line]:
    return [
        line
        for number, written in enumerate(isbns, start=1)
        if written.strip()
        for line in read_numbers(number, written[:_NUMBER_CHARS_MAX])
    ]


def _give_up(job: Job, reason: str) -> None:
    """A job that was being billed is not given up: its entries may be there."""
    state = job.state()
    if state.phase is not Phase.BILLING:
        state.phase, state.reason, state.finished_us = Phase.FAILED, reason, _now_us()
        job.save(state, durable=True)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json",
        headers={hdrs.CACHE_CONTROL: NO_STORE},
    )  # fmt: skip
