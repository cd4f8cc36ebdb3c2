"""A server behind proxies: real ones, and such as pretend to be."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from protocol import apdu
from protocol.proxy_protocol import SIGNATURE
from server.access_control import proxied_listener
from server.access_control.proxied_listener import ProxiedListener
from server.access_control.proxies import TrustedProxies
from tests.harness import RunningServer, lianmu
from tests.server.own_server import marc21, own_server
from tests.server.sru_client import send
from tests.server.test_z3950_tls import context, issue
from tests.z3950_client import Client, init_request, search_request

PROXY, CAMPUS, STRANGER = "127.0.0.1", "127.0.0.5", "127.0.0.9"
SEARCH = "we_cat?version=1.2&operation=searchRetrieve&query=dc.title=volume&recordSchema=marcxml"
ACCESS = f'trusted_proxies = ["{PROXY}"]\nproxy_protocol = ["z3950", "z3950s"]'
TLS = '[z3950.tls]\nport = 0\ncertificate = "server.pem"\nkey = "server.key"'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("proxies")
    issue(folder, "ca", "Test authority", authority=True)
    issue(folder, "server", "127.0.0.1")
    records = {"we_cat": [marc21(f"w{number:03}", f"Volume {number}") for number in range(3)]}
    with own_server(folder, records, access=ACCESS, z3950=TLS) as running:
        for command in (
            ("operator", "add", "admin", "--password", "admin"),
            ("member", "address", "add", "DEMO1", f"{CAMPUS}/32", "--account", "demo1"),
            ("member", "address", "add", "DEMO1", "2001:db8:17::/48", "--account", "demo1"),
        ):
            done = lianmu(*command, "--config", str(running.config))
            assert done.returncode == 0, done.stderr
        yield running


def header(address: str, version_command: int = 0x21, family: int = 0x11) -> bytes:
    rest = socket.inet_aton(address) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 1, 2)
    return SIGNATURE + struct.pack("!BBH", version_command, family, len(rest)) + rest


def header_v6(address: str) -> bytes:
    rest = socket.inet_pton(socket.AF_INET6, address) * 2 + struct.pack("!HH", 1, 2)
    return SIGNATURE + struct.pack("!BBH", 0x21, 0x21, len(rest)) + rest


def sessions(server: RunningServer) -> list[tuple[str, str]]:
    """Addresses and accounts of the Z39.50 sessions that are open."""
    told = json.loads(send(server, "status?format=json", login="admin:admin").body)
    return [(each["address"], each["account"]) for each in told["sessions"]]


def told_of(server: RunningServer, client: Client) -> list[tuple[str, str]]:
    """The one session that there is, as the status page has it."""
    with_client = sessions(server)
    client.close()
    deadline = time.monotonic() + 10
    while sessions(server) and time.monotonic() < deadline:
        time.sleep(0.02)
    return with_client


# By hand


@pytest.mark.parametrize(
    ("before", "address", "account"),
    [
        (header(CAMPUS), CAMPUS, "demo1"),  # comes from a range of the member
        (header(STRANGER), STRANGER, ""),
        (header_v6("2001:db8:17::5"), "2001:db8:17::5", "demo1"),
        (header_v6("2001:db8:18::5"), "2001:db8:18::5", ""),
        (header_v6(f"::ffff:{CAMPUS}"), CAMPUS, "demo1"),
        (header("0.0.0.0", version_command=0x20, family=0), PROXY, ""),
        (f"PROXY TCP4 {CAMPUS} 127.0.0.1 4711 210\r\n".encode(), CAMPUS, "demo1"),
        (b"PROXY UNKNOWN\r\n", PROXY, ""),
    ],
)
def test_the_word_of_a_trusted_proxy_is_taken(
    server: RunningServer, before: bytes, address: str, account: str
) -> None:
    client = Client(server.z3950, before=before)
    assert client.init().result
    assert told_of(server, client) == [(address, account)]


def test_a_header_may_come_in_pieces(server: RunningServer) -> None:
    client = Client(server.z3950)
    data = header(CAMPUS) + apdu.encode(init_request())
    for place in range(0, len(data), 11):
        client.socket.sendall(data[place : place + 11])
        time.sleep(0.01)
    answer = client.receive()
    assert isinstance(answer, apdu.InitializeResponse)
    assert told_of(server, client) == [(CAMPUS, "demo1")]


def test_a_header_from_elsewhere_is_a_breach_of_the_protocol(server: RunningServer) -> None:
    for before in (header(CAMPUS), f"PROXY TCP4 {CAMPUS} 127.0.0.1 1 2\r\n".encode()):
        client = Client(server.z3950, source=STRANGER, before=before + apdu.encode(init_request()))
        close = client.receive()
        assert isinstance(close, apdu.Close)
        assert close.close_reason == apdu.CloseReason.PROTOCOL_ERROR
        assert client.receive() is None
        client.close()
    assert STRANGER in server.log


@pytest.mark.parametrize(
    "before",
    [
        apdu.encode(init_request()),  # no header at all
        b"PROXY TCP4 nonsense\r\n",
        header(CAMPUS, version_command=0x31),
        SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 65535),
    ],
)
def test_a_trusted_proxy_without_a_good_header_is_cut_off(
    server: RunningServer, before: bytes
) -> None:
    client = Client(server.z3950, before=before)
    with contextlib.suppress(ConnectionResetError):  # as it is with octets unread
        assert client.receive() is None
    client.close()
    assert "connection of a proxy refused" in server.log


async def test_a_proxy_has_a_bounded_time_for_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxied_listener, "HEADER_TIMEOUT_S", 0.05)
    made: asyncio.Queue[str] = asyncio.Queue()

    def factory(client: str) -> asyncio.Protocol:
        made.put_nowait(client)
        return asyncio.Protocol()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxied = ProxiedListener(listener, factory, TrustedProxies((PROXY,)))
        address = listener.getsockname()
        for sent in (b"", header(CAMPUS)[:-1]):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(sent)
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
        reader, writer = await asyncio.open_connection(*address, local_addr=(STRANGER, 0))
        writer.write(b"x")
        assert await asyncio.wait_for(made.get(), 10) == ""
        writer.close()
        proxied.close()
        await asyncio.sleep(0)
    assert made.empty()


def test_a_client_that_comes_by_itself_is_served_as_ever(server: RunningServer) -> None:
    client = Client(server.z3950, source=STRANGER)
    assert client.init("demo1/demo1").result
    found = client.ask(search_request("@attr 1=4 volume", "we_cat"), apdu.SearchResponse)
    assert found.result_count == 3
    assert told_of(server, client) == [(STRANGER, "demo1")]


def test_tls_begins_behind_the_header(server: RunningServer) -> None:
    tls = context(server.config.parent)
    client = Client(server.z3950s, before=header(CAMPUS))
    client.socket = tls.wrap_socket(client.socket, server_hostname="127.0.0.1")
    assert client.init().result
    assert told_of(server, client) == [(CAMPUS, "demo1")]
    # A handshake that is none does not keep the next from being made.
    broken = Client(server.z3950s, before=header(CAMPUS) + b"nonsense" * 10)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        tls.wrap_socket(broken.socket, server_hostname="127.0.0.1")
    broken.close()
    client = Client(server.z3950s, source=STRANGER)
    client.socket = tls.wrap_socket(client.socket, server_hostname="127.0.0.1")
    assert client.init().result
    assert told_of(server, client) == [(STRANGER, "")]


def test_http_headers_count_from_the_proxy_alone(server: RunningServer) -> None:
    for name, value in (
        ("X-Forwarded-For", f"203.0.113.1, {CAMPUS}"), ("Forwarded", f"for={CAMPUS};proto=http"),
    ):  # fmt: skip
        for _ in range(2):  # the second time, the server may know the request
            answer = send(server, SEARCH, login=None, **{name: value})
            assert (answer.status, answer.diagnostics) == (200, [])  # full records, as demo1
    assert send(server, SEARCH, login=None, X_Forwarded_For=STRANGER).status == 401
    assert send(server, SEARCH, login=None).status == 401
    forged = ("--interface", STRANGER, "--header", f"X-Forwarded-For: {CAMPUS}")
    assert curl(f"{server.url}/{SEARCH}", *forged) == "401"
    assert curl(f"{server.url}/{SEARCH}", "--interface", CAMPUS) == "200"


def curl(url: str, *arguments: str) -> str:
    """The status of what curl is answered."""
    done = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "--write-out", "%{http_code}", *arguments, url],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.stdout


def test_failed_logins_are_counted_by_the_address_behind_the_proxy(server: RunningServer) -> None:
    for _ in range(6):
        client = Client(server.z3950, before=header("127.0.0.77"))
        refused = client.init("demo1/guess")
        assert not refused.result
        client.close()
    diagnostics = []
    for address in ("127.0.0.77", "127.0.0.78"):
        client = Client(server.z3950, before=header(address))
        diagnostics.append(client.init("demo1/demo1").result)
        client.close()
    assert diagnostics == [False, True]


# With haproxy

HAPROXY = """\
global
    maxconn 100
