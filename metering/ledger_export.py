"""Entries as CSV, JSON Lines or Parquet, for whoever checks the ledger with other tools.

Every form has the fields of `Entry` under their names, with the hashes in
hexadecimal and one more field `at`: the time in UTC as text (in Parquet a
timestamp).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Literal

import msgspec

from metering.entry import FIELDS, Entry
from metering.interface import MeteringError

Format = Literal["csv", "jsonl", "parquet"]
EXPORTED = (*FIELDS, "at")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROWS_PER_WRITE = 1_000
_ROWS_PER_GROUP = 50_000
_INTEGERS = {"seq", "quantity", "record_id", "at_us", "year", "day"}


def as_document(entry: Entry) -> dict[str, Any]:
    """An entry as JSON shows it."""
    document = dict(zip(FIELDS, msgspec.structs.astuple(entry), strict=True))
    document["kind"] = entry.kind.value
    document["meter"] = entry.meter.value
    document["previous"] = entry.previous.hex()
    document["hash"] = entry.hash.hex()
    document["at"] = at_text(entry.at_us)
    return document


def at_text(at_us: int) -> str:
    """2024-05-06T04:00:00.000000Z"""
    moment = _EPOCH + timedelta(microseconds=at_us)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def require(form: Format) -> None:
    """Raises MeteringError when a form needs a package that is not installed."""
    if form == "parquet":
        _pyarrow()


def write(entries: Iterable[Entry], form: Format, file: BinaryIO) -> Iterator[int]:
    """Write the entries, yielding now and then how many are written so far.

    Raises:
        MeteringError: the form needs a package that is not installed.
        OSError: the file cannot be written.
    """
    writers = {"csv": _write_csv, "jsonl": _write_json_lines, "parquet": _write_parquet}
    yield from writers[form](iter(entries), file)


def _write_csv(entries: Iterator[Entry], file: BinaryIO) -> Iterator[int]:
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # RFC 4180: CRLF, quotes where they are needed
    writer.writerow(EXPORTED)
    count = 0
    while some := list(islice(entries, _ROWS_PER_WRITE)):
        writer.writerows(tuple(as_document(entry).values()) for entry in some)
        file.write(text.getvalue().encode())
        text.seek(0)
        text.truncate()
        count += len(some)
        yield count
    file.write(text.getvalue().encode())


def _write_json_lines(entries: Iterator[Entry], file: BinaryIO) -> Iterator[int]:
    count = 0
    while some := list(islice(entries, _ROWS_PER_WRITE)):
        file.write(b"".join(msgspec.json.encode(as_document(entry)) + b"\n" for entry in some))
        count += len(some)
        yield count


def _write_parquet(entries: Iterator[Entry], file: BinaryIO) -> Iterator[int]:
    arrow = _pyarrow()
    from pyarrow import parquet  # noqa: PLC0415 - optional

    schema = arrow.schema(
        [(name, arrow.int64() if name in _INTEGERS else arrow.string()) for name in FIELDS]
        + [("at", arrow.timestamp("us", tz="UTC"))]
    )
    count = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while some := list(islice(entries, _ROWS_PER_GROUP)):
            documents = [as_document(entry) for entry in some]
            columns = {name: [each[name] for each in documents] for name in FIELDS}
            columns["at"] = [entry.at_us for entry in some]
            writer.write_table(arrow.table(columns, schema=schema))
            count += len(some)
            yield count


def _pyarrow() -> ModuleType:
    try:
        import pyarrow  # noqa: PLC0415 - 50 MB that few need
    except ImportError:
        raise MeteringError(
            "Parquet needs the package pyarrow: pip install 'lianmu[parquet]'"
        ) from None
    return pyarrow  # type: ignore[no-any-return, unused-ignore]


def write_file(entries: Iterable[Entry], form: Format, path: Path) -> Iterator[int]:
    """As `write`, to a file that appears under its name only when it is whole.

    Raises:
        OSError: it cannot be written; an earlier file of the name stays as it was.
    """
    half_made = path.with_name(f".{path.name}.part")
    try:
        with half_made.open("wb") as file:
            yield from write(entries, form, file)
        half_made.replace(path)
    except BaseException:
        half_made.unlink(missing_ok=True)
        raise
