"""SRU Record Update: who may, what must hold before, and what becomes of it.

A request is read whole and checked against the record it names; what it asks
is not carried out yet, and the answer says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol import iso2709
from protocol.diagnostic import Diagnostic, SruDiagnostic
from protocol.diagnostic_map import to_sru
from protocol.iso2709 import RefusedRecord
from protocol.marcxml_reader import decode_marcxml
from protocol.query import Clause, Structure
from protocol.record import Database, StoredRecord
from protocol.sru_update import (
    RecordVersion,
    UpdateDiagnostic,
    UpdateFault,
    UpdateRequest,
)
from server.service import Service
from store.interface import Catalogue

NOT_YET = "the request is in order, but records cannot be changed over SRU yet"
# How a client may name a version: the catalogue's count of them, or field 005.
NUMBER, TIMESTAMP = "number", "timestamp"


async def refusal(
    service: Service, databases: Sequence[Database], request: UpdateRequest
) -> tuple[UpdateFault, tuple[RecordVersion, ...]]:
    """Why an update cannot be made, and the versions of the record as it stands."""
    if request.faults:
        return request.faults[0], ()
    if len(databases) != 1:
        details = "name one database in the address"
        return UpdateFault(SruDiagnostic.DATABASE_UNKNOWN, details), ()
    database = databases[0]
    if request.record:
        decoded = decode_marcxml(request.record, database.family)
        if isinstance(decoded, RefusedRecord):
            return UpdateFault(UpdateDiagnostic.INVALID_STRUCTURE, decoded.reason[:500]), ()
    if request.action == "create":
        return UpdateFault(UpdateDiagnostic.DATABASE_ERROR, NOT_YET), ()
    record = await _record(service.catalogue, database, request.identifier)
    if isinstance(record, UpdateFault):
        return record, ()
    versions = versions_of(record)
    fault = _version_fault(request.versions, versions)
    return fault or UpdateFault(UpdateDiagnostic.DATABASE_ERROR, NOT_YET), versions


def versions_of(record: StoredRecord) -> tuple[RecordVersion, ...]:
    """The version of a record in each of the ways that a client may name it."""
    timestamp = iso2709.control_field(record.marc, "005")
    number = RecordVersion(NUMBER, str(record.version))
    return (number, RecordVersion(TIMESTAMP, timestamp)) if timestamp else (number,)


async def _record(
    catalogue: Catalogue, database: Database, identifier: str
) -> StoredRecord | UpdateFault:
    """The record of that control number; several or none is a fault."""
    query = Clause("control_number", identifier, structure=Structure.KEY)
    found = await catalogue.search((database,), query, {})
    if isinstance(found, Diagnostic):
        fault = to_sru(found)
        return UpdateFault(fault.condition, fault.details)
    ids = found.ids(1, min(len(found), 100))
    if isinstance(ids, Diagnostic):
        return UpdateFault(UpdateDiagnostic.INVALID_IDENTIFIER, identifier[:80])
    details = identifier[:80]
    for record in await catalogue.fetch(ids):
        if record is None or record.deleted:
            continue
        # The access point has numbers of other systems, too.
        if record.control_number == identifier:
            return record
        if identifier in catalogue.former_numbers(record):
            details = f"{identifier[:80]} was merged into {record.control_number}"
    return UpdateFault(UpdateDiagnostic.RECORD_NOT_FOUND, details)


def _version_fault(
    named: Sequence[RecordVersion], current: Sequence[RecordVersion]
) -> UpdateFault | None:
    """Set when the record is not of every version that the client named."""
    for version in named:
        kind = version.kind.lower() or NUMBER
        value = next((each.value for each in current if each.kind == kind), None)
        if value is None or value != version.value:
            details = f"{version.kind} {version.value}, the record has {value or 'none'}"
            return UpdateFault(UpdateDiagnostic.INVALID_VERSION, details[:200])
    return None
