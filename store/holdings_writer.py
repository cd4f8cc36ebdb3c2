"""Changing what an institution holds: one record or thousands in a transaction.

The one path of every change that a member makes. In the transaction of the change
are the holding, what stood before, the event for the ledger, and the index, so
that the change is found at once and counted once.

Many changes go straight into the main index, where an institution's holdings are
one list: the records themselves need no new analysis. Of a record that has changed
since the last merge the index is a row of the delta, which is written anew.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pyroaring import BitMap

from protocol.holding_statement import HoldingStatement
from protocol.record import Holding, StoredRecord
from store.batch import Batch
from store.gather import Postings
from store.holdings_history import HoldingsHistory
from store.index import index_holders
from store.merging import MergeRows
from store.records import HOLDING_COLUMNS, read_holding
from store.writer import Base, CatalogueWriter

# From here on a new state of the main index is cheaper than as many rows of the delta.
DIRECT_MIN = 64
Connection = sqlite3.Connection  # for who passes one on
Execute = Callable[..., sqlite3.Cursor]
_SELECT_HELD = (
    f"SELECT submission_id, modified_us, {HOLDING_COLUMNS} FROM holding WHERE record_id = ?"
)


class Rule(StrEnum):
    """When a statement is carried out."""

    PUT = "put"  # whatever is held now
    ADD = "add"  # nothing is held now
    CHANGE = "change"  # something is held now


class Effect(StrEnum):
    """What became of what was said of a record."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"  # it was so already
    REMOVED = "removed"
    ABSENT = "absent"  # there was nothing to remove
    NOT_HELD = "not held"  # there was nothing to change
    HELD = "held"  # it was not to be added again
    GONE = "gone"  # the record is not there any more


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be said of a record; no `statement`: that it is held no more."""

    record_id: int
    statement: HoldingStatement | None


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of it. `record_id` is the record now, which a merge may have changed.

    `before` and `after` are what was held and is held, None: nothing.
    """

    record_id: int
    effect: Effect
    before: Holding | None = None
    after: Holding | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """The record of that number, or the one that it was merged into in the end.

    What is held of a deleted record can be given up, and nothing else be said of it.
    """

    record_id: int
    is_living: bool


def _judge(
    institution: str, wanted: Wanted, place: _Place, held: Holding | None, rule: Rule
) -> Applied:
    """What carrying out comes to, for who writes and who only wants to know."""
    record_id = place.record_id
    if wanted.statement is None:
        effect = Effect.ABSENT if held is None else Effect.REMOVED
        return Applied(record_id, effect, held)
    if not place.is_living:
        return Applied(record_id, Effect.GONE, held, held)
    if held is None and rule is Rule.CHANGE:
        return Applied(record_id, Effect.NOT_HELD)
    after = wanted.statement.applied(institution, record_id, held)
    if held == after:
        return Applied(record_id, Effect.UNCHANGED, held, after)
    if held is not None and rule is Rule.ADD:
        return Applied(record_id, Effect.HELD, held, held)
    return Applied(record_id, Effect.ADDED if held is None else Effect.CHANGED, held, after)


def held_ids(
    connection: sqlite3.Connection, institution: str, database: str | None = None
) -> BitMap:
    """The records that an institution holds, in one database or all."""
    if database is None:
        rows = connection.execute(
            "SELECT record_id FROM holding WHERE institution = ?", (institution,)
        )
    else:
        rows = connection.execute(
            "SELECT record_id FROM holding JOIN record USING (record_id)"
            " JOIN database USING (database_id) WHERE institution = ? AND name = ?",
            (institution, database),
        )
    return BitMap([row[0] for row in rows])


def record_name(connection: sqlite3.Connection, record_id: int) -> str:
    """A record as reports name it: its database and control number."""
    row = connection.execute(
        "SELECT name, control_number FROM record JOIN database USING (database_id)"
        " WHERE record_id = ?",
        (record_id,),
    ).fetchone()
    return " ".join(row) if row is not None else str(record_id)


def foresee(
    connection: sqlite3.Connection, institution: str, wanted: Iterable[Wanted], rule: Rule
) -> Iterator[Applied]:
    """What `HoldingsWriter.apply` would do; nothing is written.

    Two records that were merged into one since they were looked up are judged apart.
    """
    merges = MergeRows(connection)
    for each in wanted:
        place = _place(connection.execute, merges, each.record_id)
        held = connection.execute(
            f"SELECT {HOLDING_COLUMNS} FROM holding WHERE record_id = ? AND institution = ?",
            (place.record_id, institution),
        ).fetchone()
        yield _judge(
            institution, each, place, read_holding(held) if held is not None else None, rule
        )


