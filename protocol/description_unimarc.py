"""What a UNIMARC or CNMARC record says of a work.

Sources: UNIMARC Manual, Bibliographic Format; CNMARC (WH/T 0503).
"""

from __future__ import annotations

from protocol.description import (
    Description,
    clean,
    each,
    heading,
    into,
    into_each,
    joined,
    read_edition,
    read_isbn,
    read_languages,
    read_leader,
    read_standard_number,
    read_url,
    table,
    unbracketed,
    year_interval,
    year_of,
)
from protocol.iso2709 import Field, MarcRecord
from protocol.mods_codes import CHINESE_RELATORS, RELATORS
from protocol.unimarc_links import embedded_fields

_LEADER_TYPES_UNIMARC = {
    "a": "Text", "b": "Text", "c": "Text", "d": "Text", "e": "Image", "f": "Image",
    "g": "MovingImage", "i": "Sound", "j": "Sound", "k": "StillImage", "l": "Software",
    "m": "InteractiveResource", "r": "PhysicalObject",
    "u": "StillImage", "v": "Text",  # CNMARC: rubbings, rare books
}  # fmt: skip
# Notes on the copy, on the trade and on how the record links are of no use to others.
_NO_NOTES = frozenset(("310", "311", "316", "317", "318", "345"))
_NOTE_CODES = {"327": "ab", "328": "abcdetz", "326": "ab"}
_CREATORS = frozenset(
    ("aut", "cre", "cmp", "art", "cmm", "ive", "lbt", "lyr", "pht", "drt", "aus", "ctg")
)
_OTHERS = frozenset(("trl", "ill", "ann", "aui", "aft", "pbl", "prt", "dst", "nrt", "ths"))


def describe_unimarc(record: MarcRecord, description: Description) -> None:
    """Fill `description` with what the fields of `record` say."""
    for marc_field in reversed(record.get("200")):
        _read_title(marc_field, description)
    for marc_field in record.fields:
        tag = marc_field.tag
        if tag == "100":
            _read_coded_data(marc_field.first("a"), description)
        elif tag.startswith("3"):
            _read_note(tag, marc_field, description)
        else:
            reader = _UNIMARC.get(tag)
            if reader is not None:
                reader(marc_field, description)
    if not any(description.dates):
        description.dates = [
            year_of(value)
            for marc_field in (*record.get("210"), *record.get("214"))
            for value in marc_field.values("d")[:1]
        ][:1]
    read_leader(record.leader, _LEADER_TYPES_UNIMARC, description)
    if not description.creators and not description.contributors and description.responsibility:
        description.contributors.append(description.responsibility)
    # What 225 tells as printed is told by 410 or 461 once more.
    printed = {series.partition(" ; ")[0] for series in description.series}
    description.relations = [
        title for title in description.relations if title.partition(" ; ")[0] not in printed
    ]


def _read_coded_data(text: str, description: Description) -> None:
    kind = {"a": "serial", "b": "range", "c": "serial", "g": "range", "f": "range"}
    interval = year_interval(kind.get(text[8:9], "single"), text[9:13], text[13:17])
    description.dates.append(interval)


# Titles -------------------------------------------------------------------------------


def _read_title(field: Field, description: Description) -> None:
    """200: a new $a or $c is a further work, $d a parallel title, $i and $h name a part.

    Comes before all that was read; the last to be read is the first of the record.
    """
    titles = [""]
    before = ""
    for code, value in field.subfields:
        if code in ("a", "c", "d"):
            titles.append(clean(value.lstrip("= ")))
        elif code in ("e", "h", "i", "v"):
            titles[-1] = _with_part(titles[-1], before, code, value)
        before = code
    description.titles[:0] = titles
    description.responsibility = " ; ".join(filter(None, each(field, "fg")))


