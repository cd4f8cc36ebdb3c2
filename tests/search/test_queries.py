"""Every query of the tables finds what it must and nothing that it must not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.query import Query
from store.result_set import RecordSet
from tests.search.corpus import build_catalogue, files
from tests.search.query_table import Asked, Expected, pairs, read_table

pytestmark = [pytest.mark.shared_data, pytest.mark.timeout(900)]

TABLE = read_table(Path(__file__).with_name("queries.txt"))
LARGE_TABLE = read_table(Path(__file__).with_name("queries_large.txt"))


class Corpus:
    """The catalogue of the real files, and its records by database and 001."""

    def __init__(self, directory: Path, shared_data: Path, *, large: bool) -> None:
        self.catalogue = build_catalogue(directory, files(shared_data, large=large))
        self._databases = self.catalogue.resolve(["all"])
        rows = self.catalogue._execute(
            "SELECT name, control_number, record_id, unpacked(marc) FROM record JOIN database"
            " USING (database_id)"
        )
        self._records = {
            (name, number.strip()): (record_id, marc.decode())
            for name, number, record_id, marc in rows
        }

    async def found(self, query: Query) -> RecordSet:
        assert isinstance(self._databases, tuple)
        found = await self.catalogue.search(self._databases, query, {})
        assert isinstance(found, RecordSet), found
        return found

    def record(self, expected: Expected) -> tuple[int, str]:
        return self._records[expected.database, expected.control_number]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[Corpus]:
    corpus = Corpus(tmp_path_factory.mktemp("corpus"), shared_data, large=False)
    yield corpus
    corpus.catalogue.close()


@pytest.fixture(scope="module")
def whole_corpus(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[Corpus]:
    corpus = Corpus(tmp_path_factory.mktemp("whole"), shared_data, large=True)
    yield corpus
    corpus.catalogue.close()


def _name(asked: Asked) -> str:
    return f"{asked.line}: {asked.text}"


async def _check(corpus: Corpus, asked: Asked) -> None:
    records = (await corpus.found(asked.query())).records
    for expected in asked.expected:
        record_id, marc = corpus.record(expected)
        assert expected.witness in marc, f"{expected.control_number} is another record"
        assert (record_id in records) is expected.found, expected


def test_the_table_is_as_long_as_it_should_be() -> None:
    assert len(TABLE) >= 350
    assert sum(not expected.found for _, expected in pairs(TABLE)) >= 100
    assert len({asked.text for asked in TABLE}) == len(TABLE), "a query stands twice"


@pytest.mark.parametrize("asked", TABLE, ids=_name)
async def test_a_query_finds_what_a_cataloguer_expects(corpus: Corpus, asked: Asked) -> None:
    await _check(corpus, asked)


@pytest.mark.long
@pytest.mark.parametrize("asked", [*TABLE, *LARGE_TABLE], ids=_name)
async def test_it_does_among_all_the_files_too(whole_corpus: Corpus, asked: Asked) -> None:
    await _check(whole_corpus, asked)
