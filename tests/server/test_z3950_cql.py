"""CQL over Z39.50 (type-104): its order, and the same records as the PQF that it becomes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from protocol import apdu, cql, pqf
from protocol.diagnostic import Bib1
from protocol.iso2709 import control_number
from protocol.query import Query
from protocol.rpn_from_query import from_query
from tests.harness import RunningServer
from tests.server.own_server import cnmarc, marc21, own_server
from tests.z3950_client import Client, connected, diagnostic, records, search_request

CHINESE = (
    ("c1", "阿Q正传", "鲁迅"),
    ("c2", "红楼梦", "曹雪芹"),
    ("c3", "史记", "司马迁"),
    ("c4", "红楼梦研究", "俞平伯"),
)
WESTERN = (("w1", "Zebra crossing the road", "Adams, A."), ("w2", "Ant hill road", "Zola, E."))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    catalogue = {
        "cn_cat": [cnmarc(number, title, author=author) for number, title, author in CHINESE],
        "we_cat": [marc21(number, title, author=author) for number, title, author in WESTERN],
    }
    with own_server(tmp_path_factory.mktemp("cql"), catalogue) as server:
        yield server


def ask(client: Client, text: str) -> apdu.SearchResponse:
    request = dataclasses.replace(search_request("x", "all"), query=apdu.CqlQuery(text))
    return client.ask(request, apdu.SearchResponse)


def numbers(client: Client, found: apdu.SearchResponse) -> list[str]:
    assert found.search_status, found.records
    if not found.result_count:
        return []
    return [control_number(marc) for marc in records(client.present(1, found.result_count, None))]


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("cql.allRecords = 1 and dc.creator = * sortBy dc.title/sort.descending",
         ["w1", "c3", "c4", "c2", "w2", "c1"]),
        ("dc.title = road sortBy dc.creator", ["w1", "w2"]),
        ("dc.title = road sortBy dc.title", ["w2", "w1"]),
        ("dc.title = 红楼 sortBy dc.title/sort.descending", ["c4", "c2"]),
    ],
)  # fmt: skip
def test_sort_by_orders_the_set_of_a_search(
    shelf: RunningServer, text: str, order: list[str]
) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        assert numbers(client, ask(client, text)) == order


@pytest.mark.parametrize(
    ("text", "condition", "addinfo"),
    [
        ("dc.title = road sortBy bath.isbn", Bib1.SORT_SEQUENCE_UNSUPPORTED, "bath.isbn"),
        ("dc.title = road sortBy dc.nothing", Bib1.USE_ATTRIBUTE_UNSUPPORTED, "dc.nothing"),
        ("dc.title = road sortBy dc.title/sort.locale=zh", Bib1.SORT_SEQUENCE_UNSUPPORTED,
         "sort.locale"),
        ("dc.title = road sortBy dc.title dc.title", Bib1.DUPLICATE_SORT_KEYS, "dc.title"),
    ],
)  # fmt: skip
def test_an_order_that_cannot_be_served_fails_the_search(
    shelf: RunningServer, text: str, condition: Bib1, addinfo: str
) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        refused = ask(client, text)
        assert not refused.search_status
        assert diagnostic(refused) == (condition, addinfo)


@pytest.mark.parametrize(
    "text",
    [
        "红楼梦",
        "dc.title = road",
        "dc.title == 红楼梦",
        'dc.title = "^zebra"',
        "dc.title = road^",
        "dc.title = ro?d",
        'dc.title any "ant zebra"',
        'dc.title all "road hill"',
        "dc.creator = 曹雪芹 or dc.creator = 鲁迅",
        "dc.title = road not dc.creator = zola",
        "dc.title = zebra prox/distance<=3/ordered dc.title = road",
        "dc.title = zebra prox/distance<=2/local.exclusion dc.title = road",
        "marc.245$a = hill",
        "rec.id = c3",
        "cql.allRecords = 1",
        "dc.title = nowhere",
    ],
)
def test_cql_and_the_pqf_it_becomes_find_the_same_records(shelf: RunningServer, text: str) -> None:
    tree = cql.parse_query(text)
    assert isinstance(tree, Query)
    written = pqf.to_text(from_query(tree))
    with connected(shelf.z3950, "demo1/demo1") as client:
        by_cql = numbers(client, ask(client, text))
        assert numbers(client, client.search(written, "all")) == by_cql
        assert bool(by_cql) != (text == "dc.title = nowhere")
