"""Where somebody who is signed in may go: the sections of the console and of a member."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from server.access_control.permissions import Operation, refusal
from server.access_control.principal import Principal

CONSOLE = "/-/console"
MY = "/-/my"

# Who may see a page: whoever may do that, or for whom the function says so.
May = Operation | Callable[[Principal], bool]


def operator_may(operation: Operation) -> Callable[[Principal], bool]:
    """For pages of the console: of the consortium, and with the right to it."""
    return lambda principal: principal.operator and is_allowed(principal, operation)


def is_member(principal: Principal) -> bool:
    """Of a member library, whose own pages these are."""
    return bool(principal.institution)


def member_may(operation: Operation) -> Callable[[Principal], bool]:
    """For a member's own pages: of a member library, and with the right to it there."""
    return lambda principal: is_member(principal) and is_allowed(principal, operation)


def is_allowed(principal: Principal, may: May) -> bool:
    if isinstance(may, Operation):
        return refusal(principal, may) is None
    return may(principal)


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of the navigation; `text` is the key of its name.

    Those under CONSOLE are shown to operators alone, those under MY to accounts
    of an institution.
    """

    path: str
    text: str
    operation: Operation

    def is_for(self, principal: Principal) -> bool:
        of_area = operator_may if self.path.startswith(CONSOLE) else member_may
        return of_area(self.operation)(principal)


@dataclass(frozen=True, slots=True)
class Link:
    """A section as it is shown; `current`: the page is of it."""

    path: str
    name: str
    current: bool


SECTIONS = (
    Section(f"{CONSOLE}/status", "nav.status", Operation.STATUS_READ),
    Section(f"{CONSOLE}/members", "nav.members", Operation.MEMBERS_READ),
    Section(f"{CONSOLE}/jobs", "nav.jobs", Operation.STATUS_READ),
    Section(f"{CONSOLE}/duplicates", "nav.duplicates", Operation.DUPLICATES_READ),
    Section(f"{CONSOLE}/settlement", "nav.settlement", Operation.SETTLEMENT_DRAFT),
    Section(f"{CONSOLE}/tariff", "nav.tariff", Operation.TARIFF_READ),
    Section(f"{CONSOLE}/audit", "nav.audit", Operation.AUDIT_READ_ALL),
    Section(f"{MY}/overview", "nav.overview", Operation.QUOTA_READ),
    Section(f"{MY}/ledger", "nav.ledger", Operation.LEDGER_READ),
    Section(f"{MY}/holdings", "nav.holdings", Operation.HOLDINGS_READ),
    Section(f"{MY}/batch", "nav.batch", Operation.BATCH),
    Section(f"{MY}/accounts", "nav.accounts", Operation.PASSWORD_CHANGE),
    Section(f"{MY}/statements", "nav.statements", Operation.STATEMENT_READ),
)


def links(
    principal: Principal | None, here: str, served: Container[str], name: Callable[[str], str]
) -> list[Link]:
    """What `principal` is shown on the page at `here`, of the addresses that are `served`."""
    if principal is None or principal.anonymous:
        return []
    return [
        Link(
            section.path,
            name(section.text),
            here == section.path or here.startswith(f"{section.path}/"),
        )
        for section in SECTIONS
        if section.path in served and section.is_for(principal)
    ]
