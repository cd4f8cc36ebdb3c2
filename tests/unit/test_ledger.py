"""The ledger: what it appends, refuses, counts and notices."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from metering.counting import RepeatWindow
from metering.entry import GENESIS_HASH, Draft, Kind, Meter, accounting_day
from metering.interface import MeteringError
from metering.ledger import EntryConflict, Ledger, Outcome, Totals
from metering.ledger_listing import Selection
from metering.ledger_snapshot import Snapshot

SECOND_US = 1_000_000


def at(text: str) -> int:
    """Microseconds of a time in UTC, written 2024-01-31T10:00:00."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_US


NOON = at("2024-05-06T04:00:00")


def delivery(
    name: str, at_us: int = NOON, *, record_id: int = 7, institution: str = "PKU"
) -> Draft:
    return Draft(
        id=name,
        kind=Kind.DELIVERY,
        at_us=at_us,
        institution=institution,
        account="pku01",
        database="cn_cat",
        record_id=record_id,
        control_number="012003000007",
        protocol="z3950",
        session="a-1",
    )


def void(name: str, refers_to: str, at_us: int = NOON) -> Draft:
    return Draft(id=name, kind=Kind.VOID, at_us=at_us, refers_to=refers_to, note="reset by peer")


def holding(name: str, kind: Kind, at_us: int = NOON, record_id: int = 7) -> Draft:
    return Draft(id=name, kind=kind, at_us=at_us, institution="PKU", record_id=record_id)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        yield ledger


def recounted(snapshot: Snapshot, institution: str, year: int, up_to: int | None = None) -> Totals:
    """A member's sums from its entries themselves, up to an entry or all."""
    totals = Totals()
    for entry in snapshot.entries(Selection(institution=institution, year=year, up_to=up_to)):
        totals.add(entry.kind, entry.meter, entry.item, 1, entry.quantity)
    return totals


def sums(ledger: Ledger, year: int = 2024) -> Totals:
    return ledger.totals(year, "PKU").get("PKU", Totals())


def test_the_same_entry_again_exists_already(ledger: Ledger) -> None:
    assert ledger.append([delivery("a")]) == [Outcome.CREATED]
    assert ledger.append([delivery("a"), delivery("b", record_id=8)]) == [
        Outcome.EXISTS,
        Outcome.CREATED,
    ]
    assert sums(ledger).downloads == 2


@pytest.mark.parametrize(
    "other",
    [
        delivery("a", NOON + 1),
        delivery("a", record_id=8),
        delivery("a", institution="THU"),
        holding("a", Kind.HOLDING_ADDED),
    ],
)
def test_the_same_id_with_other_contents_is_a_conflict(ledger: Ledger, other: Draft) -> None:
    ledger.append([delivery("a")])
    with pytest.raises(EntryConflict, match="entry a exists"):
        ledger.append([delivery("b", record_id=9), other])
    assert ledger.head()[0] == 1


def test_an_id_twice_in_one_batch_is_one_entry(ledger: Ledger) -> None:
    assert ledger.append([delivery("a"), delivery("a")]) == [Outcome.CREATED, Outcome.EXISTS]
    with pytest.raises(EntryConflict):
        ledger.append([delivery("b"), delivery("b", record_id=8)])


def test_an_entry_states_all_that_its_draft_said(ledger: Ledger) -> None:
    ledger.append([delivery("a")])
    (entry,) = ledger.entries("PKU", 2024)
    assert (entry.seq, entry.id, entry.kind, entry.meter, entry.quantity) == (
        1, "a", Kind.DELIVERY, Meter.DOWNLOAD, 1
    )  # fmt: skip
    assert (entry.institution, entry.account, entry.database) == ("PKU", "pku01", "cn_cat")
    assert (entry.record_id, entry.control_number) == (7, "012003000007")
    assert (entry.at_us, entry.year, entry.day) == (NOON, 2024, 20240506)
    assert (entry.protocol, entry.session) == ("z3950", "a-1")


