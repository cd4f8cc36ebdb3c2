"""What who may not come in is told, by yaz-client, SRU and HTTP; at once, in every worker."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from protocol import apdu
from server.config import load_config
from store.access_changes import AccessChanges
from store.members import Members
from store.membership import Membership
from tests.faults.test_workers import children
from tests.harness import RunningServer, lianmu
from tests.server.own_server import cnmarc, marc21, own_server
from tests.server.sru_client import send
from tests.z3950_client import (
    Client,
    connected,
    diagnostic,
    present_request,
    records,
    search_request,
    surrogates,
)

HOME, ELSEWHERE = "127.0.0.1", "127.0.0.9"
SEARCH = "?version=1.2&operation=searchRetrieve&query=dc.title=volume&recordSchema="
WHY = {"who": "li", "reason": "r"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    records = {
        "we_cat": [marc21(f"w{number:03}", f"Volume {number}") for number in range(3)],
        "jp_cat": [cnmarc(f"j{number:03}", f"Volume {number} J") for number in range(2)],
    }
    folder = tmp_path_factory.mktemp("answers")
    with own_server(folder, records, workers=2) as running:
        changing(running).close()
        members = Members(load_config(running.config).members_path, create=True)
        for code in ("ACTIVE", "HELD", "FULL", "GUESSED", "FAR", "CROWD"):
            members.add_member(code, f"Library {code}", "pw", 1)
        AccessChanges(members).set_sessions_max("CROWD", 3, 2, **WHY)
        membership = Membership(members)
        for code in ("SUSPENDED", "ENDED"):
            members.add_member(code, f"Library {code}", "pw", 1)
        membership.suspend("SUSPENDED", 2, who="li", reason="bill open")
        membership.end("ENDED", 2, who="li", reason="merged with another")
        for code in ("REGISTERED", "SIGNED"):
            membership.register(code, f"Library {code}", 1, who="li")
            members.add_account(code.lower(), "pw", code, 1)
        membership.sign("SIGNED", 2, who="li")
        members.close()
        yield running


def changing(server: RunningServer) -> Members:
    return Members(load_config(server.config).members_path, create=True)


Yaz = Callable[..., str]


@pytest.fixture
def yaz(client_program: Callable[[str], str], tmp_path: Path) -> Yaz:
    """What yaz-client prints of commands."""

    def run(*commands: str) -> str:
        script = tmp_path / "commands"
        script.write_text("\n".join([*commands, "quit", ""]))
        done = subprocess.run(
            [client_program("yaz-client"), "-f", str(script)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.stdout

    return run


# Each state has its own answer, in both protocols, in English and Chinese.
TOLD = [
    ("active/wrong", 1011, 401, "unknown account or wrong password", "账号不存在或密码错误"),
    ("nobody/pw", 1011, 401, "unknown account or wrong password", "账号不存在或密码错误"),
    ("suspended/pw", 1021, 403, "SUSPENDED is suspended: bill open", "成员资格已暂停"),
    ("ended/pw", 1021, 403, "ENDED is ended: merged with another", "成员资格已终止"),
    ("registered/pw", 1021, 403, "REGISTERED is not signed yet", "成员资格尚未签约"),
    ("signed/pw", 1021, 403, "SIGNED is not activated yet", "成员资格尚未激活"),
    # Who does not know the password is told nothing of the membership.
    ("suspended/wrong", 1011, 401, "unknown account or wrong password", "账号不存在或密码错误"),
]


@pytest.mark.parametrize(("login", "condition", "status", "english", "chinese"), TOLD)
def test_who_may_not_come_in_is_told_why(
    server: RunningServer,
    yaz: Yaz,
    login: str,
    condition: int,
    status: int,
    english: str,
    chinese: str,
) -> None:
    printed = yaz(f"auth {login}", f"open {server.z3950}")
    assert "Connection rejected" in printed
    assert f"code={condition} " in printed
    assert english in printed
    assert chinese in printed
    answer = send(server, f"we_cat{SEARCH}brief", login=login.replace("/", ":"))
    assert (answer.status, answer.diagnostics) == (status, ["1/3"])
    (details,) = answer.texts("//d:details")
    assert english in details
    assert chinese in details
    problem = send(server, "api/batch", login=login.replace("/", ":"))
    assert (problem.status, problem.media_type) == (status, "application/problem+json")
    told = json.loads(problem.body)
    assert english in told["detail"]
    assert chinese in told["detail_zh"]


def test_a_database_that_is_not_granted_is_named(server: RunningServer, yaz: Yaz) -> None:
    members = changing(server)
    AccessChanges(members).set_databases(
        "HELD", 3, search_in=["we_cat", "jp_cat"], download_from=["we_cat"], **WHY
    )
    members.close()
    commands = ("auth held/pw", f"open {server.z3950}", "format usmarc", "elements F")
    printed = yaz(*commands, "base cn_cat", "find @attr 1=4 volume",
        "scan @attr 1=4 volume", "base we_cat cn_cat", "find @attr 1=4 volume",
        "base Default", "find @attr 1=4 volume",
    )  # fmt: skip
    assert printed.count("[236] Access to specified database denied -- v3 addinfo 'cn_cat: ") == 3
    assert "不能在此数据库中检索" in printed
    assert "Number of hits: 5" in printed  # all that are granted
    asked = search_request("@attr 1=4 volume", "Default")
    with connected(server.z3950, "held/pw") as client:
        for _ in range(2):  # the second time, both are answered at once
            assert client.ask(asked, apdu.SearchResponse).result_count == 5
            assert len(records(client.present(1, 3))) == 3
            some = client.present(3, 2)
            ((condition, told),) = surrogates(some)
            assert (condition, told[:8]) == (236, "jp_cat: ")
            assert len(client.present(4, 2, record_composition="B").records or ()) == 2
            assert diagnostic(client.search("@attr 1=4 volume", "cn_cat"))[0] == 236
    for _ in range(2):
        for path in ("cn_cat", "CN_CAT"):
            refused = send(server, f"{path}{SEARCH}brief", login="held:pw")
            assert (refused.status, refused.diagnostics) == (403, ["1/236"])
        everything = send(server, f"sru{SEARCH}marcxml", login="held:pw")
        assert everything.status == 200
        assert everything.diagnostics == ["1/236", "1/236"]
        assert len(everything.texts("//m:controlfield[@tag='001']")) == 3
        one = send(server, f"jp_cat{SEARCH}marcxml", login="held:pw")
        assert (one.status, set(one.diagnostics)) == (200, {"1/236"})
    scan = send(server, "cn_cat?version=1.2&operation=scan&scanClause=dc.title=volume",
                login="held:pw")  # fmt: skip
    assert (scan.status, scan.diagnostics) == (403, ["1/236"])
    job = send(server, "api/batch?database=cn_cat", b"9787301048153", login="held:pw",
               Content_Type="text/plain")  # fmt: skip
    assert job.status == 403
    page = send(server, "cn_cat", login=None, Accept="text/html")
    assert page.status == 200  # whoever is nobody may search everything as ever


def test_a_grant_that_is_taken_back_ends_sessions_in_every_worker(server: RunningServer) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(server.z3950, "active/pw")) for _ in range(6)]
        requests = (search_request("@attr 1=4 volume", "we_cat"), present_request(1, 1))
        for client in clients:
            for request in requests * 2:
                client.send(request)
                assert client.receive() is not None
        done = lianmu(
            "member", "databases", "ACTIVE", "--search", "we_cat,jp_cat", "--reason", "r",
            "--config", str(server.config),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        for number, client in enumerate(clients):
            client.send(requests[number % 2])
            close = client.receive()
            assert isinstance(close, apdu.Close)
            assert "the databases granted to active have changed" in str(
                close.diagnostic_information
            )
    with connected(server.z3950, "active/pw") as client:
        lianmu("member", "databases", "ACTIVE", "--search", "all", "--reason", "r",
               "--config", str(server.config))  # fmt: skip
        client.ask(requests[0], apdu.SearchResponse)  # who has more may go on


def test_sessions_are_counted_in_all_workers(server: RunningServer, yaz: Yaz) -> None:
    members = changing(server)
    changes = AccessChanges(members)
    members.add_account("full2", "pw", "FULL", 1)
    changes.set_sessions_max("FULL", 4, 3, **WHY)
    changes.set_sessions_max("FULL", 3, 3, account="full", **WHY)
    members.close()
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(server.z3950, "full/pw")) for _ in range(3)]
        printed = yaz("auth full/pw", f"open {server.z3950}")
        assert "code=1015 " in printed
        assert "full has 3 sessions" in printed
        assert "会话数已达上限 3" in printed
        stack.enter_context(connected(server.z3950, "full2/pw"))
        printed = yaz("auth full2/pw", f"open {server.z3950}")
        assert "code=1015 " in printed
        assert "FULL has 4 sessions" in printed
        # Others are not held to it.
        stack.enter_context(connected(server.z3950, "active/pw"))
        clients[1].close()
        wait_until_let_in(server, "full/pw")
        # SRU has no sessions: its bound is the requests at a time.
        assert send(server, f"we_cat{SEARCH}brief", login="full:pw").status == 200


def wait_until_let_in(server: RunningServer, login: str) -> None:
    """The server notices after a moment that a client has gone."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionError, AssertionError):  # a worker that just died
            client = Client(server.z3950)
            result = client.init(login).result
            client.close()
            if result:
                return
        time.sleep(0.05)
    raise AssertionError("the place of a session that ended was not free")


