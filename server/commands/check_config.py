"""`lianmu check-config`"""

from __future__ import annotations

import click

from server.commands.options import config_option
from server.config import Config


@click.command("check-config", epilog="Example: lianmu check-config --config config.toml")
@config_option
def check_config(config: Config) -> None:
    """Check a configuration file and say what it sets up."""
    click.echo(f"data      {config.data_dir}")
    click.echo(f"z39.50    {config.z3950.host}:{config.z3950.port}")
    click.echo(f"http      {config.http.host}:{config.http.port}")
    click.echo(f"workers   {config.workers}")
    for database in config.databases:
        aliases = f" (also {', '.join(database.aliases)})" if database.aliases else ""
        click.echo(f"database  {database.name}, {database.family.value}{aliases}")
    click.echo("The configuration is good.")
