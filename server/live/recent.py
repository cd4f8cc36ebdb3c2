"""The last errors and refusals of every process, in memory that they share.

What a process says in the log at warning or above is kept here too, the latest
of it, so that whoever looks at the status sees it without looking for the log;
also what a process said that is not there any more.
"""

from __future__ import annotations

import logging
import mmap
import struct
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from server.log import fields_of

EVENTS_MAX = 32  # of each kind and process
EVENT_SIZE_BYTES = 2048
_TEXT_CHARS_MAX = 200
_FIELDS_MAX = 12
_HEAD = struct.Struct("<Q")
_LENGTH = struct.Struct("<H")
_KINDS = ("error", "warning")
_RING_SIZE_BYTES = _HEAD.size + EVENTS_MAX * EVENT_SIZE_BYTES


@dataclass(frozen=True, slots=True)
class Event:
    """What was said in the log, cut short. `at_us` is microseconds since 1970.

    `level` is "error" or "warning": something of ours failed, or was refused.
    """

    at_us: int
    process: str
    level: str
    event: str
    fields: dict[str, str]
    error: str = ""


class Recent:
    """A place for each process: the workers by number, then the writer and the supervisor."""

    def __init__(self, workers: int) -> None:
        self.names = (*(f"worker-{number}" for number in range(workers)), "writer", "supervisor")
        self._memory = mmap.mmap(-1, len(self.names) * len(_KINDS) * _RING_SIZE_BYTES)

    def keep(self, process: str) -> None:
        """Keep from now on what this process, `process` of the names, says in the log."""
        root = logging.getLogger()
        for handler in root.handlers[:]:
            if isinstance(handler, _Keeper):  # of the process that this one was forked from
                root.removeHandler(handler)
        root.addHandler(_Keeper(self, process))

    def add(self, event: Event) -> None:
        start = self._start(event.process, event.level)
        (taken,) = _HEAD.unpack_from(self._memory, start)
        data = msgspec.json.encode(event)
        for shorter in (replace(event, fields={}), replace(event, fields={}, error="")):
            if len(data) > EVENT_SIZE_BYTES - _LENGTH.size:
                data = msgspec.json.encode(shorter)
        slot = start + _HEAD.size + taken % EVENTS_MAX * EVENT_SIZE_BYTES
        _LENGTH.pack_into(self._memory, slot, 0)
        self._memory[slot + _LENGTH.size : slot + _LENGTH.size + len(data)] = data
        _LENGTH.pack_into(self._memory, slot, len(data))
        _HEAD.pack_into(self._memory, start, taken + 1)

    def events(self, count_max: int = 100) -> list[Event]:
        """The latest of all processes, newest first."""
        found = []
        for process in self.names:
            for kind in _KINDS:
                found += self._ring(self._start(process, kind))
        found.sort(key=lambda event: event.at_us, reverse=True)
        return found[:count_max]

    def _ring(self, start: int) -> list[Event]:
        found = []
        for number in range(EVENTS_MAX):
            slot = start + _HEAD.size + number * EVENT_SIZE_BYTES
            (length,) = _LENGTH.unpack_from(self._memory, slot)
            data = self._memory[slot + _LENGTH.size : slot + _LENGTH.size + length]
            try:
                found.append(msgspec.json.decode(data, type=Event))
            except (ValueError, msgspec.MsgspecError):
                continue  # nothing yet, or it is just being written over
        return found

    def _start(self, process: str, kind: str) -> int:
        place = self.names.index(process) * len(_KINDS) + _KINDS.index(kind)
        return place * _RING_SIZE_BYTES


class _Keeper(logging.Handler):
    """Adds what is logged; a log line is never lost for it."""

    def __init__(self, recent: Recent, process: str) -> None:
        super().__init__(logging.WARNING)
        self._recent = recent
        self._process = process

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._recent.add(event_of(record, self._process))
        except Exception:
            self.handleError(record)


def event_of(record: logging.LogRecord, process: str) -> Event:
    """What is kept of a log record: each text of it cut, and no more fields than a few."""
    error = record.exc_info[1] if record.exc_info else None
    fields = list(fields_of(record).items())[:_FIELDS_MAX]
    return Event(
        at_us=int(record.created * 1e6),
        process=process,
        level="error" if record.levelno >= logging.ERROR else "warning",
        event=_cut(record.getMessage()),
        fields={name: _cut(value) for name, value in fields},
        error=_cut(f"{type(error).__name__}: {error}") if error is not None else "",
    )


def _cut(value: Any) -> str:
    text = str(value).encode("utf-8", "replace").decode()
    return text if len(text) <= _TEXT_CHARS_MAX else f"{text[: _TEXT_CHARS_MAX - 1]}…"
