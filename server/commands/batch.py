"""`lianmu batch`"""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from metering.ledger import Ledger
from metering.money import yuan
from metering.tariff import BATCH_DELIVERY, tariff_at
from server.batch.files import (
    ENCODINGS,
    FORMATS,
    refused_format,
    report_csv,
    report_document,
    report_rows,
)
from server.batch.isbns import BatchInputError, read_isbns
from server.batch.job import Job, Jobs, Order, Phase, State, Status
from server.batch.run import Runner, half_made_beside, hand_over, is_special
from server.commands.options import config_option, existing_institution, now_us
from server.commands.person import note_down
from server.config import Config
from server.errors import BatchError
from server.processes import writer_process
from store.catalogue import SqliteCatalogue

_DAY_US = 86_400_000_000
_WORDS = {
    Status.FOUND: "found",
    Status.SEVERAL: "found, one of several",
    Status.NOT_FOUND: "not found",
    Status.INVALID: "no ISBN",
    Status.DUPLICATE: "there already",
    Status.REFUSED: "not in this format",
}


@click.command(
    epilog="Example: lianmu batch --member PKU order.xlsx --format iso2709 --encoding gb18030"
    " --out order.mrc --report order.csv --config config.toml"
)
@click.argument(
    "isbns", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
)
@click.option("--member", required=True, metavar="CODE", help="Who gets the records, and the bill.")
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path),
    help="The file of records.",
)  # fmt: skip
@click.option(
    "--format", "format_name", type=click.Choice(tuple(FORMATS), case_sensitive=False),
    default="iso2709", show_default=True,
)  # fmt: skip
@click.option(
    "--encoding", type=click.Choice(ENCODINGS, case_sensitive=False), default="utf-8",
    show_default=True, help="Of ISO 2709; XML is in utf-8.",
)  # fmt: skip
@click.option(
    "--references", is_flag=True,
    help="Write a character that the encoding lacks as &#x4E00; rather than refuse the record.",
)  # fmt: skip
@click.option(
    "--database", "databases", multiple=True,
    help="Only from this one, the preferred first; may be repeated. All without it.",
)  # fmt: skip
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path),
    help="What became of each number: JSON if it ends in .json, else CSV.",
)  # fmt: skip
@click.option("--again", is_flag=True, help="Deliver and bill a list anew that was done before.")
@click.option("--json", "as_json", is_flag=True, help="JSON rather than lines for people.")
@config_option
def batch(
    isbns: Path,
    member: str,
    out: Path,
    format_name: str,
    encoding: str,
    references: bool,
    databases: tuple[str, ...],
    report: Path | None,
    again: bool,
    as_json: bool,
    config: Config,
) -> int:
    """Fetch the best record for each ISBN of a list, all in one file.

    ISBNS is plain text, CSV or xlsx. Each record delivered is billed once. A command
    that was killed goes on where it was when it is given again; the same list, done
    before, is handed over again without a bill. The status is 0 when there is a file,
    even an empty one.
    """
    refusal = refused_format(format_name, encoding)
    if refusal:
        raise click.BadParameter(refusal, param_hint="--encoding")
    institution = _member(config, member)
    try:
        lines = read_isbns(
            isbns.read_bytes(), is_csv=isbns.suffix.lower() in (".csv", ".tsv"),
            lines_max=config.batch.numbers_max,
        )  # fmt: skip
    except BatchInputError as error:
        raise click.BadParameter(f"{isbns}: {error}", param_hint="ISBNS") from None
    for target in (out, report):
        if target is not None:
            _check_writable(target)
    writer_process.prepare(config)
    jobs = Jobs(config.batch_dir)
    jobs.forget(now_us() - config.batch.kept_days * _DAY_US)
    order = Order(
        institution=institution, account="", databases=_databases(config, databases),
        format=format_name, encoding=encoding, references=references,
    )  # fmt: skip
    job, is_new = jobs.create(order, lines, now_us(), again=again)
    before = job.state().phase
    if before is not Phase.DONE:
        note_down(
            config, "batch", institution, subject=job.id, reason=isbns.name,
            after=f"{len(lines)} numbers" if is_new else "gone on with",
        )  # fmt: skip
    state = _run(config, job, len(lines))
    if state.phase is not Phase.DONE:
        raise BatchError(f"job {job.id} {state.phase.value}: {state.reason or 'by request'}")
    if before is not Phase.DONE:
        note_down(
            config, "batch", institution, subject=job.id, reason=isbns.name,
            before=f"{len(lines)} numbers", after=f"{state.delivered} records delivered",
        )  # fmt: skip
    hand_over(job.result, out)
    job.note_handed_over()
    tariff = tariff_at(state.billed_at_us, config.tariffs)
    price_fen = tariff.price_fen(BATCH_DELIVERY)
    rows = report_rows(lines, job.journal())
    document = report_document(job.made(), state, rows, price_fen)
    if report is not None:
        is_json = report.suffix.lower() == ".json"
        text = msgspec.json.format(msgspec.json.encode(document)).decode() + "\n"
        report.write_text(text if is_json else report_csv(rows), "utf-8", newline="")
    if as_json:
        click.echo(msgspec.json.encode({**document, "lines": len(rows)}).decode())
        return 0
    if before is Phase.DONE:
        click.echo(f"job        {job.id}, done before: handed over again, nothing is billed")
        click.echo("           (--again makes another job of the list)")
    else:
        click.echo(f"job        {job.id}{'' if is_new else ', gone on with'}")
    for status in Status:
        if state.counts.get(status.value):
            click.echo(f"{_WORDS[status]:<24}{state.counts[status.value]:>8,}")
    click.echo(f"{'records delivered':<24}{state.delivered:>8,}  {out}")
    charge_fen = 0 if before is Phase.DONE else price_fen * state.delivered
    click.echo(f"{'charge, yuan':<24}{yuan(charge_fen):>8}  tariff {tariff.version}")
    return 0


