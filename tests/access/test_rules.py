"""Databases, sessions and addresses of a member: as they are stored, and who they let in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from protocol.diagnostic import Bib1, Diagnostic
from server.access_control.access import SignIn, Standing
from server.access_control.principal import ANONYMOUS, Principal
from server.access_control.session_table import SessionTable
from server.config import Access
from store.access_changes import AccessChanges
from store.access_rules import OPEN, AccessRules, AddressRange, AddressRanges, read_network
from store.accounts import Accounts
from store.audit import Origin, audit_rows
from store.members import MemberError, Members
from store.membership import Membership, day_of

CAMPUS, ELSEWHERE = "192.0.2.7", "203.0.113.9"
WHY = {"who": "li", "reason": "agreement"}


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    members = Members(tmp_path / "members.sqlite", create=True)
    members.add_member("PKU", "Peking University Library", "secret", 1)
    members.add_member("THU", "Tsinghua University Library", "secret", 1)
    members.add_account("campus", "x", "PKU", 1, rights=("search", "download"))
    yield members
    members.close()


@pytest.fixture
def changes(members: Members) -> AccessChanges:
    return AccessChanges(members, Origin("cli", "", "li@here"))


@pytest.fixture
def sign_in(tmp_path: Path, members: Members) -> Iterator[SignIn]:
    sign_in = SignIn(
        tmp_path / "members.sqlite",
        Access(anonymous=True, login_failures_max=3, login_failures_of_account_max=6),
    )
    yield sign_in
    sign_in.close()


def condition(answer: Principal | Diagnostic | None) -> int:
    assert isinstance(answer, Diagnostic), answer
    assert " / " in answer.addinfo
    return int(answer.condition)


def someone(answer: Principal | Diagnostic | None) -> Principal:
    assert isinstance(answer, Principal), answer
    return answer


# Ranges of addresses


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("192.0.2.130", "192.0.2.128/25"),  # the narrower of two
        ("192.0.2.131", "192.0.2.131/32"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),  # as a socket of IPv6 tells it
        ("2001:db8:1::5", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/10"),
        ("2001:db8:2::5", None), ("203.0.113.1", None), ("", None), ("/run/socket", None),
    ],
)  # fmt: skip
def test_the_narrowest_range_that_an_address_is_in_is_its_own(
    address: str, network: str | None
) -> None:
    texts = (
        "192.0.2.0/24", "192.0.2.128/25", "192.0.2.131", "2001:db8:1::/48", "fe80::/10",
    )  # fmt: skip
    ranges = AddressRanges([AddressRange("PKU", str(read_network(text))) for text in texts])
    for _ in range(2):
        found = ranges.of(address)
        assert (found.network if found is not None else None) == network


@pytest.mark.parametrize(
    "text",
    ["192.0.2.1/24", "192.0.2.0/33", "campus", "", "0.0.0.0/0", "::/0", "::ffff:192.0.2.0/120"],
)
def test_what_is_no_range_is_refused_in_a_line(changes: AccessChanges, text: str) -> None:
    with pytest.raises(MemberError) as refused:
        changes.add_range("PKU", text, 2, **WHY)
    assert "\n" not in str(refused.value)
    assert changes.ranges("PKU") == []


def test_ranges_of_two_institutions_never_overlap(changes: AccessChanges) -> None:
    changes.add_range("pku", "192.0.2.0/24", 2, **WHY)
    changes.add_range("PKU", "192.0.2.128/25", 2, account="CAMPUS", **WHY)  # may lie in its own
    changes.add_range("THU", "2001:db8::/32", 2, **WHY)
    for text in ("192.0.2.4/30", "192.0.0.0/16", "192.0.2.128/25"):
        with pytest.raises(MemberError, match=r"overlaps 192\.0\.2\.\S+, which is of PKU"):
            changes.add_range("THU", text, 3, **WHY)
    with pytest.raises(MemberError, match=r"PKU has 192\.0\.2\.0/24 already"):
        changes.add_range("PKU", "192.0.2.0/24", 3, **WHY)
    with pytest.raises(MemberError, match="THU has no account campus"):
        changes.add_range("THU", "198.51.100.0/24", 3, account="campus", **WHY)
    assert changes.ranges("PKU") == [
        AddressRange("PKU", "192.0.2.0/24"), AddressRange("PKU", "192.0.2.128/25", "campus"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.set_sessions_max("NONE", 3, 2, **WHY), "no institution NONE"),
        (lambda c: c.set_sessions_max("PKU", 0, 2, **WHY), "at least one session"),
        (lambda c: c.set_sessions_max("PKU", 3, 2, who="li", reason=" "), "a reason is needed"),
        (lambda c: c.set_sessions_max("PKU", 3, 2, account="thu", **WHY), "PKU has no account thu"),
        (lambda c: c.restrict_addresses("PKU", True, 2, **WHY), "has no address range"),
        (lambda c: c.remove_range("PKU", "192.0.2.0/24", 2, **WHY), "has no address range 192"),
        (
            lambda c: c.set_databases("NONE", 2, search_in=None, download_from=None, **WHY),
            "no institution NONE",
        ),
    ],
)
def test_a_change_that_cannot_be_leaves_nothing_behind(
    changes: AccessChanges,
    members: Members,
    change: Callable[[AccessChanges], object],
    message: str,
) -> None:
    before = len(list(audit_rows(members.connection)))
    with pytest.raises(MemberError, match=message):
        change(changes)
    assert len(list(audit_rows(members.connection))) == before
    institution = members.institution("PKU")
    assert institution is not None
    assert institution.access == OPEN


def test_every_change_is_audited_with_what_was_and_is(
    changes: AccessChanges, members: Members
) -> None:
    changes.set_databases("PKU", 2, search_in=["we_cat", "cn_cat"], download_from=["cn_cat"], **WHY)
    changes.set_sessions_max("PKU", 3, 3, account="campus", **WHY)
    changes.add_range("PKU", "192.0.2.0/24", 4, account="campus", **WHY)
    changes.restrict_addresses("PKU", True, 5, **WHY)
    with pytest.raises(MemberError, match="this is the last"):
        changes.remove_range("PKU", "192.0.2.0/24", 6, **WHY)
    changes.restrict_addresses("PKU", False, 6, **WHY)
    changes.remove_range("PKU", "192.0.2.0/24", 7, **WHY)
    rows = [row for row in audit_rows(members.connection, "PKU") if row.at_us > 1]
    assert [(row.action, row.subject, row.before, row.after) for row in rows] == [
        ("databases", "", "search all; download all", "search cn_cat we_cat; download cn_cat"),
        ("sessions", "campus", "default", "3"),
        ("address add", "192.0.2.0/24", "", "signs in as campus"),
        ("addresses", "", "from anywhere", "from its ranges alone"),
        ("addresses", "", "from its ranges alone", "from anywhere"),
        ("address remove", "192.0.2.0/24", "signs in as campus", ""),
    ]
    assert {(row.who, row.protocol, row.address, row.reason) for row in rows} == {
        ("li", "cli", "li@here", "agreement")
    }


def test_an_account_that_is_removed_leaves_its_range_without_a_sign_in(
    changes: AccessChanges, members: Members
) -> None:
    changes.add_range("PKU", "192.0.2.0/24", 2, account="campus", **WHY)
    Accounts(members).remove("campus", 3, **WHY)
    assert changes.ranges("PKU") == [AddressRange("PKU", "192.0.2.0/24")]


# Who is let in


async def test_who_comes_from_a_range_is_its_account_without_a_password(
    sign_in: SignIn, changes: AccessChanges, members: Members
) -> None:
    assert sign_in.without_login(CAMPUS) == ANONYMOUS
    changes.add_range("PKU", "192.0.2.0/24", 2, account="campus", **WHY)
    found = someone(sign_in.without_login(CAMPUS))
    assert (found.account, found.institution, found.rights, found.by_address) == (
        "campus", "PKU", ("search", "download"), True,
    )  # fmt: skip
    assert sign_in.without_login(ELSEWHERE) == ANONYMOUS
    assert someone(await sign_in.sign_in("thu", "secret", CAMPUS)).account == "thu"
    assert sign_in.standing(found, CAMPUS) is None
    with_all = ("search", "download", "manager")
    Accounts(members).set_rights("campus", with_all, 2, who="li", reason="r")
    assert someone(sign_in.without_login(CAMPUS)).rights == ("search", "download")
    assert sign_in.standing(found, CAMPUS) is None
    changes.add_range("PKU", "192.0.2.0/28", 3, **WHY)  # narrower, and without a sign-in
    assert sign_in.without_login(CAMPUS) == ANONYMOUS
    assert condition(sign_in.standing(found, CAMPUS)) == Bib1.BLOCKED_NETWORK_ADDRESS
    changes.remove_range("PKU", "192.0.2.0/28", 4, **WHY)
    assert sign_in.standing(found, CAMPUS) is None
    changes.remove_range("PKU", "192.0.2.0/24", 5, **WHY)
    assert condition(sign_in.standing(found, CAMPUS)) == Bib1.BLOCKED_NETWORK_ADDRESS


def test_nobody_is_let_in_where_strangers_are_not(tmp_path: Path, changes: AccessChanges) -> None:
    sign_in = SignIn(tmp_path / "members.sqlite", Access(anonymous=False))
    assert condition(sign_in.without_login(CAMPUS)) == Bib1.BAD_USER_ID
    changes.add_range("PKU", "192.0.2.0/24", 2, account="campus", **WHY)
    assert someone(sign_in.without_login(CAMPUS)).account == "campus"
    sign_in.close()


async def test_accounts_and_keys_may_be_held_to_the_ranges_of_their_institution(
    sign_in: SignIn, changes: AccessChanges, members: Members
) -> None:
    _, key = members.add_key("PKU", "ils", 1)
    changes.add_range("PKU", "192.0.2.0/24", 2, **WHY)
    before = someone(await sign_in.sign_in("pku", "secret", ELSEWHERE))
    changes.restrict_addresses("PKU", True, 3, **WHY)
    for answer in (
        await sign_in.sign_in("pku", "secret", ELSEWHERE),
        sign_in.recognised("pku", "secret", ELSEWHERE),
        sign_in.by_key(key, ELSEWHERE),
        sign_in.certified("pku", ELSEWHERE),
        sign_in.standing(before, ELSEWHERE),
    ):
        assert condition(answer) == Bib1.BLOCKED_NETWORK_ADDRESS
    for allowed in (
        await sign_in.sign_in("pku", "secret", CAMPUS),
        sign_in.by_key(key, CAMPUS),
        sign_in.certified("pku", CAMPUS),
        sign_in.certified("pku", None),  # at the machine itself
        await sign_in.sign_in("thu", "secret", ELSEWHERE),
    ):
        someone(allowed)
    # A stranger with a wrong password is told nothing of it.
    wrong = await sign_in.sign_in("pku", "guess", ELSEWHERE)
    assert condition(wrong) == Bib1.BAD_USER_ID_OR_PASSWORD
    changes.restrict_addresses("PKU", False, 4, **WHY)
    assert sign_in.standing(before, ELSEWHERE) is None


async def test_an_account_has_no_more_databases_than_its_institution(
    sign_in: SignIn, changes: AccessChanges, members: Members
) -> None:
    _, key = members.add_key("PKU", "ils", 1)
    before = someone(await sign_in.sign_in("pku", "secret", CAMPUS))
    assert (before.search_in, before.download_from) == (None, None)
    changes.set_databases(
        "PKU", 2, search_in=["cn_cat", "we_cat"], download_from=["cn_cat", "jp_cat"], **WHY
    )
    changes.set_databases(
        "PKU", 2, search_in=["we_cat", "ru_cat"], download_from=None, account="pku", **WHY
    )
    account = someone(sign_in.recognised("pku", "secret", CAMPUS))
    assert (account.search_in, account.download_from) == ({"we_cat"}, frozenset())
    of_key = someone(sign_in.by_key(key, CAMPUS))
    assert (of_key.search_in, of_key.download_from) == ({"cn_cat", "we_cat"}, {"cn_cat"})
    # Who has less than it came in with must sign in again; who has more may go on.
    assert condition(sign_in.standing(before, CAMPUS)) == Bib1.ACCOUNT_EXPIRED
    assert sign_in.standing(account, CAMPUS) is None
    rules = changes.set_databases(
        "PKU", 3, search_in=None, download_from=None, account="pku", **WHY
    )
    assert rules == AccessRules()
    assert sign_in.standing(account, CAMPUS) is None


async def test_a_session_asks_again_only_when_anything_was_written(
    sign_in: SignIn, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    principal = someone(await sign_in.sign_in("pku", "secret", CAMPUS))
    asked = []
    whole = sign_in.standing
    monkeypatch.setattr(sign_in, "standing", lambda *about: asked.append(about) or whole(*about))
    standing = Standing(sign_in, principal, CAMPUS)
    for _ in range(3):
        assert standing.refusal() is None
    assert len(asked) == 1
    membership = Membership(members)
    now_us = time.time_ns() // 1000
    membership.end("PKU", now_us, who="li", reason="r", last_day=day_of(now_us))
    for _ in range(3):
        assert standing.refusal() is None
    assert len(asked) == 2
    # The end of the last day comes without anything being written.
    monkeypatch.setattr(time, "time_ns", lambda: (now_us + 2 * 86_400_000_000) * 1000)
    assert condition(standing.refusal()) == Bib1.ACCOUNT_EXPIRED
    assert len(asked) == 2
    assert Standing(sign_in, ANONYMOUS, CAMPUS).refusal() is None


async def test_unknown_users_and_wrong_passwords_are_told_the_same(sign_in: SignIn) -> None:
    wrong = await sign_in.sign_in("pku", "guess", CAMPUS)
    unknown = await sign_in.sign_in("nobody", "guess", CAMPUS)
    assert isinstance(wrong, Diagnostic)
    assert isinstance(unknown, Diagnostic)
    assert wrong.condition == unknown.condition == Bib1.BAD_USER_ID_OR_PASSWORD
    assert wrong.addinfo.replace("pku", "nobody") == unknown.addinfo


async def test_of_logins_at_once_no_more_are_tried_than_may_fail(
    sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    verify = sign_in.members.verify
    monkeypatch.setattr(
        sign_in.members, "verify", lambda *login: tried.append(login) or verify(*login)
    )
    answers = await asyncio.gather(
        *(sign_in.sign_in("pku", f"guess{number}", ELSEWHERE) for number in range(12))
    )
    assert len(tried) == 3
    conditions = sorted(condition(answer) for answer in answers)
    assert conditions == [Bib1.BAD_USER_ID_OR_PASSWORD] * 3 + [Bib1.TEMPORARILY_UNAVAILABLE] * 9
    # The right one of a client that opens many connections is verified once.
    tried.clear()
    answers = await asyncio.gather(*(sign_in.sign_in("pku", "secret", CAMPUS) for _ in range(12)))
    assert len(tried) == 1
    assert all(isinstance(answer, Principal) for answer in answers)
    assert not sign_in._verifying


async def test_strangers_everywhere_lock_nobody_out_of_its_own_addresses(
    sign_in: SignIn, changes: AccessChanges
) -> None:
    someone(await sign_in.sign_in("pku", "secret", CAMPUS))
    changes.add_range("PKU", "198.51.100.0/24", 2, **WHY)
    for number in range(6):
        wrong = await sign_in.sign_in("pku", "guess", f"203.0.113.{number}")
        assert condition(wrong) == Bib1.BAD_USER_ID_OR_PASSWORD
    paused = await sign_in.sign_in("pku", "secret", "203.0.113.99")
    assert condition(paused) == Bib1.TEMPORARILY_UNAVAILABLE
    someone(await sign_in.sign_in("pku", "secret", CAMPUS))  # from where it came before
    someone(await sign_in.sign_in("pku", "secret", "198.51.100.5"))  # a range of its institution
    someone(await sign_in.sign_in("thu", "secret", "203.0.113.99"))


# Sessions at a time


def test_sessions_are_counted_over_all_workers(tmp_path: Path) -> None:
    first = SessionTable(tmp_path, 0, 3, places=4)
    second = SessionTable(tmp_path, 1, 3, places=4)  # the third has not begun
    places = [first.enter("pku", "PKU"), first.enter("campus", "PKU"), second.enter("PKU", "PKU")]
    second.enter("thu", "THU")
    for table in (first, second):
        assert (table.count_of_account("pku"), table.count_of_institution("pku")) == (2, 3)
    assert places[1] is not None
    first.leave(places[1])
    assert second.count_of_institution("PKU") == 2
    # A worker that died left its places; the one after it clears them.
    again = SessionTable(tmp_path, 0, 3, places=4)
    assert second.count_of_institution("PKU") == 1
    again.enter("pku", "PKU")
    assert second.count_of_institution("PKU") == 2


def test_a_worker_has_so_many_places_and_uses_them_again(tmp_path: Path) -> None:
    table = SessionTable(tmp_path, 0, 1, places=2)
    places = [table.enter("pku", "PKU") for _ in range(3)]
    assert places == [0, 1, None]
    table.leave(1)
    assert table.enter("thu", "THU") == 1
    assert table.count_of_institution("PKU") == 1


def test_without_a_place_for_its_file_a_worker_counts_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    table = SessionTable(tmp_path / "file", 0, 2, places=2)
    table.enter("pku", "PKU")
    assert table.count_of_institution("PKU") == 1
