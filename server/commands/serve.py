"""`lianmu serve`"""

from __future__ import annotations

import click

from server import log
from server.commands.options import config_option
from server.config import Config
from server.processes.supervisor import Supervisor


def announce(z3950: str, http: str, z3950s: str) -> None:
    """Tell whoever started the server that its ports accept."""
    over_tls = f" z3950s={z3950s}" if z3950s else ""
    click.echo(f"READY z3950={z3950} http={http}{over_tls}")


@click.command(epilog="Example: lianmu serve --config config.toml")
@config_option
def serve(config: Config) -> None:
    """Serve Z39.50 and HTTP until SIGTERM or Ctrl-C.

    Prints `READY z3950=HOST:PORT http=HOST:PORT` on stdout once both accept,
    followed by ` z3950s=HOST:PORT` where TLS is configured. SIGHUP reads the
    certificates of TLS again; associations that are there go on.
    """
    log.set_up(config.server.log_format, config.server.log_level)
    Supervisor(config).run(announce)
