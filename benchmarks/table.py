"""The whole budget in one table: every row, over several numbers of connections.

    python -m benchmarks.table                          100,000 records: some ten minutes
    python -m benchmarks.table --records 1000000 --keep      half an hour to load, then as long

Each cell is the server's CPU in µs per operation, the median of the rounds, of
Lianmu and of Zebra, and their ratio. The rows of `benchmarks.rows` and of
`benchmarks.sru`; memory is measured by `benchmarks.memory`. The table is Markdown.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import compare, sru
from benchmarks.compare import OURS, PEER, Measured, machine
from benchmarks.generate import prepared
from benchmarks.lianmu import Lianmu
from benchmarks.rows import ROWS
from benchmarks.run import finish, row_parser
from benchmarks.servers import LoadFigures, Server, running
from benchmarks.zebra import Zebra, ZebraSru

CONNECTIONS = (1, 10, 100)


def loaded(records_path: Path, pair: Sequence[Server]) -> Iterator[str]:
    """Load what is not loaded yet, and say how it went."""
    figures: dict[str, LoadFigures] = {}
    for server in pair:
        figures[server.name] = found = server.loaded(records_path)
        yield (
            f"- {server.name}: loaded in {found.wall_s:.1f} s, {found.cpu_s:.1f} s of CPU,"
            f" {found.memory_bytes >> 20} MB of memory, {found.disk_bytes >> 20} MB on disk"
        )
    ours, theirs = figures[OURS], figures[PEER]
    yield (
        f"- {OURS} / {PEER}: wall {ours.wall_s / theirs.wall_s:.2f} (goal ≤ 1.0),"
        f" disk {ours.disk_bytes / theirs.disk_bytes:.2f} (goal ≤ 0.4)"
    )


@contextmanager
def kept_or_removed(directory: Path, *, keep: bool) -> Iterator[None]:
    """Remove the folder afterwards unless the next run is to have it."""
    try:
        yield
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


def cell(measured: Measured) -> str:
    """Ours and the peer's in µs, and the median of the rounds' ratios."""
    ours, theirs = median(measured.cpu_us(OURS)), median(measured.cpu_us(PEER))
    p99_ms = median(one.load.p99_us for one in measured.rounds[OURS]) / 1e3
    wrong = " **wrong answers**" if measured.errors() else ""
    return (
        f"{ours:,.0f} / {theirs:,.0f} = **{median(measured.ratios()):.3g}**,"
        f" p99 {p99_ms:.1f} ms{wrong}"
    )


def wrong_answers(measured: Sequence[Measured]) -> list[str]:
    """Of which server, in which row, with the beginning of one; empty: there was none."""
    found = [f"- {one.row.title}: {text}" for one in measured for text in one.errors()]
    return ["", "Wrong answers:", "", *found] if found else []


def _line(
    row: compare.Row, measure: Callable[..., Measured], options: argparse.Namespace
) -> list[Measured]:
    """Measure a row over each number of connections, and print it."""
    found = [
        measure(
            connections=connections, rounds=options.rounds, seconds=options.seconds,
            operations=options.operations,
        )
        for connections in CONNECTIONS
    ]  # fmt: skip
    print(f"| {row.title} | ≤ {row.goal} | {' | '.join(map(cell, found))} |", flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = row_parser(
        "python -m benchmarks.table",
        "Measure every row of the budget on Lianmu and on Zebra, as a table.",
        "example: python -m benchmarks.table --records 5000 --seconds 1 --rounds 1",
    )
    parser.set_defaults(seconds=1.5, rounds=3)
    options = parser.parse_args(arguments)
    missing = [reason for reason in (Zebra.missing(), Lianmu.missing()) if reason]
    if missing:
        print(f"failed: {'; '.join(missing)}", file=sys.stderr)
        return 1
    work_dir = options.work / str(options.records)
    measured: list[Measured] = []
    with kept_or_removed(work_dir, keep=options.keep):
        records_path, workload = prepared(options.records, work_dir)
        print(f"{options.records:,} records, {machine()}\n", flush=True)
        ours = Lianmu(work_dir, workers=options.workers)
        for line in loaded(records_path, (Zebra(work_dir), ours)):
            print(line, flush=True)
        heads = " | ".join(f"{count} connection{'s' * (count > 1)}" for count in CONNECTIONS)
        print(f"\n| operation | goal | {heads} |\n|{'---|' * (len(CONNECTIONS) + 2)}", flush=True)

        try:
            with running(pair := (Zebra(work_dir), ours)) as addresses:
                for row in ROWS.values():
                    measured += _line(
                        row, partial(compare.measure, row, pair, addresses, workload), options
                    )
            http = (ZebraSru(work_dir), sru.LianmuSru(work_dir, workers=options.workers))
            with running(http) as addresses:
                for one in sru.ROWS:
                    measured += _line(
                        one.row, partial(sru.measure, one, http, addresses, workload), options
                    )
        except RuntimeError as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
    for line in wrong_answers(measured):
        print(line, flush=True)
    return finish(measured, options)


if __name__ == "__main__":
    sys.exit(main())
