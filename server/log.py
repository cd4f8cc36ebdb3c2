"""Structured logs on stderr: one event and its fields a line, for people or as JSON."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

_FIELDS = "lianmu_fields"


class _Console(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = "".join([f" {name}={value}" for name, value in fields_of(record).items()])
        line = f"{at[:-6]}Z {record.levelname.lower():7} {record.getMessage()}{fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(event, enc_hook=str).decode()


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The named fields of an event."""
    fields: dict[str, Any] = getattr(record, _FIELDS, {})
    return fields


def set_up(log_format: str, level: str) -> None:
    """Log to stderr as `log_format` ("console" or "json") from `level` upwards."""
    # Looked up for each event, and shown in none of ours.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Console())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


class Log:
    """A logger whose events carry named fields: `log.info("session opened", session=id)`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: Any) -> None:
        if self._logger.isEnabledFor(logging.DEBUG):
            self._logger.debug(event, extra={_FIELDS: fields})

    def info(self, event: str, **fields: Any) -> None:
        if self._logger.isEnabledFor(logging.INFO):
            self._logger.info(event, extra={_FIELDS: fields})

    def warning(self, event: str, **fields: Any) -> None:
        self._logger.warning(event, extra={_FIELDS: fields})

    def error(self, event: str, **fields: Any) -> None:
        self._logger.error(event, extra={_FIELDS: fields})

    def exception(self, event: str, **fields: Any) -> None:
        """Log with the traceback of the exception being handled."""
        self._logger.exception(event, extra={_FIELDS: fields})


class Seldom:
    """For an event that may come with every request: when to tell it, and how often it came."""

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._times = 0
        self._next_s = -math.inf

    def count(self) -> int:
        """To be called at each event: how many there were since the last told; 0: tell none now."""
        self._times += 1
        now_s = self._clock()
        if now_s < self._next_s:
            return 0
        self._next_s = now_s + self._interval_s
        times, self._times = self._times, 0
        return times
