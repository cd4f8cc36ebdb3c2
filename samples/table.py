"""Reads the tables of facts and says which line is wrong.

Columns are separated by tabs, and trailing empty ones may be left out. In a
cell, ` ; ` separates elements and `$x` begins subfield x, as a cataloguer
writes it. A person's cell reads `曹雪芹+高鹗 著 ; 启功 注`: names of one
statement joined by `+`, then what they did; 等 after a name says that the
source names others too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TypeAlias

Subfields: TypeAlias = tuple[tuple[str, str], ...]  # (code, value)

# Roles of more than one word; every other role is the last word of its element.
_LONG_ROLES = ("issuing body",)


class TableError(ValueError):
    """A table says what cannot be; the text begins with file and line."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A person or body as a heading.

    `qualifier` is the dynasty or nation in Chinese headings and a title such
    as `graf` in Western ones; `shelf` is the Latin form that call numbers use.
    """

    heading: str
    kind: str  # "person" or "body"
    reading: str
    dates: str
    qualifier: str
    original: str  # the name in the script and language it came from
    shelf: str

    @property
    def name(self) -> str:
        """The heading without what tells two of the same name apart."""
        return re.sub(r"（.*）$| \(body\)$", "", self.heading)


@dataclass(frozen=True, slots=True)
class Publisher:
    """Where and by whom; the name is empty when only the place is recorded."""

    name: str
    place: str
    country: str  # ISO 3166, two letters
    region: str  # GB/T 2260, six digits; China only
    marc: str  # MARC country code


@dataclass(frozen=True, slots=True)
class Statement:
    """Agents that share one statement of responsibility, and their role."""

    agents: tuple[Agent, ...]
    role: str
    others: bool  # the source names more of them


@dataclass(frozen=True, slots=True)
class Row:
    """The facts of one record."""

    where: str  # file and line, for messages
    number: int
    entered: str  # YYYYMMDD
    title: Subfields  # begins with $a
    reading: str
    people: tuple[Statement, ...]
    edition: str
    publisher: Publisher | None
    year: str  # as it is printed
    extent: str
    series: Subfields  # $a, and $v where it is numbered
    classes: tuple[str, ...]
    subjects: tuple[str, ...]
    also: tuple[str, ...]
    notes: tuple[str, ...]
    abstract: str
    isbn: tuple[str, ...]
    wrong_isbn: tuple[str, ...]
    issn: tuple[str, ...]
    languages: tuple[str, ...]
    originals: tuple[str, ...]  # languages it was translated from
    holders: tuple[str, ...]

    @property
    def is_serial(self) -> bool:
        return bool(self.issn)

    @property
    def is_sample(self) -> bool:
        """Its ISBN was made for these samples."""
        return self.publisher is not None and self.publisher.name in ("联目样例", "Lianmu sample")

    @property
    def years(self) -> tuple[str, ...]:
        """The years of the Western calendar that the date names, in order."""
        return tuple(re.findall(r"(?<!\d)\d{3,4}(?!\d)", self.year))


@cache
def rows(database: str) -> tuple[Row, ...]:
    """The lines of a database's table; numbers rise.

    Raises:
        TableError: a line is wrong.
    """
    found: list[Row] = []
    for where, cells in _lines(f"{database}.tsv"):
        row = _row(where, cells)
        if found and row.number <= found[-1].number:
            raise TableError(f"{where}: number {row.number} does not rise")
        found.append(row)
    return tuple(found)


def elements(cell: str) -> tuple[str, ...]:
    """The elements of a cell, without empty ones."""
    return tuple(part.strip() for part in cell.split(" ; ") if part.strip())


def subfields(text: str, first: str = "a") -> Subfields:
    """`text$xmore` as (code, value) pairs; what comes before a mark is `first`."""
    head, *rest = re.split(r"\$(?=[a-z0-9])", text)
    pairs = [(part[0], part[1:].strip()) for part in rest]
    return ((first, head.strip()), *pairs)


def _row(where: str, cells: Mapping[str, str]) -> Row:
    for column in ("number", "entered", "title", "year", "class"):
        if not cells[column]:
            raise TableError(f"{where}: {column} is empty")
    if not re.fullmatch(r"\d{8}", cells["entered"]):
        raise TableError(f"{where}: entered is not YYYYMMDD: {cells['entered']!r}")
    identifiers = elements(cells["identifier"])
    languages, _, originals = cells["language"].partition("<")
    return Row(
        where=where,
        number=int(cells["number"]),
        entered=cells["entered"],
        title=subfields(cells["title"]),
        reading=cells["reading"],
        people=tuple(_statement(where, text) for text in elements(cells["people"])),
        edition=cells["edition"],
        publisher=_publisher(where, cells["publisher"]),
        year=cells["year"],
        extent=cells["extent"],
        series=subfields(cells["series"]) if cells["series"] else (),
        classes=elements(cells["class"]),
        subjects=elements(cells["subjects"]),
        also=elements(cells["also"]),
        notes=elements(cells["notes"]),
        abstract=cells["abstract"],
        isbn=tuple(text for text in identifiers if not re.match("ISSN |z:", text)),
        wrong_isbn=tuple(text[2:] for text in identifiers if text.startswith("z:")),
        issn=tuple(text[5:] for text in identifiers if text.startswith("ISSN ")),
        languages=tuple(languages.split("+")) if languages else (),
        originals=tuple(originals.split("+")) if originals else (),
        holders=tuple(cells["holders"].split()),
    )


def _statement(where: str, text: str) -> Statement:
    for role in _LONG_ROLES:
        if text.endswith(f" {role}"):
            break
    else:
        role = text.rpartition(" ")[2]
    names = text.removesuffix(role).strip()
    agents = _agents()
    others = names.endswith("等")
    found = []
    for name in names.removesuffix("等").split("+") if others else names.split("+"):
        if name not in agents:
            raise TableError(f"{where}: {name!r} is not in people.tsv")
        found.append(agents[name])
    return Statement(tuple(found), role, others)


def _publisher(where: str, key: str) -> Publisher | None:
    if not key:
        return None
    publishers = _publishers()
    if key not in publishers:
        raise TableError(f"{where}: {key!r} is not in publishers.tsv")
    return publishers[key]


@cache
def _agents() -> Mapping[str, Agent]:
    return {key: Agent(**cells) for key, cells in _keyed("people.tsv").items()}


@cache
def _publishers() -> Mapping[str, Publisher]:
    return {
        key: Publisher(
            name={"": key, "-": ""}.get(cells["name"], cells["name"]),
            place=cells["place"],
            country=cells["country"],
            region=cells["region"],
            marc=cells["marc"].ljust(3),
        )
        for key, cells in _keyed("publishers.tsv").items()
    }


def _keyed(name: str) -> dict[str, dict[str, str]]:
    """The lines of a table by their first column, each key once."""
    found: dict[str, dict[str, str]] = {}
    for where, cells in _lines(name):
        key = next(iter(cells.values()))
        if key in found:
            raise TableError(f"{where}: {key!r} is there twice")
        found[key] = cells
    return found


def _lines(name: str) -> list[tuple[str, dict[str, str]]]:
    """Each line as column → cell, with its file and line number."""
    text = files("samples").joinpath(name).read_text(encoding="utf-8")
    header, *lines = text.splitlines()
    columns = header.split("\t")
    found = []
    for number, line in enumerate(lines, start=2):
        where = f"{name}:{number}"
        cells = line.split("\t")
        if len(cells) > len(columns):
            raise TableError(f"{where}: {len(cells)} cells for {len(columns)} columns")
        cells += [""] * (len(columns) - len(cells))
        found.append((where, dict(zip(columns, cells, strict=True))))
    return found
