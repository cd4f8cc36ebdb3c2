"""What `lianmu doctor` finds in a catalogue: nothing in a whole one, each damage in others."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroaring import BitMap

from protocol.record import Holding
from store import doctor, postings
from store.bulk import BatchLimits
from store.doctor import Finding, examine, examine_file
from store.load import load
from store.reindex import NEW_FILE_NAME, reindex
from store.sqlite import StoreError, open_reader
from tests.catalogue_records import Library, book, chinese_book, put

RECORDS = 60
EVERY = 1000  # a sample of all there are


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Merged records, some of them changed, deleted or held since."""
    library = Library(tmp_path)
    writer = library.writer
    for number in range(RECORDS):
        record_id = put(writer, book(f"n{number}", f"The red book {number}", author="Cao"))
        if number % 2:
            writer.put_holding(Holding("PKU", record_id))
    put(writer, chinese_book("c1", "红楼梦"), "cn_cat")
    put(writer, book("n3", "Changed before the merge"))
    library.merge()
    put(writer, book("n5", "Changed since"))
    writer.delete(8)
    writer.remove_holding("PKU", 10)
    writer.put_holding(Holding("THU", 1))
    yield library
    library.close()


def examined(library: Library, *, sample: int | None = EVERY, notes: bool = False) -> list[Finding]:
    connection = open_reader(library.writer.path)
    try:
        found = examine(connection, library.writer.path, sample=sample, seed=1)
    finally:
        connection.close()
    return [finding for finding in found if notes or finding.is_problem]


def texts(library: Library, *, sample: int | None = EVERY) -> str:
    return "\n".join(finding.text for finding in examined(library, sample=sample))


def register_id(library: Library, name: str) -> int:
    row = library.writer.connection.execute(
        "SELECT register_id FROM register WHERE name = ?", (name,)
    ).fetchone()
    return int(row[0])


def damage(library: Library, sql: str, *values: object) -> None:
    """Change something behind the back of the store."""
    connection = library.writer.connection
    connection.execute("PRAGMA foreign_keys = OFF")
    changed = connection.execute(sql, values).rowcount
    assert changed > 0, "nothing was damaged"


@pytest.mark.parametrize("sample", [EVERY, 7, 0, None])
def test_a_whole_catalogue_has_no_finding(library: Library, sample: int | None) -> None:
    assert examined(library, sample=sample) == []
    library.merge()
    assert examined(library, sample=sample) == []


def test_changed_records_are_noted(library: Library) -> None:
    notes = [finding for finding in examined(library, notes=True) if not finding.is_problem]
    assert [(note.part, note.text[:17]) for note in notes] == [("merge", "4 changed records")]


@pytest.mark.parametrize("name", ["title", "title/key", "title/sort", "author", "any"])
@pytest.mark.parametrize("sample", [EVERY, None])
def test_a_posting_that_is_gone_is_missed(library: Library, name: str, sample: int | None) -> None:
    register = register_id(library, name)
    library.writer.connection.execute("PRAGMA user_version")
    (term,) = library.writer.connection.execute(
        "SELECT max(term) FROM posting WHERE register_id = ?", (register,)
    ).fetchone()
    damage(library, "DELETE FROM posting WHERE register_id = ? AND term = ?", register, term)
    found = texts(library, sample=sample)
    assert f"{term!r}" in found or f"{term}" in found
    assert "lacks" in found or "missing" in found


@pytest.mark.parametrize("sample", [EVERY, None])
def test_one_record_too_few_or_too_many_in_a_posting_is_found(
    library: Library, sample: int | None
) -> None:
    register = register_id(library, "title")
    select = "SELECT records FROM posting WHERE register_id = ? AND term = 'red'"
    (blob,) = library.writer.connection.execute(select, (register,)).fetchone()
    update = "UPDATE posting SET records = ?, frequency = ? WHERE register_id = ? AND term = 'red'"
    few = postings.decode(blob) - BitMap([20])
    damage(library, update, postings.encode(few), len(few), register)
    found = texts(library, sample=sample)
    assert "'red'" in found
    assert ("lacks" if sample else "the frequency should be") in found
    many = postings.decode(blob) | BitMap([61])  # the Chinese one
    damage(library, update, postings.encode(many), len(many), register)
    assert "'red'" in texts(library, sample=sample)