def _with_part(title: str, before: str, code: str, value: str) -> str:
    """ISBD: $e other title information, $h the number and $i the name of a part.

    `before` is the code of the subfield before: a name after its number is set
    off by a comma.
    """
    text = clean(value)
    if not title or not text:
        return title or text
    mark = " : " if code == "e" else ", " if code == "i" and before == "h" else ". "
    return f"{title}{mark}{text}"


def _other_title(field: Field) -> str:
    title = before = ""
    for code, value in field.subfields:
        if code in ("e", "h", "i"):
            title = _with_part(title, before, code, value)
        elif code in ("a", "l", "m", "n", "q", "r", "s", "u"):
            title = f"{title} {clean(value)}".strip()
        before = code
    return title


def _read_other_title(field: Field, description: Description) -> None:
    description.titles.append(_other_title(field))


def _read_former_title(field: Field, description: Description) -> None:
    description.relations.append(_other_title(field))


# Names --------------------------------------------------------------------------------


def _read_personal_name(field: Field, description: Description) -> None:
    _put_name(field, _personal_name(field), description)


def _personal_name(field: Field) -> str:
    """An inverted name has its forename in $b; a Chinese one is whole in $a.

    Dynasties and countries, "(清)", stand close to the name as on title pages.
    """
    name = ", ".join(filter(None, (joined(field, "a"), joined(field, "b"))))
    for text in each(field, "d"):
        name = f"{name} {text}"
    for text in each(field, "c"):
        name = f"{name}{text}" if text[:1] in "(（" else ", ".join(filter(None, (name, text)))
    dates = " ".join([text.strip("()（）") for text in each(field, "f")])
    return ", ".join(filter(None, (name, dates)))


def _read_body_name(field: Field, description: Description) -> None:
    _put_name(field, _body_name(field), description)


def _body_name(field: Field) -> str:
    """A body with its parts; a meeting with its number, date and place."""
    name = ". ".join(filter(None, (joined(field, "a"), *each(field, "b"))))
    meeting = " : ".join([text.strip("()") for text in each(field, "def")])
    return f"{name} ({meeting})" if meeting and name else name


def _put_name(field: Field, name: str, description: Description) -> None:
    """Tags ending in 2 are of secondary responsibility: translators, editors.

    What $4 says goes before the tag, since libraries differ in what they enter
    as 701 and as 702.
    """
    roles = set(map(_relator, field.values("4")))
    if roles & _CREATORS:
        creates = True
    elif roles and roles <= _OTHERS:
        creates = False
    else:
        creates = not field.tag.endswith("2")
    (description.creators if creates else description.contributors).append(name)


def _relator(value: str) -> str:
    """The MARC relator code of a $4: a code of UNIMARC, or words of a title page."""
    text = clean(value)
    return RELATORS.get(text[:3]) or CHINESE_RELATORS.get(text.strip("[]等"), text)


# Publication, extent, series ----------------------------------------------------------


def _read_publication(field: Field, description: Description) -> None:
    if field.tag == "214" and field.text[1:2] not in ("0", " "):
        return
    description.places += [unbracketed(text) for text in each(field, "a")]
    description.publishers += [unbracketed(text) for text in each(field, "c")]
    stated = [unbracketed(text) for text in each(field, "d")]
    description.date_stated = description.date_stated or ", ".join(filter(None, stated))


def _read_extent(field: Field, description: Description) -> None:
    description.extents.append(extent_unimarc(field))


_EXTENT_MARKS = {"c": " : ", "d": " ; ", "e": " + "}


def extent_unimarc(field: Field) -> str:
    """215 as one statement, with the punctuation of ISBD, which UNIMARC leaves out."""
    text = ""
    for code, value in field.subfields:
        part = clean(value) if code in ("a", "c", "d", "e") else ""
        if part:
            text = f"{text}{_EXTENT_MARKS.get(code, ', ')}{part}" if text else part
    return text


def _read_series(field: Field, description: Description) -> None:
    description.series.append(_numbered_title(field, "a"))


