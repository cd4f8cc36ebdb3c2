"""Importing what a member holds: one holding for each generated record.

    python -m benchmarks.holdings --records 1000000

The records are loaded first, which is not measured. Then `lianmu holdings import`
is given a CSV file in an order of its own, which names every fifth record by ISBN
and the others by control number: into nothing, the same again, and at last with
`--replace-all` a file without every tenth line. What is held afterwards and what
the ledger counts must be exact.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.compare import machine
from benchmarks.generate import prepared
from benchmarks.lianmu import PROGRAM, Lianmu
from benchmarks.servers import WORK_DIR, LoadFigures, measured
from protocol.iso2709 import control_field, parse

GOAL_S_PER_MILLION = 300.0
ISBN_EVERY = 5
LEFT_OUT_EVERY = 10
_SEED = 7


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.holdings",
        description="Import holdings of a member, again, and in place of all.",
        epilog="example: python -m benchmarks.holdings --records 1000000 --keep",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--records", type=int, default=100_000, help="generated records")
    parser.add_argument("--work", type=Path, default=WORK_DIR, help="folder for all files")
    parser.add_argument("--keep", action="store_true", help="leave the catalogue for the next run")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    work_dir = options.work / f"holdings-{options.records}"
    print(f"{options.records:,} holdings, {machine()}")
    try:
        rounds = _rounds(options.records, work_dir)
    except RuntimeError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            shutil.rmtree(work_dir, ignore_errors=True)
    for name, figures in rounds.items():
        goal = GOAL_S_PER_MILLION * options.records / 1e6
        print(
            f"  {name:14} {figures.wall_s:8.1f} s (goal ≤ {goal:.0f} s), CPU {figures.cpu_s:.1f} s,"
            f" {options.records / figures.wall_s:,.0f} records/s,"
            f" memory {figures.memory_bytes / 1e6:.0f} MB"
        )
    if options.json:
        told = {name: asdict(figures) for name, figures in rounds.items()}
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 0


def _rounds(records: int, work_dir: Path) -> dict[str, LoadFigures]:
    records_path, _ = prepared(records, work_dir)
    server = Lianmu(work_dir)
    server.loaded(records_path)
    folder = server.directory
    # Each run begins with a catalogue that nobody holds anything of.
    for path in (folder / "data" / "ledger.sqlite", folder / "data" / "members.sqlite"):
        for each in path.parent.glob(f"{path.name}*"):
            each.unlink()
    server._configure()
    server._add_member()
    every, most = folder / "every.csv", folder / "most.csv"
    _write(records_path, every, most)
    rounds = {}
    kept = records - (records + LEFT_OUT_EVERY - 1) // LEFT_OUT_EVERY
    for name, file, more, held in (
        ("import", every, (), records), ("again", every, (), records),
        ("replace all", most, ("--replace-all", "--yes"), kept),
        ("take away", every, ("--only", "remove"), 0),
    ):  # fmt: skip
        rounds[name] = measured(
            [PROGRAM, "holdings", "import", "BENCH", file, "--config", "config.toml", *more],
            folder, folder / "import.log",
        )  # fmt: skip
        _check(folder, name, held)
    return rounds


def _check(folder: Path, name: str, held: int) -> None:
    """Raises RuntimeError: something else is held or counted than must be."""
    out = folder / "out.csv"
    for arguments in (("holdings", "export", "BENCH", "--out", out), ("usage", "BENCH", "--json")):
        done = subprocess.run(
            [PROGRAM, *arguments, "--config", "config.toml"],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr)
    with out.open(encoding="utf-8-sig", newline="") as file:
        found = sum(1 for _ in csv.DictReader(file))
    counted = json.loads(done.stdout)
    if (found, counted["holdings_uploaded"]) != (held, held):
        raise RuntimeError(f"{name}: {found} held, {counted} counted, where {held} are right")


def _write(records_path: Path, every: Path, most: Path) -> None:
    """The files of holdings, in an order that is not that of the records."""
    numbers = [(control_field(marc, "001").strip(), marc) for marc in _records(records_path)]
    rows = [
        ("" if index % ISBN_EVERY == 0 else number,
         _isbn(marc) if index % ISBN_EVERY == 0 else "",
         f"TP{index % 400}/{index}", f"B{index:09d}", "Main library", 1 + index % 3)
        for index, (number, marc) in enumerate(numbers)
    ]  # fmt: skip
    header = ("control_number", "isbn", "call_number", "barcodes", "location", "copies")
    order = list(range(len(rows)))
    random.Random(_SEED).shuffle(order)
    for path, chosen in (
        (every, order),
        (most, [index for index in order if index % LEFT_OUT_EVERY]),
    ):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(rows[index] for index in chosen)


def _records(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while head := file.read(5):
            yield head + file.read(int(head) - 5)


def _isbn(marc: bytes) -> str:
    field = parse(marc).first("020")
    return field.first("a") if field is not None else ""


if __name__ == "__main__":
    sys.exit(main())
