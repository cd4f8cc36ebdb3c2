"""Cyrillic in Latin letters, for readers whose keyboard has no other.

There is no one way to write it, so a text has as many forms as there are ways
in use: the Library of Congress's (ALA-LC), those of English books and passports
(BGN/PCGN with and without `ye`), the scholars' with háčeks that the libraries of the Continent use,
and ISO 9 of 1995. All are folded, so their marks do not matter: Чехов is Chekhov
in the first two, Čechov in the third and Čehov in the last. Soft and hard signs
are left out, as folding drops what stands for them.
"""

from __future__ import annotations

import re

from store.folding import fold

_CYRILLIC = re.compile("[\u0400-\u04ff]")

# ALA-LC without its ligatures and marks.
_LETTERS = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ж": "zh", "з": "z", "и": "i",
    "й": "i", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s",
    "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch",
    "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "iu", "я": "ia", "і": "i", "ї": "i", "є": "ie",
    "ґ": "g", "ў": "u", "ђ": "d", "ј": "j", "љ": "lj", "њ": "nj", "ћ": "c", "џ": "dz",
    "ѣ": "ie", "ѳ": "f", "ѵ": "i", "ө": "o", "ү": "u", "һ": "h", "ң": "ng", "қ": "q",
}  # fmt: skip
_LIBRARY = str.maketrans(_LETTERS)
_SCHOLARLY = str.maketrans(
    _LETTERS
    | {"ж": "z", "й": "j", "х": "ch", "ц": "c", "ч": "c", "ш": "s", "щ": "sc", "ю": "ju",
       "я": "ja", "є": "je", "џ": "dz"}
)  # fmt: skip
_ISO_9 = str.maketrans(
    _LETTERS
    | {"ж": "z", "й": "j", "х": "h", "ц": "c", "ч": "c", "ш": "s", "щ": "s", "ю": "u",
       "я": "a", "є": "e", "џ": "d"}
)  # fmt: skip
# How passports and English texts write the same: Tolstoy, Yuri, Dostoevsky.
_ENGLISH = [
    (re.compile("(?<=[оаеуэ])й"), "y"), (re.compile("[ыи]й(?![а-я])"), "y"),
    (re.compile("ю"), "yu"), (re.compile("я"), "ya"), (re.compile("ц"), "ts"),
]  # fmt: skip
# Dostoyevsky, Yevgeny: as the sound is where a word or a syllable begins with it.
_INITIAL_E = re.compile("(?:(?<=[аеиоуыэюяьъ])|(?<![а-я]))е")


def romanised(text: str) -> list[str]:
    """`text` with its Cyrillic in Latin letters, in each way once.

    Folded; empty when there is no Cyrillic.
    """
    if _CYRILLIC.search(text) is None:
        return []
    folded = fold(text)
    forms = [
        folded.translate(_LIBRARY),
        _english(folded).translate(_LIBRARY),
        _english(_INITIAL_E.sub("ye", folded)).translate(_LIBRARY),
        folded.translate(_SCHOLARLY),
        folded.translate(_ISO_9),
    ]
    return list(dict.fromkeys(forms))


def _english(folded: str) -> str:
    for pattern, latin in _ENGLISH:
        folded = pattern.sub(latin, folded)
    return folded
