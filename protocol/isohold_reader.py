"""What a library says of its holdings as ISO 20775, in the form that `isohold` writes.

Source: ISO 20775:2009 §5.3 and its XML schema; holdingStructured is not read.
"""

from __future__ import annotations

from lxml import etree

from protocol.holding_statement import HoldingStatement, RecordName
from protocol.holdings_fields import SaidInMarc

# What `isohold` writes as a piece when there is no barcode.
_NO_BARCODES = frozenset({"call number", "control number"})
_COPIES_DIGITS_MAX = 6


def read_isohold(octets: bytes, institution: str) -> SaidInMarc | str:
    """What `institution` says in a `holdings` or `holding` element, or why it cannot be read.

    A holding that names no institution is the sender's own. The record is named by
    the resource identifier, if there is one. Several holdings are added up; without
    any of its own there is no statement.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(octets, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        return f"not well-formed XML: {error}"
    kind = etree.QName(root).localname
    if kind not in ("holdings", "holding"):
        return f"a {kind[:40]} in place of holdings"
    number, others, own = "", 0, 0
    statement: HoldingStatement | None = None
    for holding in [root] if kind == "holding" else root.iterchildren("{*}holding"):
        named = _text(holding.find("{*}institutionIdentifier/{*}value"))
        if named and named.casefold() != institution.casefold():
            others += 1
            continue
        if holding.find("{*}holdingStructured") is not None:
            return "holdingStructured is not read: send holdingSimple"
        own += 1
        number = number or _text(holding.find(".//{*}resourceIdentifier/{*}value"))
        more = _simple(holding)
        if isinstance(more, str):
            return more
        statement = more if statement is None else statement.joined(more)
    if statement is None and not others:
        return "no holding"
    return SaidInMarc(RecordName(number), statement, own, others)


def _simple(holding: etree._Element) -> HoldingStatement | str:
    simple = holding.find("{*}holdingSimple")
    if simple is None:
        return HoldingStatement("", None, "", (), "", "")
    count = _text(simple.find("{*}copiesSummary/{*}copiesCount"))
    if count and not (count.isdecimal() and len(count) <= _COPIES_DIGITS_MAX):
        return f"{count[:20]!r} is no number of copies"
    barcodes = [
        _text(piece.find("{*}value"))
        for piece in simple.iterfind("{*}copyInformation/{*}pieceIdentifier")
        if _text(piece.find("{*}typeOrSource/{*}text")) not in _NO_BARCODES
    ]
    return HoldingStatement(
        _all(simple, "shelfLocator"),
        int(count) if count else None,
        _all(simple, "sublocation"),
        tuple(dict.fromkeys(filter(None, barcodes))),
        _all(simple, "enumerationAndChronology"),
        _all(simple, "note"),
    )


def _all(simple: etree._Element, name: str) -> str:
    texts = map(_text, simple.iterfind(f"{{*}}copyInformation/{{*}}{name}"))
    return "; ".join(dict.fromkeys(filter(None, texts)))


def _text(element: etree._Element | None) -> str:
    return "" if element is None else " ".join("".join(map(str, element.itertext())).split())