def test_anyone_can_recompute_the_hash_with_plain_json(ledger: Ledger) -> None:
    odd = '\u8054\u76ee "\\/\b\f\n\r\t\x00\x1f\x7f\u2028\U00020000'
    ledger.append([delivery("a", institution=odd), delivery("b", record_id=8)])
    ledger.append([Draft(id="c", kind=Kind.UPLOAD, at_us=NOON, item="upload.chinese.full")])
    previous = GENESIS_HASH
    for entry in ledger.entries():
        fields = [entry.seq, entry.id, entry.kind, entry.meter, entry.quantity, entry.institution,
                  entry.account, entry.database, entry.record_id, entry.control_number,
                  entry.at_us, entry.year, entry.day, entry.protocol, entry.session,
                  entry.refers_to, entry.note]  # fmt: skip
        if entry.item:
            fields.append(entry.item)
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        assert entry.previous == previous
        assert entry.hash == hashlib.sha256(previous + text.encode()).digest()
        previous = entry.hash
    assert ledger.head() == (3, previous)


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("UPDATE entry SET quantity = 0", "never updated"),
        ("DELETE FROM entry", "never deleted"),
        ("INSERT OR REPLACE INTO entry SELECT * FROM entry WHERE seq = 1", "never replaced"),
        ("REPLACE INTO entry SELECT 3, id, kind, meter, 0, institution, account, database,"
         " record_id, control_number, at_us, year, day, protocol, session, refers_to, note,"
         " item, previous, hash FROM entry WHERE seq = 1", "never replaced"),
    ],
)  # fmt: skip
def test_the_database_itself_refuses_to_change_an_entry(
    tmp_path: Path, ledger: Ledger, statement: str, refusal: str
) -> None:
    ledger.append([delivery("a"), delivery("b", record_id=8)])
    outsider = sqlite3.connect(tmp_path / "ledger.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match=refusal):
        outsider.execute(statement)
    outsider.close()
    assert ledger.verify().ok


def test_the_accounting_year_turns_at_midnight_in_shanghai(ledger: Ledger) -> None:
    assert accounting_day(at("2023-12-31T16:00:00")) == (2024, 20240101)
    assert accounting_day(at("2023-12-31T16:00:00") - 1) == (2023, 20231231)
    ledger.append([
        delivery("a", at("2023-12-31T16:00:00") - 1),
        delivery("b", at("2023-12-31T16:00:00"), record_id=8),
    ])  # fmt: skip
    assert [entry.id for entry in ledger.entries(year=2023)] == ["a"]
    assert [entry.id for entry in ledger.entries(year=2024)] == ["b"]
    assert sums(ledger, 2023).downloads == sums(ledger, 2024).downloads == 1


@pytest.mark.parametrize("at_us", [-1, 1 << 62])
def test_a_time_outside_the_calendar_is_refused(ledger: Ledger, at_us: int) -> None:
    with pytest.raises(MeteringError, match="its time is"):
        ledger.append([delivery("a", at_us)])


@pytest.mark.parametrize(
    ("window", "offsets_s", "downloads"),
    [
        (30, [0, 30], 1),
        (30, [0, 30.000001], 2),
        (30, [0, 20, 31], 2),  # from the last billed delivery, not from the last repeat
        (0, [0, 0], 2),
        ("day", [0, 11.99 * 3600], 1),
        ("day", [0, 12 * 3600], 2),
        ("year", [0, 200 * 86_400], 1),
        ("year", [0, 300 * 86_400], 2),
        (30, [0, -10], 1),  # the clock was set back
        (30, [0, -3600], 2),
    ],
)
def test_a_repeat_within_the_window_is_stored_and_not_billed(
    tmp_path: Path, window: RepeatWindow, offsets_s: list[float], downloads: int
) -> None:
    """The first delivery is at noon in Shanghai on 6 May 2024."""
    times = [NOON + round(offset * SECOND_US) for offset in offsets_s]
    at_once = Ledger(tmp_path / "at_once.sqlite", repeat_window=window)
    at_once.append([delivery(str(time), time) for time in dict.fromkeys(times)])
    if len(set(times)) < len(times):
        at_once.append([delivery("again", times[-1])])
    one_by_one = Ledger(tmp_path / "one_by_one.sqlite", repeat_window=window)
    for number, time in enumerate(times):
        one_by_one.append([delivery(str(number), time)])
    for ledger in (at_once, one_by_one):
        meters = [entry.meter for entry in ledger.entries()]
        assert meters.count(Meter.DOWNLOAD) == downloads
        assert meters.count(Meter.REPEAT) == len(times) - downloads
        ledger.close()


def test_a_repeat_names_the_delivery_that_is_billed(ledger: Ledger) -> None:
    ledger.append([delivery("a"), delivery("b", NOON + 1)])
    ledger.append([delivery("c", NOON + 2)])
    assert [entry.refers_to for entry in ledger.entries()] == ["", "a", "a"]


def test_another_member_or_another_record_is_no_repeat(ledger: Ledger) -> None:
    ledger.append([delivery("a"), delivery("b", record_id=8), delivery("c", institution="THU")])
    assert sums(ledger).downloads == 2
    assert ledger.totals(2024)["THU"].downloads == 1


def test_a_negative_window_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="-1"):
        Ledger(tmp_path / "ledger.sqlite", repeat_window=-1)


