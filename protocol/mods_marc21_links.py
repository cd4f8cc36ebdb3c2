"""MARC 21 as MODS: names, subjects, classification, related items, numbers and places.

Sources: MARC 21 Format for Bibliographic Data; MARC to MODS mapping 3.5, Library
of Congress.
"""

from __future__ import annotations

import re

from protocol import mods_codes as codes
from protocol.description import clean, joined, plain
from protocol.iso2709 import Field
from protocol.mods_location import add_url
from protocol.mods_marc21_reading import Reader, Reading, language_codes
from protocol.mods_xml import (
    Mods,
    attributes,
    element,
    identifier,
    language,
    name_part,
    place,
    role,
    title_info,
    wrap,
)

# Names --------------------------------------------------------------------------------

_RELATOR_URI = "http://id.loc.gov/vocabulary/relators/"
_is_relator = re.compile("[a-z]{3}").fullmatch


def name_marc21(field: Field, tag: str, attributes_xml: str = "") -> str:
    """A `name` of a heading: X00, X10, X11 or 720."""
    kind = tag[1:]
    parts = []
    if kind == "00":
        parts.append(name_part(joined(field, "aq")))
        parts.append(name_part(joined(field, "bc"), "termsOfAddress"))
        parts.append(name_part(_life_dates(field), "date"))
        attributes_xml = _kind("family" if field.text[:1] == "3" else "personal") + attributes_xml
    elif kind == "10":
        parts += [name_part(clean(value)) for value in field.values("a")]
        parts += [name_part(clean(value)) for value in field.values("b")]
        parts.append(name_part(joined(field, "cdn")))
        attributes_xml = _kind("corporate") + attributes_xml
    elif kind == "11":
        parts.append(name_part(joined(field, "acdenq")))
        attributes_xml = _kind("conference") + attributes_xml
    else:
        parts.append(name_part(joined(field, "a")))
    parts += [element("affiliation", clean(value)) for value in field.values("u")]
    parts += _roles(field, "j" if kind == "11" else "e")
    return wrap("name", "".join(parts), attributes_xml)


def _kind(kind: str) -> str:
    return f' type="{kind}"'


def _life_dates(field: Field) -> str:
    return plain(" ".join(field.values("d"))).rstrip(" ,.:;")


def _roles(field: Field, term_code: str) -> list[str]:
    roles = [role(text=clean(value).rstrip(".")) for value in field.values(term_code)]
    for value in field.values("4"):
        code = value.strip().lower().removeprefix(_RELATOR_URI)
        if _is_relator(code):
            roles.append(role(code))
    return roles


# Subjects -----------------------------------------------------------------------------

_SUBDIVISIONS = {"v": "genre", "x": "topic", "y": "temporal", "z": "geographic"}


def _authority(field: Field) -> str:
    second = field.text[1:2]
    if second == "7":
        return field.first("2").strip()
    return codes.SUBJECT_AUTHORITIES.get(second, "")


def _subject(reading: Reading, field: Field, heading: str) -> None:
    parts = [heading]
    for code, value in field.subfields:
        name = _SUBDIVISIONS.get(code)
        if name is not None:
            parts.append(element(name, clean(value).removesuffix(".")))
    values = attributes(authority=_authority(field), valueURI=reading.uri_of(field))
    reading.mods.wrap("subject", "".join(parts), values + reading.alternate)


def _read_name_subject(reading: Reading, field: Field, tag: str) -> None:
    heading = name_marc21(field, tag)
    if "\x1ft" in field.text:
        heading += title_info(joined(field, "tfgklmors"), number=_after_title(field, "n"),
                              part=joined(field, "p"))  # fmt: skip
    _subject(reading, field, heading)


def _read_title_subject(reading: Reading, field: Field, _: str) -> None:
    heading = title_info(
        joined(field, "adfghklmorst"), number=joined(field, "n"), part=joined(field, "p")
    )
    _subject(reading, field, heading)


def _subject_of(name: str, subfields: str) -> Reader:
    def read(reading: Reading, field: Field, _: str) -> None:
        text = joined(field, subfields).removesuffix(".")
        _subject(reading, field, element(name, text))

    return read


