"""What a connection and whoever answers at once have to tell each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from metering.interface import Delivery
from protocol.frozen import frozen
from server.access_control.access import Principal
from server.access_control.request_limits import Admission


@frozen
class AnswerAtOnce:
    """A whole response, which may not be sent before `deliveries` are in the ledger.

    `query` is what stands behind the `?` of the address of the request, as it was sent;
    `address` is where the client is.
    """

    data: bytes
    deliveries: Sequence[Delivery]
    records: int
    principal: Principal
    session: str
    path: str
    query: bytes
    admission: Admission
    began_s: float
    address: str


class AtOnce(Protocol):
    """Answers requests of known forms without waiting, as `server.sru.at_once` does."""

    def answer(self, data: bytes, address: str, behind_proxy: bool = False) -> AnswerAtOnce | None:
        """The response to a request that came alone; None: it must go the long way.

        `behind_proxy`: the connection is from a proxy that is trusted to say in a
        header where the client is.
        """
