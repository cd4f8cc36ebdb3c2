"""The report of duplicates: a line for each pair, as CSV or JSON."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self, TextIO

import msgspec

from store.dedupe import Pair

COLUMNS = (
    "database", "score", "certain", "keep", "keep_id", "keep_title", "keep_holders",
    "away", "away_id", "away_title", "away_holders", "reasons",
)  # fmt: skip


class DuplicateReport:
    """Writes pairs to `path` ("-": standard output), which is made with the first of them.

    CSV with a heading, or as JSON one object a line. In CSV `reasons` is one
    text, parted by semicolons.
    """

    def __init__(self, path: Path, *, as_json: bool) -> None:
        self.path = path
        self.pairs = 0
        self.certain = 0
        self._as_json = as_json
        self._open = ExitStack()
        self._file: TextIO | None = None
        self._write_row: Callable[[Sequence[object]], object] = lambda row: None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def open(self) -> TextIO:
        """The file, made now if it is not there; its folder too."""
        if self._file is None:
            if str(self.path) == "-":
                self._file = sys.stdout
            else:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._open.enter_context(
                    self.path.open("w", encoding="utf-8", newline="")
                )
            if not self._as_json:
                self._write_row = csv.writer(self._file, lineterminator="\n").writerow
                self._write_row(COLUMNS)
        return self._file

    def add(self, pair: Pair) -> None:
        file = self.open()
        self.pairs += 1
        self.certain += pair.score.is_certain
        row = _row(pair)
        if self._as_json:
            file.write(msgspec.json.encode(dict(zip(COLUMNS, row, strict=True))).decode() + "\n")
        else:
            self._write_row(
                [*row[:2], "yes" if pair.score.is_certain else "no", *row[3:-1],
                 "; ".join(pair.score.reasons)]
            )  # fmt: skip


def _row(pair: Pair) -> tuple[object, ...]:
    keep, away = pair.keep, pair.away
    return (
        pair.database, pair.score.points, pair.score.is_certain,
        keep.control_number, keep.record_id, keep.title, keep.holders,
        away.control_number, away.record_id, away.title, away.holders,
        pair.score.reasons,
    )  # fmt: skip
