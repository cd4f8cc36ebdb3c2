"""What the pages of the console are made of, without the pages."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from metering.entry import DAY_US, Meter
from metering.interface import MeteringError
from metering.kept_totals import KeptTotals
from metering.ledger import Ledger
from server.accounting.audit_trail import trail
from server.batch.job import Jobs
from server.config import Config
from server.console import duplicates, jobs, ledger, members, settlements, work
from server.console.members import Asked
from server.console.work import Asked as AskedWork
from server.console.work import BusyError, Piece, Works
from store.audit import AuditSelection, Origin
from store.editing import MergeRefused
from store.load_journal import Command, FileMark, LoadJournal
from store.record_reader import RecordReader
from store.sqlite import FILE_NAME, open_writer
from tests.pages.consortium import NOON, SPOOL, YEAR, make_consortium

ADMIN = Origin("web", "admin", "127.0.0.1")
AFTER_GRACE = NOON + 365 * DAY_US


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A consortium that is only looked at."""
    return make_consortium(tmp_path_factory.mktemp("console"))


def codes(config: Config, **asked: Any) -> list[str]:
    found = members.list_members(config, KeptTotals(), Asked(**asked), YEAR, NOON)
    return [line.institution.code for line in found.lines]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, ["BNU", "FDU", "PKU", "THU"]),
        ({"words": "library PEKING"}, ["PKU"]),
        ({"words": "pku"}, ["PKU"]),
        ({"words": "nobody"}, []),
        ({"state": "active"}, ["PKU", "THU"]),
        ({"state": "registered"}, ["BNU"]),
        ({"sort": "name", "descending": True}, ["THU", "PKU", "FDU", "BNU"]),
        ({"sort": "downloads", "descending": True}, ["PKU", "THU", "BNU", "FDU"]),
        ({"sort": "quota", "descending": True}, ["THU", "PKU", "BNU", "FDU"]),
        ({"sort": "state"}, ["BNU", "PKU", "THU", "FDU"]),
        ({"sort": "term"}, ["FDU", "PKU", "THU", "BNU"]),
        ({"page": 9}, ["BNU", "FDU", "PKU", "THU"]),
    ],
)
def test_members_are_searched_and_sorted(
    config: Config, asked: dict[str, Any], wanted: list[str]
) -> None:
    assert codes(config, **asked) == wanted


def test_members_come_in_pages_with_counts_by_state(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "MEMBERS_A_PAGE", 3)
    second = members.list_members(config, KeptTotals(), Asked(page=2), YEAR, NOON)
    assert [line.institution.code for line in second.lines] == ["THU"]
    assert (second.count, second.page, second.pages) == (4, 2, 2)
    assert (second.states["active"], second.states["warned"], second.states["ended"]) == (2, 1, 0)
    (line,) = second.lines
    assert line.term is not None
    assert line.term.renews
    assert (line.usage.downloads, line.usage.quota) == (1, 0)


def test_a_member_in_full(config: Config) -> None:
    member = members.read_member(config, "pku", YEAR, NOON)
    assert member is not None
    assert member.institution.code == "PKU"
    assert (member.usage.downloads, member.usage.holdings_uploaded) == (259, 50)
    assert member.months[5].downloads == 259
    assert member.months[5].holdings == 50
    assert member.months[4].downloads == 0
    assert [account.name for account, _ in member.accounts] == ["pku", "pku-cat"]
    assert [certificate.language for _, (certificate,) in member.accounts[1:]] == ["chinese"]
    assert [key.name for key in member.keys] == ["ils"]
    assert [(each.network, each.account) for each in member.ranges] == [("192.0.2.0/24", "pku")]
    assert list(member.actions) == ["warn", "suspend", "end"]
    assert member.years == [YEAR]
    assert member.steps[-1].action == "add"
    assert members.read_member(config, "NOBODY", YEAR, NOON) is None
    waiting = members.read_member(config, "BNU", YEAR, NOON)
    assert waiting is not None
    assert waiting.last_day_of_term is None
    assert list(waiting.actions) == ["end"]