def test_a_wrong_frequency_is_found_without_any_sample(library: Library) -> None:
    damage(
        library, "UPDATE posting SET frequency = frequency + 1 WHERE register_id = ?",
        register_id(library, "author"),
    )  # fmt: skip
    found = examined(library, sample=0)
    assert found
    assert all("records and has" in finding.text for finding in found)


@pytest.mark.parametrize("table", ["posting", "position"])
def test_a_record_that_is_not_there_is_found_without_any_sample(
    library: Library, table: str
) -> None:
    column = {"posting": "records", "position": "positions"}[table]
    register = register_id(library, "title")
    (blob,) = library.writer.connection.execute(
        f"SELECT {column} FROM {table} WHERE register_id = ? AND term = 'red'", (register,)
    ).fetchone()
    more = postings.encode(postings.decode(blob) | BitMap([5000]))
    damage(
        library, f"UPDATE {table} SET {column} = ? WHERE register_id = ? AND term = 'red'",
        more, register,
    )  # fmt: skip
    assert "record 5000, which the index should not hold" in texts(library, sample=0)


@pytest.mark.parametrize("table", ["posting", "position"])
@pytest.mark.parametrize("blob", [b"", b"\x07abc", b"\x00ab", b"\x01not a bitmap", "text", 7])
def test_a_blob_that_is_none_is_named(library: Library, table: str, blob: object) -> None:
    column = {"posting": "records", "position": "positions"}[table]
    damage(
        library, f"UPDATE {table} SET {column} = ? WHERE register_id = ? AND term = 'red'",
        blob, register_id(library, "title"),
    )  # fmt: skip
    assert "title 'red' cannot be read" in texts(library, sample=0)


def test_a_moved_or_missing_position_is_found(library: Library) -> None:
    register = register_id(library, "title")
    select = "SELECT positions FROM position WHERE register_id = ? AND term = 'red'"
    (blob,) = library.writer.connection.execute(select, (register,)).fetchone()
    places = postings.decode(blob)
    moved = (places - BitMap([places[0]])) | BitMap([places[0] + 9 * postings.POSITION_STEP])
    update = "UPDATE position SET positions = ? WHERE register_id = ? AND term = 'red'"
    damage(library, update, postings.encode(moved), register)
    assert "position title 'red' lacks record" in texts(library)
    assert "which do not bring it" in texts(library)
    damage(library, "DELETE FROM position WHERE register_id = ? AND term = 'red'", register)
    assert "position title 'red' lacks" in texts(library)


def test_a_database_with_other_records_than_the_index_says_is_found(library: Library) -> None:
    damage(
        library,
        "INSERT INTO record SELECT 900, database_id, agency, 'n900', 1, 0, 0, '', 0, marc"
        " FROM record WHERE record_id = 1",
    )
    assert "we_cat has 57 unchanged records, and 56 by the index" in texts(library, sample=0)


@pytest.mark.parametrize(
    ("sql", "finding"),
    [
        ("UPDATE delta SET entries = x''", "is not what the record brings"),
        ("UPDATE state SET merged_sequence = 1000000", "was merged and is still there"),
        ("UPDATE delta SET base_version = 7 WHERE base_version > 0", "holds version 7 of record"),
        ("UPDATE delta SET record_id = 4000 WHERE record_id = 1", "record 4000, which is not"),
        (
            "INSERT INTO merged SELECT generation + 5, x'00' FROM state",
            "the log of merges speaks of state",
        ),
        ("DELETE FROM record_version WHERE record_id = 4", "record 4 is in version 2, and 0"),
        ("UPDATE record SET version = 1 WHERE record_id = 4", "which is to come yet"),
        ("DELETE FROM holding WHERE record_id = 12", "PKU holds record 12; it does not"),
        ("DELETE FROM holding_event WHERE record_id = 12", "PKU holds record 12, and the ledger"),
        (
            "INSERT INTO holding_event (institution, record_id, change, at_us, account)"
            " VALUES ('PKU', 12, 1, 0, '')",
            "told 2 times that PKU holds record 12",
        ),
        ("DELETE FROM record WHERE record_id = 12", "speaks of a row of record that is not there"),
        ("UPDATE record SET control_number = 'other' WHERE record_id = 2", "is kept as"),
        ("UPDATE record SET marc = x'00' WHERE record_id = 2", "record 2 cannot be indexed"),
        ("UPDATE meta SET value = 'old' WHERE key = 'index'", "run `lianmu reindex`"),
    ],
)
def test_damaged_rows_are_found(library: Library, sql: str, finding: str) -> None:
    damage(library, sql)
    assert finding in texts(library)


