"""SRU beyond one page of records: kept sets, facets, quota, media types, the stylesheet."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from lxml import etree

from tests.harness import RunningServer, lianmu
from tests.server.own_server import marc21, own_server
from tests.server.sru_client import NAMESPACES, Answer, get, search, send

KNUTH = "author=knuth"


def numbers(answer: Answer) -> list[str]:
    return answer.texts("//m:controlfield[@tag='001']")


# Result sets


def test_a_set_is_kept_only_when_a_client_says_for_how_long(demo: RunningServer) -> None:
    assert search(demo, "we_cat", KNUTH).texts("zs:resultSetId") == []
    assert search(demo, "we_cat", KNUTH, resultSetTTL="0").texts("zs:resultSetId") == []
    kept = search(demo, "we_cat", KNUTH, resultSetTTL="90", recordSchema="brief")
    assert kept.texts("zs:resultSetIdleTime") == ["90"]
    assert len(kept.texts("zs:resultSetId")) == 1
    longest = search(demo, "we_cat", KNUTH, resultSetTTL="86400", recordSchema="brief")
    assert longest.texts("zs:resultSetIdleTime") == ["600"]
    newer = search(demo, "we_cat", KNUTH, version="2.0", resultSetTTL="90", recordSchema="brief")
    assert newer.texts("s2:resultSetTTL") == ["90"]


def test_a_set_is_good_whichever_worker_answers(tmp_path: Path) -> None:
    records = {"we_cat": [marc21(f"r{number}", f"shared title {number}") for number in range(5)]}
    makers = set()
    with own_server(tmp_path, records, workers=2) as server:
        for attempt in range(24):
            made = search(server, "we_cat", "title=shared", resultSetTTL="60", maximumRecords="0")
            (set_id,) = made.texts("zs:resultSetId")
            makers.add(set_id.partition("-")[0])
            # Each request is a connection of its own, which the kernel gives to any worker.
            page = search(
                server, "we_cat", f'cql.resultSetId="{set_id}"', recordSchema="brief",
                startRecord="2", maximumRecords="2",
            )  # fmt: skip
            assert page.texts("zs:numberOfRecords") == ["5"], attempt
            assert page.texts("zs:resultSetId") == [set_id]
    assert makers == {"w0", "w1"}


def test_a_kept_set_keeps_its_order_and_can_be_searched_within(demo: RunningServer) -> None:
    made = search(
        demo, "we_cat", f"{KNUTH} sortBy dc.title/descending", resultSetTTL="60",
        recordSchema="brief",
    )  # fmt: skip
    (set_id,) = made.texts("zs:resultSetId")
    again = search(demo, "we_cat", f"cql.resultSetId={set_id}", recordSchema="brief")
    assert numbers(again) == numbers(made)
    assert numbers(again) != sorted(numbers(again))
    ascending = search(
        demo, "we_cat", f"cql.resultSetId={set_id} sortBy dc.title", recordSchema="brief"
    )
    assert numbers(ascending) == numbers(made)[::-1]
    within = search(
        demo, "we_cat", f"cql.resultSetId={set_id} and title=sorting", recordSchema="brief"
    )
    assert within.texts("zs:numberOfRecords") == ["1"]
    elsewhere = search(demo, "cn_cat", f"cql.resultSetId={set_id}", recordSchema="brief")
    assert elsewhere.texts("zs:numberOfRecords") == ["0"]


@pytest.mark.parametrize("set_id", ["w0-" + "0" * 32, "default", "../x"])
def test_an_unknown_set_is_diagnostic_51_with_its_name(demo: RunningServer, set_id: str) -> None:
    for query in (f'cql.resultSetId="{set_id}"', f'title=x or cql.resultSetId="{set_id}"'):
        answer = search(demo, "we_cat", query)
        assert answer.diagnostics == ["1/51"]
        assert answer.texts("//d:details") == [set_id]


def test_a_set_stays_as_it_was_until_it_ends(tmp_path: Path) -> None:
    settings = "result_sets_bytes_max = 150\nresult_set_ttl_s_max = 300\n"
    records = {"we_cat": [marc21(f"r{number}", f"shared title {number}") for number in range(30)]}
    with own_server(tmp_path, records, sru=settings) as server:
        made = search(server, "we_cat", "title=shared", resultSetTTL="300", maximumRecords="0")
        (set_id,) = made.texts("zs:resultSetId")
        (path,) = (tmp_path / "data" / "run" / "sets").iterdir()
        assert path.name == set_id
        assert path.stat().st_mode & 0o777 == 0o600
        more = tmp_path / "more.mrc"
        more.write_bytes(marc21("r99", "shared title, later"))
        loaded = lianmu("load", "--config", str(server.config), "--database", "we_cat", str(more))
        assert loaded.returncode == 0, loaded.stdout + loaded.stderr
        new = search(server, "we_cat", "title=shared", maximumRecords="0")
        assert new.texts("zs:numberOfRecords") == ["31"]
        last = search(
            server, "we_cat", f"cql.resultSetId={set_id}", startRecord="30", recordSchema="brief"
        )
        assert last.texts("zs:numberOfRecords") == ["30"]
        assert last.texts("//zs:recordPosition") == ["30"]
        too_large = search(
            server, "we_cat", "title=shared sortBy title", resultSetTTL="300", maximumRecords="1",
            recordSchema="brief",
        )  # fmt: skip
        assert too_large.diagnostics == ["1/60"]
        assert too_large.texts("zs:resultSetId") == []
        assert len(numbers(too_large)) == 1  # the response is good all the same
        path.unlink()
        assert search(server, "we_cat", f"cql.resultSetId={set_id}").diagnostics == ["1/51"]


# Facets


def faceted(server: RunningServer, path: str, query: str, **parameters: str) -> Answer:
    return search(server, path, query, version="2.0", maximumRecords="0", **parameters)


def test_facets_count_the_records_found(demo: RunningServer) -> None:
    answer = faceted(demo, "", "cql.allRecords=1", facetLimit="100:language,3:year")
    facets = answer.root.findall("s2:facetedResults/f:facet", {
        "s2": "http://docs.oasis-open.org/ns/search-ws/sruResponse",
        "f": "http://docs.oasis-open.org/ns/search-ws/facetedResults",
    })  # fmt: skip
    assert [facet.findtext("{*}index") for facet in facets] == ["dc.language", "dc.date"]
    counts = [int(count.text or "") for count in facets[0].iterfind(".//{*}count")]
    assert counts == sorted(counts, reverse=True)
    assert len(facets[1].findall(".//{*}term")) == 3
    # Each term's query finds as many records as were counted.
    for term in facets[0].iterfind(".//f:term", NAMESPACES):
        narrowed = faceted(demo, "", term.findtext("{*}query") or "")
        assert narrowed.texts("s2:numberOfRecords") == [term.findtext("{*}count")]


@pytest.mark.parametrize(
    ("language", "query"),
    [
        ("cql", "author=knuth or title=algorithms"),
        ("pqf", "@or @attr 1=1003 knuth @attr 1=4 @attr 5=1 algorithm"),
        ("pqf", "@not @attr 1=4 @attr 4=1 @attr 3=1 @attr 5=1 introd @attr 1=31 1990"),
    ],
)
def test_every_facet_narrows_to_what_it_counts(
    demo: RunningServer, language: str, query: str
) -> None:
    answer = faceted(demo, "we_cat", query, facetLimit="4", queryType=language)
    indexes = answer.texts("//f:facet/f:index")
    assert {"dc.language", "dc.date", "dc.creator", "dc.subject", "dc.type"} <= set(indexes)
    for term in answer.root.iterfind(".//f:term", NAMESPACES):
        query = term.findtext("{*}query") or ""
        narrowed = faceted(demo, "we_cat", query)
        assert narrowed.diagnostics == [], query
        assert narrowed.texts("s2:numberOfRecords") == [term.findtext("{*}count")], query


def test_libraries_are_counted_by_what_they_hold(demo: RunningServer) -> None:
    answer = faceted(demo, "", "cql.allRecords=1", facetLimit="10:library")
    for library, count in zip(
        answer.texts("//f:actualTerm"), answer.texts("//f:count"), strict=True
    ):
        held = faceted(demo, "", f'bath.possessingInstitution=="{library}"')
        assert held.texts("s2:numberOfRecords") == [count]
    assert answer.texts("//f:index") == ["bath.possessingInstitution"]
    assert sorted(answer.texts("//f:actualTerm")) == ["DEMO1", "DEMO2", "DEMO3"]


def test_a_list_of_terms_is_paged_and_sorted(demo: RunningServer) -> None:
    everything = faceted(
        demo, "we_cat", "cql.allRecords=1", facetLimit="100:year", facetSort="alphanumeric"
    ).texts("//f:actualTerm")
    assert everything == sorted(everything)
    page = faceted(
        demo, "we_cat", "cql.allRecords=1", facetLimit="3:year", facetStart="4",
        facetSort="alphanumeric",
    )  # fmt: skip
    assert page.texts("//f:actualTerm") == everything[3:6]


def test_one_term_can_be_counted_alone(demo: RunningServer) -> None:
    answer = faceted(demo, "we_cat", KNUTH, facetCount="dc.language=eng")
    assert answer.texts("//f:facet/f:index") == ["dc.language"]
    assert answer.texts("//f:count") == ["5"]


def test_a_count_is_said_to_be_exact(demo: RunningServer) -> None:
    answer = faceted(demo, "we_cat", KNUTH)
    assert answer.texts("s2:resultCountPrecision") == [
        "info:srw/vocabulary/resultCountPrecision/1/exact"
    ]


# Quota


def test_a_member_sees_its_year_with_this_very_page(demo: RunningServer) -> None:
    # A member of its own: what others downloaded just now would be repeats.
    options = ("--name", "A library", "--password", "quota", "--config", str(demo.config))
    added = lianmu("member", "add", "QUOTA", *options)
    assert added.returncode == 0, added.stdout + added.stderr
    login = "quota:quota"

    def usage(**parameters: str) -> dict[str, str]:
        answer = search(demo, "we_cat", KNUTH, login, **{"x-lianmu-quota": "1"}, **parameters)
        (element,) = answer.root.iterfind("{*}extraResponseData/{*}usage")
        assert element.get("institution") == "QUOTA"
        charge = element.find("{*}estimatedCharge")
        assert charge is not None
        assert (charge.get("currency"), charge.get("unit")) == ("CNY", "fen")
        return {etree.QName(child).localname: child.text or "" for child in element}

    before = usage(maximumRecords="0")
    assert before["downloads"] == "0"
    assert list(before) == [
        "downloads", "holdingsUploaded", "quota", "billable", "estimatedCharge",
    ]  # fmt: skip
    after = usage(maximumRecords="2")
    assert int(after["downloads"]) - int(before["downloads"]) == 2
    billable = max(0, int(after["downloads"]) - int(after["quota"]))
    assert (after["billable"], after["estimatedCharge"]) == (str(billable), str(billable * 100))


def test_quota_is_not_told_unasked_nor_to_strangers(demo: RunningServer) -> None:
    given = {"recordSchema": "brief", "maximumRecords": "1"}
    assert b"extraResponseData" not in search(demo, "we_cat", KNUTH, **given).body
    refused = search(demo, "we_cat", KNUTH, **given, **{"x-lianmu-quota": "0"})
    assert b"extraResponseData" not in refused.body
    stranger = search(demo, "we_cat", KNUTH, None, **given, **{"x-lianmu-quota": "1"})
    assert stranger.diagnostics == ["1/3"]
    assert len(numbers(stranger)) == 1
    scan = get(
        demo, "we_cat", version="1.2", operation="scan", scanClause="title=a",
        **{"x-lianmu-quota": "1"},
    )  # fmt: skip
    assert scan.texts("zs:extraResponseData/q:usage/@institution") == ["DEMO1"]


# Media types and the stylesheet


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/xml"),
        ("text/xml", "text/xml"),
        ("application/sru+xml, */*;q=0.1", "application/sru+xml"),
        ("image/png", "application/xml"),
    ],
)
def test_the_accept_header_chooses_the_media_type(
    demo: RunningServer, accept: str, media_type: str
) -> None:
    address = "we_cat?version=1.2&operation=searchRetrieve&recordSchema=brief&query=author=knuth"
    assert send(demo, address, Accept=accept).media_type == media_type


def test_http_accept_goes_before_the_header(demo: RunningServer) -> None:
    answer = faceted(demo, "we_cat", KNUTH, httpAccept="application/sru+xml")
    assert answer.media_type == "application/sru+xml"
    assert faceted(demo, "we_cat", KNUTH, httpAccept="text/html").diagnostics == ["1/6"]


def stylesheet(server: RunningServer) -> etree.XSLT:
    with urllib.request.urlopen(f"{server.url}/assets/sru.xsl", timeout=30) as response:
        assert response.headers["Content-Type"].startswith("text/xsl")
        return etree.XSLT(etree.fromstring(response.read()))


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ({"version": "1.1", "operation": "searchRetrieve", "query": "dc.title=史记",
          "recordSchema": "brief"}, ["3 records", "史记", "dc.title=史记"]),
        ({"version": "1.2", "operation": "searchRetrieve", "query": "dc.title=史记",
          "recordSchema": "dc", "maximumRecords": "1"}, ["title", "史记", "number 2"]),
        ({"version": "2.0", "query": "dc.title=史记", "facetLimit": "3:language",
          "maximumRecords": "0"}, ["Language 语种", "chi"]),
        ({"version": "1.2", "operation": "searchRetrieve", "query": "dc.nothing=x"},
         ["Unsupported index", "dc.nothing"]),
        ({"version": "1.2", "operation": "scan", "scanClause": "dc.title=史记"}, ["史记"]),
        ({"version": "2.0", "operation": "explain"}, ["dc.title", "题名", "marcxml"]),
    ],
)  # fmt: skip
def test_a_browser_shows_a_response_by_the_stylesheet(
    demo: RunningServer, parameters: dict[str, str], shown: list[str]
) -> None:
    answer = get(demo, "cn_cat", **parameters, stylesheet="/assets/sru.xsl")
    assert b'<?xml-stylesheet type="text/xsl" href="/assets/sru.xsl"?>' in answer.body
    page = str(stylesheet(demo)(answer.root))
    for text in shown:
        assert text in page
    assert page.count("<h1>") == 1


def test_no_other_stylesheet_is_named(demo: RunningServer) -> None:
    answer = search(demo, "we_cat", KNUTH, stylesheet="http://evil.example/x.xsl")
    assert answer.diagnostics == ["1/111"]
    assert b"xml-stylesheet" not in answer.body
