"""What every query language does to a term: masks in, truncation, whole-field matching.

The functions work on terms as `protocol.query.Clause` holds them, where
MASK_ANY and MASK_ONE stand for the client's own wildcards.
"""

from __future__ import annotations

import re

from protocol.access_point import Kind
from protocol.query import MASK_ANY, MASK_ONE, Anchor

# Kinds whose values are one normalised key each, with no words inside.
KEY_KINDS = frozenset(Kind) - {Kind.TEXT}
# Kinds whose keys stand in an order that a client may compare with.
ORDERED_KINDS = frozenset({Kind.DATE, Kind.CLASSIFICATION})
# Words of a term that become one key each (`any` of several numbers).
LIST_WORDS_MAX = 256

_OURS = re.compile(f"[{MASK_ANY}{MASK_ONE}\0]")


def clean(text: str) -> str:
    """Client text without the characters that mean something only to us."""
    return _OURS.sub("", text) if _OURS.search(text) else text


def truncate(term: str, *, left: bool, right: bool) -> str:
    """The term open at its ends, as one string of characters."""
    if left and not term.startswith(MASK_ANY):
        term = MASK_ANY + term
    if right and not term.endswith(MASK_ANY):
        term += MASK_ANY
    return term


def truncate_words(term: str, *, left: bool, right: bool) -> str:
    """Every word of the term open at its ends: a word list is a list of terms."""
    return " ".join(truncate(word, left=left, right=right) for word in term.split())


def whole_field(term: str, anchor: Anchor) -> tuple[str, Anchor]:
    """`term` and its anchor with open ends taken out of a whole-field match.

    A field that is wholly `term*` is a field that begins with `term`; said so,
    an index by words answers it.
    """
    if anchor is not Anchor.COMPLETE:
        return term, anchor
    opens = term.startswith(MASK_ANY)
    ends = term.endswith(MASK_ANY)
    if opens and ends:
        return term, Anchor.ANYWHERE
    if opens:
        return term, Anchor.LAST
    if ends:
        return term, Anchor.FIRST
    return term, anchor


def is_only_masks(term: str) -> bool:
    """True for a term that any value satisfies (`*`)."""
    return MASK_ANY in term and not term.replace(MASK_ANY, "").strip()
