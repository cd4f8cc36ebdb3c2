"""The worked examples of docs/metering.md are what the program does."""

from __future__ import annotations

import contextlib
import doctest
from datetime import datetime
from pathlib import Path

from metering.ledger import Ledger
from metering.settlement import Settlements
from protocol.china_time import CHINA

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metering.md"
EXAMPLES_MIN = 40


def at(clock: str) -> int:
    """Microseconds of a clock in China, written 2025-03-04 09:00:00."""
    return int(datetime.fromisoformat(clock).replace(tzinfo=CHINA).timestamp()) * 1_000_000


def test_the_examples_are_true(tmp_path: Path) -> None:
    with (
        contextlib.closing(Ledger(tmp_path / "ledger.sqlite")) as ledger,
        Settlements(tmp_path / "ledger.sqlite") as settlements,
    ):
        given = {"ledger": ledger, "settlements": settlements, "at": at}
        # A fence would pass for output that is expected.
        text = "\n".join(
            "" if line.startswith("```") else line for line in PAGE.read_text("utf-8").splitlines()
        )
        examples = doctest.DocTestParser().get_doctest(text, given, PAGE.name, str(PAGE), 0)
        failed: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
        runner.run(examples, out=failed.append, clear_globs=False)
    assert not failed, "".join(failed)
    assert runner.summarize(verbose=False).attempted >= EXAMPLES_MIN
