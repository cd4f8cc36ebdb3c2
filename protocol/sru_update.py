"""SRU Record Update 1.0: requests to values, values to the response.

A request is an `updateRequest` element, in an envelope or alone, or the same
parts as parameters of a form: `operation=update`, `version`, `action`,
`recordIdentifier`, `versionType` with `versionValue`, `recordSchema`,
`recordPacking`, `recordData`. Both namespaces in use are read, that of the
published version and the earlier one that YAZ and others kept, and the
response has that of the request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice

from lxml import etree

from protocol.diagnostic import SruDiagnostic
from protocol.sru_soap import ELEMENTS_MAX, extra_parameters
from protocol.sru_version import V1_1, RecordSchema, schema_by_name
from protocol.xml_text import escape

VERSION = "1.0"
NAMESPACE = "info:lc/xmlns/update-v1"
NAMESPACES = (NAMESPACE, "http://www.loc.gov/zing/srw/update/")
# Carriers write their own version into the request.
_VERSIONS = frozenset({"1.0", "1.1", "1.2", "2.0"})
_ACTION = "info:srw/action/1/"
ACTIONS = ("create", "replace", "delete")
VERSIONS_MAX = 16
# Schemas in which a record can be sent to us; isohold is a holding of one.
UPDATE_SCHEMAS = frozenset({"marcxml", "marcxchange", "unimarcxml", "cnmarcxml", "isohold"})
PARAMETERS = (
    "version", "operation", "action", "recordIdentifier", "versionType", "versionValue",
    "recordSchema", "recordPacking", "recordData",
)  # fmt: skip


class UpdateDiagnostic(IntEnum):
    """Conditions of info:srw/diagnostic/12 that we give."""

    COMPONENT_WARNING = 3
    REPEATED_COMPONENT = 6
    MISSING_ELEMENT = 9
    MISSING_WARNING = 10
    INVALID_STRUCTURE = 12
    INVALID_IDENTIFIER = 22
    SCHEMA_UNACCEPTABLE = 30
    RECORD_NOT_FOUND = 50
    NOT_AUTHORISED = 53
    INVALID_VERSION = 55
    LINKED_RECORDS = 56
    SUSPECT_DUPLICATE = 58
    DATABASE_ERROR = 61
    SEVERAL_RECORDS = 65
    INVALID_ACTION = 100

    @property
    def uri(self) -> str:
        return f"info:srw/diagnostic/12/{self.value}"

    @property
    def message(self) -> str:
        return _MESSAGES[self]


_MESSAGES = {
    UpdateDiagnostic.COMPONENT_WARNING: "Invalid component: warning only",
    UpdateDiagnostic.REPEATED_COMPONENT: "Invalid repetition of component: record rejected",
    UpdateDiagnostic.MISSING_ELEMENT: "Missing mandatory element: record rejected",
    UpdateDiagnostic.MISSING_WARNING: "Missing mandatory element: warning only",
    UpdateDiagnostic.INVALID_STRUCTURE: "Invalid data structure: record rejected",
    UpdateDiagnostic.INVALID_IDENTIFIER: "Invalid record identifier: record rejected",
    UpdateDiagnostic.SCHEMA_UNACCEPTABLE: "Record schema unacceptable: record rejected",
    UpdateDiagnostic.RECORD_NOT_FOUND: "Record not found (replacement or delete)",
    UpdateDiagnostic.NOT_AUTHORISED: (
        "Cannot delete or replace record or component, authorization failure"
    ),
    UpdateDiagnostic.INVALID_VERSION: "Cannot process update, incorrect or invalid version",
    UpdateDiagnostic.LINKED_RECORDS: "Linked records exist, cannot delete record",
    UpdateDiagnostic.SUSPECT_DUPLICATE: "Suspect duplicate: record or component insert rejected",
    UpdateDiagnostic.DATABASE_ERROR: "Unspecified database error",
    UpdateDiagnostic.SEVERAL_RECORDS: (
        "Not processed (replace or delete): the record identifier names more than one record"
    ),
    UpdateDiagnostic.INVALID_ACTION: "Invalid action",
}


@dataclass(frozen=True, slots=True)
class UpdateFault:
    """Why an update was not made. `details` is the value refused."""

    condition: UpdateDiagnostic | SruDiagnostic
    details: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class RecordVersion:
    """A version as the client names it: `kind` is "number" or "timestamp", mostly."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRequest:
    """`action` is one of ACTIONS; `record` is XML in UTF-8, empty for a deletion.

    `versions` are those that the record must still be of. `extra` holds the
    parameters that begin with `x-`, by name in lower case. With `faults` the
    request cannot be served, and the other fields hold what could be read.
    """

    action: str = ""
    identifier: str = ""
    versions: tuple[RecordVersion, ...] = ()
    schema: RecordSchema | None = None
    record: bytes = b""
    extra: Mapping[str, str] = field(default_factory=dict)
    namespace: str = NAMESPACE
    faults: tuple[UpdateFault, ...] = ()


