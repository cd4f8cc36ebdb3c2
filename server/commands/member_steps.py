"""The steps of a membership as subcommands of `lianmu member`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import click
import msgspec

from server.commands import member_access
from server.commands.audit import audit_line
from server.commands.options import config_option, now_us
from server.commands.person import here, login, person_option
from server.config import Config
from store.access_rules import read_ranges
from store.members import Institution, Members
from store.membership import (
    TERM_YEARS,
    TOKEN_LIFE_DAYS,
    Membership,
    day_of,
    time_of,
)


class Day(click.ParamType[date]):
    """A calendar day in China."""

    name = "yyyy-mm-dd"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> date:
        if isinstance(value, date):
            return value
        try:
            return datetime.strptime(str(value), "%Y-%m-%d").date()
        except ValueError:
            self.fail(f"{value!r} is no day such as 2026-12-31", param, ctx)


def _reason(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--reason", required=True, help="Why; the member is told, too.")(function)


@contextmanager
def _membership(config: Config) -> Iterator[Membership]:
    members = Members(config.members_path, create=True)
    try:
        yield Membership(members, here())
    finally:
        members.close()


def _who(given: str | None) -> str:
    return given or login()


@click.command(
    epilog="Example: lianmu member register PKU --name 'Peking University Library'"
    " --contact library@example.org --config config.toml"
)
@click.argument("code")
@click.option("--name", required=True, help="The institution's name.")
@click.option("--contact", default="", help="How to reach it: a person, a telephone, an address.")
@person_option
@config_option
def register(code: str, name: str, contact: str, who: str | None, config: Config) -> None:
    """Note the institution CODE, which wants to join; nobody of it may sign in yet."""
    with _membership(config) as membership:
        made = membership.register(code, name, now_us(), who=_who(who), contact=contact)
    click.echo(f"registered  {made.code}, {made.name}")
    click.echo(f"next        lianmu member sign {made.code}")


@click.command(
    epilog="Example: lianmu member sign PKU --from 2026-09-01 --as li --config config.toml"
)
@click.argument("code")
@click.option("--from", "from_day", type=Day(), help="The agreement's first day; today without it.")
@person_option
@config_option
def sign(code: str, from_day: date | None, who: str | None, config: Config) -> None:
    """Enter the agreement that CODE has signed, and make the token that activates it.

    It runs for three years, and for three more each time, until it is ended.
    """
    with _membership(config) as membership:
        at_us = now_us()
        agreement, token = membership.sign(code, at_us, who=_who(who), from_day=from_day)
    click.echo(
        f"signed      {agreement.institution}, from {day_of(agreement.from_us)}"
        f" to {agreement.term_ends(at_us)}, then {TERM_YEARS} years more each time"
    )
    _tell_token(agreement.institution, token)


@click.command(epilog="Example: lianmu member token PKU --config config.toml")
@click.argument("code")
@person_option
@config_option
def token(code: str, who: str | None, config: Config) -> None:
    """Make another activation token for CODE, in place of one that was lost or has expired."""
    with _membership(config) as membership:
        made = membership.new_token(code, now_us(), who=_who(who))
    _tell_token(code.upper(), made)


def _tell_token(code: str, made: str) -> None:
    click.echo(f"token       {made}  (good once, for {TOKEN_LIFE_DAYS} days; shown this once)")
    click.echo(f"next        lianmu member activate {code} TOKEN")


@click.command(
    epilog="Example: lianmu member activate PKU lianmu_join_… --password … --config config.toml"
)
@click.argument("code")
@click.argument("token")
@click.option("--account", default="", help="The first account's name; CODE in lower case without.")
@click.option("--password", help="Of that account; one is made up and shown without it.")
@person_option
@config_option
def activate(
    code: str, token: str, account: str, password: str | None, who: str | None, config: Config
) -> None:
    """Open the membership of CODE with its TOKEN: its first account may sign in from now on."""
    chosen = secrets.token_urlsafe(12) if password is None else password
    with _membership(config) as membership:
        made = membership.activate(code, token, chosen, now_us(), who=_who(who), account=account)
    click.echo(f"active      {code.upper()}")
    click.echo(f"account     {made.name}")
    if password is None:
        click.echo(f"password    {chosen}  (made up now and shown this once)")


@click.command(
    epilog="Example: lianmu member warn PKU --reason 'bill of 2025 is open' --config config.toml"
)
@click.argument("code")
@_reason
@person_option
@config_option
def warn(code: str, reason: str, who: str | None, config: Config) -> None:
    """Warn the member CODE; it may go on."""
    with _membership(config) as membership:
        _tell(membership.warn(code, now_us(), who=_who(who), reason=reason))


@click.command(
    epilog="Example: lianmu member suspend PKU --reason 'bill of 2025 is open' --config config.toml"
)
@click.argument("code")
@_reason
@person_option
@config_option
def suspend(code: str, reason: str, who: str | None, config: Config) -> None:
    """Let nobody of CODE in any more.

    It holds at once and in every process: sessions that are open end at their
    next request.
    """
    with _membership(config) as membership:
        _tell(membership.suspend(code, now_us(), who=_who(who), reason=reason))


@click.command(epilog="Example: lianmu member restore PKU --reason paid --config config.toml")
@click.argument("code")
@_reason
@person_option
@config_option
def restore(code: str, reason: str, who: str | None, config: Config) -> None:
    """Take back the warning or the suspension of CODE."""
    with _membership(config) as membership:
        _tell(membership.restore(code, now_us(), who=_who(who), reason=reason))


@click.command(
    epilog="Example: lianmu member end PKU --reason 'joins THU' --at-term --config config.toml"
)
@click.argument("code")
@_reason
@click.option("--on", "last_day", type=Day(), help="The last day of membership; now without it.")
@click.option("--at-term", is_flag=True, help="The last day is that of the agreement's term.")
@person_option
@config_option
def end(
    code: str, reason: str, last_day: date | None, at_term: bool, who: str | None, config: Config
) -> None:
    """End the membership of CODE; what it did stays in the ledger."""
    if at_term and last_day is not None:
        raise click.UsageError("give --on or --at-term, not both")
    with _membership(config) as membership:
        at_us = now_us()
        if at_term:
            last_day = membership.last_day_of_term(code, at_us)
        ended = membership.end(code, at_us, who=_who(who), reason=reason, last_day=last_day)
    if last_day is not None and ended.status != "ended":
        click.echo(f"ends        {ended.code}, after {last_day}")
    else:
        _tell(ended)


def _tell(institution: Institution) -> None:
    because = f": {institution.reason}" if institution.reason else ""
    click.echo(f"{institution.status:11} {institution.code}{because}")


@click.command(epilog="Example: lianmu member show PKU --json --config config.toml")
@click.argument("code")
@click.option("--json", "as_json", is_flag=True, help="JSON rather than lines for people.")
@config_option
def show(code: str, as_json: bool, config: Config) -> None:
    """The state of the member CODE, its agreements, and every step so far."""
    members = Members(config.members_path, create=True)
    try:
        institution = members.institution(code)
        if institution is None:
            raise click.BadParameter(f"there is no institution {code}", param_hint="CODE")
        membership = Membership(members)
        institution = institution.at(now_us())
        agreements = membership.agreements(code)
        steps = membership.audit(code)
        accounts = members.account_names().get(institution.code, [])
        ranges = read_ranges(members.connection, institution.code)
    finally:
        members.close()
    if as_json:
        shown = {
            **msgspec.to_builtins(institution), "accounts": accounts,
            "address_ranges": msgspec.to_builtins(ranges),
            "agreements": msgspec.to_builtins(agreements), "audit": msgspec.to_builtins(steps),
        }  # fmt: skip
        click.echo(msgspec.json.encode(shown).decode())
        return
    _tell(institution)
    click.echo(f"name        {institution.name}")
    if institution.contact:
        click.echo(f"contact     {institution.contact}")
    click.echo(f"accounts    {', '.join(accounts) or 'none'}")
    for line in member_access.told(institution.access, ranges):
        click.echo(line)
    at_us = now_us()
    for each in agreements:
        until = f"to {each.term_ends(at_us)}, renews itself"
        if each.ends_us is not None:
            until = f"{'ended' if each.ends_us <= at_us else 'ends'} {time_of(each.ends_us)}"
        click.echo(f"agreement   from {day_of(each.from_us)}, {until}")
    for step in steps:
        click.echo(audit_line(step))
