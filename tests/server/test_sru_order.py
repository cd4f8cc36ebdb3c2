"""The order of SRU records where the client wishes none, as the configuration says."""

from __future__ import annotations

import http.client
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest

from tests.harness import RunningServer
from tests.server.own_server import marc21, own_server

TITLES = {
    "1": "A general and very long history of everything in the world",
    "2": "Rivers of the world",
    "3": "History, history",
    "4": "History",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    catalogue = {"we_cat": [marc21(number, title) for number, title in TITLES.items()]}
    folder = tmp_path_factory.mktemp("order")
    with own_server(folder, catalogue, sru='default_order = "relevance"') as running:
        yield running


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("dc.title=history", "341"),
        ("dc.title=history sortBy dc.title/sort.descending", "341"),
        ("dc.title=history sortBy dc.title", "143"),
        ("history or rivers", "2341"),
        ("cql.allRecords=1", "1234"),
    ],
)
def test_the_best_answers_come_first_unless_the_client_sorts(
    server: RunningServer, query: str, order: str
) -> None:
    asked = urllib.parse.urlencode(
        {"operation": "searchRetrieve", "version": "1.2", "query": query, "recordSchema": "brief"}
    )
    with urllib.request.urlopen(f"{server.url}/we_cat?{asked}", timeout=30) as response:
        text = response.read().decode()
    titles = re.findall(r"A general|Rivers of|History, history|History\b", text)
    numbers = {"A general": "1", "Rivers of": "2", "History, history": "3", "History": "4"}
    assert "".join(dict.fromkeys(numbers[title] for title in titles)) == order


def test_the_best_answers_come_first_when_a_request_is_known_too(server: RunningServer) -> None:
    url = urllib.parse.urlsplit(server.url)
    kept = http.client.HTTPConnection(url.netloc, timeout=30)
    member = {"Authorization": "Basic ZGVtbzE6ZGVtbzE="}
    for _ in range(5):
        kept.request(
            "GET",
            "/we_cat?version=1.2&operation=searchRetrieve&query=dc.title=history"
            "&recordSchema=marcxml",
            headers=member,
        )
        text = kept.getresponse().read().decode()
        assert re.findall(r'tag="001">(.)<', text) == ["3", "4", "1"]
    kept.close()
