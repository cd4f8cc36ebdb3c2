"""Writing: identity, versions, history, holdings and their events, transactions, merging."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.iso2709 import Field, MalformedRecord, build, control_number, parse
from protocol.record import Holding, StoredRecord
from store import sqlite
from store.reindex import check, reindex
from store.sqlite import StoreError, open_reader
from store.writer import CatalogueWriter, UnknownRecord, VersionConflict
from tests.catalogue_records import DATABASES, LEADER, book, chinese_book, put

TITLE = Field.of("245", "00", [("a", "Physics")])


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[CatalogueWriter]:
    writer = CatalogueWriter(tmp_path, DATABASES, durable=False, merge_after_records=None)
    yield writer
    writer.close()


def stored(writer: CatalogueWriter, record_id: int) -> StoredRecord:
    record = writer.rows.get(record_id)
    assert record is not None
    return record


def events(writer: CatalogueWriter) -> list[tuple[str, int, int, int, str]]:
    return writer.connection.execute(
        "SELECT institution, record_id, change, at_us, account FROM holding_event ORDER BY sequence"
    ).fetchall()


def consistent(writer: CatalogueWriter) -> bool:
    connection = open_reader(writer.path)
    try:
        return check(connection) == []
    finally:
        connection.close()


def test_the_same_number_in_a_database_is_the_same_record(writer: CatalogueWriter) -> None:
    first = put(writer, book("n1", "Physics"))
    assert put(writer, book("n1", "Physics, again")) == first
    assert put(writer, book("n2", "Physics")) != first
    assert put(writer, chinese_book("n1", "物理"), "cn_cat") != first
    assert stored(writer, first).version == 2


def test_the_same_octets_change_nothing(writer: CatalogueWriter) -> None:
    record_id = put(writer, book("n1", "Physics"))
    put(writer, book("n1", "Physics"))
    assert stored(writer, record_id).version == 1


def test_each_version_stays_in_the_history(writer: CatalogueWriter) -> None:
    for number, title in enumerate(("one", "two", "three"), 1):
        writer.put("we_cat", book("n1", title), account=f"user{number}", at_us=number)
    history = writer.connection.execute(
        "SELECT version, account, modified_us, marc FROM record_version ORDER BY version"
    ).fetchall()
    assert history == [(1, "user1", 1, book("n1", "one")), (2, "user2", 2, book("n1", "two"))]
    newest = stored(writer, 1)
    assert (newest.version, newest.modified_us, newest.marc) == (3, 3, book("n1", "three"))


def test_an_update_of_a_stale_version_is_refused(writer: CatalogueWriter) -> None:
    record_id = put(writer, book("n1", "one"))
    put(writer, book("n1", "two"))
    stale = writer.put("we_cat", book("n1", "other two"), if_version=1)
    assert stale == VersionConflict(record_id, 2)
    assert writer.put("we_cat", book("n1", "new"), if_version=0) == VersionConflict(record_id, 2)
    assert writer.put("we_cat", book("n9", "new"), if_version=1) == VersionConflict(0, 0)
    assert writer.delete(record_id, if_version=1) == VersionConflict(record_id, 2)
    three = writer.put("we_cat", book("n1", "three"), if_version=2)
    assert isinstance(three, StoredRecord)
    assert three.version == 3


def test_a_deleted_record_can_come_back_under_its_id(writer: CatalogueWriter) -> None:
    record_id = put(writer, book("n1", "Physics"))
    writer.delete(record_id)
    assert stored(writer, record_id).deleted
    with pytest.raises(UnknownRecord):
        writer.delete(record_id)
    assert put(writer, book("n1", "Physics")) == record_id
    assert not stored(writer, record_id).deleted
    assert stored(writer, record_id).version == 3
    assert consistent(writer)


def test_a_record_without_a_number_is_given_one(writer: CatalogueWriter) -> None:
    marc = book("", "Numberless")
    record_id = put(writer, marc)
    record = stored(writer, record_id)
    assert record.control_number == control_number(record.marc) == f"lm{record_id:09d}"
    assert parse(record.marc).fields[1:] == parse(marc).fields
    assert put(writer, marc) == record_id
    assert stored(writer, record_id).version == 1
    assert put(writer, book("", "Another")) != record_id


def test_a_number_that_we_would_give_may_be_taken(writer: CatalogueWriter) -> None:
    put(writer, book("lm000000002", "Theirs"))
    record_id = put(writer, book("", "Ours"))
    assert stored(writer, record_id).control_number == "lm000000002x"


def test_holdings_come_and_go_with_one_event_each(writer: CatalogueWriter) -> None:
    record_id = put(writer, book("n1", "Physics"))
    held = Holding("PKU", record_id, "O4", 1)
    assert writer.put_holding(held, account="lib", at_us=5)
    assert not writer.put_holding(Holding("PKU", record_id, "O4", 2), at_us=6)
    assert writer.put_holding(Holding("THU", record_id), at_us=7)
    assert writer.remove_holding("PKU", record_id, account="lib", at_us=8)
    assert not writer.remove_holding("PKU", record_id)
    assert events(writer) == [
        ("PKU", record_id, 1, 5, "lib"),
        ("THU", record_id, 1, 7, ""),
        ("PKU", record_id, -1, 8, "lib"),
    ]
    assert consistent(writer)
    while writer.merge():
        pass
    assert consistent(writer)
    with pytest.raises(UnknownRecord):
        writer.put_holding(Holding("PKU", 999))


def test_a_failed_transaction_leaves_no_trace(writer: CatalogueWriter) -> None:
    put(writer, book("n1", "Physics"))
    with pytest.raises(MalformedRecord), writer.transaction():
        put(writer, book("n2", "Chemistry"))
        writer.put("we_cat", b"no record")
    assert writer.connection.execute("SELECT count(*) FROM record").fetchone() == (1,)
    assert put(writer, book("n3", "Botany")) == 2
    assert consistent(writer)


def test_changes_merge_in_steps_and_by_themselves(tmp_path: Path) -> None:
    writer = CatalogueWriter(tmp_path, DATABASES, merge_after_records=5)
    for number in range(30):
        put(writer, book(f"n{number % 12}", f"Title {number}"))
        assert writer.connection.execute("SELECT count(*) FROM delta").fetchone()[0] <= 5
    assert consistent(writer)
    assert writer.merge(records_max=1) + 1 >= 0
    while writer.merge(records_max=1):
        assert consistent(writer)
    assert consistent(writer)
    writer.close()


def test_check_finds_what_is_wrong(writer: CatalogueWriter) -> None:
    for number in range(5):
        put(writer, book(f"n{number}", f"Title {number}", author="Cao"))
    put(writer, book("n9", "Last"))
    connection = writer.connection
    connection.execute("UPDATE delta SET entries = x'90' WHERE record_id = 6")
    assert "delta of record 6" in check(connection)[0]
    put(writer, book("n9", "Really last"))
    while writer.merge():
        pass
    assert check(connection) == []
    connection.execute("DELETE FROM posting WHERE term = 'last'")
    connection.execute("UPDATE posting SET frequency = 4 WHERE term = 'cao'")
    findings = check(connection)
    assert any("'last'" in finding and "is missing" in finding for finding in findings)
    assert any("the frequency should be 5" in finding for finding in findings)
    assert reindex(writer, processes=0) == 6
    assert check(connection) == []


def test_an_index_of_another_analysis_must_be_rebuilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = CatalogueWriter(tmp_path, DATABASES)
    put(writer, book("n1", "Physics"))
    writer.connection.execute("UPDATE meta SET value = 'older' WHERE key = 'index'")
    writer.close()
    writer = CatalogueWriter(tmp_path, DATABASES)
    with pytest.raises(StoreError, match="reindex"):
        writer.put("we_cat", book("n2", "Chemistry"))
    assert check(writer.connection) == ["the index was built by another version of the analysis"]
    reindex(writer, processes=0)
    put(writer, book("n2", "Chemistry"))
    assert consistent(writer)
    writer.close()


def test_unknown_databases_and_newer_schemas_are_refused(
    writer: CatalogueWriter, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="no database 'nowhere'"):
        writer.put("nowhere", book("n1", "Physics"))
    writer.connection.execute(f"PRAGMA user_version = {sqlite.SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match="newer"):
        CatalogueWriter(tmp_path)
    with pytest.raises(StoreError, match="schema"):
        open_reader(writer.path)


def test_the_file_is_ready_for_readers_beside_a_writer(writer: CatalogueWriter) -> None:
    journal_mode = writer.connection.execute("PRAGMA journal_mode").fetchone()[0]
    assert journal_mode == "wal"
    reader = open_reader(writer.path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM record")
    reader.close()


def test_a_full_disk_undoes_the_transaction_and_is_named(writer: CatalogueWriter) -> None:
    first = put(writer, book("n1", "Physics"))
    pages = writer.connection.execute("PRAGMA page_count").fetchone()[0]
    writer.connection.execute(f"PRAGMA max_page_count = {pages}")
    full = pytest.raises(StoreError, match=r"catalogue\.sqlite: database or disk is full")
    with full, writer.transaction():
        for number in range(2, 500):
            put(writer, book(f"n{number}", f"Volume {number} of a long series"))
    writer.connection.execute("PRAGMA max_page_count = 1000000")
    assert put(writer, book("n2", "Chemistry")) != first
    assert consistent(writer)


class FailingOnce:
    """A connection whose next COMMIT finds no room on the disk."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.failed = False

    def execute(self, statement: str) -> sqlite3.Cursor:
        if statement == "COMMIT" and not self.failed:
            self.failed = True
            raise sqlite3.OperationalError("database or disk is full")
        return self.connection.execute(statement)


