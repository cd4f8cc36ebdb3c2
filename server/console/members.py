"""What the console tells of members: the list of them, and one in full."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import Any

from metering.interface import Usage
from metering.kept_totals import KeptTotals
from metering.ledger import Totals
from metering.settlement_store import Settlement
from server.accounting.ledger import Accounting
from server.accounting.settling import open_settlements
from server.config import Config
from store.access_rules import AddressRange, read_ranges
from store.accounts import Accounts, Certificate
from store.audit import AuditRow
from store.members import Account, ApiKey, Institution, Members
from store.membership import STEPS, Agreement, Membership, day_of

MEMBERS_A_PAGE = 50
STEPS_SHOWN = 20
STATES = ("registered", "signed", "active", "warned", "suspended", "ended")
# What an operator does here; the other steps go with paper and with a token.
ACTIONS = ("warn", "suspend", "restore", "end")


@dataclass(frozen=True, slots=True)
class Term:
    """When the present agreement began, and its last day.

    `renews`: it goes on after that day, unless it is ended by then.
    """

    first: date
    last: date
    renews: bool


@dataclass(frozen=True, slots=True)
class MemberLine:
    """A member in the list. `term` is None before it has signed."""

    institution: Institution
    term: Term | None
    usage: Usage

    @property
    def quota_percent(self) -> float:
        """How much of the quota is used; over a quota of nothing, infinitely much."""
        if self.usage.quota:
            return 100 * self.usage.downloads / self.usage.quota
        return math.inf if self.usage.downloads else 0.0


@dataclass(frozen=True, slots=True)
class MemberList:
    """One page of the members that fit. `states` counts those that fit the words, by state."""

    lines: Sequence[MemberLine]
    count: int
    page: int
    pages: int
    states: Mapping[str, int]
    year: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Which members are asked for, and in which order: `sort` is one of SORTS."""

    words: str = ""
    state: str = ""
    sort: str = "code"
    descending: bool = False
    page: int = 1


_Key = Callable[[MemberLine], Any]
SORTS: Mapping[str, _Key] = {
    "code": lambda line: line.institution.code,
    "name": lambda line: line.institution.name.casefold(),
    "state": lambda line: STATES.index(line.institution.status),
    "term": lambda line: line.term.last if line.term else date.max,
    "holdings": lambda line: line.usage.holdings_uploaded,
    "downloads": lambda line: line.usage.downloads,
    "quota": lambda line: line.quota_percent,
    "charge": lambda line: line.usage.charge_fen,
}


def list_members(
    config: Config, kept: KeptTotals, asked: Asked, year: int, now_us: int
) -> MemberList:
    """The members that fit, with the figures of `year` as they stand.

    Raises:
        MeteringError: the figures cannot be read.
        MemberError: the members cannot be read.
    """
    with Accounting(config, kept) as accounting:
        usages = {usage.institution: usage for usage in accounting.usage.usage_all(year)}
    words = asked.words.casefold().split()
    with closing(Members(config.members_path)) as members:
        membership = Membership(members)
        found = [
            each.at(now_us)
            for each in members.institutions()
            if all(word in f"{each.code} {each.name}".casefold() for word in words)
        ]
        chosen = [each for each in found if asked.state in ("", each.status)]
        # Terms are asked for one by one, so only where they are shown or sorted by.
        by_term = asked.sort == "term"
        lines = [
            MemberLine(
                each,
                term_of(membership.agreements(each.code), now_us) if by_term else None,
                usages.get(each.code) or Usage(each.code, year, 0, 0, 0, 0, 0, 0, 0),
            )
            for each in chosen
        ]
        lines.sort(key=lambda line: line.institution.code)
        lines.sort(key=SORTS[asked.sort], reverse=asked.descending)
        pages = max(1, math.ceil(len(lines) / MEMBERS_A_PAGE))
        page = min(max(asked.page, 1), pages)
        shown = [
            MemberLine(
                line.institution,
                term_of(membership.agreements(line.institution.code), now_us),
                line.usage,
            )
            for line in lines[(page - 1) * MEMBERS_A_PAGE : page * MEMBERS_A_PAGE]
        ]
    states = {state: sum(each.status == state for each in found) for state in STATES}
    return MemberList(shown, len(lines), page, pages, states, year)


def term_of(agreements: Sequence[Agreement], now_us: int) -> Term | None:
    """The term of the last of some agreements; None: there is none."""
    if not agreements:
        return None
    last = agreements[-1]
    if last.ends_us is not None:
        return Term(day_of(last.from_us), day_of(last.ends_us - 1), renews=False)
    return Term(day_of(last.from_us), last.term_ends(now_us), renews=True)


@dataclass(frozen=True, slots=True)
class Member:
    """One member in full. `steps` are its newest audit rows, the newest first.

    `years` are those with an entry, and the one that is shown; `months`, January to
    December, have what is folded into the ledger, `usage` also what the last seconds
    brought.
    """

    institution: Institution
    agreements: Sequence[tuple[Agreement, Term | None]]
    accounts: Sequence[tuple[Account, Sequence[Certificate]]]
    keys: Sequence[ApiKey]
    ranges: Sequence[AddressRange]
    steps: Sequence[AuditRow]
    actions: Sequence[str]
    last_day_of_term: date | None
    years: Sequence[int]
    usage: Usage
    months: Sequence[Totals]
    documents: Sequence[Settlement]

    @property
    def most_a_month(self) -> int:
        """Of downloads or holdings: what the bars are measured by."""
        return max(1, *(max(month.downloads, month.holdings) for month in self.months))


def read_member(config: Config, code: str, year: int, now_us: int) -> Member | None:
    """The member of that code, in whatever case, with its figures of `year`; None: none such.

    Raises:
        MeteringError: the figures cannot be read.
        MemberError: the members cannot be read.
    """
    with closing(Members(config.members_path)) as members:
        known = members.institution(code)
        if known is None:
            return None
        institution = known.at(now_us)
        membership, accounts = Membership(members), Accounts(members)
        agreements = membership.agreements(institution.code)
        people = [
            (account, accounts.certificates(account.name))
            for account in members.accounts(institution.code)
        ]
        keys = members.keys(institution.code)
        ranges = read_ranges(members.connection, institution.code)
        steps = membership.audit(institution.code)[: -STEPS_SHOWN - 1 : -1]
    with Accounting(config) as accounting:
        usage = accounting.usage.usage(institution.code, year)
        with accounting.ledger.reading() as snapshot:
            years = sorted({*snapshot.years(institution.code), year})
            months = snapshot.months(institution.code, year)
    with open_settlements(config) as settlements:
        documents = settlements.billed_with(year, institution.code)
    return Member(
        institution,
        [(each, term_of([each], now_us)) for each in agreements],
        people,
        keys,
        ranges,
        steps,
        [action for action in ACTIONS if institution.status in STEPS[action][0]],
        agreements[-1].term_ends(now_us) if agreements else None,
        years,
        usage,
        [months.get(number, Totals()) for number in range(1, 13)],
        documents,
    )
