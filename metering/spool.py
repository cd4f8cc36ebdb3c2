"""The meter of one worker: group commit of all its connections into one spool."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from metering.interface import Delivery, MeteringError, Receipt
from metering.spool_writer import SEGMENT_SIZE_BYTES_MAX, Disk, SpoolWriter, Sync

DELIVERIES_MAX = 65_536  # in one call
GROUP_CALLS_MAX = 4_096
MARK_INTERVAL_S = 0.02
# A disk that takes longer, several times in a row, is waited for in a thread, so
# that it holds up nobody else; a faster one on the spot, which is cheaper than to
# wake a thread.
SLOW_COMMIT_S = 0.002
SLOW_COMMITS = 3
SLOW_PAUSE_S = 0.25  # until it is tried again
# Clients that were answered a moment ago are likely to ask again at once. A group
# waits for them, unless it is large already, for that costs less of the processor
# than one write each; where they do not come it is not tried again for a while.
RETURN_S = 0.001
ENOUGH_CALLS = 32
MISSES_MAX = 3
MISSES_PAUSE_S = 0.1

_NOTHING = Receipt(0, 0)
_CANCELLED = "cancelled before the answer"


def utc_us() -> int:
    """Microseconds since 1970 by the system's clock."""
    return time.time_ns() // 1_000


class _Call:
    """The deliveries of one response, on their way to the disk."""

    __slots__ = ("at_us", "cancelled", "deliveries", "done", "outcome", "resume")

    def __init__(self, at_us: int, deliveries: Sequence[Delivery]) -> None:
        self.at_us = at_us
        self.deliveries = deliveries
        self.outcome: Receipt | MeteringError | None = None
        self.resume: Callable[[], object] | None = None
        self.cancelled = False
        self.done = False  # the outcome was told, in the event loop

    def __await__(self) -> Generator[object, None, Receipt]:
        if self.outcome is None:
            if asyncio.current_task() is None:
                yield self  # whoever drives this coroutine sets `resume`
            else:
                future = asyncio.get_running_loop().create_future()

                def resume() -> None:
                    if not future.done():
                        future.set_result(None)

                self.resume = resume
                yield from future
        outcome = self.outcome
        if isinstance(outcome, MeteringError):
            raise outcome
        assert outcome is not None  # noqa: S101 - resumed with one
        return outcome


@dataclass(slots=True)
class SpoolStatistics:
    """Since the start; written by the spool's thread, read by anyone."""

    groups: int = 0  # one durable write each
    deliveries: int = 0
    failures: int = 0  # groups that could not be stored
    commit_s: float = 0.0  # wall time in the disk


