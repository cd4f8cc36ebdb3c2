"""Failures of handlers become responses; a response begun is never mistaken for whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from aiohttp import ClientError, ClientSession, web
from aiohttp.test_utils import TestServer

from metering.interface import Receipt
from server.access_control.access import Principal, SignIn
from server.access_control.sessions import Sessions
from server.config import Access, Config, Http
from server.delivery.outbox import Outbox
from server.http.guard import Guard
from server.http.responses import send
from server.http.sign_in import principal_of, remember, sign_in
from server.metrics.counting import Counting
from server.metrics.registry import Board
from server.service import Service

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Ask = Callable[..., Awaitable[tuple[int, bytes]]]


class Meter:
    """Remembers which receipts were voided."""

    def __init__(self) -> None:
        self.voided: list[Receipt] = []

    def void(self, receipt: Receipt, reason: str) -> None:
        self.voided.append(receipt)


class Guarded:
    """A guard over one handler at `/`, with the services it needs and no others."""

    def __init__(self, handler: Handler, **http: Any) -> None:
        self.meter = Meter()
        self.outbox = Outbox(cast(Any, self.meter))
        self.sessions = Sessions(0)
        config = msgspec.structs.replace(Config(), http=Http(**http))
        service = SimpleNamespace(
            config=config, sessions=self.sessions, counting=Counting(Board(1).worker(0)),
            sign_in=SignIn(Path("none.sqlite"), Access(anonymous=True)),
        )  # fmt: skip
        self.app = web.Application()
        Guard(config, cast(Service, service), self.outbox).install(self.app)
        self.app.router.add_get("/", handler)

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[Ask]:
        async with TestServer(self.app) as server, ClientSession() as session:

            async def ask(**headers: str) -> tuple[int, bytes]:
                url = server.make_url("/")
                async with session.get(url, headers=headers, allow_redirects=False) as response:
                    return response.status, await response.read()

            yield ask


async def test_a_handler_that_fails_is_500_without_a_traceback() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        raise ValueError("a secret of the house")

    guarded = Guarded(handler)
    async with guarded.asked() as ask:
        status, body = await ask()
        page = await ask(Accept="text/html")
    assert (status, page[0]) == (500, 500)
    for each in (body, page[1]):
        assert b"Temporary system error" in each
        assert b"secret" not in each
        assert b"Traceback" not in each
    assert guarded.sessions.counters.failures == 2


async def test_a_handler_that_takes_too_long_is_503() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        raise AssertionError

    async with Guarded(handler, request_timeout_s=0.05).asked() as ask:
        status, body = await ask()
    assert status == 503
    assert b"took too long" in body


async def test_sending_may_take_longer_than_making() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = await send(request, [b"x" * 100_000], content_type="text/plain")
        await asyncio.sleep(0.2)
        return response

    async with Guarded(handler, request_timeout_s=0.05).asked() as ask:
        assert await ask() == (200, b"x" * 100_000)


async def test_a_response_that_breaks_off_is_no_whole_response_and_voids_what_waits() -> None:
    waiting = Receipt(1, 2)

    async def handler(request: web.Request) -> web.StreamResponse:
        def chunks() -> Iterator[bytes]:
            yield b"x" * 200_000
            yield b"x" * 200_000  # taken once the first has gone
            yield b"x" * 200_000
            assert request.transport is not None
            guarded.outbox.add(request.transport, waiting)
            raise ValueError("broken")

        return await send(request, chunks(), content_type="text/plain")

    guarded = Guarded(handler)
    async with guarded.asked() as ask:
        with pytest.raises(ClientError):
            await ask()
    assert guarded.meter.voided == [waiting]
    assert guarded.sessions.counters.failures == 1


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (web.HTTPForbidden(), 403, "Forbidden"),
        (web.HTTPNotFound(), 404, "There is nothing at /."),
        (web.HTTPConflict(reason="Another was first"), 409, "Another was first"),
        (web.RequestPayloadError("cut"), 400, "The body cannot be read: cut."),
    ],
)
async def test_what_a_handler_refuses_is_a_problem_document_for_a_program(
    error: Exception, status: int, detail: str
) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        raise error

    guarded = Guarded(handler)
    # Not an SRU route, whose clients read diagnostics.
    guarded.app.router.add_get("/other/path", handler)
    async with (
        TestServer(guarded.app) as server,
        ClientSession() as session,
        session.get(server.make_url("/other/path")) as response,
    ):
        told = json.loads(await response.read())
    assert (response.status, told["status"]) == (status, status)
    assert told["detail"] == detail.replace("at /.", "at /other/path.")


async def test_who_is_known_otherwise_is_who_asks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    member = Principal("pku", "PKU")

    async def handler(request: web.Request) -> web.StreamResponse:
        remember(request, member)
        assert await sign_in(cast(Service, None), request) == member
        assert principal_of(request) == member
        return web.Response()

    async with Guarded(handler).asked() as ask:
        assert (await ask())[0] == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_redirection_is_left_alone() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/elsewhere")

    async with Guarded(handler).asked() as ask:
        assert (await ask())[0] == 302
