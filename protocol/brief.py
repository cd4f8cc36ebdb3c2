"""Brief records, element set B, and records as text for people (SUTRS).

A brief record is what one needs to choose: control number, title, author,
edition, year and ISBN. It is a whole record of its MARC family all the same.
SUTRS: Z39.50-2003 Appendix 5 REC.2, lines of text ended by LF.
"""

from __future__ import annotations

from collections.abc import Iterator

from protocol.describe import describe
from protocol.description import Description
from protocol.iso2709 import FIELD_SIZE_BYTES_MAX, Field, MarcRecord, build, parse
from protocol.record import MarcFamily

# Subfields that a brief record has of each field; "" stands for all of them.
_BRIEF_MARC21 = {
    "001": "", "020": "a", "100": "abcdq", "110": "abn", "111": "acdn",
    "245": "abchnp", "250": "a", "260": "c", "264": "c",
}  # fmt: skip
# 100 tells a client of UNIMARC in which script and set the record is.
_BRIEF_UNIMARC = {
    "001": "", "010": "a", "100": "", "200": "aefhi", "205": "a", "210": "d", "214": "d",
    "700": "abf4", "701": "abf4", "710": "ab4", "711": "ab4",
}  # fmt: skip
# Enough for any catalogue record; what goes beyond is no longer brief.
_BRIEF_SIZE_BYTES_MAX = 20_000


def to_brief_marc(marc: bytes, family: MarcFamily) -> bytes:
    """The brief record of a stored record, itself in the stored form.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    record = parse(marc)
    fields = []
    size_bytes = 0
    for field in _brief_fields(record, family):
        field_size_bytes = len(field.text.encode()) + 1
        size_bytes += field_size_bytes
        if field_size_bytes <= FIELD_SIZE_BYTES_MAX and size_bytes <= _BRIEF_SIZE_BYTES_MAX:
            fields.append(field)
    return build(record.leader, fields or [Field("001", "")])


def _brief_fields(record: MarcRecord, family: MarcFamily) -> Iterator[Field]:
    table = _BRIEF_MARC21 if family is MarcFamily.MARC21 else _BRIEF_UNIMARC
    for field in record.fields:
        # In MARC 21 an 880 is one of these fields in another script; $6 says which.
        is_linked = field.tag == "880" and family is MarcFamily.MARC21
        codes = table.get(field.first("6")[:3] if is_linked else field.tag)
        if codes is None or (is_linked and not codes):
            continue
        if not codes:
            yield field
            continue
        if family is MarcFamily.MARC21:
            codes += "6"
        subfields = [(code, value) for code, value in field.subfields if code and code in codes]
        if any(code != "6" for code, _ in subfields):
            yield Field.of(field.tag, field.indicators, subfields)


def to_sutrs(marc: bytes, family: MarcFamily) -> bytes:
    """A stored record as text in UTF-8, one value a line, each after its label.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    work = describe(parse(marc), family)
    published = ", ".join(
        filter(None, (" : ".join([*work.places[:1], *work.publishers[:1]]), *_year(work)))
    )
    return _lines(
        ("Title", work.titles[:1]),
        ("Other title", work.titles[1:]),
        ("Author", work.creators),
        ("Contributor", work.contributors),
        ("Responsibility", [work.responsibility]),
        ("Edition", [work.edition]),
        ("Published", [published]),
        ("Extent", work.extents),
        ("Series", work.series),
        ("ISBN", work.isbns),
        ("ISSN", work.issns),
        ("Identifier", work.identifiers),
        ("Language", work.languages),
        ("Subject", work.subjects),
        ("Place", work.places_covered),
        ("Classification", work.classifications),
        ("Related", work.relations),
        ("Note", work.notes),
        ("Access", work.rights),
        ("Control number", [work.control_number]),
    )


def to_brief_sutrs(marc: bytes, family: MarcFamily) -> bytes:
    """The brief record as text: title, author, edition, year, ISBN, control number.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    work = describe(parse(marc), family)
    return _lines(
        ("Title", work.titles[:1]),
        ("Author", (work.creators or work.contributors)[:3]),
        ("Edition", [work.edition]),
        ("Year", _year(work)),
        ("ISBN", work.isbns),
        ("Control number", [work.control_number]),
    )


def _year(work: Description) -> list[str]:
    """The first date, an interval as people write it."""
    return [date.replace("/", "-") for date in work.dates[:1]]


def _lines(*labelled: tuple[str, list[str]]) -> bytes:
    lines = [f"{label}: {value}\n" for label, values in labelled for value in values if value]
    return "".join(lines).encode()
