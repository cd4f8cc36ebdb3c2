"""A page: several hundred deliveries of the ledger in one row, as columns.

A page is a MessagePack array with one item for each field of an entry from `id`
to `item`, in the order of `Entry`, and one more of check octets. An item is an
array with a value for each entry, or one value that all of them have. Where that
makes it smaller it is compressed (zlib).

Entries in a page are chained as those in rows are, and numbered from its
`first_seq`. Of each entry's hash the page keeps the first CHECK_SIZE_BYTES octets,
so that a reader who computes the chain again sees at which entry it breaks; the
whole hash stands beside the page for its last entry.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from metering.entry import FIELDS, Entry, Kind, Meter
from metering.interface import MeteringError

CHECK_SIZE_BYTES = 4
ENTRIES_MAX = 512  # a member's lines are found in few and read in little time
ENTRIES_MIN = 8  # fewer are rows
_COLUMNS = len(FIELDS) - 3  # without seq, previous and hash
_COMPRESS_SIZE_BYTES_MIN = 1_000
_ZLIB = b"\x78"  # MessagePack arrays of 18 begin otherwise

# `seq` to `item`
Contents = tuple[Any, ...]


class Page(NamedTuple):
    """One row of the table `page`."""

    first_seq: int
    entries: int
    oldest_us: int
    newest_us: int
    previous: bytes
    hash: bytes
    contents: bytes

    @property
    def last_seq(self) -> int:
        return self.first_seq + self.entries - 1


PAGE_COLUMNS = ", ".join(Page._fields)


class PageDamaged(MeteringError):  # noqa: N818
    """The octets of a page are none."""


def pack(rows: Sequence[Contents], previous: bytes, hashes: Sequence[bytes]) -> Page:
    """A page of entries that follow one another, with the hash of each."""
    columns = list(zip(*rows, strict=True))
    size = len(rows)
    packed: list[Any] = [
        column[0] if column[0] == column[-1] and column.count(column[0]) == size else column
        for column in columns[1:]
    ]
    packed.append(_checks(hashes))
    data = msgspec.msgpack.encode(packed)
    if len(data) >= _COMPRESS_SIZE_BYTES_MIN:
        data = zlib.compress(data, 1)
    times_us = columns[_AT_US]
    return Page(rows[0][0], size, min(times_us), max(times_us), previous, hashes[-1], data)


def unpack(page: Page) -> tuple[list[Contents], bytes]:
    """The contents of the entries and their check octets.

    Raises:
        PageDamaged: they cannot be read, or are not as many as the row says.
    """
    try:
        data = page.contents
        if data[:1] == _ZLIB:
            data = zlib.decompress(data)
        columns = msgspec.msgpack.decode(data, type=list)
        checks = columns.pop()
        lists = [column if isinstance(column, list) else repeat(column) for column in columns]
        seqs = range(page.first_seq, page.first_seq + page.entries)
        rows = list(zip(seqs, *lists, strict=False))
        sizes = {len(column) for column in columns if isinstance(column, list)}
    except (ValueError, TypeError, IndexError, zlib.error, msgspec.DecodeError) as error:
        raise PageDamaged(f"the page of entry {page.first_seq}: {error}") from error
    if (
        len(columns) != _COLUMNS
        or sizes - {page.entries}
        or not isinstance(checks, bytes)
        or len(checks) != CHECK_SIZE_BYTES * page.entries
    ):
        raise PageDamaged(f"the page of entry {page.first_seq} has not {page.entries} entries")
    return rows, checks


def entries(page: Page, wanted: Callable[[Contents], bool] | None = None) -> list[Entry]:
    """The entries of a page, all or those wanted, with the hashes of the whole chain."""
    rows, _ = unpack(page)
    chosen = range(len(rows)) if wanted is None else [n for n, r in enumerate(rows) if wanted(r)]
    if not chosen:
        return []
    hashes = chain(page.previous, rows[: chosen[-1] + 1])
    return [
        entry(rows[place], hashes[place - 1] if place else page.previous, hashes[place])
        for place in chosen
    ]


def chain(previous: bytes, rows: Sequence[Contents]) -> list[bytes]:
    """The hash of each of some entries that follow one another."""
    hashes = []
    encode, sha256 = msgspec.json.encode, hashlib.sha256
    for row in rows:  # as `entry_hash`, without calling it for each
        previous = sha256(previous + encode(row if row[-1] else row[:-1])).digest()
        hashes.append(previous)
    return hashes


def entry(contents: Contents, previous: bytes, own_hash: bytes) -> Entry:
    rest = (*contents[4:], previous, own_hash)
    return Entry(contents[0], contents[1], Kind(contents[2]), Meter(contents[3]), *rest)


def first_bad(
    page: Page, unpacked: tuple[list[Contents], bytes] | None = None
) -> tuple[str, int] | None:
    """The id and the number of the first entry that is not what was hashed.

    An id of "" means that the entries agree with their check octets but not with
    the hash beside the page. None: all is well. `unpacked` is what `unpack` gave.

    Raises:
        PageDamaged
    """
    rows, checks = unpacked or unpack(page)
    hashes = chain(page.previous, rows)
    if checks != _checks(hashes):
        for place, own in enumerate(hashes):
            begin = place * CHECK_SIZE_BYTES
            if checks[begin : begin + CHECK_SIZE_BYTES] != own[:CHECK_SIZE_BYTES]:
                # An id that is no text, or none at all, is told by its number.
                return str(rows[place][1] or rows[place][0]), rows[place][0]
    return None if hashes[-1] == page.hash else ("", page.last_seq)


def _checks(hashes: Sequence[bytes]) -> bytes:
    return b"".join([each[:CHECK_SIZE_BYTES] for each in hashes])


_AT_US = FIELDS.index("at_us")
_member = itemgetter(FIELDS.index("institution"), FIELDS.index("year"))


def members_of(rows: Sequence[Contents]) -> set[tuple[str, int]]:
    """Institution and accounting year of the entries of a page."""
    return set(map(_member, rows))


def ranges_of(ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Lowest and highest index by source, of ids that are `source:index`."""
    indexes: dict[str, list[int]] = {}
    source, behind = "", 0
    of_source: list[int] = []
    for each in ids:
        index = each[behind:]
        if not (behind and index.isdecimal() and each.startswith(source)):
            source, _, index = each.rpartition(":")
            of_source = indexes.setdefault(source, [])
            source += ":"
            behind = len(source)
        of_source.append(int(index))
    return {each: (min(some), max(some)) for each, some in indexes.items()}


def source_of(entry_id: str) -> tuple[str, int]:
    """The parts of an id `source:index`; an index of -1: it is none."""
    source, _, index = entry_id.rpartition(":")
    return (source, int(index)) if index.isdecimal() and index.isascii() else (entry_id, -1)
