"""What an access point is. The table itself is `protocol.access_points`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """How values of an access point are analysed and compared."""

    TEXT = "text"  # words with positions, phrases, whole-field keys
    ISBN = "isbn"  # normalised to ISBN-13; invalid ones as written
    ISSN = "issn"
    IDENTIFIER = "identifier"  # case-folded, punctuation and blanks removed
    DATE = "date"  # years or dates that compare in order
    CODE = "code"  # language, country, type: case-folded, whole
    CLASSIFICATION = "classification"  # shelf order, right truncation usual


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """One row of the table that maps queries to what records bring.

    `bib1` are Bib-1 use attribute values, `cql` qualified index names
    (`dc.title`); the first of each is the canonical one. `marc21` and
    `unimarc` say which fields feed it: blank-separated `TAGsubfields`
    (`245abnp`), a control field (`001`), or character positions
    (`008/35-37`, `100a/9-12`, counted from 0, both ends included).
    """

    name: str
    title: str
    title_zh: str
    kind: Kind
    bib1: tuple[int, ...] = ()
    cql: tuple[str, ...] = ()
    marc21: str = ""
    unimarc: str = ""
    in_any: bool = True  # its words also feed `any`
    scannable: bool = True
    sortable: bool = False
