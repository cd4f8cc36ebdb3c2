"""`lianmu member databases`, `sessions` and `address`: what, how often, and from where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click
import msgspec

from server.commands.options import config_option, now_us
from server.commands.person import here, login, person_option
from server.config import Config
from store.access_changes import AccessChanges
from store.access_rules import AccessRules, AddressRange
from store.members import Members

_reason_option = click.option("--reason", required=True, help="Why, for the audit.")
_json_option = click.option("--json", "as_json", is_flag=True, help="JSON rather than lines.")


@contextmanager
def _opened(config: Config) -> Iterator[tuple[Members, AccessChanges]]:
    members = Members(config.members_path, create=True)
    try:
        yield members, AccessChanges(members, here())
    finally:
        members.close()


def _who(given: str | None) -> str:
    return given or login()


@click.command(
    epilog="Example: lianmu member databases PKU --search cn_cat,we_cat --download cn_cat"
    " --reason 'agreement of 2026' --config config.toml"
)
@click.argument("code")
@click.option("--search", "search_in", help="Databases to search, with commas between; or all.")
@click.option(
    "--download",
    "download_from",
    help="Databases to download from, with commas between; or all of those to search.",
)
@click.option("--account", default="", help="Of one account; it has no more than its institution.")
@click.option("--reason", default="", help="Why, for the audit; needed to change anything.")
@_json_option
@person_option
@config_option
def databases(
    code: str,
    search_in: str | None,
    download_from: str | None,
    account: str,
    reason: str,
    as_json: bool,
    who: str | None,
    config: Config,
) -> None:
    """Say which databases CODE may search and download from, or show it.

    What is left out of the two is all. A session that loses a database ends at its
    next request. Uploads and holdings are not held to it.
    """
    with _opened(config) as (members, changes):
        rules = _rules(members, code, account)
        if search_in is not None or download_from is not None:
            searched = _names(config, search_in or "all", "--search")
            taken = _names(config, download_from or "all", "--download")
            rules = changes.set_databases(
                code, now_us(), search_in=searched, download_from=taken, account=account,
                who=_who(who), reason=reason,
            )  # fmt: skip
    granted = _databases(rules)
    if as_json:
        click.echo(msgspec.json.encode(granted).decode())
        return
    click.echo(f"databases   {account or code.upper()}")
    for name, names in granted.items():
        click.echo(f"{name:11} {'all' if names is None else ', '.join(names)}")


def _names(config: Config, text: str, option: str) -> list[str] | None:
    """Names as the configuration has them; None for `all`."""
    if text.strip().lower() == "all":
        return None
    known = {
        name.casefold(): database.name
        for database in config.databases
        for name in (database.name, *database.aliases)
    }
    names = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [name for name in names if name.casefold() not in known]
    if unknown or not names:
        there = ", ".join(database.name for database in config.databases)
        what = f"there is no database {unknown[0]}" if unknown else "no database is named"
        raise click.BadParameter(f"{what}: there are {there}, and all", param_hint=option)
    return [known[name.casefold()] for name in names]


def _rules(members: Members, code: str, account: str) -> AccessRules:
    institution = members.institution(code)
    if institution is None:
        raise click.BadParameter(f"there is no institution {code}", param_hint="CODE")
    if not account:
        return institution.access
    found = members.account(account)
    if found is None or found.institution is None or found.institution.code != institution.code:
        raise click.BadParameter(
            f"{institution.code} has no account {account}", param_hint="--account"
        )
    return found.access


def _databases(rules: AccessRules) -> dict[str, list[str] | None]:
    return {
        "search": None if rules.search_in is None else sorted(rules.search_in),
        "download": None if rules.download_from is None else sorted(rules.download_from),
    }


class _Sessions(click.ParamType[int]):
    """A number of sessions, or `default`, which is 0 here."""

    name = "number|default"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        text = str(value).strip().lower()
        if text == "default":
            return 0
        if not text.isdecimal() or not 0 < int(text) < 1 << 31:
            self.fail(f"{value!r} is neither a number of sessions nor 'default'", param, ctx)
        return int(text)


@click.command(
    epilog="Example: lianmu member sessions PKU 40 --reason 'two ILS' --config config.toml"
)
@click.argument("code")
@click.argument("sessions_max", metavar="NUMBER|default", type=_Sessions())
@click.option("--account", default="", help="Of one account alone.")
@_reason_option
@person_option
@config_option
def sessions(
    code: str, sessions_max: int, account: str, reason: str, who: str | None, config: Config
) -> None:
    """Say how many Z39.50 sessions CODE may have at a time, over all workers.

    It holds for sessions that begin from now on. `default` is what the
    configuration says: access.sessions_of_institution_max, or for an account
    access.sessions_of_account_max.
    """
    with _opened(config) as (_, changes):
        changes.set_sessions_max(
            code, sessions_max or None, now_us(), account=account, who=_who(who), reason=reason
        )
    click.echo(f"sessions    {account or code.upper()}: {sessions_max or 'default'}")


@click.group(epilog="Example: lianmu member address list PKU --config config.toml")
def address() -> None:
    """Address ranges of an institution, IPv4 and IPv6, and what they give.

    Who comes from a range with an account needs no password. Accounts and keys of
    an institution can be held to its ranges (`restrict`).
    """


@address.command(
    "add",
    epilog="Example: lianmu member address add PKU 192.0.2.0/24 --account pku-campus"
    " --config config.toml",
)
@click.argument("code")
@click.argument("network")
@click.option("--account", default="", help="Who comes from there without a login is this account.")
@click.option("--reason", default="", help="Why, for the audit.")
@person_option
@config_option
def add_address(
    code: str, network: str, account: str, reason: str, who: str | None, config: Config
) -> None:
    """Add NETWORK, in CIDR form, to the addresses of the institution CODE.

    It may lie in another range of CODE, and then goes before it; but have no
    address of a range of another institution.
    """
    with _opened(config) as (_, changes):
        added = changes.add_range(
            code, network, now_us(), account=account, who=_who(who), reason=reason
        )
    click.echo(f"address     {added.institution}: {added.network}{_signs_in(added.account)}")


@address.command(
    "list", epilog="Example: lianmu member address list PKU --json --config config.toml"
)
@click.argument("code")
@_json_option
@config_option
def list_addresses(code: str, as_json: bool, config: Config) -> None:
    """List the address ranges of the institution CODE."""
    with _opened(config) as (members, changes):
        rules, ranges = _rules(members, code, ""), changes.ranges(code)
    if as_json:
        shown = {"restricted": rules.addresses_only, "ranges": msgspec.to_builtins(ranges)}
        click.echo(msgspec.json.encode(shown).decode())
        return
    for each in ranges:
        click.echo(f"{each.network}{_signs_in(each.account)}")
    if not ranges:
        click.echo(f"No range yet: lianmu member address add {code} NETWORK")
    elif rules.addresses_only:
        click.echo(f"Accounts and keys of {code.upper()} may come from there alone.")


@address.command(
    "remove",
    epilog="Example: lianmu member address remove PKU 192.0.2.0/24 --reason 'given back'"
    " --config config.toml",
)
@click.argument("code")
@click.argument("network")
@_reason_option
@person_option
@config_option
def remove_address(code: str, network: str, reason: str, who: str | None, config: Config) -> None:
    """Take NETWORK from CODE; sessions that came in by it end at their next request."""
    with _opened(config) as (_, changes):
        removed = changes.remove_range(code, network, now_us(), who=_who(who), reason=reason)
    click.echo(f"removed     {removed.institution}: {removed.network}")


@address.command(
    "restrict",
    epilog="Example: lianmu member address restrict PKU on --reason 'their wish'"
    " --config config.toml",
)
@click.argument("code")
@click.argument("only", metavar="on|off", type=click.Choice(("on", "off")))
@_reason_option
@person_option
@config_option
def restrict(code: str, only: str, reason: str, who: str | None, config: Config) -> None:
    """Hold accounts and keys of CODE to its address ranges, or lift that."""
    with _opened(config) as (_, changes):
        changes.restrict_addresses(code, only == "on", now_us(), who=_who(who), reason=reason)
    told = "may come from their ranges alone" if only == "on" else "may come from anywhere"
    click.echo(f"address     {code.upper()}: its accounts and keys {told}")


def told(rules: AccessRules, ranges: Sequence[AddressRange]) -> Iterator[str]:
    """What an institution has that is not as usual, in lines for people."""
    for name, names in _databases(rules).items():
        if names is not None:
            yield f"{name:11} {', '.join(names)}"
    if rules.sessions_max is not None:
        yield f"sessions    {rules.sessions_max}"
    for each in ranges:
        yield f"address     {each.network}{_signs_in(each.account)}"
    if rules.addresses_only:
        yield "address     from its ranges alone"


def _signs_in(account: str) -> str:
    return f"  signs in as {account}" if account else ""
