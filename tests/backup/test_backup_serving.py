"""A backup of a server under traffic: restored elsewhere it is exact, to the last record."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from metering.entry import Kind, accounting_day
from metering.spool import utc_us
from server.accounting.ledger import Accounting
from server.backup.manifest import backups
from server.config import load_config
from tests.backup.in_process import lianmu
from tests.faults.counting_clients import DATABASE, Key, Traffic
from tests.faults.exactness import MEMBERS, Auditor, auditing, count, prepare
from tests.harness import CHECKOUT, LIANMU, serving
from tests.harness import lianmu as lianmu_beside
from tests.z3950_client import connected, records


@contextmanager
def changing_holdings(auditor: Auditor) -> Iterator[None]:
    """Holdings that come and go all the while."""
    stop = threading.Event()

    def change() -> None:
        chance = random.Random(7)
        while not stop.wait(0.005):
            auditor.change_holdings(chance, 1)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def restored(folder: Path, like: Path, backup: Path) -> Path:
    """The configuration of another data folder, to which the backup was restored."""
    folder.mkdir()
    config = folder / "config.toml"
    config.write_text(like.read_text("utf-8"), "utf-8")
    done = lianmu("restore", "--config", str(config), str(backup), "--json")
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["restored"]
    return config


def billed(config_path: Path) -> Counter[Key]:
    """Records by member that the ledger bills, with everything folded."""
    with Accounting(load_config(config_path)) as accounting:
        accounting.folder.fold(lag_us=0)
        entries = list(accounting.ledger.entries())
    deliveries = {entry.id: entry for entry in entries if entry.kind is Kind.DELIVERY}
    voids = [deliveries[entry.refers_to] for entry in entries if entry.kind is Kind.VOID]
    return count(deliveries.values()) - count(voids)


def held(config_path: Path) -> dict[str, int]:
    path = load_config(config_path).data_dir / "catalogue.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT institution, count(*) FROM holding GROUP BY 1"))


def backed_up_under_traffic(tmp_path: Path, rounds: int, seconds: float) -> None:
    source = tmp_path / "source"
    source.mkdir()
    config = prepare(source)
    root = tmp_path / "backups"
    known: list[tuple[Path, Counter[Key]]] = []
    with auditing(config) as auditor, serving(config) as server:
        traffic = Traffic.begin(server.z3950, server.http, MEMBERS, each=2, seed=5)
        traffic.wait_until_busy()
        with changing_holdings(auditor):
            for _ in range(rounds):
                time.sleep(seconds)
                received = Counter(traffic.tally.received)  # by clients, before it begins
                done = lianmu_beside("backup", "--config", str(config), str(root), "--json")
                assert done.returncode == 0, done
                known.append((Path(json.loads(done.stdout)["backup"]), received))
        # Nobody was kept from anything meanwhile.
        before = traffic.tally.total()
        time.sleep(0.3)
        assert traffic.tally.total() > before
        tally = traffic.end()
        assert not tally.failures
        assert not tally.refused
        assert "Traceback" not in server.log
    for number, (backup, received) in enumerate(known):
        done = lianmu("backup", "verify", str(backup))
        assert done.returncode == 0, done
        elsewhere = restored(tmp_path / f"elsewhere-{number}", config, backup)
        found = billed(elsewhere)
        assert not received - found, "a client had it before the backup, and it is not billed"
        assert not found - tally.received, "billed and never received"
        with Accounting(load_config(elsewhere)) as accounting:
            year, _ = accounting_day(utc_us())
            usages = accounting.usage.usage_all(year)
            counted = {u.institution: u.holdings_uploaded for u in usages if u.holdings_uploaded}
        assert counted == held(elsewhere)
        done = lianmu("ledger", "verify", "--config", str(elsewhere))
        assert done.returncode == 0, done.stdout
        done = lianmu("doctor", "--config", str(elsewhere))
        assert done.returncode == 0, done.stdout
    with serving(elsewhere) as again, connected(again.z3950, "ma/ma") as client:
        assert client.search("@attr 1=4 common", DATABASE).search_status
        assert len(records(client.present(1, 3))) == 3


def test_a_backup_under_traffic_is_exact_when_restored_elsewhere(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # Servers run in folders of it, whose sockets need short paths.
    backed_up_under_traffic(tmp_path_factory.mktemp("traffic"), rounds=1, seconds=0.5)


@pytest.mark.long
def test_many_backups_under_traffic_are_exact(tmp_path_factory: pytest.TempPathFactory) -> None:
    backed_up_under_traffic(tmp_path_factory.mktemp("traffic"), rounds=12, seconds=2.0)


def test_a_backup_that_is_killed_leaves_nothing_under_its_name(tmp_path: Path) -> None:
    config = prepare(tmp_path, workers=1)  # never served: it has no ledger yet
    root = tmp_path / "backups"
    process = subprocess.Popen(
        [*LIANMU, "backup", "--config", str(config), str(root)], cwd=CHECKOUT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (root.is_dir() and list(root.glob(".lianmu-*.partial/data"))):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert backups(root) == []
    assert list(root.glob(".lianmu-*.partial"))
    # The next one removes what was left, and is whole.
    done = lianmu("backup", "--config", str(config), str(root))
    assert done.returncode == 0, done
    assert len(backups(root)) == 1
    assert not list(root.glob(".lianmu-*.partial"))
    restored(tmp_path / "elsewhere", config, backups(root)[0])
