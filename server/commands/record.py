"""`lianmu record`: one record, its versions, and what an operator may do to it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from protocol import marcxml
from protocol.china_time import china_clock
from protocol.iso2709 import DecodedRecord, Field, RefusedRecord, decode_record, parse, split
from protocol.marcxml_reader import read_marcxml
from protocol.record import MarcFamily, StoredRecord
from server import log
from server.accounting.crediting import post_credits
from server.cataloguing.record_editing import editing
from server.commands.options import config_option
from server.commands.person import here
from server.config import Config
from store.editing import HeldRecord
from store.merging import HoldingRow
from store.record_reader import RecordReader
from store.records import RecordRows
from store.uploaded import DELETE, MERGE, REPLACE, UNDELETE
from store.versions import RecordVersion, field_changes, stamped
from store.writer import VersionConflict

audit = log.Log("lianmu.audit")

_HOLDERS_NAMED_MAX = 5

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _options(*decorators: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    return lambda command: reduce(lambda made, add: add(made), reversed(decorators), command)


_which = _options(
    click.argument("number"),
    click.option("--database", help="Where the number is in several: one of them."),
    config_option,
)
_who = _options(
    click.option("--as", "account", required=True, metavar="WHO", help="Who makes the change."),
    click.option("--reason", default="", help="Why; kept with the version."),
)
_json = click.option("--json", "as_json", is_flag=True, help="JSON rather than lines for people.")
_based_on = click.option(
    "--based-on",
    metavar="VERSION",
    help="Refuse unless this is the newest version: its number or its 005.",
)


@click.group(epilog="Example: lianmu record history 012004000123 --config config.toml")
def record() -> None:
    """A record with its versions: read, replace, delete, undelete, merge.

    NUMBER is a control number (001), or the catalogue's own id as #ID. A running
    server goes on meanwhile and sees a change at once.
    """


@record.command(
    "show", epilog="Example: lianmu record show 012004000123 --version 2 --config config.toml"
)
@_which
@click.option("--version", type=click.IntRange(1), help="An earlier version; else the newest.")
@click.option(
    "--form",
    type=click.Choice(["lines", "iso2709", "marcxml"]),
    default="lines",
    show_default=True,
    help="Of the record; iso2709 and marcxml are written without a heading.",
)
@_json
def show(
    number: str,
    database: str | None,
    config: Config,
    version: int | None,
    form: str,
    as_json: bool,
) -> None:
    """A record, deleted ones too, with its state and who holds it."""
    with RecordReader(config.data_dir) as reader:
        stored = find_record(reader.rows, number, database)
        history = reader.versions(stored.record_id)
        shown = next((each for each in history if each.version == version), None)
        if version is None:
            shown = history[-1]
        if shown is None:
            raise click.BadParameter(
                f"{stored.control_number} has versions 1 to {len(history)}",
                param_hint="--version",
            )
        marc = stamped(shown.marc, shown.at_us)
        if form == "iso2709":
            sys.stdout.buffer.write(marc)
            return
        if form == "marcxml":
            click.echo(marcxml.to_marcxml(marc))
            return
        heading = _heading(reader, stored, shown)
        holdings = reader.merges.holding_rows(stored.record_id)
    if as_json:
        content = parse(marc)
        answer = {
            **heading,
            "holdings": [_holding(row) for row in holdings],
            "leader": content.leader,
            "fields": [_field(field) for field in content.fields],
        }
        click.echo(msgspec.json.encode(answer).decode())
        return
    for name, value in heading.items():
        if value not in ("", None, False, []):
            text = ", ".join(value) if isinstance(value, list) else str(value)
            click.echo(f"{name.replace('_', ' '):<15}{_clean(text)}")
    for row in holdings:
        said = (row.holding.call_number, _copies(row.holding.copies), row.holding.location)
        text = ", ".join(filter(None, (row.holding.institution, *said)))
        click.echo(f"{'held by':<15}{_clean(text)}")
    click.echo()
    click.echo(f"LDR    {parse(marc).leader}")
    for field in parse(marc).fields:
        click.echo(_line(field))


@record.command(
    "history", epilog="Example: lianmu record history 012004000123 --diff --config config.toml"
)
@_which
@click.option("--diff", is_flag=True, help="Also the fields that each version took out and put in.")
@_json
def history(number: str, database: str | None, config: Config, diff: bool, as_json: bool) -> None:
    """Every version of a record: when, what, who, why. Times are China's."""
    with RecordReader(config.data_dir) as reader:
        stored = find_record(reader.rows, number, database)
        found = reader.versions(stored.record_id)
        others = {
            each.other_id: its.control_number
            for each in found
            if each.other_id and (its := reader.rows.get(each.other_id)) is not None
        }
    before: RecordVersion | None = None
    for each in found:
        other = others.get(each.other_id, "")
        gone, come = field_changes(before.marc, each.marc) if before and diff else ((), ())
        if as_json:
            answer: dict[str, object] = {
                "control_number": stored.control_number,
                "version": each.version,
                "identifier": each.identifier,
                "at": china_clock(each.at_us),
                "change": each.change,
                "other": other,
                "account": each.account,
                "reason": each.reason,
                "deleted": each.deleted,
            }
            if diff:
                answer["removed"] = [_field(field) for field in gone]
                answer["added"] = [_field(field) for field in come]
            click.echo(msgspec.json.encode(answer).decode())
        else:
            what = f"{each.change} {other}".strip()
            said = "  ".join(filter(None, (each.account or "-", each.reason)))
            click.echo(
                f"{each.version:>4}  {china_clock(each.at_us)}  {what:<24}  {_clean(said)}".rstrip()
            )
            for sign, fields in (("-", gone), ("+", come)):
                for field in fields:
                    click.echo(f"      {sign} {_line(field)}")
        before = each


