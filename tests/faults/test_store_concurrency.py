"""Readers beside a writer of another process: every answer is of one state."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from protocol.query import Boolean, Clause, Operator, SortSpec, Structure
from store.catalogue import SqliteCatalogue
from store.result_set import RecordSet
from store.writer import CatalogueWriter
from tests.catalogue_records import DATABASES, book, put

CHECKOUT = Path(__file__).resolve().parents[2]
RECORDS = 40
QUESTIONS = 400

WRITING = """
import random
import sys
from pathlib import Path
from store.writer import CatalogueWriter
from tests.catalogue_records import DATABASES, book
writer = CatalogueWriter(Path(sys.argv[1]), DATABASES, durable=False, merge_after_records=15)
print("go", flush=True)
while True:
    number, colour = random.randrange(40), random.choice(["red", "blue"])
    title = f"The {colour} chamber of {random.random()}"
    writer.put("we_cat", book(f"n{number}", title, subjects=(colour,)))
"""


async def count(catalogue: SqliteCatalogue, query: Boolean | Clause) -> int:
    result = await catalogue.search(DATABASES, query, {})
    assert isinstance(result, RecordSet)
    return len(result)


def test_every_answer_is_of_one_state_of_the_catalogue(tmp_path: Path) -> None:
    writer = CatalogueWriter(tmp_path, DATABASES, durable=False)
    for number in range(RECORDS):
        put(writer, book(f"n{number}", "The red chamber of 0", subjects=("red",)))
    writer.close()
    catalogue = SqliteCatalogue(tmp_path)
    red, blue = Clause("title", "red"), Clause("title", "blue")
    phrase = Clause("title", "red chamber", structure=Structure.PHRASE)

    async def ask() -> set[int]:
        seen = set()
        for _ in range(QUESTIONS):
            assert await count(catalogue, Boolean(Operator.OR, red, blue)) == RECORDS
            assert await count(catalogue, Boolean(Operator.AND, red, blue)) == 0
            changed = Boolean(Operator.AND_NOT, phrase, Clause("subject", "red"))
            assert await count(catalogue, changed) == 0
            seen.add(await count(catalogue, red))
            await asyncio.sleep(0)
        return seen

    with subprocess.Popen(
        [sys.executable, "-c", WRITING, str(tmp_path)], cwd=CHECKOUT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"go\n"
        try:
            seen = asyncio.run(ask())
        finally:
            process.send_signal(signal.SIGKILL)
    assert len(seen) > 1  # it did change meanwhile
    catalogue.close()


def test_a_set_keeps_its_positions_while_another_process_writes(tmp_path: Path) -> None:
    writer = CatalogueWriter(tmp_path, DATABASES, durable=False)
    for number in range(RECORDS):
        put(writer, book(f"n{number}", "The red chamber of 0", subjects=("red",)))
    writer.close()
    catalogue = SqliteCatalogue(tmp_path)

    async def ask() -> int:
        chosen = await catalogue.search(DATABASES, Clause("subject", "red"), {})
        assert isinstance(chosen, RecordSet)
        in_order = await catalogue.sort([chosen], [SortSpec("title", descending=True)])
        assert isinstance(in_order, RecordSet)
        before = list(chosen.order), list(in_order.order)
        changed = asked = 0
        while asked < QUESTIONS // 4 or not changed:
            asked += 1
            assert (list(chosen.order), list(in_order.order)) == before
            page = await catalogue.fetch(before[1][10:20])
            assert [record.record_id for record in page if record] == before[1][10:20]
            assert await count(catalogue, Clause("title", "chamber")) == RECORDS
            changed = sum(record.version > 1 for record in page if record)
            await asyncio.sleep(0)
        return changed

    with subprocess.Popen(
        [sys.executable, "-c", WRITING, str(tmp_path)], cwd=CHECKOUT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"go\n"
        try:
            assert asyncio.run(ask())  # they did change meanwhile
        finally:
            process.send_signal(signal.SIGKILL)
    catalogue.close()
