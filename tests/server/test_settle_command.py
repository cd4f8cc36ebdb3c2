"""`lianmu settle`, as an operator uses it: in one process, over a ledger of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from metering.entry import Draft, Kind
from metering.interface import Delivery
from metering.ledger import Ledger
from metering.spool import SpoolMeter
from metering.tariff import DOWNLOAD_OVER_QUOTA
from server.accounting import settling
from server.cli import main
from server.commands import settle as command
from server.config import load_config
from server.processes import writer_process
from store.members import Members
from tests.unit.test_settlement import AFTER_GRACE, IN_GRACE, JUNE, deliveries, holdings, void

TARIFF = Path(__file__).resolve().parents[2] / "metering/tariffs/2023-01-01.toml"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two members, to be copied: hashing passwords takes its time."""
    folder = tmp_path_factory.mktemp("prepared")
    members = Members(folder / "data" / "members.sqlite", create=True)
    members.add_member("PKU", "北京大学图书馆", "secret-secret", 0)
    members.add_member("THU", "清华大学图书馆", "secret-secret", 0)
    members.close()
    (folder / "config.toml").write_text('[server]\ndata_dir = "data"\n')
    writer_process.prepare(load_config(folder / "config.toml"))
    return folder


@pytest.fixture
def config(prepared: Path, tmp_path: Path) -> Path:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    return tmp_path / "config.toml"


def ledger_of(config: Path) -> contextlib.closing[Ledger]:
    return contextlib.closing(Ledger(config.parent / "data" / "ledger.sqlite"))


def append(config: Path, drafts: list[Draft]) -> None:
    with ledger_of(config) as ledger:
        ledger.append(drafts)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    now = [AFTER_GRACE]
    monkeypatch.setattr(command, "now_us", lambda: now[0])
    return now


