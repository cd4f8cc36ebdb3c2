"""MARC 21 bibliographic records as MODS: titles, names, origin, the record itself.

Languages, extent and notes are in `mods_marc21_notes`; what links to other things
(subjects, related items, identifiers, places to get it) is in `mods_marc21_links`.
An 880 is read as the field it stands for, with its script; both carry the same
altRepGroup.

Sources: MARC 21 Format for Bibliographic Data; MARC to MODS mapping 3.5, Library
of Congress.
"""

from __future__ import annotations

import re

from protocol import mods_codes as codes
from protocol.description import clean, joined, plain, unbracketed
from protocol.iso2709 import Field, MarcRecord
from protocol.mods_marc21_links import LINKS, name_marc21, related_marc21
from protocol.mods_marc21_notes import NOTES
from protocol.mods_marc21_reading import Reader, Reading, language_codes
from protocol.mods_xml import (
    Mods,
    attributes,
    date,
    element,
    identifier,
    language,
    language_terms,
    place,
    title_info,
)


def read_marc21(record: MarcRecord) -> Mods:
    """The MODS elements that a record of MARC 21 says; what it lacks is left out."""
    reading = Reading(record)
    _read_leader(reading)
    for field in record.fields:
        tag = field.tag
        reading.alternate = ""
        if "\x1f6" in field.text:
            tag = reading.follow_link(field)
        reader = _READERS.get(tag)
        if reader is not None:
            reader(reading, field, tag)
    _finish_origin(reading)
    _finish_record_info(reading)
    return reading.mods


# Leader and coded data ----------------------------------------------------------------


def _read_leader(reading: Reading) -> None:
    leader = reading.leader
    kind = codes.RESOURCE_TYPES_MARC21.get(leader[6], "")
    reading.mods.text(
        "typeOfResource",
        kind,
        attributes(
            collection="yes" if leader[7] == "c" else "",
            manuscript="yes" if leader[6] in codes.MANUSCRIPT_MARC21 else "",
        ),
    )
    reading.issuance = {
        "a": "monographic", "c": "monographic", "d": "monographic",
        "m": "multipart monograph" if leader[19] in "abc" else "monographic",
        "b": "continuing", "s": "serial", "i": "integrating resource",
    }.get(leader[7], "")  # fmt: skip


def _read_008(reading: Reading, field: Field, _: str) -> None:
    text = field.text.ljust(40)
    mods, material = reading.mods, reading.material
    reading.entered = text[:6]
    _coded_dates(reading, text[6], text[7:11], text[11:15])
    country = text[15:18].strip(" |#^-").lower()
    if country.isalpha() and country.isascii():
        reading.places.append(place(country, "code", "marccountry"))
    for code in language_codes(text[35:38]):
        mods.add("language", language(code))
    form = codes.FORMS_OF_ITEM.get(text[29] if material in ("map", "visual") else text[23], "")
    reading.describe(element("form", form, ' authority="marcform"'))
    if material in ("book", "file", "music", "visual"):
        audience = codes.AUDIENCES.get(text[22], "")
        mods.text("targetAudience", audience, ' authority="marctarget"')
    _coded_genres(reading, text)
    if material == "serial":
        frequency = codes.FREQUENCIES.get(text[18], "")
        reading.frequencies.append(element("frequency", frequency, ' authority="marcfrequency"'))


def _coded_dates(reading: Reading, kind: str, first: str, second: str) -> None:
    """008/06-14: single dates, or the ends of a range; unknown digits stay `u`."""
    if kind in "cdikmqu":
        qualifier = "questionable" if kind == "q" else ""
        for text, point in ((first, "start"), (second, "end")):
            if _is_date(text):
                reading.dates.append(
                    date("dateIssued", text, encoding="marc", point=point, qualifier=qualifier)
                )
    elif kind in "eprst" and _is_date(first):
        reading.dates.append(date("dateIssued", first, encoding="marc"))
        if kind == "t" and _is_date(second):
            reading.dates.append(date("copyrightDate", second, encoding="marc"))
        elif kind == "p" and _is_date(second):
            reading.dates.append(date("dateCreated", second, encoding="marc"))


