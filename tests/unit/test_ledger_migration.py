"""A ledger that an earlier program wrote is brought up to date and stays what it was."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from metering.entry import Draft, Kind
from metering.ledger import EntryConflict, Ledger, Outcome, Totals
from metering.ledger_listing import Selection
from tests.unit.test_ledger import NOON, SECOND_US, delivery, tampered, void

SCHEMAS = Path(__file__).with_name("schemas")
SPOOL = "20240506T040000Z-3f2a9c1e"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of schema 1 with every kind of entry that it knew."""
    path = tmp_path / "ledger.sqlite"
    outsider = sqlite3.connect(path)
    outsider.executescript((SCHEMAS / "ledger-1.sql").read_text())
    outsider.execute("PRAGMA user_version = 1")
    outsider.close()
    return path


def test_old_entries_keep_their_hashes_and_their_sums(old: Path) -> None:
    outsider = sqlite3.connect(old)
    before = outsider.execute("SELECT seq, id, previous, hash FROM entry ORDER BY seq").fetchall()
    outsider.close()
    with contextlib.closing(Ledger(old)) as ledger:
        after = [(entry.seq, entry.id, entry.previous, entry.hash) for entry in ledger.entries()]
        assert after == before
        assert len(after) == 9
        found = ledger.verify()
        assert (found.ok, found.entries) == (True, 9)
        assert ledger.totals(2024) == {
            "": Totals(),
            "PKU": Totals(downloads=0, repeats=1, voided=1),
            "THU": Totals(downloads=1),
        }
        ledger.rebuild_rollup()
        assert ledger.verify().ok


def test_new_entries_follow_the_old_ones(old: Path) -> None:
    with contextlib.closing(Ledger(old)) as ledger:
        outcomes = ledger.append(
            [
                delivery("new", NOON + 20 * SECOND_US),  # repeats one of the old file
                Draft(id="u", kind=Kind.UPLOAD, at_us=NOON, institution="PKU", item="upload.x"),
                void(f"{SPOOL}:4:void", f"{SPOOL}:4"),
                void(f"{SPOOL}:3:void", f"{SPOOL}:3"),  # is there
            ]
        )
        assert outcomes == [Outcome.CREATED] * 3 + [Outcome.EXISTS]
        assert ledger.verify().entries == 12
        assert ledger.totals(2024)["PKU"] == Totals(repeats=2, voided=1, uploads={"upload.x": 1})
        assert ledger.totals(2024)["THU"] == Totals(voided=1)
        with ledger.reading() as snapshot:
            assert snapshot.positions() == {f"spool:{SPOOL}": (1, 420)}


def test_an_old_entry_that_was_changed_is_named_after_the_migration(old: Path) -> None:
    with contextlib.closing(Ledger(old)):
        pass
    tampered(old, "UPDATE entry SET record_id = 9 WHERE seq = 4")
    with contextlib.closing(Ledger(old)) as ledger:
        assert ledger.verify().first_bad == f"{SPOOL}:4"


def test_an_old_entry_stays_final_after_the_migration(old: Path) -> None:
    with contextlib.closing(Ledger(old)):
        pass
    outsider = sqlite3.connect(old)
    with pytest.raises(sqlite3.IntegrityError, match="never updated"):
        outsider.execute("UPDATE entry SET item = 'upload.ancient.full'")
    outsider.close()


def test_a_migrated_file_has_the_tables_of_a_new_one(old: Path, tmp_path: Path) -> None:
    shapes = []
    for path in (old, tmp_path / "new.sqlite"):
        with contextlib.closing(Ledger(path)):
            pass
        outsider = sqlite3.connect(path)
        names = [
            row[0]
            for row in outsider.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        columns = {
            name: {row[1:] for row in outsider.execute(f"PRAGMA table_info({name})")}
            for name in names
        }
        others = {
            row[0]: " ".join(row[1].split())
            for row in outsider.execute(
                "SELECT name, sql FROM sqlite_master WHERE type <> 'table' AND sql <> ''"
            )
        }
        outsider.close()
        # The default is what fills the old rows; nothing is inserted without an item.
        columns["entry"] = {
            (name, kind, required, None, key) for name, kind, required, _, key in columns["entry"]
        }
        shapes.append((columns, others))
    assert shapes[0] == shapes[1]


def test_a_spool_that_was_folded_before_is_not_folded_again(old: Path) -> None:
    """Its deliveries are rows; nothing may put them into a page as well."""
    with contextlib.closing(Ledger(old)) as ledger:
        again = [delivery(f"{SPOOL}:{number}") for number in range(4, 40)]
        with pytest.raises(EntryConflict), ledger.writing() as transaction:
            transaction.append_new(again)


def test_a_ledger_of_schema_2_has_its_pages_and_rows_still(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    outsider = sqlite3.connect(path)
    outsider.executescript((SCHEMAS / "ledger-2.sql").read_text())
    outsider.execute("PRAGMA user_version = 2")
    outsider.close()
    with contextlib.closing(Ledger(path)) as ledger:
        assert ledger.verify().entries == 24
        assert ledger.totals(2024)["PKU"] == Totals(downloads=19, voided=1, holdings=1)
        repeated = [delivery(f"{SPOOL}:{n}", NOON + n, record_id=n) for n in range(20)]
        assert ledger.append(repeated) == [Outcome.EXISTS] * 20
        assert ledger.append([delivery(f"{SPOOL}:30", NOON, record_id=30)]) == [Outcome.CREATED]
        assert ledger.verify().ok
    outsider = sqlite3.connect(path)
    (index,) = outsider.execute(
        "SELECT count(*) FROM sqlite_master WHERE name = 'range_by_end'"
    ).fetchone()
    outsider.close()
    assert index == 1


def test_a_ledger_of_schema_3_has_its_entries_by_day(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    outsider = sqlite3.connect(path)
    outsider.executescript((SCHEMAS / "ledger-3.sql").read_text())
    outsider.execute("PRAGMA user_version = 3")
    outsider.close()
    with contextlib.closing(Ledger(path)) as ledger:
        assert ledger.verify().entries == 24
        of_day = Selection(institution="PKU", day=20240506)
        listed = list(ledger.entries(selection=of_day))
        assert listed == list(ledger.entries("PKU", 2024))
        assert len(listed) > 20
    outsider = sqlite3.connect(path)
    (index,) = outsider.execute(
        "SELECT count(*) FROM sqlite_master WHERE name = 'entry_of_day'"
    ).fetchone()
    outsider.close()
    assert index == 1
