"""What is asked about holdings and what becomes of it, in the words of no protocol.

A text that a person reads is in English and Chinese, with ` / ` between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from protocol.holding_statement import HoldingStatement, RecordName
from protocol.record import Holding, StoredRecord
from server.access_control.principal import Principal
from store.holdings_finder import Candidate
from store.holdings_staging import RefusedLine
from store.holdings_writer import Effect

_SILENT = HoldingStatement()


class Mode(StrEnum):
    """What a request or a file is about."""

    PUT = "put"  # add what is not held yet, change what is
    ADD = "add"  # only what is not held yet
    CHANGE = "change"  # only what is held
    REMOVE = "remove"  # held no more
    REPLACE_ALL = "replace-all"  # as put, and whatever is not in the file is held no more


class Format(StrEnum):
    """The forms of files and request bodies."""

    CSV = "csv"
    JSON = "json"  # an array, or one object a line
    MARC = "marc"  # ISO 2709
    MARCXML = "marcxml"


class Reason(StrEnum):
    """Why something was refused; then nothing of it has changed."""

    FORBIDDEN = "forbidden"
    NOT_OWN = "not-own"  # it speaks of another library's holdings alone
    MALFORMED = "malformed"
    EXCESS = "excess"  # too long or too many
    UNNAMED = "unnamed"
    UNKNOWN = "unknown"  # no such record
    AMBIGUOUS = "ambiguous"
    CONTRADICTION = "contradiction"
    DATABASE = "database"
    HELD = "held"  # it is held, and was not to be added again
    NOT_HELD = "not-held"
    NOTHING = "nothing"  # nothing may replace all
    BUSY = "busy"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change that a client asks for; `statement` is not looked at to remove.

    `institution` is whose holdings, "" the principal's own.
    """

    principal: Principal
    name: RecordName
    mode: Mode
    statement: HoldingStatement = _SILENT
    institution: str = ""
    protocol: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarcChange:
    """A change that a MARC record says: a holdings record, or one with 905 or 852.

    `record` is ISO 2709, or MARCXML where `xml` says so. `number` is the control
    number of the record meant, "": as `record` has it. A `mode` of PUT is REMOVE if
    the record's status says deleted.
    """

    principal: Principal
    database: str
    record: bytes
    mode: Mode
    xml: bool = False
    number: str = ""
    institution: str = ""
    protocol: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It is on disk and in every search. `before` and `after`, None: nothing is held."""

    effect: Effect
    record: StoredRecord
    before: Holding | None
    after: Holding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """`candidates` are records that may be meant; `record` the one meant, where it is known."""

    reason: Reason
    text: str
    candidates: Sequence[Candidate] = ()
    record: StoredRecord | None = None


Outcome = Done | Refused


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file, counted from 1, or record of a MARC file.

    No `statement`: held no more. `problem` says why it cannot be read, "" if it can.
    """

    number: int
    name: RecordName
    statement: HoldingStatement | None = None
    reason: Reason | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """Many changes in a stream. `database` is that of lines that name none, "": any.

    MARC needs a database, which says its format. `replace-all` within a database
    leaves the holdings of others alone. `source` names the file in the history.
    `encoding` is of CSV and ISO 2709: "auto", or a name of `protocol.charset`.
    """

    principal: Principal
    mode: Mode
    format: Format | None = None  # None: told by the content
    database: str = ""
    encoding: str = "auto"
    institution: str = ""
    dry_run: bool = False
    protocol: str = ""
    address: str = ""
    source: str = ""


@dataclass(slots=True, kw_only=True)
class Summary:
    """What a batch did, or would do in a dry run.

    `lines` were read; `records` they speak of. The other counts are of records, but
    `refused` of lines. `held_before` and `held_after` are records that the
    institution holds in all. `refusals` are the first ones; `report` has all.
    """

    institution: str
    mode: str
    dry_run: bool
    lines: int = 0
    records: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    refused: int = 0
    held_before: int = 0
    held_after: int = 0
    refusals: list[RefusedLine] = field(default_factory=list)
    report: Path | None = None
    submission: int | None = None  # number in the history; None if nothing was changed
