"""Exported entries read back by other programs are the entries."""

from __future__ import annotations

import builtins
import contextlib
import csv
import hashlib
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from metering import ledger_export
from metering.entry import FIELDS, GENESIS_HASH, Entry
from metering.interface import MeteringError
from metering.ledger import Ledger
from metering.ledger_export import EXPORTED, at_text, require, write, write_file
from tests.unit.test_ledger import NOON, void
from tests.unit.test_ledger_pages import append_new, many
from tests.unit.test_ledger_uploads import upload

ODD = '题名, "quoted"\r\nand a line; =SUM(A1)'
NUMBERS = {"seq", "quantity", "record_id", "at_us", "year", "day"}


@pytest.fixture
def entries(tmp_path: Path) -> Iterator[list[Entry]]:
    with contextlib.closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        append_new(ledger, many(1_100))
        ledger.append([upload("u"), void("v", many(1)[0].id), upload("odd", 9, ODD)])
        yield list(ledger.entries())


def text_of(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def exported(entries: list[Entry], form: Any) -> bytes:
    file = io.BytesIO()
    counts = list(write(entries, form, file))
    assert counts == sorted(counts)
    assert counts[-1] == len(entries)
    return file.getvalue()


def test_csv_holds_every_field_of_every_entry(entries: list[Entry]) -> None:
    text = exported(entries, "csv").decode()
    heading, *rows = csv.reader(io.StringIO(text, newline=""))
    assert tuple(heading) == EXPORTED
    assert rows == [
        [text_of(getattr(entry, name)) for name in FIELDS] + [at_text(entry.at_us)]
        for entry in entries
    ]


def test_who_has_the_json_lines_can_prove_the_chain(entries: list[Entry]) -> None:
    """With the documented recipe alone, and none of our code."""
    previous = GENESIS_HASH
    lines = exported(entries, "jsonl").decode().splitlines()
    for line in lines:
        document = json.loads(line)
        own_hash = document.pop("hash")
        assert document.pop("previous") == previous.hex()
        document.pop("at")
        if not document["item"]:
            del document["item"]
        text = json.dumps(list(document.values()), ensure_ascii=False, separators=(",", ":"))
        previous = hashlib.sha256(previous + text.encode()).digest()
        assert previous.hex() == own_hash
    assert len(lines) == len(entries)


def test_parquet_has_types_and_every_row(
    entries: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_export, "_ROWS_PER_GROUP", 400)
    for _ in write_file(entries, "parquet", tmp_path / "entries.parquet"):
        pass
    file = parquet.ParquetFile(tmp_path / "entries.parquet")
    assert file.num_row_groups == 3
    table = file.read()
    assert tuple(table.column_names) == EXPORTED
    for row, entry in zip(table.to_pylist(), entries, strict=True):
        assert row.pop("at") == datetime.fromtimestamp(0, UTC) + (
            datetime.fromisoformat(at_text(entry.at_us)) - datetime.fromtimestamp(0, UTC)
        )
        assert row == {
            name: getattr(entry, name) if name in NUMBERS else text_of(getattr(entry, name))
            for name in FIELDS
        }


@pytest.mark.parametrize(("form", "size"), [("csv", 1), ("jsonl", 0)])
def test_nothing_is_a_file_too(form: Any, size: int) -> None:
    file = io.BytesIO()
    assert list(write([], form, file)) == []
    assert len(file.getvalue().splitlines()) == size


def test_no_entry_in_parquet_is_a_table_without_rows() -> None:
    file = io.BytesIO()
    assert list(write([], "parquet", file)) == []
    assert parquet.read_table(file).num_rows == 0


def test_a_missing_package_is_said_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    require("csv")
    with pytest.raises(MeteringError, match=r"pip install 'lianmu\[parquet\]'"):
        require("parquet")


def test_a_file_that_cannot_be_finished_leaves_the_earlier_one(tmp_path: Path) -> None:
    out = tmp_path / "entries.csv"
    out.write_text("earlier")

    def failing() -> Iterator[Entry]:
        raise MeteringError("the ledger: disk I/O error")
        yield

    with pytest.raises(MeteringError):
        list(write_file(failing(), "csv", out))
    assert [path.name for path in tmp_path.iterdir()] == ["entries.csv"]
    assert out.read_text() == "earlier"


def test_times_are_utc_with_microseconds() -> None:
    assert at_text(NOON + 7) == "2024-05-06T04:00:00.000007Z"
    assert at_text(0) == "1970-01-01T00:00:00.000000Z"
