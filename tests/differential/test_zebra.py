"""Lianmu finds as many records as Zebra does, or the table says why not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.differential.catalogues import DATABASE, as_folded, chosen_records, our_server, zebra
from tests.differential.explained import EXPLAINED
from tests.differential.queries import Asked, queries
from tests.z3950_client import Client, connected, diagnostic

pytestmark = [pytest.mark.shared_data, pytest.mark.real_client, pytest.mark.timeout(600)]

KINDS = (
    "word", "word list", "phrase", "not a phrase", "right truncation", "left truncation",
    "both truncations", "first in field", "not first in field", "complete field",
    "begins field", "incomplete field", "number", "begins number", "date", "date relation",
    "boolean", "result set", "hand",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Compared:
    """A query and how many records either server found."""

    asked: Asked
    ours: int
    zebras: int


@pytest.fixture(scope="module")
def compared(
    shared_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
    client_program: Callable[[str], str],
) -> list[Compared]:
    client_program("zebraidx")
    client_program("zebrasrv")
    folder = tmp_path_factory.mktemp("differential")
    records = chosen_records(shared_data)
    with ExitStack() as stack:
        of_zebra = stack.enter_context(zebra(folder / "zebra", records, as_folded(records)))
        of_ours = stack.enter_context(our_server(folder / "lianmu", records))
        peer = stack.enter_context(connected(of_zebra))
        ours = stack.enter_context(connected(of_ours))
        return [Compared(asked, hits(ours, asked), hits(peer, asked)) for asked in queries(records)]


def hits(client: Client, asked: Asked) -> int:
    """How many records the query finds; a diagnostic fails the test."""
    if asked.first:
        client.search(asked.first, DATABASE, result_set_name=asked.set_name)
    response = client.search(asked.query, DATABASE)
    assert response.records is None or isinstance(response.records, tuple), (
        str(asked),
        diagnostic(response),
    )
    return response.result_count


@pytest.mark.parametrize("kind", KINDS)
def test_both_servers_find_as_many_records(compared: list[Compared], kind: str) -> None:
    of_kind = [each for each in compared if each.asked.kind == kind]
    assert of_kind
    wrong = []
    for each in of_kind:
        explained = EXPLAINED.get(str(each.asked))
        if explained is None:
            if each.ours != each.zebras:
                wrong.append(f"{each.ours} here, {each.zebras} in Zebra: {each.asked}")
        elif (each.ours, each.zebras) != (explained.ours, explained.zebras):
            wrong.append(
                f"{each.ours} here, {each.zebras} in Zebra, where the table has "
                f"{explained.ours} and {explained.zebras}: {each.asked}"
            )
    assert not wrong, "\n" + "\n".join(wrong)


def test_the_comparison_is_wide_and_most_queries_find_something(compared: list[Compared]) -> None:
    assert {each.asked.kind for each in compared} == set(KINDS)
    assert len(compared) >= 700
    assert sum(each.zebras > 0 for each in compared) > len(compared) * 2 // 3


def test_every_explained_query_is_asked(compared: list[Compared]) -> None:
    assert set(EXPLAINED) <= {str(each.asked) for each in compared}
