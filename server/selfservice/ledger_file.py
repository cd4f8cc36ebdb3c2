"""A member's entries as a file, piece by piece: CSV for spreadsheets, JSON Lines for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass

from metering import ledger_export
from metering.csv_cell import cell
from metering.entry import Entry
from protocol.china_time import china_clock

_ROWS_PER_CHUNK = 1_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # Excel needs it to see Chinese
COLUMNS = (
    "number", "time_china", "kind", "meter", "quantity", "item", "database", "control_number",
    "account", "protocol", "session", "note", "refers_to", "id", "hash",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """`write` gives the file in pieces, none of them empty."""

    content_type: str
    write: Callable[[Iterator[Entry]], Generator[bytes]]


def _csv(entries: Iterator[Entry]) -> Generator[bytes]:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    yield _BYTE_ORDER_MARK + _taken(text)
    for number, entry in enumerate(entries, 1):
        writer.writerow(cell(value) for value in _row(entry))
        if number % _ROWS_PER_CHUNK == 0:
            yield _taken(text)
    if text.tell():
        yield _taken(text)


def _row(entry: Entry) -> tuple[object, ...]:
    return (
        entry.seq, china_clock(entry.at_us), entry.kind.value, entry.meter.value, entry.quantity,
        entry.item, entry.database, entry.control_number, entry.account, entry.protocol,
        entry.session, entry.note, entry.refers_to, entry.id, entry.hash.hex(),
    )  # fmt: skip


def _taken(text: io.StringIO) -> bytes:
    data = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return data


def _json_lines(entries: Iterator[Entry]) -> Generator[bytes]:
    data = io.BytesIO()
    for _ in ledger_export.write(entries, "jsonl", data):
        yield data.getvalue()
        data.seek(0)
        data.truncate()


FORMS: Mapping[str, Form] = {
    "csv": Form("text/csv; charset=utf-8", _csv),
    "jsonl": Form("application/jsonl", _json_lines),
}
