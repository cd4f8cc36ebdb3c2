"""Working off an ISBN job, in steps between which others take their turn.

1. Each number is resolved, and what became of it goes into the journal.
2. The records are written into `result.part`.
3. The moment of billing is stored, then an entry for each record goes into the ledger.
4. Only then does the file get the name under which it is handed out.

A process that is killed anywhere leaves a job that goes on where it was. From the moment
of billing on the file and its entries do not change any more, and the ids of the entries
are made of job and ISBN: however often that is repeated, a record is billed once.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from metering.batch import BatchDelivery, batch_draft
from metering.ledger import EntryConflict, Ledger
from metering.tariff import BATCH_DELIVERY, Tariff, tariff_at
from protocol.diagnostic import Diagnostic
from protocol.record import Database
from server.batch.choice import choose
from server.batch.files import FORMATS, report_document, report_rows, write_record
from server.batch.isbns import Line
from server.batch.job import Job, Made, Phase, Resolved, State, Status, count
from server.errors import BatchError
from store.durable import sync
from store.interface import Catalogue

STEP_NUMBERS = 25  # resolved, or records written, before others take their turn
ENTRIES_PER_TRANSACTION = 1_000

Progress = Callable[[State], None]


class StoppedError(Exception):
    """The process is about to end; the job goes on some other time."""


class Runner:
    """Works off jobs with one catalogue and one ledger."""

    def __init__(
        self,
        catalogue: Catalogue,
        ledger: Callable[[], Ledger],
        tariffs: Sequence[Tariff],
        clock: Callable[[], int],
    ) -> None:
        """`ledger` opens the ledger, which is closed behind each job; it blocks."""
        self._catalogue = catalogue
        self._ledger = ledger
        self._tariffs = tariffs
        self._clock = clock
        self.stopping = False  # set it to have a job broken off at its next step

    async def run(self, job: Job, progress: Progress | None = None) -> State:
        """Bring the job to its end; one that has ended is left alone.

        Raises:
            BusyError: another process works on it.
            StoppedError: `stopping` was set; the job can be run again.
            MeteringError: the ledger takes no entries now; nothing is handed out, and
                the job can be run again.
            OSError: the disk refuses; likewise.
        """
        with job.locked():
            state = job.state()
            if state.phase.ended:
                return state
            made = job.made()
            tell = progress or (lambda _: None)
            try:
                if state.phase is not Phase.BILLING:
                    lines = await asyncio.to_thread(job.lines)
                    resolved = await self._resolve(job, made, lines, state, tell)
                    if resolved is None or not await self._write(job, made, resolved, state):
                        return self._cancelled(job, state)
                    state.phase, state.billed_at_us = Phase.BILLING, self._clock()
                    await asyncio.to_thread(job.save, state, durable=True)
                tell(state)
                await asyncio.to_thread(self._bill, job, made, state)
                await asyncio.to_thread(self._publish, job, made, state)
            except EntryConflict:
                # The folder of a job of this id was lost, and the ledger has its entries.
                state.phase, state.reason = Phase.FAILED, "its id is in the ledger already"
                state.finished_us = self._clock()
                await asyncio.to_thread(job.save, state, durable=True)
            except BatchError as error:
                state.phase, state.reason = Phase.FAILED, str(error)
                state.finished_us = self._clock()
                await asyncio.to_thread(job.save, state, durable=True)
            tell(state)
            return state

    async def _resolve(
        self, job: Job, made: Made, lines: Sequence[Line], state: State, tell: Progress
    ) -> dict[int, Resolved] | None:
        """What became of each number; None: the job is cancelled."""
        resolved = await asyncio.to_thread(job.journal)
        databases = self._databases(made)
        isbns: dict[str, int] = {}  # place in the list, by number
        records: dict[int, int] = {}
        for place, each in resolved.items():
            _remember(lines[place], place, each, isbns, records)
        state.phase, state.resolved, state.counts = (
            Phase.RUNNING, len(resolved), count(resolved.values())
        )  # fmt: skip
        todo = [place for place in range(len(lines)) if place not in resolved]
        for begin in range(0, len(todo), STEP_NUMBERS):
            if self._is_over(job):
                return None
            step = []
            for place in todo[begin : begin + STEP_NUMBERS]:
                each = await self._resolve_one(lines, place, databases, isbns, records)
                _remember(lines[place], place, each, isbns, records)
                resolved[place] = each
                step.append(each)
            await asyncio.to_thread(job.note, step)
            state.resolved = len(resolved)
            for each in step:
                state.counts[each.status.value] = state.counts.get(each.status.value, 0) + 1
            await asyncio.to_thread(job.save, state)
            tell(state)
        return resolved

    async def _resolve_one(
        self,
        lines: Sequence[Line],
        place: int,
        databases: Sequence[Database],
        isbns: dict[str, int],
        records: dict[int, int],
    ) -> Resolved:
        line = lines[place]
        if not line.isbn:
            return Resolved(place, Status.INVALID, note=line.reason)
        if line.isbn in isbns:
            first = lines[isbns[line.isbn]].number
            return Resolved(place, Status.DUPLICATE, note=f"the same number as in line {first}")
        choice = await choose(self._catalogue, databases, line.isbn)
        if isinstance(choice, Diagnostic):
            raise BatchError(f"ISBN {line.isbn}: {choice.condition.name} {choice.addinfo}")
        if not choice.candidates:
            return Resolved(place, Status.NOT_FOUND)
        best = choice.candidates[0]
        status = Status.SEVERAL if len(choice.candidates) > 1 else Status.FOUND
        note = ""
        if best.record_id in records:
            status = Status.DUPLICATE
            note = f"the same record as in line {lines[records[best.record_id]].number}"
        return Resolved(
            place, status, best.record_id, best.control_number, best.database, note,
            choice.candidates,
        )  # fmt: skip

    def _databases(self, made: Made) -> Sequence[Database]:
        databases = self._catalogue.resolve(made.order.databases)
        if isinstance(databases, Diagnostic):
            raise BatchError(f"there is no database {databases.addinfo}")
        return databases

    async def _write(
        self, job: Job, made: Made, resolved: dict[int, Resolved], state: State
    ) -> bool:
        """Write the file anew; False: the job is cancelled."""
        order = made.order
        file_format = FORMATS[order.format]
        places = sorted(place for place, each in resolved.items() if each.status.delivered)
        refused: list[Resolved] = []
        with job.part.open("wb") as file:
            file.write(file_format.head)
            for begin in range(0, len(places), STEP_NUMBERS):
                if self._is_over(job):
                    return False
                step = [resolved[place] for place in places[begin : begin + STEP_NUMBERS]]
                found = await self._catalogue.fetch([each.record_id for each in step])
                chunks = []
                for asked, record in zip(step, found, strict=True):
                    written: bytes | str = "deleted meanwhile"
                    if record is not None and not record.deleted:
                        written = write_record(
                            record, order.format, order.encoding, references=order.references
                        )
                    if isinstance(written, str):
                        refused.append(
                            msgspec.structs.replace(asked, status=Status.REFUSED, note=written)
                        )
                        resolved[asked.place] = refused[-1]
                    else:
                        chunks.append(written)
                await asyncio.to_thread(file.write, b"".join(chunks))
            file.write(file_format.tail)
            await asyncio.to_thread(_sync, file.fileno(), file.flush)
            state.size_bytes = file.tell()
        if refused:
            await asyncio.to_thread(job.note, refused)
            state.counts = count(resolved.values())
        return not self._is_over(job)

    def _is_over(self, job: Job) -> bool:
        """Whether the job is cancelled."""
        if self.stopping:
            raise StoppedError(job.id)
        return job.cancelled

    def _bill(self, job: Job, made: Made, state: State) -> None:
        """Make the entries of the whole file durable."""
        order = made.order
        lines = job.lines()
        drafts = [
            batch_draft(
                job.id, order.institution, order.account, state.billed_at_us,
                BatchDelivery(
                    lines[place].isbn, each.record_id, each.database, each.control_number
                ),
            )
            for place, each in sorted(job.journal().items())
            if each.status.delivered
        ]  # fmt: skip
        if not drafts:
            return
        ledger = self._ledger()
        try:
            for begin in range(0, len(drafts), ENTRIES_PER_TRANSACTION):
                ledger.append(drafts[begin : begin + ENTRIES_PER_TRANSACTION])
        finally:
            ledger.close()

    def _publish(self, job: Job, made: Made, state: State) -> None:
        if job.part.exists():  # else this was done, and only the last state is missing
            job.part.rename(job.result)
        state.finished_us = self._clock()
        state.phase = Phase.DONE
        price_fen = tariff_at(state.billed_at_us, self._tariffs).price_fen(BATCH_DELIVERY)
        rows = report_rows(job.lines(), job.journal())
        document = report_document(made, state, rows, price_fen)
        job.report.write_bytes(msgspec.json.encode(document))
        sync(job.folder)
        job.save(state, durable=True)

    def _cancelled(self, job: Job, state: State) -> State:
        job.part.unlink(missing_ok=True)
        state.phase, state.finished_us = Phase.CANCELLED, self._clock()
        job.save(state, durable=True)
        return state


def _remember(
    line: Line, place: int, each: Resolved, isbns: dict[str, int], records: dict[int, int]
) -> None:
    if line.isbn:
        isbns.setdefault(line.isbn, place)
    if each.status.delivered:
        records.setdefault(each.record_id, place)


def _sync(descriptor: int, flush: Callable[[], object]) -> None:
    flush()
    os.fsync(descriptor)


def hand_over(result: Path, target: Path) -> None:
    """Copy the result to where the member wants it, whole or not at all.

    Behind a link its target is replaced; a device or a pipe is written to, and stays.

    Raises:
        OSError: it cannot be written there; the job keeps it.
    """
    target = target.resolve()
    if is_special(target):
        with result.open("rb") as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)
        return
    half_made = half_made_beside(target)
    try:
        with result.open("rb") as source, half_made.open("wb") as file:
            shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())
        half_made.rename(target)
    finally:
        half_made.unlink(missing_ok=True)


def is_special(path: Path) -> bool:
    """A device, a pipe or a socket: nothing that a file could take the place of."""
    return path.exists() and not path.is_file()


def half_made_beside(target: Path) -> Path:
    """Where a file is made that is to take the place of `target`."""
    return target.with_name(f".{target.name}.part")
