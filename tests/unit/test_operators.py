"""Operators of the consortium: added, given another password, removed, but for the last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.audit import Origin, audit_rows
from store.members import MemberError, Members
from store.operators import Operators

NOW_US = 1_772_330_400_000_000
HERE = Origin("cli", "", "root@union1")


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    members = Members(tmp_path / "members.sqlite", create=True)
    members.add_member("PKU", "Peking University Library", "secret", NOW_US)
    yield members
    members.close()


def test_operators_come_change_their_password_and_go_with_a_row_each(members: Members) -> None:
    operators = Operators(members, HERE)
    operators.add("li", "one", NOW_US, who="root")
    operators.add("zhao", "two", NOW_US + 1, who="li")
    assert operators.names() == ["li", "zhao"]
    operators.set_password("LI", "three", NOW_US + 2, who="li")
    assert members.verify("li", "one") is None
    assert members.verify("li", "three") is not None
    operators.remove("zhao", NOW_US + 3, who="li", reason="has left")
    assert members.verify("zhao", "two") is None
    rows = [row for row in audit_rows(members.connection) if row.institution == ""]
    assert [
        (row.action, row.subject, row.who, row.reason, row.before, row.after) for row in rows
    ] == [
        ("operator add", "li", "root", "", "", "search upload manager"),
        ("operator add", "zhao", "li", "", "", "search upload manager"),
        ("operator password", "li", "li", "", "a password", "another password"),
        ("operator remove", "zhao", "li", "has left", "search upload manager", ""),
    ]
    assert {(row.protocol, row.address) for row in rows} == {("cli", "root@union1")}


def test_what_cannot_be_is_refused_and_leaves_no_row(members: Members) -> None:
    operators = Operators(members, HERE)
    operators.add("li", "one", NOW_US, who="root")
    before = list(audit_rows(members.connection))
    with pytest.raises(MemberError, match="li is the last operator"):
        operators.remove("li", NOW_US, who="li", reason="has left")
    with pytest.raises(MemberError, match="no operator pku"):
        operators.remove("pku", NOW_US, who="li", reason="has left")
    with pytest.raises(MemberError, match="no operator wang"):
        operators.set_password("wang", "x", NOW_US, who="li")
    with pytest.raises(MemberError, match="needs a password"):
        operators.set_password("li", "", NOW_US, who="li")
    with pytest.raises(MemberError, match="reason is needed"):
        operators.remove("li", NOW_US, who="li", reason=" ")
    with pytest.raises(MemberError, match="is there already"):
        operators.add("PKU", "x", NOW_US, who="li")
    assert list(audit_rows(members.connection)) == before
