"""Field 856, which MARC 21 and UNIMARC have alike, as MODS."""

from __future__ import annotations

import re

from protocol.description import clean, plain
from protocol.iso2709 import Field
from protocol.mods_xml import Mods, any_uri, attributes, element, identifier

_DOI = re.compile(r"https?://(?:dx\.)?doi\.org/(10\.[!-~]+)")
_HANDLE = re.compile(r"https?://hdl\.handle\.net/([!-~]+)")


def add_url(mods: Mods, field: Field) -> str:
    """Add each $u as a place to get it, and what it says as XML for the physical description.

    Only the resource itself or a version of it (second indicator blank, 0 or 1)
    gives identifiers; related material does not.
    """
    itself = field.text[1:2] in ("", " ", "0", "1")
    label = plain(" ".join(field.values("3")) or " ".join(field.values("y")))
    note = plain(" ".join(field.values("z")))
    for value in field.values("u"):
        url = any_uri(value)
        usage = "primary display" if field.text[1:2] == "0" else ""
        values = attributes(displayLabel=label, note=note, usage=usage)
        mods.wrap("location", element("url", url, values))
        if itself:
            for pattern, kind in ((_DOI, "doi"), (_HANDLE, "hdl")):
                if found := pattern.fullmatch(url):
                    mods.add("identifier", identifier(kind, found[1]))
            # What is no URI can only be told as a number is.
            mods.add("identifier", identifier("uri", url or plain(value)))
    return "".join([element("internetMediaType", clean(value)) for value in field.values("q")])
