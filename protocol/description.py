"""What a record says of a work, in terms that hold for every MARC family.

Dublin Core and the texts for people are both written from this. Sources: MARC
21 Format for Bibliographic Data; UNIMARC Manual, Bibliographic Format; the
MARC to Dublin Core crosswalk of the Library of Congress.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from protocol.iso2709 import Field


@dataclass(slots=True)
class Description:
    """Values are plain text, without ISBD punctuation at their ends and without controls.

    Lists keep the order of the record and hold no value twice; the first title
    is the title proper. `dates` are years or intervals of years, `1998/2001`,
    open ones `1998/`; `date_stated` is how the publication statement says it, as
    `唐咸通9年(868)`. `languages` are codes of ISO 639-2.
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
    date_stated: str = ""
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


def joined(field: Field, codes: str, separator: str = " ") -> str:
    return clean(separator.join(value.strip() for value in field.values(codes)))


def each(field: Field, codes: str) -> list[str]:
    return [clean(value) for value in field.values(codes)]


def heading(field: Field, codes: str, subdivisions: str) -> str:
    parts = [joined(field, codes), *each(field, subdivisions)]
    return "--".join(filter(None, parts))


def year_interval(kind: str, first: str, second: str) -> str:
    """A year, or an interval of years, from the two coded dates of a record.

    `kind` is "serial" (an open end is written `1998/`), "range" or "single".
    An unknown digit (u, #, blank) makes a date unknown.
    """
    if not is_year(first):
        return second if is_year(second) and second != "9999" else ""
    if kind == "single" or first == second:
        return first
    if is_year(second) and second != "9999":
        return f"{first}/{second}"
    return f"{first}/" if kind == "serial" else first


def is_year(text: str) -> bool:
    return len(text) == 4 and text.isascii() and text.isdigit()


_YEAR_IN_TEXT = re.compile(r"(?<![0-9])(?:1[0-9]|20)[0-9]{2}(?![0-9])")


def year_of(text: str) -> str:
    """The first year in a date as printed, else the date itself."""
    year = _YEAR_IN_TEXT.search(text)
    return year[0] if year else clean(text).strip("[]()c©. ")


Reader = Callable[[Field, Description], None]


def read_leader(leader: str, types: dict[str, str], description: Description) -> None:
    if leader[7:8] == "c":
        description.types.insert(0, "Collection")
    if leader[6:7] in types:
        description.types.insert(0, types[leader[6]])


def language_codes(text: str) -> list[str]:
    """Codes of three letters, which old records write without anything between."""
    codes = [text[i : i + 3].lower() for i in range(0, len(text) - 2, 3)]
    return [
        code
        for code in codes
        if code.isascii() and code.isalpha() and code not in ("und", "zxx", "mul")
    ]


def read_isbn(field: Field, description: Description) -> None:
    for value in field.values("a"):
        number = clean(value).partition(" ")[0].partition("(")[0]
        description.isbns.append(number)


def read_standard_number(field: Field, description: Description) -> None:
    source = field.first("2").lower()
    for value in each(field, "a"):
        if source == "doi" and value.startswith("10."):
            description.identifiers.append(f"https://doi.org/{value}")
        else:
            description.identifiers.append(value)


def read_url(field: Field, description: Description) -> None:
    """856: a slash at the end belongs to a URL."""
    description.identifiers += [plain("".join(value.split())) for value in field.values("u")]


def into(name: str, codes: str, subdivisions: str = "") -> Reader:
    """A reader that puts the joined subfields into one list of the description."""

    def read(field: Field, description: Description) -> None:
        getattr(description, name).append(heading(field, codes, subdivisions))

    return read


def into_each(name: str, codes: str) -> Reader:
    """A reader that puts each subfield into one list of the description."""

    def read(field: Field, description: Description) -> None:
        getattr(description, name).extend(each(field, codes))

    return read


def read_edition(field: Field, description: Description) -> None:
    description.edition = description.edition or joined(field, "ab")


def read_languages(field: Field, description: Description) -> None:
    for value in field.values("a"):
        description.languages += language_codes(value)


def table(*rows: tuple[str, Reader]) -> dict[str, Reader]:
    return {tag: reader for tags, reader in rows for tag in tags.split()}
