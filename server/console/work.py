"""Work that takes longer than a page may: done in a process of its own, told in a file.

Verifying a ledger of ten million entries takes half a minute. Whoever asks for it is led
to a page that tells how far it is. Each piece of work has a file below `data_dir/console`,
so every worker can show it; a lock lets one be done at a time in a data folder.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from metering.interface import MeteringError
from server.log import Log

KEPT_MAX = 50
_WRITE_INTERVAL_S = 0.5
_LOCK_TRIES, _LOCK_TRIES_MAX, _LOCK_PAUSE_S = 5, 250, 0.02
_ID = re.compile(r"[0-9]{16}-[0-9a-f]{8}")

log = Log("lianmu.console")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asked for: `kind` is "draft", "check", "final" or "note"."""

    kind: str
    year: int
    who: str
    address: str = ""
    reason: str = ""


class Piece(msgspec.Struct, kw_only=True):
    """A piece of work and how far it is. Times are UTC, microseconds since 1970; 0: not yet.

    `done` of `total` are entries of the ledger. `documents` is how many it made or proved,
    `problems` what a check found, `refused` why it came to nothing.
    """

    id: str
    asked: Asked
    started_us: int
    finished_us: int = 0
    done: int = 0
    total: int = 0
    documents: int = 0
    problems: Sequence[str] = ()
    refused: str = ""
    broken_off: bool = msgspec.field(default=False)  # the process that did it is gone


class BusyError(Exception):
    """Something is being done already."""


Work = Callable[[Piece, Callable[[], None]], None]


class Works:
    """The long work of one data folder. Methods block on the disk."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "console"

    def begin(self, asked: Asked) -> tuple[Piece, int]:
        """A piece of work, and the lock that whoever does it holds until it has ended.

        Raises:
            BusyError: another one is being done.
            OSError: the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = self._lock(_LOCK_TRIES)
        if lock is None and not self._goes_on():  # whose work has ended is about to go
            lock = self._lock(_LOCK_TRIES_MAX)
        if lock is None:
            raise BusyError
        try:
            now_us = time.time_ns() // 1000
            piece = Piece(id=f"{now_us:016}-{secrets.token_hex(4)}", asked=asked, started_us=now_us)
            self._write(piece)
            self._forget()
        except BaseException:
            os.close(lock)
            raise
        return piece, lock

    def carry_out(self, piece: Piece, do: Work) -> None:
        """Have `do` fill the piece in; it calls what it is given to tell of it meanwhile.

        What `do` raises becomes `refused`.
        """
        told_s = 0.0

        def tell() -> None:
            nonlocal told_s
            if time.monotonic() - told_s >= _WRITE_INTERVAL_S:
                told_s = time.monotonic()
                self._write(piece)

        try:
            do(piece, tell)
        except MeteringError as error:
            log.warning("work of the console refused", kind=piece.asked.kind, reason=str(error))
            piece.refused = str(error)
        except Exception as error:
            log.exception("work of the console failed", kind=piece.asked.kind)
            piece.refused = str(error) or type(error).__name__
        piece.finished_us = time.time_ns() // 1000
        self._write(piece)

    def get(self, piece_id: str) -> Piece | None:
        """The piece of that id; None: there is none."""
        if _ID.fullmatch(piece_id) is None:
            return None
        piece = self._read(piece_id)
        if piece is not None and not piece.finished_us and not self.is_busy():
            # Nobody works: it ended just now, or never will.
            piece = self._read(piece_id) or piece
            piece.broken_off = not piece.finished_us
        return piece

    def newest(self, year: int, limit: int) -> list[Piece]:
        """The last pieces of work about a year, the newest first."""
        found: list[Piece] = []
        for name in self._ids()[::-1]:
            piece = self.get(name)
            if piece is not None and piece.asked.year == year:
                found.append(piece)
                if len(found) == limit:
                    break
        return found

    def is_busy(self) -> bool:
        """Whether a piece of work is being done, by whichever process."""
        if not self._folder.exists():
            return False
        lock = self._lock()
        if lock is not None:
            os.close(lock)
        return lock is None

    def _goes_on(self) -> bool:
        """Whether the last piece of work has not told its end."""
        last = self._read(ids[-1]) if (ids := self._ids()) else None
        return last is None or not last.finished_us

    def _read(self, piece_id: str) -> Piece | None:
        try:
            octets = (self._folder / f"{piece_id}.json").read_bytes()
            return msgspec.json.decode(octets, type=Piece)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def _lock(self, tries: int = 1) -> int | None:
        """The lock, or None: somebody has it, though who only looks has it for a moment."""
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        for again in range(tries):
            if again:
                time.sleep(_LOCK_PAUSE_S)
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
        os.close(descriptor)
        return None

    def _write(self, piece: Piece) -> None:
        path = self._folder / f"{piece.id}.json"
        half_made = path.with_suffix(".new")
        half_made.write_bytes(msgspec.json.encode(piece))
        half_made.rename(path)

    def _ids(self) -> list[str]:
        try:
            return sorted(
                path.stem for path in self._folder.glob("*.json") if _ID.fullmatch(path.stem)
            )
        except FileNotFoundError:
            return []

    def _forget(self) -> None:
        for name in self._ids()[:-KEPT_MAX]:
            (self._folder / f"{name}.json").unlink(missing_ok=True)
