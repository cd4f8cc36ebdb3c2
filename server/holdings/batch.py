"""Carrying out a file of holdings: read to its end first, then record by record.

What a file says is staged by record (`store.holdings_staging`), so that lines of one
record are added up, a dry run tells exactly what would happen, and `replace-all`
knows what is not in the file. Then thousands of records are changed in each
transaction, in the order of the catalogue.
"""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from itertools import islice
from pathlib import Path

from metering.csv_cell import cell
from protocol.record import Database
from server.holdings.change import BatchRequest, Format, Line, Mode, Reason, Summary
from server.holdings.reading import read_lines, sniff
from store.holdings_finder import Missed, NotFound, RecordFinder
from store.holdings_history import HoldingsHistory
from store.holdings_journal import ImportJournal, ImportProgress
from store.holdings_listing import held_count
from store.holdings_staging import RefusedLine, Said, Staging
from store.holdings_writer import (
    Applied,
    Connection,
    Effect,
    HoldingsWriter,
    Rule,
    Wanted,
    foresee,
    held_ids,
    record_name,
)
from store.writer import CatalogueWriter, now_us

REFUSALS_TOLD_MAX = 100
_LINES_PER_SNAPSHOT = 500
# Records in a transaction: offline, and beside a server, where others wait for it.
OFFLINE_RECORDS = 5_000
SERVING_RECORDS = 1_000
_PAUSE_S = 0.005  # between transactions beside a server: others get their turn

OnProgress = Callable[[str, int, int, int | None], None]
"""Called with "reading" or "writing", the records so far, and how much of what total.

Reading counts octets if the total is known; writing counts records.
"""

_RULES = {
    Mode.PUT: Rule.PUT, Mode.ADD: Rule.ADD, Mode.CHANGE: Rule.CHANGE, Mode.REMOVE: Rule.PUT,
    Mode.REPLACE_ALL: Rule.PUT,
}  # fmt: skip
_REASONS = {
    NotFound.UNNAMED: Reason.UNNAMED, NotFound.UNKNOWN: Reason.UNKNOWN,
    NotFound.AMBIGUOUS: Reason.AMBIGUOUS, NotFound.CONTRADICTION: Reason.CONTRADICTION,
    NotFound.DATABASE: Reason.DATABASE,
}  # fmt: skip
# What a line asked for that did not come to be.
REFUSED = {
    Effect.HELD: (Reason.HELD, "it is held already, and differs / 已有馆藏且内容不同"),
    Effect.NOT_HELD: (Reason.NOT_HELD, "nothing is held of it / 无此馆藏"),
    Effect.GONE: (Reason.UNKNOWN, "the record was deleted meanwhile / 记录已被删除"),
}


