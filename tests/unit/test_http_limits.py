"""Limits of requests, by account and by address, with a clock that tests turn."""

from __future__ import annotations

import pytest

from server.access_control.access import ANONYMOUS, Principal
from server.access_control.request_limits import (
    AT_ONCE_RETRY_S,
    REMEMBERED_MAX,
    AtOnceLimit,
    RateLimit,
    RequestLimits,
    network_of,
)
from server.config import HttpLimits


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_minute_s_requests_may_come_at_once_and_then_one_a_share() -> None:
    clock = Clock()
    limit = RateLimit(30, clock)
    assert [limit.take("a") for _ in range(30)] == [0.0] * 30
    assert limit.take("a") == pytest.approx(2.0)  # 60 s / 30
    clock.now += 1.5
    assert limit.take("a") == pytest.approx(0.5)
    clock.now += 0.5
    assert limit.take("a") == 0.0
    assert limit.take("a") == pytest.approx(2.0)


def test_who_waits_as_told_is_let_in() -> None:
    clock = Clock()
    limit = RateLimit(7, clock)
    for _ in range(200):
        wait_s = limit.take("a")
        if wait_s:
            clock.now += wait_s
            assert limit.take("a") == 0.0


def test_no_more_than_the_limit_pass_in_any_later_minute() -> None:
    clock = Clock()
    limit = RateLimit(60, clock)
    for _ in range(60):
        limit.take("a")
    passed = 0
    for _ in range(600):
        clock.now += 0.1
        passed += limit.take("a") == 0.0
    assert passed == 60


def test_a_refused_request_costs_nothing() -> None:
    clock = Clock()
    limit = RateLimit(60, clock)
    for _ in range(60):
        limit.take("a")
    waits = [limit.take("a") for _ in range(100)]
    assert waits == pytest.approx([1.0] * 100)


def test_a_pause_gives_back_a_minute_and_no_more() -> None:
    clock = Clock()
    limit = RateLimit(10, clock)
    limit.take("a")
    clock.now += 3600
    assert sum(limit.take("a") == 0.0 for _ in range(50)) == 10


def test_keys_are_limited_apart() -> None:
    limit = RateLimit(1, Clock())
    assert limit.take("a") == 0.0
    assert limit.take("b") == 0.0
    assert limit.take("a") > 0


def test_no_limit_is_no_limit() -> None:
    limit = RateLimit(0, Clock())
    assert not any(limit.take("a") for _ in range(100_000))
    at_once = AtOnceLimit(0)
    assert all(at_once.begin("a") for _ in range(1000))


def test_memory_is_bounded_under_a_flood_of_addresses() -> None:
    limit = RateLimit(1, Clock())
    for number in range(REMEMBERED_MAX + 1):
        limit.take(str(number))
    assert limit.take("0") == 0.0  # forgotten
    assert limit.take(str(REMEMBERED_MAX)) > 0


def limits(**given: int) -> RequestLimits:
    return RequestLimits(HttpLimits(**given), Clock())


MEMBER = Principal("pku", "PKU")
KEY = Principal("pku+ils", "PKU")


def test_so_many_at_once_and_another_when_one_has_ended() -> None:
    both = limits(requests_at_once=2)
    with both.admitted(MEMBER, "192.0.2.1") as first, both.admitted(KEY, "192.0.2.2") as second:
        assert (first, second) == (0, 0)
        with both.admitted(MEMBER, "192.0.2.1") as third:
            assert third == AT_ONCE_RETRY_S
        with both.admitted(Principal("thu", "THU"), "192.0.2.1") as other:
            assert other == 0
    with both.admitted(MEMBER, "192.0.2.1") as again:
        assert again == 0


def test_a_request_that_fails_makes_room_too() -> None:
    one = limits(requests_at_once=1)
    with pytest.raises(ValueError, match="x"), one.admitted(MEMBER, ""):
        raise ValueError("x")
    with one.admitted(MEMBER, "") as again:
        assert again == 0


def test_an_account_is_limited_by_name_and_all_its_keys_together() -> None:
    each = limits(requests_per_minute=2)
    waits = []
    for principal in (MEMBER, KEY, Principal("PKU", "PKU")):
        with each.admitted(principal, "192.0.2.1") as wait_s:
            waits.append(wait_s)
    assert waits == [0, 0, 30]


@pytest.mark.parametrize("principal", [ANONYMOUS, None])
def test_who_has_not_signed_in_is_limited_by_address(principal: Principal | None) -> None:
    each = limits(anonymous_requests_per_minute=1)
    waits = []
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "::ffff:192.0.2.2"):
        with each.admitted(principal, address) as wait_s:
            waits.append(wait_s)
    assert waits == [0, 0, 60, 60]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_an_ipv6_subscriber_is_one_address(address: str, network: str) -> None:
    assert network_of(address) == network
