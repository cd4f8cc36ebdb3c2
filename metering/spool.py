"""The meter of one worker: group commit of all its connections into one spool."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from metering.interface import Delivery, MeteringError, Receipt
from metering.spool_writer import SEGMENT_SIZE_BYTES_MAX, Disk, SpoolWriter, Sync

DELIVERIES_MAX = 65_536  # in one call
GROUP_CALLS_MAX = 4_096
MARK_INTERVAL_S = 0.02

_Call = tuple[int, Sequence[Delivery], "asyncio.Future[Receipt]"]
_NOTHING = Receipt(0, 0)


def utc_us() -> int:
    """Microseconds since 1970 by the system's clock."""
    return time.time_ns() // 1_000


@dataclass(slots=True)
class SpoolStatistics:
    """Since the start; written by the spool's thread, read by anyone."""

    groups: int = 0  # one durable write each
    deliveries: int = 0
    failures: int = 0  # groups that could not be stored
    commit_s: float = 0.0  # wall time in the disk


class SpoolMeter:
    """Implements `Meter` for the tasks of one event loop.

    A thread makes the deliveries that wait durable with one write, resolves all
    their futures at once, and takes those that came in the meantime as the next
    group. The spool is made at the first delivery, so a full disk at start-up
    stops deliveries but not the server.
    """

    def __init__(
        self,
        root: Path,
        *,
        owner: str = "",
        clock: Callable[[], int] = utc_us,
        sync: Sync = "always",
        disk: Disk | None = None,
        segment_size_bytes_max: int = SEGMENT_SIZE_BYTES_MAX,
    ) -> None:
        """`root` is the folder of all spools, `clock` UTC in microseconds.

        `sync="off"` leaves durability to the system; for tests only.
        """
        self.statistics = SpoolStatistics()
        self._clock = clock
        self._writer = SpoolWriter(
            root,
            owner=owner,
            clock=clock,
            sync=sync,
            disk=disk,
            segment_size_bytes_max=segment_size_bytes_max,
        )
        # Filled by the loop and emptied by the thread, which works while `_busy`.
        self._calls: deque[_Call] = deque()
        self._confirmed: deque[Receipt] = deque()
        self._voided: deque[tuple[Receipt, int, str]] = deque()
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._busy = False
        self._gathering = False
        self._gathered = 0
        self._mark_timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    async def deliver(self, deliveries: Sequence[Delivery]) -> Receipt:
        """Return once the entries survive a crash; the receipt waits for its settling.

        A caller cancelled while it waits need not settle anything.

        Raises:
            MeteringError: they could not be stored; nothing may be sent.
        """
        if not deliveries:
            return _NOTHING
        if len(deliveries) > DELIVERIES_MAX:
            raise MeteringError(f"{len(deliveries)} deliveries in one response")
        loop = self._loop or self._start()
        if self._closing:
            raise MeteringError("the meter is closed")
        future: asyncio.Future[Receipt] = loop.create_future()
        self._calls.append((self._clock(), deliveries, future))
        if not self._gathering and not self._busy:
            self._gather()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.void(future.result(), "cancelled before the answer")
            raise

    def confirm(self, receipt: Receipt) -> None:
        """The bytes were handed to the client's connection.

        Recorded with the next group, or after MARK_INTERVAL_S.
        """
        self._confirmed.append(receipt)
        if self._mark_timer is None:
            self._mark_soon()

    def void(self, receipt: Receipt, reason: str) -> None:
        """The bytes did not go out; the entries count nothing. Wins over a confirmation."""
        if receipt.count:
            self._voided.append((receipt, self._clock(), reason))
            if not self._gathering and not self._busy:
                self._gather()

    async def close(self) -> None:
        """Store what waits, give the spool up and end the thread.

        Receipts that are still open count as not sent.

        Raises:
            MeteringError: the last confirmations could not be stored.
        """
        if self._closing:
            return
        self._closing = True
        if self._mark_timer is not None:
            self._mark_timer.cancel()
        if self._loop is not None and self._thread is not None:
            self._jobs.put(self._commit_rest)
            self._jobs.put(None)
            await self._loop.run_in_executor(None, self._thread.join)
        self._settle()
        self._writer.close()

    @property
    def spool(self) -> Path | None:
        """The folder of this meter's spool, once it exists."""
        return self._writer.spool

    def _start(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="lianmu-spool", daemon=True)
        self._thread.start()
        return self._loop

    def _gather(self) -> None:
        """Begin a group as soon as one turn of the loop has brought no further call."""
        waiting = len(self._calls) + len(self._voided)
        if waiting > self._gathered and self._loop is not None:
            self._gathered = waiting
            self._gathering = True
            self._loop.call_soon(self._gather)
            return
        self._gathering = False
        self._gathered = 0
        if waiting and not self._closing:
            self._busy = True
            self._jobs.put(self._commit)

    def _mark_soon(self) -> None:
        if self._loop is not None and not self._closing:
            self._mark_timer = self._loop.call_later(MARK_INTERVAL_S, self._mark)

    def _mark(self) -> None:
        self._mark_timer = None
        if self._busy or self._gathering:
            self._mark_soon()
        else:
            self._busy = True
            self._jobs.put(self._write_mark)

    def _done(self, calls: list[_Call], results: list[Receipt | MeteringError]) -> None:
        """The thread has ended a job."""
        self._busy = False
        if calls and self._mark_timer is None:
            self._mark_soon()
        for (_, _, future), result in zip(calls, results, strict=True):
            if isinstance(result, MeteringError):
                if not future.cancelled():
                    future.set_exception(result)
            elif future.cancelled():
                self.void(result, "cancelled before the answer")
            else:
                future.set_result(result)
        if not self._gathering:
            self._gather()

    # What follows runs in the thread.

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _commit_rest(self) -> None:
        while self._calls or self._voided:
            self._commit()

    def _commit(self) -> None:
        # Calls that came since the job was given join the group.
        calls = [
            call
            for _ in range(min(len(self._calls), GROUP_CALLS_MAX))
            if not (call := self._calls.popleft())[2].cancelled()
        ]
        self._settle()
        begun = time.perf_counter()
        results = self._store(calls)
        self.statistics.commit_s += time.perf_counter() - begun
        self.statistics.groups += 1
        self._report(calls, results)

    def _write_mark(self) -> None:
        self._settle()
        try:
            self._writer.mark()
        except MeteringError:
            self.statistics.failures += 1  # they stay noted for the next frame
        self._report([], [])

    def _report(self, calls: list[_Call], results: list[Receipt | MeteringError]) -> None:
        # A loop that ended without close() has nobody left to send anything.
        with contextlib.suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._done, calls, results)

    def _store(self, calls: list[_Call]) -> list[Receipt | MeteringError]:
        try:
            receipts = self._writer.commit([(at_us, deliveries) for at_us, deliveries, _ in calls])
        except MeteringError as error:
            if len(calls) > 1 and not isinstance(error.__cause__, OSError):
                # One call that has no stored form must not fail its neighbours.
                return [result for call in calls for result in self._store([call])]
            self.statistics.failures += 1
            return [error] * len(calls)
        self.statistics.deliveries += sum(receipt.count for receipt in receipts)
        return list(receipts)

    def _settle(self) -> None:
        confirmed = [self._confirmed.popleft() for _ in range(len(self._confirmed))]
        voided = [self._voided.popleft() for _ in range(len(self._voided))]
        if confirmed or voided:
            self._writer.settle(confirmed, voided)
