"""`lianmu dedupe`, as an operator types it, while a server runs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.iso2709 import Field, build, parse
from protocol.record import Holding
from server.config import load_config
from store.record_reader import RecordReader
from store.writer import CatalogueWriter
from tests.harness import RunningServer, lianmu
from tests.server import sru_client
from tests.server.own_server import cnmarc, own_server


def numbered(number: str, title: str, isbn: str, volume: str = "") -> bytes:
    record = parse(cnmarc(number, title))
    fields = [field for field in record.fields if field.tag != "200"]
    codes = [("a", title), ("h", volume)] if volume else [("a", title)]
    fields += [Field.of("010", "  ", [("a", isbn)]), Field.of("200", "1 ", codes)]
    fields.append(Field.of("210", "  ", [("c", "人民文学出版社")]))
    return build(record.leader, sorted(fields, key=lambda field: field.tag))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    isbn = "7-02-000220-X"
    catalogue = {
        "cn_cat": [
            numbered("c1", "红楼梦", isbn), numbered("c2", "紅樓夢", isbn),
            numbered("c3", "红楼梦", "9787020002207"), numbered("c4", "红楼梦", isbn, "上"),
            numbered("c5", "红楼梦", isbn, "下"), cnmarc("c6", "史记"),
        ],
        "jp_cat": [numbered("j1", "红楼梦", isbn)],
    }  # fmt: skip
    with own_server(tmp_path_factory.mktemp("dedupe"), catalogue) as running:
        yield running


def run(server: RunningServer, *arguments: str) -> str:
    done = lianmu("dedupe", *arguments, "--config", str(server.config))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_duplicates_are_reported_and_merged_on_demand(
    server: RunningServer, tmp_path: Path
) -> None:
    report = tmp_path / "new" / "duplicates.csv"
    told = run(server, "--report", str(report))
    assert [line.split()[1] for line in told.splitlines()] == ["0", "3", str(report)]
    with report.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["keep"], row["away"]) for row in rows} == {
        ("c1", "c2"), ("c1", "c3"), ("c2", "c3"),
    }  # fmt: skip
    assert {row["certain"] for row in rows} == {"yes"}
    assert "same ISBN 9787020002207; same title" in rows[0]["reasons"]
    lines = [json.loads(line) for line in run(server, "--json", "--report", "-").splitlines()]
    assert [line["score"] for line in lines] == [int(row["score"]) for row in rows]
    assert lines[0]["certain"] is True
    config = load_config(server.config)
    writer = CatalogueWriter(config.data_dir)
    (c3,) = writer.rows.by_number(writer.rows.database_id("cn_cat"), "c3")
    writer.put_holding(Holding("PKU", c3.record_id, "I24"))
    writer.close()
    result = json.loads(run(server, "--merge", "--as", "admin", "--database", "CN_CAT", "--json"))
    assert (result["pairs"], result["certain"], result["merged"]) == (3, 3, 2)
    assert Path(result["report"]).parent == config.data_dir / "reports"
    for number in ("c1", "c2", "c3"):
        found = sru_client.search(server, "cn_cat", f"rec.identifier = {number}")
        assert found.texts("//m:controlfield[@tag='001']") == ["c3"]
    with RecordReader(config.data_dir) as reader:
        history = reader.versions(c3.record_id)
        assert [each.change for each in history[1:]] == ["merged in"]  # c1, after c2 went into it
        assert {each.account for each in history[1:]} == {"admin"}
        assert history[-1].reason.startswith("duplicate, 100: same ISBN 978")
    again = json.loads(run(server, "--merge", "--as", "admin", "--json"))
    assert (again["pairs"], again["merged"]) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--merge",), "needs to know who merges"),
        (("--database", "xx"), "no database xx"),
        (("--min-score", "20"), "--min-score"),
        (("--report", "/proc/none/x.csv"), "/proc/none"),
    ],
)
def test_what_is_asked_wrong_is_said_in_one_line(
    server: RunningServer, arguments: tuple[str, ...], reason: str
) -> None:
    done = lianmu("dedupe", *arguments, "--config", str(server.config))
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
