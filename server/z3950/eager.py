"""Start a coroutine at once; make it a task only when it really has to wait.

Nearly every request is answered without waiting for anything but its ledger
entries, and a task with its turns of the event loop costs more than such a
request. Python 3.12 has a part of this as `asyncio.eager_task_factory`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any


class _Rest(Coroutine[Any, Any, None]):
    """The rest of a coroutine that has already been stepped to `waiting_for`."""

    __slots__ = ("_coroutine", "_waiting_for")

    def __init__(self, coroutine: Coroutine[Any, Any, None], waiting_for: Any) -> None:
        self._coroutine = coroutine
        self._waiting_for = waiting_for

    def send(self, value: Any) -> Any:
        waiting_for = self._waiting_for
        if waiting_for is None:
            return self._coroutine.send(value)
        # The future was yielded to us and not to the task: hand it on as it is.
        self._waiting_for = None
        return waiting_for

    def throw(self, *error: Any) -> Any:
        self._waiting_for = None
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, None]:
        raise TypeError("only a task drives this")


def run(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Run `coroutine` until it first waits.

    Returns the task that runs the rest when that is for a future; None when the
    coroutine has finished, or goes on as soon as what it waits for calls its `resume`. Outside
    of a task it must not use `asyncio.timeout`.
    """
    try:
        waiting_for = coroutine.send(None)
    except StopIteration:
        return None
    if waiting_for is not None and hasattr(waiting_for, "resume"):
        waiting_for.resume = lambda: _go_on(coroutine)
        return None
    return asyncio.get_running_loop().create_task(_Rest(coroutine, waiting_for))


def _go_on(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run on when it is resumed; an error is the event loop's to report, as a task's is."""
    try:
        run(coroutine)
    except Exception as error:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a request handler failed", "exception": error}
        )
