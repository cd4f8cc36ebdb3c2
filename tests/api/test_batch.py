"""ISBN jobs at the address of the API's first version, and at the former one."""

from __future__ import annotations

import time
from typing import Any

from tests.api.client import V1, Client

TEXT = {"Content-Type": "text/plain"}
BATCH = f"{V1}/batch"


def ended(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        told: dict[str, Any] = client.get(job["status"]).ok()
        if told["phase"] in ("done", "failed", "cancelled"):
            return told
        time.sleep(0.05)
    raise AssertionError(told)


def test_a_job_is_made_watched_and_fetched(member: Client, other: Client, operator: Client) -> None:
    made = member("POST", BATCH, b"9787301048153\nnothing 1\n", headers=TEXT)
    job = made.ok(202)
    assert made.header("Location") == job["status"] == f"{BATCH}/{job['job']}"
    done = ended(member, job)
    assert (done["phase"], done["numbers"], done["delivered"]) == ("done", 2, 0)
    assert done["counts"] == {"not_found": 1, "invalid": 1}
    assert member("POST", BATCH, b"9787301048153\nnothing 1\n", headers=TEXT).status == 200
    assert member.get(job["result"]).status == 200
    (row,) = [row for row in operator.every(f"{V1}/audit") if row["subject"] == job["job"]]
    assert (row["action"], row["who"], row["protocol"]) == ("batch", "demo1", "api")
    assert (row["before"], row["after"]) == ("", "2 numbers")
    report = member.get(job["report"]).ok()
    assert [line["status"] for line in report["lines"]] == ["not_found", "invalid"]
    assert member.get(job["report"], format="csv").body.startswith(b"\xef\xbb\xbf")
    cancelled = member.post(job["cancel"], None)
    cancelled.problem(409, "conflict")
    other.get(job["status"]).problem(404, "not-found")
    member.get(f"{BATCH}/nonsense").problem(404, "not-found")
    # The former address tells of the same jobs.
    (same,) = member.get("/api/batch").ok()["jobs"]
    assert (same["job"], same["status"]) == (job["job"], f"/api/batch/{job['job']}")
    assert member.get(same["status"]).ok()["phase"] == "done"


def test_what_is_asked_for_is_checked(member: Client, operator: Client, reader: Client) -> None:
    member("POST", BATCH, b"9787301048153", headers=TEXT, format="pdf").problem(400, "parameter")
    member("POST", BATCH, b"9787301048153", headers=TEXT, unknown="1").problem(400, "parameter")
    member.post(BATCH, {"isbns": []}).problem(422, "invalid")
    member.post(BATCH, {"isbns": ["9787301048153"], "format": "pdf"}).problem(422, "invalid")
    member.post(BATCH, {"isbns": ["1"], "databases": ["none"]}).problem(400, "parameter")
    operator.post(BATCH, {"isbns": ["1"]}).problem(403, "right")
    assert reader.post(BATCH, {"isbns": ["1"]}).problem(403, "right")["right"] == "download"
    # Programs that send more than we know are answered at the former address as before.
    former = member(
        "POST", "/api/batch", b"9787301048160", headers=TEXT, unknown="1", references="yes"
    )
    ended(member, former.ok(202))


def test_jobs_are_listed_in_pages(member: Client) -> None:
    for number in range(3):
        body = f"97873010481{number:02d}\n".encode()
        ended(member, member("POST", BATCH, body, headers=TEXT).ok(202))
    everything = [job["job"] for job in member.every(BATCH)]
    assert len(everything) >= 3
    assert [job["job"] for job in member.every(BATCH, limit=2)] == everything


def test_a_key_repeats_the_answer_and_makes_no_second_job(member: Client) -> None:
    order = {"isbns": ["9787301048177"], "again": True}
    first = member.post(BATCH, order, Idempotency_Key="b-1")
    ended(member, first.ok(202))
    second = member.post(BATCH, order, Idempotency_Key="b-1")
    assert second.ok(202) == first.json
    assert second.header("Idempotency-Replayed") == "true"
