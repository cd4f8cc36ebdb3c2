"""What `lianmu load` does about duplicates among the records that it brings."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from server.commands.progress import Stages
from store.audit import Origin
from store.dedupe import Pair, merge_certain
from store.load import LoadSummary
from store.load_duplicates import Screen, new_pairs
from store.load_journal import unfinished_loads
from store.writer import CatalogueWriter, now_us

REPORT, REFUSE, MERGE, IGNORE = "report", "refuse", "merge", "ignore"
MODES = (REPORT, REFUSE, MERGE, IGNORE)
# A first load of millions is not held up by a check that can be made afterwards.
UNASKED_RECORDS_MAX = 200_000
ACCOUNT = "lianmu load"


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What was found among the new records; `looked` is False where nobody looked."""

    looked: bool
    possible: int = 0
    certain: int = 0
    merged: int = 0

    @property
    def told(self) -> bool:
        """Whether the report has a line of it."""
        return self.possible + self.certain > 0


class LoadCheck:
    """The duplicate check around one load: made before it, asked after it.

    `mode` is one of MODES; None: report, unless there are very many new records.
    """

    def __init__(
        self, writer: CatalogueWriter, database: str, files: Sequence[Path], mode: str | None
    ) -> None:
        self._writer = writer
        self._database = database
        self._mode = mode
        paths = [str(path.resolve()) for path in files]
        # Of a load that was broken off, what its earlier runs stored is new too.
        self._since_us = min(
            (
                each.started_us
                for each in unfinished_loads(writer.connection)
                if each.database == database and each.files == paths
            ),
            default=now_us(),
        )

    def screen(self) -> AbstractContextManager[Screen | None]:
        """What refuses records while they are loaded; None: nothing does."""
        if self._mode != REFUSE:
            return nullcontext(None)
        return Screen(self._writer, self._database)

    def after(self, summary: LoadSummary, report: Path) -> Duplicates:
        """Look through the new records; each pair is a line of the load's report.

        `report` is made when there is no report yet and something to tell.
        """
        if self._mode in (IGNORE, REFUSE) or not summary.loaded:
            return Duplicates(looked=self._mode != IGNORE)
        if self._mode is None and summary.loaded > UNASKED_RECORDS_MAX:
            return Duplicates(looked=False)
        possible, certain = 0, list[tuple[int, int]]()
        with Stages() as stages, _Lines(report, go_on=summary.report is not None) as lines:
            for pair in new_pairs(
                self._writer, self._database, self._since_us, progress=stages.update
            ):
                lines.add(pair)
                if pair.score.is_certain:
                    certain.append((pair.keep.record_id, pair.away.record_id))
                else:
                    possible += 1
        merged = 0
        if self._mode == MERGE:
            pairs = merge_certain(self._writer, certain, account=ACCOUNT, origin=Origin("cli"))
            merged = sum(1 for _ in pairs)
        return Duplicates(True, possible, len(certain), merged)


class _Lines:
    """Lines at the end of a load's report."""

    def __init__(self, path: Path, *, go_on: bool) -> None:
        """Without `go_on`, what `path` holds is of another load and goes."""
        self._path = path
        self._go_on = go_on
        self._rows: list[Sequence[object]] = []

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *error: object) -> None:
        self._write()

    def add(self, pair: Pair) -> None:
        new, old = sorted((pair.keep, pair.away), key=lambda side: -side.record_id)
        sure = "is most likely" if pair.score.is_certain else "may be"
        reasons = "; ".join(pair.score.reasons)
        reason = f"stored, but {sure} {old.control_number} ({pair.score.points}: {reasons})"
        self._rows.append(("", "", new.control_number, reason))
        if len(self._rows) >= _ROWS_KEPT_MAX:
            self._write()

    def _write(self) -> None:
        if not self._rows:
            return
        mode = "a" if self._go_on else "w"
        with self._path.open(mode, encoding="utf-8", newline="") as file:
            write_row = csv.writer(file).writerow
            if not self._go_on:
                write_row(("file", "offset", "control_number", "reason"))
            for row in self._rows:
                write_row(row)
        self._rows = []
        self._go_on = True


_ROWS_KEPT_MAX = 1000
