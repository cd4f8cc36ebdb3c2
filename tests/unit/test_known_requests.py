"""Requests recognised by their octets are the ones that decoding would give."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import apdu, oid, rpn
from protocol.apdu import PresentRequest, RpnQuery, SearchRequest
from protocol.association import Association, AssociationLimits
from protocol.diagnostic import Diagnostic
from protocol.known_requests import SHAPES_MAX, SIZE_BYTES_MAX, KnownRequests
from protocol.usual_responses import before_record, no_records, with_records
from tests.property.test_codec import in_indefinite_lengths
from tests.unit import captured_apdus
from tests.z3950_client import present_request, search_request

CHARSETS = ("utf-8", "gb18030")
QUERIES = {
    "isbn": "@attr 1=7 9780262033848",
    "title": '@attr 1=4 @attr 4=1 "the art of computer programming"',
    "no attribute": "utrecht",
    "chinese": "@attr 1=4 红楼梦",
    "truncated": "@attr 1=1003 @attr 5=1 knuth",
    "two use attributes": "@attr 1=1 @attr 1=1003 KNUTH",
}


def encoded(query: str, **fields: object) -> tuple[bytes, SearchRequest]:
    request = search_request(query, "cn_cat", **fields)
    data = apdu.encode(request)
    decoded = apdu.decode(data)
    assert isinstance(decoded, SearchRequest)
    return data, decoded


def with_term(data: bytes, offset: int, size: int, term: bytes) -> bytes:
    return data[:offset] + term + data[offset + size :]


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
@pytest.mark.parametrize("indefinite", [False, True], ids=["definite", "indefinite"])
def test_a_shape_with_another_term_is_what_decoding_gives(query: str, indefinite: bool) -> None:
    data, request = encoded(query)
    if indefinite:
        outer, content = data[:2], data[2:]
        assert outer[1] < 128
        content = in_indefinite_lengths(content, lambda: True)
        data = outer[:1] + bytes([len(content)]) + content
        assert apdu.decode(data) == request
    known = KnownRequests()
    offset = known.learn_search(data, request)
    assert offset > 0
    size = len(
        query.rpartition('"')[0].rpartition('"')[2].encode()
        or query.rsplit(maxsplit=1)[-1].encode()
    )
    assert offset + size == len(data) - (len(data) - len(data.rstrip(b"\0"))) // 2 * 2

    @settings(max_examples=100, deadline=None)
    @given(st.binary(min_size=size, max_size=size))
    def is_recognised(term: bytes) -> None:
        other = with_term(data, offset, size, term)
        found = known.search(other, offset)
        decoded = apdu.decode(other)
        assert found is not None
        assert isinstance(decoded, SearchRequest)
        assert found.request() == decoded
        meant = rpn.query_of(decoded.query, CHARSETS)
        assert found.query(CHARSETS) == meant

    is_recognised()


def test_another_size_or_end_is_another_shape() -> None:
    data, request = encoded("@attr 1=7 9780262033848")
    known = KnownRequests()
    offset = known.learn_search(data, request)
    longer, _ = encoded("@attr 1=7 97802620338480")
    other_set, _ = encoded("@attr 1=7 9780262033848", result_set_name="2")
    for other in (longer, other_set, data[:-1], data + b"\0", b"", data[: offset - 1]):
        assert known.search(other, offset) is None
    assert known.search(data, offset - 1) is None
    assert known.search(data, 0) is None


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("@attr 1=7 9780262033848", {"reference_id": b"1"}),
        ("@and knuth @attr 1=4 art", {}),
        ("@set 1", {}),
        ("@attr 1=1016 @attr 2=103 x", {}),
        ("@attr 1=9999 x", {}),
        ("@attr 1=4 " + "x" * SIZE_BYTES_MAX, {}),
    ],
)
def test_what_has_no_shape_is_decoded_every_time(query: str, fields: dict[str, object]) -> None:
    data, request = encoded(query, **fields)
    known = KnownRequests()
    assert known.learn_search(data, request) == 0
    assert not any(known.search(data, offset) for offset in range(len(data)))


def test_other_types_of_query_have_no_shape() -> None:
    for name in ("SEARCH_CQL", "SEARCH_NUMERIC_TERM", "SEARCH_BOOLEAN_INDEFINITE"):
        data = bytes.fromhex(getattr(captured_apdus, name))
        request = apdu.decode(data)
        assert isinstance(request, SearchRequest)
        assert KnownRequests().learn_search(data, request) == 0


def test_a_term_that_stands_elsewhere_too_is_found_where_it_is() -> None:
    """The name of the set and of the database end as the term does."""
    data, request = encoded("@attr 1=4 1", result_set_name="1")
    known = KnownRequests()
    offset = known.learn_search(data, request)
    found = known.search(with_term(data, offset, 1, b"2"), offset)
    assert found is not None
    decoded = found.request()
    assert decoded.result_set_name == "1"
    assert isinstance(decoded.query, RpnQuery)


def test_memory_is_bounded() -> None:
    known = KnownRequests()
    for number in range(SHAPES_MAX + 10):
        data, request = encoded("@attr 1=4 x", result_set_name=f"{number:05}")
        assert known.learn_search(data, request)
    assert len(known._shapes) <= SHAPES_MAX


def opened() -> Association:
    association = Association(AssociationLimits())
    association.receive_data(bytes.fromhex(captured_apdus.INIT_V3_OPEN))
    next(association.requests_received())
    association.send(
        apdu.InitializeResponse(
            protocol_version=frozenset(apdu.ProtocolVersion),
            options=frozenset(),
            preferred_message_size=1 << 20,
            exceptional_record_size=1 << 20,
            result=True,
        )
    )
    association.data_to_send()
    return association


def received(association: Association, data: bytes) -> object:
    association.receive_data(data)
    (request,) = association.requests_received()
    return request


def test_an_association_takes_what_it_has_decoded_once() -> None:
    association = opened()
    search, _ = encoded("@attr 1=7 9780262033848")
    present = apdu.encode(present_request(1, 1, oid.UNIMARC))
    assert association.take(present) is None
    assert isinstance(received(association, search), SearchRequest)
    assert isinstance(received(association, present), PresentRequest)
    taken = association.take(present)
    assert taken == apdu.decode(present)
    assert not association.idle
    association.answered(b"octets")
    assert association.idle
    assert association.data_to_send() == [b"octets"]
    assert association.take(search) is not None


def test_nothing_is_taken_out_of_order() -> None:
    association = opened()
    present = apdu.encode(present_request(1, 1))
    received(association, present)
    assert association.take(present) is not None
    assert association.take(present) is None  # the one before is not answered
    association.answered()
    association.receive_data(present[:5])
    assert association.take(present) is None  # it would be the rest of another
    association.receive_data(present[5:] + present)
    assert association.take(present) is None
    assert len(list(association.requests_received())) == 2
    association.close(apdu.CloseReason.FINISHED)
    assert association.take(present) is None


def test_nothing_is_taken_before_init() -> None:
    association = opened()
    present = apdu.encode(present_request(1, 1))
    received(association, present)
    assert Association(AssociationLimits()).take(present) is None


@given(st.integers(0, 1 << 40), st.integers(0, 1))
def test_a_response_without_records_is_encoded_as_any_other(hits: int, position: int) -> None:
    response = apdu.decode(no_records(hits, position))
    assert isinstance(response, apdu.SearchResponse)
    assert (response.result_count, response.next_result_set_position) == (hits, position)
    assert no_records(hits, position) == apdu.encode(response)


@pytest.mark.parametrize("size", [0, 1, 80, 100, 110, 127, 128, 200, 240, 255, 256, 65_480, 65_536])
def test_a_response_with_one_record_is_encoded_as_any_other(size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    data = before_record("cn_cat", oid.UNIMARC, size, 2) + content
    response = apdu.decode(data)
    assert isinstance(response, apdu.PresentResponse)
    assert apdu.encode(response) == data
    assert isinstance(response.records, tuple)
    (record,) = response.records
    assert record.name == "cn_cat"
    assert record.record == apdu.External(oid.UNIMARC, content)


RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["cn_cat", "we_cat", "", "目录"]),
        st.sampled_from([oid.UNIMARC, oid.USMARC, oid.XML]),
        st.one_of(st.binary(max_size=300), st.sampled_from([0, 255, 256, 65_536]).map(bytes)),
    ),
    min_size=1,
    max_size=12,
)


@given(RECORDS, st.integers(0, 1 << 40))
def test_a_response_with_records_is_encoded_as_any_other(
    records: list[tuple[str, oid.Oid, bytes]], next_position: int
) -> None:
    response = apdu.PresentResponse(
        number_of_records_returned=len(records),
        next_result_set_position=next_position,
        present_status=apdu.PresentStatus.SUCCESS,
        records=tuple(
            apdu.NamePlusRecord(name=name, record=apdu.External(syntax, content))
            for name, syntax, content in records
        ),
    )
    assert with_records(records, next_position) == apdu.encode(response)


def test_a_diagnostic_of_a_term_is_the_same() -> None:
    data, request = encoded("@attr 1=4 xx")
    known = KnownRequests()
    offset = known.learn_search(data, request)
    found = known.search(with_term(data, offset, 2, b"\xff\xfe"), offset)
    assert found is not None
    assert isinstance(found.query(("utf-8",)), Diagnostic)
