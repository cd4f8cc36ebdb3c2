"""The chores of the writer process, with what they take noted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from server.accounting.ledger import Accounting
from server.metrics.layout import CHORE_FAILURES, FOLDED, OTHER, Level
from server.metrics.registry import Figures, Timing
from store.writer import CatalogueWriter


class Measured:
    """Folds and merges, and writes down in the writer's row how that went."""

    def __init__(self, figures: Figures, writer: CatalogueWriter, accounting: Accounting) -> None:
        self._figures = figures
        self._writer = writer
        self._accounting = accounting
        self._fold = figures.timing("process", "fold")
        self._merge = figures.timing("process", "merge")
        figures.begin()
        # Nothing is overdue before there was time for it.
        figures.set(Level.FOLDED_NS, time.monotonic_ns())

    def turned(self) -> None:
        self._figures.set(Level.TURNED_NS, time.monotonic_ns())

    def failed(self, chore: str) -> None:
        self._figures.count(CHORE_FAILURES, chore)

    def fold(self) -> None:
        """As `Folder.fold`; raises what that raises."""
        with _timed(self._fold):
            report = self._accounting.folder.fold()
        for kind, count in (
            ("delivery", report.deliveries),
            ("void", report.voids),
            ("holding", report.holdings),
            ("audit", report.audits),
            (OTHER, report.others),
        ):
            if count:
                self._figures.count(FOLDED, kind, by=count)
        self._figures.set(Level.FOLDED_US, time.time_ns() // 1_000)
        self._figures.set(Level.FOLDED_NS, time.monotonic_ns())

    def merge(self) -> None:
        """As `CatalogueWriter.merge`, and not timed when there is nothing to do."""
        if self._writer.has_delta():
            with _timed(self._merge):
                self._writer.merge()
        self._figures.set(Level.MERGED_US, time.time_ns() // 1_000)


@contextmanager
def _timed(timing: Timing) -> Iterator[None]:
    begun_ns = time.perf_counter_ns()
    try:
        yield
    except BaseException:
        timing.add_failed(time.perf_counter_ns() - begun_ns)
        raise
    timing.add(time.perf_counter_ns() - begun_ns)
