"""`lianmu` without a process of its own, which costs most of a short test."""

from __future__ import annotations

from typing import NamedTuple

from click.testing import CliRunner

from server.cli import main


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def lianmu(*arguments: str) -> Done:
    """Run one command to its end; whatever it raises is a failure of the test."""
    result = CliRunner().invoke(main, list(arguments), prog_name="lianmu")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Done(result.exit_code, result.stdout, result.stderr)
