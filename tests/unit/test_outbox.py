"""A receipt is confirmed when its bytes have left, and never before."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from metering.interface import Receipt
from server.delivery.outbox import CONFIRM_INTERVAL_S, Outbox


class Meter:
    def __init__(self) -> None:
        self.confirmed: list[Receipt] = []
        self.voided: list[Receipt] = []

    def confirm(self, receipt: Receipt) -> None:
        self.confirmed.append(receipt)

    def void(self, receipt: Receipt, reason: str) -> None:
        self.voided.append(receipt)


class Transport:
    def __init__(self, size: int = 0) -> None:
        self.size = size
        self.closing = False
        self.error = 0

    def get_write_buffer_size(self) -> int:
        return self.size

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str) -> Transport | None:
        return self if name == "socket" else None

    def getsockopt(self, *_: int) -> int:
        return self.error

    def abort(self) -> None:
        self.closing = True


def outbox() -> tuple[Outbox, Meter]:
    meter = Meter()
    return Outbox(cast(Any, meter)), meter


def add(to: Outbox, transport: Transport, receipt: Receipt) -> None:
    to.add(cast(Any, transport), receipt)


async def test_what_has_left_is_confirmed_and_what_has_not_waits() -> None:
    box, meter = outbox()
    slow = Transport(10)
    add(box, Transport(), Receipt(1, 1))
    add(box, slow, Receipt(2, 1))
    await asyncio.sleep(CONFIRM_INTERVAL_S * 2)
    assert meter.confirmed == [Receipt(1, 1)]
    slow.size = 0
    await asyncio.sleep(CONFIRM_INTERVAL_S * 2)
    assert meter.confirmed == [Receipt(1, 1), Receipt(2, 1)]
    assert not meter.voided


async def test_a_transport_that_failed_is_not_one_that_has_sent_all() -> None:
    box, meter = outbox()
    transport = Transport(10)
    add(box, transport, Receipt(1, 1))
    # A reset drops the buffer one turn of the event loop before it is told.
    transport.size, transport.closing = 0, True
    box.settle()
    assert not meter.confirmed
    box.lost(cast(Any, transport), ConnectionResetError())
    assert meter.voided == [Receipt(1, 1)]
    await box.finish()
    assert not meter.confirmed


async def test_a_connection_closed_in_order_confirms_at_the_end() -> None:
    box, meter = outbox()
    closed, full = Transport(), Transport(10)
    closed.closing = True
    add(box, closed, Receipt(1, 1))
    add(box, full, Receipt(2, 1))
    asyncio.get_running_loop().call_soon(box.lost, cast(Any, closed), None)
    await box.finish()
    assert meter.confirmed == [Receipt(1, 1)]
    await asyncio.sleep(CONFIRM_INTERVAL_S * 2)
    assert meter.confirmed == [Receipt(1, 1)]


async def test_a_reset_that_nobody_has_read_of_voids_what_was_sent_before_it() -> None:
    box, meter = outbox()
    reset, well = Transport(), Transport()
    for number, transport in ((1, reset), (2, well), (3, reset)):
        box.add(cast(Any, transport), Receipt(number, 1))
    reset.error = 104
    await asyncio.sleep(2 * CONFIRM_INTERVAL_S)
    assert meter.confirmed == [Receipt(2, 1)]
    assert meter.voided == [Receipt(1, 1), Receipt(3, 1)]
    assert reset.closing


async def test_what_a_peer_that_ended_its_side_was_sent_waits_for_its_end() -> None:
    box, meter = outbox()
    transport = Transport()
    assert not box.doubt(cast(Any, transport))
    box.add(cast(Any, transport), Receipt(1, 1))
    assert box.doubt(cast(Any, transport))
    await asyncio.sleep(2 * CONFIRM_INTERVAL_S)
    assert meter.confirmed == meter.voided == []
    box.lost(cast(Any, transport), None)
    await box.finish()
    assert meter.confirmed == [Receipt(1, 1)]
