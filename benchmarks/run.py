"""What the command lines of the benchmarks share: options, folders, failures, rows in detail."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.compare import OURS, PEER, Measured, Row, machine, measure, report
from benchmarks.generate import prepared
from benchmarks.lianmu import Lianmu
from benchmarks.servers import WORK_DIR, Server, running
from benchmarks.zebra import YazZtest, Zebra

SERVER_NAMES = (PEER, OURS, YazZtest.name)


def parser(
    prog: str, description: str, example: str, *, seconds: float = 3.0
) -> argparse.ArgumentParser:
    """Options of everything that starts servers; `example` is what follows `prog`."""
    options = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=f"example: {prog} {example}",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    options.add_argument("--records", type=int, default=100_000, help="generated records")
    options.add_argument("--seconds", type=float, default=seconds, help="length of a turn at most")
    options.add_argument("--workers", type=int, default=0, help="of Lianmu; 0: one for each core")
    options.add_argument("--work", type=Path, default=WORK_DIR, help="folder for all files")
    options.add_argument(
        "--keep", action="store_true", help="leave records and catalogues for the next run"
    )
    return options


def add_turns(options: argparse.ArgumentParser, rounds: int) -> None:
    """Options of what measures servers in turns."""
    options.add_argument("--rounds", type=int, default=rounds, help="turns of every server")
    options.add_argument("--json", type=Path, help="write every round to this file")


def add_servers(options: argparse.ArgumentParser) -> None:
    """The option of what can do without one of the servers."""
    options.add_argument("--only", nargs="+", choices=SERVER_NAMES, help="just these servers")


def row_parser(prog: str, description: str, example: str) -> argparse.ArgumentParser:
    """Options of what measures rows in detail."""
    options = parser(prog, description, example)
    add_turns(options, rounds=5)
    add_servers(options)
    options.add_argument("--connections", type=int, default=10, help="kept connections, all busy")
    return options


def completed(options: argparse.Namespace, work: Callable[[Path], int]) -> int:
    """Do `work` in the folder of these records; the exit status.

    What could not be measured is said on stderr. The folder goes unless the next
    run is to have it. SIGTERM, too, lets servers be stopped and copies be removed.
    """
    folder = options.work / str(options.records)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        return work(folder)
    except RuntimeError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def chosen(
    candidates: Sequence[tuple[str, Server]], only: Sequence[str] | None = None
) -> list[Server]:
    """Of (why it cannot run here, server) those that can; another is named on stderr."""
    servers = []
    for reason, server in candidates:
        if only and server.name not in only:
            continue
        if reason:
            print(f"{server.name} is left out: {reason}", file=sys.stderr)
        else:
            servers.append(server)
    return servers


def z3950_servers(folder: Path, workers: int) -> list[tuple[str, Server]]:
    """Why each cannot run here, and the server: what `chosen` takes."""
    return [
        (Zebra.missing(), Zebra(folder)),
        (Lianmu.missing(), Lianmu(folder, workers=workers)),
        (YazZtest.missing(), YazZtest(folder)),
    ]


def run(
    rows: Sequence[Row],
    options: argparse.Namespace,
    servers: Callable[[Path, int], list[tuple[str, Server]]] = z3950_servers,
) -> int:
    """Measure `rows` in detail; the exit status is 1 when any answer was wrong."""

    def work(folder: Path) -> int:
        able = chosen(servers(folder, options.workers), options.only)
        records_path, workload = prepared(options.records, folder)
        print(f"{options.records:,} records, {options.connections} connections, {machine()}")
        for server in able:
            figures = server.loaded(records_path)
            if figures.disk_bytes:
                print(
                    f"  {server.name:14} loaded in {figures.wall_s:.1f} s"
                    f" ({figures.cpu_s:.1f} s CPU, {figures.memory_bytes >> 20} MB,"
                    f" {figures.disk_bytes >> 20} MB on disk)",
                    flush=True,
                )
        measured: list[Measured] = []
        with running(able) as addresses:
            for row in rows:
                measured.append(
                    measure(
                        row, [one for one in able if row.floor or one.name != YazZtest.name],
                        addresses, workload, connections=options.connections,
                        rounds=options.rounds, seconds=options.seconds,
                    )
                )  # fmt: skip
                print(report(measured[-1]), flush=True)
        if options.json:
            rounds = {one.row.title: one.plain() for one in measured}
            options.json.write_text(json.dumps(rounds, indent=1), encoding="utf-8")
        return 1 if any(one.errors() for one in measured) else 0

    return completed(options, work)
