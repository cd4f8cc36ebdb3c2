"""`lianmu audit`: every command that writes is found there, with who and from where."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from metering.entry import Draft, Kind
from metering.ledger import Ledger
from protocol.iso2709 import build
from protocol.record import MarcFamily
from server.cli import COMMANDS, main
from server.commands.person import here, login
from tests.covers.pictures import picture
from tests.server.own_server import cnmarc
from tests.unit.test_settlement import deliveries
from tests.unit.test_validation import record_of

CONFIG = (
    '[server]\ndata_dir = "data"\n[metering]\nfsync = false\n[credit]\nacceptance = "operator"\n'
)

# Commands that change nothing that anybody said: they look, copy out, or make anew what
# follows from the rest. `demo` makes a catalogue of its own.
READING = {
    "api", "backup make", "backup verify", "restore", "demo", "serve", "check-config", "export",
    "audit", "reindex", "doctor", "usage", "tariff list", "tariff show", "tariff explain",
    "counter", "statement", "query", "validate", "member list", "member show", "member key list",
    "member account list", "member certificate list", "record show", "record history",
    "credit list", "ledger verify", "ledger show", "ledger export", "ledger rebuild",
    "cover list", "cover export", "member address list", "holdings export", "holdings diff",
    "operator list",
}  # fmt: skip


class Desk:
    """An operator at the machine, who looks into the audit after each command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.config.write_text(CONFIG)
        self.rows: list[dict[str, Any]] = []
        self.walked: set[str] = set()

    def lianmu(self, *arguments: str) -> str:
        done = CliRunner().invoke(main, [*arguments, "--config", str(self.config)])
        assert done.exit_code == 0, f"{arguments}: {done.output}"
        return done.stdout

    def audit(self, *arguments: str) -> list[dict[str, Any]]:
        return [
            json.loads(line) for line in self.lianmu("audit", "--json", *arguments).splitlines()
        ]

    def writes(self, action: str, *arguments: str) -> dict[str, Any]:
        """Run a command that must leave a row of that action, "" for any; the row."""
        output = self.lianmu(*arguments)
        words = " ".join(arguments)
        self.walked.add(next(name for name in leaves() if f"{words} ".startswith(f"{name} ")))
        before, self.rows = self.rows, self.audit()
        new = [row for row in self.rows if row not in before]
        (row, *_) = [row for row in new if row["action"] == action or not action]
        assert row["protocol"] in ("cli", "load"), row
        assert row["address"] == here().address
        assert row["who"]
        assert row["before"] != row["after"]
        self.output = output
        return row

    def file(self, name: str, *records: bytes) -> str:
        path = self.folder / name
        path.write_bytes(b"".join(records))
        return str(path)


def leaves() -> set[str]:
    """Every command, such as "member key add"."""
    found: set[str] = set()

    def walk(command: click.Command, name: str) -> None:
        if isinstance(command, click.Group):
            for each, below in command.commands.items():
                walk(below, f"{name} {each}")
        else:
            found.add(name)

    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        walk(command, name)
    return found


def upload(number: str, title: str, isbn: str = "") -> bytes:
    isbn = f"~010   $a{isbn or f'7-{number}'}"
    record = record_of(MarcFamily.UNIMARC, f"~001 {number}", isbn, f"~200 1 $a{title}$f{title}")
    return build(record.leader, record.fields, oversize=True)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    yield Desk(tmp_path_factory.mktemp("audit"))


