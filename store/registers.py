"""The registers of the index: ordered lists of terms, by access point and use.

An access point of kind TEXT has one for its words, one for whole fields
(`title/key`) and, where it sorts, one for sort values (`title/sort`); other
access points have theirs for normalised values. The catalogue keeps two of its
own: which records a database holds, and which records have an access point.

`any` has the words of short texts. Long texts and identifiers would double
their part of the index there, for words that hardly two records share; a query
on `any` looks into their own registers as well.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from hashlib import blake2b
from importlib.metadata import version

from protocol.access_point import AccessPoint, Kind
from protocol.access_points import ACCESS_POINTS

ANY = "any"
HELD_BY = "possessing_institution"
DATABASE = "$database"
PRESENT = "$present"

# Nobody looks for a whole abstract: their fields have no key.
LONG_TEXTS = frozenset(("abstract", "contents", "note"))

_SMALL_KINDS = frozenset((Kind.TEXT, Kind.CODE, Kind.DATE))

# Holders come and go without the record, so its words alone make up `any`.
_OF_ANY = [point for point in ACCESS_POINTS if point.in_any and point.name not in {ANY, HELD_BY}]
IN_ANY = frozenset(
    point.name for point in _OF_ANY if point.kind in _SMALL_KINDS and point.name not in LONG_TEXTS
)
# What a query on `any` looks through beside that register.
ANY_LONG_TEXTS = tuple(point.name for point in _OF_ANY if point.name in LONG_TEXTS)
ANY_VALUES = tuple(point for point in _OF_ANY if point.kind not in _SMALL_KINDS)
# The access points with positions that answer for a phrase in `any`.
ANY_TEXTS = tuple(point.name for point in _OF_ANY if point.kind is Kind.TEXT)
# Others repeat what stands in one of these, and show what it shows.
WITH_DISPLAYS = frozenset(ANY_TEXTS)


def has_keys(point: AccessPoint) -> bool:
    """Whether the whole fields of an access point are terms of a register."""
    return point.kind is Kind.TEXT and point.name != ANY and point.name not in LONG_TEXTS


def key_register(access_point: str) -> str:
    """The register of an access point's whole fields."""
    return f"{access_point}/key"


def sort_register(access_point: str) -> str:
    """The register of an access point's sort values."""
    return f"{access_point}/sort"


def register_names(points: Iterable[AccessPoint] = ACCESS_POINTS) -> list[str]:
    """Every register that the table of access points calls for."""
    names = [DATABASE, PRESENT]
    for point in points:
        names.append(point.name)
        if has_keys(point):
            names.append(key_register(point.name))
        if point.sortable:
            names.append(sort_register(point.name))
    return names


# Raise it whenever the same record brings other postings than before.
INDEX_VERSION = 3


@cache
def fingerprint() -> str:
    """Names what decides the postings of a record; another one calls for `reindex`."""
    parts = [str(INDEX_VERSION), unicodedata.unidata_version, repr(ACCESS_POINTS)]
    parts += [version(package) for package in ("opencc", "pypinyin")]
    return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()
