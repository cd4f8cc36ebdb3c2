"""The `lianmu` command."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from metering.interface import MeteringError
from metering.tariff import TariffError
from server import VERSION
from server.config import ConfigError
from server.errors import BatchError, StartError
from store.members import MemberError
from store.sqlite import Refused, StoreError, is_out_of_room

# Subcommand to module and name: a module is imported only for its command.
COMMANDS = {
    "demo": ("server.commands.demo", "demo"),
    "serve": ("server.commands.serve", "serve"),
    "check-config": ("server.commands.check_config", "check_config"),
    "load": ("server.commands.load", "load"),
    "export": ("server.commands.export", "export"),
    "holdings": ("server.commands.holdings", "holdings"),
    "member": ("server.commands.member", "member"),
    "operator": ("server.commands.operator", "operator"),
    "audit": ("server.commands.audit", "audit"),
    "record": ("server.commands.record", "record"),
    "cover": ("server.commands.cover", "cover"),
    "dedupe": ("server.commands.dedupe", "dedupe"),
    "reindex": ("server.commands.reindex", "reindex"),
    "backup": ("server.commands.backup", "backup"),
    "restore": ("server.commands.restore", "restore"),
    "doctor": ("server.commands.doctor", "doctor"),
    "ledger": ("server.commands.ledger", "ledger"),
    "usage": ("server.commands.usage", "usage"),
    "batch": ("server.commands.batch", "batch"),
    "credit": ("server.commands.credit", "credit"),
    "tariff": ("server.commands.tariff", "tariff"),
    "settle": ("server.commands.settle", "settle"),
    "counter": ("server.commands.counter", "counter"),
    "statement": ("server.commands.statement", "statement"),
    "api": ("server.commands.api", "api"),
    "query": ("server.commands.query", "query"),
    "validate": ("server.commands.validate", "validate"),
}
EXPECTED = (
    ConfigError, StartError, StoreError, MemberError, MeteringError, TariffError, BatchError,
)  # fmt: skip


class _Group(click.Group):
    """Refuses in one line on stderr with status 2, and never shows a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        try:
            status = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.exceptions.Exit as leave:
            sys.exit(leave.exit_code)
        except click.Abort:
            sys.exit(130)
        except click.exceptions.NoArgsIsHelpError as error:
            _refuse(f"a command is missing ({error.ctx.command_path} --help)")
        except click.UsageError as error:
            hint = f" ({error.ctx.command_path} --help)" if error.ctx else ""
            _refuse(error.format_message() + hint)
        except click.ClickException as error:
            _refuse(error.format_message())
        except EXPECTED as error:
            _refuse(f"{error}{_why(error)}")
        except Refused as error:
            _refuse(f"the database: {error}{_why(error)}")
        except BrokenPipeError:
            sys.exit(1)
        except OSError as error:  # a path that cannot be used, a full disk
            place = f"{error.filename}: " if error.filename is not None else ""
            _refuse(f"{place}{error.strerror or error}")
        sys.exit(status if isinstance(status, int) else 0)


def _why(error: BaseException) -> str:
    return " (there is no room on its disk)" if is_out_of_room(error) else ""


def _refuse(message: str) -> NoReturn:
    click.echo(f"lianmu: {' '.join(message.split())}", err=True)
    sys.exit(2)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: lianmu demo, then in another terminal: yaz-client 127.0.0.1:2100",
)
@click.version_option(VERSION, prog_name="lianmu")
def main() -> None:
    """Lianmu 联目: a union-catalogue server with Z39.50, SRU and metering."""
