"""Loads that leave their postings in runs, beside loads that go into the index at once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.query import Clause
from protocol.record import Holding
from store import postings
from store.bulk import BatchLimits
from store.catalogue import SqliteCatalogue
from store.doctor import examine
from store.gather import Postings
from store.load import LoadSummary, load
from store.load_journal import unfinished_loads
from store.page_filling import SCRATCH_NAME, PageFilling
from store.reindex import check, reindex
from store.result_set import RecordSet
from store.run_file import POSTING, SectionReader, is_whole, write_run
from store.runs import FOLDER_NAME, RunDamagedError, are_waiting, sweep, waiting
from store.sqlite import StoreError
from store.writer import CatalogueWriter
from tests.catalogue_records import DATABASES, book, put

WORDS = [f"word{number}" for number in range(60)] + ["红楼梦", "Ærø", "\U00020000"]


@pytest.fixture(autouse=True)
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of twenty records, batches of three runs, and slices of a few terms."""
    monkeypatch.setattr("store.load.RUNS_BYTES_MIN", 0)
    monkeypatch.setattr("store.load.RUNS_CATALOGUE_FACTOR", 1 << 20)
    monkeypatch.setattr("store.load.RUN_CHUNK_RECORDS", 20)
    monkeypatch.setattr("store.load.RUN_LIMITS", BatchLimits(records=60))
    monkeypatch.setattr("store.runs.SLICE_VALUES_MAX", 300)
    monkeypatch.setattr("store.runs.SLICE_TERMS_MAX", 50)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[CatalogueWriter]:
    writer = CatalogueWriter(tmp_path / "data", DATABASES)
    yield writer
    writer.close()


def file_of(path: Path, seed: int, count: int = 220) -> Path:
    """Records of which some have no number, and some come again, changed or not."""
    draw = random.Random(seed)
    records: list[bytes] = []
    for number in range(count):
        if records and draw.random() < 0.1:
            records.append(draw.choice(records[-150:]))
            continue
        name = "" if number % 9 == 0 else f"n{draw.randrange(count)}"
        title = " ".join(draw.sample(WORDS, 6)).capitalize()
        records.append(
            book(name, title, author=draw.choice(WORDS), note=" ".join(draw.choices(WORDS, k=40)))
        )
    path.write_bytes(b"".join(records))
    return path


def by_runs(writer: CatalogueWriter, path: Path, **options: Any) -> LoadSummary:
    options = {"processes": 0, "is_serving": lambda: False} | options
    return load(writer, [path], "we_cat", **options)


Index = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


def index_of(writer: CatalogueWriter) -> Index:
    """Every row of the main index, its blobs as numbers."""
    rows = writer.connection.execute(
        "SELECT name, term, frequency, display, records FROM posting JOIN register"
        " USING (register_id) ORDER BY 1, 2"
    )
    places = writer.connection.execute(
        "SELECT name, term, shard, positions FROM position JOIN register"
        " USING (register_id) ORDER BY 1, 2, 3"
    )
    return (
        [(*row[:4], sorted(postings.decode(row[4]))) for row in rows],
        [(*row[:3], sorted(postings.decode(row[3]))) for row in places],
    )


def problems(writer: CatalogueWriter) -> list[str]:
    found = examine(writer.connection, writer.path, sample=10_000)
    return [finding.text for finding in found if finding.is_problem]


class Stopped(Exception):  # noqa: N818 - what happens to a load
    pass


def stopping_after(records: int) -> Callable[[int, int, int], None]:
    def progress(done: int, read_bytes: int, total_bytes: int) -> None:
        if done >= records:
            raise Stopped

    return progress


def break_off(writer: CatalogueWriter, path: Path, records: int = 200, **options: Any) -> None:
    with pytest.raises(Stopped):
        by_runs(writer, path, progress=stopping_after(records), **options)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_index_is_that_of_an_ordinary_load(
    tmp_path: Path, writer: CatalogueWriter, seed: int
) -> None:
    ordinary = CatalogueWriter(tmp_path / "ordinary", DATABASES)
    for number in range(3):  # into an empty index, and into one that has the records
        path = file_of(tmp_path / f"{number}.mrc", seed * 10 + number)
        holdings = ("PKU", None, "THU")[number]
        told = by_runs(writer, path, holdings=holdings)
        assert told == load(ordinary, [path], "we_cat", processes=0, holdings=holdings)
        assert index_of(writer) == index_of(ordinary)
        assert not are_waiting(writer.connection)
        assert not (writer.path.parent / FOLDER_NAME).exists()
        assert check(writer.connection) == problems(writer) == []
    assert told.replaced > 60
    ordinary.close()


