"""Cyrillic in Latin letters, for readers whose keyboard has no other."""

from __future__ import annotations

import re

from store.folding import fold

_CYRILLIC = re.compile("[\u0400-\u04ff]")

# ALA-LC without its ligatures and marks; soft and hard signs are left out.
_LATIN = str.maketrans(
    {
        "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ж": "zh", "з": "z", "и": "i",
        "й": "i", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s",
        "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch",
        "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "iu", "я": "ia", "і": "i", "ї": "i", "є": "ie",
        "ґ": "g", "ў": "u", "ђ": "d", "ј": "j", "љ": "lj", "њ": "nj", "ћ": "c", "џ": "dz",
        "ѣ": "ie", "ѳ": "f", "ѵ": "i", "ө": "o", "ү": "u", "һ": "h", "ң": "ng", "қ": "q",
    }
)  # fmt: skip
# How passports and English texts write the same: Tolstoy, Yuri, Dostoevsky.
_ENGLISH = [
    (re.compile("(?<=[оаеуэ])й"), "y"), (re.compile("[ыи]й(?![а-я])"), "y"),
    (re.compile("ю"), "yu"), (re.compile("я"), "ya"), (re.compile("ц"), "ts"),
]  # fmt: skip


def romanised(text: str) -> list[str]:
    """`text` with its Cyrillic in Latin letters, in the library's way and in English's.

    Folded; empty when there is no Cyrillic.
    """
    if _CYRILLIC.search(text) is None:
        return []
    folded = fold(text)
    english = folded
    for pattern, latin in _ENGLISH:
        english = pattern.sub(latin, english)
    return list(dict.fromkeys((folded.translate(_LATIN), english.translate(_LATIN))))