def lianmu(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--config", str(config)])


def test_a_year_goes_from_draft_to_final_and_prints_the_same_for_ever(
    config: Path, clock: list[int]
) -> None:
    append(config, holdings(5) + deliveries(8) + deliveries(1, institution="THU"))
    clock[0] = IN_GRACE
    draft = lianmu(config, "settle", "2024")
    assert draft.exit_code == 0, draft.output
    assert "D1-2024-PKU  DRAFT  北京大学图书馆" in draft.stdout
    assert "D1-2024-THU  DRAFT" in draft.stdout
    early = lianmu(config, "settle", "2024", "--final")
    assert early.exit_code == 2
    assert "grace period of 2024 lasts until 2025-01-31" in early.stderr
    clock[0] = AFTER_GRACE
    final = lianmu(config, "settle", "2024", "--final")
    assert final.exit_code == 0, final.output
    assert "net, owed by the member" in final.stdout
    clock[0] += 86_400_000_000
    assert lianmu(config, "settle", "2024", "--final").stdout == final.stdout
    assert lianmu(config, "settle", "2024").stdout == final.stdout
    verified = lianmu(config, "settle", "2024", "--verify")
    assert verified.stdout == "2 documents of 2024: all as the ledger has it\n"


def test_json_has_the_document_and_its_sums(config: Path, clock: list[int]) -> None:
    append(config, holdings(5) + deliveries(8))
    done = lianmu(config, "settle", "2024", "--final", "--member", "pku", "--json")
    (document,) = json.loads(done.stdout)
    assert document["number"] == "2024-PKU"
    assert (document["receivable_fen"], document["payable_fen"], document["net_fen"]) == (
        200,
        0,
        200,
    )
    assert document["lines"][0]["item"] == DOWNLOAD_OVER_QUOTA


def test_a_dry_run_stores_nothing(config: Path, clock: list[int]) -> None:
    append(config, deliveries(2))
    clock[0] = JUNE
    done = lianmu(config, "settle", "2024", "--dry-run")
    assert "2024-PKU  ESTIMATE" in done.stdout
    assert "An estimate" in done.stdout
    assert lianmu(config, "settle", "2024").exit_code == 2
    with ledger_of(config) as ledger:
        assert len(list(ledger.entries())) == 2


def test_a_note_and_the_journal(config: Path, clock: list[int]) -> None:
    append(config, deliveries(3))
    lianmu(config, "settle", "2024", "--final")
    append(config, [void("d-PKU-2")])
    again = lianmu(config, "settle", "2024", "--final")
    assert "Entries after 2024-PKU change it by -1.00 yuan" in again.stderr
    dry = lianmu(config, "settle", "2024", "--note", "void", "--dry-run")
    assert "N1-2024-PKU  NOTE" in dry.stdout
    note = lianmu(config, "settle", "2024", "--note", "void of d-PKU-2")
    assert "reason: void of d-PKU-2" in note.stdout
    assert lianmu(config, "settle", "2024", "--note", "again").stdout == "nothing to settle\n"
    assert "final 2024-PKU" in lianmu(config, "settle", "2024", "--journal").stdout
    journal = json.loads(lianmu(config, "settle", "2024", "--journal", "--json").stdout)
    assert [posting["document"] for posting in journal] == ["2024-PKU", "N1-2024-PKU"]
    for posting in journal:
        assert sum(line["debit_fen"] - line["credit_fen"] for line in posting["lines"]) == 0


def test_a_forced_final_needs_a_reason_and_keeps_it(config: Path, clock: list[int]) -> None:
    append(config, deliveries(1))
    clock[0] = IN_GRACE
    done = lianmu(config, "settle", "2024", "--final", "--force", "agreement ended")
    assert "reason: agreement ended" in done.stdout
    with ledger_of(config) as ledger:
        *_, audit = ledger.entries()
    assert "agreement ended" in audit.note


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--force", "x"], "--force goes with --final"),
        (["--final", "--force", " "], "a reason is needed"),
        (["--note", ""], "a reason is needed"),
        (["--final", "--note", "x"], "exclude each other"),
        (["--journal", "--verify"], "exclude each other"),
        (["--member", "NOBODY"], "no institution NOBODY"),
        (["--note", "x"], "2024 is not settled"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    config: Path, clock: list[int], arguments: list[str], message: str
) -> None:
    done = lianmu(config, "settle", "2024", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_ledger_is_told_and_not_settled(config: Path, clock: list[int]) -> None:
    append(config, deliveries(2))
    with contextlib.closing(sqlite3.connect(config.parent / "data" / "ledger.sqlite")) as file:
        file.execute("DROP TRIGGER entry_is_final")
        file.execute("UPDATE entry SET account = 'x' WHERE seq = 1")
        file.commit()
    done = lianmu(config, "settle", "2024", "--final")
    assert done.exit_code == 2
    assert "the ledger does not verify: entry 1 is not what was hashed" in done.stderr
    told = lianmu(config, "settle", "2024", "--verify")
    assert told.exit_code == 1
    assert "entry 1 is not what was hashed" in told.stdout


async def test_what_waits_in_a_spool_is_folded_before_it_is_settled(
    config: Path, clock: list[int]
) -> None:
    meter = SpoolMeter(config.parent / "data" / "spool", clock=lambda: JUNE, sync="off")
    receipt = await meter.deliver([Delivery("PKU", "cn_cat", 7, "0007", "pku01", "z3950", "a")])
    meter.confirm(receipt)
    await meter.close()
    (document,) = json.loads(lianmu(config, "settle", "2024", "--final", "--json").stdout)
    assert document["downloads"] == 1


def test_entries_that_stay_in_a_spool_stop_the_settlement(
    config: Path, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    append(config, deliveries(1))
    monkeypatch.setattr(settling, "FOLD_PAUSE_S", 0.0)
    monkeypatch.setattr("metering.usage.UsageReader.usage_all", lambda *_: ["more than is folded"])
    done = lianmu(config, "settle", "2024", "--final")
    assert done.exit_code == 2
    assert "entries of 2024 are still in the spools" in done.stderr


def test_a_correction_of_kind_audit_is_no_reason_to_settle(config: Path, clock: list[int]) -> None:
    append(config, [Draft(id="x", kind=Kind.AUDIT, at_us=JUNE, note="a remark")])
    assert lianmu(config, "settle", "2024", "--final").stdout == "nothing to settle\n"


def test_prices_of_the_operators_own_tariff_are_those_of_the_settlement(
    config: Path, clock: list[int]
) -> None:
    own = TARIFF.read_text("utf-8").replace("2023-01-01", "2024-01-01")
    own = own.replace('"download.over_quota" = 100', '"download.over_quota" = 70')
    (config.parent / "tariffs").mkdir()
    (config.parent / "tariffs" / "own.toml").write_text(own)
    config.write_text(config.read_text() + '[tariff]\nfolder = "tariffs"\n')
    append(config, deliveries(2))
    (document,) = json.loads(lianmu(config, "settle", "2024", "--final", "--json").stdout)
    assert (document["tariff_version"], document["net_fen"]) == ("2024-01-01", 140)


def test_the_figures_of_a_year_say_whether_it_is_settled(config: Path, clock: list[int]) -> None:
    append(config, holdings(5) + deliveries(8))
    before = lianmu(config, "usage", "PKU", "--year", "2024")
    assert before.output.endswith("An estimate: the year is over, and is not settled yet.\n")
    told = json.loads(lianmu(config, "usage", "PKU", "--year", "2024", "--json").output)
    assert (told["estimate"], told["documents"], told["open_fen"]) == (True, {}, 0)
    assert lianmu(config, "settle", "2024", "--final").exit_code == 0
    after = lianmu(config, "usage", "PKU", "--year", "2024").output
    assert "estimate" not in after.lower()
    assert after.endswith("final     2024-PKU, net 2.00 yuan\n")

    append(config, [void("d-PKU-2")])
    assert lianmu(config, "usage", "PKU", "--year", "2024").output.endswith(
        "Entries since then change it by -1.00 yuan: lianmu settle 2024 --note REASON\n"
    )
    assert lianmu(config, "settle", "2024", "--note", "lost").exit_code == 0
    told = json.loads(lianmu(config, "usage", "PKU", "--year", "2024", "--json").output)
    assert told["documents"] == {"2024-PKU": 200, "N1-2024-PKU": -100}
    assert (told["estimate"], told["open_fen"]) == (False, 0)
    assert "estimate" in lianmu(config, "usage", "PKU").output  # of the present year
