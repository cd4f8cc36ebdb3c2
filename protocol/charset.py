"""Character sets of MARC records: from octets to text and back, never with a loss.

A set's name is one of `ENCODINGS`. GBK and GB 2312 are read as GB18030, which
holds both.
"""

from __future__ import annotations

from dataclasses import dataclass

ENCODINGS = ("utf-8", "gb18030", "koi8-r")

_ALIASES = {
    "utf8": "utf-8", "unicode": "utf-8",
    "gbk": "gb18030", "gb2312": "gb18030", "cp936": "gb18030", "gb-18030": "gb18030",
    "koi8r": "koi8-r",
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
    """A character that the set lacks; `position` counts characters."""

    position: int
    character: str
    encoding: str

    def __str__(self) -> str:
        return f"U+{ord(self.character[0]):04X} is not in {self.encoding}"


def canonical_encoding(name: str) -> str:
    """The one of `ENCODINGS` that `name` means, without case.

    Raises:
        UnknownEncoding: there is none.
    """
    folded = name.strip().lower().replace("_", "-")
    folded = _ALIASES.get(folded, folded)
    if folded not in ENCODINGS:
        raise UnknownEncoding(name)
    return folded


def decode_text(data: bytes, encoding: str) -> str | Undecodable:
    """Read `data`, one field's octets, in the set that `ENCODINGS` names."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        return Undecodable(error.start, data[error.start : error.end], encoding)


def encode_text(text: str, encoding: str) -> bytes | Unencodable:
    """Write `text` in the set that `ENCODINGS` names."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        return Unencodable(error.start, text[error.start], encoding)