def test_what_a_figure_counts_is_found_down_to_the_record(config: Config) -> None:
    month = ledger.read_month(config, "PKU", YEAR, 6)
    assert month.sums.downloads == 259
    assert sum(day.downloads for day in month.days.values()) == 259
    assert list(month.days) == [20240615]
    first = ledger.read_day(config, "PKU", 20240615, meter=Meter.DOWNLOAD)
    assert len(first.entries) == ledger.ENTRIES_A_PAGE
    assert first.next_after is not None
    seen = list(first.entries)
    after: int | None = first.next_after
    while after is not None:
        more = ledger.read_day(config, "PKU", 20240615, meter=Meter.DOWNLOAD, after=after)
        seen += more.entries
        after = more.next_after
    assert sum(entry.quantity for entry in seen) == 259  # 260 less the one that is void
    (void,) = ledger.read_day(config, "PKU", 20240615, control_number="c4").entries[1:]
    found = ledger.read_entry(config, void.id)
    assert found is not None
    assert found[1] is not None
    assert (found[0].note, found[1].id) == ("connection lost", f"{SPOOL}:3")
    assert ledger.read_entry(config, "nothing") is None
    with pytest.raises(ValueError, match="day"):
        ledger.read_day(config, "PKU", 20240231)


def test_jobs_of_all_members_are_listed_with_their_progress(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = jobs.list_jobs(config).jobs
    assert line.made is not None
    assert line.state is not None
    assert (line.made.order.institution, line.state.resolved) == ("PKU", 1)
    order = line.made.order
    all_jobs = Jobs(config.batch_dir)
    others = [
        all_jobs.create(order, all_jobs.all()[0].lines()[:n], NOON + n * DAY_US)[0] for n in (1, 2)
    ]
    (others[0].folder / "state.json").write_text("{")
    monkeypatch.setattr(jobs, "JOBS_A_PAGE", 2)
    first = jobs.list_jobs(config)
    assert [each.id for each in first.jobs] == [others[1].id, others[0].id]
    assert "is damaged" in first.jobs[1].damaged
    assert first.next_before == others[0].id
    assert [each.id for each in jobs.list_jobs(config, first.next_before).jobs] == [line.id]
    for wanted in (True, False):
        done = jobs.cancel_job(config, others[1].id, NOON, origin=ADMIN, reason="wrong list")
        assert done is wanted
    assert jobs.list_jobs(config).jobs[0].cancelling
    assert not jobs.cancel_job(config, "../etc", NOON, origin=ADMIN, reason="none")


def test_loads_are_told_whether_they_move(config: Config, tmp_path: Path) -> None:
    file = tmp_path / "new.mrc"
    file.write_bytes(b"x")
    path = config.data_dir / FILE_NAME
    with closing(open_writer(path)) as connection:
        LoadJournal.open(
            connection, path, Command("cn_cat", "auto", None, (FileMark.of(file),)), report=None,
            restart=False, at_us=NOON,
        )  # fmt: skip
    (now,) = jobs.list_loads(config, NOON + 1)
    assert now.moves
    assert now.load.files == [str(file)]
    (later,) = jobs.list_loads(config, NOON + 3600 * 1_000_000)
    assert not later.moves


def test_reports_are_found_by_name_and_nothing_else_is(config: Config) -> None:
    names = [report.name for report in jobs.list_reports(config)]
    assert len(names) == 2
    assert [duplicates.is_duplicate_report(name) for name in sorted(names)] == [True, False]
    assert jobs.report_file(config, names[0]) is not None
    for name in ("../ledger.sqlite", "nothing.csv", ".", "", "/etc/passwd"):
        assert jobs.report_file(config, name) is None


def test_duplicates_are_read_from_a_report_and_looked_up(config: Config) -> None:
    (name,) = filter(
        duplicates.is_duplicate_report, (report.name for report in jobs.list_reports(config))
    )
    path = jobs.report_file(config, name)
    assert path is not None
    found = duplicates.read_report(config, path)
    assert [(each.keep.control_number, each.away.control_number) for each in found.pairs] == [
        ("c2", "c1")  # what more institutions hold is kept, and what is gone left out
    ]
    assert found.next_offset is None
    json_lines = path.with_suffix(".jsonl")
    row = '{"database":"cn_cat","keep_id":1,"away_id":2}\n'
    json_lines.write_text(row + "not json\n" + '{"database":"x","keep_id":1}\n' + row)
    assert len(duplicates.read_report(config, json_lines).pairs) == 2
    assert len(duplicates.read_report(config, json_lines, len(row)).pairs) == 1
    json_lines.unlink()
    looked_up = duplicates.pairs_of_record(config, "c1")
    assert looked_up is not None
    assert [each.score.is_certain for each in looked_up] == [True]
    assert duplicates.pairs_of_record(config, "c3") == []
    assert duplicates.pairs_of_record(config, "no such") is None
    assert duplicates.newest_uploads(config) == []  # nothing came over the network


def test_two_records_stand_beside_each_other(config: Config) -> None:
    compared = duplicates.compare_records(config, 1, 2)
    assert compared is not None
    assert compared.may_merge
    assert compared.one.control_number == "c2"
    assert compared.pair is not None
    assert [len(rows) for rows in compared.holdings] == [2, 1]
    differing = [
        (left.tag if left else "", right.tag if right else "")
        for left, right in compared.marc
        if left != right
    ]
    assert differing == [("001", "001"), ("200", "200"), ("210", "210")]
    apart = duplicates.compare_records(config, 1, 4)
    assert apart is not None
    assert not apart.may_merge
    assert duplicates.compare_records(config, 1, 1) is None
    assert duplicates.compare_records(config, 1, 999) is None


def test_a_merge_is_of_the_versions_that_were_seen(tmp_path: Path) -> None:
    config = make_consortium(tmp_path)
    with pytest.raises(MergeRefused, match="changed meanwhile"):
        duplicates.merge_records(config, 2, 1, (7, 1), origin=ADMIN, reason="same book")
    done, taken_back = duplicates.merge_records(
        config, 2, 1, (1, 1), origin=ADMIN, reason="same book"
    )
    assert (done.combined, done.moved, taken_back) == (("PKU",), (), False)
    with RecordReader(config.data_dir) as reader:
        history = reader.versions(2)
    assert (history[-1].account, history[-1].reason) == ("admin", "same book")
    path = jobs.report_file(config, "duplicates-20260101T000000.000000Z.csv")
    assert path is not None
    assert duplicates.read_report(config, path).pairs == []


# Settlement


def carry_out(config: Config, kind: str, now_us: int, reason: str = "") -> Piece:
    """As the process beside the server does it, at another time."""
    works = Works(config.data_dir)
    asked = AskedWork(kind=kind, year=YEAR, who="admin", address="127.0.0.1", reason=reason)
    piece, lock = works.begin(asked)
    works.carry_out(piece, lambda piece, tell: settlements.do(config, lambda: now_us, piece, tell))
    os.close(lock)
    told = works.get(piece.id)
    assert told is not None
    assert told.finished_us
    return told


def test_a_year_is_drafted_checked_and_made_final(tmp_path: Path) -> None:
    config = make_consortium(tmp_path)
    empty = settlements.read_year(config, YEAR, AFTER_GRACE)
    assert (empty.count, empty.is_over, empty.in_grace) == (0, True, False)
    assert list(empty.years) == [2025, 2024]
    early = carry_out(config, "draft", NOON)
    assert "is not over in China" in early.refused
    drafted = carry_out(config, "draft", AFTER_GRACE)
    assert (drafted.refused, drafted.documents) == ("", 2)
    year = settlements.read_year(config, YEAR, AFTER_GRACE)
    assert (year.drafts, year.finals, year.receivable_fen) == (2, 0, (259 - 60 + 1) * 100)
    in_grace = int((date(2025, 1, 10) - date(1970, 1, 1)).days) * DAY_US
    assert settlements.read_year(config, YEAR, in_grace).in_grace
    refused = carry_out(config, "final", in_grace)
    assert "the grace period of 2024 lasts until 2025-01-31" in refused.refused
    final = carry_out(config, "final", in_grace, "the auditor is here")
    assert (final.refused, final.documents) == ("", 2)
    assert final.done == final.total > 0
    checked = carry_out(config, "check", AFTER_GRACE)
    assert (checked.refused, checked.documents, list(checked.problems)) == ("", 2, [])
    settled = settlements.read_year(config, YEAR, AFTER_GRACE)
    assert [(line.name, line.document.status) for line in settled.lines] == [
        ("Peking University Library", "final"), ("Tsinghua University Library", "final"),
    ]  # fmt: skip
    assert carry_out(config, "note", AFTER_GRACE, "late").documents == 0
    newest = Works(config.data_dir).newest(YEAR, 3)
    assert [piece.asked.kind for piece in newest] == ["note", "check", "final"]
    rows = list(trail(config, AuditSelection(kind="settlement")))
    assert [(row.action, row.institution, row.reason) for row in rows] == [
        ("settlement draft", "PKU", ""), ("settlement draft", "THU", ""),
        ("settlement final", "PKU", "the auditor is here"),
        ("settlement final", "THU", "the auditor is here"),
    ]  # fmt: skip
    assert {(row.account, row.address, row.protocol) for row in rows} == {
        ("admin", "127.0.0.1", "web")
    }
    mine = settlements.read_member_year(config, YEAR, "pku")
    assert mine is not None
    assert [each.status for each in mine.documents] == ["draft", "final"]
    assert (mine.estimate, mine.change) == (None, None)
    assert settlements.read_member_year(config, YEAR, "NOBODY") is None


def test_one_piece_of_work_at_a_time_and_a_lost_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = Works(tmp_path)
    assert not works.is_busy()
    asked = AskedWork(kind="check", year=YEAR, who="admin")
    piece, lock = works.begin(asked)
    assert works.is_busy()
    with pytest.raises(BusyError):
        works.begin(asked)

    def half(piece: Piece, tell: Callable[[], None]) -> None:
        piece.done, piece.total = 1, 2
        tell()
        told = works.get(piece.id)
        assert told is not None
        assert (told.done, told.finished_us, told.broken_off) == (1, 0, False)
        raise MeteringError("the disk is full")

    works.carry_out(piece, half)
    os.close(lock)
    told = works.get(piece.id)
    assert told is not None
    assert (told.refused, told.broken_off) == ("the disk is full", False)
    lost, lock = works.begin(asked)
    os.close(lock)
    told = works.get(lost.id)
    assert told is not None
    assert told.broken_off
    assert [each.id for each in works.newest(YEAR, 5)] == [lost.id, piece.id]
    assert works.get("../../x") is None
    assert works.get(f"{'2' * 16}-{'a' * 8}") is None
    monkeypatch.setattr(work, "KEPT_MAX", 2)
    for _ in range(3):
        os.close(works.begin(asked)[1])
    assert len(works.newest(YEAR, 9)) == 2


def test_work_that_is_refused_is_told_and_the_process_ends_well(tmp_path: Path) -> None:
    config = make_consortium(tmp_path)
    asked = AskedWork(kind="note", year=YEAR, who="admin", reason="nothing is settled")
    piece, lock = Works(config.data_dir).begin(asked)
    process = subprocess.Popen(
        [sys.executable, "-m", "server.console.settling_process"],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(lock,),
    )  # fmt: skip
    os.close(lock)
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(pickle.dumps((config, piece)))
    process.stdin.flush()  # and the pipe stays open, as a worker has it
    said = process.stderr.read().decode()
    assert process.wait(30) == 0, said
    process.stdin.close()
    process.stderr.close()
    told = Works(config.data_dir).get(piece.id)
    assert told is not None
    assert told.refused == f"{YEAR} is not settled"
    assert "Traceback" not in said
    assert "Fatal" not in said


def test_the_process_ends_with_the_worker_that_started_it(tmp_path: Path) -> None:
    config = make_consortium(tmp_path)
    asked = AskedWork(kind="draft", year=YEAR, who="admin")
    piece, lock = Works(config.data_dir).begin(asked)
    # It waits for the ledger, which somebody else writes to; meanwhile the pipe closes.
    with closing(Ledger(config.ledger_path)) as held, held.writing():
        process = subprocess.Popen(
            [sys.executable, "-m", "server.console.settling_process"], stdin=subprocess.PIPE,
            pass_fds=(lock,),
        )  # fmt: skip
        os.close(lock)
        process.communicate(pickle.dumps((config, piece)), timeout=60)
    assert process.returncode == 1
    told = Works(config.data_dir).get(piece.id)
    assert told is not None
    assert told.broken_off
    assert settlements.read_year(config, YEAR, AFTER_GRACE).count == 0
