"""Combining marks of the library character sets, which write a mark before its letter.

Unicode has the mark after the letter, so both directions turn them round
here, in one place for MARC-8 and ISO 5426.
"""

from __future__ import annotations

import re
import unicodedata

# The halves of a mark over two letters; Unicode also has the whole mark, put
# between the letters, and that is what other converters make of the halves.
LIGATURE_LEFT, LIGATURE_RIGHT, LIGATURE = "\ufe20", "\ufe21", "\u0361"
TILDE_LEFT, TILDE_RIGHT, TILDE = "\ufe22", "\ufe23", "\u0360"

_MARKS = "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u064b-\u0652\ufb1e\ufe20-\ufe2f"
_MARKED_LETTER = re.compile(f"[^{_MARKS}][{_MARKS}]+")
_MARK = re.compile(f"[{_MARKS}]")
CLUSTER = re.compile(f"[^{_MARKS}][{_MARKS}]*|[{_MARKS}]")  # a letter and its marks


def _halves(left: str, right: str) -> re.Pattern[str]:
    """A left half, the second letter with its marks, and the right half."""
    return re.compile(f"{left}([{_MARKS}]*[^{_MARKS}\x1f][{_MARKS}]*?){right}")


_DOUBLE_MARKS = (
    (_halves(LIGATURE_LEFT, LIGATURE_RIGHT), LIGATURE),
    (_halves(TILDE_LEFT, TILDE_RIGHT), TILDE),
    (_halves(LIGATURE_LEFT, TILDE_RIGHT), TILDE),  # ISO 5426 has one left half for both
)


def compose(text: str) -> str:
    """Join marks to their letters: NFC within each cluster, whole double marks.

    `text` already has its marks after the letters. Characters without marks
    stay untouched, so no ideograph is exchanged for its canonical equivalent.
    """
    if LIGATURE_LEFT in text or TILDE_LEFT in text:
        for halves, whole in _DOUBLE_MARKS:
            text = halves.sub(f"{whole}\\1", text)
    return _MARKED_LETTER.sub(_compose_cluster, text)


def _compose_cluster(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFC", match[0])


def decompose(text: str) -> str:
    """Take double marks apart into halves, each after its own letter."""
    for whole, left, right in (
        (LIGATURE, LIGATURE_LEFT, LIGATURE_RIGHT),
        (TILDE, TILDE_LEFT, TILDE_RIGHT),
    ):
        if whole in text:
            text = re.sub(
                f"{whole}([{_MARKS}]*[^{_MARKS}\x1f])", f"{left}\\1{right}", text
            ).replace(whole, left)
    return text


def is_mark(character: str) -> bool:
    """Whether `character` belongs to the letter before it."""
    return _MARK.match(character) is not None