class SpoolMeter:
    """Implements `Meter` for the tasks of one event loop.

    The deliveries of all connections that wait are made durable with one write,
    and their callers go on; those that come in the meantime are the next group.
    The write happens in the event loop while the disk is fast, and in a thread
    when it is not or when the spool needs room. The spool is made at the first
    delivery, so a full disk at start-up stops deliveries but not the server.
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
        # Filled by the loop and emptied by who commits: the thread while `_busy`.
        self._calls: deque[_Call] = deque()
        self._confirmed: deque[Receipt] = deque()
        self._voided: deque[tuple[Receipt, int, str]] = deque()
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._busy = False
        self._gathering = False
        self._slow_until_s = 0.0
        self._slow_commits = 0
        self._gathered = 0  # calls that waited one turn of the loop ago
        self._returning = 0  # of the last group's callers, those that have not come again
        self._return_by_s = 0.0
        self._return_timer: asyncio.TimerHandle | None = None
        self._misses = 0  # groups in a row that waited in vain
        self._no_wait_until_s = 0.0
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
        call = self.enter(deliveries)
        try:
            return await call
        except asyncio.CancelledError:
            call.cancelled = True
            if call.done and isinstance(call.outcome, Receipt):
                self.void(call.outcome, _CANCELLED)
            raise

    def enter(self, deliveries: Sequence[Delivery]) -> _Call:
        """Begin to make one or more entries durable.

        Raises:
            MeteringError: they cannot be stored.
        """
        if len(deliveries) > DELIVERIES_MAX:
            raise MeteringError(f"{len(deliveries)} deliveries in one response")
        loop = self._loop or self._start()
        if self._closing:
            raise MeteringError("the meter is closed")
        call = _Call(self._clock(), deliveries)
        self._calls.append(call)
        if self._returning:
            self._returning -= 1
        if not self._gathering:
            if not self._busy:
                self._gather(loop)
        elif self._return_timer is not None and (
            not self._returning or len(self._calls) >= ENOUGH_CALLS
        ):
            self._all_returned(loop, self._return_timer)
        return call

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
            if self._loop is not None and not self._gathering and not self._busy:
                self._gather(self._loop)

    async def close(self) -> None:
        """Store what waits, give the spool up and end the thread.

        Receipts that are still open count as not sent.

        Raises:
            MeteringError: the last confirmations could not be stored.
        """
        if self._closing:
            return
        self._closing = True
        for timer in (self._mark_timer, self._return_timer):
            if timer is not None:
                timer.cancel()
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

    def _gather(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the connections that have requests now or in a moment take part in the next group."""
        self._gathering = True
        if self._returning:
            now_s = loop.time()
            if self._no_wait_until_s <= now_s < self._return_by_s:
                self._return_timer = loop.call_later(self._return_by_s - now_s, self._not_returned)
                return
        loop.call_soon(self._begin)

    def _all_returned(self, loop: asyncio.AbstractEventLoop, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        self._return_timer = None
        self._misses = 0
        self._gathered = len(self._calls)
        loop.call_soon(self._begin)

    def _not_returned(self) -> None:
        self._return_timer = None
        self._misses += 1
        if self._misses == MISSES_MAX:
            self._misses = 0
            self._no_wait_until_s = asyncio.get_running_loop().time() + MISSES_PAUSE_S
        self._begin()

    def _begin(self) -> None:
        """Commit what waits, here or in the thread, unless the last turn brought more."""
        waiting = len(self._calls)
        if waiting > self._gathered and self._loop is not None:
            self._gathered = waiting
            self._loop.call_soon(self._begin)
            return
        self._gathered = 0
        self._gathering = False
        if not (self._calls or self._voided) or self._closing:
            return
        begun_s = time.perf_counter()
        if begun_s < self._slow_until_s or not self._writer.has_room:
            self._busy = True
            self._jobs.put(self._commit_in_thread)
            return
        group = self._commit()
        ended_s = time.perf_counter()
        self._slow_commits = self._slow_commits + 1 if ended_s - begun_s > SLOW_COMMIT_S else 0
        if self._slow_commits == SLOW_COMMITS:
            self._slow_commits = 0
            self._slow_until_s = ended_s + SLOW_PAUSE_S
        self._done(group)
        self._gather_rest()

    def _mark_soon(self) -> None:
        if self._loop is not None and not self._closing:
            self._mark_timer = self._loop.call_later(MARK_INTERVAL_S, self._mark)

    def _mark(self) -> None:
        self._mark_timer = None
        if self._busy or self._gathering:
            self._mark_soon()
        elif time.perf_counter() < self._slow_until_s:
            self._busy = True
            self._jobs.put(self._mark_in_thread)
        else:
            self._write_mark()

    def _thread_done(self, group: list[_Call]) -> None:
        """The thread has ended a job."""
        self._busy = False
        self._done(group)
        self._gather_rest()

    def _gather_rest(self) -> None:
        """Go on with what came meanwhile, or was too much for one group."""
        if (self._calls or self._voided) and self._loop is not None and not self._gathering:
            self._gather(self._loop)

    def _done(self, group: list[_Call]) -> None:
        """The group is stored, or could not be."""
        if group:
            if self._mark_timer is None:
                self._mark_soon()
            self._returning = len(group)
            if self._loop is not None:
                self._return_by_s = self._loop.time() + RETURN_S
        for call in group:
            call.done = True
            if call.cancelled:
                if isinstance(call.outcome, Receipt):
                    self.void(call.outcome, _CANCELLED)
            elif call.resume is not None:
                try:
                    call.resume()
                except Exception as error:
                    # Of one connection; the others of the group still go on.
                    asyncio.get_running_loop().call_exception_handler(
                        {"message": "an answer could not be sent", "exception": error}
                    )

    # What follows may run in the thread.

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _commit_rest(self) -> None:
        while self._calls or self._voided:
            self._commit_in_thread()

    def _commit_in_thread(self) -> None:
        self._report(self._commit())

    def _mark_in_thread(self) -> None:
        self._write_mark()
        self._report([])

    def _report(self, group: list[_Call]) -> None:
        # A loop that ended without close() has nobody left to send anything.
        with contextlib.suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._thread_done, group)

    def _commit(self) -> list[_Call]:
        """Store a group, and give each call its outcome."""
        calls = self._calls
        group = [
            call
            for _ in range(min(len(calls), GROUP_CALLS_MAX))
            if not (call := calls.popleft()).cancelled
        ]
        self._settle()
        begun_s = time.perf_counter()
        self._store(group)
        self.statistics.commit_s += time.perf_counter() - begun_s
        self.statistics.groups += 1
        return group

    def _store(self, group: list[_Call]) -> None:
        try:
            receipts = self._writer.commit([(call.at_us, call.deliveries) for call in group])
        except MeteringError as error:
            if len(group) > 1 and not isinstance(error.__cause__, OSError):
                # One call that has no stored form must not fail its neighbours.
                for call in group:
                    self._store([call])
                return
            self.statistics.failures += 1
            for call in group:
                call.outcome = error
            return
        for call, receipt in zip(group, receipts, strict=True):
            call.outcome = receipt
            self.statistics.deliveries += receipt.count

    def _write_mark(self) -> None:
        self._settle()
        try:
            self._writer.mark()
        except MeteringError:
            self.statistics.failures += 1  # they stay noted for the next frame

    def _settle(self) -> None:
        confirmed = [self._confirmed.popleft() for _ in range(len(self._confirmed))]
        voided = [self._voided.popleft() for _ in range(len(self._voided))]
        if confirmed or voided:
            self._writer.settle(confirmed, voided)
