"""`lianmu load`"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from server import writer_process
from server.accounting import Accounting
from server.commands.options import config_option
from server.config import Config
from store.load import load as load_records
from store.members import Members
from store.writer import CatalogueWriter

ENCODINGS = ("auto", "utf-8", "gb18030", "marc-8", "iso-5426")


@click.command(
    epilog="Example: lianmu load --config config.toml --database cn_cat --encoding gb18030"
    " --holdings PKU pku.iso"
)
@config_option
@click.option("--database", required=True, help="Which database, as the configuration names it.")
@click.option(
    "--encoding",
    type=click.Choice(ENCODINGS, case_sensitive=False),
    default="auto",
    show_default=True,
    help="Of ISO 2709 files; XML says its own.",
)
@click.option("--holdings", metavar="CODE", help="Enter each record as held by this member.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where refused records are listed; by default in the data folder.",
)
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    metavar="FILE…",
)
def load(
    config: Config,
    database: str,
    encoding: str,
    holdings: str | None,
    report: Path | None,
    files: tuple[Path, ...],
) -> None:
    """Load MARC records: ISO 2709 or MARCXML, also .xz, .gz and .zip.

    A record with the 001 and 003 of one that is there replaces it. A record
    that cannot be read is refused, listed in the report with its offset, 001
    and reason, and the load goes on.
    """
    target = next((d for d in config.databases if d.name == database.lower()), None)
    if target is None:
        names = ", ".join(d.name for d in config.databases)
        raise click.BadParameter(
            f"there is no database {database}; there are {names}", param_hint="--database"
        )
    institution = _institution(config, holdings) if holdings is not None else None
    writer_process.prepare(config)
    if report is None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        report = config.data_dir / "reports" / f"load-{target.name}-{stamp}.csv"
    report.parent.mkdir(parents=True, exist_ok=True)
    writer = CatalogueWriter(config.data_dir, config.databases, durable=config.metering.fsync)
    try:
        with Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
            TextColumn("{task.fields[records]:,} records"), TimeElapsedColumn(),
            TimeRemainingColumn(), console=Console(stderr=True), transient=True,
        ) as progress:  # fmt: skip
            task = progress.add_task(target.name, total=None, records=0)

            def advance(records: int, read_bytes: int, total_bytes: int) -> None:
                progress.update(task, completed=read_bytes, total=total_bytes, records=records)

            summary = load_records(
                writer, files, target.name, encoding=encoding, holdings=institution,
                progress=advance, report=report,
            )  # fmt: skip
    finally:
        writer.close()
    with Accounting(config) as accounting:
        accounting.folder.fold(lag_us=0)  # a running server would do it soon
    click.echo(f"loaded     {summary.loaded:>10,}")
    click.echo(f"replaced   {summary.replaced:>10,}")
    click.echo(f"unchanged  {summary.unchanged:>10,}")
    click.echo(f"refused    {summary.refused:>10,}")
    if summary.warnings:
        click.echo(f"mended     {summary.warnings:>10,}  of those stored")
    if institution is not None:
        click.echo(f"holdings   {summary.holdings_added:>10,}  new for {institution}")
    if summary.refused:
        click.echo(f"report     {report}")


def _institution(config: Config, code: str) -> str:
    members = Members(config.members_path, create=True)
    try:
        found = members.institution(code)
    finally:
        members.close()
    if found is None:
        raise click.BadParameter(
            f"there is no institution {code}; add it with `lianmu member add`",
            param_hint="--holdings",
        )
    return found.code
