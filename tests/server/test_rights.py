"""What the rights of accounts and keys mean to clients of both protocols, and the commands."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from protocol import apdu
from protocol.diagnostic import Bib1
from tests.harness import RunningServer, lianmu
from tests.server.own_server import marc21, own_server
from tests.server.sru_client import send
from tests.z3950_client import connected, present_request, search_request

SEARCH = "we_cat?version=1.2&operation=searchRetrieve&query=dc.title=volume&recordSchema="


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    records = {"we_cat": [marc21(f"w{number:03}", f"Volume {number}") for number in range(3)]}
    with own_server(tmp_path_factory.mktemp("rights"), records) as running:
        member(running, "add", "PKU", "--name", "Peking University Library", "--password", "pw")
        yield running


def member(server: RunningServer, *arguments: str, status: int = 0) -> str:
    done = lianmu("member", *arguments, "--config", str(server.config))
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def test_each_right_is_needed_for_its_service(server: RunningServer) -> None:
    add = ("account", "add", "PKU")
    told = member(server, *add, "looker", "--password", "pw", "--rights", "search")
    assert "rights    search\n" in told
    member(server, *add, "taker", "--password", "pw", "--rights", "download,holdings")
    with connected(server.z3950, "looker/pw") as client:
        found = client.ask(search_request("@attr 1=4 volume", "we_cat"), apdu.SearchResponse)
        assert found.search_status
        present = client.ask(present_request(1, 1), apdu.PresentResponse)
        assert isinstance(present.records, apdu.DefaultDiagFormat)
        assert present.records.condition == Bib1.SYNTAX_NOT_AUTHORISED
        assert "looker has no right to download" in str(present.records.addinfo)
        assert "缺少权限 download" in str(present.records.addinfo)
    with connected(server.z3950, "taker/pw") as client:
        refused = client.ask(search_request("@attr 1=4 volume", "we_cat"), apdu.SearchResponse)
        assert isinstance(refused.records, apdu.DefaultDiagFormat)
        assert refused.records.condition == Bib1.DATABASE_ACCESS_DENIED
        assert "taker has no right to search" in str(refused.records.addinfo)
    assert send(server, f"{SEARCH}brief", login="looker:pw").status == 200
    assert send(server, f"{SEARCH}marcxml", login="looker:pw").diagnostics == ["1/69"]
    for _ in range(2):  # the second time, the server may know the request
        answer = send(server, f"{SEARCH}brief", login="taker:pw")
        assert (answer.status, answer.diagnostics) == (403, ["1/236"])


def test_a_session_that_loses_a_right_ends_and_one_that_gains_any_goes_on(
    server: RunningServer,
) -> None:
    member(server, "account", "add", "PKU", "wang", "--password", "pw")
    with connected(server.z3950, "wang/pw") as client:
        request = search_request("@attr 1=4 volume", "we_cat")
        client.ask(request, apdu.SearchResponse)
        change = ("account", "rights", "wang")
        why = ("--reason", "r", "--as", "li")
        member(server, *change, "search,download,holdings,upload", *why)
        client.ask(request, apdu.SearchResponse)
        member(server, *change, "search", *why)
        client.send(request)
        close = client.receive()
        assert isinstance(close, apdu.Close)
        assert "the rights of wang have changed" in (close.diagnostic_information or "")
    member(server, "account", "password", "wang", "--password", "new", *why)
    assert send(server, f"{SEARCH}brief", login="wang:pw").status == 401
    assert send(server, f"{SEARCH}brief", login="wang:new").status == 200
    member(server, "account", "remove", "wang", *why)
    assert send(server, f"{SEARCH}brief", login="wang:new").status == 401


def test_a_key_may_do_no_more_than_it_was_made_for(server: RunningServer) -> None:
    made = member(server, "key", "add", "PKU", "look", "--rights", "search")
    secret = made.split("key       ")[1].split()[0]
    bearer = {"Authorization": f"Bearer {secret}"}
    assert send(server, f"{SEARCH}brief", login=None, **bearer).status == 200
    assert send(server, f"{SEARCH}marcxml", login=None, **bearer).diagnostics == ["1/69"]
    keys = json.loads(member(server, "key", "list", "PKU", "--json"))
    assert [key["rights"] for key in keys if key["name"] == "look"] == [["search"]]


def test_certificates_are_issued_listed_and_revoked(server: RunningServer) -> None:
    member(server, "account", "add", "PKU", "chen", "--password", "pw", "--rights", "upload")
    made = member(
        server, "certificate", "add", "chen", "--language", "chinese", "--level", "full",
        "--expires", "2099-12-31",
    )  # fmt: skip
    number = made.split()[1].rstrip(":")
    assert "chen, chinese/full, until 2099-12-31" in made
    listed = json.loads(member(server, "account", "list", "PKU", "--json"))
    mine = next(row for row in listed if row["name"] == "chen")
    assert [(c["language"], c["state"]) for c in mine["certificates"]] == [("chinese", "good")]
    assert "chinese/full" in member(server, "account", "list", "PKU")
    member(server, "certificate", "revoke", number, "--reason", "failed review")
    assert "revoked" in member(server, "certificate", "list", "chen")
    assert "PKU: on" in member(server, "uploads", "PKU", "on", "--reason", "agreement")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("account", "add", "PKU", "x", "--rights", "search,fly"), "'fly' is no right"),
        (("account", "rights", "nobody", "search", "--reason", "r"), "no account nobody"),
        (("account", "rights", "pku", "search"), "--reason"),
        (("account", "list", "THU"), "no institution THU"),
        (("certificate", "list", "nobody"), "no account nobody"),
        (("certificate", "add", "pku", "--language", "chinese", "--level", "full",
          "--expires", "2001-01-01"), "cannot have expired"),
        (("certificate", "revoke", "99", "--reason", "r"), "no good certificate 99"),
        (("uploads", "THU", "on", "--reason", "r"), "no institution THU"),
    ],
)  # fmt: skip
def test_bad_usage_is_told_in_a_line(
    server: RunningServer, arguments: tuple[str, ...], message: str
) -> None:
    assert message in member(server, *arguments, status=2)
