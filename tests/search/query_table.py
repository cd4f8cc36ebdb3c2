"""Reads the tables of queries, which say at their head how they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from protocol import cql, pqf
from protocol.query import Query

_SAMPLES = {
    "C": "cn_cat", "W": "we_cat", "J": "jp_cat", "R": "ru_cat", "A": "ancient",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expected:
    """A record that a query must find, or must not; `witness` stands in it."""

    found: bool
    database: str
    control_number: str
    witness: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One query of a table, with the line where it stands."""

    line: int
    text: str
    expected: list[Expected] = field(default_factory=list)

    def query(self) -> Query:
        parsed = (pqf if self.text.startswith("@") else cql).parse_query(self.text)
        assert isinstance(parsed, Query), f"line {self.line}: {parsed}"
        return parsed


def read_table(path: Path) -> list[Asked]:
    """The queries of a table in order.

    Raises:
        ValueError: a line is written otherwise; the text says which.
    """
    found: list[Asked] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if not line.startswith(" "):
            found.append(Asked(number, line))
            continue
        try:
            found[-1].expected.append(_expected(line))
        except (ValueError, IndexError) as error:
            raise ValueError(f"{path.name}:{number}: {line}") from error
    for asked in found:
        if not asked.expected:
            raise ValueError(f"{path.name}:{asked.line}: nothing is expected")
    return found


def _expected(line: str) -> Expected:
    match = re.fullmatch(r"  ([+-]) (?:([CWJRA])([0-9]+)|([a-z0-9-]+)/(.+?)) (\S.*)", line)
    if match is None:
        raise ValueError
    sign, letter, number, database, control_number, witness = match.groups()
    if letter:
        database, control_number = _SAMPLES[letter], f"LM{letter}{int(number):07d}"
    return Expected(sign == "+", database, control_number, witness)


def pairs(table: list[Asked]) -> Iterator[tuple[Asked, Expected]]:
    for asked in table:
        for expected in asked.expected:
            yield asked, expected
