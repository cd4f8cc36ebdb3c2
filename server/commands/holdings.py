"""`lianmu holdings`: what members hold, to and from files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click
import msgspec

from protocol.charset import ENCODINGS
from protocol.record import Holding
from server.access_control.principal import Principal
from server.accounting.ledger import Accounting
from server.commands.export import output
from server.commands.options import config_option, institution_code, report_path
from server.commands.person import here, login, person_option
from server.commands.progress import LongWork, Stages
from server.config import Config
from server.holdings.batch import OFFLINE_RECORDS, SERVING_RECORDS, BatchRefused, OnProgress
from server.holdings.change import BatchRequest, Format, Mode, Summary
from server.holdings.exporting import export
from server.holdings.importing import Difference, differences, import_file, rehearse
from server.processes import writer_process
from server.processes.serving import give_way, is_serving
from store.holdings_journal import ImportProgress
from store.holdings_listing import held_count, held_records
from store.sqlite import FILE_NAME, open_reader
from store.writer import CatalogueWriter

_REFUSALS_SHOWN = 10
_SAID = [each.name for each in fields(Holding) if each.name not in {"institution", "record_id"}]


@click.group(epilog="Example: lianmu holdings import PKU pku.csv --dry-run --config config.toml")
def holdings() -> None:
    """What members hold of the catalogue's records."""


