"""SRU beside Zebra's: the two rows of the budget that go over HTTP.

    python -m benchmarks.sru                      100,000 records, 10 connections
    python -m benchmarks.sru --records 5000 --seconds 1 --rounds 3    a quick look

Zebra answers SRU by its `yazgfs` configuration, from the same database as over
Z39.50, converting records to MARCXML as it sends them; each connection is a
process, kept alive. Lianmu runs with its defaults: every record is in the
ledger, on disk, before it leaves. Both are asked the same CQL in SRU 1.1, and
every answer is checked: the hits, the number of records, the ISBN.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks import server_cpu
from benchmarks.compare import OURS, PEER, WARM_UP_S, Measured, Round, Row, machine, report
from benchmarks.generate import Workload, prepared
from benchmarks.http_load import HttpExchange, HttpLoadGenerator, search_request
from benchmarks.lianmu import Lianmu
from benchmarks.load_generator import Operation
from benchmarks.load_process import Address
from benchmarks.run import finish, row_parser
from benchmarks.servers import Server, running
from benchmarks.zebra import ZebraSru

PAGE = 10


class LianmuSru(Lianmu):
    """Lianmu, addressed at its HTTP port."""

    def start(self) -> Address:
        super().start()
        return self.http_address


@dataclass(frozen=True, slots=True)
class SruRow:
    """One line of the table; `exchanges` makes the requests for a server."""

    title: str
    exchanges: Callable[[Workload, Server], tuple[HttpExchange, ...]]
    goal: float

    @property
    def row(self) -> Row:
        """The row as reports know it."""

        def operations(_: Workload, __: str) -> tuple[Operation, ...]:
            raise NotImplementedError("rows of SRU have no APDUs")

        return Row(self.title, operations, goal=self.goal)


def isbn_lookup(workload: Workload, server: Server) -> tuple[HttpExchange, ...]:
    return tuple(
        HttpExchange(_request(server, f"bath.isbn={isbn}", 1), 1, 1, 1, isbn.encode())
        for isbn in workload.isbns
    )


def title_page(workload: Workload, server: Server) -> tuple[HttpExchange, ...]:
    return tuple(
        HttpExchange(
            _request(server, f"dc.title={term.term}", PAGE), term.hits, term.hits,
            min(PAGE, term.hits),
        )
        for term in workload.terms_1k_hits
    )  # fmt: skip


def _request(server: Server, query: str, records: int) -> bytes:
    return search_request(
        server.database, query, records=records, user=server.user, password=server.password
    )


ROWS: Final = (
    SruRow("SRU ISBN, one marcxml record", isbn_lookup, 0.35),
    SruRow("SRU title, 10 marcxml records", title_page, 0.25),
)


def measure(
    row: SruRow,
    servers: Sequence[Server],
    addresses: dict[str, Address],
    workload: Workload,
    *,
    connections: int,
    rounds: int,
    seconds: float,
    operations: int,
) -> Measured:
    """Run `row` against every server, `rounds` times in turns, each for `seconds` at most."""
    generators: dict[str, HttpLoadGenerator] = {}
    found: dict[str, list[Round]] = {server.name: [] for server in servers}
    try:
        for server in servers:
            generators[server.name] = HttpLoadGenerator(
                addresses[server.name], connections=connections
            )
        pieces = {server.name: row.exchanges(workload, server) for server in servers}
        for server in servers:
            generators[server.name].run(pieces[server.name], seconds=min(WARM_UP_S, seconds))
        for _ in range(rounds):
            for server in servers:
                before_s = server_cpu.settled_cpu_s(server.pid)
                load = generators[server.name].run(
                    pieces[server.name], seconds=seconds, operations=operations
                )
                used_s = server_cpu.settled_cpu_s(server.pid) - before_s
                found[server.name].append(Round(load, 1e6 * used_s / max(load.operations, 1)))
    finally:
        for generator in generators.values():
            generator.close()
    return Measured(row.row, found)


def main(arguments: Sequence[str] | None = None) -> int:
    options = row_parser(
        "python -m benchmarks.sru",
        "Look ISBNs up and fetch pages of a title search over SRU, on Lianmu and on Zebra.",
        "example: python -m benchmarks.sru --records 5000 --seconds 1 --rounds 3",
    ).parse_args(arguments)
    work_dir = options.work / str(options.records)
    servers: list[Server] = []
    wanted = options.only or (PEER, OURS)
    for name, missing, server in (
        (PEER, ZebraSru.missing(), ZebraSru(work_dir)),
        (OURS, Lianmu.missing(), LianmuSru(work_dir, workers=options.workers)),
    ):
        if missing:
            print(f"{name} is left out: {missing}", file=sys.stderr)
        elif name in wanted:
            servers.append(server)
    records_path, workload = prepared(options.records, work_dir)
    print(f"{options.records:,} records, {options.connections} connections, {machine()}")
    measured: list[Measured] = []
    try:
        for server in servers:
            server.loaded(records_path)
        with running(servers) as addresses:
            for row in ROWS:
                measured.append(
                    measure(
                        row, servers, addresses, workload,
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
            shutil.rmtree(work_dir, ignore_errors=True)
    return finish(measured, options)


if __name__ == "__main__":
    sys.exit(main())