class HoldingsWriter:
    """Changes the holdings of one institution for one submission.

    `account` is who does it, as the ledger is told; `at_us` is UTC.
    """

    def __init__(
        self, writer: CatalogueWriter, institution: str, submission_id: int, *, account: str,
        at_us: int,
    ) -> None:  # fmt: skip
        self._writer = writer
        self._institution = institution
        self._submission_id = submission_id
        self._account = account
        self._at_us = at_us
        self._history = HoldingsHistory(writer.connection)
        self._execute = writer.connection.execute

    def apply(self, wanted: Sequence[Wanted], rule: Rule = Rule.PUT) -> list[Applied]:
        """Carry out what is said, in order, in one transaction; nested in the caller's.

        Raises:
            StoreError: the catalogue cannot be written; nothing has changed.
        """
        with self._writer.transaction():
            self._writer.require_current_index()
            index = _Index(self._writer, self._institution, len(wanted) >= DIRECT_MIN)
            applied = [self._one(each, rule, index) for each in wanted]
            index.write()
            effects = Counter(each.effect for each in applied)
            self._history.count(
                self._submission_id, effects[Effect.ADDED], effects[Effect.CHANGED],
                effects[Effect.REMOVED],
            )  # fmt: skip
            return applied

    def _one(self, wanted: Wanted, rule: Rule, index: _Index) -> Applied:
        place = _place(self._execute, self._writer.merges, wanted.record_id)
        record_id = place.record_id
        mine = None
        others = 0
        for row in self._execute(_SELECT_HELD, (record_id,)):
            if row[2] == self._institution:
                mine = row
            else:
                others += 1
        held = read_holding(mine[2:]) if mine is not None else None
        found = _judge(self._institution, wanted, place, held, rule)
        if found.effect not in (Effect.ADDED, Effect.CHANGED, Effect.REMOVED):
            return found
        index.before(record_id)
        rows = self._writer.rows
        if mine is not None and held is not None:
            self._history.end(
                held, mine[0], mine[1], self._submission_id, removed=found.after is None
            )
        if found.after is not None:
            rows.write_holding(found.after, self._at_us, self._submission_id)
        if found.effect is Effect.ADDED:
            self._write_event(record_id, 1)
            index.added(record_id, is_first=not others)
        elif found.effect is Effect.REMOVED:
            # The ledger may know it under records that were merged into this one.
            for counted_id in self._writer.merges.counted_under(self._institution, record_id):
                self._write_event(counted_id, -1)
            self._writer.merges.remove(self._institution, record_id)
            if place.is_living:
                index.removed(record_id, is_last=not others)
        return found

    def _write_event(self, record_id: int, change: int) -> None:
        self._writer.rows.write_holding_event(
            self._institution, record_id, change, self._at_us, self._account, self._submission_id
        )


def _place(execute: Execute, merges: MergeRows, record_id: int) -> _Place:
    for each in (record_id, merges.survivor(record_id)):
        row = execute("SELECT deleted FROM record WHERE record_id = ?", (each,)).fetchone()
        if row is not None and not row[0]:
            return _Place(each, is_living=True)
    return _Place(each or record_id, is_living=False)


class _Index:
    """The part of the index that changes with the holders, of one transaction."""

    def __init__(self, writer: CatalogueWriter, institution: str, direct: bool) -> None:
        self._writer = writer
        self._institution = institution
        self._direct = direct
        self._delta = BitMap()
        if direct:
            rows = writer.connection.execute("SELECT record_id FROM delta")
            self._delta = BitMap([row[0] for row in rows])
        self._changed: dict[int, tuple[StoredRecord, Base]] = {}  # in rows of the delta
        # What came last of each record, by whether nobody else holds it.
        self._added: dict[int, bool] = {}
        self._removed: dict[int, bool] = {}

    def before(self, record_id: int) -> None:
        """The holders of the record are going to change."""
        if self._direct and record_id not in self._delta:
            return
        if record_id not in self._changed:
            stored = self._writer.rows.get(record_id)
            assert stored is not None  # noqa: S101 - rows of records stay
            self._changed[record_id] = (stored, self._writer.base(stored))

    def added(self, record_id: int, *, is_first: bool) -> None:
        if record_id not in self._changed and self._removed.pop(record_id, None) is None:
            self._added[record_id] = is_first

    def removed(self, record_id: int, *, is_last: bool) -> None:
        if record_id not in self._changed and self._added.pop(record_id, None) is None:
            self._removed[record_id] = is_last

    def write(self) -> None:
        for stored, base in self._changed.values():
            self._writer.write_delta(stored, base)
        if not self._added and not self._removed:
            return
        batch = Batch(self._writer.register_ids)
        record_ids = [*self._added, *self._removed]
        added, removed = Postings(), Postings()
        for place, is_first in enumerate(self._added.values()):
            index_holders(added, place, (self._institution,), is_first=is_first)
        for place, is_last in enumerate(self._removed.values()):
            index_holders(removed, place, (self._institution,), is_first=is_last)
        batch.add(added, 0)
        batch.remove(removed, len(self._added))
        batch.write(self._writer.connection, record_ids)
        # No values or ranks that readers keep of records depend on their holders.
        self._writer.log_merge(())
