"""Queries that the two servers answer differently, with both counts and the reason.

Where a row turns out wrong, the server's analysis has changed: see which count
is the right one before changing it.
"""

from __future__ import annotations

from dataclasses import dataclass

_INITIALS = (
    "initials written together (U.S., N.Y., E.M.) share one position here, so that USA and "
    "U.S.A. meet; to Zebra each letter is a word after the other"
)
_JOINED = (
    "words with an apostrophe or a hyphen are also indexed joined (sun's as suns, "
    "Water-resources as waterresources), and the letters asked for stand across the joint"
)
_ROMANISED = (
    "names in Cyrillic are also indexed in Latin letters: an 880 has Хмельницького, and "
    "khmelnitskogo has the letters asked for, which the cataloguer's khmelnytskoho has not"
)
_VALUES = (
    "any also looks through the identifiers, each one value without blanks: a report number "
    "ends in 'committee on interior and', whose joint has the letters asked for"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """What either server finds, and why that is right for it."""

    ours: int
    zebras: int
    reason: str


_OPENED_INITIALS = (
    "initials are one word here, also when truncated: F. A begins Fa and Faber as well, and "
    "D.C. is DC, which records write too; to Zebra they are single letters"
)

EXPLAINED: dict[str, Difference] = {
    '@attr 1=1018 @attr 3=1 @attr 4=1 "U S"': Difference(0, 218, _INITIALS),
    '@attr 1=1018 @attr 3=1 @attr 4=1 "S Bureau"': Difference(1, 0, _INITIALS),
    '@attr 1=59 @attr 4=1 "N Y"': Difference(0, 17, _INITIALS),
    '@attr 1=59 @attr 4=1 "N J"': Difference(0, 10, _INITIALS),
    '@attr 1=1003 @attr 3=1 @attr 4=1 "E M"': Difference(0, 1, _INITIALS),
    '@attr 1=1018 @attr 6=3 @attr 4=1 @attr 5=1 "F. A"': Difference(5, 2, _OPENED_INITIALS),
    '@attr 1=59 @attr 6=3 @attr 4=1 @attr 5=1 "Washington, D.C."': Difference(
        396, 314, _OPENED_INITIALS
    ),
    '@attr 1=1003 @attr 4=2 @attr 5=3 "nit"': Difference(415, 414, _ROMANISED),
    '@attr 1=1005 @attr 4=2 @attr 5=3 "nit"': Difference(410, 409, _ROMANISED),
    '@attr 1=1016 @attr 4=2 @attr 5=3 "uns"': Difference(18, 17, _JOINED),
    '@attr 1=1016 @attr 4=2 @attr 5=3 "ran"': Difference(255, 254, _VALUES),
    '@attr 1=1016 @attr 4=2 @attr 5=3 "err"': Difference(101, 97, _JOINED),
    '@attr 1=9 @attr 5=1 "84005"': Difference(
        14,
        15,
        "an LCCN with a prefix (sc 84005000) is one value here, which begins with the prefix; to "
        "Zebra it is two words, of which the second begins so",
    ),
}

EXPLAINED_CHINESE: dict[str, Difference] = {
    "@attr 1=7 702000220X": Difference(
        2, 1, "the ISBN of ten digits finds the record that writes it with thirteen as well"
    ),
}

_TOGETHER = (
    "what stands together in a word list (l'histoire, N'a) is looked for side by side here; to "
    "Zebra it is two words of the list"
)

EXPLAINED_UNIMARC: dict[str, Difference] = {
    '@attr 1=4 @attr 4=2 @attr 5=3 "uro"': Difference(144, 143, _JOINED),  # Savigny-sur-Orge
    '@attr 1=1003 @attr 4=2 "Historians"': Difference(3, 2, _JOINED),  # Historian's
    '@attr 1=21 @attr 4=2 @attr 5=3 "lec"': Difference(80, 77, _JOINED),  # l'écologie
    '@attr 1=1016 @attr 4=2 @attr 5=3 "sla"': Difference(71, 69, _JOINED),  # Paris-La Défense
    '@attr 1=1018 @attr 4=2 @attr 5=3 "len"': Difference(12, 7, _JOINED),  # l'enseignement
    '@attr 1=59 @attr 4=2 @attr 5=3 "ont"': Difference(51, 50, _JOINED),  # Henley-on-Thames
    '@attr 1=1016 @attr 4=6 "l\'histoire Revue de"': Difference(6, 15, _TOGETHER),
    '@attr 1=63 @attr 4=6 "paru N\'a pas"': Difference(20, 26, _TOGETHER),
    '@attr 1=59 @attr 4=1 "N Y"': Difference(0, 32, _INITIALS),
    '@attr 1=59 @attr 4=1 "Plains N Y"': Difference(0, 2, _INITIALS),
    '@attr 1=59 @attr 4=1 "T H"': Difference(0, 1, _INITIALS),
    '@attr 1=59 @attr 6=3 @attr 4=1 "Durham, N.C.\N{LEFT-TO-RIGHT MARK}"': Difference(
        7, 6, _INITIALS
    ),
}
