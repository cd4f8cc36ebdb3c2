"""The time limit of requests: the same for all of a worker, so one timer serves them."""

from __future__ import annotations

import asyncio
from types import TracebackType

from aiohttp import web


class Deadlines:
    """Ends what takes longer than `limit_s` seconds, as `asyncio.timeout` does.

    That makes a timer for each request, which nearly always ends long before.
    Here the oldest request alone has one.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._running: dict[Deadline, None] = {}  # the oldest first
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Deadline:
        """The limit of what the current task does in the block that this opens."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101 - aiohttp runs each request in one
        deadline = Deadline(self._running, task, loop.time() + self._limit_s)
        self._running[deadline] = None
        if self._timer is None:
            self._timer = loop.call_at(deadline.ends_s, self._end_late_ones, loop)
        return deadline

    def _end_late_ones(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now_s = loop.time()
        for deadline in list(self._running):
            if deadline.ends_s > now_s:
                self._timer = loop.call_at(deadline.ends_s, self._end_late_ones, loop)
                return
            deadline.expire()


class Deadline:
    """Raises TimeoutError out of its block when the time is over before `lift`."""

    __slots__ = ("_cancelling", "_running", "_task", "ends_s", "expired")

    def __init__(
        self, running: dict[Deadline, None], task: asyncio.Task[object], ends_s: float
    ) -> None:
        self._running = running
        self._task = task
        self._cancelling = task.cancelling()
        self.ends_s = ends_s
        self.expired = False

    def lift(self) -> None:
        """From here on there is no limit."""
        self._running.pop(self, None)

    def expire(self) -> None:
        """The time is over: the task is cancelled, and the block makes a timeout of it."""
        self.lift()
        self.expired = True
        self._task.cancel()

    def __enter__(self) -> Deadline:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        self.lift()
        # Who else cancels the task means it, and is not told of a timeout.
        if (
            self.expired
            and self._task.uncancel() <= self._cancelling
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from error


# The limit of making the answer, which ends when sending it begins.
DEADLINE = web.RequestKey("DEADLINE", Deadline)
