"""The whole budget in tables: every row, the reading ones over several numbers of connections.

    python -m benchmarks.table                              100,000 records: ten minutes
    python -m benchmarks.table --records 1000000 --keep     twice a quarter of an hour
    python -m benchmarks.table --rows sort scan --connections 10 --keep     a part

The tables on standard output are Markdown for docs/performance.md; how far it is comes on
stderr. Records are generated and both catalogues loaded once. With `--keep` they stay for
the next run, which works on copies of them, and with `--resume` a run that was ended goes
on with the rows that are missing. Without, all files are removed at the end.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import compare, load, markdown, memory, sru, update
from benchmarks.compare import OURS, PEER, Measured, Row, machine
from benchmarks.generate import Workload, prepared
from benchmarks.lianmu import ALL_SOURCES, Lianmu, digest
from benchmarks.load_process import Address
from benchmarks.markdown import Line
from benchmarks.progress import Found, Progress
from benchmarks.rows import ROWS
from benchmarks.run import add_turns, chosen, completed, parser, z3950_servers
from benchmarks.servers import Server, copies, running
from benchmarks.zebra import Zebra

CONNECTIONS = (1, 10, 100)
LOAD = "load"
UPDATE, READERS = "update", "readers"
PARTS = (LOAD, *ROWS, *sru.ROWS, *memory.PARTS, UPDATE, READERS)
READERS_SECONDS = 2.0  # longer turns, because a 99th percentile is what they are for
UPDATED_RECORDS_MAX = 5_000


@dataclass(slots=True)
class Run:
    """One run of the table: what was asked, what was found, what went wrong."""

    options: argparse.Namespace
    workload: Workload
    found: Found
    progress: Progress
    measured: list[Measured] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)

    def wants(self, parts: Sequence[str]) -> list[str]:
        return [part for part in parts if part in self.options.rows]

    def part(self, name: str, measure: Callable[[], object]) -> Any:
        """What an earlier run found of the part, or what `measure` gives now; plain values.

        Raises:
            RuntimeError: it could not be measured.
        """
        if name in self.found.parts:
            self.progress.skip(name)
        else:
            self.found.add(name, measure())
            self.progress.done(name)
        return self.found.parts[name]

    def lines(self, name: str, measure: Callable[[], list[Line]]) -> None:
        """Print the lines of a part; one that cannot be measured does not end the run."""
        try:
            plain = self.part(name, lambda: [asdict(one) for one in measure()])
        except RuntimeError as error:
            self.unmeasured.append(f"- {name}: not measured: {error}")
            self.progress.done(name)
            return
        for one in plain:
            show(markdown.line(Line(**one)))


def show(text: str) -> None:
    print(text, flush=True)


def estimates_s(options: argparse.Namespace) -> dict[str, float]:
    """About how long each part takes, without the loads."""
    turn_s = min(compare.WARM_UP_S, options.seconds) + options.rounds * (options.seconds + 0.6)
    found = {
        _reading(name, connections): 2 * turn_s + 1.5
        for name in (*ROWS, *sru.ROWS)
        if name in options.rows
        for connections in options.connections
    }
    others_s = {
        "idle": 40.0 + 2 * options.seconds,
        "busy": 30.0 + 2 * options.seconds,
        memory.LONG_SESSION: 40.0,
        UPDATE: options.rounds * 7.0,
        READERS: 2 + 4 * options.rounds * READERS_SECONDS * options.seconds,
    }
    return found | {name: others_s[name] for name in others_s if name in options.rows}


def show_load(records_path: Path, pair: Mapping[str, Server], records: int) -> None:
    """Load what is not loaded yet, and say how it went."""
    figures = {name: server.loaded(records_path) for name, server in pair.items()}
    show(markdown.lines_head("loading"))
    for one in load.lines(figures[OURS], figures[PEER], records):
        show(markdown.line(one))


def show_reading(run: Run, folder: Path) -> None:
    """The rows that read, over Z39.50 and over SRU."""
    workers = run.options.workers
    groups: tuple[tuple[Mapping[str, Row], list[tuple[str, Server]]], ...] = (
        (ROWS, z3950_servers(folder, workers)[:2]),
        (sru.ROWS, sru.sru_servers(folder, workers)),
    )
    show(f"\n{markdown.READING_LEGEND}\n")
    show(markdown.reading_head(run.options.connections))
    for rows, candidates in groups:
        names = run.wants(tuple(rows))
        if not names:
            continue
        servers = chosen(candidates)
        with running(servers) as addresses:
            for name in names:
                cells = list(_cells(run, name, rows[name], servers, addresses))
                run.measured += cells
                show(markdown.reading_line(cells, run.options.records))


def _cells(
    run: Run, name: str, row: Row, servers: Sequence[Server], addresses: Mapping[str, Address]
) -> Iterator[Measured]:
    """One row over each number of connections."""
    for connections in run.options.connections:
        plain = run.part(
            _reading(name, connections),
            partial(
                _plain, row, servers, addresses, run.workload, connections=connections,
                rounds=run.options.rounds, seconds=run.options.seconds,
            ),
        )  # fmt: skip
        yield Measured.of(row, plain)


def _plain(*arguments: Any, **options: Any) -> dict[str, Any]:
    return compare.measure(*arguments, **options).plain()


def _reading(name: str, connections: int) -> str:
    return f"{name}, {connections} connection{'s' * (connections > 1)}"


def show_memory(run: Run, folder: Path) -> None:
    """The rows of memory; each starts the servers anew."""
    servers: dict[str, Server] = {
        PEER: Zebra(folder),
        OURS: Lianmu(folder, workers=run.options.workers),
    }
    show(f"\n{markdown.lines_head('memory (PSS of all processes)')}")
    for name in run.wants(memory.PARTS):
        measure = partial(memory.lines, name, servers, run.workload, run.options.seconds)
        run.lines(name, measure)


def show_changing(run: Run, folder: Path) -> None:
    """The rows that change records, last of all."""
    options = run.options
    pair = (
        update.WritableZebra(folder),
        update.UpdatedLianmu(folder, workers=options.workers),
    )
    # The readers' writer has other records than those that were updated before.
    updated = options.rounds * update.UPDATES
    count = min(UPDATED_RECORDS_MAX, options.records - updated)

    def updates() -> list[Line]:
        turns = update.updates(pair, addresses, rounds=options.rounds, first=0)
        return update.update_lines(turns[OURS], turns[PEER])

    def readers() -> list[Line]:
        turns = update.readers(
            pair, addresses, run.workload, rounds=options.rounds,
            seconds=READERS_SECONDS * options.seconds, first=updated, count=count,
        )  # fmt: skip
        return update.reader_lines(turns[OURS], turns[PEER])

    show(f"\n{markdown.lines_head('changing records')}")
    with running(pair) as addresses:
        for name, measure in ((UPDATE, updates), (READERS, readers)):
            if name in options.rows:
                run.lines(name, measure)


def wrong_answers(measured: Sequence[Measured]) -> list[str]:
    """Of which server, in which row, with the beginning of one; empty: there was none."""
    return [f"- {one.row.title}: {text}" for one in measured for text in one.errors()]


def tables(options: argparse.Namespace, folder: Path) -> int:
    """Measure and print what was asked; the exit status is 1 when an answer was wrong."""
    missing = [reason for reason in (Zebra.missing(), Lianmu.missing()) if reason]
    if missing:
        raise RuntimeError("; ".join(missing))
    records_path, workload = prepared(options.records, folder)
    show(f"{options.records:,} records, {machine()}\n")
    originals: dict[str, Server] = {PEER: Zebra(folder), OURS: Lianmu(folder)}
    if LOAD in options.rows:
        show_load(records_path, originals, options.records)
    else:
        for server in originals.values():
            server.loaded(records_path)
    asked = {name: getattr(options, name) for name in ("records", "seconds", "rounds", "workers")}
    stamp = asked | {"sources": digest(ALL_SOURCES)}
    found = Found(folder / "found.json", stamp, resume=options.resume)
    run = Run(options, workload, found, Progress(estimates_s(options)))
    with copies(list(originals.values())) if options.keep else nullcontext(folder) as work_folder:
        for names, show_part in (
            ((*ROWS, *sru.ROWS), show_reading),
            (memory.PARTS, show_memory),
            ((UPDATE, READERS), show_changing),
        ):
            if run.wants(names):
                show_part(run, work_folder)
    wrong = wrong_answers(run.measured)
    if wrong or run.unmeasured:
        show("\n".join(["\nWrong answers, and what could not be measured:\n", *wrong]))
        show("\n".join(run.unmeasured))
    if options.json:
        options.json.write_text(json.dumps(found.parts, indent=1), encoding="utf-8")
    return 1 if wrong or run.unmeasured else 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(
        "python -m benchmarks.table",
        "Measure every row of the budget on Lianmu and on Zebra, as tables.",
        "--records 5000 --seconds 0.5 --rounds 1 --rows known-item update",
        seconds=1.0,
    )
    add_turns(options, rounds=3)
    options.add_argument(
        "--connections", type=int, nargs="+", default=CONNECTIONS, help="of the rows that read"
    )
    options.add_argument(
        "--resume", action="store_true",
        help="take what runs with --keep and the same options have found of the same sources",
    )  # fmt: skip
    options.add_argument("--rows", nargs="+", choices=PARTS, default=PARTS, help="just these")
    asked = options.parse_args(arguments)
    return completed(asked, lambda folder: tables(asked, folder))


if __name__ == "__main__":
    sys.exit(main())
