"""`lianmu usage`"""

from __future__ import annotations

from dataclasses import asdict

import click
import msgspec

from metering.entry import accounting_day
from metering.estimate import estimate
from metering.money import yuan
from metering.tariff import tariff_of_year
from server.accounting.ledger import Accounting
from server.accounting.settling import open_settlements
from server.commands.options import config_option, existing_institution, now_us
from server.config import Config
from server.processes import writer_process

FIRST_YEAR, LAST_YEAR = 1998, 9998


@click.command(epilog="Example: lianmu usage PKU --year 2026 --json --config config.toml")
@click.argument("code")
@click.option(
    "--year",
    type=click.IntRange(FIRST_YEAR, LAST_YEAR),
    help="Calendar year in China; the present one without it.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON rather than lines for people.")
@config_option
def usage(code: str, year: int | None, as_json: bool, config: Config) -> None:
    """One member's year: holdings, downloads, quota and what is owed by now.

    An estimate until the year is settled. Afterwards the settlement is what counts: it is
    named, and so is what has come since.
    """
    institution = existing_institution(config, code, "CODE")
    year = year or accounting_day(now_us())[0]
    writer_process.prepare(config)
    with Accounting(config) as accounting:
        figures = accounting.usage.usage(institution.code, year)
    with open_settlements(config) as settlements:
        documents = settlements.documents(year, institution.code)
        waiting = settlements.open_differences(year, institution.code) if documents else []
    money = estimate(figures, tariff_of_year(year, config.tariffs))
    if as_json:
        told = {
            **asdict(figures),
            "batch_fen": money.batch_fen,
            "credit_fen": money.credit_fen,
            "estimate": not documents,
            "documents": {document.number: document.net_fen for document in documents},
            "open_fen": sum(document.net_fen for document in waiting),
        }
        click.echo(msgspec.json.encode(told).decode())
        return
    click.echo(f"{institution.code} {institution.name}, {year}")
    click.echo(f"holdings uploaded  {figures.holdings_uploaded:>10}")
    click.echo(f"downloads          {figures.downloads:>10}")
    click.echo(f"repeats, not billed{figures.repeats:>10}")
    click.echo(f"quota, 120 %       {figures.quota:>10}")
    click.echo(f"billable           {figures.billable:>10}")
    click.echo(f"charge, yuan       {yuan(money.download_fen):>10}")
    click.echo(f"ISBN batches       {figures.batch:>10}")
    click.echo(f"charge, yuan       {yuan(money.batch_fen):>10}")
    for item, quantity in sorted({**figures.uploads, **figures.covers}.items()):
        click.echo(f"{item:<28} {quantity}")
    click.echo(f"credit, yuan       {yuan(money.credit_fen):>10}")
    click.echo(f"tariff             {money.tariff:>10}")
    for document in documents:
        click.echo(f"{document.status:<10}{document.number}, net {yuan(document.net_fen)} yuan")
    if documents:
        for difference in waiting:
            click.echo(
                f"Entries since then change it by {yuan(difference.net_fen)} yuan:"
                f" lianmu settle {year} --note REASON"
            )
    elif year < accounting_day(now_us())[0]:
        click.echo("An estimate: the year is over, and is not settled yet.")
    else:
        click.echo("An estimate: holdings of the rest of the year still raise the quota.")
