"""The steps of a membership: which may follow which, and what each writes down."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.members import MemberError, Members
from store.membership import STEPS, TERM_YEARS, Agreement, Membership, day_of, start_us

NOW_US = start_us(date(2026, 3, 1)) + 36_000_000_000
DAY_US = 86_400_000_000


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    members = Members(tmp_path / "members.sqlite", create=True)
    yield members
    members.close()


@pytest.fixture
def membership(members: Members) -> Membership:
    return Membership(members)


def status(members: Members, now_us: int = NOW_US) -> str:
    institution = members.institution("PKU")
    assert institution is not None
    return institution.at(now_us).status


def active(membership: Membership) -> None:
    membership.register("pku", "Peking University Library", NOW_US, who="li", contact="tel 1")
    _, token = membership.sign("PKU", NOW_US, who="li")
    membership.activate("PKU", token, "secret", NOW_US, who="wang")


def test_a_member_goes_through_its_life_and_every_step_is_written_down(
    members: Members, membership: Membership
) -> None:
    active(membership)
    assert members.verify("pku", "secret") is not None
    membership.warn("PKU", NOW_US, who="li", reason="the bill is open")
    membership.suspend("PKU", NOW_US, who="li", reason="still open")
    membership.restore("PKU", NOW_US, who="zhao", reason="paid")
    membership.end("PKU", NOW_US, who="zhao", reason="closed")
    assert status(members) == "ended"
    assert [
        (row.action, row.who, row.reason, row.before, row.after) for row in membership.audit("pku")
    ] == [
        ("register", "li", "", "", "registered"),
        ("sign", "li", "", "registered", "signed"),
        ("activate", "wang", "", "signed", "active"),
        ("warn", "li", "the bill is open", "active", "warned"),
        ("suspend", "li", "still open", "warned", "suspended"),
        ("restore", "zhao", "paid", "suspended", "active"),
        ("end", "zhao", "closed", "active", "ended"),
    ]
    (agreement,) = membership.agreements("PKU")
    assert agreement.ends_us == NOW_US


def test_the_audit_is_never_changed(members: Members, membership: Membership) -> None:
    active(membership)
    for statement in ("UPDATE member_audit SET who = 'nobody'", "DELETE FROM member_audit"):
        with pytest.raises(sqlite3.IntegrityError, match="an audit row is never"):
            members.connection.execute(statement)


@pytest.mark.parametrize("step", ["warn", "suspend", "restore", "end"])
def test_a_step_that_touches_a_member_needs_a_reason(membership: Membership, step: str) -> None:
    active(membership)
    if step == "restore":
        membership.warn("PKU", NOW_US, who="li", reason="the bill is open")
    with pytest.raises(MemberError, match="a reason is needed"):
        getattr(membership, step)("PKU", NOW_US, who="li", reason=" ")


def test_a_token_is_good_once_for_its_institution_and_for_thirty_days(
    members: Members, membership: Membership
) -> None:
    for code in ("PKU", "THU"):
        membership.register(code, f"{code} Library", NOW_US, who="li")
    _, token = membership.sign("PKU", NOW_US, who="li")
    _, other = membership.sign("THU", NOW_US, who="li")
    for wrong, at_us in ((other, NOW_US), ("", NOW_US), (token, NOW_US + 30 * DAY_US)):
        with pytest.raises(MemberError, match="does not activate PKU"):
            membership.activate("PKU", wrong, "secret", at_us, who="li")
        assert status(members) == "signed"
    renewed = membership.new_token("PKU", NOW_US + 31 * DAY_US, who="li")
    with pytest.raises(MemberError, match="does not activate PKU"):
        membership.activate("PKU", token, "secret", NOW_US, who="li")
    membership.activate("PKU", renewed, "secret", NOW_US + 32 * DAY_US, who="li")
    with pytest.raises(MemberError, match="PKU is active; it can be warned"):
        membership.activate("PKU", renewed, "secret", NOW_US + 32 * DAY_US, who="li")
    stored = members.connection.execute("SELECT token_hash FROM activation").fetchall()
    assert all(token.encode() not in row[0] and renewed.encode() not in row[0] for row in stored)


def test_an_activation_takes_no_account_of_another_institution(
    members: Members, membership: Membership
) -> None:
    members.add_member("THU", "Tsinghua University Library", "other", NOW_US)
    membership.register("PKU", "Peking University Library", NOW_US, who="li")
    _, token = membership.sign("PKU", NOW_US, who="li")
    with pytest.raises(MemberError, match="the account thu is not one of PKU"):
        membership.activate("PKU", token, "mine", NOW_US, who="li", account="thu")
    assert members.verify("thu", "other") is not None
    assert status(members) == "signed"


def test_an_agreement_may_end_later_and_everything_stays_until_then(
    members: Members, membership: Membership
) -> None:
    active(membership)
    last_day = membership.last_day_of_term("PKU", NOW_US)
    assert last_day == date(2029, 2, 28)
    membership.end("PKU", NOW_US, who="li", reason="merged", last_day=last_day)
    end_us = start_us(date(2029, 3, 1))
    assert status(members, end_us - 1) == "active"
    assert status(members, end_us) == "ended"
    assert membership.audit("PKU")[-1].reason == "after 2029-02-28: merged"
    membership.sign("PKU", end_us + 1, who="li")
    assert status(members, end_us + 2) == "signed"


def test_a_membership_cannot_have_ended_in_the_past(membership: Membership) -> None:
    active(membership)
    with pytest.raises(MemberError, match="2026-02-28 is past"):
        membership.end("PKU", NOW_US, who="li", reason="x", last_day=date(2026, 2, 28))


@pytest.mark.parametrize(
    ("first", "now", "last"),
    [
        (date(2023, 9, 1), date(2026, 8, 31), date(2026, 8, 31)),
        (date(2023, 9, 1), date(2026, 9, 1), date(2029, 8, 31)),
        (date(2024, 2, 29), date(2024, 3, 1), date(2027, 2, 28)),
        (date(2024, 2, 29), date(2035, 12, 1), date(2036, 2, 28)),
        (date(2030, 1, 1), date(2026, 1, 1), date(2032, 12, 31)),
    ],
)
def test_a_term_is_three_years_and_renews_itself(first: date, now: date, last: date) -> None:
    agreement = Agreement(1, "PKU", 0, start_us(first))
    assert agreement.term_ends(start_us(now)) == last


def test_days_are_those_of_china() -> None:
    new_year_us = start_us(date(2027, 1, 1))
    assert day_of(new_year_us) == date(2027, 1, 1)
    assert day_of(new_year_us - 1) == date(2026, 12, 31)
    assert TERM_YEARS == 3


@settings(deadline=None, max_examples=60)
@given(steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=12))
def test_any_order_of_steps_leads_only_where_the_table_says(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    members = Members(tmp_path_factory.mktemp("life") / "members.sqlite", create=True)
    try:
        membership = Membership(members)
        membership.register("PKU", "Peking University Library", NOW_US, who="li")
        expected, token, made = "registered", "", 1
        for now_us, step in enumerate(steps, NOW_US):
            sources, target = STEPS[step]
            try:
                if step == "sign":
                    _, token = membership.sign("PKU", now_us, who="li")
                elif step == "activate":
                    membership.activate("PKU", token, "secret", now_us, who="li")
                else:
                    getattr(membership, step)("PKU", now_us, who="li", reason="because")
                assert expected in sources
                expected = target
                made += 1
            except MemberError:
                assert expected not in sources
            assert status(members, now_us) == expected
            assert len(membership.audit("PKU")) == made
    finally:
        members.close()
