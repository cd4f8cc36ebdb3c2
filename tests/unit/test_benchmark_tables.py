"""The tables of the benchmarks: what is compared, what is met, how far a run is."""

from __future__ import annotations

import io
import json
from argparse import Namespace
from itertools import count
from pathlib import Path

import pytest

from benchmarks import markdown, memory, table
from benchmarks.compare import MILLION, OURS, PEER, Measured, Round, Row
from benchmarks.load import lines as load_lines
from benchmarks.load_process import Address, Load
from benchmarks.markdown import MET, MISSED, Line
from benchmarks.memory import SITUATIONS, Held, long_session_lines, situation_lines
from benchmarks.progress import Found, Progress
from benchmarks.servers import LoadFigures, Server, copies
from benchmarks.table import Run, estimates_s, wrong_answers
from benchmarks.update import Readers, Turn, reader_lines, update_lines

ROW = Row("sort", 0.15, 0.1)


def rounds(*cpu_us: float, errors: tuple[str, ...] = (), p99_us: float = 1_000.0) -> list[Round]:
    load = Load(9, 1.0, 0.1, len(errors), errors, 1.0, 1.0, p99_us, 1.0)
    return [Round(load, one) for one in cpu_us]


def measured(ours: list[Round], peer: list[Round]) -> Measured:
    return Measured(ROW, {PEER: peer, OURS: ours})


@pytest.mark.parametrize(
    ("line", "ratio", "met"),
    [
        (Line("one", 15.0, 100.0, 0.15), 0.15, True),
        (Line("one", 16.0, 100.0, 0.15), 0.16, False),
        (Line("one", 16.0, 100.0), 0.16, None),
        (Line("one", 900.0, 100.0, 1_000.0, alone=True), 9.0, True),
        (Line("one", 1_001.0, 9_000.0, 1_000.0, alone=True), 1_001 / 9_000, False),
        (Line("one", 15.0, 0.0, 0.15), None, None),
        (Line("one", 15.0, 0.0, 20.0, alone=True), None, True),
    ],
)
def test_a_goal_is_for_the_ratio_or_for_ours_alone(
    line: Line, ratio: float | None, met: bool | None
) -> None:
    assert line.ratio == (None if ratio is None else pytest.approx(ratio))
    assert line.met is met


def test_a_line_shows_goal_both_figures_ratio_and_whether_it_is_met() -> None:
    head = markdown.lines_head("memory")
    assert head == "| memory | goal | Lianmu | Zebra | ratio | |\n|---|---|---|---|---|---|"
    assert markdown.line(Line("idle, MB", 91.26, 1366.0, 0.5)) == (
        f"| idle, MB | ≤ 0.5 | 91.3 | 1,366 | **0.0668** | {MET} |"
    )
    assert markdown.line(Line("wait, ms", 1_500.4, 5_000.0, 1_000.0, alone=True)) == (
        f"| wait, ms | Lianmu ≤ 1000 | 1,500 | 5,000 | **0.3** | {MISSED} |"
    )
    assert markdown.line(Line("rate", 15.0, 0.0)) == "| rate | – | 15 | 0 | – |  |"


def test_a_row_of_readers_has_a_cell_for_each_number_of_connections() -> None:
    connections = (1, 10)
    head, rule = markdown.reading_head(connections).splitlines()
    found = [
        measured(rounds(10.0, 12.0, 50.0), rounds(100.0, 100.0, 100.0, p99_us=30_000.0)),
        measured(rounds(20.0, 21.0, 22.0), rounds(100.0, 100.0, 100.0)),
    ]
    line = markdown.reading_line(found, 100_000)
    assert line == (
        f"| sort | ≤ 0.15 | 12 / 100 = **0.12** {MET}, p99 1.0 / 30.0 ms"
        f" | 21 / 100 = **0.21** {MISSED}, p99 1.0 / 1.0 ms |"
    )
    assert head.count("|") == rule.count("|") == line.count("|")
    assert "10 connections" in head
    # A million records have goals of their own.
    assert f"≤ 0.1 | 12 / 100 = **0.12** {MISSED}" in markdown.reading_line(found, MILLION)


