"""The term of a CQL clause: escapes, masks and anchors (CQL context set, masking rules)."""

from __future__ import annotations

import re

from protocol.diagnostic import SruDiagnostic, SruFault
from protocol.frozen import frozen
from protocol.query import MASK_ANY, MASK_ONE, Anchor
from protocol.search_term import clean

MASKS_MAX = 32  # in one term
_SPECIAL = re.compile(r"[\\*?^]")
_ESCAPABLE = frozenset('\\*?^"')
_WORDS = re.compile(r"(?:[^\s\\]|\\.)+", re.DOTALL)


@frozen
class Term:
    """`text` holds MASK_ANY and MASK_ONE for `*` and `?`, and nothing escaped."""

    text: str
    anchor: Anchor = Anchor.ANYWHERE


def read_term(raw: str, position: int, *, masked: bool) -> Term | SruFault:
    """A whole term as the parser left it; `position` is where it begins in the query.

    Without `masked` the wildcards and anchors stand for themselves.
    """
    text = " ".join(clean(raw).split())
    if not _SPECIAL.search(text):
        return Term(text)
    return _read(text, position, masked=masked)


def read_words(raw: str, position: int, *, masked: bool) -> list[Term] | SruFault:
    """The words of a term, each with its own anchors; at least one."""
    words: list[Term] = []
    for word in _WORDS.findall(clean(raw)):
        term = read_term(word, position, masked=masked)
        if isinstance(term, SruFault):
            return term
        if term.text:
            words.append(term)
    return words or SruFault(SruDiagnostic.EMPTY_TERM, raw, position)


def _read(text: str, position: int, *, masked: bool) -> Term | SruFault:
    out: list[str] = []
    first = last = False
    masks = 0
    at = 0
    while at < len(text):
        character = text[at]
        if character == "\\":
            at += 1
            escaped = text[at : at + 1]
            if escaped not in _ESCAPABLE:
                return SruFault(
                    SruDiagnostic.NON_SPECIAL_CHARACTER_ESCAPED, f"\\{escaped}", position
                )
            out.append(escaped)
        elif not masked or character not in "*?^":
            out.append(character)
        elif character == "^":
            if at not in (0, len(text) - 1):
                return SruFault(SruDiagnostic.ANCHORING_CHARACTER_POSITION, text, position)
            first, last = first or at == 0, last or at > 0
        else:
            masks += 1
            mask = MASK_ANY if character == "*" else MASK_ONE
            if not (mask == MASK_ANY and out and out[-1] == MASK_ANY):
                out.append(mask)
        at += 1
    if masks > MASKS_MAX:
        details = f"at most {MASKS_MAX}"
        return SruFault(SruDiagnostic.TOO_MANY_MASKING_CHARACTERS, details, position)
    anchor = Anchor.ANYWHERE
    if first or last:
        anchor = Anchor.COMPLETE if first and last else Anchor.FIRST if first else Anchor.LAST
    return Term("".join(out).strip(), anchor)
