"""A client that sends and does not read holds up itself, and nothing else."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from protocol import apdu, oid
from tests.harness import RunningServer
from tests.server.own_server import marc21, own_server
from tests.z3950_client import Client, connected, present_request, search_request

RECORDS = 40
PRESENTS = 60
LARGE_BYTES = 1_000_000
LARGE = 64
# Both systems keep some megabytes of what was sent and not read.
IN_BUFFERS_BYTES_MAX = 32_000_000
BLOCKED_AFTER_S = 2.0
ANSWERED_AFTER_S = 0.5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    note = "of a long note " * 400
    records = [marc21(f"w{number}", f"Volume {number} of many", note) for number in range(RECORDS)]
    with own_server(tmp_path_factory.mktemp("slow"), {"we_cat": records}) as running:
        yield running


def large_search() -> bytes:
    request = search_request("@attr 1=4 x", "we_cat")
    query = request.query
    assert isinstance(query, apdu.RpnQuery)
    assert isinstance(query.rpn, apdu.AttributesPlusTerm)
    operand = dataclasses.replace(query.rpn, term=b"x" * LARGE_BYTES)
    return apdu.encode(dataclasses.replace(request, query=dataclasses.replace(query, rpn=operand)))


def sent_until_blocked(client: Client, data: memoryview) -> int:
    client.socket.settimeout(BLOCKED_AFTER_S)
    sent = 0
    try:
        while sent < len(data):
            sent += client.socket.send(data[sent : sent + 65_536])
    except TimeoutError:
        pass
    finally:
        client.socket.settimeout(60.0)
    return sent


def test_requests_of_a_client_that_does_not_read_are_not_taken(server: RunningServer) -> None:
    requests = apdu.encode(present_request(1, RECORDS, oid.XML)) * PRESENTS
    data = memoryview(requests + large_search() * LARGE)
    with connected(server.z3950, "demo1/demo1") as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.search("@attr 1=4 many", "we_cat")
        sent = sent_until_blocked(client, data)
        assert len(requests) < sent < IN_BUFFERS_BYTES_MAX
        # Others do not notice, and this one gets all its answers once it reads them.
        with connected(server.z3950, "demo1/demo1") as other:
            assert other.search("@attr 1=4 many", "we_cat").result_count == RECORDS
        rest = threading.Thread(target=client.socket.sendall, args=(data[sent:],))
        rest.start()
        for _ in range(PRESENTS):
            response = client.receive()
            assert isinstance(response, apdu.PresentResponse)
            assert response.number_of_records_returned == RECORDS
        for _ in range(LARGE):
            assert isinstance(client.receive(), apdu.SearchResponse)
        rest.join()


def test_what_breaks_the_protocol_is_told_behind_an_answer_not_read_yet(
    server: RunningServer,
) -> None:
    client = Client(server.z3950)
    assert client.init("demo1/demo1", preferred_message_size=64 << 20).result
    client.search("@attr 1=4 many", "we_cat")
    # One answer larger than the systems' buffers.
    ranges = tuple(apdu.Range(1, RECORDS) for _ in range(PRESENTS))
    client.send(present_request(1, RECORDS, oid.XML, additional_ranges=ranges))
    time.sleep(ANSWERED_AFTER_S)
    client.socket.sendall(b"GET / HTTP/1.0\r\n\r\n")
    time.sleep(ANSWERED_AFTER_S)
    response = client.receive()
    assert isinstance(response, apdu.PresentResponse)
    assert response.number_of_records_returned > RECORDS
    close = client.receive()
    assert isinstance(close, apdu.Close)
    assert close.close_reason == apdu.CloseReason.PROTOCOL_ERROR
    assert client.receive() is None
    client.close()
    assert "Fatal error" not in server.log