def test_every_command_that_writes_leaves_a_row_with_before_and_after(desk: Desk) -> None:
    reason = ("--reason", "because")
    password = ("--password", "secret-secret")
    writes = desk.writes

    def states(action: str, *arguments: str) -> tuple[str, str]:
        row = writes(action, *arguments)
        return row["before"], row["after"]

    assert states("register", "member", "register", "PKU", "--name", "Library") == (
        "", "registered",
    )  # fmt: skip
    assert states("sign", "member", "sign", "PKU") == ("registered", "signed")
    row = writes("token", "member", "token", "PKU", "--as", "li")
    assert (row["who"], row["address"]) == ("li", here().address)
    token = re.findall(r"lianmu_join_\S+", desk.output)[0]
    assert states("activate", "member", "activate", "PKU", token, *password) == (
        "signed", "active",
    )  # fmt: skip
    assert states("warn", "member", "warn", "PKU", *reason) == ("active", "warned")
    assert states("suspend", "member", "suspend", "PKU", *reason) == ("warned", "suspended")
    assert states("restore", "member", "restore", "PKU", *reason) == ("suspended", "active")
    assert states("add", "member", "add", "THU", "--name", "L", *password) == ("", "active")
    assert states("end", "member", "end", "THU", *reason) == ("active", "ended")
    assert states("charset", "member", "charset", "PKU", "gb18030") == ("utf-8", "gb18030")
    assert states("uploads", "member", "uploads", "PKU", "on", *reason) == ("off", "on")
    rights = ("--rights", "search,upload,holdings")
    row = writes("account add", "member", "account", "add", "PKU", "wang", *rights, *password)
    assert (row["subject"], row["after"]) == ("wang", "search holdings upload")
    row = writes("rights", "member", "account", "rights", "wang", "search,upload", *reason)
    assert (row["before"], row["after"]) == ("search holdings upload", "search upload")
    row = writes("password", "member", "account", "password", "wang", "--password", "Tiger5")
    assert "Tiger5" not in json.dumps(row)
    languages = ("--language", "chinese", "--level", "full", "--expires", "2099-12-31")
    row = writes("certificate", "member", "certificate", "add", "wang", *languages)
    assert (row["subject"], row["after"]) == ("wang", "chinese/full")
    writes("certificate", "member", "certificate", "add", "pku", *languages)
    row = writes("revoke", "member", "certificate", "revoke", "2", *reason)
    assert (row["before"], row["after"]) == ("chinese/full", "")
    row = writes("key add", "member", "key", "add", "PKU", "ils", "--rights", "search")
    assert (row["subject"], row["after"]) == ("ils", "search")
    assert "lianmu_" not in json.dumps(row)
    row = writes("key revoke", "member", "key", "revoke", "PKU", "ils", *reason)
    assert (row["before"], row["after"], row["reason"]) == ("search", "", "because")
    row = writes("operator add", "operator", "add", "root", *password)
    assert (row["institution"], row["subject"]) == ("", "root")
    writes("operator add", "operator", "add", "second", *password)
    row = writes("operator password", "operator", "password", "second", "--password", "Tiger6")
    assert "Tiger6" not in json.dumps(row)
    row = writes("operator remove", "operator", "remove", "second", *reason)
    assert (row["subject"], row["before"], row["after"]) == ("second", "search upload manager", "")

    granted = ("--search", "cn_cat,we_cat", "--download", "cn_cat")
    access = (
        ("databases", "PKU", *granted), ("sessions", "PKU", "40"),
        ("address", "add", "PKU", "192.0.2.0/24", "--account", "wang"),
        ("address", "restrict", "PKU", "on"), ("address", "restrict", "PKU", "off"),
        ("address", "remove", "PKU", "192.0.2.0/24"),
    )  # fmt: skip
    for command in access:
        row = writes("", "member", *command, *reason)
        assert (row["institution"], row["reason"]) == ("PKU", "because")
    catalogue = desk.file(
        "all.iso", cnmarc("c1", "红楼梦"), cnmarc("c2", "紅樓夢"), cnmarc("n", "史记")
    )
    row = writes(
        "load", "load", "--database", "cn_cat", "--holdings", "PKU", "--duplicates", "ignore",
        catalogue,
    )  # fmt: skip
    assert (row["institution"], row["subject"], row["reason"]) == ("PKU", "cn_cat", "all.iso")
    held = desk.audit("--kind", "holdings")
    assert [(row["subject"], row["before"], row["after"]) for row in held] == [
        (f"cn_cat {number}", "absent", "present") for number in ("c1", "c2", "n")
    ]
    (desk.folder / "held.csv").write_text("control_number,call_number\nc1,I242\n")
    row = writes("holdings sent", "holdings", "import", "PKU", str(desk.folder / "held.csv"))
    assert (row["institution"], row["after"]) == ("PKU", "0 added, 1 changed, 0 removed")
    new = desk.file("new.mrc", cnmarc("n", "史记选"))
    by = ("--as", "li", *reason)
    row = writes("record replace", "record", "replace", "n", new, *by)
    assert (row["who"], row["before"], row["after"]) == ("li", "version 1", "version 2")
    assert row["reason"] == "because"
    assert states("record delete", "record", "delete", "n", "--held", *by) == (
        "version 2", "version 3, deleted",
    )  # fmt: skip
    assert states("record undelete", "record", "undelete", "n", *by) == ("version 3", "version 4")
    assert states("record merge", "record", "merge", "c1", "c2", *by) == (
        "version 1", "into c1, deleted",
    )  # fmt: skip
    same = desk.file("same.iso", *(upload(number, "同一书", "9787301046265") for number in "de"))
    desk.lianmu("load", "--database", "cn_cat", same)
    row = writes("record merge", "dedupe", "--merge", "--as", "chen")
    assert (row["who"], row["subject"], row["after"]) == ("chen", "cn_cat e", "into d, deleted")

    sent = desk.file("sent.iso", upload("a1", "甲之书"), upload("a2", "乙之书"))
    row = writes("record insert", "load", "--database", "cn_cat", "--as", "PKU/wang", sent)
    assert (row["institution"], row["account"], row["protocol"]) == ("PKU", "wang", "load")
    front = desk.file("front.jpg", picture())
    row = writes("cover add", "cover", "add", "lm000000006", front, "--account", "PKU/wang")
    assert (row["institution"], row["account"], row["before"]) == ("PKU", "wang", "")
    row = writes("cover remove", "cover", "remove", "lm000000006", *reason)
    assert (row["account"], row["after"], row["reason"]) == ("", "", "because")
    assert states("credit decision", "credit", "accept", "1") == ("pending", "accepted")
    row = writes("credit decision", "credit", "refuse", "2", "--operator", "chen", *reason)
    assert (row["who"], row["before"], row["after"]) == ("chen", "pending", "refused")
    isbns = desk.folder / "isbns.txt"
    isbns.write_text("9787302000001\n")
    out = ("--out", str(desk.folder / "out.iso"))
    row = writes("batch", "batch", str(isbns), "--member", "PKU", *out)
    assert (row["institution"], row["reason"]) == ("PKU", "isbns.txt")

    with open_ledger(desk) as ledger:
        (first, *_) = drafts = deliveries(3)
        ledger.append(drafts)
    correct = ("ledger", "correct", first.id, "--quantity", "-1", *reason, "--by", "zhao")
    row = writes("ledger correction", *correct)
    assert (row["who"], row["subject"]) == ("zhao", first.id)
    assert (row["before"], row["after"]) == ("download +1", "download +0")
    assert states("settlement draft", "settle", "2024") == ("", "draft, net 2.00 yuan")
    assert states("settlement final", "settle", "2024", "--final") == (
        "draft, net 2.00 yuan", "final, net 2.00 yuan",
    )  # fmt: skip
    with open_ledger(desk) as ledger:
        late = Draft(
            id="late", kind=Kind.VOID, at_us=drafts[1].at_us, refers_to=drafts[1].id,
        )  # fmt: skip
        ledger.append([late])
    row = writes("settlement note", "settle", "2024", "--note", "a void came late")
    assert (row["before"], row["after"]) == ("final, net 2.00 yuan", "note, net -1.00 yuan")
    assert row["reason"] == "a void came late"
    row = writes("account remove", "member", "account", "remove", "wang", *reason)
    assert (row["before"], row["after"]) == ("search upload", "")

    # Nothing is left out: a new command belongs into this test or among READING.
    assert leaves() - desk.walked <= READING
    assert not desk.walked & READING
    assert {row["who"] for row in desk.audit("--protocol", "cli")} == {
        login(), "li", "chen", "zhao",
    }  # fmt: skip


