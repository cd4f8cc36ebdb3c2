"""Requests that are answered at once are told apart by where their clients are, too."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.config import load_config
from server.http.connection import Connection
from server.http.server import HttpServer
from server.service import Service
from server.z3950.server import Z3950Server
from store.access_changes import AccessChanges
from store.members import Members
from store.writer import CatalogueWriter
from tests.server.own_server import CONFIG, marc21
from tests.server.stand_ins import Wire

PROXY, CAMPUS, ELSEWHERE = "10.0.0.2", "192.0.2.7", "203.0.113.9"
QUERY = "/we_cat?version=1.2&operation=searchRetrieve&recordSchema=marcxml&query=rec.id=w"


class From(Wire):
    """A connection from an address."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._from = address

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self._from, 1) if name == "peername" else default


class Worker:
    def __init__(self, http: HttpServer) -> None:
        self._http = http

    async def ask(self, peer: str, number: int, *headers: str) -> tuple[int, bool]:
        """Status of the response to the same request for another record, and whether it
        was answered at once, on a connection of its own."""
        connection: Connection = self._http._connection(asyncio.get_running_loop())
        wire = From(peer)
        connection.connection_made(wire)
        await asyncio.sleep(0.01)
        lines = (f"GET {QUERY}{number} HTTP/1.1", "Host: x", *headers, "", "")
        connection.data_received("\r\n".join(lines).encode())
        await wire.wait(0)
        await asyncio.sleep(0.01)
        status = int(b"".join(wire.written).split()[1])
        handed_on = connection._request_count  # what aiohttp was given
        connection.connection_lost(None)
        return status, not handed_on


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    access = f'trusted_proxies = ["{PROXY}"]\nproxy_protocol = []'
    path = tmp_path / "config.toml"
    path.write_text(
        CONFIG.format(
            present_records_max=10, http="", sru="", z3950="", workers=1, access=access
        )
    )  # fmt: skip
    config = load_config(path)
    writer = CatalogueWriter(
        config.data_dir, config.databases, durable=False, merge_after_records=None
    )
    with writer.transaction():
        for number in range(9):
            writer.put("we_cat", marc21(f"w{number}", f"Volume {number}"))
        writer.merge_all()
    writer.close()
    members = Members(config.members_path, create=True)
    members.add_member("PKU", "Peking University Library", "pw", 1)
    AccessChanges(members).add_range("PKU", f"{CAMPUS}/32", 1, account="pku", who="li")
    members.close()
    for folder in (config.spool_dir, config.run_dir):
        folder.mkdir(parents=True, exist_ok=True)
    async with Service(config, 0) as service:
        http = HttpServer(config, service, Z3950Server(config, service))
        await http.start(socket.create_server(("127.0.0.1", 0)))
        yield Worker(http)
        await http.stop()


async def test_the_same_octets_from_elsewhere_are_another_request(worker: Worker) -> None:
    assert await worker.ask(CAMPUS, 0) == (200, False)
    assert await worker.ask(CAMPUS, 1) == (200, True)
    assert await worker.ask(ELSEWHERE, 2) == (401, False)
    assert await worker.ask(CAMPUS, 3) == (200, True)


@pytest.mark.parametrize(
    "headers",
    [
        (f"X-Forwarded-For: {CAMPUS}",),
        (f"Forwarded: for={CAMPUS};proto=https", "X-Forwarded-Proto: https"),
        (f"X-Forwarded-For: 1.1.1.1, {CAMPUS}", f"X-Real-IP: {CAMPUS}"),
    ],
    ids=["one", "forwarded", "several"],
)
async def test_a_request_through_a_proxy_is_answered_at_once_for_its_client(
    worker: Worker, headers: tuple[str, ...]
) -> None:
    assert await worker.ask(PROXY, 0, *headers) == (200, False)
    assert await worker.ask(PROXY, 1, *headers) == (200, True)
    # The same headers are worth nothing from anybody else.
    assert await worker.ask(ELSEWHERE, 2, *headers) == (401, False)
    assert await worker.ask(PROXY, 3, *headers) == (200, True)
    other = tuple(header.replace(CAMPUS, ELSEWHERE) for header in headers)
    assert await worker.ask(PROXY, 4, *other) == (401, False)
    assert await worker.ask(PROXY, 5) == (401, False)  # the proxy itself


async def test_what_a_proxy_does_not_tell_is_not_learned(worker: Worker) -> None:
    for number in range(3):
        status = await worker.ask(PROXY, number, "X-Forwarded-For: unknown")
        assert status == (401, False)
    differing = (f"X-Forwarded-For: {CAMPUS}", f"Forwarded: for={ELSEWHERE}")
    assert await worker.ask(PROXY, 4, *differing) == (401, False)
