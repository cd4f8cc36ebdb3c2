"""Starts a real server for a test, and ends it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
LIANMU = (sys.executable, "-m", "server")
CHECKOUT = Path(__file__).resolve().parents[1]

# Becomes the command in its arguments, after asking the system (PR_SET_PDEATHSIG)
# to stop it when the thread that started it has ended, however that ended.
_LEASH = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, int(signal.SIGTERM), 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
_READY = re.compile(r"^READY z3950=(\S+) http=(\S+)(?: z3950s=(\S+))?$")


@dataclass
class RunningServer:
    """A server process; `z3950`, `http` and `z3950s` (TLS, or "") are HOST:PORT."""

    process: subprocess.Popen[str]
    config: Path
    z3950: str = ""
    http: str = ""
    z3950s: str = ""
    output: list[str] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://{self.http}"

    @property
    def log(self) -> str:
        return "".join(self.output)

    def stop(self) -> int:
        """End it as an operator does; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def kill(self) -> None:
        """End the first process as a crash does."""
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            found = _READY.match(line.rstrip("\n"))
            if found:
                self.z3950, self.http, self.z3950s = found.groups(default="")
                self.ready.set()
        self.ready.set()  # the process has ended: nobody need wait


@contextmanager
def running(arguments: Sequence[str], config: Path) -> Iterator[RunningServer]:
    """Run `lianmu` with `arguments` until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", _LEASH, str(os.getpid()), *LIANMU, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=CHECKOUT,
    )
    server = RunningServer(process, config)
    reader = threading.Thread(target=server._read, daemon=True)
    reader.start()
    try:
        if not server.ready.wait(START_TIMEOUT_S) or not server.z3950:
            raise AssertionError(f"the server did not start:\n{server.log}")
        yield server
    finally:
        try:
            server.stop()
        finally:
            reader.join(STOP_TIMEOUT_S)
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def running_demo(folder: Path) -> Iterator[RunningServer]:
    """The demo catalogue on free ports, kept in `folder`."""
    arguments = ["demo", "--dir", str(folder), "--z3950-port", "0", "--http-port", "0"]
    with running(arguments, folder / "config.toml") as server:
        yield server


@contextmanager
def serving(config: Path) -> Iterator[RunningServer]:
    with running(["serve", "--config", str(config)], config) as server:
        yield server


def lianmu(*arguments: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run one `lianmu` command to its end."""
    return subprocess.run(
        [*LIANMU, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=CHECKOUT,
        check=False,
    )
