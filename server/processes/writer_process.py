"""The writer process: merges new index rows and folds metering into the ledger."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from metering.interface import MeteringError
from server.accounting.crediting import post_credits
from server.accounting.ledger import Accounting
from server.config import Config
from server.covers.keeping import CoverKeeper
from server.live.board import LiveBoard
from server.live.history import SAMPLE_S
from server.log import Log
from server.metrics.writing import Measured
from store.members import Members
from store.sqlite import StoreError
from store.writer import CatalogueWriter

# Only credits of records merged away wait for it, and what a crash kept from the ledger.
CREDITS_INTERVAL_S = 60.0
SWEEP_INTERVAL_S = 3600.0
# However seldom there is something to do, the others see that the process turns.
TURN_S_MAX = 1.0

log = Log("lianmu.writer")


def prepare(config: Config) -> None:
    """Make the databases that are missing, so that every process finds them."""
    CatalogueWriter(config.data_dir, config.databases).close()
    Members(config.members_path, create=True).close()
    Accounting(config).close()


@dataclass(slots=True)
class Chore:
    """Work done again and again; a failure is logged and tried at the next turn.

    `failed` is told of each failure, to be counted.
    """

    name: str
    interval_s: float
    work: Callable[[], object]
    failed: Callable[[str], object] = lambda _: None
    due: float = 0.0
    failing: bool = False

    def run(self) -> None:
        self.due = time.monotonic() + self.interval_s
        try:
            self.work()
        except (MeteringError, StoreError) as error:  # such as a full disk
            if not self.failing:
                log.error("chore failed", chore=self.name, reason=str(error))
            self.failing = True
            self.failed(self.name)
        except Exception as error:
            if not self.failing:
                log.exception("chore failed", chore=self.name, reason=str(error))
            self.failing = True
            self.failed(self.name)
        else:
            if self.failing:
                log.info("chore works again", chore=self.name)
            self.failing = False


def run(config: Config, board: LiveBoard, ready: int, lifeline: int) -> None:
    """Do the chores until SIGTERM, or until the supervisor is gone."""
    board.recent.keep("writer")
    stop_read, stop_write = os.pipe()
    os.set_blocking(stop_write, False)
    signal.set_wakeup_fd(stop_write)
    signal.signal(signal.SIGTERM, lambda *_: None)
    writer = CatalogueWriter(config.data_dir, config.databases)
    accounting = Accounting(config)
    measured = Measured(board.writer(), writer, accounting)
    chores = [
        Chore("fold", config.metering.fold_interval_s, measured.fold, measured.failed),
        Chore("merge", config.catalogue.merge_interval_s, measured.merge, measured.failed),
        Chore("sample", SAMPLE_S, partial(_sample, board)),
        Chore("credits", CREDITS_INTERVAL_S, partial(post_credits, config), measured.failed),
        Chore("covers", SWEEP_INTERVAL_S, CoverKeeper(config).sweep, measured.failed),
    ]
    poll = select.poll()
    poll.register(stop_read, select.POLLIN)
    poll.register(lifeline, select.POLLIN | select.POLLHUP)
    os.write(ready, b"1")
    os.close(ready)
    while True:
        for chore in chores:
            if chore.due <= time.monotonic():
                chore.run()
        measured.turned()
        wait_s = min(TURN_S_MAX, min(chore.due for chore in chores) - time.monotonic())
        if poll.poll(max(0.0, wait_s) * 1000):
            break
    # The workers are gone by now: what they left is folded before we go too.
    Chore("last fold", 0.0, lambda: accounting.folder.fold(lag_us=0)).run()
    writer.close()
    accounting.close()


def _sample(board: LiveBoard) -> None:
    board.history.sample(board.snapshots(), time.time_ns() // 1_000)
