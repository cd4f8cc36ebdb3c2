"""`lianmu load --duplicates`: report, refuse, merge and ignore."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from server.commands import load_duplicates
from server.commands.load_duplicates import LoadCheck
from server.config import load_config
from store.load import load
from store.record_reader import RecordReader
from store.reindex import check
from store.sqlite import open_reader
from store.writer import CatalogueWriter
from tests.harness import lianmu
from tests.unit.test_duplicates import DREAM, chinese, western


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(f'[server]\ndata_dir = "{tmp_path / "data"}"\n', "utf-8")
    first = tmp_path / "first.mrc"
    first.write_bytes(chinese("c1", isbn=DREAM) + chinese("c2", "史记", author="司马迁"))
    assert run(path, first)["loaded"] == 2
    member = lianmu("member", "add", "PKU", "--name", "P", "--config", str(path))
    assert member.returncode == 0, member.stderr
    return path


def run(config: Path, file: Path, *options: str) -> dict[str, Any]:
    done = lianmu(
        "load", "--database", "cn_cat", "--json", *options, str(file), "--config", str(config)
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """One that is there, its next version, two new ones that are the same, and a volume."""
    path = tmp_path / "second.mrc"
    path.write_bytes(
        chinese("d1", "紅樓夢", isbn=DREAM)
        + chinese("c2", "史记", author="司马迁", extent="130页")
        + chinese("d2", "西游记", author="吴承恩")
        + chinese("d3", "西游记", author="吴承恩")
        + chinese("d4", isbn=DREAM, h="上")
    )
    return path


def reported(result: dict[str, Any]) -> list[list[str]]:
    with Path(result["report"]).open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["file", "offset", "control_number", "reason"]
    return rows


def test_without_being_asked_a_load_stores_all_and_tells(config: Path, second: Path) -> None:
    result = run(config, second)
    assert (result["loaded"], result["replaced"], result["refused"]) == (4, 1, 0)
    assert result["duplicates"] == {"looked": True, "possible": 1, "certain": 1, "merged": 0}
    rows = sorted(reported(result), key=lambda row: row[2])
    assert [row[2] for row in rows] == ["d1", "d3"]
    assert rows[0][3].startswith("stored, but is most likely c1 (100: same ISBN 9787020002207; ")
    assert rows[1][3].startswith("stored, but may be d2 (")
    again = run(config, second)
    assert (again["unchanged"], again["report"]) == (5, None)
    assert again["duplicates"]["certain"] == 0


def test_refused_records_are_listed_with_what_they_look_like(config: Path, second: Path) -> None:
    result = run(config, second, "--duplicates", "refuse", "--holdings", "PKU")
    assert (result["loaded"], result["replaced"], result["refused"]) == (2, 1, 2)
    assert result["holdings_added"] == 3
    rows = reported(result)
    assert [row[2] for row in rows] == ["d1", "d3"]
    assert rows[0][3].startswith("looks like c1 (100: same ISBN")
    assert rows[1][3].startswith("looks like d2 (")
    data_dir = load_config(config).data_dir
    connection = open_reader(data_dir / "catalogue.sqlite")
    assert check(connection) == []
    connection.close()
    more = run(config, second, "--duplicates", "refuse")
    assert (more["unchanged"], more["refused"]) == (3, 2)


def test_certain_ones_are_merged_with_their_holdings(config: Path, second: Path) -> None:
    result = run(config, second, "--duplicates", "merge", "--holdings", "PKU")
    assert result["duplicates"] == {"looked": True, "possible": 1, "certain": 1, "merged": 1}
    with RecordReader(load_config(config).data_dir) as reader:
        (kept,) = reader.rows.by_number(1, "d1")
        (gone,) = reader.rows.by_number(1, "c1")
        assert reader.merges.survivor(gone.record_id) == kept.record_id  # what PKU holds is kept
        assert [row.holding.institution for row in reader.merges.holding_rows(kept.record_id)] == [
            "PKU"
        ]
        assert reader.versions(gone.record_id)[-1].account == "lianmu load"
    again = run(config, second, "--holdings", "PKU")
    assert (again["holdings_added"], again["loaded"], again["unchanged"]) == (0, 0, 4)


def test_duplicates_can_be_ignored(config: Path, second: Path) -> None:
    result = run(config, second, "--duplicates", "ignore")
    assert (result["loaded"], result["report"]) == (4, None)
    assert result["duplicates"]["looked"] is False


def test_a_very_large_load_is_not_looked_through_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_duplicates, "UNASKED_RECORDS_MAX", 3)
    file = tmp_path / "w.mrc"
    report = tmp_path / "r.csv"
    config = tmp_path / "config.toml"
    config.write_text(f'[server]\ndata_dir = "{tmp_path}"\n')
    writer = CatalogueWriter(tmp_path, load_config(config).databases, durable=False)
    for mode, looked in ((None, False), ("report", True)):
        file.write_bytes(b"".join(western(f"{mode}{n}", f"Book {n}") for n in (1, 2, 3, 4)))
        looking = LoadCheck(writer, "we_cat", [file], mode)
        found = looking.after(load(writer, [file], "we_cat", processes=0), report)
        assert found.looked is looked
        assert found.possible == (4 if looked else 0)
    assert len(report.read_text("utf-8").splitlines()) == 5
    writer.close()


def test_few_new_records_in_a_large_database_are_looked_up_one_by_one(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[server]\ndata_dir = "{tmp_path}"\n')
    writer = CatalogueWriter(tmp_path, load_config(config).databases, durable=False)
    file = tmp_path / "w.mrc"
    file.write_bytes(b"".join(western(f"a{n}", f"Book {n}", isbn="") for n in range(40)))
    load(writer, [file], "we_cat", processes=0)
    file.write_bytes(western("b1", "Book 7") + western("b2", "Book 7."))
    looking = LoadCheck(writer, "we_cat", [file], "report")
    report = tmp_path / "r.csv"
    found = looking.after(load(writer, [file], "we_cat", processes=0), report)
    assert (found.possible, found.certain) == (3, 0)
    writer.close()
