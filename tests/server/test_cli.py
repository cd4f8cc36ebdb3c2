"""The command line: each command helps, refuses in one line, and does what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness import lianmu

COMMANDS = [
    [],
    ["serve"],
    ["demo"],
    ["check-config"],
    ["load"],
    ["export"],
    ["member"],
    ["member", "add"],
    ["member", "charset"],
    ["member", "list"],
    ["member", "key"],
    ["member", "key", "add"],
    ["member", "key", "list"],
    ["member", "key", "revoke"],
    ["operator", "add"],
    ["ledger"],
    ["ledger", "verify"],
    ["ledger", "show"],
    ["ledger", "correct"],
    ["ledger", "export"],
    ["ledger", "rebuild"],
    ["usage"],
    ["settle"],
    ["statement"],
    ["counter"],
    ["query"],
    ["reindex"],
    ["doctor"],
]


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.toml"
    path.write_text('[server]\ndata_dir = "data"\nworkers = 1\n')
    return str(path)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_helps_with_an_example(command: list[str]) -> None:
    done = lianmu(*command, "--help")
    assert done.returncode == 0
    assert "Example: lianmu" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a command is missing (lianmu --help)"),
        (["member"], "a command is missing (lianmu member --help)"),
        (["demo", "--dir", "{tmp}/broken.toml/demo"], "broken.toml/demo: Not a directory"),
        (["serve", "--config", "{tmp}"], "Is a directory"),
        (
            ["load", "--config", "{config}", "--database", "we_cat",
             "--report", "{tmp}/broken.toml/report.csv", "{tmp}/broken.toml"],
            "broken.toml: File exists",
        ),
        (["nonsense"], "No such command 'nonsense'"),
        (["serve"], "Missing option '--config'"),
        (["serve", "--config", "{tmp}/none.toml"], "none.toml: no such file"),
        (["check-config", "--config", "{tmp}/broken.toml"], "Expected `int`, got `str`"),
        (["member", "add", "P U", "--name", "x", "--config", "{config}"], "no institution code"),
        (["member", "key", "add", "NOBODY", "x", "--config", "{config}"], "no institution NOBODY"),
        (["member", "key", "list", "NOBODY", "--config", "{config}"], "no institution NOBODY"),
        (["member", "key", "revoke", "NOBODY", "x", "--config", "{config}"], "no institution"),
        (["member", "key", "add", "PKU", "--config", "{config}"], "Missing argument 'NAME'"),
        (["usage", "NOBODY", "--config", "{config}"], "no institution NOBODY"),
        (["usage", "PKU", "--year", "12", "--config", "{config}"], "12 is not in the range"),
        (
            ["load", "--config", "{config}", "--database", "none", "{tmp}/broken.toml"],
            "no database none",
        ),
        (
            ["load", "--config", "{config}", "--database", "we_cat", "{tmp}/missing.mrc"],
            "missing.mrc",
        ),
        (
            ["load", "--config", "{config}", "--database", "we_cat", "--encoding", "latin-9",
             "{tmp}/broken.toml"],
            "'latin-9' is not one of",
        ),
        (
            ["load", "--config", "{config}", "--database", "we_cat", "--holdings", "NOBODY",
             "{tmp}/broken.toml"],
            "no institution NOBODY",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_line(
    tmp_path: Path, config: str, arguments: list[str], message: str
) -> None:
    (tmp_path / "broken.toml").write_text('[z3950]\nport = "x"\n')
    lianmu("member", "add", "PKU", "--name", "Peking", "--password", "x", "--config", config)
    done = lianmu(*(a.format(tmp=tmp_path, config=config) for a in arguments))
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert message in done.stderr


@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        ("catalogue.sqlite", ["serve"]),
        ("catalogue.sqlite", ["load", "--database", "we_cat", "{config}"]),
        ("catalogue.sqlite", ["doctor"]),
        ("members.sqlite", ["serve"]),
        ("members.sqlite", ["member", "list"]),
        ("members.sqlite", ["usage", "PKU"]),
        ("ledger.sqlite", ["serve"]),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_file_that_is_no_database_is_named(
    tmp_path: Path, config: str, file: str, arguments: list[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / file).write_bytes(b"not a database " * 500)
    done = lianmu(*(a.format(config=config) for a in arguments), "--config", config)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "file is not a database" in done.stderr


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "config.toml"
    path.write_text('[server]\ndata_dir = "file/data"\nworkers = 1\n')
    for arguments in (
        ["serve"],
        ["load", "--database", "we_cat", str(path)],
        ["member", "add", "PKU", "--name", "Peking"],
        ["member", "list"],
        ["operator", "add", "admin"],
    ):
        done = lianmu(*arguments, "--config", str(path))
        assert done.returncode == 2
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "Not a directory" in done.stderr


def test_a_member_is_added_listed_and_has_a_year(config: str) -> None:
    added = lianmu(
        "member", "add", "pku", "--name", "Peking University Library", "--config", config
    )
    assert added.returncode == 0
    assert "password  " in added.stdout  # none was given, so one is made and shown
    listed = lianmu("member", "list", "--json", "--config", config)
    (row,) = json.loads(listed.stdout)
    assert (row["code"], row["accounts"]) == ("PKU", ["pku"])
    lianmu_usage = lianmu("usage", "pku", "--year", "2026", "--json", "--config", config)
    figures = json.loads(lianmu_usage.stdout)
    assert figures == {
        "institution": "PKU", "year": 2026, "holdings_uploaded": 0, "downloads": 0,
        "repeats": 0, "voided": 0, "quota": 0, "billable": 0, "charge_fen": 0,
        "batch": 0, "uploads": {}, "covers": {}, "batch_fen": 0, "credit_fen": 0,
        "estimate": True, "documents": {}, "open_fen": 0,
    }  # fmt: skip


def test_a_key_is_added_listed_and_revoked(config: str) -> None:
    lianmu("member", "add", "pku", "--name", "Peking", "--password", "x", "--config", config)
    added = lianmu("member", "key", "add", "pku", "ils", "--config", config)
    assert (added.returncode, added.stderr) == (0, "")
    secret = next(word for word in added.stdout.split() if word.startswith("lianmu_"))
    again = lianmu("member", "key", "add", "pku", "ils", "--config", config)
    assert (again.returncode, again.stderr) == (2, "lianmu: PKU has a key ils already\n")
    revoked = lianmu("member", "key", "revoke", "pku", "ils", "--config", config)
    assert (revoked.returncode, revoked.stdout) == (0, "revoked   pku+ils\n")
    assert revoked.stderr == ""
    audit = lianmu("audit", "--kind", "account", "--config", config).stdout.splitlines()
    assert [line.split()[3:6] for line in audit] == [
        ["key", "add", "ils:"],
        ["key", "revoke", "ils:"],
    ]
    assert secret not in "".join(audit)
    again = lianmu("member", "key", "revoke", "pku", "ils", "--config", config)
    assert (again.returncode, again.stderr) == (2, "lianmu: PKU has no good key ils\n")
    listed = lianmu("member", "key", "list", "pku", "--config", config)
    assert secret not in listed.stdout
    assert "never used" in listed.stdout
    assert "revoked" in listed.stdout
    (row,) = json.loads(lianmu("member", "key", "list", "PKU", "--json", "--config", config).stdout)
    assert (row["name"], row["last_used_us"]) == ("ils", None)
    assert row["revoked_us"] >= row["created_us"]


def test_a_good_configuration_is_told_in_full(config: str) -> None:
    done = lianmu("check-config", "--config", config)
    assert done.returncode == 0
    assert "database  cn_cat, unimarc" in done.stdout
    assert "The configuration is good." in done.stdout
