"""A process killed in the middle of a load, an update or a merge leaves a whole catalogue."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from store.load import load
from store.reindex import check
from store.sqlite import open_reader
from store.writer import CatalogueWriter
from tests.catalogue_records import DATABASES, book

CHECKOUT = Path(__file__).resolve().parents[2]

LOADING = """
import sys
from pathlib import Path
from store import load
from store.bulk import BatchLimits
from tests.catalogue_records import DATABASES
from store.writer import CatalogueWriter
load.CHUNK_RECORDS = 40
writer = CatalogueWriter(Path(sys.argv[1]), DATABASES)
print("go", flush=True)
load.load(writer, [Path(sys.argv[2])], "we_cat", processes=0, holdings="PKU",
          limits=BatchLimits(postings=4000))
"""
UPDATING = """
import random
import sys
from pathlib import Path
from protocol.record import Holding
from store.writer import CatalogueWriter
from tests.catalogue_records import DATABASES, book
writer = CatalogueWriter(Path(sys.argv[1]), DATABASES, merge_after_records=30)
draw = random.Random(int(sys.argv[3]))
print("go", flush=True)
while True:
    number = draw.randrange(60)
    record = writer.put("we_cat", book(f"u{number}", f"Title {draw.random()} of {number}"))
    if draw.random() < 0.3:
        writer.put_holding(Holding(draw.choice(["PKU", "THU"]), record.record_id))
    if draw.random() < 0.2:
        writer.delete(record.record_id)
    if draw.random() < 0.05:
        writer.merge(records_max=draw.randrange(1, 40))
"""


def kill_while_running(program: str, *arguments: object, after_s: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"go\n"
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)


def findings(directory: Path) -> list[str]:
    connection = open_reader(directory / "catalogue.sqlite")
    try:
        return check(connection)
    finally:
        connection.close()


@pytest.fixture(scope="module")
def records_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("records") / "records.mrc"
    draw = random.Random(7)
    words = [f"word{number}" for number in range(300)]
    path.write_bytes(
        b"".join(
            book(f"n{number % 700}" if number % 9 else "", " ".join(draw.sample(words, 6)))
            for number in range(900)
        )
    )
    return path


def test_a_killed_load_is_run_again_and_nothing_is_doubled(
    tmp_path: Path, records_file: Path
) -> None:
    draw = random.Random(1)
    for _ in range(5):
        kill_while_running(LOADING, tmp_path, records_file, after_s=draw.uniform(0, 0.6))
        assert findings(tmp_path) == []
    writer = CatalogueWriter(tmp_path, DATABASES)
    whole = CatalogueWriter(tmp_path / "whole", DATABASES)
    load(writer, [records_file], "we_cat", processes=0, holdings="PKU")
    load(whole, [records_file], "we_cat", processes=0, holdings="PKU")
    assert findings(tmp_path) == []
    for query in (
        "SELECT count(*) FROM record",
        "SELECT count(*), sum(change) FROM holding_event",
        "SELECT marc FROM record WHERE control_number NOT LIKE 'lm%' ORDER BY control_number",
    ):
        assert (
            writer.connection.execute(query).fetchall()
            == whole.connection.execute(query).fetchall()
        )
    writer.close()
    whole.close()


def test_updates_and_merges_may_be_killed_at_any_time(tmp_path: Path) -> None:
    draw = random.Random(2)
    for seed in range(6):
        kill_while_running(UPDATING, tmp_path, "-", seed, after_s=draw.uniform(0.05, 0.7))
        assert findings(tmp_path) == []
    writer = CatalogueWriter(tmp_path, DATABASES)
    while writer.merge():
        pass
    pairs = dict(
        writer.connection.execute(
            "SELECT institution || record_id, sum(change) FROM holding_event GROUP BY 1"
        ).fetchall()
    )
    held = {
        row[0] for row in writer.connection.execute("SELECT institution || record_id FROM holding")
    }
    assert {pair for pair, count in pairs.items() if count == 1} == held
    assert set(pairs.values()) <= {0, 1}
    writer.close()
    assert findings(tmp_path) == []
