"""The outcome of a change of holdings in the words that both protocols share.

As of uploads (`server/uploads/terms.py`): the conditions are those of SRU Record
Update, and Z39.50's additional information begins with the exact one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from protocol.diagnostic import Diagnostic
from protocol.sru_update import UpdateDiagnostic
from server.holdings.change import Done, Reason, Refused
from server.uploads.terms import as_bib1
from store.holdings_finder import CANDIDATES_MAX

HOLDINGS = "holdings"  # says that a record is sent for the holdings in it alone
REMOVE = "remove-holdings"  # and that they are held no more

CONDITIONS: Mapping[Reason, UpdateDiagnostic] = {
    Reason.FORBIDDEN: UpdateDiagnostic.NOT_AUTHORISED,
    Reason.NOT_OWN: UpdateDiagnostic.NOT_AUTHORISED,
    Reason.MALFORMED: UpdateDiagnostic.INVALID_STRUCTURE,
    Reason.EXCESS: UpdateDiagnostic.INVALID_STRUCTURE,
    Reason.UNNAMED: UpdateDiagnostic.INVALID_IDENTIFIER,
    Reason.UNKNOWN: UpdateDiagnostic.RECORD_NOT_FOUND,
    Reason.AMBIGUOUS: UpdateDiagnostic.SEVERAL_RECORDS,
    Reason.CONTRADICTION: UpdateDiagnostic.SEVERAL_RECORDS,
    Reason.DATABASE: UpdateDiagnostic.RECORD_NOT_FOUND,
    Reason.HELD: UpdateDiagnostic.SUSPECT_DUPLICATE,
    Reason.NOT_HELD: UpdateDiagnostic.RECORD_NOT_FOUND,
    Reason.NOTHING: UpdateDiagnostic.MISSING_ELEMENT,
    Reason.BUSY: UpdateDiagnostic.DATABASE_ERROR,
    Reason.UNAVAILABLE: UpdateDiagnostic.DATABASE_ERROR,
}


def bib1_diagnostic(refused: Refused) -> Diagnostic:
    """What a Z39.50 client is told of a refusal."""
    return as_bib1(refused.reason, CONDITIONS[refused.reason], refused.text)


def told(done: Done) -> Sequence[tuple[str, str]]:
    """What became of a holding, as names and values for people and programs alike."""
    rows = [
        ("control-number", done.record.control_number),
        ("database", done.record.database.name),
        ("change", f"holdings {done.effect.value}"),
    ]
    held = done.after
    if held is None:
        return rows
    rows += [
        ("held-by", held.institution), ("call-number", held.call_number),
        ("location", held.location), ("copies", str(held.copies)), ("extent", held.extent),
        ("note", held.note),
    ]  # fmt: skip
    rows += [("barcode", code) for code in held.barcodes[: CANDIDATES_MAX * 10]]
    return [(name, value) for name, value in rows if value]
