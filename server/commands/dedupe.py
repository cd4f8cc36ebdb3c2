"""`lianmu dedupe`: the duplicates of a whole catalogue."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click
import msgspec

from server import log
from server.cataloguing.duplicate_report import DuplicateReport
from server.commands.options import config_option, report_path
from server.commands.person import here
from server.commands.progress import LongWork, Stages
from server.config import Config
from server.processes.serving import give_way, is_serving
from store.dedupe import find_pairs, merge_certain
from store.duplicate_score import POSSIBLE, SCORE_MAX
from store.sqlite import FILE_NAME, open_reader
from store.writer import CatalogueWriter

audit = log.Log("lianmu.audit")


@click.command(
    epilog="Example: lianmu dedupe --config config.toml --database cn_cat --report duplicates.csv"
)
@config_option
@click.option("--database", help="One database; every one without it.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="Where the pairs go, - for standard output; by default in the data folder.",
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, and a JSON result.")
@click.option(
    "--min-score",
    type=click.IntRange(POSSIBLE, SCORE_MAX),
    default=POSSIBLE,
    show_default=True,
    help="Leave out pairs below.",
)
@click.option("--merge", is_flag=True, help="Merge the pairs that are certain.")
@click.option("--as", "account", metavar="WHO", help="Who merges; needed with --merge.")
def dedupe(
    config: Config,
    database: str | None,
    report: Path | None,
    as_json: bool,
    min_score: int,
    merge: bool,
    account: str | None,
) -> None:
    """Report which records may be the same publication, with a score and its reasons.

    What is compared, and what a score means, is in docs/duplicates.md. Nothing
    changes without --merge; a merge keeps the holdings of both records, and
    `lianmu record undelete` undoes it. A server may run meanwhile.
    """
    if merge and not account:
        raise click.BadParameter("--merge needs to know who merges", param_hint="--as")
    names = {
        name.casefold(): each.name
        for each in config.databases
        for name in (each.name, *each.aliases)
    }
    if database is not None and database.casefold() not in names:
        known = ", ".join(each.name for each in config.databases)
        raise click.BadParameter(
            f"there is no database {database}; there are {known}", param_hint="--database"
        )
    if report is None:
        report = report_path(config, "duplicates", "jsonl" if as_json else "csv")
    certain: list[tuple[int, int]] = []
    with (
        closing(open_reader(config.data_dir / FILE_NAME)) as connection,
        DuplicateReport(report, as_json=as_json) as written,
        Stages() as stages,
    ):
        if is_serving(config.data_dir):
            give_way()
        written.open()
        for pair in find_pairs(
            connection,
            database=names[database.casefold()] if database is not None else None,
            score_min=min_score,
            progress=stages.update,
        ):
            written.add(pair)
            if pair.score.is_certain and merge:
                certain.append((pair.keep.record_id, pair.away.record_id))
    merged = _merge(config, certain, account) if merge and account else 0
    _tell(written, merged if merge else None, as_json=as_json)


def _merge(config: Config, pairs: list[tuple[int, int]], account: str) -> int:
    writer = CatalogueWriter(config.data_dir, config.databases, durable=config.metering.fsync)
    merged = 0
    try:
        with LongWork("merging") as work:
            for done in merge_certain(writer, pairs, account=account, origin=here()):
                merged += 1
                work.update(merged, merged, len(pairs))
                audit.info(
                    "record merged away", control_number=done.away.control_number,
                    into=done.keep.control_number, database=done.keep.database.name,
                    account=account,
                )  # fmt: skip
    finally:
        writer.close()
    return merged


def _tell(written: DuplicateReport, merged: int | None, *, as_json: bool) -> None:
    # What goes to standard output is the report alone.
    err = str(written.path) == "-"
    if as_json:
        result = {
            "pairs": written.pairs, "certain": written.certain, "merged": merged or 0,
            "report": str(written.path),
        }  # fmt: skip
        click.echo(msgspec.json.encode(result).decode(), err=err)
        return
    click.echo(f"possible   {written.pairs - written.certain:>10,}", err=err)
    click.echo(f"certain    {written.certain:>10,}", err=err)
    if merged is not None:
        click.echo(f"merged     {merged:>10,}", err=err)
    click.echo(f"report     {written.path}", err=err)
