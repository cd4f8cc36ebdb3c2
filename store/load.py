"""Loading files of records: any size, any encoding, one bad record never stops it."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Self, cast

from protocol.iso2709 import DecodedRecord, RawRecord, RefusedRecord, split
from protocol.marc_json import read_marc_json
from protocol.marcxml_reader import read_marcxml
from protocol.record import MarcFamily
from store.bulk import CHUNK_RECORDS, Analysed, BulkWriter, Source, Target, analyse, analyse_apart
from store.parallel import Workers
from store.sqlite import StoreError
from store.writer import CatalogueWriter

_CHUNK_BYTES_MAX = 4 << 20
# A smaller load is over before another process has started.
_PARALLEL_BYTES_MIN = 2 << 20
_HEAD_BYTES = 1024

Progress = Callable[[int, int, int], None]
"""Called with records read, and octets read and to read, as the files lie on disk."""


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """What a load did. `warnings` counts accepted records with something mended."""

    loaded: int
    replaced: int
    unchanged: int
    refused: int
    warnings: int
    holdings_added: int


def load(
    writer: CatalogueWriter,
    paths: Sequence[Path],
    database: str,
    *,
    encoding: str = "auto",
    holdings: str | None = None,
    progress: Progress | None = None,
    report: Path | None = None,
    account: str = "",
    processes: int | None = None,
) -> LoadSummary:
    """Store every record of `paths` in `database`.

    Files are ISO 2709, MARCXML or MARC-in-JSON, also as .gz, .bz2, .xz or .zip; what they are
    is read from their content. A record replaces the one with its 003 and 001;
    equal octets are left alone, so a load that was broken off is simply run
    again. `holdings` is an institution that comes to hold each of them.
    `report` is a CSV file of refused records; it is made when there is one.
    `processes` analyse records, None: one a core, 0: this one does.

    Raises:
        StoreError: unknown database, or a file cannot be opened.
        UnknownEncoding: `encoding` names no set.
    """
    family = writer.rows.databases[writer.rows.database_id(database)].family
    target = Target(database, family, encoding)
    bulk = BulkWriter(writer, database, institution=holdings, account=account)
    total_bytes = sum(_size_bytes(path) for path in paths)
    if processes is None and total_bytes < _PARALLEL_BYTES_MIN:
        processes = 0
    tally = _Tally(progress, total_bytes)
    read = partial(analyse if processes == 0 else analyse_apart, target=target)
    with _Report(report) as refusals, Workers(processes) as workers:
        for path in paths:
            with RecordFile(path) as file:
                for analysed in workers.map(read, _chunks(file.sources(family))):
                    bulk.add(analysed)
                    refusals.write(path, analysed.refused)
                    tally.count(analysed, file.read_bytes)
            tally.end_file(_size_bytes(path))
        bulk.flush()
    stored = bulk.stored
    return LoadSummary(
        loaded=stored.loaded,
        replaced=stored.replaced,
        unchanged=stored.unchanged,
        refused=tally.refused,
        warnings=tally.warned,
        holdings_added=stored.holdings_added,
    )


@dataclass(slots=True)
class _Tally:
    progress: Progress | None
    total_bytes: int
    records: int = 0
    refused: int = 0
    warned: int = 0
    _done_bytes: int = 0  # of files read to their end

    def count(self, analysed: Analysed, read_bytes: int) -> None:
        self.refused += len(analysed.refused)
        self.warned += analysed.warned
        self.records += len(analysed.records) + len(analysed.refused)
        if self.progress is not None:
            self.progress(self.records, self._done_bytes + read_bytes, self.total_bytes)

    def end_file(self, size_bytes: int) -> None:
        self._done_bytes += size_bytes
        if self.progress is not None:
            self.progress(self.records, self._done_bytes, self.total_bytes)


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None


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
        for stream in _unpacked(self._on_disk, self._open):
            try:
                yield from _records(stream, family)
            except (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
                yield RefusedRecord(0, "", f"the file ends early: {error}")


def _unpacked(stream: BinaryIO, open_files: ExitStack) -> Iterator[BinaryIO]:
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


def _chunks(sources: Iterator[Source]) -> Iterator[list[Source]]:
    chunk: list[Source] = []
    size_bytes = 0
    for source in sources:
        chunk.append(source)
        if isinstance(source, RawRecord):
            size_bytes += len(source.raw)
        elif isinstance(source, DecodedRecord):
            size_bytes += len(source.marc)
        if len(chunk) >= CHUNK_RECORDS or size_bytes >= _CHUNK_BYTES_MAX:
            yield chunk
            chunk, size_bytes = [], 0
    if chunk:
        yield chunk


class _Report:
    """The CSV file of refused records."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._open = ExitStack()
        self._write_row: Callable[[Sequence[object]], object] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def write(self, path: Path, refused: Sequence[RefusedRecord]) -> None:
        if self._path is None or not refused:
            return
        if self._write_row is None:
            file = self._open.enter_context(self._path.open("w", encoding="utf-8", newline=""))
            self._write_row = csv.writer(file).writerow
            self._write_row(("file", "offset", "control_number", "reason"))
        for record in refused:
            self._write_row((path, record.offset, record.control_number, record.reason))
