"""`lianmu tariff`: versions, prices, and why a record has its price."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from protocol.iso2709 import Field, build
from server.cli import main
from server.config import load_config
from store.writer import CatalogueWriter
from tests.harness import lianmu
from tests.unit.test_tariff import document


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["tariff", *arguments])


def chinese(number: str, code: str = "chi", level: str = " ") -> bytes:
    return build(
        f"00000nam0 2200000{level}  450 ",
        [Field("001", number), Field.of("101", "0 ", [("a", code)])],
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "own.toml").write_text(
        document("own", "2030-06-01", upload__chinese__full=450)
    )
    path = tmp_path / "config.toml"
    path.write_text('[server]\ndata_dir = "data"\n[tariff]\nfolder = "prices"\n')
    return path


def test_the_versions_are_listed_with_the_years_that_they_price(config: Path) -> None:
    assert run("list").output == (
        "2023-01-01       effective 2023-01-01  years 2023 on        built in\n"
    )
    lines = json.loads(run("list", "--json", "--config", str(config)).output)
    assert [(line["version"], line["from_year"], line["until_year"]) for line in lines] == [
        ("2023-01-01", 2023, 2030),
        ("own", 2031, None),
    ]


def test_a_version_is_shown_whole() -> None:
    shown = run("show", "2023-01-01").output
    assert "upload.ancient.full                    700 fen     7.00 yuan\n" in shown
    assert json.loads(run("show", "--json").output)["price_fen"]["batch.delivery"] == 150
    refused = run("show", "1999")
    assert refused.exit_code == 2
    assert "there is no version 1999; there are 2023-01-01" in refused.output


def test_each_record_of_a_file_is_explained(tmp_path: Path, config: Path) -> None:
    file = tmp_path / "new.mrc.gz"
    damaged = b"00010nam0 22\x1d"
    with gzip.open(file, "wb") as packed:
        packed.write(chinese("A1") + chinese("A2", "jpn", "3") + damaged + chinese("A3", "kor"))
    done = run("explain", str(file), "--cover", "--json", "--config", str(config))
    first, second, third, fourth = map(json.loads, done.output.splitlines())
    assert done.exit_code == 1  # one of them cannot be read
    assert first["items"] == [
        {
            "item": "upload.chinese.full", "fen": 400, "partner_fen": 0,
            "because": "chinese, full level",
        }
    ]  # fmt: skip
    assert (second["category"], second["level"], second["fen"]) == ("japanese", "basic", 0)
    assert second["level_because"] == "leader/17 is 3, not full"
    assert third["number"] == 3
    assert "refused" in third
    assert (fourth["category_because"], fourth["fen"]) == ("101$a is kor", 400)
    later = run("explain", str(file), "--year", "2031", "--json", "--config", str(config))
    assert json.loads(later.output.splitlines()[0])["fen"] == 450


def test_an_explanation_is_readable(tmp_path: Path) -> None:
    (tmp_path / "one.mrc").write_bytes(chinese("A1", "jpn"))
    lines = run("explain", str(tmp_path / "one.mrc")).output.splitlines()
    assert lines == [
        "tariff 2023-01-01, records of cn_cat (unimarc)",
        "",
        "1  A1",
        "  category  japanese  because 101$a is jpn",
        "  level     full      because leader/17 is blank",
        "  upload.japanese.full            400 fen   4.00 yuan  japanese, full level;"
        " 2.00 of it for CAU",
    ]


def test_a_record_of_the_catalogue_is_explained_by_either_number(config: Path) -> None:
    loaded = load_config(config)
    writer = CatalogueWriter(loaded.data_dir, loaded.databases, durable=False)
    writer.put("cn_cat", chinese("CAL 007"))
    writer.put("ancient", chinese("CAL 008"))
    writer.close()

    def explained(*arguments: str) -> list[dict[str, object]]:
        done = run("explain", *arguments, "--json", "--config", str(config))
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.output.splitlines()]

    (by_control_number,) = explained("--record", "CAL 007")
    assert by_control_number["category"] == "chinese"
    (by_own_number,) = explained("--record", "2")
    assert by_own_number["category_because"] == "the collection is ancient"
    for wanted in (("--record", "CAL 007", "--database", "ancient"), ("--record", "3")):
        refused = run("explain", *wanted, "--config", str(config))
        assert refused.exit_code == 2
        assert "there is no record" in refused.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["explain"], "Give either FILE or --record."),
        (["explain", "nowhere.mrc"], "does not exist"),
        (["explain", "--record", "5"], "--record needs --config"),
        (["explain", __file__, "--database", "poems"], "there is no database poems"),
        (["list", "--config", "nowhere.toml"], "nowhere.toml: no such file"),
        ([], "a command is missing"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_one_line(arguments: list[str], reason: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert reason in done.output
    assert len(done.output.splitlines()) == 1


def test_a_tariff_that_cannot_be_used_is_refused_in_one_line(config: Path) -> None:
    (config.parent / "prices" / "own.toml").write_text(document("own", "2030-06-01", poem=3))
    done = lianmu("tariff", "list", "--config", str(config))
    assert done.returncode == 2
    assert done.stderr == (
        f"lianmu: {config}: {config.parent / 'prices' / 'own.toml'}: there is no item `poem`"
        " - at `$.price_fen` - at `$.tariff.folder`\n"
    )
