"""Holdings by SRU Record Update: ISO 20775, holdings records, and 905 or 852 alone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lxml import etree

from protocol.holding_statement import HoldingStatement
from protocol.holdings_fields import SaidInMarc, holdings_record
from protocol.isohold import to_isohold
from protocol.isohold_reader import read_isohold
from protocol.marcxml import to_marcxml
from protocol.record import Database, Holding, MarcFamily, StoredRecord
from tests.harness import RunningServer, lianmu
from tests.server.own_server import cnmarc, marc21, own_server
from tests.server.sru_client import Answer, form, search, soap
from tests.server.test_sru_update import SRW, UCP, refused

WE_CAT = Database("we_cat", "Western", MarcFamily.MARC21)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    loaded = {
        "we_cat": [marc21(f"w{n}", f"Western {n}") for n in range(1, 9)],
        "cn_cat": [cnmarc("c1", "中文书")],
    }
    with own_server(tmp_path_factory.mktemp("sru"), loaded, pinned={"other": ""}) as running:
        yield running


def iso(number: str, *, code: str = "DEMO1", **said: object) -> str:
    """A holding as our own responses write it."""
    record = StoredRecord(1, WE_CAT, number, b"")
    made = to_isohold(record, [Holding(code, 1, **said)])  # type: ignore[arg-type]
    assert made is not None
    return made.decode()


def ask(
    server: RunningServer, action: str, number: str = "", record: str = "", schema: str = "isohold",
    *, database: str = "we_cat", login: str = "demo1:demo1", **more: str,
) -> Answer:  # fmt: skip
    parameters = {
        "operation": "update", "version": "1.0", "action": f"info:srw/action/1/{action}",
        "recordIdentifier": number, "recordData": record, "recordSchema": schema,
        "x-lianmu-upload": "1", **more,
    }  # fmt: skip
    return form(server, database, login, **{k: v for k, v in parameters.items() if v})


def changed(answer: Answer, number: str) -> str:
    """What became of the holding of the record, which is named in the answer."""
    assert answer.texts("//u:operationStatus") == ["success"], answer.body
    assert answer.texts("//u:recordIdentifier") == [number]
    (what,) = answer.texts("//*[local-name()='upload']/*[local-name()='change']")
    return what


def held(server: RunningServer, number: str, database: str = "we_cat") -> list[tuple[str, str]]:
    """Names and texts of what the record's holdings say, "" without a holding."""
    found = search(server, database, f"rec.identifier={number}", recordSchema="isohold")
    return [
        (etree.QName(each).localname, each.text or "")
        for each in found.root.iter("{http://www.loc.gov/standards/iso20775/}*")
        if len(each) == 0
        and etree.QName(each).localname in {"copiesCount", "shelfLocator", "sublocation", "note"}
    ]


def hits(server: RunningServer, code: str = "DEMO1") -> str:
    query = f"bath.possessingInstitution={code}"
    return search(server, "we_cat", query).texts("zs:numberOfRecords")[0]


def test_a_holding_of_iso_20775_is_created_replaced_and_deleted(server: RunningServer) -> None:
    first = iso("w1", call_number="QA1", copies=2, location="Main", note="ask")
    assert changed(ask(server, "create", "", first), "w1") == "holdings added"
    assert held(server, "w1") == [
        ("copiesCount", "2"), ("sublocation", "Main"), ("shelfLocator", "QA1"), ("note", "ask"),
    ]  # fmt: skip
    assert hits(server) == "1"
    # The same again, as after a lost answer; something else is no retry.
    assert changed(ask(server, "create", "w1", first), "w1") == "holdings unchanged"
    other = iso("w1", call_number="QA2")
    refused(ask(server, "create", "w1", other), "12/58")
    assert changed(ask(server, "replace", "w1", other), "w1") == "holdings changed"
    assert held(server, "w1") == [("copiesCount", "1"), ("shelfLocator", "QA2")]
    assert changed(ask(server, "delete", "w1"), "w1") == "holdings removed"
    assert (held(server, "w1"), hits(server)) == ([], "0")
    assert changed(ask(server, "delete", "w1"), "w1") == "holdings unchanged"
    refused(ask(server, "replace", "w1", other), "12/50")


def test_a_message_of_soap_does_the_same(server: RunningServer) -> None:
    def message(action: str, record: str) -> str:
        data = (
            "<s:record><s:recordPacking>xml</s:recordPacking><s:recordSchema>"
            f"info:ofi/fmt:xml:xsd:iso20775</s:recordSchema><s:recordData>{record}"
            "</s:recordData></s:record>"
        )
        return (
            f'<u:updateRequest xmlns:u="{UCP}" xmlns:s="{SRW}"><s:version>1.0</s:version>'
            f"<u:action>info:srw/action/1/{action}</u:action>"
            f"<u:recordIdentifier>w2</u:recordIdentifier>{data}<s:extraRequestData>"
            '<upload xmlns="urn:lianmu:extension:upload">1</upload></s:extraRequestData>'
            "</u:updateRequest>"
        )

    answer = soap(server, "we_cat", message("create", iso("", call_number="QA3")))
    assert changed(answer, "w2") == "holdings added"
    assert answer.texts("//u:recordVersion/u:versionValue")[0] == "1"
    assert changed(soap(server, "we_cat", message("delete", iso("w2"))), "w2") == (
        "holdings removed"
    )


