"""Loading the generated records beside Zebra: wall time, CPU, peak memory, disk.

    python -m benchmarks.load --records 100000 --rounds 3

Each round loads both from nothing, in turns. Memory is the peak of the
proportional set size of all processes of the load; disk is what the loaded
catalogue occupies, records and index, with the server stopped.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.compare import OURS, PEER, machine, spread
from benchmarks.generate import prepared
from benchmarks.lianmu import Lianmu
from benchmarks.servers import WORK_DIR, LoadFigures, Server
from benchmarks.zebra import Zebra

# title, figure, unit, goal as ours / Zebra
_FIGURES: tuple[tuple[str, Callable[[LoadFigures], float], float | None], ...] = (
    ("wall, s", lambda figures: figures.wall_s, 1.0),
    ("CPU, s", lambda figures: figures.cpu_s, None),
    ("peak memory, MB", lambda figures: figures.memory_bytes / 1e6, 1.0),
    ("disk, MB", lambda figures: figures.disk_bytes / 1e6, 0.4),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description="Load generated records into Lianmu and into Zebra.",
        epilog="example: python -m benchmarks.load --records 100000 --rounds 3",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--records", type=int, default=100_000, help="generated records")
    parser.add_argument("--rounds", type=int, default=1, help="loads of each")
    parser.add_argument("--only", choices=(PEER, OURS), help="just this one")
    parser.add_argument("--work", type=Path, default=WORK_DIR, help="folder for all files")
    parser.add_argument("--keep", action="store_true", help="leave the records for the next run")
    parser.add_argument("--json", type=Path, help="write every round to this file")
    options = parser.parse_args(arguments)
    work_dir = options.work / str(options.records)
    servers: dict[str, Server] = {PEER: Zebra(work_dir), OURS: Lianmu(work_dir)}
    for name, reason in ((PEER, Zebra.missing()), (OURS, Lianmu.missing())):
        if reason or options.only not in {None, name}:
            del servers[name]
            if reason:
                print(f"{name} is left out: {reason}", file=sys.stderr)
    found: dict[str, list[LoadFigures]] = {name: [] for name in servers}
    print(f"{options.records:,} records, {machine()}")
    try:
        records_path, _ = prepared(options.records, work_dir)
        print(f"  {records_path.stat().st_size / 1e6:.0f} MB of ISO 2709")
        for _ in range(options.rounds):
            for name, server in servers.items():
                shutil.rmtree(server.directory, ignore_errors=True)
                found[name].append(server.loaded(records_path))
    except RuntimeError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            shutil.rmtree(work_dir, ignore_errors=True)
    for title, figure, goal in _FIGURES:
        values = {name: [figure(one) for one in figures] for name, figures in found.items()}
        line = f"  {title:16}" + "".join(
            f"  {name} {spread(numbers, 1)}" for name, numbers in values.items()
        )
        if len(values) == 2:
            ratios = [a / b for a, b in zip(values[OURS], values[PEER], strict=True)]
            line += f"  ratio {spread(ratios, 2)}" + (f", goal ≤ {goal}" if goal else "")
        print(line)
    if options.json:
        rounds = {name: [asdict(one) for one in figures] for name, figures in found.items()}
        options.json.write_text(json.dumps(rounds, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
