"""Who changed holdings, and what stood before: one submission a request or file.

A holding names the submission that made it what it is; each state before names
the one that made it and the one that ended it. Loads (`lianmu load --holdings`)
are submission 0.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, fields

from protocol.record import Holding
from store.records import HOLDING_COLUMNS, read_holding


@dataclass(frozen=True, slots=True)
class Submission:
    """One request or file. `at_us` is UTC, microseconds since 1970; counts are of records."""

    submission_id: int
    institution: str
    account: str
    protocol: str
    address: str
    source: str
    at_us: int
    added: int
    changed: int
    removed: int


@dataclass(frozen=True, slots=True)
class HoldingState:
    """What an institution said of a record from one submission on.

    `ended_by` is the submission that ended it, None: it is so now. `removed`: it
    ended because nothing is held any more. A `submission` of 0 was a load.
    """

    holding: Holding
    submission: int
    at_us: int
    ended_by: int | None = None
    removed: bool = False


_NAMES = tuple(
    each.name for each in fields(Holding) if each.name not in {"institution", "record_id"}
)
_COLUMNS = ", ".join(each.name for each in fields(Submission))


class HoldingsHistory:
    """Reads and writes over a connection of the catalogue, in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def begin(
        self, institution: str, *, account: str, protocol: str, address: str, source: str,
        at_us: int,
    ) -> int:  # fmt: skip
        """The number of a new submission."""
        number = self._execute(
            "INSERT INTO holding_submission (institution, account, protocol, address, source,"
            " at_us, added, changed, removed) VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0)",
            (institution, account, protocol, address, source, at_us),
        ).lastrowid
        assert number is not None  # noqa: S101 - SQLite numbers rows
        return number

    def count(self, submission_id: int, added: int, changed: int, removed: int) -> None:
        """What the submission has done more."""
        self._execute(
            "UPDATE holding_submission SET added = added + ?, changed = changed + ?,"
            " removed = removed + ? WHERE submission_id = ?",
            (added, changed, removed, submission_id),
        )

    def forget_empty(self, submission_id: int) -> None:
        """Leave no trace of a submission that changed nothing, as of a retry."""
        self._execute(
            "DELETE FROM holding_submission WHERE submission_id = ?"
            " AND added + changed + removed = 0",
            (submission_id,),
        )

    def end(
        self, held: Holding, submission_id: int, modified_us: int, ended_by: int, *, removed: bool
    ) -> None:
        """Keep a state that `ended_by` ends."""
        key = (held.record_id, held.institution, ended_by)
        self._execute(
            "INSERT INTO holding_version VALUES (?1, ?2, ?3, (SELECT count(*) FROM holding_version"
            " WHERE record_id = ?1 AND institution = ?2 AND ended_by = ?3), ?4, ?5, ?6, ?7)",
            (*key, submission_id, modified_us, removed, _to_json(held)),
        )

    def states(self, institution: str, record_id: int) -> list[HoldingState]:
        """Everything that an institution said of a record, the oldest first."""
        found = [
            HoldingState(
                _from_json(institution, record_id, text), made_by, at_us, ended_by,
                bool(removed),
            )
            for made_by, at_us, ended_by, removed, text in self._execute(
                "SELECT submission_id, modified_us, ended_by, removed, holding"
                " FROM holding_version WHERE record_id = ? AND institution = ?"
                " ORDER BY ended_by, ordinal",
                (record_id, institution),
            )
        ]  # fmt: skip
        row = self._execute(
            f"SELECT submission_id, modified_us, {HOLDING_COLUMNS} FROM holding"
            " WHERE record_id = ? AND institution = ?",
            (record_id, institution),
        ).fetchone()
        if row is not None:
            found.append(HoldingState(read_holding(row[2:]), row[0], row[1]))
        return found

    def submission(self, submission_id: int) -> Submission | None:
        return next(self._submissions("submission_id = ?", (submission_id,)), None)

    def submissions(
        self, institution: str | None = None, *, before_id: int | None = None, limit: int = -1
    ) -> Iterator[Submission]:
        """The newest first, of one institution or all, older than `before_id`."""
        yield from self._submissions(
            "(?1 IS NULL OR institution = ?1) AND (?2 IS NULL OR submission_id < ?2)"
            " ORDER BY submission_id DESC LIMIT ?3",
            (institution, before_id, limit),
        )

    def _submissions(self, condition: str, values: tuple[object, ...]) -> Iterator[Submission]:
        rows = self._execute(f"SELECT {_COLUMNS} FROM holding_submission WHERE {condition}", values)
        for row in rows:
            yield Submission(*row)


def _to_json(held: Holding) -> str:
    said = {name: getattr(held, name) for name in _NAMES}
    return json.dumps(said, ensure_ascii=False)


def _from_json(institution: str, record_id: int, text: str) -> Holding:
    said = json.loads(text)
    return Holding(institution, record_id, **{**said, "barcodes": tuple(said.get("barcodes", ()))})
