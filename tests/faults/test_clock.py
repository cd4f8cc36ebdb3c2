"""Clocks that jump, and the turn of the accounting year, under the whole server.

The accounting year ends at midnight in Shanghai. Whatever the clock does, each
record is billed once, in the year of the moment at which it was entered.
"""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from metering.entry import Entry, Kind, Meter, accounting_day
from protocol.record import Holding
from tests.faults.counting_clients import DATABASE, Traffic
from tests.faults.exactness import (
    IN_FLIGHT_US,
    MEMBERS,
    Auditor,
    Processes,
    auditing,
    count,
    kill,
    prepare,
    status_of_members,
    wait_until_ended,
)
from tests.faults.wall_clock import SHANGHAI, WallClock
from tests.harness import RunningServer, lianmu, serving
from tests.z3950_client import connected

NEW_YEAR = datetime(2024, 1, 1, tzinfo=SHANGHAI)
NEW_YEAR_US = int(NEW_YEAR.timestamp()) * 1_000_000
WITHIN_S = 30.0
MEMBER = MEMBERS[0]


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WallClock:
    return WallClock(tmp_path / "clock", monkeypatch)


def folded(auditor: Auditor, deliveries: int = 0) -> list[Entry]:
    """Every entry, once so many deliveries are there, or all that there are.

    By the true clock whatever these tests enter is old, and is not waited for.
    """
    deadline = time.monotonic() + WITHIN_S
    while True:
        auditor.accounting.folder.fold(lag_us=0)
        entries = list(auditor.ledger.entries())
        found = sum(entry.kind is Kind.DELIVERY for entry in entries)
        # The newest frame of a living worker waits for the next one.
        if found >= deliveries or time.monotonic() > deadline:
            return entries
        time.sleep(0.02)


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def usage(config: Path, code: str, year: int) -> dict[str, int]:
    done = lianmu("usage", code, "--year", str(year), "--json", "--config", str(config))
    assert done.returncode == 0, done.stderr
    figures: dict[str, int] = json.loads(done.stdout)
    return figures


def quota_told(server: RunningServer) -> str:
    """What SRU tells the member of its running year."""
    query = urllib.parse.urlencode(
        {"version": "1.2", "operation": "searchRetrieve", "query": "dc.title=none",
         "x-lianmu-quota": "1"}
    )  # fmt: skip
    request = urllib.request.Request(f"{server.url}/{DATABASE}?{query}")
    login = b64encode(f"{MEMBER.lower()}:{MEMBER.lower()}".encode()).decode()
    request.add_header("Authorization", f"Basic {login}")
    with urllib.request.urlopen(request, timeout=30) as response:
        return str(response.read().decode())


def test_the_year_changes_at_midnight_in_shanghai_under_traffic(
    tmp_path: Path, clock: WallClock
) -> None:
    config = prepare(tmp_path)
    with auditing(config) as auditor:
        # Two holdings of the old year, five of the new one.
        for number in range(1, 8):
            offset_us = -60_000_000 if number < 3 else 60_000_000
            auditor._writer.put_holding(Holding(MEMBER, number), at_us=NEW_YEAR_US + offset_us)
        clock.set(NEW_YEAR - timedelta(minutes=8))
        with serving(config) as server:
            traffic = Traffic.begin(server.z3950, server.http, MEMBERS, each=2, seed=3)
            tally = traffic.tally
            traffic.wait_until_busy()
            wait_until(lambda: all(map(tally.of, MEMBERS)))
            clock.set(NEW_YEAR - timedelta(seconds=0.2))
            wait_until(lambda: clock.now_us() > NEW_YEAR_US)
            in_time = {code: tally.of(code) for code in MEMBERS}
            # More than were asked for before midnight.
            wait_until(lambda: all(tally.of(code) > in_time[code] + 600 for code in MEMBERS))
            traffic.end()
            assert (tally.cut, tally.refused) == (0, [])
            entries = folded(auditor, tally.total())
            deliveries = [entry for entry in entries if entry.kind is Kind.DELIVERY]
            assert count(deliveries) == tally.received
            before = [entry for entry in deliveries if entry.at_us < NEW_YEAR_US]
            after = [entry for entry in deliveries if entry.at_us >= NEW_YEAR_US]
            assert {(entry.year, entry.day) for entry in before} == {(2023, 20231231)}
            assert {(entry.year, entry.day) for entry in after} == {(2024, 20240101)}
            # Both years, told in every way, with the quota of each.
            shown = status_of_members(server)
            for year, some in ((2023, before), (2024, after)):
                each = Counter(entry.institution for entry in some)
                for code in MEMBERS:
                    figures = usage(config, code, year)
                    held = {2023: 2, 2024: 5}[year] if code == MEMBER else 0
                    quota = 6 * held // 5
                    assert figures["downloads"] == each[code] > 0
                    assert (figures["holdings_uploaded"], figures["quota"]) == (held, quota)
                    assert figures["billable"] == max(0, each[code] - quota)
                    if year == 2024:
                        same = figures.keys() & shown[code].keys()
                        assert "charge_fen" in same
                        assert {n: figures[n] for n in same} == {n: shown[code][n] for n in same}
            assert 'year="2024"' in quota_told(server)
            assert auditor.ledger.verify().ok
            assert "Traceback" not in server.log


