"""Known-item search and present beside Zebra: the first figure a cataloguer feels.

    python -m benchmarks.known_item                      100,000 records, 10 connections
    python -m benchmarks.known_item --records 5000 --seconds 1 --rounds 3    a quick look

Both servers hold the same generated records and answer in turns. Each
operation is an ISBN search and a Present of the one full record, two round
trips on a kept connection; Lianmu runs with its defaults, so every record is
in the ledger, on disk, before it leaves. `yaz-ztest`, which searches nothing, is the floor
of the C implementation. The answers are checked: one hit, and the ISBN in the record.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from benchmarks import apdus
from benchmarks.compare import Z3950Row
from benchmarks.generate import Workload
from benchmarks.load_generator import Exchange, Operation, known_item, search
from benchmarks.run import row_parser, run
from benchmarks.zebra import YazZtest


def operations(workload: Workload, database: str) -> tuple[Operation, ...]:
    if database == YazZtest.database:
        return tuple(canned(database, isbn) for isbn in workload.isbns)
    return tuple(known_item(database, isbn) for isbn in workload.isbns)


def canned(database: str, isbn: str) -> Operation:
    """The same requests to a server that knows no ISBN and always has a record."""
    return (
        search(database, apdus.term(7, isbn), most=1 << 62),
        Exchange(apdus.present_request(1, 1), apdus.PRESENT_RESPONSE, apdus.RECORDS_RETURNED, 1, 1),
    )


ROW: Final = Z3950Row(
    "ISBN search + present 1 full record", 0.35, operations=operations, floor=True
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    options = row_parser(
        "python -m benchmarks.known_item",
        "Search an ISBN and present the record, on Lianmu and on Zebra.",
        "--records 5000 --seconds 1 --rounds 3",
    )
    return run([ROW], options.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
