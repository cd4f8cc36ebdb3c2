"""A catalogue record with what libraries hold of it, as an OPAC record."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.external import External
from protocol.oid import Oid
from protocol.opac import OPAC_RECORD, CircRecord, HoldingsAndCircData, OpacRecord
from protocol.record import Holding

# Libraries told in one record, and items of one library: what a response can carry.
HOLDINGS_MAX = 2_000
ITEMS_MAX = 200


def to_opac(bibliographic: bytes, syntax: Oid, holdings: Iterable[Holding]) -> bytes:
    """One OPAC record element: `bibliographic` is ISO 2709 of record syntax `syntax`.

    Each holding becomes one HoldingsAndCircData: the institution is the NUC code
    and, unless the holding names a place, the local location too.
    """
    return OPAC_RECORD.encode(
        OpacRecord(
            bibliographic_record=External(syntax, bibliographic),
            holdings_data=tuple(_holding(each) for each in list(holdings)[:HOLDINGS_MAX]),
        )
    )


def _holding(holding: Holding) -> HoldingsAndCircData:
    return HoldingsAndCircData(
        nuc_code=holding.institution,
        local_location=holding.location or holding.institution,
        call_number=holding.call_number or None,
        copy_number=str(holding.copies),
        public_note=holding.note or None,
        enum_and_chron=holding.extent or None,
        circulation_data=_items(holding),
    )


def _items(holding: Holding) -> tuple[CircRecord, ...]:
    """One item a barcode; without barcodes one for all copies.

    Loans are known to the holding library alone, so "available" says that it
    has a copy to ask for.
    """
    return tuple(
        CircRecord(
            available_now=holding.copies > 0, item_id=barcode, renewable=False, on_hold=False
        )
        for barcode in holding.barcodes[:ITEMS_MAX] or (None,)
    )
