"""The best record for an ISBN, by a stated rule.

Of the records that have the number, in the databases asked for:

1. a record of full level (leader/17 blank) before others;
2. that with the most holding libraries;
3. that changed last;
4. the database that comes first in the configuration, or in the request;
5. the lowest record number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from protocol.diagnostic import Diagnostic
from protocol.query import Clause, Structure
from protocol.record import Database, StoredRecord
from store.interface import Catalogue

# More records with one ISBN are a mistake in the catalogue; the first ones will do.
CANDIDATES_MAX = 50


class Candidate(msgspec.Struct, frozen=True, array_like=True):
    """A record that has the number, with what the rule looks at."""

    record_id: int
    control_number: str
    database: str
    full: bool  # level
    holdings: int  # libraries
    modified_us: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidates of a number, the best first."""

    candidates: tuple[Candidate, ...]


async def choose(
    catalogue: Catalogue, databases: Sequence[Database], isbn: str
) -> Choice | Diagnostic:
    """What there is for thirteen digits; no candidate is an answer too.

    A Diagnostic: the catalogue cannot answer.
    """
    found = await catalogue.search(databases, Clause("isbn", isbn, structure=Structure.KEY), {})
    if isinstance(found, Diagnostic) or not len(found):
        return found if isinstance(found, Diagnostic) else Choice(())
    ids = found.ids(1, min(len(found), CANDIDATES_MAX))
    if isinstance(ids, Diagnostic):
        return ids
    records = [
        record
        for record in await catalogue.fetch(ids)
        if record is not None and not record.deleted
    ]  # fmt: skip
    held = await catalogue.holdings([record.record_id for record in records])
    order = {database.name: place for place, database in enumerate(databases)}
    candidates = [_candidate(record, len(held.get(record.record_id, ()))) for record in records]
    candidates.sort(
        key=lambda each: (
            not each.full, -each.holdings, -each.modified_us,
            order.get(each.database, len(order)), each.record_id,
        )
    )  # fmt: skip
    return Choice(tuple(candidates))


def _candidate(record: StoredRecord, holdings: int) -> Candidate:
    return Candidate(
        record.record_id, record.control_number, record.database.name,
        record.marc[17:18] == b" ", holdings, record.modified_us,
    )  # fmt: skip
