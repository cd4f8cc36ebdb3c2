"""Text folded so that spellings of one word compare equal, and what counts as a word.

`fold` is NFKC, then a table of one entry per character: lower case, Latin and
Greek diacritics dropped (й stays, ё is е), apostrophes and hyphens of one kind,
vowel points of Hebrew and Arabic dropped, katakana to hiragana, digits of every
script to 0-9, Han characters as `store.han` folds them. The table fills itself
as characters are met.

Of kana, small ones are written large and the long mark is dropped, because
cataloguers and readers differ in both: コンピューター is コンピュータ, ノルウェイ
is ノルウエイ. Iteration marks become what they repeat: 学問のすゝめ is すすめ,
佐々木 is 佐佐木.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from protocol.query import MASK_ANY, MASK_ONE
from store.han import fold_han

_PASSES_MAX = 4  # what dropping marks brings together may compose anew


def fold(text: str) -> str:
    """Return `text` folded for comparison; folding again changes nothing."""
    if text.isascii():
        return text.lower()
    for _ in range(_PASSES_MAX):
        text = unicodedata.normalize("NFKC", text).translate(_FOLDED)
        if "々" in text or "ゝ" in text or "ゞ" in text:
            text = _KANA_REPEATED.sub(_repeat_kana, _HAN_REPEATED.sub(_repeat_han, text))
        if text.isascii() or unicodedata.is_normalized("NFKC", text):
            break
    return text


def separate(text: str) -> str:
    """Return `text` folded, with RUN before each run character and separators as blanks.

    What may join words (`JOINING`) and the masks of queries stay themselves.
    """
    if text.isascii():
        return text.encode().translate(_ASCII_SEPARATED).decode()
    if not _ITERATION_MARKS.isdisjoint(text):
        text = fold(text)
    return unicodedata.normalize("NFKC", text).translate(_SEPARATED)


_ITERATION_MARKS = frozenset("々ゝゞヽヾ")
_HAN_REPEATED = re.compile("([\u3400-\u9fff\U00020000-\U0003ffff]+)(々+)")
_KANA_REPEATED = re.compile("([\u3041-\u3096])([ゝゞ]+)")
_VOICED = "\u3099"


def _repeat_han(match: re.Match[str]) -> str:
    """人々 is 人人, 馬鹿々々 is 馬鹿馬鹿."""
    before, marks = match[1], match[2]
    if len(before) >= len(marks):
        return before + before[-len(marks) :]
    return before + before[-1] * len(marks)


def _repeat_kana(match: re.Match[str]) -> str:
    """ゝ repeats a kana without its voicing, ゞ with voicing."""
    before, marks = match[1], match[2]
    plain = unicodedata.normalize("NFD", before)[0]
    voiced = unicodedata.normalize("NFC", plain + _VOICED)
    voiced = voiced if len(voiced) == 1 else plain
    return before + "".join(voiced if mark == "ゞ" else plain for mark in marks)


RUN = "\uf8f4"  # private-use, stands before a character of a script without blanks
JOINING = "'`·.,+#-"

_MASKS = MASK_ANY + MASK_ONE
_BLANKLESS = (
    # Thai, Lao, Burmese, Khmer: their letters, marks and digits, not their signs
    (0x0E01, 0x0EFF, "LMN"), (0x1000, 0x109F, "LMN"), (0x1780, 0x17FF, "LMN"),
    # Han, kana, Bopomofo, Hangul, Yi, with radicals and iteration marks
    (0x1100, 0x11FF, "L"), (0x2E80, 0x2FDF, "S"), (0x3005, 0x3007, "LN"), (0x3021, 0x3029, "N"),
    (0x3031, 0x3035, "L"), (0x303B, 0x303C, "L"), (0x3041, 0x318F, "L"), (0x31A0, 0x31BF, "L"),
    (0x31F0, 0x31FF, "L"), (0x3400, 0x4DBF, "L"), (0x4E00, 0x9FFF, "L"), (0xA000, 0xA48C, "L"),
    (0xA960, 0xA97F, "L"), (0xAC00, 0xD7FF, "L"), (0xF900, 0xFAFF, "L"), (0x1AFF0, 0x1B16F, "L"),
    (0x20000, 0x3FFFF, "L"),
    # private use below the index's own signs: GB18030 maps rare ideographs here
    (0xE000, 0xF8EF, "C"),
)  # fmt: skip

# Marks that are parts of letters (vowel signs, viramas) in the scripts of India,
# Tibet and Southeast Asia. Every other mark is dropped.
_MARKED_SCRIPTS = (
    range(0x0900, 0x10A0), range(0x1700, 0x1800), range(0x1900, 0x1AB0),
    range(0x1B00, 0x1D00), range(0xA800, 0xAC00), range(0x11000, 0x12000),
)  # fmt: skip


def _keeps_marks(code_point: int) -> bool:
    return any(code_point in script for script in _MARKED_SCRIPTS)


def _separate_char(char: str) -> str:
    code_point, category = ord(char), unicodedata.category(char)
    if char in JOINING or char in _MASKS:
        return char
    if any(
        first <= code_point <= last and category[0] in categories
        for first, last, categories in _BLANKLESS
    ):
        return RUN + char
    if char.isalnum() or (category[0] == "M" and _keeps_marks(code_point)):
        return char
    return " "


_LETTERS = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th",
    "ı": "i", "ŋ": "n", "ħ": "h", "ŧ": "t", "ə": "e", "ǝ": "e", "ɛ": "e", "ɔ": "o", "ɓ": "b",
    "ɗ": "d", "ƙ": "k", "ƴ": "y", "ɩ": "i", "ʊ": "u", "ɣ": "g", "ƒ": "f", "ĸ": "k", "ſ": "s",
    "ς": "σ", "ё": "е", "ѐ": "е", "ѝ": "и",
    "آ": "ا", "أ": "ا", "إ": "ا", "ٱ": "ا", "ى": "ي", "ی": "ي", "ې": "ي", "ک": "ك", "ة": "ه",
    "‘": "'", "’": "'", "‛": "'", "′": "'", "‐": "-", "−": "-", "‑": "-",
    "・": " ", "•": "·", "‧": "·", "∙": "·", "⋅": "·",
}  # fmt: skip

# Signs of romanisation that readers do not type: soft and hard sign, ayn, alif.
# And the long mark of kana.
_DROPPED = frozenset(map(chr, [*range(0x02B9, 0x0300), 0x0640, 0x30FC, 0xF8F2, 0xF8F3]))
_AINU_KANA = "くしすとぬはひふへほむらりるれろ"
_SMALL_KANA = str.maketrans("ぁぃぅぇぉっゃゅょゎゕゖ", "あいうえおつやゆよわかけ")

_DIACRITIC_BLOCKS = (
    range(0x00C0, 0x0250), range(0x0370, 0x0400), range(0x1E00, 0x2000),
)  # fmt: skip


def _fold_char(char: str) -> str:
    """Return what one character of NFKC text becomes: itself, others, or nothing."""
    lower = char.lower()
    if lower != char:
        return "".join(map(_fold_char, lower))
    if char in _LETTERS:
        return _LETTERS[char]
    code_point = ord(char)
    category = unicodedata.category(char)
    if (
        char in _DROPPED
        or category == "Cf"
        or (category == "Cc" and code_point >= 0x80)
        or (category[0] == "M" and not _keeps_marks(code_point))
    ):
        return ""
    if category == "Nd":
        return str(unicodedata.digit(char))
    if 0x30A1 <= code_point <= 0x30F6 or code_point in (0x30FD, 0x30FE):
        return chr(code_point - 0x60).translate(_SMALL_KANA)
    if 0x3041 <= code_point <= 0x3096:
        return char.translate(_SMALL_KANA)
    if 0x31F0 <= code_point <= 0x31FF:  # the small katakana of Ainu
        return _AINU_KANA[code_point - 0x31F0]
    if code_point >= 0x2E80 and category in ("Lo", "So", "Nl"):
        return fold_han(char)
    if any(code_point in block for block in _DIACRITIC_BLOCKS):
        base = unicodedata.normalize("NFD", char)[0]
        return _LETTERS.get(base, base)
    return "〇" if char in "○◯" else char


class _CharTable(dict[int, str]):
    """A table for `str.translate` that asks `rule` once for each character met."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        self._rule = rule

    def __missing__(self, code_point: int) -> str:
        value = self[code_point] = self._rule(chr(code_point))
        return value


_FOLDED = _CharTable(_fold_char)
_SEPARATED = _CharTable(lambda char: "".join(map(_separate_char, fold(char))))
_ASCII_SEPARATED = "".join(_SEPARATED[code_point] for code_point in range(128)).encode().ljust(256)
