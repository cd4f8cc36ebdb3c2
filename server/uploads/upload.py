"""What is asked of an upload and what becomes of it, in the words of no protocol.

A text that a person reads is in English and Chinese, with ` / ` between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from protocol.record import Database, StoredRecord
from protocol.validation import Finding
from server.access_control.access import Principal
from store.duplicates import Candidate


class Action(StrEnum):
    INSERT = "insert"
    REPLACE = "replace"
    DELETE = "delete"
    UPDATE = "update"  # replace the record if there is one of that number, else insert it


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One change that a client asks for.

    `record` is ISO 2709, or MARCXML where `xml` says so; a deletion needs none.
    `number` is the control number of the record meant, "": the record's own 001.
    `based_on` are names of the version that the change was made from, each a
    number or a 005; without any it is the 005 of the record that is sent.
    `confirmed`: the cataloguer has seen the candidates, and it is none of them.
    """

    principal: Principal
    database: Database
    action: Action
    record: bytes = b""
    xml: bool = False
    number: str = ""
    based_on: Sequence[int | str] = ()
    confirmed: bool = False
    protocol: str = ""
    address: str = ""


class Reason(Enum):
    """Why a change was refused; then nothing has changed."""

    FORBIDDEN = "the account may not upload"
    NOT_OWN = "another institution brought the record"
    MALFORMED = "the record cannot be read"
    INVALID = "the record breaks its format"
    INCOMPLETE = "an upload for credit lacks what is mandatory"
    DUPLICATE = "the catalogue seems to have the record"
    UNNAMED = "no record is named"
    UNKNOWN = "there is no such record"
    MERGED = "the record was merged into another one"
    AMBIGUOUS = "several records have that number"
    NO_VERSION = "no version is named"
    STALE = "the record has changed since"
    HELD = "others hold the record"
    BUSY = "too many uploads wait"
    UNAVAILABLE = "the catalogue cannot be written"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """`findings` are what validation says, `candidates` what it may be a duplicate of.

    `current` is the record as it stands, where one was found.
    """

    reason: Reason
    text: str
    findings: Sequence[Finding] = ()
    candidates: Sequence[Candidate] = ()
    current: StoredRecord | None = None


class Change(StrEnum):
    CREATED = "created"
    REPLACED = "replaced"
    DELETED = "deleted"
    UNCHANGED = "unchanged"  # it was so already, as after a retry


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It is on disk and in every search. `record` is the record now.

    `findings` are warnings, `notes` what was left out. `credit` is the state of
    the claim of a record that earns something ("accepted", "pending", "capped"),
    "due" while the ledger cannot take it, or says why there is none.
    """

    change: Change
    record: StoredRecord
    findings: Sequence[Finding] = ()
    notes: Sequence[str] = ()
    credit: str = ""


Outcome = Done | Refused
