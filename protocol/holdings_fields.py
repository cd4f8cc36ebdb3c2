"""Who holds a record, as fields in the record itself: 852 in MARC 21, 905 in CNMARC.

Sources: MARC 21 Format for Holdings Data, 852; CNMARC 905 as CALIS members use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from protocol.frozen import frozen
from protocol.holding_statement import HoldingStatement, RecordName
from protocol.iso2709 import Field, MarcRecord, build, parse
from protocol.record import Holding, MarcFamily

HOLDINGS_TAG = {MarcFamily.MARC21: "852", MarcFamily.UNIMARC: "905"}
_EXTENT = {MarcFamily.MARC21: "3", MarcFamily.UNIMARC: "v"}
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
        (_EXTENT[family], holding.extent),
    ]
    if family is MarcFamily.MARC21:  # 905 has no place for it
        subfields.append(("z", holding.note))
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
    _, _, _, barcode, copies = _CODES[family]
    numbers: dict[str, None] = {}
    places: dict[str, None] = {}
    extents: dict[str, None] = {}
    notes: dict[str, None] = {}
    barcodes: dict[str, None] = {}
    count = 0
    for field in fields:
        numbers[_call_number(field, family)] = None
        places[_location(field, family)] = None
        extents[_extent(field, family)] = None
        notes["; ".join(field.values("z")) if family is MarcFamily.MARC21 else ""] = None
        here = [value.strip() for value in field.values(barcode) if value.strip()]
        barcodes.update(dict.fromkeys(here))
        said = field.first(copies).strip()
        is_number = said.isdecimal() and len(said) <= _COPIES_DIGITS_MAX
        # MARC 21 has the number of a copy in $t, where several copies have a field each.
        is_number = is_number and not (family is MarcFamily.MARC21 and len(fields) > 1)
        count += max(1, int(said)) if is_number else max(1, len(here))
    return Holding(
        institution, 0, "; ".join(filter(None, numbers)), count,
        "; ".join(filter(None, places)), tuple(barcodes), "; ".join(filter(None, extents)),
        "; ".join(filter(None, notes)),
    )  # fmt: skip


def _location(field: Field, family: MarcFamily) -> str:
    """852 $b library or collection and $c shelving location; 905 $c in CNMARC."""
    codes = "bc" if family is MarcFamily.MARC21 else "c"
    return ", ".join(value.strip() for value in field.values(codes) if value.strip())


def _extent(field: Field, family: MarcFamily) -> str:
    """852 $3 in MARC 21; 905 $v volumes and $y years in CNMARC."""
    codes = "3" if family is MarcFamily.MARC21 else "vy"
    return " ".join(value.strip() for value in field.values(codes) if value.strip())


def _call_number(field: Field, family: MarcFamily) -> str:
    """852 $h $i in MARC 21; 905 $s, or class $d and book number $e, in CNMARC."""
    if family is MarcFamily.MARC21:
        return " ".join(value.strip() for value in field.values("hi") if value.strip())
    whole = field.first("s").strip()
    return whole or "/".join(filter(None, (field.first("d").strip(), field.first("e").strip())))


_COPIES_DIGITS_MAX = 6


# Holdings records of their own, and records sent for the holdings in them

HOLDINGS_KINDS = frozenset("uvxy")  # leader/06 of MARC 21 holdings records
_DELETED = "d"  # leader/05
_LEADER = re.compile(rb"[0-9]{5}[acdnp ](.)..[a ]22")
_XML_LEADER = re.compile(rb"<(?:[\w.-]+:)?leader(?:\s[^>]*)?>\s{0,8}[0-9 ]{5}[acdnp ](.)")
_HEAD_BYTES = 4096
_TEXTUAL_EXTENTS = ("866", "867", "868")
_ITEMS = ("876", "877", "878")


@frozen
class SaidInMarc:
    """What a record says that is sent for the holdings in it.

    No `statement`: they are to be removed. `fields` and `others` count the fields
    of the member and of other libraries.
    """

    name: RecordName
    statement: HoldingStatement | None
    fields: int
    others: int


def is_holdings_record(record: MarcRecord, family: MarcFamily) -> bool:
    """Whether it is a holdings record of MARC 21, which names its record in 004."""
    return family is MarcFamily.MARC21 and record.leader[6:7] in HOLDINGS_KINDS


def is_sent_as_holdings(octets: bytes, family: MarcFamily, *, xml: bool) -> bool:
    """Whether octets that nobody has read yet are a holdings record of MARC 21, by leader/06."""
    if family is not MarcFamily.MARC21:
        return False
    found = _XML_LEADER.search(octets[:_HEAD_BYTES]) if xml else _LEADER.match(octets)
    return found is not None and found[1].decode("latin-1") in HOLDINGS_KINDS


def read_holdings(record: MarcRecord, family: MarcFamily, institution: str) -> SaidInMarc:
    """What `institution` says with a record: a holdings record, or one with 905 or 852.

    A field that names no library is the sender's own here. A record with status
    "d" takes the holdings away.
    Sources: MARC 21 Format for Holdings Data, 004, 014, 852, 866-868, 876-878.
    """
    tag, library = HOLDINGS_TAG[family], _CODES[family][0]
    own, others = [], 0
    for field in record.get(tag):
        named = field.first(library).strip()
        if not named or named.casefold() == institution.casefold():
            own.append(field)
        else:
            others += 1
    apart = is_holdings_record(record, family)
    name = _name_in_holdings(record) if apart else _name_in_record(record, family)
    if record.leader[5:6] == _DELETED:
        return SaidInMarc(name, None, len(own), others)
    if not own:
        return SaidInMarc(name, HoldingStatement(), 0, others)
    held = _read(own, family, institution)
    barcodes, copies, extent = held.barcodes, held.copies, held.extent
    if family is MarcFamily.MARC21:
        items = [value.strip() for tag in _ITEMS for each in record.get(tag)
                 for value in each.values("p") if value.strip()]  # fmt: skip
        if items:
            barcodes = tuple(dict.fromkeys((*barcodes, *items)))
            copies = max(copies, len(barcodes))
        stated = [value.strip() for tag in _TEXTUAL_EXTENTS for each in record.get(tag)
                  for value in each.values("a") if value.strip()]  # fmt: skip
        extent = "; ".join(dict.fromkeys(filter(None, (extent, *stated))))
    statement = HoldingStatement(
        held.call_number, copies, held.location, barcodes, extent,
        held.note if family is MarcFamily.MARC21 else None,
    )  # fmt: skip
    return SaidInMarc(name, statement, len(own), others)


def _name_in_holdings(record: MarcRecord) -> RecordName:
    field = record.first("004")
    numbers = [value.strip() for each in record.get("014") for value in each.values("a")]
    return RecordName(
        control_number=field.text.strip() if field is not None else "",
        numbers=tuple(number for number in numbers if number.startswith("(")),
    )


def _name_in_record(record: MarcRecord, family: MarcFamily) -> RecordName:
    number = record.control_number.strip()
    numbers = [value.strip() for each in record.get("035") for value in each.values("a")]
    agency = record.first("003")
    if number and agency is not None and agency.text.strip():
        numbers.append(f"({agency.text.strip()}){number}")
    tag = "020" if family is MarcFamily.MARC21 else "010"
    isbns = (value.strip() for each in record.get(tag) for value in each.values("a"))
    return RecordName(
        control_number=number,
        numbers=tuple(each for each in numbers if each.startswith("(")),
        # It may have been given its number by the member's own system.
        local_number=number,
        isbn=next(filter(None, isbns), ""),
    )


def holdings_record(
    control_number: str, family: MarcFamily, holding: Holding, *, extra: Sequence[Field] = ()
) -> bytes:
    """A record that says what is held, in the stored form, as `read_holdings` reads it.

    In MARC 21 a holdings record; in CNMARC, which has none, 001 and 905 alone.
    """
    tag = HOLDINGS_TAG[family]
    if family is MarcFamily.MARC21:
        leader, number = "00000nx  a2200000un 4500", Field("004", control_number)
    else:
        leader, number = "00000nam0 2200000   450 ", Field("001", control_number)
    return build(leader, [number, *extra, _field(tag, family, holding)], oversize=True)
