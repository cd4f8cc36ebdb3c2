"""The octets of ISO 2709: framing of files, and the directory of one record.

Nothing here knows a character set. Sources: ISO 2709:2008 §4; MARC 21
"Record Structure, Character Sets, and Exchange Media", record structure.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from typing import BinaryIO

RECORD_TERMINATOR = 0x1D
FIELD_TERMINATOR = 0x1E
SUBFIELD_DELIMITER = 0x1F
LEADER_SIZE_BYTES = 24
ENTRY_SIZE_BYTES = 12
RECORD_SIZE_BYTES_MAX = 99_999  # five digits of leader 0-4
FIELD_SIZE_BYTES_MAX = 9_999  # four digits of a directory entry, terminator included
FRAME_SIZE_BYTES_MAX = 16 * 1024 * 1024  # what `split` holds of one unterminated record
READ_SIZE_BYTES = 1024 * 1024

# A leader and the first directory entry after it: what a record must begin with
# to be believed where nothing else says that a record begins. Directories are
# mostly digits, so the letter at leader/06 is what keeps this out of them.
_RECORD_START = re.compile(
    rb"[0-9]{5}[A-Za-z ][A-Za-z][A-Za-z0-9 |#-]{3}22[0-9]{5}[\x20-\x7e]{7}"  # leader
    rb"[0-9A-Za-z]{3}[0-9]{9}"  # tag, length, start
)
_LEADER_CONTROLS = re.compile(rb"[^\x20-\x7e]")
_BETWEEN_RECORDS = b"\r\n\0\x1a"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class MalformedRecord(ValueError):  # noqa: N818 - the name says what it is
    """Octets that were taken for a well-formed record are none; the text says where."""


class RecordTooLong(Exception):  # noqa: N818 - a property of the record, not a fault
    """A record or field has more octets than ISO 2709's length digits can count.

    `tag` is empty when the whole record is meant; `size_bytes` is what it
    would need, `limit_bytes` what there is room for.
    """

    def __init__(self, size_bytes: int, limit_bytes: int, tag: str = "") -> None:
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes
        self.tag = tag
        what = f"field {tag}" if tag else "the record"
        super().__init__(f"{what} needs {size_bytes} octets, ISO 2709 allows {limit_bytes}")


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record's octets as they lie in a file, record terminator included.

    `offset` counts octets from the start of the file.
    """

    offset: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A record that cannot be read, and why.

    `offset` counts octets from the start of the file (0 when the record came
    alone); `control_number` is field 001 as far as it can be made out, or "".
    """

    offset: int
    control_number: str
    reason: str


@dataclass(slots=True)
class Structure:
    """A record taken apart: fields in directory order, without terminators.

    `exact`: the octets were a correct ISO 2709 record and need no rebuilding.
    """

    leader: bytes
    fields: list[tuple[bytes, bytes]]
    exact: bool = True
    warnings: list[str] = field(default_factory=list)


def dissect(raw: bytes) -> Structure | str:
    """Take `raw` apart, mending what can be mended in one way only.

    Mended, with a warning: record length, base address, entries that count
    characters or are off while the field terminators agree with the
    directory's number of entries, blanks for NUL in the leader, octets that no
    entry points to. Returns the reason, a sentence, for anything else.
    """
    if len(raw) < LEADER_SIZE_BYTES + 2:
        return f"{len(raw)} octets are too few for a record"
    structure = _dissect_exact(raw)
    if structure is not None:
        return structure
    leader, warnings = _mend_leader(raw[:LEADER_SIZE_BYTES])
    if leader is None:
        return "the leader is not ASCII"
    directory_end = raw.find(FIELD_TERMINATOR, LEADER_SIZE_BYTES)
    directory = raw[LEADER_SIZE_BYTES:directory_end]
    if directory_end < 0 or not directory:
        return "there is no directory"
    if leader[:5] != b"%05d" % len(raw):
        warnings.append(
            f"leader 0-4 says {_printable(leader[:5])}, the record has {len(raw)} octets"
        )
    if leader[12:17] != b"%05d" % (directory_end + 1):
        warnings.append(
            f"leader 12-16 says {_printable(leader[12:17])}, data begin at {directory_end + 1}"
        )
    data = raw[directory_end + 1 :].removesuffix(b"\x1d")
    if data and data[-1] != FIELD_TERMINATOR:
        warnings.append("the last field has no terminator")
        data += b"\x1e"
    fields = _match(directory, data, warnings)
    if isinstance(fields, str):
        return fields
    for tag, value in fields:
        if RECORD_TERMINATOR in value:
            return f"field {tag.decode()} has a record terminator inside"
    # Only the order of entries may differ from the plain case; that is correct.
    return Structure(leader, fields, exact=not warnings, warnings=warnings)


def _dissect_exact(raw: bytes) -> Structure | None:
    """The usual record: everything correct, fields in the order of the directory."""
    leader = raw[:LEADER_SIZE_BYTES]
    if not (raw[:5].isdigit() and raw[12:17].isdigit() and raw[10:12] == b"22"):
        return None
    base = int(raw[12:17])
    count = (base - LEADER_SIZE_BYTES - 1) // ENTRY_SIZE_BYTES
    if (
        int(raw[:5]) != len(raw)
        or raw[-2:] != b"\x1e\x1d"
        or count < 1
        or base != LEADER_SIZE_BYTES + ENTRY_SIZE_BYTES * count + 1
        or raw.find(FIELD_TERMINATOR) != base - 1
        or raw.find(RECORD_TERMINATOR) != len(raw) - 1
        or _LEADER_CONTROLS.search(leader)
    ):
        return None
    values = raw[base:-2].split(b"\x1e")
    if len(values) != count:
        return None
    columns = _entries_layout(count).unpack_from(raw, LEADER_SIZE_BYTES)
    tags = columns[0::2]
    sizes = [len(value) + 1 for value in values]
    starts = accumulate(sizes, initial=0)
    if columns[1::2] != tuple(map(b"%04d%05d".__mod__, zip(sizes, starts, strict=False))):
        return None
    if not b"".join(tags).isalnum():
        return None
    return Structure(leader, list(zip(tags, values, strict=True)))


@lru_cache(maxsize=512)
def _entries_layout(count: int) -> struct.Struct:
    return struct.Struct("3s9s" * count)


def _mend_leader(leader: bytes) -> tuple[bytes | None, list[str]]:
    warnings: list[str] = []
    if not leader.isascii():
        return None, warnings
    if _LEADER_CONTROLS.search(leader):
        leader = _LEADER_CONTROLS.sub(b" ", leader)
        warnings.append("control characters in the leader became blanks")
    if leader[10:12] != b"22":
        warnings.append(f"leader 10-11 says {_printable(leader[10:12])}, not 22")
        leader = leader[:10] + b"22" + leader[12:]
    return leader, warnings


def _match(directory: bytes, data: bytes, warnings: list[str]) -> list[tuple[bytes, bytes]] | str:
    """The fields of `data` with the tags of `directory`, or why that cannot be."""
    if len(directory) % ENTRY_SIZE_BYTES:
        fields = _by_wide_entries(directory, data)
        if fields is None:
            size = len(directory)
            return f"the directory has {size} octets, not a multiple of {ENTRY_SIZE_BYTES}"
        warnings.append("the directory has entries of more than 12 octets")
        return fields
    entries = [
        directory[i : i + ENTRY_SIZE_BYTES] for i in range(0, len(directory), ENTRY_SIZE_BYTES)
    ]
    for entry in entries:
        if not entry[:3].isalnum():
            return f"the directory has a tag {_printable(entry[:3])}"
    return _by_position(entries, data, warnings) or _by_terminator(entries, data, warnings)


def _by_wide_entries(directory: bytes, data: bytes) -> list[tuple[bytes, bytes]] | None:
    """Fields of a directory that writes big numbers in as many digits as they need."""
    fields = []
    at = start = 0
    for value in data.split(b"\x1e")[:-1]:
        tag = directory[at : at + 3]
        numbers = b"%04d%05d" % (len(value) + 1, start)
        if not tag.isalnum() or not directory.startswith(numbers, at + 3):
            return None
        fields.append((tag, value))
        at += 3 + len(numbers)
        start += len(value) + 1
    return fields if at == len(directory) else None


def _by_position(
    entries: Sequence[bytes], data: bytes, warnings: list[str]
) -> list[tuple[bytes, bytes]] | None:
    """Fields where the directory puts them; None when it is wrong anywhere."""
    fields = []
    sizes: dict[int, int] = {}
    for entry in entries:
        if not entry[3:].isdigit():
            return None
        size, start = int(entry[3:7]), int(entry[7:])
        end = start + size
        if size == 0 or end > len(data) or (start and data[start - 1] != FIELD_TERMINATOR):
            return None
        # The field's own terminator must be the first one: a field terminator
        # inside a field could not be told from the end of it later on.
        if data.find(FIELD_TERMINATOR, start, end) != end - 1:
            return None
        fields.append((entry[:3], data[start : end - 1]))
        sizes[start] = size
    if len(sizes) < len(entries):
        warnings.append("directory entries share data")
    if unlisted := len(data) - sum(sizes.values()):
        warnings.append(f"{unlisted} octets of data belong to no directory entry")
    return fields


def _by_terminator(
    entries: Sequence[bytes], data: bytes, warnings: list[str]
) -> list[tuple[bytes, bytes]] | str:
    """Fields as the terminators divide them, matched to the entries by their order."""
    values = data.split(b"\x1e")[:-1]
    if len(values) != len(entries):
        return f"the directory lists {len(entries)} fields, the data hold {len(values)}"
    starts = [entry[7:] for entry in entries]
    order = list(range(len(entries)))
    # Past 99,999 octets the digits of a start no longer tell the order.
    if starts != sorted(starts) and len(data) <= RECORD_SIZE_BYTES_MAX:
        if not all(start.isdigit() for start in starts) or len(set(starts)) != len(starts):
            return "the directory's starting positions are neither right nor in an order"
        order.sort(key=starts.__getitem__)
    fields: list[tuple[bytes, bytes]] = [(b"", b"")] * len(entries)
    for value, index in zip(values, order, strict=True):
        tag = entries[index][:3]
        if tag.startswith(b"00") == (value[2:3] == b"\x1f"):
            return f"the directory is wrong and data for {tag.decode()} look like another field's"
        fields[index] = (tag, value)
    warnings.append("the directory's lengths or positions are wrong; fields taken by terminator")
    return fields


def assemble(
    leader: bytes, fields: Sequence[tuple[bytes, bytes]], *, oversize: bool = False
) -> bytes:
    """Write a record: lengths count octets; only leader 0-4 and 12-16 change.

    `oversize` allows a record beyond the limits of ISO 2709, for keeping, not
    for sending: each number that does not fit is written as all nines, and
    readers of such a record go by its terminators.

    Raises:
        RecordTooLong: a number does not fit and `oversize` is false.
        MalformedRecord: the leader is not 24 octets, or a tag not 3.
    """
    if len(leader) != LEADER_SIZE_BYTES:
        raise MalformedRecord(f"a leader of {len(leader)} octets")
    tags = [tag for tag, _ in fields]
    values = [value for _, value in fields]
    if any(len(tag) != 3 for tag in tags):
        raise MalformedRecord("a tag that has not three octets")
    sizes = [len(value) + 1 for value in values]
    base = LEADER_SIZE_BYTES + ENTRY_SIZE_BYTES * len(fields) + 1
    size_bytes = base + sum(sizes) + 1
    starts = list(accumulate(sizes, initial=0))
    if size_bytes > RECORD_SIZE_BYTES_MAX or max(sizes, default=0) > FIELD_SIZE_BYTES_MAX:
        if not oversize:
            raise _too_long(size_bytes, tags, sizes)
        size_bytes = min(size_bytes, RECORD_SIZE_BYTES_MAX)
        base = min(base, RECORD_SIZE_BYTES_MAX)
        starts = [min(start, RECORD_SIZE_BYTES_MAX) for start in starts]
        sizes = [min(size, FIELD_SIZE_BYTES_MAX) for size in sizes]
    directory = map(b"%b%04d%05d".__mod__, zip(tags, sizes, starts, strict=False))
    return b"".join(
        (
            b"%05d" % size_bytes,
            leader[5:12],
            b"%05d" % base,
            leader[17:],
            *directory,
            b"\x1e",
            b"\x1e".join(values),
            b"\x1e\x1d" if values else b"\x1d",
        )
    )


def _too_long(size_bytes: int, tags: list[bytes], sizes: list[int]) -> RecordTooLong:
    for tag, size in zip(tags, sizes, strict=True):
        if size > FIELD_SIZE_BYTES_MAX:
            return RecordTooLong(size, FIELD_SIZE_BYTES_MAX, tag.decode("ascii", "replace"))
    return RecordTooLong(size_bytes, RECORD_SIZE_BYTES_MAX)


def fits_iso2709(marc: bytes) -> bool:
    """Whether a kept record may go out as ISO 2709: no length was cut to nines."""
    if len(marc) > RECORD_SIZE_BYTES_MAX:
        return False
    if marc.find(b"9999", LEADER_SIZE_BYTES, int(marc[12:17])) < 0:
        return True
    structure = dissect(marc)
    return isinstance(structure, Structure) and structure.exact


def split(stream: BinaryIO | bytes) -> Iterator[RawRecord | RefusedRecord]:
    """Cut a file into records, and go on after whatever is none.

    Wrong lengths in leaders, octets between records and a record whose
    terminator is missing do not touch the neighbours. A record is given out
    with its record terminator; whether its directory holds is for `dissect`.
    Memory: one read of 1 MiB and one record of at most 16 MiB.
    """
    frames = _Frames(io.BytesIO(stream) if isinstance(stream, bytes) else stream)
    while (record := frames.next_record()) is not None:
        yield record


class _Frames:
    """A file read through a window that begins at the record in hand."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._window = b""
        self._at = 0  # in the window
        self._window_offset = 0  # of the window, in the file
        self._ended = False

    def next_record(self) -> RawRecord | RefusedRecord | None:
        if not self._skip_to_record():
            return None
        offset = self._window_offset + self._at
        end = self._declared_end()
        first = self._window.find(RECORD_TERMINATOR, self._at, end or None)
        if end and first == end - 1:
            return RawRecord(offset, self._take(end))
        first = self._find_terminator()
        if end and first < end - 1 and self._holds_terminator_inside(first, end):
            return RawRecord(offset, self._take(end))
        return self._take_irregular(offset, first + 1 if first >= 0 else 0)

    def _read_more(self) -> bool:
        chunk = b"" if self._ended else self._stream.read(READ_SIZE_BYTES)
        if not chunk:
            self._ended = True
            return False
        self._window = self._window[self._at :] + chunk
        self._window_offset += self._at
        self._at = 0
        return True

    def _skip_to_record(self) -> bool:
        """Pass octets that stand between records; False at the end of the file."""
        while True:
            if self._window_offset + self._at == 0 and self._window.startswith(_BYTE_ORDER_MARK):
                self._at = len(_BYTE_ORDER_MARK)
            window, at = self._window, self._at
            while at < len(window) and window[at] in _BETWEEN_RECORDS:
                at += 1
            self._at = at
            if len(window) - at >= LEADER_SIZE_BYTES:
                return True
            if not self._read_more():
                return bool(self._window[self._at :].strip())

    def _declared_end(self) -> int:
        """Where the leader says that the record ends, or 0 if no terminator is there."""
        digits = self._window[self._at : self._at + 5]
        if not digits.isdigit():
            return 0
        size = int(digits)
        while self._at + size > len(self._window):
            if not self._read_more():
                return 0
        end = self._at + size
        return end if size > LEADER_SIZE_BYTES and self._window[end - 1] == RECORD_TERMINATOR else 0

    def _find_terminator(self) -> int:
        searched = 0
        while (found := self._window.find(RECORD_TERMINATOR, self._at + searched)) < 0:
            searched = len(self._window) - self._at
            if searched > FRAME_SIZE_BYTES_MAX or not self._read_more():
                return -1
        return found

    def _holds_terminator_inside(self, first: int, end: int) -> bool:
        """Whether the terminator at `first` is data of the record that ends at `end`."""
        rest = self._window[first + 1 : end].lstrip(_BETWEEN_RECORDS)
        return _RECORD_START.match(rest) is None

    def _take_irregular(self, offset: int, end: int) -> RawRecord | RefusedRecord | None:
        """A record whose length is wrong, or that has no terminator, or that is none."""
        start, stop = self._at, end or len(self._window)
        # An unterminated record must not swallow the one that follows it.
        inner = _RECORD_START.search(self._window, start + 1, stop)
        if inner is None:
            raw = self._take(stop)
            if end:
                return RawRecord(offset, raw)
            return self._refuse_unterminated(offset, raw) if raw.strip() else None
        raw = self._take(inner.start()).rstrip(_BETWEEN_RECORDS)
        if not raw.strip():
            return self.next_record()
        if raw.endswith(b"\x1e"):
            return RawRecord(offset, raw + b"\x1d")
        return self._refuse_unterminated(offset, raw)

    def _refuse_unterminated(self, offset: int, raw: bytes) -> RefusedRecord:
        declared = raw[:5].decode("ascii", "replace")
        return RefusedRecord(
            offset,
            guess_control_number(raw),
            f"no record terminator within {len(raw)} octets (leader 0-4 says {declared})",
        )

    def _take(self, end: int) -> bytes:
        raw = self._window[self._at : end]
        self._at = end
        return raw


def guess_control_number(raw: bytes) -> str:
    """Field 001 of a record that may be broken, for a report; "" if there is none."""
    if not raw.startswith(b"001", LEADER_SIZE_BYTES):
        return ""
    start = raw.find(FIELD_TERMINATOR, LEADER_SIZE_BYTES) + 1
    end = raw.find(FIELD_TERMINATOR, start)
    value = raw[start : min(end if end >= 0 else len(raw), start + 64)] if start else b""
    return value.decode("ascii", "backslashreplace").strip()


def _printable(octets: bytes) -> str:
    return repr(octets.decode("latin-1"))
