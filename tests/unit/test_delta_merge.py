"""Merging changed records into the main index: in bounded steps, and never half."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.diagnostic import Diagnostic
from protocol.query import Clause, SortSpec
from protocol.record import Holding
from store import writer as writing
from store.batch import Batch
from store.interface import ResultSet
from store.load import load
from store.reindex import check, reindex
from store.result_set import RecordSet
from store.writer import CatalogueWriter
from tests.catalogue_records import DATABASES, Library, book, put


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path)
    yield library
    assert check(library.writer.connection) == []
    library.close()


def delta_rows(library: Library) -> int:
    row = library.writer.connection.execute("SELECT count(*) FROM delta").fetchone()
    return int(row[0])


def generation(library: Library) -> int:
    return int(library.writer.connection.execute("SELECT generation FROM state").fetchone()[0])


def test_a_step_is_bounded_and_the_oldest_changes_go_first(library: Library) -> None:
    for number in range(25):
        put(library.writer, book(f"n{number}", f"Title {number}"))
    before = generation(library)
    assert library.writer.merge(records_max=10) == 15
    assert generation(library) == before + 1
    left = library.writer.connection.execute("SELECT record_id FROM delta ORDER BY record_id")
    assert [row[0] for row in left] == list(range(11, 26))
    assert library.writer.merge(records_max=10) == 5
    assert library.writer.merge(records_max=10) == 0
    # With nothing to do, readers keep what they have.
    before = generation(library)
    assert library.writer.merge() == 0
    assert generation(library) == before


def test_updates_without_a_pause_leave_a_bounded_delta(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MERGE_STEP_RECORDS", 7)
    library = Library(tmp_path, merge_after_records=20)
    merged: list[int] = []
    step = writing.CatalogueWriter.merge_step

    def counted(self: writing.CatalogueWriter, records_max: int) -> None:
        before = delta_rows(library)
        step(self, records_max)
        merged.append(before - delta_rows(library))

    monkeypatch.setattr(writing.CatalogueWriter, "merge_step", counted)
    for number in range(200):
        put(library.writer, book(f"n{number % 150}", f"Title {number}"))
        assert delta_rows(library) <= 20
    assert merged
    assert set(merged) == {7}  # one step at a time: no update waits for more
    library.close()


def test_a_step_that_fails_is_undone_and_done_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        put(library.writer, book(f"n{number}", f"Title {number}"))
    library.writer.merge(records_max=10)
    put(library.writer, book("n3", "Changed"))
    write = Batch.write

    def half(self: Batch, *arguments: object) -> None:
        write(self, *arguments)  # type: ignore[arg-type]
        raise OSError("the machine is on fire")

    before = (delta_rows(library), generation(library))
    with monkeypatch.context() as patch:
        patch.setattr(Batch, "write", half)
        with pytest.raises(OSError, match="on fire"):
            library.writer.merge()
    assert (delta_rows(library), generation(library)) == before
    assert check(library.writer.connection) == []
    assert library.writer.merge() == 0


def test_a_backlog_is_merged_step_by_step_but_for_its_end(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = generation(library)
    assert library.writer.merge_backlog() == 0
    for number in range(24):
        put(library.writer, book(f"n{number}", f"Title {number}"))
    step = CatalogueWriter.merge_step
    monkeypatch.setattr(CatalogueWriter, "merge_step", lambda self, _: step(self, 7))
    monkeypatch.setattr(writing, "MERGE_STEP_RECORDS", 7)
    assert library.writer.merge_backlog() == 3
    assert delta_rows(library) == 3
    assert generation(library) == before + 3  # nobody waits for more than a step
    assert library.writer.merge_backlog() == 0


def ids(result: ResultSet) -> list[int]:
    found = result.ids(1, len(result))
    assert not isinstance(found, Diagnostic)
    return list(found)


async def test_frozen_sets_keep_their_positions_whatever_happens(
    library: Library, tmp_path: Path
) -> None:
    draw = random.Random(11)
    for number in range(60):
        put(library.writer, book(f"n{number}", f"Red title {draw.random()}", author="Cao"))
    library.merge()
    for number in range(0, 60, 7):  # some of them are in the delta when the sets are made
        put(library.writer, book(f"n{number}", f"Red changed {number}", author="Cao"))
    plain = await library.catalogue.search(DATABASES, Clause("title", "red"), {})
    ranked = await library.catalogue.search(
        DATABASES, Clause("title", "red title", ranked=True), {}
    )
    assert isinstance(plain, RecordSet)
    assert isinstance(ranked, RecordSet)
    in_order = await library.catalogue.sort([plain], [SortSpec("title")])
    assert isinstance(in_order, RecordSet)
    sets = {"plain": plain, "ranked": ranked, "in order": in_order}
    before = {name: ids(each) for name, each in sets.items()}
    octets = {name: each.to_bytes() for name, each in sets.items()}
    file = tmp_path / "more.mrc"
    for round_ in range(12):
        number = draw.randrange(60)
        record_id = put(library.writer, book(f"n{number}", f"Blue {round_}"))
        put(library.writer, book(f"new{round_}", "Red and new", author="Cao"))
        library.writer.put_holding(Holding("PKU", record_id))
        if round_ % 3 == 0:
            library.writer.delete(record_id)
        if round_ % 4 == 1:
            library.writer.merge(records_max=draw.randrange(1, 20))
        if round_ % 5 == 2:
            file.write_bytes(b"".join(book(f"n{n}", f"Red again {round_}") for n in range(5)))
            load(library.writer, [file], "we_cat", processes=0)
        if round_ == 8:
            reindex(library.writer, processes=0)
        # Whoever searches goes on seeing changes; the sets stay.
        found = await library.catalogue.search(DATABASES, Clause("title", "new"), {})
        assert isinstance(found, RecordSet)
        assert len(found) == round_ + 1
        assert {name: ids(each) for name, each in sets.items()} == before
    assert {name: each.to_bytes() for name, each in sets.items()} == octets
    # A set as an operand is what it was, and its records are what they are now.
    again = await library.catalogue.sort([in_order], [SortSpec("date")])
    assert isinstance(again, RecordSet)
    assert set(ids(again)) == set(before["in order"])
    records = await library.catalogue.fetch(before["in order"])
    assert all(record is not None for record in records)
    deleted = [record.record_id for record in records if record is not None and record.deleted]
    assert deleted
    assert [record.record_id for record in records if record] == before["in order"]
