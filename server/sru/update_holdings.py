"""SRU Record Update for holdings: which requests are about the holdings of a record.

A record in the schema isohold is one's own holding. So is a holdings record of
MARC 21, and what 905 or 852 say of any record when `x-lianmu-holdings` is on.
"""

from __future__ import annotations

from protocol.holding_statement import HoldingStatement, RecordName
from protocol.holdings_fields import is_sent_as_holdings
from protocol.isohold_reader import read_isohold
from protocol.record import Database
from protocol.sru_update import UpdateDiagnostic, UpdateFault, UpdateRequest
from server.access_control.permissions import Operation, refusal
from server.access_control.principal import Principal
from server.holdings.change import Change, MarcChange, Mode

PROTOCOL = "sru"
SCHEMA = "isohold"
_MODES = {"create": Mode.ADD, "replace": Mode.CHANGE, "delete": Mode.REMOVE}


def change(
    principal: Principal, address: str, database: Database, request: UpdateRequest, *, asked: bool
) -> Change | MarcChange | UpdateFault | None:
    """The change of holdings that a request asks for; None: it is about the record itself.

    `asked`: the client says that it is about holdings.
    """
    mode = _MODES[request.action]
    is_isohold = request.schema is not None and request.schema.name == SCHEMA
    if is_isohold or (asked and not request.record):
        name, statement = RecordName(request.identifier), HoldingStatement()
        if mode is not Mode.REMOVE:
            said = read_isohold(request.record, principal.institution)
            if isinstance(said, str):
                return UpdateFault(UpdateDiagnostic.INVALID_STRUCTURE, said)
            # Who may not say any holdings is told that, where the change is carried out.
            may = refusal(principal, Operation.HOLDINGS_WRITE, principal.institution) is None
            if said.statement is None and may:
                return UpdateFault(
                    UpdateDiagnostic.NOT_AUTHORISED,
                    f"its holdings are of other libraries, not of {principal.institution}"
                    f" / 均非 {principal.institution} 的馆藏",
                )
            statement = said.statement or statement
            if not request.identifier:
                name = said.name
        name = RecordName(name.control_number, database.name if not name.is_empty else "")
        return Change(
            principal=principal, name=name, mode=mode, statement=statement, protocol=PROTOCOL,
            address=address,
        )  # fmt: skip
    if asked or is_sent_as_holdings(request.record, database.family, xml=True):
        return MarcChange(
            principal=principal, database=database.name,
            # What is to go need not be read.
            record=b"" if mode is Mode.REMOVE and request.identifier else request.record,
            mode=mode, xml=True, number=request.identifier, protocol=PROTOCOL, address=address,
        )  # fmt: skip
    return None
