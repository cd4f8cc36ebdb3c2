"""How far a long run is, on stderr, and what it has found so far, on disk."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO


class Progress:
    """Counts the parts of a run and tells the time that is left.

    The estimates beforehand, in seconds for each part, are corrected by how long those
    that are done took in truth.
    """

    def __init__(
        self,
        estimates_s: Mapping[str, float],
        out: TextIO = sys.stderr,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._estimates_s = dict(estimates_s)
        self._parts = len(estimates_s)
        self._estimated_s = self._taken_s = 0.0  # of what is done
        self._out, self._clock = out, clock
        self._began_s = clock()

    def skip(self, part: str) -> None:
        """A part that an earlier run has done."""
        self._estimates_s.pop(part)
        self._began_s = self._clock()

    def done(self, part: str) -> None:
        now_s = self._clock()
        took_s, self._began_s = now_s - self._began_s, now_s
        self._taken_s += took_s
        self._estimated_s += self._estimates_s.pop(part)
        left_s = sum(self._estimates_s.values())
        if self._estimated_s:
            left_s *= self._taken_s / self._estimated_s
        finished = self._parts - len(self._estimates_s)
        print(
            f"[{finished}/{self._parts}] {part}: {took_s:.0f} s; about {_minutes(left_s)} left",
            file=self._out, flush=True,
        )  # fmt: skip


class Found:
    """What a run has measured, part by part, for one that goes on where it was ended.

    `stamp` says what was asked and of which sources: what was found with another is
    not used, nor anything without `resume`.
    """

    def __init__(self, path: Path, stamp: Mapping[str, Any], *, resume: bool) -> None:
        self._path = path
        self._stamp = dict(stamp)
        self.parts: dict[str, Any] = {}
        if resume and path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["stamp"] == self._stamp:
                self.parts = kept["parts"]

    def add(self, part: str, figures: object) -> None:
        self.parts[part] = figures
        unfinished = self._path.with_suffix(".new")
        unfinished.write_text(
            json.dumps({"stamp": self._stamp, "parts": self.parts}), encoding="utf-8"
        )
        unfinished.replace(self._path)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
