"""What the charts draw, and that the tables beside them say the same."""

from __future__ import annotations

from server.live.board import LiveBoard
from server.live.charts import CHARTS, charts, tables
from server.live.history import Span
from server.metrics.layout import Level
from server.web.texts import texts

T = texts("en")


def spans() -> list[Span]:
    """Ten quiet seconds, and ten with SRU requests of which one failed."""
    board = LiveBoard(1)
    board.history.sample(board.snapshots(), 1_704_038_400_000_000)  # midnight in China
    board.history.sample(board.snapshots(), 1_704_038_410_000_000)
    timing = board.worker(0).timing("sru", "searchRetrieve")
    for _ in range(29):
        timing.add(4_000_000)
    timing.add_failed(4_000_000)
    board.worker(0).set(Level.SESSIONS_OPEN, 1234)
    board.history.sample(board.snapshots(), 1_704_038_420_000_000)
    return board.history.spans(60, 6, 1_704_038_420_000_000)


def test_each_chart_has_a_value_for_each_moment_or_says_that_there_is_none() -> None:
    drawn = charts(spans(), T)
    assert tuple(drawn) == CHARTS
    for chart in drawn.values():
        assert chart["x"] == [1_704_038_410.0, 1_704_038_420.0]
        assert all(len(each["values"]) == 2 for each in chart["series"])
    rates = {each["label"]: each["values"] for each in drawn["rates"]["series"]}
    assert rates == {"Z39.50": [0.0, 0.0], "SRU": [0.0, 3.0], "Pages and API": [0.0, 0.0]}
    failed = drawn["trouble"]["series"][1]
    assert (failed["label"], failed["values"]) == ("Failed", [0.0, 0.1])
    median = drawn["latency-sru"]["series"][0]
    assert median["label"] == "p50"
    assert median["values"][0] is None
    assert 2.5 < median["values"][1] <= 5
    assert drawn["open"]["series"][0]["values"] == [0, 1234]


def test_the_tables_say_the_same_newest_first_by_the_clock_of_china() -> None:
    told = tables(spans(), T)
    assert tuple(told) == CHARTS
    assert told["rates"].columns == ["Z39.50", "SRU", "Pages and API"]
    assert told["rates"].rows == [
        ("00:00:20", ["0.00", "3.00", "0.00"]),
        ("00:00:10", ["0.00", "0.00", "0.00"]),
    ]
    assert told["latency-sru"].rows[1] == ("00:00:10", ["–", "–", "–"])
    assert told["open"].rows[0] == ("00:00:20", ["1,234", "0"])


def test_without_samples_there_are_charts_without_points() -> None:
    assert charts([], T)["rates"]["x"] == []
    assert tables([], T)["rates"].rows == []
