"""`lianmu restore`: a backup becomes the data folder again."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click
import msgspec

from server.backup.manifest import BackupError, Manifest, read_manifest, told
from server.backup.restore import contents, ledger_problems, problems, put_in_place, staged
from server.commands.doctor import findings
from server.commands.octets import telling
from server.commands.options import config_option
from server.config import Config
from server.errors import StartError
from server.processes.serving import is_serving
from store.doctor import SAMPLE_DEFAULT, Finding


@click.command(
    epilog="Example: lianmu restore --config config.toml /backup/lianmu-20261126T020000Z --dry-run"
)
@config_option
@click.argument(
    "source", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="SOURCE"
)
@click.option("--dry-run", is_flag=True, help="Prove the backup, say what would be done, and end.")
@click.option(
    "--force",
    is_flag=True,
    help="Where the data folder holds something, move that aside first, within it.",
)
@click.option("--json", "as_json", is_flag=True, help="Tell what was done as JSON.")
def restore(config: Config, source: Path, dry_run: bool, force: bool, as_json: bool) -> None:
    """Put the backup SOURCE in the place of the data folder.

    The backup is proved first, copied, and looked through by what `lianmu ledger
    verify` and `lianmu doctor` look at; only then anything takes its place. The
    configuration is left as it is; that of the backup is in SOURCE/config. The
    server must not run. What was downloaded since the backup is not in it.

    Ends with status 1 when the backup is not whole; nothing was changed then.
    """
    data_dir = config.data_dir
    try:
        manifest = read_manifest(source)
        if is_serving(data_dir):
            raise BackupError(f"{data_dir}: a server is running on this data folder; stop it first")
        present = contents(data_dir)
        if present and not (force or dry_run):
            raise BackupError(
                f"{data_dir} holds {present[0].name} and {len(present) - 1} others;"
                " with --force they are moved aside"
            )
        notes, aside = _restored(config, source, manifest, dry_run, as_json)
    except BackupError as error:
        raise StartError(str(error)) from None
    if as_json:
        document = {
            "ok": True, "restored": not dry_run, "problems": [],
            "data_dir": str(data_dir), "moved_aside": str(aside) if aside else "",
            "still_us": manifest.still_us, "ledger_entries": manifest.ledger_entries,
            "ledger_head_hash": manifest.ledger_head_hash,
        }  # fmt: skip
        click.echo(msgspec.json.encode(document).decode())
        return
    click.echo(f"backup     {source}, state of {told(manifest.still_us)}: whole")
    click.echo(f"ledger     {manifest.ledger_entries:,} entries, {manifest.ledger_head_hash}")
    if dry_run:
        what = f"{len(present)} names in it would be moved aside" if present else "it is empty"
        click.echo(f"would be   restored to {data_dir}; {what}")
        return
    for each in notes:
        if each.part == "spool":
            click.echo(f"note       {each.text}")
    if aside is not None:
        click.echo(f"moved      what was there to {aside}")
    click.echo(f"restored   {data_dir}")


def _restored(
    config: Config, source: Path, manifest: Manifest, dry_run: bool, as_json: bool
) -> tuple[list[Finding], Path | None]:
    """Prove, copy, look through, put in place; what was found, and where the former went."""
    with ExitStack() as copied:
        with telling() as tell:
            _refuse(list(problems(source, manifest, tell)), manifest, as_json)
            if dry_run:
                return [], None
            copy = copied.enter_context(staged(config, source, manifest, tell))
            tell.stage("ledger entries", manifest.ledger_entries)
            wrong = list(ledger_problems(copy.ledger_path, manifest, tell))
        notes = list(findings(copy, SAMPLE_DEFAULT, None))
        # A disk that is nearly full is no fault of the backup's.
        wrong += [
            f"{each.part}: {each.text}" for each in notes if each.is_problem and each.part != "disk"
        ]
        _refuse(wrong, manifest, as_json)
        return notes, put_in_place(config.data_dir)


def _refuse(wrong: list[str], manifest: Manifest, as_json: bool) -> None:
    if not wrong:
        return
    if as_json:
        document = {"ok": False, "restored": False, "problems": wrong}
        click.echo(msgspec.json.encode(document).decode())
    else:
        for problem in wrong:
            click.echo(f"bad        {problem}")
        click.echo(f"the backup of {told(manifest.begun_us)} is not whole; nothing was changed")
    raise click.exceptions.Exit(1)
