"""Events that come by the thousand are told seldom, with how many there were."""

from __future__ import annotations

from server.log import Seldom


def test_an_event_is_told_once_an_interval_with_its_number() -> None:
    now_s = 0.0
    seldom = Seldom(5.0, clock=lambda: now_s)
    assert [seldom.count() for _ in range(4)] == [1, 0, 0, 0]
    now_s = 4.9
    assert seldom.count() == 0
    now_s = 5.0
    assert seldom.count() == 5
    assert seldom.count() == 0
    now_s = 60.0
    assert seldom.count() == 2
