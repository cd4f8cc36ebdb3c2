"""ISBN jobs: a list of numbers in, one file of records out.

They are at `/api/v1/batch`, and at `/api/batch` for programs that know them from before
the rest of the API: there parameters that are unknown are passed over, a body of JSON
that is no such request is 400, and the list of jobs is one object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from server.access_control.permissions import Operation as Permission
from server.api.models import Sent
from server.api.operation import JSON, PREFIX, Area, Call, Reply
from server.api.paging import Page, PageQuery, page, paged, position
from server.api.problem import Kind, Refusal, both
from server.batch.desk import NotGrantedError, TooManyJobsError, rows_of
from server.batch.files import FORMATS, report_csv
from server.batch.isbns import BatchInputError, Line, read_isbns, read_numbers
from server.batch.job import Job, Order, Phase
from server.errors import BatchError
from server.http.responses import NO_STORE

AREA = Area("batch", "ISBN jobs: a list of numbers in, one file of records out")
FORMER = Area("batch-former", "The same at its former address", prefix="/api")

BUSY_RETRY_S = 60
_NUMBER_CHARS_MAX = 1000
_YES = frozenset({"1", "true", "yes"})
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_CSV_TYPES = ("text/csv", "application/csv", "text/tab-separated-values")
_LIST_TYPES = (
    "text/plain", *_CSV_TYPES, "application/octet-stream", "application/vnd.ms-excel", _XLSX,
)  # fmt: skip
_RESULT_TYPES = tuple(dict.fromkeys(each.content_type for each in FORMATS.values()))

FileFormat = Literal["iso2709", "marcxml", "marcxchange", "mods"]
Encoding = Literal["utf-8", "gb18030", "marc-8"]
References = Annotated[
    bool, Meta(description="Characters that the encoding lacks as &#x4E00; and not refused.")
]
Again = Annotated[bool, Meta(description="Another job, where that of the same list is done.")]


class BatchOrder(Sent, frozen=True):
    """A job as JSON. `databases` are in the order of preference; all without them."""

    isbns: list[str]
    format: FileFormat = "iso2709"
    encoding: Encoding = "utf-8"
    references: References = False
    databases: list[str] = msgspec.field(default_factory=list)
    again: Again = False


class OrderQuery(Sent, frozen=True):
    """What is wanted of a list that is no JSON."""

    format: FileFormat = "iso2709"
    encoding: Encoding = "utf-8"
    references: References = False
    database: Annotated[
        list[str], Meta(description="In the order of preference; all without it.")
    ] = msgspec.field(default_factory=list)
    again: Again = False


class FormerOrderQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The same as it was always read: yes is 1, true or yes."""

    format: str = "iso2709"
    encoding: str = "utf-8"
    references: str = ""
    database: list[str] = []
    again: str = ""


class JobPath(Sent, frozen=True):
    """A job in the address."""

    job: Annotated[str, Meta(pattern=r"^[0-9]{8}-[0-9a-f]{16}(-[0-9]{1,6})?$", max_length=40)]


class BatchJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job and how far it is. Times are UTC, microseconds since 1970; `charge_fen` is 0
    until its file is handed out. The last four are addresses."""

    job: str
    phase: Literal["queued", "running", "cancelling", "billing", "done", "cancelled", "failed"]
    reason: str
    created_us: int
    finished_us: int | None
    format: str
    encoding: str
    databases: list[str]
    numbers: int
    resolved: int
    counts: dict[str, int]
    delivered: int
    price_fen: int
    charge_fen: int
    size_bytes: int
    status: str
    result: str
    report: str
    cancel: str


class BatchJobs(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs of a member, the newest first."""

    jobs: list[BatchJob]


class ReportQuery(Sent, frozen=True):
    """In which form."""

    format: Literal["json", "csv"] = "json"


class FormerReportQuery(msgspec.Struct, frozen=True, kw_only=True):
    """In which form: csv, else JSON."""

    format: str = "json"


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """A record that was not chosen."""

    control_number: str
    database: str
    level: str
    holdings: int


