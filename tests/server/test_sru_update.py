"""Record Update over HTTP: who may ask, what is checked, and what is changed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from lxml import etree

from protocol.iso2709 import DecodedRecord, Field, MarcRecord, build, parse
from protocol.marcxml import to_marcxml
from protocol.marcxml_reader import decode_marcxml
from protocol.record import MarcFamily
from store.rights import MEMBER_RIGHTS
from tests.harness import RunningServer
from tests.server.own_server import marc21, own_server
from tests.server.sru_client import Answer, form, get, search, soap
from tests.unit.test_validation import record_of

SRW = "http://www.loc.gov/zing/srw/"
UCP = "info:lc/xmlns/update-v1"
RECORD = (
    '<record xmlns="http://www.loc.gov/MARC21/slim"><leader>00000nam a2200000   4500</leader>'
    '<controlfield tag="001">LMW0000005</controlfield><datafield tag="245" ind1="1" ind2="0">'
    '<subfield code="a">Another title</subfield></datafield></record>'
)


def element(
    action: str,
    identifier: str = "",
    record: str = RECORD,
    versions: str = "",
    extra: str = "",
) -> str:
    number = f"<u:recordIdentifier>{identifier}</u:recordIdentifier>" if identifier else ""
    data = (
        "<s:record><s:recordPacking>xml</s:recordPacking><s:recordSchema>marcxml"
        f"</s:recordSchema><s:recordData>{record}</s:recordData></s:record>"
    )
    return (
        f'<u:updateRequest xmlns:u="{UCP}" xmlns:s="{SRW}"><s:version>1.0</s:version>'
        f"<u:action>info:srw/action/1/{action}</u:action>{number}{versions}"
        f"{data if record else ''}<s:extraRequestData>"
        f'<quota xmlns="urn:lianmu:extension:quota">1</quota>{extra}</s:extraRequestData>'
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


ISBN = "~020   $a9787101003048"
CONFIRM = (
    '<confirm-duplicate xmlns="urn:lianmu:extension:upload">1</confirm-duplicate>'
    '<upload xmlns="urn:lianmu:extension:upload">1</upload>'
)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of which demo1 may upload and demo2 may not; LMW0000005 came in a file."""
    folder = tmp_path_factory.mktemp("sru_update")
    loaded = {"we_cat": [marc21("LMW0000005", "Some title")]}
    with own_server(folder, loaded, rights=(*MEMBER_RIGHTS, "upload"), workers=2) as server:
        yield server


def book(number: str, title: str, *changes: str) -> str:
    """MARCXML of a record unlike all others."""
    record = record_of(
        MarcFamily.MARC21, f"~001 {number}", f"~020   $a{number}", f"~245 10$a{title} /$c{title}.",
        "-880", "-880", "-100", *changes,
    )  # fmt: skip
    return _xml(record)


def _xml(record: MarcRecord) -> str:
    xml = to_marcxml(build(record.leader, record.fields, oversize=True))
    return xml.partition("?>")[2] if xml.startswith("<?xml") else xml


def created(shelf: RunningServer, record: str) -> Answer:
    answer = soap(shelf, "we_cat", element("create", record=record))
    assert answer.texts("//u:operationStatus") == ["success"], answer.body
    return answer


def number_of(answer: Answer) -> str:
    return answer.texts("//u:recordIdentifier")[0]


def taken(shelf: RunningServer, number: str) -> MarcRecord:
    found = search(shelf, "we_cat", f"rec.identifier={number}", recordSchema="marcxml")
    (record,) = found.root.iter("{http://www.loc.gov/MARC21/slim}record")
    decoded = decode_marcxml(etree.tostring(record), MarcFamily.MARC21)
    assert isinstance(decoded, DecodedRecord)
    return parse(decoded.marc)


def noted(record: MarcRecord, note: str) -> str:
    return _xml(MarcRecord(record.leader, [*record.fields, Field.of("500", "  ", [("a", note)])]))


