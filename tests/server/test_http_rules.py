"""Limits, origins and the access log, as the configuration sets them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import RunningServer, lianmu, serving
from tests.server.http_client import SEARCH, counted, curl, demo_with, made_key

pytestmark = pytest.mark.real_client

MEMBER = ("-u", "demo1:demo1")
FULL = f"{SEARCH}author=knuth&maximumRecords=1"
BRIEF = f"{SEARCH}author=knuth&recordSchema=brief"
PAGE = "https://catalogue.example.edu"


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    http = "[http.limits]\nrequests_per_minute = 4\nanonymous_requests_per_minute = 2\n"
    with demo_with(tmp_path_factory.mktemp("limited"), http) as server:
        yield server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    http = f'[http.cors]\nallowed_origins = ["{PAGE}"]\nmax_age_s = 60\n'
    with demo_with(tmp_path_factory.mktemp("shared"), http) as server:
        yield server


# Limits


def test_an_account_over_its_rate_is_429_and_not_billed(limited: RunningServer) -> None:
    key = ("-H", f"Authorization: Bearer {made_key(limited, 'DEMO1', 'ils')}")
    for login in (MEMBER, key, MEMBER, key):
        assert curl(limited, FULL, *login).status == 200
    before = counted(limited)
    reply = curl(limited, FULL, *key)
    assert (reply.status, reply.conditions) == (429, [2])
    assert 1 <= int(reply.header("Retry-After")) <= 15
    assert f"try again in {reply.header('Retry-After')} s" in reply.body.decode()
    assert counted(limited) == before
    assert curl(limited, FULL, "-u", "demo2:demo2").status == 200  # another account is not limited


def test_an_address_without_an_account_is_limited_and_asked_to_wait(
    limited: RunningServer,
) -> None:
    statuses = [curl(limited, BRIEF).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    page = curl(limited, "/status", "-H", "Accept: text/html")
    assert (page.status, page.header("Content-Type")) == (429, "text/html; charset=utf-8")
    assert "Too Many Requests" in page.body.decode()
    assert "请求过于频繁，请稍后再试" in page.body.decode()
    for path in ("/healthz", "/readyz", "/assets/style.css"):
        assert curl(limited, path).status == 200  # neither watched nor shown is limited


# Origins


def test_a_page_of_an_allowed_origin_may_ask_and_read(shared: RunningServer) -> None:
    reply = curl(shared, BRIEF, "-H", f"Origin: {PAGE}")
    assert reply.status == 200
    assert reply.header("Access-Control-Allow-Origin") == PAGE
    assert (
        reply.header("Access-Control-Expose-Headers")
        == "ETag, Idempotency-Replayed, Link, Location, Retry-After, WWW-Authenticate"
    )
    assert reply.header("Access-Control-Allow-Credentials") == ""
    assert "Origin" in reply.header("Vary")


@pytest.mark.parametrize("path", [FULL, "/nothing/here", "/cn_cat?query=%zz", "/nowhere"])
def test_an_error_can_be_read_by_the_page_too(shared: RunningServer, path: str) -> None:
    reply = curl(shared, path, "-H", f"Origin: {PAGE}")
    assert reply.status >= 400
    assert reply.header("Access-Control-Allow-Origin") == PAGE


def test_a_preflight_request_tells_what_a_script_may_send(shared: RunningServer) -> None:
    asked = ("-X", "OPTIONS", "-H", "Access-Control-Request-Method: GET",
             "-H", "Access-Control-Request-Headers: authorization")  # fmt: skip
    reply = curl(shared, "/we_cat", *asked, "-H", f"Origin: {PAGE}")
    assert (reply.status, reply.body) == (204, b"")
    assert reply.header("Access-Control-Allow-Origin") == PAGE
    assert "GET" in reply.header("Access-Control-Allow-Methods")
    assert "Authorization" in reply.header("Access-Control-Allow-Headers")
    assert reply.header("Access-Control-Max-Age") == "60"
    other = curl(shared, "/we_cat", *asked, "-H", "Origin: https://elsewhere.example")
    assert not [name for name, _ in other.headers if name.startswith("access-control")]


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", f"{PAGE}.evil.example"])
def test_another_origin_is_allowed_nothing(shared: RunningServer, origin: str) -> None:
    reply = curl(shared, BRIEF, "-H", f"Origin: {origin}")
    assert reply.header("Access-Control-Allow-Origin") == ""
    assert "Origin" in reply.header("Vary")


def test_by_default_no_origin_is_allowed(demo: RunningServer) -> None:
    reply = curl(demo, BRIEF, "-H", f"Origin: {PAGE}")
    assert not [name for name, _ in reply.headers if name.startswith("access-control")]
    asked = ("-X", "OPTIONS", "-H", "Access-Control-Request-Method: GET")
    assert curl(demo, "/we_cat", *asked, "-H", f"Origin: {PAGE}").status == 405


@pytest.mark.parametrize(
    ("mode", "destination", "status"),
    [("no-cors", "image", 403), ("navigate", "iframe", 403), ("cors", "empty", 403),
     ("navigate", "document", 200)],
)  # fmt: skip
def test_a_page_elsewhere_downloads_nothing_at_its_readers_cost(
    shared: RunningServer, mode: str, destination: str, status: int
) -> None:
    before = counted(shared)
    headers = ("-H", "Sec-Fetch-Site: cross-site", "-H", f"Sec-Fetch-Mode: {mode}",
               "-H", f"Sec-Fetch-Dest: {destination}")  # fmt: skip
    assert curl(shared, FULL, *MEMBER, *headers).status == status
    assert counted(shared) - before == (1 if status == 200 else 0)
    assert curl(shared, FULL, *MEMBER, *headers, "-H", f"Origin: {PAGE}").status == 200


# The access log


def events(server: RunningServer, count: int) -> list[dict[str, object]]:
    """The access log, once it has so many events."""
    deadline = time.monotonic() + 10
    while True:
        lines = [line for line in server.log.splitlines() if '"event":"request"' in line]
        if len(lines) >= count or time.monotonic() > deadline:
            return [json.loads(line) for line in lines]
        time.sleep(0.05)


def test_the_log_tells_who_asked_and_how_it_went_but_not_what(tmp_path: Path) -> None:
    with demo_with(tmp_path, "") as server:
        text = server.config.read_text("utf-8")
    server.config.write_text(text.replace("[server]\n", '[server]\nlog_format = "json"\n'), "utf-8")
    with serving(tmp_path / "config.toml") as server:
        key = made_key(server, "DEMO1", "ils")
        token = f"&x-info-2-auth1.0-authenticationToken={key}"
        assert curl(server, FULL, *MEMBER).status == 200
        assert curl(server, FULL + token).status == 200
        assert curl(server, "/we_cat", "--head").status == 200
        assert curl(server, FULL, "-u", "demo1:secretive").status == 401
        assert curl(server, "/a/b").status == 404
        assert curl(server, "/healthz").status == 200
        told = events(server, 5)
    assert [(e["method"], e["path"], e["status"], e["account"]) for e in told] == [
        ("GET", "/we_cat", 200, "demo1"),
        ("GET", "/we_cat", 200, "demo1+ils"),
        ("HEAD", "/we_cat", 200, ""),
        ("GET", "/we_cat", 401, ""),
        ("GET", "/a/b", 404, ""),
    ]
    for event in told:
        assert event["address"] == "127.0.0.1"
        assert isinstance(event["bytes"], int)
        assert event["bytes"] > 100
        assert isinstance(event["duration_ms"], float)
        assert re.fullmatch(r"s0-\d+", str(event["session"]))
    for secret in (key, "secretive", "knuth", "ZGVtbzE6ZGVtbzE="):
        assert secret not in server.log


def test_the_session_of_the_log_is_that_of_the_ledger(tmp_path: Path) -> None:
    with demo_with(tmp_path, "") as server:
        assert curl(server, FULL, *MEMBER).status == 200
        deadline = time.monotonic() + 10
        while not (found := re.search(r"request .*account=demo1 .*session=(\S+)", server.log)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert lianmu("doctor", "--config", str(server.config)).returncode == 0
    ledger = (tmp_path / "data" / "ledger.sqlite").read_bytes()
    assert found[1].encode() in ledger


def test_the_log_can_be_turned_off(tmp_path: Path) -> None:
    with demo_with(tmp_path, "access_log = false\n") as server:
        assert curl(server, "/we_cat").status == 200
        assert curl(server, "/we_cat", "-u", "x:y").status == 200
    assert "login refused" in server.log  # other events stay
    assert "request method=" not in server.log
