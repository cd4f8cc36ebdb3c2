"""Every record syntax of Z39.50, as a client on the wire receives it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from protocol import apdu, oid
from protocol.diagnostic import Bib1, Diagnostic
from protocol.grs1 import GRS_1, SUTRS, TaggedElement
from protocol.iso2709 import parse
from protocol.oid import Oid
from protocol.opac import OPAC_RECORD, HoldingsAndCircData
from protocol.record import Database, MarcFamily, StoredRecord
from server.config import DatabaseSection
from server.delivery.retrieval import RecordForm
from server.z3950.forms import MARC21_SYNTAXES, UNIMARC_SYNTAXES, Forms
from tests.harness import RunningServer, lianmu
from tests.z3950_client import Client, connected, records, surrogates

WESTERN = ("@attr 1=1003 knuth", "we_cat")
CHINESE = ("@attr 1=4 红楼梦", "cn_cat")


def external(client: Client, syntax: Oid | None, element_set: str | None = None) -> apdu.External:
    response = client.present(1, 1, syntax, record_composition=element_set)
    assert isinstance(response.records, tuple), response.records
    record = response.records[0].record
    assert isinstance(record, apdu.External), record
    return record


def by_tag(
    elements: tuple[TaggedElement, ...], tag_type: int, tag: str | int
) -> list[TaggedElement]:
    return [each for each in elements if (each.tag_type, each.tag_value) == (tag_type, tag)]


@pytest.mark.parametrize("syntax", MARC21_SYNTAXES, ids=oid.name_of)
def test_national_names_of_marc_21_bring_marc_21(demo: RunningServer, syntax: Oid) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        client.search(*WESTERN)
        record = external(client, syntax)
        assert record.direct_reference == syntax
        assert b"Knuth" in record.data
        assert len(external(client, syntax, "B").data) < len(record.data)
        client.search(*CHINESE)
        condition, addinfo = surrogates(client.present(1, 1, syntax))[0]
        assert condition == Bib1.RECORD_NOT_IN_SYNTAX
        assert "cn_cat are unimarc" in addinfo


@pytest.mark.parametrize("syntax", UNIMARC_SYNTAXES, ids=oid.name_of)
def test_national_names_of_unimarc_bring_unimarc(demo: RunningServer, syntax: Oid) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        client.search(*CHINESE)
        record = external(client, syntax)
        assert record.direct_reference == syntax
        assert "红楼梦" in record.data.decode()
        client.search(*WESTERN)
        assert surrogates(client.present(1, 1, syntax))[0][0] == Bib1.RECORD_NOT_IN_SYNTAX


@pytest.mark.parametrize(
    ("element_set", "namespace"),
    [
        (None, "http://www.loc.gov/MARC21/slim"),
        ("F", "http://www.loc.gov/MARC21/slim"),
        ("marcxml", "http://www.loc.gov/MARC21/slim"),
        ("info:srw/schema/1/marcxml-v1.1", "http://www.loc.gov/MARC21/slim"),
        ("marcxchange", "info:lc/xmlns/marcxchange-v2"),
        ("info:lc/xmlns/marcxchange-v1", "info:lc/xmlns/marcxchange-v2"),
        ("dc", "info:srw/schema/1/dc-schema"),
        ("oai_dc", "info:srw/schema/1/dc-schema"),
    ],
)
@pytest.mark.parametrize("search", [WESTERN, CHINESE], ids=["marc21", "unimarc"])
def test_an_element_set_name_chooses_the_schema_of_xml(
    demo: RunningServer, search: tuple[str, str], element_set: str | None, namespace: str
) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        client.search(*search)
        record = external(client, oid.XML, element_set)
        assert record.direct_reference == oid.XML
        root = ElementTree.fromstring(record.data)
        assert root.tag.startswith(f"{{{namespace}}}")


def test_grs_1_has_the_record_under_tag_set_g_and_its_marc_under_local_tags(
    demo: RunningServer,
) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        client.search(*WESTERN)
        marc = parse(external(client, oid.USMARC).data)
        elements = external(client, oid.GRS_1).decode(GRS_1)
        brief = external(client, oid.GRS_1, "B").decode(GRS_1)
    assert by_tag(elements, 1, 14)[0].content == marc.control_number
    assert "Knuth" in str(by_tag(elements, 2, 2)[0].content)
    title = marc.first("245")
    assert title is not None
    content = by_tag(elements, 3, 245)[0].content
    assert isinstance(content, tuple)
    assert content[0].tag_value == title.indicators
    subfields = content[0].content
    assert isinstance(subfields, tuple)
    assert [(each.tag_value, each.content) for each in subfields] == title.subfields
    assert len(by_tag(elements, 3, 8)) == 1
    assert not any(each.tag_type == 3 for each in brief)
    assert by_tag(brief, 2, 1) == by_tag(elements, 2, 1)[:1]


def test_opac_has_the_record_and_who_holds_it(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        held = None
        for search in (WESTERN, CHINESE, ("@attr 1=1016 @attr 2=103 x", "cn_cat")):
            hits = client.search(*search).result_count
            response = client.present(1, min(hits, 20), oid.OPAC)
            for marc, data in zip(
                records(client.present(1, min(hits, 20), None)), records(response), strict=True
            ):
                opac = OPAC_RECORD.decode(data)
                assert opac.bibliographic_record is not None
                assert opac.bibliographic_record.data == marc
                held = next(iter(opac.holdings_data), held)
        assert isinstance(held, HoldingsAndCircData)
        assert held.nuc_code in ("DEMO1", "DEMO2", "DEMO3")
        assert held.local_location
        assert held.call_number
        assert held.copy_number == "1"
        assert held.circulation_data[0].available_now


def test_sutrs_is_text_for_people(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        client.search(*CHINESE)
        assert "Title: 红楼梦" in external(client, oid.SUTRS).decode(SUTRS)


def test_what_holds_the_marc_record_is_a_download_and_the_rest_is_not(
    demo: RunningServer,
) -> None:
    def downloads() -> int:
        told = lianmu("usage", "DEMO3", "--json", "--config", str(demo.config)).stdout
        usage = json.loads(told)
        return int(usage["downloads"] + usage["repeats"])

    with connected(demo.z3950, "demo3/demo3") as client:
        client.search(*WESTERN)
        before = downloads()
        for syntax in (oid.GRS_1, oid.OPAC, oid.CANMARC):
            external(client, syntax)
        for element_set in ("marcxchange", "dc"):
            external(client, oid.XML, element_set)
        assert downloads() == before + 5
        for syntax in (oid.GRS_1, oid.OPAC, oid.CANMARC, oid.XML):
            external(client, syntax, "B")
        external(client, oid.SUTRS)
        assert downloads() == before + 5


# Without a server

RECORD = StoredRecord(
    1, Database("cn_cat", "", MarcFamily.UNIMARC), "1", b"00026nam0 2200025   4500\x1e\x1d"
)


def test_a_chinese_database_may_be_configured_to_answer_to_usmarc() -> None:
    section = DatabaseSection(
        name="cn_cat", title="", family=MarcFamily.UNIMARC, also_as=("usmarc",)
    )
    for forms, delivered in ((Forms([section]), True), (Forms(), False)):
        form = forms.choose(oid.USMARC, "F")
        assert isinstance(form, RecordForm)
        content = form.make(RECORD)
        if delivered:
            assert content == RECORD.marc
        else:
            assert isinstance(content, Diagnostic)
            assert content.condition == Bib1.RECORD_NOT_IN_SYNTAX
        other = forms.choose(oid.CANMARC, None)
        assert isinstance(other, RecordForm)
        assert isinstance(other.make(RECORD), Diagnostic)


@pytest.mark.parametrize(
    ("syntax", "schema", "form"),
    [
        (oid.XML, "marcxchange", "marcxchange"),
        (oid.XML, "http://purl.org/dc/elements/1.1/", "dc"),
        (oid.XML, "http://www.loc.gov/mods/v3", "mods"),
        (oid.XML, "http://www.nlc.cn/", "cnmarcxml"),
        (oid.XML, "isohold", "isohold"),
        (oid.XML, "http://www.loc.gov/MARC21/slim", "marcxml"),
    ],
)
def test_a_schema_chooses_the_form(syntax: Oid, schema: str, form: str) -> None:
    chosen = Forms().choose(syntax, None, schema)
    assert isinstance(chosen, RecordForm)
    assert chosen.name == form


@pytest.mark.parametrize(
    ("syntax", "schema"), [(oid.XML, "x"), (oid.XML, "mads"), (oid.USMARC, "dc")]
)
def test_a_schema_that_we_do_not_have_is_1066(syntax: Oid, schema: str) -> None:
    assert Forms().choose(syntax, None, schema) == Diagnostic(Bib1.UNKNOWN_SCHEMA, schema)


# Read by others

CLIENT_SAYS = {
    "opac": ("Record type: OPAC", "nucCode: DEMO1", "callNumber: I242.4", "availableNow: "),
    "grs-1": ("Record type: GRS-1", "(2,1)", "红楼梦", "(3,200)"),
    "sutrs": ("Record type: SUTRS", "Title: \\xE7\\xBA\\xA2"),
    "rusmarc": ("Record type: RUSmarc", "200 ", "红楼梦"),
    "xml": ("Record type: XML", "<subfield code=", "红楼梦"),
}


@pytest.mark.real_client
@pytest.mark.parametrize("name", CLIENT_SAYS)
def test_yaz_client_reads_each_syntax(
    demo: RunningServer, client_program: Callable[[str], str], tmp_path: Path, name: str
) -> None:
    script = tmp_path / "commands"
    script.write_text(
        f"auth demo1/demo1\nopen {demo.z3950}/cn_cat\nformat {name}\n"
        "find @attr 1=4 红楼梦\nshow 1+1\nquit\n",
        "utf-8",
    )
    done = subprocess.run(
        [client_program("yaz-client"), "-f", str(script)],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    printed = (done.stdout + done.stderr).decode("utf-8", "replace").lower()
    for expected in CLIENT_SAYS[name]:
        assert expected.lower() in printed, printed
