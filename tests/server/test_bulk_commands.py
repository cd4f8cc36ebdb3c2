"""`lianmu load`, `export`, `reindex` and `doctor` as an operator gives them."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from protocol.iso2709 import split_fields
from protocol.iso2709_structure import assemble
from server.cli import main
from tests.catalogue_records import book, chinese_book
from tests.harness import LIANMU, lianmu

RECORDS = [book(f"n{number}", f"Title {number}", author="Cao") for number in range(6)]


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.toml"
    path.write_text('[server]\ndata_dir = "data"\nworkers = 1\n')
    return str(path)


@pytest.fixture
def records_file(tmp_path: Path) -> Path:
    path = tmp_path / "records.mrc"
    path.write_bytes(b"".join(RECORDS) + b"00030bad\x1d")
    return path


def test_a_load_gives_its_result_as_json(config: str, records_file: Path) -> None:
    done = lianmu("load", "--config", config, "--database", "we_cat", "--json", str(records_file))
    assert done.returncode == 0
    result = json.loads(done.stdout)
    assert (result["loaded"], result["refused"]) == (6, 1)
    assert Path(result["report"]).read_text(encoding="utf-8").count("\n") == 2


def test_russian_records_are_loaded_when_their_encoding_is_named(
    config: str, tmp_path: Path
) -> None:
    title = "Мёртвые души"
    record = chinese_book("r1", title)
    path = tmp_path / "koi8.iso"
    tags, texts = split_fields(record, record.decode())
    fields = [(tag.encode(), text.encode("koi8-r")) for tag, text in zip(tags, texts, strict=True)]
    path.write_bytes(assemble(record[:24], fields))
    arguments = ["load", "--config", config, "--database", "ru_cat", "--json", str(path)]
    refused = lianmu(*arguments)
    assert json.loads(refused.stdout)["refused"] == 1
    loaded = lianmu(*arguments, "--encoding", "koi8-r")
    assert json.loads(loaded.stdout)["loaded"] == 1
    out = lianmu("export", "--config", config, "--form", "json", "--query", "title = мёртвые")
    assert title in out.stdout


def test_the_report_of_one_load_does_not_replace_that_of_another(
    config: str, records_file: Path
) -> None:
    arguments = ["load", "--config", config, "--database", "we_cat", "--json", str(records_file)]
    reports = set()
    for _ in range(3):  # without a process for each they end within one second
        done = CliRunner().invoke(main, arguments, prog_name="lianmu")
        assert done.exit_code == 0, done.output
        reports.add(json.loads(done.stdout.splitlines()[-1])["report"])
    assert len(reports) == 3
    assert all(Path(report).is_file() for report in reports)


def test_a_killed_load_says_that_it_goes_on(config: str, tmp_path: Path) -> None:
    records = tmp_path / "many.mrc"
    with records.open("wb") as file:
        for number in range(12_000):
            file.write(book(f"m{number}", f"Title {number} of {number % 71}", author="Cao"))
    arguments = ["load", "--config", config, "--database", "we_cat", str(records)]
    # A server's lock makes it write in small steps.
    (tmp_path / "data").mkdir()
    lock = tmp_path / "data" / "server.lock"
    holder = subprocess.Popen(
        [
            sys.executable, "-c",
            "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX);"
            " print('held', flush=True); sys.stdin.read()", str(lock),
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    catalogue = tmp_path / "data" / "catalogue.sqlite"
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with subprocess.Popen([*LIANMU, *arguments], stderr=subprocess.PIPE) as load:
            deadline_s = time.monotonic() + 60
            stored = 0
            while not stored and time.monotonic() < deadline_s:
                time.sleep(0.02)
                stored = count(catalogue) if catalogue.exists() else 0
            load.kill()
            # Returns when the processes that it started have ended, too.
            load.communicate(timeout=30)
    finally:
        holder.communicate()
    assert 0 < stored < 12_000
    checked = lianmu("doctor", "--config", config, "--json")
    assert checked.returncode == 0, checked.stdout
    notes = {each["part"]: each["text"] for each in json.loads(checked.stdout)["findings"]}
    assert "give the same command again" in notes["load"]
    done = lianmu(*arguments)
    assert done.returncode == 0
    assert "goes on behind record " in done.stderr
    assert f"of {records}" in done.stderr
    assert "loaded         12,000" in done.stdout
    assert count(catalogue) == 12_000
    again = lianmu(*arguments)
    assert "goes on" not in again.stderr
    assert "unchanged      12,000" in again.stdout


def count(catalogue: Path) -> int:
    try:
        connection = sqlite3.connect(f"file:{catalogue}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT count(*) FROM record").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.OperationalError:  # it is being made
        return 0


def test_the_index_is_rebuilt_and_examined(config: str, records_file: Path) -> None:
    lianmu("load", "--config", config, "--database", "we_cat", str(records_file))
    rebuilt = lianmu("reindex", "--config", config)
    assert (rebuilt.returncode, rebuilt.stdout) == (0, "indexed             6\n")
    for extra in ([], ["--sample", "2", "--seed", "1"], ["--all"]):
        checked = lianmu("doctor", "--config", config, *extra)
        assert checked.returncode == 0, checked.stdout
        assert checked.stdout.endswith("no problem found\n")
    assert lianmu("doctor", "--config", config, "--sample", "-1").returncode == 2


def test_the_doctor_ends_with_1_when_something_is_amiss(
    config: str, records_file: Path, tmp_path: Path
) -> None:
    lianmu("load", "--config", config, "--database", "we_cat", str(records_file))
    connection = sqlite3.connect(tmp_path / "data" / "catalogue.sqlite")
    connection.execute("UPDATE posting SET frequency = 9 WHERE term = 'title'")
    connection.commit()
    connection.close()
    checked = lianmu("doctor", "--config", config)
    assert checked.returncode == 1
    assert "index      posting any 'title' says 9 records and has 6" in checked.stdout
    told = json.loads(lianmu("doctor", "--config", config, "--json").stdout)
    assert told["ok"] is False
    assert {"part": "index", "is_problem": True}.items() <= told["findings"][0].items()


def test_the_doctor_looks_at_spools_and_the_ledger(
    config: str, records_file: Path, tmp_path: Path
) -> None:
    lianmu("load", "--config", config, "--database", "we_cat", str(records_file))
    spool = tmp_path / "data" / "spool" / "20240131T101500Z-00000000"
    spool.mkdir(parents=True)
    checked = lianmu("doctor", "--config", config)
    assert checked.returncode == 0
    assert "spool      note: 20240131T101500Z-00000000 is in the ledger" in checked.stdout
    (spool / "000001.spool").write_bytes(b"\x09\x00\x00\x00damaged, all of it")
    checked = lianmu("doctor", "--config", config)
    assert checked.returncode == 1
    assert "20240131T101500Z-00000000 is damaged" in checked.stdout
    shutil.rmtree(spool)
    members = tmp_path / "data" / "members.sqlite"
    members.write_bytes(b"no database at all" * 400)
    checked = lianmu("doctor", "--config", config)
    assert checked.returncode == 1
    assert "members    members.sqlite: file is not a database" in checked.stdout


def test_the_doctor_misses_files_that_are_gone(
    config: str, records_file: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    lianmu("member", "add", "PKU", "--name", "Peking", "--config", config)
    arguments = ("load", "--config", config, "--database", "we_cat", "--holdings", "PKU")
    lianmu(*arguments, str(records_file))
    (data / "ledger.sqlite").unlink()
    checked = lianmu("doctor", "--config", config)
    assert (checked.returncode, "there is no ledger yet" in checked.stdout) == (0, True)
    (data / "spool").mkdir()
    (data / "members.sqlite").unlink()
    checked = lianmu("doctor", "--config", config)
    assert checked.returncode == 1
    assert "ledger     ledger.sqlite is gone: a server has run here" in checked.stdout
    assert "members    members.sqlite is gone: PKU has had holdings" in checked.stdout


def test_a_damaged_record_is_named_in_one_line(
    config: str, records_file: Path, tmp_path: Path
) -> None:
    lianmu("load", "--config", config, "--database", "we_cat", str(records_file))
    with sqlite3.connect(tmp_path / "data" / "catalogue.sqlite") as connection:
        connection.execute("UPDATE record SET marc = x'3132' WHERE record_id = 3")
    connection.close()
    for command, told in (
        (("reindex",), "record 3 cannot be indexed: the directory does not fit the fields"),
        (("dedupe", "--report", "-"), "record 3 is damaged: the directory does not fit"),
    ):
        done = lianmu(*command, "--config", config)
        assert done.returncode == 2
        assert done.stderr.startswith(f"lianmu: {told}")
        assert done.stderr.count("\n") == 1
