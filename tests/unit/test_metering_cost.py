"""What the benchmark of metering stands on: a server that counts nothing, and the disk's rate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.metering_cost import PROBE_FILE_BYTES, durable_writes_a_second
from server.delivery import retrieval

CHECKOUT = Path(__file__).resolve().parents[2]
FORMS = """
import gc
from benchmarks import metering_off
from server import service
from server.delivery import record_forms
from server.delivery import retrieval
from server.catalogue_pages import download as search_download
from server.sru import search as sru_search
forms = [each for each in gc.get_objects() if isinstance(each, retrieval.RecordForm)]
print(len(forms), sum(form.billable for form in forms), {type(form).__name__ for form in forms})
"""


def test_with_metering_off_no_form_is_billed_and_here_they_are() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORMS], capture_output=True, text=True, check=True, cwd=CHECKOUT
    )
    forms, billable, classes = done.stdout.split(maxsplit=2)
    assert int(forms) > 5
    assert (billable, classes.strip()) == ("0", "{'UncountedForm'}")
    assert retrieval.RecordForm.__name__ == "RecordForm"


def test_the_rate_of_the_disk_is_that_of_writes_that_were_made(tmp_path: Path) -> None:
    assert durable_writes_a_second(tmp_path, 0.01) > 0
    assert list(tmp_path.iterdir()) == []
    assert PROBE_FILE_BYTES % 4096 == 0
