"""Loading the generated records beside Zebra: wall time, CPU, peak memory, disk.

    python -m benchmarks.load --records 100000 --rounds 3

Each round loads both from nothing, in turns. Memory is the peak of the
proportional set size of all processes of the load; disk is what the loaded
catalogue occupies, records and index, with the server stopped.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import run
from benchmarks.compare import MILLION, OURS, PEER, machine, spread
from benchmarks.generate import prepared
from benchmarks.markdown import Line
from benchmarks.servers import LoadFigures

# title, figure, goal as ours / Zebra
FIGURES: tuple[tuple[str, Callable[[LoadFigures], float], float | None], ...] = (
    ("wall, s", lambda figures: figures.wall_s, 1.0),
    ("CPU, s", lambda figures: figures.cpu_s, None),
    ("peak memory, MB", lambda figures: figures.memory_bytes / 1e6, 1.0),
    ("disk, MB", lambda figures: figures.disk_bytes / 1e6, 0.4),
)


# title, figure, goal for ours alone: with a million records
_FIGURES_OF_A_MILLION: tuple[tuple[str, Callable[[LoadFigures], float], float], ...] = (
    ("the same, wall, s", lambda figures: figures.wall_s, 480.0),
    ("the same, peak memory, MB", lambda figures: figures.memory_bytes / 1e6, 2_000.0),
)


def lines(ours: LoadFigures, peer: LoadFigures, records: int) -> list[Line]:
    """A load of each, compared."""
    found = [Line(title, figure(ours), figure(peer), goal) for title, figure, goal in FIGURES]
    if records >= MILLION:
        found += [
            Line(title, figure(ours), figure(peer), goal, alone=True)
            for title, figure, goal in _FIGURES_OF_A_MILLION
        ]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = run.parser(
        "python -m benchmarks.load",
        "Load generated records into Lianmu and into Zebra.",
        "--records 100000 --rounds 3",
    )
    run.add_turns(parser, rounds=1)
    run.add_servers(parser)
    options = parser.parse_args(arguments)

    def work(folder: Path) -> int:
        servers = run.chosen(run.z3950_servers(folder, options.workers)[:2], options.only)
        found: dict[str, list[LoadFigures]] = {server.name: [] for server in servers}
        print(f"{options.records:,} records, {machine()}")
        records_path, _ = prepared(options.records, folder)
        print(f"  {records_path.stat().st_size / 1e6:.0f} MB of ISO 2709")
        for _ in range(options.rounds):
            for server in servers:
                shutil.rmtree(server.directory, ignore_errors=True)
                found[server.name].append(server.loaded(records_path))
        _report(found)
        if options.json:
            rounds = {name: [asdict(one) for one in figures] for name, figures in found.items()}
            options.json.write_text(json.dumps(rounds, indent=1), encoding="utf-8")
        return 0

    return run.completed(options, work)


def _report(found: Mapping[str, Sequence[LoadFigures]]) -> None:
    for title, figure, goal in FIGURES:
        values = {name: [figure(one) for one in figures] for name, figures in found.items()}
        text = f"  {title:16}" + "".join(
            f"  {name} {spread(numbers, 1)}" for name, numbers in values.items()
        )
        if len(values) == 2:
            ratios = [a / b for a, b in zip(values[OURS], values[PEER], strict=True)]
            text += f"  ratio {spread(ratios, 2)}" + (f", goal ≤ {goal}" if goal else "")
        print(text)


if __name__ == "__main__":
    sys.exit(main())
