"""Usage reports in the manner of COUNTER 5.1: platform and database, JSON and TSV.

They are apart from the bill. A full record delivered is an item requested (and so
investigated); what is displayed in brief is not logged and not counted. Following
the Code of Practice, release 5.1:

- §7.2: deliveries of one record to one account, each within 30 seconds of the one
  before, are one request, that of the last one;
- §7.3: an item counts once in a session for the unique metrics, which count what is
  left after that: never more than the total. A session is a
  Z39.50 association and its day; over HTTP, which has none, an account and an hour;
- §7.8, §7.9: accounts of robots and ISBN jobs (bulk) are left out; so is what was
  voided, for it was not delivered.

A search of databases that the user named is Searches_Regular for each of them; one
of all databases together Searches_Automated for each; both are one search of the
platform.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from metering.entry import DAY_US, Entry, Kind
from metering.search_counts import ALL, SearchCount

DOUBLE_CLICK_US = 30_000_000
_HOUR_US = DAY_US // 24
_KEPT_MAX = 200_000  # what is remembered of the last requests, before the old is dropped

PLATFORM_TYPE = "Platform"
DATABASE_TYPE = "Database_Full"
ITEM_TYPE = "Database_Full_Item"

TOTAL_INVESTIGATIONS = "Total_Item_Investigations"
TOTAL_REQUESTS = "Total_Item_Requests"
UNIQUE_INVESTIGATIONS = "Unique_Item_Investigations"
UNIQUE_REQUESTS = "Unique_Item_Requests"
SEARCHES_PLATFORM = "Searches_Platform"
SEARCHES_AUTOMATED = "Searches_Automated"
SEARCHES_FEDERATED = "Searches_Federated"  # none: a search does not say what asks it
SEARCHES_REGULAR = "Searches_Regular"

# (database, data type, metric) to twelve months; the platform's rows have no database.
Row = tuple[str, str, str]
Months = list[int]


@dataclass(frozen=True, slots=True)
class Usage:
    """A year's counts, of one member or of everyone."""

    year: int
    rows: Mapping[Row, Months] = field(default_factory=dict)


def count_usage(
    year: int,
    entries: Callable[[], Iterable[Entry]],
    searches: Iterable[SearchCount],
    *,
    databases: Sequence[str],
    excluded_accounts: Collection[str] = (),
) -> Usage:
    """Count a year. `entries()` gives its ledger entries in order, and is asked twice.

    `databases` are all those of the catalogue; `excluded_accounts` those of robots.
    """
    rows: dict[Row, Months] = defaultdict(lambda: [0] * 12)
    excluded = frozenset(excluded_accounts)
    voided = {entry.refers_to for entry in entries() if entry.kind is Kind.VOID}
    requests = _Requests(rows)
    for entry in entries():
        if entry.kind is Kind.DELIVERY and entry.account not in excluded and entry.id not in voided:
            requests.add(entry)
    for search in searches:
        if search.account not in excluded:
            _add_searches(rows, search, databases)
    return Usage(year, dict(rows))


def _add_searches(
    rows: Mapping[Row, Months], search: SearchCount, databases: Sequence[str]
) -> None:
    month = search.day // 100 % 100 - 1
    rows["", PLATFORM_TYPE, SEARCHES_PLATFORM][month] += search.searches
    is_all = search.databases == ALL
    metric = SEARCHES_AUTOMATED if is_all else SEARCHES_REGULAR
    for database in databases if is_all else search.databases.split(","):
        rows[database, DATABASE_TYPE, metric][month] += search.searches


class _Requests:
    """Counts deliveries that come nearly in order of time."""

    def __init__(self, rows: Mapping[Row, Months]) -> None:
        self._rows = rows
        # The last request of a record by an account: when, on which day, in which session.
        self._last: dict[tuple[str, str, int], tuple[int, int, str]] = {}
        # How often each session has asked for an item, double clicks apart, by its day.
        self._asked: dict[int, dict[tuple[str, int], int]] = defaultdict(lambda: defaultdict(int))

    def add(self, entry: Entry) -> None:
        key = (entry.institution, entry.account, entry.record_id)
        last = self._last.get(key)
        if last is not None and abs(entry.at_us - last[0]) <= DOUBLE_CLICK_US:
            self._request(entry, *last[1:], by=-1)
        session = _session(entry)
        self._last[key] = (entry.at_us, entry.day, session)
        self._request(entry, entry.day, session, by=1)
        if len(self._last) > _KEPT_MAX:
            self._forget(entry)

    def _request(self, entry: Entry, day: int, session: str, *, by: int) -> None:
        """Count a request of the entry's record, or take one back that was a double click."""
        month = day // 100 % 100 - 1
        self._count(entry.database, month, TOTAL_INVESTIGATIONS, TOTAL_REQUESTS, by=by)
        asked, item = self._asked[day], (session, entry.record_id)
        before = asked[item]
        asked[item] += by
        if (before > 0) != (asked[item] > 0):
            self._count(entry.database, month, UNIQUE_INVESTIGATIONS, UNIQUE_REQUESTS, by=by)

    def _count(self, database: str, month: int, *metrics: str, by: int = 1) -> None:
        for metric in metrics:
            self._rows["", ITEM_TYPE, metric][month] += by
            self._rows[database, ITEM_TYPE, metric][month] += by

    def _forget(self, now: Entry) -> None:
        """Drop what no later delivery can meet: entries may come some minutes out of order."""
        kept_us = now.at_us - 20 * DOUBLE_CLICK_US
        self._last = {key: last for key, last in self._last.items() if last[0] >= kept_us}
        for day in [day for day in self._asked if day < now.day - 1]:
            del self._asked[day]


def _session(entry: Entry) -> str:
    if entry.protocol == "z3950" and entry.session:
        return entry.session
    return f"{entry.institution}|{entry.account}|{entry.at_us // _HOUR_US}"


def last_day(year: int, month: int) -> int:
    """How many days a month has."""
    return calendar.monthrange(year, month)[1]
