"""`lianmu holdings` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from server.cli import main
from tests.catalogue_records import book, chinese_book

CONFIG = '[server]\ndata_dir = "data"\n[metering]\nfsync = false\n'


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("holdings")
    path = folder / "config.toml"
    path.write_text(CONFIG)
    run(path, "member", "add", "PKU", "--name", "Library", "--password", "pw")
    for name, database, marc in (("w", "we_cat", book), ("c", "cn_cat", chinese_book)):
        file = folder / f"{name}.mrc"
        file.write_bytes(b"".join(marc(f"{name}{n}", f"Title {n}") for n in range(1, 6)))
        run(path, "load", "--database", database, str(file))
    yield path


def run(config: Path, *arguments: str, status: int = 0) -> str:
    done = CliRunner().invoke(main, [*arguments, "--config", str(config)])
    assert done.exit_code == status, done.output
    return done.stdout if status in (0, 1) else done.stderr


def test_a_file_is_imported_compared_replaced_and_exported(config: Path) -> None:
    folder = config.parent
    (folder / "a.csv").write_text("控制号,索书号\nc1,A\nc2,B\nw1,C\nc9,D\n", encoding="gb18030")
    (folder / "b.json").write_text('{"control_number": "c1", "call_number": "Z"}\n')
    a, b = str(folder / "a.csv"), str(folder / "b.json")
    told = run(config, "holdings", "import", "pku", a, "--dry-run")
    assert told.startswith("nothing was changed")
    assert "line 5, c9: there is no such record" in told
    done = json.loads(run(config, "holdings", "import", "PKU", a, "--json"))
    assert (done["added"], done["refused"], done["held_after"]) == (3, 1, 3)
    assert Path(done["report"]).read_text("utf-8").splitlines()[1].startswith("5,c9,unknown,")
    usage = json.loads(run(config, "usage", "PKU", "--json"))
    assert usage["holdings_uploaded"] == 3
    lines = run(config, "holdings", "diff", "PKU", b, status=1).splitlines()
    assert lines[:3] == [
        "~ cn_cat c1  call number: A → Z", "- we_cat w1  C, 1 ×", "- cn_cat c2  B, 1 ×",
    ]  # fmt: skip
    assert "only here             2" in lines
    # Nobody at the terminal says yes.
    asked = run(config, "holdings", "import", "PKU", b, "--replace-all", status=130)
    assert "Take away 2 of the 3 holdings of PKU?" in asked
    within = run(
        config, "holdings", "import", "PKU", b, "--replace-all", "--yes", "--database", "cn_cat",
        "--json", "--as", "li",
    )  # fmt: skip
    assert (json.loads(within)["changed"], json.loads(within)["removed"]) == (1, 1)
    out = folder / "out.jsonl"
    run(config, "holdings", "export", "PKU", "--form", "json", "--out", str(out))
    held = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [(each["control_number"], each["call_number"]) for each in held] == [
        ("w1", "C"), ("c1", "Z"),
    ]  # fmt: skip
    same = run(config, "holdings", "diff", "PKU", str(out)).splitlines()
    assert same[:2] == ["only in file          0", "only here             0"]
    assert json.loads(run(config, "usage", "PKU", "--json"))["holdings_uploaded"] == 2
    assert "no problem found" in run(config, "doctor")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("import", "NOPE", "x.csv"), "there is no institution NOPE"),
        (("import", "PKU", "missing.csv"), "does not exist"),
        (("import", "PKU", "x.csv"), "no column names the record"),
        (("import", "PKU", "x.csv", "--database", "nope"), "there is no database nope"),
        (("import", "PKU", "x.csv", "--only", "add", "--replace-all"), "exclude each other"),
        (("diff", "PKU", "x.csv", "--form", "marc"), "need a database"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(
    config: Path, arguments: tuple[str, ...], told: str
) -> None:
    (config.parent / "x.csv").write_text("title\nx\n")
    words = [str(config.parent / word) if word.endswith(".csv") else word for word in arguments]
    said = run(config, "holdings", *words, status=2)
    assert told in said
    assert len(said.strip().splitlines()) == 1
