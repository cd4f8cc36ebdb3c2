"""`lianmu member account`, `certificate` and `uploads`: what the people of a member may do."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import click
import msgspec

from server.commands.member_steps import Day
from server.commands.options import config_option, now_us
from server.commands.person import here, login, person_option
from server.config import Config
from store.accounts import LANGUAGES, LEVELS, Accounts, Certificate
from store.members import Members
from store.membership import day_of, start_us
from store.rights import MEMBER_RIGHTS, RIGHTS, read_rights


class Rights(click.ParamType[tuple[str, ...]]):
    """Names of rights with commas between them."""

    name = "rights"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return read_rights(str(value).split(","))
        except ValueError as error:
            self.fail(str(error), param, ctx)


rights_option = click.option(
    "--rights",
    type=Rights(),
    default=",".join(MEMBER_RIGHTS),
    show_default=True,
    help=f"What it may do: some of {', '.join(RIGHTS)}, with commas between.",
)
_why_option = click.option("--reason", default="", help="Why, for the audit.")
_reason_option = click.option("--reason", required=True, help="Why, for the audit.")
_password_option = click.option("--password", help="One is made up and shown without it.")


@contextmanager
def _opened(config: Config) -> Iterator[tuple[Members, Accounts]]:
    members = Members(config.members_path, create=True)
    try:
        yield members, Accounts(members, here())
    finally:
        members.close()


def _who(given: str | None) -> str:
    return given or login()


@click.group(epilog="Example: lianmu member account list PKU --config config.toml")
def account() -> None:
    """Accounts of the people of an institution, and their rights.

    Rights are search, download, holdings, upload and manager. `lianmu audit`
    shows who changed them, when and why.
    """


@account.command(
    "add",
    epilog="Example: lianmu member account add PKU wang --rights search,download,upload"
    " --config config.toml",
)
@click.argument("code")
@click.argument("name")
@rights_option
@_password_option
@_why_option
@person_option
@config_option
def add_account(
    code: str,
    name: str,
    rights: tuple[str, ...],
    password: str | None,
    reason: str,
    who: str | None,
    config: Config,
) -> None:
    """Add an account called NAME to the institution CODE."""
    chosen = secrets.token_urlsafe(12) if password is None else password
    with _opened(config) as (_, accounts):
        made = accounts.add(
            code, name, chosen, now_us(), rights=rights, who=_who(who), reason=reason
        )
    click.echo(f"account   {made.name}")
    click.echo(f"rights    {', '.join(made.rights)}")
    _tell_made_up(password, chosen)


@account.command(
    "list", epilog="Example: lianmu member account list PKU --json --config config.toml"
)
@click.argument("code")
@click.option("--json", "as_json", is_flag=True, help="JSON rather than lines for people.")
@config_option
def list_accounts(code: str, as_json: bool, config: Config) -> None:
    """List the accounts of the institution CODE with their rights and good certificates."""
    at_us = now_us()
    with _opened(config) as (members, accounts):
        rows = [
            (each, [c for c in accounts.certificates(each.name) if _state(c, at_us) == "good"])
            for each in members.accounts(code)
        ]
    if as_json:
        shown = [
            {
                "name": each.name, "rights": each.rights,
                "certificates": [_builtins(certificate, at_us) for certificate in certificates],
            }
            for each, certificates in rows
        ]  # fmt: skip
        click.echo(msgspec.json.encode(shown).decode())
        return
    for each, certificates in rows:
        told = "".join(f"  {c.language}/{c.level}" for c in certificates)
        click.echo(f"{each.name:20} {', '.join(each.rights) or 'nothing'}{told}")
    if not rows:
        click.echo(f"No account yet: lianmu member account add {code} NAME")


@account.command(
    "rights",
    epilog="Example: lianmu member account rights wang search,download,upload"
    " --reason 'catalogues now' --config config.toml",
)
@click.argument("name")
@click.argument("rights", type=Rights())
@_reason_option
@person_option
@config_option
def set_rights(
    name: str, rights: tuple[str, ...], reason: str, who: str | None, config: Config
) -> None:
    """Give the account NAME these RIGHTS, in place of those that it has.

    It holds at once: a session that loses a right ends at its next request, and
    one that gains any has it when it signs in anew.
    """
    with _opened(config) as (_, accounts):
        changed = accounts.set_rights(name, rights, now_us(), who=_who(who), reason=reason)
    click.echo(f"rights    {changed.name}: {', '.join(changed.rights)}")


@account.command(
    "password", epilog="Example: lianmu member account password wang --config config.toml"
)
@click.argument("name")
@_password_option
@_why_option
@person_option
@config_option
def set_password(
    name: str, password: str | None, reason: str, who: str | None, config: Config
) -> None:
    """Give the account NAME another password; the old one is no good from now on."""
    chosen = secrets.token_urlsafe(12) if password is None else password
    with _opened(config) as (_, accounts):
        changed = accounts.set_password(name, chosen, now_us(), who=_who(who), reason=reason)
    click.echo(f"account   {changed.name}")
    _tell_made_up(password, chosen)


@account.command(
    "remove",
    epilog="Example: lianmu member account remove wang --reason 'has left' --config config.toml",
)
@click.argument("name")
@_reason_option
@person_option
@config_option
def remove_account(name: str, reason: str, who: str | None, config: Config) -> None:
    """Take the account NAME away; its sessions end, what it did stays written down."""
    with _opened(config) as (_, accounts):
        removed = accounts.remove(name, now_us(), who=_who(who), reason=reason)
    click.echo(f"removed   {removed.name}")


@click.command(
    epilog="Example: lianmu member uploads PKU on --reason 'agreement of 2026' --config config.toml"
)
@click.argument("code")
@click.argument("allowed", metavar="on|off", type=click.Choice(("on", "off")))
@_reason_option
@person_option
@config_option
def uploads(code: str, allowed: str, reason: str, who: str | None, config: Config) -> None:
    """Say whether what CODE uploads may earn credit.

    It does when the account that sends it has a certificate as well. Without
    either a record is taken all the same and earns nothing.
    """
    with _opened(config) as (_, accounts):
        changed = accounts.set_uploads(
            code, allowed == "on", now_us(), who=_who(who), reason=reason
        )
    click.echo(f"uploads   {changed.code}: {allowed}")


@click.group(epilog="Example: lianmu member certificate list wang --config config.toml")
def certificate() -> None:
    """Certificates of cataloguers: for which language, up to which level, until when."""


@certificate.command(
    "add",
    epilog="Example: lianmu member certificate add wang --language chinese --level full"
    " --expires 2028-12-31 --config config.toml",
)
@click.argument("account")
@click.option("--language", type=click.Choice(LANGUAGES), required=True, help="Of the records.")
@click.option(
    "--level", type=click.Choice(LEVELS), required=True, help="Of the records; full covers basic."
)
@click.option(
    "--expires", "last_day", type=Day(), required=True, help="The last day that it is good."
)
@_why_option
@person_option
@config_option
def add_certificate(
    account: str,
    language: str,
    level: str,
    last_day: date,
    reason: str,
    who: str | None,
    config: Config,
) -> None:
    """Certify ACCOUNT from now on. Languages are the categories of the tariff."""
    with _opened(config) as (_, accounts):
        made = accounts.certify(
            account, language, level, now_us(),
            expires_us=start_us(last_day + timedelta(days=1)), who=_who(who), reason=reason,
        )  # fmt: skip
    click.echo(
        f"certificate {made.certificate_id}: {made.account}, {made.language}/{made.level},"
        f" until {last_day}"
    )


@certificate.command(
    "list", epilog="Example: lianmu member certificate list wang --json --config config.toml"
)
@click.argument("account")
@click.option("--json", "as_json", is_flag=True, help="JSON rather than lines for people.")
@config_option
def list_certificates(account: str, as_json: bool, config: Config) -> None:
    """List the certificates of ACCOUNT, expired and revoked ones too."""
    at_us = now_us()
    with _opened(config) as (members, accounts):
        if members.account(account) is None:
            raise click.BadParameter(f"there is no account {account}", param_hint="ACCOUNT")
        rows = accounts.certificates(account)
    if as_json:
        click.echo(msgspec.json.encode([_builtins(each, at_us) for each in rows]).decode())
        return
    for each in rows:
        last_day = day_of(each.expires_us - 1)
        click.echo(
            f"{each.certificate_id:5}  {each.language}/{each.level:6} from {day_of(each.issued_us)}"
            f" until {last_day}  {_state(each, at_us)}"
        )
    if not rows:
        click.echo(f"No certificate yet: lianmu member certificate add {account}")


@certificate.command(
    "revoke",
    epilog="Example: lianmu member certificate revoke 7 --reason 'failed review'"
    " --config config.toml",
)
@click.argument("number", type=int)
@_reason_option
@person_option
@config_option
def revoke_certificate(number: int, reason: str, who: str | None, config: Config) -> None:
    """Revoke the certificate NUMBER; what was credited with it stays credited."""
    with _opened(config) as (_, accounts):
        revoked = accounts.revoke(number, now_us(), who=_who(who), reason=reason)
    click.echo(
        f"revoked   {revoked.certificate_id}: {revoked.account}, {revoked.language}/{revoked.level}"
    )


def _state(certificate: Certificate, at_us: int) -> str:
    if certificate.revoked_us is not None:
        return "revoked"
    return "expired" if certificate.expires_us <= at_us else "good"


def _builtins(certificate: Certificate, at_us: int) -> dict[str, object]:
    return {**msgspec.to_builtins(certificate), "state": _state(certificate, at_us)}


def _tell_made_up(given: str | None, password: str) -> None:
    if given is None:
        click.echo(f"password  {password}  (made up now and shown this once)")
