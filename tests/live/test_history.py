"""The last hours of the server: what is told of any part of them."""

from __future__ import annotations

import os

import pytest

from server.live.board import LiveBoard
from server.live.history import SAMPLE_S, History
from server.metrics.layout import DELIVERIES_ENTERED, REFUSALS, Level
from server.metrics.registry import Snapshot

START_US = 1_800_000_000_000_000


def sampled(board: LiveBoard, history: History, number: int) -> int:
    """Take the sample of that number; returns its moment."""
    at_us = START_US + number * SAMPLE_S * 1_000_000
    history.sample(board.snapshots(), at_us)
    return at_us


def test_what_happened_between_samples_is_told_of_all_workers_together() -> None:
    board = LiveBoard(2)
    history = board.history
    sampled(board, history, 0)
    for number, services in enumerate((("init", "search", "search"), ("present",))):
        figures = board.worker(number)
        for service in services:
            figures.timing("z3950", service).add(2_000_000)
        figures.timing("z3950", "search").add_refused(40_000_000)
        figures.set(Level.SESSIONS_OPEN, number + 1)
    board.worker(0).timing("http", "health").add(1)  # whoever watches is nobody's user
    board.worker(1).count(DELIVERIES_ENTERED, by=7)
    board.worker(1).count(REFUSALS, "rate_limit")
    now_us = sampled(board, history, 1)
    (span,) = history.spans(900, 90, now_us)
    assert (span.at_us, span.length_s) == (now_us, SAMPLE_S)
    assert span.timed["z3950"].count == 6
    assert span.timed["z3950"].refused == 2
    assert span.rate("z3950") == pytest.approx(0.6)
    assert span.timed["http"].count == span.timed["sru"].count == 0
    assert span.counts == {"records": 0, "deliveries": 7, "refusals": 1}
    assert span.levels[0] == 3
    assert span.workers == (4, 2)
    assert span.timed["z3950"].quantile_s(0.5) == pytest.approx(0.00213, rel=0.01)
    assert span.timed["sru"].quantile_s(0.5) is None


def test_the_oldest_give_way_and_nothing_is_counted_twice() -> None:
    board, history = LiveBoard(1), History(1, samples=10)
    now_us = 0
    for number in range(25):
        now_us = sampled(board, history, number)
        for _ in range(number):
            board.worker(0).timing("sru", "scan").add(1)
    spans = history.spans(3600, 360, now_us)
    assert [span.timed["sru"].count for span in spans] == list(range(16, 24))
    assert history.taken == 25


@pytest.mark.parametrize(("length_s", "spans_max", "length"), [(60, 6, 10), (600, 10, 60)])
def test_a_longer_time_is_told_in_longer_parts(length_s: int, spans_max: int, length: int) -> None:
    board = LiveBoard(1)
    now_us = 0
    for number in range(100):
        now_us = sampled(board, board.history, number)
        board.worker(0).timing("sru", "scan").add(1)
    spans = board.history.spans(length_s, spans_max, now_us)
    assert 0 < len(spans) <= spans_max
    assert {span.length_s for span in spans} == {length}
    assert {span.timed["sru"].count for span in spans} == {length // SAMPLE_S}
    assert spans[0].at_us > now_us - (length_s + length) * 1e6


def test_parts_end_where_they_ended_before() -> None:
    board = LiveBoard(1)
    for number in range(40):
        sampled(board, board.history, number)
    before = [span.at_us for span in board.history.spans(300, 5, START_US + 390_000_000)]
    now_us = sampled(board, board.history, 40)
    after = [span.at_us for span in board.history.spans(300, 5, now_us)]
    assert set(before) & set(after)


def test_a_sample_that_came_late_gives_no_higher_rate() -> None:
    board = LiveBoard(1)
    history = board.history
    history.sample(board.snapshots(), START_US)
    for _ in range(90):
        board.worker(0).timing("sru", "scan").add(1)
    history.sample(board.snapshots(), START_US + 30_000_000)
    (span,) = history.spans(60, 6, START_US + 30_000_000)
    assert span.rate("sru") == pytest.approx(3.0)


def test_of_the_last_minute_is_told_what_there_is() -> None:
    board = LiveBoard(1)
    assert board.history.latest(60, START_US) is None
    now_us = 0
    for number in range(20):
        now_us = sampled(board, board.history, number)
        board.worker(0).timing("sru", "scan").add(1)
        span = board.history.latest(60, now_us)
        assert (span is None) is (number == 0)
        if span is not None:
            assert span.length_s == min(number, 7) * SAMPLE_S
            assert span.timed["sru"].count == min(number, 7)


def test_every_process_reads_what_one_took() -> None:
    board = LiveBoard(1)
    sampled(board, board.history, 0)
    pid = os.fork()
    if pid == 0:
        board.worker(0).timing("sru", "scan").add(1)
        sampled(board, board.history, 1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    (span,) = board.history.spans(60, 6, START_US + 10_000_000)
    assert span.timed["sru"].count == 1


def test_nothing_is_told_before_there_are_two_samples() -> None:
    history = History(1)
    assert history.spans(60, 6, START_US) == []
    history.sample([Snapshot(), Snapshot()], START_US)
    assert history.spans(60, 6, START_US) == []
