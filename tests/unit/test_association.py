"""The order of a Z-association: Init first, requests in order, nothing after Close."""

from __future__ import annotations

import pytest

from protocol import apdu as wire
from protocol import oid
from protocol.apdu import (
    Apdu,
    AttributesPlusTerm,
    Close,
    CloseReason,
    InitializeRequest,
    InitializeResponse,
    PresentRequest,
    ProtocolVersion,
    QueryTooComplex,
    Request,
    RpnQuery,
    SearchRequest,
    SearchResponse,
    TriggerResourceControlRequest,
)
from protocol.association import Association, AssociationLimits
from tests.unit import captured_apdus as captured

LIMITS = AssociationLimits(apdu_size_bytes_max=10_000, requests_queued_max=50)
INIT = bytes.fromhex(captured.INIT_V3_OPEN)
INIT_V2 = bytes.fromhex(captured.INIT_V2_ID_PASS)
SEARCH = bytes.fromhex(captured.SEARCH_TITLE)
PRESENT = bytes.fromhex(captured.PRESENT)
CLOSE = bytes.fromhex(captured.CLOSE)


def accept(association: Association, version: int = 3, result: bool = True) -> None:
    versions = frozenset(list(ProtocolVersion)[:version])
    association.send(
        InitializeResponse(
            protocol_version=versions,
            options=frozenset(),
            preferred_message_size=0,
            exceptional_record_size=0,
            result=result,
        )
    )


def opened(version: int = 3) -> Association:
    """An association whose Init has been answered and sent."""
    association = Association(LIMITS)
    association.receive_data(INIT)
    (request,) = association.requests_received()
    assert isinstance(request, InitializeRequest)
    accept(association, version)
    association.data_to_send()
    return association


def answer(request: Request) -> SearchResponse:
    return SearchResponse(
        reference_id=request.reference_id,
        result_count=0,
        number_of_records_returned=0,
        next_result_set_position=0,
        search_status=True,
    )


def sent(association: Association) -> list[Apdu]:
    return [wire.decode(octets) for octets in association.data_to_send()]


def reason(association: Association) -> int:
    (close,) = sent(association)
    assert isinstance(close, Close)
    return close.close_reason


def test_a_session_goes_from_init_to_close() -> None:
    association = Association(LIMITS)
    association.receive_data(INIT)
    for _ in association.requests_received():
        accept(association)
    assert association.version == 3
    association.receive_data(SEARCH + PRESENT)
    kinds = []
    for request in association.requests_received():
        kinds.append(type(request))
        association.send(answer(request))
    assert kinds == [SearchRequest, PresentRequest]
    assert len(association.data_to_send()) == 3
    assert association.data_to_send() == []
    association.receive_data(CLOSE)
    assert list(association.requests_received()) == []
    assert association.closed
    assert reason(association) == CloseReason.FINISHED
    assert association.peer_close == Close(close_reason=0)
    assert association.failure is None


@pytest.mark.parametrize("first", [SEARCH, PRESENT, CLOSE[:2] + CLOSE[2:]])
def test_anything_before_init_closes(first: bytes) -> None:
    association = Association(LIMITS)
    association.receive_data(first + INIT)
    assert list(association.requests_received()) == []
    assert association.closed
    (close,) = sent(association)
    assert isinstance(close, Close)
    expected = CloseReason.FINISHED if first == CLOSE else CloseReason.PROTOCOL_ERROR
    assert close.close_reason == expected


def test_a_second_init_closes() -> None:
    association = opened()
    association.receive_data(INIT)
    assert association.closed
    assert "second" in str(association.failure)
    assert reason(association) == CloseReason.PROTOCOL_ERROR


def test_a_refused_init_ends_the_association_without_close() -> None:
    association = Association(LIMITS)
    association.receive_data(INIT + SEARCH)
    for _ in association.requests_received():
        accept(association, result=False)
    assert association.closed
    (response,) = sent(association)
    assert isinstance(response, InitializeResponse)


def test_requests_may_follow_init_before_its_response() -> None:
    association = Association(LIMITS)
    association.receive_data(INIT + SEARCH)
    kinds = []
    for request in association.requests_received():
        kinds.append(type(request))
        if isinstance(request, InitializeRequest):
            accept(association)
    assert kinds == [InitializeRequest, SearchRequest]


@pytest.mark.parametrize(
    ("octets", "cause"),
    [
        ("bf2500", "no APDU begins"),
        ("3000", "no APDU begins"),
        ("0000", "no APDU begins with tag 0"),
        ("b8029e80", "primitive"),
        ("b700", "lacks"),
        (captured.SEARCH_RESPONSE, "SearchResponse from a client"),
        ("b8827530", "more than 10000 octets"),
        ("b88804000000000000000", "octets|tag"),
        ("474554202f20485454502f312e310d0a", "."),
    ],
)
def test_bad_octets_close_with_protocol_error_and_keep_the_cause(octets: str, cause: str) -> None:
    association = opened()
    association.receive_data(bytes.fromhex(octets.ljust(len(octets) + len(octets) % 2, "0")))
    assert association.closed
    assert reason(association) == CloseReason.PROTOCOL_ERROR
    assert association.failure is not None
    association.receive_data(SEARCH)
    assert list(association.requests_received()) == []
    assert association.data_to_send() == []


