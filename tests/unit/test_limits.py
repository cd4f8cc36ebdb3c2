"""Failed logins are slowed, by account and address, and no stranger locks a member out."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.access_control.count_table import SLOTS, CountTable
from server.access_control.login_limits import USUAL_FOR_S, LoginThrottle

HOME, ELSEWHERE = "192.0.2.1", "203.0.113.9"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_last_allowed_failure_starts_the_pause_and_time_ends_it(clock: Clock) -> None:
    throttle = LoginThrottle(3, 30.0, clock)
    for _ in range(2):
        throttle.failed("pku", HOME)
    assert throttle.paused_for_s("pku", HOME) == 0.0
    throttle.failed("PKU", HOME)
    assert throttle.paused_for_s("pku", HOME) == 30.0
    clock.now += 30.0
    assert throttle.paused_for_s("pku", HOME) == 0.0


def test_the_pause_doubles_with_each_failure_after_it_up_to_its_bound(clock: Clock) -> None:
    throttle = LoginThrottle(2, 30.0, clock, pause_max_s=200.0)
    throttle.failed("pku", HOME)
    pauses = []
    for _ in range(5):
        throttle.failed("pku", HOME)
        pauses.append(throttle.paused_for_s("pku", HOME))
        clock.now += pauses[-1]
    assert pauses == [30.0, 60.0, 120.0, 200.0, 200.0]


def test_a_stranger_elsewhere_does_not_lock_a_member_out(clock: Clock) -> None:
    throttle = LoginThrottle(1, 30.0, clock)
    for _ in range(20):
        throttle.failed("pku", ELSEWHERE)
    assert throttle.paused_for_s("pku", HOME) == 0.0
    assert throttle.paused_for_s("pku", ELSEWHERE) == 900.0


def test_strangers_at_many_addresses_are_slowed_and_the_member_at_its_own_is_not(
    clock: Clock,
) -> None:
    throttle = LoginThrottle(5, 30.0, clock, account_failures_max=10)
    throttle.succeeded("pku", HOME)
    throttle.succeeded("pku", "2001:db8:1:2::7")
    for number in range(12):
        throttle.failed("pku", f"203.0.113.{number}")
    assert throttle.paused_for_s("pku", "203.0.113.99") == 120.0  # tries its first guess
    assert throttle.paused_for_s("PKU", HOME) == 0.0
    assert throttle.paused_for_s("pku", "2001:db8:1:2::9") == 0.0  # of the same network
    assert throttle.paused_for_s("pku", "198.51.100.1", at_home=True) == 0.0
    assert throttle.paused_for_s("thu", "203.0.113.99") == 0.0
    clock.now += USUAL_FOR_S + 1
    for number in range(12):
        throttle.failed("pku", f"203.0.113.{number}")
    assert throttle.paused_for_s("pku", HOME) == 120.0  # it has not come from there for long


def test_a_success_forgets_the_failures_of_the_pair_and_no_others(clock: Clock) -> None:
    throttle = LoginThrottle(2, 30.0, clock, address_failures_max=2)
    throttle.failed("pku", HOME)
    throttle.succeeded("pku", HOME)
    throttle.failed("pku", HOME)
    assert throttle.paused_for_s("pku", HOME) == 0.0
    assert throttle.address_paused_for_s(HOME) == 30.0


def test_failures_long_ago_do_not_add_up(clock: Clock) -> None:
    throttle = LoginThrottle(2, 30.0, clock, pause_max_s=60.0)
    throttle.failed("pku", HOME)
    clock.now += 61.0
    throttle.failed("pku", HOME)
    assert throttle.paused_for_s("pku", HOME) == 0.0


def test_a_clock_that_is_set_back_pauses_nobody_for_long(clock: Clock) -> None:
    throttle = LoginThrottle(1, 30.0, clock)
    throttle.failed("pku", HOME)
    clock.now -= 100_000.0
    assert throttle.paused_for_s("pku", HOME) == 30.0
    throttle.failed("pku", HOME)
    assert throttle.paused_for_s("pku", HOME) == 30.0


def test_memory_is_bounded_under_a_flood_of_names(clock: Clock) -> None:
    throttle = LoginThrottle(1, 30.0, clock, address_failures_max=5)
    for number in range(2 * SLOTS):
        clock.now += 0.001
        throttle.failed(f"name{number}", HOME)
    assert throttle.paused_for_s("name0", HOME) == 0.0
    assert throttle.paused_for_s(f"name{2 * SLOTS - 1}", HOME) > 0
    assert throttle.address_paused_for_s(HOME) == 900.0


def test_an_address_that_tries_many_accounts_is_refused_for_all_of_them(clock: Clock) -> None:
    throttle = LoginThrottle(3, 30.0, clock, address_failures_max=5)
    for number in range(5):
        assert throttle.address_paused_for_s(HOME) == 0.0
        throttle.failed(f"name{number}", HOME)
    assert throttle.address_paused_for_s(HOME) == 30.0
    assert throttle.address_paused_for_s(ELSEWHERE) == 0.0
    throttle.succeeded("pku", HOME)  # as another account of the same address may
    assert throttle.address_paused_for_s(HOME) == 30.0
    clock.now += 30.0
    assert throttle.address_paused_for_s(HOME) == 0.0


def test_workers_count_together_and_a_restart_forgets_nothing(tmp_path: Path, clock: Clock) -> None:
    def throttle() -> LoginThrottle:
        tables = (CountTable(tmp_path / name) for name in ("failures", "usual"))
        failures, usual = tables
        return LoginThrottle(4, 30.0, clock, failures=failures, usual=usual)

    first, second = throttle(), throttle()
    first.succeeded("pku", HOME)
    assert first.is_clear("pku", HOME)
    for each in (first, second, first, second):
        each.failed("pku", HOME)
    assert not first.is_clear("pku", HOME)
    assert first.paused_for_s("pku", HOME) == second.paused_for_s("pku", HOME) == 30.0
    assert second.is_usual("pku", HOME)
    first.close()
    second.close()
    again = throttle()
    assert again.paused_for_s("pku", HOME) == 30.0
    assert again.is_usual("pku", HOME)
    again.close()


def test_a_pair_is_clear_until_anything_fails(clock: Clock) -> None:
    throttle = LoginThrottle(3, 30.0, clock)
    assert not throttle.is_clear("pku", HOME)
    throttle.succeeded("pku", HOME)
    assert throttle.is_clear("pku", HOME)
    assert not throttle.is_clear("pku", ELSEWHERE)
    throttle.failed("thu", ELSEWHERE)
    assert not throttle.is_clear("pku", HOME)
    throttle.succeeded("pku", HOME)
    assert throttle.is_clear("pku", HOME)


def test_a_file_that_is_none_of_ours_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "failures"
    path.write_bytes(b"something else")
    table = CountTable(path)
    assert table.add("a", now_s=5.0, forget_after_s=10.0) == 1
    assert table.get("a") == (1, 5.0)
    table.close()


def test_without_a_place_for_the_file_a_worker_counts_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    table = CountTable(tmp_path / "file" / "failures")
    assert table.add("a", now_s=5.0, forget_after_s=10.0) == 1
    table.forget("a")
    assert table.get("a") == (0, 0.0)
    table.close()
