"""What an ISBN job hands over: one file of records, and a report of every number."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metering.csv_cell import cell
from protocol.diagnostic import Diagnostic
from protocol.iso2709 import EncodingFailure, encode_record
from protocol.record import StoredRecord
from server.batch.isbns import Line
from server.batch.job import Made, Resolved, State, Status
from server.delivery import record_forms
from server.delivery.retrieval import RecordForm

ISO_2709 = "iso2709"
ENCODINGS = ("utf-8", "gb18030", "marc-8")
_XML = b'<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A file of records: what stands before the first and behind the last.

    `form` makes a record; None: ISO 2709, in the encoding asked for.
    """

    extension: str
    content_type: str
    form: RecordForm | None = None
    head: bytes = b""
    separator: bytes = b""
    tail: bytes = b""


def _collection(form: RecordForm, content_type: str, element: str, namespace: str) -> FileFormat:
    head = f'<{element} xmlns="{namespace}">\n'.encode()
    return FileFormat("xml", content_type, form, _XML + head, b"\n", f"</{element}>\n".encode())


FORMATS: Mapping[str, FileFormat] = {
    ISO_2709: FileFormat("mrc", "application/marc"),
    "marcxml": _collection(
        record_forms.MARCXML, "application/marcxml+xml", "collection",
        "http://www.loc.gov/MARC21/slim",
    ),
    "marcxchange": _collection(
        record_forms.MARCXCHANGE, "application/xml", "collection", "info:lc/xmlns/marcxchange-v2"
    ),
    "mods": _collection(
        record_forms.MODS, "application/mods+xml", "modsCollection", "http://www.loc.gov/mods/v3"
    ),
}  # fmt: skip


def refused_format(name: str, encoding: str) -> str:
    """Why no file can be made in that format and encoding; "" when it can."""
    if name not in FORMATS:
        return f"there is no format {name}; there are {', '.join(FORMATS)}"
    if encoding not in ENCODINGS:
        return f"there is no encoding {encoding}; there are {', '.join(ENCODINGS)}"
    if name != ISO_2709 and encoding != "utf-8":
        return f"{name} is always in utf-8"
    return ""


def write_record(
    record: StoredRecord, name: str, encoding: str, *, references: bool
) -> bytes | str:
    """The octets of one record in the file, or why it cannot be in it."""
    file_format = FORMATS[name]
    if file_format.form is not None:
        made = file_format.form.make(record)
        return made.addinfo if isinstance(made, Diagnostic) else made + file_format.separator
    encoded = encode_record(
        record.marc, record.database.family, encoding, references=references
    )  # fmt: skip
    return encoded.reason if isinstance(encoded, EncodingFailure) else encoded


COLUMNS = (
    "line", "written", "isbn", "status", "control_number", "database", "level", "holdings",
    "note", "alternatives",
)  # fmt: skip


def report_rows(lines: Sequence[Line], resolved: Mapping[int, Resolved]) -> list[dict[str, Any]]:
    """A row for each number of the list; `alternatives` are those that were not chosen."""
    rows = []
    for place, line in enumerate(lines):
        found = resolved.get(place)
        if found is None:
            continue
        chosen = found.alternatives[0] if found.alternatives else None
        rows.append({
            "line": line.number,
            "written": line.written,
            "isbn": line.isbn,
            "status": found.status.value,
            "control_number": found.control_number,
            "database": found.database,
            "level": ("full" if chosen.full else "basic") if chosen else "",
            "holdings": chosen.holdings if chosen else "",
            "note": found.note,
            "alternatives": [
                {
                    "control_number": each.control_number, "database": each.database,
                    "level": "full" if each.full else "basic", "holdings": each.holdings,
                }
                for each in found.alternatives[1:]
            ] if found.status is Status.SEVERAL else [],
        })  # fmt: skip
    return rows


def report_document(
    made: Made, state: State, rows: Sequence[Mapping[str, Any]], price_fen: int
) -> dict[str, Any]:
    """The report for programs. `charge_fen` is 0 until the records are handed over."""
    return {
        "job": made.id,
        "institution": made.order.institution,
        "phase": state.phase.value,
        "format": made.order.format,
        "encoding": made.order.encoding,
        "databases": list(made.order.databases),
        "numbers": made.lines,
        "delivered": state.delivered,
        "price_fen": price_fen,
        "charge_fen": price_fen * state.delivered if state.finished_us else 0,
        "counts": {status.value: state.counts.get(status.value, 0) for status in Status},
        "lines": list(rows),
    }


def report_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The report for spreadsheets, with the mark by which they know UTF-8."""
    file = io.StringIO()
    file.write("\ufeff")
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    for row in rows:
        others = "; ".join(
            f"{each['control_number']} ({each['database']}, {each['level']},"
            f" {each['holdings']} libraries)"
            for each in row["alternatives"]
        )
        cells = {**row, "alternatives": others}
        writer.writerow({name: cell(value) for name, value in cells.items()})
    return file.getvalue()
