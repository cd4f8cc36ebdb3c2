"""Queries on Chinese records: made from the records compared, and some written by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from protocol.iso2709 import parse
from tests.differential.queries import Asked, quoted

TITLE, AUTHOR, SUBJECT, ANY = 4, 1003, 21, 1016
PUBLISHER, PLACE, NOTE = 1018, 59, 63
DATE, ISBN, CONTROL_NUMBER = 31, 7, 12

# Where the terms of a use attribute are taken from: (tag, subfield).
SOURCES: dict[int, tuple[tuple[str, str], ...]] = {
    TITLE: (("200", "a"), ("517", "a")),
    AUTHOR: (("701", "a"), ("702", "a")),
    SUBJECT: (("606", "a"),),
    ANY: (("200", "a"), ("330", "a"), ("606", "a")),
    PUBLISHER: (("210", "c"),),
    PLACE: (("210", "a"),),
    NOTE: (("300", "a"), ("314", "a")),
}
PER_KIND = 5  # terms of one use attribute for one kind of query

_HAN = re.compile("[\u4e00-\u9fff]+")


def queries(records: Sequence[bytes]) -> list[Asked]:
    """Every query, each once, always the same for the same records."""
    found = [
        *(each for use in SOURCES for each in _of_texts(use, _texts(records, SOURCES[use]))),
        *_of_dates(records),
        *(Asked("number", f"@attr 1={ISBN} {each}") for each in _isbns(records)),
        *(Asked("hand", line) for line in BY_HAND.splitlines() if line),
    ]
    return list({each.query: each for each in found}.values())


def _texts(records: Sequence[bytes], sources: Sequence[tuple[str, str]]) -> list[str]:
    found: dict[str, None] = {}
    for record in map(parse, records):
        for field in record.fields:
            for tag, code in sources:
                if field.tag == tag:
                    found.update(dict.fromkeys(field.values(code)))
    return [text for text in found if _HAN.search(text)]


def _spread(items: Sequence[str], offset: int) -> list[str]:
    step = max(1, len(items) // PER_KIND)
    return list(items[offset % step :: step][:PER_KIND])


def _of_texts(use: int, texts: Sequence[str]) -> Iterator[Asked]:
    def ask(kind: str, attributes: str, term: str) -> Asked:
        return Asked(kind, f"@attr 1={use} {attributes} {quoted(term)}")

    runs = [max(_HAN.findall(text), key=len) for text in texts]
    for run in _spread(runs, 0):
        yield ask("one character", "@attr 4=2", run[-1])
        yield ask("two characters", "@attr 4=2", run[:2])
    for run in _spread([each for each in runs if len(each) > 3], 1):
        yield ask("word", "@attr 4=2", run[1:4])
        yield ask("phrase", "@attr 4=1", run[-4:])
        yield ask("not a phrase", "@attr 4=1", run[:4][::-1])
        yield ask("characters apart", "@attr 4=6", f"{run[3]} {run[0]}")
    if use == ANY:
        return  # which has fields of many kinds
    if use == NOTE:
        return  # whose whole texts nobody looks for
    # First in field is not asked: Zebra marks no first word where ICU cuts the text.
    for text, run in zip(_spread(texts, 2), _spread(runs, 2), strict=True):
        yield ask("complete field", "@attr 6=3 @attr 4=1", text)
        yield ask("incomplete field", "@attr 6=3 @attr 4=1", run[:-1] or run)


def _of_dates(records: Sequence[bytes]) -> Iterator[Asked]:
    coded = {field.first("a")[9:13] for each in records for field in parse(each).fields
             if field.tag == "100"}  # fmt: skip
    for year in _spread(sorted(each for each in coded if each.isdecimal()), 3):
        yield Asked("date", f"@attr 1={DATE} @attr 4=4 {year}")
        for relation in (1, 2, 4, 5):
            yield Asked("date", f"@attr 1={DATE} @attr 2={relation} @attr 4=109 {year}")


def _isbns(records: Sequence[bytes]) -> Iterator[str]:
    found = [
        field.first("a") for each in records for field in parse(each).fields if field.tag == "010"
    ]
    return iter(dict.fromkeys(each.replace("-", "") for each in _spread(found, 0) if each))


BY_HAND = """\
@attr 1=4 @attr 4=2 红楼梦
@attr 1=4 @attr 4=2 紅樓夢
@attr 1=4 @attr 4=1 "红楼梦 研究"
@attr 1=4 @attr 4=2 楼红
@attr 1=4 @attr 6=3 @attr 4=1 红楼梦
@attr 1=4 @attr 6=3 @attr 4=1 红楼
@attr 1=1003 @attr 4=2 鲁迅
@attr 1=1003 @attr 4=2 魯迅
@attr 1=1003 @attr 4=2 钱
@attr 1=21 @attr 4=2 小说
@attr 1=1016 @attr 4=2 中国
@attr 1=1016 @attr 4=2 中國
@attr 1=1016 @attr 4=2 国中
@and @attr 1=4 @attr 4=2 中国 @attr 1=4 @attr 4=2 史
@or @attr 1=4 @attr 4=2 红楼 @attr 1=1003 @attr 4=2 鲁迅
@not @attr 1=1016 @attr 4=2 中国 @attr 1=4 @attr 4=2 中国
@and @attr 1=1003 @attr 4=2 鲁迅 @attr 1=31 @attr 2=4 @attr 4=109 1990
@attr 1=4 @attr 2=103 x
@attr 1=1016 @attr 2=103 x
@attr 1=12 LMC0000001
@attr 1=4 @attr 4=2 龘
"""
