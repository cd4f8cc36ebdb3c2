"""The tests' own servers: none outlives the tests that started it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.harness import CHECKOUT, START_TIMEOUT_S

ENDED_WITHIN_S = 30.0
TESTS = """\
import sys, time
from pathlib import Path
from tests.harness import running_demo
with running_demo(Path(sys.argv[1])) as server:
    print(server.process.pid, flush=True)
    time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_server_ends_when_its_tests_are_killed(tmp_path: Path) -> None:
    tests = subprocess.Popen(
        [sys.executable, "-c", TESTS, str(tmp_path)], cwd=CHECKOUT, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert tests.stdout is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        server = int(tests.stdout.readline())
        assert time.monotonic() < deadline
        children = [
            int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()
        ]
        assert len(children) >= 2  # the writer and a worker
        assert all(is_alive(pid) for pid in (server, *children))
    finally:
        tests.kill()
        tests.communicate()
    deadline = time.monotonic() + ENDED_WITHIN_S
    while any(is_alive(pid) for pid in (server, *children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in (server, *children) if is_alive(pid)]
