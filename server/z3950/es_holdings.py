"""Z39.50 Update for holdings: which records of a package are sent for the holdings in them.

elementUpdate changes the holdings that a record says, and nothing else. So does any
other action with a holdings record of MARC 21, and specialUpdate with the note
`holdings`. A client of OCLC sends a control number alone.
"""

from __future__ import annotations

from protocol.ber import ProtocolError
from protocol.diagnostic import Bib1, Diagnostic
from protocol.external import Form
from protocol.holding_statement import RecordName
from protocol.holding_symbol import HOLDING_SYMBOL, HOLDING_SYMBOL_DELETE, HOLDING_SYMBOL_RECORD
from protocol.holdings_fields import is_sent_as_holdings
from protocol.record import Database
from protocol.task_package import SuppliedRecord, UpdateAction, UpdateRequest
from server.access_control.principal import Principal
from server.holdings.change import Change, MarcChange, Mode
from server.holdings.terms import HOLDINGS, REMOVE

PROTOCOL = "z3950"
_BLANK = b"\xef\xbb\xbf \t\r\n"
_MODES = {
    UpdateAction.RECORD_INSERT: Mode.ADD,
    UpdateAction.RECORD_REPLACE: Mode.CHANGE,
    UpdateAction.RECORD_DELETE: Mode.REMOVE,
    UpdateAction.ELEMENT_UPDATE: Mode.PUT,
    UpdateAction.SPECIAL_UPDATE: Mode.PUT,
}


def change(
    principal: Principal,
    address: str,
    update: UpdateRequest,
    database: Database | None,
    supplied: SuppliedRecord,
) -> Change | MarcChange | Diagnostic | None:
    """The change of holdings that a record asks for; None: it is sent as a record.

    `database` is None where the request may mean any.
    """
    action = UpdateAction(update.to_keep.action)
    syntax = supplied.record.direct_reference
    if syntax in (HOLDING_SYMBOL, HOLDING_SYMBOL_DELETE):
        return _symbol(principal, address, action, database, supplied)
    record = supplied.record.data if supplied.record.form is Form.OCTET_ALIGNED else b""
    is_xml = record.lstrip(_BLANK).startswith(b"<")
    if not (
        action is UpdateAction.ELEMENT_UPDATE
        or (action is UpdateAction.SPECIAL_UPDATE and qualified(update, supplied, HOLDINGS))
        or qualified(update, supplied, REMOVE)
        or (database is not None and is_sent_as_holdings(record, database.family, xml=is_xml))
    ):
        return None
    if database is None:
        return Diagnostic(Bib1.DATABASE_UNKNOWN, update.to_keep.database_name)
    mode = Mode.REMOVE if qualified(update, supplied, REMOVE) else _MODES[action]
    return MarcChange(
        principal=principal, database=database.name, record=record, mode=mode, xml=is_xml,
        # Who adds must write some identifier; here it can only be of a holdings record.
        number="" if action is UpdateAction.RECORD_INSERT else number_of(supplied),
        protocol=PROTOCOL, address=address,
    )  # fmt: skip


def _symbol(
    principal: Principal,
    address: str,
    action: UpdateAction,
    database: Database | None,
    supplied: SuppliedRecord,
) -> Change | Diagnostic:
    try:
        number = supplied.record.decode(HOLDING_SYMBOL_RECORD).record_number.strip()
    except ProtocolError as error:
        return Diagnostic(Bib1.MALFORMED_APDU, f"holdingSymbolRecord: {error}")
    removes = (
        supplied.record.direct_reference == HOLDING_SYMBOL_DELETE
        or action is UpdateAction.RECORD_DELETE
    )
    return Change(
        principal=principal,
        # Theirs are numbers of OCLC, which a record of ours may have in 035.
        name=RecordName(
            number, database.name if database is not None else "",
            (f"(OCoLC){number}",) if number else (),
        ),
        mode=Mode.REMOVE if removes else Mode.PUT,
        protocol=PROTOCOL, address=address,
    )  # fmt: skip


def number_of(supplied: SuppliedRecord) -> str:
    """The control number in a record's identifier, "" without one."""
    match supplied.record_id:
        case None:
            return ""
        case bytes() as opaque:
            return opaque.decode("utf-8", "replace").strip()
        case named:
            return str(named).strip()


def qualified(update: UpdateRequest, supplied: SuppliedRecord, word: str) -> bool:
    """Whether the note of a record, or the qualifier of all, says a word."""
    note = supplied.correlation_info.note if supplied.correlation_info is not None else None
    qualifier = update.to_keep.action_qualifier
    return note == word or (qualifier is not None and word.encode() in qualifier.data)