class BatchRefused(Exception):  # noqa: N818 - the name says what it is
    """A batch as a whole cannot be carried out; nothing has changed."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def reason_of(missed: Missed) -> Reason:
    """Why no record was found, in the words of requests."""
    return _REASONS[missed.reason]


def form_of(request: BatchRequest, head: bytes) -> Format:
    """The form that a request names, or that its first octets show."""
    return request.format or sniff(head)


def lines_of(
    request: BatchRequest, form: Format, stream: BufferedReader, institution: str,
    databases: Sequence[Database],
) -> Iterator[Line]:  # fmt: skip
    """The lines of a request's stream.

    Raises:
        BatchRefused: the stream cannot be read at all, or the database is unknown.
    """
    family = None
    if request.database:
        family = next((d.family for d in databases if d.name == request.database), None)
        if family is None:
            raise BatchRefused(Reason.DATABASE, f"there is no database {request.database}")
    try:
        yield from read_lines(
            stream, form, institution=institution, database=request.database, family=family,
            encoding=request.encoding, removes=request.mode is Mode.REMOVE,
        )  # fmt: skip
    except ValueError as error:
        raise BatchRefused(Reason.MALFORMED, str(error)) from None


def stage(
    staging: Staging,
    lines: Iterable[Line],
    finder: RecordFinder,
    institution: str,
    told: Callable[[int], None] | None = None,
) -> None:
    """Look up the record of every line, and write down what is said of it.

    `told` is called with the number of lines now and then.
    """
    count = 0
    lines = iter(lines)
    while some := list(islice(lines, _LINES_PER_SNAPSHOT)):
        finder.begin()
        try:
            for line in some:
                _stage_line(staging, line, finder, institution)
        finally:
            finder.release()
        count += len(some)
        if told is not None:
            told(count)
    staging.finish(count)


def _stage_line(staging: Staging, line: Line, finder: RecordFinder, institution: str) -> None:
    found = finder.find(line.name, institution)
    if line.problem:
        # What a line may mean that cannot be read is not to be taken away for its silence.
        if not line.name.is_empty:
            staging.keep((found,) if isinstance(found, int) else found.record_ids, line.number)
        reason = line.reason or Reason.MALFORMED
        staging.refuse(RefusedLine(line.number, str(line.name), reason.value, line.problem))
    elif isinstance(found, Missed):
        staging.keep(found.record_ids, line.number)
        told = RefusedLine(line.number, str(line.name), reason_of(found).value, str(found))
        staging.refuse(told)
    elif line.statement is None:
        staging.remove(found, line.number)
    else:
        staging.put(found, line.number, line.statement)


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch that is staged, and how it is to be carried out."""

    staging: Staging
    institution: str
    mode: Mode
    database: str

    @property
    def rule(self) -> Rule:
        return _RULES[self.mode]

    def said(self, after_id: int = 0) -> Iterator[Said]:
        return self.staging.said(after_id)

    def unsaid(self, connection: Connection) -> Sequence[int]:
        """What is held and not in the file, of a mode that takes it away."""
        if self.mode is not Mode.REPLACE_ALL:
            return ()
        held = held_ids(connection, self.institution, self.database or None)
        return self.staging.unsaid(held).to_array()

    def check(self) -> None:
        """Raises BatchRefused: nothing would take the place of everything."""
        if self.mode is Mode.REPLACE_ALL and not self.staging.said_count():
            raise BatchRefused(
                Reason.NOTHING,
                "no line names a record: all holdings would go / 文件中无有效记录，拒绝全部替换",
            )


def foreseen(plan: Plan, connection: Connection) -> Iterator[tuple[int, Applied]]:
    """What would become of each record, with its line, 0: it is in none."""
    said = plan.said()
    while some := list(islice(said, SERVING_RECORDS)):
        wanted = [Wanted(each.record_id, each.statement) for each in some]
        applied = foresee(connection, plan.institution, wanted, plan.rule)
        yield from zip((each.line for each in some), applied, strict=True)
    gone = (Wanted(record_id, None) for record_id in plan.unsaid(connection))
    for applied_one in foresee(connection, plan.institution, gone, Rule.PUT):
        yield 0, applied_one


def dry_run(plan: Plan, connection: Connection, summary: Summary) -> None:
    """Count in `summary` what carrying out would do."""
    plan.check()
    counts = Counter[Effect]()
    for line, applied in foreseen(plan, connection):
        counts[applied.effect] += 1
        _refuse(plan.staging, connection, line, applied)
    _count(summary, counts)
    summary.held_before = held_count(connection, plan.institution)
    summary.held_after = summary.held_before + summary.added - summary.removed
    summary.records = sum(counts.values())


