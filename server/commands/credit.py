"""`lianmu credit`: what uploads earn, and operators' decisions about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import msgspec

from metering.author import Author
from metering.credit_claims import Claim, CreditError, Credits, Status
from metering.money import yuan
from protocol.china_time import china_time
from server import log
from server.accounting.crediting import open_credits, post_credits
from server.commands.options import config_option
from server.commands.person import author
from server.commands.tariff import FIRST_YEAR, LAST_YEAR
from server.config import Config
from server.processes import writer_process

audit = log.Log("lianmu.audit")


ids_argument = click.argument("ids", nargs=-1, required=True, type=int, metavar="ID…")
operator_option = click.option(
    "--operator", "by_whom", metavar="NAME", help="Who decides; your login name without it."
)


@click.group(epilog="Example: lianmu credit list --status pending --config config.toml")
def credit() -> None:
    """What uploads earn their members.

    Each accepted record has a claim. By `[credit]` of the configuration it is accepted
    at once, up to the caps, or an operator accepts it; only then it counts.
    """


@credit.command(
    "list", epilog="Example: lianmu credit list --member PKU --status capped --config config.toml"
)
@click.option("--member", metavar="CODE", help="Of one institution; of all without it.")
@click.option("--year", type=click.IntRange(FIRST_YEAR, LAST_YEAR), help="Of one accounting year.")
@click.option(
    "--status", type=click.Choice([status.value for status in Status]),
    help="Only these; all without it.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@config_option
def list_claims(
    member: str | None, year: int | None, status: str | None, as_json: bool, config: Config
) -> None:
    """List claims in the order they were made, with what each is worth and its last decision."""
    writer_process.prepare(config)
    claims = 0
    worth_fen = 0
    post_credits(config)  # what a crash left, and merges
    with open_credits(config) as crediting:
        for claim in crediting.claims(
            institution=member.upper() if member else None, year=year,
            status=Status(status) if status else None,
        ):  # fmt: skip
            claims += 1
            worth_fen += claim.worth_fen
            if as_json:
                click.echo(msgspec.json.encode(_as_json(claim)).decode())
            else:
                click.echo(_line(claim))
    if not as_json:
        click.echo(f"{claims:,} claims, {yuan(worth_fen)} yuan")


def _as_json(claim: Claim) -> dict[str, Any]:
    accepted = claim.accepted
    return {
        "claim": claim.claim_id,
        "institution": accepted.institution,
        "account": accepted.account,
        "database": accepted.database,
        "record_id": accepted.record_id,
        "control_number": accepted.control_number,
        "accepted_us": accepted.at_us,
        "year": claim.year,
        "category": accepted.category,
        "level": accepted.level,
        "detailed_holdings": accepted.detailed_holdings,
        "cover": accepted.cover or claim.cover_at_us is not None,
        "worth_fen": claim.worth_fen,
        "status": claim.status,
        "decided_us": claim.decided_us,
        "by": claim.by_whom,
        "reason": claim.reason,
    }


def _line(claim: Claim) -> str:
    accepted = claim.accepted
    why = "; ".join(filter(None, (claim.by_whom and f"by {claim.by_whom}", claim.reason)))
    return (
        f"{claim.claim_id:>7}  {claim.status:<9}  {accepted.institution:<10}"
        f" {china_time(accepted.at_us):%Y-%m-%d %H:%M}  {accepted.control_number:<16}"
        f" {accepted.category} {accepted.level}  {yuan(claim.worth_fen)} yuan"
        + (f"  ({why})" if why else "")
    )


@credit.command("accept", epilog="Example: lianmu credit accept 17 18 --config config.toml")
@ids_argument
@click.option("--over-cap", is_flag=True, help="Also beyond what a member is credited in a year.")
@operator_option
@config_option
def accept(ids: tuple[int, ...], over_cap: bool, by_whom: str | None, config: Config) -> int:
    """Have claims counted: pending ones, capped ones, and refused ones after all.

    One that cannot be accepted is told, the others are accepted, and the status is 1.
    """
    return _decide(
        config, ids, by_whom,
        lambda crediting, claim_id, by: crediting.accept(claim_id, by, over_cap=over_cap),
    )  # fmt: skip


@credit.command(
    "refuse", epilog="Example: lianmu credit refuse 17 --reason 'copied' --config config.toml"
)
@ids_argument
@click.option("--reason", required=True, help="What the member is told.")
@operator_option
@config_option
def refuse(ids: tuple[int, ...], reason: str, by_whom: str | None, config: Config) -> int:
    """Have claims counted nothing. One that counts already is corrected in the ledger."""
    if not reason.strip():
        raise click.BadParameter("say why", param_hint="--reason")
    return _decide(
        config, ids, by_whom,
        lambda crediting, claim_id, by: crediting.refuse(claim_id, by, reason.strip()),
    )  # fmt: skip


def _decide(
    config: Config,
    ids: tuple[int, ...],
    by_whom: str | None,
    decide: Callable[[Credits, int, Author], Claim],
) -> int:
    by = author(by_whom)
    failed = False
    writer_process.prepare(config)
    with open_credits(config) as crediting:
        for claim_id in ids:
            try:
                claim = decide(crediting, claim_id, by)
            except CreditError as error:
                click.echo(f"lianmu: {error}", err=True)
                failed = True
                continue
            audit.info(
                "credit decided", claim=claim_id, status=claim.status.value, operator=by.who,
                institution=claim.accepted.institution, reason=claim.reason,
            )  # fmt: skip
            click.echo(_line(claim))
    return 1 if failed else 0
