"""Options that several subcommands share."""

from __future__ import annotations

import time
from pathlib import Path

import click

from server.config import Config, load_config


class ConfigFile(click.ParamType[Config]):
    """A path that becomes the checked configuration."""

    name = "file"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Config:
        return value if isinstance(value, Config) else load_config(Path(str(value)))


config_option = click.option(
    "--config",
    "config",
    type=ConfigFile(),
    required=True,
    help="The configuration file; see config.example.toml.",
)


def now_us() -> int:
    """UTC in microseconds since 1970."""
    return time.time_ns() // 1000
