"""Slowing of failed logins: by account and address, by address, and by account.

Three counts, each with its bound, and a pause that doubles with each failure over
the bound:

- of an account from an address: guessing at one account;
- of an address whatever the account: trying many, each of which costs the server
  what a password's hash does;
- of an account whatever the address: guessing from many. This pause holds only for
  addresses that are not the account's usual ones, so no stranger locks a member out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from server.access_control.count_table import CountTable
from server.access_control.request_limits import network_of

# How long an address from which an account came in stays one of its usual ones.
USUAL_FOR_S = 180 * 86_400.0
NOTED_AGAIN_AFTER_S = 86_400.0
CLEAR_MAX = 10_000


class LoginThrottle:
    """Counts failures in `failures` and remembers in `usual` from where accounts came in.

    Both may be shared by all workers; without them they are this process's own.
    Addresses count as their network does (`network_of`).
    """

    def __init__(
        self,
        failures_max: int,
        pause_s: float,
        clock: Callable[[], float] = time.time,
        *,
        pause_max_s: float = 900.0,
        address_failures_max: int = sys.maxsize,
        account_failures_max: int = sys.maxsize,
        failures: CountTable | None = None,
        usual: CountTable | None = None,
    ) -> None:
        self._failures_max = failures_max
        self._address_failures_max = address_failures_max
        self._account_failures_max = account_failures_max
        self._pause_s = pause_s
        self._pause_max_s = max(pause_s, pause_max_s)
        self._clock = clock
        self._failures = failures or CountTable()
        self._usual = usual or CountTable()
        # Pairs without any failure as long as nothing is written to the table: who signs
        # in with each request is not to be looked up each time.
        self._generation = -1
        self._clear: set[tuple[str, str]] = set()

    def close(self) -> None:
        self._failures.close()
        self._usual.close()

    def is_clear(self, account: str, address: str) -> bool:
        """Whether the account has come in from there and nothing speaks against it since."""
        return (
            account, address,
        ) in self._clear and self._generation == self._failures.generation  # fmt: skip

    def paused_for_s(self, account: str, address: str, *, at_home: bool = False) -> float:
        """Seconds until a login is tried again; 0 when it may be tried now.

        `at_home`: the address is known to be the account's for another reason than
        that it came in from there.
        """
        name, network = account.casefold(), network_of(address)
        pause_s = self._pause_of(self._failures_max, "pair", name, network)
        of_account_s = self._pause_of(self._account_failures_max, "account", name)
        if of_account_s > pause_s and not at_home and not self.is_usual(account, address):
            return of_account_s
        return pause_s

    def address_paused_for_s(self, address: str) -> float:
        """The same, after failures of the address whatever the account.

        Not to be asked for an account that is known to have come in before with
        the same password: who shares an address is not to suffer for others.
        """
        return self._pause_of(self._address_failures_max, "address", network_of(address))

    def is_usual(self, account: str, address: str) -> bool:
        """Whether the account has come in from there within USUAL_FOR_S."""
        count, last_s = self._usual.get(account.casefold(), network_of(address))
        return count > 0 and self._clock() - last_s <= USUAL_FOR_S

    def _pause_of(self, failures_max: int, *key: str) -> float:
        count, last_s = self._failures.get(*key)
        if count < failures_max:
            return 0.0
        doublings = min(count - failures_max, 30)
        pause_s: float = min(self._pause_s * 2**doublings, self._pause_max_s)
        now_s = self._clock()
        # A clock that was set back makes nobody wait for longer than one pause.
        return max(0.0, min(last_s, now_s) + pause_s - now_s)

    def failed(self, account: str, address: str) -> None:
        name, network = account.casefold(), network_of(address)
        for key in (("pair", name, network), ("address", network), ("account", name)):
            self._failures.add(*key, now_s=self._clock(), forget_after_s=self._pause_max_s)

    def succeeded(self, account: str, address: str) -> None:
        """Forget the failures of the account from there, and note that it is usual there.

        Those of the address and of the account stay: they may be a stranger's.
        """
        if self.is_clear(account, address):
            return
        name, network = account.casefold(), network_of(address)
        now_s = self._clock()
        if self._failures.get("pair", name, network)[0]:
            self._failures.forget("pair", name, network)
        if now_s - self._usual.get(name, network)[1] > NOTED_AGAIN_AFTER_S:
            self._usual.add(name, network, now_s=now_s, forget_after_s=USUAL_FOR_S)
        generation = self._failures.generation
        if generation != self._generation or len(self._clear) >= CLEAR_MAX:
            self._clear.clear()
            self._generation = generation
        self._clear.add((account, address))
