"""The event loop of the workers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end on uvloop, or on asyncio's own loop where there is none."""
    try:
        from uvloop import run as run_loop  # noqa: PLC0415 - not on every platform
    except ImportError:
        asyncio.run(main)
    else:
        run_loop(main)
