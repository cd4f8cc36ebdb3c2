"""Files that are sent as a member's account would send each record (`lianmu load --as`).

Unlike a plain load every record is authorised, validated, checked for duplicates and
credited, as over Z39.50 and SRU. It may be broken off and begun anew at any time: what
was stored is found unchanged.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from protocol.diagnostic import Bib1, Diagnostic
from protocol.iso2709 import RawRecord, RefusedRecord, control_number, decode_record
from protocol.iso2709_structure import guess_control_number
from protocol.record import Database
from server.access_control.access import Principal, SignIn
from server.access_control.permissions import Operation, refusal
from server.config import Config
from server.uploads.terms import UPDATE_CONDITIONS
from server.uploads.upload import Action, Done, Outcome, Refused, Upload
from server.uploads.uploading import Uploader
from store.bulk import Source
from store.load import OnProgress, RecordFile

_CREDIT_STATES = frozenset({"accepted", "pending", "capped", "due", "claimed"})


class NoSuchAccountError(Exception):
    """Nobody can load as that; says why in one line."""


@dataclass(slots=True)
class Sent:
    """What became of the records. `credit` counts new ones by the state of their claims."""

    created: int = 0
    replaced: int = 0
    unchanged: int = 0
    refused: int = 0
    warnings: int = 0  # of those accepted, with a finding or something left out
    credit: dict[str, int] = field(default_factory=dict)
    report: Path | None = None  # where the refused ones are listed


def principal_named(config: Config, name: str) -> Principal:
    """Whom `MEMBER/account` stands for, or `account` alone.

    Raises:
        NoSuchAccountError: there is none, it is another member's, or that is not active.
    """
    code, slash, account = name.rpartition("/")
    sign_in = SignIn(config.members_path, config.access)
    try:
        found = sign_in.certified(account, None)
    finally:
        sign_in.close()
    if isinstance(found, Diagnostic):
        raise NoSuchAccountError(
            f"there is no account {account}"
            if found.condition == Bib1.BAD_USER_ID
            else found.addinfo
        )
    if slash and found.institution != code.upper():
        raise NoSuchAccountError(f"{account} is no account of {code}")
    refused = refusal(found, Operation.UPLOAD_INSERT)
    if refused is not None:
        raise NoSuchAccountError(refused.english)
    return found


def send_files(
    config: Config,
    principal: Principal,
    paths: Sequence[Path],
    database: Database,
    *,
    encoding: str = "auto",
    confirmed: bool = False,
    report: Path,
    address: str = "",
    progress: OnProgress | None = None,
) -> Sent:
    """Upload every record of `paths`; a record of one's own that is there is replaced.

    `report` is a CSV file of those refused, made when there is one. `address` says
    for the audit who is at which machine.

    Raises:
        StoreError: a file cannot be opened.
        UnknownEncoding: `encoding` names no set.
    """
    sent, credit = Sent(), Counter[str]()
    uploader = Uploader(config)
    total_bytes = sum(path.stat().st_size for path in paths)
    done_bytes = records = 0

    def apply(record: bytes) -> Outcome:
        return uploader.run(
            Upload(
                principal=principal, database=database, action=Action.UPDATE, record=record,
                confirmed=confirmed, protocol="load", address=address,
            )
        )  # fmt: skip

    refusals = _Report(report)
    try:
        for path in paths:
            with RecordFile(path) as file:
                for source in file.sources(database.family):
                    records += 1
                    reason = _send(source, database, encoding, apply, sent, credit)
                    if reason:
                        sent.refused += 1
                        refusals.add(path, source, reason)
                    if progress is not None:
                        progress(records, done_bytes + file.read_bytes, total_bytes)
            done_bytes += path.stat().st_size
    finally:
        uploader.close()
    sent.credit = dict(sorted(credit.items()))
    sent.report = report if sent.refused else None
    return sent


def _send(
    source: Source,
    database: Database,
    encoding: str,
    apply: Callable[[bytes], Outcome],
    sent: Sent,
    credit: Counter[str],
) -> str:
    """Upload one record and count it; returns why it was refused, or ""."""
    decoded = source
    if isinstance(decoded, RawRecord):
        decoded = decode_record(decoded.raw, database.family, encoding, offset=decoded.offset)
    if isinstance(decoded, RefusedRecord):
        return decoded.reason
    outcome = apply(decoded.marc)
    if isinstance(outcome, Refused):
        return f"{UPDATE_CONDITIONS[outcome.reason].value}: {outcome.text}"
    _count(sent, credit, outcome)
    return ""


def _count(sent: Sent, credit: Counter[str], done: Done) -> None:
    name = done.change.value
    setattr(sent, name, getattr(sent, name) + 1)
    sent.warnings += bool(done.findings or done.notes)
    if name == "created":
        credit[done.credit if done.credit in _CREDIT_STATES else "none"] += 1


class _Report:
    """The CSV file of refused records."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun = False

    def add(self, path: Path, source: Source, reason: str) -> None:
        if isinstance(source, RefusedRecord):
            offset, number = source.offset, source.control_number
        elif isinstance(source, RawRecord):
            offset, number = source.offset, guess_control_number(source.raw)
        else:
            offset, number = source.offset, control_number(source.marc)
        with self._path.open("a" if self._begun else "w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            if not self._begun:
                rows.writerow(("file", "offset", "control_number", "reason"))
            rows.writerow((path, offset, number, reason))
        self._begun = True
