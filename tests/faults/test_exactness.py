"""`kill -9` at random instants of mixed traffic: the ledger is what the clients counted.

The dead are a worker, both workers, the writer, the first process alone, or the
whole server at once, also while it starts and takes back what the one before left.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.faults.counting_clients import Traffic
from tests.faults.exactness import (
    MEMBERS,
    Auditor,
    Processes,
    auditing,
    kill,
    prepare,
    wait_until_ended,
)
from tests.harness import LIANMU, serving

WORKERS = 2
ROUNDS_PER_AUDIT = 4
ROUNDS_PER_VERIFICATION = 25
VICTIMS = ["worker"] * 7 + ["workers"] * 2 + ["writer"] * 4 + ["supervisor"] * 2 + ["server"] * 5


class Rounds:
    """One data folder and the servers that run on it, one after the other."""

    def __init__(self, auditor: Auditor, seed: int) -> None:
        self.auditor = auditor
        self.chance = random.Random(seed)
        self.stack = ExitStack()
        self.cut = 0
        self._start()

    def _start(self) -> None:
        self.server = self.stack.enter_context(serving(self.auditor.config_path))
        self.processes = Processes(self.server)

    def one(self, victim: str) -> None:
        """Traffic, a death, the server whole again, and the figures."""
        chance, auditor, server = self.chance, self.auditor, self.server
        before = auditor.downloads()
        traffic = Traffic.begin(
            server.z3950, server.http, MEMBERS, each=2, seed=chance.randrange(1 << 30)
        )
        traffic.wait_until_busy()
        auditor.change_holdings(chance, chance.randrange(4))
        time.sleep(chance.uniform(0.0, 0.5))
        writer, workers = self.processes.writer, self.processes.workers
        victims = {
            "worker": [chance.choice(workers)],
            "workers": workers,
            "writer": [writer],
            "supervisor": [server.process.pid],
            "server": chance.sample([server.process.pid, writer, *workers], 2 + WORKERS),
        }[victim]
        auditor.killed_us.append(kill(victims))
        if victim in ("supervisor", "server"):
            self.stack.close()
            wait_until_ended([writer, *workers])
            if chance.random() < 0.3:
                self._killed_while_starting()
            tally = traffic.end()
            self._start()
        else:
            time.sleep(chance.uniform(0.0, 0.2))
            tally = traffic.end()
            self.processes.wait_until_replaced(victims)
        # One worker may have had no client at all.
        assert tally.cut == 0 if victim == "writer" else tally.cut > 0 or victim == "worker"
        self.cut += tally.cut
        assert tally.total() > 0
        assert tally.refused == []
        auditor.check(self.server, before, tally)
        assert "Traceback" not in self.server.log

    def _killed_while_starting(self) -> None:
        with subprocess.Popen(
            [*LIANMU, "serve", "--config", str(self.auditor.config_path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            time.sleep(self.chance.uniform(0.1, 1.5))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def run_rounds(folder: Path, victims: Sequence[str], seed: int) -> None:
    with auditing(prepare(folder, workers=WORKERS)) as auditor:
        rounds = Rounds(auditor, seed)
        with rounds.stack:
            for number, victim in enumerate(victims, 1):
                rounds.one(victim)
                if number % ROUNDS_PER_AUDIT == 0:
                    auditor.audit()
                if number % ROUNDS_PER_VERIFICATION == 0:
                    auditor.verify()
            auditor.audit()
            auditor.verify()
            auditor.tells_the_command_line(rounds.server)
            # A bound that everything is within proves nothing: most was billed.
            assert auditor.billed_total > 3 * auditor.lost_total
            assert rounds.cut >= len(victims)


def test_whatever_dies_the_ledger_is_what_the_clients_counted(tmp_path: Path) -> None:
    every = ["worker", "server", "writer", "workers", "supervisor", "worker", "server", "worker"]
    run_rounds(tmp_path, every, seed=random.randrange(1 << 30))


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_two_hundred_deaths_of_anything_leave_the_ledger_exact(tmp_path: Path) -> None:
    chance = random.Random()
    run_rounds(tmp_path, [chance.choice(VICTIMS) for _ in range(200)], seed=chance.getrandbits(30))
