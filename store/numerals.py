"""Chinese numerals and Arabic ones, so that 第三卷 and 第3卷, 二〇〇八年 and 2008年 meet."""

from __future__ import annotations

from itertools import pairwise

ORDINAL = "第"
YEAR = "年"
NUMERAL_CHARS_MAX = 5  # 九十九, 一百二十三; a longer one is no ordinal
_ORDINAL_DIGITS_MAX = 3

_DIGITS = "〇一二三四五六七八九"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)} | {"零": 0, "元": 1, "两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
NUMERALS = frozenset((*_VALUES, *_UNITS)) - {"元", "两"}

Token = tuple[str, int]  # (token, position)


def number_of(numeral: str) -> int:
    """The value of a Chinese or Arabic numeral; 一九三四 is read digit by digit."""
    if numeral.isdecimal():
        return int(numeral)
    if _UNITS.keys().isdisjoint(numeral):
        return int("".join(str(_VALUES.get(char, char)) for char in numeral))
    total = digit = 0
    for char in numeral:
        if char in _UNITS:
            total += (digit or 1) * _UNITS[char]
            digit = 0
        else:
            digit = int(_VALUES.get(char, char))
    return total + digit


def numeral_of(number: int) -> str:
    """The Chinese numeral of 1 to 999 as ordinals are written: 十二, 二十, 一百〇五."""
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    text = f"{_DIGITS[hundreds]}百" if hundreds else ""
    if tens:
        text += "十" if tens == 1 and not hundreds else f"{_DIGITS[tens]}十"
    elif hundreds and ones:
        text += "〇"
    return text + (_DIGITS[ones] if ones else "")


def other_forms(tokens: list[Token]) -> list[Token]:
    """More tokens for a text whose ordinals (第…) or years (…年) are written one way.

    They lie where a phrase written the other way looks for them; what follows
    the number is repeated at the place that it would have.
    """
    at = {position: token for token, position in tokens if len(token) == 1 or token.isdecimal()}
    found: list[Token] = []
    for position, token in at.items():
        if token == ORDINAL:
            found += _other_ordinal(at, position)
        elif token == YEAR:
            found += _other_year(at, position)
    return found


def _other_ordinal(at: dict[int, str], position: int) -> list[Token]:
    number = at.get(position + 1, "")
    if number.isdecimal():
        number = number.lstrip("0")
        if not 0 < len(number) <= _ORDINAL_DIGITS_MAX:
            return []
        written = ORDINAL + numeral_of(int(number)) + _char(at, position + 2)
        return _bigrams(written, position)
    end = position + 1
    while end - position <= NUMERAL_CHARS_MAX and at.get(end, "") in NUMERALS:
        end += 1
    numeral = "".join(at[place] for place in range(position + 1, end))
    if not numeral:
        return []
    found = [(str(number_of(numeral)), position + 1)]
    if len(numeral) > 1 and (after := _char(at, end)):
        found.append((after, position + 2))
    return found


def _other_year(at: dict[int, str], position: int) -> list[Token]:
    number = at.get(position - 1, "")
    if len(number) == 4 and number.isdecimal():
        written = "".join(_DIGITS[int(digit)] for digit in number)
        return _bigrams(written + YEAR, position - 1)
    digits = "".join(at.get(place, " ") for place in range(position - 4, position))
    if len(digits) == 4 and all(digit in _DIGITS for digit in digits):
        return [(str(number_of(digits)), position - 4), (YEAR, position - 3)]
    return []


def _char(at: dict[int, str], position: int) -> str:
    token = at.get(position, "")
    return token if not token.isascii() else ""


def _bigrams(written: str, position: int) -> list[Token]:
    return [(first + second, position + at) for at, (first, second) in enumerate(pairwise(written))]
