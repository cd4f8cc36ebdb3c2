"""The command line that all comparisons share: make, load, start, measure, print, stop."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.compare import OURS, PEER, Measured, Row, machine, measure, report
from benchmarks.generate import prepared
from benchmarks.lianmu import Lianmu
from benchmarks.servers import WORK_DIR, Server, running
from benchmarks.zebra import YazZtest, Zebra

SERVER_NAMES = (PEER, OURS, YazZtest.name)


def parser(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Options of everything that starts the servers."""
    options = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    options.add_argument("--records", type=int, default=100_000, help="generated records")
    options.add_argument("--seconds", type=float, default=3.0, help="length of a turn at most")
    options.add_argument("--workers", type=int, default=0, help="of Lianmu; 0: one for each core")
    options.add_argument("--only", nargs="+", choices=SERVER_NAMES, help="just these servers")
    options.add_argument("--work", type=Path, default=WORK_DIR, help="folder for all files")
    options.add_argument(
        "--keep", action="store_true", help="leave records and catalogues for the next run"
    )
    return options


def row_parser(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Options of what measures rows."""
    options = parser(prog, description, epilog)
    options.add_argument("--connections", type=int, default=10, help="kept connections, all busy")
    options.add_argument("--rounds", type=int, default=5, help="turns of every server")
    options.add_argument(
        "--operations", type=int, default=1 << 60, help="operations of a turn at most"
    )
    options.add_argument("--json", type=Path, help="write every round to this file")
    return options


def chosen(options: argparse.Namespace) -> list[Server]:
    """The servers that can run here; a missing one is named on stderr."""
    work_dir = options.work / str(options.records)
    servers: list[Server] = []
    for name in options.only or SERVER_NAMES:
        server: Server
        if name == PEER:
            reason, server = Zebra.missing(), Zebra(work_dir)
        elif name == OURS:
            reason, server = Lianmu.missing(), Lianmu(work_dir, workers=options.workers)
        else:
            reason, server = YazZtest.missing(), YazZtest(work_dir)
        if reason:
            print(f"{name} is left out: {reason}", file=sys.stderr)
        else:
            servers.append(server)
    return servers


def run(rows: Sequence[Row], options: argparse.Namespace) -> int:
    """Measure `rows`; the exit status is 1 when any answer was wrong."""
    servers = chosen(options)
    records_path, workload = prepared(options.records, options.work / str(options.records))
    print(f"{options.records:,} records, {options.connections} connections, {machine()}")
    measured: list[Measured] = []
    try:
        for server in servers:
            figures = server.loaded(records_path)
            if figures.disk_bytes:
                print(
                    f"  {server.name:14} loaded in {figures.wall_s:.1f} s"
                    f" ({figures.cpu_s:.1f} s CPU, {figures.memory_bytes >> 20} MB,"
                    f" {figures.disk_bytes >> 20} MB on disk)",
                    flush=True,
                )
        with running(servers) as addresses:
            for row in rows:
                able = [one for one in servers if row.floor or one.name != YazZtest.name]
                measured.append(
                    measure(
                        row, able, addresses, workload,
                        connections=options.connections, rounds=options.rounds,
                        seconds=options.seconds, operations=options.operations,
                    )
                )  # fmt: skip
                print(report(measured[-1]), flush=True)
    except RuntimeError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            shutil.rmtree(options.work / str(options.records), ignore_errors=True)
    return finish(measured, options)


def finish(measured: Sequence[Measured], options: argparse.Namespace) -> int:
    """Write every round where `--json` says; the exit status."""
    if options.json:
        rounds = {
            one.row.title: {
                name: [asdict(single) for single in found] for name, found in one.rounds.items()
            }
            for one in measured
        }
        options.json.write_text(json.dumps(rounds, indent=1), encoding="utf-8")
    return 1 if any(one.errors() for one in measured) else 0
