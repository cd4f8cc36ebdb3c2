"""What the status tells beside sessions: who is near the quota, and how old figures may be."""

from __future__ import annotations

import asyncio
import os
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from metering.interface import MeteringError
from protocol.diagnostic import Bib1
from server.config import Config
from server.live import figures
from server.live.board import LiveBoard
from server.live.figures import KEPT_S, STALE_S_MAX, Figures
from server.live.pages import concerns
from server.live.status import by_member
from server.metrics.layout import DIAGNOSTICS, Level
from server.service import Service
from server.web.texts import texts


def member(code: str, downloads: int, quota: int) -> dict[str, Any]:
    over = max(0, downloads - quota)
    return {
        "code": code, "name": f"Library {code}", "downloads": downloads, "quota": quota,
        "billable": over, "charge_fen": 100 * over, "repeats": 0,
    }  # fmt: skip


def test_members_over_their_quota_come_first_and_then_those_near_it() -> None:
    members = [
        member("FAR", 10, 100), member("NEAR", 90, 100), member("FULL", 100, 100),
        member("OVER", 101, 100), member("NONE", 5, 0), member("IDLE", 0, 0),
    ]  # fmt: skip
    found = figures.near_quota(members)
    assert [each["code"] for each in found] == ["NONE", "OVER", "FULL", "NEAR"]
    assert found[0]["charge_fen"] == 500


def test_processes_are_told_with_what_they_do() -> None:
    board = LiveBoard(2)
    row = board.worker(0)
    row.begin()
    row.set(Level.SESSIONS_OPEN, 3)
    row.timing("z3950", "search").add(1)
    row.timing("http", "health").add(1)
    first, second, writer = figures.processes(board.snapshots())
    assert (first["name"], first["pid"], first["up"]) == ("worker-0", os.getpid(), True)
    assert (first["requests"], first["sessions"]) == (1, 3)
    assert first["memory_bytes"] > 1_000_000
    assert (second["up"], second["pid"], second["memory_bytes"]) == (False, 0, 0)
    assert writer["name"] == "writer"


def test_a_process_that_does_not_turn_is_down() -> None:
    board = LiveBoard(1)
    row = board.worker(0)
    row.begin()
    row.set(Level.TURNED_NS, 1)
    assert not figures.processes(board.snapshots())[0]["up"]


def test_diagnostics_are_told_by_how_often_they_were_given() -> None:
    board = LiveBoard(1)
    board.worker(0).count(DIAGNOSTICS, "bib-1", str(int(Bib1.UNSUPPORTED_SEARCH)))
    board.worker(0).count(DIAGNOSTICS, "sru", "10", by=3)
    assert figures.diagnostics(board.total()) == [
        {"set": "sru", "condition": "10", "count": 3},
        {"set": "bib-1", "condition": "3", "count": 1},
    ]


def test_sessions_are_told_by_protocol_and_member() -> None:
    def session(institution: str, *, tls: bool = False) -> dict[str, Any]:
        return {
            "protocol": "z3950", "tls": tls, "institution": institution, "searches": 2,
            "records": 5,
        }  # fmt: skip

    told = by_member([session("A"), session(""), session("A"), session("A", tls=True)])
    assert told[0] == {
        "protocol": "z3950", "institution": "A", "sessions": 2, "searches": 4, "records": 10,
    }  # fmt: skip
    assert {(each["protocol"], each["institution"]) for each in told[1:]} == {
        ("z3950", ""), ("z3950s", "A"),
    }  # fmt: skip


def test_now_is_the_last_minute() -> None:
    board = LiveBoard(1)
    board.history.sample(board.snapshots(), 0)
    for _ in range(20):
        board.worker(0).timing("sru", "explain").add(3_000_000)
    board.worker(0).timing("sru", "explain").add_failed(3_000_000)
    board.history.sample(board.snapshots(), 10_000_000)
    told = figures.now(board.history.latest(60, 10_000_000))
    assert told is not None
    sru = told["groups"]["sru"]
    assert (sru["requests_per_s"], sru["failed"]) == (2.1, 1)
    assert 2.5 < sru["latency_ms"]["p50"] <= 5
    assert told["groups"]["z3950"]["latency_ms"] == {"p50": None, "p95": None, "p99": None}
    assert figures.now(None) is None


def calm() -> dict[str, Any]:
    return {
        "processes": [{"name": "worker-0", "up": True}, {"name": "writer", "up": True}],
        "server": {"workers": 1, "workers_answering": 1},
        "disk": {"free_bytes": 10, "free_bytes_min": 5},
        "ledger": {"waiting_since_us": None},
        "unreadable": {},
    }


@pytest.mark.parametrize(
    ("part", "changed", "said"),
    [
        ("processes", [{"name": "writer", "up": False}], "The process writer is down"),
        ("server", {"workers": 3, "workers_answering": 1}, "do not tell their sessions: 2."),
        ("disk", {"free_bytes": 9, "free_bytes_min": 5}, "Little room"),
        ("ledger", {"waiting_since_us": 1}, "more than a minute"),
        ("unreadable", {"ledger": "it is gone"}, "The ledger cannot be read: it is gone"),
    ],
)
def test_what_somebody_should_look_at_is_said(part: str, changed: Any, said: str) -> None:
    assert concerns(calm(), texts("en")) == []
    (concern,) = concerns(calm() | {part: changed}, texts("en"))
    assert said in concern


# How old figures may be


class Slow(Figures):
    """Counts its readings; each waits until it is let go."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        service = cast(Service, SimpleNamespace())
        super().__init__(Config(), service, lambda: self.now_s)
        self.readings = 0
        self.failing = False
        self.may_end = threading.Event()
        self.may_end.set()

    def _read(self) -> dict[str, Any]:
        self.readings += 1
        number = self.readings
        assert self.may_end.wait(5)
        if self.failing:
            raise MeteringError("no disk")
        return {"number": number}


async def test_nobody_waits_while_figures_of_a_moment_ago_are_read_again() -> None:
    slow = Slow()
    assert (await slow.read(kept=True))["number"] == 1
    slow.now_s += KEPT_S - 1
    assert (await slow.read(kept=True))["number"] == 1
    assert slow.readings == 1
    slow.now_s += 1
    slow.may_end.clear()
    assert [(await slow.read(kept=True))["number"] for _ in range(3)] == [1, 1, 1]
    await asyncio.sleep(0.05)
    assert slow.readings == 2
    slow.may_end.set()
    while (await slow.read(kept=True))["number"] == 1:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert slow.readings == 2


async def test_old_figures_are_not_given() -> None:
    slow = Slow()
    await slow.read(kept=True)
    slow.now_s += STALE_S_MAX
    assert (await slow.read(kept=True))["number"] == 2


async def test_a_program_is_given_what_is_read_after_it_asked() -> None:
    slow = Slow()
    slow.may_end.clear()
    page = asyncio.create_task(slow.read(kept=True))
    await asyncio.sleep(0.02)
    program = asyncio.create_task(slow.read(kept=False))
    await asyncio.sleep(0.02)
    slow.may_end.set()
    assert (await page)["number"] == 1
    assert (await program)["number"] == 2


async def test_who_waits_is_told_of_a_failure_and_the_next_may_have_luck(
    caplog: pytest.LogCaptureFixture,
) -> None:
    slow = Slow()
    slow.failing = True
    with pytest.raises(MeteringError):
        await slow.read(kept=True)
    assert "the figures of the status cannot be read" in caplog.text
    slow.failing = False
    assert (await slow.read(kept=True))["number"] == 2
