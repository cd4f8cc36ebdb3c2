"""Files of holdings that were sent on a page: looked through first, carried out when told so.

Each is a folder below `data_dir/holdings/sent`, with the file, `state.json` and
`report.csv`; whichever worker took it works on it in a thread, and any shows it. What
a worker that died has not finished is given again: what was done is found unchanged.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import Literal

import msgspec

from server.access_control.principal import Principal
from server.config import Config
from server.holdings.batch import BatchRefused
from server.holdings.change import BatchRequest, Mode, Summary
from server.holdings.desk import apply_batch
from server.log import Log
from store.sqlite import StoreError

KEPT_S = 7 * 86_400.0  # after which a file and its report are removed
SILENT_S_MAX = 60.0  # of one that is under way: then its worker is gone
_TELL_INTERVAL_S = 0.3
_ID = re.compile("[0-9a-f]{32}")
Phase = Literal["looking", "looked", "writing", "done", "failed"]

log = Log("lianmu.web")


class State(msgspec.Struct, kw_only=True):
    """`state.json`. `told_s` is when it was written, in seconds since 1970.

    `summary` is what a look foresees or a run did, without its report, which is beside it.
    """

    institution: str
    account: str
    address: str
    mode: Mode
    database: str
    source: str  # the name of the file
    summary: Summary | None
    phase: Phase = "looking"
    done: int = 0
    total: int = 0
    reason: str = ""
    told_s: float = 0.0

    def is_broken_off(self, now_s: float) -> bool:
        return self.phase in ("looking", "writing") and now_s - self.told_s > SILENT_S_MAX


class Run:
    """One folder. Methods block on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name

    @property
    def file(self) -> Path:
        return self.folder / "file"

    @property
    def report(self) -> Path:
        return self.folder / "report.csv"

    def state(self) -> State:
        return msgspec.json.decode((self.folder / "state.json").read_bytes(), type=State)

    def save(self, state: State) -> None:
        state.told_s = time.time()
        draft = self.folder / f"state.{secrets.token_hex(4)}"
        draft.write_bytes(msgspec.json.encode(state))
        draft.replace(self.folder / "state.json")


class HoldingsRuns:
    """The runs of one worker, one after the other, and those of all to look at."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folder = config.data_dir / "holdings" / "sent"
        self._turn = asyncio.Semaphore(1)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, received: Path, state: State) -> Run:
        """Take a file that came, whose look is to be started. Blocks on the disk."""
        self._forget()
        folder = self._folder / secrets.token_hex(16)
        folder.mkdir(parents=True)
        run = Run(folder)
        received.replace(run.file)
        run.save(state)
        return run

    def start(self, run: Run, state: State, principal: Principal, *, dry_run: bool) -> None:
        """Have the file looked through, or carried out."""
        task = asyncio.get_running_loop().create_task(self._work(run, state, principal, dry_run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, run: Run, state: State, principal: Principal, dry_run: bool) -> None:
        async with self._turn:
            await asyncio.to_thread(self._carry_out, run, state, principal, dry_run)

    def find(self, institution: str, name: str) -> Run | None:
        """A run of the institution by its id. Blocks on the disk."""
        if not _ID.fullmatch(name):
            return None
        run = Run(self._folder / name)
        try:
            return run if run.state().institution == institution else None
        except (OSError, msgspec.MsgspecError):
            return None

    def discard(self, run: Run) -> None:
        """Blocks on the disk."""
        shutil.rmtree(run.folder, ignore_errors=True)

    def _carry_out(self, run: Run, state: State, principal: Principal, dry_run: bool) -> None:
        state.phase = "looking" if dry_run else "writing"
        state.done = state.total = 0
        run.save(state)
        next_s = 0.0

        def told(_: str, done: int, size: int, total: int | None) -> None:
            nonlocal next_s
            now_s = time.monotonic()
            if now_s >= next_s:
                next_s = now_s + _TELL_INTERVAL_S
                state.done, state.total = (size, total) if total else (done, 0)
                run.save(state)

        request = BatchRequest(
            principal=principal, mode=state.mode, database=state.database, dry_run=dry_run,
            protocol="web", address=state.address, source=state.source,
        )  # fmt: skip
        try:
            with run.file.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                summary = apply_batch(
                    self._config, request, stream, report=run.report, progress=told,
                    total_bytes=size,
                )  # fmt: skip
        except (BatchRefused, StoreError, OSError) as error:
            state.phase, state.reason = "failed", str(error)
        except Exception:
            log.exception("a file of holdings failed", run=run.id)
            state.phase, state.reason = "failed", "system error / 系统错误"
        else:
            state.phase = "looked" if dry_run else "done"
            state.summary = dataclasses.replace(summary, report=None)
        run.save(state)

    def _forget(self) -> None:
        """Remove what is old."""
        if not self._folder.is_dir():
            return
        for folder in self._folder.iterdir():
            try:
                old = time.time() - (folder / "state.json").stat().st_mtime > KEPT_S
            except OSError:
                continue  # on its way in or out
            if old:
                shutil.rmtree(folder, ignore_errors=True)
