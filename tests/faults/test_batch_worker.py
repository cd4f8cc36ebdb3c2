"""A worker that dies in the middle of an ISBN job."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from metering.ledger import Ledger
from protocol.iso2709 import split
from server.batch.job import Jobs, Phase
from server.config import load_config
from tests.catalogue_records import book
from tests.faults.test_workers import children
from tests.harness import CHECKOUT, LIANMU
from tests.server.http_client import curl
from tests.server.own_server import own_server
from tests.server.test_batch_command import numbered

BOOKS = 500
KILLS = 12
TIMEOUT_S = 60.0


def test_another_worker_goes_on_with_the_job_and_bills_each_record_once(tmp_path: Path) -> None:
    books = [book(f"n{n}", f"Book {n}", isbn=numbered(n)) for n in range(BOOKS)]
    with own_server(tmp_path, {"we_cat": books}, workers=2) as server:
        (tmp_path / "list.txt").write_text("\n".join(numbered(n) for n in range(BOOKS)))
        user = ("--user", "demo1:demo1")
        made = curl(
            server, "/api/batch", *user, "--header", "Content-Type: text/plain",
            "--data-binary", f"@{tmp_path / 'list.txt'}",
        )  # fmt: skip
        job = json.loads(made.body)
        journal = tmp_path / "data" / "batch" / job["job"] / "journal.jsonl"
        until_s = time.monotonic() + TIMEOUT_S
        while not journal.exists() and time.monotonic() < until_s:
            time.sleep(0.001)
        for pid in children(server):  # whichever of them has it
            os.kill(pid, signal.SIGKILL)
        told: dict[str, object] = {}
        while told.get("phase") != "done" and time.monotonic() < until_s:
            time.sleep(0.1)
            try:
                told = json.loads(curl(server, job["status"], *user).body)
            except (subprocess.CalledProcessError, ValueError):  # nobody listens for a moment
                continue
        assert (told["phase"], told["delivered"]) == ("done", BOOKS)
        assert len(list(split(curl(server, job["result"], *user).body))) == BOOKS
    ledger = Ledger(load_config(server.config).ledger_path)
    try:
        assert ledger.verify().ok
        ids = [entry.id for entry in ledger.entries()]
        assert sorted(ids) == sorted(f"batch:{job['job']}:{numbered(n)}" for n in range(BOOKS))
    finally:
        ledger.close()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_command_killed_anywhere_and_again_bills_each_record_once(tmp_path: Path) -> None:
    """Kills at random moments from its start on, through resolving, writing and billing."""
    books = [book(f"n{n}", f"Book {n}", isbn=numbered(n)) for n in range(BOOKS)]
    with own_server(tmp_path, {"we_cat": books}) as server:
        config = server.config
    (tmp_path / "list.txt").write_text("\n".join(numbered(n) for n in range(BOOKS)))
    command = [
        *LIANMU, "batch", "--config", str(config), "--member", "DEMO1",
        str(tmp_path / "list.txt"), "--out", str(tmp_path / "out.mrc"),
    ]  # fmt: skip
    chance = random.Random(20231)
    again: list[str] = []
    kills = 0
    while kills < KILLS:
        while True:
            process = subprocess.Popen(
                [*command, *again], cwd=CHECKOUT, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
            seen = journals(tmp_path)
            until_s = time.monotonic() + 10
            while journals(tmp_path) == seen and process.poll() is None:
                assert time.monotonic() < until_s
            try:
                status = process.wait(chance.uniform(0, 0.6))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
                continue
            assert status == 0
            break
        again = ["--again"]  # goes on with one that was killed, too
        records = list(split((tmp_path / "out.mrc").read_bytes()))
        assert len(records) == BOOKS
    made = Jobs(load_config(config).batch_dir).all()
    assert {job.state().phase for job in made} == {Phase.DONE}
    ledger = Ledger(load_config(config).ledger_path)
    try:
        assert ledger.verify().ok
        ids = [entry.id for entry in ledger.entries()]
        assert sorted(ids) == sorted(
            f"batch:{job.id}:{numbered(n)}" for job in made for n in range(BOOKS)
        )
    finally:
        ledger.close()


def journals(folder: Path) -> list[tuple[str, int]]:
    """Every journal and its size."""
    found = sorted((folder / "data" / "batch").glob("*/journal.jsonl"))
    return [(str(path), path.stat().st_size) for path in found]