@pytest.mark.parametrize("damaged", ["x'00'", "'text'"])
def test_damaged_records_do_not_stop_the_comparison_with_a_traceback(
    library: Library, damaged: str
) -> None:
    library.merge()
    damage(library, f"UPDATE record SET marc = {damaged} WHERE record_id IN (2, 30)")
    found = texts(library, sample=None).splitlines()
    assert [line.split(":")[0] for line in found] == [
        "record 2 cannot be indexed",
        "record 30 cannot be indexed",
        "the index was not compared with the records, since it cannot be made of them",
    ]


def test_a_damaged_record_is_named_when_the_index_cannot_be_rebuilt(library: Library) -> None:
    library.merge()
    damage(library, "UPDATE record SET marc = x'00' WHERE record_id = 30")
    with pytest.raises(StoreError, match="record 30 cannot be indexed"):
        reindex(library.writer, processes=0)


def test_a_damaged_file_is_a_finding_and_no_traceback(library: Library) -> None:
    library.merge()
    writer = library.writer
    writer.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (root,) = writer.connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'posting'"
    ).fetchone()
    (page_size,) = writer.connection.execute("PRAGMA page_size").fetchone()
    with writer.path.open("r+b") as file:
        file.seek((root - 1) * page_size)
        file.write(b"\xff" * page_size)
    found = examined(library)
    assert found
    assert "damaged" in found[0].text


def test_what_is_unfinished_is_noted_and_no_problem(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "more.mrc"
    file.write_bytes(b"".join(book(f"m{number}", "More") for number in range(50)))

    def break_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("store.load.CHUNK_RECORDS", 10)
    with pytest.raises(KeyboardInterrupt):
        load(
            library.writer, [file], "we_cat", processes=0, limits=BatchLimits(postings=1),
            progress=break_off,
        )  # fmt: skip
    monkeypatch.setattr("store.reindex._Rebuild._merge", break_off)
    from store.reindex import reindex

    with pytest.raises(KeyboardInterrupt):
        reindex(library.writer, processes=0)
    found = examined(library, notes=True)
    assert not any(finding.is_problem for finding in found)
    notes = {finding.part: finding.text for finding in found}
    assert f"a load of {file} into we_cat stands behind record 10 of file 1" in notes["load"]
    assert "run `lianmu reindex` again" in notes["reindex"]


def test_leftovers_of_a_rebuilding_are_found(library: Library) -> None:
    library.writer.connection.execute("CREATE TABLE posting_new (x)")
    assert "posting_new was left behind" in texts(library)
    library.writer.connection.execute("DROP TABLE posting_new")
    (library.directory / NEW_FILE_NAME).touch()
    [note] = [each for each in examined(library, notes=True) if each.part == "reindex"]
    assert not note.is_problem


def test_findings_are_bounded(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FINDINGS_MAX", 5)
    damage(library, "UPDATE posting SET frequency = frequency + 1")
    assert len(examined(library)) == 5


def test_other_files_are_looked_at_without_being_changed(tmp_path: Path) -> None:
    path = tmp_path / "members.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE member (code)")
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    before = path.read_bytes()
    assert list(examine_file(path, "members", 3)) == []
    assert [found.is_problem for found in examine_file(path, "members", 2)] == [True]
    assert [found.is_problem for found in examine_file(path, "members", 4)] == [False]
    assert path.read_bytes() == before
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    assert [found.is_problem for found in examine_file(path, "members", 3)] == [True]
