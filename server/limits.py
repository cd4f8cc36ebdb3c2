"""Slowing of failed logins, by account and address."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

REMEMBERED_MAX = 10_000


class LoginThrottle:
    """Refuses further logins of one account from one address for a while.

    Counting by both keeps a stranger from locking a member out. Bounded: the
    oldest of more than REMEMBERED_MAX pairs is forgotten.
    """

    def __init__(
        self, failures_max: int, pause_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._failures_max = failures_max
        self._pause_s = pause_s
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def paused_for_s(self, account: str, address: str) -> float:
        """Seconds until a login is tried again; 0 when it may be tried now."""
        count, last = self._failures.get((account.casefold(), address), (0, 0.0))
        if count < self._failures_max:
            return 0.0
        return max(0.0, last + self._pause_s - self._clock())

    def failed(self, account: str, address: str) -> None:
        key = (account.casefold(), address)
        count, last = self._failures.pop(key, (0, 0.0))
        now = self._clock()
        if now - last > self._pause_s:
            count = 0
        self._failures[key] = (count + 1, now)
        if len(self._failures) > REMEMBERED_MAX:
            self._failures.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        self._failures.pop((account.casefold(), address), None)
