"""What is gathered while a UNIMARC record is read for MODS, and how CNMARC tells readings.

CNMARC writes the reading of a text beside it: CALIS in the upper-case letter of
its subfield ($A pinyin of $a), the National Library in $9. Both become an
element of their own, joined to the first by altRepGroup.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from protocol import mods_codes as codes
from protocol.description import clean, plain
from protocol.iso2709 import Field, MarcRecord
from protocol.mods_xml import Mods, attributes

NON_SORTING_BEGIN, NON_SORTING_END = "\x98", "\x9c"


class Reading:
    """One record: the elements that are done, and the parts of those that are not."""

    __slots__ = (
        "agencies", "coded", "dates", "editions", "forms", "frequencies", "groups", "issuance",
        "language", "leader", "mods", "origins", "places", "script", "series", "standards",
    )  # fmt: skip

    def __init__(self, record: MarcRecord) -> None:
        self.mods = Mods()
        self.leader = record.leader.ljust(24)
        coded = record.first("100")
        self.coded = coded.first("a").ljust(36) if coded else " " * 36
        languages = record.first("101")
        self.language = languages.first("a").strip().lower() if languages else ""
        self.script = codes.SCRIPTS_UNIMARC.get(self.coded[34:36], "")
        self.groups = 0
        self.issuance = ""
        self.agencies: list[str] = []
        self.standards: list[str] = []
        self.places: list[str] = []
        self.dates: list[str] = []
        self.editions: list[str] = []
        self.frequencies: list[str] = []
        self.origins: list[tuple[str, str]] = []  # event, XML
        self.forms: list[str] = []
        self.series: set[str] = set()  # titles of series and sets told already

    def pair(self, field: Field, text: str, romanised: str) -> tuple[str, str]:
        """The attributes of a text of `field` and of its reading, if it has one.

        Without a reading, the field may be one of several that tell the same in other
        scripts.
        """
        if not romanised:
            return (_linked(field) if "\x1f7" in field.text else ""), ""
        self.groups += 1
        group = f"{self.groups:02}"
        script = script_of(text) or self.script
        return (
            attributes(altRepGroup=group, script=script),
            attributes(altRepGroup=group) + self.reading_attributes(text, romanised),
        )

    def reading_attributes(self, text: str, romanised: str) -> str:
        """Script of a reading; Latin letters for Chinese are pinyin."""
        script = script_of(romanised)
        chinese = script == "Latn" and script_of(text) == "Hani" and self.language not in _OTHERS
        return attributes(script=script, transliteration="pinyin" if chinese else "")

    def describe(self, xml: str) -> None:
        """A part of the physical description."""
        if xml:
            self.forms.append(xml)


Reader = Callable[[Reading, Field, str], None]


def _linked(field: Field) -> str:
    """The pair that $6 names and the script that $7 tells, of the heading before the record's."""
    coded, link = field.first("7"), field.first("6")[1:3]
    return attributes(
        altRepGroup=f"link-{link}" if link.isdigit() and link != "00" else "",
        script=codes.SCRIPTS_UNIMARC.get(coded[4:6]) or codes.SCRIPTS_UNIMARC.get(coded[:2], ""),
    )


# Languages in Chinese characters whose readings are no pinyin.
_OTHERS = frozenset(("jpn", "kor", "vie"))

_SCRIPTS = tuple(
    (script, re.compile(f"[{characters}]"))
    for script, characters in (
        ("Hira", "\u3041-\u309f"), ("Kana", "\u30a0-\u30ff"),
        ("Hang", "\u1100-\u11ff\uac00-\ud7a3"),
        ("Hani", "\u3400-\u9fff\U00020000-\U0003ffff"), ("Cyrl", "\u0400-\u04ff"),
        ("Arab", "\u0600-\u06ff"), ("Latn", "A-Za-z\u00c0-\u024f"),
    )
)  # fmt: skip


def script_of(text: str) -> str:
    """The ISO 15924 code of the script that tells `text` apart, or ""."""
    if text.isascii():
        return "Latn" if re.search("[A-Za-z]", text) else ""
    for script, pattern in _SCRIPTS:
        if pattern.search(text):
            if script in ("Hira", "Kana") and _HAN.search(text):
                return "Jpan"
            return script
    return ""


_HAN = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]")


def romanised(field: Field, code: str = "a") -> str:
    """The reading of subfield `code`: its upper-case letter, or for $a NLC's $9.

    Elsewhere $9 is a number or a note, so it counts only beside a text that has
    readings, and if it is words.
    """
    value = plain(field.first(code.upper()))
    if not value and code == "a":
        value = plain(field.first("9"))
        if not _WORDS.fullmatch(value) or field.first("a").isascii():
            return ""
    return value


_WORDS = re.compile(r"[^\W\d_][^\d_]*", re.DOTALL)


def split_non_sort(text: str) -> tuple[str, str]:
    """The part between the marks of non-sorting characters, and the rest without it."""
    if text.startswith(NON_SORTING_BEGIN):
        head, mark, rest = text[1:].partition(NON_SORTING_END)
        if mark:
            head = plain(head)
            # What the marks enclose ends in a blank where one belongs there.
            blank = " " if head and not head.endswith(("'", "’", "-")) else ""
            return head + blank, clean(rest)
    return "", clean(text)


def joined(field: Field, subfields: str, separator: str = " ") -> str:
    return clean(separator.join(filter(None, map(str.strip, field.values(subfields)))))


def without_brackets(text: str) -> str:
    """`text` without the round brackets that Chinese cataloguing puts round dynasties and dates."""
    text = clean(text)
    if text[:1] in "(（" and text[-1:] in ")）" and text:
        return text[1:-1].strip()
    return text


def codes_of(values: Iterable[str]) -> list[str]:
    """Language codes of three letters, without those that say nothing."""
    found = [value.strip().lower()[:3] for value in values]
    return [
        code
        for code in found
        if len(code) == 3 and code.isascii() and code.isalpha() and code not in ("und", "xxx")
    ]
