"""Work shared among processes, its results in the order of what was asked."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from typing import Self, TypeVar

# Asked of each process before its first answer is taken: it works on while the
# one that takes the answers is busy with something else.
_AHEAD = 12

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


NICENESS_ADDED = 10  # where the process that takes the answers is nice already


def _begin() -> None:
    """Have this process end when the one that started it has, even by SIGKILL.

    It holds both ends of the pipe by which it is told what to do, and would wait
    there for ever. Where that one leaves the CPU to others, this one does so more.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) > 0:
        os.nice(NICENESS_ADDED)
    parent = parent_process()
    if parent is not None:

        def wait_for_end() -> None:
            wait([parent.sentinel])
            os._exit(1)

        Thread(target=wait_for_end, daemon=True).start()


class Workers:
    """Some processes; without any, this one does the work itself."""

    def __init__(self, processes: int | None) -> None:
        """`processes`: None for one a core."""
        count = (os.cpu_count() or 1) if processes is None else processes
        self._ahead_max = count * _AHEAD
        # A forked process would carry this one's locks and connections along.
        self._pool = ProcessPoolExecutor(count, get_context("spawn"), _begin) if count else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[_Result]:
        """`function` of each item; `items` are read only as far ahead as is needed."""
        if self._pool is None:
            yield from map(function, items)
            return
        ahead: deque[Future[_Result]] = deque()
        for item in items:
            ahead.append(self._pool.submit(function, item))
            if len(ahead) >= self._ahead_max:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
