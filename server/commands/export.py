"""`lianmu export`: records of the catalogue in a file, or on standard output."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, cast

import click
from pyroaring import BitMap

from protocol import cql
from protocol.china_time import CHINA
from protocol.diagnostic import Diagnostic, SruFault
from protocol.iso2709 import MalformedRecord, parse
from server.cataloguing.export_forms import (
    ENCODINGS,
    FORMS,
    ExportForm,
    Unwritable,
    Written,
    export_form,
)
from server.commands.options import config_option, institution_code
from server.commands.progress import LongWork
from server.config import Config
from server.processes.serving import give_way, is_serving
from store.catalogue import SqliteCatalogue
from store.export import Exported, Selection, exported

SHOWN_MAX = 10  # of the records that are not as they were, on stderr


class Moment(click.ParamType[datetime]):
    """A day, or a day and a time, of Asia/Shanghai where no other zone is said."""

    name = "date"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value} is no date as 2024-01-31 or 2024-01-31T08:00", param, ctx)
        return moment.replace(tzinfo=moment.tzinfo or CHINA)


@dataclass(slots=True)
class ExportSummary:
    """What an export did. `altered` are among the written."""

    written: int = 0
    altered: int = 0  # with something left out that the form cannot hold
    refused: int = 0  # not written, since the form cannot hold them


@click.command(
    epilog="Example: lianmu export --config config.toml --database cn_cat --since 2024-01-01"
    " --form marcxml --out cn.xml.gz"
)
@config_option
@click.option(
    "--database", "databases", multiple=True, help="Only of this one; may be given again."
)
@click.option("--query", metavar="CQL", help="Only what this query finds.")
@click.option("--since", type=Moment(), help="Only what was changed on that day or later.")
@click.option("--until", type=Moment(), help="Only what was changed on that day or before.")
@click.option("--held-by", metavar="CODE", help="Only what this library holds.")
@click.option("--form", type=click.Choice(FORMS), default="marc", show_default=True)
@click.option(
    "--encoding",
    type=click.Choice(ENCODINGS, case_sensitive=False),
    help="Of the form marc.  [default: utf-8]",
)
@click.option(
    "--references",
    is_flag=True,
    help="Write &#x4E00; for a character that the encoding lacks.",
)
@click.option("--holdings", is_flag=True, help="Put who holds a record into 905 or 852.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file, packed if it ends in .gz; without it standard output.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="List there, as CSV, what the form cannot hold.",
)
@click.option("--json", "as_json", is_flag=True, help="Give the result as JSON.")
def export(
    config: Config,
    databases: tuple[str, ...],
    query: str | None,
    since: datetime | None,
    until: datetime | None,
    held_by: str | None,
    form: str,
    encoding: str | None,
    references: bool,
    holdings: bool,
    out: Path | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Write records to a file, in any form.

    All are of one state of the catalogue. A record that the form cannot hold is
    named and left out, and the status is 1 then; one of which the form cannot
    hold everything is named, too. json is MARC-in-JSON, one record a line; csv
    has brief facts and who holds a record.

    The file gets its name when it is whole.
    """
    if (encoding or references) and form != "marc":
        raise click.UsageError("--encoding and --references are for --form marc.")
    if holdings and form == "csv":
        raise click.UsageError("--form csv has the holdings without --holdings.")
    names = {database.name for database in config.databases}
    for name in databases:
        if name.lower() not in names:
            raise click.BadParameter(
                f"there is no database {name}; there are {', '.join(sorted(names))}",
                param_hint="--database",
            )
    if out is None and sys.stdout.isatty() and form == "marc":
        raise click.UsageError("MARC is nothing for a terminal: give --out FILE.")
    chosen = tuple(name.lower() for name in databases)
    selection = Selection(
        databases=chosen,
        since_us=None if since is None else _us(since),
        until_us=None if until is None else _us(_behind(until)),
        held_by=None if held_by is None else institution_code(config, held_by, "--held-by"),
        record_ids=None if query is None else asyncio.run(_found(config, chosen, query)),
    )
    writer = export_form(
        form, encoding=encoding or "utf-8", references=references, holdings=holdings
    )
    if is_serving(config.data_dir):
        give_way()
    summary = ExportSummary()
    with ExitStack() as stack:
        file = stack.enter_context(output(out))
        tell = stack.enter_context(_told(report))
        work = stack.enter_context(LongWork("export"))
        file.write(writer.begin)
        for each in exported(config.data_dir, selection, with_holdings=holdings or form == "csv"):
            made = _made(writer, each)
            name, number = each.record.database.name, each.record.control_number
            if isinstance(made, Unwritable):
                summary.refused += 1
                tell(name, number, "left out", made.reason)
            else:
                file.write(made.octets)
                summary.written += 1
                if made.loss:
                    summary.altered += 1
                    tell(name, number, "written without", made.loss)
            work.update(summary.written + summary.refused, each.share_done, 1.0)
        file.write(writer.end)
    _say(summary, as_json=as_json, to_stderr=out is None)
    if summary.refused:
        raise click.exceptions.Exit(1)