@record.command(
    "replace",
    epilog="Example: lianmu record replace 012004000123 new.mrc --based-on 3 --as admin"
    " --config config.toml",
)
@_which
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@_based_on
@_who
def replace(
    number: str,
    database: str | None,
    config: Config,
    file: Path,
    based_on: str | None,
    account: str,
    reason: str,
) -> None:
    """Store FILE, one record in ISO 2709 or MARCXML, as the next version.

    The record keeps its 001 and 003, and gets a new 005.
    """
    with editing(config, here()) as at:
        stored = find_record(at.rows, number, database)
        marc = _read(file, stored.database.family)
        with at.writer.transaction():
            new = at.editor.replace(
                stored.record_id, marc, based_on=based_on, account=account, reason=reason
            )
            if isinstance(new, StoredRecord) and new.version > stored.version:
                at.note(REPLACE, new, account)
    if isinstance(new, VersionConflict):
        raise click.ClickException(f"{stored.control_number}: {new}")
    if new.version == stored.version:
        click.echo(f"unchanged {new.control_number}, version {new.version}")
        return
    _tell("replaced", new, account, reason)


@record.command(
    "delete",
    epilog="Example: lianmu record delete 012004000123 --as admin --reason 'not a book'"
    " --config config.toml",
)
@_which
@_based_on
@click.option("--held", is_flag=True, help="Also when institutions hold it.")
@_who
def delete(
    number: str,
    database: str | None,
    config: Config,
    based_on: str | None,
    held: bool,
    account: str,
    reason: str,
) -> None:
    """Take a record out of every search. Its number, history and holdings stay."""
    with editing(config, here()) as at:
        stored = find_record(at.rows, number, database)
        with at.writer.transaction():
            gone = at.editor.delete(
                stored.record_id, account=account, reason=reason, based_on=based_on,
                unless_held=not held,
            )  # fmt: skip
            if isinstance(gone, StoredRecord):
                at.note(DELETE, gone, account)
    if isinstance(gone, HeldRecord):
        named = ", ".join(gone.institutions[:_HOLDERS_NAMED_MAX])
        more = len(gone.institutions) - _HOLDERS_NAMED_MAX
        raise click.ClickException(
            f"{stored.control_number} is held by {named}{f' and {more} more' if more > 0 else ''}:"
            " merge it into another record, or say --held"
        )
    if isinstance(gone, VersionConflict):
        raise click.ClickException(f"{stored.control_number}: {gone}")
    _tell("deleted", gone, account, reason)


@record.command(
    "undelete",
    epilog="Example: lianmu record undelete 012004000123 --as admin --config config.toml",
)
@_which
@_who
def undelete(number: str, database: str | None, config: Config, account: str, reason: str) -> None:
    """Bring a deleted record back, or undo the merge that it went away in."""
    with editing(config, here()) as at:
        stored = find_record(at.rows, number, database)
        with at.writer.transaction():
            back = at.editor.undelete(stored.record_id, account=account, reason=reason)
            at.note(UNDELETE, back, account)
    _tell("undeleted", back, account, reason)


