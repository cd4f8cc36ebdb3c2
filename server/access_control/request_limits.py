"""How much one account, or one address without an account, may ask of a worker.

A refused request is told when to come again. Counts are kept by each worker;
nothing is written and nothing is shared.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from server.access_control.principal import Principal
from server.config import HttpLimits

REMEMBERED_MAX = 10_000
# One subscriber has a network of this size, and all addresses in it.
_IPV6_NETWORK_BITS = 64
_MINUTE_S = 60.0
# Nobody knows when another request will end; a client asks again after this.
AT_ONCE_RETRY_S = 1


class RateLimit:
    """So many requests in any minute, then one each time its share has passed.

    Kept is one time a key, at which everything asked so far is paid off (the
    generic cell rate algorithm). Bounded: of more than REMEMBERED_MAX keys that
    which asked longest ago is forgotten.
    """

    def __init__(
        self, requests_per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._share_s = _MINUTE_S / requests_per_minute if requests_per_minute else 0.0
        self._clock = clock
        self._paid_off: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> float:
        """0 when the request may go on and is counted, else the seconds to wait."""
        if not self._share_s:
            return 0.0
        now = self._clock()
        paid_off = max(self._paid_off.pop(key, 0.0), now) + self._share_s
        wait_s = paid_off - _MINUTE_S - now
        # A millionth of a share is rounding, not a request.
        if wait_s > self._share_s * 1e-6:
            self._paid_off[key] = paid_off - self._share_s
            return wait_s
        self._paid_off[key] = paid_off
        if len(self._paid_off) > REMEMBERED_MAX:
            self._paid_off.popitem(last=False)
        return 0.0


class AtOnceLimit:
    """So many requests being answered at a time."""

    def __init__(self, requests_at_once: int) -> None:
        self._max = requests_at_once
        self._running: Counter[str] = Counter()

    def begin(self, key: str) -> bool:
        """True when the request may go on; then it must `end`."""
        if self._max and self._running[key] >= self._max:
            return False
        self._running[key] += 1
        return True

    def end(self, key: str) -> None:
        self._running[key] -= 1
        if self._running[key] <= 0:
            del self._running[key]


class RequestLimits:
    """The limits of `[http.limits]`, of accounts and of addresses."""

    def __init__(self, limits: HttpLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = (
            RateLimit(limits.requests_per_minute, clock),
            RateLimit(limits.anonymous_requests_per_minute, clock),
        )
        self._at_once = (
            AtOnceLimit(limits.requests_at_once),
            AtOnceLimit(limits.anonymous_requests_at_once),
        )

    def admitted(self, principal: Principal | None, address: str) -> Admission:
        """Counts one request while the block runs.

        Gives 0, or the whole seconds after which the client may try again:
        then the request must be refused. Who was not let in is counted by
        address, as who did not sign in.
        """
        anonymous = principal is None or principal.anonymous
        if principal is None or principal.anonymous:
            key = network_of(address)
        else:
            key = principal.limited_as.casefold()
        return Admission(self._at_once[anonymous], self._rates[anonymous], key)


class Admission:
    """One request under its limits, from entering the block to leaving it."""

    __slots__ = ("_at_once", "_began", "_key", "_rate")

    def __init__(self, at_once: AtOnceLimit, rate: RateLimit, key: str) -> None:
        self._at_once = at_once
        self._rate = rate
        self._key = key
        self._began = False

    def __enter__(self) -> int:
        self._began = self._at_once.begin(self._key)
        return math.ceil(self._rate.take(self._key)) if self._began else AT_ONCE_RETRY_S

    def __exit__(self, *_: object) -> None:
        if self._began:
            self._began = False
            self._at_once.end(self._key)


def network_of(address: str) -> str:
    """What counts as one address: of IPv6, the network that one subscriber has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    network = ipaddress.ip_network((int(parsed), _IPV6_NETWORK_BITS), strict=False)
    return str(network)
