"""Settlement: drafts, the final, notes, and the journal that balances."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from metering.author import Author
from metering.entry import Draft, Kind, Meter
from metering.interface import MeteringError
from metering.ledger import Ledger
from metering.settlement import Settlements, TooEarlyError
from metering.settlement_bill import Counts, Line, bill, difference
from metering.settlement_store import Settlement, connect
from metering.tariff import BUILT_IN, DOWNLOAD_OVER_QUOTA, Tariff, tariff_of_year

SECOND_US = 1_000_000


def at(text: str) -> int:
    """Microseconds of a time in UTC, written 2024-01-31T10:00:00."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_US


JUNE = at("2024-06-01T04:00:00")
YEAR_END = at("2024-12-31T16:00:00") - 1  # the last microsecond of 2024 in China
IN_GRACE = at("2025-01-10T04:00:00")
AFTER_GRACE = at("2025-03-01T04:00:00")


def deliveries(
    count: int, *, institution: str = "PKU", at_us: int = JUNE, prefix: str = "d"
) -> list[Draft]:
    return [
        Draft(
            id=f"{prefix}-{institution}-{number}", kind=Kind.DELIVERY,
            at_us=at_us + number * SECOND_US, institution=institution, account="pku01",
            database="cn_cat", record_id=number + 1, control_number=f"0120030{number:05d}",
            protocol="z3950", session="a-1",
        )
        for number in range(count)
    ]  # fmt: skip


def holdings(count: int, *, institution: str = "PKU", at_us: int = JUNE) -> list[Draft]:
    return [
        Draft(
            id=f"h-{institution}-{number}", kind=Kind.HOLDING_ADDED, at_us=at_us + number,
            institution=institution, record_id=1000 + number,
        )
        for number in range(count)
    ]  # fmt: skip


def void(delivery_id: str, at_us: int = AFTER_GRACE) -> Draft:
    return Draft(id=f"v-{delivery_id}", kind=Kind.VOID, at_us=at_us, refers_to=delivery_id)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        yield ledger


@pytest.fixture
def settlements(ledger: Ledger, tmp_path: Path) -> Iterator[Settlements]:
    with Settlements(tmp_path / "ledger.sqlite") as settlements:
        yield settlements


def settle(
    settlements: Settlements, ledger: Ledger, year: int = 2024, now_us: int = AFTER_GRACE
) -> list[Settlement]:
    return settlements.settle(year, now_us, ledger.verify())


@pytest.mark.parametrize(
    ("h", "d", "yuan"),
    [(5, 6, 0), (5, 7, 1), (0, 3, 3), (3, 4, 1), (1_000_000, 1_200_000, 0)],
)
def test_a_bill_is_one_yuan_for_each_download_over_the_quota(h: int, d: int, yuan: int) -> None:
    (line,) = bill(Counts(holdings=h, downloads=d), tariff_of_year(2024))
    assert line == Line(DOWNLOAD_OVER_QUOTA, yuan, 100, yuan * 100)


def test_an_estimate_is_stored_nowhere(ledger: Ledger, settlements: Settlements) -> None:
    ledger.append(holdings(5) + deliveries(7))
    (estimate,) = settlements.estimates(2024)
    assert (estimate.status, estimate.number, estimate.net_fen) == ("estimate", "", 100)
    assert estimate.ledger_seq == 12
    assert settlements.documents(2024) == []
    assert settlements.drafts(2024, "PKU") == []


def test_the_final_freezes_figures_tariff_and_place_in_the_ledger(
    ledger: Ledger, settlements: Settlements
) -> None:
    ledger.append(holdings(5) + deliveries(8))
    head_seq, head_hash = ledger.head()
    (final,) = settle(settlements, ledger)
    assert (final.number, final.status) == ("2024-PKU", "final")
    assert (final.holdings, final.downloads, final.quota, final.billable) == (5, 8, 6, 2)
    assert (final.tariff_version, final.net_fen) == ("2023-01-01", 200)
    assert (final.ledger_seq, final.head_hash) == (head_seq, head_hash.hex())
    assert settlements.verify() == []


