"""What every measured server is: loaded once, started, addressed, stopped by its own pid."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from benchmarks import server_cpu
from benchmarks.load_process import Address

WORK_DIR = Path(__file__).parent / "work"
DATABASE = "we_cat"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
MEMORY_SAMPLE_S = 0.25


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """What loading the records took. Memory is the peak of the sum over the processes (PSS)."""

    wall_s: float
    cpu_s: float
    memory_bytes: int
    disk_bytes: int


class Server(ABC):
    """A server over the generated records, in a folder of its own beneath `work_dir`."""

    name: str
    user = ""
    password = ""
    database = DATABASE

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} is not running"
        return self.process.pid

    @abstractmethod
    def load(self, records_path: Path) -> LoadFigures:
        """Build the catalogue from nothing, in `directory`."""

    @abstractmethod
    def start(self) -> Address:
        """Listen on a free loopback port. Idempotent calls are not needed."""

    def loaded(self, records_path: Path) -> LoadFigures:
        """`load`, unless `directory` holds a finished load of these very records already."""
        stamp_path = self.directory / "loaded.json"
        stat = records_path.stat()
        stamp = {"records": records_path.name, "size": stat.st_size, "setup": self.setup()}
        if stamp_path.exists():
            found = json.loads(stamp_path.read_text(encoding="utf-8"))
            if found["stamp"] == stamp:
                return LoadFigures(**found["figures"])
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        figures = self.load(records_path)
        stamp_path.write_text(
            json.dumps({"stamp": stamp, "figures": asdict(figures)}), encoding="utf-8"
        )
        return figures

    def setup(self) -> str:
        """Names the configuration, so that a changed one is loaded anew."""
        return self.name

    def stop(self) -> None:
        if self.process is not None:
            end(self.process)
            self.process = None

    def log_path(self) -> Path:
        return self.directory / "server.log"


@contextmanager
def running(servers: Sequence[Server]) -> Iterator[dict[str, Address]]:
    """Start `servers`, give their addresses by name, and stop them whatever happens."""
    addresses = {}
    try:
        for server in servers:
            addresses[server.name] = server.start()
        yield addresses
    finally:
        for server in servers:
            server.stop()


@contextmanager
def copies(servers: Sequence[Server]) -> Iterator[Path]:
    """A folder with copies of the catalogues of stopped servers, gone afterwards.

    Where the file system shares the blocks of copied files, a copy costs nothing.
    """
    folder = servers[0].directory.parent / "copies"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        for server in servers:
            subprocess.run(
                ["cp", "--archive", "--reflink=auto", server.directory, folder], check=True
            )
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A loopback port that nobody listened on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_process(
    command: Sequence[str | Path],
    directory: Path,
    log: Path,
    *,
    stdout: int | IO[str] | None = None,
) -> subprocess.Popen[str]:
    with log.open("a", encoding="utf-8") as sink:
        return subprocess.Popen(
            [str(part) for part in command],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=sink if stdout is None else stdout,
            stderr=sink,
            text=True,
        )


def wait_until_listening(address: Address, process: subprocess.Popen[str], log: Path) -> None:
    """Return once `address` accepts.

    Raises:
        RuntimeError: the process ended or the time is over; the log's end is in the text.
    """
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline_s:
        try:
            socket.create_connection(address, timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen:\n{tail(log)}")


def end(process: subprocess.Popen[str]) -> None:
    """SIGTERM, and SIGKILL for the process and its descendants when that is not heeded."""
    try:
        members = server_cpu.tree(process.pid)
    except ProcessLookupError:
        members = []
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # A server may leave its per-connection processes behind.
    for member in members[1:]:
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            continue


def measured(command: Sequence[str | Path], directory: Path, log: Path) -> LoadFigures:
    """Run `command` to its end and measure it; `disk_bytes` is what `directory` grew by.

    Raises:
        RuntimeError: it failed; the log's end is in the text.
    """
    before_bytes = server_cpu.disk_bytes(directory)
    before = os.times()
    started_s = time.perf_counter()
    process = start_process(command, directory, log)
    peak_bytes = 0
    finished = threading.Event()

    def sample() -> None:
        nonlocal peak_bytes
        while not finished.wait(MEMORY_SAMPLE_S):
            try:
                peak_bytes = max(peak_bytes, server_cpu.memory_bytes(process.pid))
            except ProcessLookupError:
                return

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    code = process.wait()
    wall_s = time.perf_counter() - started_s
    finished.set()
    sampler.join()
    after = os.times()
    if code:
        raise RuntimeError(f"{process.args!r} ended with {code}:\n{tail(log)}")
    return LoadFigures(
        wall_s=wall_s,
        cpu_s=after.children_user + after.children_system
        - before.children_user - before.children_system,
        memory_bytes=peak_bytes,
        disk_bytes=server_cpu.disk_bytes(directory) - before_bytes,
    )  # fmt: skip


def tail(log: Path, size: int = 2000) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-size:] if log.exists() else ""
