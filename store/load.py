"""Loading files of records: any size, any encoding, one bad record never stops it."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import os
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self, TextIO, cast

from protocol.iso2709 import DecodedRecord, RawRecord, RefusedRecord, split
from protocol.marc_json import read_marc_json
from protocol.marcxml_reader import read_marcxml
from protocol.record import MarcFamily
from store.bulk import (
    CHUNK_RECORDS,
    OFFLINE_LIMITS,
    RUN_CHUNK_RECORDS,
    RUN_LIMITS,
    Analysed,
    BatchLimits,
    BulkWriter,
    Source,
    Stored,
    Target,
    analyse,
    analyse_apart,
    analyse_into_run,
)
from store.load_journal import Command, FileMark, LoadJournal, Progress
from store.page_filling import scratch_file
from store.parallel import Workers
from store.runs import RunFolder, sweep
from store.sqlite import StoreError, go_through_all
from store.writer import CatalogueWriter, now_us

_CHUNK_BYTES_MAX = 4 << 20
_RUN_CHUNK_BYTES_MAX = 8 << 20
# A smaller load writes less by going into the index at once, and so does one into an
# index that is very much larger: of that, runs would have every page rewritten.
RUNS_BYTES_MIN = 32 << 20
RUNS_CATALOGUE_FACTOR = 16  # how many times the files' octets the catalogue may have
# A smaller load is over before another process has started.
_PARALLEL_BYTES_MIN = 2 << 20
_HEAD_BYTES = 1024

_MERGE_PART = 0.3  # of the time that the rest takes, about

OnProgress = Callable[[int, int, int], None]
"""Called with records read, and octets read and to read, as the files lie on disk.

