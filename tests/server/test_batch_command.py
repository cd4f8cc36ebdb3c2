"""`lianmu batch`: a list in, a file of records and a report out."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import time
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result

from metering.entry import Kind
from metering.ledger import Ledger
from protocol.iso2709 import split
from server.cli import main
from server.config import load_config
from store.identifiers import isbn_13
from store.members import Members
from store.writer import CatalogueWriter
from tests.catalogue_records import book
from tests.harness import CHECKOUT, LIANMU

A, MISSING = "9787301048153", "9780804429573"
BOOKS = 400


def numbered(n: int) -> str:
    """A valid ISBN of its own for each `n`."""
    body = f"7{n:08d}"
    for check in "0123456789x":
        weights = range(10, 0, -1)
        digits = [*map(int, body), 10 if check == "x" else int(check)]
        if sum(w * d for w, d in zip(weights, digits, strict=True)) % 11 == 0:
            return isbn_13(body + check)
    raise AssertionError(n)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text('[server]\ndata_dir = "data"\n')
    loaded = load_config(path)
    members = Members(loaded.members_path, create=True)
    members.add_member("PKU", "Peking University Library", "pku-password", 1)
    members.close()
    writer = CatalogueWriter(loaded.data_dir, loaded.databases, durable=False)
    with writer.transaction():
        writer.put("we_cat", book("a", "红楼梦", isbn=A))
        for n in range(BOOKS):
            writer.put("we_cat", book(f"n{n}", f"Book {n}", isbn=numbered(n)))
    writer.close()
    return path


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["batch", "--config", str(config), *arguments])


def billed(config: Path) -> int:
    ledger = Ledger(load_config(config).ledger_path)
    try:
        assert ledger.verify().ok
        entries = list(ledger.entries())
        assert {entry.kind for entry in entries} <= {Kind.BATCH}
        return len(entries)
    finally:
        ledger.close()


def test_a_list_becomes_a_file_a_report_and_a_bill(tmp_path: Path, config: Path) -> None:
    (tmp_path / "isbns.txt").write_text(f"{A} : CNY5\n{A}\n{MISSING}\nnothing\n")
    arguments = (
        "--member", "pku", str(tmp_path / "isbns.txt"), "--out", str(tmp_path / "out.mrc"),
        "--encoding", "gb18030", "--report", str(tmp_path / "report.csv"),
    )  # fmt: skip
    done = run(config, *arguments)
    assert done.exit_code == 0, done.output
    assert [" ".join(line.split()[:-1]) for line in done.stdout.splitlines()][1:5] == [
        "found", "not found", "no ISBN", "there already",
    ]  # fmt: skip
    assert "charge, yuan                1.50  tariff 2023-01-01" in done.output
    data = (tmp_path / "out.mrc").read_bytes()
    assert "红楼梦".encode("gb18030") in data
    report = (tmp_path / "report.csv").read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(report)))
    assert [(row["line"], row["status"]) for row in rows] == [
        ("1", "found"), ("2", "duplicate"), ("3", "not_found"), ("4", "invalid"),
    ]  # fmt: skip
    assert billed(config) == 1
    again = run(config, *arguments)
    assert "done before: handed over again, nothing is billed" in again.output
    assert (tmp_path / "out.mrc").read_bytes() == data
    assert billed(config) == 1
    anew = run(config, *arguments, "--again", "--json")
    assert json.loads(anew.output)["charge_fen"] == 150
    assert billed(config) == 2


def test_the_usage_shows_batches_and_their_charge(tmp_path: Path, config: Path) -> None:
    (tmp_path / "isbns.txt").write_text(f"{A}\n{numbered(1)}\n")
    run(config, "--member", "PKU", str(tmp_path / "isbns.txt"), "--out", str(tmp_path / "out.mrc"))
    shown = CliRunner().invoke(main, ["usage", "PKU", "--config", str(config), "--json"])
    usage = json.loads(shown.output)
    assert (usage["batch"], usage["batch_fen"]) == (2, 300)
    assert (usage["downloads"], usage["charge_fen"]) == (0, 0)


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_lists_of_spreadsheets_are_read(tmp_path: Path, config: Path, suffix: str) -> None:
    file = tmp_path / f"order.{suffix}"
    if suffix == "csv":
        file.write_text(f"书名,ISBN\n红楼梦,{A}\n", encoding="gb18030")
    else:
        workbook = openpyxl.Workbook()
        assert workbook.active is not None
        workbook.active.append(["书名", "ISBN"])
        workbook.active.append(["红楼梦", int(A)])
        workbook.save(file)
    out = tmp_path / "out.xml"
    report = tmp_path / "report.json"
    done = run(
        config, "--member", "PKU", str(file), "--out", str(out), "--format", "marcxml",
        "--database", "western", "--database", "we_cat", "--report", str(report),
    )  # fmt: skip
    assert done.exit_code == 2
    assert "there is no database western" in done.output
    done = run(
        config, "--member", "PKU", str(file), "--out", str(out), "--format", "marcxml",
        "--database", "WE_CAT", "--report", str(report),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert out.read_text("utf-8").startswith('<?xml version="1.0" encoding="UTF-8"?>\n<collection')
    told = json.loads(report.read_text("utf-8"))
    assert (told["databases"], told["charge_fen"]) == (["we_cat"], 150)
    assert told["lines"][0]["control_number"] == "a"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--member", "THU"], "there is no institution THU"),
        (["--format", "mods", "--encoding", "marc-8"], "mods is always in utf-8"),
        (["--out", "nowhere/out.mrc"], "no such folder"),
        (["--format", "pdf"], "'pdf' is not one of"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_billed(
    tmp_path: Path, config: Path, arguments: list[str], reason: str
) -> None:
    (tmp_path / "isbns.txt").write_text(A)
    given = ["--member", "PKU", "--out", str(tmp_path / "out.mrc"), *arguments]
    done = run(config, str(tmp_path / "isbns.txt"), *given)
    assert done.exit_code == 2
    assert reason in done.output
    assert len(done.output.splitlines()) == 1
    assert not (tmp_path / "data" / "ledger.sqlite").exists() or billed(config) == 0


def test_a_file_that_is_no_list_is_refused(tmp_path: Path, config: Path) -> None:
    (tmp_path / "isbns.txt").write_bytes(b"\x89PNG\x00\x00")
    done = run(
        config, str(tmp_path / "isbns.txt"), "--member", "PKU", "--out", str(tmp_path / "out")
    )
    assert done.exit_code == 2
    assert "isbns.txt: not a text, and not a spreadsheet (xlsx)" in done.output


def test_a_command_that_is_killed_goes_on_when_it_is_given_again(
    tmp_path: Path, config: Path
) -> None:
    wanted = [numbered(n) for n in range(BOOKS)]
    (tmp_path / "isbns.txt").write_text("\n".join(wanted))
    command = [
        *LIANMU, "batch", "--config", str(config), "--member", "PKU",
        str(tmp_path / "isbns.txt"), "--out", str(tmp_path / "out.mrc"),
    ]  # fmt: skip
    killed = 0
    for least in (1, 2):  # steps that the journal holds when it is killed
        process = subprocess.Popen(
            command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None:
            journals = list((tmp_path / "data" / "batch").glob("*/journal.jsonl"))
            if journals and journals[0].read_bytes().count(b"\n") >= 25 * least * 3:
                process.kill()
                killed += 1
                break
            time.sleep(0.001)
        process.wait()
    assert killed, "it was too fast to be killed"
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    records = list(split((tmp_path / "out.mrc").read_bytes()))
    assert len(records) == BOOKS
    assert billed(config) == BOOKS
    assert len(list((tmp_path / "data" / "batch").iterdir())) == 1
