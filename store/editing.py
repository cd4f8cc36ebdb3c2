"""What people do to records: replace, delete, undelete, merge; each a new version.

Every change stamps field 005, says who made it and why, and comes with its part
of the index in one transaction. An update names the version that it was made
from, and is refused when that is not the newest: two cataloguers who correct the
same record do not undo each other's work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from protocol.iso2709 import MalformedRecord, parse
from protocol.record import StoredRecord
from store import versions
from store.merging import HoldingRow, combine
from store.records import agency_of
from store.sqlite import StoreError
from store.versions import Change, RecordVersion
from store.writer import Base, CatalogueWriter, UnknownRecord, VersionConflict, conflict, now_us


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """The record is not deleted, because institutions hold it."""

    record_id: int
    institutions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did. `moved` and `combined` are institutions, by code."""

    keep: StoredRecord
    away: StoredRecord
    moved: tuple[str, ...]  # held only the record that went
    combined: tuple[str, ...]  # held both


class MergeRefused(StoreError):  # noqa: N818 - the name says what it is
    """The two cannot be one record; says why."""


class Editor:
    """Changes records of the catalogue that a `CatalogueWriter` has open.

    `account` is who does it, `reason` why; both are kept with the version.
    `based_on` is the version that the change was made from, by its number or
    its 005; None: whatever it is now. `at_us` is UTC, None: now.
    """

    def __init__(self, writer: CatalogueWriter) -> None:
        self._writer = writer
        self._rows = writer.rows
        self._merges = writer.merges

    def create(
        self,
        database: str,
        marc: bytes,
        *,
        account: str,
        reason: str = "",
        at_us: int | None = None,
    ) -> StoredRecord | VersionConflict:
        """Store a new record, in the stored form; one without 001 is given a number.

        A record of that 003 and 001 that is there already, or was, is a conflict.

        Raises:
            StoreError: unknown database, or the index must be rebuilt first.
            MalformedRecord: `marc` is not in the stored form.
        """
        at_us = now_us() if at_us is None else at_us
        writer = self._writer
        record = parse(marc)
        with writer.transaction():
            database_id = self._rows.database_id(database)
            if record.control_number:
                identity = (agency_of(record), record.control_number)
                there = self._rows.resolve(database_id, *identity, marc)
                if there is not None:
                    return conflict(there)
                number = record.control_number
            else:
                number = self._rows.free_number(database_id, self._rows.next_record_id())
            stamp = versions.timestamp(at_us)
            marc = versions.with_marks(record, number, agency_of(record), stamp)
            stored = writer.put(database, marc, account=account, at_us=at_us, if_version=0)
            if isinstance(stored, StoredRecord) and reason:
                self._remark(stored, Change.CREATED, reason)
            return stored

    def replace(
        self,
        record_id: int,
        marc: bytes,
        *,
        based_on: int | str | None,
        account: str,
        reason: str = "",
        at_us: int | None = None,
    ) -> StoredRecord | VersionConflict:
        """Store the next version of a record.

        Its 001 and 003 stay what they are, whatever `marc` says: a number never
        moves to another record. Equal content is no change and no version.

        Raises:
            UnknownRecord: there is none, it is deleted, or was merged (`MergedRecord`).
            MalformedRecord: `marc` is not in the stored form.
        """
        record = parse(marc)
        if not any(not field.tag.startswith("00") for field in record.fields):
            raise MalformedRecord("a record without any data field")
        self._writer.require_current_index()
        with self._writer.transaction():
            stored = self._writer.live(record_id)
            if not _is_current(stored, based_on):
                return conflict(stored)
            there = parse(stored.marc)
            if versions.is_same_content(record, there):
                return stored
            at_us = now_us() if at_us is None else at_us
            identifier = versions.identifier(stored.marc, stored.modified_us)
            stamp = versions.later_timestamp(at_us, identifier)
            new_marc = versions.with_marks(record, stored.control_number, agency_of(there), stamp)
            base = self._writer.base(stored)
            new = self._rows.replace(stored, new_marc, account, at_us)
            self._writer.write_delta(new, base)
            self._remark(new, Change.REPLACED, reason)
            return new

    def delete(
        self,
        record_id: int,
        *,
        account: str,
        reason: str = "",
        based_on: int | str | None = None,
        unless_held: bool = False,
        at_us: int | None = None,
    ) -> StoredRecord | VersionConflict | HeldRecord:
        """Take a record out of every search; its number, history and holdings remain.

        The ledger counts holdings as before. With `unless_held` a record that
        anyone holds is left alone.

        Raises:
            UnknownRecord: there is none, it is deleted, or was merged (`MergedRecord`).
        """
        self._writer.require_current_index()
        with self._writer.transaction():
            stored = self._writer.live(record_id)
            if not _is_current(stored, based_on):
                return conflict(stored)
            holders = self._rows.holders(record_id)
            if unless_held and holders:
                return HeldRecord(record_id, tuple(sorted(holders)))
            at_us = now_us() if at_us is None else at_us
            return self._restamp(
                stored, self._writer.base(stored), Change.DELETED, account, reason, at_us
            )

    def undelete(
        self, record_id: int, *, account: str, reason: str = "", at_us: int | None = None
    ) -> StoredRecord:
        """Bring a deleted record back, with its holdings.

        Of a merged record this undoes the merge: its number leads to itself
        again, and it takes back the holdings that moved, of the institutions
        that still hold the other record. Rows that the merge joined stay as they
        are there, and come back here as they were. The ledger is told nothing.

        Raises:
            UnknownRecord: there is none.
            StoreError: it is not deleted, or the record that it went into was
                merged itself since.
        """
        self._writer.require_current_index()
        with self._writer.transaction():
            stored = self._rows.get(record_id)
            if stored is None:
                raise UnknownRecord(f"there is no record {record_id}")
            if not stored.deleted:
                raise StoreError(f"record {stored.control_number} is not deleted")
            at_us = now_us() if at_us is None else at_us
            base = self._writer.base(stored)
            other_id = 0
            if self._merges.survivor(record_id):
                other_id = self._undo_merge(stored, account, reason, at_us)
            return self._restamp(
                stored, base, Change.UNDELETED, account, reason, at_us, other_id, deleted=False
            )

    def merge(
        self,
        keep_id: int,
        away_id: int,
        *,
        account: str,
        reason: str = "",
        at_us: int | None = None,
    ) -> Merged:
        """Make two records one: `keep_id` stays as it is, the other is deleted.

        Holdings of the record that goes are moved, or combined with those of the
        one that stays (`store.merging.combine`). From now on a search by the old
        number finds the record kept. The ledger is told nothing, so no count of
        holdings becomes less.

        Raises:
            UnknownRecord: one of them is not there, is deleted, or was merged.
            MergeRefused: they are the same record, or in two databases.
        """
        self._writer.require_current_index()
        with self._writer.transaction():
            keep, away = self._writer.live(keep_id), self._writer.live(away_id)
            if keep_id == away_id:
                raise MergeRefused(f"{keep.control_number} cannot be merged into itself")
            if keep.database.name != away.database.name:
                raise MergeRefused(
                    f"{away.control_number} is in {away.database.name}, {keep.control_number}"
                    f" in {keep.database.name}: only records of one database can be merged"
                )
            at_us = now_us() if at_us is None else at_us
            # What the index holds of both is asked before any holding moves.
            keep_base, away_base = self._writer.base(keep), self._writer.base(away)
            moved, combined = self._move_holdings(keep_id, away_id, account, at_us)
            self._merges.lead_numbers(away_id, keep_id, keep.version + 1)
            return Merged(
                self._restamp(
                    keep, keep_base, Change.MERGED_IN, account, reason, at_us, away_id,
                    deleted=False,
                ),
                self._restamp(
                    away, away_base, Change.MERGED_AWAY, account, reason, at_us, keep_id
                ),
                moved,
                combined,
            )  # fmt: skip

    def versions(self, record_id: int) -> list[RecordVersion]:
        """Every version of a record, the oldest first; empty: there is no such record."""
        return versions.versions(self._writer.connection, record_id)

    def _move_holdings(
        self, keep_id: int, away_id: int, account: str, at_us: int
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Bring the holdings of one record to another; returns those moved, those combined."""
        kept = {row.holding.institution: row for row in self._merges.holding_rows(keep_id)}
        rows = self._merges.holding_rows(away_id)
        self._merges.note(away_id, keep_id, account, at_us, rows)
        moved, combined = [], []
        for row in rows:
            institution = row.holding.institution
            there = kept.get(institution)
            self._merges.remove(institution, away_id)
            holding = replace(row.holding, record_id=keep_id)
            if there is None:
                moved.append(institution)
                self._merges.write(replace(row, holding=holding))
                continue
            combined.append(institution)
            counted_under = tuple(sorted({*there.counted_under, *row.counted_under}))
            self._merges.write(
                HoldingRow(
                    combine(there.holding, holding),
                    min(there.created_us, row.created_us),
                    at_us,
                    counted_under,
                    there.submission_id,
                )
            )
        return tuple(moved), tuple(combined)

    def _undo_merge(self, away: StoredRecord, account: str, reason: str, at_us: int) -> int:
        """Give a record back what its merge took; returns the record that it went into."""
        keep_id, rows = self._merges.undo(away.record_id, at_us)
        keep = self._rows.get(keep_id)
        assert keep is not None  # noqa: S101 - rows of records are never removed
        if self._merges.survivor(keep_id):
            raise StoreError(
                f"{away.control_number} went into {keep.control_number}, which was merged itself"
                " since: undelete that one first"
            )
        keep_base = self._writer.base(keep)
        there = {row.holding.institution: row for row in self._merges.holding_rows(keep_id)}
        for row in rows:
            institution = row.holding.institution
            held = there.get(institution)
            if held is None:
                continue  # it holds neither by now
            theirs = tuple(n for n in held.counted_under if n not in row.counted_under)
            ours = tuple(n for n in held.counted_under if n in row.counted_under)
            if not ours:
                continue  # it gave this holding up, and holds the other anew
            if theirs:
                self._merges.write(replace(held, counted_under=theirs))
            else:
                self._merges.remove(institution, keep_id)
            self._merges.write(replace(row, counted_under=ours, modified_us=at_us))
        self._merges.end_numbers(away.record_id, keep_id, keep.version + 1)
        self._restamp(
            keep, keep_base, Change.MERGE_UNDONE, account, reason, at_us, away.record_id,
            deleted=keep.deleted,
        )  # fmt: skip
        return keep_id

    def _restamp(
        self,
        stored: StoredRecord,
        base: Base,
        change: Change,
        account: str,
        reason: str,
        at_us: int,
        other_id: int = 0,
        *,
        deleted: bool = True,
    ) -> StoredRecord:
        """The next version of a record with the same content."""
        identifier = versions.identifier(stored.marc, stored.modified_us)
        record = parse(stored.marc)
        stamp = versions.later_timestamp(at_us, identifier)
        marc = versions.with_marks(record, stored.control_number, agency_of(record), stamp)
        new = self._rows.replace(stored, marc, account, at_us, deleted=deleted)
        self._writer.write_delta(new, base)
        self._remark(new, change, reason, other_id)
        return new

    def _remark(self, stored: StoredRecord, change: Change, reason: str, other_id: int = 0) -> None:
        self._merges.remark(stored.record_id, stored.version, change, reason, other_id)


def _is_current(stored: StoredRecord, based_on: int | str | None) -> bool:
    if based_on is None:
        return True
    newest = versions.identifier(stored.marc, stored.modified_us)
    return versions.is_based_on(based_on, stored.version, newest)
