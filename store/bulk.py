"""Storing many records at once: their rows and their postings in one transaction.

Records are read and analysed apart from the database, in other processes where
there are many. A batch of them then goes straight into the main index; or, where
nobody searches it meanwhile, its postings stay in runs that are merged later.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

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
from store.marc_packing import SAMPLES_MIN
from store.records import agency_of, with_number
from store.run_file import RunFile, write_run
from store.runs import RunFolder, add_run, new_file
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
# Of runs: what is lost by a crash, and has to be read again.
RUN_LIMITS = BatchLimits(size_bytes=32 << 20)
RUN_CHUNK_RECORDS = 4000  # in one run
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
    run: RunFile | None = None  # where they are instead
    places: int = 0  # in `postings`; those of no record have no use
    refused: list[RefusedRecord] = field(default_factory=list)
    warned: int = 0  # accepted, with something mended


Source = RawRecord | DecodedRecord | RefusedRecord


def analyse_apart(sources: Sequence[Source], target: Target) -> Analysed:
    """`analyse` in a process that does nothing else, and makes no cycles to be collected."""
    gc.disable()
    return analyse(sources, target)


def analyse_into_run(
    sources: Sequence[Source], target: Target, *, folder: Path, register_ids: Mapping[str, int]
) -> Analysed:
    """`analyse_apart`, leaving the postings in a run below `folder`.

    Raises:
        StoreError: it cannot be written.
    """
    analysed = analyse_apart(sources, target)
    analysed.run = write_run(new_file(folder), analysed.postings, register_ids)
    analysed.postings = Postings()
    return analysed


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
        runs: RunFolder | None = None,
        is_serving: Callable[[], bool] = lambda: False,
        on_write: Callable[[Stored], None] | None = None,
    ) -> None:
        """`institution`: it comes to hold every record that is stored.

        With `runs` postings come in runs, made by `analyse_into_run`, which wait to
        be merged unless `is_serving` says that the catalogue is searched. `on_write`
        is called in each batch's transaction with what has been stored so far, that
        batch included.
        """
        writer.require_current_index()
        self.stored = Stored()
        self._writer = writer
        self._rows = writer.rows
        self._database_id = writer.rows.database_id(database)
        self._institution = institution
        self._account = account
        self._limits = limits
        self._runs = runs
        self._is_serving = is_serving
        self._on_write = on_write
        self._batch = Batch(writer.register_ids)
        self._chunks: list[tuple[int, Analysed]] = []  # with the first place of each
        self._places = 0
        self._size_bytes = 0

    def add(self, analysed: Analysed) -> None:
        """Take a chunk; writes when the batch has become large.

        Whoever notes in `on_write` what has been taken makes room first.
        """
        self.make_room(analysed)
        self._batch.add(analysed.postings, self._places)
        self._chunks.append((self._places, analysed))
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
        self._make_dictionary()
        with self._writer.transaction():
            # A record is either in the delta or in the index, never in both.
            self._writer.merge_all()
            changes = _Changes([-1] * self._places)
            stored = Stored()
            at_us = now_us()
            for first_place, chunk in self._chunks:
                for accepted in chunk.records:
                    place = first_place + accepted.place
                    record_id = self._store(place, accepted, changes, stored, at_us)
                    if self._institution is not None and record_id:
                        self._hold(record_id, self._institution, changes, stored, at_us)
            if self._runs is None:
                changes.write(self._batch, self._writer)
            else:
                self._write_runs(self._runs, changes)
            stored += self.stored
            if self._on_write is not None:
                self._on_write(stored)
        self.stored = stored
        self._batch = Batch(self._writer.register_ids)
        self._chunks = []
        self._places = 0
        self._size_bytes = 0

    def _make_dictionary(self) -> None:
        """Of the first batch that is large enough, in a transaction before that of the batch."""
        packing = self._rows.packing
        records = [accepted.marc for _, chunk in self._chunks for accepted in chunk.records]
        if len(records) >= SAMPLES_MIN and not packing.has_dictionary(self._database_id):
            with self._writer.transaction():
                packing.add_dictionary(self._database_id, records)

    def _write_runs(self, runs: RunFolder, changes: _Changes) -> None:
        writer = self._writer
        for first_place, chunk in self._chunks:
            if chunk.run is not None:
                ids = changes.ids[first_place : first_place + chunk.places]
                add_run(writer.connection, writer.path, chunk.run, ids, 1)
        changes.write_runs(runs, writer)
        runs.sync()
        if self._is_serving():  # it was started after this load
            writer.merge_runs()

    def _store(
        self, place: int, accepted: Accepted, changes: _Changes, counts: Stored, at_us: int
    ) -> int:
        """Write one record's row, and say which postings that moves.

        Returns the id of the record that can be held now: its own, or that of the one it
        was merged into; 0 where that is deleted.
        """
        agency, number, marc = accepted.agency, accepted.control_number, accepted.marc
        before = self._rows.resolve(self._database_id, agency, number, marc)
        if before is None:
            record_id = self._rows.next_record_id()
            if number:
                changes.come(place, record_id)
            else:
                number, marc = self._rows.assign_number(self._database_id, record_id, marc)
                postings, extra = changes.add(record_id)
                self._writer.index(postings, extra, self._database_id, marc, ())
                changes.seen.add(record_id)
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
            there = self._rows.get(survivor)
            return survivor if there is not None and not there.deleted else 0
        if not number:
            marc = with_number(marc, before.control_number)
        if before.marc == marc and not before.deleted:
            counts.unchanged += 1
            return record_id
        holders = self._rows.holders(record_id)
        if record_id not in changes.seen and not before.deleted:
            postings, extra = changes.remove(record_id)
            numbers = self._writer.merges.former_numbers(record_id, before.version)
            held = [code for code in holders if (code, record_id) not in changes.held]
            self._writer.index(postings, extra, self._database_id, before.marc, held, numbers)
        changes.take_back(record_id)  # what this batch brought to it before
        if numbers := self._writer.merges.former_numbers(record_id, before.version + 1):
            postings, extra = changes.add(record_id)
            self._writer.index(postings, extra, self._database_id, marc, holders, numbers)
            changes.seen.add(record_id)
        else:
            changes.come(place, record_id)
            if holders:
                index_holders(*changes.add(record_id), holders, is_first=True)
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
        changes.held.add((institution, record_id))
        counts.holdings_added += 1


class _Changes:
    """Postings that come and go beside those of a batch, and whose they all are.

    Each posting of a version of a record comes once, and goes once.
    """

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids  # by place in the batch; -1: these postings are not needed
        self.seen: set[int] = set()  # records that the batch has stored
        self.held: set[tuple[str, int]] = set()  # holdings that came with it
        self._places: dict[int, int] = {}  # theirs in the batch
        self._extras: defaultdict[int, list[int]] = defaultdict(list)  # and in `_added`
        self._added, self._added_ids = Postings(), list[int]()
        self._removed, self._removed_ids = Postings(), list[int]()

    def come(self, place: int, record_id: int) -> None:
        """The postings at a place of the batch are those of a record."""
        self.ids[place] = record_id
        self._places[record_id] = place
        self.seen.add(record_id)

    def add(self, record_id: int) -> tuple[Postings, int]:
        """Where to add further postings of a record, and its place there."""
        self._extras[record_id].append(len(self._added_ids))
        self._added_ids.append(record_id)
        return self._added, len(self._added_ids) - 1

    def remove(self, record_id: int) -> tuple[Postings, int]:
        """Where to add the postings of a record that go, and its place there."""
        self._removed_ids.append(record_id)
        return self._removed, len(self._removed_ids) - 1

    def take_back(self, record_id: int) -> None:
        """Whatever the batch brought to a record is not needed."""
        if record_id in self._places:
            self.ids[self._places.pop(record_id)] = -1
        for extra in self._extras.pop(record_id, ()):
            self._added_ids[extra] = -1

    def write(self, batch: Batch, writer: CatalogueWriter) -> None:
        """Bring the main index up to date."""
        changed = BitMap(
            record_id
            for record_id in chain(self.ids, self._added_ids, self._removed_ids)
            if record_id >= 0
        )
        if not changed:
            return  # nothing that readers keep is out of date
        batch.add(self._added, len(self.ids))
        batch.remove(self._removed, len(self.ids) + len(self._added_ids))
        batch.write(writer.connection, self.ids + self._added_ids + self._removed_ids)
        writer.log_merge(changed)

    def write_runs(self, runs: RunFolder, writer: CatalogueWriter) -> None:
        """Leave what comes and goes beside the batch's own runs in runs, too."""
        for postings, ids, sign in (
            (self._added, self._added_ids, 1),
            (self._removed, self._removed_ids, -1),
        ):
            if ids:
                run = write_run(runs.new_file(), postings, writer.register_ids)
                add_run(writer.connection, writer.path, run, ids, sign)
