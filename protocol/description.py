"""What a record says of a work, in terms that hold for every MARC family.

Dublin Core and the texts for people are both written from this. Sources: MARC
21 Format for Bibliographic Data; UNIMARC Manual, Bibliographic Format; the
MARC to Dublin Core crosswalk of the Library of Congress.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from protocol.iso2709 import Field, MarcRecord
from protocol.record import MarcFamily


@dataclass(slots=True)
class Description:
    """Values are plain text, without ISBD punctuation at their ends and without controls.

    Lists keep the order of the record and hold no value twice; the first title
    is the title proper. `dates` are years or intervals of years, `1998/2001`,
    open ones `1998/`. `languages` are codes of ISO 639-2.
    """

    control_number: str = ""
    titles: list[str] = field(default_factory=list)
    responsibility: str = ""
    creators: list[str] = field(default_factory=list)
    contributors: list[str] = field(default_factory=list)
    edition: str = ""
    places: list[str] = field(default_factory=list)
    publishers: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    extents: list[str] = field(default_factory=list)
    series: list[str] = field(default_factory=list)
    isbns: list[str] = field(default_factory=list)  # as written, without qualifiers
    issns: list[str] = field(default_factory=list)
    identifiers: list[str] = field(default_factory=list)  # URIs, or other numbers as written
    languages: list[str] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    classifications: list[str] = field(default_factory=list)
    places_covered: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)  # DCMI Type Vocabulary, then genres
    relations: list[str] = field(default_factory=list)
    rights: list[str] = field(default_factory=list)


def describe(record: MarcRecord, family: MarcFamily) -> Description:
    """Read `record` as one of `family`; what it lacks stays empty."""
    description = Description(control_number=clean(record.control_number))
    if family is MarcFamily.MARC21:
        _describe_marc21(record, description)
    else:
        _describe_unimarc(record, description)
    for name in Description.__slots__:
        values = getattr(description, name)
        if isinstance(values, list):
            setattr(description, name, list(dict.fromkeys(filter(None, values))))
    return description


_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+")
_SPACES = re.compile(r"\s+")
# A full stop closes an element of ISBD, unless it belongs to an initial or a
# short abbreviation.
_CLOSING_STOP = re.compile(r"(?<=\w{4})\.$|(?<=[\])»”\"'\u3400-\u9fff])\.$")


def plain(text: str) -> str:
    """`text` on one line and without control characters.

    Non-sorting marks (U+0098, U+009C) are controls; what they enclose stays.
    """
    if not text.isprintable() or "  " in text:
        text = _SPACES.sub(" ", _CONTROLS.sub("", text))
    return text.strip()


def clean(text: str) -> str:
    """`text` as `plain` gives it, without ISBD punctuation at its end."""
    text = plain(text).rstrip(" /:;,=").strip()
    return _CLOSING_STOP.sub("", text) if text[-1:] == "." else text


def unbracketed(text: str) -> str:
    """`text` without the square bracket of a pair whose other half is elsewhere."""
    if text.count("[") == text.count("]"):
        return text
    return text.replace("[", "").replace("]", "").strip()


def _joined(field: Field, codes: str, separator: str = " ") -> str:
    return clean(separator.join(value.strip() for value in field.values(codes)))


def _each(field: Field, codes: str) -> list[str]:
    return [clean(value) for value in field.values(codes)]


def _heading(field: Field, codes: str, subdivisions: str) -> str:
    parts = [_joined(field, codes), *_each(field, subdivisions)]
    return "--".join(filter(None, parts))


def year_interval(kind: str, first: str, second: str) -> str:
    """A year, or an interval of years, from the two coded dates of a record.

    `kind` is "serial" (an open end is written `1998/`), "range" or "single".
    An unknown digit (u, #, blank) makes a date unknown.
    """
    if not _is_year(first):
        return second if _is_year(second) and second != "9999" else ""
    if kind == "single" or first == second:
        return first
    if _is_year(second) and second != "9999":
        return f"{first}/{second}"
    return f"{first}/" if kind == "serial" else first


def _is_year(text: str) -> bool:
    return len(text) == 4 and text.isascii() and text.isdigit()


_YEAR_IN_TEXT = re.compile(r"(?<![0-9])(?:1[0-9]|20)[0-9]{2}(?![0-9])")


def _year_of(text: str) -> str:
    """The first year in a date as printed, else the date itself."""
    year = _YEAR_IN_TEXT.search(text)
    return year[0] if year else clean(text).strip("[]()c©. ")


Reader = Callable[[Field, Description], None]

# MARC 21 -----------------------------------------------------------------------------

_CREATOR_ROLES = frozenset(("aut", "cre", "cmp", "art", "cmm", "ive", "lbt", "lyr", "pht"))
_CREATOR_TERMS = ("author", "creator", "composer", "artist", "photographer", "著", "撰")
_LEADER_TYPES_MARC21 = {
    "a": "Text", "t": "Text", "c": "Text", "d": "Text", "e": "Image", "f": "Image",
    "g": "MovingImage", "k": "StillImage", "i": "Sound", "j": "Sound", "m": "Software",
    "o": "Collection", "p": "Collection", "r": "PhysicalObject",
}  # fmt: skip


def _describe_marc21(record: MarcRecord, description: Description) -> None:
    for marc_field in record.fields:
        tag = marc_field.tag
        if tag == "880":  # the same field in another script, named in $6
            tag = marc_field.first("6")[:3]
        if tag == "008":
            _read_008(marc_field.text, description)
        elif tag.startswith("5"):
            _read_note_marc21(tag, marc_field, description)
        else:
            reader = _MARC21.get(tag)
            if reader is not None:
                reader(marc_field, description)
    if not any(description.dates):
        description.dates = [
            _year_of(value)
            for marc_field in (*record.get("264"), *record.get("260"))
            for value in marc_field.values("c")[:1]
        ][:1]
    _read_leader(record.leader, _LEADER_TYPES_MARC21, description)
    if not description.creators and not description.contributors and description.responsibility:
        description.contributors.append(description.responsibility)


def _read_leader(leader: str, types: dict[str, str], description: Description) -> None:
    if leader[7:8] == "c":
        description.types.insert(0, "Collection")
    if leader[6:7] in types:
        description.types.insert(0, types[leader[6]])


def _read_008(text: str, description: Description) -> None:
    kind = {"c": "serial", "d": "range", "u": "serial", "m": "range", "i": "range", "k": "range"}
    interval = year_interval(kind.get(text[6:7], "single"), text[7:11], text[11:15])
    description.dates.append(interval)
    description.languages += _language_codes(text[35:38])


def _language_codes(text: str) -> list[str]:
    """Codes of three letters, which old records write without anything between."""
    codes = [text[i : i + 3].lower() for i in range(0, len(text) - 2, 3)]
    return [
        code
        for code in codes
        if code.isascii() and code.isalpha() and code not in ("und", "zxx", "mul")
    ]


def _read_title_marc21(field: Field, description: Description) -> None:
    title = _joined(field, "abfgknps")
    if field.tag == "245":
        description.titles.insert(0, title)
        description.responsibility = _joined(field, "c")
    else:
        description.titles.append(title)


def _read_name_marc21(codes: str) -> Reader:
    def read(field: Field, description: Description) -> None:
        if field.values("t"):  # a work contained or related, under its author
            description.relations.append(_joined(field, codes + "tnp"))
            return
        tag = field.tag if field.tag != "880" else field.first("6")[:3]
        name = _joined(field, codes)
        if tag.startswith("1") or _is_creator(field):
            description.creators.append(name)
        else:
            description.contributors.append(name)

    return read


def _is_creator(field: Field) -> bool:
    roles = [clean(role).lower() for role in field.values("e4")]
    return any(
        role.removeprefix("http://id.loc.gov/vocabulary/relators/") in _CREATOR_ROLES
        or role.startswith(_CREATOR_TERMS)
        for role in roles
    )


def _read_publication_marc21(field: Field, description: Description) -> None:
    if field.tag == "264" and field.text[1:2] not in ("1", " "):
        return  # production, distribution, manufacture, copyright
    description.places += _each(field, "a")
    description.publishers += _each(field, "b")


def _read_isbn(field: Field, description: Description) -> None:
    for value in field.values("a"):
        number = clean(value).partition(" ")[0].partition("(")[0]
        description.isbns.append(number)


def _read_standard_number(field: Field, description: Description) -> None:
    source = field.first("2").lower()
    for value in _each(field, "a"):
        if source == "doi" and value.startswith("10."):
            description.identifiers.append(f"https://doi.org/{value}")
        else:
            description.identifiers.append(value)


def _read_lccn(field: Field, description: Description) -> None:
    for value in field.values("a"):
        # Normalised as the info:lccn namespace wants it: no blanks, no suffix,
        # six digits after the hyphen.
        year, hyphen, serial = value.partition("/")[0].replace(" ", "").partition("-")
        if year:
            number = year + (serial.zfill(6) if hyphen else "")
            description.identifiers.append(f"info:lccn/{number}")


def _read_note_marc21(tag: str, field: Field, description: Description) -> None:
    if tag in ("506", "540"):
        description.rights.append(_joined(field, "a"))
    elif tag in ("505", "520"):
        description.notes.append(_joined(field, "agrtb"))
    elif tag == "534":
        description.relations.append(_joined(field, "pt"))
    elif tag < "590" and tag not in ("533", "541", "546", "561", "583"):
        description.notes.append(_joined(field, "a"))


def _linked_title(field: Field, description: Description) -> None:
    description.relations.append(_joined(field, "at"))


def _into(name: str, codes: str, subdivisions: str = "") -> Reader:
    """A reader that puts the joined subfields into one list of the description."""

    def read(field: Field, description: Description) -> None:
        getattr(description, name).append(_heading(field, codes, subdivisions))

    return read


def _into_each(name: str, codes: str) -> Reader:
    """A reader that puts each subfield into one list of the description."""

    def read(field: Field, description: Description) -> None:
        getattr(description, name).extend(_each(field, codes))

    return read


def _read_edition(field: Field, description: Description) -> None:
    description.edition = description.edition or _joined(field, "ab")


def _read_languages(field: Field, description: Description) -> None:
    for value in field.values("a"):
        description.languages += _language_codes(value)


def _table(*rows: tuple[str, Reader]) -> dict[str, Reader]:
    return {tag: reader for tags, reader in rows for tag in tags.split()}


_MARC21 = _table(
    ("245 246 247 740", _read_title_marc21),
    ("130 240 730", _into("titles", "adfklmnoprs")),
    ("100 700", _read_name_marc21("abcdq")),
    ("110 710", _read_name_marc21("abcdn")),
    ("111 711", _read_name_marc21("acdenq")),
    ("720", _read_name_marc21("a")),
    ("250", _read_edition),
    ("260 264", _read_publication_marc21),
    ("300", _into("extents", "abce")),
    ("440 490", _into("series", "anpv")),
    ("020", _read_isbn),
    ("022", _into_each("issns", "a")),
    ("010", _read_lccn),
    ("024", _read_standard_number),
    ("856", _into_each("identifiers", "u")),
    ("041", _read_languages),
    ("600", _into("subjects", "abcdqt", "vxyz")),
    ("610", _into("subjects", "abcdnt", "vxyz")),
    ("611", _into("subjects", "acdent", "vxyz")),
    ("630", _into("subjects", "adfklmnoprst", "vxyz")),
    ("650", _into("subjects", "abcd", "vxyz")),
    ("653", _into_each("subjects", "a")),
    ("651", _into("places_covered", "a", "vxyz")),
    ("655", _into("types", "a", "vxyz")),
    ("050 060 080 082 084 090 093", _into_each("classifications", "a")),
    ("765 767 770 772 773 774 775 776 777 780 785 786 787", _linked_title),
)

# UNIMARC, CNMARC -----------------------------------------------------------------------

_LEADER_TYPES_UNIMARC = {
    "a": "Text", "b": "Text", "c": "Text", "d": "Text", "e": "Image", "f": "Image",
    "g": "MovingImage", "i": "Sound", "j": "Sound", "k": "StillImage", "l": "Software",
    "m": "InteractiveResource", "r": "PhysicalObject",
    "u": "StillImage", "v": "Text",  # CNMARC: rubbings, rare books
}  # fmt: skip
_NO_NOTES_UNIMARC = frozenset(("310", "316", "317", "318", "345"))  # of the copy or the trade


def _describe_unimarc(record: MarcRecord, description: Description) -> None:
    for marc_field in record.fields:
        tag = marc_field.tag
        if tag == "100":
            _read_coded_data(marc_field.first("a"), description)
        elif tag.startswith("3"):
            if tag not in _NO_NOTES_UNIMARC:
                description.notes.append(_joined(marc_field, "a"))
        else:
            reader = _UNIMARC.get(tag)
            if reader is not None:
                reader(marc_field, description)
    if not any(description.dates):
        description.dates = [
            _year_of(value)
            for marc_field in (*record.get("210"), *record.get("214"))
            for value in marc_field.values("d")[:1]
        ][:1]
    _read_leader(record.leader, _LEADER_TYPES_UNIMARC, description)
    if not description.creators and not description.contributors and description.responsibility:
        description.contributors.append(description.responsibility)


def _read_coded_data(text: str, description: Description) -> None:
    kind = {"a": "serial", "b": "range", "c": "serial", "g": "range", "f": "range"}
    interval = year_interval(kind.get(text[8:9], "single"), text[9:13], text[13:17])
    description.dates.append(interval)


def _read_title_unimarc(field: Field, description: Description) -> None:
    """200: a new $a is a further work, $d a parallel title, $i and $h name a part."""
    title = ""
    others = []
    for code, value in field.subfields:
        if code == "a" and title:
            others.append(clean(value))
        elif code == "a":
            title = clean(value)
        elif code == "e" and not others:
            title = f"{title} : {clean(value)}"
        elif code in ("h", "i") and not others:
            title = f"{title}. {clean(value)}"
        elif code == "d":
            others.append(clean(value))
    description.titles[:0] = [title, *others]
    description.responsibility = " ; ".join(filter(None, _each(field, "fg")))


def _read_personal_name(field: Field, description: Description) -> None:
    # An inverted name has its forename in $b; a Chinese one is whole in $a.
    name = ", ".join(filter(None, (_joined(field, "a"), _joined(field, "b"))))
    name = ", ".join(filter(None, (name, *_each(field, "cdf"))))
    _put_name(field.tag, name, description)


def _read_body_name(field: Field, description: Description) -> None:
    name = ". ".join(filter(None, (_joined(field, "a"), *_each(field, "b"))))
    _put_name(field.tag, name, description)


def _put_name(tag: str, name: str, description: Description) -> None:
    """Tags ending in 2 are of secondary responsibility: translators, editors."""
    (description.contributors if tag.endswith("2") else description.creators).append(name)


def _read_publication_unimarc(field: Field, description: Description) -> None:
    if field.tag == "214" and field.text[1:2] not in ("0", " "):
        return
    description.places += _each(field, "a")
    description.publishers += _each(field, "c")


def _read_topic(field: Field, description: Description) -> None:
    description.subjects.append(_heading(field, "abcdft", "xyz"))


def _read_series_unimarc(field: Field, description: Description) -> None:
    series = ". ".join(filter(None, (_joined(field, "a"), *_each(field, "hi"))))
    volume = _joined(field, "v")
    description.series.append(f"{series} ; {volume}" if series and volume else series)


def _read_linked_unimarc(field: Field, description: Description) -> None:
    """4XX hold a title in $t, or whole fields, each begun by $1 with its tag."""
    titles: list[str] = _each(field, "t")
    embedded = ""
    for code, value in field.subfields:
        if code == "1":
            embedded = value[:3]
        elif code == "a" and embedded == "200":
            titles.append(clean(value))
    description.relations += titles


_UNIMARC = _table(
    ("200", _read_title_unimarc),
    ("500 501 503 510 512 513 514 515 516 517 518 520 530 531 532 540 541",
     _into("titles", "aehi")),
    ("700 701 702 703 720 721 722", _read_personal_name),
    ("710 711 712", _read_body_name),
    ("730", _into("contributors", "a")),
    ("205", _read_edition),
    ("210 214", _read_publication_unimarc),
    ("215", _into("extents", "acde")),
    ("225", _read_series_unimarc),
    ("010", _read_isbn),
    ("011", _into_each("issns", "a")),
    ("013 015 016 020 091 094", _into_each("identifiers", "a")),
    ("017", _read_standard_number),
    ("856", _into_each("identifiers", "u")),
    ("101", _read_languages),
    ("600 601 602 604 605 606", _read_topic),
    ("607", _into("places_covered", "a", "xyz")),
    ("608", _into("types", "a", "xyz")),
    ("610", _into_each("subjects", "a")),
    ("675 676 680 686 690 692", _into_each("classifications", "a")),
    ("410 411 421 422 423 430 431 432 433 434 435 436 437 440 441 442 443 444 445 446 447 448 "
     "451 452 453 454 455 456 461 462 463 464 470 481 482 488", _read_linked_unimarc),
)  # fmt: skip
