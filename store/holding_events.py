"""The outbox of holdings: what came and went, in order, for the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from store.audit import AuditRow, AuditSelection
from store.sqlite import FILE_NAME, open_reader

_ROWS_PER_READ = 10_000
_SELECT = """
SELECT sequence, institution, record_id, change, at_us, holding_event.account, database.name,
       control_number
FROM holding_event JOIN record USING (record_id) JOIN database USING (database_id)
WHERE sequence > ? ORDER BY sequence LIMIT ?
"""
_AUDIT = """
SELECT sequence, at_us, holding_event.account, institution, change, database.name, control_number
FROM holding_event JOIN record USING (record_id) JOIN database USING (database_id)
WHERE (?1 IS NULL OR institution = ?1) AND at_us >= ?2 AND at_us < ?3 ORDER BY sequence
"""


@dataclass(frozen=True, slots=True)
class HoldingChange:
    """A pair (institution, record) that became present (+1) or absent (-1).

    `sequence` grows with each change and is never used again; `at_us` is UTC.
    """

    sequence: int
    institution: str
    record_id: int
    change: int
    at_us: int
    account: str
    database: str
    control_number: str


class HoldingEvents:
    """Reads the outbox of the catalogue in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._connection = open_reader(directory / FILE_NAME)
        row = self._connection.execute(
            "SELECT value FROM meta WHERE key = 'catalogue_id'"
        ).fetchone()
        # Names the numbering: a catalogue made anew numbers its changes from 1 again.
        self.name = f"catalogue:{row[0]}"

    def after(self, sequence: int) -> Iterator[HoldingChange]:
        """Every change behind `sequence`, in order."""
        while True:
            rows = self._connection.execute(_SELECT, (sequence, _ROWS_PER_READ)).fetchall()
            for row in rows:
                yield HoldingChange(*row)
            if len(rows) < _ROWS_PER_READ:
                return
            sequence = rows[-1][0]

    def audit(self, selection: AuditSelection) -> Iterator[AuditRow]:
        """The changes that a selection's institution and times leave, as audit rows, in order.

        The account is whose the change is; from where it came is written down
        with the request: an upload of a record, or an import of holdings.
        """
        for sequence, at_us, account, institution, change, database, number in (
            self._connection.execute(_AUDIT, selection.bounds)
        ):  # fmt: skip
            states = ("absent", "present") if change > 0 else ("present", "absent")
            yield AuditRow(
                sequence, at_us, account, "holding added" if change > 0 else "holding removed",
                institution, "", *states, account=account, subject=f"{database} {number}",
            )  # fmt: skip

    def close(self) -> None:
        self._connection.close()
