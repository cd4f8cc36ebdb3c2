"""Imports of files: broken off and gone on with, rehearsed, compared, written and read again."""

from __future__ import annotations

import asyncio
import csv
import gzip
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from protocol.iso2709 import build
from protocol.query import Clause
from protocol.record import Holding
from server.access_control.principal import Principal
from server.holdings.batch import BatchRefused
from server.holdings.change import BatchRequest, Format, Mode, Summary
from server.holdings.exporting import export
from server.holdings.importing import differences, import_file, rehearse
from store.catalogue import SqliteCatalogue
from store.doctor import examine
from store.holdings_history import HoldingsHistory
from store.holdings_listing import held_count, held_records
from store.holdings_writer import Effect
from store.result_set import RecordSet
from store.sqlite import FILE_NAME, StoreError, open_reader
from tests.harness import CHECKOUT
from tests.holdings.test_desk import counted, held
from tests.unit.test_uploads import Site, book

RECORDS = 60
ROWS_PER_STEP = 10


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "data")
    with site.writer.transaction():
        for number in range(1, RECORDS + 1):
            marc = book(f"~001 b{number}", f"~010   $a7-{number}", f"~200 1 $aBook {number}")
            site.writer.put("cn_cat", build(marc.leader, marc.fields))
    yield site
    site.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Every record once, two of them in two lines, and two lines that are refused."""
    lines = ["control_number,call_number,barcodes"]
    lines += [f"b{n},TP{n},c{n}" for n in range(RECORDS, 0, -1)]
    lines += ["b1,TP1,d1", "nope,,", "b2,TP2,d2", "b3,TP3,d3 ,extra"]
    path = tmp_path / "holdings.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def request(mode: Mode = Mode.PUT, **more: object) -> BatchRequest:
    principal = Principal("root", "SRXX", rights=("holdings",))
    return BatchRequest(principal=principal, mode=mode, protocol="cli", **more)  # type: ignore[arg-type]


def run(site: Site, path: Path, mode: Mode = Mode.PUT, **more: object) -> Summary:
    summary = import_file(
        site.config, request(mode), path, site.writer, records_max=ROWS_PER_STEP, **more  # type: ignore[arg-type]
    )  # fmt: skip
    assert summary is not None
    return summary


class BrokenOffError(Exception):
    pass


def breaking_off(stage: str, after: int) -> Callable[[str, int, int, int | None], None]:
    calls = 0

    def progress(here: str, records: int, done: int, total: int | None) -> None:
        nonlocal calls
        calls += here == stage
        if calls == after:
            raise BrokenOffError

    return progress


@pytest.mark.parametrize(("stage", "after"), [("reading", 1), ("writing", 1), ("writing", 4)])
def test_a_broken_off_import_goes_on_and_tells_of_the_whole(
    site: Site, file: Path, tmp_path: Path, stage: str, after: int
) -> None:
    report = tmp_path / "refused.csv"
    with pytest.raises(BrokenOffError):
        run(site, file, progress=breaking_off(stage, after))
    assert len(held(site)) == (after * ROWS_PER_STEP if stage == "writing" else 0)
    found = []
    summary = run(site, file, report=report, resumed=lambda done: found.append(done.records))
    assert found == ([after * ROWS_PER_STEP] if stage == "writing" else [])
    assert (summary.added, summary.changed, summary.unchanged) == (RECORDS, 0, 0)
    assert (summary.records, summary.lines, summary.refused) == (RECORDS, RECORDS + 4, 2)
    assert (summary.held_before, summary.held_after) == (0, RECORDS)
    assert (len(held(site)), counted(site)) == (RECORDS, RECORDS)
    assert held(site)["b1"].barcodes == ("c1", "d1")
    with report.open(encoding="utf-8", newline="") as rows:
        assert [(row["line"], row["record"]) for row in csv.DictReader(rows)] == [
            (str(RECORDS + 3), "nope"), (str(RECORDS + 5), "b3"),
        ]  # fmt: skip
    assert list((site.config.data_dir / "holdings").iterdir()) == []
    again = run(site, file)
    assert (again.added, again.unchanged, again.submission) == (0, RECORDS, None)
    (submission,) = HoldingsHistory(site.writer.connection).submissions()
    assert (submission.submission_id, submission.added) == (summary.submission, RECORDS)


_KILLED = """
import os, signal, sys
from pathlib import Path
import msgspec
from server.config import Config, Metering, Server
from store.writer import CatalogueWriter
from tests.holdings.test_importing import import_file, request
from server.holdings.change import Mode
folder, file, stage, after = sys.argv[1:]
config = msgspec.structs.replace(
    Config(), server=Server(data_dir=folder), metering=Metering(fsync=False))
