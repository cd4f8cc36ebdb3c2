"""SRU: parameters to requests, responses to XML that the published order accepts."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from lxml import etree

from protocol.diagnostic import SruDiagnostic, SruFault
from protocol.query import Clause, ScanStart, SortSpec, Structure
from protocol.sru import (
    ExplainRequest,
    RefusedRequest,
    Request,
    ScanRequest,
    SearchRetrieveRequest,
    SruLimits,
    parse_request,
    record_range,
)
from protocol.sru_facets import FACET_FIELDS, Facet, FacetTerm, facets_xml
from protocol.sru_response import (
    ScanTerm,
    SearchRetrieveResponse,
    SruRecord,
    SurrogateDiagnostic,
    explain_response,
    refusal_response,
    scan_response,
    search_response,
)
from protocol.sru_version import RECORD_SCHEMAS, VERSIONS, schema_by_name
from protocol.zeerex import ServerDescription, explain_record
from tests.unit.query_notation import notation

SCHEMAS = Path(__file__).parent / "schemas"
LIMITS = SruLimits(stylesheets=("/sru.xsl",), result_set_ttl_s_max=600)
MARCXML = RECORD_SCHEMAS[0]
DATA = (
    '<record xmlns="http://www.loc.gov/MARC21/slim"><leader>00000nam a2200000   4500</leader>'
    '<controlfield tag="001">红&amp;1</controlfield></record>'
).encode()


def read(parameters: str, limits: SruLimits = LIMITS) -> Request:
    return parse_request(parse_qsl(parameters, keep_blank_values=True), limits)


def search(parameters: str, limits: SruLimits = LIMITS) -> SearchRetrieveRequest:
    request = read(parameters, limits)
    assert isinstance(request, SearchRetrieveRequest), request
    return request


def refused(parameters: str, limits: SruLimits = LIMITS) -> list[str]:
    request = read(parameters, limits)
    assert isinstance(request, RefusedRequest), request
    return [notation(fault) for fault in request.faults]


SEARCH = "version=1.1&operation=searchRetrieve&query=dc.title=fish"
EXPLAIN_RECORD = explain_record(
    ServerDescription(host="example.org", port=80, database="all", title="All"), LIMITS
)


# Requests


def test_a_search_needs_version_operation_and_query_alone() -> None:
    request = search(SEARCH)
    assert request.query == Clause("title", "fish", structure=Structure.PHRASE)
    assert (request.version.name, request.schema) == ("1.1", MARCXML)
    assert (request.start_record, request.maximum_records) == (1, 10)
    assert (request.as_string, request.result_set_ttl_s, request.sort) == (False, None, ())


def test_every_parameter_of_1_1_is_read() -> None:
    request = search(
        SEARCH
        + "&startRecord=11&maximumRecords=20&recordPacking=string&recordSchema=dc&resultSetTTL=90"
        "&sortKeys=title,,0&stylesheet=/sru.xsl&x-info-1-test=a&X-Other=b"
    )
    assert (request.start_record, request.maximum_records) == (11, 20)
    assert request.as_string
    assert request.schema.uri == "info:srw/schema/1/dc-v1.1"
    assert request.result_set_ttl_s == 90
    assert request.sort == (SortSpec("title", descending=True),)
    assert request.stylesheet == "/sru.xsl"
    assert request.extra == {"x-info-1-test": "a", "x-other": "b"}


def test_every_parameter_of_2_0_is_read() -> None:
    request = search(
        "query=dc.title%3Dfish%20sortBy%20title&queryType=cql&startRecord=2&maximumRecords=3"
        "&recordXMLEscaping=string&recordPacking=unpacked&recordSchema=marcxml&resultSetTTL=9999"
        "&renderedBy=client&httpAccept=text/html,application/sru%2Bxml;q=0.9,application/xml;q=0.1"
        "&responseType=http://docs.oasis-open.org/ns/search-ws/sruResponse"
    )
    assert request.version.name == "2.0"
    assert request.media_type == "application/sru+xml"
    assert request.as_string
    assert request.sort == (SortSpec("title"),)
    assert request.result_set_ttl_s == 600


@pytest.mark.parametrize(
    ("client", "parameters", "expected"),
    [
        ("Zotero 1.1", "version=1.1&operation=searchRetrieve&maximumRecords=1"
         "&query=bath.ISBN=%5E9787020002207", '(isbn key "9787020002207")'),
        ("Zotero 1.2", "version=1.2&operation=searchRetrieve"
         "&query=bib.isbn%20all%20%229787020002207%22", '(isbn key "9787020002207")'),
        ("Tellico", "version=1.1&operation=searchRetrieve&maximumRecords=25&recordSchema=marcxml"
         "&query=bath.isbn=7020002207", '(isbn key "7020002207")'),
        ("Tellico", "version=1.1&operation=searchRetrieve&maximumRecords=25"
         "&query=dc.identifier=78890351", '(identifier key "78890351")'),
        ("BiblioteQ", "version=2.0&operation=searchRetrieve&recordSchema=marcxml"
         "&query=bath.isbn=7020002207%20or%20bath.isbn=9787020002207",
         '(or (isbn key "7020002207") (isbn key "9787020002207"))'),
        ("JabRef", "version=1.1&operation=searchRetrieve&maximumRecords=50&query=pica.all=java+jdk",
         '(any all "java jdk")'),
        ("YAZ", "version=1.1&operation=searchRetrieve&x-pquery=%40attr+1%3D4+fish",
         '(title all "fish")'),
    ],
)  # fmt: skip
def test_what_a_real_client_sends_is_understood(
    client: str, parameters: str, expected: str
) -> None:
    assert notation(search(parameters).query) == expected, client


def test_maximum_records_is_cut_to_the_server_s_bound() -> None:
    assert search(SEARCH + "&maximumRecords=100000").maximum_records == 100
    assert search(SEARCH + "&maximumRecords=0").maximum_records == 0


def test_an_empty_parameter_counts_as_left_out() -> None:
    assert search(SEARCH + "&startRecord=&recordSchema=&stylesheet=").start_record == 1
    assert notation(search("query=x&scanClause=").query) == notation(search("query=x").query)
    assert isinstance(read("scanClause=x&query="), ScanRequest)
    assert isinstance(read("operation=explain&query="), ExplainRequest)
    assert isinstance(read("version=1.1&operation="), ExplainRequest)


@pytest.mark.parametrize(
    ("parameters", "faults"),
    [
        ("version=1.1&operation=searchRetrieve", ["! 7 query"]),
        ("version=1.1&operation=searchRetrieve&query=", ["! 7 query"]),
        ("version=2.0&query=", ["! 7 query"]),
        ("query=", ["! 7 query"]),
        ("version=1.2&query=", ["! 7 operation"]),
        ("scanClause=&maximumTerms=5", ["! 7 scanClause"]),
        ("version=2.0&scanClause=", ["! 7 scanClause"]),
        ("operation=searchRetrieve&query=x", ["! 7 version"]),
        ("version=1.1&query=x", ["! 7 operation"]),
        ("version=1.1&operation=scan", ["! 7 scanClause"]),
        ("version=1.0&operation=searchRetrieve&query=x", ["! 5 2.0"]),
        ("version=3&operation=searchRetrieve&query=x", ["! 5 2.0"]),
        ("version=1.1&operation=update", ["! 4 update"]),
        ("version=1.0&operation=update&action=create", ["! 4 update: send it by POST"]),
        (SEARCH + "&colour=red", ["! 8 colour"]),
        (SEARCH + "&recordXMLEscaping=xml", ["! 8 recordXMLEscaping"]),
        ("query=x&recordXPath=/a", ["! 8 recordXPath"]),
        ("query=x&facetLimit=10", ["! 8 facetLimit"]),
        ("query=x&httpAccept=text/html", ["! 6 httpAccept text/html"]),
        ("query=x&httpAccept=text/xml;q=0", ["! 6 httpAccept text/xml;q=0"]),
        ("query=x&renderedBy=server", ["! 6 renderedBy server"]),
        ("query=x&responseType=x", ["! 6 responseType x"]),
        ("scanClause=dc.title=a&httpAccept=text/html", ["! 6 httpAccept text/html"]),
        ("version=2.0&operation=explain&responseType=x", ["! 6 responseType x"]),
        (SEARCH + "&httpAccept=text/xml", ["! 8 httpAccept"]),
        (SEARCH + "&facetLimit=1", ["! 8 facetLimit"]),
        ("scanClause=a&queryType=xcql", ["! 11 xcql"]),
        ("version=1.1&operation=scan&scanClause=%40attr+1%3D4+a&queryType=pqf", ["! 8 queryType"]),
        (SEARCH + "&startRecord=x", ["! 6 startRecord"]),
        (SEARCH + "&startRecord=0", ["! 61 0"]),
        (SEARCH + "&startRecord=-4", ["! 61 -4"]),
        (SEARCH + "&startRecord=99999999999999", ["! 6 startRecord"]),
        (SEARCH + "&startRecord=%D9%A1", ["! 6 startRecord"]),
        (SEARCH + "&maximumRecords=-1", ["! 62 -1"]),
        (SEARCH + "&maximumRecords=ten", ["! 6 maximumRecords"]),
        (SEARCH + "&resultSetTTL=-1", ["! 6 resultSetTTL"]),
        (SEARCH + "&resultSetTTL=x", ["! 6 resultSetTTL"]),
        (SEARCH + "&recordSchema=nothing", ["! 66 nothing"]),
        (SEARCH + "&recordSchema=mods", ["! 66 mods"]),
        (SEARCH + "&recordPacking=zip", ["! 71 zip"]),
        ("query=x&recordXMLEscaping=zip", ["! 71 zip"]),
        ("query=x&recordPacking=zip", ["! 71 zip"]),
        (SEARCH + "&recordXPath=/a", ["! 72 /a"]),
        (SEARCH + "&stylesheet=http://evil.example/x.xsl", ["! 111 http://evil.example/x.xsl"]),
        (SEARCH + "&sortKeys=nothing", ["! 88 nothing"]),
        ("query=x&queryType=searchTerms", ["! 11 searchTerms"]),
        ("query=%40and+x&queryType=pqf", ["! 10 @6 the query ends too early"]),
        ("query=%40attr+1%3D4711+x&queryType=pqf", ["! 16 4711"]),
        ("version=1.1&operation=searchRetrieve&query=foo.bar=x", ["! 15 @0 foo"]),
        (SEARCH + "&query=other", ["! 6 query twice"]),
        (SEARCH + "&startRecord=x&recordSchema=nothing&colour=red",
         ["! 8 colour", "! 66 nothing", "! 6 startRecord"]),
        ("version=1.1&operation=scan&scanClause=a+and+b", ["! 48 scan takes one clause"]),
        ("version=1.1&operation=scan&scanClause=dc.title=a&maximumTerms=0", ["! 6 maximumTerms"]),
        ("version=1.1&operation=scan&scanClause=dc.title=a&maximumTerms=5&responsePosition=7",
         ["! 120 7"]),
        ("version=1.1&operation=scan&scanClause=dc.title=a&startRecord=1", ["! 8 startRecord"]),
        ("version=1.1&operation=explain&query=x", ["! 8 query"]),
    ],
)  # fmt: skip
def test_a_fault_has_its_precise_diagnostic(parameters: str, faults: list[str]) -> None:
    assert refused(parameters) == faults


def test_a_refusal_is_shown_as_the_client_wished() -> None:
    request = read("query=foo.bar=1&stylesheet=/sru.xsl&httpAccept=text/xml")
    assert isinstance(request, RefusedRequest)
    assert (request.stylesheet, request.media_type) == ("/sru.xsl", "text/xml")
    document = refusal_response(request)
    assert b'<?xml-stylesheet type="text/xsl" href="/sru.xsl"?>' in document
    other = read("query=foo.bar=1&stylesheet=/other.xsl&httpAccept=text/html")
    assert (other.stylesheet, other.media_type) == ("", "")


def test_stylesheets_are_refused_as_such_when_there_are_none() -> None:
    assert refused(SEARCH + "&stylesheet=/sru.xsl", SruLimits()) == ["! 110"]


def test_floods_of_parameters_and_endless_values_are_refused() -> None:
    many = "&".join(f"x-{number}=1" for number in range(100))
    assert refused(f"{SEARCH}&{many}") == ["! 8 more than 64 parameters"]
    assert refused(SEARCH + "&stylesheet=" + "x" * 70_000) == ["! 6 stylesheet"]


@pytest.mark.parametrize(
    ("parameters", "version"),
    [
        ("", "1.2"),
        ("operation=explain", "1.2"),
        ("version=1.1", "1.1"),
        ("operation=explain&version=1.1", "1.1"),
        ("version=2.0", "2.0"),
    ],
)
def test_explain_is_what_asks_for_nothing_else(parameters: str, version: str) -> None:
    request = read(parameters)
    assert isinstance(request, ExplainRequest)
    assert request.version.name == version


def test_without_2_0_a_query_needs_its_version() -> None:
    limits = SruLimits(versions=("1.1", "1.2"))
    assert refused("query=x", limits) == ["! 7 version"]
    assert refused("version=2.0&query=x", limits) == ["! 5 1.2"]
    request = read("version=2.0&query=x", limits)
    assert request.version.name == "1.2"


def test_scan_takes_its_place_in_the_list() -> None:
    request = read(
        "version=1.1&operation=scan&scanClause=dc.title=fish&maximumTerms=5&responsePosition=6"
    )
    assert isinstance(request, ScanRequest)
    assert request.start == ScanStart("title", "fish")
    assert (request.maximum_terms, request.response_position) == (5, 6)
    request = read("scanClause=dc.title=fish&maximumTerms=5000")
    assert isinstance(request, ScanRequest)
    assert (request.version.name, request.maximum_terms) == ("2.0", 200)


@pytest.mark.parametrize(
    "parameters",
    [
        "version=1.1&operation=scan&x-pScanClause=%40attr+1%3D4+%40attr+4%3D1+fish",
        "version=2.0&scanClause=%40attr+1%3D4+%40attr+4%3D1+fish&queryType=pqf",
        "scanClause=dc.title%3D%3Dfish&queryType=cql",
    ],
)
def test_a_scan_clause_may_be_in_pqf(parameters: str, validate: dict[str, etree.XMLSchema]) -> None:
    request = read(parameters)
    assert isinstance(request, ScanRequest)
    assert request.start == ScanStart("title", "fish", phrases=True)
    document = etree.fromstring(scan_response(request, ()))
    validate["scan 2.0" if request.version.name == "2.0" else "1.1"].assertValid(document)
    assert "fish" in (document.findtext(".//{*}scanClause") or "")


@pytest.mark.parametrize(
    ("clause", "faults"),
    [
        ("%40and+a+b", ["! 48 scan takes one clause"]),
        ("%40attr+1%3D4711+a", ["! 16 4711"]),
        ("%40attr+1%3D4", ["! 10 @9 the query ends too early"]),
    ],
)
def test_a_wrong_scan_clause_in_pqf_is_refused(clause: str, faults: list[str]) -> None:
    assert refused(f"scanClause={clause}&queryType=pqf") == faults
    assert refused(f"version=1.2&operation=scan&x-pScanClause={clause}") == faults


@pytest.mark.parametrize(
    ("start", "maximum", "found", "positions"),
    [
        (1, 10, 100, range(1, 11)),
        (95, 10, 100, range(95, 101)),
        (1, 10, 0, range(1, 1)),
        (100, 0, 100, range(100, 100)),
        (101, 10, 100, None),
        (2, 10, 0, None),
    ],
)
def test_the_range_of_records_lies_within_the_result(
    start: int, maximum: int, found: int, positions: range | None
) -> None:
    request = search(f"{SEARCH}&startRecord={start}&maximumRecords={maximum}")
    outcome = record_range(request, found)
    if positions is None:
        assert outcome == SruFault(SruDiagnostic.FIRST_RECORD_OUT_OF_RANGE, str(start))
    else:
        assert outcome == positions


def test_every_schema_is_found_by_each_of_its_names() -> None:
    for schema in RECORD_SCHEMAS:
        for name in (schema.name, schema.uri, *schema.other_names):
            assert schema_by_name(name) is schema
            assert schema_by_name(name.upper()) is schema


# Responses


@pytest.fixture(scope="module")
def validate() -> dict[str, etree.XMLSchema]:
    def schema(name: str) -> etree.XMLSchema:
        return etree.XMLSchema(etree.parse(SCHEMAS / name))

    old, new, scan = schema("srw-1.xsd"), schema("sru-2.xsd"), schema("scan-2.xsd")
    return {"1.1": old, "1.2": old, "2.0": new, "scan 2.0": scan}


PREFIX = {
    "1.1": "version=1.1&operation={}&",
    "1.2": "version=1.2&operation={}&",
    "2.0": "version=2.0&",
}
FAULT = SruFault(SruDiagnostic.UNSUPPORTED_INDEX, "a<b>&\x01", position=4)
RECORDS = (
    SruRecord(MARCXML, DATA, 11, identifier="cn_cat:1 & 2", extra=b'<e xmlns="urn:e"/>'),
    SurrogateDiagnostic(SruFault(SruDiagnostic.RECORD_UNKNOWN, "12"), 12),
    SruRecord(MARCXML, DATA, 13),
)
FACETS = (
    Facet(FACET_FIELDS[0], [FacetTerm("chi", 12, 'dc.language=="chi"'), FacetTerm("<eng>", 3)]),
    Facet(FACET_FIELDS[1], []),
)
FULL = SearchRetrieveResponse(
    number_of_records=1_000_000,
    records=RECORDS,
    result_set_id="set<1>",
    idle_time_s=300,
    diagnostics=(FAULT, SruFault(SruDiagnostic.TOO_MANY_CHARACTERS_IN_TERM, message="own & text")),
    extra=b'<quota xmlns="urn:q">1</quota>',
    faceted_results=facets_xml(FACETS),
)
PARAMETERS = (
    "query=dc.title=%22a+%26+b%22+and+x&startRecord=11&maximumRecords=3&{}=string"
    "&recordSchema=marcxml&resultSetTTL=300&sortKeys=title&stylesheet=/sru.xsl"
)


def request_of(version: str, packing: str) -> SearchRetrieveRequest:
    name = VERSIONS[version].packing
    text = PREFIX[version].format("searchRetrieve") + PARAMETERS.format(name)
    return search(text.replace(f"{name}=string", f"{name}={packing}"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("packing", ["xml", "string"])
def test_a_full_search_response_is_valid(
    version: str, packing: str, validate: dict[str, etree.XMLSchema]
) -> None:
    document = etree.fromstring(search_response(request_of(version, packing), FULL))
    validate[version].assertValid(document)
    zs = {"zs": VERSIONS[version].namespace, "d": VERSIONS[version].diagnostic_namespace,
          "m": "http://www.loc.gov/MARC21/slim"}  # fmt: skip

    def text(path: str) -> str:
        return "|".join(str(each) for each in document.xpath(path, namespaces=zs))

    assert text("zs:version/text()") == version
    assert text("zs:numberOfRecords/text()") == "1000000"
    assert text("zs:resultSetId/text()") == "set<1>"
    assert text("zs:nextRecordPosition/text()") == "14"
    assert text(".//zs:record/zs:recordPosition/text()") == "11|12|13"
    surrogate = "info:srw/schema/1/diagnostics-v1.1"
    assert text(".//zs:record/zs:recordSchema/text()") == f"{MARCXML.uri}|{surrogate}|{MARCXML.uri}"
    assert text(".//zs:record[2]//d:uri/text()") == "info:srw/diagnostic/1/65"
    identifiers = "cn_cat:1 & 2" if version == "1.2" else ""
    assert text(".//zs:recordIdentifier/text()") == identifiers
    assert text("zs:diagnostics/d:diagnostic[1]/d:details/text()") == "a<b>&\ufffd"
    assert text("zs:diagnostics/d:diagnostic[1]/d:message/text()") == (
        "Unsupported index, at character 5 of the query"
    )
    assert text("zs:diagnostics/d:diagnostic[2]/d:message/text()") == "own & text"
    if packing == "xml":
        assert text(".//zs:record[1]//m:controlfield/text()") == "红&1"
    else:
        assert text(".//zs:record[1]/zs:recordData/text()") == DATA.decode()
    echo = "zs:echoedSearchRetrieveRequest"
    assert text(f"{echo}/zs:query/text()") == 'dc.title="a & b" and x'
    assert text(f"{echo}/zs:startRecord/text()") == "11"
    (xcql,) = document.xpath(f"{echo}/zs:xQuery/*", namespaces=zs)
    assert etree.QName(xcql).localname == "triple"
    zs["f"] = "http://docs.oasis-open.org/ns/search-ws/facetedResults"
    counted = "chi|12|<eng>|3" if version == "2.0" else ""
    assert text("zs:facetedResults/f:facet//f:actualTerm/text()|//f:count/text()") == counted


def test_the_echo_of_2_0_has_every_parameter_but_credentials(
    validate: dict[str, etree.XMLSchema],
) -> None:
    request = search(
        "query=x&facetLimit=5:language&facetSort=alphanumeric&httpAccept=text/xml"
        "&x-info-2-auth1.0-authenticationToken=secret&x-lianmu-quota=1"
        "&x-username=secret&x-password=secret",
        SruLimits(facet_terms_max=50),
    )
    response = search_response(request, SearchRetrieveResponse(number_of_records=0))
    document = etree.fromstring(response)
    validate["2.0"].assertValid(document)
    echo = {
        etree.QName(child).localname: child.text
        for child in document.iterfind("{*}echoedSearchRetrieveRequest/*")
    }
    assert echo["facetParameters"] == "facetLimit=5:language facetSort=alphanumeric"
    assert echo["extraRequestParameter"] == "x-lianmu-quota=1"
    assert echo["httpAccept"] == "text/xml"
    assert b"secret" not in response
    for operation in ("scanClause=dc.title=x", "operation=explain"):
        answer = read(f"version=2.0&{operation}&httpAccept=text/xml")
        if isinstance(answer, ScanRequest):
            scanned = etree.fromstring(scan_response(answer, ()))
            validate["scan 2.0"].assertValid(scanned)
            assert scanned.findtext("{*}echoedScanRequest/{*}httpAccept") == "text/xml"
            assert scanned.find(".//{*}version") is None
        else:
            assert isinstance(answer, ExplainRequest)
            explained = etree.fromstring(explain_response(answer, EXPLAIN_RECORD))
            validate["2.0"].assertValid(explained)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_empty_search_response_is_valid(
    version: str, validate: dict[str, etree.XMLSchema]
) -> None:
    request = search(PREFIX[version].format("searchRetrieve") + "query=x")
    response = search_response(request, SearchRetrieveResponse(number_of_records=0), echo=False)
    document = etree.fromstring(response)
    validate[version].assertValid(document)
    names = [etree.QName(child).localname for child in document]
    precision = ["resultCountPrecision"] if version == "2.0" else []
    assert names == ["version", "numberOfRecords", *precision]


def test_the_last_page_has_no_next_position() -> None:
    request = search(SEARCH + "&startRecord=3")
    records = [SruRecord(MARCXML, DATA, 3)]
    last = search_response(request, SearchRetrieveResponse(number_of_records=3, records=records))
    assert b"nextRecordPosition" not in last
    more = search_response(request, SearchRetrieveResponse(number_of_records=4, records=records))
    assert b"<zs:nextRecordPosition>4</zs:nextRecordPosition>" in more
    counted = search(SEARCH + "&maximumRecords=0")
    only_counted = search_response(counted, SearchRetrieveResponse(number_of_records=4))
    assert b"<zs:nextRecordPosition>1</zs:nextRecordPosition>" in only_counted
    withheld = search_response(request, SearchRetrieveResponse(number_of_records=4))
    assert b"nextRecordPosition" not in withheld


def test_a_stylesheet_is_named_before_the_root() -> None:
    request = search(SEARCH + "&stylesheet=/sru.xsl")
    head = search_response(request, SearchRetrieveResponse(number_of_records=0)).split(b"\n")[:2]
    assert head == [
        b'<?xml version="1.0" encoding="UTF-8"?>',
        b'<?xml-stylesheet type="text/xsl" href="/sru.xsl"?>',
    ]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_query_in_pqf_is_echoed_as_it_came(
    version: str, validate: dict[str, etree.XMLSchema]
) -> None:
    request = search(PREFIX[version].format("searchRetrieve") + "x-pquery=%40attr+1%3D4+fish")
    document = etree.fromstring(
        search_response(request, SearchRetrieveResponse(number_of_records=0))
    )
    validate[version].assertValid(document)
    assert "@attr 1=4 fish" in "".join(document.itertext())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_scan_response_is_valid(version: str, validate: dict[str, etree.XMLSchema]) -> None:
    request = read(
        PREFIX[version].format("scan")
        + "scanClause=dc.title=fish&maximumTerms=5&responsePosition=1&stylesheet=/sru.xsl"
    )
    assert isinstance(request, ScanRequest)
    terms = [
        ScanTerm("fish & chips", 3, display="Fish & Chips", where="first"),
        ScanTerm("红", 1, extra=b'<e xmlns="urn:e"/>'),
    ]
    response = scan_response(request, terms, diagnostics=(FAULT,), extra=b'<e xmlns="urn:e"/>')
    document = etree.fromstring(response)
    validate["scan 2.0" if version == "2.0" else version].assertValid(document)
    empty = etree.fromstring(scan_response(request, [], echo=False))
    validate["scan 2.0" if version == "2.0" else version].assertValid(empty)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("packing", ["xml", "string"])
def test_an_explain_response_is_valid(
    version: str, packing: str, validate: dict[str, etree.XMLSchema]
) -> None:
    request = read(f"{PREFIX[version].format('explain')}{VERSIONS[version].packing}={packing}")
    assert isinstance(request, ExplainRequest)
    document = etree.fromstring(
        explain_response(request, EXPLAIN_RECORD, extra=b'<e xmlns="urn:e"/>')
    )
    validate[version].assertValid(document)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("operation", "parameters", "element"),
    [
        ("searchRetrieve", "query=foo.bar=1", "searchRetrieveResponse"),
        ("scan", "scanClause=foo.bar=1", "scanResponse"),
        ("explain", "colour=red", "explainResponse"),
    ],
)
def test_a_refusal_has_the_form_of_the_operation_that_was_meant(
    version: str,
    operation: str,
    parameters: str,
    element: str,
    validate: dict[str, etree.XMLSchema],
) -> None:
    named = f"operation={operation}&" if operation == "explain" and version == "2.0" else ""
    request = read(PREFIX[version].format(operation) + named + parameters)
    assert isinstance(request, RefusedRequest)
    document = etree.fromstring(refusal_response(request, EXPLAIN_RECORD))
    assert etree.QName(document).localname == element
    validate["scan 2.0" if (version, operation) == ("2.0", "scan") else version].assertValid(
        document
    )
    namespace = VERSIONS[version].diagnostic_namespace
    assert document.xpath("count(.//d:diagnostic)", namespaces={"d": namespace}) == 1
