"""MARCXML and marcxchange documents, read record by record into the stored form.

The document is given to an incremental parser in slices that end where a
record does, so a break in well-formedness is known to lie in one record: that
one is refused, and reading goes on behind it. Records are told by what they
hold, not by namespace: many servers invent their own. Entities stay unread and
nothing outside the document is fetched.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import BinaryIO
from xml.sax.saxutils import quoteattr

from lxml import etree

from protocol.iso2709 import DecodedRecord, Field, RefusedRecord, build
from protocol.iso2709_structure import FRAME_SIZE_BYTES_MAX, LEADER_SIZE_BYTES
from protocol.record import MarcFamily

READ_SIZE_BYTES = 256 * 1024

_RECORD_END = re.compile(rb"</(?:[\w.-]+:)?record\s*>")
_RECORD_END_SIZE_BYTES_MAX = 128
_RECORD_START = re.compile(rb"<(?:[\w.-]+:)?record[\s>]")
_DECLARED_ENCODING = re.compile(
    rb"""(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z][\w.-]*)["']"""
)
_CONTROLS = re.compile("[\x00-\x1f\x7f]")
_CONTROL_NUMBER = re.compile(rb"""tag=["']001["'][^>]*>([^<]{0,64})""")
_OUTER_PARTS = frozenset(("recordSchema", "recordPacking", "recordData", "header", "metadata"))
# A leader whose runs of blanks were collapsed after position 11, as XML tools do.
_COLLAPSED_LEADER = re.compile(r"([\x20-\x7e]{10}22) ?(45[0-9 ]{0,2})")


def read_marcxml(
    stream: BinaryIO | bytes, family: MarcFamily
) -> Iterator[DecodedRecord | RefusedRecord]:
    """The records of a document of any size, in order.

    `offset` counts octets to the end of the record before; the reason of a
    refusal names the line. Memory: one record, at most 16 MiB.
    """
    source = io.BytesIO(stream) if isinstance(stream, bytes) else stream
    return _Document(family).read(source)


def decode_marcxml(xml: bytes, family: MarcFamily) -> DecodedRecord | RefusedRecord:
    """The one record of a document, as an upload brings it."""
    records = list(read_marcxml(xml, family))
    if len(records) == 1:
        return records[0]
    refused = next((record for record in records if isinstance(record, RefusedRecord)), None)
    return refused or RefusedRecord(0, "", f"{len(records)} records in place of one")


class Refusal(Exception):  # noqa: N818 - carries a reason to where it becomes a value
    """Why the record in hand is refused; also for what else reads records by their parts."""


