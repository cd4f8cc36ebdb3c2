"""ISBN jobs: the best record of a number, the file, the report, the bill, and going on."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from lxml import etree

from metering.entry import Entry, Kind, Meter
from metering.interface import MeteringError
from metering.ledger import Ledger
from metering.tariff import BUILT_IN
from protocol.iso2709 import Field, build, parse, split
from protocol.record import Holding
from server.batch.files import report_csv, report_rows
from server.batch.isbns import Line, read_isbns
from server.batch.job import BusyError, Job, Jobs, Order, Phase, Resolved, State, Status
from server.batch.run import Runner, hand_over
from store.interface import Catalogue
from tests.catalogue_records import Library, book, put

NOW_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
A, B, C, MISSING = "9787301048153", "9787020002207", "9780131103627", "9780804429573"


class Shelf:
    """A catalogue, jobs and a ledger in a folder of a test."""

    def __init__(self, folder: Path) -> None:
        self.library = Library(folder)
        self.jobs = Jobs(folder / "batch")
        self.ledger_path = folder / "ledger.sqlite"
        self.now_us = NOW_US

    def put(self, number: str, isbn: str, *holders: str, level: str = " ") -> int:
        marc = book(number, f"Title {number}", isbn=isbn)
        record_id = put(self.library.writer, marc[:17] + level.encode() + marc[18:])
        for holder in holders:
            self.library.writer.put_holding(Holding(holder, record_id))
        return record_id

    def job(self, text: str, *, again: bool = False, **order: object) -> Job:
        asked: dict[str, object] = {
            "institution": "PKU", "account": "pku", "databases": ("we_cat", "cn_cat"), **order,
        }  # fmt: skip
        lines = read_isbns(text.encode(), lines_max=1000)
        job, _ = self.jobs.create(
            msgspec.convert(asked, Order), lines, self.now_us, again=again
        )  # fmt: skip
        return job

    def runner(self, catalogue: Catalogue | None = None) -> Runner:
        return Runner(
            catalogue or self.library.catalogue, lambda: Ledger(self.ledger_path), BUILT_IN,
            lambda: self.now_us,
        )  # fmt: skip

    def run(self, job: Job) -> State:
        return asyncio.run(self.runner().run(job))

    def entries(self) -> list[Entry]:
        ledger = Ledger(self.ledger_path)
        try:
            assert ledger.verify().ok
            return list(ledger.entries())
        finally:
            ledger.close()


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.library.close()


def titles(job: Job) -> list[str]:
    return [parse(raw.raw).control_number for raw in split(job.result.read_bytes())]  # type: ignore[union-attr]


def statuses(job: Job) -> list[str]:
    return [row["status"] for row in report_rows(job.lines(), job.journal())]


def test_every_number_of_a_list_has_its_place_in_file_report_and_ledger(shelf: Shelf) -> None:
    shelf.put("a", A)
    shelf.put("b", B)
    job = shelf.job(f"{A}\n978-7-02-000220-7 : CNY30\n{MISSING}\n12345\n7-301-04815-7\n")
    state = shelf.run(job)
    assert state.phase is Phase.DONE
    assert titles(job) == ["a", "b"]
    assert statuses(job) == ["found", "found", "not_found", "invalid", "duplicate"]
    entries = shelf.entries()
    assert [(entry.id, entry.kind, entry.meter, entry.item) for entry in entries] == [
        (f"batch:{job.id}:{isbn}", Kind.BATCH, Meter.BATCH, "batch.delivery") for isbn in (A, B)
    ]
    assert [(e.institution, e.account, e.quantity, e.session) for e in entries] == [
        ("PKU", "pku", 1, job.id)
    ] * 2
    report = json.loads(job.report.read_bytes())
    assert (report["delivered"], report["price_fen"], report["charge_fen"]) == (2, 150, 300)
    assert report["lines"][4]["note"] == "the same number as in line 1"
    assert report["lines"][3]["note"] == "no ISBN: 5 digits"


def test_batch_deliveries_are_apart_from_downloads(shelf: Shelf) -> None:
    shelf.put("a", A)
    shelf.run(shelf.job(A))
    ledger = Ledger(shelf.ledger_path)
    totals = ledger.totals(2026)["PKU"]
    ledger.close()
    assert (totals.batch, totals.downloads) == (1, 0)


def test_the_best_of_several_records_goes_out(shelf: Shelf) -> None:
    shelf.put("cip", A, "PKU", "THU", "RUC", level="8")
    shelf.put("full, held by one", A, "PKU")
    shelf.put("full, held by two", A, "PKU", "THU")
    shelf.put("full, held by none", A)
    job = shelf.job(A)
    shelf.run(job)
    assert titles(job) == ["full, held by two"]
    (row,) = report_rows(job.lines(), job.journal())
    assert (row["status"], row["level"], row["holdings"]) == ("several", "full", 2)
    assert [each["control_number"] for each in row["alternatives"]] == [
        "full, held by one", "full, held by none", "cip",
    ]  # fmt: skip
    assert len(shelf.entries()) == 1


def test_of_equal_records_the_newest_goes_out(shelf: Shelf) -> None:
    shelf.put("first", A)
    shelf.put("second", A)
    shelf.put("first", A)  # the same octets: not changed
    job = shelf.job(A)
    shelf.run(job)
    assert titles(job) == ["second"]


def test_two_numbers_of_one_record_are_one_delivery(shelf: Shelf) -> None:
    fields = [
        Field("001", "set"), Field.of("020", "  ", [("a", A)]), Field.of("020", "  ", [("a", B)]),
        Field.of("245", "00", [("a", "A set")]),
    ]  # fmt: skip
    put(shelf.library.writer, build("00000nam a2200000 i 4500", fields))
    job = shelf.job(f"{B}\n{A}\n")
    shelf.run(job)
    assert titles(job) == ["set"]
    assert statuses(job) == ["found", "duplicate"]
    assert job.journal()[1].note == "the same record as in line 1"
    assert [entry.id for entry in shelf.entries()] == [f"batch:{job.id}:{B}"]


def test_only_the_databases_asked_for_are_looked_into(shelf: Shelf) -> None:
    shelf.put("a", A)
    job = shelf.job(A, databases=("cn_cat",))
    assert shelf.run(job).delivered == 0
    assert job.result.read_bytes() == b""
    assert shelf.jobs.get(job.id) is not None
    failed = shelf.run(shelf.job(A, databases=("poems",)))
    assert (failed.phase, failed.reason) == (Phase.FAILED, "there is no database poems")


@pytest.mark.parametrize("name", ["marcxml", "marcxchange", "mods"])
def test_xml_is_one_document(shelf: Shelf, name: str) -> None:
    shelf.put("a", A)
    shelf.put("b", B)
    job = shelf.job(f"{A}\n{B}\n", format=name)
    shelf.run(job)
    document = etree.fromstring(job.result.read_bytes())
    assert len(document) == 2
    assert etree.QName(document).namespace == etree.QName(document[0]).namespace


def test_a_record_that_the_format_cannot_hold_is_not_billed(shelf: Shelf) -> None:
    marc = book("yi", "\ua000\ua001", isbn=A)  # Yi syllables
    put(shelf.library.writer, marc)
    shelf.put("b", B)
    job = shelf.job(f"{A}\n{B}\n", encoding="marc-8")
    state = shelf.run(job)
    assert (titles(job), statuses(job), state.delivered) == (["b"], ["refused", "found"], 1)
    assert "field 245" in job.journal()[0].note
    assert len(shelf.entries()) == 1
    with_references = shelf.job(f"{A}\n{B}\n", encoding="marc-8", references=True)
    assert shelf.run(with_references).delivered == 2
    assert b"&#xA000;" in with_references.result.read_bytes()


def test_a_list_sent_again_is_the_same_job_and_the_same_bill(shelf: Shelf) -> None:
    shelf.put("a", A)
    job = shelf.job(A)
    shelf.run(job)
    shelf.now_us += 5 * 86_400_000_000
    twin = shelf.job(A, account="another")
    assert twin.id == job.id
    assert shelf.run(twin).phase is Phase.DONE
    assert len(shelf.entries()) == 1
    assert shelf.job(A, encoding="gb18030").id != job.id
    assert shelf.job(A, again=True).id == job.id  # its file has not been handed over
    job.note_handed_over()
    anew = shelf.job(A, again=True)
    assert anew.id != job.id
    # That one has to end first, whichever way it is asked for.
    assert shelf.job(A, again=True).id == shelf.job(A).id == anew.id
    shelf.run(anew)
    assert len(shelf.entries()) == 2
    for _ in range(10):  # more than one digit
        shelf.job(A).note_handed_over()
        newest = shelf.job(A, again=True)
        shelf.run(newest)
        assert shelf.job(A).id == newest.id
    assert len(shelf.entries()) == 12


class Killed(BaseException):
    """Ends a job as kill -9 does: nothing of ours is run any more."""


def kill_points() -> list[str]:
    return ["note", "save", "_write", "_bill", "_publish", "after _bill", "after _publish"]


@pytest.mark.parametrize("point", kill_points())
@pytest.mark.parametrize("times", [1, 2])
def test_a_job_that_was_killed_goes_on_and_bills_once(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, point: str, times: int
) -> None:
    monkeypatch.setattr("server.batch.run.STEP_NUMBERS", 2)
    for number, isbn in (("a", A), ("b", B), ("c", C)):
        shelf.put(number, isbn)
    job = shelf.job(f"{A}\n{A}\n{B}\n12345\n{C}\n{MISSING}\n")
    name = point.removeprefix("after ")
    owner = Job if name in ("note", "save") else Runner
    for _ in range(times):
        with monkeypatch.context() as patch:
            original = getattr(owner, name)
            calls = []

            def killing(*args: object, _original=original, _calls=calls, **kw: object) -> object:  # type: ignore[no-untyped-def]
                _calls.append(1)
                if point.startswith("after"):
                    _original(*args, **kw)
                    raise Killed
                if name in ("note", "save") and len(_calls) < 2:
                    return _original(*args, **kw)  # the second step is the one that dies
                raise Killed

            patch.setattr(owner, name, killing)
            with pytest.raises(Killed):
                shelf.run(job)
        shelf.now_us += 1_000_000
        if point == "after _publish":
            break
    state = shelf.run(job)
    assert state.phase is Phase.DONE
    assert titles(job) == ["a", "b", "c"]
    assert statuses(job) == ["found", "duplicate", "found", "invalid", "found", "not_found"]
    entries = shelf.entries()
    assert sorted(entry.id for entry in entries) == sorted(
        f"batch:{job.id}:{isbn}" for isbn in (A, B, C)
    )
    assert {entry.at_us for entry in entries} == {state.billed_at_us}
    assert state.counts == {"found": 3, "duplicate": 1, "invalid": 1, "not_found": 1}


def test_a_line_of_the_journal_that_a_crash_cut_is_done_again(shelf: Shelf) -> None:
    shelf.put("a", A)
    shelf.put("b", B)
    job = shelf.job(f"{A}\n{B}\n")
    job.note([Resolved(0, Status.NOT_FOUND)])
    with (job.folder / "journal.jsonl").open("ab") as file:
        file.write(b'{"place":1,"status":"fou')
    shelf.run(job)
    assert statuses(job) == ["not_found", "found"]
    assert titles(job) == ["b"]


def test_nothing_is_handed_out_while_the_ledger_takes_no_entries(shelf: Shelf) -> None:
    shelf.put("a", A)
    job = shelf.job(A)

    def broken() -> Ledger:
        raise MeteringError("the disk is full")

    runner = Runner(shelf.library.catalogue, broken, BUILT_IN, lambda: NOW_US)
    with pytest.raises(MeteringError):
        asyncio.run(runner.run(job))
    assert not job.result.exists()
    assert job.state().phase is Phase.BILLING
    assert shelf.run(job).phase is Phase.DONE
    assert titles(job) == ["a"]


def test_what_was_billed_does_not_change_any_more(shelf: Shelf) -> None:
    """A record that is deleted between the bill and the file is in the file."""
    record_id = shelf.put("a", A)
    job = shelf.job(A)

    def broken() -> Ledger:
        raise MeteringError("the disk is full")

    with pytest.raises(MeteringError):
        asyncio.run(Runner(shelf.library.catalogue, broken, BUILT_IN, lambda: NOW_US).run(job))
    shelf.library.writer.delete(record_id)
    shelf.run(job)
    assert titles(job) == ["a"]
    assert len(shelf.entries()) == 1


def test_a_job_whose_folder_was_lost_is_not_billed_under_its_id(shelf: Shelf) -> None:
    shelf.put("a", A)
    shelf.put("b", B)
    lost = shelf.job(f"{A}\n{B}\n")
    shelf.run(lost)
    shutil.rmtree(lost.folder)
    shelf.now_us += 1
    twin = shelf.job(f"{A}\n{B}\n")
    state = shelf.run(twin)
    assert (twin.id, state.phase) == (lost.id, Phase.FAILED)
    assert state.reason == "its id is in the ledger already"
    assert len(shelf.entries()) == 2
    anew = shelf.job(f"{A}\n{B}\n")
    assert shelf.run(anew).phase is Phase.DONE
    assert len(shelf.entries()) == 4


def test_a_cancelled_job_bills_nothing(shelf: Shelf) -> None:
    shelf.put("a", A)
    job = shelf.job(A)
    job.cancel()
    assert shelf.run(job).phase is Phase.CANCELLED
    assert shelf.entries() == []
    assert not job.result.exists()
    assert not job.part.exists()
    anew = shelf.job(A)
    assert anew.id != job.id
    assert shelf.run(anew).phase is Phase.DONE


def test_one_process_works_on_a_job(shelf: Shelf) -> None:
    shelf.put("a", A)
    job = shelf.job(A)
    with job.locked(), pytest.raises(BusyError, match="another process works on job"):
        shelf.run(Job(job.folder))
    assert shelf.run(job).phase is Phase.DONE


def test_others_take_their_turn_while_a_job_runs(shelf: Shelf) -> None:
    job = shelf.job("\n".join(f"97873010{n:04d}" for n in range(300)) + f"\n{A}")
    turns = 0

    async def run() -> None:
        nonlocal turns
        work = asyncio.create_task(shelf.runner().run(job))
        while not work.done():
            await asyncio.sleep(0)
            turns += 1
        await work

    asyncio.run(run())
    assert turns > 10


def test_jobs_that_ended_long_ago_are_removed(shelf: Shelf) -> None:
    shelf.put("a", A)
    old = shelf.job(A)
    shelf.run(old)
    unfinished = shelf.job(B)
    assert shelf.jobs.forget(NOW_US + 3_600_000_000) == 0  # its id may not come again today
    assert shelf.jobs.forget(NOW_US + 2 * 86_400_000_000) == 1
    assert [job.id for job in shelf.jobs.all()] == [unfinished.id]
    assert len(shelf.entries()) == 1


def test_the_report_for_spreadsheets_holds_no_formula(shelf: Shelf) -> None:
    lines = [Line(1, "=HYPERLINK(1)", "", "no ISBN: 1 digits"), Line(2, A, A)]
    rows = report_rows(
        lines, {0: Resolved(0, Status.INVALID, note=lines[0].reason), 1: Resolved(1, Status.FOUND)}
    )
    header, first, second = report_csv(rows).splitlines()
    assert header.startswith("\ufeffline,written,isbn,status")
    assert first == "1,'=HYPERLINK(1),,invalid,,,,,no ISBN: 1 digits,"
    assert second.startswith(f"2,{A},{A},found,")


def test_a_result_is_handed_over_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(b"new")
    (tmp_path / "out").write_bytes(b"old")
    hand_over(tmp_path / "result", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"new"
    with pytest.raises(OSError, match="missing"):
        hand_over(tmp_path / "result", tmp_path / "missing" / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "result"]


def test_a_result_replaces_no_device_and_no_link(tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(b"new")
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    hand_over(tmp_path / "result", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        hand_over(tmp_path / "result", tmp_path / "pipe")
        assert os.read(reader, 100) == b"new"
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("job_id", ["../batch", "20260101-0123456789abcdef/..", "", "x"])
def test_an_id_leads_nowhere_else(shelf: Shelf, job_id: str) -> None:
    shelf.job(A)
    assert shelf.jobs.get(job_id) is None


def test_gb18030_is_written_whole(shelf: Shelf) -> None:
    put(shelf.library.writer, book("hlm", "红楼梦", isbn=A))
    job = shelf.job(A, encoding="gb18030")
    shelf.run(job)
    data = job.result.read_bytes()
    assert "红楼梦".encode("gb18030") in data
    assert int(data[:5]) == len(data)