@dataclass(slots=True)
class _Parts:
    """The parts of a request as they came, however they came."""

    version: str = ""
    action: str = ""
    identifier: str = ""
    schema: str = ""
    record: bytes = b""
    versions: list[RecordVersion] = field(default_factory=list)
    extra: dict[str, str] = field(default_factory=dict)
    namespace: str = NAMESPACE
    faults: list[UpdateFault] = field(default_factory=list)

    def request(self) -> UpdateRequest:
        """Checked as far as the request alone allows."""
        faults = self.faults
        if self.version and self.version not in _VERSIONS:
            faults.append(UpdateFault(SruDiagnostic.UNSUPPORTED_VERSION, VERSION))
        action = self.action.removeprefix(_ACTION)
        if not action:
            faults.append(UpdateFault(UpdateDiagnostic.MISSING_ELEMENT, "action"))
        elif action not in ACTIONS:
            faults.append(UpdateFault(UpdateDiagnostic.INVALID_ACTION, self.action[:200]))
        if action in ("replace", "delete") and not self.identifier:
            faults.append(UpdateFault(UpdateDiagnostic.MISSING_ELEMENT, "recordIdentifier"))
        if action in ("create", "replace") and not self.record:
            faults.append(UpdateFault(UpdateDiagnostic.MISSING_ELEMENT, "recordData"))
        # A deletion may say what it is that goes.
        schema = schema_by_name(self.schema) if self.schema else None
        if self.record:
            schema = schema_by_name(self.schema or "marcxml")
            if schema is None or schema.name not in UPDATE_SCHEMAS:
                faults.append(UpdateFault(UpdateDiagnostic.SCHEMA_UNACCEPTABLE, self.schema[:200]))
        if len(self.versions) > VERSIONS_MAX:
            details = f"more than {VERSIONS_MAX} versions"
            faults.append(UpdateFault(UpdateDiagnostic.REPEATED_COMPONENT, details))
        return UpdateRequest(
            action=action if action in ACTIONS else "", identifier=self.identifier,
            versions=tuple(self.versions[:VERSIONS_MAX]), schema=schema, record=self.record,
            extra=self.extra, namespace=self.namespace, faults=tuple(faults),
        )  # fmt: skip

    def set_record(self, data: bytes | None) -> None:
        if self.record:
            self.faults.append(UpdateFault(UpdateDiagnostic.REPEATED_COMPONENT, "record"))
        self.record = data or b""


def read_element(element: etree._Element) -> UpdateRequest:
    """The request of an `updateRequest` element."""
    parts = _Parts()
    namespace = etree.QName(element).namespace
    if namespace in NAMESPACES:
        parts.namespace = namespace
    for child in islice(element.iterchildren(etree.Element), ELEMENTS_MAX):
        name = etree.QName(child).localname
        if name == "version":
            parts.version = _text(child)
        elif name == "action":
            parts.action = _text(child)
        elif name == "recordIdentifier":
            parts.identifier = _text(child)
        elif name == "recordVersions":
            parts.versions += [
                RecordVersion(
                    _text(each.find("{*}versionType")), _text(each.find("{*}versionValue"))
                )
                for each in islice(child.iterchildren("{*}recordVersion"), VERSIONS_MAX + 1)
            ]
        elif name == "record":
            parts.schema = _text(child.find("{*}recordSchema"))
            parts.set_record(_record_data(child))
        elif name == "extraRequestData":
            parts.extra.update((key.lower(), value) for key, value in extra_parameters(child))
    return parts.request()


