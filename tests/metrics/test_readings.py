"""What gauges are read from: the newest end of a ledger, spools, certificates, processes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from docs import metrics
from metering.entry import GENESIS_HASH
from metering.fold import Folder
from metering.interface import MeteringError
from metering.ledger import Ledger
from metering.ledger_head import check_head
from metering.spool_writer import SpoolWriter
from metering.waiting import positions_of, waiting
from server.backup.note import LastBackup, last_backup, note_backup
from server.metrics.certificate import expires_at
from server.metrics.definitions import METRICS
from server.metrics.processes import process_figures
from store.sizes import delta_rows, index_sizes
from store.writer import CatalogueWriter
from tests.server.own_server import marc21
from tests.unit.test_ledger import delivery, void
from tests.unit.test_spool import NOW_US, commit, writer

DELIVERIES = 600  # more than a page


def change(path: Path, statement: str) -> None:
    """Change a ledger behind its triggers' back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for name in ("entry_is_final", "page_is_final"):
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)


def test_the_head_of_an_empty_ledger_is_the_beginning_of_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with pytest.raises(MeteringError, match=r"there is no ledger\.sqlite"):
        check_head(path)
    Ledger(path).close()
    assert check_head(path) == (0, GENESIS_HASH)


@pytest.mark.parametrize("paged", [False, True])
def test_a_head_that_is_not_what_was_hashed_is_told(tmp_path: Path, paged: bool) -> None:
    path = tmp_path / "ledger.sqlite"
    with closing(Ledger(path)) as ledger:
        drafts = [delivery(f"spool:{n}", record_id=n) for n in range(DELIVERIES)]
        with ledger.writing() as transaction:
            transaction.append_new(drafts)
        if not paged:
            ledger.append([void("v1", "spool:5")])
        assert check_head(path) == ledger.head()
    change(
        path,
        "UPDATE page SET hash = zeroblob(32) WHERE first_seq = (SELECT max(first_seq) FROM page)"
        if paged
        else "UPDATE entry SET note = 'another reason'",
    )
    with pytest.raises(MeteringError, match="not what was hashed"):
        check_head(path)


def test_a_file_that_is_no_ledger_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"nothing of the kind" * 1000)
    with pytest.raises(MeteringError):
        check_head(path)


def test_deliveries_wait_until_they_are_folded(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    ledger_path = tmp_path / "ledger.sqlite"
    with closing(Ledger(ledger_path)) as ledger:
        assert waiting(root, positions_of(ledger_path)).spools == 0
        owner: SpoolWriter = writer(root)
        commit(owner, 1, 2, 3)
        commit(owner, 4)
        found = waiting(root, positions_of(ledger_path))
        assert (found.spools, found.deliveries, found.oldest_us) == (1, 4, NOW_US)
        assert found.size_bytes > 0
        folder = Folder(ledger, root, clock=lambda: NOW_US + 10_000_000)
        folder.fold()
        # The newest frame may fail yet, and stays until another stands behind it.
        assert waiting(root, positions_of(ledger_path)).deliveries == 1
        owner.close()
        folder.fold()
        assert waiting(root, positions_of(ledger_path)).deliveries == 0


def test_the_end_of_a_certificate_is_read_from_its_file(tmp_path: Path) -> None:
    for days in (1, 40_000):  # the one a UTCTime, the other beyond 2049 a GeneralizedTime
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", str(days), "-subj", "/CN=test", "-keyout", "key", "-out", "pem"],
            cwd=tmp_path, capture_output=True, check=True,
        )  # fmt: skip
        ends = expires_at(tmp_path / "pem")
        assert abs(ends - (datetime.now(UTC) + timedelta(days=days))) < timedelta(minutes=5)


@pytest.mark.parametrize(
    "text",
    ["", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
     "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"],
)  # fmt: skip
def test_a_file_without_a_certificate_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pem"
    path.write_text(text)
    with pytest.raises(ValueError, match="pem: "):
        expires_at(path)


def test_a_process_is_measured_while_it_lives() -> None:
    own = process_figures(os.getpid())
    assert own is not None
    assert own.memory_bytes > 1 << 20
    assert own.files >= 3
    assert own.cpu_s > 0
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_figures(child.pid) is None  # it has ended, though nobody has taken note
    child.wait()
    assert process_figures(child.pid) is None


def test_records_wait_in_the_delta_until_they_are_merged(tmp_path: Path) -> None:
    from server.config import Config

    catalogue = CatalogueWriter(tmp_path, Config().databases)
    with catalogue.transaction():
        catalogue.put("we_cat", marc21("n1", "A title"))
    assert (delta_rows(tmp_path), catalogue.has_delta()) == (1, True)
    while catalogue.merge():
        pass
    assert (delta_rows(tmp_path), catalogue.has_delta()) == (0, False)
    catalogue.close()
    sizes = index_sizes(tmp_path)
    assert set(sizes) == {"postings", "positions"}
    assert min(sizes.values()) >= 4096


def test_the_note_of_the_last_backup_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert last_backup(tmp_path) is None
    note = LastBackup(begun_us=1, ended_us=2, size_bytes=3, destination="/backup")
    note_backup(tmp_path, note)
    assert last_backup(tmp_path) == note
    assert [path.name for path in tmp_path.iterdir()] == ["backup.json"]
    (tmp_path / "backup.json").write_text("{")
    with pytest.raises(ValueError, match=r"backup\.json"):
        last_backup(tmp_path)


def test_names_tell_the_unit_and_the_kind() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert metric.name.startswith("lianmu_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        if metric.kind == "histogram":
            assert metric.name.endswith("_seconds")
        assert metric.help.endswith(".")


def test_the_metrics_page_is_that_of_the_tables() -> None:
    assert metrics.PAGE.read_text("utf-8") == metrics.page(), "run `python -m docs.metrics`"