class ReportLine(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a number; `holdings` counts the libraries that hold its record."""

    line: int
    written: str
    isbn: str
    status: str
    control_number: str
    database: str
    level: str
    holdings: int | str
    note: str
    alternatives: list[Alternative]


class BatchReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every number of the list."""

    job: str
    institution: str
    phase: str
    format: str
    encoding: str
    databases: list[str]
    numbers: int
    delivered: int
    price_fen: int
    charge_fen: int
    counts: dict[str, int]
    lines: list[ReportLine]


@AREA.post(
    "/batch", needs=Permission.BATCH, summary="Make an ISBN job", reads=(*_LIST_TYPES, JSON),
    takes=BatchOrder, asks=OrderQuery,
    answers={202: "It was made, and is being done", 200: "There is a job of that list already"},
)  # fmt: skip
def make_job(call: Call, query: OrderQuery | FormerOrderQuery, body: bytes) -> Reply[BatchJob]:
    """A list as text, CSV, a spreadsheet, or JSON, which says all else too. Each record
    delivered costs the price of the tariff; the same list of the same member is the same
    job, however often it is sent."""
    asked, lines = _asked(call, query, body)
    order = _order(call, asked)
    try:
        job, is_new = call.batch.make(order, lines, call.origin, again=asked.again)
    except TooManyJobsError as error:
        unfinished = call.config.batch.jobs_at_once_max
        raise Refusal(
            Kind.TOO_MANY, f"{error}.", f"已有 {unfinished} 个任务未完成，请等其中一个结束。",
            headers={hdrs.RETRY_AFTER: str(BUSY_RETRY_S)},
        ) from None  # fmt: skip
    except BatchError as error:
        raise Refusal(Kind.TOO_MANY, f"No further job can be made: {error}.") from None
    told = _told(call, job)
    return Reply(told, status=202 if is_new else 200, headers={hdrs.LOCATION: told.status})


@AREA.get(
    "/batch", needs=Permission.BATCH, summary="List the ISBN jobs of one's institution",
    answers={200: "A page of them, the newest first"},
)  # fmt: skip
def list_jobs(call: Call, query: PageQuery) -> Reply[Page[BatchJob]]:
    after = position(call, query, str)
    jobs = call.batch.jobs_of(call.principal.institution)
    if after is not None:
        jobs = jobs[next((n for n, job in enumerate(jobs, 1) if job.id == after), len(jobs)) :]
    items, cursor = page(call, query, jobs, lambda job: job.id)
    return paged(call, [_told(call, job) for job in items], cursor)


@AREA.get("/batch/{job}", needs=Permission.BATCH, summary="Show an ISBN job")
def show_job(call: Call, path: JobPath) -> BatchJob:
    return _told(call, _job(call, path))


@AREA.get(
    "/batch/{job}/result", needs=Permission.BATCH, summary="Download the file of an ISBN job",
    gives=_RESULT_TYPES, problems=(409,),
)  # fmt: skip
def download_result(call: Call, path: JobPath) -> web.FileResponse:
    """As often as wanted: the records are in the ledger before there is a file."""
    job = _job(call, path)
    state = job.state()
    if state.phase is not Phase.DONE:
        headers: dict[str, str] = {} if state.phase.ended else {hdrs.RETRY_AFTER: "1"}
        raise Refusal(
            Kind.CONFLICT, f"The job is {state.phase.value}: there is no file.",
            "任务尚无结果文件。", headers=headers,
        )  # fmt: skip
    file_format = FORMATS[job.made().order.format]
    return web.FileResponse(
        job.result,
        headers={
            hdrs.CONTENT_TYPE: file_format.content_type,
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="{job.id}.{file_format.extension}"',
            hdrs.CACHE_CONTROL: NO_STORE,
        },
    )


@AREA.get(
    "/batch/{job}/report", needs=Permission.BATCH, gives=(JSON, "text/csv"), shows=BatchReport,
    asks=ReportQuery,
    summary="Download what became of each number of an ISBN job",
)  # fmt: skip
def download_report(
    call: Call, path: JobPath, query: ReportQuery | FormerReportQuery
) -> web.Response:
    job = _job(call, path)
    if query.format.lower() == "csv":
        return web.Response(
            text=report_csv(rows_of(job)), content_type="text/csv",
            headers={
                hdrs.CACHE_CONTROL: NO_STORE,
                hdrs.CONTENT_DISPOSITION: f'attachment; filename="{job.id}.csv"',
            },
        )  # fmt: skip
    return web.Response(
        body=msgspec.json.encode(call.batch.report(job)), content_type=JSON,
        headers={hdrs.CACHE_CONTROL: NO_STORE},
    )  # fmt: skip


@AREA.post(
    "/batch/{job}/cancel", needs=Permission.BATCH, summary="Cancel an ISBN job",
    answers={202: "It ends soon, and costs nothing"},
)  # fmt: skip
def cancel_job(call: Call, path: JobPath) -> BatchJob:
    job = _job(call, path)
    too_late = call.batch.cancel(job, call.origin)
    if too_late is not None:
        raise Refusal(
            Kind.CONFLICT, f"The job is {too_late.phase.value}: it cannot be cancelled.",
            "任务已结束或正在计费，不能取消。",
        )  # fmt: skip
    return _told(call, job)


@FORMER.get("/batch", needs=Permission.BATCH, summary="List the ISBN jobs of one's institution")
def list_all_jobs(call: Call) -> BatchJobs:
    jobs = call.batch.jobs_of(call.principal.institution)
    return BatchJobs(jobs=[_told(call, job) for job in jobs])


def _former() -> None:
    """The operations at their former address."""
    queries: Mapping[Any, type[msgspec.Struct]] = {
        "makeJob": FormerOrderQuery, "downloadReport": FormerReportQuery,
    }  # fmt: skip
    listed = FORMER.operations.pop()
    FORMER.operations.append(replace(listed, replaced_by=f"{PREFIX}/batch"))
    for each in AREA.operations:
        if each.id != "listJobs":
            FORMER.operations.append(
                replace(
                    each, id=f"{each.id}Formerly", tag=FORMER.tag, replaced_by=each.path,
                    path=each.path.replace(PREFIX, "/api"),
                    query_type=queries.get(each.id, each.query_type),
                )
            )  # fmt: skip


def _asked(
    call: Call, query: OrderQuery | FormerOrderQuery, body: bytes
) -> tuple[BatchOrder, list[Line]]:
    numbers_max = call.config.batch.numbers_max
    if call.request.content_type == JSON:
        try:
            asked = msgspec.json.decode(body, type=BatchOrder)
        except msgspec.MsgspecError as error:
            raise _malformed(call, f"The body is not such a request: {error}.") from None
        lines = _lines(asked.isbns[: numbers_max + 1])
        if not lines or len(lines) > numbers_max:
            raise _malformed(call, f"Between 1 and {numbers_max} numbers are needed.")
        return asked, lines
    # What the former address takes for a format is compared below.
    form: Any = query.format.lower()
    encoding: Any = query.encoding.lower()
    asked = BatchOrder(
        isbns=[], format=form, encoding=encoding, databases=query.database,
        references=_is_yes(query.references), again=_is_yes(query.again),
    )  # fmt: skip
    try:
        lines = read_isbns(
            body, is_csv=call.request.content_type in _CSV_TYPES, lines_max=numbers_max
        )
    except BatchInputError as error:
        raise _malformed(call, f"The list cannot be read: {error}.") from None
    return asked, lines


def _malformed(call: Call, detail: str) -> Refusal:
    is_former = not call.operation.path.startswith(PREFIX)
    kind = Kind.MALFORMED if is_former else Kind.INVALID
    return Refusal(kind, detail, f"请求内容无效：{detail}")


def _is_yes(value: bool | str) -> bool:
    return value if isinstance(value, bool) else value.lower() in _YES


def _order(call: Call, asked: BatchOrder) -> Order:
    try:
        return call.batch.order(
            call.principal, asked.format, asked.encoding, asked.databases,
            references=asked.references,
        )  # fmt: skip
    except NotGrantedError as error:
        raise Refusal(Kind.RIGHT, *both(str(error))) from None
    except BatchError as error:
        raise Refusal(Kind.PARAMETER, f"{error}.", f"参数无效：{error}") from None


def _job(call: Call, path: JobPath) -> Job:
    """The job of the address, if it is the member's."""
    job = call.batch.job_of(call.principal.institution, path.job)
    if job is None:
        raise Refusal(Kind.NOT_FOUND, "There is no such job.", "没有此任务。")
    return job


def _told(call: Call, job: Job) -> BatchJob:
    path = f"{call.operation.path.partition('/{')[0]}/{job.id}"
    return BatchJob(
        **call.batch.told(job), status=path, result=f"{path}/result", report=f"{path}/report",
        cancel=f"{path}/cancel",
    )  # fmt: skip


def _lines(isbns: list[str]) -> list[Line]:
    return [
        line
        for number, written in enumerate(isbns, start=1)
        if written.strip()
        for line in read_numbers(number, written[:_NUMBER_CHARS_MAX])
    ]


_former()