def test_a_commit_that_fails_leaves_no_transaction_open(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None)
    connection.execute("CREATE TABLE t (x)")
    failing = FailingOnce(connection)
    path = tmp_path / "x.sqlite"
    full = pytest.raises(StoreError, match=r"x\.sqlite: database or disk is full")
    with full, sqlite.transaction(failing, path):  # type: ignore[arg-type]
        connection.execute("INSERT INTO t VALUES (1)")
    with sqlite.transaction(failing, path):  # type: ignore[arg-type]
        connection.execute("INSERT INTO t VALUES (2)")
    assert connection.execute("SELECT x FROM t").fetchall() == [(2,)]
    connection.close()


def test_a_record_without_a_word_is_merged(writer: CatalogueWriter) -> None:
    record_id = put(writer, book("n1", "!"))
    writer.merge()
    writer.delete(record_id)
    assert writer.merge() == 0


def test_a_number_is_found_under_every_agency_and_in_no_other_database(
    writer: CatalogueWriter,
) -> None:
    with_agency = {
        agency: put(writer, build(LEADER, [Field("001", "n1"), Field("003", agency), TITLE]))
        for agency in ("zz", "aa", "mm")
    }
    bare = put(writer, book("n1", "Physics"))
    put(writer, book("n2", "Physics"))
    put(writer, chinese_book("n1", "物理"), "cn_cat")
    writer.delete(with_agency["mm"])
    database_id = writer.rows.database_id("we_cat")
    found = writer.rows.by_number(database_id, "n1")
    assert [each.record_id for each in found] == sorted([*with_agency.values(), bare])
    assert [each.record_id for each in found if each.deleted] == [with_agency["mm"]]
    assert writer.rows.by_number(database_id, "n3") == []
    assert writer.rows.by_number(99, "n1") == []


def test_finding_a_number_costs_the_same_in_a_large_database(writer: CatalogueWriter) -> None:
    database_id = writer.rows.database_id("we_cat")

    def steps() -> int:
        """What SQLite does, in units of ten instructions of its machine."""
        count = 0

        def counted() -> int:
            nonlocal count
            count += 1
            return 0

        writer.connection.set_progress_handler(counted, 10)
        assert len(writer.rows.by_number(database_id, "n1")) == 1
        writer.connection.set_progress_handler(None, 0)
        return count

    put(writer, book("n1", "Physics"))
    few = steps()
    with writer.transaction():
        for number in range(2, 500):
            put(writer, book(f"n{number}", "Physics"))
    assert steps() <= few + 5