def test_a_second_run_gives_the_same_bytes_and_posts_nothing_more(
    ledger: Ledger, settlements: Settlements
) -> None:
    ledger.append(deliveries(3))
    (first,) = settle(settlements, ledger)
    ledger.append(deliveries(2, prefix="late"))
    (second,) = settle(settlements, ledger, now_us=AFTER_GRACE + 5)
    assert second.document() == first.document()
    assert len(settlements.postings()) == 1


def test_the_audit_entry_in_the_chain_names_the_document(
    ledger: Ledger, settlements: Settlements
) -> None:
    ledger.append(deliveries(3))
    (final,) = settle(settlements, ledger)
    *_, audit = ledger.entries()
    assert (audit.id, audit.kind) == ("settlement:2024-PKU", Kind.AUDIT)
    assert final.fingerprint() in audit.note
    assert ledger.verify().ok


def test_a_draft_is_kept_while_its_figures_are(ledger: Ledger, settlements: Settlements) -> None:
    ledger.append(deliveries(3))
    (first,) = settlements.draft(2024, IN_GRACE)
    (again,) = settlements.draft(2024, IN_GRACE + SECOND_US)
    ledger.append(holdings(1))  # uploaded in the year, folded late
    (changed,) = settlements.draft(2024, IN_GRACE + 2 * SECOND_US)
    assert again.document() == first.document()
    assert (first.number, changed.number) == ("D1-2024-PKU", "D2-2024-PKU")
    assert (first.net_fen, changed.net_fen) == (300, 200)
    assert settlements.postings() == []


@pytest.mark.parametrize("now_us", [JUNE, YEAR_END])
def test_no_draft_before_the_year_is_over_in_china(
    ledger: Ledger, settlements: Settlements, now_us: int
) -> None:
    with pytest.raises(TooEarlyError, match="not over in China"):
        settlements.draft(2024, now_us)
    settlements.draft(2024, YEAR_END + 1)


def test_no_final_before_the_grace_period_is_over(ledger: Ledger, settlements: Settlements) -> None:
    ledger.append(deliveries(1))
    end_us = settlements.grace_end_us(2024)
    with pytest.raises(TooEarlyError, match="until 2025-01-31"):
        settle(settlements, ledger, now_us=end_us)
    assert settlements.documents(2024) == []
    assert len(settle(settlements, ledger, now_us=end_us + 1)) == 1


def test_a_forced_final_carries_its_reason_into_the_chain(
    ledger: Ledger, settlements: Settlements
) -> None:
    ledger.append(deliveries(1))
    (final,) = settlements.settle(2024, IN_GRACE, ledger.verify(), forced="PKU leaves")
    assert final.reason == "PKU leaves"
    assert settle(settlements, ledger, now_us=IN_GRACE + 1) == [final]  # no reason is needed now
    assert settlements.draft(2024, JUNE) == [final]
    *_, audit = ledger.entries()
    assert audit.note.endswith("; PKU leaves")


@pytest.mark.parametrize("now_us", [JUNE, YEAR_END])
def test_no_reason_makes_a_year_final_that_is_not_over(
    ledger: Ledger, settlements: Settlements, now_us: int
) -> None:
    ledger.append(deliveries(1))
    with pytest.raises(TooEarlyError, match="not over in China"):
        settlements.settle(2024, now_us, ledger.verify(), forced="PKU leaves")
    assert settlements.documents(2024) == []


def test_a_member_that_is_only_remarked_on_in_a_year_has_no_bill_of_it(
    ledger: Ledger, settlements: Settlements
) -> None:
    ledger.append(deliveries(1))
    settle(settlements, ledger)  # in 2025, with an audit entry of PKU
    assert settlements.estimates(2025) == []
    assert [each.institution for each in settlements.estimates(2025, "PKU")] == ["PKU"]


def test_a_final_is_printed_again_though_corrections_left_nothing_of_its_year(
    ledger: Ledger, settlements: Settlements
) -> None:
    ledger.append(holdings(1))
    finals = settle(settlements, ledger)
    assert len(finals) == 1
    (held,) = ledger.entries("PKU", 2024)
    ledger.append(
        [
            Draft(id="c", kind=Kind.CORRECTION, at_us=AFTER_GRACE, refers_to=held.id,
                  meter=Meter.HOLDING, quantity=-1, note="a test")
        ]
    )  # fmt: skip
    assert settle(settlements, ledger) == finals


