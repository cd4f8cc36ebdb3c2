"""How many sessions an account or an institution has at a time, over all workers.

Each worker writes a file of its own, with one place for each of its sessions, and
reads those of the others: nobody waits for anybody, and a worker that dies leaves
places that the worker after it clears. A session takes its place before the others
are counted, so two that come at once can both be refused but never both be one too
many.
"""

from __future__ import annotations

import mmap
import os
from hashlib import blake2b
from pathlib import Path

from server.log import Log

_PLACE_BYTES = 16  # digests of the account and of the institution
_WORD = 8

log = Log("lianmu.access")


class SessionTable:
    """The places of worker number `worker` of `workers`, in files of the folder `run_dir`.

    When the files cannot be had, sessions are counted by each worker alone.
    """

    def __init__(self, run_dir: Path, worker: int, workers: int, places: int) -> None:
        self._run_dir = run_dir
        self._worker = worker
        self._workers = workers
        self._free: list[int] = []  # places that were used before
        self._unused = iter(range(places))
        self._size_bytes = places * _PLACE_BYTES
        self._descriptor = -1
        try:
            self._map = self._made(_path(run_dir, worker))
        except (OSError, ValueError) as error:
            log.error("sessions are counted by each worker alone", reason=str(error))
            self._map = mmap.mmap(-1, self._size_bytes)
        self._own = memoryview(self._map).cast("Q")
        self._others: dict[int, memoryview] = {}

    def _made(self, path: Path) -> mmap.mmap:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # In place: others have the file mapped, and would read a new one never.
            os.posix_fallocate(descriptor, 0, self._size_bytes)
            made = mmap.mmap(descriptor, self._size_bytes)
        finally:
            os.close(descriptor)
        made[:] = bytes(self._size_bytes)
        return made

    def enter(self, account: str, institution: str) -> int | None:
        """Take a place; None when this worker has none left."""
        place = self._free.pop() if self._free else next(self._unused, None)
        if place is None:
            return None
        self._own[2 * place] = _digest("account", account)
        self._own[2 * place + 1] = _digest("institution", institution)
        return place

    def leave(self, place: int) -> None:
        self._own[2 * place] = self._own[2 * place + 1] = 0
        self._free.append(place)

    def count_of_account(self, account: str) -> int:
        return self._count(0, _digest("account", account))

    def count_of_institution(self, institution: str) -> int:
        return self._count(1, _digest("institution", institution))

    def _count(self, column: int, digest: int) -> int:
        views = [self._own, *(view for view in map(self._other, range(self._workers)) if view)]
        return sum(view.tolist()[column::2].count(digest) for view in views)

    def _other(self, worker: int) -> memoryview | None:
        if worker == self._worker:
            return None
        view = self._others.get(worker)
        if view is None:
            try:
                with _path(self._run_dir, worker).open("rb") as file:
                    mapped = mmap.mmap(file.fileno(), self._size_bytes, access=mmap.ACCESS_READ)
            except (OSError, ValueError):
                return None  # it has not begun
            view = self._others[worker] = memoryview(mapped).cast("Q")
        return view


def _path(run_dir: Path, worker: int) -> Path:
    return run_dir / f"sessions-{worker}.map"


def _digest(kind: str, name: str) -> int:
    """Never 0, which is a free place; "" is nobody and is counted as such."""
    if not name:
        return 0
    text = f"{kind}\0{name.casefold()}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=_WORD).digest(), "little") or 1
