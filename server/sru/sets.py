"""Result sets that SRU clients keep between requests.

A set is one file in `run/sets` of the data folder, so it is good whichever
worker answers next, and outlives the worker that made it. Its id is the file's
name: the worker that made it and 128 random bits, so nobody can guess another's.
The time of the file is when the set ends; each use puts it off by the set's TTL.

Each worker keeps at most so many files and octets of its own and removes the
set that would end first when a new one needs the place. Whoever stores a set
removes all that have ended, and so does a timer after that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from protocol.record import Database
from server.log import Log
from store.result_set import RecordSet

FOLDER = "sets"
# Larger files are read and written in a thread.
INLINE_BYTES_MAX = 64 * 1024
# A file that is still being written bears the time of its making.
UNFINISHED_S = 60.0
_ID = re.compile(r"w\d{1,5}a?-[0-9a-f]{32}")

log = Log("lianmu.sru")

_Result = TypeVar("_Result")


class _Header(msgspec.Struct, frozen=True):
    """The first line of a file, in JSON."""

    databases: tuple[str, ...]
    ttl_s: int


@dataclass(frozen=True, slots=True)
class KeptSet:
    """A set as it was when it was found; `databases` are the names of those searched."""

    id: str
    records: RecordSet
    databases: tuple[str, ...]
    ttl_s: int

    def is_of(self, databases: Sequence[Database]) -> bool:
        return self.databases == names_of(databases)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    size_bytes: int
    ends_s: float


def names_of(databases: Sequence[Database]) -> tuple[str, ...]:
    return tuple(sorted(database.name for database in databases))


class SetStore:
    """The sets of all workers; `worker` is the number of this one.

    Sets of `anonymous` clients are bounded apart from those of members, so that
    strangers cannot push these out.
    """

    def __init__(
        self,
        run_dir: Path,
        worker: int,
        *,
        sets_max: int,
        bytes_max: int,
        anonymous: bool = False,
    ) -> None:
        self._folder = run_dir / FOLDER
        self._prefix = f"w{worker}a-" if anonymous else f"w{worker}-"
        self._sets_max = sets_max
        self._bytes_max = bytes_max
        self._timer: asyncio.TimerHandle | None = None
        self._storing = asyncio.Lock()  # room is made for one set at a time

    async def keep(
        self, records: RecordSet, databases: Sequence[Database], ttl_s: int
    ) -> str | None:
        """Store a set for `ttl_s` seconds from its last use; its id.

        None: it is larger than what a worker may keep, or the disk takes nothing.
        """
        header = msgspec.json.encode(_Header(names_of(databases), ttl_s)) + b"\n"
        data = header + records.to_bytes()
        if len(data) > self._bytes_max:
            return None
        set_id = self._prefix + secrets.token_hex(16)
        try:
            async with self._storing:
                await _in_place_or_thread(len(data), lambda: self._store(set_id, data, ttl_s))
        except OSError as error:
            log.error("a result set cannot be kept", reason=str(error))
            return None
        self._sweep_after(ttl_s)
        return set_id

    async def load(self, set_id: str) -> KeptSet | None:
        """The set of that id, whose end is put off; None: unknown or ended."""
        if not _ID.fullmatch(set_id):
            return None
        path = self._folder / set_id
        try:
            status = path.stat()
            if status.st_mtime <= time.time():
                return None
            data = await _in_place_or_thread(status.st_size, path.read_bytes)
            line, _, content = data.partition(b"\n")
            header = msgspec.json.decode(line, type=_Header)
            records = RecordSet.from_bytes(content)
            _put_off(path, header.ttl_s)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            log.error("a result set cannot be read", set=set_id[:8], reason=str(error))
            return None
        return KeptSet(set_id, records, header.databases, header.ttl_s)

    def sweep(self) -> None:
        """Remove the sets that have ended, whoever made them."""
        now_s = time.time()
        for file in self._files():
            unfinished = file.path.name.startswith(".")
            if file.ends_s + (UNFINISHED_S if unfinished else 0) <= now_s:
                _remove(file.path)

    def _sweep_after(self, seconds: float) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds + 1, self._timed_sweep)

    def _timed_sweep(self) -> None:
        self._timer = None
        self.sweep()
        ends_s = [file.ends_s for file in self._files() if self._is_own(file)]
        if ends_s:
            self._sweep_after(max(min(ends_s) - time.time(), 0))

    def _store(self, set_id: str, data: bytes, ttl_s: int) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.sweep()
        own = sorted((file for file in self._files() if self._is_own(file)), key=_ends)
        size_bytes = sum(file.size_bytes for file in own)
        for number, oldest in enumerate(own):
            kept = len(own) - number
            if kept < self._sets_max and size_bytes + len(data) <= self._bytes_max:
                break
            _remove(oldest.path)
            size_bytes -= oldest.size_bytes
        # Under its name only when it is whole.
        temporary = self._folder / f".{set_id}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            _put_off(temporary, ttl_s)
            temporary.rename(self._folder / set_id)
        except BaseException:
            _remove(temporary)
            raise

    def _files(self) -> Iterator[_File]:
        if not self._folder.exists():
            return
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                yield _File(path, status.st_size, status.st_mtime)

    def _is_own(self, file: _File) -> bool:
        return file.path.name.startswith(self._prefix)


def _ends(file: _File) -> float:
    return file.ends_s


def _put_off(path: Path, ttl_s: int) -> None:
    ends_s = time.time() + ttl_s
    os.utime(path, (ends_s, ends_s))


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _in_place_or_thread(size_bytes: int, do: Callable[[], _Result]) -> _Result:
    if size_bytes <= INLINE_BYTES_MAX:
        return do()
    return await asyncio.to_thread(do)
