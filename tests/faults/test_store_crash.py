"""A process killed in the middle of a load, an update, a merge or a rebuilding of the index
leaves a whole catalogue: what `lianmu doctor` looks at, and every posting, is right."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from store.doctor import Finding, examine
from store.load import load
from store.load_journal import unfinished_loads
from store.reindex import check, reindex, unfinished_reindex
from store.runs import FOLDER_NAME, are_waiting
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
LOADING_BY_RUNS = """
import sys
from pathlib import Path
from store import load, runs
from store.bulk import BatchLimits
from tests.catalogue_records import DATABASES
from store.writer import CatalogueWriter
load.RUNS_BYTES_MIN = 0
load.RUN_CHUNK_RECORDS = 20
load.RUN_LIMITS = BatchLimits(records=80)
runs.SLICE_TERMS_MAX = 40
print("go", flush=True)
writer = CatalogueWriter(Path(sys.argv[1]), DATABASES)
load.load(writer, [Path(sys.argv[2])], "we_cat", processes=0, holdings="PKU",
          is_serving=lambda: False)
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


REBUILDING = """
import sys
from pathlib import Path
from store import reindex
from store.writer import CatalogueWriter
from tests.catalogue_records import DATABASES
reindex.CHUNK_RECORDS = 10
reindex.STEP_BYTES_MAX = 4000
reindex.SWITCH_RECORDS_MAX = 5
reindex.CAUGHT_UP_MIN = 5
writer = CatalogueWriter(Path(sys.argv[1]), DATABASES, merge_after_records=30)
print("go", flush=True)
while True:
    reindex.reindex(writer, processes=0)
    print("done", flush=True)
"""


@contextmanager
def running(program: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does as `program` says, and is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"go\n"
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def kill_while_running(program: str, *arguments: object, after_s: float) -> None:
    with running(program, *arguments):
        time.sleep(after_s)


def findings(directory: Path) -> list[str]:
    """What is wrong with a catalogue, as it was left and with every run merged."""
    path = directory / "catalogue.sqlite"
    connection = open_reader(path)
    try:
        examined = examine(connection, path, sample=10_000)
        if are_waiting(connection):
            examined += merged_copy_findings(directory)
        else:
            examined += [Finding("index", text) for text in check(connection)]
    finally:
        connection.close()
    return [found.text for found in examined if found.is_problem]


def merged_copy_findings(directory: Path) -> list[Finding]:
    """What is wrong once the runs are merged: of a copy, so that the next load finds them."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("*-shm"))
        writer = CatalogueWriter(copy, DATABASES)
        try:
            assert not are_waiting(writer.connection)
            found = examine(writer.connection, writer.path, sample=10_000)
            return found + [Finding("index", text) for text in check(writer.connection)]
        finally:
            writer.close()


def is_under_way(directory: Path) -> bool:
    connection = open_reader(directory / "catalogue.sqlite")
    try:
        return bool(unfinished_loads(connection))
    finally:
        connection.close()


def records_in(directory: Path) -> int:
    connection = open_reader(directory / "catalogue.sqlite")
    try:
        return int(connection.execute("SELECT count(*) FROM record").fetchone()[0])
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


LONG = [pytest.mark.long, pytest.mark.timeout(3_600)]
ROUNDS = [4, pytest.param(40, marks=LONG)]


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize(
    ("program", "within_s"),
    [(LOADING, 0.15), (LOADING_BY_RUNS, 0.5)],
    ids=["at once", "by runs"],
)
def test_a_killed_load_goes_on_and_nothing_is_doubled_or_lost(
    tmp_path: Path, records_file: Path, program: str, within_s: float, rounds: int
) -> None:
    CatalogueWriter(tmp_path, DATABASES).close()
    draw = random.Random(1)
    stored = 0
    is_first = True
    for _ in range(rounds):
        kill_while_running(program, tmp_path, records_file, after_s=draw.uniform(0, within_s))
        assert findings(tmp_path) == []
        before, stored = stored, records_in(tmp_path)
        assert stored >= before  # it went on, and did not begin anew
        is_first &= not stored or is_under_way(tmp_path)
    writer = CatalogueWriter(tmp_path, DATABASES)
    whole = CatalogueWriter(tmp_path / "whole", DATABASES)
    loaded = load(writer, [records_file], "we_cat", processes=0, holdings="PKU")
    at_once = load(whole, [records_file], "we_cat", processes=0, holdings="PKU")
    if is_first:  # none was over before: the two loads tell the same of themselves
        assert loaded == at_once
    assert unfinished_loads(writer.connection) == []
    assert not are_waiting(writer.connection)
    assert not (tmp_path / FOLDER_NAME).exists()
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


@pytest.mark.parametrize("rounds", ROUNDS)
def test_updates_and_merges_may_be_killed_at_any_time(tmp_path: Path, rounds: int) -> None:
    draw = random.Random(2)
    for seed in range(rounds):
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


@pytest.mark.parametrize("rounds", [2, *ROUNDS[1:]])
def test_a_rebuilding_may_be_killed_at_any_time_while_records_change(
    tmp_path: Path, rounds: int
) -> None:
    draw = random.Random(3)
    unfinished = 0
    for seed in range(rounds):
        with running(UPDATING, tmp_path, "-", seed):
            kill_while_running(REBUILDING, tmp_path, after_s=draw.uniform(0.05, 0.5))
        assert findings(tmp_path) == []
        connection = open_reader(tmp_path / "catalogue.sqlite")
        unfinished += unfinished_reindex(connection) is not None
        connection.close()
    assert unfinished or rounds < 10  # some were killed in the middle
    with running(UPDATING, tmp_path, "-", rounds):
        writer = CatalogueWriter(tmp_path, DATABASES)
        reindex(writer, processes=0)
        writer.close()
    assert findings(tmp_path) == []
