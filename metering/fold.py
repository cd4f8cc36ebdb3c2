"""Folding: spools and the catalogue's holding events become ledger entries, once each.

What was read and how far is stored in one transaction, so a fold that is
interrupted anywhere is simply done again.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from metering.entry import Draft, Kind
from metering.interface import HoldingEvent, MeteringError
from metering.ledger import EntryConflict, Ledger, Outcome, Transaction
from metering.spool import utc_us
from metering.spool_format import Position, lock, naming_errors, spools
from metering.spool_reading import (
    DONE,
    Hold,
    SpoolReading,
    read_spool,
    remove_folded,
)

EventsAfter = Callable[[int], Iterable[HoldingEvent]]


class Outbox(NamedTuple):
    """Facts that another store keeps until they are in the ledger, such as uploads.

    `name` names their numbering. `after(number)` yields a draft for each fact behind
    a number, with its own number, in order.
    """

    name: str
    after: Callable[[int], Iterable[tuple[int, Draft]]]


# Of each source in one transaction: some hundredths of a second under the write lock. More
# are no cheaper, and a batch in memory stays with the process.
DRAFTS_PER_TRANSACTION = 2_000
LAG_US = 1_000_000
# A delivery stamped later than this, by a clock that was set back since, is not waited for.
FAR_US = 3_600_000_000


@dataclass(slots=True)
class FoldReport:
    """Entries appended; `orphans` are spools of ended workers, now folded for good."""

    deliveries: int = 0
    voids: int = 0
    holdings: int = 0
    audits: int = 0
    orphans: int = 0
    others: int = 0  # of outboxes: uploads, covers, reversals

    def count(self, drafts: Sequence[Draft], outcomes: Sequence[Outcome]) -> None:
        for draft, outcome in zip(drafts, outcomes, strict=True):
            if outcome is not Outcome.CREATED:
                continue
            if draft.kind is Kind.DELIVERY:
                self.deliveries += 1
            elif draft.kind is Kind.VOID:
                self.voids += 1
            elif draft.kind is Kind.AUDIT:
                self.audits += 1
            elif draft.kind in (Kind.HOLDING_ADDED, Kind.HOLDING_REMOVED):
                self.holdings += 1
            else:
                self.others += 1


class Folder:
    """Moves what the workers and the catalogue noted into the ledger.

    One process folds regularly; a second one does no harm, for positions are read
    in the transaction that moves them.
    """

    def __init__(
        self,
        ledger: Ledger,
        spool_root: Path,
        *,
        events_after: EventsAfter | None = None,
        outbox: str = "catalogue",
        outboxes: Sequence[Outbox] = (),
        clock: Callable[[], int] = utc_us,
    ) -> None:
        """`events_after(seq)` yields the events of holdings behind a number, in order.

        `outbox` names their numbering: a catalogue made anew needs another name,
        or its first events pass for folded ones. `outboxes` are read likewise.
        """
        self._ledger = ledger
        self._spool_root = spool_root
        self._outboxes = all_outboxes(events_after, outbox, outboxes)
        self._clock = clock

    def fold(self, *, lag_us: int = LAG_US) -> FoldReport:
        """Fold all that is older than `lag_us`, in as many transactions as it takes.

        The lag lets every worker's deliveries of one moment arrive, so that they
        enter the ledger in order of time and the repeat rule does not depend on
        when folding happens. What is delivered after the call began is left to the
        next one, so it ends even when workers are faster than it is.

        Raises:
            MeteringError: the ledger or a spool cannot be read or written; what was
                folded before stays so.
        """
        report = FoldReport()
        now_us = self._clock()
        hold = Hold(now_us - lag_us, now_us + FAR_US)
        while self._fold_spools(report, hold, now_us):
            pass
        for outbox in self._outboxes:
            while self._fold_outbox(report, outbox):
                pass
        return report

    def _fold_spools(self, report: FoldReport, hold: Hold, now_us: int) -> bool:
        """One transaction; whether more is there."""
        with _uncollected():
            return self._fold_spools_once(report, hold, now_us)

    def _fold_spools_once(self, report: FoldReport, hold: Hold, now_us: int) -> bool:
        try:
            return self._fold_some(report, hold, now_us, Transaction.append_new)
        except EntryConflict:
            # A position is stored with the entries before it, so this is a spool
            # put back from a copy: each id is looked up.
            return self._fold_some(report, hold, now_us, Transaction.append)

    def _fold_some(
        self,
        report: FoldReport,
        hold: Hold,
        now_us: int,
        append: Callable[[Transaction, Sequence[Draft]], list[Outcome]],
    ) -> bool:
        with _Locks() as locks:
            with self._ledger.writing() as transaction:
                with naming_errors():
                    readings = self._read_spools(transaction, locks, hold, now_us)
                drafts = in_order(readings)
                outcomes = append(transaction, drafts)
                for reading in readings:
                    transaction.move(source(reading.spool), *position_row(reading.end))
            report.count(drafts, outcomes)
            for reading in readings:
                if reading.end == DONE and not locks.make_exclusive(reading.spool):
                    continue  # somebody reads it; its entries are in, it goes the next time
                report.orphans += reading.end == DONE
                with naming_errors():
                    remove_folded(reading.spool, reading.end, reading.damaged)
        return any(reading.full for reading in readings)

    def _read_spools(
        self, transaction: Transaction, locks: _Locks, hold: Hold, now_us: int
    ) -> list[SpoolReading]:
        """What is to be folded now, of each spool that has anything."""
        positions = transaction.positions()
        starts = {}
        orphans = set()
        for spool in spools(self._spool_root):
            starts[spool] = Position(*positions.get(source(spool), (0, 0)))
            if locks.share(spool):
                orphans.add(spool)

        def read(spool: Path, hold: Hold) -> SpoolReading:
            if starts[spool] == DONE:
                return SpoolReading(spool, position_row(DONE))
            return read_spool(
                spool,
                starts[spool],
                orphan=spool in orphans,
                now_us=now_us,
                limit=DRAFTS_PER_TRANSACTION,
                hold=hold,
            )

        readings = [read(spool, hold) for spool in starts]
        # After a pause more waits than one transaction takes. All spools then stop
        # where the first one is full, or the order of time would be lost.
        cut_us = min((reading.newest_us for reading in readings if reading.full), default=None)
        if cut_us is not None:
            newest_us = max(reading.newest_us for reading in readings)
            readings = [
                reading
                if reading.newest_us <= cut_us
                else read(reading.spool, Hold(cut_us, max(hold.before_us, newest_us + 1)))
                for reading in readings
            ]
        return [
            reading
            for reading in readings
            if reading.end != starts[reading.spool] or reading.end == DONE
        ]

    def _fold_outbox(self, report: FoldReport, outbox: Outbox) -> bool:
        with self._ledger.writing() as transaction:
            after, _ = transaction.positions().get(outbox.name, (0, 0))
            numbered = list(islice(outbox.after(after), DRAFTS_PER_TRANSACTION))
            drafts = [draft for _, draft in numbered]
            outcomes = transaction.append(drafts)
            if numbered:
                transaction.move(outbox.name, numbered[-1][0])
        report.count(drafts, outcomes)
        return len(numbered) == DRAFTS_PER_TRANSACTION


def all_outboxes(
    events_after: EventsAfter | None, outbox: str, outboxes: Sequence[Outbox]
) -> list[Outbox]:
    """The outbox of holdings as one of many."""
    if events_after is None:
        return list(outboxes)

    def drafts_after(number: int) -> Iterator[tuple[int, Draft]]:
        for event in events_after(number):
            yield event.seq, holding_draft(outbox, event)

    return [Outbox(f"holdings:{outbox}", drafts_after), *outboxes]


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector still during one transaction.

    It would walk thousands of tuples for nothing, again and again: no cycle is made
    here, and what a transaction holds is bounded.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Locks:
    """The orphans that are being folded.

    Locked with others as long as they are only read: who looks at figures meanwhile
    must see an orphan, or would count deliveries that nobody confirmed.
    """

    def __init__(self) -> None:
        self._descriptors: dict[Path, int] = {}

    def __enter__(self) -> _Locks:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)

    def share(self, spool: Path) -> bool:
        """Whether the spool is an orphan, which it then stays."""
        descriptor = lock(spool, shared=True)
        if descriptor is not None:
            self._descriptors[spool] = descriptor
        return descriptor is not None

    def make_exclusive(self, spool: Path) -> bool:
        """Whether nobody else reads the orphan, and may not from now on."""
        descriptor = self._descriptors.get(spool)
        if descriptor is None:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def source(spool: Path) -> str:
    """A spool's name among the ledger's positions."""
    return f"spool:{spool.name}"


def position_row(position: Position) -> tuple[int, int]:
    return position.segment, position.offset_bytes


def holding_draft(outbox: str, event: HoldingEvent) -> Draft:
    """Raises MeteringError for a change other than +1 and -1."""
    if event.change not in (1, -1):
        raise MeteringError(f"holding event {event.seq}: a change of {event.change}")
    return Draft(
        id=f"{outbox}:{event.seq}",
        kind=Kind.HOLDING_ADDED if event.change == 1 else Kind.HOLDING_REMOVED,
        at_us=event.at_us,
        institution=event.institution,
        account=event.account,
        database=event.database,
        record_id=event.record_id,
        control_number=event.control_number,
    )


def in_order(readings: Sequence[SpoolReading]) -> list[Draft]:
    """The drafts of several spools by time, each spool's in its own order.

    At one moment deliveries come before what takes them back, whatever the spools
    are called. A clock that was set back must not put a void before its delivery,
    so within a spool time never goes back.
    """
    in_time: list[tuple[int, Draft]] = []
    delivery = Kind.DELIVERY
    for reading in readings:
        newest = 0
        for draft in reading.drafts:
            moment = 2 * draft.at_us + (draft.kind is not delivery)
            if moment > newest:  # noqa: PLR1730 - quicker than a call
                newest = moment
            in_time.append((newest, draft))
    in_time.sort(key=itemgetter(0))
    return [draft for _, draft in in_time]
