"""The feeds of the access-point table, compiled for the fields of records.

The table says what subfields of a field feed which access points. What that
means for one field depends only on its tag, its indicators and the sequence of
its subfield codes, and records use few of those, so each is worked out once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

from protocol.access_point import AccessPoint, Kind
from protocol.access_points import ACCESS_POINTS
from protocol.record import MarcFamily
from store import coded, identifiers
from store.dates import years_in

READINGS = frozenset(("title_pinyin", "author_pinyin"))  # fed by Pinyin, not by the text

Rule = Callable[[str], Sequence[str]]  # the normalised values of what a subfield holds

_STEPS_KEPT_MAX = 20_000  # of one family; then all are worked out again
_FEED = re.compile(
    r"(?P<tag>LDR|[0-9]{3})(?:\[(?P<indicators>..)\])?(?P<codes>[a-z0-9]*)"
    r"(?:/(?P<first>[0-9]+)(?:-(?P<last>[0-9]+))?)?"
    r"(?:\?(?P<code>[a-z0-9])=(?P<begins>.+))?"
)

# Which indicator counts the characters that filing passes over in $a (MARC 21).
NONFILING = {"130": 0, "630": 0, "730": 0, "740": 0} | dict.fromkeys(
    ("222", "240", "242", "243", "245", "440", "830"), 1
)


@dataclass(frozen=True, slots=True)
class Feed:
    """One entry of a row, as `AccessPoint` describes it.

    `codes` is empty for control fields, `indicators` where any will do;
    `first` is -1 for the whole value. With `condition` a subfield of that code
    must begin with one of `begins`.
    """

    point: AccessPoint
    tag: str
    codes: frozenset[str] = frozenset()
    indicators: str = ""
    first: int = -1
    last: int = -1
    condition: str = ""
    begins: tuple[str, ...] = ()


@dataclass(slots=True)
class Step:
    """What to take from a field and where to put it.

    `places` count its subfields from 0; those values joined go to the access
    points `texts` and, read, to `readings`; each value through its rule goes to
    those of `values`. `stated` are rules for years that count only where none
    is coded. `skipped` characters of the joined text are passed over in filing.
    Where one code alone is read, `is_apart`, each value is a text of its own.
    """

    places: tuple[int, ...]
    first: int
    last: int
    condition: str
    begins: tuple[str, ...]
    skipped: int
    is_apart: bool
    is_class_mark: bool
    texts: list[str] = field(default_factory=list)
    readings: list[str] = field(default_factory=list)
    values: list[tuple[Rule, list[str]]] = field(default_factory=list)
    stated: list[Rule] = field(default_factory=list)

    def cut(self, value: str) -> str:
        return value if self.first < 0 else value[self.first : self.last + 1]


class Feeds:
    """The feeds of one MARC family.

    Raises:
        ValueError: a row of the table is not written as `AccessPoint` says.
    """

    def __init__(self, family: MarcFamily) -> None:
        self.is_marc21 = family is MarcFamily.MARC21
        self.by_tag: dict[str, list[Feed]] = defaultdict(list)
        for point in ACCESS_POINTS:
            for text in (point.marc21 if self.is_marc21 else point.unimarc).split():
                feed = _parse(point, text)
                self.by_tag[feed.tag].append(feed)
        self.of_date = {
            tag: feeds
            for tag, every in self.by_tag.items()
            if (feeds := [feed for feed in every if feed.point.name == "date"])
        }
        self._steps: dict[tuple[str, str, str], list[Step]] = {}

    def steps(self, tag: str, indicators: str, codes: str) -> list[Step]:
        """What to do with a field; `codes` are its subfield codes in order."""
        steps = self._steps.get((tag, indicators, codes))
        if steps is None:
            if len(self._steps) >= _STEPS_KEPT_MAX:
                self._steps.clear()
            steps = self._steps[tag, indicators, codes] = self._compile(tag, indicators, codes)
        return steps

    def _compile(self, tag: str, indicators: str, codes: str) -> list[Step]:
        steps: dict[object, Step] = {}
        for feed in self.by_tag[tag]:
            places = tuple(at for at, code in enumerate(codes) if code in feed.codes)
            if feed.codes and not places:
                continue
            if feed.indicators and not _match(feed.indicators, indicators):
                continue
            skipped = 0
            if self.is_marc21 and tag in NONFILING and places and codes[places[0]] == "a":
                skipped = nonfiling(tag, indicators)
            parameters = (
                places, feed.first, feed.last, feed.condition, feed.begins, skipped,
                len(feed.codes) == 1 and len(places) > 1, feed.point.kind is Kind.CLASSIFICATION,
            )  # fmt: skip
            step = steps.get(parameters)
            if step is None:
                step = steps[parameters] = Step(*parameters)
            self._direct(step, feed)
        return list(steps.values())

    def _direct(self, step: Step, feed: Feed) -> None:
        name = feed.point.name
        if name in READINGS:
            step.readings.append(name)
        elif feed.point.kind is Kind.TEXT:
            if name not in step.texts:
                step.texts.append(name)
        elif name == "date" and feed.first < 0:
            step.stated.append(years_in)
        else:
            rule = self._rule(feed)
            for other, names in step.values:
                if other is rule:
                    names.append(name)
                    return
            step.values.append((rule, [name]))

    def _rule(self, feed: Feed) -> Rule:
        """How values of a feed are normalised; the same object for the same way."""
        kind = feed.point.kind
        if kind is Kind.IDENTIFIER:
            if feed.tag == ("020" if self.is_marc21 else "010"):
                return identifiers.isbn_both_keys
            if feed.tag == ("022" if self.is_marc21 else "011"):
                return identifiers.issn_keys
            if feed.point.name == "control_number":
                return identifiers.identifier_query
            return identifiers.identifier_keys
        if kind is Kind.CODE:
            return _CODE_RULES.get(feed.point.name, coded.code)
        if feed.point.name == "date":
            return coded.years
        return _RULES[kind]


_RULES: dict[Kind, Rule] = {
    Kind.ISBN: identifiers.isbn_keys,
    Kind.ISSN: identifiers.issn_keys,
    Kind.DATE: coded.day,
    Kind.CLASSIFICATION: identifiers.classification_keys,
}
_CODE_RULES: dict[str, Rule] = {
    "material_type": coded.materials,
    "cataloguing_level": coded.flag,
    "record_status": coded.flag,
    "language": coded.languages,
    "language_original": coded.languages,
}


def nonfiling(tag: str, indicators: str) -> int:
    """How many characters at the beginning of a MARC 21 title filing passes over."""
    digit = indicators[NONFILING[tag] : NONFILING[tag] + 1]
    return int(digit) if digit.isdecimal() else 0


def _match(wanted: str, indicators: str) -> bool:
    return all(
        each in (".", found) for each, found in zip(wanted, indicators.ljust(2), strict=False)
    )


def _parse(point: AccessPoint, text: str) -> Feed:
    match = _FEED.fullmatch(text)
    if match is None:
        raise ValueError(f"{point.name}: no feed: {text}")
    first = int(match["first"]) if match["first"] else -1
    return Feed(
        point,
        match["tag"],
        frozenset(match["codes"]),
        match["indicators"] or "",
        first,
        int(match["last"]) if match["last"] else first,
        match["code"] or "",
        tuple(match["begins"].split("|")) if match["begins"] else (),
    )


@cache
def feeds_of(family: MarcFamily) -> Feeds:
    return Feeds(family)
