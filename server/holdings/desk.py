"""The one door of changes of holdings, for protocols, API, pages and commands alike.

Whoever asks is authorised here, and what is done is on disk, in the ledger's outbox
and in every search when it is answered.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO

from protocol.holding_statement import HoldingStatement, RecordName
from protocol.holdings_fields import is_holdings_record
from protocol.iso2709 import RefusedRecord, decode_record, parse
from protocol.marcxml_reader import decode_marcxml
from protocol.record import Holding, MarcFamily, StoredRecord
from server.access_control.permissions import Operation, refusal
from server.access_control.principal import Principal
from server.config import Config
from server.holdings.batch import (
    REFUSED,
    SERVING_RECORDS,
    BatchRefused,
    OnProgress,
    Plan,
    carry_out,
    dry_run,
    finish,
    form_of,
    lines_of,
    reason_of,
    stage,
)
from server.holdings.change import (
    BatchRequest,
    Change,
    Done,
    MarcChange,
    Mode,
    Outcome,
    Reason,
    Refused,
    Summary,
)
from server.holdings.reading import HEAD_BYTES, marc_line, opened
from server.log import Log
from store.holdings_finder import Missed, RecordFinder
from store.holdings_history import HoldingsHistory
from store.holdings_staging import Staging
from store.holdings_writer import Applied, Effect, HoldingsWriter, Rule, Wanted
from store.sqlite import FILE_NAME, open_reader
from store.writer import CatalogueWriter, now_us

log = Log("lianmu.holdings")
_RULES = {Mode.ADD: Rule.ADD, Mode.CHANGE: Rule.CHANGE}
SCRATCH = "holdings"  # in the data folder
_SCRATCH_AGE_MAX_S = 86_400.0


def forbidden(principal: Principal, institution: str) -> Refused | None:
    """Why `principal` may not change the holdings of `institution`; None: it may."""
    refused = refusal(principal, Operation.HOLDINGS_WRITE, institution)
    if refused is None:
        return None
    return Refused(reason=Reason.FORBIDDEN, text=refused.text)


class HoldingsDesk:
    """Does one change after the other, from one thread, over the writer it is given."""

    def __init__(self, config: Config, writer: CatalogueWriter) -> None:
        self._writer = writer
        self._finder = RecordFinder(config.data_dir)

    def apply_one(self, change: Change) -> Outcome:
        """Carry out one change.

        Raises:
            StoreError: the catalogue cannot be written; nothing has changed.
        """
        institution = change.institution or change.principal.institution
        refused = forbidden(change.principal, institution)
        if refused is not None:
            return refused
        if excess := change.statement.excess():
            return Refused(reason=Reason.EXCESS, text=excess)
        found = self._find(change.name, institution)
        if isinstance(found, Missed):
            return Refused(
                reason=reason_of(found), text=f"{change.name}: {found}".lstrip(": "),
                candidates=found.candidates,
            )  # fmt: skip
        removes = change.mode is Mode.REMOVE
        applied = self._write(
            Wanted(found, None if removes else change.statement),
            _RULES.get(change.mode, Rule.PUT), institution, change.principal.account,
            change.protocol, change.address, now_us(),
        )  # fmt: skip
        return self._outcome(change, institution, applied)

    def hold(
        self, principal: Principal, holding: Holding, family: MarcFamily, *, protocol: str,
        address: str, at_us: int,
    ) -> None:  # fmt: skip
        """Store what came in a record that was uploaded; whoever uploads was authorised."""
        statement = HoldingStatement(
            holding.call_number, holding.copies, holding.location, holding.barcodes,
            holding.extent, holding.note if family is MarcFamily.MARC21 else None,
        )  # fmt: skip
        self._write(
            Wanted(holding.record_id, statement), Rule.PUT, holding.institution,
            principal.account, protocol, address, at_us,
        )  # fmt: skip

    def _write(
        self, wanted: Wanted, rule: Rule, institution: str, account: str, protocol: str,
        address: str, at_us: int,
    ) -> Applied:  # fmt: skip
        with self._writer.transaction():
            history = HoldingsHistory(self._writer.connection)
            number = history.begin(
                institution, account=account, protocol=protocol, address=address, source="",
                at_us=at_us,
            )  # fmt: skip
            changing = HoldingsWriter(
                self._writer, institution, number, account=account, at_us=at_us
            )
            (applied,) = changing.apply([wanted], rule)
            history.forget_empty(number)
            return applied

    def apply_marc(self, change: MarcChange) -> Outcome:
        """Carry out what a record says of the holdings in it; nothing else of it is stored.

        Raises:
            StoreError: the catalogue cannot be written, or there is no such database.
        """
        institution = change.institution or change.principal.institution
        refused = forbidden(change.principal, institution)
        if refused is not None:
            return refused
        rows = self._writer.rows
        family = rows.databases[rows.database_id(change.database)].family
        name, statement, apart = RecordName(), HoldingStatement(), False
        mode = change.mode
        if change.record:
            marc = _decode(change, family)
            if isinstance(marc, RefusedRecord):
                return Refused(reason=Reason.MALFORMED, text=marc.reason[:500])
            line = marc_line(1, marc, family, institution)
            name, apart = line.name, is_holdings_record(parse(marc), family)
            if line.problem and mode is not Mode.REMOVE:
                return Refused(reason=line.reason or Reason.MALFORMED, text=line.problem)
            if line.statement is not None:
                statement = line.statement
            elif not line.problem and mode is Mode.PUT:
                mode = Mode.REMOVE
        # A holdings record names its record in 004; another number is its own.
        if change.number and not (apart and name.control_number):
            name = RecordName(change.number)
        name = RecordName(
            name.control_number, change.database, name.numbers, name.local_number, name.isbn
        )
        return self.apply_one(
            Change(
                principal=change.principal, name=name, mode=mode, statement=statement,
                institution=institution, protocol=change.protocol, address=change.address,
            )
        )  # fmt: skip

    def _find(self, name: RecordName, institution: str) -> int | Missed:
        self._finder.begin()
        try:
            return self._finder.find(name, institution)
        finally:
            self._finder.release()

    def _outcome(self, change: Change, institution: str, applied: Applied) -> Outcome:
        record = self._writer.rows.get(applied.record_id)
        assert isinstance(record, StoredRecord)  # noqa: S101 - it was found
        if applied.effect in REFUSED:
            reason, text = REFUSED[applied.effect]
            return Refused(reason=reason, text=f"{record.control_number}: {text}", record=record)
        log.info(
            "holding changed", effect=applied.effect.value, institution=institution,
            database=record.database.name, record=record.control_number,
            account=change.principal.account, protocol=change.protocol, address=change.address,
        )  # fmt: skip
        effect = Effect.UNCHANGED if applied.effect is Effect.ABSENT else applied.effect
        return Done(effect=effect, record=record, before=applied.before, after=applied.after)

    def close(self) -> None:
        self._finder.close()


def _decode(change: MarcChange, family: MarcFamily) -> bytes | RefusedRecord:
    if change.xml:
        decoded = decode_marcxml(change.record, family)
    else:
        raw = change.record.rstrip(b"\r\n\0 ")
        if b"\x1d" in raw[:-1]:
            return RefusedRecord(0, "", "several records in place of one")
        decoded = decode_record(raw, family)
        charset = change.principal.charset
        if isinstance(decoded, RefusedRecord) and charset:
            decoded = decode_record(raw, family, charset)
    if isinstance(decoded, RefusedRecord):
        return decoded
    return decoded.marc


def apply_batch(
    config: Config,
    request: BatchRequest,
    stream: BinaryIO,
    *,
    report: Path | None = None,
    progress: OnProgress | None = None,
    total_bytes: int | None = None,
    writer: CatalogueWriter | None = None,
) -> Summary:
    """Carry out a stream of changes, or in a dry run tell what they would do.

    Blocks for as long as it takes: call it in a thread. It opens files of its own,
    or uses `writer`; searches and other changes go on meanwhile. What it did before
    it was broken off stays; sending the same again finds that unchanged.
    `report` is a CSV file of refused lines, made if there are any. `total_bytes`
    of the stream, if they are known, are what progress is measured by.

    Raises:
        BatchRefused: it cannot be carried out as a whole; nothing has changed.
        StoreError: the catalogue cannot be read or written.
    """
    institution = request.institution or request.principal.institution
    refused = forbidden(request.principal, institution)
    if refused is not None:
        raise BatchRefused(refused.reason, refused.text)
    staging = Staging(scratch_path(config))

    def told(lines: int, size_bytes: int) -> None:
        if progress is not None:
            progress("reading", lines, size_bytes, total_bytes)

    try:
        stage_stream(config, request, stream, staging, institution, told)
        plan = Plan(staging, institution, request.mode, request.database)
        summary = Summary(institution=institution, mode=request.mode.value, dry_run=request.dry_run)
        if request.dry_run:
            with closing(open_reader(config.data_dir / FILE_NAME)) as connection:
                dry_run(plan, connection, summary)
        else:
            own = writer or CatalogueWriter(config.data_dir, config.databases)
            try:
                carry_out(
                    plan, own, request, summary, progress=progress, records_max=SERVING_RECORDS
                )
            finally:
                if writer is None:
                    own.close()
        finish(plan, summary, report)
    finally:
        staging.discard()
    log.info(
        "holdings submitted", institution=institution, mode=request.mode.value,
        dry_run=request.dry_run, added=summary.added, changed=summary.changed,
        removed=summary.removed, refused=summary.refused, account=request.principal.account,
        protocol=request.protocol, address=request.address,
    )  # fmt: skip
    return summary


def scratch_path(config: Config) -> Path:
    """Where a batch is staged that nobody goes on with; removes what crashes left there."""
    folder = config.data_dir / SCRATCH
    now_s = time.time()
    for path in folder.glob("batch-*"):
        with suppress(OSError):  # another process removes them, too
            if path.stat().st_mtime < now_s - _SCRATCH_AGE_MAX_S:
                path.unlink()
    return folder / f"batch-{time.time_ns()}-{os.getpid()}.sqlite"


def stage_stream(
    config: Config,
    request: BatchRequest,
    stream: BinaryIO,
    staging: Staging,
    institution: str,
    told: Callable[[int, int], None] | None = None,
) -> None:
    """Read a stream to its end into `staging`.

    `told` is called with the lines and octets read so far.

    Raises:
        BatchRefused: it cannot be read, or its database is not there.
        StoreError: there is no catalogue.
    """
    reader, read_bytes = opened(stream)
    form = form_of(request, reader.peek(HEAD_BYTES))
    lines = lines_of(request, form, reader, institution, config.databases)

    def tell(count: int) -> None:
        if told is not None:
            told(count, read_bytes())

    with RecordFinder(config.data_dir) as finder:
        stage(staging, lines, finder, institution, tell)
