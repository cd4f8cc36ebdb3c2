"""Who holds a record, as fields in the record itself: 852 in MARC 21, 905 in CNMARC.

Sources: MARC 21 Format for Holdings Data, 852; CNMARC 905 as CALIS members use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from protocol.iso2709 import Field, MarcRecord, build, parse
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


def take_holdings(
    record: MarcRecord, family: MarcFamily, institution: str
) -> tuple[MarcRecord, Holding | None, list[Field]]:
    """A record without fields that name a library; what `institution` says in them; the others.

    The holding has record id 0; several fields of one library are added up. A field
    that names no library stays where it is.
    """
    tag = HOLDINGS_TAG[family]
    own: list[Field] = []
    others: list[Field] = []
    rest: list[Field] = []
    for field in record.fields:
        named = field.first(_CODES[family][0]).strip() if field.tag == tag else ""
        if not named:
            rest.append(field)
        elif institution and named.casefold() == institution.casefold():
            own.append(field)
        else:
            others.append(field)
    holding = _read(own, family, institution) if own else None
    return MarcRecord(record.leader, rest), holding, others


def _read(fields: Sequence[Field], family: MarcFamily, institution: str) -> Holding:
    """What one institution's fields say together."""
    _, location, _, barcode, copies = _CODES[family]
    numbers: dict[str, None] = {}
    places: dict[str, None] = {}
    barcodes: dict[str, None] = {}
    count = 0
    for field in fields:
        numbers[_call_number(field, family)] = None
        places[field.first(location).strip()] = None
        here = [value.strip() for value in field.values(barcode) if value.strip()]
        barcodes.update(dict.fromkeys(here))
        said = field.first(copies).strip()
        is_number = said.isdecimal() and len(said) <= _COPIES_DIGITS_MAX
        count += max(1, int(said)) if is_number else max(1, len(here))
    return Holding(
        institution, 0, "; ".join(filter(None, numbers)), count,
        "; ".join(filter(None, places)), tuple(barcodes),
    )  # fmt: skip


def _call_number(field: Field, family: MarcFamily) -> str:
    """852 $h $i in MARC 21; 905 $s, or class $d and book number $e, in CNMARC."""
    if family is MarcFamily.MARC21:
        return " ".join(value.strip() for value in field.values("hi") if value.strip())
    whole = field.first("s").strip()
    return whole or "/".join(filter(None, (field.first("d").strip(), field.first("e").strip())))


_COPIES_DIGITS_MAX = 6