class _Document:
    """A document in reading: the parser, and where in the input it stands."""

    def __init__(self, family: MarcFamily) -> None:
        self._family = family
        self._parser = _new_parser()
        self._offset = 0  # of the slice in hand, in the input
        self._line = 1  # of its beginning
        self._slice = b""
        self._parser_line = 1  # what the parser calls line 1
        self._prolog = b""  # what opens the elements around a record, for a new parser
        self._unclosed: etree._Element | None = None
        self._stopped = False
        self._record_ended = False  # in the slice in hand
        self._found = False  # any record, good or bad

    def read(self, stream: BinaryIO) -> Iterator[DecodedRecord | RefusedRecord]:
        pending = b""
        while chunk := stream.read(READ_SIZE_BYTES):
            searched = max(len(pending) - _RECORD_END_SIZE_BYTES_MAX, 0)
            pending += chunk
            begin = 0
            for record_end in _RECORD_END.finditer(pending, searched):
                yield from self._read_slice(pending[begin : record_end.end()])
                if self._stopped:
                    return
                begin = record_end.end()
            pending = pending[begin:]
            if len(pending) > FRAME_SIZE_BYTES_MAX:
                yield self._refuse(f"no record ends within {len(pending)} octets")
                return
        yield from self._read_slice(pending, complete=False)
        if not self._stopped:
            yield from self._close()
        if not self._found:
            yield RefusedRecord(0, "", "the document holds no MARC record")

    def _read_slice(
        self, octets: bytes, *, complete: bool = True
    ) -> list[DecodedRecord | RefusedRecord]:
        """Records that end in `octets`; `complete`: these end where a record does."""
        self._slice = octets
        broken, records = self._parse(octets, complete=complete)
        if broken and not self._stopped:
            records.append(self._refuse(broken))
            self._restart()
            start = self._last_record_start()
            # What broke may lie before the record, and the record itself be whole.
            if octets[:start].strip() and not self._stopped:
                broken, retried = self._parse(octets[start:], complete=complete)
                records += retried
        self._found = self._found or bool(records)
        self._offset += len(octets)
        self._line += octets.count(b"\n")
        if broken or self._unclosed is not None:
            self._restart()
            self._stopped = self._stopped or not complete
        return records

    def _parse(
        self, octets: bytes, *, complete: bool
    ) -> tuple[str, list[DecodedRecord | RefusedRecord]]:
        """What is not well-formed in `octets`, or "", and the records that ended."""
        broken = self._feed(octets)
        records = self._completed()
        if not broken and complete and not self._record_ended:
            # The parser waits for the end of something, a reference mostly.
            broken = f"not well-formed XML after line {self._line}"
        return broken, records

    def _feed(self, octets: bytes) -> str:
        """Give `octets` to the parser; what is not well-formed in them, or ""."""
        try:
            self._parser.feed(octets)
        except etree.XMLSyntaxError as error:
            return self._describe(error.lineno, error.msg)
        # An undefined entity is logged only, and its record never ends.
        for entry in self._parser.feed_error_log:
            if entry.level == etree.ErrorLevels.FATAL:
                return self._describe(entry.line, entry.message)
        return ""

    def _last_record_start(self) -> int:
        starts = [match.start() for match in _RECORD_START.finditer(self._slice)]
        return starts[-1] if starts else 0

    def _close(self) -> Iterator[RefusedRecord]:
        try:
            self._parser.close()
        except etree.XMLSyntaxError as error:
            self._offset -= len(self._slice)
            self._line -= self._slice.count(b"\n")
            self._found = True
            yield self._refuse(self._describe(error.lineno, error.msg))

    def _restart(self) -> None:
        """Go on with a new parser, inside the elements that held the last record."""
        self._unclosed = None
        if not self._prolog:  # broken before the first record: nothing to go on from
            self._stopped = True
            return
        self._parser = _new_parser()
        self._parser_line = self._line
        self._parser.feed(self._prolog)

    def _describe(self, parser_line: int | None, message: str | None) -> str:
        line = self._parser_line + (parser_line or 1) - 1
        return f"not well-formed XML at line {line}: {(message or '').partition(', line')[0]}"

    def _refuse(self, reason: str) -> RefusedRecord:
        number = _CONTROL_NUMBER.search(self._slice)
        text = number[1].decode("utf-8", "backslashreplace").strip() if number else ""
        return RefusedRecord(self._offset, text, reason)

    def _completed(self) -> list[DecodedRecord | RefusedRecord]:
        records: list[DecodedRecord | RefusedRecord] = []
        self._record_ended = False
        for event, element in self._parser.read_events():
            if not isinstance(element, etree._Element):
                continue
            if event == "start":
                self._note_surroundings(element)
                if self._stopped:
                    return [self._refuse("a document type declaration, which is not read")]
                continue
            self._record_ended = True
            outer = element.getparent()
            if outer is not None and _local_name(outer) == "record" and outer is not self._unclosed:
                self._unclosed = outer
                reason = "the record is not closed before the next begins"
                records.append(RefusedRecord(self._offset, _control_number(outer), reason))
            if element is not self._unclosed and _is_marc(element):
                records.append(self._convert(element))
            _forget(element)
        return records

    def _note_surroundings(self, element: etree._Element) -> None:
        if self._prolog:
            return
        self._stopped = element.getroottree().docinfo.internalDTD is not None
        # The parser tells the encoding only at the end of the document.
        declared = _DECLARED_ENCODING.match(self._slice)
        encoding = declared[1].decode() if declared else "UTF-8"
        elements = [_open_tag(ancestor) for ancestor in element.iterancestors()]
        prolog = "".join([f'<?xml version="1.0" encoding="{encoding}"?>', *reversed(elements)])
        try:
            self._prolog = prolog.encode(encoding, "xmlcharrefreplace")
        except LookupError:  # one that libxml2 knows and Python does not
            self._prolog = prolog.encode("ascii", "xmlcharrefreplace")

    def _convert(self, element: etree._Element) -> DecodedRecord | RefusedRecord:
        warnings: list[str] = []
        try:
            leader, fields = _read_record(element, self._family, warnings)
        except Refusal as refusal:
            line = self._line + self._slice.count(b"\n", 0, self._last_record_start())
            reason = f"{refusal}, in the record that begins at line {line}"
            return RefusedRecord(self._offset, _control_number(element), reason)
        marc = build(leader, fields, oversize=True)
        return DecodedRecord(marc, "utf-8", tuple(warnings), self._offset)


def _new_parser() -> etree.XMLPullParser:
    return etree.XMLPullParser(
        events=("start", "end"),
        tag=("{*}record", "record"),
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
    )


