"""A response put together from a frame has the octets of one made in full."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from protocol.sru import SearchRetrieveRequest, SruLimits, parse_request
from protocol.sru_frame import ResponseFrame
from protocol.sru_response import (
    SearchRetrieveResponse,
    SruRecord,
    search_echo,
    search_response,
)
from protocol.sru_version import VERSIONS

LIMITS = SruLimits(stylesheets=("/sru.xsl",))
DATA = '<record xmlns="http://www.loc.gov/MARC21/slim"><leader>红&amp;</leader></record>'.encode()
RECORDS = [(DATA, "001 & 2"), (DATA, ""), (DATA, "w3")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("packing", ["xml", "string"])
@pytest.mark.parametrize("more", ["", "&stylesheet=/sru.xsl", "&recordSchema=dc&startRecord=4"])
@pytest.mark.parametrize(
    ("number_of_records", "count", "maximum"),
    [(0, 0, 10), (1, 1, 10), (3, 3, 10), (20, 3, 3), (7, 0, 0), (7, 0, 5)],
)
def test_a_framed_response_has_the_octets_of_the_whole_one(
    version: str, packing: str, more: str, number_of_records: int, count: int, maximum: int
) -> None:
    old = f"version={version}&operation=searchRetrieve&" if version != "2.0" else ""
    parameters = (
        f"{old}query=dc.title=%22a+%26+b%22&maximumRecords={maximum}"
        f"&{VERSIONS[version].packing}={packing}{more}"
    )
    request = parse_request(parse_qsl(parameters), LIMITS)
    assert isinstance(request, SearchRetrieveRequest)
    response = SearchRetrieveResponse(
        number_of_records=number_of_records,
        records=[
            SruRecord(request.schema, data, position, identifier=identifier)
            for position, (data, identifier) in enumerate(RECORDS[:count], request.start_record)
        ],
    )
    framed = ResponseFrame(request).response(
        number_of_records, RECORDS[:count], search_echo(request)
    )
    assert framed == search_response(request, response)
