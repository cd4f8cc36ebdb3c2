"""What a load of further records does to the searches of a running server.

    python -m benchmarks.load_while_serving --records 100000 --more 40000

The server holds generated records; connections search it without pause, first
alone, then while `lianmu load` stores more of them, in turns. Two figures count:
the server's CPU per search (readers must not have to make anew what they keep),
and searches per second, which also has the load's share of the machine in it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from statistics import median

from benchmarks import apdus, server_cpu
from benchmarks.compare import machine, spread
from benchmarks.generate import Workload, prepared
from benchmarks.lianmu import PROGRAM, Lianmu
from benchmarks.load_generator import (
    Exchange,
    LoadGenerator,
    Operation,
    Workpiece,
    known_item,
    search,
)
from benchmarks.records import Generator
from benchmarks.rows import TITLE, present, words_and_author
from benchmarks.run import completed, parser
from benchmarks.servers import copies, end, running, start_process

SLOWDOWN_MAX = 2.0  # goal: searches are not slowed by more than half


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of searching."""

    cpu_us: float  # of the server, per operation
    per_s: float
    p99_us: float


def operations(workload: Workload, database: str) -> dict[str, tuple[Operation, ...]]:
    """Operations whose answers stay right, or grow, when records are added."""
    sort = Exchange(apdus.sort_request(TITLE), apdus.SORT_RESPONSE, apdus.SORT_STATUS, 0, 0)
    words = words_and_author(workload, database)
    items = [known_item(database, isbn) for isbn in workload.isbns]
    ranked = [
        (search(database, apdus.term(TITLE, term.term), least=term.hits), sort, present(1, 10))
        for term in workload.terms_1k_hits
    ]
    mixed = chain.from_iterable(zip_longest(items[: len(words)], words))
    return {
        "ISBN, and words with author": tuple(each for each in mixed if each is not None),
        "about 1k hits, sort by title": tuple(ranked),
    }


def more_records(first: int, count: int, path: Path) -> None:
    """The generated records behind the first ones."""
    generator = Generator()
    with path.open("wb", buffering=1 << 20) as file:
        for index in range(first, first + count):
            file.write(generator.record(index).marc)


def turns(
    server: Lianmu, generator: LoadGenerator, piece: Workpiece, seconds: float
) -> Iterator[Turn]:
    """Turn after turn, for as long as somebody asks."""
    while True:
        before_s = server_cpu.cpu_s(server.pid)
        load = generator.run(piece, seconds=seconds)
        used_s = server_cpu.cpu_s(server.pid) - before_s
        if load.errors:
            raise RuntimeError(f"{load.errors} wrong answers: {load.error_examples[0]}")
        count = max(load.operations, 1)
        yield Turn(1e6 * used_s / count, load.operations_per_s, load.p99_us)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(
        "python -m benchmarks.load_while_serving",
        "Search a server with and without a load beside it.",
        "--records 100000 --more 40000",
    )
    options.add_argument("--more", type=int, default=40_000, help="loaded in each comparison")
    options.add_argument("--connections", type=int, default=4, help="kept connections, all busy")
    options.add_argument("--alone", type=int, default=5, help="turns without a load")
    chosen = options.parse_args(arguments)
    return completed(chosen, lambda folder: compare(chosen, folder))


def compare(options: argparse.Namespace, folder: Path) -> int:
    reason = Lianmu.missing()
    if reason:
        raise RuntimeError(reason)
    records_path, workload = prepared(options.records, folder)
    kept = Lianmu(folder)
    print(f"{options.records:,} records, {options.connections} connections, {machine()}")
    kept.loaded(records_path)
    with copies([kept]) as changed:  # because it holds more afterwards
        server = Lianmu(changed, workers=options.workers)
        return 0 if _beside_loads(server, workload, options) else 1


def _beside_loads(server: Lianmu, workload: Workload, options: argparse.Namespace) -> bool:
    """Measure and print; whether the goals are met."""
    passed = True
    with running([server]) as addresses:
        for number, (title, wanted) in enumerate(operations(workload, server.database).items()):
            more_path = server.directory / f"more-{number}.mrc"
            more_records(options.records + number * options.more, options.more, more_path)
            with LoadGenerator(
                addresses[server.name], connections=options.connections,
                user=server.user, password=server.password,
            ) as generator:  # fmt: skip
                turn = turns(server, generator, Workpiece(wanted), options.seconds)
                next(turn)  # to warm up
                alone = [next(turn) for _ in range(options.alone)]
                beside, wall_s = load_beside(server, more_path, turn)
            passed &= report(title, alone, beside, options.more / wall_s)
            more_path.unlink()
    return passed


def load_beside(server: Lianmu, more_path: Path, turn: Iterator[Turn]) -> tuple[list[Turn], float]:
    """The turns while a load runs, and how long it took; the last turn, half without, is none."""
    started_s = time.monotonic()
    process = start_process(
        [
            PROGRAM, "load", "--config", "config.toml", "--database", server.database,
            more_path.resolve(),
        ],
        server.directory,
        server.log_path(),
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    beside: list[Turn] = []
    try:
        while process.poll() is None:
            beside.append(next(turn))
        wall_s = time.monotonic() - started_s
        if process.returncode:
            raise RuntimeError(f"lianmu load ended with status {process.returncode}")
    finally:
        end(process)
    return (beside[:-1] if len(beside) > 1 else beside), wall_s


def report(title: str, alone: Sequence[Turn], beside: Sequence[Turn], loaded_per_s: float) -> bool:
    """Print both; whether the goal is met."""
    print(f"\n{title}")
    for name, found in (("alone", alone), ("beside a load", beside)):
        print(
            f"  {name:14}{spread([each.cpu_us for each in found]):>22} µs CPU"
            f"  {spread([each.per_s for each in found]):>22}/s"
            f"  p99 {median(each.p99_us for each in found) / 1000:6.1f} ms"
        )
    cpu = median(each.cpu_us for each in beside) / median(each.cpu_us for each in alone)
    slower = median(each.per_s for each in alone) / median(each.per_s for each in beside)
    print(
        f"  CPU per search × {cpu:.2f}, goal ≤ {SLOWDOWN_MAX}; searches per second ÷ {slower:.2f},"
        f" goal ≤ {SLOWDOWN_MAX}; {loaded_per_s:,.0f} records loaded a second"
    )
    return cpu <= SLOWDOWN_MAX and slower <= SLOWDOWN_MAX


if __name__ == "__main__":
    sys.exit(main())
