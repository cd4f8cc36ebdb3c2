"""`lianmu statement`, as an operator uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from metering.entry import Draft, Kind
from server.cli import main
from tests.server.test_settle_command import append, clock, config, prepared
from tests.unit.test_settlement import JUNE, deliveries

__all__ = ["clock", "config", "prepared"]

MAGIC = {"html": b"<!DOCTYPE html>", "pdf": b"%PDF-", "xlsx": b"PK", "csv": b"\xef\xbb\xbfpart,"}


def lianmu(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--config", str(config)])


@pytest.mark.parametrize("form", MAGIC)
def test_each_form_is_written_to_its_file(
    config: Path, clock: list[int], tmp_path: Path, form: str
) -> None:
    append(config, deliveries(3))
    out = tmp_path / f"pku.{form}"
    done = lianmu(config, "statement", "pku", "--year", "2024", "--format", form, "--out", str(out))
    assert done.exit_code == 0, done.output
    assert out.read_bytes().startswith(MAGIC[form])
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_every_member_has_a_file_in_the_folder(config: Path, tmp_path: Path) -> None:
    append(config, deliveries(3))
    folder = tmp_path / "statements"
    folder.mkdir()
    done = lianmu(
        config, "statement", "--all", "--year", "2024", "--format", "csv", "--out", str(folder)
    )
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in folder.iterdir()) == ["PKU-2024.csv", "THU-2024.csv"]


def test_a_partner_who_is_no_member_has_a_statement_of_its_share(
    config: Path, clock: list[int], tmp_path: Path
) -> None:
    append(
        config,
        [
            Draft(id="u", kind=Kind.UPLOAD, at_us=JUNE, institution="PKU", record_id=7,
                  item="upload.japanese.full")
        ],
    )  # fmt: skip
    folder = tmp_path / "statements"
    folder.mkdir()
    lianmu(config, "statement", "--all", "--year", "2024", "--out", str(folder))
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["CAU-2024.html", "PKU-2024.html", "THU-2024.html"]
    assert lianmu(config, "settle", "2024", "--final", "--member", "cau").exit_code == 0
    made = json.loads(
        lianmu(config, "statement", "cau", "--year", "2024", "--format", "json").stdout
    )
    assert (made["estimate"], made["net_fen"], made["entry_count"]) == (False, -200, 1)


def test_the_configuration_says_where_money_goes(config: Path) -> None:
    config.write_text(config.read_text() + '[statement]\npayee = "北京大学"\nlines_max = 2\n')
    append(config, deliveries(3))
    page = lianmu(config, "statement", "PKU", "--year", "2024", "--lang", "zh").stdout
    assert "收款单位" in page
    assert "此处列出前 2 条" in page


def test_settled_it_stays_the_same_bytes(config: Path, clock: list[int]) -> None:
    append(config, deliveries(3))
    asked = ("statement", "PKU", "--year", "2024", "--format", "json")
    assert json.loads(lianmu(config, *asked).stdout)["estimate"] is True
    lianmu(config, "settle", "2024", "--final")
    first = lianmu(config, *asked).stdout
    append(config, deliveries(1, prefix="later"))
    assert lianmu(config, *asked).stdout == first
    assert json.loads(first)["estimate"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["NOBODY", "--year", "2024"], "no institution NOBODY"),
        (["PKU"], "Missing option '--year'"),
        (["--year", "2024"], "name a member's CODE, or --all"),
        (["PKU", "--all", "--year", "2024"], "name a member's CODE, or --all"),
        (["--all", "--year", "2024"], "--all needs a folder"),
        (["--all", "--year", "2024", "--out", "none"], "--all needs a folder"),
        (["PKU", "--year", "2024", "--out", "."], ". is a folder"),
        (["PKU", "--year", "2024", "--format", "doc"], "'doc' is not one of"),
        (["PKU", "--year", "2024", "--out", "/nowhere/x.html"], "/nowhere"),
        (["PKU", "--year", "2024", "--format", "pdf", "--out", "x.pdf"], "none.ttf: No such file"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    config: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(config.read_text() + '[statement]\nfont = "/none.ttf"\n')
    monkeypatch.chdir(config.parent)
    done = lianmu(config, "statement", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (config.parent / "x.pdf").exists()