def open_ledger(desk: Desk) -> contextlib.closing[Ledger]:
    return contextlib.closing(Ledger(desk.folder / "data" / "ledger.sqlite"))


def test_filters_leave_what_they_say_and_time_is_in_order(desk: Desk) -> None:
    everything = desk.audit()
    assert len(everything) > 30
    assert [row["at_us"] for row in everything] == sorted(row["at_us"] for row in everything)
    # Of holdings the pairs are told when they are asked for alone.
    assert len(desk.audit("--kind", "holdings")) > 2
    for kind in sorted({row["kind"] for row in everything} - {"holdings"}):
        rows = desk.audit("--kind", kind)
        assert rows == [row for row in everything if row["kind"] == kind]
    of_thu = desk.audit("--member", "thu")
    assert [row["action"] for row in of_thu] == ["add", "end"]
    of_wang = desk.audit("--account", "WANG")
    assert {row["action"] for row in of_wang} == {
        "account add", "rights", "password", "certificate", "record insert", "cover add",
        "account remove",
    }  # fmt: skip
    assert {row["institution"] for row in of_wang} == {"PKU"}
    assert desk.audit("--protocol", "load") == desk.audit("--protocol", "LOAD") != []
    middle = everything[len(everything) // 2]
    moment = middle["time"].replace(" ", "T")
    since, until = desk.audit("--since", moment), desk.audit("--until", moment)
    assert middle in since
    assert middle not in until
    assert sorted(row["at_us"] for row in since + until) == [row["at_us"] for row in everything]
    assert desk.audit("--limit", "3") == everything[-3:]


def test_csv_has_every_field_and_lines_are_for_people(desk: Desk) -> None:
    rows = list(csv.DictReader(io.StringIO(desk.lianmu("audit", "--csv"))))
    told = desk.audit()
    assert rows == [{name: str(value) for name, value in row.items()} for row in told]
    line = next(
        line
        for line in desk.lianmu("audit", "--kind", "account").splitlines()
        if " rights " in line
    )
    assert "wang: search holdings upload → search upload  by" in line
    assert f"(cli) from {here().address}  because" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--json", "--csv"), "not both"),
        (("--kind", "weather"), "'weather' is not one of"),
        (("--since", "yesterday"), "is no day like"),
        (("--uploads", "--kind", "ledger"), "give one of them"),
        (("--limit", "0"), "--limit"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    desk: Desk, arguments: tuple[str, ...], message: str
) -> None:
    done = CliRunner().invoke(main, ["audit", *arguments, "--config", str(desk.config)])
    assert done.exit_code == 2
    assert message in done.output


def test_a_folder_in_which_nothing_was_done_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    done = CliRunner().invoke(main, ["audit", "--config", str(tmp_path / "config.toml")])
    assert (done.exit_code, done.output) == (0, "")
    assert not (tmp_path / "data").exists()
