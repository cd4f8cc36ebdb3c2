"""One ISBN job on disk: what was asked, how far it is, what came out.

A folder below `data_dir/batch` holds

- `job.json`: what was asked; never changed;
- `lines.json`: the numbers of the list;
- `state.json`: how far it is, replaced whole;
- `journal.jsonl`: what became of each number, appended in steps;
- `result.part`, then `result`: the records; `report.json`;
- `lock`: held by the process that works on it; `cancel`: somebody wants it ended;
- `handed_over`: the command has put the file where it was to go.

Everything can be read by any process at any time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec

from server.batch.choice import Candidate
from server.batch.isbns import Line
from server.errors import BatchError
from store.durable import sync

_ID = re.compile(r"[0-9]{8}-[0-9a-f]{16}(-[0-9]{1,4})?")
_AGAIN_MAX = 1000  # jobs of one list in a day
_DAY_US = 86_400_000_000

_Type = TypeVar("_Type")


class BusyError(BatchError):
    """Another process works on the job."""


class Status(StrEnum):
    """What became of a number."""

    FOUND = "found"
    SEVERAL = "several"  # the best of several records was delivered
    NOT_FOUND = "not_found"
    INVALID = "invalid"  # no ISBN
    DUPLICATE = "duplicate"  # the number, or its record, is in the file already
    REFUSED = "refused"  # the record cannot be written in the format asked for

    @property
    def delivered(self) -> bool:
        return self in (Status.FOUND, Status.SEVERAL)


class Phase(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    BILLING = "billing"  # the file is complete; its entries go into the ledger
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (Phase.DONE, Phase.CANCELLED, Phase.FAILED)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. `format` and `encoding` are those of `server.batch.files`.

    `served`: the server's workers do the job. One of the command line is done by the
    command, and by nobody once that was killed, until it is given again.
    """

    institution: str
    account: str
    databases: tuple[str, ...]  # in the order of preference
    format: str = "iso2709"
    encoding: str = "utf-8"
    served: bool = False
    references: bool = False  # characters that the encoding lacks as &#x4E00;


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """`job.json`. `created_us` is UTC, microseconds since 1970."""

    id: str
    created_us: int
    lines: int
    order: Order


class State(msgspec.Struct, kw_only=True):
    """`state.json`. Times are UTC, microseconds since 1970; 0: not yet."""

    phase: Phase = Phase.QUEUED
    resolved: int = 0  # numbers
    counts: dict[str, int] = {}  # numbers by status
    billed_at_us: int = 0  # the time of the ledger entries, set before the first of them
    finished_us: int = 0
    size_bytes: int = 0  # of the result
    reason: str = ""  # of a failure

    @property
    def delivered(self) -> int:
        """Records in the file, each of them billed once it is done."""
        return sum(n for status, n in self.counts.items() if Status(status).delivered)


class Resolved(msgspec.Struct, frozen=True):
    """A line of the journal: what became of the number at `place` (from 0) in the list."""

    place: int
    status: Status
    record_id: int = 0
    control_number: str = ""
    database: str = ""
    note: str = ""
    alternatives: tuple[Candidate, ...] = ()


class Job:
    """A job's folder. Methods block on the disk; OSError passes through."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name

    @property
    def result(self) -> Path:
        return self.folder / "result"

    @property
    def part(self) -> Path:
        return self.folder / "result.part"

    @property
    def report(self) -> Path:
        return self.folder / "report.json"

    def made(self) -> Made:
        return _read(self.folder / "job.json", Made)

    def lines(self) -> list[Line]:
        return _read(self.folder / "lines.json", list[Line])

    def state(self) -> State:
        try:
            return _read(self.folder / "state.json", State)
        except FileNotFoundError:
            return State()

    def save(self, state: State, *, durable: bool = False) -> None:
        _replace(self.folder / "state.json", msgspec.json.encode(state), durable=durable)

    def journal(self) -> dict[int, Resolved]:
        """By place, the last word on each; a line that a crash cut off is left out."""
        found: dict[int, Resolved] = {}
        try:
            data = (self.folder / "journal.jsonl").read_bytes()
        except FileNotFoundError:
            return found
        decoder = msgspec.json.Decoder(Resolved)
        for line in data.split(b"\n")[:-1]:
            with suppress(msgspec.MsgspecError):
                resolved = decoder.decode(line)
                found[resolved.place] = resolved
        return found

    def note(self, resolved: Sequence[Resolved]) -> None:
        """Append to the journal; it is on the disk when this returns."""
        data = b"".join(msgspec.json.encode(each) + b"\n" for each in resolved)
        path = self.folder / "journal.jsonl"
        with path.open("ab") as file:
            if file.tell() and not _ends_with_newline(path):
                data = b"\n" + data  # behind a line that a crash cut off
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def cancel(self) -> None:
        """Ask for its end, whoever works on it."""
        (self.folder / "cancel").touch()

    @property
    def cancelled(self) -> bool:
        return (self.folder / "cancel").exists()

    def note_handed_over(self) -> None:
        """The command has put the file where the member wants it."""
        (self.folder / "handed_over").touch()

    @property
    def handed_over(self) -> bool:
        """Whether nothing is left to do; over HTTP a member fetches the file itself."""
        return (self.folder / "handed_over").exists() or self.made().order.served

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Work on it alone; the end of the process ends the lock too.

        Raises:
            BusyError: somebody else does.
        """
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(f"another process works on job {self.id}") from None
            yield
        finally:
            os.close(descriptor)


