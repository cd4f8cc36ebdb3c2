"""What the rest of the server asks of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NotRequired, Protocol, TypedDict, Unpack

from protocol.diagnostic import Diagnostic
from protocol.query import Query, SortSpec
from protocol.record import Database, Holding, StoredRecord


class ResultSet(Protocol):
    """Records chosen by a search, in a fixed order that later updates leave alone."""

    def __len__(self) -> int: ...

    def ids(self, start: int, count: int) -> Sequence[int] | Diagnostic:
        """The record ids at positions `start` (from 1) to `start + count - 1`.

        Out of range is Bib-1 13.
        """


class TermEntry(NamedTuple):
    """One line of a Scan: `term` as indexed, `display` as a reader expects it."""

    term: str
    display: str
    occurrences: int  # records, exact


@dataclass(frozen=True, slots=True)
class ScanResult:
    entries: tuple[TermEntry, ...]
    position: int  # of the start term in `entries`, from 1; 0: before, len+1: after


@dataclass(frozen=True, slots=True)
class FacetTerm:
    """One value of a facet: `term` as indexed, `display` as a reader expects it."""

    term: str
    display: str
    count: int  # records of the set that have it, exact


@dataclass(frozen=True, slots=True)
class FacetList:
    """Some of the values that the records of a set have."""

    terms: tuple[FacetTerm, ...]
    total: int  # distinct values in all


class ScanExtent(TypedDict):
    """Which of the ordered terms a Scan gives; see `store.scan.scan`."""

    count: int
    position: int
    step_size: NotRequired[int]  # 0
    phrases: NotRequired[bool]  # False


class Catalogue(Protocol):
    """Reading. Methods are coroutines that mostly finish without suspending."""

    @property
    def databases(self) -> Mapping[str, Database]:
        """By name and alias, in lower case."""

    def resolve(self, names: Sequence[str]) -> tuple[Database, ...] | Diagnostic:
        """The databases meant by `names`; unknown is Bib-1 109 with the name.

        `Default` and `all` mean every database.
        """

    async def search(
        self, databases: Sequence[Database], query: Query, sets: Mapping[str, ResultSet]
    ) -> ResultSet | Diagnostic: ...

    def search_at_once(
        self, databases: Sequence[Database], query: Query, sets: Mapping[str, ResultSet]
    ) -> ResultSet | Diagnostic | None:
        """As `search`; None: it would hold up others."""

    def fetch_at_once(self, record_ids: Sequence[int]) -> list[StoredRecord | None]:
        """As `fetch`, of a page of records at most."""

    async def fetch(self, record_ids: Sequence[int]) -> list[StoredRecord | None]:
        """The newest version of each record; None: no such record."""

    def survivor(self, record_id: int) -> StoredRecord | None:
        """The record that this one was merged into; None: it was not merged away."""

    def former_numbers(self, record: StoredRecord) -> Sequence[str]:
        """The control numbers of records that were merged into this one."""

    async def scan(
        self,
        databases: Sequence[Database],
        access_point: str,
        term: str,
        **extent: Unpack[ScanExtent],
    ) -> ScanResult | Diagnostic: ...

    def scan_at_once(
        self,
        databases: Sequence[Database],
        access_point: str,
        term: str,
        **extent: Unpack[ScanExtent],
    ) -> ScanResult | Diagnostic | None:
        """As `scan`; None: it would hold up others."""

    async def sort(
        self, sets: Sequence[ResultSet], keys: Sequence[SortSpec]
    ) -> ResultSet | Diagnostic: ...

    def sort_at_once(
        self, sets: Sequence[ResultSet], keys: Sequence[SortSpec]
    ) -> ResultSet | Diagnostic | None:
        """As `sort`; None: it would hold up others."""

    async def facets(
        self,
        records: ResultSet,
        access_point: str,
        *,
        limit: int,
        start: int = 0,
        by_count: bool = True,
    ) -> FacetList | Diagnostic: ...

    async def holdings(self, record_ids: Iterable[int]) -> dict[int, list[Holding]]: ...

    def totals(self) -> Mapping[str, int]:
        """Live records by database name."""

    def close(self) -> None: ...
