"""Storing many records at once: their rows and their postings in one transaction.

Records are read and analysed apart from the database, in other processes where
there are many; a batch of them then goes straight into the main index.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pyroaring import BitMap

from protocol.iso2709 import (
    DecodedRecord,
    RawRecord,
    RefusedRecord,
    control_number,
    decode_record,
    parse,
)
from protocol.record import Holding, MarcFamily
from protocol.record_kind import kind_refusal
from store.batch import TERMS_MAX, Batch
from store.gather import Postings
from store.index import index_holders, index_record
from store.records import agency_of, with_number
from store.writer import CatalogueWriter, now_us

CHUNK_RECORDS = 1000  # analysed together
BATCH_TERMS_MAX = TERMS_MAX * 3 // 4  # most chunks still fit then


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What a batch holds before it is written: 8 octets a posting, and the records."""

    postings: int = 30_000_000
    size_bytes: int = 96 << 20
    records: int = 200_000


def has_room(batch: Batch, postings: Postings) -> bool:
    """Whether a chunk still fits into a batch; one that is empty takes any."""
    return batch.term_count + len(postings.terms) <= TERMS_MAX


OFFLINE_LIMITS = BatchLimits()
# Beside a server: whoever updates a record waits for a batch to be written.
SERVING_LIMITS = BatchLimits(postings=1_500_000, size_bytes=8 << 20, records=5_000)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the records of a load go, and how to read them."""

    database: str
    family: MarcFamily
    encoding: str = "auto"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A record in the stored form, its identity in the database and its place in `postings`."""

    place: int
    agency: str
    control_number: str  # empty: to be given one
    marc: bytes


@dataclass(slots=True)
class Analysed:
    """A chunk of records, ready to be stored."""

    records: list[Accepted] = field(default_factory=list)
    postings: Postings = field(default_factory=Postings)
    places: int = 0  # in `postings`; those of no record have no use
    refused: list[RefusedRecord] = field(default_factory=list)
    warned: int = 0  # accepted, with something mended


Source = RawRecord | DecodedRecord | RefusedRecord


def analyse_apart(sources: Sequence[Source], target: Target) -> Analysed:
    """`analyse` in a process that does nothing else, and makes no cycles to be collected."""
    gc.disable()
    return analyse(sources, target)


def analyse(sources: Sequence[Source], target: Target) -> Analysed:
    """Decode and index a chunk of records. Nothing in a record stops the others."""
    analysed = Analysed()
    for source in sources:
        offset = 0
        decoded: DecodedRecord | RefusedRecord
        if isinstance(source, RawRecord):
            offset = source.offset
            decoded = decode_record(source.raw, target.family, target.encoding, offset=offset)
        else:
            decoded = source
        if isinstance(decoded, RefusedRecord):
            analysed.refused.append(decoded)
            continue
        if reason := kind_refusal(decoded.marc, target.family):
            number = control_number(decoded.marc)
            analysed.refused.append(RefusedRecord(decoded.offset, number, reason))
            continue
        try:
            record = parse(decoded.marc)
            place = analysed.places
            analysed.places += 1  # also of a record that fails half-way
            index_record(analysed.postings, place, record, target.family, target.database)
        except Exception as error:  # our own fault, but no reason to stop
            reason = f"{type(error).__name__}: {error}"
            analysed.refused.append(RefusedRecord(offset, "", reason))
            continue
        analysed.records.append(
            Accepted(place, agency_of(record), record.control_number, decoded.marc)
        )
        analysed.warned += bool(decoded.warnings)
    return analysed


@dataclass(slots=True)
class Stored:
    """What became of the records of a load."""

    loaded: int = 0  # new
    replaced: int = 0
    unchanged: int = 0  # the same octets were stored already
    holdings_added: int = 0

    def __iadd__(self, more: Stored) -> Stored:
        self.loaded += more.loaded
        self.replaced += more.replaced
        self.unchanged += more.unchanged
        self.holdings_added += more.holdings_added
        return self


