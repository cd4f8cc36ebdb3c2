"""Imports point one way, and the protocol core does no I/O."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
OURS = {"protocol", "store", "metering", "server", "samples", "benchmarks", "tests"}
MAY_IMPORT = {
    "protocol": set(),
    "store": {"protocol"},
    "metering": {"protocol"},
    "samples": {"protocol"},
    "server": {"protocol", "store", "metering", "samples"},
}
# What the store and metering may know of the protocol: value types, the table
# of access points, and the forms of a record. No APDU, no query language.
VALUE_TYPES = {
    "access_point", "access_points", "china_time", "diagnostic", "holding_statement", "query",
    "record", "record_kind", "charset", "iso2709", "iso2709_file", "marc_json", "marcxml",
    "marcxml_reader",
}  # fmt: skip
IO_MODULES = {"asyncio", "socket", "selectors", "sqlite3", "time", "datetime", "threading",
              "subprocess", "aiohttp", "msgspec", "tomllib", "os", "pathlib"}  # fmt: skip
LINES_MAX = 600


def modules(package: str) -> list[Path]:
    return sorted((CHECKOUT / package).rglob("*.py"))


def imported(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    for module in modules(package):
        for name in imported(module):
            top = name.partition(".")[0]
            assert top not in OURS or top in allowed, f"{module.name} imports {name}"


@pytest.mark.parametrize("package", ["store", "metering"])
def test_store_and_metering_know_only_value_types_of_the_protocol(package: str) -> None:
    for module in modules(package):
        for name in imported(module):
            parts = name.split(".")
            if parts[0] == "protocol" and len(parts) > 1:
                assert parts[1] in VALUE_TYPES, f"{module.name} imports {name}"


def test_the_protocol_core_does_no_io() -> None:
    for module in modules("protocol"):
        reached = {name.partition(".")[0] for name in imported(module)} & IO_MODULES
        if module.name == "china_time.py":  # counts with moments that are given to it
            assert not re.search(r"\.(now|today|utcnow)\b", module.read_text("utf-8"))
            reached -= {"datetime"}
        assert not reached, f"{module.name} imports {sorted(reached)}"


def test_sql_is_written_only_behind_the_store_and_the_ledger() -> None:
    for package in ("protocol", "server", "samples"):
        for module in modules(package):
            reached = {name.partition(".")[0] for name in imported(module)}
            assert not reached & {"sqlite3", "aiosqlite"}, module.name


@pytest.mark.parametrize("package", sorted(OURS))
def test_a_module_is_read_in_one_sitting(package: str) -> None:
    for module in modules(package):
        lines = len(module.read_text("utf-8").splitlines())
        assert lines <= LINES_MAX, f"{module} has {lines} lines"