def test_a_damaged_ledger_is_not_settled(
    ledger: Ledger, settlements: Settlements, tmp_path: Path
) -> None:
    ledger.append(deliveries(3))
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        connection.execute("DROP TRIGGER entry_is_final")
        connection.execute("UPDATE entry SET institution = 'THU' WHERE seq = 2")
        connection.commit()
    with pytest.raises(MeteringError, match="does not verify: entry 2 is not what was hashed"):
        settle(settlements, ledger)


def test_another_ledger_than_the_verified_one_is_not_settled(
    ledger: Ledger, settlements: Settlements, tmp_path: Path
) -> None:
    ledger.append(deliveries(3))
    with contextlib.closing(Ledger(tmp_path / "other.sqlite")) as other:
        other.append(deliveries(3, prefix="x"))
        with pytest.raises(MeteringError, match="not the one that was verified"):
            settlements.settle(2024, AFTER_GRACE, other.verify())


def test_one_member_may_be_settled_alone(ledger: Ledger, settlements: Settlements) -> None:
    ledger.append(deliveries(2) + deliveries(3, institution="THU"))
    verified = ledger.verify()
    (pku,) = settlements.settle(2024, AFTER_GRACE, verified, "PKU")
    both = settle(settlements, ledger)
    assert [document.number for document in both] == ["2024-PKU", "2024-THU"]
    assert both[0].document() == pku.document()
    (idle,) = settlements.settle(2024, AFTER_GRACE, ledger.verify(), "NJU")
    assert (idle.downloads, idle.net_fen) == (0, 0)


def test_a_void_after_the_final_becomes_a_credit_note(
    ledger: Ledger, settlements: Settlements
) -> None:
    ledger.append(deliveries(3))
    (final,) = settle(settlements, ledger)
    ledger.append([void("d-PKU-1")])
    (waiting,) = settlements.open_differences(2024)
    (note,) = settlements.note(2024, AFTER_GRACE, ledger.verify(), reason="not received")
    assert note.number == "N1-2024-PKU"
    assert note.lines == waiting.lines == (Line(DOWNLOAD_OVER_QUOTA, -1, 100, -100),)
    assert (note.downloads, note.net_fen) == (2, -100)
    assert settlements.final(2024, "PKU") == final
    assert settlements.open_differences(2024) == []
    assert settlements.note(2024, AFTER_GRACE, ledger.verify(), reason="again") == []
    assert settlements.balances() == {"receivable:PKU": 200, "revenue.downloads": -200}
    assert settlements.verify() == []


def test_a_late_delivery_becomes_a_debit_note(ledger: Ledger, settlements: Settlements) -> None:
    ledger.append(deliveries(3))
    settle(settlements, ledger)
    ledger.append(deliveries(2, prefix="late", at_us=JUNE + 3_600 * SECOND_US))
    (note,) = settlements.note(2024, AFTER_GRACE, ledger.verify(), reason="a spool found again")
    assert note.net_fen == 200
    assert settlements.balances()["receivable:PKU"] == 500


def test_a_small_difference_waits_for_the_next_final_and_is_billed_with_it(
    ledger: Ledger, tmp_path: Path
) -> None:
    with Settlements(tmp_path / "ledger.sqlite", note_minimum_fen=500) as settlements:
        ledger.append(deliveries(3))
        settle(settlements, ledger)
        ledger.append([void("d-PKU-0")])
        assert settlements.note(2024, AFTER_GRACE, ledger.verify(), reason="small") == []
        next_year = at("2025-07-01T00:00:00")
        ledger.append(deliveries(4, prefix="next", at_us=next_year))
        settle(settlements, ledger, 2025, at("2026-03-01T00:00:00"))
        carried, final = settlements.billed_with(2025, "PKU")
        assert (carried.number, carried.year, carried.net_fen) == ("N1-2024-PKU", 2024, -100)
        assert carried.reason == "carried into 2025"
        assert (final.number, final.net_fen) == ("2025-PKU", 400)
        assert [each.number for each in settlements.billed_with(2024, "PKU")] == ["2024-PKU"]
        assert settlements.balances()["receivable:PKU"] == 300 - 100 + 400
        assert settlements.verify() == []