Where runs are to be merged, octets are added that stand for it.
"""


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """What a load did. `warnings` counts accepted records with something mended."""

    loaded: int
    replaced: int
    unchanged: int
    refused: int
    warnings: int
    holdings_added: int
    report: Path | None = None  # where the refused ones are listed


def load(
    writer: CatalogueWriter,
    paths: Sequence[Path],
    database: str,
    *,
    encoding: str = "auto",
    holdings: str | None = None,
    progress: OnProgress | None = None,
    report: Path | None = None,
    account: str = "",
    processes: int | None = None,
    limits: BatchLimits = OFFLINE_LIMITS,
    restart: bool = False,
    resumed: Callable[[Progress], None] | None = None,
    screen: Callable[[Analysed], None] | None = None,
    is_serving: Callable[[], bool] | None = None,
) -> LoadSummary:
    """Store every record of `paths` in `database`.

    Files are ISO 2709, MARCXML or MARC-in-JSON, also as .gz, .bz2, .xz or .zip; what they are
    is read from their content. A record replaces the one with its 003 and 001;
    equal octets are left alone. `holdings` is an institution that comes to hold
    each of them. `report` is a CSV file of refused records; it is made when
    there is one. `processes` analyse records, None: one a core, 0: this one does.

    A load that was broken off goes on where it stopped when the same is asked
    again, `resumed` is told where that is, and its summary and report are those
    of the whole; with `restart` it begins anew. `screen` may refuse records of
    each chunk before it is stored.

    `is_serving` says whether the catalogue is searched; None: it may be. While it is
    not, a large load leaves its postings in runs and merges them at the end.

    Raises:
        StoreError: unknown database, a file cannot be opened, or has changed
            since the load was broken off.
        UnknownEncoding: `encoding` names no set.
    """
    family = writer.rows.databases[writer.rows.database_id(database)].family
    target = Target(database, family, encoding)
    marks = tuple(FileMark.of(path) for path in paths)
    command = Command(database, encoding, holdings, marks)
    journal = LoadJournal.open(
        writer.connection, writer.path, command, report=report, restart=restart, at_us=now_us()
    )
    go_through_all(writer.connection)
    done = journal.progress
    if done.records and resumed is not None:
        resumed(done)
    begun = replace(done)
    report = Path(done.report) if done.report else None
    total_bytes = sum(mark.size_bytes for mark in marks)
    if processes is None and total_bytes < _PARALLEL_BYTES_MIN:
        processes = 0
    with ExitStack() as resources:
        refusals = resources.enter_context(_Report(report, done.report_bytes))
        workers = resources.enter_context(Workers(processes))
        runs: RunFolder | None = None
        merge_bytes = 0
        read = partial(analyse if processes == 0 else analyse_apart, target=target)
        chunk_max = _ChunkMax(CHUNK_RECORDS, _CHUNK_BYTES_MAX)
        if (
            is_serving is not None
            and not is_serving()
            and screen is None  # it searches what has been stored
            and _is_worth_runs(writer.path, total_bytes)
        ):
            runs = resources.enter_context(RunFolder(writer.path))
            read = partial(
                analyse_into_run,
                target=target, folder=runs.path, register_ids=writer.register_ids,
            )  # fmt: skip
            chunk_max = _ChunkMax(RUN_CHUNK_RECORDS, _RUN_CHUNK_BYTES_MAX)
            limits = RUN_LIMITS
            merge_bytes = int(_MERGE_PART * total_bytes)

        def note(stored: Stored) -> None:
            done.loaded = begun.loaded + stored.loaded
            done.replaced = begun.replaced + stored.replaced
            done.unchanged = begun.unchanged + stored.unchanged
            done.holdings_added = begun.holdings_added + stored.holdings_added
            done.report_bytes = refusals.flush()
            journal.write(now_us())

        bulk = BulkWriter(
            writer, database, institution=holdings, account=account, limits=limits, runs=runs,
            is_serving=is_serving or (lambda: True), on_write=note,
        )  # fmt: skip
        done_bytes = 0
        for number, path in enumerate(paths):
            if number >= begun.file:
                skipped = begun.sources if number == begun.file else 0
                done.file, done.sources = number, skipped
                with RecordFile(path) as file:
                    sources = islice(file.sources(family), skipped, None)
                    read_bytes = deque[int]()  # of the file, with each chunk under way
                    chunks = _noting(_chunks(sources, chunk_max), file, read_bytes)
                    for analysed in workers.map(read, chunks):
                        if screen is not None:
                            screen(analysed)
                        bulk.make_room(analysed)  # before what is noted speaks of it
                        refusals.write(path, analysed.refused)
                        _count(done, analysed)
                        bulk.add(analysed)
                        here_bytes = read_bytes.popleft()
                        if progress is not None:
                            here_bytes += done_bytes
                            progress(done.records, here_bytes, total_bytes + merge_bytes)
            done_bytes += marks[number].size_bytes
            if progress is not None:
                progress(done.records, done_bytes, total_bytes + merge_bytes)

        def merged(slices_done: int, slices: int) -> None:
            if progress is not None:
                merged_bytes = merge_bytes * slices_done // slices
                progress(done.records, done_bytes + merged_bytes, total_bytes + merge_bytes)

        bulk.flush()
        if runs is not None:
            resources.enter_context(scratch_file(writer.connection, runs.path))
        with writer.transaction():
            writer.merge_runs(workers.map, merged)
            journal.end()
    sweep(writer.connection, writer.path)
    return LoadSummary(
        loaded=done.loaded,
        replaced=done.replaced,
        unchanged=done.unchanged,
        refused=done.refused,
        warnings=done.warned,
        holdings_added=done.holdings_added,
        report=report if done.refused else None,
    )


def _count(done: Progress, analysed: Analysed) -> None:
    """A chunk more has been read: every record of a file is either accepted or refused."""
    count = len(analysed.records) + len(analysed.refused)
    done.sources += count
    done.records += count
    done.refused += len(analysed.refused)
    done.warned += analysed.warned


class RecordFile:
    """A file of records on disk, read through whatever it is packed in."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError: the file cannot be opened."""
        self._open = ExitStack()
        try:
            self._on_disk = self._open.enter_context(path.open("rb"))
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    @property
    def read_bytes(self) -> int:
        """Octets of the file on disk that have been read."""
        return self._on_disk.tell()

    def sources(self, family: MarcFamily) -> Iterator[Source]:
        """Its records. What is damaged behind them ends as a refused record."""
        for stream in unpacked(self._on_disk, self._open):
            try:
                yield from _records(stream, family)
            except (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
                yield RefusedRecord(0, "", f"the file ends early: {error}")


def unpacked(stream: BinaryIO, open_files: ExitStack) -> Iterator[BinaryIO]:
    """What a stream holds: itself, what it was compressed from, or the members of a zip."""
    magic = stream.read(6)
    stream.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        yield cast(BinaryIO, open_files.enter_context(gzip.GzipFile(fileobj=stream)))
    elif magic.startswith(b"BZh"):
        yield cast(BinaryIO, open_files.enter_context(bz2.BZ2File(stream)))
    elif magic == b"\xfd7zXZ\0":
        unpacked = lzma.LZMAFile(stream)  # noqa: SIM115 - the next line does
        yield cast(BinaryIO, open_files.enter_context(unpacked))
    elif magic.startswith(b"PK\x03\x04"):
        archive = open_files.enter_context(zipfile.ZipFile(stream))
        for member in archive.infolist():
            if not member.is_dir():
                yield cast(BinaryIO, open_files.enter_context(archive.open(member)))
    else:
        yield stream


def _records(stream: BinaryIO, family: MarcFamily) -> Iterator[Source]:
    # Plain and unpacked files alike can be peeked into, whatever their type says.
    head = cast(io.BufferedReader, stream).peek(_HEAD_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"<"):
        return read_marcxml(stream, family)
    if head.startswith((b"{", b"[")):
        return read_marc_json(stream, family)
    return split(stream)


class _ChunkMax(NamedTuple):
    """A chunk is analysed when it has as many records, or octets."""

    records: int
    size_bytes: int


def _is_worth_runs(path: Path, total_bytes: int) -> bool:
    """Whether files of that size should go into the catalogue at `path` by way of runs."""
    catalogue_bytes = path.stat().st_size
    return total_bytes >= RUNS_BYTES_MIN and catalogue_bytes <= RUNS_CATALOGUE_FACTOR * total_bytes


def _chunks(sources: Iterator[Source], chunk_max: _ChunkMax) -> Iterator[list[Source]]:
    chunk: list[Source] = []
    size_bytes = 0
    for source in sources:
        chunk.append(source)
        if isinstance(source, RawRecord):
            size_bytes += len(source.raw)
        elif isinstance(source, DecodedRecord):
            size_bytes += len(source.marc)
        if len(chunk) >= chunk_max.records or size_bytes >= chunk_max.size_bytes:
            yield chunk
            chunk, size_bytes = [], 0
    if chunk:
        yield chunk


def _noting(
    chunks: Iterator[list[Source]], file: RecordFile, read_bytes: deque[int]
) -> Iterator[list[Source]]:
    """The chunks, noting how far the file was read for each: reading runs far ahead of storing."""
    for chunk in chunks:
        read_bytes.append(file.read_bytes)
        yield chunk


class _Report:
    """The CSV file of refused records.

    Its first `size_bytes` belong to what has been stored; a load that was broken
    off may have written more, of records that it comes to once more.
    """

    def __init__(self, path: Path | None, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, path: Path, refused: Sequence[RefusedRecord]) -> None:
        if self._path is None or not refused:
            return
        if self._file is None:
            self._file = self._open(self._path)
        write_row = csv.writer(self._file).writerow
        for record in refused:
            write_row((path, record.offset, record.control_number, record.reason))

    def _open(self, path: Path) -> TextIO:
        is_known = self._size_bytes > 0 and path.exists()
        file = path.open("r+" if is_known else "w", encoding="utf-8", newline="")
        if is_known:
            file.truncate(min(self._size_bytes, path.stat().st_size))
            file.seek(0, io.SEEK_END)
        else:
            csv.writer(file).writerow(("file", "offset", "control_number", "reason"))
        return file

    def flush(self) -> int:
        """Bring on disk what was written; returns the size of the report."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._size_bytes = os.fstat(self._file.fileno()).st_size
        return self._size_bytes
