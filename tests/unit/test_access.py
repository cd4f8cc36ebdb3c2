"""Signing in: by key and by password, and how failures are slowed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.diagnostic import Bib1, Diagnostic
from server.access_control.access import ANONYMOUS, KEY_USE_INTERVAL_S, Principal, SignIn
from server.access_control.permissions import Operation, refusal
from server.config import Access
from store.accounts import Accounts
from store.members import Members

ADDRESS = "192.0.2.1"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    members = Members(tmp_path / "members.sqlite", create=True)
    members.add_member("PKU", "Peking University Library", "secret", 1)
    members.set_charset("PKU", "gb18030", 1)
    yield members
    members.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sign_in(tmp_path: Path, members: Members, clock: Clock) -> Iterator[SignIn]:
    access = Access(login_failures_max=3, login_failures_of_address_max=4)
    sign_in = SignIn(tmp_path / "members.sqlite", access, clock)
    yield sign_in
    sign_in.close()


async def test_a_key_is_its_institution_with_an_account_of_its_own(
    sign_in: SignIn, members: Members
) -> None:
    _, secret = members.add_key("PKU", "ils", 1)
    principal = sign_in.by_key(secret, ADDRESS)
    assert principal == Principal("pku+ils", "PKU", charset="gb18030")
    assert isinstance(principal, Principal)
    assert (principal.may_download, principal.operator, principal.limited_as) == (
        True, False, "pku",
    )  # fmt: skip


async def test_the_use_of_a_key_is_written_down_once_in_a_while(
    sign_in: SignIn, members: Members, clock: Clock
) -> None:
    _, secret = members.add_key("PKU", "ils", 1)

    async def used() -> int | None:
        sign_in.by_key(secret, ADDRESS)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others)
        return members.keys("PKU")[0].last_used_us

    first = await used()
    assert first is not None
    assert await used() == first
    clock.now += KEY_USE_INTERVAL_S
    later = await used()
    assert later is not None
    assert later > first


async def test_a_key_of_a_suspended_institution_is_refused(
    sign_in: SignIn, members: Members, tmp_path: Path
) -> None:
    _, secret = members.add_key("PKU", "ils", 1)
    other = sqlite3.connect(tmp_path / "members.sqlite")
    with other:
        other.execute("UPDATE institution SET status = 'suspended'")
    other.close()
    refusal = sign_in.by_key(secret, ADDRESS)
    assert isinstance(refusal, Diagnostic)
    assert refusal.condition == Bib1.ACCOUNT_EXPIRED


async def test_an_address_that_tries_many_accounts_waits_but_not_who_came_in_before(
    sign_in: SignIn, members: Members
) -> None:
    members.add_member("THU", "Tsinghua University Library", "other", 1)
    assert isinstance(await sign_in.sign_in("pku", "secret", ADDRESS), Principal)
    for number in range(4):
        refusal = await sign_in.sign_in(f"name{number}", "x", ADDRESS)
        assert isinstance(refusal, Diagnostic)
        assert refusal.condition == Bib1.BAD_USER_ID_OR_PASSWORD
    refusal = await sign_in.sign_in("thu", "other", ADDRESS)
    assert isinstance(refusal, Diagnostic)
    assert refusal.condition == Bib1.TEMPORARILY_UNAVAILABLE
    assert isinstance(await sign_in.sign_in("pku", "secret", ADDRESS), Principal)
    assert isinstance(await sign_in.sign_in("thu", "other", "192.0.2.2"), Principal)


def test_accounts_that_cannot_be_opened_yet_stop_no_worker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sign_in = SignIn(tmp_path / "members.sqlite", Access())
    sign_in.open()
    (event,) = caplog.records
    assert (event.message, event.exc_info) == ("members cannot be read", None)
    Members(tmp_path / "members.sqlite", create=True).close()
    sign_in.open()
    assert sign_in.members.institutions() == []
    sign_in.close()


async def test_a_principal_has_the_rights_of_its_account_or_key(
    sign_in: SignIn, members: Members
) -> None:
    members.add_account("wang", "secret", "PKU", 1, rights=("search", "upload"))
    members.add_account("root", "secret", None, 1)
    _, secret = members.add_key("PKU", "look", 1, rights=("search",))
    member = await sign_in.sign_in("pku", "secret", ADDRESS)
    wang = await sign_in.sign_in("wang", "secret", ADDRESS)
    root = await sign_in.sign_in("root", "secret", ADDRESS)
    key = sign_in.by_key(secret, ADDRESS)
    told = [
        tuple(
            refusal(each, operation) is None
            for operation in (
                Operation.SEARCH,
                Operation.DOWNLOAD,
                Operation.HOLDINGS_WRITE,
                Operation.UPLOAD_INSERT,
            )
        )
        for each in (member, wang, root, key, ANONYMOUS)
        if isinstance(each, Principal)
    ]
    assert told == [
        (True, True, True, False), (True, False, False, True), (True, False, False, True),
        (True, False, False, False), (True, False, False, False),
    ]  # fmt: skip


async def test_who_loses_a_right_or_its_account_may_not_go_on(
    sign_in: SignIn, members: Members
) -> None:
    accounts = Accounts(members)
    accounts.add("PKU", "wang", "secret", 1, rights=("search", "download"), who="li")
    members.add_account("root", "secret", None, 1)
    wang = await sign_in.sign_in("wang", "secret", ADDRESS)
    root = await sign_in.sign_in("root", "secret", ADDRESS)
    assert isinstance(wang, Principal)
    assert isinstance(root, Principal)
    assert [sign_in.standing(each, ADDRESS) for each in (wang, root, ANONYMOUS)] == [None] * 3
    accounts.set_rights("wang", ("search", "download", "upload"), 2, who="li", reason="more")
    assert sign_in.standing(wang, ADDRESS) is None
    accounts.set_rights("wang", ("search",), 3, who="li", reason="less")
    lost = sign_in.standing(wang, ADDRESS)
    assert isinstance(lost, Diagnostic)
    assert (lost.condition, "权限已变更" in lost.addinfo) == (Bib1.ACCOUNT_EXPIRED, True)
    accounts.remove("wang", 4, who="li", reason="left")
    gone = sign_in.standing(wang, ADDRESS)
    assert isinstance(gone, Diagnostic)
    assert gone.addinfo.startswith("the account wang is no more")
    assert sign_in.standing(root, ADDRESS) is None
