"""UNIMARC and CNMARC bibliographic records as MODS: titles, origin, notes, the record itself.

Names, subjects, related items, identifiers and places to get it are in
`mods_unimarc_links`.

Sources: UNIMARC Manual, Bibliographic Format, 3rd edition; CNMARC (WH/T 0503) and
the practice of CALIS and the National Library of China for readings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import field as default

from protocol import mods_codes as codes
from protocol.description import clean, plain, unbracketed
from protocol.description_unimarc import extent_unimarc
from protocol.iso2709 import Field, MarcRecord
from protocol.mods_unimarc_links import LINKS
from protocol.mods_unimarc_reading import (
    Reader,
    Reading,
    codes_of,
    joined,
    romanised,
    split_non_sort,
)
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


def read_unimarc(record: MarcRecord) -> Mods:
    """The MODS elements that a record of UNIMARC or CNMARC says; what it lacks is left out."""
    reading = Reading(record)
    _read_leader(reading)
    _read_general_data(reading)
    for marc_field in record.fields:
        tag = marc_field.tag
        reader = _READERS.get(tag)
        if reader is not None:
            reader(reading, marc_field, tag)
    _finish_origin(reading)
    _finish_record_info(reading, record)
    return reading.mods


# Leader and coded data ----------------------------------------------------------------


def _read_leader(reading: Reading) -> None:
    leader = reading.leader
    reading.mods.text(
        "typeOfResource",
        codes.RESOURCE_TYPES_UNIMARC.get(leader[6], ""),
        attributes(
            collection="yes" if leader[7] == "c" else "",
            manuscript="yes" if leader[6] in codes.MANUSCRIPT_UNIMARC else "",
        ),
    )
    reading.issuance = {
        "a": "monographic", "c": "monographic", "m": "monographic", "s": "serial",
        "i": "integrating resource",
    }.get(leader[7], "")  # fmt: skip
    if leader[7] == "m" and leader[8] == "1":  # the highest level of a set
        reading.issuance = "multipart monograph"


def _read_general_data(reading: Reading) -> None:
    """100: dates of publication and audience."""
    coded = reading.coded
    kind, first, second = coded[8], _year(coded[9:13]), _year(coded[13:17])
    if kind in "abcfg":
        qualifier = "questionable" if kind == "f" else ""
        for text, point in ((first, "start"), (second, "end")):
            reading.dates.append(
                date("dateIssued", text, encoding="marc", point=point, qualifier=qualifier)
            )
    elif kind in "dehijk":
        reading.dates.append(date("dateIssued", first, encoding="marc"))
        if kind == "h":
            reading.dates.append(date("copyrightDate", second, encoding="marc"))
        elif kind == "i":
            reading.dates.append(date("dateCreated", second, encoding="marc"))
        elif kind == "e" and second:
            item = Mods()
            item.wrap("originInfo", date("dateIssued", second, encoding="marc"))
            reading.mods.related("original", item)
    for code in coded[17:20]:
        audience = codes.AUDIENCES_UNIMARC.get(code, "")
        if audience:
            reading.mods.text("targetAudience", audience, ' authority="marctarget"')


def _year(text: str) -> str:
    """Four characters of a coded year, unknown ones as `u`; "" if the century is unknown."""
    text = text.translate(_UNKNOWN)
    return text if _is_year(text) else ""


_UNKNOWN = str.maketrans(" #?|-", "uuuuu")
_is_year = re.compile("[0-9][0-9u]{3}").fullmatch


def _read_book_codes(reading: Reading, field: Field, _: str) -> None:
    """105: form of contents, literary form, biography."""
    text = field.first("a").ljust(13)
    terms = [codes.CONTENTS_UNIMARC.get(code, "") for code in text[4:8]]
    if text[8] == "1":
        terms.append("conference publication")
    if text[9] == "1":
        terms.append("festschrift")
    terms.append(codes.LITERARY_FORMS_UNIMARC.get(text[11], ""))
    if text[12] in "abc":
        terms.append("biography")
    for term in terms:
        reading.mods.text("genre", term, ' authority="marcgt"')


def _read_form_codes(reading: Reading, field: Field, _: str) -> None:
    form = codes.FORMS_UNIMARC.get(field.first("a")[:1], "")
    reading.describe(element("form", form, ' authority="marcform"'))


_CODED_FORMS = {"130": "microform", "135": "electronic"}


def _read_carrier_codes(reading: Reading, _: Field, tag: str) -> None:
    """Coded data that only microforms (130) or electronic resources (135) have."""
    reading.describe(element("form", _CODED_FORMS[tag], ' authority="marcform"'))


def _read_material(reading: Reading, field: Field, _: str) -> None:
    """204 of older UNIMARC and of CMARC, which is now 200 $b."""
    reading.describe(element("form", clean(field.first("a")).strip("[]"), ' authority="gmd"'))


def _read_serial_codes(reading: Reading, field: Field, _: str) -> None:
    text = field.first("a").ljust(8)
    reading.mods.text("genre", codes.SERIAL_TYPES_UNIMARC.get(text[0], ""), ' authority="marcgt"')
    frequency = codes.FREQUENCIES_UNIMARC.get(text[1], "")
    reading.frequencies.append(element("frequency", frequency, ' authority="marcfrequency"'))
    if text[7] == "1":
        reading.mods.text("genre", "conference publication", ' authority="marcgt"')


# Titles -------------------------------------------------------------------------------


@dataclass(slots=True)
class _Title:
    """One title of a 200, with its other title information and its reading."""

    kind: str = ""
    title: str = ""
    subtitles: list[str] = default(default_factory=list)
    numbers: list[str] = default(default_factory=list)
    parts: list[str] = default(default_factory=list)
    lang: str = ""

    def xml(self, attributes_xml: str = "") -> str:
        non_sort, title = split_non_sort(self.title)
        return title_info(
            title,
            attributes_xml,
            non_sort=non_sort,
            subtitle=_several(self.subtitles, " : "),
            number=_several(self.numbers, ", "),
            part=_several(self.parts, ", "),
        )


def _several(values: list[str], separator: str) -> str:
    return separator.join(filter(None, map(clean, values)))


def _read_title(reading: Reading, field: Field, _: str) -> None:
    """200: further $a and all $c are further works, $d parallel titles, their language $z."""
    titles, responsibilities = _titles_of(field)
    main = titles[0]
    read = _reading_of(field)
    mods = reading.mods
    plain_attributes, read_attributes = reading.pair(field, main.title, read.title)
    mods.add("titleInfo", main.xml(plain_attributes))
    mods.add("titleInfo", read.xml(read_attributes))
    for other in titles[1:]:
        if other.kind == "constituent":
            mods.related("constituent", other.xml())
        else:
            values = attributes(type="translated", otherType="parallel", lang=other.lang)
            mods.add("titleInfo", other.xml(values))
    text = " ; ".join(responsibilities)
    mods.text("note", text, ' type="statement of responsibility"')
    for value in field.values("b"):
        reading.describe(element("form", clean(value).strip("[]"), ' authority="gmd"'))


def _titles_of(field: Field) -> tuple[list[_Title], list[str]]:
    titles = [_Title()]
    responsibilities = []
    for code, value in field.subfields:
        current = titles[-1]
        if code == "a" and not titles[0].title:
            titles[0].title = value
        elif code in ("a", "c"):
            titles.append(_Title("constituent", value))
        elif code == "d":
            titles.append(_Title("translated", value.lstrip("= ")))
        elif code == "e":
            current.subtitles.append(value)
        elif code in ("h", "v"):
            current.numbers.append(value)
        elif code == "i":
            current.parts.append(value)
        elif code == "z":
            for other, lang in zip(
                [each for each in titles if each.kind == "translated" and not each.lang],
                codes_of([value]),
                strict=False,
            ):
                other.lang = lang
        elif code in ("f", "g"):
            responsibilities.append(plain(value))
    return titles, list(filter(None, responsibilities))


def _reading_of(field: Field) -> _Title:
    """The reading of the title proper; other title information has its own letters."""
    title = romanised(field)
    if not title:
        return _Title()
    return _Title("", title, field.values("E"), field.values("H"), field.values("I"))


_VARIANT_LABELS = {
    "501": "collective title", "503": "conventional heading", "512": "cover title",
    "513": "added title page title", "514": "caption title", "515": "running title",
    "516": "spine title", "517": "", "518": "title in modern spelling", "530": "key title",
    "532": "expanded title", "540": "title added by cataloguer", "545": "section title",
}  # fmt: skip


def _read_variant_title(reading: Reading, field: Field, tag: str) -> None:
    _add_title(reading, field, attributes(type="alternative", displayLabel=_VARIANT_LABELS[tag]))


def _read_parallel_title(reading: Reading, field: Field, tag: str) -> None:
    """510 as the item has it; 541 as the cataloguer translated it."""
    lang = "".join(codes_of(field.values("z"))[:1])
    supplied = "yes" if tag == "541" else ""
    other = "parallel" if tag == "510" else ""
    _add_title(
        reading, field, attributes(type="translated", otherType=other, supplied=supplied, lang=lang)
    )


def _read_uniform_title(reading: Reading, field: Field, _: str) -> None:
    _add_title(reading, field, ' type="uniform"', more="klmnqrsuw")


def _read_abbreviated_title(reading: Reading, field: Field, _: str) -> None:
    _add_title(reading, field, ' type="abbreviated"')


def _read_former_title(reading: Reading, field: Field, _: str) -> None:
    """520: an earlier title of a serial."""
    item = Mods()
    item.add("titleInfo", _title_info(field, ""))
    item.add("identifier", identifier("issn", clean(field.first("x"))))
    reading.mods.related("preceding", item)


def _add_title(reading: Reading, field: Field, kind: str, more: str = "") -> None:
    text = field.first("a")
    read = romanised(field)
    of_text, of_reading = reading.pair(field, text, read)
    reading.mods.add("titleInfo", _title_info(field, kind + of_text, more))
    reading.mods.add("titleInfo", title_info(read, kind + of_reading))


def _title_info(field: Field, attributes_xml: str, more: str = "") -> str:
    non_sort, title = split_non_sort(field.first("a"))
    if more:
        title = " ".join(filter(None, (title, joined(field, more))))
    return title_info(
        title, attributes_xml, non_sort=non_sort, subtitle=joined(field, "e", " : "),
        number=joined(field, "h", ", "), part=joined(field, "i", ", "),
    )  # fmt: skip


# Origin -------------------------------------------------------------------------------

_EVENTS = {"0": "publication", "1": "production", "2": "distribution", "3": "manufacture"}


def _read_country(reading: Reading, field: Field, _: str) -> None:
    for value in field.values("a"):
        code = value.strip().upper()
        if len(code) == 2 and code.isascii() and code.isalpha():
            reading.places.append(place(code, "code", "iso3166"))


def _read_origin(reading: Reading, field: Field, tag: str) -> None:
    event = _EVENTS.get(field.text[1:2], "") if tag == "214" else ""
    if tag == "214" and field.text[1:2] == "4":
        reading.dates.append(element("copyrightDate", clean(field.first("d")).lstrip("c©")))
        return
    parts, made = [], []
    for code, value in field.subfields:
        text = unbracketed(clean(value))
        if code == "a":
            parts.append(place(text))
        elif code == "c":
            parts.append(element("publisher", text))
        elif code == "d":
            name = "dateCreated" if event == "production" else "dateIssued"
            parts.append(element(name, text))
        elif code == "e":
            made.append(place(text))
        elif code == "g":
            made.append(element("publisher", text))
        elif code == "h":
            made.append(element("dateOther", text, ' type="manufacture"'))
    reading.origins += [(event, "".join(parts)), ("manufacture", "".join(made))]


def _read_edition(reading: Reading, field: Field, _: str) -> None:
    reading.editions.append(element("edition", joined(field, "ab", ", ")))


def _read_frequency(reading: Reading, field: Field, _: str) -> None:
    reading.frequencies.append(element("frequency", plain(" ".join(field.values("ab")))))


def _finish_origin(reading: Reading) -> None:
    """The first publication takes the coded data; other events stand for themselves."""
    rest = "".join([*reading.dates, *reading.editions])
    rest += element("issuance", reading.issuance) + "".join(dict.fromkeys(reading.frequencies))
    coded = "".join(reading.places)
    origins = [(event, parts) for event, parts in reading.origins if parts]
    main = next((at for at, (event, _) in enumerate(origins) if event in ("", "publication")), None)
    if main is None:
        reading.mods.wrap("originInfo", coded + rest)
    for at, (event, parts) in enumerate(origins):
        content = coded + parts + rest if at == main else parts
        reading.mods.wrap("originInfo", content, attributes(eventType=event))


# Languages, extent, notes -------------------------------------------------------------

_LANGUAGE_PARTS = {
    "a": "", "d": "summary", "e": "table of contents", "f": "title page", "g": "title",
    "h": "libretto", "i": "accompanying material", "j": "subtitle or caption",
}  # fmt: skip


def _read_languages(reading: Reading, field: Field, _: str) -> None:
    for code, value in field.subfields:
        if code in _LANGUAGE_PARTS:
            for each in codes_of([value]):
                reading.mods.add("language", language(each, _LANGUAGE_PARTS[code]))
    for each in codes_of(field.values("c")):
        item = Mods()
        item.add("language", language(each))
        reading.mods.related("original", item)


def _read_extent(reading: Reading, field: Field, _: str) -> None:
    reading.describe(element("extent", extent_unimarc(field)))


_NOTE_TYPES = {
    "300": "", "301": "", "302": "", "303": "", "304": "", "305": "bibliographic history",
    "306": "", "307": "", "308": "", "311": "", "312": "", "313": "", "314": "", "315": "",
    "317": "ownership", "318": "action", "320": "bibliography", "321": "citation/reference",
    "322": "creation/production credits", "323": "performers", "324": "original version",
    "325": "reproduction", "328": "thesis", "332": "preferred citation", "334": "awards",
    "336": "system details", "337": "system details", "345": "acquisition", "393": "",
    "207": "numbering", "230": "system details",
}  # fmt: skip


def _read_note(reading: Reading, field: Field, tag: str) -> None:
    codes_read = "abcdefgtz" if tag in ("328", "324", "325") else "ab"
    text = plain(" ".join([value.strip() for value in field.values(codes_read)]))
    reading.mods.text("note", text, attributes(type=_NOTE_TYPES[tag]))


def _text_into(name: str, subfields: str = "a") -> Reader:
    def read(reading: Reading, field: Field, _: str) -> None:
        text = plain(" ".join([value.strip() for value in field.values(subfields)]))
        reading.mods.text(name, text)

    return read


def _read_access(reading: Reading, field: Field, _: str) -> None:
    text = plain(" ".join(field.values("a")))
    reading.mods.text("accessCondition", text, ' type="restriction on access"')


# The record ---------------------------------------------------------------------------


def _read_agency(reading: Reading, field: Field, _: str) -> None:
    reading.agencies += [clean(value) for value in field.values("b")]
    reading.standards += [clean(value) for value in field.values("g")]


def _finish_record_info(reading: Reading, record: MarcRecord) -> None:
    parts = [element("descriptionStandard", text) for text in dict.fromkeys(reading.standards)]
    parts += [element("recordContentSource", text) for text in dict.fromkeys(reading.agencies)]
    entered = reading.coded[:8]
    if re.fullmatch("[0-9]{8}", entered):
        parts.append(date("recordCreationDate", entered, encoding="iso8601"))
    changed = record.first("005")
    if changed is not None and re.fullmatch("[0-9]{14}.[0-9]", changed.text.strip()):
        parts.append(date("recordChangeDate", changed.text.strip(), encoding="iso8601"))
    parts.append(element("recordIdentifier", plain(record.control_number)))
    parts.append(language_terms(codes_of([reading.coded[22:25]]), "languageOfCataloging"))
    reading.mods.wrap("recordInfo", "".join(parts))
    reading.mods.wrap("physicalDescription", "".join(dict.fromkeys(reading.forms)))


def _table(*rows: tuple[str, Reader]) -> dict[str, Reader]:
    return {tag: reader for tags, reader in rows for tag in tags.split()}


_READERS = {
    **_table(
        ("105", _read_book_codes),
        ("106", _read_form_codes),
        ("110", _read_serial_codes),
        ("130 135", _read_carrier_codes),
        ("204", _read_material),
        ("101", _read_languages),
        ("102", _read_country),
        ("200", _read_title),
        ("500", _read_uniform_title),
        ("510 541", _read_parallel_title),
        (" ".join(_VARIANT_LABELS), _read_variant_title),
        ("531", _read_abbreviated_title),
        ("520", _read_former_title),
        ("205", _read_edition),
        ("210 214", _read_origin),
        ("215", _read_extent),
        ("326", _read_frequency),
        (" ".join(_NOTE_TYPES), _read_note),
        ("327", _text_into("tableOfContents", "ab")),
        ("330", _text_into("abstract")),
        ("333", _text_into("targetAudience")),
        ("371", _read_access),
        ("801", _read_agency),
    ),
    **LINKS,
}
