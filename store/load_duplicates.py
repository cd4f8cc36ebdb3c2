"""Duplicates among the records of a load: kept out, or told when all are stored.

A record with the number of one that is there is its next version and no
duplicate. New ones are compared with what the catalogue held and with each other.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from protocol.iso2709 import RefusedRecord, parse
from store.bulk import OFFLINE_LIMITS, Accepted, Analysed
from store.dedupe import OnProgress, Pair, blocking_keys, find_pairs, pairs_with
from store.duplicate_facts import facts_of
from store.duplicate_score import POSSIBLE, compare
from store.duplicates import DuplicateFinder
from store.writer import CatalogueWriter

# Looking up one record costs about as much as passing by that many.
_PASSED_PER_LOOK_UP = 8


class Screen:
    """Refuses new records of one load that look like others; use it in `with`.

    Those of the load that are not stored yet are remembered here, as far as one
    batch reaches.
    """

    def __init__(self, writer: CatalogueWriter, database: str) -> None:
        self._rows = writer.rows
        self._database = database
        self._database_id = writer.rows.database_id(database)
        self._family = writer.rows.databases[self._database_id].family
        self._finder = DuplicateFinder(writer.path.parent)
        # Records of the load by each of their keys, the oldest first.
        self._recent: OrderedDict[int, tuple[Accepted, tuple[str, ...]]] = OrderedDict()
        self._by_key: dict[str, set[int]] = {}
        self._identities: set[tuple[str, str]] = set()
        self._size_bytes = 0
        self._count = 0

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self._finder.close()

    def __call__(self, analysed: Analysed) -> None:
        """Move the records of a chunk that are refused from its accepted ones."""
        kept = []
        for accepted in analysed.records:
            reason = self._reason(accepted)
            if reason:
                number = accepted.control_number
                analysed.refused.append(RefusedRecord(0, number, reason))
            else:
                kept.append(accepted)
        analysed.records = kept

    def _reason(self, accepted: Accepted) -> str:
        """Why a record is refused; "" when it is stored."""
        identity = (accepted.agency, accepted.control_number)
        if accepted.control_number and identity in self._identities:
            return ""
        if self._rows.resolve(self._database_id, *identity, accepted.marc) is not None:
            return ""
        found = self._finder.candidates(accepted.marc, self._database, limit=1)
        if found:
            return _reason(found[0].control_number, found[0].score, found[0].reasons)
        facts = facts_of(parse(accepted.marc), self._family)
        keys = tuple(blocking_keys(facts))
        for place in sorted({place for key in keys for place in self._by_key.get(key, ())}):
            other, _ = self._recent[place]
            score = compare(facts, facts_of(parse(other.marc), self._family))
            if score.points >= POSSIBLE and other.marc != accepted.marc:
                named = other.control_number or "a record before it in the file"
                return _reason(named, score.points, score.reasons)
        self._remember(accepted, identity, keys)
        return ""

    def _remember(
        self, accepted: Accepted, identity: tuple[str, str], keys: tuple[str, ...]
    ) -> None:
        self._count += 1
        self._recent[self._count] = (accepted, keys)
        self._identities.add(identity)
        for key in keys:
            self._by_key.setdefault(key, set()).add(self._count)
        self._size_bytes += len(accepted.marc)
        # What is forgotten is stored by then: a batch is written before it is that large.
        while self._size_bytes > 2 * OFFLINE_LIMITS.size_bytes:
            place, (oldest, its_keys) = self._recent.popitem(last=False)
            self._size_bytes -= len(oldest.marc)
            self._identities.discard((oldest.agency, oldest.control_number))
            for key in its_keys:
                self._by_key[key].discard(place)
                if not self._by_key[key]:
                    del self._by_key[key]


def _reason(number: str, points: int, reasons: tuple[str, ...]) -> str:
    return f"looks like {number} ({points}: {'; '.join(reasons)})"


def new_records(connection: sqlite3.Connection, database_id: int, since_us: int) -> list[int]:
    """The records of a database that were created since a moment, the newest first."""
    found = []
    for record_id, owner, created_us in connection.execute(
        "SELECT record_id, database_id, created_us FROM record ORDER BY record_id DESC"
    ):
        if created_us < since_us:
            break
        if owner == database_id:
            found.append(record_id)
    return found


def new_pairs(
    writer: CatalogueWriter,
    database: str,
    since_us: int,
    *,
    progress: OnProgress | None = None,
    processes: int | None = None,
) -> Iterator[Pair]:
    """The pairs of a database that records created since a moment are in.

    Few are looked up one by one; for many, the whole database is gone through.
    """
    connection = writer.connection
    database_id = writer.rows.database_id(database)
    new = new_records(connection, database_id, since_us)
    if not new:
        return
    (total,) = connection.execute(
        "SELECT count(*) FROM record WHERE database_id = ?", (database_id,)
    ).fetchone()
    if len(new) * _PASSED_PER_LOOK_UP < total:
        with DuplicateFinder(Path(writer.path).parent) as finder:
            yield from pairs_with(connection, finder, database, new)
        return
    yield from find_pairs(
        connection, database=database, after_id=min(new) - 1, progress=progress,
        processes=processes,
    )  # fmt: skip