_is_date = re.compile("[0-9][0-9u]{3}").fullmatch


def _coded_genres(reading: Reading, text: str) -> None:
    material = reading.material
    terms: list[str] = []
    if material in ("book", "serial"):
        terms += [codes.CONTENTS.get(code, "") for code in text[24:28]]
        if text[29] == "1":
            terms.append("conference publication")
    if material == "book":
        if text[30] == "1":
            terms.append("festschrift")
        terms.append(codes.LITERARY_FORMS.get(text[33], ""))
        if text[34] in "abc":
            terms.append("biography")
    elif material == "serial":
        terms.append(codes.SERIAL_TYPES.get(text[21], ""))
    elif material == "map":
        terms.append(codes.MAP_TYPES.get(text[25], ""))
    elif material == "visual":
        terms.append(codes.VISUAL_TYPES.get(text[33], ""))
    elif material == "file":
        terms.append(codes.FILE_TYPES.get(text[26], ""))
    for term in terms:
        reading.mods.text("genre", term, ' authority="marcgt"')


# Titles -------------------------------------------------------------------------------


def _read_title(reading: Reading, field: Field, _: str) -> None:
    """245: a title closed by "=" is followed by its parallel title in $b."""
    alternate = reading.alternate
    title = _title_before_subtitle(field)
    non_sort, title = _split_non_sort(title, field.text[1:2])
    subtitle = joined(field, "b")
    parallel = ""
    if plain(field.first("a")).endswith("=") and subtitle:
        subtitle, parallel = "", subtitle
    reading.mods.add(
        "titleInfo",
        title_info(
            title, alternate, non_sort=non_sort, subtitle=subtitle,
            number=joined(field, "n"), part=joined(field, "p"),
        ),
        first=field.tag == "245" and not reading.titled,  # before a uniform title
    )  # fmt: skip
    reading.titled = True
    if parallel:
        first, _, rest = parallel.partition(" : ")
        kind = ' type="translated" otherType="parallel"'
        reading.mods.add("titleInfo", title_info(clean(first), kind, subtitle=clean(rest)))
    responsibility = plain(" ".join(field.values("c")))
    kind = ' type="statement of responsibility"'
    reading.mods.text("note", responsibility, kind + alternate)
    reading.describe(element("form", clean(field.first("h")).strip("[]"), ' authority="gmd"'))


def _title_before_subtitle(field: Field) -> str:
    """$a with the dates, form and version that belong to it ($f $g $k $s)."""
    return plain(" ".join([value.strip() for value in field.values("afgks")]))


def _split_non_sort(title: str, indicator: str) -> tuple[str, str]:
    if indicator in "123456789" and indicator and len(title) > int(indicator):
        count = int(indicator)
        return title[:count], clean(title[count:])
    return "", clean(title)


def _variant_title(kind: str, label: str = "", skip: int = 0) -> Reader:
    """A reader of a title of that type; `skip` tells which indicator counts characters."""

    def read(reading: Reading, field: Field, _: str) -> None:
        count = field.text[skip - 1 : skip] if skip else ""
        non_sort, title = _split_non_sort(_title_before_subtitle(field), count)
        display = clean(field.first("i")) or label
        values = attributes(type=kind, displayLabel=display, lang=field.first("y").strip())
        reading.mods.add(
            "titleInfo",
            title_info(
                title, values + reading.alternate, non_sort=non_sort, subtitle=joined(field, "b"),
                number=joined(field, "n"), part=joined(field, "p"),
            ),
        )  # fmt: skip

    return read


def _read_abbreviated_title(reading: Reading, field: Field, _: str) -> None:
    """210, whose words end in stops that belong to them."""
    text = plain(" ".join(field.values("ab")))
    reading.mods.add("titleInfo", title_info(text, ' type="abbreviated"' + reading.alternate))


_VARIANT_LABELS = {
    "2": "distinctive title", "3": "other title", "4": "cover title", "5": "added title page title",
    "6": "caption title", "7": "running title", "8": "spine title",
}  # fmt: skip


