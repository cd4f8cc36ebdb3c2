"""The task of a worker that does ISBN jobs; what asks for them is `server/api/batch.py`.

Every worker may do every job of the data folder; a lock lets one of them. Jobs whose
worker died are taken up by whoever looks next.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from metering.entry import DAY_US
from metering.interface import MeteringError
from metering.ledger import Ledger
from metering.tariff import BATCH_DELIVERY, tariff_at
from server.batch_isbns import Line
from server.batch_job import BusyError, Job, Jobs, Made, Order, Phase, State
from server.batch_run import Runner, StoppedError
from server.config import Config
from server.errors import BatchError
from server.log import Log
from server.service import Service

# Jobs of a worker that died are looked for this often.
LOOK_INTERVAL_S = 30.0
FORGET_INTERVAL_S = 3600.0
# After a disk or ledger that refused, and while another worker has the job.
RETRY_S = 2.0

log = Log("lianmu.batch")


class BatchWorker:
    """The jobs of the data folder, and one worker's part in doing them."""

    def __init__(self, config: Config, service: Service) -> None:
        self._config = config
        self._service = service
        self.jobs = Jobs(config.batch_dir)
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
            await asyncio.to_thread(self.jobs.forget, forget_us)
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
        for job in self.jobs.all():
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

    # What requests ask

    def make(self, order: Order, lines: list[Line], again: bool) -> tuple[Job | None, bool]:
        """A job for the order, and whether it is new; None: too many are unfinished.

        Blocks on the disk, in any thread.

        Raises:
            BatchError: no further job of the list can be made.
        """
        unfinished = [
            job for job in self.jobs.of(order.institution)
            if job.made().order.served and not job.state().phase.ended
        ]  # fmt: skip
        if len(unfinished) >= self._config.batch.jobs_at_once_max:
            # A request that is sent again is answered even now.
            return self.jobs.existing(order, lines, again=again), False
        job, is_new = self.jobs.create(order, lines, _now_us(), again=again)
        if is_new:
            log.info(
                "batch job made", job=job.id, institution=order.institution, account=order.account,
                numbers=len(lines),
            )  # fmt: skip
            self.wake()
        return job, is_new

    def wake(self) -> None:
        """Have this worker look at the jobs now; from any thread."""
        if self._work is not None:
            self._work.get_loop().call_soon_threadsafe(self._wake.set)

    def price_fen(self, made: Made, state: State) -> int:
        """What a record costs in a job, by the tariff of the time when it is billed."""
        at_us = state.billed_at_us or made.created_us
        return tariff_at(at_us, self._tariffs).price_fen(BATCH_DELIVERY)


def _now_us() -> int:
    return time.time_ns() // 1000


def _give_up(job: Job, reason: str) -> None:
    """A job that was being billed is not given up: its entries may be there."""
    state = job.state()
    if state.phase is not Phase.BILLING:
        state.phase, state.reason, state.finished_us = Phase.FAILED, reason, _now_us()
        job.save(state, durable=True)
