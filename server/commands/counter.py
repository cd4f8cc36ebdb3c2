"""`lianmu counter`: usage reports in the manner of COUNTER 5.1."""

from __future__ import annotations

import click

from metering.counter_forms import REPORTS, THE_WORLD, Report, to_json, to_tsv
from metering.counter_report import count_usage, last_day
from metering.entry import accounting_day
from metering.search_counts import SearchCountFile
from server.accounting.ledger import Accounting
from server.commands.options import config_option, existing_institution, now_us
from server.commands.usage import FIRST_YEAR, LAST_YEAR
from server.config import Config
from server.processes import writer_process


@click.command(epilog="Example: lianmu counter PKU --year 2025 --format tsv --config config.toml")
@click.argument("code", required=False)
@click.option("--all", "everyone", is_flag=True, help="All usage, attributed or not.")
@click.option(
    "--year", type=click.IntRange(FIRST_YEAR, LAST_YEAR), required=True,
    help="Calendar year in China.",
)  # fmt: skip
@click.option("--month", type=click.IntRange(1, 12), help="One month of it only.")
@click.option(
    "--report", "report_id", type=click.Choice(list(REPORTS), case_sensitive=False),
    default="PR", show_default=True,
    help="Platform or database report, or a standard view of one.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(("json", "tsv")), default="tsv", show_default=True
)
@config_option
def counter(
    code: str | None,
    everyone: bool,
    year: int,
    month: int | None,
    report_id: str,
    form: str,
    config: Config,
) -> None:
    """Searches and requests of a member by month, in the manner of COUNTER 5.1.

    Robots' accounts ([usage_reports] excluded_accounts), ISBN batches and double
    clicks are left out. These figures have nothing to do with the bill: there,
    every delivery outside the repeat window counts.
    """
    if (code is None) != everyone:
        raise click.UsageError("name a member's CODE, or --all")
    institution = None if code is None else existing_institution(config, code, "CODE")
    own = None if institution is None else institution.code
    now = now_us()
    _, today = accounting_day(now)
    first, last = (1, 12) if month is None else (month, month)
    end = year * 10_000 + last * 100 + last_day(year, last)
    section = config.usage_reports
    writer_process.prepare(config)
    with Accounting(config) as accounting:
        accounting.folder.fold()
        usage = count_usage(
            year,
            lambda: accounting.ledger.entries(own, year),
            SearchCountFile(config.data_dir).of_year(year, own),
            databases=[database.name for database in config.databases],
            excluded_accounts=section.excluded_accounts,
        )
    report = Report(
        report_id=report_id,
        usage=usage,
        code=own or "",
        name=THE_WORLD if institution is None else institution.name,
        first_month=first,
        last_month=last,
        created_us=now,
        available_to=_dashed(today) if today <= end else "",
        platform=section.platform,
        publisher=section.publisher,
        registry_record=section.registry_record,
        titles={database.name: database.title for database in config.databases},
    )
    click.echo(to_tsv(report) if form == "tsv" else to_json(report), nl=False)


def _dashed(day: int) -> str:
    return f"{day // 10_000}-{day // 100 % 100:02d}-{day % 100:02d}"
