"""`lianmu operator`: accounts of the consortium's operators."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import click
import msgspec

from server.commands.options import config_option, now_us
from server.commands.person import here, login, person_option
from server.config import Config
from store.members import Members
from store.operators import Operators

_password_option = click.option("--password", help="One is made up and shown without it.")


@contextmanager
def _opened(config: Config) -> Iterator[Operators]:
    members = Members(config.members_path, create=True)
    try:
        yield Operators(members, here())
    finally:
        members.close()


@click.group(epilog="Example: lianmu operator add admin --config config.toml")
def operator() -> None:
    """Accounts of the consortium's operators, who look after all members."""


@operator.command("add", epilog="Example: lianmu operator add admin --config config.toml")
@click.argument("name")
@_password_option
@person_option
@config_option
def add(name: str, password: str | None, who: str | None, config: Config) -> None:
    """Add an operator called NAME."""
    chosen = secrets.token_urlsafe(12) if password is None else password
    with _opened(config) as operators:
        operators.add(name, chosen, now_us(), who=who or login())
    click.echo(f"operator  {name}")
    _tell_made_up(password, chosen)


@operator.command("list", epilog="Example: lianmu operator list --json --config config.toml")
@click.option("--json", "as_json", is_flag=True, help="JSON rather than lines for people.")
@config_option
def list_operators(as_json: bool, config: Config) -> None:
    """List the operators."""
    with _opened(config) as operators:
        names = operators.names()
    if as_json:
        click.echo(msgspec.json.encode(names).decode())
        return
    for name in names:
        click.echo(name)
    if not names:
        click.echo("No operator yet: lianmu operator add NAME")


@operator.command("password", epilog="Example: lianmu operator password admin --config config.toml")
@click.argument("name")
@_password_option
@person_option
@config_option
def set_password(name: str, password: str | None, who: str | None, config: Config) -> None:
    """Give the operator NAME another password; the old one is no good from now on."""
    chosen = secrets.token_urlsafe(12) if password is None else password
    with _opened(config) as operators:
        changed = operators.set_password(name, chosen, now_us(), who=who or login())
    click.echo(f"operator  {changed.name}")
    _tell_made_up(password, chosen)


@operator.command(
    "remove",
    epilog="Example: lianmu operator remove admin --reason 'has left' --config config.toml",
)
@click.argument("name")
@click.option("--reason", required=True, help="Why, for the audit.")
@person_option
@config_option
def remove(name: str, reason: str, who: str | None, config: Config) -> None:
    """Take the operator NAME away; the last one stays."""
    with _opened(config) as operators:
        removed = operators.remove(name, now_us(), who=who or login(), reason=reason)
    click.echo(f"removed   {removed.name}")


def _tell_made_up(given: str | None, password: str) -> None:
    if given is None:
        click.echo(f"password  {password}  (made up now and shown this once)")