def test_blobs_are_those_of_an_ordinary_load_to_the_octet(
    tmp_path: Path, writer: CatalogueWriter
) -> None:
    path = file_of(tmp_path / "records.mrc", 5)
    ordinary = CatalogueWriter(tmp_path / "ordinary", DATABASES)
    by_runs(writer, path)
    load(ordinary, [path], "we_cat", processes=0)
    for query in (
        "SELECT * FROM posting ORDER BY register_id, term",
        "SELECT * FROM position ORDER BY register_id, term, shard",
    ):
        rows = writer.connection.execute(query).fetchall()
        assert rows == ordinary.connection.execute(query).fetchall()
        assert len(rows) > 100
    ordinary.close()


def test_a_holding_comes_once_though_its_record_came_twice_in_a_batch(
    tmp_path: Path, writer: CatalogueWriter
) -> None:
    put(writer, book("a", "First"))
    one, two = tmp_path / "one.mrc", tmp_path / "two.mrc"
    # Unchanged, and then changed twice: by runs, and by an ordinary load.
    one.write_bytes(book("a", "First") + book("a", "Second") + book("a", "Third"))
    by_runs(writer, one, holdings="PKU")
    assert problems(writer) == check(writer.connection) == []
    two.write_bytes(book("a", "Third") + book("a", "Fourth") + book("a", "Fifth"))
    load(writer, [two], "we_cat", processes=0, holdings="THU")
    assert problems(writer) == check(writer.connection) == []


@pytest.mark.parametrize("records", [20, 100, 220])
def test_a_load_broken_off_goes_on_and_its_runs_are_merged(
    tmp_path: Path, writer: CatalogueWriter, records: int
) -> None:
    path = file_of(tmp_path / "records.mrc", 4)
    ordinary = CatalogueWriter(tmp_path / "ordinary", DATABASES)
    expected = load(ordinary, [path], "we_cat", processes=0, holdings="PKU")
    break_off(writer, path, records, holdings="PKU")
    assert are_waiting(writer.connection) == (records > 60)
    assert problems(writer) == []
    assert by_runs(writer, path, holdings="PKU") == expected
    assert unfinished_loads(writer.connection) == []
    assert problems(writer) == check(writer.connection) == []
    assert index_of(writer) == index_of(ordinary)
    ordinary.close()


def test_whoever_searches_is_refused_until_someone_opens_the_catalogue_to_write(
    tmp_path: Path, writer: CatalogueWriter
) -> None:
    break_off(writer, file_of(tmp_path / "records.mrc", 6))
    count = len(waiting(writer.connection, writer.path))
    assert count > 9  # of chunks, and of what is beside them
    with pytest.raises(StoreError, match="under way or was broken off"):
        SqliteCatalogue(writer.path.parent)
    notes = [each.text for each in examine(writer.connection, writer.path)]
    assert any(f"wait in {count} runs to be merged" in note for note in notes)
    assert check(writer.connection) == ["a load is not merged into the index yet"]
    CatalogueWriter(writer.path.parent, DATABASES).close()  # as the server does
    assert not are_waiting(writer.connection)
    assert not (writer.path.parent / FOLDER_NAME).exists()
    assert check(writer.connection) == problems(writer) == []
    SqliteCatalogue(writer.path.parent).close()


def test_a_server_started_meanwhile_finds_every_batch_at_once(
    tmp_path: Path, writer: CatalogueWriter
) -> None:
    seen: list[bool] = []
    path = file_of(tmp_path / "records.mrc", 7)

    def progress(done: int, read_bytes: int, total_bytes: int) -> None:
        seen.append(are_waiting(writer.connection))

    by_runs(writer, path, progress=progress, is_serving=lambda: len(seen) >= 7)
    assert True in seen[:7]
    assert True not in seen[9:]
    assert check(writer.connection) == problems(writer) == []


def test_updates_while_runs_wait_are_kept(tmp_path: Path, writer: CatalogueWriter) -> None:
    break_off(writer, file_of(tmp_path / "records.mrc", 8))
    assert are_waiting(writer.connection)
    put(writer, book("n7", "Changed by hand"))
    record_id = put(writer, book("own", "New by hand"))
    writer.put_holding(Holding("FDU", record_id - 5))
    writer.delete(record_id - 9)
    assert problems(writer) == []
    while writer.merge():
        pass
    assert not are_waiting(writer.connection)  # they are merged first
    assert check(writer.connection) == problems(writer) == []


def test_what_searches_while_it_loads_needs_no_runs(
    tmp_path: Path, writer: CatalogueWriter
) -> None:
    path = file_of(tmp_path / "records.mrc", 9)
    made: list[bool] = []
    with pytest.raises(Stopped):
        by_runs(writer, path, progress=stopping_after(200), screen=lambda chunk: made.append(True))
    assert made
    assert not are_waiting(writer.connection)


