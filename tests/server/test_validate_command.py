"""`lianmu validate`, run as a user runs it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from pathlib import Path

import pytest

from protocol.iso2709 import Field, build
from protocol.marc_json import to_marc_json
from protocol.marcxml import to_marcxml
from protocol.record import MarcFamily
from tests.harness import CHECKOUT, LIANMU, lianmu
from tests.unit.test_validation import CNMARC_LEADER, MARC21_LEADER, record_of

MARC21, UNIMARC = MarcFamily.MARC21, MarcFamily.UNIMARC
GOOD = build(MARC21_LEADER, record_of(MARC21).fields)
UNTITLED = build(MARC21_LEADER, record_of(MARC21, "-245", "~020   $a0306406153").fields)
NO_NUMBER = build(MARC21_LEADER, record_of(MARC21, "-001", "+500   $aa\x1bb").fields)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "records"
    path.write_bytes(GOOD + UNTITLED + NO_NUMBER + GOOD[:-9])
    return path


def test_each_record_is_named_and_each_rule_counted(path: Path) -> None:
    done = lianmu("validate", str(path))
    assert done.returncode == 1
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[:7] == [
        f"{path}: offset {len(GOOD)}, 001 ocm1",
        "  warning  020 $a         isbn.check: an ISBN whose check digit is wrong (a wrong number "
        "goes to $z): 0306406153",
        "  missing  245 $a         missing.title: no title proper",
        f"{path}: offset {len(GOOD + UNTITLED)}, 001 (none)",
        "  warning  500            text.control: a control character: U+001B",
        f"{path}: offset {len(GOOD + UNTITLED + NO_NUMBER)}, 001 ocm1",
        "  error    record         structure.unreadable: the record cannot be read: no record "
        f"terminator within {len(GOOD) - 9} octets (leader 0-4 says {GOOD[:5].decode()})",
    ]
    assert lines[7].split() == ["rule", "severity", "records", "findings", "what", "is", "wrong"]
    assert lines[8].split()[:4] == ["structure.unreadable", "error", "1", "1"]
    assert lines[-1] == "4 records, 3 with findings: error 1, missing 1, warning 2"


def test_only_what_is_bad_enough_is_told(path: Path) -> None:
    done = lianmu("validate", "--severity", "error", "--summary", str(path))
    assert done.returncode == 1
    assert "offset" not in done.stdout
    assert "missing.title" not in done.stdout
    assert done.stdout.endswith("4 records, 1 with findings: error 1, missing 0, warning 0\n")
    path.write_bytes(GOOD + UNTITLED)
    done = lianmu("validate", "--severity", "error", str(path))
    assert (done.returncode, done.stdout) == (
        0, "2 records, 0 with findings: error 0, missing 0, warning 0\n"
    )  # fmt: skip
    path.write_bytes(NO_NUMBER)
    assert lianmu("validate", str(path)).returncode == 0  # a warning is no reason to fail
    done = lianmu("validate", "--chinese", str(path))
    assert "含有控制字符" in done.stdout


def test_programs_read_an_object_a_line(path: Path) -> None:
    done = lianmu("validate", "--json", str(path))
    *records, last = map(json.loads, done.stdout.splitlines())
    assert [record["offset"] for record in records] == [
        len(GOOD), len(GOOD + UNTITLED), len(GOOD + UNTITLED + NO_NUMBER)
    ]  # fmt: skip
    assert records[0]["control_number"] == "ocm1"
    assert records[0]["findings"][0] == {
        "rule": "isbn.check", "severity": "warning", "tag": "020", "occurrence": 1, "place": "$a",
        "value": "0306406153", "message": "an ISBN whose check digit is wrong (a wrong number "
        "goes to $z): 0306406153",
    }  # fmt: skip
    summary = last["summary"]
    assert (summary["records"], summary["with_findings"]) == (4, 3)
    assert summary["severities"] == {"error": 1, "missing": 1, "warning": 2}
    assert summary["rules"][0] == {
        "rule": "structure.unreadable", "severity": "error", "records": 1, "findings": 1
    }  # fmt: skip


def test_files_of_every_form_family_and_encoding_are_read(tmp_path: Path) -> None:
    cnmarc = build(CNMARC_LEADER, record_of(UNIMARC).fields)
    gbk = build(CNMARC_LEADER, record_of(UNIMARC).fields, "gb18030")
    contents = {
        "one.iso": gbk, "two.xml": f"<collection>{to_marcxml(cnmarc)}</collection>".encode(),
        "three.json.gz": gzip.compress(to_marc_json(cnmarc)),
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    files = [str(tmp_path / name) for name in contents]
    done = lianmu("validate", "--family", "unimarc", *files)
    # The leader of MARCXML is that of MARC 21, which says nothing wrong here.
    assert (done.returncode, done.stdout) == (
        0, "3 records, 0 with findings: error 0, missing 0, warning 0\n"
    )  # fmt: skip
    done = lianmu("validate", "--family", "unimarc", "--encoding", "utf-8", files[0])
    assert done.returncode == 1
    assert "structure.unreadable" in done.stdout
    assert lianmu("validate", files[1]).returncode == 1  # as MARC 21 it is nothing good


def test_bad_usage_is_one_line_and_status_2(tmp_path: Path) -> None:
    for arguments in (
        [], [str(tmp_path / "none.mrc")], ["--family", "danmarc", __file__],
    ):  # fmt: skip
        done = lianmu("validate", *arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith("lianmu: ")
        assert done.stderr.count("\n") == 1


def test_what_a_record_holds_never_reaches_the_terminal_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "records"
    fields = [*record_of(MARC21).fields, Field("020", "  \x1fa\x1b[2J")]
    path.write_bytes(build(MARC21_LEADER, fields))
    done = lianmu("validate", str(path))
    assert "\x1b" not in done.stdout
    assert "\\x1b[2J" in done.stdout


def test_any_file_name_and_any_terminal_will_do(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.iso")
    fields = [*record_of(UNIMARC, "-690").fields, Field("107", "  \x1fa红")]
    path.write_bytes(build(CNMARC_LEADER, fields))
    for arguments in (["--json"], ["--chinese"], ["--chinese", "--summary"]):
        done = subprocess.run(
            [*LIANMU, "validate", "--family", "unimarc", *arguments, str(path)],
            capture_output=True, check=False, timeout=60, cwd=CHECKOUT,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (1, b"")
        assert b"missing.classification" in done.stdout


def test_help_has_an_example() -> None:
    assert "Example: lianmu validate" in lianmu("validate", "--help").stdout
