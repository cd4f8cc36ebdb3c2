"""`lianmu ledger` as an operator types it."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from metering.entry import Kind
from metering.ledger import Ledger
from server.cli import main
from tests.harness import CHECKOUT, LIANMU, lianmu
from tests.server.http_client import SEARCH, curl
from tests.server.own_server import marc21, own_server
from tests.unit.test_ledger import tampered
from tests.unit.test_ledger_pages import SPOOL, append_new, many
from tests.unit.test_ledger_uploads import upload


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with contextlib.closing(Ledger(folder / "ledger.sqlite")) as ledger:
        append_new(ledger, many())
        ledger.append([upload("u")])
    return folder / "ledger.sqlite"


@pytest.fixture
def place(tmp_path: Path, made: Path) -> Path:
    (tmp_path / "data").mkdir()
    shutil.copy(made, tmp_path / "data" / "ledger.sqlite")
    (tmp_path / "config.toml").write_text('[server]\ndata_dir = "data"\nworkers = 1\n')
    return tmp_path


@pytest.fixture
def ledger(place: Path) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(place / "data" / "ledger.sqlite")) as ledger:
        yield ledger


def run(place: Path, *arguments: str, ending: int = 0) -> Result:
    result = CliRunner().invoke(
        main, ["ledger", *arguments, "--config", str(place / "config.toml")]
    )
    assert result.exit_code == ending, result.output
    return result


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_verify_says_that_all_is_good_and_the_newest_hash(place: Path, ledger: Ledger) -> None:
    seq, head_hash = ledger.head()
    shown = run(place, "verify").stdout
    assert f"{seq:,} entries" in shown
    assert head_hash.hex() in shown
    (document,) = lines(run(place, "verify", "--json"))
    assert document == {
        "ok": True, "entries": seq, "head_hash": head_hash.hex(), "problem": "", "first_bad": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "first_bad"),
    [
        ("UPDATE entry SET note = 'x' WHERE id = 'u'", "u"),
        ("DELETE FROM page WHERE first_seq = (SELECT max(first_seq) FROM page)", ""),
        ("UPDATE rollup SET quantity = 0", ""),
    ],
)
def test_verify_ends_with_status_1_and_names_what_is_bad(
    place: Path, statement: str, first_bad: str
) -> None:
    tampered(place / "data" / "ledger.sqlite", statement)
    assert "bad" in run(place, "verify", ending=1).stdout
    (document,) = lines(run(place, "verify", "--json", ending=1))
    assert not document["ok"]
    assert document["problem"]
    if first_bad:
        assert document["first_bad"] == first_bad


def test_a_sum_that_is_wrong_is_made_anew(place: Path) -> None:
    tampered(place / "data" / "ledger.sqlite", "UPDATE rollup SET quantity = 0")
    run(place, "verify", ending=1)
    assert "rebuilt" in run(place, "rebuild").stdout
    run(place, "verify")


@pytest.mark.parametrize(
    ("arguments", "fits"),
    [
        (["--member", "thu"], lambda e: e.institution == "THU"),
        (["--year", "2023"], lambda e: e.year == 2023),
        (["--kind", "void"], lambda e: e.kind is Kind.VOID),
        (["--record", "012003000007", "--member", "FDU"], lambda e: e.institution == "FDU"),
        (["--from", "2024-01-01", "--to", "2024-01-01"], lambda e: e.day == 20240101),
        (["--to", "2023-12-31"], lambda e: e.day <= 20231231),
        (
            ["--from", "2023-12-31T16:01:00Z", "--to", "2024-01-01T00:02:00"],
            lambda e: 60_000_000 <= e.at_us - 1_704_038_400_000_000 < 120_000_000,
        ),
        (["--after", "1200"], lambda e: e.seq > 1_200),
    ],
)
def test_show_lists_what_fits_every_option(
    place: Path, ledger: Ledger, arguments: list[str], fits: Any
) -> None:
    wanted = [entry.id for entry in ledger.entries() if fits(entry)]
    assert wanted
    assert [each["id"] for each in lines(run(place, "show", *arguments, "--json"))] == wanted
    some = run(place, "show", *arguments, "--limit", "3")
    assert len(some.stdout.splitlines()) == 1 + min(3, len(wanted))
    assert ("more: --after" in some.stderr) == (len(wanted) > 3)


def test_show_has_one_entry_in_full(place: Path, ledger: Ledger) -> None:
    name = f"{SPOOL}:700"
    entry = ledger.entry(name)
    assert entry is not None
    (document,) = lines(run(place, "show", "--id", name, "--json"))
    assert (document["seq"], document["hash"]) == (entry.seq, entry.hash.hex())
    assert entry.hash.hex() in run(place, "show", "--id", name).stdout


def test_show_writes_no_control_characters_to_a_terminal(place: Path, ledger: Ledger) -> None:
    ledger.append([upload("e", 99, "\x1b[2J\u202e")])
    shown = run(place, "show", "--kind", "upload").stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_correction_counts_where_its_entry_does_and_says_who_and_why(
    place: Path, ledger: Ledger
) -> None:
    target = next(
        e for e in ledger.entries("PKU", 2024) if e.meter == "download" and e.quantity == 1
    )
    before = ledger.totals(2024)["PKU"].downloads
    arguments = ["correct", target.id, "--quantity", "-1", "--reason", " vendor's  test 测试 ",
                 "--by", "li", "--as", "dispute-17"]  # fmt: skip
    assert "corrected" in run(place, *arguments).stdout
    assert "was corrected before" in run(place, *arguments).stdout
    made = ledger.entry("dispute-17")
    assert made is not None
    assert (made.kind, made.account, made.note, made.quantity, made.year) == (
        Kind.CORRECTION, "li", "vendor's test 测试", -1, 2024
    )  # fmt: skip
    assert (made.refers_to, made.institution) == (target.id, "PKU")
    assert ledger.totals(2024)["PKU"].downloads == before - 1
    run(place, "verify")
    refused = run(place, *arguments[:3], "-2", *arguments[4:], ending=2)
    assert "other contents" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["correct", "never", "--quantity", "1", "--reason", "x"], "there is no entry never"),
        (["correct", "u", "--quantity", "0", "--reason", "x"], "0 corrects nothing"),
        (["correct", "u", "--quantity", "1", "--reason", " "], "1 to 1000 characters"),
        (["correct", "u", "--quantity", "1"], "Missing option '--reason'"),
        (["correct", "u", "--quantity", "x", "--reason", "x"], "not a valid integer"),
        (["show", "--id", "never"], "there is no entry never"),
        (["show", "--from", "yesterday"], "no day like"),
        (["show", "--kind", "poem"], "'poem' is not one of"),
        (["show", "--year", "12"], "12 is not in the range"),
        (["export", "--format", "csv", "--out", "/nowhere/x"], "No such file"),
        (["export", "--format", "xls", "--out", "x"], "'xls' is not one of"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    place: Path, arguments: list[str], message: str
) -> None:
    refused = run(place, *arguments, ending=2)
    assert message in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_look_makes_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[server]\ndata_dir = "data"\n')
    for command in (["verify"], ["show"], ["rebuild"], ["export", "--format", "csv", "--out", "-"]):
        assert "there is no ledger yet" in run(tmp_path, *command, ending=2).stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_export_writes_a_file_or_the_standard_output(
    place: Path, ledger: Ledger, form: str
) -> None:
    out = place / f"out.{form}"
    count = sum(1 for _ in ledger.entries("THU"))
    exported = run(place, "export", "--format", form, "--member", "THU", "--out", str(out))
    assert f"{count:,} entries" in exported.stdout
    arguments = ["ledger", "export", "--format", form, "--member", "THU", "--out", "-"]
    piped = subprocess.run(
        [*LIANMU, *arguments, "--config", str(place / "config.toml")],
        capture_output=True,
        cwd=CHECKOUT,
        check=True,
    )
    assert piped.stdout == out.read_bytes()
    assert len(out.read_bytes()) > 1_000


def test_every_command_works_while_the_server_runs(tmp_path: Path) -> None:
    """Two downloads of ten records are shown, proven, copied out, and one is corrected."""
    marcs = [marc21(f"lm{number}", f"Kilometres {number}") for number in range(10)]
    with own_server(tmp_path, {"we_cat": marcs}) as server:
        query = f"{SEARCH}title=kilometres&maximumRecords=10"
        for _ in range(2):
            assert curl(server, query, "--user", "demo1:demo1").records == 10
        deadline = time.monotonic() + 60
        while len(shown := lines(run(tmp_path, "show", "--member", "demo1", "--json"))) < 20:
            assert time.monotonic() < deadline, "the downloads did not reach the ledger"
            time.sleep(0.2)
        assert {each["control_number"] for each in shown} == {f"lm{n}" for n in range(10)}
        assert [each["meter"] for each in shown] == ["download"] * 10 + ["repeat"] * 10
        (again,) = lines(run(tmp_path, "show", "--id", shown[7]["id"], "--json"))
        assert again == shown[7]
        run(tmp_path, "correct", shown[7]["id"], "--quantity", "-1", "--reason", "dispute")
        out = tmp_path / "all.jsonl"
        run(tmp_path, "export", "--format", "jsonl", "--out", str(out))
        assert len(out.read_text().splitlines()) == 21
        run(tmp_path, "rebuild")
        assert "21 entries" in run(tmp_path, "verify").stdout
        assert curl(server, query, "--user", "demo1:demo1").records == 10
        done = lianmu("usage", "DEMO1", "--json", "--config", str(server.config))
        figures = json.loads(done.stdout)
        assert (figures["downloads"], figures["repeats"]) == (9, 20)
