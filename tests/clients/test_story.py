"""A member's first year, told by the programs of libraries: from signing to the statement.

What the consortium's operators do is done with `lianmu`; everything else by yaz-client,
zoomsh, sruthi and curl, with a server in several processes. The clock is moved to the end
of the year and beyond the grace period.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import sruthi

from protocol.iso2709 import build
from protocol.record import MarcFamily
from tests.faults.wall_clock import SHANGHAI, WallClock
from tests.harness import RunningServer, lianmu, serving
from tests.server.own_server import cnmarc
from tests.unit.test_validation import record_of

pytestmark = pytest.mark.real_client

CONFIG = """
[server]
data_dir = "data"
workers = 2
connections_together = 1
[z3950]
port = 0
[http]
port = 0
[access]
anonymous = true
"""
BOOKS = [f"b{number:02}" for number in range(1, 16)]
DECEMBER = datetime(2026, 12, 21, 9, 30, tzinfo=SHANGHAI)
GRACE = datetime(2027, 1, 20, 9, 0, tzinfo=SHANGHAI)
FEBRUARY = datetime(2027, 2, 2, 9, 0, tzinfo=SHANGHAI)
PATIENCE_S = 20.0
Programs = Callable[[str], str]


class Consortium:
    """The operators, and the catalogue of fifteen books that is there before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.config.write_text(CONFIG)
        books = folder / "books.iso"
        books.write_bytes(b"".join(cnmarc(number, f"藏书{number}") for number in BOOKS))
        self.operator("load", "--database", "cn_cat", str(books))

    def operator(self, *arguments: str) -> str:
        done = lianmu(*arguments, "--config", str(self.config))
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def audit(self) -> list[str]:
        lines = self.operator("audit", "--member", "NEWLIB", "--json").splitlines()
        return [json.loads(line)["action"] for line in lines]


