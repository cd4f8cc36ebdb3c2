"""Record Update: both of its forms read, its faults, and the response."""

from __future__ import annotations

import pytest
from lxml import etree

from protocol.sru_soap import SoapCall, read_message
from protocol.sru_update import (
    NAMESPACE,
    NAMESPACES,
    RecordVersion,
    UpdateDiagnostic,
    UpdateFault,
    UpdateRequest,
    read_element,
    read_parameters,
    update_response,
)
from protocol.sru_version import schema_by_name

SRW = "http://www.loc.gov/zing/srw/"
RECORD = '<record xmlns="http://www.loc.gov/MARC21/slim"><leader>x</leader></record>'
NAMES = {"u": NAMESPACE, "s": SRW, "d": "http://www.loc.gov/zing/srw/diagnostic/"}


def element(
    action: str = "info:srw/action/1/replace",
    *,
    namespace: str = NAMESPACE,
    identifier: str = "LM1",
    data: str = RECORD,
    more: str = "",
    schema: str = "info:srw/schema/1/marcxml-v1.1",
) -> UpdateRequest:
    text = (
        f'<u:updateRequest xmlns:u="{namespace}" xmlns:s="{SRW}"><s:version>1.0</s:version>'
        f"<u:action>{action}</u:action><u:recordIdentifier>{identifier}</u:recordIdentifier>{more}"
        f"<s:record><s:recordPacking>xml</s:recordPacking><s:recordSchema>{schema}"
        f"</s:recordSchema><s:recordData>{data}</s:recordData></s:record></u:updateRequest>"
    )
    call = read_message(text.encode())
    assert isinstance(call, SoapCall)
    return read_element(call.payload)


def faults(request: UpdateRequest) -> list[tuple[int, str]]:
    return [(int(fault.condition), fault.details) for fault in request.faults]


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_an_element_is_read_in_either_namespace(namespace: str) -> None:
    more = (
        "<u:recordVersions><u:recordVersion><u:versionType>timestamp</u:versionType>"
        "<u:versionValue>20260101000000.0</u:versionValue></u:recordVersion></u:recordVersions>"
        '<s:extraRequestData><quota xmlns="urn:lianmu:extension:quota">1</quota>'
        "</s:extraRequestData>"
    )
    request = element(namespace=namespace, more=more)
    assert request.faults == ()
    assert (request.action, request.identifier, request.namespace) == ("replace", "LM1", namespace)
    assert request.versions == (RecordVersion("timestamp", "20260101000000.0"),)
    assert request.schema is schema_by_name("marcxml")
    assert request.extra == {"x-lianmu-quota": "1"}
    assert etree.fromstring(request.record).findtext("{*}leader") == "x"


def test_too_many_versions_are_refused_without_reading_them_all() -> None:
    versions = "<u:recordVersion><u:versionValue>1</u:versionValue></u:recordVersion>" * 5000
    request = element(more=f"<u:recordVersions>{versions}</u:recordVersions>")
    assert faults(request) == [(6, "more than 16 versions")]
    assert len(request.versions) == 16


def test_a_record_may_be_packed_as_a_string() -> None:
    packed = element(data=RECORD.replace("<", "&lt;"))
    assert packed.record == RECORD.encode()


def test_a_form_says_the_same() -> None:
    request = read_parameters(
        [
            ("operation", "update"), ("version", "1.0"), ("action", "info:srw/action/1/replace"),
            ("recordIdentifier", "LM1"), ("recordSchema", "marcxml"), ("recordPacking", "string"),
            ("recordData", RECORD), ("versionType", "number"), ("versionValue", "3"),
            ("X-Lianmu-Quota", "1"), ("recordXPath", ""),
        ]
    )  # fmt: skip
    assert request == UpdateRequest(
        action="replace", identifier="LM1", versions=(RecordVersion("number", "3"),),
        schema=schema_by_name("marcxml"), record=RECORD.encode(), extra={"x-lianmu-quota": "1"},
    )  # fmt: skip


def test_a_deletion_needs_no_record() -> None:
    parameters = [("action", "info:srw/action/1/delete"), ("recordIdentifier", "LM1")]
    request = read_parameters(parameters)
    assert (request.faults, request.schema, request.record) == ((), None, b"")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ([], [(9, "action")]),
        ([("action", "info:srw/action/1/sing")], [(100, "info:srw/action/1/sing")]),
        ([("action", "create")], [(9, "recordData")]),
        ([("action", "replace")], [(9, "recordIdentifier"), (9, "recordData")]),
        ([("action", "delete")], [(9, "recordIdentifier")]),
        ([("action", "create"), ("recordData", "x"), ("recordSchema", "mods")], [(30, "mods")]),
        ([("action", "create"), ("recordData", "x"), ("recordSchema", "no")], [(30, "no")]),
        ([("action", "create"), ("recordData", "x"), ("recordData", "y")], [(6, "record")]),
        ([("action", "create"), ("recordData", "x"), ("version", "9")], [(5, "1.0")]),
        ([("action", "create"), ("recordData", "x"), ("recordPacking", "zip")], [(71, "zip")]),
        ([("action", "create"), ("recordData", "x"), ("colour", "red")], [(8, "colour")]),
        ([("action", "delete"), ("recordIdentifier", "1"), *[("versionValue", "1")] * 17],
         [(6, "more than 16 versions")]),
    ],
)  # fmt: skip
def test_a_fault_has_its_precise_diagnostic(
    parameters: list[tuple[str, str]], expected: list[tuple[int, str]]
) -> None:
    assert faults(read_parameters(parameters)) == expected


def test_the_response_has_the_order_of_the_published_one() -> None:
    request = element()
    response = update_response(
        request,
        (UpdateFault(UpdateDiagnostic.INVALID_VERSION, "a<b"),),
        versions=(RecordVersion("number", "3"),),
        extra=b'<e xmlns="urn:e"/>',
    )
    document = etree.fromstring(response)
    assert [etree.QName(child).localname for child in document] == [
        "version", "operationStatus", "recordIdentifier", "recordVersions", "diagnostics",
        "extraResponseData",
    ]  # fmt: skip
    assert document.findtext("s:version", namespaces=NAMES) == "1.0"
    assert document.findtext("u:operationStatus", namespaces=NAMES) == "fail"
    assert document.findtext(".//u:versionValue", namespaces=NAMES) == "3"
    assert document.findtext(".//d:uri", namespaces=NAMES) == "info:srw/diagnostic/12/55"
    assert document.findtext(".//d:details", namespaces=NAMES) == "a<b"
    assert document.findtext(".//d:message", namespaces=NAMES).startswith("Cannot process update")


def test_the_response_keeps_the_namespace_of_the_request() -> None:
    document = etree.fromstring(update_response(element(namespace=NAMESPACES[1])))
    assert etree.QName(document).namespace == NAMESPACES[1]
    assert document.findtext(f"{{{NAMESPACES[1]}}}operationStatus") == "success"