def test_a_correction_moves_the_year_that_it_corrects(
    ledger: Ledger, settlements: Settlements
) -> None:
    ledger.append(holdings(5) + deliveries(9))
    settle(settlements, ledger)
    correction = Draft(
        id="c-1", kind=Kind.CORRECTION, at_us=AFTER_GRACE, refers_to="d-PKU-0",
        meter=Meter.HOLDING, quantity=1, note="a holding was overlooked",
    )  # fmt: skip
    ledger.append([correction])
    (note,) = settlements.note(2024, AFTER_GRACE, ledger.verify(), reason="see c-1")
    # The quota rises from 6 to 7: one download fewer is billed.
    assert (note.quota, note.billable, note.net_fen) == (7, 2, -100)


PRICES = Tariff(
    "test", date(2023, 1, 1),
    {
        DOWNLOAD_OVER_QUOTA: 100, "batch.delivery": 150, "upload.chinese.full": 400,
        "upload.japanese.full": 401, "cover.other": 100,
    },
    partner="CAU", partner_percent={"upload.japanese.full": 50},
)  # fmt: skip


def upload(record_id: int, item: str, institution: str = "PKU", kind: Kind = Kind.UPLOAD) -> Draft:
    return Draft(
        id=f"{kind}:{record_id}:{institution}", kind=kind, at_us=JUNE, institution=institution,
        record_id=record_id, item=item,
    )  # fmt: skip


