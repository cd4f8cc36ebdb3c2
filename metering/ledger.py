"""The append-only ledger in one SQLite file: append, sum, list, verify."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from metering.counting import Counted, Counter, CountingRules, RepeatWindow, check_time
from metering.entry import (
    FIELDS,
    Draft,
    Entry,
    Kind,
    Meter,
    accounting_day,
    day_span_us,
)
from metering.interface import MeteringError
from metering.ledger_listing import EVERYTHING, Selection, listed
from metering.ledger_lookup import Lookup, billed_in
from metering.ledger_page import (
    ENTRIES_MAX,
    ENTRIES_MIN,
    PAGE_COLUMNS,
    Contents,
    Page,
    members_of,
    pack,
    ranges_of,
    source_of,
)
from metering.ledger_page import entry as entry_of
from metering.ledger_schema import ROLLUP_COLUMNS, connect, create, naming_errors
from metering.ledger_snapshot import (
    RECENT_WINDOW_S_MAX,
    EntryConflict,
    Outcome,
    Snapshot,
    Totals,
    is_long,
)
from metering.ledger_verify import Progress, Verification, rebuild, verify
from metering.recent import RECENT_MAX, Key, RecentDeliveries

__all__ = [
    "EntryConflict",
    "Ledger",
    "Outcome",
    "Snapshot",
    "Totals",
    "Transaction",
    "Verification",
]

# Entries come nearly in order of time: behind so many old ones none is recent.
_OLD_ENTRIES = 10_000
_COLUMNS = ", ".join(FIELDS)
_INSERT = f"INSERT INTO entry ({_COLUMNS}) VALUES ({', '.join('?' * len(FIELDS))})"
_INSERT_PAGE = f"INSERT INTO page ({PAGE_COLUMNS}) VALUES ({', '.join('?' * len(Page._fields))})"
_KIND_TEXT = {kind: str(kind.value) for kind in Kind}
_METER_TEXT = {meter: str(meter.value) for meter in Meter}
_DELIVERY = _KIND_TEXT[Kind.DELIVERY]
_ADD_TO_ROLLUP = f"""
INSERT INTO rollup ({ROLLUP_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (institution, year, day, kind, meter, item) DO UPDATE
SET entries = entries + excluded.entries, quantity = quantity + excluded.quantity
"""
_summed = itemgetter(
    *(
        FIELDS.index(name)
        for name in ("institution", "year", "day", "kind", "meter", "item", "quantity")
    )
)


class Transaction(Snapshot):
    """The same with the right to append; all of it is stored or nothing."""

    def __init__(
        self, connection: sqlite3.Connection, rules: CountingRules, recent: RecentDeliveries | None
    ) -> None:
        super().__init__(connection, rules)
        self._recent = recent
        if is_long(rules):
            self._index_billed()
        if recent is not None:
            seq, _ = self.head()
            if seq != recent.seq:  # the first time, or another process has appended
                _recall(self._lookup, recent, seq)
        self._counters: list[Counter] = []
        self._seq = 0

    def stored(self) -> None:
        """To be called after the commit: let what was appended be remembered."""
        if self._recent is not None:
            for counter in self._counters:
                self._recent.advance(self._seq, counter.newly_billed, counter.newly_voided)

    def append_new(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """As `append`, for drafts that nobody has appended before.

        Deliveries are of spools: their ids are `source:index`.

        Raises:
            EntryConflict: one of the ids exists; the transaction must be given up.
        """
        outcomes = [Outcome.CREATED] * len(drafts)
        try:
            self._append(drafts, range(len(drafts)), outcomes, new=True)
        except sqlite3.IntegrityError as error:
            raise EntryConflict("an entry that passed for new exists") from error
        return outcomes

    def append(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """Append in order, with an outcome for each.

        Raises:
            EntryConflict: an id exists with other contents.
            MeteringError: a correction refers to an unknown entry.
        """
        fresh, outcomes = self._fresh(drafts)
        self._append([drafts[place] for place in fresh], fresh, outcomes, new=False)
        return outcomes

    def _append(
        self,
        batch: Sequence[Draft],
        fresh: Sequence[int],
        outcomes: list[Outcome],
        *,
        new: bool,
    ) -> None:
        """Append drafts with new ids; `fresh` are their places in `outcomes`.

        `new`: their maker numbers deliveries `source:index`, so they can go into
        pages.
        """
        seq, previous = self.head()
        # A second batch of a transaction follows what `recent` does not know of yet.
        recent = self._recent if not self._counters else None
        counter = Counter(self._lookup, self._rules, recent)
        counter.look_up_billed(batch)
        rows: list[Contents] = []
        hashes: list[bytes] = []
        others: list[int] = []  # places of those that are no deliveries
        delivery, sha256, own_hash = Kind.DELIVERY, hashlib.sha256, previous
        first_us, last_us, year, day = 1, 0, 0, 0
        for place, draft in zip(fresh, batch, strict=True):
            if draft.kind is delivery:  # as `count`, and quick
                at_us = draft.at_us
                if not first_us <= at_us <= last_us:
                    check_time(draft)
                    first_us, last_us = day_span_us(at_us)
                    year, day = accounting_day(at_us)
                repeated = counter.repeated(draft)
                contents: Contents = (
                    seq + 1, draft.id, _DELIVERY, "repeat" if repeated else "download", 1,
                    draft.institution, draft.account, draft.database, draft.record_id,
                    draft.control_number, at_us, year, day, draft.protocol, draft.session,
                    repeated, draft.note, draft.item,
                )  # fmt: skip
            else:
                counted = counter.count(draft)
                if counted is None:
                    outcomes[place] = Outcome.MOOT
                    continue
                others.append(len(rows))
                contents = _contents(seq + 1, counted)
            seq += 1
            # As `entry_hash`, without calling it for every delivery.
            own_hash = sha256(
                own_hash + _to_json(contents if contents[-1] else contents[:-1])
            ).digest()
            rows.append(contents)
            hashes.append(own_hash)
        begin = 0
        for end in [*others, len(rows)]:
            previous = self._store_run(rows[begin:end], previous, hashes[begin:end], new=new)
            if end < len(rows):
                self._store_rows([rows[end]], previous, [hashes[end]], new=new)
                previous = hashes[end]
            begin = end + 1
        self._add_to_rollup(rows)
        self._counters.append(counter)
        self._seq = seq

    def _store_run(
        self, rows: list[Contents], previous: bytes, hashes: list[bytes], *, new: bool
    ) -> bytes:
        """Store deliveries that follow one another; the hash of the last one."""
        if not rows:
            return previous
        if new and len(rows) >= ENTRIES_MIN:
            self._store_pages(rows, previous, hashes)
        else:
            self._store_rows(rows, previous, hashes, new=new)
        return hashes[-1]

    def _store_rows(
        self, rows: list[Contents], previous: bytes, hashes: list[bytes], *, new: bool
    ) -> None:
        self._connection.executemany(
            _INSERT,
            [
                (*row, before, own)
                for row, before, own in zip(rows, [previous, *hashes], hashes, strict=False)
            ],
        )
        for row in rows:
            if row[2] == _DELIVERY:
                source, index = source_of(row[1])
                if index >= 0:
                    if new and self._lookup.overlaps(source, index, index):
                        raise EntryConflict(f"entry {row[1]} exists")
                    self._note_range(source, index, index, row[0])

    def _store_pages(self, rows: list[Contents], previous: bytes, hashes: list[bytes]) -> None:
        for begin in range(0, len(rows), ENTRIES_MAX):
            some = rows[begin : begin + ENTRIES_MAX]
            some_hashes = hashes[begin : begin + ENTRIES_MAX]
            page = pack(some, previous, some_hashes)
            previous = some_hashes[-1]
            ids = [row[1] for row in some]
            if len(set(ids)) < len(ids):
                raise EntryConflict("an id came twice")
            self._connection.execute(_INSERT_PAGE, page)
            for source, (first_index, last_index) in ranges_of(ids).items():
                if self._lookup.overlaps(source, first_index, last_index):
                    raise EntryConflict(f"entries of {source} passed for new and exist")
                self._note_range(source, first_index, last_index, page.first_seq)
            self._connection.executemany(
                "INSERT INTO page_of_member (institution, year, first_seq) VALUES (?, ?, ?)",
                [(*member, page.first_seq) for member in members_of(some)],
            )
            if is_long(self._rules):
                self._note_billed(page)

    def _note_range(self, source: str, first_index: int, last_index: int, seq: int) -> None:
        self._connection.execute(
            "INSERT INTO range_of_source (source, first_index, last_index, first_seq)"
            " VALUES (?, ?, ?, ?)",
            (source, first_index, last_index, seq),
        )

    def _index_billed(self) -> None:
        """Bring the index of billed deliveries up to the head, after a change of the window."""
        up_to = self._lookup.billed_up_to()
        newest = self._connection.execute("SELECT max(first_seq) FROM page").fetchone()[0] or 0
        if newest > up_to:
            for row in self._connection.execute(
                f"SELECT {PAGE_COLUMNS} FROM page WHERE first_seq > ? ORDER BY first_seq", (up_to,)
            ).fetchall():
                self._note_billed(Page(*row))

    def _note_billed(self, page: Page) -> None:
        # One that is there already says that somebody moved `billed_up_to` back.
        self._connection.executemany(
            "INSERT INTO billed (seq, institution, record_id, at_us, id) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            billed_in(page),
        )
        self._connection.execute("UPDATE billed_up_to SET seq = ?", (page.last_seq,))

    def _add_to_rollup(self, rows: list[Contents]) -> None:
        sums: dict[tuple[Any, ...], list[int]] = {}
        for (*key, quantity), entries in Tally(map(_summed, rows)).items():
            amounts = sums.setdefault(tuple(key), [0, 0])
            amounts[0] += entries
            amounts[1] += entries * quantity
        self._connection.executemany(
            _ADD_TO_ROLLUP, [(*key, *amounts) for key, amounts in sums.items()]
        )

    def _fresh(self, drafts: Sequence[Draft]) -> tuple[list[int], list[Outcome]]:
        """Places of the drafts whose ids are new, and an outcome for each draft."""
        stored = self._lookup.contents([draft.id for draft in drafts])
        seen: dict[str, Draft] = {}
        fresh = []
        outcomes = []
        for place, draft in enumerate(drafts):
            row, twin = stored.get(draft.id), seen.get(draft.id)
            if row is None and twin is None:
                seen[draft.id] = draft
                fresh.append(place)
                outcomes.append(Outcome.CREATED)
                continue
            if not _same(entry_of(row, b"", b"") if row else twin, draft):
                raise EntryConflict(f"entry {draft.id} exists with other contents")
            outcomes.append(Outcome.EXISTS)
        return fresh, outcomes

    def move(self, source: str, major: int, minor: int = 0) -> None:
        """Note how far a source is folded."""
        self._connection.execute(
            "INSERT INTO source_position (source, major, minor) VALUES (?, ?, ?)"
            " ON CONFLICT (source) DO UPDATE SET major = excluded.major, minor = excluded.minor",
            (source, major, minor),
        )

    def rebuild_rollup(self, progress: Progress | None = None) -> int:
        """Make all anew that follows from the entries; how many there are."""
        return rebuild(self._connection, progress)


def _contents(seq: int, counted: Counted) -> Contents:
    draft = counted.draft
    return (
        seq, draft.id, _KIND_TEXT[draft.kind], _METER_TEXT[counted.meter],
        counted.quantity, counted.institution, draft.account, counted.database,
        counted.record_id, counted.control_number, draft.at_us, counted.year, counted.day,
        draft.protocol, draft.session, counted.refers_to, draft.note, counted.item,
    )  # fmt: skip


_to_json = msgspec.json.Encoder().encode


class Ledger:
    """One ledger file. Its methods may be called from any thread and block on the disk."""

    def __init__(
        self, path: Path, *, repeat_window: RepeatWindow = 30, rules: CountingRules | None = None
    ) -> None:
        """Open the file, or make it; `rules` say all, `repeat_window` one of them.

        Raises:
            MeteringError: it cannot be opened, or a newer program wrote it.
        """
        self._path = path
        self._rules = rules or CountingRules(repeat_window)
        window = self._rules.repeat_window
        # Longer windows would keep too much in memory: there the index is asked.
        self._recent = (
            RecentDeliveries(window * 1_000_000)
            if isinstance(window, int) and 0 < window <= RECENT_WINDOW_S_MAX
            else None
        )
        self._read_lock = threading.RLock()
        self._write_lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MeteringError(f"the ledger: {error}") from error
        with naming_errors():
            self._writer = connect(path)
            create(self._writer)
            self._reader = connect(path)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Transaction]:
        """One transaction; an exception undoes it. Other processes' writers wait.

        Raises:
            MeteringError: the disk or the database refuses; nothing was stored.
        """
        with self._write_lock, naming_errors():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                transaction = Transaction(self._writer, self._rules, self._recent)
                yield transaction
                self._writer.execute("COMMIT")
                transaction.stored()
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._writer.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[Snapshot]:
        """One consistent view; it waits for no writer."""
        with self._read_lock, naming_errors():
            self._reader.execute("BEGIN")
            try:
                # A deferred transaction sees what is there at its first reading.
                self._reader.execute("SELECT 1 FROM source_position LIMIT 1").fetchall()
                yield Snapshot(self._reader, self._rules)
            finally:
                self._reader.execute("ROLLBACK")

    def append(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """Append in order, all or nothing; see `Transaction.append`."""
        with self.writing() as transaction:
            return transaction.append(drafts)

    def entries(
        self,
        institution: str | None = None,
        year: int | None = None,
        *,
        after: int = 0,
        selection: Selection = EVERYTHING,
    ) -> Iterator[Entry]:
        """Entries in order, of one member or all, of one accounting year or all.

        `after` is the sequence number to go on behind. `selection` says more. No lock
        is held between two entries; what is appended after the call is not listed.
        """
        if selection is EVERYTHING:
            selection = Selection(institution=institution, year=year, after=after)
        if selection.up_to is None:  # or a late row could be missed before a later page
            with self._read_lock, naming_errors():
                seq, _ = Snapshot(self._reader, self._rules).head()
            selection = msgspec.structs.replace(selection, up_to=seq)
        return listed(self._reader, selection, self._read_lock)

    def entry(self, entry_id: str) -> Entry | None:
        """One entry by its id."""
        with self.reading() as snapshot:
            return snapshot.entry(entry_id)

    def head(self) -> tuple[int, bytes]:
        with self.reading() as snapshot:
            return snapshot.head()

    def totals(self, year: int, institution: str | None = None) -> dict[str, Totals]:
        """Sums of what is in the ledger; `metering.usage` adds what is not folded yet."""
        with self.reading() as snapshot:
            return snapshot.totals(year, institution)

    def rebuild_rollup(self, progress: Progress | None = None) -> int:
        """Recount every entry and put the sums in place of the kept ones; how many there are.

        `progress` is told now and then how many were read.
        """
        with self.writing() as transaction:
            return transaction.rebuild_rollup(progress)

    def verify(self, progress: Progress | None = None) -> Verification:
        """Hash every entry again, add all up again, and compare with what is kept."""
        with naming_errors(), contextlib.closing(connect(self._path, read_only=True)) as reader:
            reader.execute("BEGIN")
            return verify(reader, progress)

    def close(self) -> None:
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()


def _recall(lookup: Lookup, recent: RecentDeliveries, seq: int) -> None:
    """Read the last entries backwards as far as the repeat rule may ask for them."""
    newest_us, old = -1, 0
    billed: list[tuple[Key, int, str]] = []
    voided_us: dict[str, int] = {}
    for contents in lookup.newest_first():
        _, entry_id, kind, meter, _, institution, _, _, record_id, _, at_us, *rest = contents
        newest_us = max(newest_us, at_us)
        if at_us < newest_us - 2 * recent.window_us:
            old += 1
            if old >= _OLD_ENTRIES:
                break
        elif kind == Kind.VOID:
            voided_us[rest[_REFERS_TO]] = at_us
        elif kind == Kind.DELIVERY and meter == Meter.DOWNLOAD:
            billed.append(((institution, record_id), at_us, entry_id))
        if len(billed) > RECENT_MAX:  # more than is kept: look each up for a while
            recent.reset(seq, newest_us + 1)
            return
    recent.reset(seq, max(0, newest_us - 2 * recent.window_us))
    recent.advance(seq, billed[::-1], voided_us)


_REFERS_TO = FIELDS.index("refers_to") - FIELDS.index("at_us") - 1


def _same(stored: Entry | Draft | None, draft: Draft) -> bool:
    """Whether an entry is what its maker's draft said; a void may differ in time and note."""
    if stored is None:
        return False
    if draft.kind is Kind.VOID:
        return stored.kind is Kind.VOID and stored.refers_to == draft.refers_to
    same = (stored.kind, stored.at_us, stored.account, stored.protocol, stored.session) == (
        draft.kind, draft.at_us, draft.account, draft.protocol, draft.session
    ) and stored.note == draft.note  # fmt: skip
    if draft.item and draft.item != stored.item:
        return False
    if draft.kind is not Kind.DELIVERY:
        same = same and stored.refers_to == draft.refers_to
    if draft.kind is Kind.UPLOAD_REVERSED:
        return same
    if draft.kind is Kind.CORRECTION:
        return same and (stored.meter, stored.quantity) == (draft.meter, draft.quantity)
    return same and (
        stored.institution, stored.record_id, stored.database, stored.control_number
    ) == (draft.institution, draft.record_id, draft.database, draft.control_number)  # fmt: skip
