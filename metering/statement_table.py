"""A statement as CSV and as JSON: all of it, for programs and spreadsheets."""

from __future__ import annotations

import csv
import io
from typing import Any, BinaryIO

import msgspec

from metering.csv_cell import cell
from metering.statement import Progress, Statement, StatementLine

# One table: what a row is says `part`; columns that it has not are empty.
CSV_COLUMNS = (
    "part", "document", "status", "item", "quantity", "price_fen", "amount_fen", "month",
    "holdings", "downloads", "repeats", "batch", "uploads", "covers",
    *(name for name in StatementLine._fields if name not in ("document", "item", "quantity")),
)  # fmt: skip


def write_csv(statement: Statement, out: BinaryIO, progress: Progress | None = None) -> None:
    """One table in UTF-8 with a byte order mark, which Excel needs to see Chinese.

    Rows with the part `figure`, `bill`, `net`, `month` and `entry`. Texts that a
    spreadsheet would run as a formula begin with an apostrophe.
    """
    text = io.TextIOWrapper(out, encoding="utf-8-sig", newline="", write_through=True)
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\r\n")
    writer.writeheader()

    def row(part: str, **values: object) -> None:
        shown = {name: cell(value) for name, value in values.items()}
        writer.writerow({"part": part} | shown)

    main, now = statement.main, statement.current
    for name in ("holdings", "quota", "downloads", "repeats", "voided", "billable"):
        row("figure", document=now.number, status=now.status, item=name,
            quantity=getattr(now, name))  # fmt: skip
    for document in statement.documents:
        for line in document.lines:
            row("bill", document=document.number, status=document.status, item=line.item,
                quantity=line.quantity, price_fen=line.price_fen,
                amount_fen=line.amount_fen)  # fmt: skip
    row("net", status=main.status, amount_fen=statement.net_fen)
    for number, month in enumerate(statement.months, 1):
        row("month", month=f"{statement.year}-{number:02d}", holdings=month.holdings,
            downloads=month.downloads, repeats=month.repeats, batch=month.batch,
            uploads=month.uploads, covers=month.covers)  # fmt: skip
    for entry in statement.lines(progress):
        row("entry", **entry._asdict())
    text.detach()


def write_json(statement: Statement, out: BinaryIO, progress: Progress | None = None) -> None:
    """One object: the summary, and under `entries` every ledger entry."""
    encode = msgspec.json.encode
    out.write(encode(summary(statement))[:-1] + b',"entries":[')
    for number, entry in enumerate(statement.lines(progress)):
        out.write((b",\n" if number else b"\n") + encode(entry._asdict()))
    out.write(b"\n]}\n")


def summary(statement: Statement) -> dict[str, Any]:
    """Everything but the entries, as plain values."""
    return {
        "institution": statement.institution,
        "name": statement.name,
        "year": statement.year,
        "estimate": statement.is_estimate,
        "receivable_fen": statement.receivable_fen,
        "payable_fen": statement.payable_fen,
        "net_fen": statement.net_fen,
        "due": statement.due,
        "documents": msgspec.to_builtins(statement.documents),
        "months": [
            {"month": f"{statement.year}-{number:02d}"} | msgspec.to_builtins(month)
            for number, month in enumerate(statement.months, 1)
        ],
        "remittance": msgspec.to_builtins(statement.remittance),
        "entry_count": statement.entry_count,
    }