def _local_name(element: etree._Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _open_tag(element: etree._Element) -> str:
    name = f"{element.prefix}:{_local_name(element)}" if element.prefix else _local_name(element)
    namespaces = [
        f" {f'xmlns:{prefix}' if prefix else 'xmlns'}={quoteattr(uri)}"
        for prefix, uri in element.nsmap.items()
        if prefix != "xml"
    ]
    return f"<{name}{''.join(namespaces)}>"


def _is_marc(element: etree._Element) -> bool:
    """Whether a `record` holds fields; SRU and OAI-PMH have records around records."""
    return not any(_local_name(child) in _OUTER_PARTS for child in element)


def _control_number(element: etree._Element) -> str:
    for child in element:
        if _local_name(child) == "controlfield" and child.get("tag") == "001":
            return (child.text or "")[:64].strip()
    return ""


def _forget(element: etree._Element) -> None:
    """Free a record that was read, and what stood before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _read_record(
    element: etree._Element, family: MarcFamily, warnings: list[str]
) -> tuple[str, list[Field]]:
    leader = ""
    fields = []
    for child in element:
        name = _local_name(child)
        if name == "datafield":
            field = _read_data_field(child, warnings)
        elif name == "controlfield":
            field = Field(_read_tag(child, warnings), _read_text(child))
        elif name == "leader" and not leader:
            leader = checked_leader(_read_text(child), family, warnings)
            continue
        else:
            raise Refusal(f"element {name or 'reference'} is no part of a record")
        if len(field.tag) == 3:
            fields.append(field)
        else:
            # Alma adds fields such as INST, which a directory has no room for.
            warnings.append(f"field {field.tag} was left out: ISO 2709 has three-character tags")
    if not leader:
        raise Refusal("there is no leader")
    if not fields:
        raise Refusal("there are no fields")
    return leader, fields


def checked_leader(text: str, family: MarcFamily, warnings: list[str]) -> str:
    """24 characters for a record that came as text; what was mended goes to `warnings`.

    Raises:
        Refusal: there are too few or too many, or some that no leader has.
    """
    if not text.isascii() or _CONTROLS.search(text):
        raise Refusal("the leader is not ASCII")
    if len(text) < LEADER_SIZE_BYTES:
        collapsed = _COLLAPSED_LEADER.fullmatch(text)
        if collapsed:
            text = collapsed[1] + " " * 8 + collapsed[2].ljust(4)
        elif len(text) < 20:
            raise Refusal(f"the leader has {len(text)} characters")
        text = text.ljust(LEADER_SIZE_BYTES)
        warnings.append("the leader had lost blanks")
    if text[LEADER_SIZE_BYTES:].strip():
        raise Refusal(f"the leader has {len(text)} characters")
    # Records that are text are Unicode, whatever they were when they were exported.
    scheme = "a" if family is MarcFamily.MARC21 else text[9]
    return f"{text[:9]}{scheme}22{text[12:LEADER_SIZE_BYTES]}"


def _read_tag(element: etree._Element, warnings: list[str]) -> str:
    return checked_tag(element.get("tag"), _local_name(element), warnings)


def checked_tag(tag: str | None, element: str, warnings: list[str]) -> str:
    """A tag of three characters or more; `element` says what it is the tag of.

    Raises:
        Refusal: it is none.
    """
    if not tag:
        raise Refusal(f"a {element} without tag")
    if tag.isdigit() and tag.isascii() and len(tag) < 3:
        warnings.append(f"tag {tag} had lost its zeros")
        return tag.zfill(3)
    if not 3 <= len(tag) <= 20 or not tag.isalnum() or not tag.isascii():
        raise Refusal(f"a tag {tag[:20]!r}")
    return tag


def _read_data_field(element: etree._Element, warnings: list[str]) -> Field:
    tag = _read_tag(element, warnings)
    if tag.startswith("00"):
        raise Refusal(f"field {tag} with subfields")
    parts = [_read_indicator(element, tag, "ind1"), _read_indicator(element, tag, "ind2")]
    for child in element:
        if _local_name(child) != "subfield":
            name = _local_name(child) or "reference"
            raise Refusal(f"element {name} is no part of field {tag}")
        code = child.get("code")
        if code is None or len(code) != 1:
            raise Refusal(f"field {tag} has a subfield without code or with one of {code!r}")
        parts.append(f"\x1f{code}{_read_text(child)}")
    return Field(tag, "".join(parts))


def _read_indicator(element: etree._Element, tag: str, name: str) -> str:
    value = element.get(name) or " "
    if len(value) != 1:
        raise Refusal(f"field {tag} has {name} {value[:20]!r}")
    return value


def _read_text(element: etree._Element) -> str:
    if len(element):
        name = _local_name(element[0]) or "a reference"
        raise Refusal(f"{name} inside {_local_name(element)}")
    return element.text or ""
