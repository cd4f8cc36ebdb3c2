"""What keeps the processes of a server small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from store.sqlite import FILE_NAME, open_reader, open_writer

# What each needs is beside it; none of it is part of answering a request.
ONLY_WHEN_ASKED_FOR = {
    "fpdf": "a statement as PDF",
    "fontTools": "a statement as PDF",
    "openpyxl": "spreadsheets",
    "PIL": "covers that are brought",
    "pyarrow": "the ledger as Parquet",
    "rich": "commands at a terminal",
    "pypinyin": "titles without pinyin",
    "pymarc": "MARC-8",
    "unittest": "tests",
    "pytest": "tests",
}


def test_a_server_starts_without_what_few_requests_need() -> None:
    program = "import server.commands.serve, sys; print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    imported = {name.partition(".")[0] for name in told.stdout.split()}
    assert {"aiohttp", "uvloop"} <= imported  # shared, as nothing is that a worker imports itself
    assert not imported & ONLY_WHEN_ASKED_FOR.keys()


def test_a_reader_keeps_no_page_of_the_catalogue_in_its_memory_for_good(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    open_writer(path).close()
    reader = open_reader(path)
    assert reader.execute("SELECT count(*) FROM record").fetchone() == (0,)
    assert str(path) not in {
        line.split(maxsplit=5)[-1] for line in Path("/proc/self/maps").read_text().splitlines()
    }
    assert reader.execute("PRAGMA cache_size").fetchone()[0] >= -4096  # KiB, when negative
    reader.close()