def _numbered_title(field: Field, title_code: str) -> str:
    """A title with its parts, and behind " ; " its volume."""
    title = joined(field, title_code)
    before = ""
    for code, value in field.subfields:
        if code in ("e", "h", "i"):
            title = _with_part(title, before, code, value)
        before = code
    volume = joined(field, "v")
    return f"{title} ; {volume}" if title and volume else title


def _read_linked(field: Field, description: Description) -> None:
    """4XX hold a title in $t, or whole fields, each begun by $1 with its tag."""
    embedded = embedded_fields(field)
    if not embedded:
        description.relations.append(_numbered_title(field, "t"))
    for inner in embedded:
        if inner.tag in ("200", "500"):
            title = _numbered_title(inner, "a") or _numbered_title(inner, "t")
            description.relations.append(title)
            break


# Subjects -----------------------------------------------------------------------------

_SUBDIVISIONS = "xyzj"


def _read_topic(field: Field, description: Description) -> None:
    description.subjects.append(heading(field, "at", _SUBDIVISIONS))


def _read_name_subject(field: Field, description: Description) -> None:
    name = _personal_name(field) if field.tag != "601" else _body_name(field)
    parts = [". ".join(filter(None, (name, joined(field, "t")))), *each(field, _SUBDIVISIONS)]
    description.subjects.append("--".join(filter(None, parts)))


def _read_name_title_subject(field: Field, description: Description) -> None:
    """604: a name and a title, as fields that $1 embeds."""
    parts = []
    for inner in embedded_fields(field):
        if inner.tag.startswith("71"):
            parts.append(_body_name(inner))
        elif inner.tag.startswith("7"):
            parts.append(_personal_name(inner))
        else:
            parts.append(joined(inner, "a"))
    description.subjects.append(". ".join(filter(None, parts)))


def _read_place(field: Field, description: Description) -> None:
    """617, 620: a place by its levels."""
    description.places_covered.append("--".join(filter(None, each(field, "abcde"))))


# Notes and numbers --------------------------------------------------------------------


def _read_note(tag: str, field: Field, description: Description) -> None:
    if tag == "371":
        description.rights.append(joined(field, "a"))
    elif tag not in _NO_NOTES:
        description.notes.append(joined(field, _NOTE_CODES.get(tag, "a")))


def _read_national_number(field: Field, description: Description) -> None:
    """020: the country is in $a, its number in $b."""
    if field.values("b"):
        description.identifiers.append(joined(field, "ab"))


_UNIMARC = table(
    ("500 501 503 510 512 513 514 515 516 517 518 530 531 532 540 541 545", _read_other_title),
    ("520", _read_former_title),
    ("700 701 702 703 720 721 722", _read_personal_name),
    ("710 711 712", _read_body_name),
    ("730", into("contributors", "a")),
    ("205", read_edition),
    ("210 214", _read_publication),
    ("215", _read_extent),
    ("225", _read_series),
    ("010", read_isbn),
    ("011", into_each("issns", "a")),
    ("013 015 016 073 091 094", into_each("identifiers", "a")),
    ("017", read_standard_number),
    ("020", _read_national_number),
    ("856", read_url),
    ("101", read_languages),
    ("600 601 602", _read_name_subject),
    ("604", _read_name_title_subject),
    ("605 606 615 616", _read_topic),
    ("607", into("places_covered", "a", _SUBDIVISIONS)),
    ("617 620", _read_place),
    ("608", into("types", "a", _SUBDIVISIONS)),
    ("610", into_each("subjects", "a")),
    ("675 676 680 686 690 692 696", into_each("classifications", "a")),
    ("410 411 421 422 423 430 431 432 433 434 435 436 437 440 441 442 443 444 445 446 447 448 "
     "451 452 453 454 455 456 461 462 463 464 470 481 482 488", _read_linked),
)  # fmt: skip
