"""What metering costs a whole server, and how many durable deliveries a second it makes.

    python -m benchmarks.metering_cost                    100,000 records
    python -m benchmarks.metering_cost --records 5000 --seconds 1 --rounds 1    a quick look

The same server answers known-item searches with metering on, as it always is,
and off (`benchmarks.metering_off`), in turns. CPU is that of all processes of
the server, the folding into the ledger included, which is shown apart too. Then
50 connections present one record after another. The disk's own rate is measured
just before that: a delivery waits for the disk once, and shares that with all
that wait. Every delivery is looked for in the ledger at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import apdus, run, server_cpu
from benchmarks.compare import machine, spread
from benchmarks.generate import Workload, prepared
from benchmarks.lianmu import CHECKOUT, PROGRAM, Lianmu
from benchmarks.load_generator import Exchange, LoadGenerator, Workpiece, known_item, search
from benchmarks.load_process import Load
from benchmarks.servers import running
from metering.spool_writer import Disk

RATIO_GOAL = 1.6
DELIVERIES_GOAL = 8_000
DELIVERY_CONNECTIONS = 50
PROBE_BYTES = 4_096
PROBE_FILE_BYTES = 1 << 20
# Folding waits a second for the stragglers of all workers, and a turn of half a second.
FOLDED_AFTER_S = 2.0
WARM_UP_S = 1.0


class Metered(Lianmu):
    """The server as it is."""

    def __init__(self, work_dir: Path, *, workers: int) -> None:
        super().__init__(work_dir, workers=workers)
        self.name = "metering on"
        self.deliveries = 0  # that its clients were given


class Unmetered(Lianmu):
    """The same on a copy of its data, entering nothing."""

    # It is started in the folder of its data, from which this package is not found.
    program = (
        sys.executable, "-c",
        f"import runpy, sys; sys.path[0] = {str(CHECKOUT)!r};"
        "runpy.run_module('benchmarks.metering_off', run_name='__main__')",
    )  # fmt: skip

    def __init__(self, metered: Metered, *, workers: int) -> None:
        super().__init__(metered.directory.parent, workers=workers)
        self.name = "metering off"
        self.directory = metered.directory.with_name("metering-off")
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.copytree(metered.directory, self.directory)


@dataclass(slots=True)
class Cost:
    """Server CPU µs per operation, round by round."""

    total_us: list[float] = field(default_factory=list)
    writer_us: list[float] = field(default_factory=list)  # of it: folding and merging
    loads: list[Load] = field(default_factory=list)


def known_items(
    servers: Sequence[Lianmu], options: argparse.Namespace, workload: Workload
) -> dict[str, Cost]:
    """Search and present beside each other, `options.rounds` turns of each server.

    Raises:
        RuntimeError: an answer was wrong, or the generator failed.
    """
    costs = {server.name: Cost() for server in servers}
    piece = Workpiece(tuple(known_item(servers[0].database, isbn) for isbn in workload.isbns))
    with running(servers) as addresses:
        generators = {
            server.name: LoadGenerator(
                addresses[server.name], connections=options.connections,
                user=server.user, password=server.password,
            )
            for server in servers
        }  # fmt: skip
        try:
            for server in servers:
                warm_up = generators[server.name].run(piece, seconds=WARM_UP_S)
                _count(server, warm_up)
            for _ in range(options.rounds):
                for server in servers:
                    before_s, writer_before_s = _settled_cpu_s(server)
                    load = generators[server.name].run(piece, seconds=options.seconds)
                    after_s, writer_after_s = _settled_cpu_s(server)
                    _count(server, load)
                    cost = costs[server.name]
                    cost.loads.append(load)
                    cost.total_us.append((after_s - before_s) / load.operations * 1e6)
                    cost.writer_us.append(
                        (writer_after_s - writer_before_s) / load.operations * 1e6
                    )
        finally:
            for generator in generators.values():
                generator.close()
        _check_ledger(servers)
    return costs


def deliveries_a_second(
    server: Metered, options: argparse.Namespace, workload: Workload
) -> list[tuple[float, Load]]:
    """Presents of one record on 50 connections: the disk's rate before each turn, and the turn.

    Raises:
        RuntimeError: an answer was wrong, or the generator failed.
    """
    term = workload.terms_1k_hits[0]
    find = search(server.database, apdus.term(4, term.term), least=term.hits, most=term.hits)
    presents = tuple(
        (
            Exchange(
                apdus.present_request(position, 1), apdus.PRESENT_RESPONSE,
                apdus.RECORDS_RETURNED, 1, 1,
            ),
        )
        for position in range(1, term.hits + 1)
    )  # fmt: skip
    found = []
    with (
        running([server]) as addresses,
        LoadGenerator(
            addresses[server.name], connections=DELIVERY_CONNECTIONS,
            user=server.user, password=server.password,
        ) as generator,
    ):  # fmt: skip
        # One for each connection, whose set the Presents take from.
        generator.run(Workpiece(((find,),)), seconds=60.0, operations=DELIVERY_CONNECTIONS)
        _count(server, generator.run(Workpiece(presents), seconds=WARM_UP_S))
        for _ in range(options.rounds):
            disk = durable_writes_a_second(server.directory, min(1.0, options.seconds))
            load = generator.run(Workpiece(presents), seconds=options.seconds)
            _count(server, load)
            found.append((disk, load))
        time.sleep(FOLDED_AFTER_S)
        _check_ledger([server])
    return found


def durable_writes_a_second(directory: Path, seconds: float) -> float:
    """How often a second this disk takes 4 KiB for good (RWF_DSYNC), one after the other."""
    disk = Disk()
    with tempfile.TemporaryFile(dir=directory) as file:
        descriptor = file.fileno()
        # Over blocks that are there, as a spool writes.
        disk.write(descriptor, bytes(PROBE_FILE_BYTES), 0)
        disk.sync(descriptor)
        count, begun_s = 0, time.perf_counter()
        while (taken_s := time.perf_counter() - begun_s) < seconds:
            offset = count * PROBE_BYTES % PROBE_FILE_BYTES
            disk.write_durably(descriptor, os.urandom(PROBE_BYTES), offset)
            count += 1
    return count / taken_s


def _count(server: Lianmu, load: Load) -> None:
    if load.errors:
        raise RuntimeError(f"{server.name}: {load.errors} errors, {load.error_examples[0]}")
    if isinstance(server, Metered):
        server.deliveries += load.operations


def _settled_cpu_s(server: Lianmu) -> tuple[float, float]:
    """CPU seconds of the server and of its writer process, once all is folded."""
    time.sleep(FOLDED_AFTER_S)
    total_s = server_cpu.settled_cpu_s(server.pid)
    _, writer, *_ = server_cpu.tree(server.pid)
    return total_s, server_cpu.cpu_s(writer)


def _check_ledger(servers: Sequence[Lianmu]) -> None:
    """Each delivery that a client counted is entered, and of the other server none.

    Raises:
        RuntimeError: so this was no measurement of what it says.
    """
    for server in servers:
        entered = server.entered()
        delivered = server.deliveries if isinstance(server, Metered) else 0
        if entered != delivered:
            raise RuntimeError(f"{server.name}: {delivered} deliveries, {entered} entered")


def report_cost(costs: dict[str, Cost], connections: int) -> None:
    print(f"ISBN search + present 1 full record, {connections} connections")
    for name, cost in costs.items():
        print(
            f"  {name:13} {spread(cost.total_us, 1):>24} µs CPU, writer"
            f" {median(cost.writer_us):.1f}"
            f"  {median(load.operations_per_s for load in cost.loads):>7.0f}/s"
            f"  p50 {median(load.p50_us for load in cost.loads):.0f} µs"
            f"  p99 {median(load.p99_us for load in cost.loads):.0f} µs"
        )
    on, off = costs.values()
    ratios = [a / b for a, b in zip(on.total_us, off.total_us, strict=True)]
    in_workers = [
        (on.total_us[i] - on.writer_us[i]) / (off.total_us[i] - off.writer_us[i])
        for i in range(len(ratios))
    ]
    print(f"  on / off: {spread(ratios, 2)}, goal ≤ {RATIO_GOAL}")
    print(f"  on / off, without the writer's folding: {spread(in_workers, 2)}")


def report_deliveries(found: Sequence[tuple[float, Load]]) -> None:
    rates = [load.operations_per_s for _, load in found]
    loads = [load for _, load in found]
    generator_us = median(1e6 * load.generator_cpu_s / load.operations for load in loads)
    print(f"durable deliveries of one record, {DELIVERY_CONNECTIONS} connections")
    print(
        f"  {spread(rates)} a second, goal ≥ {DELIVERIES_GOAL:,};"
        f" p50 {median(load.p50_us for load in loads):.0f} µs"
        f"  p99 {median(load.p99_us for load in loads):.0f} µs"
        f"  generator {generator_us:.0f} µs CPU each"
    )
    print(f"  the disk: {spread([disk for disk, _ in found])} durable writes of 4 KiB a second")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = run.parser(
        "python -m benchmarks.metering_cost",
        "Measure metering on and off, and durable deliveries a second.",
        "--records 5000 --seconds 1 --rounds 1",
    )
    run.add_turns(parser, rounds=5)
    parser.add_argument("--connections", type=int, default=10, help="of the known-item rows")
    options = parser.parse_args(arguments)
    return run.completed(options, lambda folder: measure(options, folder))


def measure(options: argparse.Namespace, folder: Path) -> int:
    """Raises RuntimeError: an answer was wrong, or a delivery is not in the ledger."""
    if not PROGRAM.exists():
        raise RuntimeError(Lianmu.missing())
    records_path, workload = prepared(options.records, folder)
    print(f"{options.records:,} records, {machine()}")
    metered = Metered(folder, workers=options.workers)
    metered.loaded(records_path)
    unmetered = Unmetered(metered, workers=options.workers)
    try:
        metered.deliveries = metered.entered()
        costs = known_items([metered, unmetered], options, workload)
        report_cost(costs, options.connections)
        deliveries = deliveries_a_second(metered, options, workload)
        report_deliveries(deliveries)
    finally:
        shutil.rmtree(unmetered.directory, ignore_errors=True)
    if options.json:
        rounds = {
            "cost": {name: asdict(cost) for name, cost in costs.items()},
            "deliveries": [{"disk_per_s": disk, **asdict(load)} for disk, load in deliveries],
        }
        options.json.write_text(json.dumps(rounds, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
