"""The responses that nearly every request is answered with, encoded in parts.

A PresentResponse with one octet-aligned record ends with the record's octets,
and all before them depends on little but their number; a SearchResponse
without records has nothing but numbers. Both are kept, made by `apdu.encode`.
Without a reference id: one is the client's own, and seldom the same twice.
"""

from __future__ import annotations

from functools import lru_cache

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