def test_guesses_from_elsewhere_are_slowed_and_the_member_is_not(
    server: RunningServer, tmp_path: Path
) -> None:
    assert send(server, f"we_cat{SEARCH}brief", login="guessed:pw").status == 200
    conditions = []
    for number in range(8):
        client = Client(server.z3950, source=ELSEWHERE)
        conditions.append(condition_of(client.init(f"guessed/guess{number}")))
        client.close()
    # Five may fail, whichever workers they come to.
    assert conditions == [1011] * 5 + [1020] * 3
    client = Client(server.z3950, source=ELSEWHERE)
    assert condition_of(client.init("guessed/pw")) == 1020
    client.close()
    for _ in range(4):  # from where it always comes, in either worker
        with connected(server.z3950, "guessed/pw"):
            assert send(server, f"we_cat{SEARCH}brief", login="guessed:pw").status == 200
    headers = tmp_path / "headers"
    done = subprocess.run(
        ["curl", "-s", "--interface", ELSEWHERE, "--user", "guessed:pw", "-D", str(headers),
         f"{server.url}/we_cat{SEARCH}brief"],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    told = headers.read_text()
    assert " 429 " in told
    retry = re.search(r"Retry-After: (\d+)", told)
    assert retry is not None
    assert 0 < int(retry[1]) <= 30
    assert "info:srw/diagnostic/1/2" in done.stdout
    assert "登录失败次数过多" in done.stdout


def condition_of(response: apdu.InitializeResponse) -> int:
    """The condition of the diagnostic with which an Init was refused."""
    assert not response.result
    assert response.user_information_field is not None
    found = re.search(rb"\x02\x02(..)", response.user_information_field.data, re.DOTALL)
    assert found is not None
    return int.from_bytes(found[1], "big")


def test_addresses_hold_in_both_protocols_and_in_sessions_that_run(
    server: RunningServer, yaz: Yaz
) -> None:
    def member(*arguments: str) -> str:
        done = lianmu("member", *arguments, "--config", str(server.config))
        assert done.returncode == 0, done.stderr
        return done.stdout

    member("address", "add", "FAR", f"{ELSEWHERE}/32", "--account", "far")
    request = search_request("@attr 1=4 volume", "we_cat")
    with ExitStack() as stack:
        campus = [Client(server.z3950, source=ELSEWHERE) for _ in range(4)]
        here = [stack.enter_context(connected(server.z3950, "far/pw")) for _ in range(4)]
        for client in campus:
            stack.callback(client.close)
            assert client.init().result
        for client in (*campus, *here):
            assert client.ask(request, apdu.SearchResponse).result_count == 3
            assert len(records(client.present(1, 1))) == 1  # a full record: it is a member
        member("address", "restrict", "FAR", "on", "--reason", "their wish")
        for client in campus:
            assert client.ask(request, apdu.SearchResponse).result_count == 3
        for client in here:
            client.send(request)
            close = client.receive()
            assert isinstance(close, apdu.Close)
            assert "may come from its own addresses alone" in str(close.diagnostic_information)
        printed = yaz("auth far/pw", f"open {server.z3950}")
        assert "code=1016 " in printed
        assert "只能从其登记的 IP 地址范围登录" in printed
        refused = send(server, f"we_cat{SEARCH}brief", login="far:pw")
        assert (refused.status, refused.diagnostics) == (403, ["1/3"])
        assert json.loads(member("address", "list", "FAR", "--json")) == {
            "restricted": True,
            "ranges": [{"institution": "FAR", "network": f"{ELSEWHERE}/32", "account": "far"}],
        }
        member("address", "restrict", "FAR", "off", "--reason", "lifted")
        member("address", "remove", "FAR", ELSEWHERE, "--reason", "given back")
        for client in campus:
            client.send(request)
            close = client.receive()
            assert isinstance(close, apdu.Close)
            assert "不再享有免密码登录" in str(close.diagnostic_information)
        for _ in range(3):  # the server may know the request, and looks from where it comes
            assert full_records_for(server, ELSEWHERE) == "401"
        member("address", "add", "FAR", ELSEWHERE, "--account", "far")
        for _ in range(3):
            assert full_records_for(server, ELSEWHERE) == "200"
            assert full_records_for(server, HOME) == "401"
        shown = member("show", "FAR")
        assert f"address     {ELSEWHERE}/32  signs in as far\n" in shown
        member("address", "remove", "FAR", ELSEWHERE, "--reason", "given back")
        assert full_records_for(server, ELSEWHERE) == "401"
    assert send(server, f"we_cat{SEARCH}brief", login="far:pw").status == 200


def full_records_for(server: RunningServer, source: str) -> str:
    """The status of an SRU request for full records without a login, which octet for octet
    is always the same."""
    done = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "--write-out", "%{http_code}", "--interface", source,
         f"{server.url}/we_cat{SEARCH}marcxml"],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    return done.stdout


