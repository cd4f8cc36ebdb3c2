"""Deliveries in pages are the same ledger as deliveries in rows."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from metering import ledger as ledger_module
from metering import ledger_lookup
from metering.counting import RepeatWindow
from metering.entry import GENESIS_HASH, Draft, Kind, Meter, entry_hash
from metering.interface import MeteringError
from metering.ledger import EntryConflict, Ledger, Outcome
from metering.ledger_listing import Selection
from metering.ledger_page import Page, PageDamaged, first_bad, pack, unpack
from tests.unit.test_ledger import NOON, SECOND_US, at, delivery, recounted, sums, tampered, void

SPOOL = "20240506T040000Z-3f2a9c1e"
NEW_YEAR = at("2023-12-31T16:00:00")


def spooled(number: int, at_us: int, **more: object) -> Draft:
    return msgspec.structs.replace(delivery(f"{SPOOL}:{number}", at_us), **more)


def many(
    count: int = 1_300, *, seed: int = 1, start_us: int = NEW_YEAR - 200 * SECOND_US
) -> list[Draft]:
    """Deliveries of three members around New Year, some of them void again."""
    chance = random.Random(seed)
    drafts: list[Draft] = []
    at_us = start_us
    for number in range(1, count + 1):
        at_us += chance.choice([0, 1, SECOND_US])
        institution = chance.choice(["PKU", "PKU", "THU", "FDU"])
        drafts.append(
            spooled(number, at_us, institution=institution, record_id=chance.randrange(60))
        )
        if chance.random() < 0.01:
            drafts.append(void(f"{SPOOL}:{number}:void", f"{SPOOL}:{number}", at_us))
    return drafts


def append_new(ledger: Ledger, drafts: list[Draft]) -> list[Outcome]:
    with ledger.writing() as transaction:
        return transaction.append_new(drafts)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(path)) as ledger:
        yield ledger


def pages(path: Path) -> int:
    outsider = sqlite3.connect(path)
    (count,) = outsider.execute("SELECT count(*) FROM page").fetchone()
    outsider.close()
    return int(count)


@pytest.mark.parametrize("window", [30, 0, "day", "year"])
def test_rows_and_pages_make_the_same_entries_and_hashes(
    tmp_path: Path, path: Path, window: RepeatWindow
) -> None:
    drafts = many()
    in_rows = Ledger(tmp_path / "rows.sqlite", repeat_window=window)
    in_pages = Ledger(path, repeat_window=window)
    for begin in range(0, len(drafts), 700):
        in_rows.append(drafts[begin : begin + 700])
        append_new(in_pages, drafts[begin : begin + 700])
    assert pages(path) > 5
    assert pages(tmp_path / "rows.sqlite") == 0
    assert list(in_pages.entries()) == list(in_rows.entries())
    assert in_pages.head() == in_rows.head()
    for year in (2023, 2024):
        assert in_pages.totals(year) == in_rows.totals(year)
        for member in ("PKU", "FDU", "THU"):
            lines = list(in_pages.entries(member, year))
            assert lines == list(in_rows.entries(member, year))
            assert lines == [e for e in in_rows.entries(member) if e.year == year]
            middle = lines[len(lines) // 2].seq
            assert list(in_pages.entries(member, year, after=middle)) == [
                line for line in lines if line.seq > middle
            ]
    assert in_pages.verify() == in_rows.verify()
    assert in_pages.verify().ok
    in_rows.close()
    in_pages.close()


@pytest.mark.parametrize(
    "selection",
    [
        Selection(record_id=7),
        Selection(institution="THU", record_id=7),
        Selection(kind=Kind.VOID),
        Selection(kind=Kind.DELIVERY, meter=Meter.REPEAT),
        Selection(from_us=NEW_YEAR - 50 * SECOND_US, until_us=NEW_YEAR),
        Selection(institution="PKU", from_us=NEW_YEAR, after=200, up_to=1_200),
        Selection(item="upload.chinese.full"),
        *(Selection(meter=meter) for meter in Meter if meter not in (Meter.BATCH, Meter.COVER)),
        Selection(institution="PKU", meter=Meter.HOLDING),
    ],
)
def test_a_selection_is_what_a_look_at_every_entry_finds(
    ledger: Ledger, selection: Selection
) -> None:
    append_new(ledger, many())
    ledger.append([
        Draft(id="u", kind=Kind.UPLOAD, at_us=NOON, item="upload.chinese.full"),
        Draft(id="h", kind=Kind.HOLDING_ADDED, at_us=NOON, institution="PKU", record_id=7),
        Draft(id="a", kind=Kind.AUDIT, at_us=NOON),
    ])  # fmt: skip
    wanted = [
        entry
        for entry in ledger.entries()
        if all(
            getattr(selection, name) in (None, getattr(entry, name))
            for name in ("institution", "record_id", "kind", "meter", "item")
        )
        and (selection.from_us or 0) <= entry.at_us < (selection.until_us or 1 << 62)
        and selection.after < entry.seq <= (selection.up_to or 1 << 62)
    ]
    assert wanted
    assert list(ledger.entries(selection=selection)) == wanted
    backwards = msgspec.structs.replace(selection, newest_first=True)
    assert list(ledger.entries(selection=backwards)) == wanted[::-1]


def test_a_year_is_listed_backwards_over_many_pages(path: Path, ledger: Ledger) -> None:
    drafts = many(9_000, start_us=NEW_YEAR - 1_500 * SECOND_US)
    for begin in range(0, len(drafts), 700):
        append_new(ledger, drafts[begin : begin + 700])
    assert pages(path) > 8
    for selection in (
        Selection(),
        Selection(institution="PKU"),
        Selection(institution="PKU", year=2024),
        Selection(institution="PKU", year=2023, up_to=2_000),
    ):
        backwards = msgspec.structs.replace(selection, newest_first=True)
        forwards = list(ledger.entries(selection=selection))
        assert len(forwards) > 500
        assert list(ledger.entries(selection=backwards)) == forwards[::-1]


def test_an_entry_in_a_page_is_found_by_its_id(ledger: Ledger) -> None:
    append_new(ledger, many())
    for entry in (*list(ledger.entries())[::97], next(ledger.entries())):
        assert ledger.entry(entry.id) == entry
    assert ledger.entry(f"{SPOOL}:99999") is None
    assert ledger.entry("never") is None


def test_what_is_in_a_page_exists_already(ledger: Ledger) -> None:
    drafts = many()
    append_new(ledger, drafts)
    assert set(ledger.append(drafts)) == {Outcome.EXISTS}
    other = msgspec.structs.replace(drafts[5], record_id=4_711)
    with pytest.raises(EntryConflict, match=f"{SPOOL}:6 exists"):
        ledger.append([other])
    for again in (drafts[:20], drafts[3:5], drafts[-600:]):
        with pytest.raises(EntryConflict):
            append_new(ledger, again)
    assert ledger.head()[0] == len(drafts)


def test_an_id_twice_in_one_page_is_refused(ledger: Ledger) -> None:
    twice = [spooled(number % 10, NOON, record_id=number) for number in range(20)]
    with pytest.raises(EntryConflict):
        append_new(ledger, twice)
    assert ledger.head()[0] == 0


def test_rows_that_exist_are_not_taken_into_a_page(ledger: Ledger) -> None:
    drafts = many(40)
    ledger.append(drafts[:3])
    with pytest.raises(EntryConflict):
        append_new(ledger, drafts)
    assert ledger.append(drafts).count(Outcome.EXISTS) == 3


def test_a_delivery_in_a_page_is_voided_once(ledger: Ledger) -> None:
    append_new(ledger, [spooled(n, NOON, record_id=n) for n in range(50)])
    assert ledger.append([void("v", f"{SPOOL}:7"), void("w", f"{SPOOL}:7")]) == [
        Outcome.CREATED,
        Outcome.MOOT,
    ]
    assert ledger.append([void("x", f"{SPOOL}:7"), void("y", f"{SPOOL}:77")]) == [Outcome.MOOT] * 2
    assert (sums(ledger).downloads, sums(ledger).voided) == (49, 1)
    again = ledger.append([spooled(60, NOON + SECOND_US, record_id=n) for n in (7,)])
    assert again == [Outcome.CREATED]
    assert sums(ledger).downloads == 50


@pytest.mark.parametrize("window", ["day", "year", 100_000])
def test_a_longer_window_finds_what_was_stored_under_a_short_one(
    path: Path, window: RepeatWindow
) -> None:
    with contextlib.closing(Ledger(path)) as ledger:
        append_new(ledger, [spooled(n, NOON + n, record_id=n) for n in range(50)])
        ledger.append([void("v", f"{SPOOL}:7", NOON + SECOND_US)])
    later = [spooled(100 + n, NOON + 3_600 * SECOND_US, record_id=n) for n in range(60)]
    with contextlib.closing(Ledger(path, repeat_window=window)) as ledger:
        with ledger.reading() as snapshot:
            previewed = [counted.meter for counted in snapshot.preview(later)]
        append_new(ledger, later)
        assert [entry.meter for entry in ledger.entries()][-60:] == previewed
        assert (sums(ledger).repeats, sums(ledger).downloads) == (49, 60)
        append_new(
            ledger, [spooled(200 + n, NOON + 7_200 * SECOND_US, record_id=n) for n in range(20)]
        )
        assert sums(ledger).repeats == 69
        ledger.rebuild_rollup()
        ledger.append([spooled(300, NOON + 7_300 * SECOND_US, record_id=59)])
        assert sums(ledger).repeats == 70
        assert ledger.verify().ok


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("UPDATE page SET contents = zeroblob(9)", "never updated"),
        ("UPDATE page SET hash = zeroblob(32)", "never updated"),
        ("DELETE FROM page", "never deleted"),
        ("INSERT OR REPLACE INTO page SELECT * FROM page WHERE first_seq = 1", "never replaced"),
        ("INSERT INTO page SELECT 5, 1, oldest_us, newest_us, previous, hash, contents FROM page"
         " WHERE first_seq = 1", "never replaced"),
        ("INSERT INTO entry SELECT 5, 'x', kind, meter, quantity, institution, account, database,"
         " record_id, control_number, at_us, year, day, protocol, session, refers_to, note, item,"
         " previous, hash FROM entry WHERE seq = 51", "never replaced"),
    ],
)  # fmt: skip
def test_the_database_itself_refuses_to_change_a_page(
    path: Path, ledger: Ledger, statement: str, refusal: str
) -> None:
    append_new(ledger, [spooled(n, NOON, record_id=n) for n in range(50)])
    ledger.append([delivery("row", record_id=99)])
    outsider = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match=refusal):
        outsider.execute(statement)
    outsider.close()
    assert ledger.verify().ok


def read_page(path: Path, first_seq: int) -> Page:
    outsider = sqlite3.connect(path)
    row = outsider.execute(
        f"SELECT {', '.join(Page._fields)} FROM page WHERE first_seq = ?", (first_seq,)
    ).fetchone()
    outsider.close()
    return Page(*row)


def write_page(path: Path, page: Page) -> None:
    tampered(path)
    outsider = sqlite3.connect(path)
    with outsider:
        outsider.execute("DELETE FROM page WHERE first_seq = ?", (page.first_seq,))
        outsider.execute(f"INSERT INTO page VALUES ({', '.join('?' * len(page))})", page)
    outsider.close()


def forged(page: Page, place: int, field: int, value: object, *, hide: bool = False) -> Page:
    """A page with one value changed; `hide` makes the check octets fit again."""
    rows, checks = unpack(page)
    rows[place] = (*rows[place][:field], value, *rows[place][field + 1 :])
    if not hide:
        fakes = [checks[4 * n : 4 * n + 4] + bytes(28) for n in range(len(rows))]
        fakes[-1] = page.hash
        return pack(rows, page.previous, fakes)
    again = []
    previous = page.previous
    for row in rows:
        previous = entry_hash(previous, row)
        again.append(previous)
    return pack(rows, page.previous, again)


@pytest.mark.parametrize("place", [0, 1, 250, 511])
@pytest.mark.parametrize(("field", "value"), [(1, "other:1"), (4, 0), (8, 4_711), (10, NOON)])
def test_verify_names_the_first_bad_entry_of_a_page(
    path: Path, ledger: Ledger, place: int, field: int, value: object
) -> None:
    append_new(ledger, [spooled(n, NOON + n, record_id=n) for n in range(1_200)])
    page = read_page(path, 513)
    assert first_bad(page) is None
    write_page(path, forged(page, place, field, value))
    found = ledger.verify()
    assert found.first_bad == (value if field == 1 else f"{SPOOL}:{512 + place}")
    assert found.entries == 512 + place
    assert f"entry {513 + place} is not what was hashed" in found.problem


def test_who_hashes_a_page_anew_breaks_the_chain_behind_it(path: Path, ledger: Ledger) -> None:
    append_new(ledger, [spooled(n, NOON + n, record_id=n) for n in range(1_200)])
    write_page(path, forged(read_page(path, 1), 7, 4, 0, hide=True))
    found = ledger.verify()
    assert (found.first_bad, found.entries) == (f"{SPOOL}:512", 512)
    assert "does not follow" in found.problem


def test_a_hash_beside_a_page_that_is_changed_is_noticed(path: Path, ledger: Ledger) -> None:
    append_new(ledger, [spooled(n, NOON + n, record_id=n) for n in range(100)])
    write_page(path, read_page(path, 1)._replace(hash=bytes(32)))
    found = ledger.verify()
    assert not found.ok
    assert "one of the entries 1 to 100" in found.problem


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda page: page._replace(contents=page.contents[:-3]), "the page of entry 1"),
        (lambda page: page._replace(contents=b"\x93\x01\x02\x03"), "the page of entry 1"),
        (lambda page: page._replace(contents=b""), "the page of entry 1"),
        (lambda page: page._replace(entries=99), "the page of entry 1"),
        (lambda page: page._replace(oldest_us=0), "states other times"),
    ],
)
def test_a_page_that_cannot_be_read_is_named(
    path: Path, ledger: Ledger, change: Callable[[Page], Page], problem: str
) -> None:
    append_new(ledger, [spooled(n, NOON + n, record_id=n) for n in range(100)])
    write_page(path, change(read_page(path, 1)))
    found = ledger.verify()
    assert problem in found.problem
    assert found.entries == 0
    if problem == "the page of entry 1":
        with pytest.raises(PageDamaged, match=problem):
            list(ledger.entries())


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM page WHERE first_seq = 513", "entry 513 is missing"),
        ("DELETE FROM page WHERE first_seq = 1", "entry 1 is missing"),
        ("DELETE FROM page_of_member WHERE institution = 'THU'", "the index of THU"),
        ("INSERT INTO page_of_member VALUES ('X', 2024, 1)", "the index of members has 1 "),
        ("DELETE FROM range_of_source", f"the index of {SPOOL}"),
        # A retry would look for its entry in the wrong page, and be taken for new.
        ("UPDATE range_of_source SET first_seq = 1 WHERE first_seq = 513", f"the index of {SPOOL}"),
        ("UPDATE rollup SET entries = entries + 1", "the roll-up of FDU, year 2023"),
    ],
)  # fmt: skip
def test_what_follows_from_pages_is_verified_and_made_anew(
    path: Path, ledger: Ledger, statement: str, problem: str
) -> None:
    append_new(ledger, [draft for draft in many() if draft.kind is Kind.DELIVERY])
    before = [ledger.totals(year) for year in (2023, 2024)]
    tampered(path, statement)
    assert problem in ledger.verify().problem
    if "missing" not in problem:
        ledger.rebuild_rollup()
        assert ledger.verify().ok
        assert [ledger.totals(year) for year in (2023, 2024)] == before


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM billed WHERE seq = 1", "is not what follows"),
        ("UPDATE billed SET at_us = at_us - 1 WHERE seq = 1", "is not what follows"),
        ("UPDATE billed SET id = 'other' WHERE seq = 1", "is not what follows"),
        ("INSERT INTO billed VALUES ('PKU', 1, 1, 1, 'other')", "is not what follows"),
        ("UPDATE billed_up_to SET seq = 512", "is not what follows"),
        ("UPDATE billed_up_to SET seq = 99999", "how far it reaches"),
        ("DELETE FROM billed_up_to", "how far it reaches"),
    ],
)
def test_the_index_of_billed_deliveries_is_verified_and_made_anew(
    path: Path, statement: str, problem: str
) -> None:
    with contextlib.closing(Ledger(path, repeat_window="year")) as ledger:
        append_new(ledger, [spooled(n, NOON + n, record_id=n) for n in range(1_200)])
        assert ledger.verify().ok
        tampered(path, statement)
        assert problem in ledger.verify().problem
        ledger.rebuild_rollup()
        assert ledger.verify().ok


def test_an_entry_of_a_page_without_an_id_is_named_by_its_number(
    path: Path, ledger: Ledger
) -> None:
    append_new(ledger, [spooled(n, NOON + n, record_id=n) for n in range(600)])
    write_page(path, forged(read_page(path, 1), 7, 1, ""))
    found = ledger.verify()
    assert (found.first_bad, found.entries) == ("8", 7)
    assert found.problem == "entry 8 is not what was hashed"


def test_new_deliveries_are_appended_quickly_however_many_a_source_has(
    path: Path, ledger: Ledger
) -> None:
    ledger.append([delivery(f"d:{n}", NOON + n) for n in range(10)])
    outsider = sqlite3.connect(path)
    plans = [
        outsider.execute(f"EXPLAIN QUERY PLAN {query}", ("d", 9, 9)).fetchall()[0][3]
        for query in (ledger_lookup.OVERLAPPING, ledger_lookup.RANGES)
    ]
    outsider.close()
    # By first_index every range of the source would be read: each begins below a new one.
    assert all("range_by_end (source=? AND last_index>?)" in plan for plan in plans), plans


def test_few_deliveries_are_rows(path: Path, ledger: Ledger) -> None:
    append_new(ledger, many(ledger_module.ENTRIES_MIN - 1))
    assert pages(path) == 0
    append_new(ledger, [spooled(100 + n, NOON) for n in range(ledger_module.ENTRIES_MIN)])
    assert pages(path) == 1


def test_a_page_that_is_small_is_not_compressed() -> None:
    rows = [(n, f"s:{n}", *[""] * 8, NOON, *[""] * 7) for n in range(1, 3)]
    page = pack(rows, GENESIS_HASH, [bytes(32)] * 2)
    assert b"s:1" in page.contents
    assert unpack(page)[0] == rows


def test_another_time_outside_the_calendar_leaves_nothing(ledger: Ledger) -> None:
    drafts = [spooled(n, NOON) for n in range(20)]
    drafts[15] = spooled(15, -1)
    with pytest.raises(MeteringError, match="its time is -1"):
        append_new(ledger, drafts)
    assert ledger.head()[0] == 0


def test_a_snapshot_has_the_sums_of_its_entries(ledger: Ledger) -> None:
    append_new(ledger, many())
    entries = list(ledger.entries())
    with ledger.reading() as snapshot:
        for year in (2023, 2024):
            assert recounted(snapshot, "PKU", year) == snapshot.totals(year, "PKU")["PKU"]
            half = [e for e in entries[:600] if (e.institution, e.year) == ("PKU", year)]
            recount = recounted(snapshot, "PKU", year, up_to=600)
            assert recount.downloads == sum(e.quantity for e in half if e.meter == Meter.DOWNLOAD)
            assert recount.voided == sum(e.kind == Kind.VOID for e in half)


@pytest.mark.parametrize("in_pages", [True, False])
@pytest.mark.parametrize(("window", "ends"), [(30, (-30, 30)), (700, (-700, 700))])
def test_a_repeat_is_one_up_to_the_ends_of_the_window(
    path: Path, in_pages: bool, window: int, ends: tuple[int, int]
) -> None:
    """Asked of the ledger itself, as figures of the moment do."""
    with contextlib.closing(Ledger(path, repeat_window=window)) as ledger:
        first = [spooled(n, NOON, record_id=n) for n in range(20)]
        (append_new if in_pages else Ledger.append)(ledger, first)  # type: ignore[operator]
        assert pages(path) == in_pages
        for offset_us, repeat in [
            (ends[0] * SECOND_US - 1, False),
            (ends[0] * SECOND_US, True),
            (ends[1] * SECOND_US, True),
            (ends[1] * SECOND_US + 1, False),
        ]:
            with ledger.reading() as snapshot:
                (counted,) = snapshot.preview([spooled(99, NOON + offset_us, record_id=7)])
            assert (counted.meter is Meter.REPEAT) == repeat


def test_a_listing_ends_where_the_ledger_did_when_it_began(ledger: Ledger) -> None:
    """Or a row appended meanwhile would be missed before a page that came after it."""
    append_new(ledger, [spooled(n, NOON, record_id=n) for n in range(600)])
    listing = ledger.entries()
    seen = [next(listing).seq for _ in range(590)]
    ledger.append([delivery("row", record_id=4_711)])
    append_new(ledger, [spooled(n, NOON, record_id=n) for n in range(1_000, 1_100)])
    seen += [entry.seq for entry in listing]
    assert seen == list(range(1, 601))
    with ledger.reading():
        assert [entry.seq for entry in ledger.entries(after=600)] == list(range(601, 702))


@pytest.mark.parametrize(
    ("query", "way"),
    [
        (ledger_lookup._PAGES_BEHIND, "INTEGER PRIMARY KEY (rowid>?)"),
        (ledger_lookup._PAGES_OF_TIME, "INDEX page_of_time (newest_us>?)"),
        (
            "SELECT 1 FROM page_of_member CROSS JOIN page USING (first_seq)"
            " WHERE institution = ? AND year = ? AND first_seq >= ? ORDER BY first_seq",
            "PRIMARY KEY (institution=? AND year=? AND first_seq>?)",
        ),
    ],
)
def test_pages_are_found_without_reading_the_others(
    path: Path, ledger: Ledger, query: str, way: str
) -> None:
    outsider = sqlite3.connect(path)
    plan = [row[3] for row in outsider.execute(f"EXPLAIN QUERY PLAN {query}", (1, 2, 3))]
    outsider.close()
    assert way in plan[0]
    assert not any("TEMP B-TREE" in step for step in plan)
    assert not any(step.startswith("SCAN") for step in plan)
