"""Clients that vanish, half-close or stall in the middle of a response.

Each response is billed whole or not at all: billed when the operating system has
taken all of it, void when the connection failed before. Nobody else notices, and
no entry stays open: killing the workers at the end takes nothing back.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from protocol import apdu, oid
from tests.faults.counting_clients import DATABASE, Tally, Z3950CountingClient
from tests.faults.exactness import (
    LARGE,
    MEMBERS,
    NOT_CONFIRMED,
    SMALL,
    Auditor,
    Processes,
    auditing,
    kill,
    prepare,
)
from tests.harness import RunningServer, serving
from tests.z3950_client import Client, present_request, search_request

RECORDS = SMALL + LARGE
RESPONSE_BYTES = 158_000  # all records in ISO 2709
EVERY = "@or @attr 1=4 common @attr 1=4 large"
# One response of some 8 MB: more than both systems' buffers take of it.
RANGES = tuple(apdu.Range(1, RECORDS) for _ in range(54))
HUGE = RECORDS * (1 + len(RANGES))
SETTLED_AFTER_S = 0.5  # a confirmation takes 40 ms on an idle machine
WITHIN_S = 20.0
IDLE_TIMEOUT_S = 3.0
RESET = struct.pack("ii", 1, 0)
VANISHING, STEADY, _ = MEMBERS


@dataclass
class Place:
    server: RunningServer
    auditor: Auditor

    def downloads(self) -> int:
        return self.auditor.downloads()[VANISHING]

    def voided(self) -> int:
        return self.auditor.figures()[VANISHING].voided

    def wait_for(self, downloads: int) -> None:
        deadline = time.monotonic() + WITHIN_S
        while (now := self.downloads()) != downloads:
            assert time.monotonic() < deadline, f"{now} downloads, not {downloads}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    more = f"[access]\nanonymous = false\n[sru]\nmaximum_records_max = {RECORDS}\n"
    path = prepare(tmp_path_factory.mktemp("vanishing"), more=more)
    path.write_text(
        path.read_text("utf-8").replace(
            "[z3950]\n",
            f"[z3950]\napdu_size_bytes_max = {16 << 20}\nidle_timeout_s = {IDLE_TIMEOUT_S}\n",
        )
    )
    with auditing(path) as auditor, serving(path) as server:
        yield Place(server, auditor)
        assert "Traceback" not in server.log
        # Whoever goes now leaves nothing open.
        time.sleep(SETTLED_AFTER_S)
        processes = Processes(server)
        workers = processes.workers
        kill(workers)
        processes.wait_until_replaced(workers)
        auditor.accounting.folder.fold(lag_us=0)
        notes = Counter(entry.note for entry in auditor.ledger.entries())
        assert NOT_CONFIRMED not in notes
        assert not any(NOT_CONFIRMED in note for note in notes)
        assert auditor.ledger.verify().ok


@pytest.fixture
def steady(place: Place) -> Iterator[Tally]:
    """A client of another member that works all the time; it is billed exactly what it got."""
    before = place.auditor.downloads()[STEADY]
    tally, stop = Tally(), threading.Event()
    client = Z3950CountingClient(place.server.z3950, STEADY, tally, stop, 1, pause_s=0.02)
    client.start()
    try:
        assert client.begun.wait(WITHIN_S)
        yield tally
    finally:
        stop.set()
        client.join(WITHIN_S)
    assert not client.is_alive()
    assert (tally.failures, tally.refused, tally.cut) == ([], [], 0)
    assert place.auditor.downloads()[STEADY] - before == tally.total() > 0


def associated(place: Place, receive_buffer_bytes: int = 0) -> Client:
    """Signed in, with a result set of every record."""
    client = Client(place.server.z3950)
    if receive_buffer_bytes:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    login = VANISHING.lower()
    assert client.init(f"{login}/{login}", preferred_message_size=64 << 20).result
    assert client.search(EVERY, DATABASE).result_count == RECORDS
    return client


def vanish(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()


def read(connection: socket.socket, size: int) -> bytes:
    """So many octets, fewer at the end of the stream."""
    data = bytearray()
    while len(data) < size and (part := connection.recv(min(65_536, size - len(data)))):
        data += part
    return bytes(data)


def sru_request(place: Place, records: int = RECORDS, *headers: str) -> socket.socket:
    """A connection on which a page of MARCXML was asked for."""
    host, port = place.server.http.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), WITHIN_S)
    login = b64encode(f"{VANISHING.lower()}:{VANISHING.lower()}".encode()).decode()
    query = quote("dc.title=common or dc.title=large")
    target = f"/{DATABASE}?version=1.2&operation=searchRetrieve&maximumRecords={records}"
    lines = [f"GET {target}&query={query} HTTP/1.1", "Host: x", f"Authorization: Basic {login}"]
    connection.sendall("\r\n".join([*lines, *headers, "", ""]).encode())
    return connection


def whole_or_nothing(place: Place, before: int, response: int, responses: int) -> None:
    """Soon the figure stands still, at a number of whole responses."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        now = place.downloads()
        time.sleep(SETTLED_AFTER_S)
        if place.downloads() == now:
            break
        assert time.monotonic() < deadline, "the figure never settles"
    assert (now - before) % response == 0
    assert 0 <= (now - before) // response <= responses


