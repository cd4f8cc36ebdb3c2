"""Lianmu finds as many Chinese records as Zebra does with ICU, or the table says why not.

Zebra takes each ideograph for a word and Lianmu each pair of neighbours, so the
same text is indexed in two ways that must come to the same.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest

import samples
from protocol.record import MarcFamily
from tests.differential.catalogues import DATABASES, as_ideographs, our_server, zebra
from tests.differential.chinese_queries import queries
from tests.differential.explained import EXPLAINED_CHINESE
from tests.z3950_client import connected, diagnostic

pytestmark = [pytest.mark.real_client, pytest.mark.timeout(300)]

CNMARC = ("cn_cat", "ancient")  # of the samples, together in one database here


def test_both_servers_find_as_many_chinese_records(
    tmp_path_factory: pytest.TempPathFactory, client_program: Callable[[str], str]
) -> None:
    client_program("zebraidx")
    client_program("zebrasrv")
    folder = tmp_path_factory.mktemp("chinese")
    records = [marc for name in CNMARC for marc in samples.records(name)]
    database = DATABASES[MarcFamily.UNIMARC]
    found: dict[str, tuple[int, int]] = {}
    with ExitStack() as stack:
        peer = zebra(folder / "zebra", records, as_ideographs(), MarcFamily.UNIMARC)
        of_zebra = stack.enter_context(peer)
        of_ours = stack.enter_context(our_server(folder / "lianmu", records, MarcFamily.UNIMARC))
        clients = [stack.enter_context(connected(each)) for each in (of_ours, of_zebra)]
        for asked in queries(records):
            responses = [client.search(asked.query, database) for client in clients]
            for response in responses:
                assert response.search_status, (asked.query, diagnostic(response))
            ours, zebras = (response.result_count for response in responses)
            found[str(asked)] = (ours, zebras)
    differences = {query: counts for query, counts in found.items() if counts[0] != counts[1]}
    assert differences == {
        query: (each.ours, each.zebras) for query, each in EXPLAINED_CHINESE.items()
    }
    assert len(found) >= 250
    assert sum(zebras > 0 for _, zebras in found.values()) > len(found) * 2 // 3
