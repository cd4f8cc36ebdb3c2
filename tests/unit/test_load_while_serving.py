"""The benchmark of a load beside searches: what it asks, and what it concludes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.generate import generate
from benchmarks.load_while_serving import Turn, more_records, operations, report
from protocol.iso2709 import control_number, split


def test_answers_may_grow_while_records_are_added(tmp_path: Path) -> None:
    workload = generate(300, tmp_path / "records.mrc")
    found = operations(workload, "we_cat")
    assert all(found.values())
    for wanted in found["about 1k hits, sort by title"]:
        assert wanted[0].most > wanted[0].least


def test_more_records_are_those_behind_the_first(tmp_path: Path) -> None:
    generate(30, tmp_path / "all.mrc")
    more_records(20, 10, tmp_path / "more.mrc")
    numbers = [
        [control_number(record.raw) for record in split((tmp_path / name).read_bytes())]
        for name in ("all.mrc", "more.mrc")
    ]
    assert numbers[1] == numbers[0][20:]


@pytest.mark.parametrize(
    ("cpu_us", "per_s", "passed"),
    [(150.0, 600.0, True), (250.0, 600.0, False), (150.0, 400.0, False)],
)
def test_more_than_half_as_slow_is_too_slow(
    capsys: pytest.CaptureFixture[str], cpu_us: float, per_s: float, passed: bool
) -> None:
    alone, beside = [Turn(100.0, 1000.0, 900.0)], [Turn(cpu_us, per_s, 1800.0)]
    assert report("searches", alone, beside, 500.0) is passed
    assert f"CPU per search × {cpu_us / 100:.2f}" in capsys.readouterr().out