def test_batches_credits_and_a_partners_share_are_settled_and_posted(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.append(
        [
            *deliveries(2),
            Draft(id="b-1", kind=Kind.BATCH, at_us=JUNE, institution="PKU", record_id=1,
                  item="batch.delivery"),
            upload(21, "upload.chinese.full"),
            upload(22, "upload.japanese.full"),
            upload(23, "upload.japanese.full", "CAU"),
            upload(21, "cover.other", kind=Kind.COVER),
        ]
    )  # fmt: skip
    with Settlements(tmp_path / "ledger.sqlite", tariffs=(PRICES,)) as settlements:
        cau, pku = settle(settlements, ledger)
        # An odd fen is the submitter's; CAU has a record of its own beside its part in both.
        assert (pku.receivable_fen, pku.payable_fen, pku.net_fen) == (350, 701, -351)
        assert [(line.item, line.amount_fen) for line in cau.lines] == [
            (DOWNLOAD_OVER_QUOTA, 0),
            ("upload.japanese.full.submitter", -201),
            ("upload.japanese.full.partner", -400),
        ]
        assert settlements.balances() == {
            "expense.remuneration": 1302,
            "payable.share:CAU": -400,
            "payable:CAU": -201,
            "payable:PKU": -701,
            "receivable:PKU": 350,
            "revenue.batch": -150,
            "revenue.downloads": -200,
        }
        assert settlements.verify() == []


def test_a_partner_without_entries_of_its_own_is_settled_too(
    ledger: Ledger, settlements: Settlements
) -> None:
    ledger.append([upload(22, "upload.japanese.full")])
    cau, pku = settle(settlements, ledger)
    assert (cau.institution, cau.net_fen) == ("CAU", -200)
    assert (pku.institution, pku.net_fen) == ("PKU", -200)
    assert settlements.verify() == []


def test_what_is_taken_back_of_a_shared_upload_gives_a_note_to_both(
    ledger: Ledger, settlements: Settlements
) -> None:
    shared = upload(22, "upload.japanese.full")
    ledger.append([shared])
    settle(settlements, ledger)
    taken_back = Draft(
        id="c", kind=Kind.CORRECTION, at_us=AFTER_GRACE, refers_to=shared.id, meter=Meter.UPLOAD,
        quantity=-1, note="no record of Japanese",
    )  # fmt: skip
    ledger.append([taken_back])
    notes = settlements.note(2024, AFTER_GRACE, ledger.verify(), reason="see c")
    assert [(note.number, note.net_fen) for note in notes] == [
        ("N1-2024-CAU", 200),
        ("N1-2024-PKU", 200),
    ]
    assert set(settlements.balances().values()) == {0}


def test_an_item_that_the_tariff_does_not_price_stops_the_settlement(
    ledger: Ledger, settlements: Settlements
) -> None:
    ledger.append([upload(21, "upload.klingon.full")])
    with pytest.raises(MeteringError, match=r"no item 'upload.klingon.full'"):
        settle(settlements, ledger)
    assert settlements.documents(2024) == []


def test_an_institutions_code_may_look_like_a_note(
    ledger: Ledger, settlements: Settlements
) -> None:
    ledger.append(deliveries(2) + deliveries(1, institution="PKU-N1"))
    assert len(settle(settlements, ledger)) == 2
    ledger.append([void("d-PKU-1")])
    (note,) = settlements.note(2024, AFTER_GRACE, ledger.verify(), reason="x")
    assert note.number == "N1-2024-PKU"


def test_all_documents_of_a_run_have_one_position(ledger: Ledger, settlements: Settlements) -> None:
    ledger.append(deliveries(2) + deliveries(1, institution="THU"))
    assert {document.ledger_seq for document in settle(settlements, ledger)} == {3}


def test_no_note_where_nothing_is_settled(ledger: Ledger, settlements: Settlements) -> None:
    with pytest.raises(MeteringError, match="2024 is not settled for PKU"):
        settlements.note(2024, AFTER_GRACE, ledger.verify(), "PKU", reason="x")


def test_the_year_ends_at_midnight_in_china(ledger: Ledger, settlements: Settlements) -> None:
    ledger.append(deliveries(1, at_us=YEAR_END))
    ledger.append(deliveries(1, at_us=YEAR_END + 1, institution="THU"))
    assert [each.institution for each in settlements.estimates(2024)] == ["PKU"]
    assert [each.institution for each in settlements.estimates(2025)] == ["THU"]


def test_tampering_with_a_stored_document_is_found(
    ledger: Ledger, settlements: Settlements, tmp_path: Path
) -> None:
    ledger.append(deliveries(3))
    settle(settlements, ledger)
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        connection.execute("DROP TRIGGER settlement_line_is_final")
        connection.execute("UPDATE settlement_line SET amount_fen = 1")
        connection.commit()
    assert settlements.verify() == [
        "2024-PKU: not the document that the ledger's audit entry names",
        "2024-PKU: its posting is not what its lines move",
    ]


def test_a_difference_takes_back_items_that_are_gone() -> None:
    settled = [Line("upload.other.full", 2, 300, -600), Line(DOWNLOAD_OVER_QUOTA, 1, 100, 100)]
    now = [Line(DOWNLOAD_OVER_QUOTA, 1, 100, 100)]
    assert difference(now, settled) == (Line("upload.other.full", -2, 300, 600),)


# The journal is kept by the database itself.


@pytest.fixture
def connection(ledger: Ledger, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(connect(tmp_path / "ledger.sqlite")) as connection:
        yield connection


def settled_number(connection: sqlite3.Connection, number: int = 1) -> None:
    connection.execute(
        "INSERT INTO settlement VALUES (?, ?, 'final', ?, 'PKU', 2024, 0, 0, ?, 'none',"
        " 0, 0, 0, 0, 0, 0, '')",
        (number, f"n{number}", 2000 + number, bytes(32)),
    )


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [("a", 5, 0)],
        [("a", 5, 0), ("b", 0, 4)],
        [("a", 5, 0), ("b", 5, 0)],
    ],
)
def test_the_database_takes_no_posting_that_does_not_balance(
    connection: sqlite3.Connection, lines: list[tuple[str, int, int]]
) -> None:
    settled_number(connection)
    connection.execute("BEGIN")
    for place, line in enumerate(lines):
        connection.execute("INSERT INTO posting_line VALUES (1, ?, ?, ?, ?)", (place, *line))
    with pytest.raises(sqlite3.IntegrityError, match="a posting balances"):
        connection.execute("INSERT INTO posting VALUES (1, 1, 0, 'x')")


@pytest.mark.parametrize("line", [("a", 0, 0), ("a", 5, 5), ("a", -5, 0), ("", 5, 0)])
def test_a_posting_line_has_one_positive_side(
    connection: sqlite3.Connection, line: tuple[str, int, int]
) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO posting_line VALUES (1, 1, ?, ?, ?)", line)


