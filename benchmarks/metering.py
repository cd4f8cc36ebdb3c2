"""What one metered delivery costs, apart from the server around it.

    python -m benchmarks.metering [--seconds 1] [--directory DIR]

CPU is that of the whole process (user and system) in µs. "over a meter that
stores nothing" takes off what asyncio and this driver cost by themselves. The
disk's own cost is printed first: all figures hang on it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

from metering.fold import Folder
from metering.interface import Delivery, Receipt
from metering.ledger import Ledger
from metering.spool import SpoolMeter, utc_us
from metering.spool_writer import Disk, SpoolWriter
from metering.usage import UsageReader

CALLERS = (1, 10, 50, 100)
FOLDED = 20_000
GROUP = 20
ROUNDS = 3


class MeterOfNothing:
    """Answers in the next turn of the loop."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[Receipt]] = []

    async def deliver(self, deliveries: Sequence[Delivery]) -> Receipt:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._answer)
        self._waiting.append(future)
        return await future

    def _answer(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.set_result(Receipt(1, 1))

    def confirm(self, receipt: Receipt) -> None:
        pass

    async def close(self) -> None:
        pass


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def delivery(number: int) -> Delivery:
    return Delivery(
        f"LIB{number % 40:03d}", "cn_cat", number * 7_919 % 1_000_003, f"012003{number:06d}",
        "cataloguer1", "z3950", f"a-{number % 50}",
    )  # fmt: skip


async def drive(
    meter: SpoolMeter | MeterOfNothing, callers: int, seconds: float
) -> tuple[float, float]:
    """CPU µs a delivery, and deliveries a second."""
    count = 0
    end = time.monotonic() + seconds

    async def caller(number: int) -> None:
        nonlocal count
        deliveries = [delivery(number)]
        while time.monotonic() < end:
            meter.confirm(await meter.deliver(deliveries))
            count += 1

    begun_cpu, begun = cpu_s(), time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    figures = (cpu_s() - begun_cpu) / count * 1e6, count / (time.perf_counter() - begun)
    await meter.close()
    return figures


def measure_disk(directory: Path) -> None:
    disk = Disk()
    descriptor = os.open(directory / "probe", os.O_RDWR | os.O_CREAT)
    disk.write(descriptor, bytes(1 << 20), 0)
    disk.sync(descriptor)
    begun_cpu, begun = cpu_s(), time.perf_counter()
    for number in range(1_000):
        disk.write_durably(descriptor, b"x" * 1_000, number * 1_000)
    cpu_us, wall_us = ((cpu_s() - begun_cpu) * 1e3, (time.perf_counter() - begun) * 1e3)
    os.close(descriptor)
    print(f"one durable write of 1,000 octets: {cpu_us:.0f} µs CPU, {wall_us:.0f} µs")


def measure_meter(directory: Path, seconds: float) -> None:
    for callers in CALLERS:
        figures = []
        for number in range(ROUNDS):
            meter = SpoolMeter(directory / f"{callers}-{number}")
            cost, rate = uvloop.run(drive(meter, callers, seconds))
            group = meter.statistics.deliveries / meter.statistics.groups
            figures.append((cost, rate, group))
        nothing, _ = min(
            uvloop.run(drive(MeterOfNothing(), callers, seconds / 2)) for _ in range(ROUNDS)
        )
        cost, rate, group = min(figures)
        print(
            f"{callers:4d} callers: {cost:6.1f} µs CPU a delivery, {cost - nothing:6.1f} over a"
            f" meter that stores nothing; {rate:7.0f} a second; {group:.1f} a group"
        )


def timed(what: str, work: Callable[[], object]) -> None:
    begun = cpu_s()
    work()
    print(f"{what}: {(cpu_s() - begun) / FOLDED * 1e6:.1f} µs CPU a delivery")


def measure_fold(directory: Path) -> None:
    writer = SpoolWriter(directory / "spool", owner="", clock=utc_us, sync="off")
    for number in range(0, FOLDED, GROUP):
        at_us = utc_us()
        writer.settle(writer.commit([(at_us, [delivery(number + each)]) for each in range(GROUP)]))
    writer.close()
    ledger = Ledger(directory / "ledger.sqlite")
    reader = UsageReader(ledger, directory / "spool")
    timed("figures of all members, nothing folded", lambda: reader.usage_all(2000))
    timed("folding", lambda: Folder(ledger, directory / "spool").fold(lag_us=0))
    timed("verifying", ledger.verify)
    ledger.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--directory", type=Path, help="on the disk to be measured")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(dir=arguments.directory))
    try:
        measure_disk(directory)
        measure_meter(directory, arguments.seconds)
        measure_fold(directory)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
