"""SRU by POST: forms and SOAP answer what a URL would have been answered."""

from __future__ import annotations

import http.client
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from lxml import etree

from tests.harness import RunningServer, lianmu
from tests.server.sru_client import NAMESPACES, form, get, search, send, soap

SRW = NAMESPACES["zs"]
SRU_2 = "http://docs.oasis-open.org/ns/search-ws/sruRequest"


def request(operation: str, namespace: str = SRW, **parameters: str) -> str:
    inside = "".join(f"<z:{name}>{escape(value)}</z:{name}>" for name, value in parameters.items())
    return f'<z:{operation}Request xmlns:z="{namespace}">{inside}</z:{operation}Request>'


GIVEN = {"query": "dc.title=史记 and dc.creator=司马迁", "maximumRecords": "2",
         "recordSchema": "brief"}  # fmt: skip


@pytest.mark.parametrize("version", ["1.1", "1.2", "2.0"])
def test_a_form_is_answered_like_a_url(demo: RunningServer, version: str) -> None:
    given = {"version": version, "operation": "searchRetrieve", **GIVEN}
    by_url, by_form = get(demo, "cn_cat", **given), form(demo, "cn_cat", **given)
    assert by_form.status == 200
    assert by_form.media_type == "application/xml"
    assert by_form.body == by_url.body
    assert b"numberOfRecords>3<" in by_form.body


def test_a_form_may_leave_parameters_in_the_address(demo: RunningServer) -> None:
    address = "cn_cat?version=1.2&operation=searchRetrieve"
    answer = form(demo, address, query="dc.title=史记", recordSchema="brief")
    assert answer.texts("zs:numberOfRecords") == ["3"]
    twice = form(demo, address, version="1.1", query="dc.title=史记")
    assert twice.diagnostics == ["1/6"]


FORM = "application/x-www-form-urlencoded"
ASKED = "version=1.1&operation=searchRetrieve&maximumRecords=0&query=dc.title%3D"


@pytest.mark.parametrize("name", ["GB18030", "gbk", "GB2312"])
@pytest.mark.parametrize("escaped", [True, False])
def test_a_form_that_declares_a_chinese_character_set_is_read_in_it(
    demo: RunningServer, name: str, escaped: bool
) -> None:
    term = "红楼梦".encode("gb18030")
    body = ASKED.encode() + (quote(term).encode() if escaped else term)
    answer = send(demo, "cn_cat", body, Content_Type=f"{FORM}; charset={name}")
    assert answer.texts("zs:numberOfRecords") == ["4"]
    assert answer.texts("//zs:query") == ["dc.title=红楼梦"]


@pytest.mark.parametrize("name", ["", "; charset=utf-8", "; charset=ISO-8859-1", "; charset=x"])
def test_a_form_that_declares_none_of_them_is_utf_8_and_nothing_else(
    demo: RunningServer, name: str
) -> None:
    body = (ASKED + quote("红楼梦")).encode()
    answer = send(demo, "cn_cat", body, Content_Type=FORM + name)
    assert answer.texts("zs:numberOfRecords") == ["4"]
    wrong = (ASKED + quote("红楼梦".encode("gb18030"))).encode()
    refused = send(demo, "cn_cat", wrong, Content_Type=FORM + name)
    assert (refused.status, refused.diagnostics) == (400, ["1/6"])


def test_a_post_of_nothing_is_explain(demo: RunningServer) -> None:
    answer = send(demo, "cn_cat", b"", login=None)
    assert answer.texts("//e:serverInfo/e:database") == ["cn_cat"]


@pytest.mark.parametrize(("envelope", "media_type"), [
    ("soap", "text/xml"), ("soap12", "application/soap+xml"),
])  # fmt: skip
def test_soap_is_answered_in_an_envelope_of_its_version(
    demo: RunningServer, envelope: str, media_type: str
) -> None:
    message = request("searchRetrieve", version="1.1", **GIVEN)
    answer = soap(demo, "cn_cat", message, version=envelope)
    assert (answer.status, answer.media_type) == (200, media_type)
    response = answer.root.find(f"{envelope}:Body/zs:searchRetrieveResponse", NAMESPACES)
    assert response is not None
    by_url = search(demo, "cn_cat", GIVEN["query"], version="1.1", maximumRecords="2",
                    recordSchema="brief")  # fmt: skip
    assert etree.tostring(response, method="c14n", exclusive=True) == etree.tostring(
        by_url.root, method="c14n", exclusive=True
    )


