"""What is gathered while a MARC 21 record is read for MODS, before it can be written."""

from __future__ import annotations

import re
from collections.abc import Callable

from protocol import mods_codes as codes
from protocol.iso2709 import Field, MarcRecord
from protocol.mods_xml import Mods, any_uri, attributes


class Reading:
    """One record: the elements that are done, and the parts of those that are not.

    `alternate` are the attributes of the field at hand if it is one of a pair of
    scripts, or "".
    """

    __slots__ = (
        "agency", "alternate", "cataloguing_languages", "changed", "control_number", "dates",
        "editions", "entered", "forms", "frequencies", "has_main_name", "has_uniform_title",
        "issuance", "leader", "material", "mods", "origins", "places", "source", "standards",
        "titled",
    )  # fmt: skip

    def __init__(self, record: MarcRecord) -> None:
        tags = {field.tag for field in record.fields}
        self.mods = Mods()
        self.leader = record.leader.ljust(24)
        self.material = codes.MATERIALS.get(self.leader[6], "")
        if self.material == "book" and self.leader[7] in "bis":
            self.material = "serial"
        self.has_main_name = not tags.isdisjoint(("100", "110", "111"))
        self.has_uniform_title = "240" in tags and self.has_main_name
        self.alternate = ""
        self.titled = False
        self.issuance = self.entered = self.changed = ""
        self.control_number = self.source = self.agency = ""
        self.places: list[str] = []
        self.dates: list[str] = []
        self.editions: list[str] = []
        self.frequencies: list[str] = []
        self.origins: list[tuple[str, str, str]] = []  # event, XML, attributes of its script
        self.forms: list[str] = []
        self.cataloguing_languages: list[str] = []
        self.standards: list[str] = []

    def follow_link(self, field: Field) -> str:
        """The tag that `field` stands for; notes what $6 says of its script and pair."""
        link = field.first("6")
        tag, occurrence, script = link[:3], link[4:6], link[7:]
        paired = occurrence.isdigit() and occurrence != "00"
        if field.tag != "880":
            self.alternate = f' altRepGroup="{occurrence}"' if paired else ""
            return field.tag
        self.alternate = attributes(
            altRepGroup=occurrence if paired else "", script=script_of(script, field.text)
        )
        return tag

    def add_origin(self, event: str, parts: str) -> None:
        if parts:
            self.origins.append((event, parts, self.alternate))

    def describe(self, xml: str) -> None:
        """A part of the physical description."""
        if xml:
            self.forms.append(xml)

    @staticmethod
    def uri_of(field: Field) -> str:
        """The first URI that $0 names the heading by."""
        for value in field.values("01"):
            uri = value.strip()
            if _URI.fullmatch(uri):
                return any_uri(uri)
        return ""


Reader = Callable[[Reading, Field, str], None]

_URI = re.compile(r"https?://[!-~]+")
_HANGUL = re.compile("[\u1100-\u11ff\uac00-\ud7a3]")
_KANA = re.compile("[\u3041-\u30ff]")
_HAN = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]")


def script_of(code: str, text: str) -> str:
    """The ISO 15924 code for the script code of a $6, or "" if it says none.

    "$1" stands for Chinese, Japanese and Korean alike; the text tells which, also
    where a system writes no script code at all.
    """
    code = code.partition("/")[0]
    if not code or code.startswith("$1"):
        if _HANGUL.search(text):
            return "Kore"
        if _KANA.search(text):
            return "Jpan"
        return "Hani" if _HAN.search(text) else ""
    if len(code) == 4 and code.isascii() and code.isalpha():
        return code.capitalize()
    return codes.SCRIPTS.get(code[:2], "")


def language_codes(text: str) -> list[str]:
    """Codes of three letters, which old records write without anything between."""
    text = text.strip().lower()
    found = [text[at : at + 3] for at in range(0, len(text) - 2, 3)]
    return [
        code for code in found if code.isascii() and code.isalpha() and code not in ("und", "xxx")
    ]
