"""Who holds a record, as fields in the record itself: 852 in MARC 21, 905 in CNMARC.

Sources: MARC 21 Format for Holdings Data, 852; CNMARC 905 as CALIS members use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from protocol.iso2709 import Field, build, parse
from protocol.record import Holding, MarcFamily

HOLDINGS_TAG = {MarcFamily.MARC21: "852", MarcFamily.UNIMARC: "905"}
# library, location, call number, barcode, copies
_CODES = {MarcFamily.MARC21: tuple("achpt"), MarcFamily.UNIMARC: tuple("acsbf")}


def with_holdings(marc: bytes, family: MarcFamily, holdings: Sequence[Holding]) -> bytes:
    """A stored record with a field for each holding behind its others, in the stored form.

    A field that the record itself has for one of these libraries gives way: the
    catalogue knows better. Fields of other libraries stay.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    if not holdings:
        return marc
    record = parse(marc)
    tag = HOLDINGS_TAG[family]
    codes = {holding.institution for holding in holdings}
    fields = [field for field in record.fields if field.tag != tag or field.first("a") not in codes]
    fields += [_field(tag, family, holding) for holding in holdings]
    return build(record.leader, fields, oversize=True)


def _field(tag: str, family: MarcFamily, holding: Holding) -> Field:
    library, location, call_number, barcode, copies = _CODES[family]
    subfields = [
        (library, holding.institution),
        (location, holding.location),
        (call_number, holding.call_number),
        *((barcode, each) for each in holding.barcodes),
        (copies, str(holding.copies)),
    ]
    return Field.of(tag, "  ", _filled(subfields))


def _filled(subfields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    # Nobody can enter the delimiters of ISO 2709 as a part of a call number.
    clean = str.maketrans("", "", "\x1d\x1e\x1f")
    return [(code, text) for code, value in subfields if (text := value.translate(clean))]
