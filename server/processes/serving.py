"""Whether a server runs in a data folder, for commands that then make themselves small."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

# Of the process that writes: one that hardly gets any CPU would hold the write
# lock for long. Those that analyse records beside it get what is left.
COMMAND_NICENESS = 5


def is_serving(data_dir: Path) -> bool:
    """Whether some process holds the lock of the folder's server."""
    try:
        lock = os.open(data_dir / "server.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def give_way() -> None:
    """From now on this process, and still more those it starts, leave the CPU to the server."""
    os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), COMMAND_NICENESS))
