"""Memory of the servers under many connections, beside Zebra.

    python -m benchmarks.memory --keep

10 busy connections beside 2,000 that opened an association and fell silent;
1,000 busy ones; and one association that takes 70,000 records. Memory is the
proportional set size of all processes of the server. One server runs at a
time, so that neither takes pages from the other's share. The longest operation
shows stalls.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import known_item, server_cpu
from benchmarks.compare import OURS, PEER, machine
from benchmarks.generate import Workload, prepared
from benchmarks.load_generator import LoadGenerator, Workpiece
from benchmarks.run import chosen, parser
from benchmarks.servers import Server, running
from benchmarks.zebra import YazZtest

WARM_UP_S_MAX = 120.0
LONG_SESSION_RECORDS = (10_000, 30_000, 50_000, 70_000)
LONG_SESSION_S_MAX = 600.0


@dataclass(frozen=True, slots=True)
class Situation:
    title: str
    busy: int
    idle: int
    goal: float  # ours / Zebra


SITUATIONS = (
    Situation("10 busy + 2,000 idle connections", 10, 2_000, 0.5),
    Situation("1,000 busy connections", 1_000, 0, 0.2),
)


def memory_bytes(
    server: Server, situation: Situation, workload: Workload, seconds: float
) -> tuple[int, str]:
    """The server's memory under `situation`, and how the load went.

    Raises:
        RuntimeError: an answer was wrong, or the generator failed.
    """
    piece = Workpiece(known_item.operations(workload, server.database))
    with (
        running([server]) as addresses,
        LoadGenerator(
            addresses[server.name],
            connections=situation.busy,
            idle=situation.idle,
            user=server.user,
            password=server.password,
        ) as generator,
    ):
        # Each connection works once before the clock starts: a server that
        # prepares something for every connection does it here.
        generator.run(piece, seconds=WARM_UP_S_MAX, operations=situation.busy)
        load = generator.run(piece, seconds=seconds)
        used_bytes = server_cpu.memory_bytes(server.pid)
    if load.errors:
        raise RuntimeError(f"{server.name}: {load.errors} errors, {load.error_examples[0]}")
    return used_bytes, (
        f"{load.operations_per_s:.0f}/s, p99 {load.p99_us / 1e3:.0f} ms,"
        f" longest {load.max_us / 1e3:.0f} ms"
    )


def memory_of_a_long_session(server: Server, workload: Workload) -> list[int]:
    """The server's memory after each LONG_SESSION_RECORDS of one association.

    Raises:
        RuntimeError: an answer was wrong, or LONG_SESSION_S_MAX did not do.
    """
    piece = Workpiece(known_item.operations(workload, server.database))
    found_bytes = []
    done = 0
    with (
        running([server]) as addresses,
        LoadGenerator(
            addresses[server.name], connections=1, user=server.user, password=server.password
        ) as generator,
    ):
        for goal in LONG_SESSION_RECORDS:
            load = generator.run(piece, seconds=LONG_SESSION_S_MAX, operations=goal - done)
            if load.errors or load.operations < goal - done:
                raise RuntimeError(f"{server.name}: a long session failed: {load}")
            done = goal
            found_bytes.append(server_cpu.memory_bytes(server.pid))
    return found_bytes


def measure(options: argparse.Namespace) -> None:
    servers = chosen(options)
    records_path, workload = prepared(options.records, options.work / str(options.records))
    print(f"{options.records:,} records, {machine()}")
    for server in servers:
        server.loaded(records_path)
    for situation in SITUATIONS:
        print(situation.title)
        found = {}
        for server in servers:
            used_bytes, how = memory_bytes(server, situation, workload, options.seconds)
            found[server.name] = used_bytes
            print(f"  {server.name:14} {used_bytes / 1e6:>8.0f} MB PSS  {how}", flush=True)
        if OURS in found and PEER in found:
            ratio = found[OURS] / found[PEER]
            print(f"  {OURS} / {PEER}: {ratio:.2f}, goal ≤ {situation.goal}")
    counts = ", ".join(f"{count:,}" for count in LONG_SESSION_RECORDS)
    print(f"one association after {counts} records, goal: flat")
    for server in servers:
        if server.name != YazZtest.name:
            sizes = memory_of_a_long_session(server, workload)
            text = "  ".join(f"{size / 1e6:.1f}" for size in sizes)
            print(f"  {server.name:14} {text} MB PSS", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(
        "python -m benchmarks.memory",
        "Measure memory under many connections, on Lianmu and on Zebra.",
        "example: python -m benchmarks.memory --records 5000 --seconds 5",
    ).parse_args(arguments)
    try:
        measure(options)
    except RuntimeError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            shutil.rmtree(options.work / str(options.records), ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
