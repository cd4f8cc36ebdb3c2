"""Every row of `rows`: Init, Search and Present, or SRU, as the client sends them."""

from __future__ import annotations

import re
import urllib.request
from base64 import b64encode
from urllib.parse import urlencode

import pytest
from lxml import etree

from protocol import apdu, oid
from protocol.charset_negotiation import (
    CHARSET_NEGOTIATION,
    Iso10646,
    OriginProposal,
    TargetResponse,
)
from protocol.external import External
from protocol.user_information import other_information
from tests import z3950_client
from tests.clients.rows import ROWS, SRU_ROWS, TELLICO, Client, Row, SruRow
from tests.harness import RunningServer

CONTROL_NUMBER = re.compile(rb"LM[CWJRA]\d{7}")
PROPOSAL = OriginProposal(
    proposed_charsets=(Iso10646(encoding_level=oid.UTF_8),), records_in_selected_charsets=True
)
MARC_SYNTAXES = (oid.USMARC, oid.UNIMARC)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_client_gets_the_right_records(consortium: RunningServer, row: Row) -> None:
    connection = z3950_client.Client(consortium.z3950)
    try:
        signed_in(connection, row.client)
        found = search(connection, row)
        assert found.reference_id == row.client.reference_id
        assert found.search_status, found.records
        assert found.result_count == len(row.finds)
        if row.client.piggyback:
            delivered = given(found.records)
        else:
            assert found.number_of_records_returned == 0
            delivered = presented(connection, row.client, found.result_count)
    finally:
        connection.close()
    numbers = [control_number(record, row.client) for _, record in delivered]
    assert len(numbers) == len(row.finds)
    assert set(numbers) == row.finds
    assert {name for name, _ in delivered} <= {row.database}


def signed_in(connection: z3950_client.Client, client: Client) -> None:
    """Send the client's Init and look at what was negotiated."""
    proposal = External.of(oid.CHARSET_NEGOTIATION_3, CHARSET_NEGOTIATION, PROPOSAL)
    response = connection.init(
        client.login,
        options=client.options,
        preferred_message_size=client.message_size_bytes,
        exceptional_record_size=client.message_size_bytes,
        reference_id=client.reference_id,
        other_info=(other_information(proposal),) if client.negotiates else (),
    )
    assert response.result
    assert response.reference_id == client.reference_id
    assert response.options <= client.options
    assert {apdu.Option.SEARCH, apdu.Option.PRESENT} <= response.options
    assert 0 < response.preferred_message_size <= client.message_size_bytes
    if client.negotiates:
        answers = [
            each.information.decode(CHARSET_NEGOTIATION)
            for each in response.other_info
            if isinstance(each.information, External)
            and each.information.direct_reference == oid.CHARSET_NEGOTIATION_3
        ]
        assert answers == [
            TargetResponse(
                selected_charset=Iso10646(encoding_level=oid.UTF_8),
                records_in_selected_charsets=True,
            )
        ]


def search(connection: z3950_client.Client, row: Row) -> apdu.SearchResponse:
    client = row.client
    return connection.search(
        in_charset(row.query, client.charset),
        row.database,
        reference_id=client.reference_id,
        # Asking for records with the response, ZOOM makes every set a medium one.
        large_set_lower_bound=2_000_000_000 if client.piggyback else 1,
        medium_set_present_number=client.piggyback,
        preferred_record_syntax=client.syntax if client.piggyback else None,
    )


def in_charset(query: str, charset: str) -> str:
    """PQF whose terms become octets of `charset` where they are not ASCII."""
    return re.sub(
        r"[^\x00-\x7f]+",
        lambda text: "".join(f"\\x{octet:02X}" for octet in encoded(text[0], charset)),
        query,
    )


def encoded(text: str, charset: str) -> bytes:
    """`text` as the client's system writes it: GB2312 systems on Windows write GBK."""
    return text.encode("gbk" if charset == "gb2312" else charset)


def presented(
    connection: z3950_client.Client, client: Client, hits: int
) -> list[tuple[str | None, apdu.External]]:
    """All records of the set, in the client's batches."""
    found: list[tuple[str | None, apdu.External]] = []
    while len(found) < hits:
        response = connection.present(
            len(found) + 1,
            min(client.present_batch, hits - len(found)),
            client.syntax,
            reference_id=client.reference_id,
            record_composition=client.element_set,
        )
        assert response.reference_id == client.reference_id
        batch = given(response.records)
        assert batch
        found += batch
    return found


def given(records: object) -> list[tuple[str | None, apdu.External]]:
    assert isinstance(records, tuple), records
    found = []
    for each in records:
        assert isinstance(each.record, apdu.External), each.record
        found.append((each.name, each.record))
    return found


def control_number(record: apdu.External, client: Client) -> str:
    """Whose record it is; fails when it is not in the syntax and character set asked for."""
    assert record.direct_reference == client.syntax
    if client.syntax in MARC_SYNTAXES:
        assert len(record.data) == int(record.data[:5])
        record.data.decode(client.records_charset)
        assert ("\N{REPLACEMENT CHARACTER}" in record.data.decode("utf-8", "replace")) == (
            client.records_charset == "gb18030" and not record.data.isascii()
        )
    match = CONTROL_NUMBER.search(record.data)
    assert match is not None, record.data
    return match[0].decode()


def test_tellico_gets_mods_and_usmarc_alike(consortium: RunningServer) -> None:
    connection = z3950_client.Client(consortium.z3950)
    try:
        signed_in(connection, TELLICO)
        found = connection.search('@attr 1=4 "deep learning"', "we_cat")
        assert found.result_count == 1
        asked = connection.present(1, 1, oid.XML, record_composition="mods")
        ((_, xml),) = given(asked.records)
        assert etree.fromstring(xml.data).tag == "{http://www.loc.gov/mods/v3}mods"
        ((_, marc),) = presented(connection, TELLICO, 1)
        assert control_number(marc, TELLICO) == "LMW0000031"
    finally:
        connection.close()


@pytest.mark.parametrize("row", SRU_ROWS, ids=str)
def test_an_sru_client_gets_the_right_records(consortium: RunningServer, row: SruRow) -> None:
    query = urlencode({**dict(row.parameters), "query": row.query})
    request = urllib.request.Request(f"{consortium.url}/{row.database}?{query}")
    request.add_header("Authorization", "Basic " + b64encode(b"demo1:demo1").decode())
    with urllib.request.urlopen(request, timeout=30) as response:
        root = etree.fromstring(response.read())
    names = {
        "zs": str(etree.QName(root).namespace),
        "m": "http://www.loc.gov/MARC21/slim",
    }
    assert root.xpath("//*[local-name()='diagnostic']") == []
    assert root.xpath("string(zs:numberOfRecords)", namespaces=names) == str(len(row.finds))
    numbers = root.xpath("//m:record/m:controlfield[@tag='001']/text()", namespaces=names)
    assert isinstance(numbers, list)
    assert set(map(str, numbers)) == row.finds
