"""`lianmu serve`"""

from __future__ import annotations

import click

from server import log
from server.commands.options import config_option
from server.config import Config
from server.supervisor import Supervisor


def announce(z3950: str, http: str) -> None:
    """Tell whoever started the server that both ports accept."""
    click.echo(f"READY z3950={z3950} http={http}")


@click.command(epilog="Example: lianmu serve --config config.toml")
@config_option
def serve(config: Config) -> None:
    """Serve Z39.50 and HTTP until SIGTERM or Ctrl-C.

    Prints `READY z3950=HOST:PORT http=HOST:PORT` on stdout once both accept.
    """
    log.set_up(config.server.log_format, config.server.log_level)
    Supervisor(config).run(announce)
