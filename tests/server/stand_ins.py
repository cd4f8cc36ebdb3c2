"""What stands in for the network and the ledger where one worker runs in the test itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from metering.interface import Delivery, MeteringError, Receipt


class Refusing:
    """A meter whose disk is full, told at once or only after a while."""

    def __init__(self, *, later: bool) -> None:
        self.later = later
        self.outcome: Receipt | MeteringError | None = MeteringError("the disk is full")
        self.resume: object = None

    def enter(self, deliveries: Sequence[Delivery]) -> Refusing:
        assert len(deliveries) == 1
        if not self.later:
            raise MeteringError("the disk is full")
        asyncio.get_running_loop().call_soon(self._tell)
        return self

    def _tell(self) -> None:
        assert callable(self.resume)
        self.resume()

    async def deliver(self, deliveries: Sequence[Delivery]) -> Receipt:
        raise MeteringError("the disk is full")

    def confirm(self, receipt: Receipt) -> None: ...

    def void(self, receipt: Receipt, reason: str) -> None: ...

    async def close(self) -> None: ...


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.written.append(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0

    def is_reading(self) -> bool:
        return True

    def resume_reading(self) -> None: ...

    def pause_reading(self) -> None: ...

    def close(self) -> None:
        self.closing = True

    async def wait(self, count: int) -> None:
        """Until more was written than `count` times."""
        async with asyncio.timeout(30):
            while len(self.written) == count:  # noqa: ASYNC110  (no event to wait for)
                await asyncio.sleep(0.001)
