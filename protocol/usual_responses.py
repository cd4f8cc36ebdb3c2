"""The responses that nearly every request is answered with, encoded in parts.

A PresentResponse with one octet-aligned record ends with the record's octets,
and all before them depends on little but their number; so does what stands before
each of several. A SearchResponse without records has nothing but numbers. These
are kept, made by `apdu.encode`.
Without a reference id: one is the client's own, and seldom the same twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from protocol import ber
from protocol.apdu import (
    External,
    NamePlusRecord,
    PresentResponse,
    PresentStatus,
    ScanResponse,
    ScanStatus,
    SearchResponse,
    SortResponse,
    SortStatus,
    encode,
)
from protocol.oid import Oid

_KEPT = 8192

# Identifier octets of a PresentResponse and of its components (Z39.50-2003 §4.1).
_PRESENT_RESPONSE = b"\xb9"
_RETURNED, _NEXT_POSITION, _RECORDS = b"\x98", b"\x99", b"\xbc"
_SUCCESS = b"\x9b" + ber.write_integer(PresentStatus.SUCCESS)
# Those of a ScanResponse.
_SCAN_RESPONSE, _LIST_ENTRIES, _ENTRIES, _TERM_INFO = b"\xbf\x24", b"\xa7", b"\xa1", b"\xa1"
_GENERAL_TERM, _DISPLAY_TERM, _OCCURRENCES = b"\x9f\x2d", b"\x80", b"\x82"


@lru_cache(_KEPT)
def no_records(hits: int, next_position: int) -> bytes:
    """The response to a successful Search that no record comes with."""
    return encode(
        SearchResponse(
            result_count=hits,
            number_of_records_returned=0,
            next_result_set_position=next_position,
            search_status=True,
            present_status=PresentStatus.SUCCESS,
        )
    )


@lru_cache(_KEPT)
def before_record(database: str, syntax: Oid, size_bytes: int, next_position: int) -> bytes:
    """A PresentResponse with one record of so many octets, up to these."""
    record = External(syntax, bytes(size_bytes))
    response = encode(
        PresentResponse(
            number_of_records_returned=1,
            next_result_set_position=next_position,
            present_status=PresentStatus.SUCCESS,
            records=(NamePlusRecord(name=database, record=record),),
        )
    )
    return response[: len(response) - size_bytes]


def with_records(records: Sequence[tuple[str, Oid, bytes]], next_position: int) -> bytes:
    """A PresentResponse with whole records, each as its database, syntax and octets."""
    parts: list[bytes] = []
    size = 0
    for database, syntax, content in records:
        before = _before_octets(database, syntax, len(content))
        size += len(before) + len(content)
        parts += (before, content)
    before_records = b"".join((
        _RETURNED, ber.write_integer(len(records)),
        _NEXT_POSITION, ber.write_integer(next_position),
        _SUCCESS, _RECORDS, ber.write_length(size),
    ))  # fmt: skip
    length = ber.write_length(len(before_records) + size)
    return b"".join((_PRESENT_RESPONSE, length, before_records, *parts))


@lru_cache(_KEPT)
def _before_octets(database: str, syntax: Oid, size_bytes: int) -> bytes:
    """One record of so many octets as a NamePlusRecord, up to these."""
    response = before_record(database, syntax, size_bytes, 1)
    records_at = response.index(_SUCCESS) + len(_SUCCESS)
    _, offset, _ = ber.read_header(response, records_at)
    return response[offset:]


@lru_cache(_KEPT)
def in_order(result_count: int | None) -> bytes:
    """The response to a Sort that succeeded."""
    return encode(SortResponse(sort_status=SortStatus.SUCCESS, result_count=result_count))


def term_info(term: bytes, display: bytes | None, occurrences: int) -> bytes:
    """One entry of a ScanResponse."""
    content = ber.wrap(_GENERAL_TERM, term)
    if display is not None:
        content += ber.wrap(_DISPLAY_TERM, display)
    if occurrences < len(ber.SMALL_INTEGERS):
        return ber.wrap(_TERM_INFO, content + _OCCURRENCES + ber.SMALL_INTEGERS[occurrences])
    return ber.wrap(_TERM_INFO, content + _OCCURRENCES + ber.write_integer(occurrences))


def scanned(
    entries: Sequence[bytes],
    position: int,
    *,
    is_whole: bool,
    step_size: int,
    attribute_set: Oid | None,
) -> bytes:
    """A ScanResponse with some `term_info`; not `is_whole`: the list of terms ends there."""
    before, after = _around_entries(len(entries), position, is_whole, step_size, attribute_set)
    listed = ber.wrap(_LIST_ENTRIES, ber.wrap(_ENTRIES, b"".join(entries)))
    return ber.wrap(_SCAN_RESPONSE, before + listed + after)


@lru_cache(_KEPT)
def _around_entries(
    count: int, position: int, is_whole: bool, step_size: int, attribute_set: Oid | None
) -> tuple[bytes, bytes]:
    """The components of a ScanResponse before its entries, and those after them."""
    status = ScanStatus.SUCCESS if is_whole else ScanStatus.PARTIAL_5
    numbers = ScanResponse(
        step_size=step_size, scan_status=status, number_of_entries_returned=count,
        position_of_term=position,
    )  # fmt: skip
    whole = replace(numbers, attribute_set=attribute_set)
    before, all_but_entries = _components(numbers), _components(whole)
    return before, all_but_entries[len(before) :]


def _components(response: ScanResponse) -> bytes:
    data = encode(response)
    _, offset, _ = ber.read_header(data, 0)
    return data[offset:]
