"""`lianmu statement`: a member's year as a document."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import click

from metering.interface import MeteringError
from metering.settlement import Settlements
from metering.statement import Statement, build
from metering.statement_texts import Language, Texts
from server.accounting.ledger import Accounting
from server.accounting.settling import names_to_settle, open_settlements
from server.accounting.statements import BINARY, FORMATS, LISTED, remittance, write
from server.commands.ledger import counting
from server.commands.options import config_option
from server.commands.usage import FIRST_YEAR, LAST_YEAR
from server.config import Config
from server.processes import writer_process
from store.members import Members


@click.command(
    epilog="Example: lianmu statement PKU --year 2025 --format pdf --out pku-2025.pdf"
    " --config config.toml"
)
@click.argument("code", required=False)
@click.option("--all", "everyone", is_flag=True, help="Every member, each in a file in --out.")
@click.option(
    "--year", type=click.IntRange(FIRST_YEAR, LAST_YEAR), required=True,
    help="Accounting year, of China.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="html", show_default=True,
    help="XLSX, CSV and JSON have every entry; HTML and PDF as many as the configuration says.",
)  # fmt: skip
@click.option(
    "--lang", "language", type=click.Choice(("zh", "en", "both")), default="both",
    show_default=True, help="Language of HTML, PDF and XLSX.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path),
    help="A file, or with --all a folder; else the standard output.",
)  # fmt: skip
@config_option
def statement(
    code: str | None,
    everyone: bool,
    year: int,
    form: str,
    language: str,
    out: Path | None,
    config: Config,
) -> None:
    """The statement of one member's year: figures, bill, months, and every entry.

    Before the year is settled it is an estimate and says so. The statement of a
    settled year is the same, octet for octet, whenever it is made, as long as
    [statement] of the configuration is.
    """
    if (code is None) != everyone:
        raise click.UsageError("name a member's CODE, or --all")
    if everyone and (out is None or not out.is_dir()):
        raise click.UsageError("--all needs a folder: --out FOLDER")
    if not everyone and out is not None and out.is_dir():
        raise click.BadParameter(f"{out} is a folder", param_hint="--out")
    if out is None and form in BINARY and sys.stdout.isatty():
        raise click.UsageError(f"a {form} file is no text: name a file with --out")
    writer_process.prepare(config)
    with Accounting(config) as accounting, open_settlements(config) as settlements:
        names = _names(config, settlements, code, year)
        try:
            accounting.folder.fold()  # so that an estimate has the last seconds too
        except MeteringError as error:
            click.echo(f"lianmu: {error}; what waits in the spools is not shown", err=True)
        for each, name in names.items():
            made = build(accounting.ledger, settlements, each, name, year, remittance(config))
            place = out
            if everyone and out is not None:
                place = out / f"{each}-{year}.{form}"
                click.echo(place)
            with _output(place) as file:
                _write(made, form, Texts(cast(Language, language)), config, file)


def _names(config: Config, settlements: Settlements, code: str | None, year: int) -> dict[str, str]:
    """Name by code: that one alone, or every member, and a partner who has a share in the year."""
    names = names_to_settle(config, code)
    if code is not None:
        if not names:
            raise click.BadParameter(f"there is no institution {code}", param_hint="CODE")
        return names
    members = Members(config.members_path)
    try:
        codes = {each.code for each in members.institutions()}
    finally:
        members.close()
    codes |= {each.institution for each in settlements.estimates(year)}
    return {each: name for each, name in sorted(names.items()) if each in codes}


def _write(made: Statement, form: str, t: Texts, config: Config, out: BinaryIO) -> None:
    if form in LISTED:
        with counting("entries", made.entry_count) as progress:
            write(made, form, t, config, out, progress)
    else:
        write(made, form, t, config, out)


@contextlib.contextmanager
def _output(out: Path | None) -> Iterator[BinaryIO]:
    """The file, which is there only when it is whole; or the standard output."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    descriptor, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
