"""What the console tells of long work: ISBN jobs of all members, loads, and reports."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from server.accounting.audit_note import note_down
from server.batch.job import Job, Jobs, Made, Phase, State
from server.config import Config
from server.errors import BatchError
from server.log import Log
from store.audit import Origin
from store.load_journal import UnfinishedLoad, unfinished_loads
from store.sqlite import FILE_NAME, open_reader

JOBS_A_PAGE = 50
REPORTS_SHOWN_MAX = 50
# A load notes how far it is with each batch of records, which takes seconds at most.
LOAD_QUIET_MAX_US = 60_000_000

log = Log("lianmu.audit")


@dataclass(frozen=True, slots=True)
class JobLine:
    """An ISBN job and how far it is. `damaged` says why it cannot be read."""

    id: str
    made: Made | None
    state: State | None
    cancelling: bool = False
    damaged: str = ""

    @property
    def may_end(self) -> bool:
        """Whether it can be cancelled: what is being billed is handed over."""
        return (
            self.state is not None
            and not self.cancelling
            and self.state.phase in (Phase.QUEUED, Phase.RUNNING)
        )


@dataclass(frozen=True, slots=True)
class JobList:
    """A page of jobs, those of the newest day first. `next_before`: where the next one begins."""

    jobs: Sequence[JobLine]
    next_before: str | None


def list_jobs(config: Config, before: str = "") -> JobList:
    """ISBN jobs of all members, before the job of that id where one is given."""
    jobs = Jobs(config.batch_dir).all()[::-1]
    place = next((n for n, job in enumerate(jobs, 1) if job.id == before), 0)
    lines: list[JobLine] = []
    for job in jobs[place : place + JOBS_A_PAGE]:
        with suppress(FileNotFoundError):  # a worker has just removed it
            lines.append(_line(job))
    more = place + JOBS_A_PAGE < len(jobs)
    return JobList(lines, jobs[place + JOBS_A_PAGE - 1].id if more else None)


def _line(job: Job) -> JobLine:
    try:
        state = job.state()
        cancelling = job.cancelled and not state.phase.ended
        return JobLine(job.id, job.made(), state, cancelling)
    except BatchError as error:
        return JobLine(job.id, None, None, damaged=str(error))


def find_job(config: Config, job_id: str) -> JobLine | None:
    """The job of that id; None: there is none."""
    job = Jobs(config.batch_dir).get(job_id)
    return _line(job) if job is not None else None


def cancel_job(config: Config, job_id: str, now_us: int, *, origin: Origin, reason: str) -> bool:
    """Ask for the end of a job, and write it into the audit; whether any of it was left to end.

    Raises:
        MemberError: the audit cannot be written.
    """
    job = Jobs(config.batch_dir).get(job_id)
    if job is None or not _line(job).may_end:
        return False
    note_down(
        config, origin, "batch cancel", job.made().order.institution, now_us, who=origin.account,
        subject=job_id, reason=reason, before=job.state().phase.value,
        after=Phase.CANCELLED.value,
    )  # fmt: skip
    job.cancel()
    log.info("batch cancel", job=job_id, account=origin.account, reason=reason)
    return True


@dataclass(frozen=True, slots=True)
class LoadLine:
    """A load that has not ended. `moves`: it wrote a moment ago; else it was broken off."""

    load: UnfinishedLoad
    moves: bool


def list_loads(config: Config, now_us: int) -> list[LoadLine]:
    """Loads under way and broken off, the oldest first.

    Raises:
        StoreError: there is no catalogue.
    """
    with closing(open_reader(config.data_dir / FILE_NAME)) as connection:
        return [
            LoadLine(load, now_us - load.updated_us < LOAD_QUIET_MAX_US)
            for load in unfinished_loads(connection)
        ]


@dataclass(frozen=True, slots=True)
class Report:
    """A file that a load or a search for duplicates left. `made_us` is UTC."""

    name: str
    size_bytes: int
    made_us: int


def list_reports(config: Config) -> list[Report]:
    """The newest reports in the data folder, the newest first."""
    reports = []
    with suppress(FileNotFoundError):
        for path in reports_dir(config).iterdir():
            if path.is_file():
                status = path.stat()
                reports.append(Report(path.name, status.st_size, status.st_mtime_ns // 1000))
    reports.sort(key=lambda report: (-report.made_us, report.name))
    return reports[:REPORTS_SHOWN_MAX]


def report_file(config: Config, name: str) -> Path | None:
    """The report of that name; None: there is none. A name never leads out of the folder."""
    path = reports_dir(config) / name
    return path if path.name == name and path.is_file() and not path.is_symlink() else None


def reports_dir(config: Config) -> Path:
    return config.data_dir / "reports"