@pytest.mark.parametrize("together", [True, False])
def test_a_void_takes_back_what_its_delivery_counted(ledger: Ledger, together: bool) -> None:
    drafts = [
        delivery("a"),
        delivery("b", NOON + 1),
        void("a:void", "a"),
        void("b:void", "b"),
        delivery("c", NOON + 2),
    ]
    for batch in [drafts] if together else [[draft] for draft in drafts]:
        assert set(ledger.append(batch)) == {Outcome.CREATED}
    # The third delivery repeats nothing that is billed.
    assert sums(ledger) == Totals(downloads=1, repeats=0, voided=2)


def test_a_void_counts_in_the_year_of_its_delivery(ledger: Ledger) -> None:
    ledger.append([delivery("a", at("2023-12-31T15:59:59"))])
    ledger.append([void("a:void", "a", at("2023-12-31T16:00:01"))])
    assert sums(ledger, 2023) == Totals(voided=1)
    assert sums(ledger, 2024) == Totals()


def test_a_delivery_is_voided_once(ledger: Ledger) -> None:
    ledger.append([delivery("a"), void("v", "a")])
    assert ledger.append([void("w", "a"), void("v", "a", NOON + 5), void("x", "never")]) == [
        Outcome.MOOT,
        Outcome.EXISTS,
        Outcome.MOOT,
    ]
    assert sums(ledger) == Totals(voided=1)


def test_only_a_delivery_can_be_voided(ledger: Ledger) -> None:
    ledger.append([holding("h", Kind.HOLDING_ADDED)])
    with pytest.raises(MeteringError, match="no delivery"):
        ledger.append([void("v", "h")])


ADD, REMOVE = Kind.HOLDING_ADDED, Kind.HOLDING_REMOVED


