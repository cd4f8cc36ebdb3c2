"""Every record schema over SRU and Z39.50: valid, named by its URI, counted or free."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlencode

import pytest
from lxml import etree

from protocol import oid
from protocol.sru_version import RECORD_SCHEMAS, RecordSchema
from tests import z3950_client
from tests.harness import RunningServer, lianmu, running_demo
from tests.xml_forms import fault

NAMES = {"z": "http://www.loc.gov/zing/srw/", "d": "http://www.loc.gov/zing/srw/diagnostic/"}
FREE = ("brief", "isohold")
UNIMARC_ALONE = ("cnmarcxml", "unimarcxml")


def retrieve(
    server: RunningServer, database: str, query: str, schema: str, login: str | None = "demo1:demo1"
) -> tuple[int, list[tuple[str, bytes]]]:
    """Status; and of each record its schema's URI and its data."""
    given = {
        "version": "1.2", "operation": "searchRetrieve", "query": query, "recordSchema": schema,
        "maximumRecords": "20",
    }  # fmt: skip
    request = urllib.request.Request(f"{server.url}/{database}?{urlencode(given)}")
    if login:
        request.add_header("Authorization", "Basic " + b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            root = etree.fromstring(response.read())
            status = response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code, []
    return status, [
        (
            record.findtext("z:recordSchema", "", NAMES),
            etree.tostring(record.find("z:recordData", NAMES)[0]),
        )
        for record in root.iterfind("z:records/z:record", NAMES)
    ]


@pytest.mark.parametrize("schema", RECORD_SCHEMAS, ids=lambda schema: schema.name)
def test_each_schema_comes_valid_by_its_short_name_and_its_uri(
    demo: RunningServer,
    schema: RecordSchema,
) -> None:
    name, uri = schema.name, schema.uri
    for asked in (name, uri):
        for database, query in (("cn_cat", "title=红楼梦"), ("we_cat", "author=knuth")):
            if name in UNIMARC_ALONE and database == "we_cat":
                continue
            status, records = retrieve(demo, database, query, asked)
            assert status == 200
            assert len(records) in (4, 5)
            # A record that nobody holds has no holdings to give.
            given = [data for told, data in records if told == uri]
            assert len(given) == len(records) or (name == "isohold" and given)
            for data in given:
                assert fault(name, data) == ""


@pytest.mark.parametrize("name", UNIMARC_ALONE)
def test_a_record_of_the_other_family_is_a_surrogate_diagnostic(
    demo: RunningServer, name: str
) -> None:
    _, records = retrieve(demo, "", "title=history or title=红楼梦", name)
    schemas = [schema for schema, _ in records]
    assert "info:srw/schema/1/diagnostics-v1.1" in schemas
    assert set(schemas) - {"info:srw/schema/1/diagnostics-v1.1"} != set()
    for schema, data in records:
        if schema == "info:srw/schema/1/diagnostics-v1.1":
            diagnostic = etree.fromstring(data)
            assert diagnostic.findtext("d:uri", "", NAMES) == "info:srw/diagnostic/1/67"
            assert "marc21" in diagnostic.findtext("d:details", "", NAMES)
        else:
            assert fault(name, data) == ""


def test_who_holds_a_record_and_brief_records_need_no_account(demo: RunningServer) -> None:
    for schema in RECORD_SCHEMAS:
        status, records = retrieve(demo, "cn_cat", "title=红楼梦", schema.name, login=None)
        assert (status, len(records)) == ((200, 4) if schema.name in FREE else (401, 0))


def test_whole_records_are_counted_and_others_are_not(tmp_path: Path) -> None:
    with running_demo(tmp_path) as server:
        before = 0
        for schema in RECORD_SCHEMAS:
            _, records = retrieve(server, "cn_cat", "title=红楼梦", schema.name, "demo2:demo2")
            assert len(records) == 4
            after = downloads(server)
            assert after - before == (0 if schema.name in FREE else 4), schema.name
            before = after


def downloads(server: RunningServer) -> int:
    """Records delivered to DEMO2, repeats included."""
    done = lianmu("usage", "DEMO2", "--json", "--config", str(server.config))
    figures = json.loads(done.stdout)
    return int(figures["downloads"]) + int(figures["repeats"])


@pytest.mark.parametrize("schema", RECORD_SCHEMAS, ids=lambda schema: schema.name)
def test_z39_50_gives_the_same_forms_by_element_set_name(
    demo: RunningServer, schema: RecordSchema
) -> None:
    name = schema.name
    with z3950_client.connected(demo.z3950, "demo3/demo3") as connection:
        connection.search("@attr 1=4 红楼梦", "cn_cat")
        response = connection.present(1, 1, oid.XML, record_composition=name)
        (record,) = z3950_client.records(response)
        assert fault(name, record) == ""
