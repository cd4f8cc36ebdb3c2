"""Progress of long work on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Self

import click
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

LINE_INTERVAL_S = 10.0
SHOWN_INTERVAL_S = 0.1


class LongWork:
    """Tells how many records are done, how many a second, and how long it may still take."""

    def __init__(self, title: str) -> None:
        self._title = title
        console = Console(stderr=True)
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(), TextColumn("{task.description}"), BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[records]:,} records, {task.fields[rate]:,.0f}/s"),
                TimeElapsedColumn(), TimeRemainingColumn(elapsed_when_finished=True),
                console=console, transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task(title, total=None, records=0, rate=0.0)
        self._began_s = time.monotonic()
        self._first: tuple[int, float] | None = None  # work that an earlier run had done
        self._line_due_s = self._began_s + LINE_INTERVAL_S
        self._shown_s = 0.0

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, records: int, done: float, total: float | None) -> None:
        """`done` of `total`, in any unit, have brought `records`; None: nobody knows the total."""
        now_s = time.monotonic()
        if self._first is None:
            self._first = (records, done)
            self._began_s = now_s
        if now_s < self._shown_s + SHOWN_INTERVAL_S:
            return
        self._shown_s = now_s
        elapsed_s = max(now_s - self._began_s, 1e-6)
        rate = (records - self._first[0]) / elapsed_s
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total, records=records, rate=rate)
        elif now_s >= self._line_due_s:
            self._line_due_s = now_s + LINE_INTERVAL_S
            line = f"{self._title}: {records:,} records, {rate:,.0f}/s"
            if total:
                line += f", {100 * done / total:.0f} %"
                speed = (done - self._first[1]) / elapsed_s
                if speed > 0:
                    line += f", {duration((total - done) / speed)} left"
            click.echo(line, err=True)


class Stages:
    """Progress of work in several stages, each with its own rate and time left."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._title = ""
        self._work: LongWork | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def update(self, title: str, done: int, total: int | None, records: int | None = None) -> None:
        """`done` of `total` in the stage of that title; another one begins a new stage.

        They are records, unless `records` says how many those octets are.
        """
        if self._work is None or title != self._title:
            self._open.close()
            self._work = self._open.enter_context(LongWork(title))
            self._title = title
        self._work.update(done if records is None else records, done, total)


def duration(seconds: float) -> str:
    """Seconds as a person says them: "45 s", "3 min 20 s", "1 h 05 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