def _read_variant_title(reading: Reading, field: Field, tag: str) -> None:
    second = field.text[1:2]
    if second == "1":
        _PARALLEL_TITLE(reading, field, tag)
    else:
        _variant_title("alternative", _VARIANT_LABELS.get(second, ""))(reading, field, tag)


_PARALLEL_TITLE = _variant_title("alternative", "parallel title")


def _read_uniform_title(reading: Reading, field: Field, tag: str) -> None:
    """130, 240, 730: under 1XX the name and the title belong together."""
    if tag == "730" and field.text[1:2] == "2":
        _read_analytic_title(reading, field, tag)
        return
    count = field.text[1:2] if tag == "240" else field.text[:1]
    non_sort, title = _split_non_sort(joined(field, "adfghklmorst"), count)
    group = "1" if tag == "240" and reading.has_main_name else ""
    uri = reading.uri_of(field)
    reading.mods.add(
        "titleInfo",
        title_info(
            title,
            attributes(type="uniform", nameTitleGroup=group, valueURI=uri) + reading.alternate,
            non_sort=non_sort, number=joined(field, "n"), part=joined(field, "p"),
        ),
    )  # fmt: skip


def _read_analytic_title(reading: Reading, field: Field, tag: str) -> None:
    """A title of a work inside; without that sign (740) another title of the whole."""
    if field.text[1:2] != "2":
        _variant_title("alternative", skip=1)(reading, field, tag)
        return
    item = Mods()
    non_sort, title = _split_non_sort(joined(field, "adfghklmorst"), field.text[:1])
    item.add(
        "titleInfo",
        title_info(
            title, reading.alternate, non_sort=non_sort, number=joined(field, "n"),
            part=joined(field, "p"),
        ),
    )  # fmt: skip
    reading.mods.related("constituent", item)


def _read_former_title(reading: Reading, field: Field, _: str) -> None:
    item = Mods()
    item.add(
        "titleInfo",
        title_info(
            joined(field, "afg"), reading.alternate, subtitle=joined(field, "b"),
            number=joined(field, "n"), part=joined(field, "p"),
        ),
    )  # fmt: skip
    item.add("identifier", identifier("issn", clean(field.first("x"))))
    reading.mods.related("preceding", item)


# Names --------------------------------------------------------------------------------


def _read_name(reading: Reading, field: Field, tag: str) -> None:
    if tag[0] == "7" and "\x1ft" in field.text:
        related_marc21(reading, field, tag)
        return
    main = tag[0] == "1"
    values = attributes(
        usage="primary" if main and field.tag != "880" else "",
        nameTitleGroup="1" if main and reading.has_uniform_title else "",
        valueURI=reading.uri_of(field),
    )
    reading.mods.add("name", name_marc21(field, tag, values + reading.alternate))


def _read_uncontrolled_name(reading: Reading, field: Field, _: str) -> None:
    kind = {"1": "personal", "2": "corporate"}.get(field.text[:1], "")
    roles = name_marc21(field, "720", attributes(type=kind) + reading.alternate)
    reading.mods.add("name", roles)


# Origin -------------------------------------------------------------------------------

_EVENTS = {"0": "production", "1": "publication", "2": "distribution", "3": "manufacture"}


def _read_origin(reading: Reading, field: Field, tag: str) -> None:
    second = field.text[1:2]
    if tag == "264" and second == "4":
        reading.dates.append(element("copyrightDate", _printed_date(field, "c").lstrip("c©")))
        return
    parts = [place(_origin_text(text)) for text in field.values("a")]
    parts += [element("publisher", _origin_text(text)) for text in field.values("b")]
    if tag == "264" and second == "0":
        parts.append(element("dateCreated", _printed_date(field, "c")))
    else:
        parts.append(element("dateIssued", _printed_date(field, "c")))
    made = [place(_origin_text(text)) for text in field.values("e")]
    made += [element("publisher", clean(text).strip("()")) for text in field.values("f")]
    made.append(element("dateOther", clean(field.first("g")).strip("()"), ' type="manufacture"'))
    event = _EVENTS.get(second, "") if tag == "264" else ""
    reading.add_origin(event, "".join(parts))
    reading.add_origin("manufacture", "".join(made))


