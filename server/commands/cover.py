"""`lianmu cover`: cover images of records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import msgspec

from protocol.china_time import china_clock
from server.access_control.principal import Principal
from server.cataloguing import load_as
from server.commands.options import config_option
from server.commands.person import here, login, person_option
from server.commands.record import find_record
from server.config import Config
from server.covers.keeping import CoverKeeper, CoverKept, CoverRefused
from server.covers.shelf import SUFFIXES, Shelf, Size
from store.audit import Origin
from store.covers import Cover, CoverRows
from store.record_reader import RecordReader
from store.rights import OPERATOR_RIGHTS

_database_option = click.option("--database", help="Where the number is in several: one of them.")


@click.group(epilog="Example: lianmu cover add lm000000123 cover.jpg --config config.toml")
def cover() -> None:
    """Cover images of records: give, list, take away, copy out.

    NUMBER is a control number (001), or the catalogue's own id as #ID. A running
    server serves a change at once.
    """


@cover.command(
    "add",
    epilog="Example: lianmu cover add lm000000123 cover.jpg --account PKU/wang"
    " --config config.toml",
)
@click.argument("number")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@_database_option
@click.option(
    "--account",
    metavar="MEMBER/ACCOUNT",
    help="Send it as this account would, with its rights and its credit; as an operator without.",
)
@click.option("--reason", default="", help="Why, for the audit.")
@person_option
@config_option
def add(
    number: str,
    file: Path,
    database: str | None,
    account: str | None,
    reason: str,
    who: str | None,
    config: Config,
) -> None:
    """Make FILE, a picture in JPEG, PNG or WebP, the cover of the record NUMBER.

    One that is there is replaced.
    """
    principal = _operator()
    if account is not None:
        try:
            principal = load_as.principal_named(config, account)
        except load_as.NoSuchAccountError as error:
            raise click.BadParameter(str(error), param_hint="--account") from None
    with RecordReader(config.data_dir) as reader:
        record = find_record(reader.rows, number, database)
    size_bytes = file.stat().st_size
    if size_bytes > config.covers.size_bytes_max:  # not read for nothing
        raise click.ClickException(
            f"{file} has {size_bytes:,} octets, at most {config.covers.size_bytes_max:,} are taken"
        )
    outcome = CoverKeeper(config).add(
        principal, record, file.read_bytes(), origin=_origin(account, principal),
        who=who or login(), reason=reason,
    )  # fmt: skip
    kept = _done(outcome, str(file))
    told = kept.cover
    click.echo(
        f"{kept.change:<10} {told.database} {told.control_number}: {told.format},"
        f" {told.width} × {told.height} pixels, {told.size_bytes:,} octets"
    )
    if kept.credit:
        click.echo(f"{'credit':<10} {kept.credit}")


@cover.command("remove", epilog="Example: lianmu cover remove lm000000123 --reason 'not this book'"
               " --config config.toml")  # fmt: skip
@click.argument("number")
@_database_option
@click.option("--reason", required=True, help="Why, for the audit.")
@person_option
@config_option
def remove(number: str, database: str | None, reason: str, who: str | None, config: Config) -> None:
    """Take the cover of the record NUMBER away; what it earned stays."""
    with RecordReader(config.data_dir) as reader:
        record = find_record(reader.rows, number, database)
    outcome = CoverKeeper(config).remove(
        _operator(), record, origin=here(), who=who or login(), reason=reason
    )
    gone = _done(outcome, number).cover
    click.echo(f"{'removed':<10} {gone.database} {gone.control_number}")


@cover.command("list", epilog="Example: lianmu cover list --member PKU --json --config config.toml")
@click.option("--member", "code", metavar="CODE", help="Those that one institution brought.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@config_option
def list_covers(code: str | None, as_json: bool, config: Config) -> None:
    """List the covers with what they are, who brought them, and what they earn."""
    count = 0
    for each in _covers(config, code):
        count += 1
        if as_json:
            click.echo(msgspec.json.encode(_document(each, config)).decode())
            continue
        by = f"{each.institution or 'operator'}/{each.account}"
        click.echo(
            f"{each.database} {each.control_number:<16} {each.format:<4} {each.width} ×"
            f" {each.height}  {china_clock(each.at_us)}  by {by}  credit: {each.credit}"
        )
    if not as_json:
        click.echo(f"{count:,} covers")


@cover.command("export", epilog="Example: lianmu cover export --out covers/ --config config.toml")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path),
    help="The folder; it is made if it is not there.",
)  # fmt: skip
@click.option("--member", "code", metavar="CODE", help="Those that one institution brought.")
@config_option
def export(out: Path, code: str | None, config: Config) -> None:
    """Copy the pictures into a folder, as DATABASE-NUMBER.jpg and the like.

    A file that is there already is left alone if it is the same, and replaced otherwise.
    """
    out.mkdir(parents=True, exist_ok=True)
    shelf = Shelf(config.covers_dir)
    count = 0
    for each in _covers(config, code):
        source = shelf.path(each.sha256, each.format, Size.FULL)
        name = f"{each.database}-{each.control_number}".replace("/", "_").replace("\0", "_")
        target = out / f"{name}{SUFFIXES[each.format]}"
        octets = source.read_bytes()
        if not target.exists() or target.read_bytes() != octets:
            target.write_bytes(octets)
        count += 1
    click.echo(f"exported {count:,} covers to {out}")


def _operator() -> Principal:
    return Principal(login(), operator=True, rights=OPERATOR_RIGHTS)


def _origin(account: str | None, principal: Principal) -> Origin:
    origin = here()
    return Origin(origin.protocol, principal.account if account else "", origin.address)


def _done(outcome: CoverKept | CoverRefused, what: str) -> CoverKept:
    if isinstance(outcome, CoverRefused):
        raise click.ClickException(f"{what}: {outcome.english}")
    return outcome


def _covers(config: Config, code: str | None) -> Iterator[Cover]:
    if not config.covers_path.exists():
        return
    with closing(CoverRows(config.covers_path)) as rows:
        yield from rows.covers(institution=code.upper() if code else None)


def _document(each: Cover, config: Config) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(each)
    path = Shelf(config.covers_dir).path(each.sha256, each.format, Size.FULL)
    return {**document, "file": str(path)}
