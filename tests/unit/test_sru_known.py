"""An address that is known but for its term is read as the whole of it is."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from protocol.sru import RefusedRequest, SearchRetrieveRequest, SruLimits, parse_request
from protocol.sru_known import SHAPES_MAX, SIZE_BYTES_MAX, KnownSearches, parted
from protocol.sru_response import search_echo

LIMITS = SruLimits(schemas=("marcxml", "dc"), default_schema="marcxml")
SEARCH = "version=1.1&operation=searchRetrieve&maximumRecords=1&recordSchema=marcxml"


def read(address: str) -> tuple[list[tuple[str, str]], SearchRetrieveRequest | None]:
    parameters = parse_qsl(address, keep_blank_values=True)
    request = parse_request(parameters, LIMITS)
    return parameters, request if isinstance(request, SearchRetrieveRequest) else None


def learn(searches: KnownSearches, address: str) -> None:
    parameters, request = read(address)
    assert request is not None
    searches.learn(address.encode(), parameters, request)


@pytest.mark.parametrize(
    "address",
    [
        f"{SEARCH}&query=bath.isbn={{}}",
        f"query=bath.isbn%3D{{}}&{SEARCH}",
        f"{SEARCH}&query=dc.title={{}}&startRecord=3",
        "query=title={}",
        "query=rec.id={}&recordSchema=dc&x-info-other=1",
        f"{SEARCH}&query=cql.allRecords={{}}",
    ],
)
@pytest.mark.parametrize("term", ["9787302123456", "notation", "0", "Z" * 64])
def test_another_term_is_read_as_the_whole_address_is(address: str, term: str) -> None:
    searches = KnownSearches(LIMITS)
    assert searches.find(address.format("abc").encode()) is None
    learn(searches, address.format("abc"))
    whole = address.format(term)
    found = searches.find(whole.encode())
    assert found is not None
    known, octets = found
    _, request = read(whole)
    assert request is not None
    assert known.query(octets) == request.query
    assert known.echo_of(octets) == search_echo(request)
    assert (known.request.schema, known.request.start_record, known.request.maximum_records) == (
        request.schema, request.start_record, request.maximum_records,
    )  # fmt: skip


@pytest.mark.parametrize(
    "address",
    [
        f"{SEARCH}&query=title={{}}&query=title=abc",  # twice the same
        f"{SEARCH}&query=title={{}}%20and%20author=abc",
        f"{SEARCH}&query=%22{{}}%22",
        f"{SEARCH}&query={{}}",
        f"{SEARCH}&query=title={{}}%20sortby%20title",
        "query=title={}&" + "x-a=" + "b" * SIZE_BYTES_MAX,
    ],
)
def test_what_is_not_one_clause_is_not_known(address: str) -> None:
    searches = KnownSearches(LIMITS)
    learn(searches, address.format("abc"))
    assert searches.find(address.format("abc").encode()) is None
    assert searches.find(address.format("other").encode()) is None


@pytest.mark.parametrize("term", ["and", "OR", "sortBy", "a*", "a.b", "%61", "", "a" * 65])
def test_what_is_no_plain_term_goes_the_long_way(term: str) -> None:
    searches = KnownSearches(LIMITS)
    learn(searches, f"{SEARCH}&query=title=abc")
    assert searches.find(f"{SEARCH}&query=title={term}".encode()) is None


@pytest.mark.parametrize("term", ["1999", "never", "19", "20011", "0zq9PROOF9qz0", "ISBN"])
@pytest.mark.parametrize(
    "index",
    [
        "dc.date", "bath.isbn", "bath.issn", "cql.resultSetId", "cql.allRecords", "cql.anywhere",
        "dc.title", "dc.language", "rec.id", "bib.issuance", "title",
    ],
)  # fmt: skip
def test_a_term_means_or_fails_as_in_the_whole_address(index: str, term: str) -> None:
    searches = KnownSearches(LIMITS)
    learn(searches, f"{SEARCH}&query={index}=2001")
    whole = f"{SEARCH}&query={index}={term}"
    found = searches.find(whole.encode())
    assert found is not None
    expected = parse_request(parse_qsl(whole), LIMITS)
    query = found[0].query(found[1])
    if isinstance(expected, RefusedRequest):
        assert query == expected.faults[0]
    else:
        assert isinstance(expected, SearchRetrieveRequest)
        assert query == expected.query


def test_the_first_shapes_give_way_to_later_ones() -> None:
    searches = KnownSearches(LIMITS)
    for start in range(1, SHAPES_MAX + 2):
        learn(searches, f"{SEARCH}&query=title=abc&startRecord={start}")
    assert searches.find(f"{SEARCH}&query=title=x&startRecord=1".encode()) is None
    assert searches.find(f"{SEARCH}&query=title=x&startRecord=2".encode()) is not None


def request_of(address: str) -> bytes:
    return f"GET /we_cat?{address} HTTP/1.1\r\nHost: x\r\nX-A: ?query=a=b&\r\n\r\n".encode()


@pytest.mark.parametrize(
    "address", [f"query=bath.isbn%3D{{}}&{SEARCH}", f"{SEARCH}&query=dc.title={{}}", "query=t={}"]
)
def test_a_request_is_parted_at_the_term_of_its_address(address: str) -> None:
    before, after = request_of(address.format("|")).split(b"|")
    assert parted(request_of(address.format("Abc1"))) == ((before, after), b"Abc1")
    for term in ("", "a.b", "%61", "a+b", "or", "\u7ea2", "a" * 65):
        parts = parted(request_of(address.format(term)))
        assert parts is None or parts[0] != (before, after)
