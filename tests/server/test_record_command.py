"""`lianmu record`, as an operator types it, while a server runs and without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.iso2709 import control_field
from protocol.record import Holding, StoredRecord
from server.config import load_config
from store.writer import CatalogueWriter
from tests.harness import RunningServer, lianmu
from tests.server import sru_client
from tests.server.own_server import cnmarc, marc21, own_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    catalogue = {
        "cn_cat": [cnmarc("c1", "红楼梦"), cnmarc("c2", "紅樓夢"), cnmarc("n", "史记")],
        "we_cat": [marc21("n", "Histories")],
    }  # fmt: skip
    with own_server(tmp_path_factory.mktemp("record"), catalogue) as running:
        yield running


def run(server: RunningServer, *arguments: str, status: int = 0) -> str:
    """What `lianmu record` printed; refusals are one line on stderr."""
    done = lianmu("record", *arguments, "--config", str(server.config))
    assert done.returncode == status, done.stderr
    if status:
        assert done.stderr.startswith("lianmu: ")
        assert done.stderr.count("\n") == 1
        return done.stderr
    return done.stdout


def titles(server: RunningServer, query: str) -> list[str]:
    answer = sru_client.search(server, "cn_cat", query)
    return answer.texts("//m:datafield[@tag='200']/m:subfield[@code='a']")


def test_an_operator_corrects_deletes_and_brings_back(
    server: RunningServer, tmp_path: Path
) -> None:
    new = tmp_path / "new.mrc"
    new.write_bytes(cnmarc("whatever", "史记选"))
    named = ("n", "--database", "CN_CAT")
    assert "may be #" in run(server, "show", "n", status=2)
    first = json.loads(run(server, "show", *named, "--json"))
    assert (first["version"], first["database"], first["deleted"]) == (1, "cn_cat", False)
    assert ["200", "1 ", [["a", "史记"]]] in first["fields"]
    by = ("--as", "li", "--reason", "typo")
    changed = ("replace", *named, str(new), "--based-on", first["identifier"], *by)
    assert run(server, *changed) == "replaced     n, now version 2\n"
    assert titles(server, "dc.title = 史记选") == ["史记选"]
    assert "it is in version 2" in run(server, *changed, status=2)
    again = ("replace", *named, str(new), "--based-on", "2", *by)
    assert run(server, *again) == "unchanged n, version 2\n"
    assert run(server, "delete", *named, "--as", "li") == "deleted      n, now version 3\n"
    assert titles(server, "dc.title = 史记选") == []
    assert "n is deleted" in run(server, "delete", *named, "--as", "li", status=2)
    assert run(server, "undelete", *named, "--as", "li") == "undeleted    n, now version 4\n"
    assert titles(server, "dc.title = 史记选") == ["史记选"]
    lines = run(server, "history", *named, "--diff").splitlines()
    assert [line.split()[3] for line in lines if line[:4].strip()] == [
        "created", "replaced", "deleted", "undeleted",
    ]  # fmt: skip
    assert "      - 200 1  $a 史记" in lines
    assert "      + 200 1  $a 史记选" in lines
    told = [json.loads(line) for line in run(server, "history", *named, "--json").splitlines()]
    assert [each["account"] for each in told] == ["", "li", "li", "li"]
    assert told[1]["reason"] == "typo"
    old = json.loads(run(server, "show", *named, "--version", "1", "--json"))
    assert old["fields"] == first["fields"]
    assert "versions 1 to 4" in run(server, "show", *named, "--version", "9", status=2)


def test_an_operator_merges_and_undoes_it(server: RunningServer) -> None:
    config = load_config(server.config)
    writer = CatalogueWriter(config.data_dir)
    try:
        for number, institution in (("c1", "PKU"), ("c2", "PKU"), ("c2", "THU")):
            (stored,) = writer.rows.by_number(writer.rows.database_id("cn_cat"), number)
            assert isinstance(stored, StoredRecord)
            writer.put_holding(Holding(institution, stored.record_id, f"I24/{number}"))
    finally:
        writer.close()
    held = run(server, "delete", "c2", "--as", "op", status=2)
    assert "c2 is held by PKU, THU: merge it" in held
    done = run(server, "merge", "c1", "c2", "--as", "op", "--reason", "同一版本")
    assert done.splitlines() == [
        "kept         c1, now version 2",
        "merged away  c2, now version 2",
        "moved        1 holdings: THU",
        "combined     1 holdings: PKU",
    ]
    assert titles(server, "rec.identifier = c2") == ["红楼梦"]
    shown = run(server, "show", "c1")
    assert "former numbers c2" in shown
    assert "held by        PKU, I24/c1; I24/c2, 2 copies" in shown
    assert "merged into    c1" in run(server, "show", "c2")
    assert "merged away c1" in run(server, "history", "c2")
    assert "c2 was merged into c1" in run(server, "delete", "c2", "--as", "op", status=2)
    assert "c2 was merged into c1" in run(server, "merge", "c1", "c2", "--as", "op", status=2)
    run(server, "undelete", "c2", "--as", "op")
    assert titles(server, "rec.identifier = c2") == ["紅樓夢"]


def test_what_an_operator_gets_wrong_is_said_in_one_line(
    server: RunningServer, tmp_path: Path
) -> None:
    assert "no record c9" in run(server, "show", "c9", status=2)
    assert "no record #999" in run(server, "history", "#999", status=2)
    assert "no database xx" in run(server, "show", "c1", "--database", "xx", status=2)
    assert "--as" in run(server, "delete", "c1", status=2)
    two = tmp_path / "two.mrc"
    two.write_bytes(2 * cnmarc("c1", "T"))
    replace = ("replace", "c1", str(two), "--as", "op")
    assert "has 2 records" in run(server, *replace, status=2)
    two.write_bytes(b"rubbish")
    run(server, *replace, status=2)
    assert "into itself" in run(server, "merge", "c1", "c1", "--as", "op", status=2)
    config = tmp_path / "config.toml"
    config.write_text(f'[server]\ndata_dir = "{tmp_path}/none"\n')
    refused = lianmu("record", "delete", "c1", "--as", "op", "--config", str(config))
    assert refused.returncode == 2
    assert "there is no catalogue" in refused.stderr


def test_what_was_mended_of_a_new_version_is_told(server: RunningServer, tmp_path: Path) -> None:
    file = tmp_path / "edited.mrc"  # as an editor of text leaves it, with the old lengths
    file.write_bytes(cnmarc("n", "史记").replace("史记".encode(), "史记 (修订版)".encode()))
    replace = ("replace", "n", str(file), "--database", "cn_cat", "--as", "op")
    done = lianmu("record", *replace, "--config", str(server.config))
    assert done.returncode == 0
    assert done.stdout.startswith("replaced     n")
    assert done.stderr.startswith("mended       ")
    assert titles(server, "dc.title = 修订版") == ["史记 (修订版)"]


def test_a_record_can_be_taken_out_and_put_back_in_both_forms(
    server: RunningServer, tmp_path: Path
) -> None:
    for form in ("iso2709", "marcxml"):
        file = tmp_path / form
        done = lianmu("record", "show", "c1", "--form", form, "--config", str(server.config))
        file.write_text(done.stdout, "utf-8")
        assert "unchanged" in run(server, "replace", "c1", str(file), "--as", "op")
    assert control_field((tmp_path / "iso2709").read_bytes(), "001") == "c1"
