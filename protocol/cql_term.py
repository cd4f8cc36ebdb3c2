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
    """A whole term as the parser left it; `position` is where its text begins in the query.

    Without `masked` the wildcards and anchors stand for themselves.
    """
    text = clean(raw)
    if not _SPECIAL.search(text):
        return Term(" ".join(text.split()))
    return _read(text, position, masked=masked)


def read_name(raw: str, position: int) -> str | SruFault:
    """A term that is a name and no text: every blank counts, and no mask does."""
    if not raw:
        return SruFault(SruDiagnostic.EMPTY_TERM, raw, position)
    out: list[str] = []
    at = 0
    while at < len(raw):
        character = raw[at]
        if character == "\\":
            at += 1
            character = raw[at : at + 1]
            if character not in _ESCAPABLE:
                return SruFault(
                    SruDiagnostic.NON_SPECIAL_CHARACTER_ESCAPED,
                    f"\\{character}",
                    position + at - 1,
                )
        out.append(character)
        at += 1
    return "".join(out)


def read_words(raw: str, position: int, *, masked: bool) -> list[Term] | SruFault:
    """The words of a term, each with its own anchors; at least one."""
    words: list[Term] = []
    for word in _WORDS.finditer(clean(raw)):
        term = read_term(word[0], position + word.start(), masked=masked)
        if isinstance(term, SruFault):
            return term
        if term.text:
            words.append(term)
    return words or SruFault(SruDiagnostic.EMPTY_TERM, raw, position)


def _read(text: str, position: int, *, masked: bool) -> Term | SruFault:
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    out: list[str] = []
    first = last = False
    masks = 0
    at = start
    while at < end:
        character = text[at]
        if character == "\\":
            escaped = text[at + 1 : at + 2]
            if escaped not in _ESCAPABLE:
                return SruFault(
                    SruDiagnostic.NON_SPECIAL_CHARACTER_ESCAPED, f"\\{escaped}", position + at
                )
            out.append(escaped)
            at += 1
        elif not masked or character not in "*?^":
            out.append(character)
        elif character == "^":
            if at not in (start, end - 1):
                details = text[start:end]
                return SruFault(SruDiagnostic.ANCHORING_CHARACTER_POSITION, details, position + at)
            first, last = first or at == start, last or at > start
        else:
            masks += 1
            if masks > MASKS_MAX:
                details = f"at most {MASKS_MAX}"
                return SruFault(SruDiagnostic.TOO_MANY_MASKING_CHARACTERS, details, position + at)
            mask = MASK_ANY if character == "*" else MASK_ONE
            if not (mask == MASK_ANY and out and out[-1] == MASK_ANY):
                out.append(mask)
        at += 1
    anchor = Anchor.ANYWHERE
    if first or last:
        anchor = Anchor.COMPLETE if first and last else Anchor.FIRST if first else Anchor.LAST
    return Term(" ".join("".join(out).split()), anchor)
