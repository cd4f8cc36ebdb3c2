"""A record as a person reads it: a line of a list, labelled fields, or MARC as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from protocol.describe import describe
from protocol.description import Description
from protocol.iso2709 import Field, MarcRecord, parse
from protocol.record import StoredRecord
from server.catalogue_pages.query import Search
from server.web.texts import Texts

# What browsers and screen readers call the languages of records.
_LANGUAGE_TAGS = {
    "ara": "ar", "chi": "zh", "zho": "zh", "dut": "nl", "eng": "en", "fre": "fr", "ger": "de",
    "gre": "el", "heb": "he", "ita": "it", "jpn": "ja", "kor": "ko", "lat": "la", "mon": "mn",
    "per": "fa", "pol": "pl", "por": "pt", "rus": "ru", "spa": "es", "tib": "bo", "tur": "tr",
    "uig": "ug", "ukr": "uk", "vie": "vi",
}  # fmt: skip
_AUTHORS_SHOWN_MAX = 3
_WEB_ADDRESS = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_CONTROLS = re.compile("[\x00-\x1e\x7f-\x9f]")


def record_path(record: StoredRecord) -> str:
    """The stable address of a record."""
    return f"/{quote(record.database.name)}/record/{quote(record.control_number, safe='')}"


@dataclass(frozen=True, slots=True)
class Line:
    """A record in a list of results. `language` is a language tag, or ""."""

    path: str
    title: str
    language: str
    authors: str
    published: str
    database: str
    holders: int = 0


def line(record: StoredRecord, holders: int = 0, *, apart: bool = False) -> Line:
    """`apart`: the address tells the record from others of its number too."""
    work = describe(parse(record.marc), record.database.family)
    authors = work.creators or work.contributors
    shown = "; ".join(authors[:_AUTHORS_SHOWN_MAX])
    return Line(
        record_path(record) + (f"?id={record.record_id}" if apart else ""),
        _title(work, record),
        language_tag(work),
        f"{shown} …" if len(authors) > _AUTHORS_SHOWN_MAX else shown,
        ", ".join([*work.publishers[:1], *_dates(work)]),
        record.database.title,
        holders,
    )


def _title(work: Description, record: StoredRecord) -> str:
    return next(iter(work.titles), "") or record.control_number


def language_tag(work: Description) -> str:
    """The tag of the work's language (BCP 47), "" where it is not known."""
    return next((_LANGUAGE_TAGS[code] for code in work.languages if code in _LANGUAGE_TAGS), "")


def _dates(work: Description) -> list[str]:
    """One date at most: as the item has it, else the year that is coded."""
    if work.date_stated:
        return [work.date_stated]
    return [date.replace("/", "–") for date in work.dates[:1]]


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a field, with where it leads, if anywhere."""

    text: str
    url: str = ""
    is_outside: bool = False  # a link that leaves this server


@dataclass(frozen=True, slots=True)
class Labelled:
    """A record as labelled fields: (key of the label, values), none empty."""

    title: str
    language: str
    fields: list[tuple[str, list[Value]]]


def labelled(record: StoredRecord, texts: Texts) -> Labelled:
    """The description of a record in the language of `texts`."""
    work = describe(parse(record.marc), record.database.family)
    published = " : ".join(filter(None, [*work.places[:1], *work.publishers[:1]]))
    rows: list[tuple[str, Sequence[Value]]] = [
        ("creators", _linked(work.creators, "author")),
        ("contributors", _linked(work.contributors, "author")),
        ("responsibility", _plain([work.responsibility])),
        ("other_titles", _plain(work.titles[1:])),
        ("edition", _plain([work.edition])),
        ("published", _plain([", ".join(filter(None, [published, *_dates(work)]))])),
        ("extents", _plain(work.extents)),
        ("series", _linked(work.series, "series")),
        ("isbns", _plain(work.isbns)),
        ("issns", _plain(work.issns)),
        ("languages", _plain([texts.name("language", code) for code in work.languages])),
        ("subjects", _linked(work.subjects, "subject")),
        ("places_covered", _linked(work.places_covered, "subject")),
        ("classifications", _linked(work.classifications, "class")),
        ("notes", _plain(work.notes)),
        ("relations", _plain(work.relations)),
        ("identifiers", [_identifier(each) for each in work.identifiers]),
        ("rights", _plain(work.rights)),
        ("control_number", _plain([work.control_number])),
    ]
    return Labelled(
        _title(work, record),
        language_tag(work),
        [(label, list(values)) for label, values in rows if values],
    )


def _plain(texts: Sequence[str]) -> list[Value]:
    return [Value(text) for text in texts if text]


def _linked(texts: Sequence[str], field: str) -> list[Value]:
    """Each value leads to a search for it."""
    return [
        Value(text, Search(words=text.replace("--", " ").replace('"', " "), field=field).url)
        for text in texts
        if text
    ]


def _identifier(text: str) -> Value:
    if _WEB_ADDRESS.fullmatch(text):
        return Value(text, text, is_outside=True)
    return Value(text)


@dataclass(frozen=True, slots=True)
class MarcLine:
    """One field. A control field has one subfield without code, and no indicators."""

    tag: str
    indicators: tuple[str, ...]
    subfields: list[tuple[str, str]]


def marc_lines(record: MarcRecord) -> list[MarcLine]:
    """The fields in the order of the record, with what cannot be seen made visible."""
    return [_marc_line(each) for each in record.fields]


def _marc_line(field: Field) -> MarcLine:
    if field.is_control:
        return MarcLine(field.tag, (), [("", visible(field.text))])
    return MarcLine(
        field.tag,
        tuple("#" if each == " " else visible(each) for each in field.indicators),
        [(code, visible(value)) for code, value in field.subfields],
    )


def visible(text: str) -> str:
    """`text` with a sign in the place of each control character, non-sorting marks among them."""
    return _CONTROLS.sub("¬", text)
