"""CQL over Z39.50 (type-104): its order, and the same records as the PQF that it becomes."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from protocol import apdu, cql, pqf
from protocol.diagnostic import Bib1
from protocol.iso2709 import Field, build, control_number
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
# Publication: one year, the years of a serial, a year and the month of its reprint.
DATED = (("d1", "s1994    "), ("d2", "d19901999"), ("d3", "r20011980"))
WESTERN = (("w1", "Zebra crossing the road", "Adams, A."), ("w2", "Ant hill road", "Zola, E."))


def dated(number: str, coded: str) -> bytes:
    """A CNMARC record whose 100$a/8-16 is `coded`."""
    fields = [
        Field("001", number),
        Field.of("100", "  ", [("a", f"20260101{coded}em y0chiy50      ea")]),
        Field.of("200", "1 ", [("a", "年鉴")]),
    ]
    return build("00000nam0 2200000   450 ", fields)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    catalogue = {
        "cn_cat": [cnmarc(number, title, author=author) for number, title, author in CHINESE],
        "we_cat": [marc21(number, title, author=author) for number, title, author in WESTERN],
        "jp_cat": [dated(number, coded) for number, coded in DATED],
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
        ("cql.allRecords = 1 not rec.id any \"d1 d2 d3\" sortBy dc.title/sort.descending",
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
    ("text", "found"),
    [
        ("dc.date encloses 1994", {"d1", "d2", "d3"}),
        ("dc.date encloses 1995", {"d2", "d3"}),
        ("dc.date encloses 1999", {"d2", "d3"}),
        ("dc.date encloses 2000", {"d3"}),
        ("dc.date encloses 2002", set()),
        ('dc.date encloses "1991 1998"', {"d2", "d3"}),
        ('dc.date encloses "1989 1998"', {"d3"}),
        ('dc.date within "1990 1999"', {"d1", "d2"}),
        ('dc.date within "1999 2001"', {"d2", "d3"}),
        ("dc.date = 1994", {"d1"}),
    ],
)
def test_the_span_of_the_dates_of_a_record_encloses_a_date(
    shelf: RunningServer, text: str, found: set[str]
) -> None:
    with connected(shelf.z3950, "demo1/demo1") as client:
        assert set(numbers(client, ask(client, f'rec.id any "d1 d2 d3" and {text}'))) == found


@pytest.mark.real_client
def test_yaz_client_sends_cql_with_an_order(
    shelf: RunningServer, tmp_path: Path, client_program: Callable[[str], str]
) -> None:
    script = tmp_path / "commands"
    script.write_text(
        f"auth demo1/demo1\nopen {shelf.z3950}/all\nformat usmarc\nquerytype cql\n"
        "find dc.title = road sortby dc.title\nshow 1+2\n"
        "find dc.title = road sortby bath.isbn\nquit\n",
        encoding="utf-8",
    )
    printed = subprocess.run(
        [client_program("yaz-client"), "-f", str(script)],
        capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path,
    ).stdout  # fmt: skip
    assert "Number of hits: 2" in printed
    assert printed.index("Ant hill road") < printed.index("Zebra crossing the road")
    assert "[207]" in printed
    assert "'bath.isbn'" in printed


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
