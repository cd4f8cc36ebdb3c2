"""The ranks kept for sorting: made once, and right all the same while records change."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroaring import BitMap

from protocol.query import SortSpec
from store import sort_ranks
from store.load import load
from store.reader import BoundExceeded, Bounds, IndexReader
from store.reindex import reindex
from store.result_set import RecordSet
from store.sort import sort
from store.sort_ranks import RankCache
from tests.catalogue_records import Library, book, put

TITLE = SortSpec("title")


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path / "catalogue")
    for number in range(40):
        put(library.writer, book(f"n{number}", f"Title {number * 7 % 40:02}"))
    library.merge()
    yield library
    library.close()


@pytest.fixture
def reader(library: Library) -> Iterator[IndexReader]:
    reader = IndexReader(library.writer.path)
    yield reader
    reader.close()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The access points whose ranks have been made, in order."""
    made: list[str] = []
    make = sort_ranks._make_ranks

    def counting(reader: IndexReader, access_point: str) -> sort_ranks.SortRanks:
        made.append(access_point)
        return make(reader, access_point)

    monkeypatch.setattr(sort_ranks, "_make_ranks", counting)
    return made


def in_order(
    reader: IndexReader, cache: RankCache, *, key: SortSpec = TITLE, inline: bool = False
) -> list[int]:
    reader.release()
    reader.begin(Bounds(1000, 1 << 20, inline=inline))
    last_id = reader.connection.execute("SELECT max(record_id) FROM record").fetchone()[0]
    chosen = RecordSet(BitMap(range(1, last_id + 1)))
    result = sort(reader, cache, [chosen], [key])
    assert isinstance(result, RecordSet)
    return list(result.order)


def test_merges_and_loads_leave_the_ranks_in_use(
    library: Library, reader: IndexReader, made: list[str], tmp_path: Path
) -> None:
    cache = RankCache()
    in_order(reader, cache)
    put(library.writer, book("n3", "Title 00"))
    put(library.writer, book("new", "Before all"))
    library.merge()
    file = tmp_path / "more.mrc"
    file.write_bytes(book("n5", "Zebra") + book("loaded", "Title 00 and more"))
    load(library.writer, [file], "we_cat")
    kept = in_order(reader, cache)
    assert made == ["title"]
    assert kept == in_order(reader, RankCache())
    assert made == ["title"] * 2
    assert kept[0] == 41  # "Before all"


def test_kept_ranks_order_as_new_ones_whatever_has_changed(
    library: Library, reader: IndexReader, made: list[str]
) -> None:
    draw = random.Random(5)
    cache = RankCache()
    in_order(reader, cache)
    keys = [
        TITLE, SortSpec("title", descending=True), SortSpec("title", missing="low"),
        SortSpec("title", missing="omit"), SortSpec("title", missing="=Title 11"),
    ]  # fmt: skip
    for round_ in range(30):
        for _ in range(draw.randrange(1, 5)):
            number = draw.randrange(60)
            title = draw.choice(["", "!", f"Title {draw.randrange(40):02}", f"A{draw.random()}"])
            record_id = put(library.writer, book(f"n{number}", title))
            if draw.random() < 0.2:
                library.writer.delete(record_id)
        if draw.random() < 0.7:
            library.writer.merge(records_max=draw.randrange(1, 6))
        for key in keys:
            assert in_order(reader, cache, key=key) == in_order(reader, RankCache(), key=key), (
                round_,
                key,
            )
    assert len(made) == 1 + 30 * len(keys)  # the kept ones were never made again


def test_a_rebuilt_index_is_ranked_anew(
    library: Library, reader: IndexReader, made: list[str]
) -> None:
    cache = RankCache()
    in_order(reader, cache)
    reindex(library.writer, processes=0)
    in_order(reader, cache)
    assert made == ["title"] * 2


def test_a_question_about_too_many_changed_records_is_ranked_anew(
    library: Library, reader: IndexReader, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sort_ranks, "STALE_READ_MAX", 4)
    cache = RankCache()
    in_order(reader, cache)
    for number in range(5):
        put(library.writer, book(f"n{number}", f"Other {number}"))
    library.merge()
    assert in_order(reader, cache) == in_order(reader, RankCache())
    assert made == ["title"] * 3
    in_order(reader, cache)
    assert made == ["title"] * 3


def test_many_new_values_in_a_row_are_ranked_anew(
    library: Library, reader: IndexReader, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sort_ranks, "_STEPS_MAX", 3)
    cache = RankCache()
    in_order(reader, cache)
    for number in range(9):
        put(library.writer, book(f"series{number}", f"Title 20 part {number}"))
    library.merge()
    kept = in_order(reader, cache)
    assert made == ["title"] * 2
    assert kept == in_order(reader, RankCache())


def test_a_question_is_answered_by_one_state_of_the_ranks(
    library: Library, reader: IndexReader
) -> None:
    cache = RankCache()
    in_order(reader, cache)
    before = cache.get(reader, "title", BitMap())
    put(library.writer, book("n3", "Another"))
    library.merge()
    in_order(reader, cache)
    after = cache.get(reader, "title", BitMap())
    assert (len(before.stale), len(after.stale)) == (0, 1)
    assert after.places is before.places


def test_the_event_loop_neither_makes_ranks_nor_reads_many_records(
    library: Library, reader: IndexReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sort_ranks, "STALE_READ_INLINE_MAX", 2)
    cache = RankCache()
    with pytest.raises(BoundExceeded):
        in_order(reader, cache, inline=True)
    in_order(reader, cache)
    for number in range(2):
        put(library.writer, book(f"n{number}", "Other"))
    library.merge()
    in_order(reader, cache, inline=True)
    for number in range(2, 5):  # those that were read before count little
        put(library.writer, book(f"n{number}", "Other"))
    library.merge()
    with pytest.raises(BoundExceeded):
        in_order(reader, cache, inline=True)


def test_a_load_that_changes_nothing_leaves_the_index_as_it_is(
    library: Library, tmp_path: Path
) -> None:
    def generation() -> int:
        row = library.writer.connection.execute("SELECT generation FROM state").fetchone()
        return int(row[0])

    file = tmp_path / "same.mrc"
    file.write_bytes(book("n0", "Title 00") + book("n1", "Title 07"))
    before = generation()
    assert load(library.writer, [file], "we_cat").unchanged == 2
    assert generation() == before
    file.write_bytes(book("n0", "Title 00") + book("n1", "Another"))
    load(library.writer, [file], "we_cat")
    assert generation() == before + 1
