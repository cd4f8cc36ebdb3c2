"""`lianmu credit`, and crediting with the rules of a configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from metering.credit_claims import Credits, Status
from metering.ledger import Ledger
from metering.tariff_category import Category, Level
from protocol.iso2709 import Field, build
from protocol.record import Holding, StoredRecord
from server.accounting.crediting import accepted_record, open_credits, post_credits
from server.cli import main
from server.config import ConfigError, load_config
from store.editing import Editor
from store.writer import CatalogueWriter

NOON_US = 1_718_424_000_000_000  # 2024-06-15 in Shanghai


def config_file(folder: Path, credit: str = "") -> Path:
    path = folder / "config.toml"
    path.write_text(
        f'[server]\ndata_dir = "data"\n[credit]\n{credit}\n'
        '[tariff]\nancient_databases = ["JP_cat"]\nwestern_languages = ["eng", "fre"]\n'
    )
    return path


def uploaded(path: Path, number: str, code: str = "chi", database: str = "cn_cat") -> StoredRecord:
    config = load_config(path)
    writer = CatalogueWriter(config.data_dir, config.databases, durable=False)
    marc = build(
        "00000nam0 2200000   450 ",
        [Field("001", number), Field.of("101", "0 ", [("a", code)])],
    )
    record = writer.put(database, marc)
    writer.close()
    assert isinstance(record, StoredRecord)
    with open_credits(config) as crediting:
        crediting.submit(accepted_record(config, record, "PKU", "pku01", NOON_US))
    return record


def run(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["credit", *arguments, "--config", str(path)])


def uploads(path: Path) -> dict[str, int]:
    ledger = Ledger(load_config(path).ledger_path)
    try:
        totals = ledger.totals(2024).get("PKU")
        return totals.uploads if totals else {}
    finally:
        ledger.close()


def test_an_upload_is_credited_by_the_rules_of_the_configuration(tmp_path: Path) -> None:
    path = config_file(tmp_path)
    uploaded(path, "A1")
    uploaded(path, "A2", "fre")
    uploaded(path, "A3", "chi", "jp_cat")
    assert uploads(path) == {
        "upload.chinese.full": 1, "upload.western.full": 1, "upload.ancient.without_holdings": 1,
    }  # fmt: skip
    listed = run(path, "list").output.splitlines()
    assert listed[0] == (
        "      1  accepted   PKU        2024-06-15 12:00  A1               chinese full  4.00 yuan"
    )
    assert listed[-1] == "3 claims, 8.00 yuan"


def test_detailed_holdings_are_the_members_own(tmp_path: Path) -> None:
    path = config_file(tmp_path)
    record = uploaded(path, "A1", "chi", "jp_cat")
    config = load_config(path)

    def of(*holdings: Holding) -> bool:
        return accepted_record(
            config, record, "PKU", "pku01", NOON_US, holdings=holdings
        ).detailed_holdings

    number = record.record_id
    assert of(Holding("PKU", number, "I207/1"))
    assert not of(Holding("PKU", number))
    assert not of(Holding("THU", number, "I207/1"))
    found = accepted_record(config, record, "PKU", "pku01", NOON_US, cover=True)
    assert (found.category, found.level, found.cover) == (Category.ANCIENT, Level.FULL, True)


def test_operators_accept_and_refuse(tmp_path: Path) -> None:
    path = config_file(tmp_path, 'acceptance = "operator"')
    for number in ("A1", "A2", "A3"):
        uploaded(path, number)
    assert uploads(path) == {}
    done = run(path, "accept", "1", "2", "9", "--operator", "ming")
    assert done.exit_code == 1
    assert "there is no claim 9" in done.output
    assert "(by ming)" in done.output
    assert uploads(path) == {"upload.chinese.full": 2}
    refused = run(path, "refuse", "3", "--reason", "copied", "--operator", "ming")
    assert "refused" in refused.output
    assert refused.output.rstrip().endswith("(by ming; copied)")
    (claim,) = map(
        json.loads, run(path, "list", "--status", "refused", "--json").output.split("\n")[:-1]
    )
    assert (claim["control_number"], claim["worth_fen"], claim["by"]) == ("A3", 400, "ming")
    assert run(path, "list", "--member", "thu").output == "0 claims, 0.00 yuan\n"
    again = run(path, "refuse", "1", "--reason", "late")
    assert again.exit_code == 1
    assert "claim 1 is accepted already" in again.output


def test_what_a_crash_left_is_posted_by_a_chore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config_file(tmp_path)
    config = load_config(path)
    assert post_credits(config) == (0, 0)
    assert not config.credit_path.exists()
    with monkeypatch.context() as patch:
        patch.setattr(Credits, "post", lambda *_: 0)
        uploaded(path, "A1")
    assert uploads(path) == {}
    assert post_credits(config) == (0, 1)
    assert post_credits(config) == (0, 0)
    assert uploads(path) == {"upload.chinese.full": 1}


def merge(path: Path, keep: StoredRecord, away: StoredRecord, at_us: int = NOON_US + 1) -> None:
    writer = CatalogueWriter(load_config(path).data_dir, durable=False)
    Editor(writer).merge(
        keep.record_id, away.record_id, account="admin", reason="same book", at_us=at_us
    )
    writer.close()


def test_a_record_that_is_merged_away_by_anybody_loses_its_credit(tmp_path: Path) -> None:
    path = config_file(tmp_path)
    config = load_config(path)
    kept, gone, other = (uploaded(path, number) for number in ("A1", "A2", "A3"))
    assert uploads(path) == {"upload.chinese.full": 3}
    merge(path, kept, gone)
    assert post_credits(config) == (1, 0)
    assert uploads(path) == {"upload.chinese.full": 2}
    assert post_credits(config) == (0, 0)
    merge(path, kept, other, at_us=NOON_US + 366 * 86_400_000_000)  # the year after
    assert post_credits(config) == (0, 0)
    assert uploads(path) == {"upload.chinese.full": 2}
    statuses = [line.split()[1] for line in run(path, "list").output.splitlines()[:3]]
    assert statuses == ["accepted", "reversed", "accepted"]


def test_a_rule_that_changes_takes_nothing_back_that_an_earlier_merge_left(tmp_path: Path) -> None:
    path = config_file(tmp_path)
    kept, gone = uploaded(path, "A1"), uploaded(path, "A2")
    merge(path, kept, gone, at_us=NOON_US + 366 * 86_400_000_000)
    assert post_credits(load_config(path)) == (0, 0)
    path.write_text(path.read_text() + '\n[metering]\nupload_reversal = "always"\n')
    assert post_credits(load_config(path)) == (0, 0)
    assert uploads(path) == {"upload.chinese.full": 2}


def test_a_merge_that_was_undone_before_it_was_told_takes_nothing_back(tmp_path: Path) -> None:
    path = config_file(tmp_path)
    kept, gone = uploaded(path, "A1"), uploaded(path, "A2")
    merge(path, kept, gone)
    writer = CatalogueWriter(load_config(path).data_dir, durable=False)
    Editor(writer).undelete(gone.record_id, account="admin", reason="two books")
    writer.close()
    assert post_credits(load_config(path)) == (0, 0)
    assert uploads(path) == {"upload.chinese.full": 2}


def test_the_command_that_merges_takes_the_credit_back_at_once(tmp_path: Path) -> None:
    path = config_file(tmp_path)
    uploaded(path, "A1")
    uploaded(path, "A2")
    # The uploads are of an earlier year than the merge, which is made now.
    path.write_text(path.read_text() + '\n[metering]\nupload_reversal = "always"\n')
    done = CliRunner().invoke(
        main, ["record", "merge", "A1", "A2", "--as", "admin", "--config", str(path)]
    )
    assert done.exit_code == 0, done.output
    assert "taken back   the credit for A2" in done.output
    assert "reversed" in run(path, "list").output


def test_caps_are_configured(tmp_path: Path) -> None:
    path = config_file(tmp_path, "category_records_per_year_max = { chinese = 1 }")
    uploaded(path, "A1")
    uploaded(path, "A2")
    assert uploads(path) == {"upload.chinese.full": 1}
    refused = run(path, "accept", "2")
    assert refused.exit_code == 1
    assert "PKU has its 1 credited records of category chinese of 2024" in refused.output
    assert run(path, "accept", "2", "--over-cap").exit_code == 0
    assert uploads(path) == {"upload.chinese.full": 2}
    with open_credits(load_config(path)) as crediting:
        assert [claim.status for claim in crediting.claims()] == [Status.ACCEPTED] * 2


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('acceptance = "maybe"', "$.credit.acceptance"),
        ("records_per_year_max = -1", "$.credit.records_per_year_max"),
        ("category_records_per_year_max = { poems = 1 }", "$.credit.category_records_per_year_max"),
    ],
)
def test_a_mistake_in_the_rules_is_named(tmp_path: Path, text: str, place: str) -> None:
    path = config_file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(str(path))
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["accept"], "Missing argument 'ID"),
        (["accept", "x"], "'x' is not a valid integer"),
        (["refuse", "1"], "Missing option '--reason'"),
        (["refuse", "1", "--reason", " "], "say why"),
        (["list", "--status", "odd"], "'odd' is not one of"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(
    tmp_path: Path, arguments: list[str], reason: str
) -> None:
    done = run(config_file(tmp_path), *arguments)
    assert done.exit_code == 2
    assert reason in done.output
    assert len(done.output.splitlines()) == 1
