"""The outcome of an upload in the words that both protocols share.

The conditions are those of SRU Record Update (info:srw/diagnostic/12). Bib-1 has
none for most of them, so Z39.50 is answered with a general one whose additional
information begins with the number and name of the exact one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from protocol.diagnostic import Bib1, Diagnostic
from protocol.record import StoredRecord
from protocol.sru_update import UpdateDiagnostic
from server.uploads.upload import Change, Done, Reason, Refused
from store.versions import identifier

CONFIRM = "confirm-duplicate"
DETAILS_CHARS_MAX = 1000

UPDATE_CONDITIONS: Mapping[Reason, UpdateDiagnostic] = {
    Reason.FORBIDDEN: UpdateDiagnostic.NOT_AUTHORISED,
    Reason.NOT_OWN: UpdateDiagnostic.NOT_AUTHORISED,
    Reason.MALFORMED: UpdateDiagnostic.INVALID_STRUCTURE,
    Reason.INVALID: UpdateDiagnostic.INVALID_STRUCTURE,
    Reason.INCOMPLETE: UpdateDiagnostic.MISSING_ELEMENT,
    Reason.DUPLICATE: UpdateDiagnostic.SUSPECT_DUPLICATE,
    Reason.UNNAMED: UpdateDiagnostic.INVALID_IDENTIFIER,
    Reason.UNKNOWN: UpdateDiagnostic.RECORD_NOT_FOUND,
    Reason.MERGED: UpdateDiagnostic.RECORD_NOT_FOUND,
    Reason.AMBIGUOUS: UpdateDiagnostic.SEVERAL_RECORDS,
    Reason.NO_VERSION: UpdateDiagnostic.INVALID_VERSION,
    Reason.STALE: UpdateDiagnostic.INVALID_VERSION,
    Reason.HELD: UpdateDiagnostic.LINKED_RECORDS,
    Reason.BUSY: UpdateDiagnostic.DATABASE_ERROR,
    Reason.UNAVAILABLE: UpdateDiagnostic.DATABASE_ERROR,
}
# By the name of a reason, which those of holdings share.
_BIB1 = {
    "FORBIDDEN": Bib1.ES_ID_NOT_AUTHORISED,
    "NOT_OWN": Bib1.ES_CANNOT_MODIFY,
    "BUSY": Bib1.TEMPORARY_SYSTEM_ERROR,
    "UNAVAILABLE": Bib1.TEMPORARY_SYSTEM_ERROR,
}


def bib1_diagnostic(refused: Refused) -> Diagnostic:
    """What a Z39.50 client is told of a refusal."""
    return as_bib1(refused.reason, UPDATE_CONDITIONS[refused.reason], refused.text)


def as_bib1(reason: Enum, condition: UpdateDiagnostic, text: str) -> Diagnostic:
    """A refusal for Bib-1, which has few conditions: the addinfo says which one of SRU's it is."""
    details = f"{condition.value} {condition.message}: {text}"
    return Diagnostic(_BIB1.get(reason.name, Bib1.ES_IMMEDIATE_FAILED), details[:DETAILS_CHARS_MAX])


def version_of(record: StoredRecord) -> str:
    """The 005 of a record as it is delivered."""
    return identifier(record.marc, record.modified_us)


def told(done: Done) -> Sequence[tuple[str, str]]:
    """What became of a record, as names and values for people and programs alike."""
    rows = [
        ("control-number", done.record.control_number),
        ("change", done.change.value),
        ("version", str(done.record.version)),
        ("005", version_of(done.record)),
    ]
    if done.change in (Change.CREATED, Change.UNCHANGED) and done.credit:
        rows.append(("credit", done.credit))
    rows += [("note", note) for note in done.notes]
    rows += [
        ("warning", f"{each.field}: {each.message()} / {each.message(chinese=True)}")
        for each in done.findings
    ]
    return rows
