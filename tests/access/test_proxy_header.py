"""The header of the PROXY protocol, and who is the client of a request through proxies."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from protocol import proxy_protocol as proxy
from protocol.ber import ProtocolError
from server.access_control.proxies import TrustedProxies

V4 = socket.inet_aton("192.0.2.60") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 4711, 210)
V6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::17")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + struct.pack("!HH", 4711, 210)
)


def fixed(version_command: int, family: int, size: int) -> bytes:
    return struct.pack("!BBH", version_command, family, size)


@pytest.mark.parametrize(
    ("version_command", "family", "rest", "client"),
    [
        (0x21, 0x11, V4, "192.0.2.60"),
        (0x21, 0x12, V4, "192.0.2.60"),  # datagrams have the same addresses
        (0x21, 0x11, V4 + b"\x04\x00\x01x", "192.0.2.60"),  # more is told beside them
        (0x21, 0x21, V6, "2001:db8::17"),
        (0x20, 0x00, b"", ""),  # LOCAL: the proxy looks whether we are there
        (0x20, 0x11, V4, ""),
        (0x21, 0x00, b"", ""),
        (0x21, 0x31, bytes(216), ""),  # a socket of its own machine
    ],
)
def test_a_header_of_version_2_tells_the_client(
    version_command: int, family: int, rest: bytes, client: str
) -> None:
    head = fixed(version_command, family, len(rest))
    assert proxy.version_of(proxy.SIGNATURE) == 2
    assert proxy.rest_size(head) == len(rest)
    assert proxy.source_of(head, rest) == client


@pytest.mark.parametrize(
    ("version_command", "family", "rest"),
    [
        (0x11, 0x11, V4), (0x22, 0x11, V4), (0x2F, 0x11, V4),
        (0x21, 0x11, V4[:-1]), (0x21, 0x21, V4), (0x21, 0x41, V6),
        (0x21, 0x11, bytes(proxy.REST_BYTES_MAX + 1)),
    ],
)  # fmt: skip
def test_what_is_no_header_of_version_2_is_refused(
    version_command: int, family: int, rest: bytes
) -> None:
    head = fixed(version_command, family, len(rest))
    with pytest.raises(ProtocolError):
        proxy.source_of(head, rest[: proxy.rest_size(head)])


@pytest.mark.parametrize(
    ("line", "client"),
    [
        (b"PROXY TCP4 192.0.2.60 192.0.2.1 4711 210\r\n", "192.0.2.60"),
        (b"PROXY TCP6 2001:db8::17 2001:db8::1 4711 210\r\n", "2001:db8::17"),
        (b"PROXY UNKNOWN\r\n", ""),
        (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ""),
    ],
)
def test_a_line_of_version_1_tells_the_client(line: bytes, client: str) -> None:
    assert proxy.version_of(line[: proxy.START_BYTES]) == 1
    assert proxy.source_of_line(line) == client


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY TCP4 192.0.2.60 192.0.2.1 4711 210\n",
        b"PROXY TCP4 192.0.2.60 192.0.2.1 4711\r\n",
        b"PROXY TCP6 192.0.2.60 192.0.2.1 4711 210\r\n",
        b"PROXY TCP4 192.0.2.60 2001:db8::1 4711 210\r\n",
        b"PROXY TCP4 192.0.2.600 192.0.2.1 4711 210\r\n",
        b"PROXY TCP4 192.0.2.60 192.0.2.1 4711 65536\r\n",
        b"PROXY TCP4 192.0.2.60 192.0.2.1 4711 \xb9\r\n",
        b"PROXY  TCP4 192.0.2.60 192.0.2.1 4711 210\r\n",
        b"PROXY UDP4 192.0.2.60 192.0.2.1 4711 210\r\n",
        b"PROXY TCP4 " + b"1" * 100 + b"\r\n",
    ],
)
def test_what_is_no_line_of_version_1_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        proxy.source_of_line(line)


@given(st.binary(max_size=300))
def test_octets_that_are_no_header_raise_nothing_unnamed(data: bytes) -> None:
    for read in (
        lambda: proxy.version_of(data[: proxy.START_BYTES]),
        lambda: proxy.source_of_line(b"PROXY " + data + b"\r\n"),
        lambda: proxy.source_of(data[:4].ljust(4, b"\x21"), data[4:]),
        lambda: proxy.rest_size(data[:4].ljust(4, b"\x21")),
    ):
        with contextlib.suppress(ProtocolError):
            read()


# Forwarded and X-Forwarded-For

PEER = "10.0.0.2"
TRUSTED = TrustedProxies(("10.0.0.0/8", "2001:db8:f::/48"))


def client(*headers: tuple[str, str], peer: str = PEER) -> str:
    request = make_mocked_request("GET", "/", CIMultiDict(headers))
    return TRUSTED.client_of(request, peer)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("for=192.0.2.60", "192.0.2.60"),
        ('For="[2001:db8:cafe::17]:4711";proto=https;by=10.0.0.2', "2001:db8:cafe::17"),
        ("for=192.0.2.60:4711", "192.0.2.60"),
        ("for=1.1.1.1, for=192.0.2.60, for=10.9.9.9", "192.0.2.60"),  # 1.1.1.1 is made up
        ("for=10.1.1.1, for=10.9.9.9", "10.1.1.1"),  # all of them proxies of ours
        ("for=192.0.2.60, for=unknown", PEER),
        ("for=192.0.2.60, for=_hidden, for=10.9.9.9", "10.9.9.9"),
        ("for=192.0.2.60, proto=https", PEER),
        ('for=192.0.2.9, x=", for="[2001:db8::1]"', PEER),  # a quote left open by the client
        ("", PEER), ("nonsense", PEER),
    ],
)  # fmt: skip
def test_forwarded_is_read_from_its_end(value: str, address: str) -> None:
    assert client(("Forwarded", value)) == address


@pytest.mark.parametrize(
    ("values", "address"),
    [
        (["192.0.2.60"], "192.0.2.60"),
        (["1.1.1.1, 192.0.2.60,10.9.9.9"], "192.0.2.60"),
        (["1.1.1.1", "192.0.2.60", "10.9.9.9"], "192.0.2.60"),  # each proxy a header of its own
        (["2001:db8:cafe::17"], "2001:db8:cafe::17"),
        (["[2001:db8:cafe::17]:80, 2001:db8:f::2"], "2001:db8:cafe::17"),
        (["::ffff:192.0.2.60"], "192.0.2.60"),
        (["192.0.2.60:4711"], "192.0.2.60"),
        (["192.0.2.60, "], PEER), (["localhost"], PEER),
    ],
)  # fmt: skip
def test_x_forwarded_for_is_read_from_its_end(values: list[str], address: str) -> None:
    assert client(*(("X-Forwarded-For", value) for value in values)) == address


def test_a_stranger_is_believed_nothing() -> None:
    headers = (("Forwarded", "for=192.0.2.60"), ("X-Forwarded-For", "192.0.2.60"))
    assert client(*headers, peer="203.0.113.9") == "203.0.113.9"
    assert client(*headers, peer="11.0.0.2") == "11.0.0.2"
    assert client(*headers, peer="") == ""
    assert client(peer=PEER) == PEER


def test_two_headers_that_differ_are_both_not_believed() -> None:
    forged = ("Forwarded", "for=192.0.2.1")  # which a proxy of the other kind hands on
    assert client(forged, ("X-Forwarded-For", "203.0.113.9")) == PEER
    assert client(forged, ("X-Forwarded-For", "192.0.2.1")) == "192.0.2.1"
