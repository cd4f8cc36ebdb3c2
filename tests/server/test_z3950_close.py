"""How an association ends: Close both ways, with its reason (Z39.50-2003 §3.2.11)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol import apdu
from server.config import parse_config
from server.processes.supervisor import open_listeners
from tests.harness import RunningServer, running_demo
from tests.z3950_client import Client, connected, init_request, search_request

IDLE_TIMEOUT_S = 1.5
APDU_SIZE_BYTES_MAX = 65_536
CONFIG = f"""\
[server]
data_dir = "data"
workers = 1
[z3950]
port = 0
idle_timeout_s = {IDLE_TIMEOUT_S}
apdu_size_bytes_max = {APDU_SIZE_BYTES_MAX}
[http]
port = 0
[access]
anonymous = true
"""
VERSION_2 = frozenset({apdu.ProtocolVersion.VERSION_1, apdu.ProtocolVersion.VERSION_2})
Reason = apdu.CloseReason

UNKNOWN_APDU = b"\xbf\x64\x00"  # [100], which is nobody's
TOO_LARGE = b"\xb6\x84" + (APDU_SIZE_BYTES_MAX + 1).to_bytes(4, "big") + bytes(64)
NOT_BER = b"GET / HTTP/1.0\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("close")
    (folder / "config.toml").write_text(CONFIG, "utf-8")
    with running_demo(folder) as running:
        yield running


def expect_close(client: Client, reason: apdu.CloseReason) -> apdu.Close:
    """The next APDU is a Close for `reason`, and the connection ends behind it."""
    close = client.receive()
    assert isinstance(close, apdu.Close), close
    assert close.close_reason == reason
    assert client.receive() is None
    return close


def test_a_close_is_answered_with_finished_and_its_reference_id(server: RunningServer) -> None:
    for reason in (Reason.FINISHED, Reason.SYSTEM_PROBLEM, Reason.PEER_ABORT):
        with connected(server.z3950) as client:
            client.send(apdu.Close(reference_id=b"bye", close_reason=reason))
            assert expect_close(client, Reason.FINISHED).reference_id == b"bye"


def test_requests_before_a_close_are_answered_first(server: RunningServer) -> None:
    with connected(server.z3950) as client:
        client.send(
            search_request("@attr 1=4 史记"), apdu.Close(close_reason=Reason.FINISHED),
            search_request("@attr 1=4 史记"),
        )  # fmt: skip
        assert isinstance(client.receive(), apdu.SearchResponse)
        expect_close(client, Reason.FINISHED)


def test_an_idle_association_is_closed_for_lack_of_activity(server: RunningServer) -> None:
    with connected(server.z3950) as client:
        close = expect_close(client, Reason.LACK_OF_ACTIVITY)
        assert close.diagnostic_information == "no request for 1.5 s"


def test_who_never_sends_an_init_is_closed_as_idle_too(server: RunningServer) -> None:
    client = Client(server.z3950)
    expect_close(client, Reason.LACK_OF_ACTIVITY)
    client.close()


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (UNKNOWN_APDU, ""),
        (TOO_LARGE, ""),
        (NOT_BER, ""),
        (apdu.encode(init_request()), "a second InitializeRequest"),
        (apdu.encode(apdu.ScanResponse(scan_status=0, number_of_entries_returned=0)),
         "ScanResponse from a client"),
    ],
    ids=["unknown", "too large", "not BER", "second Init", "response"],
)  # fmt: skip
def test_what_breaks_the_protocol_is_closed_with_the_cause(
    server: RunningServer, octets: bytes, told: str
) -> None:
    with connected(server.z3950) as client:
        client.socket.sendall(apdu.encode(search_request("@attr 1=4 史记")) + octets)
        # What came before it is answered.
        assert isinstance(client.receive(), apdu.SearchResponse)
        text = expect_close(client, Reason.PROTOCOL_ERROR).diagnostic_information
        assert text
        assert told in text


def test_a_request_before_init_is_closed(server: RunningServer) -> None:
    client = Client(server.z3950)
    client.send(search_request("@attr 1=4 史记"))
    text = expect_close(client, Reason.PROTOCOL_ERROR).diagnostic_information
    client.close()
    assert text == "SearchRequest before InitializeRequest"


def test_half_a_request_is_dropped_when_the_client_sends_no_more(server: RunningServer) -> None:
    octets = apdu.encode(search_request("@attr 1=4 史记"))
    for before in range(2):
        with connected(server.z3950) as client:
            client.socket.sendall(octets * before + octets[:10])
            client.socket.shutdown(socket.SHUT_WR)
            for _ in range(before):
                assert isinstance(client.receive(), apdu.SearchResponse)
            assert client.receive() is None  # and no Close for lack of activity


def test_version_2_has_no_close_so_the_connection_just_ends(server: RunningServer) -> None:
    client = Client(server.z3950)
    assert client.init(protocol_version=VERSION_2).protocol_version == VERSION_2
    client.socket.sendall(UNKNOWN_APDU)
    assert client.receive() is None
    client.close()


def test_the_largest_request_that_is_allowed_is_answered(server: RunningServer) -> None:
    with connected(server.z3950) as client:
        request = search_request("@attr 1=4 史记", reference_id=b"")
        padding = APDU_SIZE_BYTES_MAX - len(apdu.encode(request)) - 16
        large = search_request("@attr 1=4 史记", reference_id=bytes(padding))
        assert client.ask(large, apdu.SearchResponse).search_status


def test_at_shutdown_every_client_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        CONFIG.replace(f"idle_timeout_s = {IDLE_TIMEOUT_S}", ""), "utf-8"
    )
    clients = []
    with running_demo(tmp_path) as server:
        for _ in range(10):
            client = Client(server.z3950)
            assert client.init().result
            clients.append(client)
        clients.append(Client(server.z3950))  # has not sent its Init yet
        assert server.stop() == 0
        for client in clients:
            expect_close(client, Reason.SHUTDOWN)
            client.close()


def test_connections_are_kept_alive() -> None:
    section = {"host": "127.0.0.1", "port": 0}
    config = parse_config(
        {"server": {"workers": 1}, "z3950": section, "http": section}, Path("config.toml")
    )
    [listeners] = open_listeners(config)
    with listeners.z3950 as listener, listeners.http, socket.socket() as peer:
        listener.settimeout(10)
        peer.connect(listener.getsockname())
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
