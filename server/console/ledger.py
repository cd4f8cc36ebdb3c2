"""What the console tells of the ledger: a member's year, month, day, and the single entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from metering.entry import Entry, Meter
from metering.ledger import Totals
from metering.ledger_listing import Selection
from server.accounting.ledger import Accounting
from server.config import Config

ENTRIES_A_PAGE = 100


@dataclass(frozen=True, slots=True)
class MonthOfDays:
    """A member's sums of each day of a month on which anything was entered."""

    days: Mapping[int, Totals]  # by day, as 20240131
    sums: Totals


def read_month(config: Config, institution: str, year: int, month: int) -> MonthOfDays:
    """The days of a month with an entry.

    Raises:
        MeteringError: the ledger cannot be read.
    """
    first = year * 10_000 + month * 100
    with Accounting(config) as accounting, accounting.ledger.reading() as snapshot:
        days = snapshot.days(institution, first, first + 99)
        sums = snapshot.months(institution, year).get(month, Totals())
    return MonthOfDays(days, sums)


@dataclass(frozen=True, slots=True)
class EntryList:
    """A page of a day's entries. `next_after` is where the next page begins; None: it is the last.

    `sums` are those of the whole day.
    """

    entries: Sequence[Entry]
    next_after: int | None
    sums: Totals


def read_day(
    config: Config,
    institution: str,
    day: int,
    *,
    meter: Meter | None = None,
    control_number: str = "",
    after: int = 0,
) -> EntryList:
    """The entries that a member's sums of a day count, behind one of them.

    `meter` and `control_number` choose among them. Only what is of that day is read,
    however large the ledger.

    Raises:
        MeteringError: the ledger cannot be read.
        ValueError: there is no such day.
    """
    selection = Selection(
        institution=institution, day=day, meter=meter, control_number=control_number or None,
        after=after,
    )  # fmt: skip
    with Accounting(config) as accounting, accounting.ledger.reading() as snapshot:
        found = list(islice(snapshot.entries(selection), ENTRIES_A_PAGE + 1))
        sums = snapshot.days(institution, day, day).get(day, Totals())
    shown = found[:ENTRIES_A_PAGE]
    return EntryList(shown, shown[-1].seq if len(found) > len(shown) else None, sums)


def read_entry(config: Config, entry_id: str) -> tuple[Entry, Entry | None] | None:
    """One entry, and the one that it refers to, if any; None: there is no entry of that id.

    Raises:
        MeteringError: the ledger cannot be read.
    """
    with Accounting(config) as accounting, accounting.ledger.reading() as snapshot:
        entry = snapshot.entry(entry_id)
        if entry is None:
            return None
        return entry, snapshot.entry(entry.refers_to) if entry.refers_to else None