def test_a_record_is_created_replaced_and_deleted(shelf: RunningServer) -> None:
    answer = created(shelf, book("c1", "Quokkas at noon"))
    number = number_of(answer)
    assert number.startswith("lm")
    assert answer.status == 200
    assert answer.texts("//soap:Body/u:updateResponse/zs:version") == ["1.0"]
    assert answer.texts("//u:recordVersion/u:versionType") == ["number", "timestamp"]
    assert answer.texts("//u:recordVersion/u:versionValue")[0] == "1"
    assert answer.texts("//q:usage/@institution") == ["DEMO1"]
    assert search(shelf, "we_cat", "dc.title=quokkas").texts("zs:numberOfRecords") == ["1"]
    # The same again, in a form this time, is the same record.
    again = form(
        shelf, "we_cat", operation="update", version="1.0", action="info:srw/action/1/create",
        recordSchema="marcxml", recordPacking="string", recordData=book("c1", "Quokkas at noon"),
    )  # fmt: skip
    assert number_of(again) == number
    assert search(shelf, "we_cat", "dc.title=quokkas").texts("zs:numberOfRecords") == ["1"]
    record = taken(shelf, number)
    replaced = soap(shelf, "we_cat", element("replace", number, noted(record, "Second")))
    assert replaced.texts("//u:operationStatus") == ["success"]
    assert replaced.texts("//u:recordVersion/u:versionValue")[0] == "2"
    stale = soap(shelf, "we_cat", element("replace", number, noted(record, "Third")))
    refused(stale, "12/55")
    assert stale.texts("//u:recordVersion/u:versionValue")[0] == "2"
    deleted = soap(shelf, "we_cat", element("delete", number, ""))
    assert deleted.texts("//u:operationStatus") == ["success"]
    assert search(shelf, "we_cat", "dc.title=quokkas").texts("zs:numberOfRecords") == ["0"]
    refused(soap(shelf, "we_cat", element("replace", number, noted(record, "x"))), "12/50")


def test_the_version_named_must_be_that_of_the_record(shelf: RunningServer) -> None:
    answer = created(shelf, book("v1", "Versions of wombats"))
    number = number_of(answer)
    record = taken(shelf, number)
    for kind, note in (("number", "a"), ("timestamp", "b"), ("", "c")):
        names = answer.texts("//u:recordVersion/u:versionType")
        values = answer.texts("//u:recordVersion/u:versionValue")
        value = dict(zip(names, values, strict=True))[kind or "number"]
        changed = noted(record, note)
        wrong = element("replace", number, changed, version(kind or "number", "9" + value))
        details = f"{kind or 'number'} 9{value}, the record has {value}"
        refused(soap(shelf, "we_cat", wrong), "12/55", details)
        right = element("replace", number, changed, version(kind, value))
        answer = soap(shelf, "we_cat", right)
        assert answer.texts("//u:operationStatus") == ["success"], answer.body
    unknown = element("delete", number, "", version("colour", "red"))
    refused(soap(shelf, "we_cat", unknown), "12/55", "colour red, the record has none")


def test_a_duplicate_is_refused_until_it_is_confirmed(shelf: RunningServer) -> None:
    number = number_of(created(shelf, book("d1", "Echidnas", ISBN)))
    again = book("d1", "Echidnas", ISBN, "~300   $a124 p.")
    answer = soap(shelf, "we_cat", element("create", record=again))
    refused(answer, "12/58")
    assert number in answer.texts("//d:details")[0]
    confirmed = soap(shelf, "we_cat", element("create", record=again, extra=CONFIRM))
    assert confirmed.texts("//u:operationStatus") == ["success"]
    assert number_of(confirmed) != number
    told = {"up": "urn:lianmu:extension:upload"}
    assert confirmed.root.xpath("string(//up:change)", namespaces=told) == "created"
    credit = confirmed.root.xpath("string(//up:credit)", namespaces=told)
    assert str(credit).startswith("DEMO1 does not upload for credit")


def test_findings_are_diagnostics_a_line_each(shelf: RunningServer) -> None:
    warned = created(shelf, book("f1", "Findings", "+245 10$aAgain", "-300"))
    assert set(warned.diagnostics) == {"12/3", "12/10"}
    assert any(each.startswith("245[2]") for each in warned.texts("//d:details"))
    broken = book("f2", "Broken").replace("nam", "n?m").replace("cam", "c?m")
    answer = soap(shelf, "we_cat", element("create", record=broken))
    refused(answer, "12/12")
    assert "leader/06" in answer.texts("//d:details")[0]


