"""Simple Dublin Core, as SRU servers send it.

Schema info:srw/schema/1/dc-v1.1: a `dc` element of SRU's own namespace that
holds elements of the Dublin Core Metadata Element Set 1.1, all optional and
repeatable.
"""

from __future__ import annotations

from collections.abc import Iterator

from protocol.describe import describe
from protocol.description import Description
from protocol.iso2709 import parse
from protocol.record import MarcFamily
from protocol.standard_number import urn_isbn, urn_issn
from protocol.xml_text import escape

SRU_NAMESPACE = "info:srw/schema/1/dc-schema"
ELEMENTS_NAMESPACE = "http://purl.org/dc/elements/1.1/"


def to_dublin_core(marc: bytes, family: MarcFamily) -> bytes:
    """A stored record as one `dc` element in UTF-8, without XML declaration.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    parts = [f'<srw_dc:dc xmlns:srw_dc="{SRU_NAMESPACE}" xmlns:dc="{ELEMENTS_NAMESPACE}">']
    seen = set()
    for element in dublin_core_elements(describe(parse(marc), family)):
        if element not in seen:
            seen.add(element)
            name, value = element
            parts.append(f"<dc:{name}>{escape(value)}</dc:{name}>")
    parts.append("</srw_dc:dc>")
    return "".join(parts).encode()


def dublin_core_elements(description: Description) -> Iterator[tuple[str, str]]:
    """Name and value of each element, in the order of the element set's usual listing."""
    for name, values in (
        ("title", description.titles),
        ("creator", description.creators),
        ("contributor", description.contributors),
        ("subject", [*description.subjects, *description.classifications]),
        ("description", description.notes),
        ("publisher", description.publishers),
        ("date", description.dates),
        ("type", description.types),
        ("format", description.extents),
        ("identifier", list(_identifiers(description))),
        ("language", description.languages),
        ("relation", [*description.series, *description.relations]),
        ("coverage", description.places_covered),
        ("rights", description.rights),
    ):
        for value in values:
            yield name, value


def _identifiers(description: Description) -> Iterator[str]:
    """Numbers as URN where they are valid, else as the record has them."""
    for number in description.isbns:
        yield urn_isbn(number) or number
    for number in description.issns:
        yield urn_issn(number) or number
    yield from description.identifiers
