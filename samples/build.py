"""The sample catalogue as MARC records and holdings.

Every table (`cn_cat.tsv`, …) holds the facts of one database, a line per
record; `people.tsv` and `publishers.tsv` hold what many records share. The
same tables give the same octets on every machine: no clock, no pinyin
library, no locale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from protocol.iso2709 import Field, build
from protocol.record import MarcFamily
from samples.cnmarc import Conventions, cnmarc_record
from samples.marc21 import marc21_record
from samples.shelf import call_number
from samples.table import Row, TableError, rows

INSTITUTIONS = ("DEMO1", "DEMO2", "DEMO3")


@dataclass(frozen=True, slots=True)
class _Source:
    letter: str  # of its control numbers
    family: MarcFamily
    to_marc: Callable[[Row, str], tuple[str, list[Field]]]


def _cnmarc(letter: str, conventions: Conventions) -> _Source:
    return _Source(letter, MarcFamily.UNIMARC, partial(cnmarc_record, conventions))


_SOURCES = {
    "cn_cat": _cnmarc("C", Conventions(language="chi", country="CN", script="ea")),
    "we_cat": _Source("W", MarcFamily.MARC21, marc21_record),
    "jp_cat": _cnmarc(
        "J",
        Conventions(
            language="jpn",
            country="JP",
            script="da",
            extent="1冊",
            no_place="[出版地不明]",
            no_publisher="[出版者不明]",
        ),
    ),
    "ru_cat": _cnmarc(
        "R",
        Conventions(
            language="rus",
            country="RU",
            script="ca",
            extent="1 т.",
            no_place="[Б. м.]",
            no_publisher="[б. и.]",
        ),
    ),
    "ancient": _cnmarc(
        "A",
        Conventions(
            language="chi",
            country="CN",
            script="ea",
            extent="册",
            no_place="",
            no_publisher="",
            antiquarian=True,
        ),
    ),
}


def databases() -> dict[str, MarcFamily]:
    """The databases of the samples, in the order in which to load them."""
    return {name: source.family for name, source in _SOURCES.items()}


def records(database: str) -> Iterator[bytes]:
    """Every record of a database as UTF-8 ISO 2709, by control number.

    001 is `LM`, the letter of the database and the seven digits of the
    table's number; 005 is the table's date of entry.

    Raises:
        KeyError: no such database.
        TableError: a line of a table is wrong; the text says which and why.
    """
    source = _SOURCES[database]
    for row in rows(database):
        leader, fields = source.to_marc(row, control_number(database, row))
        yield build(leader, fields)


def holdings() -> Iterator[tuple[str, str, str, str]]:
    """What the demo members hold: institution, database, control number, call number."""
    for database in _SOURCES:
        for row in rows(database):
            for institution in row.holders:
                if institution not in INSTITUTIONS:
                    raise TableError(f"{row.where}: unknown institution {institution!r}")
                yield institution, database, control_number(database, row), call_number(row)


def control_number(database: str, row: Row) -> str:
    """The content of 001, such as LMC0000001."""
    return f"LM{_SOURCES[database].letter}{row.number:07d}"
