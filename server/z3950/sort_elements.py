"""What the key of a Sort orders by (Z39.50-2003 §3.2.7.1.3 sortElement)."""

from __future__ import annotations

from protocol import apdu, oid, rpn
from protocol.access_point import AccessPoint
from protocol.access_points import ACCESS_POINTS, BY_NAME
from protocol.ber import ProtocolError
from protocol.bib1_attributes import BY_USE
from protocol.cql_context import index_by_name
from protocol.diagnostic import Bib1, Diagnostic
from protocol.grs1 import ESPEC_1, SimpleElement, SpecificTag
from protocol.grs1_record import LOCAL, TAG_SET_G, TAG_SET_M
from protocol.grs1_select import plain

# A sort field is named as its access point is.
_FIELDS = {point.name: point for point in ACCESS_POINTS if point.sortable}
_USE_DIGITS_MAX = 5
# Elements of a record that it sorts by: those that feed the access point.
_ELEMENTS: dict[tuple[int, str | int], str] = {
    (TAG_SET_G, 1): "title",
    (TAG_SET_G, 2): "author",
    (TAG_SET_G, 4): "date",
    (TAG_SET_M, 16): "date_modified",
    **{(LOCAL, tag): "title" for tag in (200, 245)},
    **{(LOCAL, tag): "author" for tag in (100, 110, 111, 700, 701, 710, 711)},
    **{(LOCAL, tag): "date" for tag in (8, 210, 260, 264)},
    (LOCAL, 5): "date_modified",
}


def sort_point(element: apdu.SortElement) -> AccessPoint | Diagnostic:
    """What a generic sort element names.

    A field goes by our name, that of a CQL index or the number of a Use
    attribute, which is what `sort 4` of yaz-client sends. An element
    specification is such a name, or an eSpec-1 that names one or leads to an
    element that records sort by. Anything else is Bib-1 207, a
    database-specific element 210.
    """
    match element:
        case apdu.SortAttributes():
            return rpn.sort_access_point(element.id, element.list)
        case str() as name:
            return _field(name)
        case apdu.Specification(schema=None, element_spec=str() as name):
            return _field(name)
        case apdu.Specification(schema=None, element_spec=apdu.External() as external):
            return _element(external)
        case apdu.Specification():
            return Diagnostic(Bib1.SORT_SEQUENCE_UNSUPPORTED, "element specification")
        case _:
            return Diagnostic(Bib1.DATABASE_SPECIFIC_SORT_UNSUPPORTED)


def _field(name: str) -> AccessPoint | Diagnostic:
    point: AccessPoint | None
    if name.isascii() and name.isdigit():
        point = BY_USE.get(int(name[:_USE_DIGITS_MAX]))
    else:
        point = _FIELDS.get(name.lower()) or index_by_name(name)
    if point is None or not point.sortable:
        return Diagnostic(Bib1.SORT_SEQUENCE_UNSUPPORTED, name)
    return point


def _element(external: apdu.External) -> AccessPoint | Diagnostic:
    if external.direct_reference != oid.ESPEC_1:
        return Diagnostic(Bib1.SORT_SEQUENCE_UNSUPPORTED, str(external.direct_reference))
    try:
        espec = external.decode(ESPEC_1)
    except ProtocolError:
        return Diagnostic(Bib1.SORT_SEQUENCE_UNSUPPORTED, "an eSpec-1 that cannot be read")
    if espec.element_set_names and not espec.elements:
        return _field(espec.element_set_names[0])
    match espec.elements:
        case (SimpleElement(path=(SpecificTag() as tag, *_)),):
            tag_type = tag.tag_type if tag.tag_type is not None else espec.default_tag_type
            name = _ELEMENTS.get((tag_type or TAG_SET_G, plain(tag.tag_value)))
            if name is not None:
                return BY_NAME[name]
            told = f"element ({tag_type},{tag.tag_value})"
            return Diagnostic(Bib1.SORT_SEQUENCE_UNSUPPORTED, told)
    return Diagnostic(Bib1.SORT_SEQUENCE_UNSUPPORTED, "an eSpec-1 of other than one element")
