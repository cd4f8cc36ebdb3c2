"""The files in which records are exported: what begins and ends one, and each record between."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from protocol import dublin_core, marc_json, marcxml, mods
from protocol.charset import OUTPUT_ENCODINGS
from protocol.describe import describe
from protocol.holdings_fields import with_holdings
from protocol.iso2709 import EncodingFailure, encode_record, parse
from protocol.record import Holding, MarcFamily, StoredRecord

_XML = b'<?xml version="1.0" encoding="UTF-8"?>\n'
# C0 controls, but for those that XML has and the delimiters of ISO 2709.
_NOT_IN_XML = re.compile(b"[\x00-\x08\x0b\x0c\x0e-\x1c]|\xef\xbf[\xbe\xbf]")
CSV_COLUMNS = (
    "database", "control_number", "title", "author", "edition", "publisher", "year", "isbn",
    "issn", "language", "held_by", "version", "changed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unwritable:
    """Why a record cannot go out in this form."""

    reason: str


@dataclass(frozen=True, slots=True)
class Written:
    """A record's octets; `loss` says what of it the form cannot hold, "" nothing."""

    octets: bytes
    loss: str = ""


Make = Callable[[StoredRecord, Sequence[Holding]], "Written | Unwritable"]


@dataclass(frozen=True, slots=True)
class ExportForm:
    """`begin`, then what `make` gives of each record, then `end`."""

    make: Make
    begin: bytes = b""
    end: bytes = b""


FORMS = ("marc", "marcxml", "marcxchange", "json", "dc", "mods", "csv")
ENCODINGS = tuple(OUTPUT_ENCODINGS)


def export_form(
    name: str, *, encoding: str = "utf-8", references: bool = False, holdings: bool = False
) -> ExportForm:
    """The form of that name, one of FORMS.

    `encoding`, one of ENCODINGS, and `references` are for "marc": a character
    that the set lacks goes out as `&#x4E00;`, or the record cannot. `holdings`
    puts them into the fields of MARC forms.
    """

    def of_unicode(write: Callable[[bytes, MarcFamily], Written | Unwritable]) -> Make:
        return of_marc(lambda marc, family: write(_says_unicode(marc, family), family))

    def of_marc(write: Callable[[bytes, MarcFamily], Written | Unwritable]) -> Make:
        def make(record: StoredRecord, held: Sequence[Holding]) -> Written | Unwritable:
            family = record.database.family
            marc = with_holdings(record.marc, family, held) if holdings else record.marc
            return write(marc, family)

        return make

    def iso2709(marc: bytes, family: MarcFamily) -> Written | Unwritable:
        encoded = encode_record(marc, family, encoding, references=references)
        return (
            Unwritable(encoded.reason)
            if isinstance(encoded, EncodingFailure)
            else (Written(encoded))
        )

    match name:
        case "marc":
            return ExportForm(of_marc(iso2709))
        case "marcxml":
            return ExportForm(
                of_unicode(lambda marc, _: _xml(marc, marcxml.to_marcxml(marc).encode())),
                _XML + f'<collection xmlns="{marcxml.MARCXML_NAMESPACE}">\n'.encode(),
                b"</collection>\n",
            )
        case "marcxchange":
            return ExportForm(
                of_unicode(
                    lambda marc, family: _xml(marc, marcxml.to_marcxchange(marc, family).encode())
                ),
                _XML + f'<collection xmlns="{marcxml.MARCXCHANGE_NAMESPACE}">\n'.encode(),
                b"</collection>\n",
            )
        case "json":
            return ExportForm(
                of_unicode(lambda marc, _: Written(marc_json.to_marc_json(marc) + b"\n"))
            )
        case "dc":
            return ExportForm(
                of_marc(lambda marc, family: Written(
                    dublin_core.to_dublin_core(marc, family) + b"\n"
                )),
                _XML + b"<collection>\n", b"</collection>\n",
            )  # fmt: skip
        case "mods":
            return ExportForm(
                of_marc(lambda marc, family: Written(mods.to_mods(marc, family) + b"\n")),
                _XML + b'<modsCollection xmlns="http://www.loc.gov/mods/v3">\n',
                b"</modsCollection>\n",
            )
        case "csv":
            return ExportForm(_csv, _line(CSV_COLUMNS))
    raise ValueError(f"there is no form {name!r}")


def _says_unicode(marc: bytes, family: MarcFamily) -> bytes:
    """The record with the coding scheme that MARC 21 has for Unicode, as XML and JSON are."""
    if family is MarcFamily.MARC21 and marc[9:10] != b"a":
        return marc[:9] + b"a" + marc[10:]
    return marc


def _xml(marc: bytes, octets: bytes) -> Written:
    loss = "control characters, which XML cannot hold" if _NOT_IN_XML.search(marc) else ""
    return Written(octets + b"\n", loss)


def _csv(record: StoredRecord, held: Sequence[Holding]) -> Written:
    work = describe(parse(record.marc), record.database.family)
    changed = _time(record.modified_us)
    return Written(
        _line((
            record.database.name, record.control_number, work.titles[0] if work.titles else "",
            "; ".join(work.creators or work.contributors), work.edition,
            "; ".join(work.publishers), "; ".join(work.dates), "; ".join(work.isbns),
            "; ".join(work.issns), "; ".join(work.languages),
            "; ".join(holding.institution for holding in held), record.version, changed,
        ))
    )  # fmt: skip


def _line(values: Sequence[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue().encode()


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
