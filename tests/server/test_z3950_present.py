"""Present on the wire: forms, sizes, segments, ranges (Z39.50-2003 §3.2.3, §3.3, §3.6)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from protocol import apdu, oid
from protocol.apdu_common import AttributeElement, AttributesPlusTerm
from protocol.diagnostic import Bib1
from protocol.external import Form
from protocol.grs1 import ESPEC_1, CompositeElement, Espec, SimpleElement, SpecificTag
from tests.harness import RunningServer, lianmu
from tests.server.own_server import cnmarc, marc21, own_server
from tests.z3950_client import (
    Client,
    connected,
    diagnostic,
    init_request,
    present_request,
    records,
    surrogates,
)

RECORDS = 5200
BIG_BYTES = 30_000
HUGE_BYTES = 90_000  # near the end of what ISO 2709 can say


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """5,200 small records, three of 30,000 octets and one of 90,000; at most 5,100 at once."""
    small = [marc21(f"s{number:05}", f"Shelf volume {number}") for number in range(RECORDS)]
    big = [
        marc21(f"b{number}", f"Bulky volume {number}", *["note " * 1000] * (BIG_BYTES // 5000))
        for number in range(3)
    ]
    huge = [marc21("h0", "Huge volume", *["note " * 1000] * (HUGE_BYTES // 5000))]
    folder = tmp_path_factory.mktemp("shelf")
    records_by_database = {
        "we_cat": [*small, *big, *huge],
        "cn_cat": [cnmarc("c0", "混排书名", author="曹雪芹")],
        "ancient": [cnmarc("a0", "混排书名", author="曹雪芹")],
    }
    with own_server(folder, records_by_database, present_records_max=5100) as server:
        yield server


def negotiated(
    server: RunningServer,
    *,
    preferred: int = 1 << 20,
    exceptional: int = 1 << 20,
    options: frozenset[apdu.Option] = frozenset(),
) -> Client:
    """A signed-in client past Init with these sizes and further options."""
    client = Client(server.z3950)
    request = init_request("demo1/demo1")
    response = client.init(
        "demo1/demo1",
        preferred_message_size=preferred,
        exceptional_record_size=exceptional,
        options=request.options | options,
    )
    assert response.result
    assert options <= response.options
    return client


def in_segments(
    client: Client, request: apdu.PresentRequest
) -> tuple[list[apdu.Segment], apdu.PresentResponse]:
    client.send(request)
    segments = []
    while isinstance(response := client.receive(), apdu.Segment):
        segments.append(response)
    assert isinstance(response, apdu.PresentResponse), response
    return segments, response


def octets(named: apdu.NamePlusRecord) -> bytes:
    record = named.record
    if isinstance(record, apdu.External):
        return record.data
    assert not isinstance(record, apdu.SurrogateDiagnostic)
    fragment = record.fragment
    return fragment.data if isinstance(fragment, apdu.External) else fragment


LEVEL_1 = frozenset({apdu.Option.LEVEL_1_SEGMENTATION})
LEVEL_2 = frozenset({apdu.Option.LEVEL_1_SEGMENTATION, apdu.Option.LEVEL_2_SEGMENTATION})


# How many


def test_5000_records_come_in_one_response(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        assert client.search("@attr 1=4 shelf", "we_cat").result_count == RECORDS
        response = client.present(1, 5000)
        assert response.present_status == apdu.PresentStatus.SUCCESS
        assert len(set(records(response))) == 5000
        assert response.next_result_set_position == 5001


def test_more_than_the_server_gives_at_once_is_partial_4_and_goes_on(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search("@attr 1=4 shelf", "we_cat")
        response = client.present(1, RECORDS)
        assert response.present_status == apdu.PresentStatus.PARTIAL_4
        assert response.number_of_records_returned == 5100
        assert response.next_result_set_position == 5101
        rest = client.present(5101, 100)
        assert rest.present_status == apdu.PresentStatus.SUCCESS
        assert rest.next_result_set_position == 0


def test_additional_ranges_are_given_in_the_order_asked_for(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search("@attr 1=4 shelf", "we_cat")
        one_by_one = [records(client.present(position, 1))[0] for position in (2, 3, 10, 51, 52)]
        response = client.present(2, 2, additional_ranges=(apdu.Range(10, 1), apdu.Range(51, 2)))
        assert records(response) == one_by_one
        assert response.next_result_set_position == 53
        refused = client.present(1, 1, additional_ranges=(apdu.Range(RECORDS, 2),))
        assert diagnostic(refused) == (Bib1.PRESENT_OUT_OF_RANGE, str(RECORDS))


def test_a_range_longer_than_the_set_is_13_however_long(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search("@attr 1=4 shelf", "we_cat")
        assert diagnostic(client.present(1, RECORDS + 1)) == (Bib1.PRESENT_OUT_OF_RANGE, "1")


# Sizes (§3.3.1)


def test_a_response_ends_where_the_preferred_size_does(shelf: RunningServer) -> None:
    client = negotiated(shelf, preferred=2000)
    client.search("@attr 1=4 shelf", "we_cat")
    response = client.present(1, 100)
    assert response.present_status == apdu.PresentStatus.PARTIAL_2
    size = sum(map(len, records(response)))
    assert 2000 - len(records(response)[0]) < size <= 2000
    assert response.next_result_set_position == response.number_of_records_returned + 1
    client.close()


@pytest.mark.parametrize(
    ("count", "conditions"),
    [
        (1, []),  # alone it may be exceptional
        (2, [Bib1.RECORD_EXCEEDS_PREFERRED_SIZE] * 2),
        (4, [Bib1.RECORD_EXCEEDS_PREFERRED_SIZE] * 3 + [Bib1.RECORD_EXCEEDS_EXCEPTIONAL_SIZE]),
    ],
)
def test_a_large_record_goes_alone_or_is_a_surrogate_16_or_17(
    shelf: RunningServer, count: int, conditions: list[Bib1]
) -> None:
    client = negotiated(shelf, preferred=20_000, exceptional=50_000)
    client.search("@or @attr 1=4 bulky @attr 1=4 huge", "we_cat")
    response = client.present(1, count)
    assert response.present_status == apdu.PresentStatus.SUCCESS
    assert response.number_of_records_returned == count
    assert [condition for condition, _ in surrogates(response)] == conditions
    client.close()


def test_a_record_beyond_the_exceptional_size_is_17_even_alone(shelf: RunningServer) -> None:
    client = negotiated(shelf, preferred=20_000, exceptional=50_000)
    client.search("@attr 1=4 huge", "we_cat")
    [(condition, addinfo)] = surrogates(client.present(1, 1))
    assert condition == Bib1.RECORD_EXCEEDS_EXCEPTIONAL_SIZE
    assert addinfo.endswith(" octets")
    client.close()


def test_no_record_of_a_search_response_is_exceptional(shelf: RunningServer) -> None:
    client = negotiated(shelf, preferred=20_000, exceptional=50_000)
    response = client.search(
        "@and @attr 1=4 bulky @attr 1=12 b0", "we_cat",
        small_set_upper_bound=5, large_set_lower_bound=6, preferred_record_syntax=oid.USMARC,
    )  # fmt: skip
    assert response.search_status
    assert isinstance(response.records, tuple)
    [named] = response.records
    assert isinstance(named.record, apdu.SurrogateDiagnostic)
    assert isinstance(named.record.diagnostic, apdu.DefaultDiagFormat)
    assert named.record.diagnostic.condition == Bib1.RECORD_EXCEEDS_PREFERRED_SIZE
    client.close()


# Segments (§3.3.2, §3.3.3)


def test_segments_are_only_for_who_asked_in_version_3(shelf: RunningServer) -> None:
    client = Client(shelf.z3950)
    response = client.init(
        "demo1/demo1",
        protocol_version=frozenset({apdu.ProtocolVersion.VERSION_2}),
        options=init_request().options | LEVEL_2,
        preferred_message_size=2000,
    )
    assert response.result
    client.search("@attr 1=4 shelf", "we_cat")
    segments, last = in_segments(client, present_request(1, 50))
    assert (segments, last.present_status) == ([], apdu.PresentStatus.PARTIAL_2)
    client.close()


def test_level_1_gives_whole_records_in_segments(shelf: RunningServer) -> None:
    client = negotiated(shelf, preferred=2000, options=LEVEL_1)
    client.search("@attr 1=4 shelf", "we_cat")
    segments, last = in_segments(client, present_request(1, 100, reference_id=b"p"))
    assert len(segments) > 3
    assert last.present_status == apdu.PresentStatus.SUCCESS
    assert (last.number_of_records_returned, last.next_result_set_position) == (100, 101)
    assert {segment.reference_id for segment in segments} == {b"p"}
    assert isinstance(last.records, tuple)
    parts = [*(segment.segment_records for segment in segments), last.records]
    assert [segment.number_of_records_returned for segment in segments] == [
        len(part) for part in parts[:-1]
    ]
    assert all(sum(len(octets(each)) for each in part) <= 2000 for part in parts)
    together = [octets(each) for part in parts for each in part]
    client.close()
    with connected(shelf.z3950, "demo1/demo1") as other:
        other.search("@attr 1=4 shelf", "we_cat")
        assert records(other.present(1, 100)) == together


def test_a_number_of_segments_is_not_exceeded(shelf: RunningServer) -> None:
    client = negotiated(shelf, preferred=2000, options=LEVEL_1)
    client.search("@attr 1=4 shelf", "we_cat")
    for most in (1, 3):
        segments, last = in_segments(client, present_request(1, 100, max_segment_count=most))
        assert len(segments) == most - 1
        assert last.present_status == apdu.PresentStatus.PARTIAL_2
        assert last.next_result_set_position == last.number_of_records_returned + 1
    client.close()


def test_level_2_cuts_a_record_that_exceeds_a_segment(shelf: RunningServer) -> None:
    client = negotiated(shelf, preferred=100_000, options=LEVEL_2)
    client.search("@or @attr 1=4 bulky @attr 1=4 huge", "we_cat")
    whole = records(client.present(1, 2))
    segments, last = in_segments(client, present_request(1, 2, max_segment_size=8000))
    assert last.present_status == apdu.PresentStatus.SUCCESS
    assert last.number_of_records_returned == 2
    assert isinstance(last.records, tuple)
    parts = [*(segment.segment_records for segment in segments), last.records]
    assert all(0 < sum(len(octets(each)) for each in part) <= 8000 for part in parts)
    rebuilt: list[bytes] = []
    for named in (each for part in parts for each in part):
        record = named.record
        if isinstance(record, apdu.StartingFragment | apdu.External):
            rebuilt.append(b"")
        if isinstance(record, apdu.StartingFragment):
            assert isinstance(record.fragment, apdu.External)
            assert record.fragment.direct_reference == oid.USMARC
            assert named.name == "we_cat"
        rebuilt[-1] += octets(named)
    assert rebuilt == whole
    client.close()


def test_level_2_holds_a_record_to_the_size_of_the_request(shelf: RunningServer) -> None:
    client = negotiated(shelf, preferred=100_000, options=LEVEL_2)
    client.search("@or @attr 1=4 bulky @attr 1=4 huge", "we_cat")
    _, last = in_segments(
        client, present_request(3, 2, max_segment_size=8000, max_record_size=40_000)
    )
    assert [condition for condition, _ in surrogates(last)] == [
        Bib1.RECORD_EXCEEDS_EXCEPTIONAL_SIZE
    ]
    # Two segments of 8,000 octets hold no record of 30,000.
    segments, last = in_segments(
        client, present_request(1, 1, max_segment_size=8000, max_segment_count=2)
    )
    assert segments == []
    assert len(surrogates(last)) == 1
    client.close()


def test_a_segment_too_small_for_any_fragment_is_242(shelf: RunningServer) -> None:
    client = negotiated(shelf, options=LEVEL_2)
    client.search("@attr 1=4 shelf", "we_cat")
    assert diagnostic(client.present(1, 1, max_segment_size=10)) == (
        Bib1.SEGMENT_SIZE_TOO_SMALL, "10",
    )  # fmt: skip
    client.close()


def test_text_in_fragments_is_its_whole_element(shelf: RunningServer) -> None:
    client = negotiated(shelf, preferred=100_000, options=LEVEL_2)
    client.search("@attr 1=4 bulky", "we_cat")
    response = client.present(1, 1, oid.SUTRS)
    assert isinstance(response.records, tuple)
    whole = response.records[0].record
    assert isinstance(whole, apdu.External)
    assert whole.form is Form.SINGLE_ASN1_TYPE
    segments, last = in_segments(client, present_request(1, 1, oid.SUTRS, max_segment_size=5000))
    assert isinstance(last.records, tuple)
    parts = [*(segment.segment_records for segment in segments), last.records]
    assert b"".join(octets(each) for part in parts for each in part) == whole.data
    client.close()


# Composition (§3.6)


def comp_spec(
    *syntaxes: oid.Oid,
    element_set: apdu.Specification | None = None,
    alternative: bool = False,
    **by_database: apdu.Specification,
) -> apdu.CompSpec:
    return apdu.CompSpec(
        select_alternative_syntax=alternative,
        generic=element_set,
        db_specific=tuple(
            apdu.DatabaseSpecification(name, spec) for name, spec in by_database.items()
        ),
        record_syntax=syntaxes,
    )


def syntaxes_of(response: apdu.PresentResponse) -> list[oid.Oid | None]:
    assert isinstance(response.records, tuple), response.records
    return [
        each.record.direct_reference
        for each in response.records
        if isinstance(each.record, apdu.External)
    ]


def test_the_first_syntax_that_a_record_has_applies(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search("@or @attr 1=4 混排书名 @attr 1=4 huge", "we_cat", "cn_cat")
        both = client.present(
            1, 2, oid.XML, record_composition=comp_spec(oid.GRS_0, oid.USMARC, oid.UNIMARC)
        )
        assert sorted(map(str, syntaxes_of(both))) == [str(oid.UNIMARC), str(oid.USMARC)]
        one = client.present(1, 2, record_composition=comp_spec(oid.USMARC))
        assert len(syntaxes_of(one)) == 1
        assert [condition for condition, _ in surrogates(one)] == [Bib1.RECORD_NOT_IN_SYNTAX]


def test_an_alternative_syntax_is_chosen_only_when_allowed(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search("@attr 1=4 混排书名", "cn_cat")
        refused = client.present(1, 1, None, record_composition=comp_spec(oid.GRS_0))
        assert diagnostic(refused) == (Bib1.RECORD_SYNTAX_UNSUPPORTED, str(oid.GRS_0))
        given = client.present(
            1, 1, None, record_composition=comp_spec(oid.GRS_0, alternative=True)
        )
        assert syntaxes_of(given) == [oid.UNIMARC]


TITLE = (SpecificTag(tag_type=2, tag_value=1),)


def espec(**fields: object) -> apdu.External:
    return apdu.External.of(oid.ESPEC_1, ESPEC_1, Espec(**fields))  # type: ignore[arg-type]


def test_an_element_set_is_named_plainly_or_by_espec(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search("@attr 1=4 bulky", "we_cat")
        brief = records(client.present(1, 1, record_composition="B"))
        full = records(client.present(1, 1, record_composition="F"))
        for spec in ("B", espec(element_set_names=("B",))):
            wish = comp_spec(element_set=apdu.Specification(element_spec=spec))
            assert records(client.present(1, 1, record_composition=wish)) == brief
        whole: tuple[apdu.External | str | None, ...] = ("F", espec(), None)
        for each in whole:
            wish = comp_spec(element_set=apdu.Specification(element_spec=each))
            assert records(client.present(1, 1, record_composition=wish)) == full


@pytest.mark.parametrize(
    ("spec", "condition", "addinfo"),
    [
        (
            apdu.Specification(schema=apdu.SchemaUri("urn:nowhere")),
            Bib1.UNKNOWN_SCHEMA, "urn:nowhere",
        ),
        (
            apdu.Specification(schema=oid.SCHEMA_HOLDINGS),
            Bib1.UNKNOWN_SCHEMA, str(oid.SCHEMA_HOLDINGS),
        ),
        (
            apdu.Specification(
                element_spec=espec(elements=(SimpleElement(path=(SpecificTag(tag_value=1),)),))
            ),
            Bib1.COMP_SPEC_UNSUPPORTED, "eSpec-1 elements of another than GRS-1",
        ),
        (
            apdu.Specification(
                element_spec=espec(
                    elements=(CompositeElement(element_list=("B",), delivery_tag=TITLE),)
                )
            ),
            Bib1.COMP_SPEC_UNSUPPORTED, "composite elements in an eSpec-1",
        ),
        (
            apdu.Specification(element_spec=espec(elements=(SimpleElement(path=TITLE),) * 257)),
            Bib1.COMP_SPEC_UNSUPPORTED, "more than 256 elements in an eSpec-1",
        ),
        (
            apdu.Specification(element_spec=espec(elements=(SimpleElement(path=TITLE * 17),))),
            Bib1.COMP_SPEC_UNSUPPORTED, "a path of 17 tags in an eSpec-1",
        ),
        (
            apdu.Specification(element_spec=apdu.External(oid.ESPEC_1, b"\x30\x05")),
            Bib1.COMP_SPEC_UNSUPPORTED, "an eSpec-1 that cannot be read",
        ),
        (
            apdu.Specification(element_spec=apdu.External(oid.VARIANT_1, b"")),
            Bib1.COMP_SPEC_UNSUPPORTED, str(oid.VARIANT_1),
        ),
    ],
)  # fmt: skip
def test_a_comp_spec_that_cannot_be_followed_is_a_diagnostic(
    shelf: RunningServer, spec: apdu.Specification, condition: Bib1, addinfo: str
) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search("@attr 1=4 bulky", "we_cat")
        wish = comp_spec(oid.XML, element_set=spec)
        assert diagnostic(client.present(1, 1, record_composition=wish)) == (condition, addinfo)
        wish = comp_spec(oid.XML, we_cat=spec)
        assert diagnostic(client.present(1, 1, record_composition=wish)) == (condition, addinfo)


@pytest.mark.parametrize("schema", ["dc", "info:srw/schema/1/dc-v1.1"])
def test_a_schema_chooses_the_xml(shelf: RunningServer, schema: str) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search("@attr 1=4 huge", "we_cat")
        wish = comp_spec(oid.XML, element_set=apdu.Specification(schema=apdu.SchemaUri(schema)))
        [record] = records(client.present(1, 1, record_composition=wish))
        assert b"http://purl.org/dc/elements/1.1/" in record


def test_element_sets_are_honoured_by_each_records_database(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search("@attr 1=4 混排书名", "ancient", "cn_cat")
        full = records(client.present(1, 2, oid.UNIMARC))
        brief = records(client.present(1, 2, oid.UNIMARC, record_composition="B"))
        response = client.present(1, 2, oid.UNIMARC)
        assert isinstance(response.records, tuple)
        names = [named.name for named in response.records]
        assert sorted(map(str, names)) == ["ancient", "cn_cat"]
        expected = [
            brief[place] if name == "ancient" else full[place] for place, name in enumerate(names)
        ]
        assert expected not in (brief, full)
        wanted = (
            apdu.DatabaseElementSetName("ANCIENT", "B"),
            apdu.DatabaseElementSetName("cn_cat", "F"),
        )
        assert records(client.present(1, 2, oid.UNIMARC, record_composition=wanted)) == expected
        by_spec = comp_spec(oid.UNIMARC, ancient=apdu.Specification(element_spec="B"))
        assert records(client.present(1, 2, None, record_composition=by_spec)) == expected
        unknown = (apdu.DatabaseElementSetName("nowhere", "B"),)
        assert diagnostic(client.present(1, 1, oid.UNIMARC, record_composition=unknown)) == (
            Bib1.ELEMENT_SET_NAME_INVALID, "B for nowhere",
        )  # fmt: skip


def test_without_an_account_only_the_databases_asked_for_full_are_refused(
    shelf: RunningServer,
) -> None:
    with connected(shelf.z3950) as client:
        client.search("@attr 1=4 混排书名", "ancient", "cn_cat")
        wanted = (
            apdu.DatabaseElementSetName("ancient", "B"),
            apdu.DatabaseElementSetName("cn_cat", "F"),
        )
        response = client.present(1, 2, oid.UNIMARC, record_composition=wanted)
        assert [condition for condition, _ in surrogates(response)] == [Bib1.SYNTAX_NOT_AUTHORISED]
        assert syntaxes_of(response) == [oid.UNIMARC]


def test_what_went_out_in_segments_is_counted_once_a_record(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("counted")
    shelf = {"we_cat": [marc21(f"m{number}", f"Metered {number}") for number in range(30)]}
    with own_server(folder, shelf) as server:
        client = negotiated(server, preferred=1024, options=LEVEL_1)
        client.search("@attr 1=4 metered", "we_cat")
        segments, last = in_segments(client, present_request(1, 30))
        assert segments
        assert last.number_of_records_returned == 30
        client.close()
    told = lianmu("usage", "DEMO1", "--config", str(folder / "config.toml"), "--json")
    assert '"downloads":30' in told.stdout.replace(" ", ""), told.stdout


# Scan, whose response is a message too


@pytest.mark.parametrize(("preferred", "least"), [(1024, 5), (4096, 30), (1 << 20, 400)])
def test_a_scan_gives_as_many_terms_as_go_into_a_message(
    shelf: RunningServer, preferred: int, least: int
) -> None:
    client = negotiated(shelf, preferred=preferred, exceptional=preferred)
    request = apdu.ScanRequest(
        database_names=("we_cat",),
        attribute_set=oid.BIB_1,
        term_list_and_start_point=AttributesPlusTerm(
            (AttributeElement(type=1, value=4), AttributeElement(type=4, value=1)), b"shelf"
        ),
        number_of_terms_requested=400,
    )
    response = client.ask(request, apdu.ScanResponse)
    client.close()
    assert len(apdu.encode(response)) <= preferred
    assert response.entries is not None
    assert response.number_of_entries_returned == len(response.entries.entries) >= least
    complete = response.number_of_entries_returned == 400
    assert response.scan_status == (
        apdu.ScanStatus.SUCCESS if complete else apdu.ScanStatus.PARTIAL_2
    )
