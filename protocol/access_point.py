"""What an access point is. The table itself is `protocol.access_points`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from protocol.record import MarcFamily


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
    `unimarc` say which fields feed it, blank-separated, each one of

    - `001`: a control field; `245abnp`: subfields, as one text in record order;
    - `008/35-37`, `100a/9-12`, `LDR/06`: character positions, counted from 0,
      both ends included;

    with, after the tag, `[.4]`: only with these indicators (`.` is any), and at
    the end `?2=mesh|fast`: only where a subfield 2 begins with one of these.
    MARC 21 880 feeds what the field named in its $6 feeds. UNIMARC 4XX with
    embedded fields ($1) feeds by the subfields of the embedded 200 or 500, $t
    standing for $a.
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

    def may_come_from(self, family: MarcFamily) -> bool:
        """Whether records of `family` can bring it; what no field feeds is made for all."""
        fed = self.marc21 if family is MarcFamily.MARC21 else self.unimarc
        return bool(fed) or not (self.marc21 or self.unimarc)
