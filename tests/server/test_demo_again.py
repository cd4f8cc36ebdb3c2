"""A demo folder that is there already, changed by who tried it or made by an earlier version."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from protocol.iso2709 import control_field
from server.accounting.audit_trail import trail
from server.commands.demo import CONFIG, WHO, fill
from server.config import Config, load_config
from store.audit import AuditSelection
from store.catalogue import SqliteCatalogue
from store.members import Members
from store.reindex import check
from store.rights import FIRST_RIGHTS
from store.writer import CatalogueWriter


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    path = folder / "config.toml"
    path.write_text(CONFIG.format(z3950_port=0, http_port=0), encoding="utf-8")
    config = load_config(path)
    config.data_dir.mkdir()
    fill(config)
    return folder


@pytest.fixture
def config(made: Path, tmp_path: Path) -> Config:
    shutil.copytree(made, tmp_path / "demo")
    return load_config(tmp_path / "demo" / "config.toml")


def test_what_was_changed_in_a_demo_stays_changed(config: Config) -> None:
    writer = CatalogueWriter(config.data_dir, config.databases)
    one, two, held = (writer.live(record_id) for record_id in (1, 2, 3))
    edited = writer.put("cn_cat", one.marc.replace("北京".encode(), "上海".encode()))
    writer.delete(two.record_id)
    institution = next(iter(writer.rows.holders(held.record_id)))
    writer.remove_holding(institution, held.record_id)
    writer.close()
    fill(config)
    writer = CatalogueWriter(config.data_dir, config.databases)
    assert writer.live(1) == edited
    deleted = writer.rows.get(2)
    assert deleted is not None
    assert deleted.deleted
    assert institution not in writer.rows.holders(held.record_id)
    writer.close()


def test_samples_that_are_new_are_added_with_their_holdings(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = CatalogueWriter(config.data_dir, config.databases)
    marc = writer.live(1).marc.replace(b"LMC0000001", b"LMC9999999")
    writer.close()
    monkeypatch.setattr("samples.databases", lambda: ["cn_cat"])
    monkeypatch.setattr("samples.records", lambda name: [marc])
    new = ("DEMO1", "cn_cat", control_field(marc, "001"), "X1")
    monkeypatch.setattr("samples.holdings", lambda: [new])
    fill(config)
    writer = CatalogueWriter(config.data_dir, config.databases)
    found = writer.rows.resolve(writer.rows.database_id("cn_cat"), "", "LMC9999999", marc)
    assert found is not None
    assert set(writer.rows.holders(found.record_id)) == {"DEMO1"}
    writer.close()


def test_the_index_of_an_earlier_version_is_made_anew(config: Config) -> None:
    writer = CatalogueWriter(config.data_dir, config.databases)
    writer.connection.execute("UPDATE meta SET value = 'earlier' WHERE key = 'index'")
    writer.close()
    fill(config)
    writer = CatalogueWriter(config.data_dir, config.databases)
    assert writer.is_index_current
    assert check(writer.connection) == []
    writer.close()
    SqliteCatalogue(config.data_dir).close()


def test_the_libraries_of_the_demo_may_look_after_their_own_accounts(config: Config) -> None:
    with closing(Members(config.members_path)) as members:
        account = members.account("demo1")
    assert account is not None
    assert account.rights == FIRST_RIGHTS


def test_the_audit_says_who_set_the_demo_up(config: Config) -> None:
    fill(config)  # which changes nothing the second time
    rows = list(trail(config, AuditSelection()))
    assert [row.action for row in rows] == ["add", "add", "add", "operator add"]
    holdings = list(trail(config, AuditSelection(kind="holdings")))
    assert holdings
    assert {row.who for row in rows + holdings} == {WHO}
    assert {row.protocol for row in rows} == {"cli"}
