"""What members ask of ISBN jobs, whatever way they come, and the task of a worker that does them.

Every worker may do every job of the data folder; a lock lets one of them. Jobs whose
worker died are taken up by whoever looks next.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from metering.entry import DAY_US
from metering.interface import MeteringError
from metering.ledger import Ledger
from metering.tariff import BATCH_DELIVERY, tariff_at
from protocol.diagnostic import Bib1, Diagnostic
from server.access_control.access import Principal
from server.access_control.databases import databases_for
from server.access_control.permissions import Operation
from server.accounting.audit_note import note_down
from server.batch.files import refused_format, report_document, report_rows
from server.batch.isbns import Line
from server.batch.job import BusyError, Job, Jobs, Made, Order, Phase, State
from server.batch.run import Runner, StoppedError
from server.config import Config
from server.errors import BatchError
from server.log import Log
from server.service import Service
from store.audit import Origin

# Jobs of a worker that died are looked for this often.
LOOK_INTERVAL_S = 30.0
FORGET_INTERVAL_S = 3600.0
# After a disk or ledger that refused, and while another worker has the job.
RETRY_S = 2.0

log = Log("lianmu.batch")


class TooManyJobsError(BatchError):
    """The member has as many unfinished jobs as it may."""


class NotGrantedError(BatchError):
    """A database that the member may not download from; says so in both languages."""


class BatchDesk:
    """The jobs of the data folder, as one worker takes, does and shows them."""

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

    # What members ask

    def order(
        self,
        principal: Principal,
        form: str,
        encoding: str,
        databases: list[str],
        *,
        references: bool = False,
    ) -> Order:
        """What is asked for, for the institution of `principal`.

        Raises:
            NotGrantedError: it may not download from a database.
            BatchError: there is no such form, encoding or database.
        """
        reason = refused_format(form, encoding)
        found = databases_for(
            self._service.catalogue, databases or ("all",), principal, Operation.BATCH
        )
        if isinstance(found, Diagnostic) and found.condition == Bib1.DATABASE_ACCESS_DENIED:
            raise NotGrantedError(found.addinfo)
        if reason or isinstance(found, Diagnostic):
            told = found.addinfo if isinstance(found, Diagnostic) else ""
            raise BatchError(reason or f"there is no database {told}")
        return Order(
            institution=principal.institution, account=principal.account,
            databases=tuple(database.name for database in found),
            format=form, encoding=encoding, served=True, references=references,
        )  # fmt: skip

    def make(
        self, order: Order, lines: list[Line], origin: Origin, *, again: bool = False
    ) -> tuple[Job, bool]:
        """The job of this list, and whether it is new. Blocks on the disk.

        A list that was given before is the same job, unless it is wanted `again`. The
        audit is told of a new one.

        Raises:
            TooManyJobsError: the member has to wait until one has ended.
            BatchError: no further job can be made.
            MemberError: the audit cannot be written.
        """
        unfinished = [
            job for job in self._jobs.of(order.institution)
            if job.made().order.served and not job.state().phase.ended
        ]  # fmt: skip
        job: Job | None = None
        is_new = False
        if len(unfinished) < self._config.batch.jobs_at_once_max:
            job, is_new = self._jobs.create(order, lines, _now_us(), again=again)
        else:
            # A request that is sent again is answered even now.
            job = self._jobs.existing(order, lines, again=again)
        if job is None:
            raise TooManyJobsError(f"{len(unfinished)} jobs are unfinished; wait for one to end")
        if is_new:
            log.info(
                "batch job made", job=job.id, institution=order.institution, account=order.account,
                numbers=len(lines),
            )  # fmt: skip
            note_down(
                self._config, origin, "batch", order.institution, _now_us(), who=origin.account,
                subject=job.id, after=f"{len(lines)} numbers",
            )  # fmt: skip
            self._loop_wake()
        return job, is_new

    def jobs_of(self, institution: str) -> list[Job]:
        """The jobs of a member, the newest first. Blocks on the disk."""
        return list(reversed(self._jobs.of(institution)))

    def job_of(self, institution: str, name: str) -> Job | None:
        """One job, if it is the member's. Blocks on the disk."""
        job = self._jobs.get(name)
        if job is not None and job.made().order.institution == institution:
            return job
        return None

    def cancel(self, job: Job, origin: Origin) -> State | None:
        """Ask for the end of a job; its state if it is too late for that. Blocks on the disk.

        Raises:
            MemberError: the audit cannot be written.
        """
        state = job.state()
        if state.phase in (Phase.BILLING, Phase.DONE, Phase.FAILED):
            return state
        note_down(
            self._config, origin, "batch cancel", job.made().order.institution, _now_us(),
            who=origin.account, subject=job.id, before=state.phase.value,
            after=Phase.CANCELLED.value,
        )  # fmt: skip
        job.cancel()
        self._loop_wake()
        return None

    def told(self, job: Job) -> dict[str, Any]:
        """How a job stands, as plain values; money is in fen. Blocks on the disk."""
        made, state = job.made(), job.state()
        price_fen = self._price_fen(made, state)
        phase = state.phase.value
        if job.cancelled and not state.phase.ended and state.phase is not Phase.BILLING:
            phase = "cancelling"
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
        }

    def report(self, job: Job) -> dict[str, Any]:
        """What became of each number of the list. Blocks on the disk."""
        made, state = job.made(), job.state()
        return report_document(made, state, rows_of(job), self._price_fen(made, state))

    def _loop_wake(self) -> None:
        if self._work is not None:
            self._work.get_loop().call_soon_threadsafe(self._wake.set)

    def _price_fen(self, made: Made, state: State) -> int:
        at_us = state.billed_at_us or made.created_us
        return tariff_at(at_us, self._tariffs).price_fen(BATCH_DELIVERY)


def rows_of(job: Job) -> list[dict[str, Any]]:
    """The lines of a job's report."""
    return report_rows(job.lines(), job.journal())


def _now_us() -> int:
    return time.time_ns() // 1000


def _give_up(job: Job, reason: str) -> None:
    """A job that was being billed is not given up: its entries may be there."""
    state = job.state()
    if state.phase is not Phase.BILLING:
        state.phase, state.reason, state.finished_us = Phase.FAILED, reason, _now_us()
        job.save(state, durable=True)
