"""MARC records as UTF-8 ISO 2709, the stored form: read, written, converted.

Leaders keep what they say; only leader 0-4 and 12-16, and in MARC 21 the
coding scheme at 9, follow the octets that are written.
"""

from __future__ import annotations

import dataclasses
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from protocol.charset import (
    OUTPUT_ENCODINGS,
    Undecodable,
    Unencodable,
    UnknownEncoding,
    canonical_encoding,
    decode_text,
    encode_text,
    likely_encodings,
)
from protocol.iso2709_structure import (
    ENTRY_SIZE_BYTES,
    FIELD_SIZE_BYTES_MAX,
    LEADER_SIZE_BYTES,
    RECORD_SIZE_BYTES_MAX,
    MalformedRecord,
    RawRecord,
    RecordTooLong,
    RefusedRecord,
    Structure,
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


_subfields_of = re.compile("\x1f([^\x1f]?)([^\x1f]*)").findall


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
        return _subfields_of(self.text)

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
        text = marc.decode()
    except UnicodeDecodeError as error:
        raise MalformedRecord(f"not UTF-8 at {error.start}") from None
    tags, texts = split_fields(marc, text)
    return MarcRecord(text[:LEADER_SIZE_BYTES], list(map(Field, tags, texts)))


def split_fields(marc: bytes, text: str) -> tuple[list[str], list[str]]:
    """Tags and field texts of a record in the stored form, in the order of the directory.

    `text` is the decoded record; its fields may have been rewritten, for
    instance escaped, as long as its field terminators are those of `marc`.

    Raises:
        MalformedRecord: the directory does not fit the fields.
    """
    texts = text.split("\x1e")
    count = len(texts) - 2
    if marc.find(b"\x1e") != LEADER_SIZE_BYTES + ENTRY_SIZE_BYTES * count or count < 1:
        raise MalformedRecord("the directory does not fit the fields")
    columns = _entries_layout(count).unpack_from(marc, LEADER_SIZE_BYTES)
    tags, starts = list(map(_TAGS.__getitem__, columns[0::2])), list(columns[1::2])
    if starts != sorted(starts):
        # Data may lie in another order than the directory's, which is the record's.
        by_entry = [""] * count
        for index, entry in enumerate(sorted(range(count), key=starts.__getitem__), start=1):
            by_entry[entry] = texts[index]
        return tags, by_entry
    return tags, texts[1:-1]


def tags_in_order(marc: bytes, count: int) -> Sequence[bytes] | None:
    """The tags of a record with `count` fields that lie in the order of its directory.

    None: they lie otherwise, or the directory does not fit them.
    """
    if count < 1 or marc.find(b"\x1e") != LEADER_SIZE_BYTES + ENTRY_SIZE_BYTES * count:
        return None
    columns = _entries_layout(count).unpack_from(marc, LEADER_SIZE_BYTES)
    starts = columns[1::2]
    return columns[0::2] if list(starts) == sorted(starts) else None


@lru_cache(maxsize=512)
def _entries_layout(count: int) -> struct.Struct:
    return struct.Struct("3s4x5s" * count)


class _Tags(dict[bytes, str]):
    """Tags as text, each made once: a record then costs no decoding per entry."""

    def __missing__(self, octets: bytes) -> str:
        tag = octets.decode("ascii", "replace")
        if len(self) < _TAGS_KEPT_MAX:
            self[octets] = tag
        return tag


_TAGS_KEPT_MAX = 10_000
_TAGS = _Tags()


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

    `marc` is the very octets given, when those were correct and UTF-8. `offset`
    counts octets from the start of the file; two records are the same wherever
    they stood.
    """

    marc: bytes
    encoding: str
    warnings: tuple[str, ...] = ()
    offset: int = dataclasses.field(default=0, compare=False)


def decode_record(
    raw: bytes, family: MarcFamily, encoding: str = "auto", *, offset: int = 0
) -> DecodedRecord | RefusedRecord:
    """Turn one record of a file into the stored form.

    `encoding` is a name of `charset.ENCODINGS` or "auto". `offset` only goes
    into the result. A character that cannot be read refuses the record.

    Raises:
        UnknownEncoding: `encoding` names no set.
    """
    structure = dissect(raw)
    if isinstance(structure, str):
        return RefusedRecord(offset, guess_control_number(raw), structure)
    scheme = chr(structure.leader[9])
    if encoding == "auto":
        declared = _declared_sets(structure)
        candidates = likely_encodings(raw, family, scheme, declared)
        if not candidates:
            reason = f"not UTF-8, and 100$a 26-29 ({declared[:4]!r}) names no set read unasked"
            return RefusedRecord(offset, guess_control_number(raw), reason)
    else:
        candidates = (canonical_encoding(encoding),)
    reason = ""
    if structure.exact and candidates == ("utf-8",) and _is_utf8(raw):
        return DecodedRecord(raw, "utf-8", offset=offset)
    for used in candidates:
        octets = _to_utf8(structure, used)
        if isinstance(octets, str):
            reason = reason or octets
            continue
        leader = structure.leader
        if family is MarcFamily.MARC21 and used != "utf-8":
            leader = leader[:9] + b"a" + leader[10:]
        marc = assemble(leader, octets, oversize=True)
        return DecodedRecord(marc, used, tuple(structure.warnings), offset)
    if encoding == "auto" and scheme == "a" and not isinstance(_to_utf8(structure, "marc-8"), str):
        reason += "; leader/09 says Unicode, but it reads as marc-8"
    return RefusedRecord(offset, guess_control_number(raw), reason)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _declared_sets(structure: Structure) -> str:
    """UNIMARC 100$a 26-33, or what there is of it."""
    for tag, value in structure.fields:
        if tag == b"100" and value[2:4] == b"\x1fa":
            return value[30:38].decode("ascii", "replace")
    return ""


def _to_utf8(structure: Structure, encoding: str) -> list[tuple[bytes, bytes]] | str:
    """The fields in UTF-8, or the reason why one cannot be read."""
    if encoding not in ("marc-8", "iso-5426"):  # a terminator is never part of a character
        try:
            whole = b"\x1e".join([value for _, value in structure.fields]).decode(encoding)
        except UnicodeDecodeError:
            pass  # gone through again below, to name the field
        else:
            tags = [tag for tag, _ in structure.fields]
            return list(zip(tags, whole.encode().split(b"\x1e"), strict=True))
    octets = []
    for tag, value in structure.fields:
        text = decode_text(value, encoding)
        if isinstance(text, Undecodable):
            return f"field {tag.decode()}: {text}"
        if text.count("\x1f") != value.count(b"\x1f"):
            structure.warnings.append(f"field {tag.decode()}: 1F inside an ideograph read as 7C")
        octets.append((tag, text.encode()))
    return octets


@dataclass(frozen=True, slots=True)
class EncodingFailure:
    """Why a record cannot go out as asked: a character the set lacks, or its size."""

    reason: str
    tag: str = ""
    character: str = ""


def encode_record(
    marc: bytes, family: MarcFamily, encoding: str, *, references: bool = False
) -> bytes | EncodingFailure:
    """A stored record as ISO 2709 in `encoding`, one of `charset.OUTPUT_ENCODINGS`.

    `references`: what the set lacks goes out as `&#x4E00;`.

    Raises:
        UnknownEncoding: `encoding` names no set that is written.
    """
    used = canonical_encoding(encoding)
    if used not in OUTPUT_ENCODINGS:
        raise UnknownEncoding(encoding)
    if used == "utf-8" and fits_iso2709(marc):
        return marc
    tags, texts = split_fields(marc, marc.decode())
    if used == "marc-8":
        values = []
        for tag, text in zip(tags, texts, strict=True):
            value = encode_text(text, used, references=references)
            if isinstance(value, Unencodable):
                return EncodingFailure(f"field {tag}: {value}", tag, value.character)
            values.append(value)
    else:  # these have every character, and are faster over the whole record
        values = "\x1e".join(texts).encode(used).split(b"\x1e")
    leader = marc[:LEADER_SIZE_BYTES]
    if family is MarcFamily.MARC21 and used != "utf-8":
        leader = leader[:9] + b" " + leader[10:]
    try:
        return assemble(leader, list(zip(map(str.encode, tags), values, strict=True)))
    except RecordTooLong as error:
        return EncodingFailure(str(error), error.tag)