def _read_uncontrolled(reading: Reading, field: Field, _: str) -> None:
    name = {"1": "name", "2": "name", "3": "name", "4": "temporal", "5": "geographic"}.get(
        field.text[1:2], "topic"
    )
    for value in field.values("a"):
        text = clean(value)
        xml = wrap("name", name_part(text)) if name == "name" else element(name, text)
        reading.mods.wrap("subject", xml, reading.alternate)


def _read_genre(reading: Reading, field: Field, _: str) -> None:
    """655 with its subdivisions, as headings are written."""
    authority = _authority(field)
    parts = [joined(field, "a"), *(clean(value) for value in field.values("vxyz"))]
    text = "--".join([part.removesuffix(".") for part in parts if part])
    values = attributes(authority=authority, valueURI=reading.uri_of(field))
    reading.mods.text("genre", text, values + reading.alternate)


def _read_area_codes(reading: Reading, field: Field, _: str) -> None:
    for value in field.values("a"):
        code = element("geographicCode", value.strip().rstrip("-"), ' authority="marcgac"')
        reading.mods.wrap("subject", code)


_PLACES = {
    "a": "country", "b": "state", "c": "county", "d": "city", "f": "citySection", "g": "region",
    "h": "extraterrestrialArea",
}  # fmt: skip


def _read_hierarchical_place(reading: Reading, field: Field, _: str) -> None:
    parts = [
        element(_PLACES[code], clean(value).removesuffix("."))
        for code, value in field.subfields
        if code in _PLACES
    ]
    content = wrap("hierarchicalGeographic", "".join(parts))
    reading.mods.wrap("subject", content, reading.alternate)


def _read_scale(reading: Reading, field: Field, _: str) -> None:
    content = (
        element("scale", joined(field, "a"))
        + element("projection", joined(field, "b"))
        + element("coordinates", joined(field, "c"))
    )
    reading.mods.wrap("subject", wrap("cartographics", content), reading.alternate)


# Classification -----------------------------------------------------------------------


def _classification(authority: str) -> Reader:
    def read(reading: Reading, field: Field, tag: str) -> None:
        source, edition = authority, ""
        if tag == "082":
            edition = field.first("2").strip() or {"0": "", "1": "abridged"}.get(field.text[:1], "")
        elif tag == "084":
            source = field.first("2").strip()
        elif tag == "086":
            source = {"0": "sudocs", "1": "candocs"}.get(field.text[:1]) or field.first("2").strip()
        values = attributes(authority=source, edition=edition)
        number = plain(" ".join(field.values("b"))) if tag != "084" else ""
        for value in field.values("a"):
            text = plain(value.replace("/", "") if tag == "082" else value)
            reading.mods.text("classification", f"{text} {number}".strip(), values)

    return read


# Related items ------------------------------------------------------------------------


def _after_title(field: Field, code: str) -> str:
    """Subfields `code` behind $t: before it they belong to the name."""
    head, _, tail = field.text.partition("\x1ft")
    values = [part[1:] for part in tail.split("\x1f")[1:] if part[:1] == code]
    return clean(" ".join(values)) if head else ""


def related_marc21(reading: Reading, field: Field, tag: str) -> None:
    """70X-71X with $t: a work inside (second indicator 2), or one related in some way."""
    item = Mods()
    item.add(
        "titleInfo",
        title_info(
            joined(field, "tfklmors"), reading.alternate, number=_after_title(field, "n"),
            part=joined(field, "p"),
        ),
    )  # fmt: skip
    head = field.text.partition("\x1ft")[0]
    item.add("name", name_marc21(Field(field.tag, head), tag, reading.alternate))
    for code in language_codes(_LANGUAGES_BY_NAME.get(clean(field.first("l")).lower(), "")):
        item.add("language", language(code))
    item.add("identifier", identifier("issn", clean(field.first("x"))))
    kind = "constituent" if field.text[1:2] == "2" else ""
    reading.mods.related(kind, item, clean(field.first("i")))


_LANGUAGES_BY_NAME = {
    "chinese": "chi", "english": "eng", "french": "fre", "german": "ger", "italian": "ita",
    "japanese": "jpn", "korean": "kor", "latin": "lat", "russian": "rus", "spanish": "spa",
}  # fmt: skip


