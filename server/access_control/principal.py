"""Whoever makes a request, however it came."""

from __future__ import annotations

from protocol.frozen import frozen
from store.rights import MEMBER_RIGHTS


@frozen
class Principal:
    """Whoever makes a request; neither account nor institution: anonymous.

    A key of an institution has an account of its own, `code+name`. `charset` is
    that of the institution's library system, "" for UTF-8. `rights` are those of
    `store.rights`; whoever has no institution can still download nothing.

    `search_in` and `download_from` are the databases granted, by name; None: all.
    `by_address`: it sent no login, and is known by where it comes from.
    """

    account: str = ""
    institution: str = ""
    operator: bool = False
    charset: str = ""
    rights: tuple[str, ...] = MEMBER_RIGHTS
    search_in: frozenset[str] | None = None
    download_from: frozenset[str] | None = None
    by_address: bool = False

    @property
    def anonymous(self) -> bool:
        return not self.account

    @property
    def is_key(self) -> bool:
        """A program with an API key, not a person with a password."""
        return "+" in self.account

    @property
    def limited_as(self) -> str:
        """The account whose limits hold: all keys of an institution share them."""
        return self.account.partition("+")[0]

    # What the quickest answers ask; `server.access_control.permissions` says the same at length,
    # and a test compares.

    @property
    def may_search(self) -> bool:
        return "search" in self.rights

    @property
    def may_download(self) -> bool:
        """Full records are for members: each is entered for an institution."""
        return bool(self.institution) and "download" in self.rights


ANONYMOUS = Principal(rights=("search",))
