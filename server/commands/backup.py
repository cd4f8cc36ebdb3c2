"""`lianmu backup`: a whole copy of the data folder while it is served."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from server.backup.make import make_backup, rotate
from server.backup.manifest import BackupError, Manifest, read_manifest, told
from server.backup.restore import problems
from server.commands.octets import telling
from server.config import load_config
from server.errors import StartError
from server.processes.serving import give_way, is_serving

_MAKE = "make"


class _Group(click.Group):
    """`lianmu backup --config FILE DEST` means `lianmu backup make` with the same."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = [_MAKE, *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Group,
    epilog="Example: lianmu backup --config config.toml /backup --keep 14; lianmu backup verify"
    " /backup/lianmu-20261126T020000Z",
    subcommand_metavar="[make] --config FILE DEST | verify SOURCE",
)
def backup() -> None:
    """Copy the data folder while the server runs, or prove such a copy.

    `lianmu backup --config FILE DEST` makes a backup in the folder DEST; the word
    "make" may be left out. `lianmu restore` brings it back.
    """


@backup.command(
    _MAKE, epilog="Example: lianmu backup --config /etc/lianmu/config.toml /backup --keep 14"
)
@click.argument("destination", type=click.Path(file_okay=False, path_type=Path), metavar="DEST")
@click.option(
    "--config",
    "config_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The configuration file; a copy of it goes into the backup.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Remove the oldest whole backups in DEST until N are left, this one among them.",
)
@click.option("--json", "as_json", is_flag=True, help="Tell what was made as JSON.")
def make(destination: Path, config_path: Path, keep: int | None, as_json: bool) -> None:
    """Make a backup in DEST, in a folder named by the time it began.

    All databases in it are of one moment, and of the same moment are the workers'
    spools: every download that a client had before the backup began is in it.
    Deliveries go on meanwhile; whoever writes waits for a fraction of a second. The
    folder has its name when it is whole; what breaks off leaves none.
    """
    config = load_config(config_path)
    if is_serving(config.data_dir):
        give_way()
    try:
        with telling() as tell:
            folder, manifest = make_backup(config, config_path, destination, tell)
            removed = rotate(destination, keep) if keep is not None else []
    except BackupError as error:
        raise StartError(str(error)) from None
    if as_json:
        document = {
            "backup": str(folder), "removed": [str(path) for path in removed],
            **_document(manifest),
        }  # fmt: skip
        click.echo(msgspec.json.encode(document).decode())
        return
    _show(folder, manifest)
    for path in removed:
        click.echo(f"removed    {path}")


@backup.command(
    "verify", epilog="Example: lianmu backup verify /backup/lianmu-20261126T020000Z --json"
)
@click.argument(
    "source", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="SOURCE"
)
@click.option("--json", "as_json", is_flag=True, help="Tell what was found as JSON.")
def verify(source: Path, as_json: bool) -> None:
    """Prove a backup: every file's hash, every database, every entry of the ledger.

    Needs no configuration and writes nothing. Ends with status 1 when anything is
    amiss.
    """
    try:
        manifest = read_manifest(source)
        with telling() as tell:
            found = list(problems(source, manifest, tell))
    except BackupError as error:
        raise StartError(str(error)) from None
    if as_json:
        document = {"ok": not found, "problems": found, **_document(manifest)}
        click.echo(msgspec.json.encode(document).decode())
    else:
        for problem in found:
            click.echo(f"bad        {problem}")
        if not found:
            _show(source, manifest)
            click.echo("good       every file, every database, every entry of the ledger")
    if found:
        raise click.exceptions.Exit(1)


def _show(folder: Path, manifest: Manifest) -> None:
    click.echo(f"backup     {folder}")
    click.echo(f"state of   {told(manifest.still_us)}")
    click.echo(f"size       {manifest.size_bytes / 1e6:,.1f} MB in {len(manifest.files):,} files")
    click.echo(f"records    {sum(manifest.records.values()):,}")
    click.echo(f"ledger     {manifest.ledger_entries:,} entries, {manifest.ledger_head_hash}")
    click.echo(
        f"spools     {manifest.spools:,} with {manifest.spool_deliveries:,} deliveries, some of"
        " which are in the ledger already"
    )


def _document(manifest: Manifest) -> dict[str, object]:
    return {
        "version": manifest.version, "begun_us": manifest.begun_us,
        "still_us": manifest.still_us, "ended_us": manifest.ended_us,
        "size_bytes": manifest.size_bytes, "files": len(manifest.files),
        "records": manifest.records, "ledger_entries": manifest.ledger_entries,
        "ledger_head_hash": manifest.ledger_head_hash, "spools": manifest.spools,
        "spool_deliveries": manifest.spool_deliveries,
    }  # fmt: skip