def test_what_came_in_a_file_is_not_a_members_to_change(shelf: RunningServer) -> None:
    answer = soap(shelf, "we_cat", element("delete", "LMW0000005", ""))
    refused(answer, "12/53")
    assert answer.texts("//u:recordVersion/u:versionValue")[0] == "1"


def test_without_the_right_to_upload_nothing_may_be_changed(demo: RunningServer) -> None:
    answer = soap(demo, "we_cat", element("create"))
    assert answer.status == 403
    refused(answer, "12/53")
    assert "demo1 has no right to upload" in answer.texts("//d:details")[0]


@pytest.mark.real_client
def test_curl_updates_with_a_message_and_with_a_form(
    shelf: RunningServer, client_program: Callable[[str], str], tmp_path: Path
) -> None:
    curl = [client_program("curl"), "--silent", "--user", "demo1:demo1"]
    message = tmp_path / "request.xml"
    message.write_text(element("create", record=book("k1", "Kookaburras")), "utf-8")
    address = f"{shelf.url}/we_cat"
    sent = subprocess.run(
        [*curl, "-H", "Content-Type: text/xml", "--data-binary", f"@{message}", address],
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    root = etree.fromstring(sent.stdout)
    assert root.findtext("{*}operationStatus") == "success", sent.stdout
    number = root.findtext("{*}recordIdentifier")
    deleted = subprocess.run(
        [*curl, "--data-urlencode", "operation=update", "--data-urlencode", "version=1.0",
         "--data-urlencode", "action=info:srw/action/1/delete",
         "--data-urlencode", f"recordIdentifier={number}", address],
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert etree.fromstring(deleted.stdout).findtext("{*}operationStatus") == "success"


@pytest.mark.parametrize(
    ("login", "details"),
    [
        (None, "sign in"),
        ("demo3:wrong", "demo3: unknown account or wrong password / 账号不存在或密码错误"),
    ],
)
def test_who_is_not_signed_in_may_not(demo: RunningServer, login: str | None, details: str) -> None:
    answer = soap(demo, "we_cat", element("delete", "LMW0000005", ""), login)
    assert answer.status == 401
    assert answer.challenge.startswith("Basic ")
    refused(answer, "1/3", details)


@pytest.mark.parametrize(
    ("path", "message", "diagnostic", "details"),
    [
        (
            "we_cat",
            element("replace", "LMW9999999"),
            "12/50",
            "there is no record LMW9999999 / 无此记录 LMW9999999",
        ),
        (
            "cn_cat",
            element("delete", "LMW0000005", ""),
            "12/50",
            "there is no record LMW0000005 / 无此记录 LMW0000005",
        ),
        ("", element("create"), "1/235", "name one database in the address"),
        ("sru", element("create"), "1/235", "name one database in the address"),
        ("we_cat", element("create", record=escape("<record>")), "12/12", ""),
        ("we_cat", element("create", record="<a/>"), "12/12", "the document holds no MARC record"),
        ("we_cat", element("sing"), "12/100", "info:srw/action/1/sing"),
        ("we_cat", element("delete", "", ""), "12/9", "recordIdentifier"),
    ],
)
def test_what_is_wrong_has_its_precise_diagnostic(
    shelf: RunningServer, path: str, message: str, diagnostic: str, details: str
) -> None:
    answer = soap(shelf, path, message)
    assert answer.status == 200
    refused(answer, diagnostic, details)


def test_an_unknown_database_is_404(demo: RunningServer) -> None:
    answer = soap(demo, "nowhere", element("create"))
    assert answer.status == 404
    refused(answer, "1/235", "nowhere")


def test_an_address_alone_changes_nothing(demo: RunningServer) -> None:
    answer = get(demo, "we_cat", operation="update", version="1.1", action="delete")
    assert answer.diagnostics == ["1/4"]
