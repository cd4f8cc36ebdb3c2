"""Real clients' sessions, kept word for word beside the commands that made them.

`NAME.yaz` feeds `yaz-client -f`, `NAME.zoom` holds the arguments of one zoomsh
run a line; `NAME.out` is what the client printed. A missing `.out` is written
and the test fails once, so that somebody reads it before it is kept.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import RunningServer

FOLDER = Path(__file__).parent
SCRUBBED = (
    (re.compile(r"Elapsed: \d+\.\d+"), "Elapsed: T"),
    (re.compile(r"(Version: )0\.\d+\S*"), r"\1V"),
    (re.compile(r"\d\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\d"), "TIME"),
)

pytestmark = pytest.mark.real_client


def scrub(text: str, server: RunningServer) -> str:
    text = text.replace(server.z3950, "HOST:PORT").replace(server.http, "HOST:HTTP")
    for pattern, replacement in SCRUBBED:
        text = pattern.sub(replacement, text)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    return (done.stdout + done.stderr).decode("utf-8", "backslashreplace")


@pytest.mark.parametrize(
    "script", sorted([*FOLDER.glob("*.yaz"), *FOLDER.glob("*.zoom")]), ids=lambda path: path.name
)
def test_the_client_prints_what_it_always_did(
    script: Path, demo: RunningServer, client_program: Callable[[str], str], tmp_path: Path
) -> None:
    text = (
        script.read_text("utf-8").replace("HOST:PORT", demo.z3950).replace("HOST:HTTP", demo.http)
    )
    if script.suffix == ".yaz":
        commands = tmp_path / "commands"
        commands.write_text(text, "utf-8")
        printed = run([client_program("yaz-client"), "-f", str(commands)])
    else:
        lines = [line for line in text.splitlines() if line]
        printed = run([client_program("zoomsh"), *lines])
    printed = scrub(printed, demo)
    expected = script.with_suffix(script.suffix + ".out")
    if not expected.exists():
        expected.write_text(printed, "utf-8")
        pytest.fail(f"{expected.name} was written: read it, then keep it")
    assert printed == expected.read_text("utf-8")
