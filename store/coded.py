"""Coded positions of MARC records as the values that are searched."""

from __future__ import annotations

from functools import lru_cache

from store.dates import coded_years
from store.identifiers import code_keys

_KEPT = 4096  # codes of one sort; records repeat few
_FILL = frozenset(" |-#\\")

_MATERIALS = {
    "a": "text", "b": "text manuscript", "c": "score", "d": "score manuscript", "e": "map",
    "f": "map manuscript", "g": "video", "i": "sound", "j": "sound music", "k": "image",
    "l": "electronic", "m": "electronic", "o": "kit", "p": "mixed", "r": "object",
    "t": "text manuscript", "u": "rubbing", "v": "text rare",
}  # fmt: skip
_LEVELS = {
    "a": "article", "b": "article", "c": "collection", "i": "integrating", "m": "monograph",
    "s": "serial",
}  # fmt: skip
_BOOKS = frozenset(("am", "tm", "vm"))


@lru_cache(_KEPT)
def materials(type_and_level: str) -> tuple[str, ...]:
    """Names for leader/06-07: `am` is text, monograph, book.

    CNMARC adds `u`, a rubbing, and `v`, a rare book.
    """
    kind, level = type_and_level[:1], type_and_level[1:2]
    words = f"{_MATERIALS.get(kind, '')} {_LEVELS.get(level, '')}".split()
    return (*words, "book") if type_and_level in _BOOKS else tuple(words)


def flag(value: str) -> tuple[str, ...]:
    """A leader position; a blank, which means something there, as `#`."""
    return ("#",) if value == " " else code(value)


@lru_cache(_KEPT)
def code(value: str) -> tuple[str, ...]:
    """A code without trailing hyphens (a-cc---); nothing for blanks and fill characters."""
    return () if _FILL.issuperset(value) else tuple(code_keys(value.rstrip("-")))


@lru_cache(_KEPT)
def languages(value: str) -> tuple[str, ...]:
    """Language codes; `engfre` is the former way to write two."""
    found = code(value)
    if len(value) > 3 and len(value) % 3 == 0:
        return tuple(each[at : at + 3] for each in found for at in range(0, len(each), 3))
    return found


def day(value: str) -> list[str]:
    """Eight digits of a date; of six (YYMMDD) the century is that of computers."""
    if len(value) == 6 and value.isdecimal():
        value = ("19" if value > "50" else "20") + value
    return [value] if len(value) == 8 and value.isdecimal() else []


def years(value: str) -> list[str]:
    """The years of MARC 21 008/06-14 or UNIMARC 100$a/08-16."""
    return coded_years(value[:1], value[1:5], value[5:9])