defaults
    timeout connect 10s
    timeout client 30s
    timeout server 30s
listen z3950
    mode tcp
    bind fd@{z3950_fd}
    server lianmu {z3950} send-proxy-v2
listen z3950s
    mode tcp
    bind fd@{z3950s_fd}
    server lianmu {z3950s} send-proxy-v2
listen http
    mode http
    bind fd@{http_fd}
    option forwardfor
    server lianmu {http}
"""


@contextmanager
def haproxy(server: RunningServer, folder: Path) -> Iterator[dict[str, str]]:
    """The addresses at which a real proxy takes connections for the server."""
    listeners = {
        name: socket.create_server(("127.0.0.1", 0)) for name in ("z3950", "z3950s", "http")
    }
    # haproxy takes no high numbers, and whoever runs the tests may have many files open.
    numbers = dict(zip(listeners, (7, 8, 9), strict=True))
    descriptors = {f"{name}_fd": number for name, number in numbers.items()}
    moved = " ".join(f"{numbers[name]}<&{each.fileno()}" for name, each in listeners.items())
    path = folder / "haproxy.cfg"
    path.write_text(
        HAPROXY.format(
            z3950=server.z3950, z3950s=server.z3950s, http=server.http, **descriptors
        )
    )  # fmt: skip
    process = subprocess.Popen(
        ["bash", "-c", f'exec haproxy -db -f "$0" {moved}', str(path)],
        pass_fds=[each.fileno() for each in listeners.values()],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    addresses = {name: f"127.0.0.1:{each.getsockname()[1]}" for name, each in listeners.items()}
    try:
        yield addresses
    finally:
        process.terminate()
        process.wait(30)
        for each in listeners.values():
            each.close()


def test_clients_behind_haproxy_are_known_by_their_own_addresses(
    server: RunningServer, tmp_path: Path
) -> None:
    with haproxy(server, tmp_path) as addresses:
        client = Client(addresses["z3950"], source=CAMPUS)
        assert client.init().result
        assert told_of(server, client) == [(CAMPUS, "demo1")]
        client = Client(addresses["z3950"], source=STRANGER)
        assert client.init().result
        assert told_of(server, client) == [(STRANGER, "")]
        client = Client(addresses["z3950s"], source=CAMPUS)
        tls = context(server.config.parent)
        client.socket = tls.wrap_socket(client.socket, server_hostname="127.0.0.1")
        assert client.init().result
        assert told_of(server, client) == [(CAMPUS, "demo1")]
        url = f"http://{addresses['http']}/{SEARCH}"
        assert curl(url, "--interface", CAMPUS) == "200"
        assert curl(url, "--interface", STRANGER) == "401"
        # What a client makes up, the proxy adds to.
        forged = ("--interface", STRANGER, "--header", f"X-Forwarded-For: {CAMPUS}")
        assert curl(url, *forged) == "401"
        assert curl(url, *forged, "--header", f"Forwarded: for={CAMPUS}") == "401"


def test_http_may_be_behind_the_proxy_protocol_too(tmp_path: Path) -> None:
    access = f'trusted_proxies = ["{PROXY}"]\nproxy_protocol = ["http"]'
    records = {"we_cat": [marc21("w1", "Volume 1")]}
    with own_server(tmp_path, records, access=access) as server:
        done = lianmu(
            "member", "address", "add", "DEMO1", f"{CAMPUS}/32", "--account", "demo1",
            "--config", str(server.config),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        url = f"{server.url}/{SEARCH}"
        told = ("--haproxy-protocol", "--interface", "127.0.0.1")
        assert curl(url, *told) == "401"  # for 127.0.0.1 itself
        assert curl(url, "--interface", CAMPUS) == "200"  # by itself
        assert curl(url, "--interface", "127.0.0.1") == "000"  # the proxy, without its header
        assert curl(url, "--interface", STRANGER, "--haproxy-protocol") in ("000", "400")
        with socket.create_connection(tuple(server.http.split(":")), 30) as made:  # type: ignore[arg-type]
            request = f"GET /{SEARCH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
            made.sendall(header(CAMPUS) + request)
            answer = b"".join(iter(lambda: made.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 OK")
        # A plain Z39.50 listener knows nothing of it.
        client = Client(server.z3950)
        assert client.init("demo1/demo1").result
        client.close()