class Jobs:
    """Every job of a data folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, job_id: str) -> Job | None:
        """The job of that id; None: there is none."""
        folder = self._root / job_id
        if _ID.fullmatch(job_id) is None or not (folder / "job.json").is_file():
            return None
        return Job(folder)

    def all(self) -> list[Job]:
        """By day, and the jobs of one list in the order they were made."""
        try:
            names = [path.name for path in self._root.iterdir()]
        except FileNotFoundError:
            return []
        jobs = [job for name in names if (job := self.get(name)) is not None]
        return sorted(jobs, key=lambda job: (job.id[:25], int(job.id[26:] or 1)))

    def of(self, institution: str) -> list[Job]:
        found = []
        for job in self.all():
            with suppress(FileNotFoundError):  # another process has just removed it
                if job.made().order.institution == institution:
                    found.append(job)
        return found

    def existing(self, order: Order, lines: Sequence[Line], *, again: bool) -> Job | None:
        """The job that `create` would find; None: it would make one."""
        return self._marked(_mark(order, msgspec.json.encode(lines)), unfinished=again)

    def _marked(self, mark: str, *, unfinished: bool = False) -> Job | None:
        """The newest job of that mark, one that is not finished first.

        With `unfinished`, none that is done and handed over.
        """
        done = None
        for job in reversed(self.all()):
            if job.id[9:25] == mark:
                phase = job.state().phase
                if not phase.ended:
                    return job
                if phase is Phase.DONE and done is None:
                    done = job
        return None if done is None or (unfinished and done.handed_over) else done

    def create(
        self, order: Order, lines: Sequence[Line], now_us: int, *, again: bool = False
    ) -> tuple[Job, bool]:
        """A job for the order, and whether it is new.

        The same list of the same member in the same form is the same job, so that a
        request that is sent again is not billed again. `again` wants another one where
        that is done; one that is not goes on. A job that was cancelled or failed is
        never taken up.
        """
        content = msgspec.json.encode(lines)
        mark = _mark(order, content)
        job = self._marked(mark, unfinished=again)
        if job is not None:
            return job, False
        day = datetime.fromtimestamp(now_us // 1_000_000, UTC)
        self._root.mkdir(parents=True, exist_ok=True)
        for number in range(1, _AGAIN_MAX):
            job_id = f"{day:%Y%m%d}-{mark}" + (f"-{number}" if number > 1 else "")
            made = Made(id=job_id, created_us=now_us, lines=len(lines), order=order)
            if self._make(made, content):
                return Job(self._root / job_id), True
            twin = Job(self._root / job_id)
            if not twin.state().phase.ended:
                return twin, False  # made by another process just now
        raise BatchError("too many jobs of one list in a day")

    def _make(self, made: Made, lines: bytes) -> bool:
        """Make the folder whole or not at all; False: there is one of that name."""
        half_made = self._root / f".{made.id}-{secrets.token_hex(4)}"
        half_made.mkdir()
        try:
            _replace(half_made / "lines.json", lines, durable=True)
            _replace(half_made / "job.json", msgspec.json.encode(made), durable=True)
            if (self._root / made.id).exists():
                return False
            half_made.rename(self._root / made.id)
        except OSError:
            if (self._root / made.id).exists():
                return False
            raise
        finally:
            shutil.rmtree(half_made, ignore_errors=True)
        return True

    def forget(self, before_us: int) -> int:
        """Remove jobs that ended before a moment; how many.

        Their entries stay in the ledger. What began on the present day stays here, so
        that no id is ever used twice.
        """
        removed = 0
        for job in self.all():
            state = job.state()
            latest_us = max(state.finished_us, job.made().created_us + _DAY_US)
            if state.phase.ended and latest_us < before_us:
                shutil.rmtree(job.folder, ignore_errors=True)
                removed += 1
        return removed


def _mark(order: Order, lines: bytes) -> str:
    """The same for the same list of the same member in the same form."""
    asked = msgspec.json.encode(msgspec.structs.replace(order, account=""))
    return hashlib.sha256(asked + b"\n" + lines).hexdigest()[:16]


def count(resolved: Iterable[Resolved]) -> dict[str, int]:
    """Numbers by status."""
    counts: dict[str, int] = {}
    for each in resolved:
        counts[each.status.value] = counts.get(each.status.value, 0) + 1
    return counts


def _read(path: Path, kind: type[_Type]) -> _Type:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.MsgspecError as error:
        raise BatchError(f"{path} is damaged: {error}") from None


def _replace(path: Path, data: bytes, *, durable: bool) -> None:
    half_made = path.with_name(f"{path.name}.new")
    with half_made.open("wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    half_made.rename(path)
    if durable:
        sync(path.parent)


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
