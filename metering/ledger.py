"""The append-only ledger in one SQLite file: append, sum, list, verify."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import Any

from metering.counting import Counted, Counter, RepeatRule, RepeatWindow
from metering.entry import (
    FIELDS,
    GENESIS_HASH,
    Draft,
    Entry,
    Kind,
    Meter,
    entry_hash,
)
from metering.interface import MeteringError
from metering.recent import RECENT_MAX, Key, RecentDeliveries

SCHEMA_VERSION = 2
RECENT_WINDOW_S_MAX = 600
# Entries come nearly in order of time: behind so many old ones none is recent.
_OLD_ENTRIES = 10_000
_PAGE_ROWS = 1_000
_IDS_PER_QUERY = 500
_COLUMNS = ", ".join(FIELDS)
_INSERT = f"INSERT INTO entry ({_COLUMNS}) VALUES ({', '.join('?' * len(FIELDS))})"
_KIND_TEXT = {kind: str(kind.value) for kind in Kind}
_METER_TEXT = {meter: str(meter.value) for meter in Meter}
_ROLLUP_COLUMNS = "institution, year, day, kind, meter, item, entries, quantity"
_ADD_TO_ROLLUP = f"""
INSERT INTO rollup ({_ROLLUP_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (institution, year, day, kind, meter, item) DO UPDATE
SET entries = entries + excluded.entries, quantity = quantity + excluded.quantity
"""
_BACKWARDS = """
SELECT at_us, kind, meter, institution, record_id, id, refers_to FROM entry ORDER BY seq DESC
"""
_RECOUNT = """
SELECT institution, year, day, kind, meter, item, count(*), sum(quantity)
FROM entry GROUP BY institution, year, day, kind, meter, item
"""


class Outcome(Enum):
    CREATED = "created"
    EXISTS = "exists"
    MOOT = "moot"  # it takes back what is taken back already or was never stored


class EntryConflict(MeteringError):  # noqa: N818  (the name is the field's)
    """An id came again with other contents; nothing of its batch was appended."""


@dataclass(slots=True)
class Totals:
    """One member's sums for a year."""

    holdings: int = 0
    downloads: int = 0
    repeats: int = 0
    voided: int = 0
    batch: int = 0
    uploads: dict[str, int] = field(default_factory=dict)  # by item
    covers: dict[str, int] = field(default_factory=dict)  # by item

    def add(self, kind: str, meter: str, item: str, entries: int, quantity: int) -> None:
        if meter == Meter.DOWNLOAD:
            self.downloads += quantity
        elif meter == Meter.REPEAT:
            self.repeats += quantity
        elif meter == Meter.HOLDING:
            self.holdings += quantity
        elif meter == Meter.BATCH:
            self.batch += quantity
        elif meter == Meter.UPLOAD:
            self.uploads[item] = self.uploads.get(item, 0) + quantity
        elif meter == Meter.COVER:
            self.covers[item] = self.covers.get(item, 0) + quantity
        if kind == Kind.VOID:
            self.voided += entries


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found; `first_bad` is the id of an entry, `problem` says what is wrong."""

    entries: int  # good ones, from the first on
    head_hash: bytes  # of the last good one
    problem: str = ""
    first_bad: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem


class Snapshot:
    """The ledger as it is in one transaction."""

    def __init__(self, connection: sqlite3.Connection, rule: RepeatRule) -> None:
        self._connection = connection
        self._rule = rule

    def positions(self) -> dict[str, tuple[int, int]]:
        """How far each source was folded."""
        rows = self._connection.execute("SELECT source, major, minor FROM source_position")
        return {source: (major, minor) for source, major, minor in rows}

    def totals(self, year: int, institution: str | None = None) -> dict[str, Totals]:
        """By institution; one without an entry in the year is absent."""
        condition = "year = ?"
        parameters: list[int | str] = [year]
        if institution is not None:
            condition += " AND institution = ?"
            parameters.append(institution)
        totals: dict[str, Totals] = {}
        for code, kind, meter, item, entries, quantity in self._connection.execute(
            "SELECT institution, kind, meter, item, sum(entries), sum(quantity) FROM rollup"
            f" WHERE {condition} GROUP BY institution, kind, meter, item",
            parameters,
        ):
            totals.setdefault(code, Totals()).add(kind, meter, item, entries, quantity)
        return totals

    def preview(self, drafts: Sequence[Draft]) -> Iterator[Counted]:
        """What the drafts would count if they were appended now."""
        existing = self._existing([draft.id for draft in drafts])
        counter = Counter(self._connection, self._rule)
        for counted in counter.count_all([d for d in drafts if d.id not in existing]):
            if counted is not None:
                yield counted

    def head(self) -> tuple[int, bytes]:
        """Sequence number and hash of the last entry; 0 and zeros when there is none."""
        row = self._connection.execute(
            "SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        return (0, GENESIS_HASH) if row is None else (row[0], row[1])

    def _existing(self, ids: Sequence[str]) -> dict[str, tuple[Any, ...]]:
        existing: dict[str, tuple[Any, ...]] = {}
        for begin in range(0, len(ids), _IDS_PER_QUERY):
            some = ids[begin : begin + _IDS_PER_QUERY]
            places = ", ".join("?" * len(some))
            query = f"SELECT {_COLUMNS} FROM entry WHERE id IN ({places})"
            existing.update((row[1], row) for row in self._connection.execute(query, some))
        return existing


class Transaction(Snapshot):
    """The same with the right to append; all of it is stored or nothing."""

    def __init__(
        self, connection: sqlite3.Connection, rule: RepeatRule, recent: RecentDeliveries | None
    ) -> None:
        super().__init__(connection, rule)
        self._recent = recent
        if recent is not None:
            seq, _ = self.head()
            if seq != recent.seq:  # the first time, or another process has appended
                _recall(connection, recent, seq)
        self._counters: list[Counter] = []
        self._seq = 0

    def stored(self) -> None:
        """To be called after the commit: let what was appended be remembered."""
        if self._recent is not None:
            for counter in self._counters:
                self._recent.advance(self._seq, counter.newly_billed, counter.newly_voided)

    def append_new(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """As `append`, for drafts that nobody has appended before.

        Raises:
            EntryConflict: one of the ids exists; the transaction must be given up.
        """
        outcomes = [Outcome.CREATED] * len(drafts)
        try:
            self._append(drafts, range(len(drafts)), outcomes)
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
        self._append([drafts[place] for place in fresh], fresh, outcomes)
        return outcomes

    def _append(
        self, batch: Sequence[Draft], fresh: Sequence[int], outcomes: list[Outcome]
    ) -> None:
        """Append drafts with new ids; `fresh` are their places in `outcomes`."""
        seq, previous = self.head()
        rows = []
        sums: dict[tuple[str, int, int, str, str, str], list[int]] = {}
        # A second batch of a transaction follows what `recent` does not know of yet.
        recent = self._recent if not self._counters else None
        counter = Counter(self._connection, self._rule, recent)
        counter.look_up_billed(batch)
        for place, draft in zip(fresh, batch, strict=True):
            counted = counter.count(draft)
            if counted is None:
                outcomes[place] = Outcome.MOOT
                continue
            seq += 1
            kind, meter = _KIND_TEXT[draft.kind], _METER_TEXT[counted.meter]
            contents = (
                seq, draft.id, kind, meter, counted.quantity, counted.institution,
                draft.account, counted.database, counted.record_id, counted.control_number,
                draft.at_us, counted.year, counted.day, draft.protocol, draft.session,
                counted.refers_to, draft.note, counted.item,
            )  # fmt: skip
            own_hash = entry_hash(previous, contents)
            rows.append((*contents, previous, own_hash))
            previous = own_hash
            key = (counted.institution, counted.year, counted.day, kind, meter, counted.item)
            in_rollup = sums.get(key)
            if in_rollup is None:
                in_rollup = sums[key] = [0, 0]
            in_rollup[0] += 1
            in_rollup[1] += counted.quantity
        self._connection.executemany(_INSERT, rows)
        self._connection.executemany(
            _ADD_TO_ROLLUP, [(*key, *amounts) for key, amounts in sums.items()]
        )
        self._counters.append(counter)
        self._seq = seq

    def _fresh(self, drafts: Sequence[Draft]) -> tuple[list[int], list[Outcome]]:
        """Places of the drafts whose ids are new, and an outcome for each draft."""
        stored = self._existing([draft.id for draft in drafts])
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
            if not _same(_entry(row) if row else twin, draft):
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

    def rebuild_rollup(self) -> None:
        self._connection.execute("DELETE FROM rollup")
        self._connection.execute(f"INSERT INTO rollup ({_ROLLUP_COLUMNS}) {_RECOUNT}")


class Ledger:
    """One ledger file. Its methods may be called from any thread and block on the disk."""

    def __init__(self, path: Path, *, repeat_window: RepeatWindow = 30) -> None:
        """Open the file, or make it.

        Raises:
            MeteringError: it cannot be opened, or a newer program wrote it.
        """
        self._path = path
        self._rule = RepeatRule(repeat_window)
        # Longer windows would keep too much in memory: there the index is asked.
        self._recent = (
            RecentDeliveries(repeat_window * 1_000_000)
            if isinstance(repeat_window, int) and 0 < repeat_window <= RECENT_WINDOW_S_MAX
            else None
        )
        self._read_lock = threading.RLock()
        self._write_lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MeteringError(f"the ledger: {error}") from error
        with _naming_errors():
            self._writer = _connect(path)
            _create(self._writer)
            self._reader = _connect(path)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Transaction]:
        """One transaction; an exception undoes it. Other processes' writers wait.

        Raises:
            MeteringError: the disk or the database refuses; nothing was stored.
        """
        with self._write_lock, _naming_errors():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                transaction = Transaction(self._writer, self._rule, self._recent)
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
        with self._read_lock, _naming_errors():
            self._reader.execute("BEGIN")
            try:
                # A deferred transaction sees what is there at its first reading.
                self._reader.execute("SELECT 1 FROM source_position LIMIT 1").fetchall()
                yield Snapshot(self._reader, self._rule)
            finally:
                self._reader.execute("ROLLBACK")

    def append(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """Append in order, all or nothing; see `Transaction.append`."""
        with self.writing() as transaction:
            return transaction.append(drafts)

    def entries(
        self, institution: str | None = None, year: int | None = None, *, after: int = 0
    ) -> Iterator[Entry]:
        """Entries in order, of one member or all, of one accounting year or all.

        `after` is the sequence number to go on behind. No lock is held between pages.
        """
        conditions, parameters = ["seq > ?"], [after]
        more: Mapping[str, str | int | None] = {"institution": institution, "year": year}
        extra = {name: value for name, value in more.items() if value is not None}
        conditions += [f"{name} = ?" for name in extra]
        query = (
            f"SELECT {_COLUMNS} FROM entry WHERE {' AND '.join(conditions)}"
            f" ORDER BY seq LIMIT {_PAGE_ROWS}"
        )
        while True:
            with self._read_lock, _naming_errors():
                rows = self._reader.execute(query, (*parameters, *extra.values())).fetchall()
            yield from map(_entry, rows)
            if len(rows) < _PAGE_ROWS:
                return
            parameters = [rows[-1][0]]

    def head(self) -> tuple[int, bytes]:
        with self.reading() as snapshot:
            return snapshot.head()

    def totals(self, year: int, institution: str | None = None) -> dict[str, Totals]:
        """Sums of what is in the ledger; `metering.usage` adds what is not folded yet."""
        with self.reading() as snapshot:
            return snapshot.totals(year, institution)

    def rebuild_rollup(self) -> None:
        """Recount every entry and put the sums in place of the kept ones."""
        with self.writing() as transaction:
            transaction.rebuild_rollup()

    def verify(self) -> Verification:
        """Hash every entry again, add all up again, and compare with the roll-up."""
        with _naming_errors(), contextlib.closing(_connect(self._path)) as connection:
            connection.execute("BEGIN")
            found = _verify_chain(connection)
            if not found.ok:
                return found
            recounted = set(connection.execute(_RECOUNT))
            kept = set(connection.execute(f"SELECT {_ROLLUP_COLUMNS} FROM rollup"))
            for line in sorted(recounted ^ kept):
                institution, year, day, kind, meter, item, *_ = line
                problem = (
                    f"the roll-up of {institution or 'no institution'}, year {year}, day {day},"
                    f" {' '.join(filter(None, (kind, meter, item)))} is not the sum of the entries"
                )
                return Verification(found.entries, found.head_hash, problem)
            return found

    def close(self) -> None:
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()


def _recall(connection: sqlite3.Connection, recent: RecentDeliveries, seq: int) -> None:
    """Read the last entries backwards as far as the repeat rule may ask for them."""
    newest_us, old = -1, 0
    billed: list[tuple[Key, int, str]] = []
    voided_us: dict[str, int] = {}
    for at_us, kind, meter, institution, record_id, entry_id, refers_to in connection.execute(
        _BACKWARDS
    ):
        newest_us = max(newest_us, at_us)
        if at_us < newest_us - 2 * recent.window_us:
            old += 1
            if old >= _OLD_ENTRIES:
                break
        elif kind == Kind.VOID:
            voided_us[refers_to] = at_us
        elif kind == Kind.DELIVERY and meter == Meter.DOWNLOAD:
            billed.append(((institution, record_id), at_us, entry_id))
        if len(billed) > RECENT_MAX:  # more than is kept: look each up for a while
            recent.reset(seq, newest_us + 1)
            return
    recent.reset(seq, max(0, newest_us - 2 * recent.window_us))
    recent.advance(seq, billed[::-1], voided_us)


def _verify_chain(connection: sqlite3.Connection) -> Verification:
    count, previous = 0, GENESIS_HASH
    for row in connection.execute(f"SELECT {_COLUMNS} FROM entry ORDER BY seq"):
        *contents, stored_previous, stored_hash = row
        problem = ""
        if row[0] != count + 1:
            problem = f"entry {count + 1} is missing before entry {row[0]}"
        elif stored_previous != previous:
            problem = f"entry {row[0]} does not follow its predecessor"
        elif stored_hash != entry_hash(previous, tuple(contents)):
            problem = f"entry {row[0]} is not what was hashed"
        if problem:
            return Verification(count, previous, problem, row[1])
        count, previous = row[0], stored_hash
    return Verification(count, previous)


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


def _entry(row: tuple[Any, ...]) -> Entry:
    return Entry(row[0], row[1], Kind(row[2]), Meter(row[3]), *row[4:])


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -32768")
    return connection


def _create(connection: sqlite3.Connection) -> None:
    """Bring the tables up to this program; a ledger that is so is opened without a lock."""
    if _version(connection) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)
        if version == 0:
            for statement in _statements(files("metering").joinpath("schema.sql").read_text()):
                connection.execute(statement)
        else:
            for migrate in MIGRATIONS[version - 1 :]:
                migrate(connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _to_schema_2(connection: sqlite3.Connection) -> None:
    """Entries and sums by item; the old entries have none and keep their hashes."""
    connection.execute("ALTER TABLE entry ADD COLUMN item TEXT NOT NULL DEFAULT ''")
    connection.execute(
        "CREATE INDEX entry_of_upload ON entry (record_id, meter)"
        " WHERE kind IN ('upload', 'cover', 'upload_reversed')"
    )
    connection.execute("DROP TABLE rollup")
    connection.execute(
        "CREATE TABLE rollup (institution TEXT NOT NULL, year INTEGER NOT NULL,"
        " day INTEGER NOT NULL, kind TEXT NOT NULL, meter TEXT NOT NULL, item TEXT NOT NULL,"
        " entries INTEGER NOT NULL, quantity INTEGER NOT NULL,"
        " PRIMARY KEY (year, institution, day, kind, meter, item)) STRICT, WITHOUT ROWID"
    )
    connection.execute(f"INSERT INTO rollup ({_ROLLUP_COLUMNS}) {_RECOUNT}")


MIGRATIONS = (_to_schema_2,)  # each from its number to the next


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= SCHEMA_VERSION:
        raise MeteringError(f"the ledger has schema {version}, this program knows {SCHEMA_VERSION}")
    return int(version)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextlib.contextmanager
def _naming_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise MeteringError(f"the ledger: {error}") from error
