"""How likely two records describe the same publication: a score with its reasons.

Points are added for what agrees. What tells two publications apart, however much
else agrees, sets a ceiling instead: another volume, edition, year or carrier.
docs/duplicates.md has the table with the reasons.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from store.duplicate_facts import Facts

POSSIBLE = 60  # from here on a person should look
CERTAIN = 90  # from here on, with a number and the title the same
SCORE_MAX = 100

_UNIFORM = "uniform"  # 统一书号, which each edition of a Chinese book had until 1987

# Ceilings: below POSSIBLE, so that the pair is no candidate.
_DIFFERENT = 20
_DOUBTFUL = 40
_OTHER_EDITION_OF_ONE = 15  # taken off where only one record states a later edition
_PAGES_APART = 0.2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that agrees or does not: a sentence in English, and what fills its blanks.

    The sentence is also the code by which pages say it in another language.
    """

    sentence: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.sentence.format(*self.values)


@dataclass(frozen=True, slots=True)
class Score:
    """`points` from 0 to 100. `findings` say what agrees and what does not."""

    points: int
    findings: tuple[Finding, ...]
    is_certain: bool

    @property
    def reasons(self) -> tuple[str, ...]:
        """The findings in English."""
        return tuple(map(str, self.findings))


@dataclass(slots=True)
class _Sum:
    points: int = 0
    ceiling: int = SCORE_MAX
    findings: list[Finding] = field(default_factory=list)
    is_doubted: bool = False  # something speaks against it

    def add(self, points: int, sentence: str, *values: object) -> None:
        self.points += points
        self.is_doubted |= points < 0
        self.note(sentence, *values)

    def limit(self, ceiling: int, sentence: str, *values: object) -> None:
        self.ceiling = min(self.ceiling, ceiling)
        self.note(sentence, *values)

    def note(self, sentence: str, *values: object) -> None:
        self.findings.append(Finding(sentence, tuple(map(str, values))))


def compare(one: Facts, other: Facts) -> Score:
    """The score of two records; the same whichever comes first."""
    total = _Sum()
    has_number = _numbers(total, one, other)
    same_title = _title(total, one, other)
    _form(total, one, other)
    _volume(total, one, other)
    if one.is_serial and other.is_serial:
        _overlap(total, one.publishers, other.publishers, "publisher", 10, 0)
    else:
        _edition(total, one, other)
        _year(total, one, other)
        _publisher(total, one, other)
        _authors(total, one, other)
        _pages(total, one, other)
        if (
            one.series_numbers
            and other.series_numbers
            and not (one.series_numbers & other.series_numbers)
        ):
            total.add(-15, "other number in the series")
    points = max(0, min(total.points, total.ceiling, SCORE_MAX))
    is_certain = points >= CERTAIN and has_number and same_title and not total.is_doubted
    return Score(points, tuple(total.findings), is_certain)


def _numbers(total: _Sum, one: Facts, other: Facts) -> bool:
    """Points for the best number that both have; whether there is one."""
    found = False
    if one.isbns & other.isbns:
        total.add(50, "same ISBN {}", min(one.isbns & other.isbns))
        found = True
    elif one.isbns and other.isbns:
        total.limit(_DOUBTFUL, "other ISBN")
    # A monograph's ISSN is that of its series, which every volume has.
    if one.is_serial and other.is_serial:
        if one.issns & other.issns:
            total.add(0 if found else 50, "same ISSN {}", min(one.issns & other.issns))
            found = True
        elif one.issns and other.issns:
            total.limit(_DOUBTFUL, "other ISSN")
    if shared := one.numbers & other.numbers:
        total.add(0 if found else 40, "same number {}", min(shared))
        return True
    systems = {_system(number) for number in one.numbers} & {
        _system(number) for number in other.numbers
    }
    if _UNIFORM in systems:
        total.limit(_DOUBTFUL, "other uniform book number")
    elif systems:
        total.points -= 10  # but one network may have a publication twice, and ISBN agree
        total.note("another number of {}", min(systems))
    return found


def _system(number: str) -> str:
    """Whose number it is: the letters before it."""
    return number[: next((at for at, char in enumerate(number) if char.isdigit()), 0)].strip()