@pytest.mark.parametrize("harm", ["gone", "short", "changed"])
def test_a_damaged_run_is_named_and_the_index_made_anew(
    tmp_path: Path, writer: CatalogueWriter, harm: str
) -> None:
    path = file_of(tmp_path / "records.mrc", 10)
    break_off(writer, path)
    damaged = Path(waiting(writer.connection, writer.path)[1].file.path)
    octets = damaged.read_bytes()
    if harm == "gone":
        damaged.unlink()
    else:
        damaged.write_bytes(octets[:-9] if harm == "short" else octets[:-1] + b"\0")
    assert problems(writer) == [f"{damaged} is gone or damaged: run `lianmu reindex`"]
    with pytest.raises(RunDamagedError, match="lianmu reindex"):
        by_runs(writer, path)
    again = CatalogueWriter(writer.path.parent, DATABASES)  # opens, for `reindex`
    assert are_waiting(again.connection)
    again.close()
    reindex(writer, processes=0)
    assert not are_waiting(writer.connection)
    assert check(writer.connection) == problems(writer) == []


def test_the_runs_of_a_folder_named_from_where_one_stands_stay(
    tmp_path: Path, writer: CatalogueWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_off(writer, file_of(tmp_path / "records.mrc", 12))
    files = [run.file for run in waiting(writer.connection, writer.path)]
    monkeypatch.chdir(tmp_path)
    sweep(writer.connection, writer.path.relative_to(tmp_path))
    assert all(is_whole(file) for file in files)
    by_runs(writer, tmp_path / "records.mrc")


def test_a_rebuilt_index_has_what_waited_in_runs(tmp_path: Path, writer: CatalogueWriter) -> None:
    path = file_of(tmp_path / "records.mrc", 11)
    break_off(writer, path)
    reindex(writer, processes=0)
    assert not are_waiting(writer.connection)
    assert not (writer.path.parent / FOLDER_NAME).exists()
    by_runs(writer, path)
    assert check(writer.connection) == problems(writer) == []


def test_runs_of_several_processes_are_merged_alike(
    tmp_path: Path, writer: CatalogueWriter
) -> None:
    path = file_of(tmp_path / "records.mrc", 12)
    by_runs(writer, path, processes=1)
    assert check(writer.connection) == problems(writer) == []


async def test_what_was_loaded_by_runs_is_found(tmp_path: Path, writer: CatalogueWriter) -> None:
    path = tmp_path / "records.mrc"
    path.write_bytes(b"".join(book(f"n{each}", f"Title {each}") for each in range(50)))
    catalogue = SqliteCatalogue(writer.path.parent)
    by_runs(writer, path)
    found = await catalogue.search(DATABASES, Clause("title", "title"), {})
    assert isinstance(found, RecordSet)
    assert len(found) == 50
    catalogue.close()


def test_a_section_is_read_in_part(tmp_path: Path) -> None:
    gathered = Postings()
    for place, term in enumerate(["b", "ä", "a", "\U00020000", "\uff21"]):
        gathered.add("title/key", (term,), place << 12 | 4095)
    gathered.displays["title/key"] = {"a": "A", "ä": "Ä"}
    run = write_run(tmp_path / "run", gathered, {"title/key": 7})
    assert is_whole(run)
    [section] = run.sections
    assert (section.table, section.register_id, section.terms) == (POSTING, 7, 5)
    with (tmp_path / "run").open("rb") as file:
        reader = SectionReader(file.fileno(), section)
        assert reader.terms() == ["a", "b", "ä", "\uff21", "\U00020000"]
        assert reader.value_cuts() == [0, 1, 2, 3, 4, 5]
        rows = reader.rows(1, 4)
    assert (rows.terms, rows.displays) == (["b", "ä", "\uff21"], ["", "Ä", ""])
    assert (rows.counts.tolist(), rows.values.tolist()) == ([1, 1, 1], [0, 1, 4])


def test_a_run_that_cannot_be_written_stops_the_load(
    tmp_path: Path, writer: CatalogueWriter
) -> None:
    with pytest.raises(StoreError, match="No such file"):
        write_run(tmp_path / "no" / "run", Postings(), {})


def test_a_merge_that_fails_leaves_no_scratch_file_and_goes_on_without(
    writer: CatalogueWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(tmp_path / "records.mrc", 6)

    def fail(_: PageFilling) -> None:
        raise StoreError("database or disk is full")

    with monkeypatch.context() as failing:
        failing.setattr(PageFilling, "finish", fail)
        with pytest.raises(StoreError, match="full"):
            by_runs(writer, path)
    assert are_waiting(writer.connection)
    assert not list(writer.path.parent.rglob(SCRATCH_NAME))
    by_runs(writer, path)
    assert check(writer.connection) == []
