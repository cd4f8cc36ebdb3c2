"""A request answered at once gets the very octets that it got the long way before."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from protocol import apdu, oid
from protocol.diagnostic import Bib1
from server.config import load_config
from server.service import Service
from server.z3950.server import Connection, Z3950Server
from tests.harness import RunningServer, lianmu
from tests.server.own_server import cnmarc, marc21, own_server
from tests.server.stand_ins import Refusing, Wire
from tests.z3950_client import connected, init_request, present_request, search_request

YEAR = str((datetime.now(UTC) + timedelta(hours=8)).year)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("at-once")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    records = {
        "we_cat": [marc21(f"w{number:03}", f"Volume {number} of many") for number in range(60)],
        "cn_cat": [cnmarc(f"c{number:03}", f"红楼梦第{number}卷") for number in range(5)],
    }
    with own_server(folder, records) as running:
        yield running


def raw(server: RunningServer, login: str | None, requests: Sequence[apdu.Apdu]) -> list[bytes]:
    """The octets that answer each request, each sent twice on one connection."""
    answers = []
    with connected(server.z3950, login) as client:
        for request in requests:
            for _ in range(2):
                client.send(request)
                response = client.receive()
                assert response is not None
                answers.append(apdu.encode(response))
    return answers


REQUESTS: list[apdu.Apdu] = [
    search_request("@attr 1=4 many", "we_cat"),
    present_request(1, 1),
    present_request(1, 3),
    present_request(60, 1),
    present_request(61, 1),
    present_request(0, 1),
    present_request(1, 50),
    present_request(1, 0),
    present_request(2, 1, oid.UNIMARC),
    present_request(2, 1, oid.XML),
    present_request(2, 1, oid.SUTRS),
    present_request(2, 1, oid.GRS_1),
    present_request(2, 1, oid.OPAC),
    present_request(2, 1, None),
    present_request(2, 1, oid.HTML),
    present_request(2, 1, record_composition="B"),
    present_request(2, 1, record_composition="FI"),
    present_request(1, 2, additional_ranges=(apdu.Range(4, 2),)),
    present_request(1, 1, result_set_id="nothing"),
    search_request("@attr 1=12 w007", "we_cat"),
    present_request(1, 1),
    search_request("@attr 1=12 none", "we_cat"),
    present_request(1, 1),
    search_request("@attr 1=4 红楼", "cn_cat"),
    present_request(1, 1, oid.UNIMARC),
    search_request("@attr 1=4 红楼", "no_such"),
    search_request("@attr 1=4 红楼", "Default"),
    search_request("@attr 1=4 红楼", "IR-Explain-1"),
    search_request("@attr 1=4 many", "we_cat"),
    search_request("@attr 1=4 many", "we_cat", replace_indicator=False),
    search_request("@attr 1=4 many", "we_cat", result_set_name="n" * 300),
    search_request(
        "@attr 1=12 w009", "we_cat", small_set_upper_bound=1, large_set_lower_bound=2,
        preferred_record_syntax=oid.USMARC, small_set_element_set_names="F",
    ),
    search_request(
        "@attr 1=4 many", "we_cat", small_set_upper_bound=0, large_set_lower_bound=1000,
        medium_set_present_number=5, preferred_record_syntax=oid.USMARC,
    ),
    search_request(
        "@attr 1=4 many", "we_cat", small_set_upper_bound=0, large_set_lower_bound=1000,
        medium_set_present_number=5, preferred_record_syntax=oid.USMARC,
        medium_set_element_set_names="B",
    ),
]  # fmt: skip


@pytest.mark.parametrize("login", ["demo1/demo1", None], ids=["member", "anonymous"])
def test_the_second_answer_has_the_octets_of_the_first(
    server: RunningServer, login: str | None
) -> None:
    answers = raw(server, login, REQUESTS)
    for request, first, second in zip(REQUESTS, answers[::2], answers[1::2], strict=True):
        assert second == first, request


def test_what_is_answered_at_once_is_counted(server: RunningServer) -> None:
    def counted() -> int:
        shown = lianmu("usage", "demo1", "--config", server.config, "--year", YEAR, "--json")
        usage = json.loads(shown.stdout)
        return int(usage["downloads"]) + int(usage["repeats"])

    before = counted()
    requests = [search_request("@attr 1=12 w011", "we_cat"), present_request(1, 1)]
    raw(server, "demo1/demo1", requests * 3)
    assert counted() == before + 6


class ApduWire(Wire):
    """One that speaks in APDUs."""

    async def answer(self, connection: Connection, request: apdu.Apdu) -> apdu.Apdu:
        count = len(self.written)
        connection.data_received(apdu.encode(request))
        await self.wait(count)
        return apdu.decode(self.written[-1])


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
async def test_without_its_ledger_entry_no_record_leaves(
    server: RunningServer, folder: Path, later: bool
) -> None:
    config = load_config(folder / "config.toml")
    async with contextlib.AsyncExitStack() as stack:
        service = await stack.enter_async_context(Service(config, 99))
        connection, wire = Connection(Z3950Server(config, service)), ApduWire()
        connection.connection_made(wire)
        await wire.answer(connection, init_request("demo1/demo1"))
        search, present = search_request("@attr 1=12 w012", "we_cat"), present_request(1, 1)
        piggyback = search_request(
            "@attr 1=12 w012", "we_cat", small_set_upper_bound=1, large_set_lower_bound=2
        )
        for request in (search, present, piggyback):
            assert await wire.answer(connection, request)
        await service.meter.close()
        service.meter = Refusing(later=later)  # type: ignore[assignment]
        for request in (present, piggyback, present):
            answer = await wire.answer(connection, request)
            assert isinstance(answer, (apdu.PresentResponse, apdu.SearchResponse))
            assert answer.number_of_records_returned == 0
            assert isinstance(answer.records, apdu.DefaultDiagFormat)
            assert answer.records.condition == Bib1.TEMPORARY_SYSTEM_ERROR
        connection._timer and connection._timer.cancel()


def test_pipelined_requests_are_answered_in_order(server: RunningServer) -> None:
    requests: list[apdu.Apdu] = []
    for number in range(40):
        requests += [search_request(f"@attr 1=12 w{number:03}", "we_cat"), present_request(1, 1)]
    with connected(server.z3950, "demo1/demo1") as client:
        for _ in range(2):
            client.send(*requests)
            for number in range(40):
                found, given = client.receive(), client.receive()
                assert isinstance(found, apdu.SearchResponse)
                assert isinstance(given, apdu.PresentResponse)
                assert isinstance(given.records, tuple)
                record = given.records[0].record
                assert isinstance(record, apdu.External)
                assert f"w{number:03}".encode() in record.data


def test_the_bound_of_records_holds_at_once_too(tmp_path: Path) -> None:
    records = {"we_cat": [marc21(f"w{number:03}", f"Volume {number}") for number in range(9)]}
    piggyback = search_request(
        "@attr 1=4 volume", "we_cat", small_set_upper_bound=9, large_set_lower_bound=10
    )
    with own_server(tmp_path, records, present_records_max=3) as bounded:
        for request in (present_request(1, 5), piggyback):
            first, second = raw(
                bounded, "demo1/demo1", [search_request("@attr 1=4 volume", "we_cat"), request]
            )[2:]
            assert second == first
            response = apdu.decode(second)
            assert isinstance(response, (apdu.PresentResponse, apdu.SearchResponse))
            assert response.number_of_records_returned == 3
