"""The benchmark of the console's pages stands on pages that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import console
from server.accounting.ledger import Accounting


@pytest.mark.long
def test_every_page_is_asked_for_and_answered(tmp_path: Path) -> None:
    config = console.make(tmp_path, 2_000, 3)
    with Accounting(config) as accounting:
        entries, _ = accounting.ledger.head()
        assert entries == 2_000
        assert accounting.ledger.verify().ok
    found = console.measure(tmp_path, 2)
    assert set(found) == set(console.pages("X"))
    assert all(len(times) == 2 and min(times) > 0 for times in found.values())