def _printed_date(field: Field, code: str) -> str:
    return unbracketed(clean(" ".join(field.values(code))).removesuffix("."))


def _origin_text(text: str) -> str:
    return unbracketed(clean(text))


def _read_edition(reading: Reading, field: Field, _: str) -> None:
    text = plain(" ".join(field.values("ab")))
    edition = element("edition", text.rstrip(" /,"))
    if field.tag == "880":
        reading.mods.wrap("originInfo", edition, reading.alternate)
    else:
        reading.editions.append(edition)


def _read_frequency(reading: Reading, field: Field, _: str) -> None:
    reading.frequencies.append(element("frequency", plain(" ".join(field.values("ab")))))


def _read_country(reading: Reading, field: Field, _: str) -> None:
    reading.places += [place(code.strip(), "code", "iso3166") for code in field.values("c")]


def _finish_origin(reading: Reading) -> None:
    """The first publication takes the coded data; other events stand for themselves."""
    coded = "".join(reading.places)
    rest = "".join(reading.dates)
    rest += "".join(reading.editions)
    rest += element("issuance", reading.issuance)
    rest += "".join(dict.fromkeys(reading.frequencies))
    main = next(
        (
            at
            for at, (event, _, alternate) in enumerate(reading.origins)
            if event in ("", "publication") and 'script="' not in alternate
        ),
        None,
    )
    if main is None:
        reading.mods.wrap("originInfo", coded + rest)
    for at, (event, parts, alternate) in enumerate(reading.origins):
        values = attributes(eventType=event) + alternate
        content = coded + parts + rest if at == main else parts
        reading.mods.wrap("originInfo", content, values)


# The record ---------------------------------------------------------------------------


def _read_control_number(reading: Reading, field: Field, tag: str) -> None:
    if tag == "001":
        reading.control_number = plain(field.text)
    elif tag == "003":
        reading.source = plain(field.text)
    else:
        reading.changed = plain(field.text)


def _read_source(reading: Reading, field: Field, _: str) -> None:
    reading.agency = plain(field.first("a"))
    reading.cataloguing_languages += language_codes(field.first("b"))
    reading.standards += [plain(value) for value in field.values("e")]


def _finish_record_info(reading: Reading) -> None:
    standards = reading.standards
    if not standards and reading.leader[18] in "ai":
        standards = ["aacr" if reading.leader[18] == "a" else "isbd"]
    parts = [element("descriptionStandard", text) for text in standards]
    parts.append(element("recordContentSource", reading.agency, ' authority="marcorg"'))
    if re.fullmatch("[0-9]{6}", reading.entered):
        parts.append(date("recordCreationDate", reading.entered, encoding="marc"))
    if re.fullmatch("[0-9]{14}.[0-9]", reading.changed):
        parts.append(date("recordChangeDate", reading.changed, encoding="iso8601"))
    source = attributes(source=reading.source)
    parts.append(element("recordIdentifier", reading.control_number, source))
    parts.append(language_terms(reading.cataloguing_languages, "languageOfCataloging"))
    reading.mods.wrap("recordInfo", "".join(parts))
    reading.mods.wrap("physicalDescription", "".join(dict.fromkeys(reading.forms)))


def _table(*rows: tuple[str, Reader]) -> dict[str, Reader]:
    return {tag: reader for tags, reader in rows for tag in tags.split()}


_READERS = {
    **_table(
        ("001 003 005", _read_control_number),
        ("008", _read_008),
        ("245", _read_title),
        ("210", _read_abbreviated_title),
        ("222", _variant_title("alternative", "key title", skip=2)),
        ("242", _variant_title("translated", skip=2)),
        ("246", _read_variant_title),
        ("740", _read_analytic_title),
        ("130 240 730", _read_uniform_title),
        ("247", _read_former_title),
        ("100 110 111 700 710 711", _read_name),
        ("720", _read_uncontrolled_name),
        ("260 264", _read_origin),
        ("250", _read_edition),
        ("310 321", _read_frequency),
        ("044", _read_country),
        ("040", _read_source),
    ),
    **LINKS,
    **NOTES,
}
