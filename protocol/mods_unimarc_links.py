"""UNIMARC and CNMARC as MODS: names, subjects, classification, related items, numbers, places.

Sources: UNIMARC Manual, Bibliographic Format, 3rd edition; CNMARC (WH/T 0503).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from protocol import mods_codes as codes
from protocol.description import clean, plain
from protocol.iso2709 import Field
from protocol.mods_location import add_url
from protocol.mods_unimarc_reading import (
    Reader,
    Reading,
    codes_of,
    joined,
    romanised,
    split_non_sort,
    without_brackets,
)
from protocol.mods_xml import (
    Mods,
    any_uri,
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
from protocol.unimarc_links import embedded_fields

# Names --------------------------------------------------------------------------------


def name_unimarc(field: Field, tag: str, attributes_xml: str = "", *, roles: bool = True) -> str:
    """A `name` of a heading: 70X and 600 persons, 71X and 601 bodies, 72X and 602 families."""
    kind = _kind_of(field, tag)
    parts = _body_parts(field) if kind in ("corporate", "conference") else _person_parts(field)
    parts += [element("affiliation", clean(value)) for value in field.values("p")]
    if roles:
        parts += _roles(field)
    values = f' type="{kind}"' if kind else ""
    return wrap("name", "".join(parts), values + attributes_xml)


def _kind_of(field: Field, tag: str) -> str:
    if tag in ("600", "700", "701", "702", "703"):
        return "personal"
    if tag in ("601", "710", "711", "712"):
        return "conference" if field.text[:1] == "1" else "corporate"
    return "family" if tag in ("602", "720", "721", "722") else ""


def _person_parts(field: Field) -> list[str]:
    """Second indicator 1: $a is the surname. $g is a fuller form, or in CNMARC the original."""
    entry, rest = joined(field, "a"), joined(field, "b")
    if field.text[1:2] == "1" and rest:
        parts = [name_part(entry, "family"), name_part(rest, "given")]
    else:
        parts = [name_part(f"{entry}, {rest}" if rest and entry else entry or rest)]
    for value in field.values("cd"):
        parts.append(name_part(without_brackets(value), "termsOfAddress"))
    parts.append(name_part(" ".join(map(without_brackets, field.values("f"))), "date"))
    for value in field.values("g"):
        text = without_brackets(value)
        fuller = f"{text} {entry}" if rest and "," not in text else text
        parts.append(element("displayForm", fuller))
    return parts


def _body_parts(field: Field) -> list[str]:
    parts = [name_part(clean(value)) for value in field.values("a")]
    parts += [name_part(clean(value)) for value in field.values("b")]
    parts.append(name_part(" ".join(map(without_brackets, field.values("cdef")))))
    return parts


def _roles(field: Field) -> list[str]:
    """$4 holds a code of UNIMARC, or in CNMARC the words of the title page."""
    roles = []
    for value in field.values("4"):
        text = clean(value)
        if text[:3].isdigit():
            code = codes.RELATORS.get(text[:3], "")
            roles.append(role(code, "" if code else text))
        elif re.fullmatch("[a-z]{3}", text):
            roles.append(role(text))
        else:
            roles.append(role(codes.CHINESE_RELATORS.get(text.strip("[]等"), ""), text))
    return roles


def _read_name(reading: Reading, field: Field, tag: str) -> None:
    read = romanised(field)
    of_text, of_reading = reading.pair(field, field.first("a"), read)
    primary = ' usage="primary"' if tag in ("700", "710", "720") else ""
    values = primary + attributes(valueURI=_uri_of(field)) + of_text
    reading.mods.add("name", name_unimarc(field, tag, values))
    kind = _kind_of(field, tag)
    reading.mods.wrap("name", name_part(read), f' type="{kind}"' + of_reading if read else "")


def _read_uncontrolled_name(reading: Reading, field: Field, _: str) -> None:
    parts = [name_part(joined(field, "a")), *_roles(field)]
    if field.first("a"):
        reading.mods.wrap("name", "".join(parts))


def _uri_of(field: Field) -> str:
    for value in field.values("3o"):
        if re.fullmatch(r"https?://[!-~]+", value.strip()):
            return any_uri(value)
    return ""


# Subjects -----------------------------------------------------------------------------

_SUBDIVISIONS = {"j": "genre", "x": "topic", "y": "geographic", "z": "temporal"}
_SOURCES = {"lc": "lcsh", "rameau": "ram"}


def _authority(field: Field) -> str:
    source = field.first("2").strip()
    return _SOURCES.get(source.lower(), source)


def _subject(reading: Reading, field: Field, heading: str) -> None:
    parts = [heading]
    for code, value in field.subfields:
        name = _SUBDIVISIONS.get(code)
        if name is not None:
            parts.append(element(name, clean(value)))
    values = attributes(authority=_authority(field), valueURI=_uri_of(field))
    reading.mods.wrap("subject", "".join(parts), values)


def _read_name_subject(reading: Reading, field: Field, tag: str) -> None:
    heading = name_unimarc(field, tag, roles=False)
    _subject(reading, field, heading + title_info(joined(field, "t")))


def _read_name_title_subject(reading: Reading, field: Field, _: str) -> None:
    """604: a name and a title, as fields that $1 embeds."""
    parts = []
    for inner in embedded_fields(field):
        if inner.tag[0] == "7":
            parts.append(name_unimarc(inner, inner.tag, roles=False))
        elif inner.tag[0] == "5":
            parts.append(title_info(joined(inner, "a"), part=joined(inner, "i")))
    reading.mods.wrap("subject", "".join(parts), attributes(authority=_authority(field)))


def _read_title_subject(reading: Reading, field: Field, _: str) -> None:
    heading = title_info(
        joined(field, "aklmnqru"), number=joined(field, "h"), part=joined(field, "i")
    )
    _subject(reading, field, heading)


def _subject_of(name: str, subfields: str = "a") -> Reader:
    def read(reading: Reading, field: Field, _: str) -> None:
        _subject(reading, field, element(name, joined(field, subfields)))

    return read


def _read_genre(reading: Reading, field: Field, _: str) -> None:
    parts = [joined(field, "a"), *map(clean, field.values("jxyz"))]
    text = "--".join(filter(None, parts))
    reading.mods.text("genre", text, attributes(authority=_authority(field)))


def _read_uncontrolled(reading: Reading, field: Field, _: str) -> None:
    for value in field.values("a"):
        reading.mods.wrap("subject", element("topic", clean(value)))


_PLACES = {"a": "country", "b": "province", "c": "county", "d": "city", "e": "citySection"}


def _read_hierarchical_place(reading: Reading, field: Field, _: str) -> None:
    """620, 617: what was made in or is about a place, by its levels."""
    parts = [
        element(_PLACES[code], clean(value)) for code, value in field.subfields if code in _PLACES
    ]
    reading.mods.wrap("subject", wrap("hierarchicalGeographic", "".join(parts)))


def _read_area_codes(reading: Reading, field: Field, _: str) -> None:
    for value in field.values("a"):
        code = element("geographicCode", value.strip().rstrip("-"), ' authority="marcgac"')
        reading.mods.wrap("subject", code)


def _read_scale(reading: Reading, field: Field, _: str) -> None:
    """206: scale, projection and coordinates of maps, in one statement or apart."""
    content = (
        element("scale", joined(field, "ab"))
        + element("projection", joined(field, "c"))
        + element("coordinates", joined(field, "d"))
    )
    reading.mods.wrap("subject", wrap("cartographics", content))


# Classification -----------------------------------------------------------------------


def _classification(authority: str, label: str = "") -> Reader:
    def read(reading: Reading, field: Field, _: str) -> None:
        source = authority or field.first("2").strip()
        # 686 and 696 name their scheme in words as often as by a code.
        named = label
        if not source.isascii():
            source, named = "", source
        values = attributes(authority=source, edition=field.first("v").strip(), displayLabel=named)
        book = clean(field.first("b")) if authority == "lcc" else ""
        for value in field.values("a"):
            reading.mods.text("classification", f"{plain(value)} {book}".strip(), values)

    return read


# Related items ------------------------------------------------------------------------

_SERIES = frozenset(("410", "461", "462"))
_LINK_TYPES = {
    "410": "series", "411": "constituent", "421": "constituent", "422": "host", "423": "",
    "430": "preceding", "431": "preceding", "432": "preceding", "433": "preceding",
    "434": "preceding", "435": "preceding", "436": "preceding", "437": "preceding",
    "440": "succeeding", "441": "succeeding", "442": "succeeding", "443": "succeeding",
    "444": "succeeding", "445": "succeeding", "446": "succeeding", "447": "succeeding",
    "448": "succeeding", "451": "otherVersion", "452": "otherFormat", "453": "otherVersion",
    "454": "original", "455": "original", "456": "otherVersion", "461": "host",
    "462": "host", "463": "constituent", "464": "constituent", "470": "reviewOf", "481": "",
    "482": "", "488": "",
}  # fmt: skip


def _read_series(reading: Reading, field: Field, _: str) -> None:
    """225: a series as printed, with the reading that CNMARC gives."""
    title = field.first("a")
    reading.series.add(_key(title))
    read = romanised(field)
    of_text, of_reading = reading.pair(field, title, read)
    non_sort, text = split_non_sort(title)
    item = Mods()
    item.add(
        "titleInfo",
        title_info(
            text, of_text, non_sort=non_sort, subtitle=joined(field, "e", " : "),
            number=joined(field, "hv", ", "), part=joined(field, "i", ", "),
        ),
    )  # fmt: skip
    item.add("titleInfo", title_info(read, of_reading))
    item.add("identifier", identifier("issn", clean(field.first("x"))))
    for value in field.values("d"):
        values = ' type="translated" otherType="parallel"'
        item.add("titleInfo", title_info(clean(value.lstrip("= ")), values))
    reading.mods.related("series", item)


def _read_link(reading: Reading, field: Field, tag: str) -> None:
    """4XX: another record, in fields that $1 embeds or in subfields of its own.

    A series that 225 tells is not told again.
    """
    item = Mods()
    inner = embedded_fields(field)
    if inner:
        title = next((each.first("a") for each in inner if each.tag in ("200", "500")), "")
        for each in inner:
            _add_embedded(reading, item, each)
    else:
        title = field.first("t")
        _add_subfields(item, field)
    if tag in _SERIES:
        key = _key(title)
        if key in reading.series:
            return
        reading.series.add(key)
    kind = _LINK_TYPES[tag]
    if tag == "463" and reading.leader[7] == "a":  # a part tells the piece that it is in
        kind = "host"
    reading.mods.related(kind, item)


def _key(title: str) -> str:
    return re.sub(r"\W", "", clean(title)).lower()


def _add_embedded(reading: Reading, item: Mods, inner: Field) -> None:
    tag = inner.tag
    if tag in ("200", "500", "510", "517", "530"):
        kind = {"200": "", "500": "uniform", "510": "translated"}.get(tag, "alternative")
        non_sort, title = split_non_sort(inner.first("a"))
        item.add(
            "titleInfo",
            title_info(
                title, attributes(type=kind), non_sort=non_sort,
                subtitle=joined(inner, "e", " : "), number=joined(inner, "hv", ", "),
                part=joined(inner, "i", ", "),
            ),
        )  # fmt: skip
        responsibility = " ; ".join(filter(None, map(plain, inner.values("fg"))))
        item.text("note", responsibility, ' type="statement of responsibility"')
        if not any(code == "a" for code, _ in inner.subfields):
            _add_subfields(item, inner)
    elif tag in _NAME_TAGS:
        item.add("name", name_unimarc(inner, tag))
    elif tag == "001":
        item.add("identifier", identifier("local", plain(inner.text)))
    elif tag in _IDENTIFIERS:
        _IDENTIFIERS[tag](item, inner)
    elif tag == "101":
        for code in codes_of(inner.values("a")):
            item.add("language", language(code))
    elif tag == "210":
        item.wrap("originInfo", _embedded_origin(inner))
    elif tag == "205":
        item.wrap("originInfo", element("edition", joined(inner, "a")))
    elif tag == "215":
        item.wrap("physicalDescription", element("extent", joined(inner, "a")))


def _embedded_origin(inner: Field) -> str:
    return "".join(
        [place(clean(value)) for value in inner.values("a")]
        + [element("publisher", clean(value)) for value in inner.values("c")]
        + [element("dateIssued", clean(value)) for value in inner.values("d")]
    )


def _add_subfields(item: Mods, field: Field) -> None:
    """The subfields of the standard technique: $t title, $a author, $x ISSN and so on."""
    non_sort, title = split_non_sort(field.first("t"))
    item.add(
        "titleInfo",
        title_info(
            title, non_sort=non_sort, subtitle=joined(field, "o", " : "),
            number=joined(field, "hv", ", "), part=joined(field, "i", ", "),
        ),
    )  # fmt: skip
    item.add("titleInfo", title_info(joined(field, "l"), ' type="translated"'))
    if "\x1ft" in field.text:
        item.add("name", wrap("name", name_part(joined(field, "a"))))
    item.wrap(
        "originInfo",
        "".join(
            [place(clean(value)) for value in field.values("c")]
            + [element("publisher", clean(value)) for value in field.values("n")]
            + [element("dateIssued", clean(value)) for value in field.values("d")]
            + [element("edition", joined(field, "e"))]
        ),
    )
    item.wrap("physicalDescription", element("extent", joined(field, "p")))
    for code, kind in (("x", "issn"), ("y", "isbn"), ("z", "coden"), ("0", "local")):
        for value in field.values(code):
            item.add("identifier", identifier(kind, clean(value)))
    for value in field.values("u"):
        item.wrap("location", element("url", any_uri(value)))


# Identifiers --------------------------------------------------------------------------


Adder = Callable[[Mods, Field], None]


def _numbers(kind: str, invalid: str = "z", label: str = "") -> Adder:
    """Adds each $a, and each of the subfields `invalid` as a number that is not right."""

    def add(mods: Mods, field: Field) -> None:
        for code, value in field.subfields:
            if code == "a" or (code and code in invalid):
                number = clean(value)
                if kind == "isbn":
                    number = number.partition(" ")[0].partition("(")[0]
                mods.add("identifier", identifier(kind, number, invalid=code != "a", label=label))

    return add


def _add_issn(mods: Mods, field: Field) -> None:
    _numbers("issn", "yz")(mods, field)
    for value in field.values("f"):
        mods.add("identifier", identifier("issn-l", clean(value)))


def _add_other_number(mods: Mods, field: Field) -> None:
    """017: its kind is in $2."""
    _numbers(field.first("2").strip().lower() or "local")(mods, field)


def _add_national_number(mods: Mods, field: Field) -> None:
    number = joined(field, "ab")
    mods.add("identifier", identifier("national bibliography number", number))


_PUBLISHER_NUMBERS = {
    "0": "issue number", "1": "matrix number", "2": "music plate", "3": "music publisher",
    "4": "videorecording identifier",
}  # fmt: skip


def _add_publisher_number(mods: Mods, field: Field) -> None:
    kind = _PUBLISHER_NUMBERS.get(field.text[:1], "publisher number")
    mods.add("identifier", identifier(kind, joined(field, "ba")))


def _add_system_number(mods: Mods, field: Field) -> None:
    """035: another system's number; only OCLC's has a type of its own."""
    for value in field.values("a"):
        agency, close, number = plain(value).rpartition(")")
        if close and agency.lower() == "(ocolc":
            mods.add("identifier", identifier("oclc", number.strip()))


_IDENTIFIERS: dict[str, Adder] = {
    "010": _numbers("isbn"),
    "011": _add_issn,
    "012": _numbers("fingerprint"),
    "013": _numbers("ismn"),
    "014": _numbers("sici"),
    "015": _numbers("isrn"),
    "016": _numbers("isrc"),
    "017": _add_other_number,
    "020": _add_national_number,
    "022": _numbers("government publication number"),
    "035": _add_system_number,
    "040": _numbers("coden"),
    "071": _add_publisher_number,
    "072": _numbers("upc"),
    "073": _numbers("ean"),
    "091": _numbers("csbn", label="统一书刊号"),
    "092": _numbers("stock number", label="订购号"),
    "094": _numbers("standard number", label="标准号"),
}


def _read_identifier(reading: Reading, field: Field, tag: str) -> None:
    _IDENTIFIERS[tag](reading.mods, field)


# Places to get it ---------------------------------------------------------------------


def _read_url(reading: Reading, field: Field, _: str) -> None:
    reading.describe(add_url(reading.mods, field))


def _read_location(reading: Reading, field: Field, _: str) -> None:
    """852: library, collection, shelving."""
    content = element("physicalLocation", joined(field, "abc")) + element(
        "shelfLocator", joined(field, "jhkl")
    )
    reading.mods.wrap("location", content)


def _read_cnmarc_location(reading: Reading, field: Field, _: str) -> None:
    """905 of CNMARC: the library in $a; the call number in $s, or as class $d and book $e."""
    shelf = clean(field.first("s")) or "/".join(filter(None, map(clean, field.values("de"))))
    library = element("physicalLocation", clean(field.first("a")))
    if shelf:
        reading.mods.wrap("location", library + element("shelfLocator", shelf))


def _table(*rows: tuple[str, Reader]) -> dict[str, Reader]:
    return {tag: reader for tags, reader in rows for tag in tags.split()}


_NAME_TAGS = frozenset(("700", "701", "702", "703", "710", "711", "712", "720", "721", "722"))

LINKS = _table(
    (" ".join(sorted(_NAME_TAGS)), _read_name),
    ("730", _read_uncontrolled_name),
    ("600 601 602", _read_name_subject),
    ("604", _read_name_title_subject),
    ("605", _read_title_subject),
    ("606 615 616", _subject_of("topic")),
    ("607", _subject_of("geographic")),
    ("608", _read_genre),
    ("610", _read_uncontrolled),
    ("617 620", _read_hierarchical_place),
    ("660", _read_area_codes),
    ("206", _read_scale),
    ("675", _classification("udc")),
    ("676", _classification("ddc")),
    ("680", _classification("lcc")),
    ("690", _classification("clc")),
    ("692", _classification("", "中国科学院图书馆图书分类法")),
    ("686 696", _classification("")),
    ("225", _read_series),
    (" ".join(_LINK_TYPES), _read_link),
    (" ".join(_IDENTIFIERS), _read_identifier),
    ("856", _read_url),
    ("852", _read_location),
    ("905", _read_cnmarc_location),
)
