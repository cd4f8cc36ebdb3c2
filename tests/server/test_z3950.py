"""Z39.50 as a client on the wire sees it, against the demo catalogue."""

from __future__ import annotations

import dataclasses
import socket

import pytest

from protocol import apdu, oid
from protocol.diagnostic import Bib1
from tests.harness import RunningServer
from tests.z3950_client import (
    Client,
    connected,
    diagnostic,
    present_request,
    records,
    search_request,
    surrogates,
)


@pytest.mark.parametrize(
    "login",
    [
        "demo1/demo1",
        apdu.IdPass(user_id="demo1", password="demo1"),
        apdu.IdPass(group_id="demo1", password="demo1"),
        apdu.IdPass(group_id="", user_id="DEMO1", password="demo1"),
        None,
        apdu.Anonymous.ANONYMOUS,
    ],
    ids=str,
)
def test_a_good_login_of_any_form_is_accepted(
    demo: RunningServer, login: apdu.IdAuthentication | None
) -> None:
    client = Client(demo.z3950)
    response = client.init(login)
    client.close()
    assert response.result
    assert response.implementation_id == "Lianmu"
    assert apdu.ProtocolVersion.VERSION_3 in response.protocol_version


def test_options_are_only_those_asked_for_and_supported(demo: RunningServer) -> None:
    client = Client(demo.z3950)
    asked = frozenset({apdu.Option.SEARCH, apdu.Option.CONCURRENT_OPERATIONS})
    response = client.init("demo1/demo1", options=asked)
    client.close()
    assert response.options == {apdu.Option.SEARCH}


@pytest.mark.parametrize(
    ("wished", "given"), [(0, 4194304), (1 << 30, 4194304), (100_000, 100_000), (1, 1024)]
)
def test_message_sizes_are_negotiated_and_0_is_no_limit(
    demo: RunningServer, wished: int, given: int
) -> None:
    client = Client(demo.z3950)
    response = client.init(None, preferred_message_size=wished, exceptional_record_size=wished)
    client.close()
    assert response.preferred_message_size == given
    assert response.exceptional_record_size == given


@pytest.mark.parametrize("login", ["demo1/wrong", "nobody/x", apdu.IdPass(user_id="demo1")])
def test_a_wrong_login_is_refused_with_a_diagnostic_and_the_connection_ends(
    demo: RunningServer, login: apdu.IdAuthentication
) -> None:
    client = Client(demo.z3950)
    response = client.init(login)
    assert not response.result
    assert response.user_information_field is not None
    assert client.receive() is None
    client.close()


def test_a_reference_id_comes_back_on_every_response(demo: RunningServer) -> None:
    client = Client(demo.z3950)
    assert client.init("demo1/demo1", reference_id=b"\x00i").reference_id == b"\x00i"
    found = client.search("@attr 1=4 x", reference_id=b"s")
    assert found.reference_id == b"s"
    assert client.present(1, 1, reference_id=b"p").reference_id == b"p"
    client.close()


