"""`lianmu load --as`: files as uploads of an account."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.iso2709 import build
from protocol.record import MarcFamily
from tests.harness import lianmu
from tests.unit.test_validation import record_of

CONFIG = '[server]\ndata_dir = "data"\n[metering]\nfsync = false\n'


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("load_as") / "config.toml"
    path.write_text(CONFIG)
    run(path, "member", "add", "SRXX", "--name", "Library", "--password", "pw")
    run(path, "member", "add", "PKU", "--name", "Library", "--password", "pw")
    rights = ("--rights", "upload,holdings", "--password", "pw")
    run(path, "member", "account", "add", "SRXX", "wang", *rights)
    run(path, "member", "uploads", "SRXX", "on", "--reason", "agreement")
    run(path, "member", "certificate", "add", "wang", "--language", "chinese", "--level", "full",
        "--expires", "2099-12-31")  # fmt: skip
    yield path


def run(config: Path, *arguments: str, status: int = 0) -> str:
    done = lianmu(*arguments, "--config", str(config))
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def book(number: str, title: str, *changes: str) -> bytes:
    isbn = f"~010   $a7-{number}"
    record = record_of(
        MarcFamily.UNIMARC, f"~001 {number}", isbn, f"~200 1 $a{title}$f{title}", *changes
    )
    return build(record.leader, record.fields, oversize=True)


def test_records_are_stored_as_the_accounts_and_credited_once(config: Path) -> None:
    file = config.parent / "records.iso"
    file.write_bytes(
        book("a1", "甲之书") + book("a2", "乙之书") + book("a3", "丙之书", "~200 no subfields")
        + b"00026nam0 22broken\x1d"
    )  # fmt: skip
    load = ("load", "--database", "cn_cat", "--as", "SRXX/wang", str(file), "--json")
    first = json.loads(run(config, *load))
    assert (first["created"], first["refused"], first["credit"]) == (2, 2, {"accepted": 2})
    with Path(first["report"]).open(encoding="utf-8", newline="") as report:
        rows = list(csv.DictReader(report))
    assert rows[0]["control_number"] == "a3"
    assert rows[0]["reason"].startswith("12: 200")
    again = json.loads(run(config, *load))
    assert (again["created"], again["unchanged"], again["credit"]) == (0, 2, {})
    assert "甲之书" in run(config, "record", "show", "lm000000001")
    listed = run(config, "audit", "--uploads", "--member", "srxx", "--json").splitlines()
    told = [json.loads(line) for line in listed]
    assert [(row["action"], row["account"], row["subject"]) for row in told] == [
        ("record insert", "wang", "cn_cat lm000000001"),
        ("record insert", "wang", "cn_cat lm000000002"),
    ]
    listed = run(config, "audit", "--kind", "record")
    assert "cn_cat lm000000002: version 1  by wang (load) from" in listed
    assert run(config, "audit", "--uploads", "--member", "PKU") == ""
    claims = run(config, "credit", "list", "--json").splitlines()
    assert [json.loads(claim)["worth_fen"] for claim in claims] == [400, 400]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--as", "nobody"), "there is no account nobody"),
        (("--as", "PKU/wang"), "wang is no account of PKU"),
        (("--as", "PKU/pku"), "pku has no right to upload"),
        (("--as", "wang", "--holdings", "SRXX"), "--as goes with"),
        (("--as", "wang", "--duplicates", "merge"), "--as goes with"),
    ],
)
def test_who_cannot_upload_is_told_in_a_line(
    config: Path, arguments: tuple[str, ...], message: str
) -> None:
    file = config.parent / "one.iso"
    file.write_bytes(book("b1", "丁之书"))
    assert message in run(config, "load", "--database", "cn_cat", *arguments, str(file), status=2)
