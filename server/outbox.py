"""Tells the ledger which deliveries left for the network and which did not."""

from __future__ import annotations

import asyncio

from metering.interface import Meter, Receipt

# How often transports are looked at; a crash within it voids what it left open.
CONFIRM_INTERVAL_S = 0.02


class Outbox:
    """Receipts whose bytes were given to a transport, until that has sent them.

    A transport with an empty buffer has handed everything to the operating
    system; one that failed before counts as never having sent.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._waiting: list[tuple[asyncio.WriteTransport, Receipt]] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, transport: asyncio.WriteTransport, receipt: Receipt) -> None:
        self._waiting.append((transport, receipt))
        if self._timer is None:
            self._arm()

    def lost(self, transport: asyncio.WriteTransport, error: BaseException | None) -> None:
        """The connection ended; `error` is None when all was sent before."""
        if not self._waiting:
            return
        still_waiting = []
        for pair in self._waiting:
            if pair[0] is not transport:
                still_waiting.append(pair)
            elif error is None:
                self._meter.confirm(pair[1])
            else:
                self._meter.void(pair[1], "connection lost")
        self._waiting = still_waiting

    def settle(self) -> None:
        """Confirm what has left; look again later for the rest."""
        self._timer = None
        still_waiting = []
        for pair in self._waiting:
            # A transport that fails drops its buffer before it tells so with `lost`.
            if pair[0].get_write_buffer_size() or pair[0].is_closing():
                still_waiting.append(pair)
            else:
                self._meter.confirm(pair[1])
        self._waiting = still_waiting
        if still_waiting:
            self._arm()

    async def finish(self) -> None:
        """Settle all that is decided when the server stops; the rest counts as not sent."""
        for _ in range(2):  # connections that have just been closed tell so
            await asyncio.sleep(0)
        self.settle()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(CONFIRM_INTERVAL_S, self.settle)
