"""Server-sent events: who is told, how often, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientPayloadError, ClientResponse, ClientSession, web
from aiohttp.test_utils import TestServer

from server.live.stream import Stream


class Source:
    """What is told: counts how often it was asked, and can fail."""

    def __init__(self) -> None:
        self.text = b"one"
        self.made = 0
        self.failing = False

    async def __call__(self) -> Mapping[str, bytes]:
        self.made += 1
        if self.failing:
            raise RuntimeError("cannot be told")
        return {"en": self.text, "zh": b"zh-" + self.text}


class Told:
    """A stream at a server, and whether its listeners may listen on."""

    def __init__(self, server: TestServer, stream: Stream, source: Source) -> None:
        self.server = server
        self.stream = stream
        self.source = source
        self.is_allowed = True

    @asynccontextmanager
    async def listening(self, language: str = "en") -> AsyncIterator[ClientResponse]:
        address = self.server.make_url(f"/?{language}")
        async with ClientSession() as client, client.get(address) as response:
            yield response


@asynccontextmanager
async def told(
    *, listeners_max: int = 3, heartbeat_s: float = 5.0, write_timeout_s: float = 5.0
) -> AsyncIterator[Told]:
    source = Source()
    stream = Stream(
        source, 0.01, write_timeout_s=write_timeout_s, listeners_max=listeners_max,
        heartbeat_s=heartbeat_s,
    )  # fmt: skip

    async def respond(request: web.Request) -> web.StreamResponse:
        return await stream.serve(request, request.query_string, lambda: it.is_allowed)

    app = web.Application()
    app.router.add_get("/", respond)
    async with TestServer(app) as server:
        it = Told(server, stream, source)
        yield it
        await stream.stop()


async def event(response: ClientResponse) -> bytes:
    """The next event or comment, without the blank line that ends it."""
    async with asyncio.timeout(5):
        line = await response.content.readline()
        assert await response.content.readline() == b"\n"
    return line.rstrip(b"\n")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - it is looked at, not told
            await asyncio.sleep(0.01)


async def test_each_listener_is_told_what_there_is_and_then_what_changes() -> None:
    async with told() as it, it.listening() as english, it.listening("zh") as chinese:
        assert english.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert english.headers["Cache-Control"] == "no-store"
        assert await event(english) == await event(chinese) == b"retry: 5000"
        assert await event(english) == b"data: one"
        assert await event(chinese) == b"data: zh-one"
        made = it.source.made
        await until(lambda: it.source.made > made + 3)  # the same again is not told
        it.source.text = b"two"
        assert await event(english) == b"data: two"
        assert await event(chinese) == b"data: zh-two"


async def test_nothing_is_made_while_nobody_listens() -> None:
    async with told() as it:
        async with it.listening() as response:
            await event(response)
            assert await event(response) == b"data: one"
        it.source.text = b"two"  # the next write finds the listener gone
        await until(lambda: it.stream.listeners == 0)
        made = it.source.made
        await asyncio.sleep(0.05)
        assert it.source.made == made
        async with it.listening() as response:
            await event(response)
            assert await event(response) == b"data: two"


async def test_a_silent_stream_has_a_heartbeat() -> None:
    async with told(heartbeat_s=0.05) as it, it.listening() as response:
        assert [await event(response) for _ in range(2)] == [b"retry: 5000", b"data: one"]
        assert await event(response) == b": still here"
        assert await event(response) == b": still here"


async def test_no_more_listen_than_may() -> None:
    async with told(listeners_max=1) as it, it.listening() as first:
        await event(first)
        async with it.listening() as second:
            assert second.status == 503
            assert second.headers["Retry-After"] == "30"
        assert it.stream.listeners == 1


async def test_who_may_not_listen_any_more_is_let_go() -> None:
    async with told(heartbeat_s=0.05) as it, it.listening() as response:
        assert [await event(response) for _ in range(2)] == [b"retry: 5000", b"data: one"]
        it.is_allowed = False
        async with asyncio.timeout(5):
            rest = await response.content.read()
        assert rest.replace(b": still here\n\n", b"") == b""
        await until(lambda: it.stream.listeners == 0)


async def test_all_are_let_go_when_the_server_stops() -> None:
    async with told() as it, it.listening() as response:
        await event(response)
        assert await event(response) == b"data: one"
        await it.stream.stop()
        async with asyncio.timeout(5):
            assert await response.content.read() == b""
        async with it.listening() as late:
            assert late.status == 503


async def test_what_cannot_be_made_is_logged_and_made_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with told() as it:
        it.source.failing = True
        async with it.listening() as response:
            await event(response)
            await until(lambda: it.source.made > 2)
            it.source.failing = False
            assert await event(response) == b"data: one"
    assert "a message of the status cannot be made" in caplog.text


async def test_who_reads_nothing_is_cut_off() -> None:
    async with told(write_timeout_s=0.1) as it, it.listening() as response:
        await event(response)
        response.connection.transport.pause_reading()  # type: ignore[union-attr]
        number = 0

        def gone() -> bool:
            nonlocal number
            number += 1
            it.source.text = b"%d" % number + b"x" * 1_000_000
            return it.stream.listeners == 0

        await until(gone)
        with pytest.raises((ClientPayloadError, AssertionError)):
            response.connection.transport.resume_reading()  # type: ignore[union-attr]
            await response.content.read()
            raise AssertionError("cut off as it should be")
