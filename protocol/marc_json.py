"""MARC records as JSON: MARC-in-JSON, written and read.

One object a record: `leader` of 24 characters and `fields`, a list whose items
have one key, the tag. A control field's value is its text, a data field's an
object of `ind1`, `ind2` and `subfields`, a list of objects with one key, the
code. JSON holds every character of Unicode, controls included, and knows no limit
of length; what is lost is only what stands between indicators and first subfield.

Source: MARC-in-JSON, draft of R. Singer, 2010, as pymarc and ruby-marc have it.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from protocol.iso2709 import DecodedRecord, Field, RefusedRecord, build, parse
from protocol.iso2709_structure import FRAME_SIZE_BYTES_MAX
from protocol.marcxml_reader import Refusal, checked_leader, checked_tag
from protocol.record import MarcFamily

READ_SIZE_BYTES = 256 * 1024

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def to_marc_json(record: bytes) -> bytes:
    """A stored record as one JSON object in UTF-8, in one line without its end.

    A field without any subfield is written as a control field whatever its
    tag, and a subfield without code has the key "".

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    parsed = parse(record)
    fields = [_field_object(field) for field in parsed.fields]
    return _encode({"leader": parsed.leader, "fields": fields}).encode()


def _field_object(field: Field) -> dict[str, object]:
    if field.is_control:
        return {field.tag: field.text}
    indicators = field.indicators
    return {
        field.tag: {
            "subfields": [{code: value} for code, value in field.subfields],
            "ind1": indicators[0],
            "ind2": indicators[1],
        }
    }


def read_marc_json(
    stream: BinaryIO | bytes, family: MarcFamily
) -> Iterator[DecodedRecord | RefusedRecord]:
    """The records of a file of any size, in order.

    The file holds one object a line, or objects behind one another, or an array
    of objects. Where each line is an object, a broken line refuses itself alone;
    elsewhere what follows a break cannot be told apart, and reading ends there.
    Memory: one record, at most 16 MiB.
    """
    source = io.BytesIO(stream) if isinstance(stream, bytes) else stream
    found = False
    for record in _Objects(source).read(family):
        found = True
        yield record
    if not found:
        yield RefusedRecord(0, "", "the file holds no MARC record")


def decode_marc_json(octets: bytes, family: MarcFamily) -> DecodedRecord | RefusedRecord:
    """The one record that `octets` are, as an upload brings it."""
    records = list(read_marc_json(octets, family))
    if len(records) == 1:
        return records[0]
    refused = next((record for record in records if isinstance(record, RefusedRecord)), None)
    return refused or RefusedRecord(0, "", f"{len(records)} records in place of one")