def test_soap_speaks_2_0_in_its_namespaces(demo: RunningServer) -> None:
    answer = soap(demo, "cn_cat", request("searchRetrieve", SRU_2, **GIVEN))
    assert answer.texts("//s2:searchRetrieveResponse/s2:numberOfRecords") == ["3"]
    scan = '<z:scanRequest xmlns:z="{}"><z:scanClause>dc.title=a</z:scanClause></z:scanRequest>'
    answer = soap(demo, "we_cat", scan.format(NAMESPACES["scan2"]))
    assert answer.texts("//scan2:scanResponse/scan2:terms/scan2:term/scan2:value") != []
    explain = f'<z:explainRequest xmlns:z="{SRU_2}"/>'
    answer = soap(demo, "cn_cat", explain, None)
    assert answer.texts("//e:serverInfo/e:database") == ["cn_cat"]


def test_scan_and_explain_go_by_soap(demo: RunningServer) -> None:
    answer = soap(
        demo, "we_cat", request("scan", version="1.2", scanClause="author=knuth", maximumTerms="1")
    )
    assert answer.texts("//soap:Body/zs:scanResponse//zs:value") == ["knuth"]
    answer = soap(demo, "we_cat", request("explain", version="1.1"), None)
    assert answer.texts("//soap:Body/zs:explainResponse//e:database") == ["we_cat"]


def test_mistakes_in_a_message_are_diagnostics_and_not_faults(demo: RunningServer) -> None:
    wrong = request("searchRetrieve", version="1.1", query="title=", recordSchema="nothing")
    answer = soap(demo, "we_cat", wrong)
    assert (answer.status, answer.diagnostics) == (200, ["1/10", "1/66"])
    assert answer.texts("//soap:Fault") == []
    answer = soap(demo, "we_cat", request("sing", version="1.1"))
    assert (answer.status, answer.diagnostics) == (200, ["1/4"])


def test_a_wrong_password_is_401_in_an_envelope(demo: RunningServer) -> None:
    answer = soap(demo, "we_cat", request("searchRetrieve", version="1.1", query="x"), "demo3:no")
    assert (answer.status, answer.diagnostics) == (401, ["1/3"])
    assert answer.challenge.startswith("Basic ")


def test_a_token_in_a_message_or_a_form_signs_in(demo: RunningServer) -> None:
    made = lianmu("member", "key", "add", "DEMO2", "post", "--config", str(demo.config))
    assert made.returncode == 0, made.stdout + made.stderr
    key = made.stdout.split("key ")[1].split()[0]
    token = (
        "<z:extraRequestData><authenticationToken xmlns='info:srw/extension/2/auth-1.0'>"
        f"{key}</authenticationToken></z:extraRequestData></z:searchRetrieveRequest>"
    )
    message = request("searchRetrieve", version="1.1", query="dc.title=史记")
    assert soap(demo, "cn_cat", message, None).diagnostics == ["1/69"]
    signed = message.replace("</z:searchRetrieveRequest>", token)
    answer = soap(demo, "cn_cat", signed, None)
    assert answer.texts("//zs:recordPosition") == ["1", "2", "3"]
    assert key.encode() not in answer.body
    given = {"version": "2.0", "query": "dc.title=史记"}
    name = "x-info-2-auth1.0-authenticationToken"
    answer = form(demo, "cn_cat", None, **given, **{name: key})
    assert answer.texts("//s2:recordPosition") == ["1", "2", "3"]
    assert key.encode() not in answer.body
    assert form(demo, "cn_cat", None, **given, **{name: "wrong"}).status == 401


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"<a", 500, "SOAP:Client"),
        (b"<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>", 500, "SOAP:Client"),
        (b"<E:Envelope xmlns:E='urn:other'/>", 500, "SOAP:VersionMismatch"),
    ],
)
def test_broken_soap_is_a_fault(demo: RunningServer, body: bytes, status: int, code: str) -> None:
    answer = send(demo, "we_cat", body, Content_Type="text/xml")
    assert (answer.status, answer.media_type) == (status, "text/xml")
    assert answer.texts("//faultcode") == [code]
    assert b"root:" not in answer.body


def test_other_bodies_are_415_and_broken_forms_400(demo: RunningServer) -> None:
    assert send(demo, "we_cat", b"{}", Content_Type="application/json").status == 415
    broken = send(demo, "we_cat", b"\xff\xfe", Content_Type="application/x-www-form-urlencoded")
    assert broken.status == 400
    flood = "&".join(f"x-{n}=1" for n in range(300)).encode()
    many = send(demo, "we_cat", flood, Content_Type="application/x-www-form-urlencoded")
    assert many.status == 400


def test_a_body_over_the_bound_is_refused(demo: RunningServer) -> None:
    host, port = demo.http.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("POST", "/we_cat", b"x" * (2 << 20), {"Content-Type": "text/xml"})
    assert connection.getresponse().status == 413
    connection.close()
