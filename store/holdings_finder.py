"""Which record a member means: by control number, a number of its own, ISBN or ISSN.

A number decides where exactly one record has it. Where several have, the one that
the member holds already is meant, if that is one; otherwise nobody guesses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Self

from pyroaring import BitMap

from protocol.holding_statement import RecordName
from protocol.iso2709 import parse
from store.identifiers import code_keys, identifier_keys, isbn_keys, issn_keys
from store.index import cut_value
from store.reader import Bounds, IndexReader
from store.records import read_databases
from store.registers import DATABASE, HELD_BY
from store.sqlite import FILE_NAME

CANDIDATES_MAX = 5
_COMPARED_MAX = 50  # records of one number that are looked at
_CACHE_BYTES_MAX = 8 << 20  # numbers are read once, lists of holders again and again
_BYTES_MAX = 1 << 30  # of lists of records, between `begin` and `release`
_CONTROL_NUMBER = "control_number"
_SELECT = "SELECT database_id, control_number, unpacked(marc) FROM record WHERE record_id = ?"


class NotFound(Enum):
    """Why no record was found."""

    UNNAMED = "no record is named"
    UNKNOWN = "there is no such record"
    AMBIGUOUS = "several records have that number"
    CONTRADICTION = "control number and ISBN name different records"
    DATABASE = "there is no such database"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that may be meant."""

    record_id: int
    database: str
    control_number: str

    def __str__(self) -> str:
        return f"{self.database} {self.control_number}"


@dataclass(frozen=True, slots=True)
class Missed:
    """`candidates` are a few of `record_ids`, every record that may be meant."""

    reason: NotFound
    candidates: tuple[Candidate, ...] = ()
    record_ids: tuple[int, ...] = ()

    def __str__(self) -> str:
        told = ", ".join(map(str, self.candidates))
        more = len(self.record_ids) - len(self.candidates)
        if more > 0:
            told += f" and {more} more"
        return f"{self.reason.value}: {told}" if told else self.reason.value


class RecordFinder:
    """Finds records of the catalogue in `directory`.

    One thread at a time. What it finds is of the moment of `begin`.

    Raises:
        StoreError: there is no catalogue, or its schema is another.
    """

    def __init__(self, directory: Path) -> None:
        self._reader = IndexReader(directory / FILE_NAME, cache_size_bytes_max=_CACHE_BYTES_MAX)
        databases = read_databases(self._reader.connection)
        self._databases = {number: database.name for number, database in databases.items()}
        self._by_name = {
            name.lower(): database.name
            for database in databases.values()
            for name in (*database.aliases, database.name)
        }

    def begin(self) -> None:
        """Look at the newest state of the catalogue from now on, until `release`."""
        self._reader.begin(Bounds(_COMPARED_MAX, _BYTES_MAX))

    def release(self) -> None:
        self._reader.release()

    def find(self, name: RecordName, institution: str) -> int | Missed:
        """The id of the record that an institution means, between `begin` and `release`."""
        if name.is_empty:
            return Missed(NotFound.UNNAMED)
        here: BitMap | None = None
        if name.database:
            database = self._by_name.get(name.database.lower())
            if database is None:
                return Missed(NotFound.DATABASE)
            here = self._records(DATABASE, database)
        for found in self._each(name, institution):
            if here is not None:
                found &= here  # noqa: PLW2901 - what is left of it
            if len(found) > 1:
                held = found & self._any(HELD_BY, code_keys(institution))
                found = held if len(held) == 1 else found  # noqa: PLW2901
            if len(found) == 1:
                return found[0]
            if found:
                return self._missed(NotFound.AMBIGUOUS, found)
        if name.control_number and name.isbn and (other := self._by_isbn(name.isbn)):
            exact = self._numbered(name.control_number)
            if exact:
                return self._missed(NotFound.CONTRADICTION, exact | other)
        return Missed(NotFound.UNKNOWN)

    def _each(self, name: RecordName, institution: str) -> Iterator[BitMap]:
        """The records that each of the names finds, the most exact name first."""
        if name.control_number:
            found = self._numbered(name.control_number)
            # One who counts its own records 1, 2, 3 must not come to hold ours of
            # that number: the ISBN that it says beside speaks for another record.
            if found and name.isbn and (other := self._by_isbn(name.isbn)) and not found & other:
                found = BitMap()
            yield found
        for number in name.numbers:
            yield self._with_number(number)
        if name.local_number:
            yield self._with_number(f"({institution}){name.local_number}")
        if name.isbn and not (name.control_number and self._numbered(name.control_number)):
            yield self._by_isbn(name.isbn)
        if name.issn:
            yield self._any("issn", issn_keys(name.issn))

    def _numbered(self, number: str) -> BitMap:
        """Records with that 001, or into which the one with it was merged."""
        number = number.strip()
        found = self._any(_CONTROL_NUMBER, identifier_keys(number)[:1])
        if not found:
            return found
        own, former = BitMap(), BitMap()
        for record_id in found[:_COMPARED_MAX]:
            row = self._execute("SELECT control_number FROM record WHERE record_id = ?", record_id)
            if row[0] == number:
                own.add(record_id)
            elif self._execute(
                "SELECT 1 FROM former_number JOIN record ON record.record_id = away_id"
                " WHERE former_number.record_id = ? AND until_version IS NULL"
                " AND control_number = ?", record_id, number,
            ):  # fmt: skip
                former.add(record_id)
        return own or former

    def _with_number(self, number: str) -> BitMap:
        """Records that have it in 035, with the prefix that says whose it is."""
        keys = identifier_keys(number, bare=False)
        found = BitMap()
        for record_id in self._any(_CONTROL_NUMBER, keys)[:_COMPARED_MAX]:
            marc = self._execute(_SELECT, record_id)[2]
            numbers = (value for each in parse(marc).get("035") for value in each.values("a"))
            if any(key in keys for value in numbers for key in identifier_keys(value, bare=False)):
                found.add(record_id)
        return found

    def _by_isbn(self, isbn: str) -> BitMap:
        return self._any("isbn", isbn_keys(isbn))

    def _any(self, register: str, terms: tuple[str, ...] | list[str]) -> BitMap:
        found = BitMap()
        for term in terms:
            found |= self._records(register, cut_value(term))
        return found

    def _records(self, register: str, term: str) -> BitMap:
        return self._reader.records(self._reader.register_ids[register], term)

    def _execute(self, sql: str, *values: object) -> Any:
        return self._reader.connection.execute(sql, values).fetchone()

    def _missed(self, reason: NotFound, found: BitMap) -> Missed:
        candidates = []
        for record_id in found[:CANDIDATES_MAX]:
            database_id, number, _ = self._execute(_SELECT, record_id)
            candidates.append(Candidate(record_id, self._databases[database_id], number))
        return Missed(reason, tuple(candidates), tuple(found))

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