def _title(total: _Sum, one: Facts, other: Facts) -> bool:
    """Points for the title; whether it is the same."""
    if not one.title or not other.title:
        return False
    rests = one.rest_of_title, other.rest_of_title
    if one.title == other.title:
        if all(rests) and not _begins(*rests):
            total.add(15, "same title proper, other subtitle")
            return False
        total.add(30, "same title")
        return True
    if one.title + rests[0] == other.title + rests[1]:
        total.add(30, "same title, parted otherwise")
        return True
    if (
        _begins(one.title + rests[0], other.title + rests[1])
        and min(len(one.title), len(other.title)) > 1
    ):
        total.add(15, "one title begins the other")
        return False
    total.limit(_DOUBTFUL, "other title")
    return False


def _begins(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _form(total: _Sum, one: Facts, other: Facts) -> None:
    for name, ours, theirs in (
        ("material", one.kind, other.kind),
        ("bibliographic level", one.level, other.level),
        ("carrier", one.carrier, other.carrier),
    ):
        if ours != theirs:
            total.limit(_DIFFERENT, f"other {name}")
    if one.language and other.language and one.language != other.language:
        total.limit(_DOUBTFUL, "other language")


def _volume(total: _Sum, one: Facts, other: Facts) -> None:
    if one.volume and other.volume:
        if one.volume != other.volume:
            total.limit(_DIFFERENT, "other volume: {}, {}", one.volume, other.volume)
        else:
            total.add(5, "same volume {}", one.volume)
    elif one.volume or other.volume:
        total.limit(_DOUBTFUL, "one states a volume, the other none")
    if one.part_title and other.part_title and not _begins(one.part_title, other.part_title):
        total.limit(_DIFFERENT, "other title of the part")
    elif bool(one.part_title) != bool(other.part_title) and not (one.volume and other.volume):
        total.limit(_DOUBTFUL, "one names a part, the other none")
    if one.is_set != other.is_set:
        total.limit(_DOUBTFUL, "a set, and one volume")


def _edition(total: _Sum, one: Facts, other: Facts) -> None:
    ours, theirs = one.edition or "1", other.edition or "1"
    if one.edition and other.edition and ours == theirs:
        total.add(5, "same edition {}", ours)
    elif one.edition and other.edition:
        total.limit(_DIFFERENT, "other edition: {}, {}", min(ours, theirs), max(ours, theirs))
    elif ours != theirs:
        total.add(-_OTHER_EDITION_OF_ONE, "only one states a later edition")
    if one.edition_kind != other.edition_kind:
        for kind in sorted(one.edition_kind ^ other.edition_kind):
            if kind == "facsimile":
                total.limit(_DOUBTFUL, "only one is a facsimile edition")
            else:
                article = "an" if kind[0] in "aeiou" else "a"
                total.note(f"only one is {article} {kind} edition")
        if "facsimile" not in one.edition_kind ^ other.edition_kind:
            total.points -= _OTHER_EDITION_OF_ONE
            total.is_doubted = True


def _year(total: _Sum, one: Facts, other: Facts) -> None:
    if not one.years or not other.years:
        return
    apart = min(abs(ours - theirs) for ours in one.years for theirs in other.years)
    if apart == 0:
        total.add(10, "same year {}", min(one.years & other.years))
    elif apart == 1:
        total.add(-5, "one year apart")
    else:
        total.limit(_DOUBTFUL, "{} years apart", apart)


def _publisher(total: _Sum, one: Facts, other: Facts) -> None:
    _overlap(total, one.publishers, other.publishers, "publisher", 10, -10)


def _authors(total: _Sum, one: Facts, other: Facts) -> None:
    if any(map(str.isascii, one.authors)) == any(map(str.isascii, other.authors)):
        _overlap(total, one.authors, other.authors, "author", 10, -20)
    elif one.authors & other.authors:
        total.add(10, "same author")


def _overlap(
    total: _Sum, ours: frozenset[str], theirs: frozenset[str], name: str, same: int, other: int
) -> None:
    """Points for names of which one of ours is, or begins, one of theirs."""
    if not ours or not theirs:
        return
    if ours & theirs or any(a in b or b in a for a in ours for b in theirs):
        total.add(same, f"same {name}")
    elif other:
        total.add(other, f"other {name}")


def _pages(total: _Sum, one: Facts, other: Facts) -> None:
    if not one.pages or not other.pages:
        return
    if one.pages == other.pages:
        total.add(10, "same extent {}", one.pages)
    elif abs(one.pages - other.pages) > _PAGES_APART * max(one.pages, other.pages):
        total.add(
            -10, "other extent: {}, {}", min(one.pages, other.pages), max(one.pages, other.pages)
        )
