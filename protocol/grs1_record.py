"""A catalogue record as GRS-1 (Z39.50-2003 Appendix 5 REC.5, tag sets of Appendix 12 TAG).

What the record says comes first under the tags of tagSet-M and tagSet-G, for
clients that know no MARC; then its MARC fields as local tags (type 3): the tag
as a number, below it the indicators as a string, below them the subfield codes,
which is how Zebra gives MARC and what its clients expect.
"""

from __future__ import annotations

from collections.abc import Iterator

from protocol.describe import describe
from protocol.description import Description
from protocol.grs1 import GRS_1, TaggedElement
from protocol.grs1_select import Paths, select
from protocol.iso2709 import Field, MarcRecord, parse
from protocol.record import MarcFamily

TAG_SET_M, TAG_SET_G, LOCAL = 1, 2, 3
LOCAL_CONTROL_NUMBER = 14  # of tagSet-M


def to_grs1(marc: bytes, family: MarcFamily) -> bytes:
    """A stored record as one GRS-1 element, MARC fields included.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    return GRS_1.encode(_whole(marc, family))


def to_brief_grs1(marc: bytes, family: MarcFamily) -> bytes:
    """Control number, titles, authors, date and ISBN of a stored record, as GRS-1.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    return GRS_1.encode(_brief(marc, family))


def to_selected_grs1(
    marc: bytes, family: MarcFamily, paths: Paths, *, with_brief: bool = False
) -> bytes:
    """The elements of a stored record that `paths` lead to, as GRS-1.

    `with_brief` adds those of the brief form.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    also = _brief(marc, family) if with_brief else ()
    return GRS_1.encode(select(_whole(marc, family), paths, also))


def _whole(marc: bytes, family: MarcFamily) -> tuple[TaggedElement, ...]:
    record = parse(marc)
    return (*_described(describe(record, family)), *_fields(record))


def _brief(marc: bytes, family: MarcFamily) -> tuple[TaggedElement, ...]:
    work = describe(parse(marc), family)
    brief = Description(
        control_number=work.control_number,
        titles=work.titles[:1],
        creators=(work.creators or work.contributors)[:3],
        dates=work.dates[:1],
        isbns=work.isbns,
    )
    return tuple(_described(brief))


def _described(work: Description) -> Iterator[TaggedElement]:
    """The numbers are those of tagSet-G."""
    if work.control_number:
        yield TaggedElement(
            tag_type=TAG_SET_M, tag_value=LOCAL_CONTROL_NUMBER, content=work.control_number
        )
    for tag, values in (
        (1, work.titles),
        (2, work.creators),
        (32, work.contributors),
        (3, work.places),
        (31, work.publishers),
        (4, work.dates),
        (20, work.languages),
        (21, work.subjects),
        (22, work.types),
        (27, work.extents),
        (28, [*work.isbns, *work.issns, *work.identifiers]),
        (30, [*work.series, *work.relations]),
        (34, work.places_covered),
        (17, work.notes),
        (29, work.rights),
    ):
        for value in values:
            yield TaggedElement(tag_type=TAG_SET_G, tag_value=tag, content=value)


def _fields(record: MarcRecord) -> Iterator[TaggedElement]:
    yield TaggedElement(tag_type=LOCAL, tag_value="leader", content=record.leader)
    for field in record.fields:
        # Tags are numbers but for what some systems add (FMT, CAT).
        numeric = field.tag.isascii() and field.tag.isdigit()
        yield TaggedElement(
            tag_type=LOCAL,
            tag_value=int(field.tag) if numeric else field.tag,
            content=field.text if field.is_control else (_below(field),),
        )


def _below(field: Field) -> TaggedElement:
    subfields = tuple(
        TaggedElement(tag_type=LOCAL, tag_value=code or " ", content=value)
        for code, value in field.subfields
    )
    return TaggedElement(tag_type=LOCAL, tag_value=field.indicators, content=subfields)
