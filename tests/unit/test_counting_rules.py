"""Each counting rule of an agreement: its default, and what it may say instead."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metering.counting import CountingRules
from metering.entry import Draft, Kind
from metering.fold import Folder, FoldReport, Outbox
from metering.ledger import Ledger, Totals
from metering.usage import UsageReader
from server.config import ConfigError, parse_config
from tests.unit.test_ledger import NOON, SECOND_US, at, delivery, holding, recounted, sums
from tests.unit.test_ledger_uploads import CHINESE, OTHER, cover, reversal, upload

NEW_YEAR = at("2023-12-31T16:00:00")
ADD, REMOVE = Kind.HOLDING_ADDED, Kind.HOLDING_REMOVED


@contextlib.contextmanager
def counting(path: Path, **rules: Any) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(path / "ledger.sqlite", rules=CountingRules(**rules))) as ledger:
        yield ledger


def test_the_configuration_names_every_rule_and_its_default(tmp_path: Path) -> None:
    config = parse_config({}, tmp_path / "config.toml")
    assert config.counting_rules == CountingRules(
        repeat_window=30, holding_removal="takes_back", upload_reversal="same_year"
    )
    other = {"repeat_window_s": "year", "holding_removal": "keeps", "upload_reversal": "never"}
    config = parse_config({"metering": other}, tmp_path / "config.toml")
    assert config.counting_rules == CountingRules("year", "keeps", "never")
    for name in other:
        with pytest.raises(ConfigError, match=rf"\$\.metering\.{name}"):
            parse_config({"metering": {name: "perhaps"}}, tmp_path / "config.toml")


@pytest.mark.parametrize(
    ("rule", "changes", "counted"),
    [
        ("takes_back", [ADD, REMOVE], 0),
        ("takes_back", [ADD, REMOVE, ADD], 1),
        ("keeps", [ADD, REMOVE], 1),
        ("keeps", [ADD, REMOVE, ADD], 1),
        ("keeps", [REMOVE], 0),
        ("keeps", [REMOVE, ADD], 1),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_a_holding_removed_in_its_year_is_taken_back_or_kept(
    tmp_path: Path, rule: str, changes: list[Kind], counted: int, together: bool
) -> None:
    drafts = [holding(str(n), kind, NOON + n) for n, kind in enumerate(changes)]
    with counting(tmp_path, holding_removal=rule) as ledger:
        for some in [drafts] if together else [[draft] for draft in drafts]:
            ledger.append(some)
        assert sums(ledger).holdings == counted


@pytest.mark.parametrize(
    ("rule", "of_this_year", "of_last_year"),
    [("same_year", 0, 1), ("always", 0, 0), ("never", 1, 1)],
)
def test_a_merge_takes_back_uploads_of_its_year_of_any_or_none(
    tmp_path: Path, rule: str, of_this_year: int, of_last_year: int
) -> None:
    with counting(tmp_path, upload_reversal=rule) as ledger:
        ledger.append(
            [
                upload("a", 1, at_us=NEW_YEAR - 1),
                upload("b", 2, OTHER, at_us=NEW_YEAR),
                reversal("r", "a", NEW_YEAR + 1),
                reversal("s", "b", NEW_YEAR + 1),
            ]
        )
        # A settled year stays as it is: what is taken back lies in the year of the merge.
        assert sums(ledger, 2023) == Totals(uploads={CHINESE: 1})
        assert sums(ledger, 2024).uploads[OTHER] == of_this_year
        assert sums(ledger, 2024).uploads[CHINESE] == of_last_year - 1


@pytest.mark.parametrize(
    ("window", "billed"), [(30, 2), (0, 4), (3_600, 1), ("day", 1), ("year", 1)]
)
def test_how_long_a_repeat_is_one(tmp_path: Path, window: int | str, billed: int) -> None:
    times = [0, 5, 20, 100]
    with counting(tmp_path, repeat_window=window) as ledger:
        ledger.append([delivery(str(s), NOON + s * SECOND_US) for s in times])
        assert (sums(ledger).downloads, sums(ledger).repeats) == (billed, len(times) - billed)


def test_uploads_wait_in_an_outbox_and_count_at_once(tmp_path: Path) -> None:
    kept: list[Draft] = [upload("a", institution="THU"), upload("b"), upload("c", 8), cover("d")]
    outbox = Outbox("uploads:catalogue", lambda after: list(enumerate(kept, 1))[after:])
    with counting(tmp_path) as ledger:
        reader = UsageReader(ledger, tmp_path / "spool", outboxes=[outbox])
        folder = Folder(ledger, tmp_path / "spool", outboxes=[outbox])
        before = reader.usage("PKU", 2024)
        assert before.uploads == {CHINESE: 1}  # the other record is THU's
        assert folder.fold() == FoldReport(others=4)
        assert folder.fold() == FoldReport()
        kept.append(reversal("r", "c"))
        assert reader.usage("PKU", 2024).uploads == {CHINESE: 0}
        assert folder.fold() == FoldReport(others=1)
        assert reader.usage("PKU", 2024).uploads == {CHINESE: 0}
        assert reader.usage("PKU", 2024).covers == before.covers == {"upload.other.cover": 1}
        kept_sums = sums(ledger)
        with ledger.reading() as snapshot:
            assert recounted(snapshot, "PKU", 2024) == kept_sums
