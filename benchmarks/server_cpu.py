"""CPU time and memory of a server and every process beneath it, from /proc (Linux only)."""

from __future__ import annotations

import os
import time
from pathlib import Path

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def cpu_s(pid: int) -> float:
    """CPU seconds, user and system, of `pid` and its descendants, ended ones included.

    A child that ended and was waited for counts through its parent's
    cutime and cstime, so the sum never falls while `pid` lives.

    Raises:
        ProcessLookupError: `pid` is gone.
    """
    total_s = 0.0
    for member in tree(pid):
        total_s += _process_cpu_s(member)
    return total_s


def settled_cpu_s(pid: int, *, quiet_s: float = 0.25, limit_s: float = 10.0) -> float:
    """`cpu_s` once work left over after the last request has been done.

    Waits until less than 4 % of a core was used during `quiet_s`, or for
    `limit_s`: a server that defers work to a background process pays for it too.
    """
    deadline_s = time.monotonic() + limit_s
    before_s = cpu_s(pid)
    while True:
        time.sleep(quiet_s)
        now_s = cpu_s(pid)
        if now_s - before_s < 0.04 * quiet_s or time.monotonic() > deadline_s:
            return now_s
        before_s = now_s


def memory_bytes(pid: int) -> int:
    """Proportional set size of `pid` and its descendants: shared pages count once."""
    total_bytes = 0
    for member in tree(pid):
        try:
            rollup = (_PROC / str(member) / "smaps_rollup").read_text(encoding="ascii")
        except OSError:  # it ended since the tree was read
            continue
        for line in rollup.splitlines():
            if line.startswith("Pss:"):
                total_bytes += 1024 * int(line.split()[1])
    return total_bytes


def tree(pid: int) -> list[int]:
    """`pid` and its living descendants, parents first.

    Raises:
        ProcessLookupError: `pid` is gone.
    """
    children: dict[int, list[int]] = {}
    for path in _PROC.iterdir():
        if path.name.isdigit():
            fields = _stat(int(path.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(path.name))
    if not _stat(pid):
        raise ProcessLookupError(pid)
    members = [pid]
    for member in members:
        members.extend(children.get(member, ()))
    return members


def disk_bytes(path: Path) -> int:
    """Octets that the files under `path` occupy on disk (holes in sparse files do not count)."""
    return sum(512 * file.lstat().st_blocks for file in path.rglob("*") if file.is_file())


def _process_cpu_s(pid: int) -> float:
    fields = _stat(pid)
    if not fields:
        return 0.0
    own_s = (int(fields[11]) + int(fields[12])) * _TICK_S
    reaped_s = (int(fields[13]) + int(fields[14])) * _TICK_S
    # A tick is 10 ms; with hundreds of processes the lost fractions would add
    # up, so the scheduler's nanoseconds are taken where they say more. They
    # say less once a thread has ended.
    return max(own_s, _threads_cpu_s(pid)) + reaped_s


def _threads_cpu_s(pid: int) -> float:
    total_ns = 0
    try:
        for thread in (_PROC / str(pid) / "task").iterdir():
            total_ns += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
    except (OSError, IndexError):  # ended meanwhile, or a kernel without schedstat
        return 0.0
    return total_ns * 1e-9


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from `state` on; empty when the process is gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # The name is in parentheses and may hold blanks and parentheses itself.
    return text[text.rindex(")") + 2 :].split()
