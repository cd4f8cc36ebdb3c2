"""A read that is held: it sees every commit, and lets the log be folded."""

from __future__ import annotations

import asyncio
from pathlib import Path

from protocol.query import Clause
from store import catalogue as catalogue_module
from store.result_set import RecordSet
from store.snapshot import Snapshot
from store.sqlite import open_reader
from tests.catalogue_records import DATABASES, Library, book, put


def test_a_snapshot_stays_until_something_is_committed(tmp_path: Path) -> None:
    library = Library(tmp_path)
    put(library.writer, book("n1", "Physics"))
    reader = open_reader(library.writer.path)
    snapshot = Snapshot(reader, library.writer.path)
    assert snapshot.renew()
    assert not snapshot.renew()
    put(library.writer, book("n2", "Chemistry"))
    assert snapshot.renew()
    assert reader.execute("SELECT count(*) FROM record").fetchone() == (2,)
    assert not snapshot.renew()
    snapshot.release()
    assert snapshot.renew()
    snapshot.release()
    snapshot.release()
    reader.close()
    library.close()


def test_every_commit_is_seen_by_the_next_question(tmp_path: Path) -> None:
    library = Library(tmp_path, merge_after_records=7)

    async def ask() -> None:
        for number in range(60):
            put(library.writer, book(f"n{number}", "Physics"))
            result = await library.catalogue.search(DATABASES, Clause("title", "physics"), {})
            assert isinstance(result, RecordSet)
            assert len(result) == number + 1
            records = await library.catalogue.fetch([number + 1])
            assert records[0] is not None

    asyncio.run(ask())
    library.close()


async def test_an_idle_reader_lets_the_log_be_folded(tmp_path: Path) -> None:
    library = Library(tmp_path)
    put(library.writer, book("n1", "Physics"))
    await library.catalogue.search(DATABASES, Clause("title", "physics"), {})
    put(library.writer, book("n2", "Chemistry"))
    deadline = asyncio.get_running_loop().time() + 5
    is_blocked = 1
    while is_blocked and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(catalogue_module.SNAPSHOT_AGE_MAX_S)
        is_blocked = library.writer.connection.execute(
            "PRAGMA wal_checkpoint(TRUNCATE)"
        ).fetchone()[0]
    assert not is_blocked
    library.close()
