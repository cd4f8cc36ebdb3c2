"""Slowing of failed logins, by account and address."""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Callable

REMEMBERED_MAX = 10_000
_ANY_ACCOUNT = "\0"  # no account has that name


class LoginThrottle:
    """Refuses further logins of one account from one address for a while.

    Counting by both keeps a stranger from locking a member out. Bounded: the
    oldest of more than REMEMBERED_MAX pairs is forgotten.

    An address that tries many accounts is refused too, after
    `address_failures_max`: each try costs the server what a password's hash does.
    """

    def __init__(
        self,
        failures_max: int,
        pause_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        address_failures_max: int = sys.maxsize,
    ) -> None:
        self._failures_max = failures_max
        self._address_failures_max = address_failures_max
        self._pause_s = pause_s
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def paused_for_s(self, account: str, address: str) -> float:
        """Seconds until a login is tried again; 0 when it may be tried now."""
        return self._pause_s_of((account.casefold(), address), self._failures_max)

    def address_paused_for_s(self, address: str) -> float:
        """The same, after failures of the address whatever the account.

        Not to be asked for an account that is known to have come in before with
        the same password: who shares an address is not to suffer for others.
        """
        return self._pause_s_of((_ANY_ACCOUNT, address), self._address_failures_max)

    def _pause_s_of(self, key: tuple[str, str], failures_max: int) -> float:
        count, last = self._failures.get(key, (0, 0.0))
        if count < failures_max:
            return 0.0
        return max(0.0, last + self._pause_s - self._clock())

    def failed(self, account: str, address: str) -> None:
        self._count((account.casefold(), address))
        self._count((_ANY_ACCOUNT, address))

    def _count(self, key: tuple[str, str]) -> None:
        count, last = self._failures.pop(key, (0, 0.0))
        now = self._clock()
        if now - last > self._pause_s:
            count = 0
        self._failures[key] = (count + 1, now)
        if len(self._failures) > REMEMBERED_MAX:
            self._failures.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        self._failures.pop((account.casefold(), address), None)
