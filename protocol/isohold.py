"""Who holds a record, as holdings of ISO 20775.

The namespace is the one that Alma, WorldCat and their clients use; a draft of
the standard had `info:ofi/fmt:xml:xsd:iso20775`, which names the schema still.

Source: ISO 20775:2009 §5.3 and its XML schema.
"""

from __future__ import annotations

from collections.abc import Iterable

from protocol.opac_record import HOLDINGS_MAX, ITEMS_MAX
from protocol.record import Holding, StoredRecord
from protocol.xml_text import escape

NAMESPACE = "http://www.loc.gov/standards/iso20775/"


def to_isohold(record: StoredRecord, holdings: Iterable[Holding]) -> bytes | None:
    """One `holdings` element in UTF-8, without XML declaration; None if nobody holds it.

    Each holding library with a copy becomes one `holding`. The schema knows no
    empty `holdings`.
    """
    held = [
        _holding(record, holding) for holding in list(holdings)[:HOLDINGS_MAX] if holding.copies > 0
    ]
    if not held:
        return None
    return f'<holdings xmlns="{NAMESPACE}">{"".join(held)}</holdings>'.encode()


def _holding(record: StoredRecord, holding: Holding) -> str:
    institution = escape(holding.institution)
    return (
        "<holding><institutionIdentifier>"
        f"{_identifier(holding.institution, 'institution code')}</institutionIdentifier>"
        f"<physicalLocation>{institution}</physicalLocation>"
        f"<holdingSimple><copiesSummary><copiesCount>{holding.copies}</copiesCount>"
        f"</copiesSummary>{_copies(record, holding)}</holdingSimple></holding>"
    )


def _copies(record: StoredRecord, holding: Holding) -> str:
    """What is known of the copies: their barcodes, place and call number.

    The schema wants a piece to be identified, so without barcodes the call
    number does that.
    """
    if holding.barcodes:
        pieces = [(barcode, "barcode") for barcode in holding.barcodes[:ITEMS_MAX]]
    elif holding.call_number:
        pieces = [(holding.call_number, "call number")]
    else:
        pieces = [(record.control_number, "control number")]
    parts = ["<copyInformation>"]
    for value, source in pieces:
        parts.append(f"<pieceIdentifier>{_identifier(value, source)}</pieceIdentifier>")
    resource = _identifier(record.control_number, f"control number in {record.database.name}")
    parts.append(f"<resourceIdentifier>{resource}</resourceIdentifier>")
    if holding.location:
        parts.append(f"<sublocation>{escape(holding.location)}</sublocation>")
    if holding.call_number:
        parts.append(f"<shelfLocator>{escape(holding.call_number)}</shelfLocator>")
    if holding.note:
        parts.append(f"<note>{escape(holding.note)}</note>")
    if holding.extent:
        text = f"<text>{escape(holding.extent)}</text>"
        parts.append(f"<enumerationAndChronology>{text}</enumerationAndChronology>")
    parts.append("</copyInformation>")
    return "".join(parts)


def _identifier(value: str, source: str) -> str:
    return (
        f"<value>{escape(value)}</value><typeOrSource><text>{escape(source)}</text></typeOrSource>"
    )
