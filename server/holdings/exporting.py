"""What a member holds, in the forms in which it can be read again."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from protocol.holdings_fields import holdings_record
from protocol.marcxml import to_marcxml
from server.holdings.change import Format
from store.holdings_listing import HeldRecord

COLUMNS = (
    "institution", "database", "control_number", "call_number", "location", "barcodes", "copies",
    "extent", "note", "changed",
)  # fmt: skip
_XML = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_ROWS_PER_PART = 1_000


def values_of(held: HeldRecord) -> dict[str, object]:
    """A holding by the names of columns; `changed` is UTC, ISO 8601."""
    holding = held.holding
    changed = datetime.fromtimestamp(held.modified_us / 1_000_000, UTC)
    return {
        "institution": holding.institution,
        "database": held.database.name,
        "control_number": held.control_number,
        "call_number": holding.call_number,
        "location": holding.location,
        "barcodes": list(holding.barcodes),
        "copies": holding.copies,
        "extent": holding.extent,
        "note": holding.note,
        "changed": changed.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def export(held: Iterable[HeldRecord], form: Format) -> Iterator[bytes]:
    """The octets of a file, part by part. JSON is one object a line.

    MARC is a holdings record for each in MARC 21, a record of 001 and 905 in CNMARC:
    the databases of one file should be of one format.
    """
    match form:
        case Format.CSV:
            yield from _csv(held)
        case Format.JSON:
            for each in held:
                yield msgspec.json.encode(values_of(each)) + b"\n"
        case Format.MARC:
            for each in held:
                yield _marc(each)
        case Format.MARCXML:
            yield _XML + b'<collection xmlns="http://www.loc.gov/MARC21/slim">\n'
            for each in held:
                yield to_marcxml(_marc(each)).encode() + b"\n"
            yield b"</collection>\n"


def _marc(held: HeldRecord) -> bytes:
    return holdings_record(held.control_number, held.database.family, held.holding)


def _csv(held: Iterable[HeldRecord]) -> Iterator[bytes]:
    part = io.StringIO(newline="")
    rows = csv.writer(part)
    # Spreadsheets take a file without the mark for one in the system's old encoding.
    part.write("\ufeff")
    rows.writerow(COLUMNS)
    for count, each in enumerate(held, 1):
        values = values_of(each) | {"barcodes": "; ".join(each.holding.barcodes)}
        rows.writerow([values[column] for column in COLUMNS])
        if count % _ROWS_PER_PART == 0:
            yield part.getvalue().encode()
            part.seek(0)
            part.truncate()
    yield part.getvalue().encode()
