"""`lianmu doctor`: whether what the data folder holds is whole and agrees with itself."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from metering.fold import source
from metering.interface import MeteringError
from metering.spool_format import Position, lock, segments, spools
from metering.spool_reading import DONE, read_spool
from server.accounting.ledger import Accounting
from server.commands.options import config_option, now_us
from server.config import Config
from server.covers.checking import check_covers
from server.processes.serving import give_way, is_serving
from store.doctor import SAMPLE_DEFAULT, SAMPLE_MAX, Finding, examine, examine_file
from store.holding_events import HoldingEvents
from store.members import SCHEMA_VERSION as MEMBERS_SCHEMA_VERSION
from store.sqlite import FILE_NAME, StoreError, open_reader

# With less than that, and less than a tenth of the catalogue, a load may not end.
DISK_FREE_BYTES_MIN = 1 << 30
SPOOL_ENTRIES_MAX = 100_000  # counted of one spool


@click.command(
    epilog="Example: lianmu doctor --config config.toml --sample 2000; lianmu doctor"
    " --config config.toml --all --json"
)
@config_option
@click.option(
    "--sample",
    type=click.IntRange(0, SAMPLE_MAX),
    default=SAMPLE_DEFAULT,
    show_default=True,
    metavar="N",
    help="Check every posting of that many records, drawn at random.",
)
@click.option("--all", "everything", is_flag=True, help="Check every posting of every record.")
@click.option("--seed", type=int, help="Draw the same records again.")
@click.option("--json", "as_json", is_flag=True, help="Give the findings as JSON.")
def doctor(config: Config, sample: int, everything: bool, seed: int | None, as_json: bool) -> None:
    """Compare the index with the records and the ledger with itself.

    Looks at the files, the history of records, holdings and what the ledger was
    told of them, every count and every row of the index, every posting of a sample
    of records, and cover images. Changes nothing, and may run beside a server.

    Ends with status 1 when anything is amiss, and 2 when there is no catalogue
    that could be looked at. What is marked "note" is nothing amiss.
    """
    if is_serving(config.data_dir):
        give_way()
    found = list(findings(config, None if everything else sample, seed))
    problems = sum(finding.is_problem for finding in found)
    if as_json:
        click.echo(
            json.dumps(
                {"ok": not problems, "findings": [asdict(finding) for finding in found]},
                ensure_ascii=False,
            )
        )
    else:
        for finding in found:
            mark = "" if finding.is_problem else "note: "
            click.echo(f"{finding.part:10} {mark}{finding.text}")
        click.echo(f"{problems:,} problems found" if problems else "no problem found")
    if problems:
        raise click.exceptions.Exit(1)


def findings(config: Config, sample: int | None, seed: int | None) -> Iterator[Finding]:
    """All that is found, problems and notes."""
    console = Console(stderr=True)
    with console.status("") as status:
        yield from _catalogue(config, sample, seed, lambda step: status.update(f"looks at {step}"))
        status.update("looks at the members")
        yield from _members(config)
        status.update("looks at the covers")
        yield from check_covers(config, whole=sample is None)
        status.update("hashes the ledger")
        yield from _ledger(config)
    yield from _disk(config.data_dir)


def _catalogue(
    config: Config, sample: int | None, seed: int | None, tell: Callable[[str], None]
) -> Iterator[Finding]:
    path = config.data_dir / FILE_NAME
    connection = open_reader(path)
    try:
        yield from examine(connection, path, sample=sample, seed=seed, tell=tell)
    finally:
        connection.close()


def _members(config: Config) -> Iterator[Finding]:
    if not config.members_path.exists():
        with closing(HoldingEvents(config.data_dir)) as events:
            first = next(events.after(0), None)
        if first is not None:
            lost = f"{config.members_path.name} is gone: {first.institution} has had holdings"
            yield Finding("members", lost)
        else:
            yield Finding("members", "there is no member yet", is_problem=False)
        return
    yield from examine_file(config.members_path, "members", MEMBERS_SCHEMA_VERSION)


def _ledger(config: Config) -> Iterator[Finding]:
    if not config.ledger_path.exists():
        if config.spool_dir.exists():  # which a server makes, and the ledger with it
            yield Finding("ledger", f"{config.ledger_path.name} is gone: a server has run here")
        else:
            yield Finding("ledger", "there is no ledger yet", is_problem=False)
        return
    try:
        with Accounting(config) as accounting:
            verification = accounting.ledger.verify()
            if not verification.ok:
                yield Finding("ledger", verification.problem)
            else:
                yield Finding(
                    "ledger",
                    f"{verification.entries:,} entries, {verification.head_hash.hex()}",
                    is_problem=False,
                )
            with accounting.ledger.reading() as snapshot:
                positions = snapshot.positions()
        yield from _spools(config.spool_dir, positions)
    except (MeteringError, StoreError) as error:
        yield Finding("ledger", str(error))


def _spools(root: Path, positions: dict[str, tuple[int, int]]) -> Iterator[Finding]:
    """What workers that are gone have left, and the ledger does not know yet."""
    for spool in spools(root) if root.is_dir() else ():
        start = Position(*positions.get(source(spool), (0, 0)))
        owned = lock(spool, shared=True)
        if owned is None:
            continue  # its worker runs
        try:
            if start == DONE or not segments(spool):
                yield Finding("spool", f"{spool.name} is in the ledger", is_problem=False)
                continue
            reading = read_spool(
                spool, start, orphan=True, now_us=now_us(), limit=SPOOL_ENTRIES_MAX
            )
        except MeteringError as error:
            yield Finding("spool", f"{spool.name}: {error}")
            continue
        finally:
            os.close(owned)
        if reading.damaged or reading.gap:
            yield Finding("spool", f"{spool.name} is damaged: segments {reading.damaged}")
        yield Finding(
            "spool",
            f"{spool.name} of a worker that is gone holds {len(reading.drafts):,} entries that"
            " are not in the ledger yet: the next server takes them in",
            is_problem=False,
        )


def _disk(data_dir: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(data_dir).free
    catalogue = data_dir / FILE_NAME
    needed = max(DISK_FREE_BYTES_MIN, catalogue.stat().st_size // 10 if catalogue.exists() else 0)
    if free < needed:
        yield Finding(
            "disk",
            f"{free / 1e9:.1f} GB are free in {data_dir}; a load may need {needed / 1e9:.1f}",
        )
