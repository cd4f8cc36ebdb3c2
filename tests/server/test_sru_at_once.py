"""A request whose head is known gets the very octets that it got the long way before."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import sqlite3
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest

from metering.interface import Receipt
from server.config import load_config
from server.http.connection import Connection
from server.http.server import HttpServer
from server.service import Service
from server.z3950.server import Z3950Server
from tests.harness import RunningServer, lianmu
from tests.server.own_server import cnmarc, marc21, own_server
from tests.server.stand_ins import Refusing, Wire

YEAR = str((datetime.now(UTC) + timedelta(hours=8)).year)
MEMBER = "Authorization: Basic " + b64encode(b"demo1:demo1").decode()
PLAIN = (MEMBER, "User-Agent: SomeLibrary/1.0", "Accept: application/xml")
GZIP = (*PLAIN, "Accept-Encoding: gzip, deflate")
_DATE = re.compile(rb"Date: [^\r]+\r\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sru-at-once")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    records = {
        "we_cat": [marc21(f"w{number:03}", f"Volume {number} of many") for number in range(130)],
        "cn_cat": [cnmarc(f"c{number:03}", f"红楼梦第{number}卷") for number in range(5)],
    }
    with own_server(folder, records) as running:
        yield running


def request(target: str, *headers: str, method: str = "GET") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def search(query: str, more: str = "", version: str = "1.1", database: str = "we_cat") -> str:
    return (
        f"/{database}?version={version}&operation=searchRetrieve&query={quote(query, safe='=')}"
        f"&recordSchema=marcxml{more}"
    )


class Client:
    """One kept connection."""

    def __init__(self, server: RunningServer) -> None:
        host, port = server.url.removeprefix("http://").split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._received = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def response(self, *, has_body: bool = True) -> bytes:
        """One whole response, its date left out."""
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            self._more()
        length = re.search(rb"Content-Length: (\d+)", self._received[:end])
        chunked = b"chunked" in self._received[:end]
        size = end + 4 + (int(length[1]) if length and has_body else 0)
        while len(self._received) < size or (
            chunked and has_body and not self._received.endswith(b"0\r\n\r\n")
        ):
            self._more()
        size = len(self._received) if chunked else size
        whole, self._received = self._received[:size], self._received[size:]
        return _DATE.sub(b"", whole)

    def _more(self) -> None:
        data = self._socket.recv(1 << 16)
        assert data, self._received
        self._received += data


# Each of these is answered at once the second time.
USUAL = [
    request(search("rec.id=w007"), *PLAIN),
    request(search("rec.id=w008"), *PLAIN),
    request(search("dc.title=many", "&maximumRecords=10"), *PLAIN),
    request(search("dc.title=many", "&maximumRecords=10"), *GZIP),
    request(search("dc.title=many", "&maximumRecords=3&startRecord=7"), *PLAIN),
    request(search("dc.title=many", "&maximumRecords=0"), *PLAIN),
    request(search("dc.title=many", "&maximumRecords=50"), *PLAIN),
    request(search("dc.title=nothing"), *PLAIN),
    request(search("dc.title=nothing"), *GZIP),
    request(search("dc.title=many and rec.id=w009", version="1.2"), *PLAIN),
    request(search('dc.title="volume 12"', version="1.2"), MEMBER),
    request(search("dc.title=红楼梦", database="cn_cat"), *PLAIN),
    request(search("dc.title=红楼梦", database="sru"), *PLAIN),
    request(search("dc.title=many", "&recordPacking=string", version="1.2"), *PLAIN),
    request("/we_cat?query=rec.id=w010&maximumRecords=1&recordSchema=mods", *PLAIN),
    request("/we_cat?query=rec.id%3Dw010&recordSchema=dc&httpAccept=text/xml", *PLAIN),
    request("/?query=rec.id=w011&recordSchema=marcxml", MEMBER),
]
# These go the long way each time.
OTHERS = [
    request(search("rec.id=w007")),
    request(search("rec.id=w007"), "Authorization: Basic !!"),
    request(search("rec.id=w007"), "Authorization: Basic " + b64encode(b"demo1:no").decode()),
    request(search("rec.id=w007"), *PLAIN, "Cookie: a=b"),
    request(search("rec.id=w007"), *PLAIN, "Origin: https://example.org"),
    request(search("rec.id=w007"), *PLAIN, "If-None-Match: *"),
    request(search("rec.id=w007"), *PLAIN, "X-SRU-Authentication-Token: abc"),
    request(search("rec.id=w007", "&x-info-2-auth1.0-authenticationToken=abc"), MEMBER),
    request(search("rec.id=w007"), MEMBER, "Accept: text/html"),
    request(search("rec.id=w007").replace("marcxml", "brief"), *PLAIN),
    request(search("rec.id=w007").replace("marcxml", "isohold"), *PLAIN),
    request(search("rec.id=w007").replace("marcxml", "unknown"), *PLAIN),
    request(search("nothing.like=it"), *PLAIN),
    request(search("dc.title="), *PLAIN),
    request(search("rec.id=w007", database="no_such"), *PLAIN),
    request(search("rec.id=w007", "&resultSetTTL=60"), *PLAIN),
    request(search("dc.title=many", "&startRecord=500"), *PLAIN),
    request(search("dc.title=many", "&facetLimit=5:dc.date", version="2.0"), *PLAIN),
    request(search("dc.title=many sortBy dc.title", "&maximumRecords=2", version="1.2"), *PLAIN),
    request(search("dc.title=many", "&x-info-5-quota=1"), *PLAIN),
    request("/we_cat?query=rec.id%3Dw01%ff&recordSchema=marcxml", *PLAIN),
    request("/we_cat?query=rec.id%3Dw01%zz&recordSchema=marcxml", *PLAIN),
    request("/we_cat?version=1.1&operation=scan&scanClause=dc.title=many", *PLAIN),
    request("/we_cat", *PLAIN),
    request("/healthz?query=rec.id=w007", MEMBER),
]


def test_the_second_answer_has_the_octets_of_the_first(server: RunningServer) -> None:
    with Client(server) as client:
        for data in [*USUAL, *OTHERS, *USUAL]:
            answers = []
            for _ in range(3):
                client.send(data)
                answers.append(client.response())
            # A set that is kept has another name each time.
            known = {re.sub(rb"resultSetId>[^<]+", b"", answer) for answer in answers}
            assert len(known) == 1, data


def test_what_is_answered_at_once_is_counted(server: RunningServer) -> None:
    def counted() -> int:
        shown = lianmu("usage", "demo1", "--config", server.config, "--year", YEAR, "--json")
        usage = json.loads(shown.stdout)
        return int(usage["downloads"]) + int(usage["repeats"])

    before = counted()
    with Client(server) as client:
        for _ in range(4):
            client.send(request(search("dc.title=many", "&maximumRecords=5"), *PLAIN))
            client.response()
    assert counted() == before + 20


def test_a_suspended_member_is_refused_at_its_next_request(tmp_path: Path) -> None:
    records = {"we_cat": [marc21("w000", "A volume")]}
    with own_server(tmp_path, records) as server, Client(server) as client:
        data = request(search("rec.id=w000"), *PLAIN)
        for _ in range(3):
            client.send(data)
            assert client.response().startswith(b"HTTP/1.1 200 ")
        service_status(server, "suspended")
        client.send(data)
        assert client.response().startswith(b"HTTP/1.1 403 ")
        service_status(server, "active")
        client.send(data)
        assert client.response().startswith(b"HTTP/1.1 200 ")


def service_status(server: RunningServer, status: str) -> None:
    path = load_config(Path(server.config)).members_path
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE institution SET status = ? WHERE code = 'DEMO1'", (status,))


def test_pipelined_requests_are_answered_in_order(server: RunningServer) -> None:
    one = [request(search(f"rec.id=w{number:03}"), *PLAIN) for number in range(40)]
    with Client(server) as client:
        client.send(one[0])
        client.response()
        client.send(one[1])
        client.response()
        client.send(b"".join(one))
        client.send(one[0] + one[1][:50])
        client.send(one[1][50:])
        for number in [*range(40), 0, 1]:
            assert f">w{number:03}<".encode() in client.response()


def test_octets_of_a_header_are_never_taken_for_a_request(server: RunningServer) -> None:
    data = request(search("rec.id=w007"), *PLAIN)
    with Client(server) as client:
        for _ in range(2):
            client.send(data)
            client.response()
        client.send(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: {'a' * 100}".encode())
        with contextlib.suppress(TimeoutError):
            client._socket.settimeout(0.3)
            client.response()
            pytest.fail("half a request was answered")
        client._socket.settimeout(30)
        client.send(data)
        assert b'"status"' in client.response()


# One worker in this process


class HttpWire(Wire):
    """One that speaks HTTP."""

    async def answer(self, connection: Connection, data: bytes) -> bytes:
        count = len(self.written)
        connection.data_received(data)
        await self.wait(count)
        await asyncio.sleep(0.01)
        return b"".join(self.written[count:])


class Worker:
    """The HTTP side of a worker without a supervisor."""

    def __init__(self, http: HttpServer, service: Service) -> None:
        self.http = http
        self.service = service

    async def connect(self) -> tuple[Connection, HttpWire]:
        connection, wire = self.http._connection(asyncio.get_running_loop()), HttpWire()
        connection.connection_made(wire)
        await asyncio.sleep(0.01)
        return connection, wire

    def knows(self, data: bytes) -> bool:
        answer = self.http._sru.at_once.answer(data, "127.0.0.1")
        if answer is None:
            return False
        answer.admission.__exit__()
        return True


@pytest.fixture
async def worker(server: RunningServer, folder: Path) -> AsyncIterator[Worker]:
    config = load_config(folder / "config.toml")
    async with Service(config, 98) as service:
        http = HttpServer(config, service, Z3950Server(config, service))
        listener = socket.create_server(("127.0.0.1", 0))
        await http.start(listener)
        yield Worker(http, service)
        await http.stop()


async def test_usual_requests_are_answered_at_once_and_no_others(worker: Worker) -> None:
    connection, wire = await worker.connect()
    for data in [*USUAL, *OTHERS]:
        assert await wire.answer(connection, data)
    assert [data for data in USUAL if not worker.knows(data)] == []
    assert [data for data in OTHERS if worker.knows(data)] == []


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
async def test_without_its_ledger_entry_no_record_leaves(worker: Worker, later: bool) -> None:
    connection, wire = await worker.connect()
    data = request(search("rec.id=w012"), *PLAIN)
    assert b"<zs:recordData>" in await wire.answer(connection, data)
    meter, worker.service.meter = worker.service.meter, cast(Any, Refusing(later=later))
    assert worker.knows(data)
    for _ in range(3):
        answer = await wire.answer(connection, data)
        assert b"<zs:recordData>" not in answer
        assert b"downloads cannot be entered at present" in answer
    worker.service.meter = meter
    assert b"<zs:recordData>" in await wire.answer(connection, data)


class Pausing(Refusing):
    """A meter that answers when it is told to, and notes what is void."""

    def __init__(self) -> None:
        super().__init__(later=True)
        self.outcome = Receipt(1, 1)
        self.voided: list[Receipt] = []

    def _tell(self) -> None: ...

    def void(self, receipt: Receipt, reason: str) -> None:
        self.voided.append(receipt)

    def confirm(self, receipt: Receipt) -> None: ...

    def go_on(self) -> None:
        super()._tell()


async def test_a_client_that_left_meanwhile_is_not_billed(worker: Worker) -> None:
    connection, wire = await worker.connect()
    data = request(search("rec.id=w013"), *PLAIN)
    await wire.answer(connection, data)
    meter, pausing = worker.service.meter, Pausing()
    worker.service.meter = cast(Any, pausing)
    connection.data_received(data)
    await asyncio.sleep(0.01)
    wire.close()
    connection.connection_lost(ConnectionResetError())
    pausing.go_on()
    assert pausing.voided == [Receipt(1, 1)]
    worker.service.meter = meter


async def test_what_comes_before_the_answer_is_answered_after_it(worker: Worker) -> None:
    connection, wire = await worker.connect()
    data = [request(search(f"rec.id=w{number:03}"), *PLAIN) for number in range(14, 18)]
    await wire.answer(connection, data[0])
    meter, pausing = worker.service.meter, Pausing()
    worker.service.meter = cast(Any, pausing)
    count = len(wire.written)
    connection.data_received(data[1])
    for later in (data[2], data[3][:30], data[3][30:]):
        connection.data_received(later)
    await asyncio.sleep(0.01)
    assert len(wire.written) == count
    worker.service.meter = meter
    pausing.go_on()
    await asyncio.sleep(0.2)
    written = b"".join(wire.written[count:])
    places = [written.find(f">w{number:03}<".encode()) for number in (15, 16, 17)]
    assert places == sorted(places)
    assert places[0] >= 0


async def test_a_worker_that_stops_sends_the_answer_under_way(worker: Worker) -> None:
    connection, wire = await worker.connect()
    data = request(search("rec.id=w020"), *PLAIN)
    await wire.answer(connection, data)
    meter, pausing = worker.service.meter, Pausing()
    worker.service.meter = cast(Any, pausing)
    count = len(wire.written)
    connection.data_received(data)
    stopping = asyncio.create_task(connection.shutdown(5.0))
    await asyncio.sleep(0.02)
    assert not stopping.done()
    pausing.go_on()
    await stopping
    assert b">w020<" in b"".join(wire.written[count:])
    assert wire.closing
    worker.service.meter = meter
