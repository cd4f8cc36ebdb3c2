"""The process that does a piece of work on a settlement beside the server.

Verifying a ledger is all computing: in a thread of a worker it would slow down every
search there. The process leaves the CPU to the server, and ends when the worker that
started it does; what it had begun is undone then.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from functools import partial
from threading import Thread

from server import log
from server.config import Config
from server.console.base import now_us
from server.console.settlements import do
from server.console.work import Asked, Piece, Works
from server.processes.serving import give_way


def start(config: Config, asked: Asked) -> Piece:
    """Begin a piece of work; its page tells how far it is.

    Raises:
        BusyError: another one is being done.
        OSError: the data folder cannot be written, or there can be no further process.
    """
    piece, lock = Works(config.data_dir).begin(asked)
    try:
        # The process has the lock with the descriptor that it is given.
        process = subprocess.Popen(  # noqa: S603 - this program
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, pass_fds=(lock,)
        )
        assert process.stdin is not None  # noqa: S101
        process.stdin.write(pickle.dumps((config, piece)))
        process.stdin.flush()
    finally:
        os.close(lock)
    Thread(target=_wait_for, args=(process,), name="console", daemon=True).start()
    return piece


def _wait_for(process: subprocess.Popen[bytes]) -> None:
    """Until then the pipe stays open: it closes with this process."""
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def main() -> None:
    """What the process does: the work that it reads from its standard input."""
    config: Config
    piece: Piece
    config, piece = pickle.load(sys.stdin.buffer)  # noqa: S301 - of `start`
    Thread(target=_end_with_the_worker, daemon=True).start()
    give_way()
    log.set_up(config.server.log_format, config.server.log_level)
    Works(config.data_dir).carry_out(piece, partial(do, config, now_us))


def _end_with_the_worker() -> None:
    # Not through sys.stdin, whose lock a thread must not have when the process ends.
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
