"""Signing in over HTTP: passwords, API keys, SRU's token, and who is asked for what."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.harness import RunningServer, lianmu, running_demo
from tests.server.http_client import SEARCH, counted, curl, made_key

pytestmark = pytest.mark.real_client

FULL = f"{SEARCH}author=knuth&maximumRecords=1"
TOKEN = "x-info-2-auth1.0-authenticationToken"
BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_demo(tmp_path_factory.mktemp("sign-in")) as server:
        yield server


@pytest.fixture(scope="module")
def key(server: RunningServer) -> str:
    return made_key(server, "DEMO1", "ils")


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        (("-u", "demo1:demo1"), ""),
        (("-H", "Authorization: Bearer {key}"), ""),
        (("-H", "authorization: bearer {key}"), ""),
        (("-H", "X-SRU-Authentication-Token: {key}"), ""),
        ((), f"&{TOKEN}={{key}}"),
        ((), "&x-info-2-auth1.1-authenticationToken={key}"),
        ((), f"&{TOKEN.upper()}={{key}}"),
        (("-H", "Authorization: Bearer {key}"), f"&{TOKEN}={{key}}"),  # the same twice
    ],
)
def test_each_way_of_signing_in_delivers_and_counts_for_the_member(
    server: RunningServer, key: str, arguments: tuple[str, ...], query: str
) -> None:
    before = counted(server)
    reply = curl(server, FULL + query.format(key=key), *(a.format(key=key) for a in arguments))
    assert (reply.status, reply.records) == (200, 1)
    assert key.encode() not in reply.body  # the request is echoed, the token is not
    assert counted(server) == before + 1


@pytest.mark.parametrize(
    ("arguments", "query", "challenges"),
    [
        ((), "", 'Basic realm="Lianmu", charset="UTF-8", Bearer realm="Lianmu"'),
        (("-u", "demo1:wrong"), "", 'Basic realm="Lianmu", charset="UTF-8", Bearer realm="Lianmu"'),
        (
            ("-H", "Authorization: Bearer lianmu_wrong"), "",
            'Bearer realm="Lianmu", error="invalid_token", error_description="unknown or revoked",'
            ' Basic realm="Lianmu", charset="UTF-8"',
        ),
        ((), f"&{TOKEN}=x", 'Basic realm="Lianmu", charset="UTF-8", Bearer realm="Lianmu"'),
        (("-H", BROWSER), "", 'Basic realm="Lianmu", charset="UTF-8"'),
        (("-H", "X-Requested-With: XMLHttpRequest"), "", 'Bearer realm="Lianmu"'),
        (
            ("-H", "Sec-Fetch-Mode: cors", "-H", "Sec-Fetch-Dest: empty"), "",
            'Bearer realm="Lianmu"',
        ),
        (("-H", "Authorization: Digest username=x"), "",
         'Basic realm="Lianmu", charset="UTF-8", Bearer realm="Lianmu"'),
        (("-H", "Authorization: Basic %%%"), "",
         'Basic realm="Lianmu", charset="UTF-8", Bearer realm="Lianmu"'),
        (("-u", "demo1:demo1"), f"&{TOKEN}=x",
         'Basic realm="Lianmu", charset="UTF-8", Bearer realm="Lianmu"'),
    ],
)  # fmt: skip
def test_a_refusal_is_401_with_a_challenge_for_that_client_and_a_diagnostic(
    server: RunningServer, arguments: tuple[str, ...], query: str, challenges: str
) -> None:
    reply = curl(server, FULL + query, *arguments)
    assert reply.status == 401
    assert reply.header("WWW-Authenticate") == challenges
    assert reply.header("Cache-Control") == "no-store"
    assert reply.conditions in ([3], [69])
    assert reply.records == 0


def test_a_revoked_key_is_refused_at_once_and_its_use_was_noted(server: RunningServer) -> None:
    secret = made_key(server, "DEMO2", "batch")
    bearer = ("-H", f"Authorization: Bearer {secret}")
    assert curl(server, FULL, *bearer).status == 200
    config = ("--config", str(server.config))
    deadline = time.monotonic() + 10
    while "never used" in lianmu("member", "key", "list", "DEMO2", *config).stdout:
        assert time.monotonic() < deadline
    assert lianmu("member", "key", "revoke", "DEMO2", "batch", *config).returncode == 0
    reply = curl(server, FULL, *bearer)
    assert (reply.status, reply.conditions) == (401, [3])
    assert "account=demo2+batch" in server.log
    assert secret not in server.log


def test_a_key_is_no_operator_and_no_password(server: RunningServer, key: str) -> None:
    assert curl(server, "/status", "-H", f"Authorization: Bearer {key}").status == 403
    assert curl(server, FULL, "-u", f"demo1:{key}").status == 401


def test_explain_needs_no_account_and_tells_no_one_off(server: RunningServer) -> None:
    assert curl(server, "/we_cat").status == 200


def test_failed_logins_in_a_row_are_429_with_the_time_to_wait(server: RunningServer) -> None:
    for _ in range(5):
        assert curl(server, FULL, "-u", "demo3:wrong").status == 401
    reply = curl(server, FULL, "-u", "demo3:wrong")
    assert (reply.status, reply.header("Retry-After")) == (429, "30")
    assert reply.conditions == [2]


def test_a_person_in_a_browser_is_shown_the_sign_in_form_on_the_status_page(
    server: RunningServer,
) -> None:
    reply = curl(server, "/status", "-H", BROWSER)
    assert reply.status == 403
    assert b'name="next" value="/status"' in reply.body
    assert reply.header("WWW-Authenticate") == ""
    program = curl(server, "/status")
    assert program.status == 401
    assert 'Basic realm="Lianmu"' in str(program.header("WWW-Authenticate"))
