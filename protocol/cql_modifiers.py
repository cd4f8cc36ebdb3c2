"""Relation modifiers of CQL: what they make of a clause.

Those of set `bib` narrow an index to an access point beneath it
(`dc.identifier =/bib.identifierAuthority=isbn`); one that does not suit its
index or value is refused like one that nobody knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from protocol.access_point import AccessPoint
from protocol.access_points import BY_NAME
from protocol.cql_ast import CqlRelation, Modifier
from protocol.diagnostic import SruDiagnostic, SruFault
from protocol.query import MASK_ANY, MASK_ONE

_FORMATS = frozenset({"word", "string", "isodate", "number", "uri", "oid"})
# What the analysis of terms does anyway.
_ALWAYS_SO = frozenset({"ignorecase", "ignoreaccents", "masked"})
_NAMES_OF_AUTHORS = {
    "author": "author",
    "name": "author",
    "name_personal": "author_personal",
    "name_corporate": "author_corporate",
    "name_conference": "author_conference",
}
_NUMBERS = {
    "isbn": "isbn",
    "issn": "issn",
    "lccn": "lccn",
    "local": "control_number",
    "doi": "standard_number",
    "hdl": "standard_number",
    "isrc": "standard_number",
    "ismn": "standard_number",
    "sici": "standard_number",
    "upc": "standard_number",
    "stock number": "stock_number",
    "music publisher": "publisher_number",
    "music plate": "publisher_number",
    "issue number": "publisher_number",
    "matrix number": "publisher_number",
    "oclc": "oclc_number",
    "coden": "coden",
}
# By modifier: the access point that it stands on and its value, to the narrower one.
_NARROWER: dict[str, dict[tuple[str, str], str]] = {
    "bib.identifierauthority": {
        ("identifier", authority): name for authority, name in _NUMBERS.items()
    },
    "bib.classauthority": {
        ("classification", scheme): f"classification_{name}"
        for scheme, name in (("clc", "clc"), ("cas", "cas"), ("ddc", "dewey"), ("lcc", "lcc"),
                             ("udc", "udc"), ("nlm", "nlm"), ("nal", "nal"))
    },
    "bib.subjectauthority": {
        ("subject", "lcsh"): "subject_lcsh",
        ("subject", "lcshac"): "subject_children",
        ("subject", "mesh"): "subject_mesh",
        ("subject", "ram"): "subject_rameau",
        ("subject", "rvm"): "subject_rameau",
        ("subject", "local"): "subject_local",
        ("subject_geographic", "marcgac"): "geographic_area",
    },
    "bib.role": {
        **{(name, role): author for name, author in _NAMES_OF_AUTHORS.items()
           for role in ("aut", "author", "cre", "creator")},
        **{(name, role): "editor" for name in _NAMES_OF_AUTHORS for role in ("edt", "editor")},
    },
    "bib.portion": {("place", "city"): "place"},
}  # fmt: skip


# What a term must be, word by word, under a format; masks may stand anywhere.
_DIGIT = f"[0-9{MASK_ANY}{MASK_ONE}]"
_FORMS = {
    "isodate": re.compile(rf"{_DIGIT}{{1,4}}(-?{_DIGIT}{{1,2}}){{0,2}}(T\S*)?"),
    "number": re.compile(rf"[-+]?{_DIGIT}+([.]{_DIGIT}+)?"),
    "oid": re.compile(rf"{_DIGIT}+([.]{_DIGIT}+)*"),
}


@dataclass(slots=True)
class Modified:
    """What a relation's modifiers say; `point` is the access point then meant."""

    point: AccessPoint | None
    ranked: bool = False
    masked: bool = True
    format: str = ""


def read_modifiers(
    found: Modified,
    relation: CqlRelation,
    name_of: Callable[[Modifier], str],
    *,
    has_substring: bool = False,
) -> SruFault | None:
    """Enter in `found`, which has the clause's own point, what the modifiers say.

    `name_of` gives a modifier's name in lower case, with its context set but
    for `cql`. `has_substring` says that `marc.substring` has been read already.
    """
    point = found.point
    seen: set[str] = set()
    for modifier in relation.modifiers:
        name = name_of(modifier)
        if not _apply(found, name, modifier, point, has_substring=has_substring):
            return SruFault(
                SruDiagnostic.UNSUPPORTED_RELATION_MODIFIER, modifier.name, modifier.position
            )
        seen.add(name)
    if (
        {"masked", "unmasked"} <= seen
        or len(seen & _FORMATS) > 1
        or ("bib.roleauthority" in seen and "bib.role" not in seen)
    ):
        return SruFault(
            SruDiagnostic.UNSUPPORTED_RELATION_MODIFIER_COMBINATION,
            " ".join(sorted(seen)),
            relation.position,
        )
    return None


def has_format(text: str, name: str) -> bool:
    """Whether every word of a term is what the modifier `name` says; others say nothing."""
    form = _FORMS.get(name)
    return form is None or all(form.fullmatch(word) for word in text.split())


def _apply(
    found: Modified,
    name: str,
    modifier: Modifier,
    point: AccessPoint | None,
    *,
    has_substring: bool,
) -> bool:
    """Note what one modifier says; False where it is not understood."""
    if modifier.comparison:
        if modifier.comparison not in ("=", "=="):
            return False
        if name == "marc.substring":
            return has_substring
        if name == "bib.roleauthority":
            return modifier.value.lower() == "marcrelator"
        if point is None or found.point is not point:
            return False
        narrower = _NARROWER.get(name, {}).get((point.name, modifier.value.lower()))
        if narrower is None:
            return False
        found.point = BY_NAME[narrower]
    elif name == "relevant":
        found.ranked = True
    elif name == "unmasked":
        found.masked = False
    elif name in _FORMATS:
        found.format = name
    elif name not in _ALWAYS_SO:
        return False
    return True