def test_a_reset_anywhere_in_a_present_response_bills_all_of_it_or_nothing(
    place: Place, steady: Tally
) -> None:
    chance = random.Random()
    before = place.downloads()
    whole = 0
    for _ in range(16):
        with_one_read = chance.random() < 0.5
        client = associated(place)
        if with_one_read:
            assert client.present(1, RECORDS).number_of_records_returned == RECORDS
            time.sleep(SETTLED_AFTER_S)
            whole += 1
        client.send(*[present_request(1, RECORDS)] * 2)
        read(client.socket, chance.randrange(2 * RESPONSE_BYTES))
        vanish(client.socket)
    whole_or_nothing(place, before, RECORDS, 32 + whole)
    assert place.downloads() - before >= whole * RECORDS


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_reset_anywhere_in_a_page_of_sru_bills_all_of_it_or_nothing(
    place: Place, steady: Tally, encoding: str
) -> None:
    chance = random.Random()
    header = f"Accept-Encoding: {encoding}"
    with sru_request(place, RECORDS, header, "Connection: close") as connection:
        size = len(read(connection, 1 << 22)) - len("Connection: close\r\n")
    time.sleep(SETTLED_AFTER_S)
    before = place.downloads()
    for _ in range(15):
        connection = sru_request(place, RECORDS, header)
        read(connection, chance.randrange(size))
        vanish(connection)
    whole_or_nothing(place, before, RECORDS, 15)


@pytest.mark.parametrize("vanishes", [False, True], ids=["goes on", "vanishes"])
def test_a_stalled_reader_of_a_response_larger_than_all_buffers(
    place: Place, steady: Tally, vanishes: bool
) -> None:
    before = place.downloads()
    client = associated(place, 65_536)
    client.send(present_request(1, RECORDS, additional_ranges=RANGES))
    place.wait_for(before + HUGE)  # entered, and not confirmed
    if vanishes:
        read(client.socket, random.randrange(1 << 20))
        vanish(client.socket)
        place.wait_for(before)
        return
    time.sleep(IDLE_TIMEOUT_S / 3)
    response = client.receive()
    assert isinstance(response, apdu.PresentResponse)
    assert response.number_of_records_returned == HUGE
    time.sleep(SETTLED_AFTER_S)
    client.close()
    time.sleep(SETTLED_AFTER_S)
    assert place.downloads() == before + HUGE


@pytest.mark.long  # the idle time, and the time to take Close
def test_a_reader_that_stalls_for_ever_is_cut_off_and_not_billed(
    place: Place, steady: Tally
) -> None:
    before = place.downloads()
    client = associated(place, 65_536)
    client.send(present_request(1, RECORDS, additional_ranges=RANGES))
    place.wait_for(before + HUGE)
    place.wait_for(before)
    client.close()


