"""Value types of the shared catalogue that every layer speaks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from protocol.frozen import frozen


class MarcFamily(Enum):
    """The MARC dialect of a database; never guessed from a record."""

    MARC21 = "marc21"
    UNIMARC = "unimarc"  # CNMARC included


@dataclass(frozen=True, slots=True)
class Database:
    """One database of the catalogue. `name` compares without case in Z39.50."""

    name: str
    title: str
    family: MarcFamily
    aliases: tuple[str, ...] = ()


@frozen
class StoredRecord:
    """A record as it is kept: UTF-8 ISO 2709 with its original leader.

    `record_id` is the catalogue's own number, unique over all databases and
    never used again; `control_number` is the content of field 001.
    `modified_us` is UTC, in microseconds since 1970.
    """

    record_id: int
    database: Database
    control_number: str
    marc: bytes
    version: int = 1
    modified_us: int = 0
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Holding:
    """What one institution holds of one record.

    `extent` says which volumes or years, of what appears in parts.
    """

    institution: str
    record_id: int
    call_number: str = ""
    copies: int = 1
    location: str = ""
    barcodes: tuple[str, ...] = ()
    extent: str = ""
    note: str = ""
