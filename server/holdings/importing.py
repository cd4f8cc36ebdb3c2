"""Files of holdings on disk: imported so that a broken-off import goes on, and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from server.config import Config
from server.holdings.batch import (
    BatchRefused,
    OnProgress,
    Plan,
    carry_out,
    dry_run,
    finish,
    foreseen,
    forget_empty,
)
from server.holdings.change import BatchRequest, Mode, Reason, Summary
from server.holdings.desk import SCRATCH, scratch_path, stage_stream
from store.holdings_journal import ImportCommand, ImportJournal, ImportProgress
from store.holdings_staging import Staging
from store.holdings_writer import Applied, Effect, record_name
from store.load import unpacked
from store.load_journal import FileMark
from store.sqlite import FILE_NAME, StoreError, open_reader
from store.writer import CatalogueWriter, now_us

Confirm = Callable[[Summary], bool]
"""Asked what `replace-all` would do before it does; False: leave everything as it is."""


def import_file(
    config: Config,
    request: BatchRequest,
    path: Path,
    writer: CatalogueWriter,
    *,
    records_max: int,
    report: Path | None = None,
    restart: bool = False,
    progress: OnProgress | None = None,
    resumed: Callable[[ImportProgress], None] | None = None,
    confirm: Confirm | None = None,
) -> Summary | None:
    """Carry out a file, also packed as .gz, .bz2, .xz or .zip; None: it was not confirmed.

    The same import that was broken off goes on where it stopped, and its summary and
    report are those of the whole; with `restart` it begins anew. `records_max` are
    changed in one transaction.

    Raises:
        BatchRefused: it cannot be carried out as a whole; nothing has changed.
        StoreError: the file cannot be read, has changed since the import was broken
            off, or the catalogue cannot be written.
    """
    institution = request.institution or request.principal.institution
    form = request.format.value if request.format is not None else ""
    command = ImportCommand(
        institution, request.mode.value, form, request.database, request.encoding,
        FileMark.of(path),
    )  # fmt: skip
    journal = ImportJournal.open(
        writer.connection, writer.path, command, restart=restart, at_us=now_us()
    )
    scratch = config.data_dir / SCRATCH / f"import-{command.key}.sqlite"
    goes_on = journal.progress.submission_id != 0
    if goes_on and resumed is not None:
        resumed(journal.progress)
    staging = Staging.finished(scratch) if goes_on else None
    summary = Summary(institution=institution, mode=request.mode.value, dry_run=False)
    try:
        if staging is None:
            staging = Staging(scratch)
            _stage(config, request, path, staging, institution, progress)
        plan = Plan(staging, institution, request.mode, request.database)
        if confirm is not None and not goes_on and not confirm(_foreseen(config, plan)):
            journal.end()
            staging.discard()
            return None
        carry_out(
            plan, writer, request, summary, journal=journal, records_max=records_max,
            progress=progress,
        )  # fmt: skip
    except BatchRefused:
        journal.end()
        if staging is not None:
            staging.discard()
        raise
    except BaseException:
        if staging is not None:
            staging.close()
        raise
    finish(plan, summary, report)
    journal.end()
    forget_empty(writer, journal.progress.submission_id)
    staging.discard()
    return summary


def rehearse(
    config: Config,
    request: BatchRequest,
    path: Path,
    *,
    report: Path | None = None,
    progress: OnProgress | None = None,
) -> Summary:
    """What `import_file` would do; raises as it does, and writes nothing but `report`."""
    with _staged(config, request, path, progress) as plan:
        summary = _foreseen(config, plan)
        finish(plan, summary, report)
        return summary


def _foreseen(config: Config, plan: Plan) -> Summary:
    summary = Summary(institution=plan.institution, mode=plan.mode.value, dry_run=True)
    with closing(open_reader(config.data_dir / FILE_NAME)) as connection:
        dry_run(plan, connection, summary)
    return summary


@dataclass(frozen=True, slots=True)
class Difference:
    """A record of which a file says something else than the catalogue.

    `line` is 0 where no line speaks of it. ADDED is only in the file, REMOVED only in
    the catalogue or to be taken away, CHANGED in both.
    """

    line: int
    record: str  # database and control number
    applied: Applied


def differences(
    config: Config,
    request: BatchRequest,
    path: Path,
    summary: Summary,
    *,
    report: Path | None = None,
    progress: OnProgress | None = None,
) -> Iterator[Difference]:
    """How a file differs from what the institution holds; counted in `summary`.

    Raises:
        BatchRefused: the file cannot be read.
        StoreError: the file or the catalogue cannot be read.
    """
    with (
        _staged(config, replace(request, mode=Mode.REPLACE_ALL), path, progress) as plan,
        closing(open_reader(config.data_dir / FILE_NAME)) as connection,
    ):
        for line, applied in foreseen(plan, connection):
            summary.records += 1
            match applied.effect:
                case Effect.ADDED:
                    summary.added += 1
                case Effect.CHANGED:
                    summary.changed += 1
                case Effect.REMOVED:
                    summary.removed += 1
                case _:
                    summary.unchanged += 1
                    continue
            yield Difference(line, record_name(connection, applied.record_id), applied)
        finish(plan, summary, report)


@contextmanager
def _staged(
    config: Config, request: BatchRequest, path: Path, progress: OnProgress | None
) -> Iterator[Plan]:
    institution = request.institution or request.principal.institution
    staging = Staging(scratch_path(config))
    try:
        _stage(config, request, path, staging, institution, progress)
        yield Plan(staging, institution, request.mode, request.database)
    finally:
        staging.discard()


def _stage(
    config: Config,
    request: BatchRequest,
    path: Path,
    staging: Staging,
    institution: str,
    progress: OnProgress | None,
) -> None:
    with ExitStack() as stack:
        on_disk, stream = _opened(path, stack)
        total_bytes = path.stat().st_size

        def told(lines: int, _: int) -> None:
            if progress is not None:
                progress("reading", lines, on_disk.tell(), total_bytes)

        try:
            stage_stream(config, request, stream, staging, institution, told)
        except (EOFError, OSError) as error:
            raise BatchRefused(Reason.MALFORMED, f"{path} ends early: {error}") from None


def _opened(path: Path, stack: ExitStack) -> tuple[BinaryIO, BinaryIO]:
    """A file on disk, and what it holds, unpacked."""
    try:
        on_disk = stack.enter_context(path.open("rb"))
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    streams = unpacked(on_disk, stack)
    stream = next(streams, None)
    if stream is None or next(streams, None) is not None:
        raise BatchRefused(Reason.MALFORMED, f"{path} must hold one file")
    return on_disk, stream
