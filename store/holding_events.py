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
SELECT sequence, event.at_us, event.account, event.institution, change, database.name,
       control_number, coalesce(protocol, ''), coalesce(address, '')
FROM holding_event AS event JOIN record USING (record_id) JOIN database USING (database_id)
     LEFT JOIN holding_submission USING (submission_id)
WHERE (?1 IS NULL OR event.institution = ?1) AND event.at_us >= ?2 AND event.at_us < ?3
ORDER BY sequence
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

        Protocol and address are those of the submission, and empty of a load, whose
        own row in the audit has them.
        """
        for sequence, at_us, who, institution, change, database, number, protocol, address in (
            self._connection.execute(_AUDIT, selection.bounds)
        ):  # fmt: skip
            states = ("absent", "present") if change > 0 else ("present", "absent")
            yield AuditRow(
                sequence, at_us, who, "holding added" if change > 0 else "holding removed",
                institution, "", *states, who if protocol not in ("", "cli") else "", address,
                protocol, f"{database} {number}",
            )  # fmt: skip

    def close(self) -> None:
        self._connection.close()
