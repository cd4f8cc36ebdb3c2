"""What is installed: every package, and every file that one reads."""

from __future__ import annotations

import tomllib
from pathlib import Path, PurePath

import pytest
from setuptools import find_packages

ROOT = Path(__file__).parents[2]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
TOP = ("protocol", "store", "metering", "server", "samples")


def test_every_package_is_installed() -> None:
    packages = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in TOP
        for path in (ROOT / top).rglob("__init__.py")
    }
    found = find_packages(str(ROOT), include=SETUPTOOLS["packages"]["find"]["include"])
    assert set(found) == packages


@pytest.mark.parametrize("top", TOP)
def test_every_file_that_a_package_reads_is_installed(top: str) -> None:
    patterns = SETUPTOOLS["package-data"].get(top, [])
    left_out = [
        path
        for path in (ROOT / top).rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".pyc")
        and not any(
            PurePath(path.relative_to(ROOT / top)).match(pattern)
            and len(PurePath(pattern).parts) == len(path.relative_to(ROOT / top).parts)
            for pattern in patterns
        )
    ]
    assert left_out == []
