"""Options that several subcommands share."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from server.config import Config, load_config
from store.members import Institution, Members


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

files_argument = click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    metavar="FILE…",
)


def report_path(config: Config, name: str, suffix: str) -> Path:
    """Where a report goes that was given no place: beside the others, replacing none of them."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")  # loads end within one second, too
    return config.data_dir / "reports" / f"{name}-{stamp}.{suffix}"


def existing_institution(config: Config, code: str, option: str) -> Institution:
    """The institution of that code.

    Raises:
        click.BadParameter: there is none; `option` is what named it.
        MemberError: there are no members at all yet.
    """
    with closing(Members(config.members_path)) as members:
        found = members.institution(code)
    if found is None:
        raise click.BadParameter(f"there is no institution {code}", param_hint=option)
    return found


def institution_code(config: Config, code: str, option: str) -> str:
    """The institution's code as the members' file spells it.

    Raises:
        click.BadParameter: there is none of that code; `option` is what named it.
    """
    found = None
    if config.members_path.exists():
        with closing(Members(config.members_path)) as members:
            found = members.institution(code)
    if found is None:
        raise click.BadParameter(
            f"there is no institution {code}; `lianmu member list` names them,"
            " `lianmu member add` adds one",
            param_hint=option,
        )
    return found.code


def now_us() -> int:
    """UTC in microseconds since 1970."""
    return time.time_ns() // 1000