class YazClient:
    """yaz-client as a person types to it: one command, and what it printed."""

    def __init__(self, program: str, address: str, database: str, login: str) -> None:
        self._process = subprocess.Popen(
            [program, "-u", login, f"{address}/{database}"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        assert self._process.stdout is not None
        self._until_prompt()

    def ask(self, command: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return self._until_prompt()

    def close(self) -> None:
        if self._process.poll() is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _until_prompt(self) -> str:
        """What it prints up to its next prompt, or to its end."""
        assert self._process.stdout is not None
        printed = ""
        while not printed.endswith("Z> "):
            char = self._process.stdout.read(1)
            if not char:
                break
            printed += char
        return printed


@contextmanager
def yaz_client(programs: Programs, server: RunningServer, login: str) -> Iterator[YazClient]:
    client = YazClient(programs("yaz-client"), server.z3950, "cn_cat", login)
    try:
        yield client
    finally:
        client.close()


def yaz_script(
    programs: Programs,
    server: RunningServer,
    folder: Path,
    *commands: str,
    login: str = "newlib/secret",
) -> str:
    """What yaz-client prints for a file of commands; without `login` as anybody."""
    script = folder / "commands.yaz"
    first = [f"auth {login}"] if login else []
    script.write_text("\n".join((*first, f"open {server.z3950}/cn_cat", *commands)))
    done = subprocess.run(
        [programs("yaz-client"), "-f", str(script)], capture_output=True, timeout=60, check=False,
        input=b"quit\n",
    )  # fmt: skip
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def curl(programs: Programs, *arguments: str) -> tuple[int, str]:
    """Status and body."""
    done = subprocess.run(
        [programs("curl"), "--silent", "--show-error", "--globoff", "--max-time", "30",
         "--write-out", "\n%{http_code}", *arguments],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def signed_in(programs: Programs, *arguments: str) -> tuple[int, str]:
    return curl(programs, "--user", "newlib:secret", *arguments)


def usage(programs: Programs, server: RunningServer) -> dict[str, Any]:
    """The member's year as it sees it itself."""
    status, body = signed_in(programs, f"{server.url}/api/v1/institutions/NEWLIB/usage/2026")
    assert status == 200, body
    told: dict[str, Any] = json.loads(body)
    return told


def sru(server: RunningServer, query: str, **more: str) -> str:
    """The address of a search."""
    parameters = {
        "version": "1.2", "operation": "searchRetrieve", "query": query, "maximumRecords": "10",
        "recordSchema": "marcxml", **more,
    }  # fmt: skip
    prepared = requests.Request("GET", f"{server.url}/cn_cat", params=parameters).prepare()
    assert prepared.url is not None
    return prepared.url


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WallClock:
    clock = WallClock(tmp_path / "clock", monkeypatch)
    clock.set(DECEMBER)
    return clock


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_new_members_first_year_from_its_agreement_to_its_statement(
    clock: WallClock, client_program: Programs, tmp_path: Path
) -> None:
    consortium = Consortium(tmp_path)
    operator = consortium.operator

    operator("member", "register", "NEWLIB", "--name", "新馆", "--contact", "tel 1")
    token = re.findall(r"lianmu_join_\S+", operator("member", "sign", "NEWLIB"))[0]
    with serving(consortium.config) as server:
        refused = yaz_script(client_program, server, tmp_path)
        assert "Connection rejected" in refused
        operator("member", "activate", "NEWLIB", token, "--password", "secret")
        everything = "search,download,holdings,upload,manager"
        operator("member", "account", "rights", "newlib", everything, "--reason", "all in one")
        operator("member", "uploads", "NEWLIB", "on", "--reason", "agreement")
        operator(
            "member", "certificate", "add", "newlib", "--language", "chinese", "--level", "full",
            "--expires", "2030-12-31",
        )  # fmt: skip

        says_what_it_holds(client_program, consortium, server)
        downloads_twelve_for_nothing(client_program, consortium, server)
        pays_for_the_thirteenth(client_program, consortium, server)
        earns_with_a_record_of_its_own(client_program, consortium, server)
        is_suspended_amid_a_session(client_program, consortium, server)
        settles_its_year(client_program, consortium, server, clock)


def says_what_it_holds(programs: Programs, consortium: Consortium, server: RunningServer) -> None:
    """Ten holdings, with curl, and a library of the world sees them."""
    for number in BOOKS[:10]:
        status, body = signed_in(
            programs, "--request", "PUT", "--header", "Content-Type: application/json",
            "--data", json.dumps({"call_number": f"I247/{number}", "copies": 2}),
            f"{server.url}/api/v1/institutions/NEWLIB/holdings/cn_cat/{number}",
        )  # fmt: skip
        assert status == 201, body
    anybody = yaz_script(programs, server, consortium.folder, "find @attr 1=1044 NEWLIB", login="")
    assert "Number of hits: 10," in anybody
    year = usage(programs, server)
    assert (year["holdings"], year["quota"]) == (10, 12)


def downloads_twelve_for_nothing(
    programs: Programs, consortium: Consortium, server: RunningServer
) -> None:
    """Five with yaz-client, four with zoomsh, three with sruthi."""
    shows = [f"find @attr 1=12 {number}\nshow 1" for number in BOOKS[:5]]
    printed = yaz_script(
        programs, server, consortium.folder, "charset utf-8", "elements F", "format unimarc", *shows
    )
    assert [number for number in BOOKS if f"001 {number}" in printed] == BOOKS[:5]
    zoomsh = [
        programs("zoomsh"), "set user newlib", "set password secret",
        "set preferredRecordSyntax unimarc", "set elementSetName F",
        f"connect {server.z3950}/cn_cat",
    ]  # fmt: skip
    for number in BOOKS[5:9]:
        zoomsh += [f"search @attr 1=12 {number}", "show 0 1"]
    done = subprocess.run([*zoomsh, "quit"], capture_output=True, timeout=60, check=True)
    printed = done.stdout.decode("utf-8", "replace")
    assert [number for number in BOOKS if f"001 {number}" in printed] == BOOKS[5:9]
    with requests.Session() as session:
        session.trust_env = False
        session.auth = ("newlib", "secret")
        for number in BOOKS[9:12]:
            (record,) = sruthi.searchretrieve(
                f"{server.url}/cn_cat", query=f"rec.identifier={number}",
                record_schema="marcxml", session=session,
            )  # fmt: skip
            assert f"藏书{number}" in str(record)
    year = usage(programs, server)
    assert (year["downloads"], year["money"]["downloads_fen"]) == (12, 0)


def pays_for_the_thirteenth(
    programs: Programs, consortium: Consortium, server: RunningServer
) -> None:
    query = sru(server, f"rec.identifier={BOOKS[12]}", **{"x-lianmu-quota": "1"})
    status, body = signed_in(programs, query)
    assert status == 200
    assert f"藏书{BOOKS[12]}" in body
    assert "<downloads>13</downloads>" in body
    assert "<billable>1</billable>" in body
    assert re.search(r"<estimatedCharge [^>]*>100</estimatedCharge>", body)
    assert usage(programs, server)["money"]["downloads_fen"] == 100


def earns_with_a_record_of_its_own(
    programs: Programs, consortium: Consortium, server: RunningServer
) -> None:
    """An original Chinese record, sent twice as a cataloguer does who is not sure: 4.00."""
    record = record_of(
        MarcFamily.UNIMARC, "~001 n1", "~010   $a978-7-301-04626-5", "~200 1 $a新馆志$f新馆", "-905"
    )
    file = consortium.folder / "original.mrc"
    file.write_bytes(build(record.leader, record.fields, oversize=True))
    for change, credit in (("created", "accepted"), ("unchanged", "claimed")):
        printed = yaz_script(programs, server, consortium.folder, f"update insert 1 <{file}")
        assert f"change: {change}\n" in printed
        assert f"credit: {credit}\n" in printed
    status, body = curl(programs, sru(server, "dc.title=新馆志", recordSchema="brief"))
    assert status == 200
    assert "<zs:numberOfRecords>1</zs:numberOfRecords>" in body
    (claim,) = [
        json.loads(line) for line in consortium.operator("credit", "list", "--json").splitlines()
    ]
    assert (claim["institution"], claim["status"], claim["worth_fen"]) == (
        "NEWLIB", "accepted", 400,
    )  # fmt: skip


def is_suspended_amid_a_session(
    programs: Programs, consortium: Consortium, server: RunningServer
) -> None:
    """At the next request, in both protocols and the API; restored, it goes on."""
    api = f"{server.url}/api/v1/institutions/NEWLIB/usage/2026"
    with yaz_client(programs, server, "newlib/secret") as client:
        assert "Number of hits: 1," in client.ask(f"find @attr 1=12 {BOOKS[13]}")
        consortium.operator("member", "suspend", "NEWLIB", "--reason", "the bill is open")
        client.ask("elements F")
        closed = client.ask("show 1")
        assert BOOKS[13] not in closed.replace(f"find @attr 1=12 {BOOKS[13]}", "")
        assert "the membership of NEWLIB is suspended: the bill is open" in closed
    assert "suspended: the bill is open" in yaz_script(programs, server, consortium.folder)
    for address in (sru(server, "rec.identifier=b14"), api):
        status, body = signed_in(programs, address)
        assert status == 403
        assert "已暂停" in body
    consortium.operator("member", "restore", "NEWLIB", "--reason", "paid")
    with yaz_client(programs, server, "newlib/secret") as client:
        assert "Number of hits: 1," in client.ask(f"find @attr 1=12 {BOOKS[13]}")
    status, body = signed_in(programs, api)
    assert (status, json.loads(body)["downloads"]) == (200, 13)


def settles_its_year(
    programs: Programs, consortium: Consortium, server: RunningServer, clock: WallClock
) -> None:
    """1.00 for a download, 4.00 for a record: the consortium owes 3.00."""
    clock.set(GRACE)
    (draft,) = json.loads(consortium.operator("settle", "2026", "--json"))
    assert (draft["status"], draft["net_fen"]) == ("draft", -300)
    early = lianmu("settle", "2026", "--final", "--config", str(consortium.config))
    assert early.returncode == 2
    assert "the grace period of 2026 lasts until 2027-01-31" in early.stderr
    clock.set(FEBRUARY)
    (final,) = json.loads(consortium.operator("settle", "2026", "--final", "--json"))
    assert (final["receivable_fen"], final["payable_fen"], final["net_fen"]) == (100, 400, -300)
    assert "all as the ledger has it" in consortium.operator("settle", "2026", "--verify")
    assert "good" in consortium.operator("ledger", "verify")

    # The member reads its statement, and adds it up itself.
    status, body = signed_in(
        programs, f"{server.url}/api/v1/institutions/NEWLIB/statements/2026?format=json"
    )
    assert status == 200, body
    statement = json.loads(body)
    entries = statement["entries"]
    counts = Counter[str]()
    for entry in entries:
        counts[entry["meter"]] += entry["quantity"]
    assert counts == {"holding": 10, "download": 13, "upload": 1}
    assert {each["control_number"] for each in entries if each["meter"] == "download"} == {
        *BOOKS[:13]
    }
    owed_fen = 100 * max(0, counts["download"] - 6 * counts["holding"] // 5)
    (document,) = statement["documents"]
    assert sum(line["amount_fen"] for line in document["lines"]) == owed_fen - 400 == -300
    assert (statement["estimate"], statement["net_fen"]) == (False, -300)
    assert consortium.audit()[-4:] == ["suspend", "restore", "settlement draft", "settlement final"]
