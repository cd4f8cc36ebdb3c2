"""The CQL context sets `marc` and `unimarc`: fields and subfields as index names.

`marc.245`, `marc.245$a` and, with the modifier `marc.substring="35:3"`,
positions of a control field, are MARC 21's, as the MARC context set 1.0 has it;
`unimarc.200$a` is our own likeness of it for UNIMARC and CNMARC, whose tags mean
other things. The catalogue is indexed by access point and not by field, so such
an index is the narrowest access point that the field feeds: `marc.650$a` also
finds what 690 brings, and what a record of the other family has of the kind.
`MarcIndex.also` says which other fields an index reaches. A field spread over
several access points, as 260 over place, publisher and date, is no index; its
subfields are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from protocol.access_point import AccessPoint
from protocol.access_points import ACCESS_POINTS

SETS = ("marc", "unimarc")
# Tag, indicators, subfields or positions, condition; see AccessPoint.
_FEED = re.compile(r"(LDR|\d{3})(\[..\])?([a-z0-9]*)(?:/(\d+)(?:-(\d+))?)?(\?.*)?")
_SUBSTRING = re.compile(r"(\d{1,5}):(\d{1,5})")
_LEADER = "000"  # how the context set names it


@dataclass(frozen=True, slots=True)
class MarcIndex:
    """One index of a set: its name, its access point and the other tags that feed that.

    `substring` is the value that `marc.substring` must have, or empty.
    """

    name: str
    point: AccessPoint
    also: tuple[str, ...] = ()
    substring: str = ""


@dataclass(slots=True)
class _Feeds:
    """What one access point takes of one family of MARC."""

    subfields: dict[str, set[str]] = field(default_factory=dict)  # by tag, unconditional ones
    positions: set[tuple[str, int, int]] = field(default_factory=set)  # by tag and subfield
    tags: set[str] = field(default_factory=set)


def marc_point(set_name: str, index: str, substring: str = "") -> AccessPoint | None:
    """The access point of `245`, `245$a`, or `008` with its positions `35:3`.

    `substring` is the modifier's value, start from 0 and length; zeros in front
    of its numbers do not matter.
    """
    match = _SUBSTRING.fullmatch(substring)
    if match is not None:
        substring = f"{int(match[1])}:{int(match[2])}"
    found = _BY_NAME[set_name].get((index.lower(), substring))
    return None if found is None else found.point


def marc_indexes(set_name: str = "marc") -> Iterator[MarcIndex]:
    """Every index of a set, by tag."""
    return iter(_BY_NAME[set_name].values())


def _build(set_name: str) -> dict[tuple[str, str], MarcIndex]:
    # Pinyin is made from fields that it does not contain.
    points = [point for point in ACCESS_POINTS if not point.name.endswith("_pinyin")]
    feeds = [
        (point, _feeds(point.marc21 if set_name == "marc" else point.unimarc)) for point in points
    ]
    found: list[MarcIndex] = []
    for tag in {tag for _, each in feeds for tag in each.subfields}:
        users = [(point, each) for point, each in feeds if tag in each.subfields]
        # Of points that a field feeds, the one that least else feeds is nearest to it.
        users.sort(key=lambda user: len(user[1].tags))
        all_codes = {code for _, each in users for code in each.subfields[tag]}
        for code in all_codes:
            point, each = next(user for user in users if code in user[1].subfields[tag])
            found.append(MarcIndex(f"{tag}${code}", point, _others(each, tag)))
        point, each = max(users, key=lambda user: len(user[1].subfields[tag]))
        if 2 * len(each.subfields[tag]) > len(all_codes) or not all_codes:
            found.append(MarcIndex(tag, point, _others(each, tag)))
    for point, each in feeds:
        for place, first, last in each.positions:
            others = _others(each, place[:3])
            found.append(MarcIndex(place, point, others, f"{first}:{last - first + 1}"))
    # Of equal names the first point of the table counts.
    found.sort(key=lambda index: (index.name, index.substring))
    by_name: dict[tuple[str, str], MarcIndex] = {}
    for index in found:
        by_name.setdefault((index.name, index.substring), index)
    return by_name


def _feeds(specifications: str) -> _Feeds:
    feeds = _Feeds()
    for text in specifications.split():
        match = _FEED.fullmatch(text)
        assert match is not None, text  # noqa: S101 - the form is AccessPoint's own
        tag, indicators, codes, first, last, condition = match.groups()
        tag = _LEADER if tag == "LDR" else tag
        feeds.tags.add(tag)
        if first is not None:
            place = f"{tag}${codes}" if codes else tag
            feeds.positions.add((place, int(first), int(last or first)))
        elif not indicators and not condition:
            feeds.subfields.setdefault(tag, set()).update(codes)
    return feeds


def _others(feeds: _Feeds, tag: str) -> tuple[str, ...]:
    return tuple(sorted(feeds.tags - {tag}))


_BY_NAME = {set_name: _build(set_name) for set_name in SETS}