@pytest.mark.parametrize(
    ("changes", "counted"),
    [
        ([(ADD, 2024)], {2024: 1}),
        ([(ADD, 2024), (REMOVE, 2024)], {2024: 0}),
        ([(ADD, 2024), (REMOVE, 2024), (ADD, 2024)], {2024: 1}),
        ([(ADD, 2024), (ADD, 2024)], {2024: 1}),
        ([(REMOVE, 2024)], {2024: 0}),
        ([(ADD, 2023), (REMOVE, 2024)], {2023: 1, 2024: 0}),
        ([(ADD, 2023), (REMOVE, 2024), (ADD, 2024)], {2023: 1, 2024: 1}),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_a_holding_counts_once_a_year(
    ledger: Ledger, changes: list[tuple[Kind, int]], counted: dict[int, int], together: bool
) -> None:
    drafts = [
        holding(f"h:{number}", kind, at(f"{year}-05-06T00:00:00") + number)
        for number, (kind, year) in enumerate(changes)
    ]
    for batch in [drafts] if together else [[draft] for draft in drafts]:
        ledger.append(batch)
    assert {year: sums(ledger, year).holdings for year in counted} == counted
    assert ledger.head()[0] == len(changes)  # the fact stays, whatever it counts


def test_a_correction_says_what_it_counts_and_for_which_entry(ledger: Ledger) -> None:
    ledger.append([delivery("a")])
    correction = Draft(
        id="c", kind=Kind.CORRECTION, at_us=NOON, account="admin", refers_to="a",
        note="sent to a test client", meter=Meter.DOWNLOAD, quantity=-1,
    )  # fmt: skip
    assert ledger.append([correction, correction]) == [Outcome.CREATED, Outcome.EXISTS]
    assert sums(ledger).downloads == 0
    assert [(entry.institution, entry.record_id) for entry in ledger.entries()] == [("PKU", 7)] * 2
    unknown = Draft(id="d", kind=Kind.CORRECTION, at_us=NOON, refers_to="never")
    with pytest.raises(MeteringError, match="unknown"):
        ledger.append([unknown])


def tampered(path: Path, *statements: str) -> None:
    outsider = sqlite3.connect(path)
    for (trigger,) in outsider.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall():
        outsider.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        outsider.execute(statement)
    outsider.commit()
    outsider.close()


@pytest.mark.parametrize(
    ("statement", "first_bad", "problem"),
    [
        ("UPDATE entry SET record_id = 9 WHERE seq = 2", "b", "not what was hashed"),
        ("UPDATE entry SET quantity = 0 WHERE seq = 3", "c", "not what was hashed"),
        ("UPDATE entry SET hash = zeroblob(32) WHERE seq = 2", "b", "not what was hashed"),
        ("UPDATE entry SET previous = zeroblob(32) WHERE seq = 2", "b", "does not follow"),
        ("DELETE FROM entry WHERE seq = 1", "b", "entry 1 is missing"),
        ("DELETE FROM entry WHERE seq = 2", "c", "entry 2 is missing"),
        ("DELETE FROM entry WHERE seq = 3", "", "roll-up of PKU"),
        ("UPDATE rollup SET quantity = 99", "", "roll-up of PKU"),
        ("DELETE FROM rollup", "", "roll-up of PKU"),
    ],
)
def test_verify_names_the_first_bad_entry(
    tmp_path: Path, ledger: Ledger, statement: str, first_bad: str, problem: str
) -> None:
    ledger.append([delivery("a"), delivery("b", record_id=8), delivery("c", record_id=9)])
    assert ledger.verify().entries == 3
    tampered(tmp_path / "ledger.sqlite", statement)
    found = ledger.verify()
    assert not found.ok
    assert found.first_bad == first_bad
    assert problem in found.problem


def test_the_rollup_is_rebuilt_from_the_entries(tmp_path: Path, ledger: Ledger) -> None:
    ledger.append([delivery("a"), delivery("b", record_id=8), void("v", "a")])
    before = sums(ledger)
    tampered(tmp_path / "ledger.sqlite", "UPDATE rollup SET quantity = 99")
    ledger.rebuild_rollup()
    assert sums(ledger) == before
    assert ledger.verify().ok


def test_an_undone_transaction_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError), ledger.writing() as transaction:
        transaction.append([delivery("a")])
        transaction.move("spool:x", 1, 2)
        raise RuntimeError
    with ledger.reading() as snapshot:
        assert (snapshot.head()[0], snapshot.positions()) == (0, {})


def test_two_servers_on_one_ledger_keep_one_chain(tmp_path: Path, ledger: Ledger) -> None:
    other = Ledger(tmp_path / "ledger.sqlite")
    for number in range(10):
        (ledger, other)[number % 2].append([delivery(str(number), record_id=number)])
    assert other.verify().entries == 10
    assert [entry.id for entry in ledger.entries()] == [str(number) for number in range(10)]
    other.close()


def test_figures_are_read_while_another_server_writes(tmp_path: Path, ledger: Ledger) -> None:
    ledger.append([delivery("a")])
    with ledger.writing() as transaction:
        transaction.append([delivery("b", record_id=8)])
        with contextlib.closing(Ledger(tmp_path / "ledger.sqlite")) as other:
            assert sums(other).downloads == 1
            assert other.verify().ok
    assert sums(ledger).downloads == 2


def test_entries_are_listed_in_pages_without_a_gap(ledger: Ledger) -> None:
    ledger.append([delivery(str(number), record_id=number) for number in range(2_500)])
    assert [entry.seq for entry in ledger.entries("PKU", 2024)] == list(range(1, 2_501))
    assert [entry.seq for entry in ledger.entries(after=2_498)] == [2_499, 2_500]
    assert list(ledger.entries("THU")) == []


def test_a_ledger_of_a_newer_program_is_not_opened(tmp_path: Path, ledger: Ledger) -> None:
    ledger.close()
    outsider = sqlite3.connect(tmp_path / "ledger.sqlite")
    outsider.execute("PRAGMA user_version = 99")
    outsider.close()
    with pytest.raises(MeteringError, match="schema 99"):
        Ledger(tmp_path / "ledger.sqlite")


def test_a_file_that_is_no_ledger_is_a_named_error(tmp_path: Path) -> None:
    (tmp_path / "no").write_bytes(b"not a database, but long enough to be looked at" * 50)
    with pytest.raises(MeteringError, match="the ledger"):
        Ledger(tmp_path / "no")
