"""SRU Record Update: a request to an upload, and what became of it to the response.

The rules are those of all uploads (`server/uploads/uploading.py`); the record that a
request is refused for is told with its versions as they stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol import iso2709
from protocol.diagnostic import SruDiagnostic
from protocol.record import Database, StoredRecord
from protocol.sru_update import (
    RecordVersion,
    UpdateDiagnostic,
    UpdateFault,
    UpdateRequest,
)
from protocol.validation import Severity
from protocol.xml_text import escape
from server.access_control.access import Principal
from server.holdings import change as of_holdings
from server.holdings import terms as holdings_terms
from server.service import Service
from server.sru import update_holdings
from server.uploads.terms import CONFIRM, DETAILS_CHARS_MAX, UPDATE_CONDITIONS, told
from server.uploads.upload import Action, Done, Reason, Refused, Upload
from store.versions import VERSION_DIGITS_MAX

# How a client may name a version: the catalogue's count of them, or field 005.
NUMBER, TIMESTAMP = "number", "timestamp"
CONFIRM_PARAMETER = f"x-lianmu-{CONFIRM}"
TOLD_PARAMETER = "x-lianmu-upload"
HOLDINGS_PARAMETER = "x-lianmu-holdings"
NAMESPACE = "urn:lianmu:extension:upload"
WARNINGS_MAX = 50
_NO = frozenset({"", "0", "false", "no"})
_ACTIONS = {"create": Action.INSERT, "replace": Action.REPLACE, "delete": Action.DELETE}
_LATER = frozenset({Reason.BUSY, Reason.UNAVAILABLE})
_HOLDINGS_LATER = frozenset({of_holdings.Reason.BUSY, of_holdings.Reason.UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Answered:
    """What an update comes to. With `faults` nothing has changed.

    `versions` are of the record after the update, or as it stands; `extra` goes
    into extraResponseData.
    """

    faults: Sequence[UpdateFault] = ()
    warnings: Sequence[UpdateFault] = ()
    versions: Sequence[RecordVersion] = ()
    identifier: str = ""
    status: int = 200
    extra: bytes = b""


async def carry_out(
    service: Service,
    principal: Principal,
    address: str,
    databases: Sequence[Database],
    request: UpdateRequest,
) -> Answered:
    """Make the change that is asked for."""
    if request.faults:
        return Answered(request.faults)
    if len(databases) != 1:
        details = "name one database in the address"
        return Answered((UpdateFault(SruDiagnostic.DATABASE_UNKNOWN, details),))
    change = update_holdings.change(
        principal, address, databases[0], request, asked=_is_on(request.extra, HOLDINGS_PARAMETER)
    )
    if isinstance(change, UpdateFault):
        return Answered((change,))
    if change is not None:
        return _held(request, await service.uploads.hold(change))
    action = _ACTIONS[request.action]
    outcome = await service.uploads.apply(
        Upload(
            principal=principal, database=databases[0], action=action,
            record=b"" if action is Action.DELETE else request.record, xml=True,
            number="" if action is Action.INSERT else request.identifier,
            based_on=[_based_on(version) for version in request.versions],
            confirmed=_is_on(request.extra, CONFIRM_PARAMETER), protocol="sru", address=address,
        )
    )  # fmt: skip
    if isinstance(outcome, Refused):
        return _refused(request, outcome)
    return Answered(
        warnings=_warnings(outcome),
        versions=versions_of(outcome.record),
        identifier=outcome.record.control_number,
        extra=_told(outcome) if _is_on(request.extra, TOLD_PARAMETER) else b"",
    )


def _held(request: UpdateRequest, outcome: of_holdings.Outcome) -> Answered:
    """What became of a change of holdings; the versions are those of the record."""
    record = outcome.record
    versions = versions_of(record) if record is not None else ()
    if isinstance(outcome, of_holdings.Refused):
        if outcome.reason in _HOLDINGS_LATER:
            fault = UpdateFault(SruDiagnostic.SYSTEM_TEMPORARILY_UNAVAILABLE, outcome.text)
            return Answered((fault,), status=503)
        condition = holdings_terms.CONDITIONS[outcome.reason]
        faults = [UpdateFault(condition, outcome.text[:DETAILS_CHARS_MAX])]
        status = 403 if outcome.reason is of_holdings.Reason.FORBIDDEN else 200
        return Answered(faults, versions=versions, status=status)
    extra = b""
    if _is_on(request.extra, TOLD_PARAMETER):
        extra = _extra((("change", f"holdings {outcome.effect.value}"),))
    return Answered(versions=versions, identifier=outcome.record.control_number, extra=extra)


def versions_of(record: StoredRecord) -> tuple[RecordVersion, ...]:
    """The version of a record in each of the ways that a client may name it."""
    timestamp = iso2709.control_field(record.marc, "005")
    number = RecordVersion(NUMBER, str(record.version))
    return (number, RecordVersion(TIMESTAMP, timestamp)) if timestamp else (number,)


def _is_on(extra: Mapping[str, str], parameter: str) -> bool:
    return extra.get(parameter, "").lower() not in _NO


def _based_on(version: RecordVersion) -> int | str:
    """A version as uploads name it; one that is named in no known way is nobody's."""
    kind = version.kind.lower() or NUMBER
    if kind == TIMESTAMP and version.value.strip():
        return version.value.strip()
    value = version.value.strip()
    if kind == NUMBER and value.isdecimal() and len(value) <= VERSION_DIGITS_MAX:
        return int(value)
    return -1


