"""`lianmu reindex` and `lianmu doctor`: the index against its records."""

from __future__ import annotations

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from server.accounting import Accounting
from server.commands.options import config_option
from server.config import Config
from store.reindex import check
from store.reindex import reindex as build_index
from store.sqlite import FILE_NAME, open_reader
from store.writer import CatalogueWriter


@click.command(epilog="Example: lianmu reindex --config config.toml")
@config_option
def reindex(config: Config) -> None:
    """Build the index anew from the records, after an upgrade that asks for it.

    A running server goes on with the old index until the new one is there.
    """
    writer = CatalogueWriter(config.data_dir, config.databases)
    try:
        with Progress(
            SpinnerColumn(), TextColumn("records"), MofNCompleteColumn(), TimeElapsedColumn(),
            console=Console(stderr=True), transient=True,
        ) as progress:  # fmt: skip
            task = progress.add_task("reindex", total=None)
            records = build_index(
                writer, progress=lambda done: progress.update(task, completed=done)
            )
    finally:
        writer.close()
    click.echo(f"indexed    {records:>10,}")


@click.command(epilog="Example: lianmu doctor --config config.toml")
@config_option
def doctor(config: Config) -> None:
    """Compare the index with the records and the ledger with itself.

    Takes as long as `lianmu reindex`. Ends with status 1 when anything is amiss.
    """
    connection = open_reader(config.data_dir / FILE_NAME)
    try:
        findings = check(connection)
    finally:
        connection.close()
    with Accounting(config) as accounting:
        verification = accounting.ledger.verify()
    for finding in findings:
        click.echo(f"catalogue  {finding}")
    if not verification.ok:
        click.echo(f"ledger     {verification.problem} (entry {verification.first_bad})")
    if findings or not verification.ok:
        raise click.exceptions.Exit(1)
    click.echo("catalogue  the index is what the records bring")
    click.echo(f"ledger     {verification.entries:,} entries, {verification.head_hash.hex()}")
