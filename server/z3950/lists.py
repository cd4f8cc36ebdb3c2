"""Scan and Sort (Z39.50-2003 §3.2.7, §3.2.8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from protocol import apdu, rpn
from protocol.charset import decode_text, encode_text
from protocol.diagnostic import Bib1, Diagnostic
from protocol.oid import BIB_1
from protocol.query import SortSpec
from server.access_control.databases import databases_for
from server.access_control.permissions import Operation, refusal, to_bib1
from server.access_control.principal import Principal
from server.service import Service
from server.z3950.init import Negotiated
from server.z3950.sets import too_large
from server.z3950.sort_elements import sort_point
from store.interface import ResultSet, ScanResult, TermEntry

SCAN_TERMS_MAX = 1000
SCAN_STEP_SIZE_MAX = 1000
SORT_KEYS_MAX = 8

_MISSING = {
    None: "high",
    apdu.MissingValueAction.ABORT: "fail",
    apdu.MissingValueAction.NULL: "low",
}


_CASES = frozenset(apdu.CaseSensitivity)


async def scan(
    service: Service,
    request: apdu.ScanRequest,
    negotiated: Negotiated,
    principal: Principal,
) -> apdu.ScanResponse:
    """Answer a Scan: an ordered piece of the term list with exact counts."""
    found = await _scanned(service, request, negotiated, principal)
    if isinstance(found, Diagnostic):
        return apdu.ScanResponse(
            reference_id=request.reference_id,
            scan_status=apdu.ScanStatus.FAILURE,
            number_of_entries_returned=0,
            entries=apdu.ListEntries(nonsurrogate_diagnostics=(apdu.DefaultDiagFormat.of(found),)),
        )
    entries = [_entry(entry, negotiated.charsets.names) for entry in found.entries]
    kept = _that_fit(entries, negotiated.preferred_message_size)
    if len(kept) < len(entries):
        status = apdu.ScanStatus.PARTIAL_2
    elif len(entries) < request.number_of_terms_requested:
        status = apdu.ScanStatus.PARTIAL_5  # the list of terms ends there
    else:
        status = apdu.ScanStatus.SUCCESS
    return apdu.ScanResponse(
        reference_id=request.reference_id,
        step_size=request.step_size or 0,
        scan_status=status,
        number_of_entries_returned=len(kept),
        position_of_term=found.position,
        entries=apdu.ListEntries(entries=tuple(kept)),
        attribute_set=request.attribute_set,
    )


# Octets of an entry beside its texts, and of a response beside its entries; a
# reference id has at most so many as the client's request.
_ENTRY_OCTETS = 32
_DIAGNOSTIC_OCTETS = 256
_RESPONSE_OCTETS = 256


def _that_fit(entries: Sequence[apdu.Entry], size_bytes: int) -> Sequence[apdu.Entry]:
    """The first of the entries that go into a message of `size_bytes`, at least one."""
    left = size_bytes - _RESPONSE_OCTETS
    for place, entry in enumerate(entries):
        left -= _ENTRY_OCTETS
        if isinstance(entry, apdu.TermInfo) and isinstance(entry.term, bytes):
            display = (entry.display_term or "").encode("utf-8", "surrogateescape")
            left -= len(entry.term) + len(display)
        elif not isinstance(entry, apdu.TermInfo):
            left -= _DIAGNOSTIC_OCTETS
        if left < 0 and place:
            return entries[:place]
    return entries


def _entry(entry: TermEntry, charset: str) -> apdu.Entry:
    """One term in the session's character set; one that the set lacks is diagnostic 1072."""
    term = _written(entry.term, charset)
    display = _written(entry.display, charset) if entry.display != entry.term else None
    if isinstance(term, Diagnostic):
        return apdu.SurrogateDiagnostic(apdu.DefaultDiagFormat.of(term))
    return apdu.TermInfo(
        term=term,
        # The codec writes octets that are no UTF-8 as they came.
        display_term=display.decode("utf-8", "surrogateescape")
        if isinstance(display, bytes)
        else None,
        global_occurrences=entry.occurrences,
    )


def _written(text: str, charset: str) -> bytes | Diagnostic:
    octets = encode_text(text, charset)
    if isinstance(octets, bytes):
        return octets
    return Diagnostic(Bib1.TERM_NOT_IN_TARGET_CHARSET, str(octets))