class BulkWriter:
    """Gathers analysed records of one database and stores them batch by batch.

    After a crash the catalogue holds whole batches: storing the same records
    again finds those unchanged and adds the rest.
    """

    def __init__(
        self,
        writer: CatalogueWriter,
        database: str,
        *,
        institution: str | None = None,
        account: str = "",
        limits: BatchLimits = OFFLINE_LIMITS,
        on_write: Callable[[Stored], None] | None = None,
    ) -> None:
        """`institution`: it comes to hold every record that is stored.

        `on_write` is called in each batch's transaction with what has been stored
        so far, that batch included.
        """
        writer.require_current_index()
        self.stored = Stored()
        self._writer = writer
        self._rows = writer.rows
        self._database_id = writer.rows.database_id(database)
        self._institution = institution
        self._account = account
        self._limits = limits
        self._on_write = on_write
        self._batch = Batch(writer.register_ids)
        self._chunks: list[tuple[int, list[Accepted]]] = []  # with the first place of each
        self._places = 0
        self._size_bytes = 0

    def add(self, analysed: Analysed) -> None:
        """Take a chunk; writes when the batch has become large.

        Whoever notes in `on_write` what has been taken makes room first.
        """
        self.make_room(analysed)
        self._batch.add(analysed.postings, self._places)
        self._chunks.append((self._places, analysed.records))
        self._places += analysed.places
        self._size_bytes += sum(len(accepted.marc) for accepted in analysed.records)
        if (
            self._batch.posting_count >= self._limits.postings
            or self._batch.term_count >= BATCH_TERMS_MAX
            or self._size_bytes >= self._limits.size_bytes
            or self._places >= self._limits.records
        ):
            self.flush()

    def make_room(self, analysed: Analysed) -> None:
        """Write the batch if it has no room for a chunk that is to come."""
        if not has_room(self._batch, analysed.postings):
            self.flush()

    def flush(self) -> None:
        """Write what has been taken so far, all of it or nothing."""
        if not self._chunks:
            return
        with self._writer.transaction():
            # A record is either in the delta or in the main index, never in both.
            self._writer.merge_all()
            changes = _Changes([-1] * self._places)
            stored = Stored()
            at_us = now_us()
            for first_place, records in self._chunks:
                for accepted in records:
                    place = first_place + accepted.place
                    record_id = self._store(place, accepted, changes, stored, at_us)
                    if self._institution is not None:
                        self._hold(record_id, self._institution, changes, stored, at_us)
            changes.write(self._batch, self._writer)
            stored += self.stored
            if self._on_write is not None:
                self._on_write(stored)
        self.stored = stored
        self._batch = Batch(self._writer.register_ids)
        self._chunks = []
        self._places = 0
        self._size_bytes = 0

    def _store(
        self, place: int, accepted: Accepted, changes: _Changes, counts: Stored, at_us: int
    ) -> int:
        """Write one record's row, and say which postings that moves; returns its id."""
        agency, number, marc = accepted.agency, accepted.control_number, accepted.marc
        before = self._rows.resolve(self._database_id, agency, number, marc)
        if before is None:
            record_id = self._rows.next_record_id()
            if number:
                changes.ids[place] = record_id
            else:
                number, marc = self._rows.assign_number(self._database_id, record_id, marc)
                postings, extra = changes.add(record_id)
                self._writer.index(postings, extra, self._database_id, marc, ())
            changes.places[record_id] = place
            self._rows.insert(
                record_id,
                self._database_id,
                (agency, number),
                marc,
                account=self._account,
                at_us=at_us,
            )
            counts.loaded += 1
            return record_id
        record_id = before.record_id
        if before.deleted and (survivor := self._writer.merges.survivor(record_id)):
            counts.unchanged += 1  # it was merged away: who holds it holds that one
            return survivor
        if not number:
            marc = with_number(marc, before.control_number)
        if before.marc == marc and not before.deleted:
            counts.unchanged += 1
            return record_id
        holders = self._rows.holders(record_id)
        if record_id in changes.places:  # this batch brought it before
            changes.ids[changes.places[record_id]] = -1
        elif not before.deleted:
            postings, extra = changes.remove(record_id)
            numbers = self._writer.merges.former_numbers(record_id, before.version)
            self._writer.index(postings, extra, self._database_id, before.marc, holders, numbers)
        changes.ids[place] = record_id
        changes.places[record_id] = place
        if holders:
            index_holders(*changes.add(record_id), holders, is_first=True)
        if numbers := self._writer.merges.former_numbers(record_id, before.version + 1):
            self._writer.index_numbers(*changes.add(record_id), self._database_id, marc, numbers)
        self._rows.replace(before, marc, self._account, at_us)
        counts.replaced += 1
        return record_id

    def _hold(
        self, record_id: int, institution: str, changes: _Changes, counts: Stored, at_us: int
    ) -> None:
        holders = self._rows.holders(record_id)
        if institution in holders:
            return
        self._rows.write_holding(Holding(institution, record_id), at_us)
        self._rows.write_holding_event(institution, record_id, 1, at_us, self._account)
        index_holders(*changes.add(record_id), (institution,), is_first=not holders)
        counts.holdings_added += 1


class _Changes:
    """Postings that come and go beside those of a batch, and whose they all are."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids  # by place in the batch; -1: these postings are not needed
        self.places: dict[int, int] = {}  # of the records that the batch has stored
        self._added, self._added_ids = Postings(), list[int]()
        self._removed, self._removed_ids = Postings(), list[int]()

    def add(self, record_id: int) -> tuple[Postings, int]:
        """Where to add further postings of a record, and its place there."""
        self._added_ids.append(record_id)
        return self._added, len(self._added_ids) - 1

    def remove(self, record_id: int) -> tuple[Postings, int]:
        """Where to add the postings of a record that go, and its place there."""
        self._removed_ids.append(record_id)
        return self._removed, len(self._removed_ids) - 1

    def write(self, batch: Batch, writer: CatalogueWriter) -> None:
        changed = BitMap(record_id for record_id in self.ids if record_id >= 0)
        changed.update(self._added_ids, self._removed_ids)
        if not changed:
            return  # nothing that readers keep is out of date
        batch.add(self._added, len(self.ids))
        batch.remove(self._removed, len(self.ids) + len(self._added_ids))
        batch.write(writer.connection, self.ids + self._added_ids + self._removed_ids)
        writer.log_merge(changed)