calls = 0
def progress(here, *_):
    global calls
    calls += here == stage
    if calls == int(after):
        os.kill(os.getpid(), signal.SIGKILL)
writer = CatalogueWriter(config.data_dir, config.databases, durable=False)
import_file(config, request(Mode.REPLACE_ALL), Path(file), writer, records_max=10,
            progress=progress)
"""


def test_an_import_that_is_killed_is_exact_when_it_went_on(site: Site, file: Path) -> None:
    # It holds twenty that the file does not name, which go at last.
    for number in range(20):
        marc = book(f"~001 x{number}", f"~010   $a8-{number}", f"~200 1 $aOther {number}")
        stored = site.writer.put("cn_cat", build(marc.leader, marc.fields))
        site.writer.put_holding(Holding("SRXX", stored.record_id))  # type: ignore[union-attr]
    for stage, after in (("writing", "2"), ("writing", "5")):
        done = subprocess.run(
            [sys.executable, "-c", _KILLED, str(site.config.data_dir), str(file), stage, after],
            cwd=CHECKOUT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == -9, done.stderr
    # Seven transactions of ten are there: sixty added, and ten taken away.
    assert len(held(site)) == RECORDS + 10
    summary = run(site, file, Mode.REPLACE_ALL)
    assert (summary.added, summary.removed, summary.held_before) == (RECORDS, 20, 20)
    assert (len(held(site)), counted(site)) == (RECORDS, RECORDS)


def test_searches_see_each_batch_while_the_import_goes_on(site: Site, file: Path) -> None:
    catalogue = SqliteCatalogue(site.config.data_dir)
    seen = []

    def progress(stage: str, records: int, done: int, total: int | None) -> None:
        if stage == "writing":
            clause = Clause("possessing_institution", "SRXX")
            found = asyncio.run(catalogue.search(site.writer.databases, clause, {}))
            assert isinstance(found, RecordSet)
            seen.append((records, len(found), total))

    run(site, file, progress=progress)
    catalogue.close()
    steps = range(ROWS_PER_STEP, RECORDS + 1, ROWS_PER_STEP)
    assert seen == [(step, step, RECORDS) for step in steps]


def test_an_import_that_stands_is_told_by_the_doctor(site: Site, file: Path) -> None:
    def told() -> str:
        path = site.config.data_dir / FILE_NAME
        with closing(open_reader(path)) as connection:
            return "\n".join(each.text for each in examine(connection, path))

    with pytest.raises(BrokenOffError):
        run(site, file, progress=breaking_off("writing", 2))
    assert f"{file} stands at 20 records" in told()
    run(site, file)
    assert "stands at" not in told()


def test_a_file_that_changed_meanwhile_is_begun_anew_only_on_demand(site: Site, file: Path) -> None:
    with pytest.raises(BrokenOffError):
        run(site, file, progress=breaking_off("writing", 2))
    file.write_text("control_number\nb1\n", encoding="utf-8")
    with pytest.raises(StoreError, match="has changed since"):
        run(site, file)
    summary = run(site, file, restart=True)
    assert (summary.added, summary.changed, summary.unchanged) == (0, 0, 1)
    assert (summary.records, summary.held_before) == (1, 2 * ROWS_PER_STEP)


def test_what_is_not_confirmed_is_not_done(site: Site, file: Path, tmp_path: Path) -> None:
    run(site, file)
    less = tmp_path / "less.csv"
    less.write_text("control_number\nb1\n", encoding="utf-8")
    asked: list[Summary] = []

    def no(summary: Summary) -> bool:
        asked.append(summary)
        return False

    arguments = (site.config, request(Mode.REPLACE_ALL), less, site.writer)
    assert import_file(*arguments, records_max=10, confirm=no) is None
    assert [(each.removed, each.held_before) for each in asked] == [(RECORDS - 1, RECORDS)]
    assert rehearse(site.config, request(Mode.REPLACE_ALL), less).removed == RECORDS - 1
    assert len(held(site)) == RECORDS
    assert list((site.config.data_dir / "holdings").iterdir()) == []
    done = import_file(*arguments, records_max=10, confirm=lambda _: True)
    assert done is not None
    assert sorted(held(site)) == ["b1"]


def test_a_file_that_is_no_file_of_holdings_leaves_nothing_behind(
    site: Site, tmp_path: Path
) -> None:
    for name, content in (
        ("a.csv", b"title\nx\n"),
        ("b.gz", gzip.compress(b"001\nb1\n" * 99)[:-9]),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(BatchRefused):
            run(site, path)
    assert list((site.config.data_dir / "holdings").iterdir()) == []
    assert held(site) == {}


def test_a_file_is_compared_with_what_is_held(site: Site, tmp_path: Path) -> None:
    here, there = tmp_path / "here.csv", tmp_path / "there.csv.gz"
    here.write_text("001,call_number\nb1,A\nb2,B\nb3,C\n", encoding="utf-8")
    there.write_bytes(gzip.compress(b"001,call_number\nb1,A\nb2,X\nb4,D\nb9x,\n"))
    run(site, here)
    summary = Summary(institution="SRXX", mode="diff", dry_run=True)
    found = list(differences(site.config, request(), there, summary))
    assert [(each.applied.effect, each.record, each.line) for each in found] == [
        (Effect.CHANGED, "cn_cat b2", 3), (Effect.ADDED, "cn_cat b4", 4),
        (Effect.REMOVED, "cn_cat b3", 0),
    ]  # fmt: skip
    assert (summary.unchanged, summary.refused) == (1, 1)
    assert sorted(held(site)) == ["b1", "b2", "b3"]


def test_what_is_written_is_read_again_as_it_was(site: Site, tmp_path: Path) -> None:
    whole = Holding("SRXX", 1, "TP312/1", 3, "Main; Branch", ("c1", "c2"), "v.1-3 1999-2001")
    site.writer.put_holding(whole)
    site.writer.put_holding(Holding("SRXX", 2))
    site.writer.put_holding(Holding("PKU", 3))
    asked = request(Mode.REPLACE_ALL, database="cn_cat")
    with closing(open_reader(site.config.data_dir / FILE_NAME)) as connection:
        assert held_count(connection, "SRXX") == 2
        assert [each.control_number for each in held_records(connection, "SRXX", limit=1)] == ["b1"]
        assert list(held_records(connection, "SRXX", database="we_cat")) == []
        for form in Format:
            content = b"".join(export(held_records(connection, "SRXX"), form))
            (tmp_path / form.value).write_bytes(content)
    for form in Format:
        path = tmp_path / form.value
        summary = rehearse(site.config, asked, path)
        assert (summary.unchanged, summary.records, summary.refused) == (2, 2, 0), form
        for record_id in (1, 2):
            site.writer.remove_holding("SRXX", record_id)
        done = import_file(site.config, asked, path, site.writer, records_max=10)
        assert done is not None
        assert held(site) == {"b1": whole, "b2": Holding("SRXX", 2)}, form