def test_ratios_are_taken_within_a_round() -> None:
    # The second round fell into a slow spell of the machine, on both servers.
    found = measured(rounds(10.0, 40.0, 11.0), rounds(100.0, 400.0, 100.0))
    assert found.ratios() == pytest.approx([0.1, 0.1, 0.11])
    assert "= **0.1** " in markdown.cell(found, 0.15)


def test_a_table_says_which_server_gave_a_wrong_answer() -> None:
    right = measured(rounds(20.0), rounds(20.0))
    wrong = measured(rounds(20.0, errors=("element 0x83 is 2, not 0 to 0",)), rounds(20.0))
    assert wrong_answers([right]) == []
    assert wrong_answers([right, wrong]) == [
        "- sort: lianmu: 1 errors, for example element 0x83 is 2, not 0 to 0"
    ]
    assert "wrong" in markdown.cell(wrong, 0.15)
    assert "wrong" not in markdown.cell(right, 0.15)


def test_what_was_measured_comes_back_from_json() -> None:
    found = measured(rounds(20.0, 21.0), rounds(30.0, 31.0, errors=("no answer",)))
    again = Measured.of(ROW, json.loads(json.dumps(found.plain())))
    assert again.ratios() == found.ratios()
    assert again.errors() == found.errors()
    assert again.rounds[OURS][0].load.p99_us == 1_000.0


def test_lines_of_loads() -> None:
    ours, peer = LoadFigures(20.0, 50.0, 500_000_000, 300), LoadFigures(40.0, 40.0, 10**9, 600)
    lines = load_lines(ours, peer, 100_000)
    assert [(line.title, line.ratio) for line in lines] == [
        ("wall, s", 0.5), ("CPU, s", 1.25), ("peak memory, MB", 0.5), ("disk, MB", 0.5),
    ]  # fmt: skip
    assert [line.met for line in lines] == [True, None, True, False]
    assert [line.alone for line in load_lines(ours, peer, MILLION)].count(True) == 2


def test_lines_of_memory() -> None:
    memory_line, stall = situation_lines(
        SITUATIONS["busy"], Held(300_000_000, 80.0), Held(2_000_000_000, 5_000.0)
    )
    assert (memory_line.ratio, memory_line.met) == (0.15, True)
    assert (stall.ours, stall.peer, stall.met) == (80.0, 5_000.0, True)
    whole, growth = long_session_lines(
        [80_000_000, 81_000_000, 82_000_000, 84_000_000], [40_000_000, 1, 1, 100_000_000]
    )
    assert (whole.ours, whole.peer, whole.met) == (84.0, 100.0, None)
    assert (growth.ours, growth.peer, growth.met) == (4.0, 60.0, False)


def test_lines_of_changing_records() -> None:
    ours = [Turn(900.0, 500.0, 3.0), Turn(1_000.0, 510.0, 4.0), Turn(5_000.0, 90.0, 90.0)]
    peer = [Turn(8_000.0, 60.0, 20.0), Turn(10_000.0, 61.0, 21.0), Turn(11_000.0, 62.0, 22.0)]
    cpu, rate, p99 = update_lines(ours, peer)
    assert (cpu.ratio, cpu.met) == (0.1, True)
    assert (rate.ours, rate.peer, rate.met) == (500.0, 61.0, None)
    assert (p99.ours, p99.peer) == (4.0, 21.0)
    lines = reader_lines(Readers(ours, ours, [100.0]), Readers(peer, peer, [50.0]))
    assert [line.met for line in lines] == [True, True, None, None, None]
    assert lines[0].ratio == pytest.approx(4 / 21)
    assert lines[2].ratio == 2.0


