"""MARC records as UTF-8 ISO 2709, the stored form: read, written, converted.

Leaders keep what they say; only leader 0-4 and 12-16, and in MARC 21 the
coding scheme at 9, follow the octets that are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protocol.charset import (
    Undecodable,
    Unencodable,
    canonical_encoding,
    decode_text,
    encode_text,
)
from protocol.iso2709_structure import (
    FIELD_SIZE_BYTES_MAX,
    LEADER_SIZE_BYTES,
    RECORD_SIZE_BYTES_MAX,
    MalformedRecord,
    RawRecord,
    RecordTooLong,
    RefusedRecord,
    assemble,
    dissect,
    fits_iso2709,
    guess_control_number,
    split,
)
from protocol.record import MarcFamily

__all__ = [
    "FIELD_SIZE_BYTES_MAX", "RECORD_SIZE_BYTES_MAX", "DecodedRecord", "EncodingFailure", "Field",
    "MalformedRecord", "MarcRecord", "RawRecord", "RecordTooLong", "RefusedRecord", "build",
    "control_field", "control_number", "decode_record", "encode_record", "fits_iso2709", "parse",
    "split",
]  # fmt: skip


class Field:
    """One field: `text` is its content without terminator, as ISO 2709 has it.

    A control field's text is its value. A data field's begins with two
    indicators, and each subfield with U+001F and a one-character code.
    """

    __slots__ = ("tag", "text")

    def __init__(self, tag: str, text: str) -> None:
        self.tag = tag
        self.text = text

    @classmethod
    def of(cls, tag: str, indicators: str, subfields: Iterable[tuple[str, str]]) -> Field:
        """A data field; `indicators` are two characters."""
        return cls(tag, indicators + "".join([f"\x1f{code}{value}" for code, value in subfields]))

    @property
    def is_control(self) -> bool:
        """Without indicators and subfields: 00X, and what some systems add (FMT)."""
        return self.tag.startswith("00") or "\x1f" not in self.text

    @property
    def indicators(self) -> str:
        """Two characters; blanks where the record has fewer."""
        return self.text.partition("\x1f")[0][:2].ljust(2)

    @property
    def subfields(self) -> list[tuple[str, str]]:
        """(code, value) in order; an empty subfield has the code ""."""
        return [(part[:1], part[1:]) for part in self.text.split("\x1f")[1:]]

    def values(self, codes: str) -> list[str]:
        """Values of the subfields whose code is one of `codes`, in record order."""
        return [part[1:] for part in self.text.split("\x1f")[1:] if part and part[0] in codes]

    def first(self, code: str) -> str:
        """The first value of subfield `code`, or ""."""
        start = self.text.find(f"\x1f{code}")
        if start < 0:
            return ""
        end = self.text.find("\x1f", start + 1)
        return self.text[start + 2 : end if end >= 0 else None]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Field) and (self.tag, self.text) == (other.tag, other.text)

    def __hash__(self) -> int:
        return hash((self.tag, self.text))

    def __repr__(self) -> str:
        return f"Field({self.tag!r}, {self.text!r})"


@dataclass(frozen=True, slots=True)
class MarcRecord:
    """A parsed record: the leader's 24 characters and the fields in directory order."""

    leader: str
    fields: list[Field]

    def get(self, tag: str) -> list[Field]:
        """Every field of that tag, in record order."""
        return [field for field in self.fields if field.tag == tag]

    def first(self, tag: str) -> Field | None:
        for field in self.fields:
            if field.tag == tag:
                return field
        return None

    @property
    def control_number(self) -> str:
        field = self.first("001")
        return field.text.strip() if field else ""


def parse(marc: bytes) -> MarcRecord:
    """Read a record in the stored form: UTF-8, structure already checked.

    What comes from outside goes through `decode_record` first.

    Raises:
        MalformedRecord: the octets are not UTF-8 or the directory does not fit.
    """
    try:
        parts = marc.decode().split("\x1e")
    except UnicodeDecodeError as error:
        raise MalformedRecord(f"not UTF-8 at {error.start}") from None
    head = parts[0]
    parts.pop()
    if (len(head) - LEADER_SIZE_BYTES) != 12 * (len(parts) - 1):
        raise MalformedRecord("the directory does not fit the fields")
    starts = [head[i : i + 5] for i in range(31, len(head), 12)]
    if starts != sorted(starts):
        # Data may lie in another order than the directory's, which is the record's.
        order = sorted(range(len(starts)), key=starts.__getitem__)
        by_entry = [""] * len(starts)
        for index, text in zip(order, parts[1:], strict=True):
            by_entry[index] = text
        parts[1:] = by_entry
    fields = [
        Field(head[i : i + 3], text)
        for i, text in zip(range(24, len(head), 12), parts[1:], strict=True)
    ]
    return MarcRecord(head[:LEADER_SIZE_BYTES], fields)