@record.command(
    "merge",
    epilog="Example: lianmu record merge 012004000123 012009000456 --as admin --reason 'same book'"
    " --config config.toml",
)
@click.argument("keep")
@click.argument("away")
@click.option("--database", help="Where a number is in several: one of them.")
@config_option
@_who
def merge(
    keep: str, away: str, database: str | None, config: Config, account: str, reason: str
) -> None:
    """Make two records one: KEEP stays, AWAY is deleted and its number leads to KEEP.

    Holdings of AWAY go to KEEP, and nobody's count of holdings becomes less. What AWAY
    earned its uploader in this accounting year is taken back.
    """
    with editing(config, here()) as at:
        kept, gone = find_record(at.rows, keep, database), find_record(at.rows, away, database)
        with at.writer.transaction():
            done = at.editor.merge(kept.record_id, gone.record_id, account=account, reason=reason)
            at.note(MERGE, done.away, account)
    taken_back, _ = post_credits(config)
    _tell("kept", done.keep, account, reason)
    _tell("merged away", done.away, account, reason)
    if done.moved:
        click.echo(f"{'moved':<12} {len(done.moved)} holdings: {', '.join(done.moved)}")
    if done.combined:
        click.echo(f"{'combined':<12} {len(done.combined)} holdings: {', '.join(done.combined)}")
    if taken_back:
        click.echo(f"{'taken back':<12} the credit for {done.away.control_number}")


def find_record(rows: RecordRows, number: str, database: str | None) -> StoredRecord:
    """The record that is meant, deleted or not.

    Raises:
        BadParameter: there is none, or several.
    """
    names = {
        name.casefold(): database_id
        for database_id, each in rows.databases.items()
        for name in (each.name, *each.aliases)
    }
    if database is not None and database.casefold() not in names:
        raise click.BadParameter(f"there is no database {database}", param_hint="--database")
    chosen = rows.databases if database is None else [names[database.casefold()]]
    found = [each for database_id in chosen for each in rows.by_number(database_id, number)]
    if not found and number.startswith("#") and number[1:].isdecimal():
        by_id = rows.get(int(number[1:]))
        found = [by_id] if by_id is not None else []
    if not found:
        raise click.BadParameter(f"there is no record {number}", param_hint="NUMBER")
    if len(found) > 1:
        meant = ", ".join(f"#{each.record_id} in {each.database.name}" for each in found)
        raise click.BadParameter(f"{number} may be {meant}", param_hint="NUMBER")
    return found[0]


def _read(file: Path, family: MarcFamily) -> bytes:
    """The one record of a file, in the stored form; tells what of it had to be mended.

    Raises:
        BadParameter: it cannot be read, or there are none or several.
    """
    octets = file.read_bytes()
    records: list[DecodedRecord | RefusedRecord] = []
    if octets.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        with file.open("rb") as stream:
            records += read_marcxml(stream, family)
    else:
        records += [
            raw if isinstance(raw, RefusedRecord) else decode_record(raw.raw, family)
            for raw in split(octets)
        ]
    if len(records) != 1:
        raise click.BadParameter(f"{file} has {len(records)} records", param_hint="FILE")
    (only,) = records
    if isinstance(only, RefusedRecord):
        raise click.BadParameter(f"{file}: {only.reason}", param_hint="FILE")
    for warning in only.warnings:
        click.echo(f"mended       {_clean(warning)}", err=True)
    return only.marc


def _heading(reader: RecordReader, stored: StoredRecord, shown: RecordVersion) -> dict[str, Any]:
    merges = reader.merges
    survivor = reader.rows.get(merges.survivor(stored.record_id))
    return {
        "control_number": stored.control_number,
        "database": stored.database.name,
        "id": stored.record_id,
        "version": shown.version,
        "of_versions": stored.version,
        "identifier": shown.identifier,
        "changed": china_clock(shown.at_us),
        "account": shown.account,
        "reason": shown.reason,
        "deleted": shown.deleted,
        "merged_into": survivor.control_number if survivor is not None else "",
        "former_numbers": merges.former_numbers(stored.record_id, stored.version),
    }


def _tell(what: str, stored: StoredRecord, account: str, reason: str) -> None:
    click.echo(f"{what:<12} {stored.control_number}, now version {stored.version}")
    audit.info(
        f"record {what}", record_id=stored.record_id, control_number=stored.control_number,
        database=stored.database.name, version=stored.version, account=account, reason=reason,
    )  # fmt: skip


def _copies(count: int) -> str:
    return "1 copy" if count == 1 else f"{count} copies"


def _holding(row: HoldingRow) -> dict[str, object]:
    holding = row.holding
    return {
        "institution": holding.institution,
        "call_number": holding.call_number,
        "copies": holding.copies,
        "location": holding.location,
        "barcodes": holding.barcodes,
    }


def _field(field: Field) -> list[object]:
    if field.is_control:
        return [field.tag, field.text]
    return [field.tag, field.indicators, field.subfields]


def _line(field: Field) -> str:
    if field.is_control:
        return _clean(f"{field.tag}    {field.text}")
    subfields = " ".join(f"${code} {value}" for code, value in field.subfields)
    return _clean(f"{field.tag} {field.indicators} {subfields}")


def _clean(text: str) -> str:
    """Without what would drive a terminal."""
    return "".join(char if char.isprintable() or char == " " else "\ufffd" for char in text)
