"""Readers that are slow, or gone: what they cost the server, and what they are billed."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import RunningServer
from tests.server.http_client import SEARCH, counted, curl
from tests.server.own_server import marc21, own_server

pytestmark = pytest.mark.real_client

RECORDS = 100
NOTE = "x" * 9000
NOTES = 40
PAGE_BYTES = RECORDS * NOTES * len(NOTE)  # 36 MB, and the markup
PAGE = f"{SEARCH}title=long&maximumRecords={RECORDS}"
WRITE_TIMEOUT_S = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    records = [marc21(f"x{number}", "Long", *[NOTE] * NOTES) for number in range(RECORDS)]
    http = f"write_timeout_s = {WRITE_TIMEOUT_S}\n[http.limits]\nrequests_at_once = 1"
    with own_server(tmp_path_factory.mktemp("slow"), {"we_cat": records}, http=http) as server:
        yield server


@contextmanager
def reading_nothing(server: RunningServer, *headers: str) -> Iterator[socket.socket]:
    """A client that asks for the page and then reads only its first octets."""
    host, port = server.http.rsplit(":", 1)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect((host, int(port)))
        lines = [f"GET {PAGE} HTTP/1.1", "Host: x", "Authorization: Basic ZGVtbzE6ZGVtbzE=",
                 *headers, "", ""]  # fmt: skip
        client.sendall("\r\n".join(lines).encode())
        assert client.recv(12) == b"HTTP/1.1 200"
        yield client


def resident_bytes(server: RunningServer) -> int:
    """The memory of all processes of the server, but for the files that are mapped."""
    total = 0
    waiting = [server.process.pid]
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}")
        (line,) = [x for x in (folder / "status").read_text().splitlines() if "RssAnon" in x]
        total += int(line.split()[1]) * 1024
        for task in (folder / "task").iterdir():
            waiting += map(int, (task / "children").read_text().split())
    return total


def voided(server: RunningServer, before: int) -> bool:
    """Whether the page that was entered beyond `before` is taken back soon."""
    deadline = time.monotonic() + WRITE_TIMEOUT_S + 10
    while counted(server) > before:
        if time.monotonic() > deadline:
            return False
    return True


def test_a_slow_reader_of_a_big_page_does_not_make_the_server_hold_copies_of_it(
    server: RunningServer,
) -> None:
    curl(server, f"{SEARCH}title=long&maximumRecords=1", "-u", "demo1:demo1")  # warms up
    before = resident_bytes(server)
    with reading_nothing(server):
        time.sleep(0.5)
        grown = resident_bytes(server) - before
    # The records and their forms, and no response besides.
    assert grown < 2.5 * PAGE_BYTES, f"{grown / PAGE_BYTES:.1f} pages"


def test_a_big_page_is_the_same_compressed_and_in_http_1_0(server: RunningServer) -> None:
    login = ("-u", "demo1:demo1")
    plain = curl(server, PAGE, *login)
    squeezed = curl(server, PAGE, *login, "--compressed")
    assert (plain.records, squeezed.header("Content-Encoding")) == (RECORDS, "gzip")
    assert plain.header("Transfer-Encoding") == squeezed.header("Transfer-Encoding") == "chunked"
    assert squeezed.body == plain.body
    old = curl(server, PAGE, *login, "--http1.0")  # which knows no chunks
    assert (old.header("Transfer-Encoding"), old.body) == ("", plain.body)


def test_while_a_page_is_being_read_it_counts_as_a_request_at_once(server: RunningServer) -> None:
    login = ("-u", "demo1:demo1")
    brief = f"{SEARCH}title=long&recordSchema=brief&maximumRecords=1"
    with reading_nothing(server):
        reply = curl(server, brief, *login)
        assert (reply.status, reply.header("Retry-After")) == (429, "1")
        assert curl(server, brief).status == 200  # another is not concerned
    deadline = time.monotonic() + 10
    while curl(server, brief, *login).status != 200:
        assert time.monotonic() < deadline


def test_a_reader_that_stalls_is_cut_off_and_not_billed(server: RunningServer) -> None:
    before = counted(server)
    with reading_nothing(server) as client:
        assert counted(server) == before + RECORDS  # entered before the first octet left
        assert voided(server, before)
        with pytest.raises(ConnectionError):
            while client.recv(1 << 20):
                pass


def test_a_reader_that_leaves_is_not_billed(server: RunningServer) -> None:
    before = counted(server)
    with reading_nothing(server):
        pass
    assert voided(server, before)


def test_a_reader_that_takes_its_time_gets_all_and_is_billed(server: RunningServer) -> None:
    before = counted(server)
    size = 0
    began = time.monotonic()
    with reading_nothing(server, "Connection: close") as client:
        while data := client.recv(1 << 16):
            size += len(data)
            # A link of 8 MB/s, which needs longer than the server waits for any one read.
            time.sleep(max(0.0, size / 8e6 - (time.monotonic() - began)))
    assert time.monotonic() - began > WRITE_TIMEOUT_S
    assert size > PAGE_BYTES
    assert counted(server) == before + RECORDS
    assert "Traceback" not in server.log


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /"]
)
def test_a_connection_that_brings_no_whole_request_is_closed(tmp_path: Path, sent: bytes) -> None:
    with own_server(tmp_path, {}, http="idle_timeout_s = 0.5") as server:
        host, port = server.http.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as client:
            client.sendall(sent)
            while client.recv(65536):
                pass


def test_a_connection_too_many_is_told_so_and_the_others_go_on(tmp_path: Path) -> None:
    with own_server(tmp_path, {}, http="connections_max = 2") as server:
        host, port = server.http.rsplit(":", 1)
        with (
            socket.create_connection((host, int(port))),
            socket.create_connection((host, int(port))) as second,
        ):
            second.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert second.recv(12) == b"HTTP/1.1 200"
            reply = curl(server, "/healthz")
            assert (reply.status, reply.header("Retry-After")) == (503, "10")
            second.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP/1.1 200" in second.recv(65536) + second.recv(65536)
        deadline = time.monotonic() + 10
        while curl(server, "/healthz").status != 200:
            assert time.monotonic() < deadline