async def _scanned(
    service: Service, request: apdu.ScanRequest, negotiated: Negotiated, principal: Principal
) -> ScanResult | Diagnostic:
    refused = refusal(principal, Operation.SCAN)
    if refused is not None:
        return to_bib1(refused)
    databases = databases_for(service.catalogue, request.database_names, principal, Operation.SCAN)
    if isinstance(databases, Diagnostic):
        return databases
    start = rpn.to_scan(
        request.attribute_set or BIB_1,
        request.term_list_and_start_point,
        negotiated.charsets.terms,
    )
    if isinstance(start, Diagnostic):
        return start
    count = request.number_of_terms_requested
    if count < 1:
        return Diagnostic(Bib1.MALFORMED_SCAN, f"{count} terms requested")
    if count > SCAN_TERMS_MAX:  # the list of diagnostics wants the maximum told
        return Diagnostic(Bib1.SCAN_TOO_MANY_TERMS, str(SCAN_TERMS_MAX))
    position = request.preferred_position_in_response
    step_size = request.step_size or 0
    if not 0 <= step_size <= SCAN_STEP_SIZE_MAX:
        return Diagnostic(Bib1.STEP_SIZE_UNSUPPORTED, str(step_size))
    return await service.catalogue.scan(
        databases,
        start.access_point,
        start.term,
        count=count,
        position=1 if position is None else position,
        step_size=step_size,
        phrases=start.phrases,
    )


async def sort(
    service: Service,
    request: apdu.SortRequest,
    negotiated: Negotiated,
    sets: dict[str, ResultSet],
    room_for: Callable[[str], Diagnostic | None],
) -> apdu.SortResponse:
    """Answer a Sort: the records of one or more sets, in a new order, as a set."""
    ordered = await _ordered(service, request, negotiated, sets, room_for)
    if isinstance(ordered, Diagnostic):
        kept = request.sorted_result_set_name in sets
        return apdu.SortResponse(
            reference_id=request.reference_id,
            sort_status=apdu.SortStatus.FAILURE,
            result_set_status=(
                apdu.SortResultSetStatus.UNCHANGED if kept else apdu.SortResultSetStatus.NONE
            ),
            diagnostics=(apdu.DefaultDiagFormat.of(ordered),),
        )
    sets[request.sorted_result_set_name] = ordered
    return apdu.SortResponse(
        reference_id=request.reference_id,
        sort_status=apdu.SortStatus.SUCCESS,
        result_count=len(ordered) if negotiated.counts_sorted else None,
    )


async def _ordered(
    service: Service,
    request: apdu.SortRequest,
    negotiated: Negotiated,
    sets: dict[str, ResultSet],
    room_for: Callable[[str], Diagnostic | None],
) -> ResultSet | Diagnostic:
    refusal = room_for(request.sorted_result_set_name)
    if refusal is not None:
        return refusal
    inputs = []
    for name in request.input_result_set_names:
        if name not in sets:
            return Diagnostic(Bib1.RESULT_SET_UNKNOWN, name)
        inputs.append(sets[name])
    if not inputs:
        return Diagnostic(Bib1.RESULT_SET_UNKNOWN)
    if not request.sort_sequence:
        return Diagnostic(Bib1.SORT_SEQUENCE_UNSUPPORTED, "no sort key")
    if len(request.sort_sequence) > SORT_KEYS_MAX:
        return Diagnostic(Bib1.TOO_MANY_SORT_KEYS, f"at most {SORT_KEYS_MAX}")
    keys = []
    for wire in request.sort_sequence:
        key = _sort_key(wire, negotiated.charsets.terms)
        if isinstance(key, Diagnostic):
            return key
        keys.append(key)
    made = await service.catalogue.sort(inputs, keys)
    if isinstance(made, Diagnostic):
        return made
    bytes_max = service.config.z3950.result_sets_bytes_max
    return too_large(sets, request.sorted_result_set_name, made, bytes_max) or made


def _sort_key(wire: apdu.SortKeySpec, charsets: Sequence[str]) -> SortSpec | Diagnostic:
    point = sort_point(wire.sort_element)
    if isinstance(point, Diagnostic):
        return point
    if wire.sort_relation not in (apdu.SortRelation.ASCENDING, apdu.SortRelation.DESCENDING):
        return Diagnostic(Bib1.ILLEGAL_SORT_RELATION, str(wire.sort_relation))
    if wire.case_sensitivity not in _CASES:
        return Diagnostic(Bib1.ILLEGAL_CASE_VALUE, str(wire.case_sensitivity))
    action = wire.missing_value_action
    if isinstance(action, bytes):
        value = _read(action, charsets)
        if isinstance(value, Diagnostic):
            return value
        missing = f"={value}"
    else:
        missing = _MISSING[action]
    return SortSpec(
        point.name,
        descending=wire.sort_relation == apdu.SortRelation.DESCENDING,
        case_sensitive=wire.case_sensitivity == apdu.CaseSensitivity.CASE_SENSITIVE,
        missing=missing,
    )


def _read(octets: bytes, charsets: Sequence[str]) -> str | Diagnostic:
    """The value to take for a missing one, in the first set that it is text in."""
    for charset in charsets:
        text = decode_text(octets, charset)
        if isinstance(text, str):
            return text
    return Diagnostic(Bib1.MALFORMED_SEARCH_TERM, f"not {' or '.join(charsets)}")
