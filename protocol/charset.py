"""Character sets of MARC records: from octets to text and back, never with a loss.

A set goes by one of `ENCODINGS`. GBK and GB 2312 are read as GB18030, which
holds both. KOI8-R and Windows-1251 are never guessed, only read when named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from protocol.iso5426 import decode_iso5426
from protocol.marc8 import decode_marc8, encode_marc8
from protocol.record import MarcFamily

ENCODINGS = ("utf-8", "gb18030", "marc-8", "iso-5426", "koi8-r", "windows-1251")
OUTPUT_ENCODINGS = ("utf-8", "gb18030", "marc-8")

_ALIASES = {
    "utf8": "utf-8", "unicode": "utf-8",
    "gbk": "gb18030", "gb2312": "gb18030", "cp936": "gb18030", "gb-18030": "gb18030",
    "marc8": "marc-8", "iso5426": "iso-5426",
    "koi8r": "koi8-r", "cp1251": "windows-1251",
}  # fmt: skip


class UnknownEncoding(ValueError):  # noqa: N818 - the name says what it is
    """A name that stands for no character set of ours."""


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Octets that mean nothing in the set: `position` counts from the start of the data."""

    position: int
    octets: bytes
    encoding: str

    def __str__(self) -> str:
        return f"octets {self.octets.hex(' ')} at {self.position} are not {self.encoding}"


@dataclass(frozen=True, slots=True)
class Unencodable:
    """A character, with its marks, that the set lacks."""

    character: str
    encoding: str

    def __str__(self) -> str:
        codes = " ".join(f"U+{ord(character):04X}" for character in self.character)
        return f"{codes} is not in {self.encoding}"


def canonical_encoding(name: str) -> str:
    """The one of `ENCODINGS` that `name` means, without case.

    Raises:
        UnknownEncoding: there is none.
    """
    if name in ENCODINGS:
        return name
    folded = name.strip().lower().replace("_", "-")
    folded = _ALIASES.get(folded, folded)
    if folded not in ENCODINGS:
        raise UnknownEncoding(name)
    return folded


def decode_text(data: bytes, encoding: str) -> str | Undecodable:
    """Read `data`, one field's octets, in the set that `ENCODINGS` names."""
    try:
        if encoding == "marc-8":
            return decode_marc8(data)
        if encoding == "iso-5426":
            return decode_iso5426(data)
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        return Undecodable(error.start, data[error.start : error.end], encoding)


def encode_text(text: str, encoding: str, *, references: bool = False) -> bytes | Unencodable:
    """Write `text`, one field, in one of `OUTPUT_ENCODINGS`.

    `references` writes what the set lacks as `&#x4E00;` instead.
    """
    try:
        if encoding == "marc-8":
            return encode_marc8(text, references=references)
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        return Unencodable(error.object[error.start : error.end], encoding)


def likely_encodings(
    raw: bytes, family: MarcFamily, coding_scheme: str, declared: str
) -> tuple[str, ...]:
    """The sets that a record may be in, best first; empty if nothing speaks for any.

    `coding_scheme` is leader/09, which MARC 21 uses; `declared` is 100$a 26-33
    of UNIMARC: two digits a set, 03 for ISO 5426, 50 for Unicode. What the
    octets can be goes before what the record declares, because records are
    converted more often than their declarations.
    """
    marc8_declared = family is MarcFamily.MARC21 and coding_scheme != "a"
    if raw.isascii():
        return ("marc-8",) if marc8_declared and (b"\x1b" in raw or b"&#x" in raw) else ("utf-8",)
    try:
        raw.decode()
    except UnicodeDecodeError:
        pass
    else:
        return ("utf-8",)
    if _is_damaged_utf8(raw):
        return ("utf-8",)  # so that the damage is named, not read as something else
    likely: list[str] = []
    if marc8_declared:
        likely.append("marc-8")
    if _looks_like_gb18030(raw):
        likely.append("gb18030")
    if family is MarcFamily.UNIMARC and "03" in _declared_sets(declared):
        likely.append("iso-5426")
    if not likely and (family is MarcFamily.MARC21 or "50" in _declared_sets(declared)):
        likely.append("utf-8")
    return tuple(likely)


def _declared_sets(declared: str) -> Iterable[str]:
    return [declared[i : i + 2] for i in range(0, len(declared) - 1, 2)]


_HIGH_PAIR = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]|[\x81-\xfe][0-9][\x81-\xfe][0-9]")
_UTF8_CHARACTER = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)


def _is_damaged_utf8(raw: bytes) -> bool:
    """Whether most of what is not ASCII is UTF-8; in other sets it is half at most."""
    high = len(raw) - len(raw.translate(None, _HIGH_OCTETS))
    return sum(map(len, _UTF8_CHARACTER.findall(raw))) * 4 > high * 3


_HIGH_OCTETS = bytes(range(0x80, 0x100))


def _looks_like_gb18030(raw: bytes) -> bool:
    """Whether octets that are no UTF-8 read as Chinese rather than as noise.

    ISO 5426 and the Cyrillic sets decode as GBK more often than not, so being
    decodable is not enough.
    """
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return False
    pairs = _HIGH_PAIR.findall(raw)
    private = sum("\ue000" <= character <= "\uf8ff" for character in text)
    # An accented letter, or a mark and its letter, in a Latin set: an ideograph
    # ends in the ASCII half too, but seldom enough even in traditional Chinese.
    latin = sum(len(pair) == 2 and pair[1] < 0x80 for pair in pairs)
    # Cyrillic letters all lie above C0 in KOI8-R and Windows-1251.
    all_high = all(octet >= 0xC0 for pair in pairs for octet in pair)
    return bool(pairs) and not all_high and private * 20 < len(pairs) and latin * 5 < len(pairs) * 2
