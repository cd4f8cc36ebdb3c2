"""The event loop of the workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

_run_loop: Callable[[Coroutine[Any, Any, None]], None] = asyncio.run
# Before the workers are forked: its memory is then theirs together.
try:
    import uvloop
except ImportError:  # not on every platform
    pass
else:
    _run_loop = uvloop.run


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end on uvloop, or on asyncio's own loop where there is none."""
    _run_loop(main)
