"""The XML schemas of the record forms, and real records to hold them against."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path

from lxml import etree

from protocol.iso2709 import DecodedRecord, Field, RawRecord, build, decode_record, split
from protocol.marcxml_reader import read_marcxml
from tests.marc_files import MarcFile

SCHEMAS = Path(__file__).parent / "unit" / "schemas"
# The file for each short name of a record schema.
SCHEMA_FILES = {
    "marcxml": "marc21slim.xsd", "marcxchange": "marcxchange-2.xsd", "mods": "mods-3-5.xsd",
    "dc": "srw-dc.xsd", "cnmarcxml": "cnmarcxml.xsd", "unimarcxml": "unimarcxml.xsd",
    "isohold": "isohold.xsd", "brief": "marc21slim.xsd",
}  # fmt: skip


@cache
def schema(name: str) -> etree.XMLSchema:
    """The schema of a short name."""
    return etree.XMLSchema(etree.parse(SCHEMAS / SCHEMA_FILES[name]))


def fault(name: str, xml: bytes) -> str:
    """Why `xml` is no record of the schema, or ""; not well-formed XML raises."""
    checker = schema(name)
    if checker.validate(etree.fromstring(xml)):
        return ""
    return str(checker.error_log[0])


def decoded(file: MarcFile, count_max: int) -> Iterator[bytes]:
    """The first records of a file in the stored form; those refused are passed over."""
    with file.open() as stream:
        if file.is_xml:
            for record in islice(read_marcxml(stream, file.family), count_max):
                if isinstance(record, DecodedRecord):
                    yield record.marc
            return
        for raw in islice(split(stream), count_max):
            if isinstance(raw, RawRecord):
                found = decode_record(raw.raw, file.family)
                if isinstance(found, DecodedRecord):
                    yield found.marc


def marc(leader: str, text: str) -> bytes:
    """A record written down a field a line: `245 1_$aTitle$bmore`; `_` is a blank indicator."""
    fields: list[Field] = []
    for line in text.strip().splitlines():
        tag, _, content = line.strip().partition(" ")
        if tag.startswith("00"):
            fields.append(Field(tag, content))
        else:
            head, *subfields = content.split("$")
            fields.append(Field(tag, "\x1f".join([head.replace("_", " "), *subfields])))
    return build(leader, fields)


Facts = dict[str, list[str]]


def facts_of(xml: bytes, namespace: str, paths: Facts) -> Facts:
    """What is at each path: the texts of elements, or the values of attributes.

    A path is an XPath whose element names are those of `namespace`, prefixed `m:`.
    Elements with elements inside give the texts of those, joined by "|".
    """
    root = etree.fromstring(xml)
    found: Facts = {}
    for path in paths:
        values = root.xpath(path, namespaces={"m": namespace})
        found[path] = [
            str(value) if isinstance(value, str) else "|".join(value.itertext()) for value in values
        ]
    return found
