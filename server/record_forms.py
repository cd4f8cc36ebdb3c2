"""The forms in which records leave, for both protocols."""

from __future__ import annotations

from protocol import brief, dublin_core, marcxml, oid
from protocol.diagnostic import Bib1, Diagnostic
from protocol.record import MarcFamily, StoredRecord
from server.retrieval import RecordForm

# Each family's own record syntax.
OWN_SYNTAX = {MarcFamily.MARC21: oid.USMARC, MarcFamily.UNIMARC: oid.UNIMARC}
# ISO 2709 states the length of a record in five digits.
ISO_2709_BYTES_MAX = 99_999


def _iso2709(record: StoredRecord) -> bytes | Diagnostic:
    if len(record.marc) > ISO_2709_BYTES_MAX:
        return Diagnostic(
            Bib1.RECORD_NOT_IN_SYNTAX,
            f"{record.control_number}: {len(record.marc)} octets are too many for ISO 2709;"
            " ask for XML",
        )
    return record.marc


def _iso2709_of(record: StoredRecord, family: MarcFamily) -> bytes | Diagnostic:
    if record.database.family is not family:
        return Diagnostic(
            Bib1.RECORD_NOT_IN_SYNTAX,
            f"{record.control_number}: records of {record.database.name} are"
            f" {record.database.family.value}",
        )
    return _iso2709(record)


def _brief(record: StoredRecord) -> bytes | Diagnostic:
    return brief.to_brief_marc(record.marc, record.database.family)


def _brief_of(record: StoredRecord, family: MarcFamily) -> bytes | Diagnostic:
    full = _iso2709_of(record, family)
    return full if isinstance(full, Diagnostic) else _brief(record)


MARC = RecordForm("marc", _iso2709)
MARC_BRIEF = RecordForm("marc-brief", _brief, full=False, billable=False)
USMARC = RecordForm("usmarc", lambda record: _iso2709_of(record, MarcFamily.MARC21))
USMARC_BRIEF = RecordForm(
    "usmarc-brief", lambda record: _brief_of(record, MarcFamily.MARC21),
    full=False, billable=False,
)  # fmt: skip
UNIMARC = RecordForm("unimarc", lambda record: _iso2709_of(record, MarcFamily.UNIMARC))
UNIMARC_BRIEF = RecordForm(
    "unimarc-brief", lambda record: _brief_of(record, MarcFamily.UNIMARC),
    full=False, billable=False,
)  # fmt: skip
MARCXML = RecordForm("marcxml", lambda record: marcxml.to_marcxml(record.marc).encode())
MARCXML_BRIEF = RecordForm(
    "marcxml-brief",
    lambda record: marcxml.to_marcxml(
        brief.to_brief_marc(record.marc, record.database.family)
    ).encode(),
    full=False, billable=False,
)  # fmt: skip
DUBLIN_CORE = RecordForm(
    "dc", lambda record: dublin_core.to_dublin_core(record.marc, record.database.family)
)
# Text for people is no MARC and is not billed; it needs an account all the same.
SUTRS = RecordForm(
    "sutrs", lambda record: brief.to_sutrs(record.marc, record.database.family), billable=False
)
SUTRS_BRIEF = RecordForm(
    "sutrs-brief",
    lambda record: brief.to_brief_sutrs(record.marc, record.database.family),
    full=False, billable=False,
)  # fmt: skip
