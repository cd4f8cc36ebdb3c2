"""SRW messages: envelopes to parameters, responses to envelopes, and faults."""

from __future__ import annotations

import pytest
from lxml import etree

from protocol.query import Clause, ScanStart, Structure
from protocol.sru import RefusedRequest, ScanRequest, SearchRetrieveRequest, parse_request
from protocol.sru_request import ExplainRequest, SruLimits
from protocol.sru_soap import (
    ELEMENTS_MAX,
    SOAP_1_1,
    SOAP_1_2,
    SoapCall,
    SoapFault,
    envelope,
    fault,
    media_type,
    parameters,
    read_message,
)

LIMITS = SruLimits()
SRW = "http://www.loc.gov/zing/srw/"
SRU_2 = "http://docs.oasis-open.org/ns/search-ws/sruRequest"
SCAN_2 = "http://docs.oasis-open.org/ns/search-ws/scan"


def message(content: str, soap: str = SOAP_1_1, header: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><!-- a comment --><s:Envelope xmlns:s="{soap}">'
        f"{header}<s:Body>{content}</s:Body></s:Envelope>"
    ).encode()


def request(operation: str, content: str, namespace: str = SRW) -> str:
    return f'<z:{operation}Request xmlns:z="{namespace}">{content}</z:{operation}Request>'


def read(body: bytes) -> list[tuple[str, str]]:
    call = read_message(body)
    assert isinstance(call, SoapCall), call
    return parameters(call)


@pytest.mark.parametrize("soap", [SOAP_1_1, SOAP_1_2])
def test_elements_become_the_parameters_of_a_url(soap: str) -> None:
    content = (
        "<z:version>1.1</z:version><z:query>dc.title = <!-- x -->红楼梦</z:query>"
        "<z:startRecord> 3 </z:startRecord><z:maximumRecords>2</z:maximumRecords>"
        "<z:database>we_cat</z:database>"
    )
    body = message(request("searchRetrieve", content), soap)
    call = read_message(body)
    assert isinstance(call, SoapCall)
    assert (call.soap, call.operation) == (soap, "searchRetrieve")
    assert parameters(call) == [
        ("operation", "searchRetrieve"),
        ("version", "1.1"),
        ("query", "dc.title = 红楼梦"),
        ("startRecord", "3"),
        ("maximumRecords", "2"),
    ]
    parsed = parse_request(parameters(call), LIMITS)
    assert isinstance(parsed, SearchRetrieveRequest)
    assert parsed.query == Clause("title", "红楼梦", structure=Structure.PHRASE)
    assert (parsed.version.name, parsed.start_record) == ("1.1", 3)


def test_the_namespace_of_2_0_stands_for_its_version() -> None:
    body = message(request("searchRetrieve", "<z:query>x</z:query>", SRU_2))
    parsed = parse_request(read(body), LIMITS)
    assert isinstance(parsed, SearchRetrieveRequest)
    assert parsed.version.name == "2.0"
    body = message(request("scan", "<z:scanClause>dc.title=x</z:scanClause>", SCAN_2))
    scan = parse_request(read(body), LIMITS)
    assert isinstance(scan, ScanRequest)
    assert scan.version.name == "2.0"
    explain = parse_request(read(message(request("explain", "", SRU_2))), LIMITS)
    assert isinstance(explain, ExplainRequest)
    assert explain.version.name == "2.0"


def test_a_message_without_version_is_told_so_by_a_diagnostic() -> None:
    parsed = parse_request(read(message(request("scan", "<z:scanClause>x</z:scanClause>"))), LIMITS)
    assert isinstance(parsed, RefusedRequest)
    assert [(each.condition, each.details) for each in parsed.faults] == [(7, "version")]
    body = message(request("sing", "<z:version>1.1</z:version>"))
    parsed = parse_request(read(body), LIMITS)
    assert isinstance(parsed, RefusedRequest)
    assert [(each.condition, each.details) for each in parsed.faults] == [(4, "sing")]


def test_a_query_in_pqf_and_structured_sort_keys_are_read_as_yaz_sends_them() -> None:
    content = (
        "<z:version>1.1</z:version><z:pQuery>@attr 1=4 x</z:pQuery><z:xSortKeys>"
        "<z:sortKey><z:path>title</z:path><z:ascending>false</z:ascending></z:sortKey>"
        "<z:sortKey><z:path>date</z:path></z:sortKey></z:xSortKeys>"
    )
    found = read(message(request("searchRetrieve", content)))
    assert ("x-pquery", "@attr 1=4 x") in found
    assert ("sortKeys", "title,,0 date") in found
    parsed = parse_request(found, LIMITS)
    assert isinstance(parsed, SearchRetrieveRequest)
    assert [(key.access_point, key.descending) for key in parsed.sort] == [
        ("title", True), ("date", False),
    ]  # fmt: skip
    content = "<z:version>1.2</z:version><z:pScanClause>@attr 1=4 x</z:pScanClause>"
    scan = parse_request(read(message(request("scan", content))), LIMITS)
    assert isinstance(scan, ScanRequest)
    assert scan.start == ScanStart("title", "x")


