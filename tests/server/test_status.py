"""The status page, the health checks and the figures of a member."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest

from protocol import oid
from tests.harness import RunningServer, lianmu, running_demo
from tests.z3950_client import connected, records


def get(
    server: RunningServer, path: str, login: str | None = None, accept: str = "*/*"
) -> tuple[int, str]:
    request = urllib.request.Request(server.url + path, headers={"Accept": accept})
    if login:
        request.add_header("Authorization", "Basic " + b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize(
    ("login", "status"),
    [(None, 401), ("admin:wrong", 401), ("demo1:demo1", 403), ("admin:admin", 200)],
)
def test_the_status_is_for_operators(demo: RunningServer, login: str | None, status: int) -> None:
    assert get(demo, "/status", login)[0] == status


def test_the_page_shows_members_and_sessions(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo2/demo2"):
        status, page = get(demo, "/status", "admin:admin", accept="text/html")
    assert status == 200
    assert page.startswith("<!DOCTYPE html>")
    assert "DEMO2" in page
    assert "demo2" in page


def test_the_json_tells_of_everything_and_keeps_what_it_had(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo2/demo2") as client:
        client.search("@attr 1=4 algorithms", "we_cat")
        client.search("@attr 1=9999 x", "we_cat")
        told = json.loads(get(demo, "/status", "admin:admin")[1])
    assert set(told["server"]) == {"version", "time", "workers", "workers_answering"}
    assert {"sessions", "totals", "catalogue", "year", "estimate", "members"} <= set(told)
    (mine,) = (each for each in told["sessions_by_member"] if each["institution"] == "DEMO2")
    assert (mine["protocol"], mine["sessions"]) == ("z3950", 1)
    assert mine["searches"] >= 1
    assert {"bib-1/114"} <= {f"{each['set']}/{each['condition']}" for each in told["diagnostics"]}
    workers = [each for each in told["processes"] if each["name"] != "writer"]
    assert len(workers) == told["server"]["workers"]
    assert all(each["up"] for each in told["processes"])
    assert sum(each["requests"] for each in workers) >= 2
    assert set(told["index"]) == {"changed_records", "last_merge_us"}
    assert {
        "entries",
        "head_hash",
        "waiting",
        "unconfirmed",
        "last_fold_us",
        "last_settlement",
    } <= set(told["ledger"])
    assert 0 < told["disk"]["free_bytes"] <= told["disk"]["size_bytes"]
    assert isinstance(told["recent"], list)
    assert isinstance(told["near_quota"], list)


def test_a_wrong_password_is_among_the_latest_refusals(demo: RunningServer) -> None:
    get(demo, "/status", "nobody-of-ours:wrong")
    told = json.loads(get(demo, "/status", "admin:admin")[1])
    (event,) = (e for e in told["recent"] if e["fields"].get("account") == "nobody-of-ours")
    assert (event["level"], event["event"]) == ("warning", "login refused")
    assert told["refusals"]["wrong_password"] >= 1


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_running_server_is_healthy_and_ready(demo: RunningServer, path: str) -> None:
    status, body = get(demo, path)
    assert (status, json.loads(body)["status"]) == (200, "ok")


def test_what_was_delivered_is_what_is_counted_by_every_view(tmp_path: Path) -> None:
    with running_demo(tmp_path) as server:
        received = 0
        with connected(server.z3950, "demo3/demo3") as client:
            client.search("@attr 1=1016 @attr 2=103 x", "we_cat")
            received += len(records(client.present(1, 5)))  # quota of DEMO3: 6
            received += len(records(client.present(6, 3, oid.XML)))
            received += len(records(client.present(1, 2)))  # again at once: repeats
            client.present(1, 5, record_composition="B")  # brief: free
            client.present(9999, 1)  # a diagnostic: free
            told = json.loads(get(server, "/status", "admin:admin")[1])
            (session,) = told["sessions"]
            assert (session["institution"], session["account"]) == ("DEMO3", "demo3")
        query = "version=1.2&operation=searchRetrieve&query=author=knuth&maximumRecords=2"
        assert get(server, f"/we_cat?{query}", "demo3:demo3")[0] == 200
        assert received == 10
        figures = usage(server)
        assert figures["downloads"] + figures["repeats"] == 12
        assert figures["repeats"] >= 2
        assert (figures["holdings_uploaded"], figures["quota"]) == (5, 6)
        assert figures["billable"] == figures["downloads"] - 6
        assert figures["charge_fen"] == 100 * figures["billable"]
        told = json.loads(get(server, "/status", "admin:admin")[1])
        (row,) = (member for member in told["members"] if member["code"] == "DEMO3")
        of_settlement = {"estimate", "documents", "open_fen"}
        assert {name: row[name] for name in figures.keys() - of_settlement} == {
            name: figures[name] for name in figures.keys() - of_settlement
        }
        assert told["totals"]["searches"] >= 1
    # After the server has gone everything is folded, and the figures are the same.
    assert usage(server) == figures
    checked = lianmu("doctor", "--config", str(server.config))
    assert checked.returncode == 0, checked.stdout


def usage(server: RunningServer) -> dict[str, int]:
    done = lianmu("usage", "DEMO3", "--json", "--config", str(server.config))
    figures: dict[str, int] = json.loads(done.stdout)
    return figures


def test_a_killed_server_counts_no_more_than_was_received(tmp_path: Path) -> None:
    with running_demo(tmp_path) as server:
        received = 0
        with connected(server.z3950, "demo3/demo3") as client:
            client.search("@attr 1=1016 @attr 2=103 x", "we_cat")
            for position in range(1, 41):
                received += len(records(client.present(position, 1)))
            server.kill()
    with running_demo(tmp_path) as server:
        figures = usage(server)
        assert received == 40
        assert received - 1 <= figures["downloads"] <= received