def test_a_client_that_half_closes_gets_its_answers_and_is_billed(
    place: Place, steady: Tally
) -> None:
    before = place.downloads()
    client = associated(place)
    client.send(*[present_request(first, 10, oid.XML) for first in (1, 11, 21)])
    client.socket.shutdown(socket.SHUT_WR)
    for _ in range(3):
        response = client.receive()
        assert isinstance(response, apdu.PresentResponse)
        assert response.number_of_records_returned == 10
    assert client.receive() is None
    client.close()
    time.sleep(SETTLED_AFTER_S)
    assert place.downloads() == before + 30


@pytest.mark.parametrize("requests", [1, 3])
def test_a_client_that_asks_and_ends_without_reading_is_not_billed(
    place: Place, steady: Tally, requests: int
) -> None:
    """As one does whose time is up; to the server it looks like half-closing at first."""
    before, voided = place.downloads(), place.voided()
    clients = [associated(place) for _ in range(5)]
    workers = Processes(place.server).workers
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        for client in clients:
            client.send(*[present_request(1, RECORDS)] * requests)
            client.close()
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    deadline = time.monotonic() + WITHIN_S
    while place.voided() < voided + 5 * RECORDS:  # the first answers were made, and failed
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(2 * SETTLED_AFTER_S)
    assert place.downloads() == before


def test_a_half_closed_reader_of_a_huge_response_is_billed_once_it_took_all(
    place: Place, steady: Tally
) -> None:
    before = place.downloads()
    client = associated(place, 65_536)
    client.send(present_request(1, RECORDS, additional_ranges=RANGES))
    client.socket.shutdown(socket.SHUT_WR)
    place.wait_for(before + HUGE)
    time.sleep(SETTLED_AFTER_S)
    response = client.receive()
    assert isinstance(response, apdu.PresentResponse)
    assert response.number_of_records_returned == HUGE
    assert client.receive() is None
    client.close()
    time.sleep(SETTLED_AFTER_S)
    assert place.downloads() == before + HUGE


def test_a_client_of_sru_that_half_closes_is_taken_for_gone_unless_it_was_answered(
    place: Place, steady: Tally
) -> None:
    before = place.downloads()
    connection = sru_request(place)
    connection.shutdown(socket.SHUT_WR)
    # Its end may come behind the answer, or before, or while it is sent: then what
    # cannot be finished is cut, so that nobody takes it for the whole.
    cut, data = False, b""
    try:
        data = read(connection, 1 << 22)
    except ConnectionResetError:
        cut = True
    finally:
        connection.close()
    time.sleep(SETTLED_AFTER_S)
    answered = data.endswith(b"0\r\n\r\n") and b"</zs:searchRetrieveResponse>" in data
    assert answered or cut or not data
    assert place.downloads() - before == (RECORDS if answered else 0)


def test_a_client_that_shuts_its_reading_side_holds_nothing_open(
    place: Place, steady: Tally
) -> None:
    before = place.downloads()
    client = associated(place)
    client.socket.shutdown(socket.SHUT_RD)
    client.send(*[present_request(1, RECORDS)] * 4)
    connection = sru_request(place)
    connection.shutdown(socket.SHUT_RD)
    time.sleep(SETTLED_AFTER_S)
    client.close()
    connection.close()
    whole_or_nothing(place, before, RECORDS, 5)


def test_requests_cut_off_in_their_middle_are_none(place: Place, steady: Tally) -> None:
    before = place.downloads()
    request = apdu.encode(present_request(1, 10)) + apdu.encode(search_request(EVERY, DATABASE))
    for end in range(1, len(request), 7):
        client = associated(place)
        client.socket.sendall(request[:end])
        if end % 2:
            client.socket.shutdown(socket.SHUT_WR)
            while client.receive() is not None:
                pass
            client.close()
        else:
            vanish(client.socket)
    whole_or_nothing(place, before, 10, len(request) // 7 + 1)
