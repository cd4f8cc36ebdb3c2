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

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.compare import Client, Row
from benchmarks.generate import Workload
from benchmarks.http_load import HttpExchange, HttpLoadGenerator, search_request
from benchmarks.lianmu import Lianmu
from benchmarks.load_process import Address
from benchmarks.run import row_parser, run
from benchmarks.servers import Server
from benchmarks.zebra import ZebraSru

PAGE = 10


class LianmuSru(Lianmu):
    """Lianmu, addressed at its HTTP port."""

    def start(self) -> Address:
        super().start()
        return self.http_address


@dataclass(frozen=True, slots=True)
class SruRow(Row):
    """One line of the table; `exchanges` makes the requests for a server."""

    exchanges: Callable[[Workload, Server], tuple[HttpExchange, ...]] = lambda _, __: ()

    def client(self, server: Server, address: Address, connections: int) -> Client:
        return HttpLoadGenerator(address, connections=connections)

    def work(self, workload: Workload, server: Server) -> tuple[HttpExchange, ...]:
        return self.exchanges(workload, server)


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


ROWS: Final = {
    "sru-isbn": SruRow("SRU ISBN, one marcxml record", 0.35, exchanges=isbn_lookup),
    "sru-title": SruRow("SRU title, 10 marcxml records", 0.25, exchanges=title_page),
}


def sru_servers(folder: Path, workers: int) -> list[tuple[str, Server]]:
    """Why each cannot run here, and the server."""
    return [
        (ZebraSru.missing(), ZebraSru(folder)),
        (Lianmu.missing(), LianmuSru(folder, workers=workers)),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    options = row_parser(
        "python -m benchmarks.sru",
        "Look ISBNs up and fetch pages of a title search over SRU, on Lianmu and on Zebra.",
        "--records 5000 --seconds 1 --rounds 3",
    )
    return run(list(ROWS.values()), options.parse_args(arguments), sru_servers)


if __name__ == "__main__":
    sys.exit(main())