def test_lines_without_a_posting_do_not_survive_the_commit(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("INSERT INTO posting_line VALUES (1, 1, 'a', 5, 0)")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.execute("COMMIT")
    connection.execute("ROLLBACK")


def test_nothing_is_added_to_a_posting_or_a_settlement_that_is_there(
    ledger: Ledger, settlements: Settlements, connection: sqlite3.Connection
) -> None:
    ledger.append(deliveries(1))
    settle(settlements, ledger)
    with pytest.raises(sqlite3.IntegrityError, match="complete when it is made"):
        connection.execute("INSERT INTO posting_line VALUES (1, 9, 'a', 5, 0)")
    with pytest.raises(sqlite3.IntegrityError, match="complete when it is made"):
        connection.execute("INSERT INTO settlement_line VALUES (1, 9, 'a', 1, 1, 1)")


@pytest.mark.parametrize("table", ["settlement", "settlement_line", "posting", "posting_line"])
def test_a_row_is_never_updated_deleted_or_replaced(
    ledger: Ledger, settlements: Settlements, connection: sqlite3.Connection, table: str
) -> None:
    ledger.append(deliveries(1))
    settle(settlements, ledger)
    (column,) = connection.execute(
        "SELECT name FROM pragma_table_info(?) LIMIT 1", (table,)
    ).fetchone()
    for statement in (
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
    ):
        with pytest.raises(sqlite3.IntegrityError, match=r"never|complete"):
            connection.execute(statement)


def test_a_ledger_from_before_settlements_gets_their_tables_when_first_asked(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.sqlite"
    with contextlib.closing(Ledger(path)) as ledger:
        ledger.append(deliveries(2))
        with contextlib.closing(sqlite3.connect(path)) as connection:
            query = "SELECT count(*) FROM sqlite_schema WHERE name = 'settlement'"
            assert connection.execute(query).fetchone() == (0,)
        for _ in range(2):
            with Settlements(path) as settlements:
                assert [each.downloads for each in settlements.estimates(2024)] == [2]


def test_settlements_of_a_newer_program_are_refused(
    settlements: Settlements, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    connection.execute("UPDATE settlement_schema SET version = 99")
    with pytest.raises(MeteringError, match="schema 99"):
        Settlements(tmp_path / "ledger.sqlite")


def test_settlements_of_the_first_version_are_kept_and_later_ones_have_an_author(
    ledger: Ledger, settlements: Settlements, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    ledger.append(deliveries(2))
    settlements.draft(2024, IN_GRACE)
    connection.execute("DROP TABLE settlement_author")
    connection.execute("UPDATE settlement_schema SET version = 1")
    by = Author("li", "", "li@host", "cli")
    with Settlements(tmp_path / "ledger.sqlite") as later:
        later.settle(2024, AFTER_GRACE, ledger.verify(), by=by)
        assert [(each.status, author) for each, author in later.made()] == [
            ("draft", Author()), ("final", by),
        ]  # fmt: skip
        with pytest.raises(sqlite3.IntegrityError, match="never updated"):
            connection.execute("UPDATE settlement_author SET who = 'wang'")


def test_a_settlement_that_cannot_be_posted_is_not_stored(
    ledger: Ledger, settlements: Settlements, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append(deliveries(1))
    unbalanced = [("receivable:PKU", 5, 0), ("revenue.downloads", 0, 4)]
    monkeypatch.setattr(
        "metering.journal.posting_lines",
        lambda *_: [_line(*line) for line in unbalanced],
    )
    with pytest.raises(MeteringError, match="a posting balances"):
        settle(settlements, ledger)
    assert settlements.documents(2024) == []
    assert len(list(ledger.entries())) == 1


def _line(account: str, debit_fen: int, credit_fen: int) -> object:
    from metering.journal import PostingLine

    return PostingLine(account, debit_fen, credit_fen)


def test_the_frozen_tariff_prices_the_notes(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Settlements(path) as settlements:
        ledger.append(deliveries(3))
        settle(settlements, ledger)
    ledger.append([void("d-PKU-0")])
    with (
        Settlements(path, tariffs=()) as settlements,
        pytest.raises(MeteringError, match="no tariff 2023-01-01"),
    ):
        settlements.open_differences(2024)
    with Settlements(path, tariffs=BUILT_IN) as settlements:
        assert [note.net_fen for note in settlements.open_differences(2024)] == [-100]
