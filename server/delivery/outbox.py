"""Tells the ledger which deliveries left for the network and which did not."""

from __future__ import annotations

import asyncio
import socket

from metering.interface import Meter, Receipt

# How often transports are looked at; a crash within it voids what it left open.
CONFIRM_INTERVAL_S = 0.02


def error_of(transport: asyncio.WriteTransport) -> int:
    """The error number of a connection, 0 when it is well; it is told only once.

    One that is not being read from hears of a reset in no other way.
    """
    connection = transport.get_extra_info("socket")
    if connection is None:
        return 0
    number: int = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return number


class Outbox:
    """Receipts whose bytes were given to a transport, until that has sent them.

    A transport with an empty buffer has handed everything to the operating
    system; one that failed before counts as never having sent.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._waiting: list[tuple[asyncio.WriteTransport, Receipt]] = []
        # Of transports whose peer may be gone: not confirmed before `lost` says so.
        self._doubtful: set[asyncio.WriteTransport] = set()
        self._timer: asyncio.TimerHandle | None = None

    def doubt(self, transport: asyncio.WriteTransport) -> bool:
        """The peer has ended its side, all of it perhaps; whether receipts wait for that."""
        self._doubtful.add(transport)
        return any(pair[0] is transport for pair in self._waiting)

    @property
    def unconfirmed(self) -> int:
        """Deliveries on their way to a client."""
        return sum(receipt.count for _, receipt in self._waiting)

    def add(self, transport: asyncio.WriteTransport, receipt: Receipt) -> None:
        self._waiting.append((transport, receipt))
        if self._timer is None:
            self._arm()

    def lost(self, transport: asyncio.WriteTransport, error: BaseException | None) -> None:
        """The connection ended; `error` is None when all was sent before."""
        self._doubtful.discard(transport)
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
        failed: dict[asyncio.WriteTransport, bool] = {}
        for pair in self._waiting:
            transport = pair[0]
            # A transport that fails drops its buffer before it tells so with `lost`.
            if (
                transport.get_write_buffer_size()
                or transport.is_closing()
                or transport in self._doubtful
            ):
                still_waiting.append(pair)
                continue
            if transport not in failed:
                failed[transport] = bool(error_of(transport))
            if failed[transport]:
                self._meter.void(pair[1], "connection lost")
            else:
                self._meter.confirm(pair[1])
        self._waiting = still_waiting
        for transport, has_failed in failed.items():
            if has_failed:
                transport.abort()  # the error was told to us, and to nobody else any more
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
