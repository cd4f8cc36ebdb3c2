"""Years and dates as they stand in records and as clients ask for them.

A value is four digits (`1998`), six (`199807`) or eight (`20180625`); values
compare as text.
"""

from __future__ import annotations

import re

from protocol.query import MASK_ANY, MASK_ONE
from store.folding import fold
from store.numerals import number_of

_TERM_CHARS_MAX = 100
YEARS_MAX = 120  # of a span that a client asks for

_YEAR = re.compile(r"(?<![0-9])(?:1[0-9]{3}|20[0-9]{2})(?![0-9])")
# 199-, 19--, 199?, 19uu; a full year is read before these.
_UNSURE_YEAR = re.compile(r"(?<![0-9])(1[0-9]|20)([0-9][-?u]|[-?u]{2})")
# 2002.7, 2002年7月, 2002-07-15; not the span 1998-99.
_DAY = "0?[1-9]|[12][0-9]|3[01]"
_MONTH = re.compile(
    "(?<![0-9])(1[0-9]{3}|20[0-9]{2})[-/.年](0?[1-9]|1[0-2])(?![0-9])"
    f"(?:[-/.月]({_DAY})(?![0-9]))?"
)
_DATE = re.compile(r"\D*([0-9]{4})[-/.年]([0-9]{1,2})(?:[-/.月]([0-9]{1,2}))?\D*$")
_RUN_TOGETHER = re.compile(r"\D*([0-9]{4})(0[1-9]|1[0-2])([0-9]{2})?(?:[0-9]{6}.*)?\D*$")
_SPAN = re.compile(r"\D*([0-9]{4})\D*[-/~–—至]\D*([0-9]{4})\D*$")

# The year before each era's first (元年).
_ERAS = {"民国": 1911, "昭和": 1925, "平成": 1988, "令和": 2018, "大正": 1911, "明治": 1867}
_NUMERAL = "[元〇零一二三四五六七八九十百0-9]"
_ERA_YEAR = re.compile(f"({'|'.join(_ERAS)}) ?({_NUMERAL}{{1,4}}) ?年?")
_HAN_YEAR = re.compile("[一二][〇零一二三四五六七八九]{3}")


def years_in(text: str) -> list[str]:
    """The years that a statement of publication names, each once, in order.

    `[1998?]`, `c1998`, `1998-2003` (both ends), `199-` (1990), 民国二十三年 (1934),
    一九八五年. Years of other eras are read only where none of ours stands.
    """
    folded = fold(text)
    found = _YEAR.findall(folded)
    if not found:
        unsure = _UNSURE_YEAR.search(folded)
        if unsure:
            return [(unsure[1] + re.sub("[^0-9]", "0", unsure[2]))]
        if folded.isascii():
            return []
        found = [str(_ERAS[era] + number_of(count)) for era, count in _ERA_YEAR.findall(folded)]
        found = found or [str(number_of(year)) for year in _HAN_YEAR.findall(folded)]
    return list(dict.fromkeys(found))


def dates_in(text: str) -> list[str]:
    """What `years_in` reads, and then the months and days that stand with the years."""
    found = years_in(text)
    if len(text) > len("1998") + 1 and found:
        for year, month, day in _MONTH.findall(fold(text)):
            found.append(year + month.zfill(2))
            if day:
                found.append(found[-1] + day.zfill(2))
    return list(dict.fromkeys(found))


def coded_years(kind: str, first: str, second: str) -> list[str]:
    """The years of MARC 21 008/06-14, or of UNIMARC 100$a/08-16, which agree in form.

    Empty when no first year is coded. Unknown digits become 0. An end that is
    still open (9999), or a second date that is a month (kind `e`), is left out.
    """
    years = []
    for year in (first, second):
        digits = year.replace("u", "0").replace("|", " ").replace("#", " ")
        if digits.isdecimal() and len(digits) == 4 and "0000" < digits < "2100":
            years.append(digits)
        if kind == "e":
            break
    return list(dict.fromkeys(years)) if first.strip(" |#u") and years else []


def date_query(term: str) -> list[str]:
    """The values to look up for a date, the plain one first.

    A year or month also finds every longer date that begins with it, a span
    (`1998-2003`) every year in it; empty for what is no date.
    """
    folded = fold(term[:_TERM_CHARS_MAX]).strip()
    if MASK_ANY in folded or MASK_ONE in folded:
        return _masked(folded)
    if match := _DATE.match(folded):
        year, month, day = match.groups()
        return _with_longer(year + month.zfill(2) + (day.zfill(2) if day else ""))
    if match := _SPAN.match(folded):
        first, last = int(match[1]), int(match[2])
        years = range(first, min(last, first + YEARS_MAX - 1) + 1) or [first]
        return [key for year in years for key in _with_longer(f"{year:04}")]
    if match := _RUN_TOGETHER.match(folded):
        return _with_longer(match[1] + match[2] + (match[3] or ""))
    return [key for year in years_in(folded) or _bare_years(folded) for key in _with_longer(year)]


def _with_longer(value: str) -> list[str]:
    return [value] if len(value) == 8 else [value, value + MASK_ANY]


def _bare_years(folded: str) -> list[str]:
    """A year that `years_in` would not trust in running text: 868, 2150."""
    return [folded.zfill(4)] if folded.isdecimal() and len(folded) in (3, 4) else []


def _masked(folded: str) -> list[str]:
    kept = "".join(char for char in folded if char.isdecimal() or char in (MASK_ANY, MASK_ONE))
    if len(kept) > 4 and kept[:4].isdecimal() and not kept[4:].strip(MASK_ANY + MASK_ONE):
        return _with_longer(kept[:4])
    return [kept] if kept.strip(MASK_ANY + MASK_ONE) else []
