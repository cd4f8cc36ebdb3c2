"""Loading: formats, packing, identity, refusals, the report, holdings, progress."""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from protocol.marc_json import to_marc_json
from protocol.marcxml import to_marcxml
from store.bulk import BatchLimits
from store.editing import Editor
from store.load import LoadSummary, load
from store.load_journal import Progress, unfinished_loads
from store.reindex import check
from store.sqlite import StoreError
from store.writer import CatalogueWriter
from tests.catalogue_records import DATABASES, back_to_schema, book, put

RECORDS = [book(f"n{number}", f"Title {number}", author="Cao") for number in range(5)]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[CatalogueWriter]:
    writer = CatalogueWriter(tmp_path / "catalogue", DATABASES, durable=False)
    yield writer
    assert check(writer.connection) == []
    writer.close()


def contents(writer: CatalogueWriter) -> list[bytes]:
    rows = writer.connection.execute("SELECT marc FROM record ORDER BY record_id")
    return [row[0] for row in rows]


def zipped(data: bytes, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        half = sum(map(len, RECORDS[:2]))
        archive.writestr("folder/one.mrc", data[:half])
        archive.writestr("two.mrc", data[half:])


@pytest.mark.parametrize(
    "pack",
    [
        lambda data, path: path.write_bytes(data),
        lambda data, path: path.write_bytes(gzip.compress(data)),
        lambda data, path: path.write_bytes(bz2.compress(data)),
        lambda data, path: path.write_bytes(lzma.compress(data)),
        zipped,
    ],
)
def test_files_are_read_through_whatever_packs_them(
    writer: CatalogueWriter, tmp_path: Path, pack: Callable[[bytes, Path], object]
) -> None:
    path = tmp_path / "records"
    pack(b"".join(RECORDS), path)
    assert load(writer, [path], "we_cat") == LoadSummary(5, 0, 0, 0, 0, 0)
    assert contents(writer) == RECORDS


def test_marcxml_is_told_by_its_content(writer: CatalogueWriter, tmp_path: Path) -> None:
    path = tmp_path / "records.dat"
    xml = "".join(to_marcxml(marc) for marc in RECORDS)
    path.write_text(f"\ufeff  <collection>{xml}</collection>", encoding="utf-8")
    assert load(writer, [path], "we_cat").loaded == 5
    assert contents(writer) == RECORDS


def test_loading_again_changes_nothing(writer: CatalogueWriter, tmp_path: Path) -> None:
    path = tmp_path / "records.mrc"
    path.write_bytes(b"".join([*RECORDS, book("", "Numberless")]))
    assert load(writer, [path], "we_cat").loaded == 6
    before = contents(writer)
    assert load(writer, [path], "we_cat") == LoadSummary(0, 0, 6, 0, 0, 0)
    assert contents(writer) == before


def test_a_later_record_of_the_same_number_replaces(
    writer: CatalogueWriter, tmp_path: Path
) -> None:
    path = tmp_path / "records.mrc"
    put(writer, book("n1", "Before"))
    path.write_bytes(b"".join([*RECORDS, book("n2", "After"), book("n2", "After all")]))
    assert load(writer, [path], "we_cat") == LoadSummary(4, 3, 0, 0, 0, 0)
    assert book("n2", "After all") in contents(writer)
    assert book("n1", "Title 1", author="Cao") in contents(writer)


def test_a_bad_record_is_reported_and_passed_over(writer: CatalogueWriter, tmp_path: Path) -> None:
    path, report = tmp_path / "records.mrc", tmp_path / "refused.csv"
    bad = RECORDS[1][:24] + b"x" + RECORDS[1][25:]
    latin = book("n8", "caf\xe9 noir").replace(b"\xc3\xa9", b"\xff\xff")
    path.write_bytes(RECORDS[0] + bad.replace(b"\x1e", b"?") + latin + RECORDS[2])
    summary = load(writer, [path], "we_cat", encoding="utf-8", report=report)
    assert (summary.loaded, summary.refused) == (2, 2)
    rows = list(csv.DictReader(report.read_text(encoding="utf-8").splitlines()))
    assert [row["file"] for row in rows] == [str(path)] * 2
    assert [int(row["offset"]) for row in rows] == [
        len(RECORDS[0]), len(RECORDS[0]) + len(bad)
    ]  # fmt: skip
    assert rows[1]["control_number"] == "n8"
    assert all(row["reason"] for row in rows)


def test_no_refusal_makes_no_report(writer: CatalogueWriter, tmp_path: Path) -> None:
    path, report = tmp_path / "records.mrc", tmp_path / "refused.csv"
    path.write_bytes(RECORDS[0])
    load(writer, [path], "we_cat", report=report)
    assert not report.exists()


def test_a_file_cut_short_gives_what_it_holds(writer: CatalogueWriter, tmp_path: Path) -> None:
    path, report = tmp_path / "records.mrc.gz", tmp_path / "refused.csv"
    whole = gzip.compress(b"".join(book(f"m{n}", f"{n * 7919}" * 20) for n in range(2000)))
    path.write_bytes(whole[: len(whole) // 2])
    summary = load(writer, [path], "we_cat", report=report)
    assert summary.loaded >= 0
    assert summary.refused >= 1
    assert "ends early" in report.read_text(encoding="utf-8")


def test_an_institution_comes_to_hold_what_it_loads(
    writer: CatalogueWriter, tmp_path: Path
) -> None:
    path = tmp_path / "records.mrc"
    path.write_bytes(b"".join(RECORDS[:3]))
    assert load(writer, [path], "we_cat").holdings_added == 0
    path.write_bytes(b"".join([*RECORDS, RECORDS[4]]))
    assert load(writer, [path], "we_cat", holdings="PKU").holdings_added == 5
    assert load(writer, [path], "we_cat", holdings="PKU").holdings_added == 0
    assert load(writer, [path], "we_cat", holdings="THU").holdings_added == 5
    events = writer.connection.execute(
        "SELECT institution, count(*), sum(change) FROM holding_event GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert events == [("PKU", 5, 5), ("THU", 5, 5)]
    path.write_bytes(book("n0", "Replaced"))
    assert load(writer, [path], "we_cat").replaced == 1
    assert writer.rows.holders(1) == ["PKU", "THU"]


def test_nobody_comes_to_hold_what_was_merged_into_a_record_that_is_deleted(
    writer: CatalogueWriter, tmp_path: Path
) -> None:
    away, keep = (put(writer, record) for record in RECORDS[:2])
    Editor(writer).merge(keep, away, account="op")
    path = tmp_path / "records.mrc"
    path.write_bytes(RECORDS[0])
    assert load(writer, [path], "we_cat", holdings="PKU").holdings_added == 1
    assert writer.rows.holders(keep) == ["PKU"]
    writer.delete(keep)
    summary = load(writer, [path], "we_cat", holdings="THU")
    assert (summary.unchanged, summary.holdings_added) == (1, 0)
    assert writer.rows.holders(keep) == ["PKU"]


def test_processes_and_none_store_the_same(writer: CatalogueWriter, tmp_path: Path) -> None:
    other = CatalogueWriter(tmp_path / "other", DATABASES, durable=False)
    path = tmp_path / "records.mrc"
    path.write_bytes(b"".join(book(f"m{n}", f"Title {n} of {n % 7}") for n in range(2500)))
    assert load(writer, [path], "we_cat", processes=0) == load(other, [path], "we_cat", processes=2)
    query = "SELECT register_id, term, frequency, records FROM posting"
    assert writer.connection.execute(query).fetchall() == (
        other.connection.execute(query).fetchall()
    )
    assert contents(writer) == contents(other)
    other.close()


def test_progress_counts_records_and_octets(writer: CatalogueWriter, tmp_path: Path) -> None:
    one, two = tmp_path / "one.mrc", tmp_path / "two.mrc"
    one.write_bytes(b"".join(RECORDS[:2]))
    two.write_bytes(b"".join(RECORDS[2:]))
    total = one.stat().st_size + two.stat().st_size
    calls: list[tuple[int, int, int]] = []
    load(writer, [one, two], "we_cat", progress=lambda *call: calls.append(call))
    assert calls[-1] == (5, total, total)
    assert calls == sorted(calls)


class _ReadsAhead:
    """Workers that have every chunk before they give back the first."""

    def __init__(self, processes: int | None) -> None:
        pass

    def __enter__(self) -> _ReadsAhead:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def map(self, function: Callable[[Any], Any], items: Any) -> Iterator[Any]:
        yield from map(function, list(items))


def test_progress_is_of_the_records_stored_and_not_of_what_was_read_ahead(
    writer: CatalogueWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.load.CHUNK_RECORDS", 10)
    monkeypatch.setattr("store.load.Workers", _ReadsAhead)
    monkeypatch.setattr("protocol.iso2709_structure.READ_SIZE_BYTES", 1000)
    path = tmp_path / "many.mrc"
    count = 100
    path.write_bytes(b"".join(book(f"n{each:03}", "Title", author="Cao") for each in range(count)))
    calls: list[tuple[int, int, int]] = []
    load(writer, [path], "we_cat", progress=lambda *call: calls.append(call))
    assert len(calls) > 10
    for records, read_bytes, total_bytes in calls:
        assert abs(read_bytes / total_bytes - records / count) < 0.15, (records, read_bytes)


def test_missing_files_and_databases_are_named(writer: CatalogueWriter, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no-such-file"):
        load(writer, [tmp_path / "no-such-file"], "we_cat")
    with pytest.raises(StoreError, match="nowhere"):
        load(writer, [], "nowhere")


class _BrokenOff(Exception):  # noqa: N818 - what happens to a load
    pass


SMALL = BatchLimits(postings=3000)


def break_off(
    writer: CatalogueWriter, paths: list[Path], after: int, **options: Any
) -> list[Progress]:
    """Load until `after` records have been read; returns what `resumed` was told."""
    told: list[Progress] = []

    def progress(records: int, read_bytes: int, total_bytes: int) -> None:
        if records >= after:
            raise _BrokenOff

    with pytest.raises(_BrokenOff):
        load(
            writer, paths, "we_cat", progress=progress, limits=SMALL,
            resumed=lambda done: told.append(replace(done)), **options,
        )  # fmt: skip
    return told


@pytest.fixture
def two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """200 records, every tenth refused, of which a chunk is 20."""
    monkeypatch.setattr("store.load.CHUNK_RECORDS", 20)
    records = [
        b"00030bad" if number % 10 == 9 else book(f"r{number}", f"Title {number} of many")
        for number in range(200)
    ]
    one, two = tmp_path / "one.mrc", tmp_path / "two.mrc.gz"
    one.write_bytes(b"".join(record + b"\x1d" * (len(record) < 9) for record in records[:120]))
    two.write_bytes(
        gzip.compress(b"".join(record + b"\x1d" * (len(record) < 9) for record in records[120:]))
    )
    return [one, two]


@pytest.mark.parametrize("after", [20, 100, 160, 200])
def test_a_load_goes_on_where_it_stopped(
    writer: CatalogueWriter, tmp_path: Path, two_files: list[Path], after: int
) -> None:
    report = tmp_path / "refused.csv"
    assert break_off(writer, two_files, after, report=report, holdings="PKU") == []
    stored = len(contents(writer))
    assert stored < after
    told: list[Progress] = []
    summary = load(
        writer, two_files, "we_cat", holdings="PKU", report=tmp_path / "another.csv",
        resumed=lambda done: told.append(replace(done)),
    )  # fmt: skip
    if stored:
        assert told[0].records - told[0].refused == stored
        assert told[0].records > 0
    # The summary and the report are those of the whole load, in one file.
    assert summary == LoadSummary(180, 0, 0, 20, 0, 180, report)
    rows = list(csv.DictReader(report.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == len({(row["file"], row["offset"]) for row in rows}) == 20
    assert not (tmp_path / "another.csv").exists()
    assert len(contents(writer)) == 180
    assert unfinished_loads(writer.connection) == []
    assert load(writer, two_files, "we_cat", holdings="PKU").unchanged == 180


def test_another_command_is_another_load(writer: CatalogueWriter, two_files: list[Path]) -> None:
    break_off(writer, two_files, 160)
    told: list[Progress] = []
    load(writer, two_files[:1], "we_cat", resumed=told.append)
    load(writer, two_files, "we_cat", holdings="PKU", resumed=told.append)
    assert told == []
    [left] = unfinished_loads(writer.connection)
    assert left.files == [str(path) for path in two_files]
    load(writer, two_files, "we_cat", resumed=told.append)
    assert len(told) == 1


def test_a_changed_file_is_noticed_and_restart_begins_anew(
    writer: CatalogueWriter, two_files: list[Path]
) -> None:
    break_off(writer, two_files, 160)
    with two_files[1].open("ab") as file:
        file.write(gzip.compress(book("more", "More")))
    with pytest.raises(StoreError, match=r"two\.mrc\.gz has changed .* --restart"):
        load(writer, two_files, "we_cat")
    told: list[Progress] = []
    summary = load(writer, two_files, "we_cat", restart=True, resumed=told.append)
    assert told == []
    assert summary.loaded + summary.unchanged == 181
    assert unfinished_loads(writer.connection) == []


def test_a_load_that_was_started_twice_goes_on_in_one_process(
    writer: CatalogueWriter, two_files: list[Path]
) -> None:
    def start_again(records: int, read_bytes: int, total_bytes: int) -> None:
        if records == 100:
            break_off(other, two_files, 20)

    other = CatalogueWriter(writer.path.parent, DATABASES, durable=False)
    with pytest.raises(StoreError, match="started again elsewhere"):
        load(writer, two_files, "we_cat", progress=start_again, limits=SMALL)
    assert load(other, two_files, "we_cat").loaded == 180
    other.close()


def test_a_catalogue_of_schema_3_is_given_the_journal(
    tmp_path: Path, two_files: list[Path]
) -> None:
    writer = CatalogueWriter(tmp_path / "old", DATABASES, durable=False)
    back_to_schema(writer.connection, 3)
    writer.close()
    writer = CatalogueWriter(tmp_path / "old", DATABASES, durable=False)
    break_off(writer, two_files, 160)
    assert [job.database for job in unfinished_loads(writer.connection)] == ["we_cat"]
    writer.close()


def test_a_pipe_is_refused_because_it_cannot_be_read_again(
    writer: CatalogueWriter, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="pipe is not a regular file"):
        load(writer, [tmp_path / "pipe"], "we_cat")


@pytest.mark.shared_data
def test_real_files_load_and_the_index_agrees(writer: CatalogueWriter, shared_data: Path) -> None:
    paths = [
        shared_data / "marc21" / "evergreen-french-500.mrc.xz",
        shared_data / "cjk" / "trln-cjk.xml",
        *sorted((shared_data / "bad").glob("marc4j-*")),
    ]
    summary = load(writer, paths, "we_cat", processes=0)
    assert summary.loaded > 500
    assert summary.loaded == writer.connection.execute("SELECT count(*) FROM record").fetchone()[0]


def test_json_is_told_by_its_content(writer: CatalogueWriter, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(map(to_marc_json, RECORDS)) + b"\n7\n"))
    report = tmp_path / "refused.csv"
    summary = load(writer, [path], "we_cat", report=report)
    assert (summary.loaded, summary.refused) == (5, 1)
    assert contents(writer) == RECORDS


@pytest.mark.parametrize("xml", [False, True])
def test_records_of_another_kind_are_refused_with_their_kind(
    writer: CatalogueWriter, tmp_path: Path, xml: bool
) -> None:
    path, report = tmp_path / "records", tmp_path / "refused.csv"
    other = [RECORDS[number][:6] + codes + RECORDS[number][8:]
             for number, codes in enumerate((b"z ", b"x ", b"w ", b"qn"))]  # fmt: skip
    parts = [RECORDS[4], *other]
    octets = [to_marcxml(marc).encode() for marc in parts] if xml else parts
    path.write_bytes((b"<collection>" if xml else b"") + b"".join(octets))
    summary = load(writer, [path], "we_cat", report=report)
    rows = [row for row in csv.DictReader(report.read_text(encoding="utf-8").splitlines())
            if "leader/06" in row["reason"]]  # fmt: skip
    assert summary.loaded == 1
    assert [row["control_number"] for row in rows] == ["n0", "n1", "n2", "n3"]
    assert [row["reason"] for row in rows] == [
        f"leader/06 is {code}: {kind}, and the catalogue holds bibliographic ones"
        for code, kind in (
            ("z", "an authority record"), ("x", "a holdings record"),
            ("w", "a classification record"), ("q", "a record of community information"),
        )
    ]  # fmt: skip
    offsets = [int(row["offset"]) for row in rows]
    assert all(begin < end for begin, end in pairwise(offsets))
    assert offsets[0] == len(octets[0]) + (len(b"<collection>") if xml else 0)


@pytest.mark.shared_data
def test_bibliographic_records_are_taken_out_of_a_file_of_both(
    writer: CatalogueWriter, shared_data: Path
) -> None:
    mixed = load(writer, [shared_data / "holdings" / "stanford-bib-and-mfhd.mrc"], "we_cat")
    assert mixed.loaded + mixed.replaced + mixed.unchanged + mixed.refused == 82
    assert 0 < mixed.refused < 82
    authorities = load(writer, [shared_data / "authority" / "folio-100.mrc"], "we_cat")
    assert (authorities.loaded, authorities.refused) == (0, 100)
