"""Progress of work that is measured in octets, by stages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from server.backup.make import Telling


@contextmanager
def telling() -> Iterator[Telling]:
    """A bar for each stage on a terminal's stderr, and nothing elsewhere."""
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
        TimeElapsedColumn(), TimeRemainingColumn(elapsed_when_finished=True),
        console=console, transient=True, disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        task = progress.add_task("", total=None)

        def stage(title: str, total: int) -> None:
            nonlocal task
            progress.remove_task(task)
            task = progress.add_task(title, total=total or None)

        yield Telling(stage, lambda done: progress.advance(task, done))
