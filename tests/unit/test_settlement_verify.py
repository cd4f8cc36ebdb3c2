"""What `lianmu settle --verify` finds in documents and journal that somebody changed."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from metering.ledger import Ledger
from metering.settlement import Settlements
from tests.unit.test_settlement import deliveries, ledger, settle, settlements

__all__ = ["ledger", "settlements"]


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM posting WHERE posting_id = 1", "its posting is not what its lines move"),
        ("UPDATE posting SET made_us = 7 WHERE posting_id = 1", "another time or text"),
        ("UPDATE posting SET text = 'final' WHERE posting_id = 1", "another time or text"),
        ("UPDATE posting SET settlement_id = 99 WHERE posting_id = 1", "posting 1 is of no docu"),
        ("UPDATE posting_line SET account = 'receivable:THU' WHERE place = 1", "its posting is n"),
        ("UPDATE posting_line SET debit_fen = 700 WHERE debit_fen > 0", "its posting is not what"),
        ("DELETE FROM posting_line WHERE place = 1", "its posting is not what its lines move"),
        ("INSERT INTO posting_line VALUES (9, 1, 'receivable:PKU', 5, 0)", "posting 9 is of no d"),
        ("DELETE FROM settlement", "2024-PKU: the ledger's audit entry names it, and there is no"),
        ("UPDATE settlement SET year = 2023", "2024-PKU: the ledger's audit entry names it, and"),
        ("UPDATE settlement SET tariff_version = 'x'", "not the document that the ledger's audit"),
    ],
)
def test_what_was_done_to_documents_and_journal_is_found(
    ledger: Ledger, settlements: Settlements, tmp_path: Path, statement: str, problem: str
) -> None:
    ledger.append(deliveries(3))
    settle(settlements, ledger)
    assert settlements.verify(2024) == []
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as outsider:
        names = outsider.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in names:
            outsider.execute(f"DROP TRIGGER {name}")
        outsider.execute(statement)
        outsider.commit()
    assert any(problem in found for found in settlements.verify(2024))
    assert any(problem in found for found in settlements.verify()) or "year" in statement