def test_pipelined_requests_are_answered_in_order(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        client.send(
            *(
                request
                for number in range(200)
                for request in (
                    search_request("@attr 1=4 红楼梦", reference_id=b"s%d" % number),
                    present_request(1, 1, None, reference_id=b"p%d" % number),
                )
            )
        )
        for number in range(200):
            for expected in (b"s%d" % number, b"p%d" % number):
                response = client.receive()
                assert isinstance(response, apdu.SearchResponse | apdu.PresentResponse)
                assert response.reference_id == expected


def test_a_client_that_closes_its_side_still_gets_its_answers(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        client.send(*(search_request("@attr 1=4 史记") for _ in range(20)))
        client.socket.shutdown(socket.SHUT_WR)
        answers = 0
        while client.receive() is not None:
            answers += 1
        assert answers == 20


# Search


def test_small_sets_come_with_the_response_and_large_ones_do_not(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        hits = client.search("@attr 1=1003 knuth", "we_cat").result_count
        assert hits > 1
        small = client.search(
            "@attr 1=1003 knuth", "we_cat", small_set_upper_bound=hits, large_set_lower_bound=1000
        )
        assert len(records(small)) == hits
        medium = client.search(
            "@attr 1=1003 knuth", "we_cat", small_set_upper_bound=0,
            large_set_lower_bound=1000, medium_set_present_number=1,
        )  # fmt: skip
        assert medium.number_of_records_returned == 1
        assert medium.next_result_set_position == 2
        large = client.search("@attr 1=1003 knuth", "we_cat", large_set_lower_bound=hits)
        assert (large.number_of_records_returned, large.records) == (0, None)


@pytest.mark.parametrize(
    ("query", "condition", "addinfo"),
    [
        ("@attr 1=9999 x", Bib1.USE_ATTRIBUTE_UNSUPPORTED, "9999"),
        ("@attr 1=4 @attr 2=100 x", Bib1.RELATION_UNSUPPORTED, "100"),
        ("@attr 1=4 @attr 4=77 x", Bib1.STRUCTURE_UNSUPPORTED, "77"),
        ("@attr 1=4 @attr 3=9 x", Bib1.POSITION_UNSUPPORTED, "9"),
        ("@attr 1=4 @attr 5=105 x", Bib1.TRUNCATION_UNSUPPORTED, "105"),
        ("@attr 1=4 @attr 6=9 x", Bib1.COMPLETENESS_UNSUPPORTED, "9"),
        ("@set nowhere", Bib1.RESULT_SET_UNKNOWN, "nowhere"),
    ],
)
def test_what_is_not_supported_is_a_diagnostic_with_the_value_refused(
    demo: RunningServer, query: str, condition: Bib1, addinfo: str
) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        response = client.search(query)
        assert not response.search_status
        assert diagnostic(response) == (condition, addinfo)


def test_an_unknown_database_is_named_in_the_diagnostic(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        response = client.search("@attr 1=4 x", "nowhere")
        assert diagnostic(response) == (Bib1.DATABASE_UNAVAILABLE, "nowhere")


def test_a_named_set_is_not_overwritten_unless_asked(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        first = client.search("@attr 1=1003 knuth", result_set_name="a")
        again = client.search("@attr 1=4 红楼梦", result_set_name="a", replace_indicator=False)
        assert diagnostic(again) == (Bib1.RESULT_SET_EXISTS, "a")
        combined = client.search("@and @set a @attr 1=1003 knuth", result_set_name="b")
        assert combined.result_count == first.result_count


def test_500_levels_are_answered_and_5000_are_refused_without_harm(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        deep = "@or " * 499 + "@attr 1=4 史记 " + "@attr 1=4 x " * 499
        assert client.search(deep).search_status
        wire = search_request("@or a b")
        assert isinstance(wire.query, apdu.RpnQuery)
        node = wire.query.rpn
        for _ in range(5000):
            node = apdu.RpnOperation(apdu.BooleanOperator.OR, node, node.right)  # type: ignore[union-attr]
        query = apdu.RpnQuery(wire.query.attribute_set, node)
        response = client.ask(dataclasses.replace(wire, query=query), apdu.SearchResponse)
        assert not response.search_status
        assert client.search("@attr 1=4 史记").search_status


# Present


def test_records_of_a_range_come_in_the_syntax_asked_for(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        client.search("@attr 1=1003 knuth", "we_cat")
        response = client.present(1, 2)
        assert response.present_status == apdu.PresentStatus.SUCCESS
        assert response.number_of_records_returned == 2
        assert all(b"Knuth" in record for record in records(response))
        assert isinstance(response.records, tuple)
        assert response.records[0].name == "we_cat"


@pytest.mark.parametrize(("start", "count"), [(0, 1), (-1, 1), (1, 1000), (1001, 1)])
def test_a_range_outside_the_set_is_13(demo: RunningServer, start: int, count: int) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        client.search("@attr 1=1003 knuth", "we_cat")
        response = client.present(start, count)
        assert response.present_status == apdu.PresentStatus.FAILURE
        assert diagnostic(response)[0] == Bib1.PRESENT_OUT_OF_RANGE


def test_an_unknown_set_and_an_unknown_syntax_are_diagnostics(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        assert diagnostic(client.present(1, 1)) == (Bib1.RESULT_SET_UNKNOWN, "default")
        client.search("@attr 1=1003 knuth", "we_cat")
        response = client.present(1, 1, oid.SUMMARY)
        assert diagnostic(response) == (
            Bib1.RECORD_SYNTAX_UNSUPPORTED, "1.2.840.10003.5.103",
        )  # fmt: skip


def test_a_cnmarc_record_asked_for_as_usmarc_is_a_surrogate_238(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        client.search("@attr 1=4 红楼梦", "cn_cat")
        response = client.present(1, 1, oid.USMARC)
        assert [condition for condition, _ in surrogates(response)] == [Bib1.RECORD_NOT_IN_SYNTAX]


def test_an_element_set_name_that_nobody_knows_means_the_full_record(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        client.search("@attr 1=1003 knuth", "we_cat")
        full = records(client.present(1, 1, record_composition="F"))
        assert records(client.present(1, 1, record_composition="FI")) == full
        assert len(records(client.present(1, 1, record_composition="B"))[0]) < len(full[0])


def test_a_response_is_held_to_the_negotiated_size(demo: RunningServer) -> None:
    client = Client(demo.z3950)
    client.init("demo1/demo1", preferred_message_size=2048, exceptional_record_size=65536)
    hits = client.search("@attr 1=1016 @attr 2=103 x", "we_cat").result_count
    assert hits > 20
    response = client.present(1, 20)
    client.close()
    assert response.present_status == apdu.PresentStatus.PARTIAL_2
    assert 0 < response.number_of_records_returned < 20
    assert sum(map(len, records(response))) < 2048


def test_without_an_account_records_are_brief_only(demo: RunningServer) -> None:
    with connected(demo.z3950) as client:
        client.search("@attr 1=1003 knuth", "we_cat")
        refused = client.present(1, 1)
        condition, addinfo = diagnostic(refused)
        assert condition == Bib1.SYNTAX_NOT_AUTHORISED
        assert "sign in" in addinfo
        assert len(records(client.present(1, 1, record_composition="B"))) == 1


# Sets and the end


def test_sets_are_deleted_by_name_and_all_at_once(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        for name in ("a", "b", "c"):
            client.search("@attr 1=4 史记", result_set_name=name)
        listed = client.ask(
            apdu.DeleteResultSetRequest(
                delete_function=apdu.DeleteFunction.LIST, result_set_list=("a", "nowhere")
            ),
            apdu.DeleteResultSetResponse,
        )
        assert [(each.id, each.status) for each in listed.delete_list_statuses] == [
            ("a", apdu.DeleteSetStatus.SUCCESS),
            ("nowhere", apdu.DeleteSetStatus.RESULT_SET_DID_NOT_EXIST),
        ]
        every = client.ask(
            apdu.DeleteResultSetRequest(delete_function=apdu.DeleteFunction.ALL),
            apdu.DeleteResultSetResponse,
        )
        assert every.delete_operation_status == apdu.DeleteSetStatus.SUCCESS
        assert diagnostic(client.present(1, 1, result_set_id="b"))[0] == Bib1.RESULT_SET_UNKNOWN


def test_close_is_answered_with_close(demo: RunningServer) -> None:
    with connected(demo.z3950, "demo1/demo1") as client:
        closed = client.ask(
            apdu.Close(close_reason=apdu.CloseReason.FINISHED, reference_id=b"bye"), apdu.Close
        )
        assert closed.reference_id == b"bye"
        assert client.receive() is None


@pytest.mark.parametrize(
    "octets",
    [b"GET / HTTP/1.1\r\n\r\n", b"\xbf\x7f\x02\x05\x00", b"\xb6\x80" + b"\x00" * 50, b"\xff" * 100],
)
def test_garbage_gets_a_close_and_nobody_else_notices(demo: RunningServer, octets: bytes) -> None:
    with connected(demo.z3950, "demo1/demo1") as bystander:
        client = Client(demo.z3950)
        client.socket.sendall(octets)
        client.socket.shutdown(socket.SHUT_WR)
        last = client.receive()
        assert last is None or (
            isinstance(last, apdu.Close) and last.close_reason == apdu.CloseReason.PROTOCOL_ERROR
        )
        client.close()
        assert bystander.search("@attr 1=4 史记").search_status
    assert "Traceback" not in demo.log
