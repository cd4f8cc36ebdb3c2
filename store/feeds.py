"""The feeds of the access-point table, compiled for the fields of records.

The table says what subfields of a field feed which access points. What that
means for one field depends only on its tag, its indicators and the sequence of
its subfield codes, and records use few of those, so each is worked out once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from protocol.access_point import AccessPoint, Kind
from protocol.access_points import ACCESS_POINTS
from protocol.record import MarcFamily
from store import coded, identifiers
from store.dates import dates_in

READINGS = frozenset(("title_pinyin", "author_pinyin"))  # fed by Pinyin, not by the text

# Class marks by which records sort, each record by its first.
CLASS_MARKS_SORTED = tuple(
    point.name for point in ACCESS_POINTS if point.sortable and point.kind is Kind.CLASSIFICATION
)

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


class TextStep(NamedTuple):
    """A text to take from a field, and the access points that it goes to.

    `places` count subfields from 1; their values are joined, or, where the feed
    reads one code alone and `is_apart`, are texts of their own. With `condition`
    a subfield of that code must begin with one of `begins`. `skipped` characters
    are passed over in filing. `readings` take the text's Pinyin.
    """

    places: tuple[int, ...]
    condition: str
    begins: tuple[str, ...]
    names: tuple[str, ...]
    readings: tuple[str, ...]
    skipped: int
    is_apart: bool


class ValueStep(NamedTuple):
    """Values to take from a field, the way to normalise them, and where they go.

    `places`, `condition` and `begins` as in `TextStep`; place 0 is the whole of
    a control field. Of each value the characters from `first` to before `end`
    count. Without `names` they are years that count only where none is coded.
    """

    places: tuple[int, ...]
    condition: str
    begins: tuple[str, ...]
    first: int
    end: int | None
    is_class_mark: bool
    rule: Rule
    names: tuple[str, ...]


Steps = tuple[tuple[TextStep, ...], tuple[ValueStep, ...]]


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
        self.of_date = self._of("date")
        self.of_class_marks = {name: self._of(name) for name in CLASS_MARKS_SORTED}
        self._steps: dict[tuple[str, str], Steps] = {}

    def _of(self, access_point: str) -> dict[str, list[Feed]]:
        return {
            tag: feeds
            for tag, every in self.by_tag.items()
            if (feeds := [feed for feed in every if feed.point.name == access_point])
        }

    def steps(self, tag: str, head: str) -> Steps:
        """What to do with a field; `head` is its indicators, a delimiter, and its codes in order.

        Of control fields, `head` is empty.
        """
        steps = self._steps.get((tag, head))
        if steps is None:
            if len(self._steps) >= _STEPS_KEPT_MAX:
                self._steps.clear()
            steps = self._steps[tag, head] = self._compile(tag, head)
        return steps

    def _compile(self, tag: str, head: str) -> Steps:
        indicators, _, codes = head.partition("\x1f")
        texts: dict[TextStep, tuple[list[str], list[str]]] = {}
        values: dict[ValueStep, list[str]] = {}
        for feed in self.by_tag[tag]:
            places = tuple(at for at, code in enumerate(codes, 1) if code in feed.codes)
            if not feed.codes and not codes:
                places = (0,)
            if not places or not _match(feed.indicators, indicators):
                continue
            name = feed.point.name
            if feed.point.kind is Kind.TEXT:
                skipped = 0
                if self.is_marc21 and tag in NONFILING and codes[places[0] - 1] == "a":
                    skipped = nonfiling(tag, indicators)
                is_apart = len(feed.codes) == 1 and len(places) > 1
                text_step = TextStep(places, feed.condition, feed.begins, (), (), skipped, is_apart)
                names, readings = texts.setdefault(text_step, ([], []))
                (readings if name in READINGS else names).append(name)
            else:
                rule, is_stated = self._rule(feed)
                value_step = ValueStep(
                    places, feed.condition, feed.begins, max(feed.first, 0),
                    feed.last + 1 if feed.first >= 0 else None,
                    feed.point.kind is Kind.CLASSIFICATION, rule, (),
                )  # fmt: skip
                values.setdefault(value_step, []).extend([] if is_stated else [name])
        return (
            tuple(
                step._replace(names=tuple(dict.fromkeys(names)), readings=tuple(readings))
                for step, (names, readings) in texts.items()
            ),
            tuple(step._replace(names=tuple(names)) for step, names in values.items()),
        )

    def _rule(self, feed: Feed) -> tuple[Rule, bool]:
        """How values of a feed are normalised, and whether they are dates of the statement."""
        kind = feed.point.kind
        if feed.point.name == "date":
            return (coded.years, False) if feed.first >= 0 else (dates_in, True)
        if kind is Kind.IDENTIFIER:
            if feed.tag == ("020" if self.is_marc21 else "010"):
                return identifiers.isbn_both_keys, False
            if feed.tag == ("022" if self.is_marc21 else "011"):
                return identifiers.issn_keys, False
            if feed.point.name == "control_number":
                return identifiers.identifier_query, False
        if kind is Kind.CODE:
            return _CODE_RULES.get(feed.point.name, coded.code), False
        return _RULES[kind], False


_RULES: dict[Kind, Rule] = {
    Kind.ISBN: identifiers.isbn_keys,
    Kind.ISSN: identifiers.issn_keys,
    Kind.IDENTIFIER: identifiers.identifier_keys,
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
