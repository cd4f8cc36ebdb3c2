"""Processes that share work with this one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from store.parallel import NICENESS_ADDED

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os
import sys
from store.parallel import Workers
if __name__ == "__main__":
    os.nice(int(sys.argv[1]))
    own = os.getpriority(os.PRIO_PROCESS, 0)
    with Workers(1) as workers:
        print(own, *workers.map(os.nice, [0]))
"""


@pytest.mark.parametrize("niceness", [0, 2])
def test_processes_are_nicer_than_one_that_is_nice(tmp_path: Path, niceness: int) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, program, str(niceness)], cwd=CHECKOUT, capture_output=True, text=True,
        check=True, env={"PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    own, theirs = map(int, done.stdout.split())
    assert theirs == (min(own + NICENESS_ADDED, 19) if own else 0)
