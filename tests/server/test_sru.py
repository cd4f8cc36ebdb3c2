"""SRU on the wire: what clients ask, and what they are told."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
import sruthi
from lxml import etree

from tests.harness import RunningServer, serving

NAMESPACES = {
    "zs": "http://www.loc.gov/zing/srw/",
    "d": "http://www.loc.gov/zing/srw/diagnostic/",
    "m": "http://www.loc.gov/MARC21/slim",
    "dc": "http://purl.org/dc/elements/1.1/",
    "e": "http://explain.z3950.org/dtd/2.0/",
}


def ask(
    server: RunningServer, path: str, login: str | None = "demo1:demo1", **parameters: str
) -> tuple[int, etree._Element]:
    """Status and parsed body of a GET."""
    request = urllib.request.Request(f"{server.url}/{path}?{urlencode(parameters)}")
    if login:
        request.add_header("Authorization", "Basic " + b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, etree.fromstring(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, etree.fromstring(error.read())


def search(server: RunningServer, path: str, query: str, **parameters: str) -> etree._Element:
    given = {"version": "1.2", "operation": "searchRetrieve", "query": query, **parameters}
    status, root = ask(server, path, **given)
    assert status == 200
    return root


def texts(root: etree._Element, path: str) -> list[str]:
    found = root.xpath(path, namespaces=NAMESPACES)
    assert isinstance(found, list)
    return [str(each if isinstance(each, str) else each.text) for each in found]


@pytest.mark.parametrize(
    ("path", "query", "hits"),
    [
        ("cn_cat", "dc.title=红楼梦", 4),
        ("cn_cat", "title=紅樓夢", 4),
        ("we_cat", "author=knuth", 5),
        ("we_cat", "author=knuth and title=programming", 4),
        ("we_cat", 'author=knuth not title="sorting"', 4),
        ("we_cat", "title=algorith*", 7),
        ("we_cat", "(title=algorithms or title=programming) and author=knuth", 4),
        ("we_cat", "bath.isbn=9780262033848", 1),
        ("", "isbn=0-262-03384-4", 1),
        ("Default", "title=red and title=xyzzy", 0),
    ],
)
def test_a_query_finds_what_it_should(
    demo: RunningServer, path: str, query: str, hits: int
) -> None:
    assert texts(search(demo, path, query), "zs:numberOfRecords") == [str(hits)]


def test_pages_follow_one_another(demo: RunningServer) -> None:
    first = search(demo, "we_cat", "author=knuth", maximumRecords="2")
    assert texts(first, "//zs:recordPosition") == ["1", "2"]
    assert texts(first, "zs:nextRecordPosition") == ["3"]
    last = search(demo, "we_cat", "author=knuth", maximumRecords="2", startRecord="5")
    assert texts(last, "//zs:recordPosition") == ["5"]
    assert texts(last, "zs:nextRecordPosition") == []


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_records_come_as_marcxml_and_dublin_core(demo: RunningServer, version: str) -> None:
    marc = search(demo, "cn_cat", "title=史记", version=version)
    assert "史记" in texts(marc, "//m:datafield[@tag='200']/m:subfield[@code='a']")
    core = search(demo, "cn_cat", "title=史记", version=version, recordSchema="dc")
    assert "史记" in texts(core, "//dc:title")


def test_a_record_packed_as_a_string_is_the_same_record(demo: RunningServer) -> None:
    root = search(demo, "we_cat", "author=knuth", recordPacking="string", maximumRecords="1")
    (data,) = texts(root, "//zs:recordData")
    assert etree.fromstring(data).tag == "{http://www.loc.gov/MARC21/slim}record"


@pytest.mark.parametrize(
    ("parameters", "condition"),
    [
        ({"query": "title="}, 10),
        ({"query": "nowhere.index=x"}, 15),
        ({"query": "dc.nothing=x"}, 16),
        ({"query": "title =/bar x"}, 20),
        ({"query": "title=x", "recordSchema": "nothing"}, 66),
        ({"query": "author=knuth", "startRecord": "9999"}, 61),
        ({"query": "title=x", "startRecord": "x"}, 6),
        ({"query": "title=x", "nonsense": "1"}, 8),
        ({}, 7),
    ],
)
def test_a_mistake_is_a_diagnostic(
    demo: RunningServer, parameters: dict[str, str], condition: int
) -> None:
    given = {"version": "1.2", "operation": "searchRetrieve", **parameters}
    status, root = ask(demo, "we_cat", **given)
    assert status == 200
    uris = texts(root, "//d:diagnostic/d:uri")
    assert f"info:srw/diagnostic/1/{condition}" in uris


def test_an_unsupported_version_is_diagnostic_5(demo: RunningServer) -> None:
    _, root = ask(demo, "we_cat", version="1.3", operation="searchRetrieve", query="x")
    assert texts(root, "//d:uri") == ["info:srw/diagnostic/1/5"]


def test_an_unknown_database_is_404_with_a_diagnostic(demo: RunningServer) -> None:
    status, root = ask(demo, "nowhere", version="1.2", operation="searchRetrieve", query="x")
    assert status == 404
    assert texts(root, "//d:details") == ["nowhere"]


def test_explain_names_the_indexes_and_schemas(demo: RunningServer) -> None:
    status, root = ask(demo, "cn_cat", login=None)
    assert status == 200
    assert "title" in texts(root, "//e:indexInfo/e:index/e:map/e:name")
    assert {"marcxml", "dc"} <= set(root.xpath("//e:schema/@name", namespaces=NAMESPACES))
    assert texts(root, "//e:serverInfo/e:database") == ["cn_cat"]


@pytest.mark.parametrize(
    ("path", "told"), [("cn_cat", True), ("we_cat", False), ("", True), ("sru", True)]
)
def test_explain_names_the_schemas_that_a_database_can_give(
    demo: RunningServer, path: str, told: bool
) -> None:
    _, root = ask(demo, path, login=None)
    schemas = set(root.xpath("//e:schema/@name", namespaces=NAMESPACES))
    assert {"marcxml", "marcxchange", "mods", "dc", "isohold", "brief"} <= schemas
    assert ({"cnmarcxml", "unimarcxml"} <= schemas) == told


@pytest.mark.parametrize(
    ("path", "described", "sets", "missing"),
    [
        ("cn_cat", "CNMARC", {"unimarc"}, {"LC children's subject heading"}),
        ("we_cat", "MARC 21", {"marc"}, {"Uniform book number (China)"}),
        ("", "cn_cat, we_cat", {"marc", "unimarc"}, set()),
    ],
)
def test_explain_is_made_for_each_database(
    demo: RunningServer, path: str, described: str, sets: set[str], missing: set[str]
) -> None:
    _, root = ask(demo, path, login=None)
    assert described in texts(root, "//e:databaseInfo/e:description")[0]
    told = set(root.xpath("//e:indexInfo/e:set/@name", namespaces=NAMESPACES))
    assert told & {"marc", "unimarc"} == sets
    titles = set(texts(root, "//e:index/e:title[@lang='en']"))
    both = {"LC children's subject heading", "Uniform book number (China)", "Held by"}
    assert both - titles == missing


@pytest.mark.parametrize("database", ["cn_cat", "we_cat"])
@pytest.mark.parametrize("version", ["1.1", "1.2", "2.0"])
def test_every_schema_told_is_delivered_by_name_and_by_identifier(
    demo: RunningServer, database: str, version: str
) -> None:
    _, explained = ask(demo, database, login=None)
    for schema in explained.iterfind(".//{*}schema"):
        for name in (str(schema.get("name")), str(schema.get("identifier"))):
            given = {"version": version, "query": "cql.allRecords=1", "recordSchema": name}
            if version != "2.0":
                given["operation"] = "searchRetrieve"
            status, root = ask(demo, database, maximumRecords="2", **given)
            assert status == 200
            told = {element.text for element in root.iterfind(".//{*}record/{*}recordSchema")}
            # A record that no library holds has no holdings to show.
            unheld = {"info:srw/schema/1/diagnostics-v1.1"}
            assert told - (unheld if schema.get("name") == "isohold" else set()) <= {
                schema.get("identifier")
            }
            assert root.findall("{*}diagnostics") == []


def test_explain_tells_the_address_that_the_client_asked_or_the_configured_one(
    demo: RunningServer, tmp_path: Path
) -> None:
    host, port = demo.http.rsplit(":", 1)
    _, root = ask(demo, "cn_cat", login=None)
    assert texts(root, "//e:serverInfo/e:host") == [host]
    assert texts(root, "//e:serverInfo/e:port") == [port]
    config = tmp_path / "config.toml"
    config.write_text(
        "[server]\nworkers = 1\n[z3950]\nport = 0\n"
        '[http]\nport = 0\npublic_url = "https://catalogue.example.org"\n'
    )
    with serving(config) as server:
        _, root = ask(server, "cn_cat", login=None)
    assert texts(root, "//e:serverInfo/e:host") == ["catalogue.example.org"]
    assert texts(root, "//e:serverInfo/e:port") == ["443"]
    assert root.xpath("//e:serverInfo/@transport", namespaces=NAMESPACES) == ["https"]


def test_scan_lists_terms_with_counts(demo: RunningServer) -> None:
    given = {"version": "1.2", "operation": "scan", "scanClause": "author=knuth"}
    _, root = ask(demo, "we_cat", maximumTerms="3", **given)
    assert texts(root, "//zs:term/zs:value")[0] == "knuth"
    assert texts(root, "//zs:term/zs:numberOfRecords")[0] == "5"


def test_a_wrong_password_is_401_with_a_challenge_and_a_diagnostic(demo: RunningServer) -> None:
    given = {"version": "1.2", "operation": "searchRetrieve", "query": "title=x"}
    status, root = ask(demo, "we_cat", login="demo3:wrong", **given)
    assert status == 401
    assert texts(root, "//d:uri") == ["info:srw/diagnostic/1/3"]


def test_without_an_account_full_records_are_refused_and_brief_ones_not(
    demo: RunningServer,
) -> None:
    given = {"version": "1.2", "operation": "searchRetrieve", "query": "author=knuth"}
    status, root = ask(demo, "we_cat", login=None, **given)
    assert status == 401
    assert "sign in" in texts(root, "//d:details")[0]
    status, root = ask(demo, "we_cat", login=None, recordSchema="brief", **given)
    assert (status, len(texts(root, "//zs:recordPosition"))) == (200, 5)


def test_a_query_in_raw_utf_8_is_understood(demo: RunningServer) -> None:
    host, port = demo.http.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    path = "/cn_cat?version=1.2&operation=searchRetrieve&recordSchema=brief&query=title=史记"
    for octets in (path.encode(), quote(path, safe="/?&=").encode()):
        connection.connect()
        assert connection.sock is not None
        connection.sock.sendall(b"GET " + octets + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        response = http.client.HTTPResponse(connection.sock, method="GET")
        response.begin()
        assert response.status == 200
        assert b"<zs:numberOfRecords>3<" in response.read()
        response.close()
        connection.close()


@pytest.mark.real_client
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_sruthi_reads_explain_and_records(demo: RunningServer) -> None:
    url = f"http://{demo.http}/we_cat"
    info = sruthi.explain(url, sru_version="1.2")
    assert info.server["database"] == "we_cat"
    records = sruthi.searchretrieve(
        url, query="author=knuth", record_schema="brief", maximum_records=2
    )
    assert records.count == 5
    assert len(list(records)) == 5
