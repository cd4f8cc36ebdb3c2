"""Institutions and accounts: who may be added and who may sign in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.members import MemberError, Members

NOW_US = 1_700_000_000_000_000


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    members = Members(tmp_path / "members.sqlite", create=True)
    yield members
    members.close()


def test_a_member_signs_in_with_its_code_in_any_case(members: Members) -> None:
    members.add_member("pku", "Peking University Library", "secret", NOW_US)
    for name in ("pku", "PKU"):
        account = members.verify(name, "secret")
        assert account is not None
        assert account.institution is not None
        assert account.institution.code == "PKU"


@pytest.mark.parametrize(
    ("name", "password"), [("pku", "Secret"), ("pku", ""), ("thu", "secret"), ("", "")]
)
def test_a_wrong_name_or_password_is_no_account(members: Members, name: str, password: str) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    assert members.verify(name, password) is None


def test_a_verified_password_is_recognised_and_no_other(members: Members) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    assert members.recognise("pku", "secret") is None
    members.verify("pku", "secret")
    assert members.recognise("pku", "secret") is not None
    assert members.recognise("pku", "other") is None


def test_another_process_reads_what_was_added(members: Members, tmp_path: Path) -> None:
    members.add_account("root", "secret", None, NOW_US)
    reader = Members(tmp_path / "members.sqlite")
    account = reader.verify("root", "secret")
    reader.close()
    assert account is not None
    assert (account.role, account.institution) == ("operator", None)


@pytest.mark.parametrize(
    ("code", "name", "password", "message"),
    [
        ("PKU", "Again", "x", "is there already"),
        ("P U", "Name", "x", "no institution code"),
        ("", "Name", "x", "no institution code"),
        ("X" * 33, "Name", "x", "no institution code"),
        ("THU", " ", "x", "needs a name"),
        ("THU", "Name", "", "needs a password"),
    ],
)
def test_a_refused_member_leaves_nothing_behind(
    members: Members, code: str, name: str, password: str, message: str
) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    with pytest.raises(MemberError, match=message):
        members.add_member(code, name, password, NOW_US)
    assert [institution.code for institution in members.institutions()] == ["PKU"]
    assert members.account_names() == {"PKU": ["pku"]}


def test_a_missing_database_says_so(tmp_path: Path) -> None:
    with pytest.raises(MemberError, match="no such database"):
        Members(tmp_path / "members.sqlite")


def test_an_institution_is_pinned_to_a_character_set_and_freed_again(members: Members) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    for charset in ("gb18030", "marc-8", ""):
        members.set_charset("pku", charset)
        institution = members.institution("PKU")
        assert institution is not None
        assert institution.charset == charset


@pytest.mark.parametrize(
    ("code", "charset", "message"),
    [("PKU", "big5", "is none of gb18030, marc-8"), ("THU", "gb18030", "no institution THU")],
)
def test_a_pin_that_cannot_be_is_refused(
    members: Members, code: str, charset: str, message: str
) -> None:
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    with pytest.raises(MemberError, match=message):
        members.set_charset(code, charset)


VERSION_1 = """
CREATE TABLE institution (
    code TEXT PRIMARY KEY COLLATE NOCASE, name TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'ended')),
    created_us INTEGER NOT NULL
) STRICT;
CREATE TABLE account (
    name TEXT PRIMARY KEY COLLATE NOCASE, institution TEXT REFERENCES institution (code),
    role TEXT NOT NULL CHECK (role IN ('member', 'operator')),
    password_hash TEXT NOT NULL, created_us INTEGER NOT NULL,
    CHECK ((role = 'operator') = (institution IS NULL))
) STRICT;
INSERT INTO institution (code, name, created_us) VALUES ('PKU', 'Peking University Library', 1);
PRAGMA user_version = 1;
"""


@pytest.mark.parametrize("create", [True, False])
def test_a_database_of_version_1_is_brought_up_to_date_however_it_is_opened(
    tmp_path: Path, create: bool
) -> None:
    path = tmp_path / "members.sqlite"
    old = sqlite3.connect(path)
    old.executescript(VERSION_1)
    old.close()
    members = Members(path, create=create)
    institution = members.institution("pku")
    members.close()
    assert institution is not None
    assert (institution.name, institution.charset) == ("Peking University Library", "")
    # A new database and a migrated one have the same columns.
    fresh = Members(tmp_path / "fresh.sqlite", create=True)
    fresh.close()
    columns = []
    for each in (path, tmp_path / "fresh.sqlite"):
        connection = sqlite3.connect(each)
        columns.append(connection.execute("PRAGMA table_info(institution)").fetchall())
        connection.close()
    assert columns[0] == columns[1]


def test_a_database_of_a_later_version_is_refused(members: Members, tmp_path: Path) -> None:
    later = sqlite3.connect(tmp_path / "members.sqlite")
    later.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(MemberError, match="schema version 99, expected 2"):
        Members(tmp_path / "members.sqlite")
