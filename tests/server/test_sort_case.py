"""Keys that tell case apart, in both protocols and through yaz-client's own default."""

from __future__ import annotations

import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest

from protocol import apdu, oid
from protocol.apdu import AttributeElement
from tests.harness import RunningServer
from tests.server.own_server import marc21, own_server
from tests.z3950_client import connected, records

TITLES = {"1": "apple pie", "2": "APPLE PIE", "3": "Banana", "4": "Apple pie"}
CASED, FOLDED = "2413", "1243"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    catalogue = {"we_cat": [marc21(number, title) for number, title in TITLES.items()]}
    with own_server(tmp_path_factory.mktemp("case"), catalogue) as running:
        yield running


@pytest.mark.parametrize(
    ("case", "expected"),
    [(apdu.CaseSensitivity.CASE_SENSITIVE, CASED), (apdu.CaseSensitivity.CASE_INSENSITIVE, FOLDED)],
)
def test_z3950_tells_case_apart_where_the_key_does(
    server: RunningServer, case: apdu.CaseSensitivity, expected: str
) -> None:
    key = apdu.SortKeySpec(
        sort_element=apdu.SortAttributes(oid.BIB_1, (AttributeElement(type=1, value=4),)),
        sort_relation=0,
        case_sensitivity=case,
    )
    request = apdu.SortRequest(
        input_result_set_names=("default",), sorted_result_set_name="s", sort_sequence=(key,)
    )
    with connected(server.z3950, "demo1/demo1") as client:
        client.search("@attr 1=1016 @attr 2=103 x", "we_cat")
        response = client.ask(request, apdu.SortResponse)
        assert response.sort_status == apdu.SortStatus.SUCCESS
        given = records(client.present(1, 4, result_set_id="s"))
    assert "".join(re.findall(r"\x1e(\d)\x1eTEST", "".join(map(bytes.decode, given)))) == expected


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"version": "1.2", "query": "cql.allRecords=1 sortBy dc.title/sort.respectCase"}, CASED),
        ({"version": "1.2", "query": "cql.allRecords=1 sortBy dc.title/sort.ignoreCase"}, FOLDED),
        ({"version": "1.1", "query": "cql.allRecords=1", "sortKeys": "title,,1,1"}, CASED),
        ({"version": "1.1", "query": "cql.allRecords=1", "sortKeys": "title,,1,0"}, FOLDED),
    ],
)
def test_sru_tells_case_apart_where_the_key_does(
    server: RunningServer, parameters: dict[str, str], expected: str
) -> None:
    query = urllib.parse.urlencode(
        {"operation": "searchRetrieve", "recordSchema": "brief", **parameters}
    )
    with urllib.request.urlopen(f"http://{server.http}/we_cat?{query}", timeout=30) as response:
        answer = response.read().decode()
    assert "".join(re.findall(r'tag="001">(\d)<', answer)) == expected


@pytest.mark.real_client
@pytest.mark.parametrize(("flags", "expected"), [("s<", CASED), ("i<", FOLDED)])
def test_yaz_client_sorts_by_case(server: RunningServer, flags: str, expected: str) -> None:
    commands = (
        f"auth demo1/demo1\nopen {server.z3950}/we_cat\nfind @attr 1=1016 @attr 2=103 x\n"
        f"sort 1=4 {flags}\nformat usmarc\nshow 1+4\nquit\n"
    )
    printed = subprocess.run(
        ["yaz-client"], input=commands, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert "".join(re.findall(r"^001 (\d)", printed, re.MULTILINE)) == expected