def _reading(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how a file is to be read."""
    for option in (
        click.argument(
            "file", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
        ),
        click.argument("code"),
        click.option(
            "--report",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Where refused lines are listed; by default in the data folder.",
        ),
        click.option(
            "--encoding",
            type=click.Choice(["auto", *ENCODINGS], case_sensitive=False),
            default="auto",
            show_default=True,
            help="Of CSV and ISO 2709 files; XML says its own, JSON is UTF-8.",
        ),
        click.option(
            "--form",
            type=click.Choice([form.value for form in Format]),
            help="What the file is; told by its content without this.",
        ),
        click.option("--database", help="The one that is meant where a line names none."),
    ):
        function = option(function)
    return function


@holdings.command(
    "import",
    epilog="Example: lianmu holdings import PKU pku.csv --database cn_cat --config config.toml",
)
@config_option
@_reading
@click.option(
    "--only",
    type=click.Choice([Mode.ADD.value, Mode.CHANGE.value, Mode.REMOVE.value]),
    help="Only add what is not held, change what is, or take away what the file names.",
)
@click.option("--replace-all", is_flag=True, help="Take away whatever the file does not name.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before --replace-all takes anything away.")
@click.option("--restart", is_flag=True, help="Begin an import that was broken off anew.")
@person_option
@click.option("--json", "as_json", is_flag=True, help="Give the result as JSON.")
def import_(
    config: Config,
    code: str,
    file: Path,
    database: str | None,
    form: str | None,
    encoding: str,
    report: Path | None,
    only: str | None,
    replace_all: bool,
    dry_run: bool,
    yes: bool,
    restart: bool,
    who: str | None,
    as_json: bool,
) -> None:
    """Carry out a file of what member CODE holds.

    CSV with a first line that names the columns (control_number 控制号, isbn,
    call_number 索书号, barcodes 条码号, copies 复本数 …), JSON, ISO 2709 or MARCXML
    with 905 or 852; also packed as .gz, .bz2, .xz and .zip. A record is named by its
    control number, the member's own number in 035, or its ISBN or ISSN if one record
    has it. docs/holdings.md has all of it.

    Lines that cannot be carried out are listed in the report, and the others are
    done. An import that was broken off goes on where it stopped when the same
    command is given again.
    """
    if only and replace_all:
        raise click.UsageError("--only and --replace-all exclude each other.")
    mode = Mode.REPLACE_ALL if replace_all else Mode(only or Mode.PUT)
    request = _request(config, code, file, database, form, encoding, mode, who or login())
    if report is None:
        report = report_path(config, f"holdings-{request.institution}", "csv")
    writer_process.prepare(config)
    with _refused():
        if dry_run:
            with _progress() as progress:
                summary = rehearse(config, request, file, report=report, progress=progress)
            _tell(summary, as_json=as_json)
            return
        done = _import(config, request, file, report, restart=restart, asks=not yes)
    if done is None:
        raise click.Abort
    with Accounting(config) as accounting:
        accounting.folder.fold(lag_us=0)  # a running server would do it soon
    _tell(done, as_json=as_json)


def _import(
    config: Config, request: BatchRequest, file: Path, report: Path, *, restart: bool, asks: bool
) -> Summary | None:
    records_max = OFFLINE_RECORDS
    if is_serving(config.data_dir):
        records_max = SERVING_RECORDS
        give_way()

    def resumed(done: ImportProgress) -> None:
        click.echo(
            f"goes on: {done.records:,} records are done, {done.added:,} added,"
            f" {done.changed:,} changed, {done.removed:,} removed",
            err=True,
        )

    writer = CatalogueWriter(config.data_dir, config.databases, durable=config.metering.fsync)
    try:
        with _progress() as progress:
            return import_file(
                config, request, file, writer, records_max=records_max, report=report,
                restart=restart, progress=progress, resumed=resumed,
                confirm=_confirm if asks and request.mode is Mode.REPLACE_ALL else None,
            )  # fmt: skip
    finally:
        writer.close()


def _confirm(summary: Summary) -> bool:
    _tell(summary, as_json=False, err=True)
    if not summary.removed:
        return True
    return click.confirm(
        f"Take away {summary.removed:,} of the {summary.held_before:,} holdings"
        f" of {summary.institution}?",
        err=True,
    )


@holdings.command(
    "diff", epilog="Example: lianmu holdings diff PKU pku.csv --json --config config.toml"
)
@config_option
@_reading
@click.option("--summary", "only_summary", is_flag=True, help="Only count the differences.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def diff(
    config: Config,
    code: str,
    file: Path,
    database: str | None,
    form: str | None,
    encoding: str,
    report: Path | None,
    only_summary: bool,
    as_json: bool,
) -> None:
    """Compare a file with what member CODE holds.

    A line each for what is only in the file (+), only in the catalogue (-) or
    otherwise there (~), and how many in the end. The status is 1 if there is any.
    """
    mode = Mode.REPLACE_ALL
    request = _request(config, code, file, database, form, encoding, mode, login())
    if report is None:
        report = report_path(config, f"holdings-{request.institution}", "csv")
    summary = Summary(institution=request.institution, mode="diff", dry_run=True)
    with _refused(), _progress() as progress:
        for found in differences(config, request, file, summary, report=report, progress=progress):
            if not only_summary:
                click.echo(_json_of(found) if as_json else _line_of(found))
    counts = {
        "only_in_file": summary.added, "only_here": summary.removed, "different": summary.changed,
        "same": summary.unchanged, "refused": summary.refused,
        "report": str(summary.report) if summary.report else None,
    }  # fmt: skip
    if as_json:
        click.echo(msgspec.json.encode(counts).decode())
    else:
        for name, count in counts.items():
            if count is not None:
                text = f"{count:>10,}" if isinstance(count, int) else count
                click.echo(f"{name.replace('_', ' '):<13}{text}")
    if summary.added or summary.removed or summary.changed:
        raise click.exceptions.Exit(1)


@holdings.command(
    "export", epilog="Example: lianmu holdings export PKU --out pku.csv.gz --config config.toml"
)
@config_option
@click.argument("code")
@click.option("--database", help="Only of this one.")
@click.option(
    "--form",
    type=click.Choice([form.value for form in Format]),
    default=Format.CSV.value,
    show_default=True,
    help="json is one object a line.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file, packed if it ends in .gz; without it standard output.",
)
def export_(config: Config, code: str, database: str | None, form: str, out: Path | None) -> None:
    """Write down what member CODE holds, as `import` and `diff` read it."""
    institution = institution_code(config, code, "CODE")
    named = _database(config, database)
    count = 0
    with (
        closing(open_reader(config.data_dir / FILE_NAME)) as connection,
        output(out) as file,
        LongWork(institution) as work,
    ):
        total = held_count(connection, institution)

        def counted() -> Iterator[Any]:
            nonlocal count
            for count, held in enumerate(
                held_records(connection, institution, database=named or None), 1
            ):
                work.update(count, count, total)
                yield held

        for part in export(counted(), Format(form)):
            file.write(part)
    click.echo(f"written    {count:>10,}", err=True)


def _request(
    config: Config,
    code: str,
    file: Path,
    database: str | None,
    form: str | None,
    encoding: str,
    mode: Mode,
    who: str,
) -> BatchRequest:
    institution = institution_code(config, code, "CODE")
    return BatchRequest(
        # Who can write the catalogue's files acts for every member.
        principal=Principal(who, institution, rights=("holdings",)),
        mode=mode, format=Format(form) if form else None, database=_database(config, database),
        encoding=encoding, institution=institution, protocol="cli", address=here().address,
        source=file.name,
    )  # fmt: skip


def _database(config: Config, name: str | None) -> str:
    if name is None:
        return ""
    names = [database.name for database in config.databases]
    if name.lower() not in names:
        raise click.BadParameter(
            f"there is no database {name}; there are {', '.join(names)}", param_hint="--database"
        )
    return name.lower()


@contextmanager
def _refused() -> Iterator[None]:
    """A batch that cannot be carried out as a whole, as one line."""
    try:
        yield
    except BatchRefused as refused:
        raise click.ClickException(str(refused)) from None


@contextmanager
def _progress() -> Iterator[OnProgress]:
    with Stages() as stages:

        def progress(stage: str, records: int, done: int, total: int | None) -> None:
            stages.update(stage, done, total, records)

        yield progress


def _tell(summary: Summary, *, as_json: bool, err: bool = False) -> None:
    if as_json:
        result = asdict(summary) | {"report": str(summary.report) if summary.report else None}
        click.echo(msgspec.json.encode(result).decode(), err=err)
        return
    if summary.dry_run:
        click.echo("nothing was changed; this would be done:", err=err)
    for name in ("added", "changed", "unchanged", "removed"):
        click.echo(f"{name:<11}{getattr(summary, name):>10,}", err=err)
    click.echo(f"{'refused':<11}{summary.refused:>10,}  lines", err=err)
    click.echo(
        f"{'held':<11}{summary.held_after:>10,}  by {summary.institution},"
        f" {summary.held_before:,} before",
        err=err,
    )
    for each in summary.refusals[:_REFUSALS_SHOWN]:
        click.echo(f"  line {each.line}, {each.name or 'no number'}: {each.text}", err=err)
    if summary.refused > _REFUSALS_SHOWN:
        click.echo(f"  … {summary.refused - _REFUSALS_SHOWN:,} more", err=err)
    if summary.report is not None:
        click.echo(f"{'report':<11}{summary.report}", err=err)


def _line_of(found: Difference) -> str:
    before, after = found.applied.before, found.applied.after
    if before is not None and after is not None:
        return f"~ {found.record}  {_changes(before, after)}"
    only = after or before
    assert only is not None  # noqa: S101 - one of both is there
    said = [only.call_number, f"{only.copies} ×", only.location, only.extent, *only.barcodes]
    return f"{'+' if after is not None else '-'} {found.record}  {', '.join(filter(None, said))}"


def _changes(before: Holding, after: Holding) -> str:
    told = []
    for name in _SAID:
        was, now = getattr(before, name), getattr(after, name)
        if was != now:
            told.append(f"{name.replace('_', ' ')}: {_text(was)} → {_text(now)}")
    return "; ".join(told)


def _text(value: object) -> str:
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return text or "(none)"


def _json_of(found: Difference) -> str:
    database, _, number = found.record.partition(" ")
    return msgspec.json.encode(
        {
            "effect": found.applied.effect.value,
            "database": database,
            "control_number": number,
            "line": found.line or None,
            "before": _values(found.applied.before),
            "after": _values(found.applied.after),
        }
    ).decode()


def _values(held: Holding | None) -> dict[str, object] | None:
    return None if held is None else {name: getattr(held, name) for name in _SAID}
