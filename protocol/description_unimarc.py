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
    table,
    year_interval,
    year_of,
)
from protocol.iso2709 import Field, MarcRecord

_LEADER_TYPES_UNIMARC = {
    "a": "Text", "b": "Text", "c": "Text", "d": "Text", "e": "Image", "f": "Image",
    "g": "MovingImage", "i": "Sound", "j": "Sound", "k": "StillImage", "l": "Software",
    "m": "InteractiveResource", "r": "PhysicalObject",
    "u": "StillImage", "v": "Text",  # CNMARC: rubbings, rare books
}  # fmt: skip
_NO_NOTES_UNIMARC = frozenset(("310", "316", "317", "318", "345"))  # of the copy or the trade


def describe_unimarc(record: MarcRecord, description: Description) -> None:
    for marc_field in record.fields:
        tag = marc_field.tag
        if tag == "100":
            _read_coded_data(marc_field.first("a"), description)
        elif tag.startswith("3"):
            if tag not in _NO_NOTES_UNIMARC:
                description.notes.append(joined(marc_field, "a"))
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
    description.responsibility = " ; ".join(filter(None, each(field, "fg")))


def _read_personal_name(field: Field, description: Description) -> None:
    # An inverted name has its forename in $b; a Chinese one is whole in $a.
    name = ", ".join(filter(None, (joined(field, "a"), joined(field, "b"))))
    name = ", ".join(filter(None, (name, *each(field, "cdf"))))
    _put_name(field.tag, name, description)


def _read_body_name(field: Field, description: Description) -> None:
    name = ". ".join(filter(None, (joined(field, "a"), *each(field, "b"))))
    _put_name(field.tag, name, description)


def _put_name(tag: str, name: str, description: Description) -> None:
    """Tags ending in 2 are of secondary responsibility: translators, editors."""
    (description.contributors if tag.endswith("2") else description.creators).append(name)


def _read_publication_unimarc(field: Field, description: Description) -> None:
    if field.tag == "214" and field.text[1:2] not in ("0", " "):
        return
    description.places += each(field, "a")
    description.publishers += each(field, "c")


def _read_topic(field: Field, description: Description) -> None:
    description.subjects.append(heading(field, "abcdft", "xyz"))


def _read_series_unimarc(field: Field, description: Description) -> None:
    series = ". ".join(filter(None, (joined(field, "a"), *each(field, "hi"))))
    volume = joined(field, "v")
    description.series.append(f"{series} ; {volume}" if series and volume else series)


def _read_linked_unimarc(field: Field, description: Description) -> None:
    """4XX hold a title in $t, or whole fields, each begun by $1 with its tag."""
    titles: list[str] = each(field, "t")
    embedded = ""
    for code, value in field.subfields:
        if code == "1":
            embedded = value[:3]
        elif code == "a" and embedded == "200":
            titles.append(clean(value))
    description.relations += titles


_UNIMARC = table(
    ("200", _read_title_unimarc),
    ("500 501 503 510 512 513 514 515 516 517 518 520 530 531 532 540 541",
     into("titles", "aehi")),
    ("700 701 702 703 720 721 722", _read_personal_name),
    ("710 711 712", _read_body_name),
    ("730", into("contributors", "a")),
    ("205", read_edition),
    ("210 214", _read_publication_unimarc),
    ("215", into("extents", "acde")),
    ("225", _read_series_unimarc),
    ("010", read_isbn),
    ("011", into_each("issns", "a")),
    ("013 015 016 020 091 094", into_each("identifiers", "a")),
    ("017", read_standard_number),
    ("856", into_each("identifiers", "u")),
    ("101", read_languages),
    ("600 601 602 604 605 606", _read_topic),
    ("607", into("places_covered", "a", "xyz")),
    ("608", into("types", "a", "xyz")),
    ("610", into_each("subjects", "a")),
    ("675 676 680 686 690 692", into_each("classifications", "a")),
    ("410 411 421 422 423 430 431 432 433 434 435 436 437 440 441 442 443 444 445 446 447 448 "
     "451 452 453 454 455 456 461 462 463 464 470 481 482 488", _read_linked_unimarc),
)  # fmt: skip
