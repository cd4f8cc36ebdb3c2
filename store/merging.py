"""Rows of merged records: where old numbers lead, and what became of the holdings.

A union catalogue has one holding for each institution and record. When two
records turn out to be one, those of the record that goes are moved; where the
institution holds both, the two rows become one by `combine`.

The ledger counted each pair (institution, record) when it came, under the number
that the record had then. A merge therefore tells the ledger nothing: no pair has
come or gone. It notes in `counted_under` under which records the ledger knows a
holding, and when the holding is removed one day, each of those is told to go.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protocol.iso2709 import Field, MarcRecord
from protocol.record import Holding
from store.records import HOLDING_COLUMNS, read_holding

_JOIN = "; "


@dataclass(frozen=True, slots=True)
class HoldingRow:
    """A holding with its times, in microseconds, and where the ledger counted it."""

    holding: Holding
    created_us: int
    modified_us: int
    counted_under: tuple[int, ...]
    submission_id: int = 0  # that made it what it is; 0: a load


def combine(kept: Holding, moved: Holding) -> Holding:
    """What an institution holds that held two records which are one now.

    Nothing that either says is lost. Call number and location are those of the
    kept record; of the other, what they do not say comes behind "; ". Barcodes
    are joined. Copies are added, less the copies whose barcode is on both; but
    without any barcode, rows that do not contradict each other are taken for the
    same copies entered twice, and the larger number counts.
    """
    shared = set(kept.barcodes) & set(moved.barcodes)
    barcodes = tuple(dict.fromkeys((*kept.barcodes, *moved.barcodes)))
    agree = _agree(kept.call_number, moved.call_number) and _agree(kept.location, moved.location)
    if not barcodes and agree:
        copies = max(kept.copies, moved.copies)
    else:
        copies = max(kept.copies + moved.copies - len(shared), len(barcodes))
    return Holding(
        kept.institution,
        kept.record_id,
        _joined(kept.call_number, moved.call_number),
        copies,
        _joined(kept.location, moved.location),
        barcodes,
        _joined(kept.extent, moved.extent),
        _joined(kept.note, moved.note),
    )


def _agree(one: str, other: str) -> bool:
    return not one or not other or one == other


def _joined(one: str, other: str) -> str:
    return _JOIN.join(dict.fromkeys(filter(None, (*one.split(_JOIN), *other.split(_JOIN)))))


def with_numbers(record: MarcRecord, numbers: Iterable[str]) -> MarcRecord:
    """The record as it is indexed when further numbers find it: each as one more 001."""
    extra = [Field("001", number) for number in numbers]
    return MarcRecord(record.leader, [*record.fields, *extra]) if extra else record


class FormerNumbers:
    """The numbers of merged records, all read at once, for who goes through the catalogue."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._rows: defaultdict[int, list[tuple[int, int | None, str]]] = defaultdict(list)
        for record_id, since, until, number in connection.execute(
            "SELECT former_number.record_id, since_version, until_version, control_number"
            " FROM former_number JOIN record ON record.record_id = away_id"
        ):
            self._rows[record_id].append((since, until, number))

    def of(self, record_id: int, version: int) -> list[str]:
        """Those that find a record in some version, beside its own."""
        if record_id not in self._rows:
            return []
        return [
            number
            for since, until, number in self._rows[record_id]
            if since <= version and (until is None or version < until)
        ]