@pytest.mark.parametrize(
    ("window", "billed", "repeats"),
    [
        (30, {2023: 1}, {2024: 1}),
        pytest.param("day", {2023: 1, 2024: 1}, {}, marks=pytest.mark.long),
        pytest.param("year", {2023: 1, 2024: 1}, {}, marks=pytest.mark.long),
    ],
)
def test_a_record_asked_again_across_midnight(
    tmp_path: Path, clock: WallClock, window: int | str, billed: dict[int, int],
    repeats: dict[int, int],
) -> None:  # fmt: skip
    """The window of seconds goes on into the new year; a day and a year end with theirs."""
    written = f'"{window}"' if isinstance(window, str) else window
    config = prepare(tmp_path, repeat_window_s=written, workers=1)
    clock.set(NEW_YEAR - timedelta(seconds=5))
    with auditing(config) as auditor, serving(config) as server:
        with connected(server.z3950, f"{MEMBER.lower()}/{MEMBER.lower()}") as client:
            client.search("@attr 1=12 k000003", DATABASE)
            clock.set(NEW_YEAR - timedelta(seconds=5))
            client.present(1, 1)
            clock.set(NEW_YEAR + timedelta(seconds=5))
            client.present(1, 1)
        entries = folded(auditor, 2)
        for meter, expected in ((Meter.DOWNLOAD, billed), (Meter.REPEAT, repeats)):
            assert Counter(entry.year for entry in entries if entry.meter is meter) == expected
        for year in (2023, 2024):
            figures = usage(config, MEMBER, year)
            assert figures["downloads"] == billed.get(year, 0)
            assert figures["repeats"] == repeats.get(year, 0)


STEPS = [
    timedelta(seconds=-1),
    timedelta(hours=-1),
    timedelta(days=-366),
    timedelta(days=800),
    timedelta(seconds=-1),
    timedelta(days=-434, hours=-1),
]


def test_a_clock_that_jumps_back_and_forth_loses_and_doubles_nothing(
    tmp_path: Path, clock: WallClock
) -> None:
    config = prepare(tmp_path)
    clock.set(NEW_YEAR + timedelta(minutes=30))
    with auditing(config) as auditor, serving(config) as server:
        traffic = Traffic.begin(server.z3950, server.http, MEMBERS, each=2, seed=4)
        traffic.wait_until_busy()
        visited = set()
        for step in STEPS:
            clock.step(step)
            received = traffic.tally.total()
            wait_until(lambda: traffic.tally.total() > received + 1_000)  # noqa: B023
            visited.add(accounting_day(clock.now_us()))
        tally = traffic.end()
        # No session ends by it, and nobody is refused.
        assert (tally.cut, tally.refused) == (0, [])
        entries = folded(auditor, tally.total())
        deliveries = [entry for entry in entries if entry.kind is Kind.DELIVERY]
        assert count(deliveries) == tally.received
        assert not any(entry.kind is Kind.VOID for entry in entries)
        assert all((entry.year, entry.day) == accounting_day(entry.at_us) for entry in deliveries)
        assert visited <= {(entry.year, entry.day) for entry in deliveries}
        assert len({entry.year for entry in deliveries}) == 4
        assert len({entry.id for entry in entries}) == len(entries)
        by_year = Counter((entry.institution, entry.year) for entry in deliveries)
        for (code, year), number in by_year.items():
            assert auditor.accounting.usage.usage(code, year).downloads == number
        assert auditor.ledger.verify().ok
        assert "Traceback" not in server.log


@pytest.mark.long
def test_a_crash_after_the_clock_went_back_is_taken_back_all_the_same(
    tmp_path: Path, clock: WallClock
) -> None:
    config = prepare(tmp_path)
    clock.set(NEW_YEAR + timedelta(minutes=30))
    with auditing(config) as auditor:
        with serving(config) as server:
            traffic = Traffic.begin(server.z3950, server.http, MEMBERS, each=2, seed=5)
            traffic.wait_until_busy()
            clock.step(timedelta(hours=-1))
            time.sleep(0.3)
            processes = Processes(server)
            pids = [server.process.pid, processes.writer, *processes.workers]
            kill(pids)
            killed_us = clock.now_us()
            wait_until_ended(pids[1:])
            tally = traffic.end()
        clock.step(timedelta(hours=-1))
        with serving(config) as server:
            entries = folded(auditor)
            deliveries = {entry.id: entry for entry in entries if entry.kind is Kind.DELIVERY}
            voids = [entry for entry in entries if entry.kind is Kind.VOID]
            billed = count(deliveries.values()) - count(voids)
            assert billed.total() > 0
            assert not billed - tally.received
            assert not tally.received - billed - count(voids)
            for void in voids:
                target = deliveries[void.refers_to]
                assert (void.year, void.day) == (target.year, target.day)
                assert killed_us - target.at_us < IN_FLIGHT_US
            assert auditor.ledger.verify().ok
            assert "Traceback" not in server.log


def test_the_writer_folds_by_itself_after_a_step_back(tmp_path: Path, clock: WallClock) -> None:
    """What carries a time of the future is not waited for longer than an hour."""
    config = prepare(tmp_path, workers=1)
    clock.set(NEW_YEAR + timedelta(hours=3))
    with auditing(config) as auditor, serving(config) as server:
        with connected(server.z3950, f"{MEMBER.lower()}/{MEMBER.lower()}") as client:
            client.search("@attr 1=4 common", DATABASE)
            client.present(1, 5)
            clock.step(timedelta(hours=-2))
            client.present(6, 5)
            wait_until(lambda: auditor.ledger.head()[0] >= 10)
        assert auditor.accounting.usage.usage(MEMBER, 2024).downloads == 10
        assert [entry.control_number for entry in auditor.ledger.entries()] == [
            f"k{number:06d}" for number in range(10)
        ]
