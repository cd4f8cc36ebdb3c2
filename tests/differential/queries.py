"""The queries: made from the records compared, and some written by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pymarc

TITLE, AUTHOR, SUBJECT, ANY = 4, 1003, 21, 1016
PUBLISHER, PLACE, NOTE, SERIES = 1018, 59, 63, 5
PERSONAL, CORPORATE = 1004, 1005
ISBN, ISSN, LCCN, CONTROL_NUMBER, DATE = 7, 8, 9, 12, 31

# Where the terms of a use attribute are taken from: (tag, subfields).
SOURCES: dict[int, tuple[tuple[str, str], ...]] = {
    TITLE: (("245", "abfgknps"),),
    AUTHOR: (("100", "abcdq"), ("700", "abcdq"), ("110", "abcdgn")),
    SUBJECT: (("650", "abcdfghjklmnopqrstuvxyz"), ("651", "abcdfghjklmnopqrstuvxyz")),
    ANY: (("245", "abfgknps"), ("500", "a"), ("650", "a"), ("264", "b")),
    PUBLISHER: (("260", "b"), ("264", "b")),
    PLACE: (("260", "a"), ("264", "a")),
    NOTE: (("500", "a"), ("504", "a")),
    SERIES: (("490", "av"), ("830", "anpv")),
    PERSONAL: (("100", "abcdq"), ("700", "abcdq")),
    CORPORATE: (("110", "abcdgn"), ("710", "abcdgn")),
}
# The same of UNIMARC.
UNIMARC_SOURCES: dict[int, tuple[tuple[str, str], ...]] = {
    TITLE: (("200", "ae"),),
    AUTHOR: (("701", "ab"), ("702", "ab"), ("710", "ab"), ("711", "ab"), ("712", "ab")),
    SUBJECT: (("606", "a"), ("607", "a")),
    ANY: (("200", "a"), ("300", "a"), ("606", "a"), ("210", "c")),
    PUBLISHER: (("210", "c"),),
    PLACE: (("210", "a"),),
    NOTE: (("300", "a"), ("326", "a")),
    SERIES: (("225", "av"), ("410", "at")),
    CORPORATE: (("710", "ab"), ("711", "ab"), ("712", "ab")),
}
PER_KIND = 6  # terms of one use attribute for one kind of query

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_PLAIN = re.compile(r"[a-z]{4,}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """A query in PQF; where it has an operand `@set`, `first` makes that set, `set_name`."""

    kind: str
    query: str
    first: str = ""
    set_name: str = ""

    def __str__(self) -> str:
        return f"{self.query}  where {self.set_name} is {self.first}" if self.first else self.query


def queries(records: Sequence[bytes]) -> list[Asked]:
    """Every query, each once, always the same for the same records."""
    read = _read(records)
    texts = {use: _texts(read, sources) for use, sources in SOURCES.items()}
    years = ((record["008"].data or "")[7:11] for record in read if "008" in record)
    found = [
        *(each for use in SOURCES for each in _of_texts(use, texts[use])),
        *_of_numbers(read, ((ISBN, "020"), (ISSN, "022"), (LCCN, "010"))),
        *_of_dates(years),
        *_of_booleans(texts),
        *(Asked("hand", line) for line in BY_HAND.splitlines() if line),
    ]
    return _each_once(found)


def unimarc_queries(records: Sequence[bytes]) -> list[Asked]:
    """The same of UNIMARC records in Latin letters; none by hand."""
    read = _read(records)
    texts = {use: _texts(read, sources) for use, sources in UNIMARC_SOURCES.items()}
    years = ((record["100"].get("a") or "")[9:13] for record in read if "100" in record)
    found = [
        *(each for use in texts for each in _of_texts(use, texts[use])),
        *_of_numbers(read, ((ISBN, "010"), (ISSN, "011"))),
        *_of_dates(years),
        *_of_booleans(texts),
    ]
    return _each_once(found)


def _read(records: Sequence[bytes]) -> list[pymarc.Record]:
    return [pymarc.Record(raw, to_unicode=True, force_utf8=True) for raw in records]


def _each_once(found: Sequence[Asked]) -> list[Asked]:
    return list({each.query: each for each in found if not each.query.endswith('""')}.values())


def _texts(records: Sequence[pymarc.Record], sources: Sequence[tuple[str, str]]) -> list[str]:
    found: dict[str, None] = {}
    for record in records:
        for tag, codes in sources:
            for field in record.get_fields(tag):
                if text := " ".join(field.get_subfields(*codes)).strip(" /:;,="):
                    found[text] = None
    return list(found)


def _spread(items: Sequence[str], count: int, offset: int = 0) -> list[str]:
    """`count` of the items from all over the list; another `offset` gives other ones."""
    step = max(1, len(items) // count)
    return list(items[offset % step :: step][:count])


def quoted(term: str) -> str:
    escaped = term.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _of_texts(use: int, texts: Sequence[str]) -> Iterator[Asked]:
    def ask(kind: str, attributes: str, term: str) -> Asked:
        return Asked(kind, f"@attr 1={use} {attributes} {quoted(term)}")

    for text in _spread(texts, PER_KIND):
        yield ask("word", "@attr 4=2", max(_WORD.findall(text), key=len, default="x"))
    for text in _spread(texts, PER_KIND, 1):
        plain = _PLAIN.findall(text) or ["none"]
        yield ask("right truncation", "@attr 4=2 @attr 5=1", plain[-1][:4])
        yield ask("left truncation", "@attr 4=2 @attr 5=2", plain[0][1:])
        yield ask("both truncations", "@attr 4=2 @attr 5=3", plain[0][1:4])
    several = [text for text in texts if len(_WORD.findall(text)) >= 3]
    for text in _spread(several, PER_KIND, 2):
        words = _WORD.findall(text)
        yield ask("word list", "@attr 4=6", " ".join((words[2], words[0], words[1])))
    for text in _spread(several, PER_KIND, 3):
        yield ask("phrase", "@attr 4=1", " ".join(_WORD.findall(text)[1:4]))
    for text in _spread(several, PER_KIND, 4):
        yield ask("not a phrase", "@attr 4=1", " ".join(reversed(_WORD.findall(text)[:3])))
    if use == ANY:
        return  # which has fields of many kinds
    for text in _spread(texts, PER_KIND, 5):
        yield ask("first in field", "@attr 3=1 @attr 4=1", " ".join(_WORD.findall(text)[:2]))
        yield ask("not first in field", "@attr 3=1 @attr 4=1", " ".join(_WORD.findall(text)[1:3]))
    if use == NOTE:
        return  # whose whole texts nobody looks for
    for text in _spread(texts, PER_KIND, 6):
        yield ask("complete field", "@attr 6=3 @attr 4=1", text)
        yield ask("begins field", "@attr 6=3 @attr 4=1 @attr 5=1", text[: len(text) // 2].strip())
        yield ask("incomplete field", "@attr 6=3 @attr 4=1", " ".join(_WORD.findall(text)[:-1]))


def _of_numbers(
    records: Sequence[pymarc.Record], tags: Sequence[tuple[int, str]]
) -> Iterator[Asked]:
    for use, tag in tags:
        values: dict[str, None] = {}
        for record in records:
            for field in record.get_fields(tag):
                for value in field.get_subfields("a"):
                    values[value.partition("(")[0].replace("-", "").strip()] = None
        for value in _spread([each for each in values if each], 10):
            yield Asked("number", f"@attr 1={use} {quoted(value)}")
        for value in _spread([each for each in values if each], 3, 1):
            yield Asked("begins number", f"@attr 1={use} @attr 5=1 {quoted(value[:5])}")
    numbers = [record["001"].data or "" for record in records]
    for number in _spread(numbers, 10):
        yield Asked("number", f"@attr 1={CONTROL_NUMBER} {quoted(number.strip())}")
    yield Asked("number", f"@attr 1={CONTROL_NUMBER} nowhere")


def _of_dates(years: Iterable[str]) -> Iterator[Asked]:
    for year in _spread([year for year in sorted(set(years)) if year.isdecimal()], 8):
        yield Asked("date", f"@attr 1={DATE} @attr 4=4 {year}")
        for relation in (1, 2, 3, 4, 5):
            yield Asked("date relation", f"@attr 1={DATE} @attr 2={relation} @attr 4=109 {year}")
    yield Asked("date", f"@attr 1={DATE} @attr 5=1 199")
    yield Asked("date", f"@attr 1={DATE} @attr 4=4 1066")


def _of_booleans(texts: dict[int, list[str]]) -> Iterator[Asked]:
    def words(use: int, offset: int) -> list[str]:
        found = (max(_PLAIN.findall(text) or ["none"], key=len) for text in texts[use])
        return [f"@attr 1={use} @attr 4=2 {word}" for word in _spread(list(found), 8, offset)]

    titles, authors, subjects, anys = (
        words(use, offset) for offset, use in enumerate((TITLE, AUTHOR, SUBJECT, ANY))
    )
    # Zebra closes the association when a set is replaced that another was made of.
    for number, (a, b, c, d) in enumerate(zip(titles, authors, subjects, anys, strict=True)):
        yield Asked("boolean", f"@or {a} {b}")
        yield Asked("boolean", f"@and {d} @or {a} {c}")
        yield Asked("boolean", f"@not {d} {a}")
        yield Asked("boolean", f"@or @not @or {a} {b} {c} @and {d} {a}")
        since = f"@attr 1={DATE} @attr 2=4 @attr 4=109 2000"
        yield Asked("boolean", f"@not {since} @or {a} @or {b} {c}")
        kept, other = f"kept{number}", f"other{number}"
        yield Asked("result set", f"@and @set {kept} {since}", f"@or {c} {d}", kept)
        yield Asked("result set", f"@not {since} @set {other}", f"@or {a} {d}", other)


BY_HAND = """\
@attr 1=4 @attr 4=2 history
@attr 1=4 @attr 4=2 HISTORY
@attr 1=4 @attr 4=2 histor
@attr 1=4 @attr 4=1 "united states"
@attr 1=4 @attr 4=1 "states united"
@attr 1=4 @attr 4=6 "states united"
@attr 1=4 @attr 4=1 "of the united states"
@attr 1=4 @attr 3=1 @attr 4=2 the
@attr 1=4 @attr 3=1 @attr 4=2 history
@attr 1=4 @attr 5=1 @attr 4=2 geolog
@attr 1=4 @attr 5=2 @attr 4=2 ology
@attr 1=4 @attr 5=3 @attr 4=2 olog
@attr 1=4 @attr 5=101 @attr 4=2 wom#n
@attr 1=4 @attr 5=102 @attr 4=2 wom.n
@attr 1=4 @attr 5=102 @attr 4=2 geo.*
@attr 1=4 @attr 5=104 @attr 4=2 wom#n
@attr 1=4 @attr 5=104 @attr 4=2 geol?
@attr 1=4 @attr 5=1 @attr 4=1 "united stat"
@attr 1=4 @attr 5=1 @attr 4=1 "geolog."
@attr 1=4 @attr 5=100 @attr 4=2 water
@attr 1=1003 @attr 4=6 "united states congress"
@attr 1=1003 @attr 4=1 "united states congress"
@attr 1=1003 @attr 3=1 @attr 4=1 "united states"
@attr 1=1005 @attr 3=1 @attr 4=1 "united states"
@attr 1=21 @attr 3=1 @attr 4=2 women
@attr 1=21 @attr 4=1 "united states history"
@attr 1=21 @attr 6=3 @attr 4=1 geology
@attr 1=21 @attr 6=2 @attr 4=1 geology
@attr 1=1016 @attr 4=2 water
@attr 1=1016 @attr 4=6 "forest service"
@attr 1=1016 @attr 4=1 "forest service"
@attr 1=1016 @attr 4=1 "service forest"
@attr 1=1016 @attr 2=103 x
@attr 1=4 @attr 2=103 x
@attr 1=8 @attr 2=103 x
@attr 1=4 @attr 4=2 zzzzzz
@attr 1=31 @attr 4=4 2021
@and @attr 1=31 @attr 2=4 @attr 4=109 1990 @attr 1=31 @attr 2=1 @attr 4=109 2000
@and @attr 1=4 @attr 4=2 history @attr 1=31 @attr 2=5 @attr 4=109 1980
@not @attr 1=1016 @attr 2=103 "" @attr 1=4 @attr 4=2 the
@or @attr 1=4 @attr 4=2 zzzzzz @attr 1=4 @attr 4=2 history
@and @attr 1=4 @attr 4=2 zzzzzz @attr 1=4 @attr 4=2 history
@prox 0 1 1 2 k 2 @attr 1=4 @attr 4=2 united @attr 1=4 @attr 4=2 states
@prox 0 3 0 2 k 2 @attr 1=4 @attr 4=2 the @attr 1=4 @attr 4=2 states
@attr 1=4 @attr 4=2 café
@attr 1=4 @attr 4=2 "geschichte"
@attr 1=1003 @attr 4=2 Müller
@attr 1=1003 @attr 4=2 muller
"""
