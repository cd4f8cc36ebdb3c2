"""Rebuilding the index while the catalogue is used."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from protocol.query import Clause
from protocol.record import Holding
from store import reindex as rebuilding
from store.load import load
from store.reindex import NEW_FILE_NAME, RUNS_FOLDER_NAME, check, reindex, unfinished_reindex
from store.result_set import RecordSet
from store.sqlite import StoreError
from store.writer import CatalogueWriter
from tests.catalogue_records import DATABASES, Library, book, put


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path)
    for number in range(80):
        record_id = put(library.writer, book(f"n{number}", f"Title {number}", author="Cao"))
        if number % 3 == 0:
            library.writer.put_holding(Holding("PKU", record_id))
    library.merge()
    put(library.writer, book("n1", "Changed before"))
    yield library
    library.close()


@pytest.fixture
def other(library: Library) -> Iterator[CatalogueWriter]:
    """What another process would write with."""
    writer = CatalogueWriter(library.directory, DATABASES, durable=False, merge_after_records=None)
    yield writer
    writer.close()


async def found(library: Library, word: str) -> int:
    result = await library.catalogue.search(DATABASES, Clause("title", word), {})
    assert isinstance(result, RecordSet)
    return len(result)


def at_each_step(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> list[str]:
    """Have `change` called before every step of a rebuilding; returns their names."""
    steps: list[str] = []
    for name in ("_build", "_write", "_merge", "_catch_up", "_switch"):
        step = getattr(rebuilding._Rebuild, name)

        def hooked(
            self: object,
            *arguments: object,
            name: str = name,
            step: Callable[..., object] = step,
        ) -> object:
            steps.append(name)
            change()
            return step(self, *arguments)

        monkeypatch.setattr(rebuilding._Rebuild, name, hooked)
    return steps


def mark_as_old(writer: CatalogueWriter) -> None:
    writer.connection.execute("UPDATE meta SET value = 'old' WHERE key = 'index'")


def test_a_rebuilt_index_is_what_the_records_bring(library: Library) -> None:
    told: list[tuple[int, int]] = []
    count = reindex(library.writer, processes=0, progress=lambda *done: told.append(done))
    assert count == 80
    assert told[-1] == (80, 80)
    assert check(library.writer.connection) == []
    assert unfinished_reindex(library.writer.connection) is None
    assert not (library.directory / NEW_FILE_NAME).exists()
    assert not (library.directory / RUNS_FOLDER_NAME).exists()


def test_records_change_at_every_step_and_none_is_lost(
    library: Library, other: CatalogueWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "CHUNK_RECORDS", 10)
    monkeypatch.setattr(rebuilding, "SWITCH_RECORDS_MAX", 12)
    monkeypatch.setattr(rebuilding, "CAUGHT_UP_MIN", 7)
    draw = random.Random(3)
    changes = iter(range(25))

    def change() -> None:
        """As members do: records come and go and change, holdings too, and are merged."""
        if next(changes, None) is None:
            return
        for _ in range(3):
            number = draw.randrange(120)
            record_id = put(other, book(f"n{number}", f"Online {draw.random()}"))
            if draw.random() < 0.4:
                other.put_holding(Holding(draw.choice(["PKU", "THU"]), record_id))
            other.remove_holding("PKU", draw.randrange(1, 80))
            if draw.random() < 0.3:
                other.delete(record_id)
        other.merge(records_max=draw.randrange(1, 9))

    steps = at_each_step(monkeypatch, change)
    mark_as_old(library.writer)
    with pytest.raises(StoreError, match="run `lianmu reindex`"):
        put(other, book("n0", "Refused"))
    library.writer.connection.execute(
        "UPDATE meta SET value = ? WHERE key = 'index'", (rebuilding.fingerprint(),)
    )
    reindex(library.writer, processes=0)
    assert steps.count("_write") > 1
    assert steps.count("_catch_up") > 1
    assert check(library.writer.connection) == []
    library.merge()
    assert check(library.writer.connection) == []


async def test_searches_see_the_old_index_until_the_new_one_is_there(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the old index says of a word that no record has tells which one answers.
    library.writer.connection.execute(
        "UPDATE posting SET term = 'cantitle' WHERE term = 'title' AND register_id ="
        " (SELECT register_id FROM register WHERE name = 'title')"
    )
    library.writer.connection.execute("UPDATE state SET generation = generation + 1")
    assert (await found(library, "cantitle"), await found(library, "title")) == (79, 0)
    seen: set[int] = set()
    switch = rebuilding._Rebuild._switch

    def looked_at(self: rebuilding._Rebuild, *arguments: object) -> bool:
        library.catalogue._reader.release()
        result = library.catalogue.search_at_once(DATABASES, Clause("title", "cantitle"), {})
        assert isinstance(result, RecordSet)
        seen.add(len(result))
        return switch(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(rebuilding._Rebuild, "_switch", looked_at)
    reindex(library.writer, processes=0)
    assert seen == {79}
    assert (await found(library, "cantitle"), await found(library, "title")) == (0, 79)


def test_another_writer_goes_on_when_the_index_is_current_again(
    library: Library, other: CatalogueWriter
) -> None:
    mark_as_old(library.writer)
    with pytest.raises(StoreError, match="run `lianmu reindex`"):
        put(other, book("n0", "Refused"))
    reindex(library.writer, processes=0)
    put(other, book("n0", "Accepted"))
    mark_as_old(library.writer)
    with pytest.raises(StoreError, match="run `lianmu reindex`"):
        put(other, book("n0", "Refused again"))
    reindex(library.writer, processes=0)


class _BrokenOff(Exception):  # noqa: N818 - what happens to a rebuilding
    pass


@pytest.mark.parametrize("at", ["_write", "_merge", "_catch_up", "_switch"])
def test_a_rebuilding_that_was_broken_off_goes_on(
    library: Library, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    monkeypatch.setattr(rebuilding, "CHUNK_RECORDS", 10)
    monkeypatch.setattr(rebuilding, "SWITCH_RECORDS_MAX", 3)
    with monkeypatch.context() as patch:
        patch.setattr(rebuilding, "CAUGHT_UP_MIN", 2)
        steps: list[str] = []

        def change() -> None:
            # A few new ones: each is a step more, and an endless load would never be over.
            put(library.writer, book(f"s{min(len(steps), 4)}", f"Meanwhile {len(steps)}"))
            put(library.writer, book(f"n{len(steps)}", "Meanwhile"))
            if steps.count(at) > (at != "_merge"):
                raise _BrokenOff

        steps = at_each_step(patch, change)
        with pytest.raises(_BrokenOff):
            reindex(library.writer, processes=0)
    state = unfinished_reindex(library.writer.connection)
    assert state is not None and state.changes > 0
    put(library.writer, book("n70", "In between"))
    told: list[int] = []
    reindex(library.writer, processes=0, progress=lambda done, _: told.append(done))
    if at != "_write":
        assert len(told) <= 3  # what was built is not built again
    assert check(library.writer.connection) == []
    assert unfinished_reindex(library.writer.connection) is None


def test_a_rebuilding_of_another_analysis_is_begun_anew(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        if steps[-1:] == ["_merge"]:
            raise _BrokenOff

    with monkeypatch.context() as patch:
        patch.setattr(rebuilding, "fingerprint", lambda: "another")
        steps: list[str] = []
        steps = at_each_step(patch, stop)
        with pytest.raises(_BrokenOff):
            reindex(library.writer, processes=0)
    told: list[int] = []
    reindex(library.writer, processes=0, progress=lambda done, _: told.append(done))
    assert told[-1] == 80
    assert check(library.writer.connection) == []


def test_a_load_may_run_beside_it(
    library: Library, other: CatalogueWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "more.mrc"
    file.write_bytes(b"".join(book(f"l{number}", f"Loaded {number}") for number in range(300)))
    loads = iter([file])

    def change() -> None:
        if steps[-1] == "_merge":
            for path in loads:
                load(other, [path], "we_cat", processes=0)

    steps = at_each_step(monkeypatch, change)
    assert reindex(library.writer, processes=0) == 380
    assert check(library.writer.connection) == []
