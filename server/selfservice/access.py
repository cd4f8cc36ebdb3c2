"""For whom a member's pages are: the rules are those of `server.permissions`."""

from __future__ import annotations

from collections.abc import Callable

from server.permissions import Operation, refusal
from server.principal import Principal


def may(operation: Operation) -> Callable[[Principal], bool]:
    """Whether somebody is of a member library and may do this there."""

    def decide(principal: Principal) -> bool:
        return bool(principal.institution) and refusal(principal, operation) is None

    return decide