def test_extra_request_data_becomes_extension_parameters() -> None:
    content = (
        "<z:version>1.1</z:version><z:query>x</z:query><z:extraRequestData>"
        '<authenticationToken xmlns="info:srw/extension/2/auth-1.0">secret</authenticationToken>'
        '<quota xmlns="urn:lianmu:extension:quota">1</quota>'
        '<x-other>2</x-other><unknown xmlns="urn:somebody">3</unknown></z:extraRequestData>'
    )
    parsed = parse_request(read(message(request("searchRetrieve", content))), LIMITS)
    assert isinstance(parsed, SearchRetrieveRequest)
    assert parsed.extra == {
        "x-info-2-auth1.0-authenticationtoken": "secret",
        "x-lianmu-quota": "1",
        "x-other": "2",
    }


def test_a_request_without_an_envelope_is_taken() -> None:
    call = read_message(request("explain", "<z:version>1.2</z:version>").encode())
    assert isinstance(call, SoapCall)
    assert call.soap == ""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "Client"),
        (b"<a>", "Client"),
        (b"query=x", "Client"),
        (b"<html><body/></html>", "Client"),
        (message(""), "Client"),
        (message("text only"), "Client"),
        (message("<a/>").replace(b"xmlsoap.org", b"example.org"), "VersionMismatch"),
        (
            message(
                request("explain", ""),
                header='<s:Header><x:tx xmlns:x="urn:x" s:mustUnderstand="1"/></s:Header>',
            ),
            "MustUnderstand",
        ),
        (b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>', "Client"),
        (
            b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">'
            + message(request("explain", "")).split(b"-->")[1],
            "Client",
        ),
        ("<a>红</a>".encode("utf-16"), "Client"),
    ],
)
def test_what_is_no_message_is_a_fault(body: bytes, code: str) -> None:
    failure = read_message(body)
    assert isinstance(failure, SoapFault), failure
    assert failure.code == code
    document = etree.fromstring(fault(failure))
    assert document.findtext(".//faultcode") == f"SOAP:{code}"
    assert document.findtext(".//faultstring")
    assert failure.status == 500


def test_a_fault_of_1_2_has_its_own_form() -> None:
    failure = read_message(b"<a>", soap=SOAP_1_2)
    assert isinstance(failure, SoapFault)
    assert failure.status == 400
    document = etree.fromstring(fault(failure))
    names = {"s": SOAP_1_2}
    assert document.findtext(".//s:Code/s:Value", namespaces=names) == "SOAP:Sender"
    assert document.findtext(".//s:Reason/s:Text", namespaces=names)


def test_floods_of_elements_are_read_to_a_bound() -> None:
    flood = "".join(f"<z:p{number}>x</z:p{number}>" for number in range(5000))
    extra = "<z:extraRequestData>" + "<x-a>1</x-a>" * 5000 + "</z:extraRequestData>"
    found = read(message(request("searchRetrieve", extra + flood)))
    assert len(found) < 3 * ELEMENTS_MAX
    parsed = parse_request(found, LIMITS)
    assert isinstance(parsed, RefusedRequest)


def test_a_header_that_need_not_be_understood_is_passed_over() -> None:
    header = '<s:Header><x:tx xmlns:x="urn:x" s:mustUnderstand="0"/></s:Header>'
    assert isinstance(read_message(message(request("explain", ""), header=header)), SoapCall)


@pytest.mark.parametrize("soap", [SOAP_1_1, SOAP_1_2])
def test_a_response_loses_its_prolog_in_the_envelope(soap: str) -> None:
    response = (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<?xml-stylesheet type="text/xsl" href="/x.xsl"?>\n<zs:r xmlns:zs="urn:z">1</zs:r>\n'
    )
    document = etree.fromstring(envelope(response, soap))
    assert document.tag == f"{{{soap}}}Envelope"
    assert document.findtext(f"{{{soap}}}Body/{{urn:z}}r") == "1"
    assert document.getroottree().docinfo.encoding == "UTF-8"
    assert media_type(soap) == {SOAP_1_1: "text/xml", SOAP_1_2: "application/soap+xml"}[soap]
