"""Rows that go through the scratch file lie in fewer pages, and are the same."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from store.batch import Statements
from store.page_filling import SCRATCH_NAME, PageFilling, scratch_file
from store.postings import encode_numbers
from store.run_file import POSITION, POSTING
from store.sqlite import open_writer

ONE = encode_numbers(b"\1\0\0\0")
RECORDS = [(register, f"{term:012}", 1, None, ONE) for register in (1, 2) for term in range(9000)]
PLACES = [(register, f"{term:012}", 0, ONE) for register in (1, 2) for term in range(9000)]


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    return open_writer(tmp_path / "catalogue.sqlite", durable=False)


def pages(connection: sqlite3.Connection) -> int:
    row = connection.execute("PRAGMA page_count").fetchone()
    return int(row[0])


def test_rows_that_are_copied_over_fill_their_pages(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    by_hand = open_writer(tmp_path / "by_hand.sqlite", durable=False)
    sql = Statements()
    by_hand.execute("BEGIN")
    by_hand.executemany(sql.insert_records, RECORDS)
    by_hand.executemany(sql.insert_positions, PLACES)
    by_hand.execute("COMMIT")
    with scratch_file(connection, tmp_path):
        assert PageFilling.is_possible(connection)
        connection.execute("BEGIN")
        filling = PageFilling(connection)
        filling.add(POSTING, RECORDS)
        filling.add(POSITION, PLACES)
        filling.finish()
        connection.execute("COMMIT")
        assert not PageFilling.is_possible(connection)  # the index is not empty any more
    assert not (tmp_path / SCRATCH_NAME).exists()
    assert not PageFilling.is_possible(connection)
    assert connection.execute("SELECT * FROM posting").fetchall() == RECORDS
    assert connection.execute("SELECT * FROM position").fetchall() == PLACES
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert pages(connection) < 0.93 * pages(by_hand)
    for each in (connection, by_hand):
        each.close()


def test_without_a_scratch_file_it_is_not_possible(connection: sqlite3.Connection) -> None:
    assert not PageFilling.is_possible(connection)
    connection.close()


def test_what_is_rolled_back_leaves_an_empty_index(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    (tmp_path / SCRATCH_NAME).write_bytes(b"left by a crash")
    with scratch_file(connection, tmp_path):
        connection.execute("BEGIN")
        filling = PageFilling(connection)
        filling.add(POSTING, RECORDS)
        filling.finish()
        connection.execute("ROLLBACK")
        assert PageFilling.is_possible(connection)
    assert connection.execute("SELECT count(*) FROM posting").fetchone() == (0,)
    connection.close()
