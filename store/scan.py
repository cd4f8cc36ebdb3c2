"""Scan: the ordered list of terms around a start term, with exact counts.

Source: Z39.50-2003 §3.2.8.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter

from pyroaring import BitMap

from protocol.access_point import Kind
from protocol.access_points import BY_NAME
from protocol.diagnostic import Bib1, Diagnostic
from store import analysis, extract, postings
from store.index import cut_value
from store.interface import ScanResult, TermEntry
from store.reader import BoundExceeded, IndexReader
from store.registers import ANY, ANY_LONG_TEXTS, ANY_VALUES, DATABASE, has_keys, key_register

# One answer never has more, whatever a client asks for.
COUNT_MAX = 1000
# Terms looked at for one answer: steps, and terms of other databases only.
_ROWS_MAX = 100_000
_ROWS_INLINE_MAX = 2000


def scan(
    reader: IndexReader,
    databases: Sequence[str] | None,
    access_point: str,
    term: str,
    *,
    count: int,
    position: int,
    step_size: int = 0,
    phrases: bool = False,
) -> ScanResult | Diagnostic:
    """`count` terms, the start term or the first after it at `position`.

    `position` 1 is the first entry; 0 means that the list goes on after the
    start term, `count + 1` that it ends before it (§3.2.8.1.5). `step_size`
    terms are passed over between two entries (§3.2.8.1.3). Terms that no
    record of `databases` has are not listed. Fewer entries come back where the
    list of terms ends. The terms of `any` are all that a search of it finds:
    words, also of long texts, and normalised values.

    An access point that cannot be scanned is Bib-1 232, a position outside the
    answer 233, a list of mostly foreign terms 240.
    """
    point = BY_NAME.get(access_point)
    if point is None:
        return Diagnostic(Bib1.USE_ATTRIBUTE_UNSUPPORTED, access_point)
    if not point.scannable:
        return Diagnostic(Bib1.SCAN_TERM_LIST_UNSUPPORTED, access_point)
    count = min(count, COUNT_MAX)
    if not 0 <= position <= count + 1:
        return Diagnostic(Bib1.SCAN_POSITION_UNSUPPORTED, str(position))
    if count < 1 or step_size < 0:
        return Diagnostic(Bib1.MALFORMED_SCAN, str(count if count < 1 else step_size))
    whole_fields = phrases and has_keys(point)
    names = [key_register(point.name) if whole_fields else point.name]
    if point.name == ANY:  # whose search looks into these as well
        names += [*ANY_LONG_TEXTS, *[each.name for each in ANY_VALUES]]
    terms = _Terms(reader, databases, [reader.register_ids[name] for name in names])
    start = _start_term(point.kind, term, whole_fields=whole_fields)
    # Entry i is the term (i - position) steps from the start term.
    step = step_size + 1
    first = step if position == 0 else 0
    try:
        before = list(islice(terms.before(start), step - 1, max(position - 1, 0) * step, step))
        after_count = count - max(position - 1, 0)
        after = list(islice(terms.since(start), first, first + after_count * step, step))
    except _TooManyRows:
        return Diagnostic(Bib1.SCAN_RESOURCES_EXHAUSTED, term)
    before.reverse()
    return ScanResult((*before, *after), 0 if position == 0 else len(before) + 1)


def _start_term(kind: Kind, term: str, *, whole_fields: bool) -> str:
    if whole_fields:
        return analysis.key(term)
    if kind is Kind.TEXT:
        if term.isascii() and term.isalpha():  # most words that are asked for
            return term.lower()[: analysis.TOKEN_CHARS_MAX]
        words = analysis.query_words(term, masks=False)
        return words[0][0] if words else ""
    keys: list[str] = extract.query_keys(kind, term)
    return cut_value(keys[0]) if keys else ""


class _TooManyRows(Exception):  # noqa: N818 - what there was
    """The answer would take too long to find."""


_Row = tuple[str, int, str | None, bytes | None]  # term, frequency, display, records

_FIRST_ROWS = 24  # at least, so that a usual answer needs no second question
_MORE_ROWS = 500
_SELECT = "SELECT term, frequency, display, {records} FROM posting WHERE register_id = ? AND "
_SINCE = _SELECT + "term >= ? ORDER BY term LIMIT ?"
_BEFORE = _SELECT + "term < ? ORDER BY term DESC LIMIT ?"


class _Terms:
    """The terms of some registers, taken together, that records of some databases have."""

    def __init__(
        self, reader: IndexReader, databases: Sequence[str] | None, register_ids: Sequence[int]
    ) -> None:
        self._reader = reader
        self._register_ids = register_ids
        self._touched = reader.delta.touched
        changed = [reader.delta.terms_in_order(each) for each in register_ids]
        self._changed = changed[0] if len(changed) == 1 else sorted(set().union(*changed))
        self._members: BitMap | None = None
        if databases is not None:
            database_register = reader.register_ids[DATABASE]
            self._members = BitMap.union(
                BitMap(), *[reader.records(database_register, name) for name in databases]
            )
        # Of the main rows count the records of the databases that were not changed since.
        self._counted = self._members
        if self._members is not None and self._touched:
            self._counted = self._members - self._touched
        # Where every record counts, the frequency of a row says it all.
        needed = self._members is not None or self._touched or len(register_ids) > 1
        column = "records" if needed else "NULL"
        self._since = _SINCE.format(records=column)
        self._before = _BEFORE.format(records=column)
        self._rows_left = _ROWS_INLINE_MAX if reader.main.bounds.inline else _ROWS_MAX

    def since(self, start: str) -> Iterator[TermEntry]:
        """The terms from `start` on, ascending."""
        rows = [self._rows(each, self._since, start, after="\0") for each in self._register_ids]
        return self._entries(rows, self._changed[bisect_left(self._changed, start) :])

    def before(self, start: str) -> Iterator[TermEntry]:
        """The terms before `start`, descending."""
        rows = [self._rows(each, self._before, start) for each in self._register_ids]
        changed = self._changed[: bisect_left(self._changed, start)]
        return self._entries(rows, changed[::-1], descending=True)

    def _rows(self, register_id: int, sql: str, start: str, after: str = "") -> Iterator[_Row]:
        """Rows of the main index, a page at a time; `start + after` is where one ends."""
        limit = _FIRST_ROWS
        while True:
            self._rows_left -= limit
            if self._rows_left < 0:
                raise BoundExceeded if self._reader.main.bounds.inline else _TooManyRows
            rows = self._reader.connection.execute(sql, (register_id, start, limit)).fetchall()
            yield from rows
            if len(rows) < limit:
                return
            start = rows[-1][0] + after
            limit = _MORE_ROWS

    def _entries(
        self,
        registers: Sequence[Iterator[_Row]],
        changed: Sequence[str],
        *,
        descending: bool = False,
    ) -> Iterator[TermEntry]:
        if len(registers) == 1 and not changed:
            for term, frequency, display, records in registers[0]:
                occurrences = frequency if records is None else self._main_count(frequency, records)
                if occurrences:
                    yield TermEntry(term, display or term, occurrences)
            return
        delta_rows: Iterator[_Row] = ((term, 0, None, b"") for term in changed)
        every = merge(*registers, delta_rows, key=itemgetter(0), reverse=descending)
        for term, same_term in groupby(every, key=itemgetter(0)):
            rows = [row for row in same_term if row[1]]
            occurrences = self._count(term, rows)
            if occurrences:
                display = next((row[2] for row in rows if row[2]), None)
                yield TermEntry(term, display or self._delta_display(term) or term, occurrences)

    def _count(self, term: str, rows: Sequence[_Row]) -> int:
        """Records that have a term, each once, in whichever of the registers."""
        if len(self._register_ids) == 1:
            main = sum(self._main_count(row[1], row[3]) for row in rows)
            return main + self._delta_count(self._register_ids[0], term)
        records = BitMap.union(BitMap(), *[postings.decode(row[3]) for row in rows if row[3]])
        records -= self._touched
        for register_id in self._register_ids if self._changed else ():
            records |= self._reader.delta.records(register_id, term)
        if self._members is None:
            return len(records)
        return records.intersection_cardinality(self._members)

    def _delta_display(self, term: str) -> str | None:
        shown = (self._reader.delta.display(each, term) for each in self._register_ids)
        return next((each for each in shown if each), None)

    def _main_count(self, frequency: int, blob: bytes | None) -> int:
        """Records of the databases that have a term of the main index."""
        if blob is None:
            return frequency
        if self._counted is not None:
            return postings.count_in(blob, self._counted)
        return frequency - postings.count_in_few(blob, self._touched)

    def _delta_count(self, register_id: int, term: str) -> int:
        records = self._reader.delta.records(register_id, term)
        if self._members is None:
            return len(records)
        return records.intersection_cardinality(self._members)
