"""Whatever a client sends by SRU gets an answer in well-formed XML, and sets come back whole."""

from __future__ import annotations

import asyncio
import tempfile
from array import array
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from pyroaring import BitMap

from protocol import sru_soap
from protocol.diagnostic import SruFault
from protocol.record import Database, MarcFamily
from protocol.sru import parse_request
from protocol.sru_accept import MEDIA_TYPES, choose_media_type
from protocol.sru_facets import (
    FACET_FIELDS,
    FACET_PARAMETERS,
    Facet,
    FacetsRequest,
    FacetTerm,
    facets_xml,
    parse_facets,
)
from protocol.sru_request import (
    ExplainRequest,
    RefusedRequest,
    ScanRequest,
    SearchRetrieveRequest,
    SruLimits,
)
from protocol.sru_update import PARAMETERS, read_element, read_parameters, update_response
from server.sru.sets import SetStore
from store.result_set import RecordSet

LIMITS = SruLimits(facet_terms_max=50, result_set_ttl_s_max=60)
REQUESTS = ExplainRequest | RefusedRequest | ScanRequest | SearchRetrieveRequest
MESSAGE = (
    f'<s:Envelope xmlns:s="{sru_soap.SOAP_1_1}"><s:Header/><s:Body><z:searchRetrieveRequest '
    'xmlns:z="http://www.loc.gov/zing/srw/"><z:version>1.1</z:version><z:query>dc.title=红</z:query>'
    "<z:xSortKeys><z:sortKey><z:path>title</z:path></z:sortKey></z:xSortKeys>"
    '<z:extraRequestData><quota xmlns="urn:lianmu:extension:quota">1</quota></z:extraRequestData>'
    "</z:searchRetrieveRequest></s:Body></s:Envelope>"
).encode()
UPDATE = (
    b'<u:updateRequest xmlns:u="info:lc/xmlns/update-v1" xmlns:s="http://www.loc.gov/zing/srw/">'
    b"<s:version>1.0</s:version><u:action>info:srw/action/1/replace</u:action>"
    b"<u:recordIdentifier>1</u:recordIdentifier><u:recordVersions><u:recordVersion>"
    b"<u:versionType>number</u:versionType><u:versionValue>1</u:versionValue></u:recordVersion>"
    b"</u:recordVersions><s:record><s:recordSchema>marcxml</s:recordSchema><s:recordData><a/>"
    b"</s:recordData></s:record></u:updateRequest>"
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """A message of which some pieces are cut out, doubled or written over."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(start + draw(st.integers(0, 30)), len(data))
        piece = draw(st.one_of(st.binary(max_size=8), st.just(bytes(data[start:end]) * 2)))
        data[start:end] = piece
    return bytes(data)


@given(st.one_of(damaged(MESSAGE), damaged(UPDATE), st.binary(max_size=60)))
def test_any_octets_are_a_message_or_a_fault(body: bytes) -> None:
    call = sru_soap.read_message(body)
    if isinstance(call, sru_soap.SoapFault):
        assert etree.fromstring(sru_soap.fault(call)).find(".//faultcode") is not None
        return
    if call.operation == "update":
        document = update_response(request := read_element(call.payload), request.faults)
        etree.fromstring(document)
    else:
        assert isinstance(parse_request(sru_soap.parameters(call), LIMITS), REQUESTS)


@given(st.lists(st.tuples(st.sampled_from((*PARAMETERS, "x-lianmu-quota", "?")), st.text())))
def test_any_form_is_an_update_with_or_without_faults(parameters: list[tuple[str, str]]) -> None:
    request = read_parameters(parameters)
    root = etree.fromstring(update_response(request, request.faults))
    status = root.findtext(f"{{{request.namespace}}}operationStatus")
    assert status == ("fail" if request.faults else "success")


PIECES = st.lists(
    st.sampled_from(
        ["1", "10", "0", ",", ":", "dc.subject", "language", "library", "title", "recordCount",
         "alphanumeric", "ascending", "descending", "=", "chi", '"', " ", "-", "红"]
    ),
    max_size=8,
).map("".join)  # fmt: skip


@given(st.dictionaries(st.sampled_from(FACET_PARAMETERS), PIECES, min_size=1))
def test_any_facet_parameters_are_wishes_within_bounds_or_a_fault(given: dict[str, str]) -> None:
    facets = parse_facets(given, 10, 50)
    if isinstance(facets, SruFault):
        assert facets.position is None
        return
    assert isinstance(facets, FacetsRequest)
    fields = [wish.field for wish in facets.wishes]
    assert len(set(fields)) == len(fields)
    for wish in facets.wishes:
        assert 1 <= wish.limit <= 50
        assert wish.start >= 0


@given(st.lists(st.builds(FacetTerm, st.text(), st.integers(0), st.text()), max_size=3))
def test_facets_of_any_terms_are_well_formed(terms: list[FacetTerm]) -> None:
    element = facets_xml([Facet(FACET_FIELDS[0], terms)]).decode()
    root = etree.fromstring(f'<r xmlns:zs="urn:z">{element}</r>')
    assert len(root.findall(".//{*}count")) == len(terms)


@given(st.text(alphabet="aptxml/*+;q=0.1, -", max_size=60))
def test_any_accept_header_chooses_a_type_or_none(accept: str) -> None:
    assert choose_media_type(accept) in (None, *MEDIA_TYPES)


@settings(deadline=None, max_examples=50)  # each makes a folder and an event loop
@given(
    st.sets(st.integers(0, 2**32 - 1), max_size=50),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_a_kept_set_comes_back_whole(ids: set[int], in_order: bool, random: object) -> None:
    order = array("I", ids)
    if in_order:
        shuffled = list(order)
        random.shuffle(shuffled)  # type: ignore[attr-defined]
        order = array("I", shuffled)
    records = RecordSet(BitMap(ids), order if in_order else None)
    database = Database("d", "", MarcFamily.MARC21)

    async def kept() -> RecordSet:
        with tempfile.TemporaryDirectory() as folder:
            sets = SetStore(Path(folder), 0, sets_max=1, bytes_max=1 << 20)
            set_id = await sets.keep(records, (database,), 60)
            assert set_id is not None
            found = await sets.load(set_id)
            assert found is not None
            return found.records

    found = asyncio.run(kept())
    assert found.records == records.records
    assert found.order == (order if in_order else array("I", sorted(ids)))