def carry_out(
    plan: Plan,
    writer: CatalogueWriter,
    request: BatchRequest,
    summary: Summary,
    *,
    journal: ImportJournal | None = None,
    records_max: int = SERVING_RECORDS,
    progress: OnProgress | None = None,
) -> None:
    """Change what the plan says, transaction by transaction, and count it in `summary`.

    With a `journal` it goes on where that is, and who ends it calls `forget_empty`.

    Raises:
        BatchRefused: nothing would take the place of everything.
        StoreError: the catalogue cannot be written; whole transactions are there.
    """
    plan.check()
    done = journal.progress if journal is not None else ImportProgress()
    if not done.submission_id:
        # Counting takes a while where much is held, and nobody is to wait for it.
        done.held_before = held_count(writer.connection, plan.institution)
        with writer.transaction():
            done.submission_id = HoldingsHistory(writer.connection).begin(
                plan.institution, account=request.principal.account, protocol=request.protocol,
                address=request.address, source=request.source, at_us=now_us(),
            )  # fmt: skip
            if journal is not None:
                journal.write(now_us())
    total = plan.staging.said_count()

    def write(some: Sequence[tuple[int, Wanted]], rule: Rule) -> None:
        with writer.transaction():
            at_us = now_us()
            changing = HoldingsWriter(
                writer, plan.institution, done.submission_id, at_us=at_us,
                account=request.principal.account,
            )  # fmt: skip
            counts = Counter[Effect]()
            for (line, _), applied in zip(
                some, changing.apply([each for _, each in some], rule), strict=True
            ):
                counts[applied.effect] += 1
                _refuse(plan.staging, writer.connection, line, applied)
            _count(done, counts)
            done.records += len(some)
            done.after_id = some[-1][1].record_id
            if journal is not None:
                journal.write(at_us)
        if progress is not None:
            progress("writing", done.records, done.records, total)
        if records_max <= SERVING_RECORDS:
            time.sleep(_PAUSE_S)

    if not done.taking_away:
        said = plan.said(done.after_id)
        while some := list(islice(said, records_max)):
            write([(each.line, Wanted(each.record_id, each.statement)) for each in some], plan.rule)
        done.taking_away, done.after_id = True, 0
    gone = [each for each in plan.unsaid(writer.connection) if each > done.after_id]
    total += len(gone)
    for first in range(0, len(gone), records_max):
        some_ids = gone[first : first + records_max]
        write([(0, Wanted(record_id, None)) for record_id in some_ids], Rule.PUT)
    if done.added + done.changed + done.removed:
        summary.submission = done.submission_id
    if journal is None:
        forget_empty(writer, done.submission_id)
    summary.records = done.records
    for name in ("added", "changed", "unchanged", "removed", "held_before"):
        setattr(summary, name, getattr(done, name))
    summary.held_after = held_count(writer.connection, plan.institution)


def forget_empty(writer: CatalogueWriter, submission_id: int) -> None:
    """Leave no trace of a file that changed nothing, as of one that is sent again.

    Only after its journal has ended: what goes on writes under this number.
    """
    with writer.transaction():
        HoldingsHistory(writer.connection).forget_empty(submission_id)


def _count(counted: Summary | ImportProgress, counts: Counter[Effect]) -> None:
    counted.added += counts[Effect.ADDED]
    counted.changed += counts[Effect.CHANGED]
    counted.unchanged += counts[Effect.UNCHANGED] + counts[Effect.ABSENT]
    counted.removed += counts[Effect.REMOVED]


def _refuse(staging: Staging, connection: Connection, line: int, applied: Applied) -> None:
    """List a line whose record turned out to be otherwise."""
    if line and applied.effect in REFUSED:
        reason, text = REFUSED[applied.effect]
        name = record_name(connection, applied.record_id)
        staging.refuse(RefusedLine(line, name, reason.value, text))


def finish(plan: Plan, summary: Summary, report: Path | None) -> None:
    """Tell in `summary` what was refused, and list all of it in `report` if there is any."""
    summary.lines = plan.staging.lines
    summary.refused = plan.staging.refused_count()
    summary.refusals = list(islice(plan.staging.refusals(), REFUSALS_TOLD_MAX))
    if report is None or not summary.refused:
        return
    report.parent.mkdir(parents=True, exist_ok=True)
    with report.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("line", "record", "reason", "text"))
        for each in plan.staging.refusals():
            rows.writerow((each.line, cell(each.name), each.reason, cell(each.text)))
    summary.report = report