def marcxml(number: str, family: MarcFamily, code: str = "DEMO1", **said: object) -> str:
    holding = Holding(code, 0, **said)  # type: ignore[arg-type]
    return to_marcxml(holdings_record(number, family, holding))


def test_holdings_records_and_fields_alone_are_taken(server: RunningServer) -> None:
    mfhd = marcxml("w3", MarcFamily.MARC21, call_number="QA4")
    assert changed(ask(server, "create", "", mfhd, "marcxml"), "w3") == "holdings added"
    again = marcxml("w3", MarcFamily.MARC21, call_number="QA5")
    assert changed(ask(server, "replace", "w3", again, "marcxml"), "w3") == "holdings changed"
    assert held(server, "w3") == [("copiesCount", "1"), ("shelfLocator", "QA5")]
    with_905 = marcxml("c1", MarcFamily.UNIMARC, call_number="TP1")
    on = {"x-lianmu-holdings": "1", "database": "cn_cat"}
    assert changed(ask(server, "create", "", with_905, "marcxml", **on), "c1") == "holdings added"
    assert held(server, "c1", "cn_cat") == [("copiesCount", "1"), ("shelfLocator", "TP1")]
    assert changed(ask(server, "delete", "c1", "", "", **on), "c1") == "holdings removed"
    # Without it the record is a record, for which there is no right.
    refused(ask(server, "replace", "c1", with_905, "marcxml", database="cn_cat"), "12/53")


@pytest.mark.parametrize(
    ("number", "record", "diagnostic", "status"),
    [
        ("w99", iso("w99"), "12/50", 200),
        ("", iso("w4").replace("resourceIdentifier", "form"), "12/22", 200),
        ("w4", iso("w4", code="PKU"), "12/53", 200),
        ("w4", "<holdings/>", "12/12", 200),
        ("w4", "<x", "12/12", 200),
        ("w4", iso("w4").replace(">1<", ">many<"), "12/12", 200),
        ("w4", iso("w4", call_number="x" * 301), "12/12", 200),
    ],
)
def test_what_is_refused_says_exactly_why(
    server: RunningServer, number: str, record: str, diagnostic: str, status: int
) -> None:
    answer = ask(server, "create", number, record)
    refused(answer, diagnostic)
    assert answer.status == status
    assert held(server, "w4") == []


def test_an_operator_is_told_that_members_alone_change_holdings(server: RunningServer) -> None:
    config = ("--config", str(server.config))
    added = lianmu("operator", "add", "chen", "--password", "operators1", *config)
    assert added.returncode == 0, added.stderr
    answer = ask(server, "create", "w6", iso("w6", code="OTHER"), login="chen:operators1")
    refused(answer, "12/53")
    assert answer.status == 403
    assert "chen belongs to no institution" in answer.body.decode()
    assert "只有成员馆账号可以提交馆藏" in answer.body.decode()
    assert held(server, "w6") == []


def test_only_ones_own_holdings_are_changed(server: RunningServer) -> None:
    ask(server, "create", "w5", iso("w5", call_number="QA"))
    assert changed(ask(server, "delete", "w5", login="other:other"), "w5") == "holdings unchanged"
    theirs = iso("w5", code="OTHER", call_number="X")
    assert changed(ask(server, "create", "w5", theirs, login="other:other"), "w5")
    assert held(server, "w5") == [
        ("copiesCount", "1"), ("shelfLocator", "QA"), ("copiesCount", "1"), ("shelfLocator", "X"),
    ]  # fmt: skip
    nobody = ask(server, "delete", "w5", login="")
    assert (nobody.status, len(held(server, "w5"))) == (401, 4)


@pytest.mark.real_client
def test_curl_submits_a_holding(
    server: RunningServer, client_program: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "held.xml").write_text(iso("w6", call_number="QA6"))
    done = subprocess.run(
        [client_program("curl"), "--silent", "--user", "demo1:demo1", f"{server.url}/we_cat",
         "--data-urlencode", "operation=update", "--data-urlencode", "version=1.0",
         "--data-urlencode", "action=info:srw/action/1/create",
         "--data-urlencode", "recordSchema=isohold",
         "--data-urlencode", f"recordData@{tmp_path}/held.xml"],
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert b"<zu:operationStatus>success<" in done.stdout, done
    assert held(server, "w6") == [("copiesCount", "1"), ("shelfLocator", "QA6")]


def test_what_is_written_as_iso_20775_is_read_again() -> None:
    said = HoldingStatement("QA1", 3, "Main", ("b1", "b2"), "v.1-3", "ask")
    xml = iso("w1", call_number="QA1", copies=3, location="Main", barcodes=("b1", "b2"),
              extent="v.1-3", note="ask")  # fmt: skip
    read = read_isohold(xml.encode(), "demo1")
    assert isinstance(read, SaidInMarc)
    assert (read.statement, read.name.control_number, read.others) == (said, "w1", 0)
    bare = read_isohold(iso("w1", call_number="QA1").encode(), "DEMO1")
    assert isinstance(bare, SaidInMarc)
    assert bare.statement == HoldingStatement("QA1", 1, "", (), "", "")
    structured = iso("w1").replace("holdingSimple", "holdingStructured")
    assert "holdingStructured" in str(read_isohold(structured.encode(), "DEMO1"))
    # A reference to an entity of the sender's making brings nothing in.
    evil = '<!DOCTYPE h [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + iso("w1").replace(
        "DEMO1</value>", "DEMO1</value><x>&e;</x>"
    )
    assert "root:" not in str(read_isohold(evil.encode(), "DEMO1"))
