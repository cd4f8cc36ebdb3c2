"""Lianmu finds as many UNIMARC records as Zebra does, or the table says why not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from protocol.record import MarcFamily
from tests.differential.catalogues import (
    DATABASES,
    as_folded,
    our_server,
    unimarc_records,
    zebra,
)
from tests.differential.explained import EXPLAINED_UNIMARC
from tests.differential.queries import unimarc_queries
from tests.z3950_client import connected, diagnostic

pytestmark = [pytest.mark.shared_data, pytest.mark.real_client, pytest.mark.timeout(600)]


def test_both_servers_find_as_many_unimarc_records(
    shared_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
    client_program: Callable[[str], str],
) -> None:
    client_program("zebraidx")
    client_program("zebrasrv")
    folder = tmp_path_factory.mktemp("unimarc")
    records = unimarc_records(shared_data)
    database = DATABASES[MarcFamily.UNIMARC]
    found: dict[str, tuple[int, int]] = {}
    with ExitStack() as stack:
        peer = zebra(folder / "zebra", records, as_folded(records), MarcFamily.UNIMARC)
        of_zebra = stack.enter_context(peer)
        of_ours = stack.enter_context(our_server(folder / "lianmu", records, MarcFamily.UNIMARC))
        clients = [stack.enter_context(connected(each)) for each in (of_ours, of_zebra)]
        for asked in unimarc_queries(records):
            counts = []
            for client in clients:
                if asked.first:
                    client.search(asked.first, database, result_set_name=asked.set_name)
                response = client.search(asked.query, database)
                assert response.search_status, (str(asked), diagnostic(response))
                counts.append(response.result_count)
            found[str(asked)] = (counts[0], counts[1])
    differences = {query: counts for query, counts in found.items() if counts[0] != counts[1]}
    assert differences == {
        query: (each.ours, each.zebras) for query, each in EXPLAINED_UNIMARC.items()
    }
    assert len(found) >= 500
    assert sum(zebras > 0 for _, zebras in found.values()) > len(found) * 2 // 3