def test_requests_before_a_mistake_are_answered_first() -> None:
    association = opened()
    association.receive_data(SEARCH + bytes.fromhex("bf2500") + SEARCH)
    assert not association.closed
    for request in association.requests_received():
        association.send(answer(request))
    response, close = sent(association)
    assert isinstance(response, SearchResponse)
    assert isinstance(close, Close)
    assert close.close_reason == CloseReason.PROTOCOL_ERROR
    assert association.closed


def test_a_close_behind_requests_is_answered_in_its_turn() -> None:
    association = opened()
    association.receive_data(SEARCH)
    for request in association.requests_received():
        association.receive_data(CLOSE)  # arrives while the search is running
        assert not association.closed
        association.send(answer(request))
    assert [type(apdu) for apdu in sent(association)] == [SearchResponse, Close]


def test_version_2_has_no_close_of_ours() -> None:
    association = opened(version=2)
    assert association.version == 2
    association.close(CloseReason.LACK_OF_ACTIVITY)
    assert association.closed
    assert association.data_to_send() == []


def test_a_bad_apdu_in_version_2_just_ends() -> None:
    association = opened(version=2)
    association.receive_data(b"\x30\x00")
    assert association.closed
    assert association.data_to_send() == []


def test_version_3_closes_with_reason_and_text() -> None:
    association = opened()
    association.close(CloseReason.SHUTDOWN, "up again at 8", reference_id=b"r")
    association.close(CloseReason.UNSPECIFIED)
    association.send(answer(PresentRequest(
        result_set_id="", result_set_start_point=1, number_of_records_requested=1
    )))  # fmt: skip
    assert sent(association) == [
        Close(reference_id=b"r", close_reason=1, diagnostic_information="up again at 8")
    ]


def test_the_close_of_a_client_is_answered_with_its_reference_id() -> None:
    association = opened()
    association.receive_data(wire.encode(Close(reference_id=b"id", close_reason=0)))
    assert sent(association) == [Close(reference_id=b"id", close_reason=0)]


def test_octets_may_be_cut_anywhere() -> None:
    association = Association(LIMITS)
    seen: list[Request] = []
    for octet in INIT + SEARCH + PRESENT:
        association.receive_data(bytes([octet]))
        for request in association.requests_received():
            seen.append(request)
            if isinstance(request, InitializeRequest):
                accept(association)
    assert [type(request) for request in seen] == [InitializeRequest, SearchRequest, PresentRequest]
    assert association.idle


def test_too_many_pipelined_requests_close() -> None:
    association = opened()
    association.receive_data(PRESENT * 50)
    assert not association.failure
    association.receive_data(PRESENT)
    assert "50 requests" in str(association.failure)
    answered = sum(1 for _ in association.requests_received())
    assert answered == 51
    assert association.closed
    assert reason(association) == CloseReason.PROTOCOL_ERROR


def test_a_request_without_response_is_delivered() -> None:
    association = opened()
    association.receive_data(wire.encode(TriggerResourceControlRequest(requested_action=3)))
    (request,) = association.requests_received()
    assert isinstance(request, TriggerResourceControlRequest)


def test_a_query_too_deep_leaves_the_association_open() -> None:
    from tests.unit.apdu_samples import nested

    association = Association(AssociationLimits())
    association.receive_data(INIT)
    for _ in association.requests_received():
        accept(association)
    association.receive_data(nested(5_000, indefinite=True))
    (request,) = association.requests_received()
    assert isinstance(request, SearchRequest)
    assert isinstance(request.query, QueryTooComplex)
    assert not association.closed


def test_an_idle_association_keeps_no_buffer() -> None:
    association = opened()
    association.receive_data(SEARCH)
    (request,) = association.requests_received()
    association.send(answer(request))
    association.data_to_send()
    assert association.idle
    assert association._queue is None
    assert association._out is None
    assert association._framer.pending_bytes == 0


def test_a_caller_that_stops_early_loses_no_request() -> None:
    association = opened()
    association.receive_data(SEARCH + PRESENT)
    for first in association.requests_received():
        assert isinstance(first, SearchRequest)
        break
    (second,) = association.requests_received()
    assert isinstance(second, PresentRequest)


def test_the_first_request_of_a_fresh_query_is_typed() -> None:
    association = opened()
    association.receive_data(SEARCH)
    (request,) = association.requests_received()
    assert isinstance(request, SearchRequest)
    assert isinstance(request.query, RpnQuery)
    assert request.query.attribute_set == oid.BIB_1
    assert isinstance(request.query.rpn, AttributesPlusTerm)
