"""One HTTP connection: the ledger hears how it ended, whoever closed it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from metering.interface import Receipt
from server.access_control.proxies import TrustedProxies
from server.config import Http
from server.delivery.outbox import Outbox
from server.http.at_once import AtOnce
from server.http.connection import Connection
from server.service import Service
from server.steering import Steering


class Meter:
    def __init__(self) -> None:
        self.settled: list[tuple[str, Receipt]] = []

    def confirm(self, receipt: Receipt) -> None:
        self.settled.append(("confirmed", receipt))

    def void(self, receipt: Receipt, reason: str) -> None:
        self.settled.append(("void", receipt))


class Wire(asyncio.Transport):
    """A transport whose peer takes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False

    def get_write_buffer_size(self) -> int:
        return 10

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def is_reading(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("error", "outcome"), [(None, "confirmed"), (ConnectionResetError(), "void")]
)
async def test_a_connection_that_we_close_settles_what_waits_when_it_ends(
    error: Exception | None, outcome: str
) -> None:
    async def handler(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    meter = Meter()
    outbox = Outbox(cast(Any, meter))
    others: set[Connection] = set()
    place = Steering((), 0).begin(0)
    service = SimpleNamespace(config=SimpleNamespace(http=Http()), place=place)
    connection = Connection(
        web.Server(handler), cast(Service, service), outbox, cast(AtOnce, None), others,
        asyncio.get_running_loop(), TrustedProxies(()),
    )  # fmt: skip
    wire = Wire()
    connection.connection_made(wire)
    outbox.add(wire, Receipt(1, 1))
    connection.force_close()  # as aiohttp does after the idle time, and at the end
    assert wire.closing
    outbox.settle()
    assert not meter.settled
    connection.connection_lost(error)
    assert meter.settled == [(outcome, Receipt(1, 1))]
    assert not others
    await outbox.finish()
