"""`lianmu tariff`: prices by date of effect, and why a record has its price."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
import msgspec

from metering.entry import accounting_day
from metering.money import yuan
from metering.tariff import Tariff, priced_years, tariff_of_year
from metering.tariff_category import (
    CategoryRules,
    Classification,
    are_detailed,
    classify,
    has_detailed_holdings,
)
from metering.tariff_credit import parts_of
from protocol.charset import ENCODINGS
from protocol.diagnostic import Diagnostic
from protocol.iso2709 import MalformedRecord, RefusedRecord, decode_record, split
from protocol.marcxml_reader import read_marcxml
from protocol.query import Clause, Structure
from protocol.record import Database, StoredRecord
from server.accounting.crediting import category_rules
from server.commands.options import ConfigFile, now_us
from server.config import Config
from store.catalogue import SqliteCatalogue

FIRST_YEAR, LAST_YEAR = 1998, 9998
_HEAD_BYTES = 1024
_NUMBER_DIGITS_MAX = 18  # that SQLite holds
_OPENERS: dict[str, Callable[[Path, str], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}

# The built-in prices are the same for everybody, so they are shown without a file too.
config_option = click.option(
    "--config",
    "config",
    type=ConfigFile(),
    help="The configuration file; without it the built-in tariffs and rules.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="JSON rather than lines for people."
)


@click.group(epilog="Example: lianmu tariff show")
def tariff() -> None:
    """Prices by date of effect, in fen, and why a record has its price."""


@tariff.command("list", epilog="Example: lianmu tariff list --config config.toml")
@json_option
@config_option
def list_tariffs(as_json: bool, config: Config | None) -> None:
    """List the versions with the accounting years that each of them prices."""
    lines = list(priced_years((config or Config()).tariffs))
    if as_json:
        click.echo(msgspec.json.encode(lines).decode())
        return
    for line in lines:
        until = line["until_year"]
        years = f"{line['from_year']} to {until}" if until else f"{line['from_year']} on"
        if until is not None and until < line["from_year"]:
            years = "none"
        click.echo(
            f"{line['version']:<16} effective {line['effective']}  years {years:<13}"
            f"  {line['origin']}"
        )


@tariff.command("show", epilog="Example: lianmu tariff show 2023-01-01 --json")
@click.argument("version", required=False)
@json_option
@config_option
def show(version: str | None, as_json: bool, config: Config | None) -> None:
    """Show every price of VERSION; without it, of the present accounting year."""
    tariffs = (config or Config()).tariffs
    if version is None:
        chosen = tariff_of_year(accounting_day(now_us())[0], tariffs)
    else:
        named = [each for each in tariffs if each.version == version]
        if not named:
            known = ", ".join(each.version for each in tariffs)
            raise click.BadParameter(
                f"there is no version {version}; there are {known}", param_hint="VERSION"
            )
        (chosen,) = named
    if as_json:
        click.echo(
            msgspec.json.encode({
                "version": chosen.version,
                "effective": chosen.effective.isoformat(),
                "from_year": chosen.first_year if chosen.effective > date.min else None,
                "origin": chosen.origin,
                "price_fen": dict(chosen.prices_fen),
                "partner": chosen.partner,
                "partner_percent": dict(chosen.partner_percent),
            }).decode()
        )  # fmt: skip
        return
    click.echo(f"tariff {chosen.version}, effective {chosen.effective}, {chosen.origin}")
    click.echo(f"prices the accounting years from {chosen.first_year} on, until a later one does")
    for item, fen in chosen.prices_fen.items():
        shared = ""
        if chosen.is_shared(item):
            shared = f"  {yuan(chosen.shares(item).partner_fen)} of it for {chosen.partner}"
        click.echo(f"{item:<34}{fen:>8} fen {yuan(fen):>8} yuan{shared}")


@dataclass(frozen=True, slots=True)
class _Judged:
    """A record, or why it could not be read; `holdings` and `cover` say whence they are."""

    number: int
    classification: Classification | None
    refusal: str = ""
    detailed_holdings: bool = False
    holdings_because: str = ""


@tariff.command(
    "explain",
    epilog="Example: lianmu tariff explain new.mrc --database cn_cat --cover --config config.toml",
)
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--record", metavar="ID",
    help="A record of the catalogue: its control number, or the catalogue's own number.",
)  # fmt: skip
@click.option(
    "--database", help="Where the records are or would go; without it the first database."
)
@click.option(
    "--encoding", type=click.Choice(["auto", *ENCODINGS], case_sensitive=False), default="auto",
    show_default=True, help="Of an ISO 2709 file; XML says its own.",
)  # fmt: skip
@click.option("--cover", is_flag=True, help="As if a cover image had been uploaded with each.")
@click.option(
    "--year", type=click.IntRange(FIRST_YEAR, LAST_YEAR),
    help="With the tariff of that accounting year; the present one without it.",
)  # fmt: skip
@json_option
@config_option
def explain(
    file: Path | None,
    record: str | None,
    database: str | None,
    encoding: str,
    cover: bool,
    year: int | None,
    as_json: bool,
    config: Config | None,
) -> int:
    """Say what uploading each record of FILE earns, and what in it decided.

    FILE is ISO 2709 or MARCXML, also .gz, .bz2 or .xz. A record that cannot be read is
    told, and the status is 1.
    """
    if (file is None) == (record is None):
        raise click.UsageError("Give either FILE or --record.")
    if record is not None and config is None:
        raise click.UsageError("--record needs --config.")
    used = config or Config()
    target = _target(used, database)
    price = tariff_of_year(
        year or accounting_day(now_us())[0], used.tariffs
    )  # fmt: skip
    rules = category_rules(used)
    if record is not None:
        judged: Iterator[_Judged] = iter(_of_catalogue(used, record, database, rules))
    else:
        assert file is not None  # noqa: S101 - one of both is there
        judged = _of_file(file, target, encoding, rules)
    if not as_json:
        where = "" if record is not None else f", records of {target.name} ({target.family.value})"
        click.echo(f"tariff {price.version}{where}")
    refused = False
    written = 0
    for each in judged:
        refused |= each.classification is None
        written += 1
        if as_json:
            click.echo(msgspec.json.encode(_as_json(each, price, cover)).decode())
        else:
            _tell(each, price, cover)
    if not written and not as_json:
        click.echo("no record is there")
    return 1 if refused else 0


def _target(config: Config, name: str | None) -> Database:
    if name is None:
        return config.databases[0]
    for database in config.databases:
        if name.lower() in (database.name.lower(), *(alias.lower() for alias in database.aliases)):
            return database
    names = ", ".join(database.name for database in config.databases)
    raise click.BadParameter(
        f"there is no database {name}; there are {names}", param_hint="--database"
    )


def _of_file(
    path: Path, database: Database, encoding: str, rules: CategoryRules
) -> Iterator[_Judged]:
    opener = _OPENERS.get(path.suffix)
    file = cast(BinaryIO, opener(path, "rb")) if opener else path.open("rb")
    with file:
        try:
            for number, marc in enumerate(_records(file, database, encoding), start=1):
                yield _judge(number, marc, database, rules)
        except (EOFError, lzma.LZMAError) as error:
            raise click.ClickException(f"{path}: {error}") from None


def _records(file: BinaryIO, database: Database, encoding: str) -> Iterator[bytes | RefusedRecord]:
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        for read in read_marcxml(file, database.family):
            yield read if isinstance(read, RefusedRecord) else read.marc
        return
    for raw in split(file):
        if isinstance(raw, RefusedRecord):
            yield raw
            continue
        decoded = decode_record(raw.raw, database.family, encoding, offset=raw.offset)
        yield decoded if isinstance(decoded, RefusedRecord) else decoded.marc


def _judge(
    number: int, marc: bytes | RefusedRecord, database: Database, rules: CategoryRules
) -> _Judged:
    if isinstance(marc, RefusedRecord):
        return _Judged(number, None, marc.reason)
    try:
        classification = classify(marc, database.family, database.name, rules)
        tag = has_detailed_holdings(marc, database.family)
    except MalformedRecord as error:
        return _Judged(number, None, str(error))
    because = f"field {tag} names a library and a call number" if tag else ""
    return _Judged(number, classification, "", bool(tag), because)


def _of_catalogue(
    config: Config, wanted: str, database: str | None, rules: CategoryRules
) -> list[_Judged]:
    catalogue = SqliteCatalogue(config.data_dir)
    try:
        records = asyncio.run(_find(catalogue, wanted, database))
        if not records:
            raise click.BadParameter(f"there is no record {wanted}", param_hint="--record")
        judged = []
        for record in records:
            held = asyncio.run(catalogue.holdings((record.record_id,)))
            detailed = are_detailed(held.get(record.record_id, ()))
            each = _judge(record.record_id, record.marc, record.database, rules)
            if detailed and each.classification is not None:
                each = _Judged(
                    each.number, each.classification, "", True,
                    "a member's holdings have a call number",
                )  # fmt: skip
            judged.append(each)
        return judged
    finally:
        catalogue.close()


async def _find(
    catalogue: SqliteCatalogue, wanted: str, database: str | None
) -> list[StoredRecord]:
    """Records with that control number; where there is none, the one with that own number."""
    databases = catalogue.resolve((database or "all",))
    if isinstance(databases, Diagnostic):
        raise click.BadParameter(f"there is no database {database}", param_hint="--database")
    answer = await catalogue.search(
        databases, Clause("control_number", wanted, structure=Structure.KEY), {}
    )
    ids = answer if isinstance(answer, Diagnostic) else answer.ids(1, len(answer))
    found = [] if isinstance(ids, Diagnostic) else await catalogue.fetch(ids)
    if not found and wanted.isdecimal() and len(wanted) <= _NUMBER_DIGITS_MAX:
        found = await catalogue.fetch((int(wanted),))
    return [
        record
        for record in found
        if record is not None and not record.deleted and record.database in databases
    ]


def _as_json(judged: _Judged, price: Tariff, cover: bool) -> dict[str, Any]:
    found = judged.classification
    if found is None:
        return {"number": judged.number, "refused": judged.refusal}
    parts = parts_of(
        found.category, found.level, price,
        detailed_holdings=judged.detailed_holdings, cover=cover,
    )  # fmt: skip
    return {
        "number": judged.number,
        "control_number": found.control_number,
        "tariff": price.version,
        "category": found.category,
        "category_because": found.category_because,
        "level": found.level,
        "level_because": found.level_because,
        "detailed_holdings": judged.detailed_holdings,
        "cover": cover,
        "items": [
            {
                "item": part.item, "fen": part.fen, "partner_fen": part.partner_fen,
                "because": part.because,
            }
            for part in parts
        ],
        "fen": sum(part.fen for part in parts),
    }  # fmt: skip


def _tell(judged: _Judged, price: Tariff, cover: bool) -> None:
    told = _as_json(judged, price, cover)
    if judged.classification is None:
        click.echo(f"\n{judged.number}  cannot be read: {judged.refusal}")
        return
    click.echo(f"\n{judged.number}  {told['control_number'] or '(no 001)'}")
    click.echo(f"  category  {told['category']:<9} because {told['category_because']}")
    click.echo(f"  level     {told['level']:<9} because {told['level_because']}")
    if judged.detailed_holdings:
        click.echo(f"  holdings  detailed  because {judged.holdings_because}")
    for item in told["items"]:
        shared = ""
        if item["partner_fen"]:
            shared = f"; {yuan(item['partner_fen'])} of it for {price.partner}"
        click.echo(
            f"  {item['item']:<30}{item['fen']:>5} fen {yuan(item['fen']):>6} yuan"
            f"  {item['because']}{shared}"
        )
