"""A wall clock that a test may set, for servers and commands that it starts (libfaketime).

Only the time of day is set: what measures how long something takes goes on as ever.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

SHANGHAI = ZoneInfo("Asia/Shanghai")
LIBRARY = "faketime/libfaketimeMT.so.1"


class WallClock:
    """Of every process that is started after this was made, and of their children."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        found = [*Path("/usr/lib").glob(f"*/{LIBRARY}"), *Path("/usr/lib").glob(LIBRARY)]
        if not found:
            pytest.fail("libfaketime is not installed: run `make test-tools`")
        self._path = path
        self._offset_s = 0.0
        self.set(datetime.now(SHANGHAI))
        patch.setenv("LD_PRELOAD", str(found[0]))
        patch.setenv("FAKETIME_TIMESTAMP_FILE", str(path))
        patch.setenv("FAKETIME_NO_CACHE", "1")
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")

    def set(self, moment: datetime) -> None:
        """Let it be `moment` now, in running processes too."""
        self._write(moment.timestamp() - time.time())

    def step(self, by: timedelta) -> None:
        """Forward, or back when `by` is negative."""
        self._write(self._offset_s + by.total_seconds())

    def now_us(self) -> int:
        """What those processes are told, in microseconds since 1970."""
        return time.time_ns() // 1000 + int(self._offset_s * 1e6)

    def _write(self, offset_s: float) -> None:
        self._offset_s = offset_s
        new = self._path.with_suffix(".new")
        new.write_text(f"{offset_s:+.6f}\n", "ascii")
        new.replace(self._path)  # whoever reads it meanwhile must not find half a number
