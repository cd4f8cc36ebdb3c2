"""Requests of a known form are the ones that decoding would give, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import apdu, oid, rpn
from protocol.association import FORMS_AFTER_LESSONS
from protocol.ber import ProtocolError
from protocol.diagnostic import Diagnostic
from protocol.known_forms import (
    TERMS_MAX,
    KnownCombination,
    KnownScan,
    PresentForm,
    ScanForm,
    SearchForm,
)
from protocol.known_requests import FORMS_MAX, SIZE_BYTES_MAX, KnownRequests, like
from protocol.usual_responses import in_order, scanned, term_info
from tests.property.test_codec import in_indefinite_lengths
from tests.unit.test_known_requests import CHARSETS, opened, received
from tests.z3950_client import present_request, search_request

SEARCHES = {
    "words and author": "@and @and @attr 1=4 old @attr 1=4 machines @attr 1=1003 babbage",
    "nested to the right": "@or @attr 1=4 a @not @attr 1=4 b @and @attr 1=7 c @attr 1=1003 d",
    "truncated": "@and @attr 1=4 @attr 5=1 mach @attr 1=1003 @attr 4=1 红楼",
    "one": "@attr 1=4 machines",
}
PRESENTS = {
    "usual": present_request(1, 10),
    "far": present_request(70_000, 10, oid.UNIMARC, record_composition="F"),
    "plain": present_request(300, 1, None),
}


def indefinite(data: bytes) -> bytes:
    """The same APDU with what is inside in indefinite lengths, as YAZ nests it."""
    head = 1 if data[0] & 31 != 31 else 2
    offset = head + (1 if data[head] < 128 else 1 + data[head] - 128)
    content = in_indefinite_lengths(data[offset:], lambda: True)
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x81, size])
    return data[:head] + length + content


def scan_request(term: bytes, **fields: object) -> apdu.ScanRequest:
    start = apdu.AttributesPlusTerm(attributes=(apdu.AttributeElement(type=1, value=4),), term=term)
    values: dict[str, object] = {
        "database_names": ("we_cat",),
        "attribute_set": oid.BIB_1,
        "term_list_and_start_point": start,
        "number_of_terms_requested": 20,
        "preferred_position_in_response": 1,
        **fields,
    }
    return apdu.ScanRequest(**values)  # type: ignore[arg-type]


def wire(request: apdu.Apdu, *, as_yaz: bool = False) -> tuple[bytes, apdu.Apdu]:
    data = apdu.encode(request)
    if as_yaz:
        data = indefinite(data)
    return data, apdu.decode(data)


@pytest.mark.parametrize("as_yaz", [False, True], ids=["definite", "indefinite"])
@pytest.mark.parametrize("query", SEARCHES.values(), ids=SEARCHES)
def test_a_search_with_other_terms_is_what_decoding_gives(query: str, as_yaz: bool) -> None:
    data, request = wire(search_request(query, "cn_cat"), as_yaz=as_yaz)
    assert isinstance(request, apdu.SearchRequest)
    form = KnownRequests().learn_form(data, request)
    assert isinstance(form, SearchForm)
    count = len(form.steps) // 2 + 1

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.binary(max_size=40), min_size=count, max_size=count))
    def is_recognised(terms: list[bytes]) -> None:
        other = form.form.octets(terms)
        if other is None:  # too long for these octets of length
            return
        decoded = apdu.decode(other)
        assert isinstance(decoded, apdu.SearchRequest)
        found = form.recognised(other)
        assert isinstance(found, KnownCombination)
        assert found.request() == decoded
        assert found.query(CHARSETS) == rpn.query_of(decoded.query, CHARSETS)

    is_recognised()


@pytest.mark.parametrize("as_yaz", [False, True], ids=["definite", "indefinite"])
@pytest.mark.parametrize("fields", [{}, {"step_size": 0}, {"attribute_set": None}], ids=str)
def test_a_scan_of_another_term_is_what_decoding_gives(
    fields: dict[str, object], as_yaz: bool
) -> None:
    data, request = wire(scan_request(b"machines", **fields), as_yaz=as_yaz)
    form = KnownRequests().learn_form(data, request)
    assert isinstance(form, ScanForm)

    @settings(max_examples=40, deadline=None)
    @given(st.binary(max_size=60))
    def is_recognised(term: bytes) -> None:
        other = form.form.octets([term])
        assert other is not None
        decoded = apdu.decode(other)
        assert isinstance(decoded, apdu.ScanRequest)
        found = form.recognised(other)
        assert isinstance(found, KnownScan)
        assert found.request() == decoded
        assert found.start(CHARSETS) == rpn.to_scan(
            decoded.attribute_set or oid.BIB_1, decoded.term_list_and_start_point, CHARSETS
        )

    is_recognised()


@pytest.mark.parametrize("as_yaz", [False, True], ids=["definite", "indefinite"])
@pytest.mark.parametrize("request_", PRESENTS.values(), ids=PRESENTS)
def test_a_present_of_other_positions_is_what_decoding_gives(
    request_: apdu.PresentRequest, as_yaz: bool
) -> None:
    data, request = wire(request_, as_yaz=as_yaz)
    form = KnownRequests().learn_form(data, request)
    assert isinstance(form, PresentForm)

    @settings(max_examples=50, deadline=None)
    @given(st.binary(max_size=9), st.binary(max_size=9))
    def is_recognised(start: bytes, count: bytes) -> None:
        other = form.form.octets([start, count])
        assert other is not None
        found = form.recognised(other)
        try:
            decoded = apdu.decode(other)
        except ProtocolError:
            assert found is None
        else:
            assert found == decoded

    is_recognised()


@pytest.mark.parametrize(
    "request_",
    [
        search_request(SEARCHES["words and author"], "cn_cat"),
        scan_request(b"machines"),
        present_request(1, 10),
    ],
    ids=["search", "scan", "present"],
)
def test_octets_that_were_changed_anywhere_are_recognised_as_what_they_are(
    request_: apdu.Apdu,
) -> None:
    data, request = wire(request_)
    form = KnownRequests().learn_form(data, request)
    assert form is not None

    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, len(data) - 1), st.binary(max_size=2), st.integers(0, 2))
    def is_the_same(place: int, octets: bytes, taken: int) -> None:
        other = data[:place] + octets + data[place + taken :]
        found = form.recognised(other)
        if found is not None:
            decoded = apdu.decode(other)
            assert (found if isinstance(found, apdu.PresentRequest) else found.request()) == decoded

    is_the_same()
    for end in range(len(data)):
        assert form.recognised(data[:end]) is None


@pytest.mark.parametrize(
    "request_",
    [
        search_request(SEARCHES["words and author"], reference_id=b"1"),
        search_request("@and knuth @set 1"),
        search_request("@and knuth @attr 1=9999 art"),
        search_request("@and knuth @attr 1=1016 @attr 2=103 x"),
        search_request("@prox 0 1 1 2 k 2 @attr 1=4 a @attr 1=4 b"),
        search_request("@and " * TERMS_MAX + "a " * (TERMS_MAX + 1)),
        search_request("@and knuth " + "x" * 300),
        search_request("@and knuth " + "x" * SIZE_BYTES_MAX),
        search_request('@and knuth ""'),
        scan_request(b""),
        scan_request(b"x", reference_id=b"1"),
        present_request(1, 1, reference_id=b"1"),
        present_request(1, 1, additional_ranges=(apdu.Range(4, 2),)),
        present_request(1, 1, max_segment_size=1000),
        apdu.DeleteResultSetRequest(delete_function=apdu.DeleteFunction.ALL),
    ],
)
def test_what_has_no_form_is_decoded_every_time(request_: apdu.Apdu) -> None:
    data, request = wire(request_)
    assert KnownRequests().learn_form(data, request) is None


def test_one_form_is_kept_for_all_sizes() -> None:
    known = KnownRequests()
    forms = {
        known.learn_form(*wire(search_request(f"@and {one} {other}")))
        for one in ("a", "machines", "红楼")
        for other in ("b", "engines")
    }
    assert len(forms) == 1


def test_memory_is_bounded() -> None:
    known = KnownRequests()
    for number in range(FORMS_MAX + 10):
        request = search_request("@and a b", result_set_name=f"{number:05}")
        assert known.learn_form(*wire(request)) is not None
    assert len(known._forms) <= FORMS_MAX


def test_a_diagnostic_of_one_term_is_that_of_the_query() -> None:
    data, request = wire(search_request("@and aa bb"))
    form = KnownRequests().learn_form(data, request)
    assert isinstance(form, SearchForm)
    other = form.form.octets([b"\xff\xfe", b"bb"])
    assert other is not None
    found = form.recognised(other)
    assert found is not None
    assert isinstance(found.query(("utf-8",)), Diagnostic)


def test_an_association_takes_what_has_a_form_it_has_seen() -> None:
    association = opened()
    requests: list[tuple[apdu.Apdu, apdu.Apdu]] = [
        (search_request(SEARCHES["words and author"]), search_request(
            "@and @and @attr 1=4 new @attr 1=4 engine @attr 1=1003 lovelace"
        )),
        (scan_request(b"machines"), scan_request(b"engine")),
        (present_request(1, 10), present_request(70_001, 9)),
    ]  # fmt: skip
    # Not the first ones, for many an association asks no more than that.
    for first, _ in (*requests, *requests[:FORMS_AFTER_LESSONS]):
        assert association.take(apdu.encode(first)) is None
        assert type(received(association, apdu.encode(first))) is type(first)
    for _, other in requests:
        taken = association.take(apdu.encode(other))
        assert taken is not None
        whole = taken if isinstance(taken, apdu.PresentRequest) else taken.request()  # type: ignore[union-attr]
        assert whole == apdu.decode(apdu.encode(other))
        assert type(like(taken)) is type(other)
        association.answered()


def test_an_association_takes_a_sort_that_it_has_seen() -> None:
    association = opened()
    key = apdu.SortKeySpec(
        sort_element="title",
        sort_relation=apdu.SortRelation.ASCENDING,
        case_sensitivity=apdu.CaseSensitivity.CASE_INSENSITIVE,
    )
    request = apdu.SortRequest(
        input_result_set_names=("1",), sorted_result_set_name="1", sort_sequence=(key,)
    )
    data = apdu.encode(request)
    assert association.take(data) is None
    received(association, data)
    assert association.take(data) == apdu.decode(data)


ENTRIES = st.lists(
    st.tuples(
        st.one_of(st.binary(max_size=20), st.sampled_from([120, 128, 256]).map(bytes)),
        st.one_of(st.none(), st.text(max_size=20)),
        st.one_of(st.integers(0, 2000), st.integers(0, 1 << 40)),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=50, deadline=None)
@given(ENTRIES, st.integers(0, 21), st.booleans(), st.integers(0, 3), st.booleans())
def test_a_response_to_a_scan_is_encoded_as_any_other(
    entries: list[tuple[bytes, str | None, int]],
    position: int,
    is_whole: bool,
    step_size: int,
    has_set: bool,
) -> None:
    attribute_set = oid.BIB_1 if has_set else None
    response = apdu.ScanResponse(
        step_size=step_size,
        scan_status=apdu.ScanStatus.SUCCESS if is_whole else apdu.ScanStatus.PARTIAL_5,
        number_of_entries_returned=len(entries),
        position_of_term=position,
        entries=apdu.ListEntries(
            entries=tuple(
                apdu.TermInfo(term=term, display_term=display, global_occurrences=count)
                for term, display, count in entries
            )
        ),
        attribute_set=attribute_set,
    )
    infos = [
        term_info(term, None if display is None else display.encode(), count)
        for term, display, count in entries
    ]
    assert apdu.encode(response) == scanned(
        infos, position, is_whole=is_whole, step_size=step_size, attribute_set=attribute_set
    )


@pytest.mark.parametrize("count", [None, 0, 1, 1 << 20])
def test_a_response_to_a_sort_is_encoded_as_any_other(count: int | None) -> None:
    response = apdu.SortResponse(sort_status=apdu.SortStatus.SUCCESS, result_count=count)
    assert in_order(count) == apdu.encode(response)
