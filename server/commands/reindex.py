"""`lianmu reindex`"""

from __future__ import annotations

import click

from server.commands.options import config_option
from server.commands.progress import LongWork
from server.config import Config
from server.processes.serving import give_way, is_serving
from store.reindex import reindex as build_index
from store.repacking import pack_stored
from store.writer import CatalogueWriter


@click.command(epilog="Example: lianmu reindex --config config.toml")
@config_option
def reindex(config: Config) -> None:
    """Build the index anew from the records, after an upgrade that asks for it.

    A running server answers searches from the old index until the new one is
    there, and takes updates all the while. When it is broken off, the same
    command goes on. Records that an earlier version stored are compressed, too.
    """
    if is_serving(config.data_dir):
        give_way()
    writer = CatalogueWriter(config.data_dir, config.databases)
    try:
        with LongWork("reindex") as work:
            records = build_index(
                writer, progress=lambda done, total: work.update(done, done, total)
            )
        packed = pack_stored(writer)
    finally:
        writer.close()
    click.echo(f"indexed    {records:>10,}")
    if packed:
        click.echo(f"compressed {packed:>10,}")
