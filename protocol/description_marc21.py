"""What a MARC 21 record says of a work.

Sources: MARC 21 Format for Bibliographic Data; the MARC to Dublin Core crosswalk
of the Library of Congress.
"""

from __future__ import annotations

from protocol.description import (
    Description,
    Reader,
    clean,
    each,
    into,
    into_each,
    joined,
    language_codes,
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

_CREATOR_ROLES = frozenset(("aut", "cre", "cmp", "art", "cmm", "ive", "lbt", "lyr", "pht"))
_CREATOR_TERMS = ("author", "creator", "composer", "artist", "photographer", "著", "撰")
_LEADER_TYPES_MARC21 = {
    "a": "Text", "t": "Text", "c": "Text", "d": "Text", "e": "Image", "f": "Image",
    "g": "MovingImage", "k": "StillImage", "i": "Sound", "j": "Sound", "m": "Software",
    "o": "Collection", "p": "Collection", "r": "PhysicalObject",
}  # fmt: skip


def describe_marc21(record: MarcRecord, description: Description) -> None:
    for marc_field in reversed(record.get("245")):
        _read_title_proper(marc_field, description)
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
            year_of(value)
            for marc_field in (*record.get("264"), *record.get("260"))
            for value in marc_field.values("c")[:1]
        ][:1]
    read_leader(record.leader, _LEADER_TYPES_MARC21, description)
    if not description.creators and not description.contributors and description.responsibility:
        description.contributors.append(description.responsibility)


def _read_008(text: str, description: Description) -> None:
    kind = {"c": "serial", "d": "range", "u": "serial", "m": "range", "i": "range", "k": "range"}
    interval = year_interval(kind.get(text[6:7], "single"), text[7:11], text[11:15])
    description.dates.append(interval)
    description.languages += language_codes(text[35:38])


def _read_title_proper(field: Field, description: Description) -> None:
    """245: comes before all that was read; the last to be read is the first of the record."""
    description.titles.insert(0, joined(field, "abfgknps"))
    description.responsibility = joined(field, "c")


def _read_title_marc21(field: Field, description: Description) -> None:
    if field.tag != "245":  # 246, 740, and 245 in another script
        description.titles.append(joined(field, "abfgknps"))


def _read_name_marc21(codes: str) -> Reader:
    def read(field: Field, description: Description) -> None:
        if field.values("t"):  # a work contained or related, under its author
            description.relations.append(joined(field, codes + "tnp"))
            return
        tag = field.tag if field.tag != "880" else field.first("6")[:3]
        name = joined(field, codes)
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
    description.places += [unbracketed(text) for text in each(field, "a")]
    description.publishers += [unbracketed(text) for text in each(field, "b")]
    stated = [unbracketed(text) for text in each(field, "c")]
    description.date_stated = description.date_stated or ", ".join(filter(None, stated))


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
        description.rights.append(joined(field, "a"))
    elif tag in ("505", "520"):
        description.notes.append(joined(field, "agrtb"))
    elif tag == "534":
        description.relations.append(joined(field, "pt"))
    elif tag < "590" and tag not in ("533", "541", "546", "561", "583"):
        description.notes.append(joined(field, "a"))


def _read_place(field: Field, description: Description) -> None:
    """752: a place by its levels."""
    description.places_covered.append("--".join(filter(None, each(field, "abcdfg"))))


def _linked_title(field: Field, description: Description) -> None:
    description.relations.append(joined(field, "at"))


_MARC21 = table(
    ("245 246 247 740", _read_title_marc21),
    ("130 240 730", into("titles", "adfklmnoprs")),
    ("100 700", _read_name_marc21("abcdq")),
    ("110 710", _read_name_marc21("abcdn")),
    ("111 711", _read_name_marc21("acdenq")),
    ("720", _read_name_marc21("a")),
    ("250", read_edition),
    ("260 264", _read_publication_marc21),
    ("300", into("extents", "abce")),
    ("440 490", into("series", "anpv")),
    ("020", read_isbn),
    ("022", into_each("issns", "a")),
    ("010", _read_lccn),
    ("024", read_standard_number),
    ("856", read_url),
    ("041", read_languages),
    ("600", into("subjects", "abcdqt", "vxyz")),
    ("610", into("subjects", "abcdnt", "vxyz")),
    ("611", into("subjects", "acdent", "vxyz")),
    ("630", into("subjects", "adfklmnoprst", "vxyz")),
    ("650", into("subjects", "abcd", "vxyz")),
    ("653", into_each("subjects", "a")),
    ("648 651", into("places_covered", "a", "vxyz")),
    ("752", _read_place),
    ("655", into("types", "a", "vxyz")),
    ("050 060 080 082 084 090 093", into_each("classifications", "a")),
    ("765 767 770 772 773 774 775 776 777 780 785 786 787", _linked_title),
)