class MergeRows:
    """Reading and writing what is known of merges. Runs inside the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def survivor(self, record_id: int) -> int:
        """The record that this one was merged into in the end; 0: it was not merged away."""
        survivor = 0
        # Each step leads to a record that lived when the last one went, so it ends.
        while True:
            row = self._execute(
                "SELECT keep_id FROM record_merge WHERE away_id = ? AND undone_us IS NULL",
                (survivor or record_id,),
            ).fetchone()
            if row is None:
                return survivor
            survivor = row[0]

    def former_numbers(self, record_id: int, version: int) -> list[str]:
        """The control numbers that find a record in some version, beside its own."""
        rows = self._execute(
            "SELECT control_number FROM former_number JOIN record ON record.record_id = away_id"
            " WHERE former_number.record_id = ?1 AND since_version <= ?2"
            " AND (until_version IS NULL OR until_version > ?2)",
            (record_id, version),
        )
        return [row[0] for row in rows]

    def remark(
        self, record_id: int, version: int, change: str, reason: str, other_id: int = 0
    ) -> None:
        self._execute(
            "INSERT INTO record_remark VALUES (?, ?, ?, ?, ?)",
            (record_id, version, change, other_id, reason),
        )

    def note(
        self, away_id: int, keep_id: int, account: str, at_us: int, rows: Sequence[HoldingRow]
    ) -> None:
        """Remember a merge, with the holdings that it moves."""
        self._execute(
            "INSERT INTO record_merge (away_id, keep_id, at_us, account, holdings)"
            " VALUES (?, ?, ?, ?, ?)",
            (away_id, keep_id, at_us, account, _to_json(rows)),
        )

    def undo(self, away_id: int, at_us: int) -> tuple[int, list[HoldingRow]]:
        """End a merge; returns the record that it went into, and the holdings that moved."""
        keep_id, holdings = self._execute(
            "SELECT keep_id, holdings FROM record_merge WHERE away_id = ? AND undone_us IS NULL",
            (away_id,),
        ).fetchone()
        self._execute(
            "UPDATE record_merge SET undone_us = ? WHERE away_id = ? AND undone_us IS NULL",
            (at_us, away_id),
        )
        return keep_id, _from_json(away_id, holdings)

    def lead_numbers(self, away_id: int, keep_id: int, version: int) -> None:
        """From `version` of the record kept on, the numbers of the other find it too."""
        self._execute(
            "INSERT INTO former_number (record_id, away_id, since_version)"
            " SELECT ?1, away_id, ?3 FROM ("
            "  SELECT ?2 AS away_id UNION SELECT away_id FROM former_number"
            "  WHERE record_id = ?2 AND until_version IS NULL)",
            (keep_id, away_id, version),
        )

    def end_numbers(self, away_id: int, keep_id: int, version: int) -> None:
        """`lead_numbers` undone: from `version` of the record kept on they do not find it."""
        self._execute(
            "UPDATE former_number SET until_version = ?3 WHERE record_id = ?1"
            " AND until_version IS NULL AND (away_id = ?2 OR away_id IN ("
            "  SELECT away_id FROM former_number WHERE record_id = ?2 AND until_version IS NULL))",
            (keep_id, away_id, version),
        )

    def holding_rows(self, record_id: int) -> list[HoldingRow]:
        """Every holding of a record, by institution."""
        rows = self._execute(
            f"SELECT created_us, modified_us, submission_id, {HOLDING_COLUMNS}"
            " FROM holding WHERE record_id = ? ORDER BY institution",
            (record_id,),
        ).fetchall()
        return [
            HoldingRow(
                read_holding(held),
                created_us,
                modified_us,
                tuple(self.counted_under(held[0], record_id)),
                submission_id,
            )
            for created_us, modified_us, submission_id, *held in rows
        ]

    def counted_under(self, institution: str, record_id: int) -> list[int]:
        """The records under which the ledger was told of a holding that there is."""
        rows = self._execute(
            "SELECT counted_id FROM counted_under WHERE record_id = ? AND institution = ?"
            " ORDER BY counted_id",
            (record_id, institution),
        ).fetchall()
        return [row[0] for row in rows] or [record_id]

    def write(self, row: HoldingRow) -> None:
        """Store a holding as it is given, in place of any that is there."""
        holding = row.holding
        self.remove(holding.institution, holding.record_id)
        self._execute(
            "INSERT INTO holding (record_id, institution, call_number, copies, location, barcodes,"
            " created_us, modified_us, extent, note, submission_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                holding.record_id,
                holding.institution,
                holding.call_number,
                holding.copies,
                holding.location,
                json.dumps(holding.barcodes, ensure_ascii=False),
                row.created_us,
                row.modified_us,
                holding.extent,
                holding.note,
                row.submission_id,
            ),
        )
        if row.counted_under != (holding.record_id,):
            for counted_id in row.counted_under:
                self._execute(
                    "INSERT INTO counted_under VALUES (?, ?, ?)",
                    (holding.record_id, holding.institution, counted_id),
                )

    def remove(self, institution: str, record_id: int) -> None:
        """Take a holding away with what is noted about it."""
        for table in ("holding", "counted_under"):
            self._execute(
                f"DELETE FROM {table} WHERE record_id = ? AND institution = ?",
                (record_id, institution),
            )


def _to_json(rows: Sequence[HoldingRow]) -> str:
    return json.dumps(
        [
            [
                row.holding.institution, row.holding.call_number, row.holding.copies,
                row.holding.location, row.holding.barcodes, row.created_us, row.modified_us,
                row.counted_under, row.holding.extent, row.holding.note, row.submission_id,
            ]
            for row in rows
        ],
        ensure_ascii=False,
    )  # fmt: skip


def _from_json(record_id: int, text: str) -> list[HoldingRow]:
    return [
        HoldingRow(
            Holding(code, record_id, call_number, copies, location, tuple(barcodes), *more[:2]),
            created_us, modified_us, tuple(counted_under), *more[2:],
        )
        for code, call_number, copies, location, barcodes, created_us, modified_us, counted_under,
        *more in json.loads(text)  # merges of before schema 6 say no more
    ]  # fmt: skip
