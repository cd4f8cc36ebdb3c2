"""Accounts of a member: their rights, certificates, and what the audit says of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.accounts import LANGUAGES, Accounts, Certificate
from store.members import MemberError, Members
from store.membership import Membership
from store.rights import RIGHTS, read_rights
from tests.unit.test_membership import DAY_US, NOW_US


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    members = Members(tmp_path / "members.sqlite", create=True)
    members.add_member("PKU", "Peking University Library", "secret", NOW_US, who="li")
    members.add_account("root", "secret", None, NOW_US)
    yield members
    members.close()


@pytest.fixture
def accounts(members: Members) -> Accounts:
    return Accounts(members)


def test_every_change_is_written_down_with_who_and_why(
    accounts: Accounts, members: Members
) -> None:
    accounts.add("pku", "wang", "pw", NOW_US, rights=("search", "upload"), who="li", reason="new")
    accounts.set_rights("wang", ("search",), NOW_US + 1, who="li", reason="moved")
    accounts.set_password("wang", "other", NOW_US + 2, who="wang")
    made = accounts.certify(
        "wang", "chinese", "full", NOW_US + 3, expires_us=NOW_US + DAY_US, who="chen"
    )
    accounts.revoke(made.certificate_id, NOW_US + 4, who="chen", reason="failed review")
    accounts.set_uploads("PKU", True, NOW_US + 5, who="zhao", reason="agreement of 2026")
    accounts.remove("wang", NOW_US + 6, who="li", reason="left")
    steps = [
        (row.at_us - NOW_US, row.who, row.action, row.subject, row.reason, row.before, row.after)
        for row in Membership(members).audit("PKU", after=1)
    ]
    assert steps == [
        (0, "li", "account add", "wang", "new", "", "search upload"),
        (1, "li", "rights", "wang", "moved", "search upload", "search"),
        (2, "wang", "password", "wang", "", "a password", "another password"),
        (3, "chen", "certificate", "wang", "", "", "chinese/full"),
        (4, "chen", "revoke", "wang", "failed review", "chinese/full", ""),
        (5, "zhao", "uploads", "", "agreement of 2026", "off", "on"),
        (6, "li", "account remove", "wang", "left", "search", ""),
    ]


def test_a_right_that_is_named_twice_is_one(members: Members, accounts: Accounts) -> None:
    accounts.add("pku", "wang", "pw", NOW_US, rights=("search",), who="li")
    accounts.set_rights("wang", ("search", "manager", "manager"), NOW_US, who="li", reason="r")
    account = members.account("wang")
    assert account is not None
    assert account.rights == ("search", "manager")


def test_an_account_has_the_rights_given_and_loses_its_certificates_with_itself(
    accounts: Accounts, members: Members
) -> None:
    accounts.add("PKU", "wang", "pw", NOW_US, rights=("search", "upload"), who="li")
    accounts.certify("wang", "western", "basic", NOW_US, expires_us=NOW_US + DAY_US, who="li")
    verified = members.verify("wang", "pw")
    assert verified is not None
    assert verified.rights == ("search", "upload")
    assert [each.name for each in members.accounts("pku")] == ["pku", "wang"]
    accounts.remove("WANG", NOW_US, who="li", reason="left")
    assert members.verify("wang", "pw") is None
    accounts.add("PKU", "wang", "pw", NOW_US, rights=("search",), who="li")
    assert accounts.certificates("wang") == []


@pytest.mark.parametrize("name", ["nobody", "root"])
def test_what_is_no_account_of_a_member_is_not_touched(accounts: Accounts, name: str) -> None:
    for change in (
        lambda: accounts.set_rights(name, ("search",), NOW_US, who="li", reason="r"),
        lambda: accounts.set_password(name, "x", NOW_US, who="li"),
        lambda: accounts.remove(name, NOW_US, who="li", reason="r"),
        lambda: accounts.certify(name, "chinese", "full", NOW_US, expires_us=NOW_US + 1, who="li"),
    ):
        with pytest.raises(MemberError, match=name):
            change()


def test_what_cannot_be_is_refused_and_leaves_nothing_behind(
    accounts: Accounts, members: Members
) -> None:
    before = Membership(members).audit()
    with pytest.raises(MemberError, match="no institution THU"):
        accounts.add("THU", "wang", "pw", NOW_US, rights=("search",), who="li")
    with pytest.raises(MemberError, match="is there already"):
        accounts.add("PKU", "pku", "pw", NOW_US, rights=("search",), who="li")
    with pytest.raises(MemberError, match="reason is needed"):
        accounts.set_rights("pku", ("search",), NOW_US, who="li", reason=" ")
    with pytest.raises(MemberError, match="reason is needed"):
        accounts.set_uploads("PKU", True, NOW_US, who="li", reason="")
    with pytest.raises(MemberError, match="no certificate of klingon"):
        accounts.certify("pku", "klingon", "full", NOW_US, expires_us=NOW_US + 1, who="li")
    with pytest.raises(MemberError, match="cannot have expired"):
        accounts.certify("pku", "chinese", "full", NOW_US, expires_us=NOW_US, who="li")
    with pytest.raises(MemberError, match="no good certificate 7"):
        accounts.revoke(7, NOW_US, who="li", reason="r")
    assert Membership(members).audit() == before


def test_a_certificate_covers_its_language_up_to_its_level_while_it_is_good() -> None:
    full = Certificate(1, "wang", "chinese", "full", 100, 200)
    basic = Certificate(2, "wang", "chinese", "basic", 100, 200)
    revoked = Certificate(3, "wang", "chinese", "full", 100, 200, revoked_us=150)
    for language in LANGUAGES:
        is_own = language == "chinese"
        for level, of_basic in (("full", False), ("basic", True)):
            for at_us, is_good in ((99, False), (100, True), (199, True), (200, False)):
                assert full.covers(language, level, at_us) == (is_own and is_good)
                assert basic.covers(language, level, at_us) == (is_own and is_good and of_basic)
                assert revoked.covers(language, level, at_us) == (
                    is_own and is_good and at_us < 150
                )


def test_rights_are_read_in_any_order_and_case() -> None:
    assert read_rights(["upload", " Search", "", "upload"]) == ("search", "upload")
    assert read_rights(RIGHTS) == RIGHTS
    for wrong in ([], [""], ["search", "fly"]):
        with pytest.raises(ValueError, match="there are search, download"):
            read_rights(wrong)