def _made(writer: ExportForm, each: Exported) -> Written | Unwritable:
    """A record in the form; one whose octets are damaged is none that anybody could read."""
    try:
        parse(each.record.marc)
    except MalformedRecord as error:
        return Unwritable(f"the record is damaged: {error}")
    return writer.make(each.record, each.holdings)


async def _found(config: Config, databases: tuple[str, ...], query: str) -> BitMap:
    """The records that a query finds."""
    tree = cql.parse_query(query)
    if isinstance(tree, SruFault):
        told = tree.message or tree.condition.message
        raise click.BadParameter(
            f"{told}: {tree.details}" if tree.details else told, param_hint="--query"
        )
    catalogue = SqliteCatalogue(config.data_dir)
    try:
        meant = catalogue.resolve(databases or ("all",))
        found = (
            meant if isinstance(meant, Diagnostic) else (await catalogue.search(meant, tree, {}))
        )
    finally:
        catalogue.close()
    if isinstance(found, Diagnostic):
        raise click.BadParameter(
            f"{found.condition.message}: {found.addinfo}".removesuffix(": "), param_hint="--query"
        )
    return found.records


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def _behind(until: datetime) -> datetime:
    """The first moment that is too late: a day that is named without a time is meant whole."""
    is_day = (until.hour, until.minute, until.second, until.microsecond) == (0, 0, 0, 0)
    return until + (timedelta(days=1) if is_day else timedelta(microseconds=1))


@contextmanager
def output(path: Path | None) -> Iterator[BinaryIO]:
    """Where the records go; a file gets its name when it is whole."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            if path.suffix == ".gz":
                # Without name and time: the same records are the same octets.
                with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _told(report: Path | None) -> Iterator[Callable[[str, str, str, str], object]]:
    """Tells of a record that is not as it was: in the report, or the first ones on stderr."""
    if report is not None:
        with report.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("database", "control_number", "what", "reason"))
            yield lambda *row: rows.writerow(row)
        return
    count = 0

    def tell(database: str, control_number: str, what: str, reason: str) -> None:
        nonlocal count
        count += 1
        if count <= SHOWN_MAX:
            click.echo(f"{database} {control_number}: {what}: {reason}", err=True)
        elif count == SHOWN_MAX + 1:
            click.echo("… and more: --report FILE lists them all", err=True)

    yield tell


def _say(summary: ExportSummary, *, as_json: bool, to_stderr: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(summary)), err=to_stderr)
        return
    click.echo(f"written    {summary.written:>10,}", err=to_stderr)
    if summary.altered:
        click.echo(f"altered    {summary.altered:>10,}  of those written", err=to_stderr)
    if summary.refused:
        click.echo(f"left out   {summary.refused:>10,}", err=to_stderr)