def _read_series(reading: Reading, field: Field, tag: str) -> None:
    """490 and 440 as printed; 8XX the heading of the series."""
    item = Mods()
    if tag in ("440", "490", "830"):
        non_sort = field.text[1:2] if tag in ("440", "830") else "0"
        text = clean(" ".join([value.strip() for value in field.values("adfgklmorst")]))
        count = int(non_sort) if non_sort.isdigit() and non_sort.isascii() else 0
        head, text = (text[:count], text[count:]) if len(text) > count else ("", text)
        title = title_info(text, reading.alternate, non_sort=head, number=_series_number(field),
                           part=joined(field, "p"))  # fmt: skip
    else:
        title = title_info(joined(field, "tfklmors"), reading.alternate,
                           number=_series_number(field), part=joined(field, "p"))  # fmt: skip
        head = field.text.partition("\x1ft")[0]
        item.add("name", name_marc21(Field(field.tag, head), tag, reading.alternate))
    item.add("titleInfo", title)
    item.add("identifier", identifier("issn", clean(field.first("x"))))
    reading.mods.related("series", item)


def _series_number(field: Field) -> str:
    text = clean(" ".join([value.strip() for value in field.values("nv")]))
    return text[:-1] if text[-1:] == "." and text[-2:-1].isdigit() else text


_LINK_TYPES = {
    "760": "series", "762": "constituent", "765": "original", "767": "", "770": "constituent",
    "772": "host", "773": "host", "774": "constituent", "775": "otherVersion",
    "776": "otherFormat", "777": "", "780": "preceding", "785": "succeeding", "786": "original",
    "787": "",
}  # fmt: skip


def _read_link(reading: Reading, field: Field, tag: str) -> None:
    """76X-78X: another record, by its title, author, origin and numbers."""
    item = Mods()
    item.add("titleInfo", title_info(joined(field, "ts"), reading.alternate))
    if not field.values("t"):
        item.add("titleInfo", title_info(joined(field, "s"), ' type="uniform"'))
    item.add("name", wrap("name", name_part(joined(field, "a"))))
    item.wrap(
        "originInfo",
        place(joined(field, "d")) + element("edition", joined(field, "b")),
    )
    extent = element("extent", joined(field, "h"))
    item.wrap("physicalDescription", extent)
    for value in field.values("n"):
        item.text("note", plain(value))
    _add_numbers(item, field)
    if tag == "773":
        _add_part(item, field)
    label = clean(field.first("i"))
    reading.mods.related(_LINK_TYPES[tag], item, label)


def _add_numbers(item: Mods, field: Field) -> None:
    for code, kind in (("x", "issn"), ("z", "isbn"), ("r", "report number"), ("u", "strn")):
        for value in field.values(code):
            item.add("identifier", identifier(kind, clean(value)))
    for value in field.values("w"):
        agency, _, number = plain(value).rpartition(")")
        kind = {"(DLC": "lccn", "(OCoLC": "oclc"}.get(agency, "local")
        item.add(
            "identifier", identifier(kind, number.strip() if kind != "local" else plain(value))
        )


def _add_part(item: Mods, field: Field) -> None:
    texts = [element("text", plain(value)) for value in field.values("g")]
    item.wrap("part", "".join(texts))


def _read_original(reading: Reading, field: Field, _: str) -> None:
    """534: the original of a reproduction."""
    item = Mods()
    item.add("titleInfo", title_info(joined(field, "t"), reading.alternate))
    item.add("name", wrap("name", name_part(joined(field, "a"))))
    item.wrap(
        "originInfo",
        element("publisher", joined(field, "c")) + element("edition", joined(field, "b")),
    )
    item.wrap("physicalDescription", element("extent", joined(field, "e")))
    for value in field.values("n"):
        item.text("note", plain(value))
    item.add("identifier", identifier("issn", clean(field.first("x"))))
    item.add("identifier", identifier("isbn", clean(field.first("z"))))
    reading.mods.related("original", item)


# Identifiers --------------------------------------------------------------------------


