"""A membership's steps from the command line, and what its sessions notice of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from protocol import apdu
from tests.harness import RunningServer, lianmu
from tests.server.own_server import marc21, own_server
from tests.server.sru_client import send
from tests.z3950_client import Client, connected, present_request, search_request

SEARCH = "we_cat?version=1.2&operation=searchRetrieve&query=dc.title=volume&recordSchema=marcxml"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    records = {"we_cat": [marc21(f"w{number:03}", f"Volume {number}") for number in range(9)]}
    with own_server(tmp_path_factory.mktemp("membership"), records, workers=2) as running:
        yield running


def member(server: RunningServer, *arguments: str, status: int = 0) -> str:
    done = lianmu("member", *arguments, "--config", str(server.config))
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def test_an_institution_joins_is_suspended_in_its_sessions_and_restored(
    server: RunningServer,
) -> None:
    member(server, "register", "PKU", "--name", "Peking University Library", "--as", "li")
    stranger = Client(server.z3950)
    assert not stranger.init("pku/secret").result
    stranger.close()
    signed = member(server, "sign", "PKU", "--from", "2026-01-01", "--as", "li")
    assert "from 2026-01-01 to 2028-12-31, then 3 years more each time" in signed
    token = re.search(r"lianmu_join_\S+", signed)
    assert token is not None
    wrong = member(server, "activate", "PKU", "lianmu_join_x", "--password", "secret", status=2)
    assert "does not activate PKU" in wrong
    opened = member(server, "activate", "PKU", token[0], "--password", "secret", "--as", "wang")
    assert "account     pku" in opened
    # Several sessions, so that both workers have some.
    sessions = [connected(server.z3950, "pku/secret") for _ in range(6)]
    clients = [each.__enter__() for each in sessions]
    requests = (search_request("@attr 1=4 volume", "we_cat"), present_request(1, 1))
    for client in clients:
        for request in requests * 2:
            client.send(request)
            answer = client.receive()
            assert isinstance(answer, (apdu.SearchResponse, apdu.PresentResponse))
    assert send(server, SEARCH, login="pku:secret").status == 200
    member(server, "warn", "PKU", "--reason", "the bill is open", "--as", "li")
    clients[0].send(requests[1])
    assert isinstance(clients[0].receive(), apdu.PresentResponse)
    member(server, "suspend", "PKU", "--reason", "still open", "--as", "li")
    for number, client in enumerate(clients):
        client.send(requests[number % 2])
        close = client.receive()
        assert isinstance(close, apdu.Close)
        assert close.close_reason == apdu.CloseReason.SECURITY_VIOLATION
        told = close.diagnostic_information or ""
        assert "the membership of PKU is suspended: still open" in told
        assert "已暂停" in told
        assert client.receive() is None
    for each in sessions:
        each.__exit__(None, None, None)
    refused = send(server, SEARCH, login="pku:secret")
    assert refused.status == 403
    assert b"still open" in refused.body
    with connected(server.z3950, "demo1/demo1") as other:
        other.send(requests[0])
        assert isinstance(other.receive(), apdu.SearchResponse)
    member(server, "restore", "PKU", "--reason", "paid", "--as", "li")
    assert send(server, SEARCH, login="pku:secret").status == 200
    shown = json.loads(member(server, "show", "PKU", "--json"))
    assert shown["status"] == "active"
    assert [(step["action"], step["who"]) for step in shown["audit"]] == [
        ("register", "li"), ("sign", "li"), ("activate", "wang"),
        ("warn", "li"), ("suspend", "li"), ("restore", "li"),
    ]  # fmt: skip


def test_steps_that_cannot_be_are_refused_in_one_line(server: RunningServer) -> None:
    for arguments, reason in (
        (("suspend", "NONE", "--reason", "x"), "there is no institution NONE"),
        (("restore", "DEMO1", "--reason", "x"), "DEMO1 is active; it can be warned"),
        (("sign", "DEMO1"), "DEMO1 is active; it can be warned"),
        (("end", "DEMO1", "--reason", "x", "--on", "2020-01-01"), "2020-01-01 is past"),
        (("end", "DEMO1", "--reason", "x", "--on", "soon"), "'soon' is no day"),
        (("suspend", "DEMO1"), "--reason"),
        (("register", "DEMO1", "--name", "again"), "is there already"),
    ):
        assert reason in member(server, *arguments, status=2)


def test_an_agreement_ends_with_its_term_when_it_is_to(server: RunningServer) -> None:
    member(server, "add", "LATER", "--name", "Later Library", "--password", "secret")
    told = member(server, "end", "LATER", "--reason", "joins another", "--at-term")
    assert "ends        LATER, after 20" in told
    assert send(server, SEARCH, login="later:secret").status == 200
    assert "ends 20" in member(server, "show", "LATER")
    audit = lianmu("audit", "--member", "LATER", "--config", str(server.config)).stdout
    assert "joins another" in audit
