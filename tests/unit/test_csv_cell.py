"""What people open in a spreadsheet is not run by it."""

from __future__ import annotations

import pytest

from metering.csv_cell import cell


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+86 10", "'+86 10"),
        ("-", "'-"),
        ("@cmd", "'@cmd"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("", ""),
        ("a=1", "a=1"),
        ("中文", "中文"),
        (-5, -5),
        (None, None),
    ],
)
def test_a_text_that_would_be_run_begins_with_an_apostrophe(value: object, shown: object) -> None:
    assert cell(value) == shown
