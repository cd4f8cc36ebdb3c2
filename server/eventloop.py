"""The event loop of the workers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

try:
    import uvloop
except ImportError:  # not available on every platform
    uvloop = None


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end on uvloop, or on asyncio's own loop without it."""
    if uvloop is None:
        asyncio.run(main)
    else:
        uvloop.run(main)
