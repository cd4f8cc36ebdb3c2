"""Call numbers for the demo members, derived from class, author and year."""

from __future__ import annotations

import re
import unicodedata

from samples.table import Row

# Author numbers in the manner of the Library of Congress Cutter table: a letter
# takes the digit of the last step that does not come after it.
_AFTER_VOWEL = "a2 d3 l4 n5 p6 r7 s8 u9"
_AFTER_S = "a2 c3 e4 h5 m6 t7 u8 w9"
_AFTER_CONSONANT = "a3 e4 i5 o6 r7 u8 y9"
_EXPANSION = "a3 e4 i5 m6 p7 t8 w9"


def call_number(row: Row) -> str:
    """I242.4/C36/1996 for a Chinese class, QA76.6 .C67 2009 for a Western one."""
    number = row.classes[0]
    year = row.years[0]
    latin = _latin(_shelf_name(row))
    if row.where.startswith("we_cat"):
        if not number[0].isdigit():
            joint = " " if re.search(r"\.[A-Z]", number) else " ."
            return f"{number}{joint}{cutter(latin)} {year}"
        return f"{number} {cutter(latin)} {year}"
    return f"{number}/{cutter(latin)}/{year}" if latin else f"{number}/{year}"


def cutter(name: str) -> str:
    """The author number of a name in lower-case Latin letters: cormen → C67."""
    first, second, third = name[0], name[1:2], name[2:3]
    steps = _AFTER_S if first == "s" else _AFTER_VOWEL if first in "aeiou" else _AFTER_CONSONANT
    return first.upper() + _digit(steps, second) + _digit(_EXPANSION, third)


def _digit(steps: str, letter: str) -> str:
    return max((step[1] for step in steps.split() if letter and step[0] <= letter), default="")


def _shelf_name(row: Row) -> str:
    if row.people:
        agent = row.people[0].agents[0]
        return agent.shelf or agent.reading or agent.name
    return row.reading or row.title[0][1]


def _latin(text: str) -> str:
    """Only a-z: accents folded away, every other script dropped."""
    folded = unicodedata.normalize("NFKD", text).lower()
    return re.sub("[^a-z]", "", folded)
