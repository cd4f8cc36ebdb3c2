"""Server-sent events: a page is told of what changes as long as it is open.

One task of a worker makes each message for all who listen to it, and only while
anybody does. A listener that reads slowly misses messages rather than having
them wait: each is the whole of what there is to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import hdrs, web

from server.http.deadline import DEADLINE
from server.http.refusals import refuse
from server.log import Log
from server.metrics.counting import ENDLESS

LISTENERS_MAX = 32  # of one worker
HEARTBEAT_S = 15.0  # proxies close what is silent for a minute
RETRY_MS = 5000  # how long a browser waits before it comes again

_HEADERS: Mapping[str, str] = {
    hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",  # a proxy is to pass each event on at once
    "X-Content-Type-Options": "nosniff",
}

log = Log("lianmu.status")


class Stream:
    """What the listeners of one worker are told."""

    def __init__(
        self,
        make: Callable[[], Awaitable[Mapping[str, bytes]]],
        interval_s: float,
        *,
        write_timeout_s: float,
        listeners_max: int = LISTENERS_MAX,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        """`make` gives the data of the next message by variant, such as a language.

        It must hold no line break. A message goes out each `interval_s` when it
        differs from the one before, and a heartbeat when none did for `heartbeat_s`.
        """
        self._make = make
        self._interval_s = interval_s
        self._write_timeout_s = write_timeout_s
        self._listeners_max = listeners_max
        self._heartbeat_s = heartbeat_s
        self._listeners = 0
        self._latest: Mapping[str, bytes] = {}
        self._version = 0
        self._changed = asyncio.Condition()
        self._maker: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def listeners(self) -> int:
        return self._listeners

    async def serve(
        self, request: web.Request, variant: str, is_allowed: Callable[[], bool]
    ) -> web.StreamResponse:
        """Tell `request` until it goes, the server stops, or `is_allowed` says no more.

        That is asked before anything is sent.

        Raises:
            ConnectionError: the listener went, or reads nothing any more.
        """
        if self._stopping or self._listeners >= self._listeners_max:
            return refuse(
                request, 503, "Too many pages are told of changes; reload this one instead.",
                {hdrs.RETRY_AFTER: "30"},
            )  # fmt: skip
        if DEADLINE in request:
            request[DEADLINE].lift()
        response = web.StreamResponse(headers=_HEADERS)
        request[ENDLESS] = True
        self._listeners += 1
        try:
            await response.prepare(request)
            self._begin()
            await self._tell(response, variant, is_allowed)
            await response.write_eof()
        finally:
            self._listeners -= 1
            if not self._listeners and self._maker is not None:
                self._maker.cancel()
                self._maker = None
        return response

    async def stop(self) -> None:
        """Let every listener go; further ones are refused."""
        self._stopping = True
        async with self._changed:
            self._changed.notify_all()

    async def _tell(
        self, response: web.StreamResponse, variant: str, is_allowed: Callable[[], bool]
    ) -> None:
        seen = 0
        await self._write(response, f"retry: {RETRY_MS}\n\n".encode())
        while True:
            changed = await self._wait(seen)
            if self._stopping or not is_allowed():
                return
            if not changed:
                await self._write(response, b": still here\n\n")
                continue
            seen = self._version
            data = self._latest.get(variant)
            if data is not None:
                await self._write(response, b"data: %b\n\n" % data)

    async def _wait(self, seen: int) -> bool:
        """Whether there is a message after number `seen`; False: not for a heartbeat's time."""
        async with self._changed:
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    await self._changed.wait_for(lambda: self._version != seen or self._stopping)
            except TimeoutError:
                return False
        return True

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        try:
            async with asyncio.timeout(self._write_timeout_s):
                await response.write(data)
        except TimeoutError:
            raise ConnectionError("the client reads nothing") from None

    def _begin(self) -> None:
        if self._maker is None or self._maker.done():
            self._latest = {}  # it is of when somebody listened last
            self._maker = asyncio.get_running_loop().create_task(self._go_on_making())

    async def _go_on_making(self) -> None:
        while True:
            try:
                message = await self._make()
            except Exception:
                log.exception("a message of the status cannot be made")
            else:
                if message != self._latest:
                    async with self._changed:
                        self._latest = message
                        self._version += 1
                        self._changed.notify_all()
            await asyncio.sleep(self._interval_s)
