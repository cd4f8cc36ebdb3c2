"""What docs/z3950.md names as not supported is answered with the diagnostic that it names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from docs.z3950 import NOT_SUPPORTED
from protocol import apdu, oid
from protocol.apdu_common import AttributeElement
from protocol.apdu_query import OtherQuery, ResultAttr, RpnQuery
from protocol.apdu_services import DatabaseSortKey
from protocol.grs1 import ESPEC_1, CompositeElement, Espec, SpecificTag
from tests.harness import RunningServer
from tests.z3950_client import Client, connected, diagnostic, search_request

Ask = Callable[[Client], int]

TITLE = (AttributeElement(type=1, value=4),)


def searched(query: apdu.Query | str) -> Ask:
    def ask(client: Client) -> int:
        if isinstance(query, str):
            return diagnostic(client.search(query, "we_cat"))[0]
        request = replace(search_request("x", "we_cat"), query=query)
        return diagnostic(client.ask(request, apdu.SearchResponse))[0]

    return ask


def restricted(client: Client) -> int:
    client.search("@attr 1=4 art", "we_cat", result_set_name="kept")
    node = ResultAttr(result_set="kept", attributes=TITLE)
    return searched(RpnQuery(oid.BIB_1, node))(client)


def proximity_of_sets(client: Client) -> int:
    client.search("@attr 1=4 art", "we_cat", result_set_name="kept")
    return searched("@prox 0 1 1 2 k 2 @set kept @attr 1=4 art")(client)


def composite(client: Client) -> int:
    client.search("@attr 1=4 art", "we_cat")
    tag = SpecificTag(tag_type=2, tag_value=1)
    espec = Espec(elements=(CompositeElement(element_list=("B",), delivery_tag=(tag,)),))
    wish = apdu.CompSpec(
        select_alternative_syntax=False,
        generic=apdu.Specification(element_spec=apdu.External.of(oid.ESPEC_1, ESPEC_1, espec)),
    )
    return diagnostic(client.present(1, 1, oid.GRS_1, record_composition=wish))[0]


def sorted_by(element: apdu.SortElement, relation: int) -> Ask:
    def ask(client: Client) -> int:
        client.search("@attr 1=4 art", "we_cat")
        key = apdu.SortKeySpec(
            sort_element=element,
            sort_relation=relation,
            case_sensitivity=apdu.CaseSensitivity.CASE_INSENSITIVE,
        )
        request = apdu.SortRequest(
            input_result_set_names=("default",), sorted_result_set_name="s", sort_sequence=(key,)
        )
        return only(client.ask(request, apdu.SortResponse).diagnostics)

    return ask


def item_order(client: Client) -> int:
    request = apdu.ExtendedServicesRequest(
        function=apdu.EsFunction.CREATE,
        package_type=oid.ES_ITEM_ORDER,
        wait_action=apdu.WaitAction.WAIT,
    )
    return only(client.ask(request, apdu.ExtendedServicesResponse).diagnostics)


def duplicate_detection(client: Client) -> int:
    request = apdu.DuplicateDetectionRequest(
        input_result_set_ids=("default",), output_result_set_name="d", retention_criteria=()
    )
    return only(client.ask(request, apdu.DuplicateDetectionResponse).diagnostics)


def only(diagnostics: tuple[object, ...]) -> int:
    [told] = diagnostics
    assert isinstance(told, apdu.DefaultDiagFormat)
    return told.condition


# One or more requests for each line of the page, by how the line begins.
ASKED: dict[str, tuple[Ask, ...]] = {
    "query types 0": tuple(searched(OtherQuery(type_, b"")) for type_ in (0, 2, 100, 102)),
    "phonetic": (searched("@attr 1=4 @attr 2=100 x"), searched("@attr 1=4 @attr 2=101 x")),
    "order": tuple(searched(f'@attr 1=4 @attr 2={each} "a b"') for each in (1, 2, 4, 5, 104)),
    "result sets restricted": (restricted,),
    "proximity of result sets": (proximity_of_sets,),
    "proximity by": tuple(
        searched(f"@prox 0 1 1 2 k {unit} @attr 1=4 a @attr 1=4 b") for unit in (1, 3, 4, 5, 6, 7)
    ),
    "variants": (composite,),
    "database-specific sort": (
        sorted_by((DatabaseSortKey(database_name="we_cat", db_sort="title"),), 0),
    ),
    "sort by frequency": (sorted_by("title", 3), sorted_by("title", 4)),
    "Extended Services": (item_order,),
    "Duplicate Detection": (duplicate_detection,),
}


@pytest.mark.parametrize(("what", "condition"), NOT_SUPPORTED, ids=lambda each: str(each)[:30])
def test_what_the_page_names_is_refused_as_it_says(
    demo: RunningServer, what: str, condition: int
) -> None:
    [requests] = [asks for begin, asks in ASKED.items() if what.startswith(begin)]
    for ask in requests:
        with connected(demo.z3950, "demo1/demo1") as client:
            assert ask(client) == condition
            assert client.search("@attr 1=4 art", "we_cat").search_status  # the session goes on
