"""`lianmu member`: who may sign in, and with which keys."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import click
import msgspec

from server.commands import member_access, member_account, member_steps
from server.commands.options import config_option, now_us
from server.commands.person import here, login, person_option
from server.config import Config
from store.members import CHARSETS, Members


@click.group(epilog="Example: lianmu member list --config config.toml")
def member() -> None:
    """Institutions of the consortium and their accounts."""


def _who(given: str | None) -> str:
    return given or login()


def _made_up() -> str:
    return secrets.token_urlsafe(12)


def _tell_made_up(given: str | None, password: str) -> None:
    if given is None:
        click.echo(f"password  {password}  (made up now and shown this once)")


for step in (
    member_steps.register, member_steps.sign, member_steps.token, member_steps.activate,
    member_steps.warn, member_steps.suspend, member_steps.restore, member_steps.end,
    member_steps.show,
    member_account.account, member_account.certificate, member_account.uploads,
    member_access.databases, member_access.sessions, member_access.address,
):  # fmt: skip
    member.add_command(step)


@member.command(
    "add",
    epilog="Example: lianmu member add PKU --name 'Peking University Library' --config config.toml",
)
@click.argument("code")
@click.option("--name", required=True, help="The institution's name.")
@click.option("--password", help="Of its first account; one is made up and shown without it.")
@click.option(
    "--charset",
    type=click.Choice(CHARSETS),
    help="What its library system sends and reads without negotiating; else UTF-8.",
)
@person_option
@config_option
def add(
    code: str, name: str, password: str | None, charset: str | None, who: str | None, config: Config
) -> None:
    """Add the institution CODE and an account of the same name in lower case.

    It is active at once, with an agreement from today on; `register`, `sign` and
    `activate` are the same in steps.
    """
    chosen = _made_up() if password is None else password
    members = Members(config.members_path, create=True)
    try:
        who, at_us = _who(who), now_us()
        account = members.add_member(code, name, chosen, at_us, who=who, origin=here())
        if charset is not None:
            members.set_charset(code, charset, at_us, who=who, origin=here())
    finally:
        members.close()
    click.echo(f"added     {code.upper()}, {name}")
    click.echo(f"account   {account.name}")
    _tell_made_up(password, chosen)


@member.command("charset", epilog="Example: lianmu member charset PKU gb18030 --config config.toml")
@click.argument("code")
@click.argument("charset", type=click.Choice(("utf-8", *CHARSETS)))
@person_option
@config_option
def set_charset(code: str, charset: str, who: str | None, config: Config) -> None:
    """Say in which CHARSET the library system of CODE searches and reads MARC.

    It holds for Z39.50 sessions that begin from now on and negotiate no
    character set themselves.
    """
    members = Members(config.members_path, create=True)
    try:
        members.set_charset(
            code, "" if charset == "utf-8" else charset, now_us(), who=_who(who), origin=here()
        )
    finally:
        members.close()
    click.echo(f"charset   {code.upper()}, {charset}")


@member.command("list", epilog="Example: lianmu member list --config config.toml --json")
@click.option("--json", "as_json", is_flag=True, help="JSON rather than lines for people.")
@config_option
def list_members(as_json: bool, config: Config) -> None:
    """List the institutions with their accounts."""
    members = Members(config.members_path, create=True)
    try:
        institutions = members.institutions()
        accounts = members.account_names()
    finally:
        members.close()
    if as_json:
        rows = [
            {**msgspec.to_builtins(row), "accounts": accounts.get(row.code, [])}
            for row in institutions
        ]
        click.echo(msgspec.json.encode(rows).decode())
        return
    for row in institutions:
        since = datetime.fromtimestamp(row.created_us / 1_000_000, UTC).date()
        names = ", ".join(accounts.get(row.code, [])) or "no account"
        charset = f"  {row.charset}" if row.charset else ""
        status = row.at(now_us()).status
        click.echo(f"{row.code:12} {status:10} since {since}  {row.name}  ({names}){charset}")
    if not institutions:
        click.echo("No member yet: lianmu member add CODE --name NAME")


@member.group("key", epilog="Example: lianmu member key add PKU ils --config config.toml")
def key() -> None:
    """Keys with which programs of an institution sign in over HTTP.

    A program sends its key as `Authorization: Bearer KEY`, or in SRU as the
    parameter x-info-2-auth1.0-authenticationToken. What it downloads counts for
    its institution, entered for the account code+NAME.
    """


@key.command(
    "add",
    epilog="Example: lianmu member key add PKU ils --rights search,download --config config.toml",
)
@click.argument("code")
@click.argument("name")
@member_account.rights_option
@person_option
@config_option
def add_key(code: str, name: str, rights: tuple[str, ...], who: str | None, config: Config) -> None:
    """Make a key called NAME for the institution CODE, and show it once.

    It is good for its RIGHTS and no others.
    """
    members = Members(config.members_path, create=True)
    try:
        made, secret = members.add_key(
            code, name, now_us(), rights=rights, who=_who(who), origin=here()
        )
    finally:
        members.close()
    click.echo(f"account   {made.account}")
    click.echo(f"rights    {', '.join(made.rights)}")
    click.echo(f"key       {secret}  (made up now and shown this once)")


@key.command("list", epilog="Example: lianmu member key list PKU --config config.toml --json")
@click.argument("code")
@click.option("--json", "as_json", is_flag=True, help="JSON rather than lines for people.")
@config_option
def list_keys(code: str, as_json: bool, config: Config) -> None:
    """List the keys of the institution CODE, revoked ones too."""
    members = Members(config.members_path, create=True)
    try:
        keys = members.keys(code)
    finally:
        members.close()
    if as_json:
        click.echo(msgspec.json.encode(keys).decode())
        return
    for each in keys:
        status = f"revoked {_time(each.revoked_us)}" if each.revoked_us is not None else "good"
        used = f"last used {_time(each.last_used_us)}" if each.last_used_us else "never used"
        rights = ",".join(each.rights)
        click.echo(f"{each.name:20} since {_time(each.created_us)}  {used}  {status}  {rights}")
    if not keys:
        click.echo(f"No key yet: lianmu member key add {code} NAME")


@key.command(
    "revoke",
    epilog="Example: lianmu member key revoke PKU ils --reason 'was published' --config"
    " config.toml",
)
@click.argument("code")
@click.argument("name")
@click.option("--reason", default="", help="Why, for the audit.")
@person_option
@config_option
def revoke_key(code: str, name: str, reason: str, who: str | None, config: Config) -> None:
    """Revoke the key NAME of the institution CODE; it is refused from now on."""
    members = Members(config.members_path, create=True)
    try:
        members.revoke_key(
            code, name, now_us(), who=_who(who), reason=reason, origin=here()
        )  # fmt: skip
    finally:
        members.close()
    click.echo(f"revoked   {code.lower()}+{name}")


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(" ", timespec="minutes")[:16]