def _run(config: Config, job: Job, total: int) -> State:
    catalogue = SqliteCatalogue(config.data_dir)

    def open_ledger() -> Ledger:
        return Ledger(config.ledger_path, rules=config.counting_rules)

    runner = Runner(catalogue, open_ledger, config.tariffs, now_us)
    console = Console(stderr=True)
    try:
        with Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), TimeRemainingColumn(),
            console=console, transient=True, disable=not console.is_terminal,
        ) as progress:  # fmt: skip
            task = progress.add_task(job.id, total=total)

            def advance(state: State) -> None:
                progress.update(task, completed=state.resolved, description=state.phase.value)

            return asyncio.run(runner.run(job, advance))
    finally:
        catalogue.close()


def _member(config: Config, code: str) -> str:
    found = existing_institution(config, code, "--member").at(now_us())
    if not found.is_open:
        raise click.BadParameter(
            f"the membership of {found.code} is {found.status}", param_hint="--member"
        )
    return found.code


def _databases(config: Config, names: tuple[str, ...]) -> tuple[str, ...]:
    known = {
        name.lower(): database.name
        for database in config.databases
        for name in (database.name, *database.aliases)
    }
    for name in names:
        if name.lower() not in known:
            raise click.BadParameter(
                f"there is no database {name}; there are"
                f" {', '.join(database.name for database in config.databases)}",
                param_hint="--database",
            )
    chosen = names or tuple(database.name for database in config.databases)
    return tuple(dict.fromkeys(known[name.lower()] for name in chosen))


def _check_writable(path: Path) -> None:
    """Fail before anything is billed, not after. OSError names the file."""
    path = path.resolve()
    if is_special(path):
        return
    if not path.parent.is_dir():
        raise click.ClickException(f"{path.parent}: no such folder")
    probe = half_made_beside(path)
    probe.open("wb").close()
    probe.unlink()
