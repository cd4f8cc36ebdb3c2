"""Merges in order, for who must take something back when a record turns out a duplicate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from store.sqlite import FILE_NAME, open_reader

_ROWS_PER_READ = 10_000
_SELECT = """
SELECT sequence, away_id, away.control_number, keep_id, keep.control_number, name,
       record_merge.at_us, record_merge.account, undone_us
FROM record_merge JOIN record AS away ON away.record_id = away_id
JOIN record AS keep ON keep.record_id = keep_id
JOIN database ON database.database_id = away.database_id
WHERE sequence > ? ORDER BY sequence LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class RecordMerged:
    """A record that went into another one of its database.

    `sequence` grows with each merge and is never used again. Times are UTC in
    microseconds; `undone_us` is None while the merge holds, and is set in the
    row that was read before, so who keeps an account of merges reads them anew.
    """

    sequence: int
    away_id: int
    away_number: str
    keep_id: int
    keep_number: str
    database: str
    at_us: int
    account: str
    undone_us: int | None


class MergeEvents:
    """Reads the merges of the catalogue in `directory`.

    Raises:
        StoreError: there is no catalogue, or its schema is another.
    """

    def __init__(self, directory: Path) -> None:
        self._connection = open_reader(directory / FILE_NAME)

    def after(self, sequence: int) -> Iterator[RecordMerged]:
        """Every merge behind `sequence`, in order, undone ones too."""
        while True:
            rows = self._connection.execute(_SELECT, (sequence, _ROWS_PER_READ)).fetchall()
            for row in rows:
                yield RecordMerged(*row)
            if len(rows) < _ROWS_PER_READ:
                return
            sequence = rows[-1][0]

    def close(self) -> None:
        self._connection.close()
