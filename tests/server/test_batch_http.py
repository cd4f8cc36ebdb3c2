"""ISBN jobs over HTTP."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from lxml import etree

from metering.entry import Kind
from metering.ledger import Ledger
from protocol.iso2709 import split
from server.batch.isbns import read_numbers
from server.batch.job import Jobs, Order
from server.config import load_config
from tests.catalogue_records import book
from tests.harness import RunningServer, lianmu, serving
from tests.server.http_client import Reply, curl, made_key
from tests.server.own_server import own_server
from tests.server.test_batch_command import numbered

A, MISSING = "9787301048153", "9780804429573"
BOOKS = 400
TEXT = ("--header", "Content-Type: text/plain")
JSON = ("--header", "Content-Type: application/json")
USER = ("--user", "demo1:demo1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    records = [book("a", "红楼梦", isbn=A)]
    records += [book(f"n{n}", f"Book {n}", isbn=numbered(n)) for n in range(BOOKS)]
    folder = tmp_path_factory.mktemp("batch")
    with own_server(folder, {"we_cat": records}, pinned={"demo2": "gb18030"}, workers=2) as server:
        lianmu("operator", "add", "admin", "--password", "admin", "--config", str(server.config))
        yield server


def post(server: RunningServer, body: str, query: str = "", *arguments: str) -> Reply:
    given = arguments or (*USER, *TEXT)
    return curl(server, f"/api/batch{query}", *given, "--data-binary", body)


def get(server: RunningServer, path: str, *user: str) -> Reply:
    return curl(server, path, *(user or USER))


def ended(server: RunningServer, job: dict[str, Any], *user: str) -> dict[str, Any]:
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        told: dict[str, Any] = json.loads(get(server, job["status"], *user).body)
        if told["phase"] in ("done", "failed", "cancelled"):
            return told
        time.sleep(0.05)
    raise AssertionError(told)


def billed(server: RunningServer, job: str) -> list[str]:
    ledger = Ledger(load_config(server.config).ledger_path)
    try:
        return [entry.id for entry in ledger.entries() if entry.session == job]
    finally:
        ledger.close()


def test_a_list_is_posted_watched_and_fetched(server: RunningServer) -> None:
    made = post(server, f"{A} : CNY5\n{A}\n{MISSING}\nnothing 1\n", "?encoding=gb18030")
    assert made.status == 202, made.body
    job = json.loads(made.body)
    assert made.header("location") == job["status"] == f"/api/batch/{job['job']}"
    done = ended(server, job)
    assert done["phase"] == "done"
    assert done["counts"] == {"found": 1, "duplicate": 1, "not_found": 1, "invalid": 1}
    assert (done["numbers"], done["resolved"], done["delivered"]) == (4, 4, 1)
    assert (done["price_fen"], done["charge_fen"]) == (150, 150)
    result = get(server, job["result"])
    assert result.status == 200
    assert result.header("content-type") == "application/marc"
    assert result.header("content-disposition") == f'attachment; filename="{job["job"]}.mrc"'
    assert result.header("cache-control") == "no-store"
    assert "红楼梦".encode("gb18030") in result.body
    report = json.loads(get(server, job["report"]).body)
    assert [line["status"] for line in report["lines"]] == [
        "found", "duplicate", "not_found", "invalid",
    ]  # fmt: skip
    spreadsheet = get(server, job["report"] + "?format=csv")
    assert spreadsheet.header("content-type") == "text/csv; charset=utf-8"
    assert spreadsheet.body.decode("utf-8-sig").count("\r\n") == 5
    assert billed(server, job["job"]) == [f"batch:{job['job']}:{A}"]
    listed = json.loads(get(server, "/api/batch").body)["jobs"]
    assert job["job"] in [each["job"] for each in listed]


def test_a_request_that_is_sent_again_makes_no_second_job(server: RunningServer) -> None:
    body = json.dumps({"isbns": [numbered(1), numbered(2)], "format": "marcxml"})
    first = post(server, body, "", *USER, *JSON)
    second = post(server, body, "", *USER, *JSON)
    assert (first.status, second.status) == (202, 200)
    job = json.loads(first.body)
    assert json.loads(second.body)["job"] == job["job"]
    ended(server, job)
    document = etree.fromstring(get(server, job["result"]).body)
    assert len(document) == 2
    assert len(billed(server, job["job"])) == 2
    again = json.dumps({**json.loads(body), "again": True})
    third = json.loads(post(server, again, "", *USER, *JSON).body)
    assert third["job"] != job["job"]
    ended(server, third)


def test_the_same_list_of_another_member_is_another_job(server: RunningServer) -> None:
    key = made_key(server, "demo2", "orders")
    bearer = ("--header", f"Authorization: Bearer {key}")
    body = json.dumps({"isbns": [numbered(3)]})
    first = json.loads(post(server, body, "", *USER, *JSON).body)
    second = json.loads(post(server, body, "", *bearer, *JSON).body)
    assert first["job"] != second["job"]
    ended(server, first)
    ended(server, second, *bearer)
    for path in ("status", "result", "report"):
        assert get(server, first[path], *bearer).status == 404
    assert curl(server, first["cancel"], *bearer, "--request", "POST").status == 404


def test_spreadsheets_and_csv_are_read(server: RunningServer, tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    assert workbook.active is not None
    workbook.active.append(["ISBN"])
    workbook.active.append([int(numbered(4))])
    file = io.BytesIO()
    workbook.save(file)
    (tmp_path / "order.xlsx").write_bytes(file.getvalue())
    (tmp_path / "order.csv").write_text(f"书名,书号\n第五,{numbered(5)}\n", "gb18030")
    for name, kind in (("order.xlsx", "application/octet-stream"), ("order.csv", "text/csv")):
        made = curl(
            server, "/api/batch", *USER, "--header", f"Content-Type: {kind}",
            "--data-binary", f"@{tmp_path / name}",
        )  # fmt: skip
        assert made.status == 202, made.body
        assert ended(server, json.loads(made.body))["delivered"] == 1


@pytest.mark.parametrize(
    ("body", "query", "arguments", "status", "reason"),
    [
        (A, "?format=pdf", (*USER, *TEXT), 400, "there is no format pdf"),
        (A, "?format=mods&encoding=gb18030", (*USER, *TEXT), 400, "mods is always in utf-8"),
        (A, "?database=poems", (*USER, *TEXT), 400, "there is no database poems"),
        ("nothing", "", (*USER, *TEXT), 400, "there is no ISBN in the list"),
        ("{}", "", (*USER, *JSON), 400, "missing required field `isbns`"),
        ('{"isbns": [], "x": 1}', "", (*USER, *JSON), 400, "unknown field `x`"),
        ('{"isbns": []}', "", (*USER, *JSON), 400, "Between 1 and 100000"),
        (A, "", USER, 415, "Send text/plain"),
        (A, "", TEXT, 401, "sign in to run ISBN batch jobs"),
        (A, "", ("--user", "demo1:wrong", *TEXT), 401, "demo1"),
        (A, "", ("--user", "admin:admin", *TEXT), 403, "accounts of members may run ISBN"),
        (
            A, "", (*USER, *TEXT, "--header", "Sec-Fetch-Site: cross-site"), 403,
            "Pages of other sites",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_a_problem_document(
    server: RunningServer, body: str, query: str, arguments: tuple[str, ...], status: int,
    reason: str,
) -> None:  # fmt: skip
    reply = post(server, body, query, *arguments)
    assert reply.status == status
    assert reply.header("content-type").startswith("application/problem+json")
    assert reason in json.loads(reply.body)["detail"]


def test_a_job_that_is_not_there_is_404(server: RunningServer) -> None:
    for path in ("x", "20260101-0123456789abcdef", "..%2f..%2fconfig.toml"):
        assert get(server, f"/api/batch/{path}").status == 404
    assert curl(server, "/api/batch", *USER, "--request", "DELETE").status == 405


def test_others_are_served_while_a_job_runs_and_it_can_be_cancelled(server: RunningServer) -> None:
    numbers = [numbered(n) for n in range(BOOKS)] * 40
    made = post_file(server, numbers)
    begun_s = time.monotonic()
    assert get(server, "/healthz").status == 200
    assert time.monotonic() - begun_s < 2
    early = get(server, made["result"])
    cancelled = curl(server, made["cancel"], *USER, "--request", "POST")
    if cancelled.status == 202:  # else it was done already
        assert early.status == 409
        assert ended(server, made)["phase"] == "cancelled"
        assert billed(server, made["job"]) == []
        assert get(server, made["result"]).status == 409
    assert cancelled.status in (202, 409)


def test_a_member_has_some_unfinished_jobs_at_most(server: RunningServer) -> None:
    config = load_config(server.config)
    jobs = Jobs(config.batch_dir)
    user = ("--user", "demo2:demo2")
    order = Order(
        institution="DEMO2", account="demo2", databases=("we_cat",), served=True
    )  # fmt: skip
    lists = [read_numbers(1, numbered(30 + n)) for n in range(config.batch.jobs_at_once_max)]
    with contextlib.ExitStack() as held:
        for lines in lists:  # nobody can do them while we hold them
            job, _ = jobs.create(order, lines, time.time_ns() // 1000)
            held.enter_context(job.locked())
        refused = post(server, numbered(40), "", *user, *TEXT)
        assert refused.status == 429
        assert refused.header("retry-after") == "60"
        assert "3 jobs are unfinished" in json.loads(refused.body)["detail"]
        again = post(server, numbered(30), "?database=we_cat", *user, *TEXT)
        assert again.status == 200
        told = json.loads(again.body)
        assert told["phase"] == "queued"
        early = get(server, told["result"], *user)
        assert (early.status, early.header("retry-after")) == (409, "1")
        assert curl(server, told["cancel"], *user, "--request", "POST").status == 202
        assert json.loads(get(server, told["status"], *user).body)["phase"] == "cancelling"
    accepted = json.loads(post(server, numbered(41), "", *USER, *TEXT).body)
    ended(server, accepted)  # which had a worker look for the others too
    assert ended(server, told, *user)["phase"] == "cancelled"
    assert billed(server, told["job"]) == []


def test_the_command_works_beside_a_running_server(server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "isbns.txt").write_text(f"{numbered(20)}\n{numbered(21)}\n")
    done = lianmu(
        "batch", "--member", "DEMO2", str(tmp_path / "isbns.txt"), "--json",
        "--out", str(tmp_path / "out.mrc"), "--config", str(server.config),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["delivered"], told["charge_fen"]) == (2, 300)
    assert len(billed(server, told["job"])) == 2
    usage = json.loads(
        lianmu("usage", "DEMO2", "--json", "--config", str(server.config)).stdout
    )  # fmt: skip
    assert usage["batch"] >= 2
    assert usage["downloads"] == 0


def post_file(server: RunningServer, numbers: list[str]) -> dict[str, Any]:
    path = server.config.parent / "list.txt"
    path.write_text("\n".join(numbers))
    reply = curl(server, "/api/batch", *USER, *TEXT, "--data-binary", f"@{path}")
    assert reply.status == 202, reply.body
    told: dict[str, Any] = json.loads(reply.body)
    return told


def test_a_server_that_was_killed_goes_on_with_its_jobs_and_bills_once(tmp_path: Path) -> None:
    books = [book(f"n{n}", f"Book {n}", isbn=numbered(n)) for n in range(BOOKS)]
    with own_server(tmp_path, {"we_cat": books}, workers=2) as server:
        job = post_file(server, [numbered(n) for n in range(BOOKS)])
        journal = tmp_path / "data" / "batch" / job["job"] / "journal.jsonl"
        until_s = time.monotonic() + 30
        while not journal.exists() and time.monotonic() < until_s:
            time.sleep(0.001)
        server.kill()
        config = server.config
    with serving(config) as server:
        done = ended(server, job)
        assert (done["phase"], done["delivered"]) == ("done", BOOKS)
        assert len(list(split(get(server, job["result"]).body))) == BOOKS
        assert len(billed(server, job["job"])) == len(set(billed(server, job["job"]))) == BOOKS
    ledger = Ledger(load_config(config).ledger_path)
    assert ledger.verify().ok
    assert {entry.kind for entry in ledger.entries()} == {Kind.BATCH}
    ledger.close()
