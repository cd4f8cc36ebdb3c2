"""A query's numbers in the other ways to write them, and its volumes in other words.

Records and readers differ in how they write numbers: 第3卷, 第三卷, 卷三; 三体Ⅱ and
三体2; 一九八四 and 1984; 廿四史 and 二十四史; v. 3, vol. 3 and Volume III. What a query
writes in one way is looked for in the others as well, so that the index holds
each text as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from store.numerals import number_of, numeral_of

_HAN_DIGITS = "〇一二三四五六七八九"
_HAN_NUMBER = "[〇零一二三四五六七八九十百]"
# What is counted: volumes, chapters, editions, years, centuries.
_COUNTED = "(?:[卷册集辑部编篇章回课讲期号版届次年月日岁种]|世纪|周年)"
# 百年 and 千年 are no numbers of years.
_HAN_COUNT = re.compile(
    f"(?<!{_HAN_NUMBER})(?!百)({_HAN_NUMBER}{{1,7}})(?={_COUNTED})|(?<=第)({_HAN_NUMBER}{{1,5}})"
)
_HAN_YEAR = re.compile(f"(?<!{_HAN_NUMBER})([一二][〇零一二三四五六七八九]{{3}})(?!{_HAN_NUMBER})")
_COUNT = re.compile(
    rf"(?<![0-9.])([1-9][0-9]{{0,2}})(?= ?{_COUNTED})|(?<=第)([1-9][0-9]{{0,2}})(?![0-9])"
)
_YEAR = re.compile(r"(?<![0-9.])((?:1[0-9]|20)[0-9]{2})(?![0-9.])")
_TENS = (("廿", "二十"), ("卅", "三十"))

ROMAN_MAX = 39
_ROMAN_TENS = ("", "x", "xx", "xxx")
_ROMAN_ONES = ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")
_ROMAN_OF = {
    number: _ROMAN_TENS[number // 10] + _ROMAN_ONES[number % 10]
    for number in range(1, ROMAN_MAX + 1)
}
_OF_ROMAN = {roman: number for number, roman in _ROMAN_OF.items()}
# Xi is a name; single letters are initials, shapes and unknowns.
_NO_ROMAN = frozenset(("i", "v", "x", "xi"))
_BEFORE, _AFTER = r"(?<![^\W\u2e80-\ufaff])", r"(?![^\W\u2e80-\ufaff])"  # no Western word
_ROMAN = re.compile(rf"{_BEFORE}([ivx]{{2,7}}){_AFTER}")
_FEW = re.compile(rf"{_BEFORE}(?<![第.])([0-9]{{1,2}}){_AFTER}(?!\.[0-9]| ?{_COUNTED})")

_MAY_HAVE_NUMBER = re.compile("[0-9〇零一二三四五六七八九十百廿卅]|[ivx]{2}")


def has_number(folded: str) -> bool:
    """Whether there may be other forms; rather once too often."""
    return _MAY_HAVE_NUMBER.search(folded) is not None


def variants(folded: str, *, alone: bool = True) -> list[str]:
    """A folded text with its numbers written in the other ways, each once, without itself.

    A single number is looked up as it is, unless it is a year: roman numerals
    need company, `alone` False says that there is some elsewhere.
    """
    if not has_number(folded):
        return []
    in_company = not alone or len(folded.split()) > 1 or not folded.isascii()
    arabic = _HAN_YEAR.sub(_digits_of_year, _HAN_COUNT.sub(_count_in_digits, _tens(folded)))
    han = _COUNT.sub(_count_in_han, _YEAR.sub(_year_in_han, folded))
    found = [arabic, han, _tens(folded), _short_tens(folded)]
    if in_company:
        found += [_ROMAN.sub(_roman_in_digits, arabic), _FEW.sub(_few_in_roman, arabic)]
    return [each for each in dict.fromkeys(found) if each != folded]


def _tens(text: str) -> str:
    for short, long in _TENS:
        text = text.replace(short, long)
    return text


def _short_tens(text: str) -> str:
    for short, long in _TENS:
        text = text.replace(long, short)
    return text


def _count_in_digits(match: re.Match[str]) -> str:
    return str(number_of(match[1] or match[2]))


def _digits_of_year(match: re.Match[str]) -> str:
    return str(number_of(match[1]))


def _year_in_han(match: re.Match[str]) -> str:
    return "".join(_HAN_DIGITS[int(digit)] for digit in match[1])


def _count_in_han(match: re.Match[str]) -> str:
    return numeral_of(int(match[1] or match[2]))


def _roman_in_digits(match: re.Match[str]) -> str:
    number = _OF_ROMAN.get(match[1])
    return match[1] if number is None or match[1] in _NO_ROMAN else str(number)


def _few_in_roman(match: re.Match[str]) -> str:
    roman = _ROMAN_OF.get(int(match[1]), "")
    return match[1] if roman in _NO_ROMAN else roman or match[1]


# Designations of volumes ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Division:
    """One kind of part of a work: what it is called, in Chinese and with a number after it."""

    units: str
    words: tuple[str, ...]


_DIVISIONS = (
    _Division(
        "卷册集",
        ("v", "vol", "volume", "bd", "band", "t", "tome", "tom", "tomo", "т", "том", "кн", "книга"),
    ),
    _Division("部编篇", ("pt", "part", "teil", "ч", "часть")),
    _Division("辑期号", ("no", "nr", "number", "вып", "выпуск")),
)
_BY_UNIT = {unit: division for division in _DIVISIONS for unit in division.units}
_BY_WORD = {word: division for division in _DIVISIONS for word in division.words}
_UNITS = "".join(_BY_UNIT)
_OPENING = " ([【『《,.:;"
_CLOSING = " )]】』》.,;"
_END = r"(?=[\s)\]】』》.,;]*$)"  # it ends the query, as it does the title
_LAST = frozenset(f"0123456789ivx〇零一二三四五六七八九十百上中下{_UNITS}")
_IN_WORDS = re.compile(
    rf"(?:^|(?<=[\s(\[,.:;]))({'|'.join(sorted(_BY_WORD, key=len, reverse=True))})"
    rf"(?:\.?\s?([0-9]{{1,3}})|(?:\.\s?|\s)([ivx]{{1,7}})){_END}"
)
_NUMBER = f"(?:{_HAN_NUMBER}{{1,5}}|[0-9]{{1,3}})"
_IN_CHINESE = re.compile(
    rf"第\s?({_NUMBER})\s?([{_UNITS}]){_END}|([{_UNITS}])\s?之?\s?({_NUMBER}){_END}"
)
_PLACED = re.compile(rf"([上中下])([{_UNITS}]){_END}|(?<=[\s(\[])([上中下]){_END}")


@dataclass(frozen=True, slots=True)
class Volume:
    """The part of a work that a query ends with.

    `rest` is the query before it, `written` how it calls the part. Any of
    `phrases` names the part as well, and so does `last`, if there is any, where
    it ends its field.
    """

    rest: str
    written: str
    phrases: tuple[str, ...]
    last: str = ""


def volume(folded: str) -> Volume | None:
    """The volume that a folded list of words ends with; None where there is none."""
    if folded.rstrip(_CLOSING)[-1:] not in _LAST:
        return None
    if match := _PLACED.search(folded):
        rest = folded[: match.start()].rstrip(_OPENING)
        return _placed(rest, match[0], match[1] or match[3])
    if match := _IN_CHINESE.search(folded):
        unit = match[2] or match[3]
        number = number_of(match[1] or match[4])
        division, units = _BY_UNIT[unit], unit
    elif match := _IN_WORDS.search(folded):
        division = _BY_WORD[match[1]]
        units = division.units
        number = int(match[2]) if match[2] else _OF_ROMAN.get(match[3], 0)
    else:
        return None
    rest = folded[: match.start()].rstrip(_OPENING)
    if not 0 < number < 1000 or not rest:
        return None
    return Volume(rest, match[0], tuple(dict.fromkeys(_names(division, units, number))))


def _placed(rest: str, written: str, place: str) -> Volume | None:
    if not rest:
        return None
    phrases = [place + unit for unit in _UNITS] + [f"卷{place}", f"卷之{place}"]
    return Volume(rest, written, tuple(phrases), place)


def _names(division: _Division, units: str, number: int) -> Iterator[str]:
    written = [str(number), numeral_of(number)]
    for unit in units:
        for numeral in written:
            yield f"第{numeral}{unit}"
            yield f"{unit}{numeral}"
            yield f"{unit}之{numeral}"
    for word in division.words:
        yield f"{word} {number}"
        if number in _ROMAN_OF:
            yield f"{word} {_ROMAN_OF[number]}"