def test_the_time_left_is_corrected_by_the_time_taken() -> None:
    out = io.StringIO()
    clock = iter([0.0, 5.0, 65.0, 265.0])
    progress = Progress(
        {"kept": 9.0, "first": 30.0, "second": 90.0, "third": 90.0}, out, lambda: next(clock)
    )
    progress.skip("kept")
    progress.done("first")  # twice as long as thought
    assert out.getvalue() == "[2/4] first: 60 s; about 6 min left\n"
    progress.done("second")
    assert out.getvalue().splitlines()[1] == "[3/4] second: 200 s; about 3 min left"


def test_what_was_found_stays_for_a_run_of_the_same_kind(tmp_path: Path) -> None:
    path, stamp = tmp_path / "found.json", {"records": 5, "sources": "a"}
    Found(path, stamp, resume=False).add("scan", [1.5])
    assert Found(path, stamp, resume=True).parts == {"scan": [1.5]}
    assert Found(path, stamp, resume=False).parts == {}
    assert Found(path, stamp | {"sources": "b"}, resume=True).parts == {}


def run_of(tmp_path: Path, *parts: str, resume: bool = False) -> Run:
    options = Namespace(
        rows=parts, connections=(1, 10), rounds=3, seconds=1.0, records=10, workers=0
    )
    progress = Progress(estimates_s(options), io.StringIO())
    found = Found(tmp_path / "found.json", {}, resume=resume)
    return Run(options, None, found, progress)  # type: ignore[arg-type]


def test_a_part_is_measured_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = count()

    def measure() -> list[Line]:
        return [Line("idle", 15.0 + next(times), 100.0, 0.5)]

    for resume in (False, True):
        run_of(tmp_path, "idle", "busy", resume=resume).lines("idle", measure)
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert next(times) == 1


def test_what_cannot_be_measured_does_not_end_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> list[Line]:
        raise RuntimeError("zebra: 3 errors")

    run = run_of(tmp_path, "idle", "busy")
    run.lines("idle", fail)
    run.lines("busy", lambda: [Line("busy", 1.0, 2.0)])
    assert run.unmeasured == ["- idle: not measured: zebra: 3 errors"]
    assert "busy" in capsys.readouterr().out
    assert "idle" not in run_of(tmp_path, "idle", resume=True).found.parts


def test_every_part_has_an_estimate() -> None:
    options = Namespace(rows=table.PARTS, connections=(1, 10, 100), rounds=3, seconds=1.0)
    estimates = estimates_s(options)
    readings = len(table.ROWS) + len(table.sru.ROWS)
    others = len(table.PARTS) - readings - 1  # loads come before
    assert len(estimates) == 3 * readings + others
    assert set(memory.PARTS) <= set(estimates)
    # With a load of 100,000 records it is to be done within twelve minutes.
    assert sum(estimates.values()) < 600
    fewer = Namespace(rows=("scan", "busy"), connections=(10,), rounds=3, seconds=1.0)
    assert set(estimates_s(fewer)) == {"scan, 10 connections", "busy"}


class Folder(Server):
    """A catalogue that is one file."""

    def __init__(self, work_dir: Path) -> None:
        self.name = "folder"
        super().__init__(work_dir / "folder")

    def load(self, records_path: Path) -> LoadFigures:
        (self.directory / "catalogue").write_bytes(records_path.read_bytes())
        return LoadFigures(1.0, 1.0, 1, 1)

    def start(self) -> Address:
        raise NotImplementedError


def test_a_run_works_on_copies_and_the_next_finds_the_originals(tmp_path: Path) -> None:
    records_path = tmp_path / "records.mrc"
    records_path.write_bytes(b"records")
    kept = Folder(tmp_path)
    kept.loaded(records_path)
    with copies([kept]) as folder:
        changed = Folder(folder).directory / "catalogue"
        assert changed.read_bytes() == b"records"
        changed.write_bytes(b"changed")
    assert (kept.directory / "catalogue").read_bytes() == b"records"
    assert not folder.exists()