def _read_isbn(reading: Reading, field: Field, _: str) -> None:
    for code, value in field.subfields:
        if code in "az" and code:
            number = clean(value).partition(" ")[0].partition("(")[0]
            reading.mods.add("identifier", identifier("isbn", number, invalid=code == "z"))


def _read_issn(reading: Reading, field: Field, _: str) -> None:
    for code, value in field.subfields:
        if code and code in "ayz":
            reading.mods.add("identifier", identifier("issn", clean(value), invalid=code != "a"))
        elif code == "l":
            reading.mods.add("identifier", identifier("issn-l", clean(value)))


def _read_lccn(reading: Reading, field: Field, _: str) -> None:
    for code, value in field.subfields:
        if code and code in "az":
            reading.mods.add("identifier", identifier("lccn", plain(value), invalid=code == "z"))


_NUMBER_TYPES = {"0": "isrc", "1": "upc", "2": "ismn", "3": "ean", "4": "sici"}
_PUBLISHER_NUMBERS = {
    "0": "issue number", "1": "matrix number", "2": "music plate", "3": "music publisher",
    "4": "videorecording identifier",
}  # fmt: skip


def _read_standard_number(reading: Reading, field: Field, _: str) -> None:
    first = field.text[:1]
    kind = field.first("2").strip().lower() if first == "7" else _NUMBER_TYPES.get(first, "")
    for code, value in field.subfields:
        if code and code in "az":
            reading.mods.add("identifier", identifier(kind, clean(value), invalid=code == "z"))


def _read_publisher_number(reading: Reading, field: Field, _: str) -> None:
    kind = _PUBLISHER_NUMBERS.get(field.text[:1], "publisher number")
    number = " ".join([*field.values("b"), *field.values("a")])
    reading.mods.add("identifier", identifier(kind, plain(number)))


def _numbers(kind: str) -> Reader:
    def read(reading: Reading, field: Field, _: str) -> None:
        for value in field.values("a"):
            reading.mods.add("identifier", identifier(kind, plain(value)))

    return read


def _read_system_number(reading: Reading, field: Field, _: str) -> None:
    for value in field.values("a"):
        agency, _close, number = plain(value).rpartition(")")
        if agency == "(OCoLC":
            number = number.lower().removeprefix("ocm").removeprefix("ocn").strip()
            reading.mods.add("identifier", identifier("oclc", number))


# Places to get it ---------------------------------------------------------------------


def _read_url(reading: Reading, field: Field, _: str) -> None:
    reading.describe(add_url(reading.mods, field))


def _read_location(reading: Reading, field: Field, _: str) -> None:
    where = plain(" ".join([value.strip() for value in field.values("abce")]))
    shelf = plain(" ".join([value.strip() for value in field.values("khijlm")]))
    content = element("physicalLocation", where) + element("shelfLocator", shelf)
    reading.mods.wrap("location", content)


def _table(*rows: tuple[str, Reader]) -> dict[str, Reader]:
    return {tag: reader for tags, reader in rows for tag in tags.split()}


LINKS = _table(
    ("600 610 611", _read_name_subject),
    ("630", _read_title_subject),
    ("648", _subject_of("temporal", "a")),
    ("650", _subject_of("topic", "abcd")),
    ("651", _subject_of("geographic", "a")),
    ("653", _read_uncontrolled),
    ("655", _read_genre),
    ("656", _subject_of("occupation", "a")),
    ("043", _read_area_codes),
    ("752", _read_hierarchical_place),
    ("255", _read_scale),
    ("050", _classification("lcc")),
    ("060", _classification("nlm")),
    ("080", _classification("udc")),
    ("082", _classification("ddc")),
    ("084 086", _classification("")),
    ("093", _classification("clc")),
    ("440 490 800 810 811 830", _read_series),
    (" ".join(_LINK_TYPES), _read_link),
    ("534", _read_original),
    ("020", _read_isbn),
    ("022", _read_issn),
    ("010", _read_lccn),
    ("024", _read_standard_number),
    ("028", _read_publisher_number),
    ("015", _numbers("national bibliography number")),
    ("027", _numbers("strn")),
    ("037", _numbers("stock number")),
    ("030", _numbers("coden")),
    ("088", _numbers("report number")),
    ("035", _read_system_number),
    ("856", _read_url),
    ("852", _read_location),
)
