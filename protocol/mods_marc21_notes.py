"""MARC 21 as MODS: languages, extent, content and carrier, notes of every type.

Sources: MARC 21 Format for Bibliographic Data; MARC to MODS mapping 3.5, Library
of Congress.
"""

from __future__ import annotations

from protocol import mods_codes as codes
from protocol.description import clean, plain
from protocol.iso2709 import Field
from protocol.mods_marc21_reading import Reader, Reading, language_codes
from protocol.mods_xml import Mods, attributes, element, language

_LANGUAGE_PARTS = {
    "a": "", "b": "summary", "d": "", "e": "libretto", "f": "table of contents",
    "g": "accompanying material", "j": "subtitle or caption",
}  # fmt: skip


def _read_languages(reading: Reading, field: Field, _: str) -> None:
    if field.text[1:2] == "7":  # another list of codes, named in $2
        return
    originals = []
    for code, value in field.subfields:
        if code == "h":
            originals += language_codes(value)
        elif code in _LANGUAGE_PARTS:
            for each in language_codes(value):
                reading.mods.add("language", language(each, _LANGUAGE_PARTS[code]))
    for each in originals:
        item = Mods()
        item.add("language", language(each))
        reading.mods.related("original", item)


def _read_extent(reading: Reading, field: Field, _: str) -> None:
    extent = element("extent", clean(" ".join([text.strip() for text in field.values("abcefg")])))
    if reading.alternate:
        reading.mods.wrap("physicalDescription", extent, reading.alternate)
    else:
        reading.describe(extent)


def _read_category(reading: Reading, field: Field, _: str) -> None:
    """007: what the record describes, as a thing."""
    category = codes.CATEGORIES.get(field.text[:1], "")
    reading.describe(element("form", category, ' authority="marccategory"'))


def _read_carrier(reading: Reading, field: Field, tag: str) -> None:
    """336 is a genre of content; 337 and 338 are forms of what holds it."""
    if reading.alternate:
        return
    authority = attributes(authority=field.first("2").strip())
    for text in field.values("a"):
        if tag == "336":
            reading.mods.text("genre", clean(text), authority)
        else:
            reading.describe(element("form", clean(text), authority))


_NOTE_TYPES = {
    "362": "date/sequential designation", "502": "thesis", "504": "bibliography",
    "508": "creation/production credits", "510": "citation/reference", "511": "performers",
    "515": "numbering", "518": "venue", "524": "preferred citation",
    "530": "additional physical form", "533": "reproduction",
    "535": "original location", "536": "funding", "538": "system details",
    "541": "acquisition", "545": "biographical/historical", "546": "language",
    "561": "ownership", "562": "version identification", "580": "", "581": "publications",
    "583": "action", "585": "exhibitions", "586": "awards",
    "500": "", "501": "", "507": "", "513": "", "514": "", "522": "", "525": "", "526": "",
    "544": "", "547": "", "550": "", "552": "", "555": "", "556": "", "563": "", "565": "",
    "567": "", "584": "", "588": "",
}  # fmt: skip
# Codes that link, or say where a note comes from.
_NO_TEXT = frozenset("012345678uw")


def _read_note(reading: Reading, field: Field, tag: str) -> None:
    if tag in ("541", "561", "583") and field.text[:1] == "0":  # private
        return
    reading.mods.text(
        "note", _note_text(field), attributes(type=_NOTE_TYPES[tag]) + reading.alternate
    )


def _note_text(field: Field) -> str:
    return plain(
        " ".join([value.strip() for code, value in field.subfields if code not in _NO_TEXT])
    )


_ABSTRACT_LABELS = {
    "0": "Subject", "1": "Review", "2": "Scope and content", "3": "Abstract",
    "4": "Content advice",
}  # fmt: skip
_CONTENTS_LABELS = {"1": "Incomplete contents", "2": "Partial contents"}


def _read_abstract(reading: Reading, field: Field, _: str) -> None:
    values = attributes(displayLabel=_ABSTRACT_LABELS.get(field.text[:1], ""))
    text = plain(" ".join(field.values("ab")))
    reading.mods.text("abstract", text, values + reading.alternate)


def _read_contents(reading: Reading, field: Field, _: str) -> None:
    values = attributes(displayLabel=_CONTENTS_LABELS.get(field.text[:1], ""))
    text = plain(" ".join([value.strip() for value in field.values("agrt")]))
    reading.mods.text("tableOfContents", text, values + reading.alternate)


def _read_audience(reading: Reading, field: Field, _: str) -> None:
    reading.mods.text("targetAudience", plain(" ".join(field.values("ab"))), reading.alternate)


def _condition(kind: str) -> Reader:
    def read(reading: Reading, field: Field, _: str) -> None:
        values = attributes(type=kind) + reading.alternate
        reading.mods.text("accessCondition", _note_text(field), values)

    return read


NOTES: dict[str, Reader] = {
    **dict.fromkeys(_NOTE_TYPES, _read_note),
    "007": _read_category,
    "041": _read_languages,
    "300": _read_extent,
    "336": _read_carrier,
    "337": _read_carrier,
    "338": _read_carrier,
    "505": _read_contents,
    "506": _condition("restriction on access"),
    "520": _read_abstract,
    "521": _read_audience,
    "540": _condition("use and reproduction"),
}
