"""Duplicate check (查重): the records of a catalogue that a record may be.

`DuplicateFinder` looks up what the record has in common with others, its numbers
or its title with its year, and scores each that it finds. It reads the index, so
a record is compared with a few others and never with all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pyroaring import BitMap

from protocol.iso2709 import Field, MarcRecord, parse
from protocol.record import MarcFamily
from store import extract
from store.analysis import key
from store.duplicate_facts import Facts, facts_of
from store.duplicate_score import POSSIBLE, Score, compare
from store.reader import Bounds, IndexReader
from store.records import read_databases
from store.registers import DATABASE, key_register
from store.sqlite import FILE_NAME, StoreError

CANDIDATES_MAX = 10
# Records compared for one: a dummy ISBN is on thousands.
_COMPARED_MAX = 200
_BYTES_MAX = 64 << 20
_NUMBER_REGISTERS = (
    "isbn", "issn", "control_number", "lccn", "national_bibliography_number", "bookseller_number",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that may be the same publication.

    `score` is from 60 to 100; `reasons` say what agrees and what does not.
    `is_certain`: a number, the title and nearly all else agree.
    """

    record_id: int
    control_number: str
    score: int
    is_certain: bool
    reasons: tuple[str, ...]


class DuplicateFinder:
    """Looks for duplicates in the catalogue in `directory`, as it is at each call.

    Raises:
        StoreError: there is no catalogue, or its schema is another.
    """

    def __init__(self, directory: Path) -> None:
        self._reader = IndexReader(directory / FILE_NAME)
        self._databases = {
            database.name: database for database in read_databases(self._reader.connection).values()
        }

    def candidates(
        self,
        marc: bytes,
        database: str,
        *,
        besides: int = 0,
        score_min: int = POSSIBLE,
        limit: int = CANDIDATES_MAX,
    ) -> list[Candidate]:
        """The records of a database that `marc` may be, the most likely first.

        `marc` is in the stored form; `besides` is its own record id, if it has one.

        Raises:
            StoreError: unknown database.
            MalformedRecord: `marc` is not in the stored form.
        """
        if database not in self._databases:
            raise StoreError(f"there is no database {database!r}")
        family = self._databases[database].family
        record = parse(marc)
        facts = facts_of(record, family)
        self._reader.begin(Bounds(_COMPARED_MAX, _BYTES_MAX))
        try:
            similar = self._similar(record, facts, family, database, besides)
            scored = [
                (record_id, number, compare(facts, theirs))
                for record_id, number, theirs in self._facts(similar, family)
            ]
        finally:
            self._reader.release()
        likely = [each for each in scored if each[2].points >= score_min]
        likely.sort(key=lambda each: (-each[2].points, each[0]))
        return [_candidate(*each) for each in likely[:limit]]

    def _similar(
        self, record: MarcRecord, facts: Facts, family: MarcFamily, database: str, besides: int
    ) -> list[int]:
        """The records that share a number and the title, a number, or the title and a year."""
        by_number = BitMap()
        found = extract.entries(_with_bare_numbers(record), family)
        for name, value in found.keys:
            if name in _NUMBER_REGISTERS:
                by_number |= self._records(name, value)
        titles = BitMap()
        tag, forms = ("245", ("a", "anp")) if family is MarcFamily.MARC21 else ("200", ("a", "ahi"))
        for field in record.get(tag)[:1]:
            for codes in forms:
                titles |= self._records(key_register("title"), key(" ".join(field.values(codes))))
        both = by_number & titles
        if titles and facts.years and not facts.is_serial:
            years = [self._records("date", f"{year:04}") for year in sorted(facts.years)]
            titles &= BitMap.union(*years)
        chosen: dict[int, None] = {}
        here = self._records(DATABASE, database) - BitMap([besides])
        for records in (both, by_number, titles):
            chosen.update(dict.fromkeys((records & here)[:_COMPARED_MAX]))
        return list(chosen)[:_COMPARED_MAX]

    def _records(self, register: str, term: str) -> BitMap:
        return self._reader.records(self._reader.register_ids[register], term)

    def _facts(self, record_ids: list[int], family: MarcFamily) -> Iterable[tuple[int, str, Facts]]:
        for record_id in record_ids:
            row = self._reader.connection.execute(
                "SELECT control_number, unpacked(marc) FROM record WHERE record_id = ?",
                (record_id,),
            ).fetchone()
            yield record_id, row[0], facts_of(parse(row[1]), family)

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _with_bare_numbers(record: MarcRecord) -> MarcRecord:
    """The record with the numbers of 035 once more without whose they are, as a 001 has them."""
    bare = [
        Field("001", value.partition(")")[2])
        for field in record.get("035")
        for value in field.values("a")
        if value.startswith("(")
    ]
    agency = record.first("003")
    if agency is not None and record.control_number:
        whole = f"({agency.text.strip()}){record.control_number}"
        bare.append(Field.of("035", "  ", [("a", whole)]))
    return MarcRecord(record.leader, [*record.fields, *bare])


def _candidate(record_id: int, control_number: str, score: Score) -> Candidate:
    return Candidate(record_id, control_number, score.points, score.is_certain, score.reasons)
