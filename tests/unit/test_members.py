"""Institutions and accounts: who may be added and who may sign in."""

from __future__ import annotations

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
