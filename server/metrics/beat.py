"""What a worker notes of itself once a second: that it turns, how late, and its levels."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from server.delivery.outbox import Outbox
from server.metrics.layout import (
    DELIVERIES_ENTERED,
    FAILURES,
    PROTOCOL_ERRORS,
    SESSIONS,
    SPOOL_WRITE_FAILURES,
    SPOOL_WRITE_TIME,
    SPOOL_WRITES,
    Counter,
    Level,
)
from server.service import Service

INTERVAL_S = 1.0


class _Followed(NamedTuple):
    """A count that others keep, and the counter that follows it."""

    counter: Counter
    value: Callable[[], int]


class Beat:
    """A timer of the event loop; `start` and `stop` are called in that."""

    def __init__(self, service: Service, outbox: Outbox, http_connections: Callable[[], int]):
        self._figures = service.figures
        self._lag = service.figures.timing("process", "event_loop_lag")
        counters, spool = service.sessions.counters, service.meter.statistics
        self._followed = (
            _Followed(SESSIONS, lambda: counters.sessions),
            _Followed(PROTOCOL_ERRORS, lambda: counters.protocol_errors),
            _Followed(FAILURES, lambda: counters.failures),
            _Followed(DELIVERIES_ENTERED, lambda: spool.deliveries),
            _Followed(SPOOL_WRITES, lambda: spool.groups),
            _Followed(SPOOL_WRITE_FAILURES, lambda: spool.failures),
            _Followed(SPOOL_WRITE_TIME, lambda: int(spool.commit_s * 1e9)),
        )
        self._seen = [0] * len(self._followed)
        self._levels: dict[Level, Callable[[], int]] = {
            Level.SESSIONS_OPEN: lambda: len(service.sessions),
            Level.CONNECTIONS_HTTP: http_connections,
            Level.UNCONFIRMED: lambda: outbox.unconfirmed,
            Level.TURNED_NS: time.monotonic_ns,
        }
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._arm(asyncio.get_running_loop())

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.note()

    def note(self) -> None:
        """Write down what has changed since the last time."""
        for place, (counter, value) in enumerate(self._followed):
            now = value()
            if now != self._seen[place]:
                self._figures.count(counter, by=now - self._seen[place])
                self._seen[place] = now
        for level, value in self._levels.items():
            self._figures.set(level, value())

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        due_s = loop.time() + INTERVAL_S
        self._timer = loop.call_at(due_s, self._turn, loop, due_s)

    def _turn(self, loop: asyncio.AbstractEventLoop, due_s: float) -> None:
        self._lag.add(max(0, int((loop.time() - due_s) * 1e9)))
        self.note()
        self._arm(loop)