def read_parameters(parameters: Iterable[tuple[str, str]]) -> UpdateRequest:
    """The request of a form's parameters."""
    parts = _Parts()
    kind = ""
    for name, value in parameters:
        if not value:
            continue
        if name.lower().startswith("x-"):
            parts.extra[name.lower()] = value
        elif name not in PARAMETERS:
            parts.faults.append(UpdateFault(SruDiagnostic.UNSUPPORTED_PARAMETER, name[:80]))
        elif name == "version":
            parts.version = value
        elif name == "action":
            parts.action = value
        elif name == "recordIdentifier":
            parts.identifier = value
        elif name == "recordSchema":
            parts.schema = value
        elif name == "recordData":
            parts.set_record(value.encode("utf-8", "replace"))
        elif name == "versionType":
            kind = value
        elif name == "versionValue":
            parts.versions.append(RecordVersion(kind, value))
        elif name == "recordPacking" and value not in ("xml", "string"):
            fault = UpdateFault(SruDiagnostic.UNSUPPORTED_RECORD_PACKING, value[:80])
            parts.faults.append(fault)
    return parts.request()


def update_response(
    request: UpdateRequest,
    faults: Sequence[UpdateFault] = (),
    *,
    versions: Sequence[RecordVersion] = (),
    warnings: Sequence[UpdateFault] = (),
    identifier: str = "",
    extra: bytes = b"",
) -> bytes:
    """The updateResponse: success, or fail with the diagnostics.

    `versions` are those of the record after the update, or as it stands;
    `warnings` are diagnostics that go with a success, `identifier` is the
    record's number, "": the one that the request named.
    """
    out = [
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<zu:updateResponse xmlns:zu="{request.namespace}" xmlns:zs="{V1_1.namespace}">'
        f"<zs:version>{VERSION}</zs:version>"
        f"<zu:operationStatus>{'fail' if faults else 'success'}</zu:operationStatus>"
    ]
    identifier = identifier or request.identifier
    if identifier:
        out.append(f"<zu:recordIdentifier>{escape(identifier)}</zu:recordIdentifier>")
    if versions:
        inside = "".join(
            f"<zu:recordVersion><zu:versionType>{escape(each.kind)}</zu:versionType>"
            f"<zu:versionValue>{escape(each.value)}</zu:versionValue></zu:recordVersion>"
            for each in versions
        )
        out.append(f"<zu:recordVersions>{inside}</zu:recordVersions>")
    if faults or warnings:
        inside = "".join(_diagnostic(fault) for fault in (*faults, *warnings))
        out.append(f"<zs:diagnostics>{inside}</zs:diagnostics>")
    if extra:
        out.append(f"<zs:extraResponseData>{extra.decode()}</zs:extraResponseData>")
    out.append("</zu:updateResponse>\n")
    return "".join(out).encode()


def _diagnostic(fault: UpdateFault) -> str:
    details = f"<details>{escape(fault.details)}</details>" if fault.details else ""
    return (
        f'<diagnostic xmlns="{V1_1.diagnostic_namespace}"><uri>{fault.condition.uri}</uri>'
        f"{details}<message>{escape(fault.message or fault.condition.message)}</message>"
        "</diagnostic>"
    )


def _record_data(record: etree._Element) -> bytes | None:
    """The record as a document of its own, packed either way."""
    data = record.find("{*}recordData")
    if data is None:
        return None
    child = next(data.iterchildren(etree.Element), None)
    if child is not None:
        return etree.tostring(child, encoding="utf-8", with_tail=False)
    return _text(data).encode("utf-8") or None


def _text(element: etree._Element | None) -> str:
    return "" if element is None else "".join(map(str, element.itertext())).strip()