_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}]|"', re.DOTALL)
_NOT_JSON = "not JSON"
_BETWEEN_OBJECTS = b" \t\r\n,"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Objects:
    """A file read through a window that begins at the object in hand."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._window = b""
        self._offset = 0  # of the window, in the file

    def read(self, family: MarcFamily) -> Iterator[DecodedRecord | RefusedRecord]:
        while len(self._window) < len(_BYTE_ORDER_MARK) and self._read_more():
            pass
        self._drop(len(_BYTE_ORDER_MARK) if self._window.startswith(_BYTE_ORDER_MARK) else 0)
        if not self._skip(_BETWEEN_OBJECTS):
            return
        size = self._line_size()
        line = self._window[:size].rstrip(_BETWEEN_OBJECTS)
        by_line = line.startswith(b"{") and line.endswith(b"}")
        between = _BETWEEN_OBJECTS if by_line else _BETWEEN_OBJECTS + b"[]"
        while self._skip(between):
            size = self._line_size() if by_line else self._object_size()
            if not size:
                what = "an object has no end" if self._window.startswith(b"{") else "no object"
                yield RefusedRecord(self._offset, "", f"{_NOT_JSON}: {what}")
                return
            record = _read(self._window[:size], family, self._offset)
            yield record
            self._drop(size)
            if not by_line and isinstance(record, RefusedRecord) and _NOT_JSON in record.reason:
                return

    def _read_more(self) -> bool:
        chunk = self._stream.read(READ_SIZE_BYTES)
        self._window += chunk
        return bool(chunk) and len(self._window) <= FRAME_SIZE_BYTES_MAX

    def _drop(self, size: int) -> None:
        self._window = self._window[size:]
        self._offset += size

    def _skip(self, between: bytes) -> bool:
        """Pass what stands between objects; False at the end of the file."""
        while True:
            self._drop(len(self._window) - len(self._window.lstrip(between)))
            if self._window:
                return True
            if not self._read_more():
                return False

    def _line_size(self) -> int:
        searched = 0
        while (end := self._window.find(b"\n", searched)) < 0:
            searched = len(self._window)
            if not self._read_more():
                return len(self._window)
        return end

    def _object_size(self) -> int:
        """Octets of the object that the window begins with; 0 if it has no end.

        A string is passed whole, so braces within it do not count.
        """
        if not self._window.startswith(b"{"):
            return 0
        depth = at = 0
        while True:
            for token in _TOKEN.finditer(self._window, at):
                if token[0] == b'"':  # the rest of the string is not here yet
                    break
                at = token.end()
                depth += (token[0] == b"{") - (token[0] == b"}")
                if depth == 0:
                    return at
            if not self._read_more():
                return 0


def _read(octets: bytes, family: MarcFamily, offset: int) -> DecodedRecord | RefusedRecord:
    warnings: list[str] = []
    number = ""
    try:
        try:
            content = json.loads(octets)
        except (ValueError, RecursionError) as error:
            raise Refusal(f"{_NOT_JSON}: {error}") from None
        number = _control_number(content)
        leader, fields = _read_record(content, family, warnings)
    except Refusal as refusal:
        return RefusedRecord(offset, number, str(refusal))
    marc = build(leader, fields, oversize=True)
    return DecodedRecord(marc, "utf-8", tuple(warnings), offset)


def _control_number(content: object) -> str:
    fields = content.get("fields") if isinstance(content, dict) else None
    for field in fields if isinstance(fields, list) else []:
        number = field.get("001") if isinstance(field, dict) else None
        if isinstance(number, str):
            return number[:64].strip()
    return ""


def _read_record(
    content: object, family: MarcFamily, warnings: list[str]
) -> tuple[str, list[Field]]:
    if not isinstance(content, dict):
        raise Refusal("not an object")
    leader, items = content.get("leader"), content.get("fields")
    if not isinstance(leader, str):
        raise Refusal("there is no leader")
    if not isinstance(items, list) or not items:
        raise Refusal("there are no fields")
    fields = []
    for item in items:
        if not isinstance(item, dict) or not item:
            raise Refusal(f"a field that is {_shown(item)}")
        # Some writers put all fields of a record, or several, into one object.
        for tag, value in item.items():
            field = _read_field(checked_tag(tag, "field", warnings), value)
            if len(field.tag) == 3:
                fields.append(field)
            else:
                warnings.append(
                    f"field {field.tag} was left out: ISO 2709 has three-character tags"
                )
    if not fields:
        raise Refusal("there are no fields")
    return checked_leader(leader, family, warnings), fields


def _read_field(tag: str, value: object) -> Field:
    if isinstance(value, str):
        return Field(tag, _plain(value, tag, _NO_TEXT))
    if not isinstance(value, dict):
        raise Refusal(f"field {tag} is {_shown(value)}")
    if tag.startswith("00"):
        raise Refusal(f"field {tag} with subfields")
    parts = []
    for name in ("ind1", "ind2"):
        indicator = value.get(name) or " "
        if not isinstance(indicator, str) or len(indicator) != 1:
            raise Refusal(f"field {tag} has {name} {_shown(indicator)}")
        parts.append(_plain(indicator, tag))
    subfields = value.get("subfields")
    if not isinstance(subfields, list):
        raise Refusal(f"field {tag} has no list of subfields")
    for subfield in subfields:
        if not isinstance(subfield, dict):
            raise Refusal(f"field {tag} has a subfield that is {_shown(subfield)}")
        for code, text in subfield.items():
            if len(code) > 1 or not isinstance(text, str) or (not code and text):
                raise Refusal(f"field {tag} has a subfield {_shown({code: text})}")
            parts.append(f"\x1f{_plain(code, tag)}{_plain(text, tag)}")
    return Field(tag, "".join(parts))


_NO_TEXT = re.compile("[\x1d\x1e\ud800-\udfff]")
_NO_PART = re.compile("[\x1d-\x1f\ud800-\udfff]")


def _plain(text: str, tag: str, forbidden: re.Pattern[str] = _NO_PART) -> str:
    """`text`, unless it holds a delimiter of ISO 2709 or half a surrogate pair."""
    if found := forbidden.search(text):
        raise Refusal(f"field {tag} holds U+{ord(found[0]):04X}")
    return text


def _shown(value: object) -> str:
    return json.dumps(value)[:40]
