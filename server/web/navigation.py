"""Where somebody who is signed in may go: the sections of the console and of a member."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from server.access import Principal

CONSOLE = "/-/console"
MY = "/-/my"

May = Callable[[Principal], bool]


def is_operator(principal: Principal) -> bool:
    """Of the consortium: the console is theirs, whatever their institution."""
    return principal.operator


def is_member(principal: Principal) -> bool:
    """Of a member library, whose own pages these are."""
    return bool(principal.institution)


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of the navigation; `text` is the key of its name."""

    path: str
    text: str
    may: May


@dataclass(frozen=True, slots=True)
class Link:
    """A section as it is shown; `current`: the page is of it."""

    path: str
    name: str
    current: bool


SECTIONS = (
    Section(f"{CONSOLE}/status", "nav.status", is_operator),
    Section(f"{CONSOLE}/members", "nav.members", is_operator),
    Section(f"{CONSOLE}/jobs", "nav.jobs", is_operator),
    Section(f"{CONSOLE}/duplicates", "nav.duplicates", is_operator),
    Section(f"{CONSOLE}/settlement", "nav.settlement", is_operator),
    Section(f"{CONSOLE}/tariff", "nav.tariff", is_operator),
    Section(f"{CONSOLE}/audit", "nav.audit", is_operator),
    Section(f"{MY}/overview", "nav.overview", is_member),
    Section(f"{MY}/ledger", "nav.ledger", is_member),
    Section(f"{MY}/holdings", "nav.holdings", is_member),
    Section(f"{MY}/batch", "nav.batch", is_member),
    Section(f"{MY}/accounts", "nav.accounts", is_member),
    Section(f"{MY}/statements", "nav.statements", is_member),
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
        if section.path in served and section.may(principal)
    ]
