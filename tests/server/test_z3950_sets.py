"""Result sets on the wire, made, kept, sorted, deleted; and Scan (Z39.50-2003 §3.2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol import apdu, oid
from protocol.apdu_common import AttributeElement, AttributesPlusTerm
from protocol.diagnostic import Bib1
from protocol.grs1 import ESPEC_1, Espec, SimpleElement, SpecificTag
from protocol.iso2709 import control_number
from protocol.record import StoredRecord
from server.config import Z3950, load_config
from store.writer import CatalogueWriter
from tests.harness import RunningServer
from tests.server.own_server import cnmarc, marc21, own_server
from tests.z3950_client import (
    Client,
    connected,
    diagnostic,
    present_request,
    records,
    search_request,
    surrogates,
)

# Titles whose order by Pinyin is that of their control numbers, and their authors.
CHINESE = (
    ("c1", "阿Q正传", "鲁迅"),
    ("c2", "红楼梦", "曹雪芹"),
    ("c3", "史记", "司马迁"),
    ("c4", "中国通史", ""),
)

BOUND = Z3950().result_sets_max
WESTERN = (("w1", "Zebra crossing", "Adams, A."), ("w2", "Ant hill", "Zola, E."))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    catalogue = {
        # Stored in an order that no sort gives.
        "cn_cat": [cnmarc(*CHINESE[place][:2], author=CHINESE[place][2]) for place in (3, 1, 0, 2)],
        "we_cat": [marc21(number, title, author=author) for number, title, author in WESTERN],
        "ancient": [cnmarc("a1", "史记", author="司马迁")],
        "ru_cat": [cnmarc(f"r{number}", f"Книга {number}") for number in range(20)],
    }
    with own_server(tmp_path_factory.mktemp("sets"), catalogue) as server:
        yield server


ALL = "@attr 1=1016 @attr 2=103 x"


def numbers(client: Client, name: str = "default", count: int | None = None) -> list[str]:
    """Control numbers in the order of a set, its size found out by a search for it."""
    if count is None:
        count = client.search(f'@set "{name}"', "all", result_set_name="_count").result_count
    return [
        control_number(marc) for marc in records(client.present(1, count, None, result_set_id=name))
    ]


# Search


def test_replace_indicator_off_keeps_the_set_that_is_there(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search("@attr 1=4 史记", "cn_cat", result_set_name="a")
        refused = client.search(ALL, "cn_cat", result_set_name="a", replace_indicator=False)
        assert diagnostic(refused) == (Bib1.RESULT_SET_EXISTS, "a")
        assert refused.result_set_status == apdu.ResultSetStatus.NONE
        assert numbers(client, "a") == ["c3"]
        client.search(ALL, "cn_cat", result_set_name="a")
        assert len(numbers(client, "a")) == len(CHINESE)


def test_the_number_of_sets_is_bounded_and_a_deleted_one_makes_room(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        for number in range(BOUND):
            assert client.search(ALL, "cn_cat", result_set_name=f"s{number}").search_status
        one_more = client.search(ALL, "cn_cat", result_set_name="more")
        assert diagnostic(one_more) == (Bib1.TOO_MANY_RESULT_SETS, str(BOUND))
        assert client.search(ALL, "cn_cat", result_set_name="s7").search_status
        deleted = client.ask(
            apdu.DeleteResultSetRequest(
                delete_function=apdu.DeleteFunction.LIST, result_set_list=("s3",)
            ),
            apdu.DeleteResultSetResponse,
        )
        assert deleted.delete_operation_status == apdu.DeleteSetStatus.SUCCESS
        assert client.search(ALL, "cn_cat", result_set_name="more").search_status


def test_the_octets_of_sets_are_bounded_and_a_deleted_one_makes_room(tmp_path: Path) -> None:
    # Every other record, so that no set is a mere range of numbers.
    words = ("odd", "even") * 1_200
    many = [marc21(f"m{number}", f"{word} {number}") for number, word in enumerate(words)]
    odd = "@attr 1=4 odd"
    bound = "result_sets_bytes_max = 8000"  # three sets of 2,400 octets
    with (
        own_server(tmp_path, {"we_cat": many}, z3950=bound) as server,
        connected(server.z3950, "demo1/demo1") as client,
    ):
        for name in "abc":
            assert client.search(odd, "we_cat", result_set_name=name).search_status
        refused = client.search(odd, "we_cat", result_set_name="d")
        assert refused.result_set_status == apdu.ResultSetStatus.NONE
        condition, addinfo = diagnostic(refused)
        assert condition == Bib1.RESOURCES_EXHAUSTED_NO_RESULTS
        assert "at most 8000 octets" in addinfo
        # One that takes the place of another counts once; small ones always fit.
        assert client.search(odd, "we_cat", result_set_name="c").search_status
        assert client.search("@attr 1=4 7", "we_cat", result_set_name="e").result_count == 1
        response = client.ask(sort_request(("a",), "s", "title"), apdu.SortResponse)
        assert sort_diagnostic(response)[0] == Bib1.RESOURCES_EXHAUSTED_NO_RESULTS
        assert response.result_set_status == apdu.SortResultSetStatus.NONE
        client.ask(
            apdu.DeleteResultSetRequest(delete_function=apdu.DeleteFunction.ALL),
            apdu.DeleteResultSetResponse,
        )
        assert client.search(odd, "we_cat", result_set_name="d").result_count == 1_200


def test_a_name_without_end_is_illegal(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        condition, addinfo = diagnostic(client.search(ALL, "cn_cat", result_set_name="n" * 1000))
        assert condition == Bib1.ILLEGAL_RESULT_SET_NAME
        assert len(addinfo) < 50
        response = client.ask(sort_request(("default",), "n" * 1000, "title"), apdu.SortResponse)
        assert sort_diagnostic(response)[0] == Bib1.ILLEGAL_RESULT_SET_NAME


@pytest.mark.parametrize("bounds", [(0, 1, 0), (0, 4, 9), (3, 4, 0)])
def test_a_search_that_asks_for_no_records_succeeds_in_presenting_them(
    shelf: RunningServer, bounds: tuple[int, int, int]
) -> None:
    small, large, medium = bounds
    with connected(shelf.z3950, "demo1/demo1") as client:
        response = client.search(
            ALL, "cn_cat", small_set_upper_bound=small, large_set_lower_bound=large,
            medium_set_present_number=medium,
        )  # fmt: skip
        assert response.search_status
        assert response.present_status == apdu.PresentStatus.SUCCESS
        assert (response.number_of_records_returned, response.records) == (0, None)
        assert response.next_result_set_position == 1
        nothing = client.search("@attr 1=4 nowhere", "cn_cat", small_set_upper_bound=9)
        assert (nothing.present_status, nothing.next_result_set_position) == (0, 0)


def test_records_that_cannot_be_given_do_not_fail_the_search(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        response = client.search(
            ALL, "cn_cat", small_set_upper_bound=9, large_set_lower_bound=10,
            preferred_record_syntax=oid.GRS_0,
        )  # fmt: skip
        assert response.search_status
        assert response.result_count == len(CHINESE)
        assert response.present_status == apdu.PresentStatus.FAILURE
        assert diagnostic(response) == (Bib1.RECORD_SYNTAX_UNSUPPORTED, str(oid.GRS_0))
        assert len(numbers(client)) == len(CHINESE)


def test_small_and_medium_sets_have_element_sets_of_their_own(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        fields: dict[str, object] = {
            "small_set_element_set_names": "B",
            "medium_set_element_set_names": (apdu.DatabaseElementSetName("cn_cat", "F"),),
            "medium_set_present_number": 2,
            "large_set_lower_bound": 100,
        }
        small = records(client.search(ALL, "cn_cat", small_set_upper_bound=9, **fields))
        medium = records(client.search(ALL, "cn_cat", small_set_upper_bound=1, **fields))
        assert (len(small), len(medium)) == (len(CHINESE), 2)
        assert all(b"Not in a brief record" in record for record in medium)
        assert not any(b"Not in a brief record" in record for record in small)


def test_an_attribute_that_is_not_supported_fails_a_search_of_several_databases(
    shelf: RunningServer,
) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        both = client.search("@attr 1=4 史记", "cn_cat", "ANCIENT")
        assert both.result_count == 2
        assert diagnostic(client.search("@attr 1=9999 x", "cn_cat", "we_cat")) == (
            Bib1.USE_ATTRIBUTE_UNSUPPORTED, "9999",
        )  # fmt: skip
        assert diagnostic(client.search(ALL, "cn_cat", "nowhere")) == (
            Bib1.DATABASE_UNAVAILABLE, "nowhere",
        )  # fmt: skip


def test_cql_is_a_query_like_any_other(shelf: RunningServer) -> None:
    client = Client(shelf.z3950)
    response = client.init("demo1/demo1")
    assert apdu.Option.QUERY_TYPE_104 in response.options

    def found(text: str) -> apdu.SearchResponse:
        request = dataclasses.replace(search_request("x", "cn_cat"), query=apdu.CqlQuery(text))
        return client.ask(request, apdu.SearchResponse)

    assert found('dc.title = "红楼梦" and dc.creator = 曹雪芹').result_count == 1
    assert numbers(client) == ["c2"]
    assert diagnostic(found("dc.title = ("))[0] == Bib1.MALFORMED_QUERY
    client.close()


# A set while records change


def test_a_set_stays_as_it_was_while_records_change_beneath_it(shelf: RunningServer) -> None:
    config = load_config(shelf.config)
    writer = CatalogueWriter(config.data_dir)
    try:
        with connected(shelf.z3950, "demo1/demo1") as client:
            assert client.search("@attr 1=4 книга", "ru_cat").result_count == 20
            before = records(client.present(1, 20, oid.UNIMARC))
            changed = writer.put("ru_cat", cnmarc("r3", "Журнал 3"))
            assert isinstance(changed, StoredRecord)
            gone = writer.put("ru_cat", cnmarc("r7", "Книга 7 снова"))
            assert isinstance(gone, StoredRecord)
            writer.delete(gone.record_id)
            writer.put("ru_cat", cnmarc("r99", "Книга 99"))
            # A new search sees what is there now.
            assert (
                client.search("@attr 1=4 книга", "ru_cat", result_set_name="b").result_count == 19
            )
            response = client.present(1, 20, oid.UNIMARC)
            assert response.number_of_records_returned == 20
            assert isinstance(response.records, tuple)
            for position, (named, old) in enumerate(zip(response.records, before, strict=True)):
                number = control_number(old)
                if number == "r7":
                    assert surrogates(response) == [(Bib1.RECORD_DELETED, "r7")]
                    assert isinstance(named.record, apdu.SurrogateDiagnostic)
                    continue
                assert isinstance(named.record, apdu.External)
                assert control_number(named.record.data) == number, position
                assert (named.record.data == old) is (number != "r3")
            # Operands of a query are the records of the set, and their merge moves nothing.
            while writer.merge():
                pass
            again = client.present(1, 20, oid.UNIMARC)
            assert again.records == response.records
    finally:
        writer.close()


# Delete


def test_every_set_of_a_list_has_its_own_status(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search(ALL, "cn_cat", result_set_name="a")
        response = client.ask(
            apdu.DeleteResultSetRequest(
                delete_function=apdu.DeleteFunction.LIST, result_set_list=("a", "a", "b")
            ),
            apdu.DeleteResultSetResponse,
        )
        assert (
            response.delete_operation_status
            == apdu.DeleteSetStatus.NOT_ALL_REQUESTED_RESULT_SETS_DELETED
        )
        assert [(each.id, each.status) for each in response.delete_list_statuses] == [
            ("a", apdu.DeleteSetStatus.SUCCESS),
            ("a", apdu.DeleteSetStatus.RESULT_SET_DID_NOT_EXIST),
            ("b", apdu.DeleteSetStatus.RESULT_SET_DID_NOT_EXIST),
        ]
        assert diagnostic(client.present(1, 1, result_set_id="a")) == (Bib1.RESULT_SET_UNKNOWN, "a")


# Sort


def sort_key(
    field: int | apdu.SortElement,
    *,
    descending: bool = False,
    missing: apdu.MissingValueAction | bytes | None = None,
    relation: int | None = None,
) -> apdu.SortKeySpec:
    element: apdu.SortElement
    if isinstance(field, int):
        element = apdu.SortAttributes(oid.BIB_1, (AttributeElement(type=1, value=field),))
    else:
        element = field
    if relation is None:
        relation = apdu.SortRelation.DESCENDING if descending else apdu.SortRelation.ASCENDING
    return apdu.SortKeySpec(
        sort_element=element,
        sort_relation=relation,
        case_sensitivity=apdu.CaseSensitivity.CASE_INSENSITIVE,
        missing_value_action=missing,
    )


def sort_request(
    inputs: tuple[str, ...], output: str, *keys: str | int | apdu.SortKeySpec
) -> apdu.SortRequest:
    return apdu.SortRequest(
        input_result_set_names=inputs,
        sorted_result_set_name=output,
        sort_sequence=tuple(
            key if isinstance(key, apdu.SortKeySpec) else sort_key(key) for key in keys
        ),
    )


def by_espec(**fields: object) -> apdu.Specification:
    espec = Espec(**fields)  # type: ignore[arg-type]
    return apdu.Specification(element_spec=apdu.External.of(oid.ESPEC_1, ESPEC_1, espec))


def element(*tags: tuple[int | None, int | str]) -> SimpleElement:
    path = tuple(SpecificTag(tag_type=type_, tag_value=value) for type_, value in tags)
    return SimpleElement(path=path)


def sort_diagnostic(response: apdu.SortResponse) -> tuple[int, str]:
    assert response.sort_status == apdu.SortStatus.FAILURE
    [diagnostic] = response.diagnostics
    assert isinstance(diagnostic, apdu.DefaultDiagFormat)
    return diagnostic.condition, diagnostic.addinfo


@pytest.mark.parametrize(
    "field",
    [
        4,
        "title",
        "TITLE",
        "dc.title",
        "4",
        apdu.Specification(element_spec="title"),
        by_espec(element_set_names=("title",)),
        by_espec(elements=(element((2, 1)),)),
        by_espec(elements=(element((None, "200"), (None, "1 "), (None, "a")),), default_tag_type=3),
    ],
    ids=str,
)
def test_chinese_titles_sort_by_pinyin(shelf: RunningServer, field: int | apdu.SortElement) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search(ALL, "cn_cat")
        assert numbers(client) != ["c1", "c2", "c3", "c4"]
        response = client.ask(
            sort_request(("default",), "default", sort_key(field)), apdu.SortResponse
        )
        assert (response.sort_status, response.result_count) == (apdu.SortStatus.SUCCESS, 4)
        assert numbers(client) == ["c1", "c2", "c3", "c4"]
        client.ask(
            sort_request(("default",), "back", sort_key(field, descending=True)),
            apdu.SortResponse,
        )
        assert numbers(client, "back", 4) == ["c4", "c3", "c2", "c1"]
        assert numbers(client) == ["c1", "c2", "c3", "c4"]


@pytest.mark.parametrize(
    ("keys", "condition", "addinfo"),
    [
        ((), Bib1.SORT_SEQUENCE_UNSUPPORTED, "no sort key"),
        (("title",) * 9, Bib1.TOO_MANY_SORT_KEYS, "at most 8"),
        (("title", "author", "title"), Bib1.DUPLICATE_SORT_KEYS, "title"),
    ],
)
def test_no_sort_keys_and_too_many_are_told_apart(
    shelf: RunningServer, keys: tuple[str, ...], condition: Bib1, addinfo: str
) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search(ALL, "cn_cat")
        response = client.ask(sort_request(("default",), "s", *keys), apdu.SortResponse)
        assert sort_diagnostic(response) == (condition, addinfo)


def test_several_sets_sort_into_one_with_each_record_once(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search("@or @attr 1=4 史记 @attr 1=4 红楼梦", "cn_cat", result_set_name="a")
        client.search("@attr 1=4 史记", "cn_cat", "ancient", result_set_name="b")
        client.search("@attr 1=4 zebra", "we_cat", result_set_name="c")
        response = client.ask(
            sort_request(("a", "b", "c"), "b", "title", "author"), apdu.SortResponse
        )
        assert response.result_count == 4
        assert numbers(client, "b", 4)[0] == "c2"
        assert sorted(numbers(client, "b", 4)) == ["a1", "c2", "c3", "w1"]
        assert numbers(client, "b", 4)[-1] == "w1"


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        (None, ["c2", "c1", "c3", "c4"]),
        (apdu.MissingValueAction.NULL, ["c4", "c2", "c1", "c3"]),
        (b"kong zi", ["c2", "c4", "c1", "c3"]),
        ("孔子".encode(), ["c2", "c4", "c1", "c3"]),
        ("孔子".encode("gb18030"), ["c2", "c4", "c1", "c3"]),
    ],
    ids=str,
)
def test_records_without_the_value_stand_where_the_client_says(
    shelf: RunningServer, missing: apdu.MissingValueAction | bytes | None, expected: list[str]
) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search(ALL, "cn_cat")
        client.ask(
            sort_request(("default",), "default", sort_key("author", missing=missing)),
            apdu.SortResponse,
        )
        assert numbers(client) == expected


@pytest.mark.parametrize(
    ("inputs", "key", "condition", "addinfo"),
    [
        (("default",), sort_key("author", missing=apdu.MissingValueAction.ABORT), 237, "author"),
        (("default",), sort_key("author", missing=b"\xff\xff"), 125, "not utf-8 or gb18030"),
        (("default", "nowhere"), sort_key("title"), 30, "nowhere"),
        (("default",), sort_key("colour"), 207, "colour"),
        (("default",), sort_key(by_espec(elements=(element((2, 17)),))), 207, "element (2,17)"),
        (("default",), sort_key(by_espec()), 207, "an eSpec-1 of other than one element"),
        (
            ("default",),
            sort_key(apdu.Specification(element_spec=apdu.External(oid.ESPEC_1, b"\x30\x05"))),
            207,
            "an eSpec-1 that cannot be read",
        ),
        (
            ("default",),
            sort_key(apdu.Specification(element_spec=apdu.External(oid.VARIANT_1, b""))),
            207,
            str(oid.VARIANT_1),
        ),
        (("default",), sort_key(()), 210, ""),
        (("default",), sort_key("dc.publisher"), 207, "dc.publisher"),
        (("default",), sort_key("7" * 999), 207, "7" * 999),
        (("default",), sort_key(1), 207, "1"),
        (("default",), sort_key("title", relation=3), 214, "3"),
        ((), sort_key("title"), 30, ""),
    ],
)
def test_a_sort_that_cannot_be_done_leaves_the_sets_alone(
    shelf: RunningServer,
    inputs: tuple[str, ...],
    key: apdu.SortKeySpec,
    condition: int,
    addinfo: str,
) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.search(ALL, "cn_cat")
        before = numbers(client)
        response = client.ask(sort_request(inputs, "default", key), apdu.SortResponse)
        assert sort_diagnostic(response) == (condition, addinfo)
        assert response.result_set_status == apdu.SortResultSetStatus.UNCHANGED
        assert numbers(client) == before


# Scan


def scan(
    client: Client, use: int, term: str, *databases: str, count: int = 5, **fields: object
) -> apdu.ScanResponse:
    attributes = (AttributeElement(type=1, value=use), AttributeElement(type=4, value=1))
    values: dict[str, object] = {
        "database_names": databases or ("cn_cat",),
        "attribute_set": oid.BIB_1,
        "term_list_and_start_point": AttributesPlusTerm(attributes, term.encode()),
        "number_of_terms_requested": count,
        **fields,
    }
    return client.ask(apdu.ScanRequest(**values), apdu.ScanResponse)  # type: ignore[arg-type]


def terms(response: apdu.ScanResponse) -> list[tuple[str, int | None]]:
    assert response.entries is not None
    found = []
    for entry in response.entries.entries:
        assert isinstance(entry, apdu.TermInfo)
        assert isinstance(entry.term, bytes)
        found.append((entry.term.decode(), entry.global_occurrences))
    return found


def test_chinese_titles_are_listed_with_their_counts_by_database(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        assert ("史记", 1) in terms(scan(client, 4, "史", count=1))
        both = terms(scan(client, 4, "史记", "cn_cat", "ancient", count=1))
        assert both == [("史记", 2)]
        assert ("ant hill", 1) not in terms(scan(client, 4, "", "cn_cat", count=50))
        everything = terms(scan(client, 4, "", "all", count=100))
        assert {("ant hill", 1), ("史记", 2)} <= set(everything)


def test_both_ends_of_the_list_are_told(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        everything = scan(client, 4, "", "we_cat", count=10)
        assert [term for term, _ in terms(everything)] == ["ant hill", "zebra crossing"]
        assert everything.scan_status == apdu.ScanStatus.PARTIAL_5
        before = scan(client, 4, "ant hill", "we_cat", count=3, preferred_position_in_response=3)
        assert [term for term, _ in terms(before)] == ["ant hill"]
        assert (before.position_of_term, before.scan_status) == (1, apdu.ScanStatus.PARTIAL_5)
        past = scan(client, 4, "zz", "we_cat", count=2, preferred_position_in_response=2)
        assert [term for term, _ in terms(past)] == ["zebra crossing"]
        assert past.position_of_term == 2
        whole = scan(client, 4, "a", "we_cat", count=1)
        assert whole.scan_status == apdu.ScanStatus.SUCCESS


@pytest.mark.parametrize(("position", "first"), [(1, "b"), (3, "b"), (0, "c")])
def test_the_start_term_is_where_it_is_wished(
    shelf: RunningServer, position: int, first: str
) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        titles = [term for term, _ in terms(scan(client, 4, "", "ru_cat", count=50))]
        start = titles[5]
        response = scan(
            client, 4, start, "ru_cat", count=5, preferred_position_in_response=position
        )
        listed = [term for term, _ in terms(response)]
        assert response.position_of_term == position
        begin = 5 - (position - 1) if position else 6
        assert listed == titles[begin : begin + 5], first


def test_any_is_scanned_like_any_list_over_several_databases(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        one = dict(terms(scan(client, 1016, "史记", "cn_cat", count=3)))
        assert one["史记"] == 1
        both = scan(client, 1016, "史记", count=3, database_names=("cn_cat", "ANCIENT"))
        assert dict(terms(both))["史记"] == client.search("史记", "cn_cat", "ancient").result_count
        assert terms(scan(client, 1016, "zebra", "we_cat", count=1)) == [("zebra", 1)]


def test_steps_pass_terms_over(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        titles = [term for term, _ in terms(scan(client, 4, "", "ru_cat", count=50))]
        response = scan(client, 4, "", "ru_cat", count=4, step_size=2)
        assert response.step_size == 2
        assert [term for term, _ in terms(response)] == titles[:12:3]


@pytest.mark.parametrize(
    ("use", "fields", "condition", "addinfo"),
    [
        (9999, {}, Bib1.USE_ATTRIBUTE_UNSUPPORTED, "9999"),
        (4, {"count": 0}, Bib1.MALFORMED_SCAN, "0 terms requested"),
        (4, {"count": 1001}, Bib1.SCAN_TOO_MANY_TERMS, "1000"),
        (4, {"step_size": -1}, Bib1.STEP_SIZE_UNSUPPORTED, "-1"),
        (4, {"step_size": 1 << 40}, Bib1.STEP_SIZE_UNSUPPORTED, str(1 << 40)),
        (4, {"preferred_position_in_response": 9}, Bib1.SCAN_POSITION_UNSUPPORTED, "9"),
        (4, {"database_names": ("nowhere",)}, Bib1.DATABASE_UNAVAILABLE, "nowhere"),
    ],
)
def test_a_scan_that_cannot_be_done_is_a_diagnostic(
    shelf: RunningServer, use: int, fields: dict[str, object], condition: Bib1, addinfo: str
) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        response = scan(client, use, "x", **fields)  # type: ignore[arg-type]
        assert response.scan_status == apdu.ScanStatus.FAILURE
        assert response.entries is not None
        [told] = response.entries.nonsurrogate_diagnostics
        assert isinstance(told, apdu.DefaultDiagFormat)
        assert (told.condition, told.addinfo) == (condition, addinfo)


def test_a_pipelined_client_sorts_and_presents_in_one_go(shelf: RunningServer) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        client.send(
            search_request(ALL, "cn_cat"),
            sort_request(("default",), "s", "title"),
            present_request(1, 1, None, result_set_id="s"),
        )
        assert isinstance(client.receive(), apdu.SearchResponse)
        assert isinstance(client.receive(), apdu.SortResponse)
        presented = client.receive()
        assert isinstance(presented, apdu.PresentResponse)
        assert control_number(records(presented)[0]) == "c1"
