"""A worker to be killed: delivers without pause and logs what it does.

Arguments: folder of spools, log file. The log has a line for each step, written
where the end of this process cannot take it back:

    D first count   the delivery was reported durable
    S first count   its bytes are being sent; the confirmation follows
    V first count   the delivery is being voided
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from metering.interface import Delivery
from metering.spool import SpoolMeter

CALLERS = 8


async def caller(meter: SpoolMeter, log: int, number: int) -> None:
    while True:
        deliveries = [
            Delivery(
                "PKU", "cn_cat", random.randrange(1 << 40), "012003000007", session=f"{number}"
            )
            for _ in range(random.choice((1, 1, 1, 10)))
        ]
        receipt = await meter.deliver(deliveries)
        os.write(log, f"D {receipt.first} {receipt.count}\n".encode())
        if random.random() < 0.1:
            await asyncio.sleep(random.random() / 100)
        if random.random() < 0.1:
            os.write(log, f"V {receipt.first} {receipt.count}\n".encode())
            meter.void(receipt, "reset by peer")
        else:
            os.write(log, f"S {receipt.first} {receipt.count}\n".encode())
            meter.confirm(receipt)


async def main(root: str, log_path: str) -> None:
    meter = SpoolMeter(Path(root), owner="killed", segment_size_bytes_max=20_000)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    await asyncio.gather(*(caller(meter, log, number) for number in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
