"""`lianmu load`"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from protocol.charset import ENCODINGS
from server.accounting.ledger import Accounting
from server.cataloguing import load_as
from server.commands.load_duplicates import IGNORE, MODES, REFUSE, UNASKED_RECORDS_MAX, LoadCheck
from server.commands.options import config_option, files_argument, institution_code, report_path
from server.commands.person import here, note_down
from server.commands.progress import LongWork
from server.config import Config
from server.processes import writer_process
from server.processes.serving import give_way, is_serving
from store.bulk import OFFLINE_LIMITS, SERVING_LIMITS
from store.load import load as load_records
from store.load_journal import Progress
from store.writer import CatalogueWriter


@click.command(
    epilog="Example: lianmu load --config config.toml --database cn_cat --encoding gb18030"
    " --holdings PKU pku.iso"
)
@config_option
@click.option("--database", required=True, help="Which database, as the configuration names it.")
@click.option(
    "--encoding",
    type=click.Choice(["auto", *ENCODINGS], case_sensitive=False),
    default="auto",
    show_default=True,
    help="Of ISO 2709 files; XML says its own, JSON is UTF-8.",
)
@click.option("--holdings", metavar="CODE", help="Enter each record as held by this member.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where refused records are listed; by default in the data folder.",
)
@click.option(
    "--duplicates",
    type=click.Choice(MODES),
    help="Of new records that look like others: report them, which is done without this for up"
    f" to {UNASKED_RECORDS_MAX:,} new records, refuse them, merge the certain ones, or ignore it.",
)
@click.option(
    "--as",
    "account",
    metavar="MEMBER/ACCOUNT",
    help="Send each record as this account would: validated, checked for duplicates, credited.",
)
@click.option("--restart", is_flag=True, help="Begin a load that was broken off anew.")
@click.option("--json", "as_json", is_flag=True, help="Give the result as JSON.")
@files_argument
def load(
    config: Config,
    database: str,
    encoding: str,
    holdings: str | None,
    report: Path | None,
    duplicates: str | None,
    account: str | None,
    restart: bool,
    as_json: bool,
    files: tuple[Path, ...],
) -> None:
    """Load MARC records: ISO 2709, MARCXML or MARC-in-JSON, also .gz, .xz, .bz2 and .zip.

    A record with the 001 and 003 of one that is there replaces it. A record
    that cannot be read is refused, listed in the report with its offset, 001
    and reason, and the load goes on.

    A load that was broken off goes on where it stopped when the same command
    is given again. Beside a running server it writes in smaller steps and takes
    only the CPU that the server leaves.

    With `--as` the records are uploads of an account, one by one: it needs the
    right to upload, the catalogue numbers them, 905 or 852 of the member become
    its holdings, and duplicates are refused unless told `--duplicates ignore`.
    """
    target = next((d for d in config.databases if d.name == database.lower()), None)
    if target is None:
        names = ", ".join(d.name for d in config.databases)
        raise click.BadParameter(
            f"there is no database {database}; there are {names}", param_hint="--database"
        )
    institution = institution_code(config, holdings, "--holdings") if holdings is not None else None
    writer_process.prepare(config)
    if report is None:
        report = report_path(config, f"load-{target.name}", "csv")
    report.parent.mkdir(parents=True, exist_ok=True)
    limits = OFFLINE_LIMITS
    if is_serving(config.data_dir):
        limits = SERVING_LIMITS
        give_way()
    if account is not None:
        if holdings is not None or restart or duplicates not in (None, REFUSE, IGNORE):
            raise click.UsageError(
                "--as goes with --duplicates refuse or ignore, and not with --holdings or --restart"
            )
        _load_as(config, account, files, target.name, encoding, duplicates, report, as_json)
        return
    writer = CatalogueWriter(config.data_dir, config.databases, durable=config.metering.fsync)
    # What it did to each record is in the record's history. Without a row of its end it
    # was broken off.
    loaded = {
        "institution": institution or "", "subject": target.name,
        "reason": ", ".join(path.name for path in files),
    }  # fmt: skip
    note_down(config, "load", **loaded, after="begun")
    try:
        check = LoadCheck(writer, target.name, files, duplicates)
        with LongWork(target.name) as work, check.screen() as screen:
            summary = load_records(
                writer, files, target.name, encoding=encoding, holdings=institution,
                progress=work.update, report=report, limits=limits, restart=restart,
                resumed=lambda done: _tell(files, done), screen=screen,
                is_serving=lambda: is_serving(config.data_dir),
            )  # fmt: skip
        report = summary.report or report
        found = check.after(summary, report)
        if summary.report is None and not found.told:
            report = None
    finally:
        writer.close()
    note_down(
        config, "load", **loaded, before="begun",
        after=f"{summary.loaded} loaded, {summary.replaced} replaced,"
        f" {summary.holdings_added} holdings, {found.merged} merged",
    )  # fmt: skip
    with Accounting(config) as accounting:
        accounting.folder.fold(lag_us=0)  # a running server would do it soon
    if as_json:
        result = asdict(summary) | {"report": str(report) if report else None}
        result["duplicates"] = asdict(found)
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    click.echo(f"loaded     {summary.loaded:>10,}")
    click.echo(f"replaced   {summary.replaced:>10,}")
    click.echo(f"unchanged  {summary.unchanged:>10,}")
    click.echo(f"refused    {summary.refused:>10,}")
    if summary.warnings:
        click.echo(f"mended     {summary.warnings:>10,}  of those stored")
    if institution is not None:
        click.echo(f"holdings   {summary.holdings_added:>10,}  new for {institution}")
    if found.told:
        click.echo(f"duplicates {found.certain:>10,}  certain, {found.possible:,} possible")
    if found.merged:
        click.echo(f"merged     {found.merged:>10,}")
    if not found.looked and duplicates is None:
        click.echo("duplicates not looked for among so many: run `lianmu dedupe`")
    if report is not None:
        click.echo(f"report     {report}")


def _load_as(
    config: Config,
    account: str,
    files: Sequence[Path],
    database: str,
    encoding: str,
    duplicates: str | None,
    report: Path,
    as_json: bool,
) -> None:
    target = next(each for each in config.databases if each.name == database)
    try:
        principal = load_as.principal_named(config, account)
    except load_as.NoSuchAccountError as error:
        raise click.BadParameter(str(error), param_hint="--as") from None
    with LongWork(database) as work:
        sent = load_as.send_files(
            config, principal, files, target, encoding=encoding, report=report,
            confirmed=duplicates == IGNORE, address=here().address, progress=work.update,
        )  # fmt: skip
    with Accounting(config) as accounting:
        accounting.folder.fold(lag_us=0)
    if as_json:
        result = asdict(sent) | {"report": str(sent.report) if sent.report else None}
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    for name in ("created", "replaced", "unchanged", "refused"):
        click.echo(f"{name:10} {getattr(sent, name):>10,}")
    if sent.warnings:
        click.echo(f"warnings   {sent.warnings:>10,}  of those accepted")
    for state, count in sent.credit.items():
        click.echo(f"credit     {count:>10,}  {state}")
    if sent.report is not None:
        click.echo(f"report     {sent.report}")


def _tell(files: Sequence[Path], done: Progress) -> None:
    click.echo(
        f"goes on behind record {done.sources:,} of {files[done.file]}; an earlier run stored"
        f" {done.records - done.refused:,} records and refused {done.refused:,}",
        err=True,
    )
