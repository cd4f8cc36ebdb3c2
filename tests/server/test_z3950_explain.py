"""The Explain database as a client on the wire sees it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

import pytest

from protocol import apdu, oid
from protocol.access_points import BY_NAME
from protocol.diagnostic import Bib1
from protocol.explain_record import (
    EXPLAIN_RECORD,
    AttributeDetails,
    CategoryList,
    DatabaseInfo,
    RecordSyntaxInfo,
    SortDetails,
    TargetInfo,
    TermListInfo,
)
from protocol.grs1 import SUTRS
from protocol.oid import Oid
from server.z3950.forms import RECORD_SYNTAXES
from tests.harness import RunningServer
from tests.z3950_client import Client, connected, diagnostic, present_request

EXPLAIN = "IR-Explain-1"
T = TypeVar("T")


def found(client: Client, query: str, kind: type[T]) -> list[T]:
    """Every record of a search, which must all be of `kind`."""
    response = client.search(query, EXPLAIN)
    assert response.search_status, response.records
    records = []
    for external in presented(client, response.result_count, oid.EXPLAIN):
        assert external.direct_reference == oid.EXPLAIN
        record = external.decode(EXPLAIN_RECORD)
        assert isinstance(record, kind)
        records.append(record)
    return records


def presented(client: Client, count: int, syntax: Oid | None) -> list[apdu.External]:
    response = client.present(1, count, syntax)
    assert response.present_status == apdu.PresentStatus.SUCCESS
    assert isinstance(response.records, tuple)
    externals = []
    for each in response.records:
        assert each.name == EXPLAIN
        assert isinstance(each.record, apdu.External)
        externals.append(each.record)
    return externals


def test_the_category_list_names_what_can_be_asked_for(demo: RunningServer) -> None:
    with connected(demo.z3950) as client:
        (listed,) = found(client, "@attr exp1 1=1 categorylist", CategoryList)
        names = {each.category for each in listed.categories}
        assert {
            "TargetInfo", "DatabaseInfo", "AttributeDetails", "RecordSyntaxInfo", "CategoryList"
        } <= names  # fmt: skip
        for name in names:
            hits = client.search(f"@attr exp1 1=1 {name}", EXPLAIN).result_count
            assert hits > 0, name


def test_every_database_is_described_with_its_count(demo: RunningServer) -> None:
    with connected(demo.z3950) as client:
        count = client.search("@attr 1=1016 @attr 2=103 x", "we_cat").result_count
        described = {
            each.name: each for each in found(client, "@attr exp1 1=1 DatabaseInfo", DatabaseInfo)
        }
        assert set(described) == {"cn_cat", "we_cat", "jp_cat", "ru_cat", "ancient", EXPLAIN}
        assert described["we_cat"].record_count == count
        assert described[EXPLAIN].explain_database
        (one,) = found(
            client, "@and @attr exp1 1=1 databaseinfo @attr exp1 1=3 CN_CAT", DatabaseInfo
        )
        assert one.name == "cn_cat"
        assert one.title_string[0].text == "中文图书 Chinese"


def test_the_target_tells_its_bounds_and_syntaxes(demo: RunningServer) -> None:
    with connected(demo.z3950) as client:
        (target,) = found(client, "@attr exp1 1=1 @attr 2=3 targetinfo", TargetInfo)
        assert target.named_result_sets
        assert target.max_result_sets == 256
        assert target.timeout_interval is not None
        assert target.timeout_interval.value == 300
        syntaxes = found(client, "@attr exp1 1=1 RecordSyntaxInfo", RecordSyntaxInfo)
        assert {each.record_syntax for each in syntaxes} == {*RECORD_SYNTAXES, oid.EXPLAIN}


def test_attribute_details_are_those_of_the_table_and_are_answered(demo: RunningServer) -> None:
    query = "@and @attr exp1 1=1 attributedetails @attr exp1 1=3 we_cat"
    with connected(demo.z3950) as client:
        (details,) = found(client, query, AttributeDetails)
        (by_set,) = details.attributes_by_set
        assert by_set.attribute_set == oid.BIB_1
        uses, *others = by_set.attributes_by_type
        values = [each.value for each in uses.attribute_values]
        assert {4, 7, 8, 1003, 1016} <= set(values)
        for value in values:
            assert client.search(f"@attr 1={value} 1", "we_cat").search_status, value
        for each in others:
            for value in [one.value for one in each.attribute_values]:
                answer = client.search(f"@attr 1=4 @attr {each.attribute_type}={value} a", "we_cat")
                if not answer.search_status:  # refused beside a title, not as such
                    assert diagnostic(answer)[0] in (
                        Bib1.ATTRIBUTE_COMBINATION_UNSUPPORTED, Bib1.MALFORMED_SEARCH_TERM,
                    )  # fmt: skip


def test_term_lists_and_sort_keys_are_told(demo: RunningServer) -> None:
    with connected(demo.z3950) as client:
        (lists,) = found(
            client, "@and @attr exp1 1=1 termlistinfo @attr exp1 1=3 cn_cat", TermListInfo
        )
        assert "title" in {each.name for each in lists.term_lists}
        assert client.search("@attr exp1 1=15 title", EXPLAIN).result_count == 5
        (sorting,) = found(
            client, "@and @attr exp1 1=1 sortdetails @attr exp1 1=3 cn_cat", SortDetails
        )
        titles = {text.text for key in sorting.sort_keys for text in key.description}
        assert {BY_NAME["title"].title, BY_NAME["title"].title_zh} <= titles


@pytest.mark.parametrize("syntax", [oid.SUTRS, oid.XML])
def test_explain_can_be_read_as_text_and_as_xml(demo: RunningServer, syntax: Oid) -> None:
    with connected(demo.z3950) as client:
        count = client.search("@attr 1=1016 @attr 2=103 x", EXPLAIN).result_count
        assert count > 30
        for record in presented(client, count, syntax):
            assert record.direct_reference == syntax
            if syntax == oid.XML:
                ElementTree.fromstring(record.data)
            else:
                assert record.decode(SUTRS).endswith("\n")


def test_operators_sets_and_piggyback_work_as_in_any_database(demo: RunningServer) -> None:
    with connected(demo.z3950) as client:
        client.search("@attr exp1 1=1 databaseinfo", EXPLAIN, result_set_name="a")
        both = client.search(
            "@not @set a @or @attr exp1 1=3 cn_cat @attr exp1 1=25 explain", EXPLAIN,
            small_set_upper_bound=10, large_set_lower_bound=11, preferred_record_syntax=oid.EXPLAIN,
        )  # fmt: skip
        assert both.result_count == both.number_of_records_returned == 4
        assert client.search("@attr exp1 1=1 databas", EXPLAIN).result_count == 0
        assert client.search("@attr exp1 1=1 @attr 5=1 databas", EXPLAIN).result_count == 6


@pytest.mark.parametrize(
    ("query", "databases", "expected"),
    [
        ("@attr exp1 1=9 x", (EXPLAIN,), (Bib1.USE_ATTRIBUTE_UNSUPPORTED, "9")),
        ("@attr 1=4 x", (EXPLAIN,), (Bib1.USE_ATTRIBUTE_UNSUPPORTED, "4")),
        ("@attr exp1 1=1 @attr 5=3 x", (EXPLAIN,), (Bib1.TRUNCATION_UNSUPPORTED, "3")),
        ("@attr gils 1=1 x", (EXPLAIN,), (Bib1.ATTRIBUTE_SET_UNSUPPORTED, str(oid.GILS))),
        ("@set nowhere", (EXPLAIN,), (Bib1.RESULT_SET_UNKNOWN, "nowhere")),
        ("@attr exp1 1=1 x", (EXPLAIN, "we_cat"),
         (Bib1.DATABASE_COMBINATION_UNSUPPORTED, "IR-Explain-1 and we_cat")),
        ("@attr exp1 1=1 x", ("we_cat",), (Bib1.ATTRIBUTE_SET_UNSUPPORTED, str(oid.EXP_1))),
    ],
)  # fmt: skip
def test_what_explain_does_not_know_is_a_diagnostic(
    demo: RunningServer, query: str, databases: tuple[str, ...], expected: tuple[int, str]
) -> None:
    with connected(demo.z3950) as client:
        assert diagnostic(client.search(query, *databases)) == expected


def test_explain_records_come_in_explain_syntaxes_only_and_within_the_set(
    demo: RunningServer,
) -> None:
    with connected(demo.z3950) as client:
        client.search("@attr exp1 1=1 targetinfo", EXPLAIN)
        refused = client.present(1, 1, oid.USMARC)
        assert diagnostic(refused) == (Bib1.RECORD_SYNTAX_UNSUPPORTED, str(oid.USMARC))
        assert diagnostic(client.present(2, 1, None)) == (Bib1.PRESENT_OUT_OF_RANGE, "2")
        # An Explain set is no operand of the catalogue.
        client.search("@attr exp1 1=1 targetinfo", EXPLAIN, result_set_name="e")
        answer = client.search("@and @set e @attr 1=4 x", "we_cat")
        assert diagnostic(answer) == (Bib1.ILLEGAL_RESULT_SET_NAME, "e")


def test_a_response_with_explain_records_keeps_to_its_size(demo: RunningServer) -> None:
    client = Client(demo.z3950)
    client.init(None, preferred_message_size=4096, exceptional_record_size=4096, options=frozenset(
        {apdu.Option.SEARCH, apdu.Option.PRESENT}))  # fmt: skip
    count = client.search("@attr exp1 1=1 recordsyntaxinfo", EXPLAIN).result_count
    all_of_them = client.search("@attr 1=1016 @attr 2=103 x", EXPLAIN).result_count
    assert all_of_them > count
    response = client.ask(present_request(1, all_of_them, oid.SUTRS), apdu.PresentResponse)
    client.close()
    assert 0 < response.number_of_records_returned < all_of_them
    assert response.present_status == apdu.PresentStatus.PARTIAL_2


@pytest.mark.real_client
@pytest.mark.parametrize("syntax", ["explain", "sutrs", "xml"])
def test_yaz_client_shows_explain_records(
    demo: RunningServer, client_program: Callable[[str], str], tmp_path: Path, syntax: str
) -> None:
    script = tmp_path / "commands"
    script.write_text(
        f"open {demo.z3950}\nbase {EXPLAIN}\nformat {syntax}\n"
        "find @attr exp1 1=1 databaseinfo\nshow 1+1\n"
        "find @and @attr exp1 1=1 attributedetails @attr exp1 1=3 cn_cat\nshow 1\nquit\n"
    )
    done = subprocess.run(
        [client_program("yaz-client"), "-f", str(script)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    # What it decodes of Explain, it prints on stderr.
    printed = done.stdout + done.stderr
    assert "Number of hits: 6" in printed, printed
    assert "IR-Explain-1" in printed
    assert "cn_cat" in printed
    assert "decod" not in printed.lower()