def build(
    leader: str, fields: Iterable[Field], encoding: str = "utf-8", *, oversize: bool = False
) -> bytes:
    """Write a record; length fields count octets of `encoding`.

    `leader` is 24 ASCII characters, kept but for 0-4 and 12-16. `oversize`
    gives the form in which a record beyond ISO 2709's limits is kept.

    Raises:
        RecordTooLong: over 99,999 octets, or a field over 9,999.
        MalformedRecord: a leader or tag of the wrong length, or a character
            that `encoding` lacks.
    """
    encoding = canonical_encoding(encoding)
    octets = []
    for field in fields:
        value = encode_text(field.text, encoding)
        if isinstance(value, Unencodable):
            raise MalformedRecord(f"field {field.tag}: {value}")
        octets.append((field.tag.encode("ascii", "replace"), value))
    return assemble(leader.encode("ascii", "replace"), octets, oversize=oversize)


def control_field(marc: bytes, tag: str) -> str:
    """The value of the first field `tag`, found through the directory; "" if none.

    `marc` is in the stored form. The least costly way to 001, 005 and 008.
    """
    octets = tag.encode()
    end = marc.find(b"\x1e")
    at = marc.find(octets, LEADER_SIZE_BYTES, end)
    while at >= 0 and at % 12:  # digits of a length or position may look like a tag
        at = marc.find(octets, at + 1, end)
    if at < 0:
        return ""
    size = int(marc[at + 3 : at + 7])
    start = end + 1 + int(marc[at + 7 : at + 12])
    if marc[start + size - 1 : start + size] != b"\x1e":  # an oversize record
        field = parse(marc).first(tag)
        return field.text if field else ""
    return marc[start : start + size - 1].decode()


def control_number(marc: bytes) -> str:
    """Field 001 of a record in the stored form, without blanks around it; "" if none."""
    return control_field(marc, "001").strip()


@dataclass(frozen=True, slots=True)
class DecodedRecord:
    """A record in the stored form, the set it came in, and what was mended on the way.

    `marc` is the very octets given, when those were correct and UTF-8.
    """

    marc: bytes
    encoding: str
    warnings: tuple[str, ...] = ()


def decode_record(
    raw: bytes, family: MarcFamily, encoding: str = "auto", *, offset: int = 0
) -> DecodedRecord | RefusedRecord:
    """Turn one record of a file into the stored form.

    `encoding` is a name of `charset.ENCODINGS` or "auto". `offset` only goes
    into a refusal. A character that cannot be read refuses the record.
    """
    structure = dissect(raw)
    if isinstance(structure, str):
        return RefusedRecord(offset, guess_control_number(raw), structure)
    used = "utf-8" if encoding == "auto" else canonical_encoding(encoding)
    fields = []
    for tag, value in structure.fields:
        text = decode_text(value, used)
        if isinstance(text, Undecodable):
            reason = f"field {tag.decode()}: {text}"
            return RefusedRecord(offset, guess_control_number(raw), reason)
        fields.append((tag, text))
    if structure.exact and used == "utf-8":
        return DecodedRecord(raw, used)
    leader = structure.leader
    if family is MarcFamily.MARC21 and used != "utf-8":
        leader = leader[:9] + b"a" + leader[10:]
    marc = assemble(leader, [(tag, text.encode()) for tag, text in fields], oversize=True)
    return DecodedRecord(marc, used, tuple(structure.warnings))


@dataclass(frozen=True, slots=True)
class EncodingFailure:
    """Why a record cannot go out as asked: a character the set lacks, or its size."""

    reason: str
    tag: str = ""
    character: str = ""


def encode_record(marc: bytes, family: MarcFamily, encoding: str) -> bytes | EncodingFailure:
    """A stored record as ISO 2709 in `encoding`, to be sent."""
    used = canonical_encoding(encoding)
    if used == "utf-8" and fits_iso2709(marc):
        return marc
    record = parse(marc)
    octets: list[tuple[bytes, bytes]] = []
    for field in record.fields:
        value = encode_text(field.text, used)
        if isinstance(value, Unencodable):
            return EncodingFailure(f"field {field.tag}: {value}", field.tag, value.character)
        octets.append((field.tag.encode(), value))
    leader = record.leader.encode()
    if family is MarcFamily.MARC21 and used != "utf-8":
        leader = leader[:9] + b" " + leader[10:]
    return _assemble(leader, octets)


def _assemble(leader: bytes, octets: Sequence[tuple[bytes, bytes]]) -> bytes | EncodingFailure:
    try:
        return assemble(leader, octets)
    except RecordTooLong as error:
        return EncodingFailure(str(error), error.tag)
