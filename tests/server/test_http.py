"""HTTP as such: HEAD, compression, entity tags, and what is refused and how."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator

import pytest
from aiohttp import ClientSession
from lxml import etree

from tests.harness import RunningServer, running_demo
from tests.server.http_client import SEARCH, Reply, counted, curl

pytestmark = pytest.mark.real_client

MEMBER = ("-u", "demo1:demo1")
OPERATOR = ("-u", "admin:admin")
BROWSER = ("-H", "Accept: text/html,application/xhtml+xml,*/*;q=0.8")
EXPLAIN = "/we_cat"
SCAN = "/we_cat?version=1.2&operation=scan&scanClause=title=a"
BRIEF = f"{SEARCH}author=knuth&recordSchema=brief"
FULL = f"{SEARCH}author=knuth"
KEPT = [EXPLAIN, "/assets/style.css", SCAN, BRIEF]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_demo(tmp_path_factory.mktemp("http")) as server:
        yield server
        assert "Traceback" not in server.log


def spoken(server: RunningServer, request: bytes, *methods: str) -> list[Reply]:
    """What is answered to octets: a response to each of `methods`, or one to a GET."""
    host, port = server.http.rsplit(":", 1)
    replies = []
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as stream:
            for method in methods or ("GET",):
                status = int(stream.readline().split()[1])
                headers = []
                while line := stream.readline().strip():
                    name, _, value = line.decode("latin-1").partition(":")
                    headers.append((name.lower(), value.strip()))
                has_body = method != "HEAD" and status != 304
                size = int(dict(headers)["content-length"]) if has_body else 0
                replies.append(Reply(status, headers, stream.read(size)))
    return replies


# HEAD


@pytest.mark.parametrize("path", [*KEPT, "/healthz", "/readyz", "/status", f"{SEARCH}title=zzzz"])
def test_head_tells_what_get_would(server: RunningServer, path: str) -> None:
    login = OPERATOR if path == "/status" else MEMBER
    get = curl(server, path, *login)
    head = curl(server, path, *login, "--head")
    assert (get.status, head.status, head.body) == (200, 200, b"")
    assert get.body
    volatile = {"date", "transfer-encoding"} | ({"content-length"} if path == "/status" else set())
    assert [h for h in get.headers if h[0] not in volatile] == [
        h for h in head.headers if h[0] not in volatile
    ]


def test_head_delivers_and_bills_nothing(server: RunningServer) -> None:
    before = counted(server)
    head = curl(server, FULL, *MEMBER, "--head")
    assert (head.status, head.body) == (200, b"")
    assert head.header("Content-Length") == ""
    assert head.header("Content-Type") == "application/xml; charset=utf-8"
    assert counted(server) == before
    assert curl(server, FULL, *MEMBER).records == 5  # the same by GET is counted
    assert counted(server) == before + 5


def test_head_of_full_records_needs_an_account_as_get_does(server: RunningServer) -> None:
    assert curl(server, FULL, "--head").status == 401


def test_no_octet_of_a_body_follows_head_or_304(server: RunningServer) -> None:
    tag = curl(server, EXPLAIN, "-H", "Host: x").header("ETag")
    head = f"HEAD {EXPLAIN} HTTP/1.1\r\nHost: x\r\n\r\n"
    known = f"GET {EXPLAIN} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n\r\n"
    # Were there one, it would be taken for the beginning of the next response.
    replies = spoken(server, (head + known + head).encode(), "HEAD", "GET", "HEAD")
    assert [reply.status for reply in replies] == [200, 304, 200]


# Entity tags


@pytest.mark.parametrize("path", KEPT)
def test_what_is_not_billed_is_told_to_be_unchanged(server: RunningServer, path: str) -> None:
    first = curl(server, path, *MEMBER)
    tag = first.header("ETag")
    assert tag.startswith('W/"')
    before = counted(server)
    for extra in ((), ("--head",), ("--compressed",)):
        again = curl(server, path, *MEMBER, "-H", f"If-None-Match: {tag}", *extra)
        assert (again.status, again.body, again.header("ETag")) == (304, b"", tag)
    other = curl(server, path, *MEMBER, "-H", 'If-None-Match: W/"other"')
    assert (other.status, other.body) == (200, first.body)
    assert counted(server) == before


@pytest.mark.parametrize("known", ["*", 'W/"x"'])
def test_no_304_stands_for_a_delivery(server: RunningServer, known: str) -> None:
    before = counted(server)
    reply = curl(server, FULL, *MEMBER, "-H", f"If-None-Match: {known}")
    assert (reply.status, reply.records) == (200, 5)
    assert reply.header("ETag") == ""
    assert reply.header("Cache-Control") == "no-store"
    assert counted(server) == before + 5


# Compression


@pytest.mark.parametrize("path", [EXPLAIN, BRIEF, FULL, "/assets/style.css"])
def test_curl_compressed_gets_the_same_body_in_fewer_octets(
    server: RunningServer, path: str
) -> None:
    plain = curl(server, path, *MEMBER)
    squeezed = curl(server, path, *MEMBER, "--compressed")  # curl unpacks it
    raw = curl(server, path, *MEMBER, "-H", "Accept-Encoding: gzip")
    assert plain.body == squeezed.body == gzip.decompress(raw.body)
    assert len(raw.body) < len(plain.body)
    assert squeezed.header("Content-Encoding") == raw.header("Content-Encoding") == "gzip"
    assert "Content-Encoding" not in dict(plain.headers)
    assert "Accept-Encoding" in plain.header("Vary")


@pytest.mark.parametrize("path", [EXPLAIN, BRIEF, FULL])
@pytest.mark.parametrize("more", [(), ("--head",), BROWSER])
def test_a_cache_is_told_that_the_accept_header_chooses(
    server: RunningServer, path: str, more: tuple[str, ...]
) -> None:
    reply = curl(server, path, *MEMBER, *more)
    assert "Accept" in reply.header("Vary").split(", ")
    known = reply.header("ETag")
    if known:
        again = curl(server, path, *MEMBER, *more, "-H", f"If-None-Match: {known}")
        assert again.status == 304
        assert "Accept" in again.header("Vary").split(", ")


@pytest.mark.parametrize("path", ["/healthz", f"{SEARCH}title=zzzz"])
def test_a_tiny_body_is_left_as_it_is(server: RunningServer, path: str) -> None:
    assert curl(server, path, *MEMBER, "--compressed").header("Content-Encoding") == ""


def test_the_status_page_is_compressed(server: RunningServer) -> None:
    reply = curl(server, "/status", *OPERATOR, "-H", "Accept-Encoding: gzip")
    assert json.loads(gzip.decompress(reply.body))["server"]["workers"] == 1


async def test_a_keep_alive_connection_serves_one_request_after_another(
    server: RunningServer,
) -> None:
    async with ClientSession() as session:
        ports = set()
        for path in (EXPLAIN, BRIEF, "/nothing/here", "/healthz", BRIEF):
            async with session.get(server.url + path) as response:
                await response.read()
                assert response.status == (404 if path == "/nothing/here" else 200)
                if response.connection is not None and response.connection.transport is not None:
                    ports.add(response.connection.transport.get_extra_info("sockname"))
        assert len(ports) <= 1


# What is refused


def problem(reply: Reply, status: int) -> str:
    """The detail of a problem document of that status."""
    assert reply.status == status
    assert reply.header("Content-Type") == "application/problem+json"
    told = json.loads(reply.body)
    assert told["status"] == status
    return str(told["detail"])


@pytest.mark.parametrize("path", ["/a/b", "/assets/nothing.css", "/assets/../x/y", "/status/x"])
def test_an_unknown_path_is_404(server: RunningServer, path: str) -> None:
    assert "nothing at" in problem(curl(server, path, "--path-as-is"), 404)


def test_a_person_is_told_in_a_page(server: RunningServer) -> None:
    reply = curl(server, "/a/<b>", *BROWSER)
    assert reply.status == 404
    assert reply.header("Content-Type") == "text/html; charset=utf-8"
    root = etree.fromstring(reply.body, etree.HTMLParser())
    assert root.xpath("normalize-space(//h2)") == "Not Found 没有这个页面"
    assert root.xpath("string(//h2/span/@lang)") == "zh-CN"
    assert root.find(".//b") is None  # what was asked for is text, not markup


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/we_cat"), ("DELETE", "/healthz"), ("OPTIONS", "/status")]
)
def test_a_method_that_is_not_answered_is_405_with_those_that_are(
    server: RunningServer, method: str, path: str
) -> None:
    reply = curl(server, path, "-X", method)
    assert {"GET", "HEAD"} <= set(reply.header("Allow").split(", "))
    assert f"{method} is not answered here" in problem(reply, 405)


def test_a_body_that_is_too_large_is_413_before_it_is_read(server: RunningServer) -> None:
    head = b"POST /we_cat HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
    (reply,) = spoken(server, head)
    assert reply.status == 413
    assert b"too large" in reply.body


def test_a_chunked_body_that_grows_too_large_is_413(server: RunningServer) -> None:
    head = (
        b"POST /we_cat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    chunks = b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
    (reply,) = spoken(server, head + chunks * 40)
    assert reply.status == 413


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("query=100%", "a % that begins no escape"),
        ("query=%zz", "a % that begins no escape"),
        ("query=%u53f2", "a % that begins no escape"),
        ("query=%CA%B7%BC%C7", "not in UTF-8"),  # 史记 in GB18030
    ],
)
def test_a_query_that_is_no_escaped_utf_8_is_400_with_a_diagnostic(
    server: RunningServer, query: str, reason: str
) -> None:
    reply = curl(server, f"/cn_cat?version=1.2&operation=searchRetrieve&{query}", *MEMBER)
    assert (reply.status, reply.conditions) == (400, [6])
    assert reason in reply.body.decode()


@pytest.mark.parametrize(
    ("version", "namespace"),
    [
        ("version=1.1&operation=searchRetrieve&", b"http://www.loc.gov/zing/srw/"),
        ("version=2.0&", b"http://docs.oasis-open.org/ns/search-ws/sruResponse"),
        ("", b"http://docs.oasis-open.org/ns/search-ws/sruResponse"),
    ],
)
def test_a_refusal_speaks_the_version_of_the_request(
    server: RunningServer, version: str, namespace: bytes
) -> None:
    reply = curl(server, f"/cn_cat?{version}query=%zz")
    assert reply.status == 400
    assert b'<zs:searchRetrieveResponse xmlns:zs="%b">' % namespace in reply.body


def test_a_refused_scan_is_a_scan_response(server: RunningServer) -> None:
    reply = curl(server, "/cn_cat?version=1.2&operation=scan&scanClause=%zz")
    assert reply.status == 400
    assert b"<zs:scanResponse" in reply.body


@pytest.mark.parametrize(
    "host", [b"Host: a b\r\n", b"Host: x/y\r\n", b"Host: <x>\r\n", b"Host: [::1\r\n", b""]
)
def test_a_bad_host_is_400(server: RunningServer, host: bytes) -> None:
    (reply,) = spoken(server, b"GET /healthz HTTP/1.1\r\n" + host + b"\r\n")
    assert b"ost" in reply.body
    problem(reply, 400)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"nonsense", 400),
        (b"GET / HTTP/9.9", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1", 414),
    ],
)
def test_what_is_no_http_is_told_so(
    server: RunningServer, request_line: bytes, status: int
) -> None:
    (reply,) = spoken(server, request_line + b"\r\nHost: x\r\n\r\n")
    assert problem(reply, status)
    assert reply.header("Connection") == "close"


def test_a_long_query_fits_into_the_address(server: RunningServer) -> None:
    isbns = " or ".join(f"isbn=97802620{number:05d}" for number in range(1000))
    path = f"{SEARCH}{isbns.replace(' ', '+')}&recordSchema=brief"
    assert 20_000 < len(path) < 65_536
    assert curl(server, path).status == 200
