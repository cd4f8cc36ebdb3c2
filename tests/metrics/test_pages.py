"""/metrics, /readyz and /healthz of a running server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.config import load_config
from server.metrics.definitions import METRICS
from tests.faults.counting_clients import DATABASE
from tests.faults.exactness import OPERATOR, Processes, prepare
from tests.harness import RunningServer, serving
from tests.z3950_client import connected, records

WITHIN_S = 30.0
SETTINGS = "writer_silence_s_max = 1.5\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    config = prepare(tmp_path_factory.mktemp("metrics"))
    config.write_text(config.read_text("utf-8").replace("[z3950]\n", SETTINGS + "[z3950]\n"))
    with serving(config) as running:
        yield running


def get(server: RunningServer, path: str, login: str = "", **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(server.url + path, headers=headers)
    if login:
        request.add_header("Authorization", "Basic " + b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class Scrape:
    """What /metrics says at one moment."""

    def __init__(self, server: RunningServer) -> None:
        status, self.text = get(server, "/metrics")
        assert status == 200
        self.samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
        }

    def __getitem__(self, name: str) -> float:
        return self.of(name)

    def of(self, name: str, **labels: str) -> float:
        return self.samples.get((name, tuple(sorted(labels.items()))), 0.0)


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ready(server: RunningServer) -> tuple[int, dict[str, Any]]:
    status, body = get(server, "/readyz")
    return status, json.loads(body)


def wrong(server: RunningServer) -> set[str]:
    """What /readyz complains of."""
    status, document = ready(server)
    found = {name for name, check in document["checks"].items() if not check["ok"]}
    assert (status, document["status"]) == ((503, "not ready") if found else (200, "ok"))
    return found


def test_requests_of_both_protocols_are_counted_over_all_workers(server: RunningServer) -> None:
    before = Scrape(server)
    received = 0
    for _ in range(8):  # connections go to either worker
        with connected(server.z3950, "ma/ma") as client:
            for _ in range(2):  # the second is answered at once
                client.search("@attr 1=4 common", DATABASE)
                received += len(records(client.present(1, 2)))
            client.present(9_999, 1)
            client.search("@attr 1=9999 common", DATABASE)
    with pytest.raises(AssertionError), connected(server.z3950, "ma/wrong"):
        pass  # an Init that is refused
    query = f"/{DATABASE}?version=1.2&operation=searchRetrieve&maximumRecords=3&query="
    for _ in range(2):
        assert get(server, query + "title=common", "mb:mb")[0] == 200
    assert get(server, query + "title%3D", "mb:mb")[0] == 200  # with a diagnostic in it
    assert get(server, "/status", "mb:mb")[0] == 403
    wait_until(lambda: Scrape(server)["lianmu_sessions_total"] >= 8)
    after = Scrape(server)

    def grown(name: str, **labels: str) -> float:
        return after.of(name, **labels) - before.of(name, **labels)

    name = "lianmu_requests_total"
    z3950, sru = {"protocol": "z3950"}, {"protocol": "sru", "service": "searchRetrieve"}
    assert grown(name, **z3950, service="init", outcome="answered") == 8
    assert grown(name, **z3950, service="init", outcome="refused") == 1
    assert grown("lianmu_refusals_total", reason="wrong_password") == 1
    assert grown("lianmu_diagnostics_total", set="bib-1", condition="1011") == 1
    assert grown(name, **z3950, service="search", outcome="answered") == 16
    assert grown(name, **z3950, service="search", outcome="refused") == 8
    assert grown(name, **z3950, service="present", outcome="answered") == 16
    assert grown(name, **z3950, service="present", outcome="refused") == 8
    assert grown(name, **sru, outcome="answered") == 2
    assert grown(name, **sru, outcome="refused") == 1
    assert grown(name, protocol="http", service="status", outcome="refused") == 1
    duration = "lianmu_request_duration_seconds"
    assert grown(f"{duration}_count", **z3950, service="search") == 24
    assert grown(f"{duration}_bucket", **z3950, service="search", le="+Inf") == 24
    assert 0 < grown(f"{duration}_sum", **z3950, service="search") < 60
    assert received == 32
    assert grown("lianmu_records_delivered_total", protocol="z3950") == 32
    assert grown("lianmu_records_delivered_total", protocol="sru") == 6
    assert grown("lianmu_diagnostics_total", set="bib-1", condition="114") == 8
    assert grown("lianmu_diagnostics_total", set="bib-1", condition="13") == 8
    assert grown("lianmu_diagnostics_total", set="sru", condition="10") == 1


def test_deliveries_are_followed_from_the_spool_to_the_ledger(server: RunningServer) -> None:
    wait_until(lambda: Scrape(server)["lianmu_ledger_unfolded_deliveries"] == 0)
    before = Scrape(server)
    with connected(server.z3950, "mc/mc") as client:
        client.search("@attr 1=4 common", DATABASE)
        client.present(1, 5)
    wait_until(
        lambda: Scrape(server)["lianmu_ledger_entries"] >= before["lianmu_ledger_entries"] + 5
    )
    wait_until(lambda: Scrape(server)["lianmu_ledger_unfolded_deliveries"] == 0)
    after = Scrape(server)
    entered = "lianmu_deliveries_entered_total"
    wait_until(lambda: Scrape(server)[entered] == before[entered] + 5)
    folded = "lianmu_ledger_folded_total"
    assert after.of(folded, kind="delivery") == before.of(folded, kind="delivery") + 5
    assert (
        after["lianmu_fold_duration_seconds_count"] > before["lianmu_fold_duration_seconds_count"]
    )
    assert after["lianmu_spool_size_bytes"] > 0
    assert time.time() - after["lianmu_ledger_last_fold_timestamp_seconds"] < 30


def test_every_process_and_the_data_folder_are_measured(server: RunningServer) -> None:
    found = Scrape(server)
    for process in ("worker-0", "worker-1", "writer", "supervisor"):
        assert found.of("lianmu_process_up", process=process) == 1
        assert found.of("lianmu_process_resident_memory_bytes", process=process) > 1 << 20
        assert found.of("lianmu_process_open_files", process=process) > 3
        age_s = time.time() - found.of("lianmu_process_start_time_seconds", process=process)
        assert -5 < age_s < 600
    assert found.of("lianmu_catalogue_records", database=DATABASE) == 60
    assert found.of("lianmu_catalogue_index_size_bytes", part="postings") >= 4096
    assert found.of("lianmu_members", status="active") == 3
    assert found.of("lianmu_file_size_bytes", file="ledger.sqlite") >= 4096
    assert 0 < found["lianmu_disk_free_bytes"] <= found["lianmu_disk_size_bytes"]
    assert found["lianmu_event_loop_lag_seconds_count"] > 0
    assert found["lianmu_backup_last_success_timestamp_seconds"] == 0
    failed = [key for key in found.samples if key[0] == "lianmu_metrics_part_failed"]
    assert len(failed) == 10
    assert not any(found.samples[key] for key in failed)


def test_the_metrics_are_those_of_the_table_and_promtool_has_no_complaint(
    server: RunningServer,
) -> None:
    found = Scrape(server)
    known = {name for metric in METRICS for name in metric.series}
    names = {name for name, _ in found.samples}
    assert names <= known
    # Only what this server has nothing of is missing.
    assert known - names <= {
        "lianmu_settlement_documents", "lianmu_batch_jobs", "lianmu_backup_last_size_bytes",
        "lianmu_certificate_expiry_timestamp_seconds",
    }  # fmt: skip
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=found.text, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("login", "headers", "status"),
    [
        ("", {}, 200),
        ("", {"X-Forwarded-For": "127.0.0.1"}, 401),  # of somebody behind a proxy
        ("ma:ma", {"X-Forwarded-For": "192.0.2.1"}, 403),
        (f"{OPERATOR}:wrong", {"X-Forwarded-For": "192.0.2.1"}, 401),
        (f"{OPERATOR}:{OPERATOR}", {"X-Forwarded-For": "192.0.2.1"}, 200),
    ],
)
def test_metrics_are_for_allowed_addresses_and_operators(
    server: RunningServer, login: str, headers: dict[str, str], status: int
) -> None:
    assert get(server, "/metrics", login, **headers)[0] == status


def test_what_a_killed_worker_counted_is_not_lost(server: RunningServer) -> None:
    processes = Processes(server)
    name = "lianmu_requests_total"
    labels = {"protocol": "z3950", "service": "search", "outcome": "answered"}
    for _ in range(4):
        with connected(server.z3950, "ma/ma") as client:
            client.search("@attr 1=4 common", DATABASE)
    before = Scrape(server).of(name, **labels)
    assert before >= 4
    dead = processes.workers
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    processes.wait_until_replaced(dead)
    with connected(server.z3950, "ma/ma") as client:
        client.search("@attr 1=4 common", DATABASE)
    wait_until(lambda: Scrape(server).of("lianmu_process_up", process="worker-0") == 1)
    assert Scrape(server).of(name, **labels) == before + 1


def test_a_server_is_healthy_and_ready(server: RunningServer) -> None:
    assert json.loads(get(server, "/healthz")[1])["status"] == "ok"
    wait_until(lambda: not wrong(server))
    _, document = ready(server)
    assert set(document["checks"]) == {"catalogue", "ledger", "spool", "disk", "writer"}


def test_with_a_writer_that_stands_still_the_server_is_not_ready(server: RunningServer) -> None:
    writer = Processes(server).writer
    os.kill(writer, signal.SIGSTOP)
    try:
        wait_until(lambda: wrong(server) == {"writer"})
        assert get(server, "/healthz")[0] == 200
        wait_until(lambda: Scrape(server).of("lianmu_ready", check="writer") == 0)
        assert Scrape(server).of("lianmu_ready", check="ledger") == 1
    finally:
        os.kill(writer, signal.SIGCONT)
    wait_until(lambda: not wrong(server))
    assert "not ready writer=" in server.log
    # Each worker tells what it has found itself.
    wait_until(lambda: not wrong(server) and "ready again" in server.log)


def test_a_ledger_whose_newest_entry_was_changed_is_not_ready(server: RunningServer) -> None:
    config = load_config(server.config)
    changed = _change_newest(config.ledger_path)
    try:
        wait_until(lambda: wrong(server) == {"ledger"})
        wait_until(lambda: "not what was hashed" in get(server, "/readyz")[1])
        wait_until(lambda: Scrape(server).of("lianmu_metrics_part_failed", part="ledger") == 1)
    finally:
        changed()
    wait_until(lambda: not wrong(server))


def _change_newest(path: Path) -> Callable[[], None]:
    """Change the last entries behind the triggers' back; returns what puts them back."""
    import sqlite3

    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    # Few deliveries are rows, many are pages.
    table, column, trigger = max(
        [("entry", "seq", "entry_is_final"), ("page", "first_seq", "page_is_final")],
        key=lambda each: connection.execute(
            f"SELECT coalesce(max({each[1]}), 0) FROM {each[0]}"
        ).fetchone(),
    )
    number, before = connection.execute(
        f"SELECT {column}, hash FROM {table} ORDER BY {column} DESC LIMIT 1"
    ).fetchone()

    def write(value: bytes) -> None:
        (sql,) = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE name = ?", (trigger,)
        ).fetchone()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(f"UPDATE {table} SET hash = ? WHERE {column} = ?", (value, number))
        connection.execute(sql)
        connection.execute("COMMIT")

    write(bytes(32))

    def restore() -> None:
        write(before)
        connection.close()

    return restore


def test_metrics_can_be_turned_off(tmp_path: Path) -> None:
    config = prepare(tmp_path, workers=1, more="[metrics]\nenabled = false\n")
    with serving(config) as running:
        assert get(running, "/metrics", f"{OPERATOR}:{OPERATOR}")[0] != 200
        assert ready(running)[0] == 200


def test_with_less_room_than_asked_for_the_server_is_not_ready(tmp_path: Path) -> None:
    config = prepare(tmp_path, workers=1, more='[metrics]\nallowed_addresses = ["192.0.2.0/24"]\n')
    config.write_text(
        config.read_text("utf-8").replace(
            "[z3950]\n", "disk_free_bytes_min = 1_000_000_000_000_000\n[z3950]\n"
        )
    )
    with serving(config) as running:
        assert wrong(running) == {"disk"}
        assert get(running, "/metrics")[0] == 401
