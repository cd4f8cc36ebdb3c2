"""Failed logins are slowed, by account and address."""

from __future__ import annotations

from server.limits import REMEMBERED_MAX, LoginThrottle


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_last_allowed_failure_starts_the_pause_and_time_ends_it() -> None:
    clock = Clock()
    throttle = LoginThrottle(3, 30.0, clock)
    for _ in range(2):
        throttle.failed("pku", "192.0.2.1")
    assert throttle.paused_for_s("pku", "192.0.2.1") == 0.0
    throttle.failed("PKU", "192.0.2.1")
    assert throttle.paused_for_s("pku", "192.0.2.1") == 30.0
    clock.now += 30.0
    assert throttle.paused_for_s("pku", "192.0.2.1") == 0.0


def test_a_stranger_elsewhere_does_not_lock_a_member_out() -> None:
    throttle = LoginThrottle(1, 30.0, Clock())
    throttle.failed("pku", "203.0.113.9")
    assert throttle.paused_for_s("pku", "192.0.2.1") == 0.0


def test_a_success_forgets_the_failures() -> None:
    throttle = LoginThrottle(2, 30.0, Clock())
    throttle.failed("pku", "192.0.2.1")
    throttle.succeeded("pku", "192.0.2.1")
    throttle.failed("pku", "192.0.2.1")
    assert throttle.paused_for_s("pku", "192.0.2.1") == 0.0


def test_failures_long_ago_do_not_add_up() -> None:
    clock = Clock()
    throttle = LoginThrottle(2, 30.0, clock)
    throttle.failed("pku", "192.0.2.1")
    clock.now += 31.0
    throttle.failed("pku", "192.0.2.1")
    assert throttle.paused_for_s("pku", "192.0.2.1") == 0.0


def test_memory_is_bounded_under_a_flood_of_names() -> None:
    throttle = LoginThrottle(1, 30.0, Clock())
    for number in range(REMEMBERED_MAX + 10):
        throttle.failed(f"name{number}", "192.0.2.1")
    assert throttle.paused_for_s("name0", "192.0.2.1") == 0.0
    assert throttle.paused_for_s(f"name{REMEMBERED_MAX + 9}", "192.0.2.1") > 0


def test_an_address_that_tries_many_accounts_is_refused_for_all_of_them() -> None:
    clock = Clock()
    throttle = LoginThrottle(3, 30.0, clock, address_failures_max=5)
    for number in range(5):
        assert throttle.address_paused_for_s("192.0.2.1") == 0.0
        throttle.failed(f"name{number}", "192.0.2.1")
    assert throttle.address_paused_for_s("192.0.2.1") == 30.0
    assert throttle.address_paused_for_s("192.0.2.2") == 0.0
    throttle.succeeded("pku", "192.0.2.1")  # as another account of the same address may
    assert throttle.address_paused_for_s("192.0.2.1") == 30.0
    clock.now += 30.0
    assert throttle.address_paused_for_s("192.0.2.1") == 0.0
