"""Record Update over HTTP: who may ask, what is checked, and that nothing is changed yet."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest

from tests.harness import RunningServer
from tests.server.sru_client import Answer, form, get, search, send, soap

SRW = "http://www.loc.gov/zing/srw/"
UCP = "info:lc/xmlns/update-v1"
NOT_YET = "the request is in order, but records cannot be changed over SRU yet"
RECORD = (
    '<record xmlns="http://www.loc.gov/MARC21/slim"><leader>00000nam a2200000   4500</leader>'
    '<controlfield tag="001">LMW0000005</controlfield><datafield tag="245" ind1="1" ind2="0">'
    '<subfield code="a">Another title</subfield></datafield></record>'
)


def element(action: str, identifier: str = "", record: str = RECORD, versions: str = "") -> str:
    number = f"<u:recordIdentifier>{identifier}</u:recordIdentifier>" if identifier else ""
    data = (
        "<s:record><s:recordPacking>xml</s:recordPacking><s:recordSchema>marcxml"
        f"</s:recordSchema><s:recordData>{record}</s:recordData></s:record>"
    )
    return (
        f'<u:updateRequest xmlns:u="{UCP}" xmlns:s="{SRW}"><s:version>1.0</s:version>'
        f"<u:action>info:srw/action/1/{action}</u:action>{number}{versions}"
        f"{data if record else ''}<s:extraRequestData>"
        '<quota xmlns="urn:lianmu:extension:quota">1</quota></s:extraRequestData>'
        "</u:updateRequest>"
    )


def version(kind: str, value: str) -> str:
    return (
        f"<u:recordVersions><u:recordVersion><u:versionType>{kind}</u:versionType>"
        f"<u:versionValue>{value}</u:versionValue></u:recordVersion></u:recordVersions>"
    )


def refused(answer: Answer, diagnostic: str, details: str = "") -> None:
    assert answer.texts("//u:updateResponse/u:operationStatus") == ["fail"]
    assert answer.diagnostics == [diagnostic]
    if details:
        assert answer.texts("//d:details") == [details]


@pytest.mark.parametrize(("action", "identifier", "record"), [
    ("create", "", RECORD), ("replace", "LMW0000005", RECORD), ("delete", "LMW0000005", ""),
])  # fmt: skip
def test_a_request_in_order_is_told_that_updates_are_not_taken_yet(
    demo: RunningServer, action: str, identifier: str, record: str
) -> None:
    answer = soap(demo, "we_cat", element(action, identifier, record))
    assert answer.status == 200
    refused(answer, "12/61", NOT_YET)
    assert answer.texts("//soap:Body/u:updateResponse/zs:version") == ["1.0"]
    assert answer.texts("//q:usage/@institution") == ["DEMO1"]
    alone = send(
        demo, "we_cat", element(action, identifier, record).encode(), Content_Type="text/xml"
    )
    refused(alone, "12/61", NOT_YET)
    assert alone.texts("/u:updateResponse/zs:version") == ["1.0"]
    found = search(demo, "we_cat", "rec.identifier=LMW0000005", recordSchema="brief")
    assert found.texts("zs:numberOfRecords") == ["1"]


def test_a_form_is_answered_like_a_message(demo: RunningServer) -> None:
    answer = form(
        demo, "we_cat", operation="update", version="1.0", action="info:srw/action/1/replace",
        recordIdentifier="LMW0000005", recordSchema="marcxml", recordPacking="string",
        recordData=RECORD,
    )  # fmt: skip
    refused(answer, "12/61", NOT_YET)


@pytest.mark.parametrize(("login", "details"), [(None, "sign in"), ("demo3:wrong", "demo3")])
def test_who_is_not_signed_in_may_not(demo: RunningServer, login: str | None, details: str) -> None:
    answer = soap(demo, "we_cat", element("delete", "LMW0000005", ""), login)
    assert answer.status == 401
    assert answer.challenge.startswith("Basic ")
    refused(answer, "1/3", details)


def test_the_version_named_must_be_that_of_the_record(demo: RunningServer) -> None:
    told = soap(demo, "we_cat", element("delete", "LMW0000005", ""))
    names = told.texts("//u:recordVersion/u:versionType")
    assert names == ["number", "timestamp"]
    values = told.texts("//u:recordVersion/u:versionValue")
    for name, value in zip(names, values, strict=True):
        right = element("replace", "LMW0000005", versions=version(name, value))
        refused(soap(demo, "we_cat", right), "12/61", NOT_YET)
        wrong = element("replace", "LMW0000005", versions=version(name, "9" + value))
        expected = f"{name} 9{value}, the record has {value}"
        refused(soap(demo, "we_cat", wrong), "12/55", expected)
    unknown = element("replace", "LMW0000005", versions=version("colour", "red"))
    refused(soap(demo, "we_cat", unknown), "12/55", "colour red, the record has none")


@pytest.mark.parametrize(
    ("path", "message", "diagnostic", "details"),
    [
        ("we_cat", element("replace", "LMW9999999"), "12/50", "LMW9999999"),
        ("cn_cat", element("delete", "LMW0000005", ""), "12/50", "LMW0000005"),
        ("", element("create"), "1/235", "name one database in the address"),
        ("sru", element("create"), "1/235", "name one database in the address"),
        ("we_cat", element("create", record=escape("<record>")), "12/12", ""),
        ("we_cat", element("create", record="<a/>"), "12/12", "the document holds no MARC record"),
        ("we_cat", element("sing"), "12/100", "info:srw/action/1/sing"),
        ("we_cat", element("delete", "", ""), "12/9", "recordIdentifier"),
    ],
)
def test_what_is_wrong_has_its_precise_diagnostic(
    demo: RunningServer, path: str, message: str, diagnostic: str, details: str
) -> None:
    answer = soap(demo, path, message)
    assert answer.status == 200
    refused(answer, diagnostic, details)


def test_an_unknown_database_is_404(demo: RunningServer) -> None:
    answer = soap(demo, "nowhere", element("create"))
    assert answer.status == 404
    refused(answer, "1/235", "nowhere")


def test_an_address_alone_changes_nothing(demo: RunningServer) -> None:
    answer = get(demo, "we_cat", operation="update", version="1.1", action="delete")
    assert answer.diagnostics == ["1/4"]
