"""What the operating system tells of a process (Linux, /proc)."""

from __future__ import annotations

import contextlib
import os
import resource
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_SIZE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """`start_s` is in seconds since 1970; `files_max` 0: no bound."""

    memory_bytes: int
    cpu_s: float
    files: int
    files_max: int
    start_s: float


def process_figures(pid: int) -> ProcessFigures | None:
    """What process `pid` takes; None: it is gone, or may not be looked at."""
    folder = _PROC / str(pid)
    with contextlib.suppress(OSError, ValueError, IndexError):
        # The name of the program, in parentheses, may hold anything.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        if fields[0] == "Z":  # it has ended, and nobody has noticed yet
            return None
        soft, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        return ProcessFigures(
            memory_bytes=int(fields[21]) * _PAGE_SIZE_BYTES,
            cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS_PER_S,
            files=sum(1 for _ in (folder / "fd").iterdir()),
            files_max=0 if soft == resource.RLIM_INFINITY else soft,
            start_s=_boot_s() + int(fields[19]) / _TICKS_PER_S,
        )
    return None


def _boot_s() -> float:
    for line in (_PROC / "stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    raise ValueError("no btime")