def test_sessions_of_workers_that_died_count_no_more(server: RunningServer) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connected(server.z3950, "crowd/pw"))
        client = Client(server.z3950)
        assert condition_of(client.init("crowd/pw")) == 1015
        client.close()
        for worker in children(server)[1:]:
            os.kill(worker, signal.SIGKILL)
        wait_until_let_in(server, "crowd/pw")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("databases", "NONE"), "no institution NONE"),
        (("databases", "ACTIVE", "--search", "poems", "--reason", "r"), "no database poems"),
        (("databases", "ACTIVE", "--search", ",", "--reason", "r"), "no database is named"),
        (("databases", "ACTIVE", "--search", "cn_cat"), "a reason is needed"),
        (("databases", "ACTIVE", "--account", "held"), "ACTIVE has no account held"),
        (("sessions", "ACTIVE", "0", "--reason", "r"), "neither a number of sessions"),
        (("sessions", "ACTIVE", "many", "--reason", "r"), "neither a number of sessions"),
        (("sessions", "ACTIVE", "3"), "--reason"),
        (("address", "add", "ACTIVE", "192.0.2.1/24"), "no range of addresses"),
        (("address", "add", "ACTIVE", "0.0.0.0/0"), "all addresses there are"),
        (("address", "add", "ACTIVE", "192.0.2.0/24", "--account", "held"), "no account held"),
        (("address", "remove", "ACTIVE", "192.0.2.0/24", "--reason", "r"), "no address range"),
        (("address", "restrict", "ACTIVE", "on", "--reason", "r"), "has no address range"),
        (("address", "list", "NONE"), "no institution NONE"),
    ],
)
def test_bad_usage_is_told_in_a_line(
    server: RunningServer, arguments: Sequence[str], message: str
) -> None:
    done = lianmu("member", *arguments, "--config", str(server.config))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
