"""`lianmu settle`: drafts, final settlements and notes of a year."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from metering.journal import Posting
from metering.ledger_verify import Verification
from metering.money import yuan
from metering.settlement import Settlements
from metering.settlement_store import Settlement
from server.accounting.ledger import Accounting
from server.accounting.settling import fold_year, names_to_settle, open_settlements
from server.commands.ledger import counting
from server.commands.options import config_option, now_us
from server.commands.person import author, person_option
from server.commands.usage import FIRST_YEAR, LAST_YEAR
from server.config import Config
from server.processes import writer_process


@click.command(
    epilog="Example: lianmu settle 2025 --config config.toml, and when the grace period is over"
    " lianmu settle 2025 --final --config config.toml"
)
@click.argument("year", type=click.IntRange(FIRST_YEAR, LAST_YEAR))
@click.option("--member", "code", help="One institution only; else all with an entry in the year.")
@click.option("--dry-run", is_flag=True, help="Show what it would come to; store nothing.")
@click.option("--final", is_flag=True, help="Make it final, after the grace period.")
@click.option("--note", metavar="REASON", help="Notes for what came after the final settlement.")
@click.option(
    "--force", metavar="REASON",
    help="With --final: do not wait for the grace period; the reason is kept in the ledger.",
)  # fmt: skip
@click.option("--journal", is_flag=True, help="Show the postings of the year; change nothing.")
@click.option("--verify", is_flag=True, help="Prove the year's documents against the ledger.")
@click.option("--json", "as_json", is_flag=True, help="JSON rather than lines for people.")
@person_option
@config_option
def settle(
    year: int,
    code: str | None,
    dry_run: bool,
    final: bool,
    note: str | None,
    force: str | None,
    journal: bool,
    verify: bool,
    as_json: bool,
    who: str | None,
    config: Config,
) -> None:
    """Settle the accounting YEAR (of China): a draft, or with --final for good.

    The draft shows every member what it will owe or be owed. The final settlement
    freezes the figures, the tariff and the place in the ledger, and posts the money;
    run again it prints the same. What becomes known later goes into credit and
    debit notes (--note), never into the settlement.
    """
    if (final or note is not None) + journal + verify > 1 or (final and note is not None):
        raise click.UsageError("--final, --note, --journal and --verify exclude each other")
    if force is not None and not final:
        raise click.UsageError("--force goes with --final")
    for option, text in (("--note", note), ("--force", force)):
        if text is not None and not text.strip():
            raise click.BadParameter("a reason is needed", param_hint=option)
    by = author(who)
    names = _names(config, code)
    if code is not None:
        code = next(iter(names))
    writer_process.prepare(config)
    with Accounting(config) as accounting, open_settlements(config) as settlements:
        if verify:
            _verify(settlements, accounting, year, as_json)
            return
        if journal:
            _show_journal(settlements.postings(year), as_json)
            return
        fold_year(accounting, config, year)
        if note is not None:
            if dry_run:
                documents = settlements.open_differences(year, code)
            else:
                verified = _verified(accounting)
                documents = settlements.note(year, now_us(), verified, code, reason=note, by=by)
        elif dry_run:
            documents = settlements.estimates(year, code)
        elif final:
            verified = _verified(accounting)
            documents = settlements.settle(
                year, now_us(), verified, code, forced=force or "", by=by
            )
        else:
            documents = settlements.draft(year, now_us(), code, by=by)
        _show(documents, names, as_json)
        if not as_json:
            for waiting in settlements.open_differences(year, code) if note is None else ():
                click.echo(
                    f"Entries after {year}-{waiting.institution} change it by"
                    f" {yuan(waiting.net_fen)} yuan: lianmu settle {year} --note REASON",
                    err=True,
                )


def _names(config: Config, code: str | None) -> dict[str, str]:
    names = names_to_settle(config, code)
    if code is not None and not names:
        raise click.BadParameter(f"there is no institution {code}", param_hint="--member")
    return names


def _verified(accounting: Accounting) -> Verification:
    entries, _ = accounting.ledger.head()
    with counting("verifying the ledger", entries) as progress:
        return accounting.ledger.verify(progress)


def _verify(settlements: Settlements, accounting: Accounting, year: int, as_json: bool) -> None:
    verified = _verified(accounting)
    problems = [] if verified.ok else [f"the ledger: {verified.problem}"]
    problems += settlements.verify(year)
    documents = settlements.documents(year)
    if as_json:
        report = {"year": year, "documents": len(documents), "problems": problems}
        click.echo(msgspec.json.encode(report).decode())
    else:
        for problem in problems:
            click.echo(problem)
        if not problems:
            click.echo(f"{len(documents)} documents of {year}: all as the ledger has it")
    if problems:
        raise click.exceptions.Exit(1)


def _show(documents: Sequence[Settlement], names: dict[str, str], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode([_built(document) for document in documents]).decode())
        return
    for document in documents:
        _show_one(document, names.get(document.institution, ""))
    if not documents:
        click.echo("nothing to settle")


def _built(document: Settlement) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(document)
    return built | {
        "receivable_fen": document.receivable_fen,
        "payable_fen": document.payable_fen,
        "net_fen": document.net_fen,
    }


def _show_one(document: Settlement, name: str) -> None:
    number = document.number or f"{document.year}-{document.institution}"
    click.echo(f"{number}  {document.status.upper()}  {name}".rstrip())
    if document.made_us:
        made = datetime.fromtimestamp(document.made_us // 1_000_000, UTC)
        click.echo(f"  made {made:%Y-%m-%dT%H:%M:%SZ}")
    click.echo(f"  ledger entry {document.ledger_seq}, hash {document.head_hash}")
    click.echo(f"  tariff {document.tariff_version}")
    if document.reason:
        click.echo(f"  reason: {document.reason}")
    click.echo(
        f"  holdings uploaded {document.holdings}, quota {document.quota};"
        f" downloads {document.downloads}, repeats {document.repeats}, void {document.voided};"
        f" billable {document.billable}"
    )
    for line in document.lines:
        click.echo(
            f"  {line.item:<32}{line.quantity:>9} x {yuan(line.price_fen):>8}"
            f" {yuan(line.amount_fen):>14}"
        )
    what = "owed to the member" if document.net_fen < 0 else "owed by the member"
    click.echo(f"  {'net, ' + what:<52} {yuan(document.net_fen):>14} yuan")
    if document.status == "estimate":
        click.echo("  An estimate: nothing is stored, and later entries still change it.")


def _show_journal(postings: Sequence[Posting], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(postings).decode())
        return
    for posting in postings:
        made = datetime.fromtimestamp(posting.made_us // 1_000_000, UTC)
        click.echo(f"{posting.posting_id}  {made:%Y-%m-%dT%H:%M:%SZ}  {posting.text}")
        for line in posting.lines:
            debit = yuan(line.debit_fen) if line.debit_fen else ""
            credit = yuan(line.credit_fen) if line.credit_fen else ""
            click.echo(f"  {line.account:<40} {debit:>14} {credit:>14}")
    if not postings:
        click.echo("no postings")