def _refused(request: UpdateRequest, refused: Refused) -> Answered:
    versions = versions_of(refused.current) if refused.current is not None else ()
    if refused.reason in _LATER:
        fault = UpdateFault(SruDiagnostic.SYSTEM_TEMPORARILY_UNAVAILABLE, refused.text)
        return Answered((fault,), versions=versions, status=503)
    details = refused.text
    if refused.reason is Reason.STALE:
        details = _different(request.versions, versions) or details
    condition = UPDATE_CONDITIONS[refused.reason]
    if refused.reason is Reason.MERGED:
        versions = ()  # they are another record's
    faults = [UpdateFault(condition, details[:DETAILS_CHARS_MAX])]
    if refused.reason in (Reason.INVALID, Reason.INCOMPLETE):
        # A line each, so that a client can show them at their fields.
        kind = Severity.ERROR if refused.reason is Reason.INVALID else Severity.MISSING
        faults = [
            UpdateFault(condition, f"{each.field}: {each.message()} / {each.message(chinese=True)}")
            for each in refused.findings
            if each.rule.severity is kind
        ][:WARNINGS_MAX]
    status = 403 if refused.reason is Reason.FORBIDDEN else 200
    return Answered(faults, versions=versions, status=status)


def _different(named: Sequence[RecordVersion], current: Sequence[RecordVersion]) -> str:
    """The first version named that is not the record's; "": the client named none."""
    for version in named:
        kind = version.kind.lower() or NUMBER
        value = next((each.value for each in current if each.kind == kind), "")
        if value != version.value.strip() or not value:
            return f"{version.kind} {version.value}, the record has {value or 'none'}"[:200]
    return ""


def _warnings(done: Done) -> list[UpdateFault]:
    """What did not keep the record from being taken."""
    found = [UpdateFault(UpdateDiagnostic.COMPONENT_WARNING, note) for note in done.notes]
    for finding in done.findings:
        is_missing = finding.rule.severity is Severity.MISSING
        found.append(
            UpdateFault(
                UpdateDiagnostic.MISSING_WARNING
                if is_missing
                else UpdateDiagnostic.COMPONENT_WARNING,
                f"{finding.field}: {finding.message()} / {finding.message(chinese=True)}",
            )
        )
    return found[:WARNINGS_MAX]


def _told(done: Done) -> bytes:
    """`upload` of extraResponseData: what is known beside number and versions."""
    return _extra([row for row in told(done) if row[0] in ("change", "credit")])


def _extra(rows: Sequence[tuple[str, str]]) -> bytes:
    inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in rows)
    return f'<upload xmlns="{NAMESPACE}">{inside}</upload>'.encode()
