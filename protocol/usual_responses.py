"""The responses that nearly every request is answered with, encoded in parts.

A PresentResponse with one octet-aligned record ends with the record's octets,
and all before them depends on little but their number; so does what stands before
each of several. A SearchResponse without records has nothing but numbers. These
are kept, made by `apdu.encode`.
Without a reference id: one is the client's own, and seldom the same twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from protocol import ber
from protocol.apdu import (
    External,
    NamePlusRecord,
    PresentResponse,
    PresentStatus,
    SearchResponse,
    encode,
)
from protocol.oid import Oid

_KEPT = 8192

# Identifier octets of a PresentResponse and of its components (Z39.50-2003 §4.1).
_PRESENT_RESPONSE = b"\xb9"
_RETURNED, _NEXT_POSITION, _RECORDS = b"\x98", b"\x99", b"\xbc"
_SUCCESS = b"\x9b" + ber.write_integer(PresentStatus.SUCCESS)


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
