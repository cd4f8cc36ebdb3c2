"""The server under test, through its command line alone, with its defaults: metering is on."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.load_process import Address
from benchmarks.servers import (
    START_TIMEOUT_S,
    LoadFigures,
    Server,
    measured,
    start_process,
    tail,
)

PROGRAM = Path(sys.executable).with_name("lianmu")
CHECKOUT = Path(__file__).resolve().parents[1]

CONFIG_TOML = """\
[server]
data_dir = "data"
workers = {workers}

[z3950]
host = "127.0.0.1"
port = 0

[http]
host = "127.0.0.1"
port = 0
access_log = false

[http.limits]
requests_per_minute = 0
requests_at_once = 0
"""


# What decides how records are kept and indexed; and everything that a server runs.
CATALOGUE_SOURCES = ("store/**/*.*", "protocol/access_point*.py", "protocol/iso2709*.py")
ALL_SOURCES = ("store/**/*.*", "protocol/**/*.py", "metering/**/*.*", "server/**/*.*")


def digest(patterns: Iterable[str]) -> str:
    """Of the text of the sources, so that the same sources in another checkout are the same."""
    found = hashlib.sha256()
    paths = {path for pattern in patterns for path in CHECKOUT.glob(pattern)}
    for path in sorted(paths):
        if path.is_file() and path.suffix != ".pyc":
            found.update(path.relative_to(CHECKOUT).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:16]


class Lianmu(Server):
    """`lianmu load` and `lianmu serve` with `workers` processes; 0: one for each core."""

    user = "bench"
    password = "bench"
    program: Sequence[str | Path] = (PROGRAM,)

    def __init__(self, work_dir: Path, *, workers: int = 0) -> None:
        self.name = "lianmu"
        self._workers = workers
        super().__init__(work_dir / self.name)
        self.http_address: Address = ("127.0.0.1", 0)

    @staticmethod
    def missing() -> str:
        """Why Lianmu cannot run here; empty: it can."""
        if not PROGRAM.exists():
            return f"{PROGRAM} is not there: run `make install`"
        answer = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=False)
        return answer.stderr.strip().rpartition("\n")[2] if answer.returncode else ""

    def setup(self) -> str:
        """The form of the catalogue may change with the code that writes it."""
        return f"lianmu {digest(CATALOGUE_SOURCES)}"

    def load(self, records_path: Path) -> LoadFigures:
        self._configure()
        return measured(
            [
                PROGRAM, "load", "--config", "config.toml",
                "--database", self.database, records_path.resolve(),
            ],
            self.directory,
            self.log_path(),
        )  # fmt: skip

    def start(self) -> Address:
        self._configure()
        self._add_member()
        self.process = start_process(
            [*self.program, "serve", "--config", "config.toml"],
            self.directory,
            self.log_path(),
            stdout=subprocess.PIPE,
        )
        addresses = dict(part.split("=", 1) for part in self._ready_line().split()[1:])
        self.http_address = _address(addresses["http"])
        return _address(addresses["z3950"])

    def entered(self) -> int:
        """Deliveries in the ledger and in the spools, repeats among them.

        Raises:
            RuntimeError: the command line does not say.
        """
        self._configure()
        self._add_member()
        told = self._lianmu("usage", "BENCH", "--json")
        if told.returncode:
            raise RuntimeError(f"lianmu usage: {told.stderr}")
        figures = json.loads(told.stdout)
        return int(figures["downloads"]) + int(figures["repeats"])

    def _configure(self) -> None:
        config = CONFIG_TOML.format(workers=self._workers)
        (self.directory / "config.toml").write_text(config, encoding="utf-8")

    def _add_member(self) -> None:
        """An institution whose one account is `bench/bench`, unless it is there."""
        listed = self._lianmu("member", "list")
        if "BENCH" not in listed.stdout:
            added = self._lianmu("member", "add", "BENCH", "--name", "Bench", "--password", "bench")
            if added.returncode:
                raise RuntimeError(f"lianmu member add: {added.stderr}")

    def _lianmu(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *arguments, "--config", "config.toml"],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )

    def _ready_line(self) -> str:
        """The `READY z3950=… http=…` line.

        Raises:
            RuntimeError: the process ended or was killed because the time is over.
        """
        process = self.process
        assert process is not None and process.stdout is not None
        killer = threading.Timer(START_TIMEOUT_S, process.kill)
        killer.start()
        try:
            for line in process.stdout:
                if line.startswith("READY "):
                    return line
        finally:
            killer.cancel()
        raise RuntimeError(f"lianmu serve said no READY:\n{tail(self.log_path())}")


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)
